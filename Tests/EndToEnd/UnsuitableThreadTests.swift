import Glibc
import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Threads in which nothing may ever be called: too little stack, a stack that isn't theirs, or stopped.
    @Suite("Unsuitable threads")
    struct UnsuitableThreadTests {
        private static let oldFile = "nameserver 127.0.0.2\n"
        private static let newFile = "nameserver 127.0.0.3\n"

        @Test("with small stacks are never called into", arguments: Libc.glibcs, [true, false])
        func smallStacks(_ libc: Libc, isPinned: Bool) throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let environment = isPinned ? ["VICTIM_PINNED": "1"] : [:]
            let victim = try Victim(libc, "smallstack", ["4"], environment: environment, etc: etc)
            let small = victim.ready.dropFirst().compactMap { Int32($0) }
            #expect(small.count == 4)
            try etc.change(to: Self.newFile)
            for _ in 0..<5 {
                let run = try refresh(victim.id, "--force", "--wait", "0.2")
                for thread in small { expectNoCall(try run.thread(thread), about: "stack") }
                #expect(try run.thread(victim.id.rawValue).repair?.action == "reinitialize")
            }
            if isPinned {
                // Cleared at the first time, and therefore no longer pinned.
                for thread in small { #expect(try inspect(victim.id).thread(thread).state == "following") }
            }
            #expect(try victim.end() > 0)
        }

        @Test("on the stack of a coroutine are never called into", arguments: Libc.glibcs, ["mmap", "malloc"])
        func coroutines(_ libc: Libc, _ memory: String) throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let victim = try Victim(libc, "coroutine", [memory], etc: etc)
            try etc.change(to: Self.newFile)
            for _ in 0..<5 {
                let run = try refresh(victim.id, "--force", "--wait", "0.1")
                #expect(run.status == 1)
                expectNoCall(try run.thread(victim.id.rawValue), about: "stack that is not the thread's own")
            }
            #expect(try victim.end() > 0)
        }

        /// Not injected, with a reason that names the hindrance.
        private func expectNoCall(_ report: ResolverReport, about hindrance: String) {
            let repair = report.repair
            #expect(["clear", "deferred", "refused"].contains(repair?.action))
            let text = [repair?.reason, repair?.note].compactMap { $0 }.joined(separator: " ")
            #expect(text.contains(hindrance), "\(repair?.action ?? "no repair"): \(text)")
            #expect(report.evidence?.file == nil)
        }

        @Test("that are stopped stay stopped and are never called into", arguments: Libc.glibcs, [true, false])
        func stopped(_ libc: Libc, isPinned: Bool) throws {
            let etc = try EtcDirectory(resolvConf: Self.oldFile)
            let resolver = try ResolverVictim(libc, etc: etc)
            if isPinned { try resolver.options("+200000", in: 1) }
            try etc.change(to: Self.newFile)
            resolver.victim.send(SIGSTOP)
            #expect(try eventually(within: 5) { try areAllStopped(resolver.id) })

            let run = try refresh(resolver.id, "--force", "--wait", "0.2")
            #expect(try areAllStopped(resolver.id))
            #expect(run.status == 1)
            for thread in resolver.threads { expectNoCall(try run.thread(thread), about: "stopped") }
            #expect(try inspect(resolver.id).status == 0)
            #expect(try areAllStopped(resolver.id))

            resolver.victim.send(SIGCONT)
            #expect(try resolver.show(1).options == 0x2c1)
            _ = try resolver.lookup("nowhere.invalid", in: 1)
            #expect(try resolver.show(1).servers == ["127.0.0.3"])
            try resolver.victim.end()
        }

        private func areAllStopped(_ process: ProcessID) throws -> Bool {
            try threadStates(of: process).values.allSatisfy { $0 == .stopped }
        }
    }
}
