import Refresh
import Resolvers

/// A report as tables for a person.
struct ReportTable {
    let report: Report
    let isVerbose: Bool
    let width: Int
    let isColoured: Bool

    init(_ report: Report, isVerbose: Bool) {
        self.report = report
        self.isVerbose = isVerbose
        width = Console.width
        isColoured = Console.isColoured
    }

    var text: String {
        let isRepair = report.command != "inspect"
        var table = Table(
            isRepair
                ? ["PID", "NAME", "THREAD", "RESOLVER", "WAS", "NOW", "REPAIR", "HELD", "FILE", "READ BACK"]
                : ["PID", "NAME", "THREAD", "RESOLVER", "STATE", "SERVERS", "OPTIONS"],
            width: width, isColoured: isColoured)
        for process in report.processes {
            // Said already, on standard error.
            if process.error != nil { continue }
            let groups = self.groups(of: process)
            for (index, group) in groups.enumerated() {
                let cells = isRepair ? repairCells(process, group) : stateCells(process, group)
                var remarks = isRepair ? repairRemarks(group) : stateRemarks(process, group)
                if isRepair && index == groups.count - 1, let sessions = process.sessions,
                    sessions.before > 0 || isVerbose
                {
                    let text =
                        "sessions: \(sessions.before) established before, \(sessions.after) after, \(sessions.lost) lost"
                    remarks.append(.init(text, sessions.lost == 0 ? .good : .bad))
                }
                if index == groups.count - 1 { remarks += surroundings(of: process) }
                table.add(cells, remarks: remarks)
            }
        }
        return (report.processes.isEmpty ? "" : table.text) + summary + "\n" + undone
    }

    /// Threads of which the same is to be said stand in one row.
    private struct Group {
        var first: ResolverReport
        var threads: [Int32]
        var longestPause: Double?

        var threadText: String {
            guard let thread = threads.first else { return "-" }
            return threads.count == 1 ? "\(thread)" : "\(thread) +\(threads.count - 1)"
        }
    }

    private func groups(of process: ProcessReport) -> [Group] {
        var groups: [Group] = []
        for resolver in process.resolvers {
            let pause = resolver.repair?.pauseMicroseconds
            let index = isVerbose ? nil : groups.firstIndex { isSame($0.first, resolver) }
            guard let index else {
                groups.append(Group(first: resolver, threads: resolver.thread.map { [$0] } ?? [], longestPause: pause))
                continue
            }
            if let thread = resolver.thread { groups[index].threads.append(thread) }
            if let pause { groups[index].longestPause = max(groups[index].longestPause ?? 0, pause) }
        }
        return groups
    }

    private func isSame(_ left: ResolverReport, _ right: ResolverReport) -> Bool {
        var (one, other) = (left.repair, right.repair)
        one?.pauseMicroseconds = nil
        other?.pauseMicroseconds = nil
        return left.state == right.state && left.was == right.was && left.reason == right.reason
            && left.nameservers == right.nameservers && left.options == right.options && left.lookup == right.lookup
            && one == other && left.evidence == right.evidence && left.explanation == right.explanation
    }

    // MARK: Inspect

    private func stateCells(_ process: ProcessReport, _ group: Group) -> [Table.Cell] {
        let resolver = group.first
        return [
            .init("\(process.pid)"), .init(process.name ?? "-"), .init(group.threadText), .init(name(of: resolver)),
            state(resolver.state), .init(servers(resolver)), .init(options(resolver), .dull),
        ]
    }

    private func stateRemarks(_ process: ProcessReport, _ group: Group) -> [Table.Cell] {
        let resolver = group.first
        var remarks: [Table.Cell] = []
        if let lookup = resolver.lookup { remarks.append(.init(text(of: lookup), .notable)) }
        let isNotable = resolver.state == "pinned" || resolver.state == "opaque" || resolver.state == "following"
        let hasSerial = resolver.singleRequest?.privateFlags.isEmpty == false
        if isNotable || isVerbose || hasSerial, let why = resolver.explanation {
            let reason = resolver.reason.map { "\($0): " } ?? ""
            remarks.append(.init(reason + why, resolver.state == "pinned" ? .bad : .dull))
        }
        if isVerbose, let file = process.resolvConf {
            let options = file.options.isEmpty ? "" : ", options \(file.options.joined(separator: " "))"
            remarks.append(
                .init("its \(file.path): \(file.error ?? file.nameservers.joined(separator: ", "))\(options)", .dull))
            if let search = resolver.search, !search.isEmpty {
                remarks.append(.init("search list in force: \(search.joined(separator: " "))", .dull))
            }
        }
        return remarks
    }

    private func text(of lookup: ResolverReport.LookupReport) -> String {
        let subject = [lookup.name, lookup.type.map { "(\($0))" }].compactMap { $0 }.joined(separator: " ")
        let server = lookup.server.map { ", waiting for \($0)\(lookup.transport.map { " over \($0)" } ?? "")" } ?? ""
        let time = lookup.forSeconds.map { " for \($0) s" } ?? ""
        let call = lookup.call.map { " in \($0)" } ?? ""
        return "in a lookup now\(subject.isEmpty ? "" : " of \(subject)")\(call)\(server)\(time)"
    }

