import ELFImage
import LinuxProcess
import Refresh
import TestSupport
import Testing
import Tracing

extension RealThreads {
    /// A thread has one tracer at a time; here it is the test itself.
    @Suite("A process that somebody traces")
    struct AlreadyTracedTests {
        @Test("is left to its tracer, which is named", arguments: ["inspect", "refresh"])
        func isLeftToItsTracer(_ command: String) throws {
            let victim = try Victim(.host, "waits", ["poll", "1000"])
            let images = try ImageCatalog(of: victim.id)
            let held = try HeldThread(victim.id.leader, in: victim.id, images: images)
            for form in [[], ["--json"]] {
                let run = try runRepoint([command, "\(victim.id)"] + form)
                #expect(run.status == 3)
                #expect(run.errorLines.count == 1, "\(run.standardError)")
                let isNamed = try run.standardError.contains("already traced by process \(ownThread())")
                #expect(isNamed, "\(run.standardError)")
                #expect((run.report != nil) == !form.isEmpty)
            }
            #expect(try ProcessStatus(of: victim.id).tracer?.description == ownThread())
            held.release()
            #expect(try runRepoint([command, "\(victim.id)"]).status == 0)
            try victim.end()
        }

        @Test("in one thread only is worked on in its others")
        func oneThread() throws {
            let victim = try Victim(.host, "threads", ["3", "1000"], environment: ["VICTIM_PINNED": "1"])
            let images = try ImageCatalog(of: victim.id)
            let chosen = try #require(victim.id.threads().last)
            let held = try HeldThread(chosen, in: victim.id, images: images)
            let run = try refresh(victim.id, "--wait", "0.3")
            #expect(run.status == 1)
            let resolvers = try run.process().resolvers
            #expect(resolvers.count == 4)
            for report in resolvers where report.thread != chosen.rawValue {
                #expect(report.repair?.result == "done")
            }
            let traced = try run.thread(chosen.rawValue)
            #expect(traced.repair?.action == "refused" || traced.repair?.action == "deferred")
            #expect(traced.repair?.reason?.contains("trace") == true, "\(traced.repair?.reason ?? "")")
            held.release()
            try victim.end()
        }
    }
}
