import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// One lost UDP reply, on real name servers: what it does to a thread, and what heals it.
    @Suite("One lost reply")
    struct LostReplyTests {
        private static let oldServer = "127.0.0.2"
        private static let newServer = "127.0.0.3"
        /// The default timeout of 5 s stands: it is the price that is measured.
        private static let oldFile = "nameserver \(oldServer)\n"
        private static let newFile = "nameserver \(newServer)\n"

        /// A process one of whose threads has lost an AAAA reply, with a name server at either address.
        private struct Scene {
            let etc: EtcDirectory
            let resolver: ResolverVictim
            let responder: DNSResponder
            let thread: Int32

            init(_ libc: Libc) throws {
                etc = try EtcDirectory(resolvConf: oldFile)
                resolver = try ResolverVictim(libc, etc: etc, ownNetwork: true)
                responder = try DNSResponder(.dropAAAAOnce, at: [oldServer, newServer], besides: resolver.id)
                thread = resolver.threads[1]
                let answer = try resolver.lookup("lossy.example", in: 1)
                #expect(answer.code == 0)
                #expect(answer.milliseconds > 4000, "the lost reply was waited for: \(answer.milliseconds) ms")
                #expect(responder.takeQueries().filter { $0.outcome == "dropped" }.map(\.type) == ["AAAA"])
            }

            func report() throws -> ResolverReport { try inspect(resolver.id).thread(thread) }

            /// Looks a name up and expects an answer at once, from one server only.
            func expectSwiftAnswer(from server: String) throws {
                let answer = try resolver.lookup("swift.example", in: 1)
                #expect(answer.code == 0)
                #expect(answer.milliseconds < 1000, "it took \(answer.milliseconds) ms")
                #expect(Set(responder.takeQueries().map(\.server)) == [server])
            }
        }

        @Test("pins a thread of glibc 2.31; a refresh heals it at once", arguments: [true, false])
        func pinsAndIsHealed(mayInject: Bool) throws {
            let scene = try Scene(.bullseye)
            #expect(try scene.resolver.show(1).options & 0x20_0000 != 0)
            #expect(try scene.report().options?.flags.contains("single-request") == true)

            // The file changes; the thread does not notice.
            try scene.etc.change(to: Self.newFile)
            let before = try scene.report()
            #expect(before.state == "pinned")
            #expect(before.reason == "lost-reply")
            #expect(before.singleRequest?.options.contains("single-request") == true)
            #expect(try scene.resolver.lookup("ignored.example", in: 1).code == 0)
            #expect(Set(scene.responder.takeQueries().map(\.server)) == [Self.oldServer])
            #expect(try scene.report().state == "pinned")
            // Its neighbours lost nothing, and follow.
            #expect(try inspect(scene.resolver.id).thread(scene.resolver.threads[2]).state == "following")

            let run = try mayInject ? refresh(scene.resolver.id) : refresh(scene.resolver.id, "--no-inject")
            #expect(run.status == 0)
            let after = try run.thread(scene.thread)
            #expect(after.was == "pinned")
            #expect(after.repair?.action == (mayInject ? "reinitialize" : "clear"))
            #expect(after.repair?.result == "done")
            #expect(after.evidence?.readBack == "matches")
            #expect(after.evidence?.file == (mayInject ? "opened" : nil))
            #expect(after.state == (mayInject ? "current" : "following"))
            #expect(after.nameservers == [mayInject ? "\(Self.newServer):53" : "\(Self.oldServer):53"])
            #expect(try scene.resolver.show(1).options == 0x2c1)
            try scene.expectSwiftAnswer(from: Self.newServer)
            #expect(try scene.report().state == "current")
            try scene.resolver.victim.end()
        }

        @Test("makes every SERVFAIL cost seconds in glibc 2.31, until it is healed")
        func makesFailuresSlow() throws {
            let scene = try Scene(.bullseye)
            try scene.etc.change(to: Self.newFile)
            try scene.responder.change(to: .servfail)
            let slow = try scene.resolver.lookup("broken.example", in: 1)
            #expect(slow.code == -3)
            #expect(slow.milliseconds > 4000, "it took \(slow.milliseconds) ms")

            #expect(try refresh(scene.resolver.id).status == 0)
            let swift = try scene.resolver.lookup("broken.example", in: 1)
            #expect(swift.code == -3)
            #expect(swift.milliseconds < 1000, "it took \(swift.milliseconds) ms")
            try scene.responder.change(to: .answer)
            _ = scene.responder.takeQueries()
            try scene.expectSwiftAnswer(from: Self.newServer)
        }

        @Test(
            "does not pin a glibc with the fix; the private bits are shown apart",
            arguments: [Libc.bookworm, .trixie, .sid])
        func isHarmlessWithTheFix(_ libc: Libc) throws {
            let scene = try Scene(libc)
            let own = try scene.resolver.show(1)
            #expect(own.options == 0x2c1)
            #expect(own.privateFlags & 0x60_0000 != 0)
            let current = try scene.report()
            #expect(current.state == "current")
            #expect(current.singleRequest?.options == [])
            #expect(current.singleRequest?.privateFlags.contains("single-request") == true)
            #expect(current.options?.flags == [])

            try scene.etc.change(to: Self.newFile)
            #expect(try scene.report().state == "following")
            // Nothing is pinned, so nothing is done.
            let run = try refresh(scene.resolver.id)
            #expect(run.status == 0)
            #expect(try run.thread(scene.thread).repair?.action == "none")
            _ = scene.responder.takeQueries()
            try scene.expectSwiftAnswer(from: Self.newServer)
            let after = try scene.report()
            #expect(after.state == "current")
            #expect(after.singleRequest?.privateFlags == [])
        }
    }
}