    private func servers(_ resolver: ResolverReport) -> String {
        guard let servers = resolver.nameservers else { return "-" }
        return servers.map(ReportTable.withoutPort53).joined(separator: ",")
    }

    private static func withoutPort53(_ endpoint: String) -> String {
        guard endpoint.hasSuffix(":53") else { return endpoint }
        let address = endpoint.dropLast(3)
        return address.hasPrefix("[") ? String(address.dropFirst().dropLast()) : String(address)
    }

    private func options(_ resolver: ResolverReport) -> String {
        guard let options = resolver.options else { return "" }
        var words: [String] = options.flags
        words += (resolver.singleRequest?.privateFlags ?? []).map { "(\($0))" }
        if options.ndots != 1 { words.append("ndots:\(options.ndots)") }
        if options.timeout != 5 { words.append("timeout:\(options.timeout)") }
        if options.attempts != 2 { words.append("attempts:\(options.attempts)") }
        return words.joined(separator: " ")
    }

    // MARK: Repairs

    private func repairCells(_ process: ProcessReport, _ group: Group) -> [Table.Cell] {
        let resolver = group.first
        let repair = resolver.repair
        let isDone = repair?.result == "done"
        let colour: Table.Colour =
            switch repair?.action {
            case "none", nil: .dull
            case "deferred", "refused": .notable
            default: isDone || repair?.result == "planned" ? .good : .bad
            }
        let action = [repair?.action, isDone ? nil : repair?.result].compactMap { $0 }.joined(separator: " ")
        let held = group.longestPause.map { "\(Int($0.rounded())) us" } ?? "-"
        return [
            .init("\(process.pid)"), .init(process.name ?? "-"), .init(group.threadText), .init(name(of: resolver)),
            state(resolver.was ?? resolver.state), state(resolver.state), .init(action, colour), .init(held),
            .init(resolver.evidence?.file ?? "-"), .init(resolver.evidence?.readBack ?? "-"),
        ]
    }

    private func repairRemarks(_ group: Group) -> [Table.Cell] {
        let resolver = group.first
        var remarks: [Table.Cell] = []
        if let servers = resolver.nameservers, resolver.repair?.action != "none" {
            remarks.append(.init("asks \(servers.map(ReportTable.withoutPort53).joined(separator: ", "))", .dull))
        }
        if let reason = resolver.repair?.reason { remarks.append(.init(reason, .notable)) }
        if let note = resolver.repair?.note { remarks.append(.init(note, .dull)) }
        let isUnclear = resolver.state == "pinned" || resolver.state == "opaque"
        if isUnclear || isVerbose, let why = resolver.explanation { remarks.append(.init(why, .dull)) }
        return remarks
    }

    // MARK: Common

    /// Services that answer for the process, and what else is to be known of it.
    private func surroundings(of process: ProcessReport) -> [Table.Cell] {
        let helpers = (process.helpers ?? []).map { helper in
            let name = helper.pid.map { "\(helper.name) (process \($0))" } ?? helper.name
            let result = helper.result.map { "; \(helper.ran == true ? "run" : "not run"): \($0)" } ?? ""
            return Table.Cell(
                "\(name) answers for it: \(helper.why); `\(helper.command)` refreshes it\(result)", .notable)
        }
        return helpers + (process.remarks ?? []).map { Table.Cell($0, .dull) }
    }

    private func name(of resolver: ResolverReport) -> String {
        [resolver.library, resolver.version].compactMap { $0 }.joined(separator: " ")
    }

    private func state(_ word: String) -> Table.Cell {
        switch word {
        case "current": .init(word, .good)
        case "pinned": .init(word, .bad)
        case "opaque": .init(word, .notable)
        default: .init(word, .dull)
        }
    }

    private var summary: String {
        let summary = report.summary
        let counts = [
            (summary.current, "current"), (summary.following, "following"), (summary.pinned, "pinned"),
            (summary.idle, "idle"), (summary.opaque, "opaque"), (summary.deferred, "deferred"),
            (summary.refused, "refused"), (summary.failed, "not looked into"),
        ]
        let parts = counts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        let subject = summary.processes == 1 ? "1 process" : "\(summary.processes) processes"
        return parts.isEmpty ? subject : "\(subject): \(parts.joined(separator: ", "))"
    }

    /// What stayed undone and why, where the table is too long to look for it there.
    private var undone: String {
        guard report.processes.count > 1, let groups = report.summary.undone else { return "" }
        let names = Dictionary(report.processes.map { ($0.pid, $0.name ?? "-") }) { first, _ in first }
        var list = Table(["STAYED UNDONE", "PROCESSES"], width: width, isColoured: isColoured)
        for group in groups {
            let shown = group.processes.prefix(isVerbose ? Int.max : ReportTable.namedProcesses)
            let rest = group.processes.count - shown.count
            let words = shown.map { "\(names[$0] ?? "-") \($0)" } + (rest > 0 ? ["\(rest) more"] : [])
            list.add(
                [.init(group.outcome, .notable), .init("\(group.processes.count)")],
                remarks: [.init(group.reason), .init(words.joined(separator: ", "), .dull)])
        }
        return list.text
    }

    /// So many processes are named for each reason; the rest is counted.
    private static let namedProcesses = 12
}
