import LinuxProcess
import Refresh
import TestSupport
import Testing

/// A program with a channel of c-ares or a base of evdns, and the old and the new name server.
struct ChannelScene {
    static let oldFile = "nameserver 127.0.0.2\n"
    static let newFile = "nameserver 127.0.0.3\n"

    let etc: EtcDirectory
    let asker: AskingVictim
    let old: DNSResponder
    let new: DNSResponder

    init(
        _ program: AskingVictim.Program, _ libc: Libc, _ modes: [String] = [], old: DNSResponder.Mode = .answer,
        file: String = oldFile, environment: [String: String] = [:]
    ) throws {
        etc = try EtcDirectory(resolvConf: file)
        asker = try AskingVictim(program, libc, modes, environment: environment, etc: etc)
        self.old = try DNSResponder(old, at: ["127.0.0.2"], besides: asker.id)
        new = try DNSResponder(.answer, at: ["127.0.0.3"], besides: asker.id)
    }

    /// The library's name in a report.
    var library: String { asker.program == .ares ? "c-ares" : "evdns" }

    /// A lookup that is answered.
    ///
    /// - Returns: the server that was asked first.
    func server(asked name: String, by call: String = "lookup", side: Int = 0) throws -> String {
        let answer = try asker.lookup(name, by: call, side: side)
        guard answer.isAnswered else { throw TestSupportError("\(name): \(answer)") }
        let isNew = new.queries.contains { $0.name == "\(name)." || $0.name == name }
        let isOld = old.queries.contains { $0.name == "\(name)." || $0.name == name }
        guard isNew != isOld else { throw TestSupportError("\(name): old \(old.queries), new \(new.queries)") }
        return isNew ? "new" : "old"
    }

    /// Refreshes while lookups come all the time, as side 0 was told by ``AskingVictim/every(_:_:side:)``.
    func refreshed(_ options: String...) throws -> RepointRun {
        readLogs()
        return try runRepoint(["refresh", "--json", "\(asker.id)", "--wait", "5"] + options)
    }

    /// Refreshes, and looks names up until it has ended. (The kernel may need a second before it lets another be watched for.)
    func refreshedWhileAsking(by call: String = "lookup", side: Int = 0, within seconds: Double = 20) throws
        -> RepointRun
    {
        let running = try startRefresh(asker.id, "--wait", "\(seconds)")
        var count = 0
        while running.isRunning {
            _ = try asker.lookup("while\(count).example", by: call, side: side)
            count += 1
            let pause = Deadline(seconds: 0.05)
            _ = eventually(within: 1) { pause.hasPassed }
        }
        return try running.finish()
    }

    /// Lets the name servers go on: they wait for whoever reads what they say.
    func readLogs() {
        _ = old.queries
        _ = new.queries
    }

    func reports(_ run: RepointRun, sourceLocation: SourceLocation = #_sourceLocation) throws -> [ResolverReport] {
        try run.process(sourceLocation: sourceLocation).resolvers.filter { $0.library == library }
    }

    /// The report on the only channel or base.
    func report(_ run: RepointRun, sourceLocation: SourceLocation = #_sourceLocation) throws -> ResolverReport {
        let reports = try reports(run, sourceLocation: sourceLocation)
        try #require(reports.count == 1, "\(reports)", sourceLocation: sourceLocation)
        return reports[0]
    }

    func expectDone(_ run: RepointRun, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let report = try report(run, sourceLocation: sourceLocation)
        let said = Comment(rawValue: "\(report.repair.map { "\($0)" } ?? "") \(report.explanation ?? "")")
        #expect(run.status == 0, said, sourceLocation: sourceLocation)
        #expect(report.was == "pinned", said, sourceLocation: sourceLocation)
        #expect(report.state == "current", said, sourceLocation: sourceLocation)
        #expect(report.repair?.action == "reconfigure", said, sourceLocation: sourceLocation)
        #expect(report.repair?.result == "done", said, sourceLocation: sourceLocation)
        #expect(report.evidence?.readBack == "matches", said, sourceLocation: sourceLocation)
        #expect(report.channel == (try asker.object()), said, sourceLocation: sourceLocation)
    }
}

extension Libc {
    /// The release of c-ares that comes with it, where it can be said.
    var ares: String? {
        switch self {
        case .bullseye: "1.17.1"
        case .bookworm: "1.18.1"
        case .trixie: "1.34.5"
        default: nil
        }
    }

    /// Its c-ares moves queries under way to other servers.
    var movesQueries: Bool { self == .trixie || self == .sid }
}
