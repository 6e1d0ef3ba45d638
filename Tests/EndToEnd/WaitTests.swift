import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Threads that wait in one system call, and complain of whatever an interruption would have changed.
    @Suite("Waits")
    struct WaitTests {
        private static let modes = [
            "epoll", "epoll-infinite", "poll", "ppoll", "select", "nanosleep", "clock-nanosleep-absolute", "futex",
            "futex-wait", "recv-timeout", "sigtimedwait", "accept", "read",
        ]
        /// An interruption would end these with EINTR or cost them their place in time: they are not to be held.
        private static let untouchable = ["recv-timeout": "SO_RCVTIMEO", "sigtimedwait": "sigtimedwait"]
        private static let milliseconds = 1200

        @Test("notice nothing of refreshes and inspections", arguments: Libc.glibcs)
        func noticeNothing(_ libc: Libc) throws {
            var victims: [String: Victim] = [:]
            for mode in Self.modes { victims[mode] = try Victim(libc, "waits", [mode, "\(Self.milliseconds)"]) }
            let words = victims.values.map { "\($0.id)" }
            // Every wait comes to its end at least twice, and is disturbed throughout.
            let deadline = Deadline(seconds: 3 * Double(Self.milliseconds) / 1000)
            var repaired: [Int32: Int] = [:]
            var heldInVain: [String: Int] = [:]
            var rounds = 0
            while rounds < 5 || !deadline.hasPassed {
                let run = try runRepoint(["refresh", "--json", "--force", "--wait", "0.1"] + words)
                let report = try #require(run.report, "\(run.standardError)")
                for process in report.processes where process.resolvers.first?.repair?.action == "reinitialize" {
                    repaired[process.pid, default: 0] += 1
                }
                for (mode, why) in Self.untouchable {
                    let process = try #require(report.processes.first { $0.pid == victims[mode]?.id.rawValue })
                    let repair = process.resolvers.first?.repair
                    #expect(repair?.action == "deferred", "\(mode)")
                    // Between two waits it may be held, and once it is seen to wait no more.
                    if repair?.pauseMicroseconds != nil { heldInVain[mode, default: 0] += 1 }
                    let isNamed = repair?.reason?.contains(why) == true
                    #expect(isNamed || repair?.pauseMicroseconds != nil, "\(mode): \(repair?.reason ?? "no reason")")
                }
                #expect(try runRepoint(["inspect"] + words).status == 0)
                rounds += 1
            }
            #expect(heldInVain.values.allSatisfy { $0 <= rounds / 3 }, "in \(rounds) rounds: \(heldInVain)")
            for (mode, victim) in victims.sorted(by: { $0.key < $1.key }) {
                expectNoComplaint(of: victim)
                // Otherwise nothing was proved.
                let calls = repaired[victim.id.rawValue, default: 0]
                if Self.untouchable[mode] == nil { #expect(calls > 0, "\(mode): no call in \(rounds) tries") }
            }
        }

        private func expectNoComplaint(of victim: Victim) {
            do {
                #expect(try victim.end() > 0, "\(victim.name) came to the end of no wait")
            } catch {
                Issue.record(error)
            }
        }

        @Test("that may not be interrupted have bits cleared all the same, unheld", arguments: Libc.glibcs)
        func clearsAsleep(_ libc: Libc) throws {
            for (mode, why) in Self.untouchable {
                let victim = try Victim(
                    libc, "waits", [mode, "\(Self.milliseconds)"], environment: ["VICTIM_PINNED": "1"])
                let run = try refresh(victim.id, "--wait", "0.1")
                #expect(run.status == 0)
                let report = try #require(run.process().resolvers.first)
                #expect(report.was == "pinned")
                #expect(report.state == "current")
                #expect(report.repair?.action == "clear")
                #expect(report.repair?.note?.contains(why) == true, "\(mode): \(report.repair?.note ?? "no note")")
                #expect(report.repair?.pauseMicroseconds == nil)
                #expect(report.evidence?.readBack == "matches")
                try victim.end()
            }
        }

        @Test("end when a signal of their own ends them, refreshed or not")
        func signalsStillArrive() throws {
            let victim = try Victim(.host, "signals", ["altstack"])
            for _ in 0..<10 { _ = try refresh(victim.id, "--force", "--wait", "0.05") }
            #expect(try victim.end() > 0)
        }
    }
}
