import ELFImage
import LinuxProcess
import TestSupport
import Testing
import Tracing

extension RealThreads {
    @Suite("A call stack")
    struct CallStackTests {
        @Test("is followed to the start of the thread, in every wait", arguments: Libc.glibcs)
        func isFollowed(_ libc: Libc) throws {
            for mode in ["epoll", "poll", "nanosleep", "futex", "accept", "read"] {
                let victim = try Victim(libc, "waits", [mode, "1000"])
                let images = try ImageCatalog(of: victim.id)
                for thread in try victim.id.threads() {
                    let stack = try stack(of: thread, in: victim.id, images)
                    #expect(stack.end == .threadStart, "\(mode), thread \(thread)")
                    #expect(stack.frames.count >= 3)
                    #expect(!stack.frames.contains { $0.isSignalFrame })
                }
                try victim.end()
            }
        }

        @Test("shows that a thread is in a signal handler", arguments: Libc.glibcs)
        func showsHandlers(_ libc: Libc) throws {
            let victim = try Victim(libc, "signals", ["in-handler"])
            let images = try ImageCatalog(of: victim.id)
            let stack = try stack(of: victim.id.leader, in: victim.id, images)
            #expect(stack.frames.contains { $0.isSignalFrame })
            try victim.end()
        }

        /// The stack of a thread once it sleeps in a system call.
        private func stack(of thread: ThreadID, in process: ProcessID, _ images: ImageCatalog) throws -> CallStack {
            try #require(eventually(within: 5) { try BlockedSystemCall(of: thread, in: process) != nil })
            let held = try HeldThread(thread, in: process, images: images)
            let snapshot = try StackSnapshot(held.registers, catalog: images)
            held.release()
            return Unwinder(images).walk(snapshot)
        }
    }
}
