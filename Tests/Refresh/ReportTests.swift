import FoundationEssentials
import LinuxProcess
import Resolvers
import Testing

@testable import Refresh

@Suite("Report")
struct ReportTests {
    private var resolver: ResolverReport {
        var report = ResolverReport(library: "glibc", path: "/usr/lib/x86_64-linux-gnu/libc.so.6", state: "current")
        report.version = "2.36"
        report.thread = 4711
        report.was = "pinned"
        report.reason = "lost-reply"
        report.nameservers = ["127.0.0.3:53"]
        report.search = []
        report.options = .init(ndots: 1, timeout: 5, attempts: 2, flags: [])
        report.lookup = .init(name: "db.example", server: "127.0.0.2:53", forSeconds: 7.2)
        report.repair = .init(action: "reinitialize", result: "done", pauseMicroseconds: 141)
        report.evidence = .init(file: "opened", readBack: "matches")
        return report
    }

    private var process: ProcessReport {
        var report = ProcessReport(pid: 4711)
        report.name = "pgbouncer"
        report.executable = "/usr/sbin/pgbouncer"
        report.resolvConf = .init(path: "/etc/resolv.conf", nameservers: ["127.0.0.3"])
        report.namespaces = .init(mount: "host", network: "host")
        report.resolvers = [resolver]
        report.sessions = .init(before: 212, after: 212, lost: 0)
        return report
    }

    /// The document without its white space, which the interface does not promise.
    private func compact(_ report: Report) throws -> String {
        try jsonDocument(report).filter { !$0.isWhitespace }
    }

    @Test(
        "every field has the name that the interface gives it",
        arguments: [
            #""schema":"repoint/1""#, #""command":"refresh""#, #""host":""#, #""at":""#, #""processes":[{"#,
            #""pid":4711"#,
            #""name":"pgbouncer""#, #""executable":"/usr/sbin/pgbouncer""#,
            #""resolvConf":{"nameservers":["127.0.0.3"],"options":[],"path":"/etc/resolv.conf","search":[]}"#,
            #""namespaces":{"mount":"host","network":"host"}"#, #""resolvers":[{"#, #""library":"glibc""#,
            #""version":"2.36""#,
            #""path":"/usr/lib/x86_64-linux-gnu/libc.so.6""#, #""thread":4711"#, #""state":"current""#,
            #""was":"pinned""#,
            #""reason":"lost-reply""#, #""nameservers":["127.0.0.3:53"]"#, #""search":[]"#,
            #""options":{"attempts":2,"flags":[],"ndots":1,"timeout":5}"#,
            #""lookup":{"forSeconds":7.2,"name":"db.example","server":"127.0.0.2:53"}"#,
            #""repair":{"action":"reinitialize","pauseMicroseconds":141,"result":"done"}"#,
            #""evidence":{"file":"opened","readBack":"matches"}"#, #""sessions":{"after":212,"before":212,"lost":0}"#,
            #""summary":{"#, #""current":1"#, #""following":0"#, #""pinned":0"#, #""idle":0"#, #""opaque":0"#,
            #""deferred":0"#,
            #""refused":0"#,
        ])
    func fields(text: String) throws {
        let document = try compact(Report(command: "refresh", processes: [process]))
        #expect(document.contains(text))
    }

    @Test("a field that does not apply is left out, and nothing is null")
    func absentFields() throws {
        let resolver = ResolverReport(library: "musl", path: "/lib/ld-musl-x86_64.so.1", state: "current")
        var process = ProcessReport(pid: 1)
        process.resolvers = [resolver]
        let document = try compact(Report(command: "inspect", processes: [process]))
        #expect(!document.contains("null"))
        for name in [
            "name", "executable", "resolvConf", "namespaces", "sessions", "error", "errorCode", "version", "thread",
            "was",
            "reason", "explanation", "nameservers", "options", "singleRequest", "lookup", "repair", "evidence",
            "heldMicroseconds", "innerPid", "helpers", "remarks", "ran", "result",
        ] {
            #expect(!document.contains("\"\(name)\":"), "\(name)")
        }
        #expect(document.contains(#"{"library":"musl","path":"/lib/ld-musl-x86_64.so.1","state":"current"}"#))
    }

    @Test("a process of a container, and who answers for it, have fields of their own")
    func surroundings() throws {
        var process = process
        process.innerPid = 1
        process.namespaces = .init(mount: "mnt:[7]", network: "host", pid: "pid:[8]", user: "host")
        process.helpers = [
            .init(name: "nscd", pid: 812, why: "so", command: "nscd -i hosts", ran: true, result: "done")
        ]
        process.remarks = ["note"]
        let document = try compact(Report(command: "refresh", processes: [process]))
        for text in [
            #""innerPid":1"#, #""namespaces":{"mount":"mnt:[7]","network":"host","pid":"pid:[8]","user":"host"}"#,
            #""helpers":[{"command":"nscd-ihosts","name":"nscd","pid":812,"ran":true,"result":"done","why":"so"}]"#,
            #""remarks":["note"]"#,
        ] {
            #expect(document.contains(text), "\(text)")
        }
        func isHelperUndone() -> Bool { process.undone.contains { $0.reason.contains("nscd was not refreshed") } }
        #expect(!isHelperUndone())
        process.helpers?[0].result = "failed with status 1"
        #expect(isHelperUndone())
        process.helpers?[0].ran = nil
        #expect(!isHelperUndone())
    }

