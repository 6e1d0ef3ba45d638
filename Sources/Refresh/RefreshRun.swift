import Evidence
import LinuxProcess
import Resolvers
import Tracing

/// A task on many processes, from the first look to the last report.
///
/// What can be done at once is done first. A channel of a resolver library can be changed only on the thread that uses it: for
/// those that want it, lookups are watched until each was seen or the time is up, and the work goes on where one was.
public struct RefreshRun {
    private let pool: WorkerPool
    private let task: ProcessTask

    public init(_ task: ProcessTask, pool: WorkerPool) {
        self.task = task
        self.pool = pool
    }

    /// What a run says of its progress.
    public enum Progress: Sendable {
        case done(Int, of: Int)
        /// So many processes wait for their next lookup.
        case waiting(Int)
    }

    /// - Returns: the reports, in the order of `ids`.
    public func perform(on ids: [ProcessID], onProgress: (Progress) -> Void = { _ in }) throws(SystemError)
        -> [ProcessReport]
    {
        var reports = try pool.perform(task, on: ids) { onProgress(.done($0, of: ids.count)) }
        if case .refresh(let limits) = task {
            var waiting = WaitingChannels(reports)
            if !waiting.isEmpty { try waiting.settle(&reports, limits: limits, pool: pool, onProgress: onProgress) }
        }
        for index in reports.indices { reports[index].awaitedLookups = nil }
        return reports
    }
}

/// Processes with channels of which it is not known yet which thread uses them.
private struct WaitingChannels {
    /// Places among the reports, by process.
    private var places: [Int32: Int] = [:]
    /// What is to be watched: one probe on a file serves every process that maps it.
    private var sites: [EntryPoint: LookupSite] = [:]
    private var channels: [Int32: [Channel]] = [:]

    /// One try on a process takes at most so long, in seconds, so that none keeps the others waiting.
    private static let share = 0.3
    /// Between two looks at what is pending, in milliseconds.
    private static let interval = 50

    init(_ reports: [ProcessReport]) {
        var known: Set<String> = []
        for (place, report) in reports.enumerated() {
            guard let awaited = report.awaitedLookups else { continue }
            places[report.pid] = place
            // A process that has ended since leads to no file any more; another one that maps it does.
            for site in awaited where (try? readLink(site.path)) != nil {
                guard known.insert("\(site.file):\(site.offset)").inserted else { continue }
                sites[EntryPoint(path: site.path, offset: site.offset)] = site
            }
        }
    }

    var isEmpty: Bool { places.isEmpty }

    mutating func settle(
        _ reports: inout [ProcessReport], limits: RepairLimits, pool: WorkerPool,
        onProgress: (RefreshRun.Progress) -> Void
    ) throws(SystemError) {
        guard !sites.isEmpty else { return }
        let watch: EntryWatch
        do throws(SystemError) {
            let threads = places.keys.flatMap { (try? ProcessID($0).threads()) ?? [] }
            watch = try EntryWatch(Set(sites.keys), of: threads)
        } catch {
            for place in places.values { reports[place].explainUnwatched(error) }
            return
        }
        defer { watch.leave(to: pool.program) }
        for (point, error) in watch.failures {
            for place in places.values
            where reports[place].awaitedLookups?.contains(where: { $0.file == sites[point]?.file }) == true {
                reports[place].explainUnwatched(error)
            }
        }
        let deadline = MonotonicClock.nanoseconds + UInt64(limits.wait * 1e9)
        while !places.isEmpty {
            onProgress(.waiting(places.count))
            let now = MonotonicClock.nanoseconds
            guard now < deadline else { return }
            let left = Double(deadline - now) / 1e9
            for hit in watch.wait(milliseconds: min(Self.interval, Int(left * 1000) + 1)) { note(hit) }

            let ready = places.keys.filter { channels[$0] != nil }.sorted()
            guard !ready.isEmpty else { continue }
            var share = limits
            share.wait = min(Self.share, left)
            let orders = ready.map { WorkOrder(pid: $0, task: .refresh(share), channels: channels[$0]) }
            for report in try pool.perform(orders) {
                guard let place = places[report.pid] else { continue }
                reports[place].take(channelsOf: report)
                markDone(reports[place])
                if report.awaitedLookups == nil { places[report.pid] = nil }
            }
        }
    }

    private mutating func note(_ hit: EntryHit) {
        guard places[hit.process.rawValue] != nil, let library = sites[hit.point]?.library,
            let address = hit.arguments.first,
            address != 0
        else { return }
        var known = channels[hit.process.rawValue] ?? []
        var threads = [hit.thread.rawValue]
        var isDone = false
        if let index = known.firstIndex(where: { $0.library == library && $0.address == address }) {
            let same = known.remove(at: index)
            threads += same.threads.filter { $0 != hit.thread.rawValue }
            isDone = same.isDone
        }
        var channel = Channel(library: library, address: address, threads: threads)
        channel.isDone = isDone
        known.append(channel)
        channels[hit.process.rawValue] = known
    }

    /// A second repair of what has been repaired would tell nothing new, and by force there would be no end of them.
    private mutating func markDone(_ report: ProcessReport) {
        let done = Set(report.resolvers.filter(\.isDoneChannel).map { "\($0.library) \($0.channel ?? "")" })
        channels[report.pid] = channels[report.pid]?.map { channel in
            var channel = channel
            channel.isDone = done.contains("\(channel.library) \(channel.name)")
            return channel
        }
    }
}

extension ProcessReport {
    /// Takes what a later try on the channels alone found, and leaves the rest as it is.
    fileprivate mutating func take(channelsOf later: ProcessReport) {
        guard later.error == nil else {
            error = later.error
            errorCode = later.errorCode
            return
        }
        let libraries = Set(later.resolvers.map(\.library))
        // What was done in an earlier try is not undone by there being nothing left to do.
        let done = resolvers.filter(\.isDoneChannel)
        resolvers.removeAll { libraries.contains($0.library) }
        resolvers += later.resolvers.map { report in
            guard report.repair?.action == "none" else { return report }
            return done.first { $0.library == report.library && $0.channel == report.channel } ?? report
        }
        awaitedLookups = later.awaitedLookups
        if let first = sessions, let second = later.sessions {
            sessions = .init(before: first.before, after: second.after, lost: first.lost + second.lost)
        }
    }

    private static let unwatched = ", which cannot be watched: "

    fileprivate mutating func explainUnwatched(_ error: SystemError) {
        for index in resolvers.indices where resolvers[index].repair?.action == "deferred" {
            let reason = resolvers[index].repair?.reason ?? ""
            guard !reason.contains(ProcessReport.unwatched) else { continue }
            let need = error.isDenied ? " (it takes CAP_PERFMON)" : ""
            resolvers[index].repair?.reason = "\(reason)\(ProcessReport.unwatched)\(error)\(need)"
        }
    }
}

extension ResolverReport {
    fileprivate var isDoneChannel: Bool {
        channel != nil && repair?.action == "reconfigure" && repair?.result == "done"
    }
}
