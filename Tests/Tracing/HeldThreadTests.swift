import ELFImage
import LinuxProcess
import TestSupport
import Testing

@testable import Tracing

extension RealThreads {
    @Suite("A held thread")
    struct HeldThreadTests {
        @Test("is stopped alone, and goes on when it is released")
        func isStoppedAlone() throws {
            let victim = try Victim(.host, "threads", ["8", "300"])
            let images = try ImageCatalog(of: victim.id)
            let chosen = try #require(victim.id.threads().last)
            let held = try HeldThread(chosen, in: victim.id, images: images)
            let states = try threadStates(of: victim.id)
            #expect(states[chosen] == .tracingStop)
            #expect(states.count == 9)
            #expect(states.filter { $0.value == .tracingStop }.count == 1)
            #expect(try ProcessStatus(of: chosen, in: victim.id).tracer?.description == ownThread())
            #expect(held.release() > 0)
            #expect(try isLeftAlone(victim.id))
            try victim.end()
        }

        @Test("goes on when it is dropped")
        func goesOnWhenDropped() throws {
            let victim = try Victim(.host, "waits", ["poll", "500"])
            let images = try ImageCatalog(of: victim.id)
            func holdAndDrop() throws {
                let held = try HeldThread(victim.id.leader, in: victim.id, images: images)
                #expect(held.registers.systemCall != nil)
            }
            try holdAndDrop()
            #expect(try isLeftAlone(victim.id))
            try victim.end()
        }

        @Test("notices nothing of being held", arguments: Libc.allCases, ["poll", "nanosleep", "epoll"])
        func noticesNothing(_ libc: Libc, _ mode: String) throws {
            let victim = try Victim(libc, "waits", [mode, "500"])
            let images = try ImageCatalog(of: victim.id)
            var holds = 0
            let deadline = Deadline(seconds: 1.2)
            while !deadline.hasPassed {
                if let held = try? HeldThread(victim.id.leader, in: victim.id, images: images) {
                    held.release()
                    holds += 1
                }
                // The rest of a timed epoll_wait is counted in whole milliseconds: held without a break it would never end.
                let pause = Deadline(seconds: 0.02)
                _ = eventually(within: 1) { pause.hasPassed }
            }
            // Only a libc's own function is known not to look at the register in which the rest of the time is put.
            if libc == .muslStatic && mode == "epoll" { #expect(holds < 3) } else { #expect(holds > 10) }
            #expect(try victim.end() > 0)
        }

        @Test("keeps every register", arguments: Libc.allCases)
        func keepsRegisters(_ libc: Libc) throws {
            let victim = try Victim(libc, "registers")
            let images = try ImageCatalog(of: victim.id)
            var holds = 0
            for _ in 0..<Stress.share(of: 1) {
                if let held = try? HeldThread(victim.id.leader, in: victim.id, images: images) {
                    held.release()
                    holds += 1
                }
            }
            #expect(holds > 0)
            #expect(try victim.end() > 0)
        }

        @Test("that does not exist is gone")
        func gone() throws {
            let victim = try Victim(.host, "waits", ["poll", "500"])
            let images = try ImageCatalog(of: victim.id)
            #expect(throws: HoldError.gone) {
                _ = try HeldThread(ThreadID(4_194_303), in: victim.id, images: images).release()
            }
            try victim.end()
        }
    }
}