    @Test("no process is an empty list")
    func noProcess() throws {
        let document = try compact(Report(command: "inspect", processes: []))
        #expect(document.contains(#""processes":[]"#))
        #expect(document.contains(#""summary":{"current":0,"#))
    }

    @Test("the time is RFC 3339 in UTC, with milliseconds")
    func time() {
        let time = Report(command: "inspect", processes: []).at
        #expect(time.wholeMatch(of: /20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d\.\d{3}Z/) != nil)
    }

    @Test("text from a process cannot break the document")
    func escaping() throws {
        var process = process
        process.name = "a\"b\\c\n\u{1}z"
        let document = try jsonDocument(Report(command: "inspect", processes: [process]))
        #expect(document.contains(#""name" : "a\"b\\c\n\u0001z""#))
        #expect(try JSONDecoder().decode(Report.self, from: Data(document.utf8)).processes.first?.name == process.name)
    }

    @Test("a report comes back from a worker as it was")
    func roundTrip() throws {
        let data = try JSONEncoder().encode(process)
        #expect(!data.contains(UInt8(ascii: "\n")))
        let back = try JSONDecoder().decode(ProcessReport.self, from: data)
        #expect(back.resolvConf == process.resolvConf)
        #expect(back.sessions == process.sessions)
        #expect(back.resolvers.first?.lookup == resolver.lookup)
        #expect(back.resolvers.first?.repair == resolver.repair)
        #expect(back.resolvers.first?.evidence == resolver.evidence)
        #expect(back.resolvers.first?.options == resolver.options)
        #expect(try JSONEncoder().encode(back).count == data.count)
    }
}

@Suite("Report.Summary")
struct SummaryTests {
    private func process(_ states: [String], repairs: [String] = [], error: String? = nil) -> ProcessReport {
        var report = ProcessReport(pid: 7)
        report.error = error
        report.resolvers = states.enumerated().map { index, state in
            var resolver = ResolverReport(library: "glibc", path: "/libc.so.6", state: state)
            if repairs.indices.contains(index) { resolver.repair = .init(action: repairs[index]) }
            return resolver
        }
        return report
    }

    @Test(
        "a process is in the state of the thread that most needs somebody to look",
        arguments: [
            (["idle"], ResolverState.idle), (["idle", "current"], .current),
            (["current", "following", "idle"], .following),
            (["following", "opaque", "current"], .opaque), (["current", "opaque", "pinned"], .pinned),
            (["pinned", "idle", "following"], .pinned),
        ])
    func state(states: [String], state: ResolverState) {
        #expect(process(states).state == state)
    }

    @Test("a process without a resolver, or with a word that is none, has no state")
    func noState() {
        #expect(process([]).state == nil)
        #expect(process(["nonesuch"]).state == nil)
    }

    @Test("processes are counted by their states, and threads one by one")
    func counts() {
        let summary = Report.Summary(of: [
            process(["current", "current"]), process(["pinned", "current"], repairs: ["refused", "none"]),
            process(["idle"]),
            process(["opaque"]), process(["following", "idle"]), process(["pinned"], repairs: ["deferred"]),
            process([], error: "gone"),
        ])
        #expect(summary.processes == 7)
        #expect(summary.threads == 9)
        #expect(summary.current == 1)
        #expect(summary.pinned == 2)
        #expect(summary.idle == 1)
        #expect(summary.opaque == 1)
        #expect(summary.following == 1)
        #expect(summary.deferred == 1)
        #expect(summary.refused == 1)
        #expect(summary.failed == 1)
    }

    @Test("a process with several refused threads counts once")
    func severalThreads() {
        let summary = Report.Summary(of: [
            process(["pinned", "pinned", "pinned"], repairs: ["refused", "refused", "deferred"])
        ])
        #expect(summary.refused == 1)
        #expect(summary.deferred == 1)
    }

    @Test("nothing is counted of nothing")
    func nothing() {
        #expect(Report.Summary(of: []) == Report.Summary())
    }

    @Test(
        "every error has the exit code of the interface",
        arguments: [
            (TargetError.gone(ProcessID(7)), 4), (.noSuchName("x"), 2), (.zombie(ProcessID(7)), 4),
            (.notPermitted(ProcessID(7), lacking: "x"), 3),
            (.traced(ProcessID(7), by: ProcessID(8), tracerName: "gdb"), 3),
            (.kernelThread(ProcessID(7), name: "x"), 2), (.oneself(ProcessID(7)), 2), (.firstProcess, 2),
            (.thirtyTwoBit(ProcessID(7)), 1), (.failed(ProcessID(7), SystemError("x", code: 5)), 1),
        ] as [(TargetError, Int32)])
    func exitCodes(error: TargetError, code: Int32) {
        #expect(error.exitStatus.rawValue == code)
    }
}
