import LinuxProcess
import Resolvers

/// Which processes a command is to work on.
public struct TargetSelection: Sendable {
    /// Processes, in ascending order.
    public let ids: [ProcessID]
    /// Words that named nothing.
    public let errors: [TargetError]

    /// - Parameters:
    ///   - words: PIDs and command names.
    ///   - all: every process that can have a resolver, except ourselves and process 1.
    public init(words: [String], all: Bool) throws(SystemError) {
        var chosen: Set<ProcessID> = []
        var errors: [TargetError] = []
        let everybody = try all || words.contains { Int32($0) == nil } ? ProcessID.all() : []
        if all { chosen.formUnion(everybody.filter(TargetSelection.isCandidate)) }
        for word in words {
            if let id = Int32(word) {
                chosen.insert(ProcessID(id))
                continue
            }
            let named = everybody.filter { (try? $0.name()) == word && TargetSelection.isCandidate($0) }
            if named.isEmpty { errors.append(.noSuchName(word)) }
            chosen.formUnion(named)
        }
        ids = chosen.sorted { $0.rawValue < $1.rawValue }
        self.errors = errors
    }

    private static func isCandidate(_ id: ProcessID) -> Bool {
        guard id != .own, id.rawValue != 1, let stat = try? ProcessStat(of: id) else { return false }
        return !stat.isKernelThread && stat.state != .zombie && stat.state != .dead && !stat.isExiting
            && stat.parent != .own
    }
}
