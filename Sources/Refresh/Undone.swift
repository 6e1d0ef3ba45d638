import Resolvers

/// Something that a command was to do and did not, and the processes it concerns.
public struct UndoneReport: Codable, Sendable, Equatable {
    /// `deferred`, `refused`, `failed`, the state it stayed in (`pinned`, `opaque`), or `sessions-lost`.
    public var outcome: String
    public var reason: String
    /// PIDs, in ascending order.
    public var processes: [Int32]
}

extension UndoneReport {
    /// What stayed undone in some processes, the most frequent first.
    static func all(in reports: [ProcessReport]) -> [UndoneReport] {
        var groups: [UndoneReport] = []
        var places: [[String]: Int] = [:]
        for report in reports {
            for (outcome, reason) in report.undone {
                if let place = places[[outcome, reason]] {
                    if groups[place].processes.last != report.pid { groups[place].processes.append(report.pid) }
                } else {
                    places[[outcome, reason]] = groups.count
                    groups.append(UndoneReport(outcome: outcome, reason: reason, processes: [report.pid]))
                }
            }
        }
        // By their order where there are as many: sorting is not stable.
        return groups.enumerated().sorted {
            ($1.element.processes.count, $0.offset) < ($0.element.processes.count, $1.offset)
        }.map(\.element)
    }
}

extension ProcessReport {
    /// Nothing in it stayed pinned, deferred or refused, and what was done is seen.
    public var isDone: Bool { undone.isEmpty }

    /// What stayed undone in it, and why.
    var undone: [(outcome: String, reason: String)] {
        // Its number stands beside the reason, so that one reason is one for all.
        if let error { return [("failed", error.replacing("process \(pid)", with: "the process"))] }
        var found = resolvers.compactMap(\.undone)
        for helper in helpers ?? [] where helper.ran != nil && helper.result != "done" {
            found.append(("failed", "\(helper.name) was not refreshed: \(helper.result ?? "no reason is known")"))
        }
        if let sessions, sessions.lost > 0 { found.append(("sessions-lost", "established TCP sessions are gone")) }
        return found
    }
}

extension ResolverReport {
    /// Why a repair did not come to its end; nil where it did, or none was needed.
    fileprivate var undone: (outcome: String, reason: String)? {
        let why = repair?.reason ?? explanation ?? "no reason is known"
        switch repair?.action {
        case "deferred", "refused":
            return (repair?.action ?? "", why)
        case "none", nil:
            let isOpen = state == ResolverState.pinned.rawValue || state == ResolverState.opaque.rawValue
            return isOpen ? (state, explanation ?? why) : nil
        case "reset":
            return repair?.result == "done" ? nil : ("failed", repair?.reason ?? "the change is not to be seen")
        default:
            let isSeen = repair?.result == "done" && evidence?.readBack == "matches"
            if isSeen || repair?.result == "planned" { return nil }
            return ("failed", repair?.reason ?? "what was read back differs from the file")
        }
    }
}

extension String {
    /// The text with every occurrence of another replaced, where no digit follows it.
    fileprivate func replacing(_ text: String, with other: String) -> String {
        var result = ""
        var rest = Substring(self)
        while let range = rest.firstRange(of: text) {
            let isWhole = range.upperBound == rest.endIndex || !rest[range.upperBound].isNumber
            result += rest[..<range.lowerBound] + (isWhole ? other : text)
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}
