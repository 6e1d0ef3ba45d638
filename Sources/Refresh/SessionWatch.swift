import Evidence
import LinuxProcess
import Resolvers

/// The established sessions of a process before and after the work on it, and those lost by it. For one thread's use.
///
/// A process ends sessions of its own accord, too, and a repair may wait for seconds: a session counts as lost only if it went while
/// something was done, not while its moment was waited for.
final class SessionWatch {
    private let process: ProcessID
    private let directory: SocketDirectory
    private let first: SessionCensus
    /// Before the last round of tries.
    private var recent: SessionCensus
    private var lost: Set<UInt64> = []

    /// nil where they cannot be counted.
    init?(_ process: ProcessID, _ directory: SocketDirectory) {
        guard let census = try? SessionCensus(of: process, directory: directory) else { return nil }
        self.process = process
        self.directory = directory
        first = census
        recent = census
    }

    /// A round of tries begins.
    func beginRound() {
        if let census = try? SessionCensus(of: process, directory: directory) { recent = census }
    }

    /// A round of tries is over.
    ///
    /// - Parameter records: of those that were tried in it.
    func endRound(_ records: some Sequence<RepairRecord>) {
        guard records.contains(where: { $0.hasTouched }) else { return }
        if let census = try? SessionCensus(of: process, directory: directory) {
            lost.formUnion(recent.lost(since: census))
            recent = census
        }
    }

    /// nil where the process has ended.
    func report() -> ProcessReport.SessionReport? {
        guard let last = try? SessionCensus(of: process, directory: directory) else { return nil }
        return .init(before: first.sockets.count, after: last.sockets.count, lost: lost.count)
    }
}

extension RepairRecord {
    /// Something was written in the process, or called.
    fileprivate var hasTouched: Bool {
        switch action {
        case .cleared, .reinitialized, .reconfigured, .failed: true
        case .nothing, .deferred, .refused, .threadEnded: pause != nil
        }
    }
}
