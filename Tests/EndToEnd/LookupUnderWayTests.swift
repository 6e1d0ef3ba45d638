import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// A thread that waits for a name server's reply.
    @Suite("A lookup under way")
    struct LookupUnderWayTests {
        @Test("is shown with its name, server, transport, call and time, and goes on", arguments: Libc.glibcs)
        func isShown(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\noptions timeout:3 attempts:1\n")
            let resolver = try ResolverVictim(libc, etc: etc, ownNetwork: true)
            let responder = try DNSResponder(.silent, at: ["127.0.0.2"], besides: resolver.id)
            try resolver.start("name.example", in: 1)
            #expect(eventually(within: 5) { responder.queries.count >= 2 })
            let second = Deadline(seconds: 1.2)
            #expect(eventually(within: 2) { second.hasPassed })

            let run = try inspect(resolver.id)
            #expect(run.status == 0)
            let report = try run.thread(resolver.threads[1])
            let lookup = try #require(report.lookup)
            #expect(lookup.name == "name.example")
            #expect(lookup.server == "127.0.0.2:53")
            #expect(lookup.transport == "udp")
            #expect(lookup.call == "getaddrinfo")
            #expect((1.0..<3).contains(try #require(lookup.forSeconds)))
            #expect(try run.thread(resolver.threads[0]).lookup == nil)
            #expect(try run.thread(resolver.threads[2]).lookup == nil)

            // Nobody answers: it gives up when it would have given up anyway.
            let answer = try resolver.wait(in: 1)
            #expect(answer.code == -3)
            #expect((2900...4500).contains(answer.milliseconds), "it took \(answer.milliseconds) ms")
            #expect(try inspect(resolver.id).thread(resolver.threads[1]).lookup == nil)
            try resolver.victim.end()
        }

        @Test("shows the whole of its time however often one looks")
        func showsItsTimeAgain() throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\noptions timeout:5 attempts:1\n")
            let resolver = try ResolverVictim(.host, etc: etc, ownNetwork: true)
            let responder = try DNSResponder(.silent, at: ["127.0.0.2"], besides: resolver.id)
            try resolver.start("name.example", in: 1)
            #expect(eventually(within: 5) { responder.queries.count >= 2 })
            var shown = 0.0
            let isShown = try eventually(within: 3) {
                shown = try inspect(resolver.id).thread(resolver.threads[1]).lookup?.forSeconds ?? 0
                return shown >= 1
            }
            #expect(isShown, "after 3 s of looking it shows \(shown) s")
        }

        @Test("is held only where it must be, and not for long", arguments: Libc.glibcs)
        func isHeldShortly(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\noptions timeout:3 attempts:1\n")
            let resolver = try ResolverVictim(libc, etc: etc, ownNetwork: true)
            let responder = try DNSResponder(.silent, at: ["127.0.0.2"], besides: resolver.id)
            try resolver.start("name.example", in: 1)
            #expect(eventually(within: 5) { responder.queries.count >= 2 })
            let run = try inspect(resolver.id)
            #expect(try #require(run.thread(resolver.threads[1]).heldMicroseconds) < 20_000)
            #expect(try run.thread(resolver.threads[0]).heldMicroseconds == nil)
            #expect(try run.thread(resolver.threads[2]).heldMicroseconds == nil)
        }

        @Test("is never called into; the answer comes as if nothing had been", arguments: Libc.glibcs)
        func isNeverCalledInto(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\noptions timeout:4 attempts:2\n")
            let resolver = try ResolverVictim(libc, etc: etc, ownNetwork: true)
            let responder = try DNSResponder(.silent, at: ["127.0.0.2"], besides: resolver.id)
            try resolver.start("name.example", in: 1)
            #expect(eventually(within: 5) { responder.queries.count >= 2 })

            let run = try refresh(resolver.id, "--force", "--wait", "0.3")
            #expect(run.status == 1)
            let repair = try #require(run.thread(resolver.threads[1]).repair)
            #expect(repair.action == "deferred")
            #expect(repair.reason?.isEmpty == false)
            #expect(try run.thread(resolver.threads[2]).repair?.action == "reinitialize")

            // The second attempt is answered: its query comes from the same lookup.
            try responder.change(to: .answer)
            let answer = try resolver.wait(in: 1)
            #expect(answer.code == 0)
            #expect(answer.addresses.sorted() == ["192.0.2.1", "2001:db8::1"])
            #expect(answer.milliseconds >= 3900, "it took \(answer.milliseconds) ms")
            try resolver.victim.end()
        }
    }
}
