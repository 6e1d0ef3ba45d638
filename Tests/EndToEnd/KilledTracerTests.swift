import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// repoint is killed at every single step of its work on another process.
    @Suite("A killed repoint")
    struct KilledTracerTests {
        private static let stepkill = "\(Stage.targets)/build/host/stepkill"

        struct Subject: Sendable, CustomTestStringConvertible {
            let program: String
            let arguments: [String]
            /// A wait that no kernel restarts ends with EINTR if repoint dies after the stop and before it has rewound the wait.
            var mayBeInterrupted = false
            var testDescription: String { ([program] + arguments).joined(separator: " ") }
        }

        private static let subjects = [
            Subject(program: "waits", arguments: ["epoll-infinite", "1000"], mayBeInterrupted: true),
            Subject(program: "waits", arguments: ["poll", "1000"]),
            Subject(program: "waits", arguments: ["nanosleep", "1000"]),
            Subject(program: "registers", arguments: []),
        ]

        @Test("leaves a thread that heals by itself, wherever it was killed", arguments: subjects)
        func heals(_ subject: Subject) throws {
            try require(Self.stepkill, because: "the killer of tracers")
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            var victim = try start(subject, etc)
            let total = try stops(of: victim)
            #expect(total > 20)
            var killed = 0
            var interrupted = 0
            for loop in 0..<max(1, Stress.total / 1000) {
                for step in 1...total {
                    try etc.change(to: "nameserver 127.0.0.\(3 + (loop + step) % 2)\n")
                    let run = try runRepoint(command(victim), under: [Self.stepkill, "\(step)"])
                    if run.status == 99 { killed += 1 }
                    let place = run.standardError
                    let isFree = try eventually(within: 1) {
                        try !victim.isAlive || isLeftAlone(victim.id)
                    }
                    #expect(isFree, "it is held after \(place)")
                    if subject.mayBeInterrupted, !victim.isAlive {
                        let words = victim.said()
                        let isInterrupted = words.last?.hasSuffix("returned -1: Interrupted system call") == true
                        #expect(isInterrupted, "\(place): \(words)")
                        interrupted += 1
                        victim = try start(subject, etc)
                    }
                    try victim.checkAlive(after: place)
                }
            }
            // The last steps of the longest run may lie beyond the end of a shorter one.
            #expect(killed > total / 2)
            #expect(interrupted < killed / 8, "\(interrupted) of \(killed) kills ended the wait with EINTR")
            #expect(try changedCode(of: victim.id) == [])
            let after = try refresh(victim.id, "--force", "--wait", "10")
            let report = try #require(after.process().resolvers.first)
            #expect(report.state == "current", "\(report.repair?.action ?? ""): \(report.repair?.reason ?? "")")
            #expect(after.status == 0)
            #expect(try victim.end(within: 60) > 0)
        }

        /// A wait may start over, and take its full time once more; never may it end early.
        private func start(_ subject: Subject, _ etc: EtcDirectory) throws -> Victim {
            try Victim(.host, subject.program, subject.arguments, environment: ["VICTIM_SLACK_MS": "20000"], etc: etc)
        }

        private func command(_ victim: Victim) -> [String] { ["refresh", "--force", "--wait", "0", "\(victim.id)"] }

        /// How many steps a whole run takes.
        private func stops(of victim: Victim) throws -> Int {
            let run = try runRepoint(command(victim), under: [Self.stepkill, "0"])
            let line = try #require(run.errorLines.last { $0.hasPrefix("stops ") }, "\(run.standardError)")
            return try #require(Int(line.dropFirst("stops ".count)))
        }
    }
}
