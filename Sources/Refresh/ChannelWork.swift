import ELFImage
import Evidence
import LinuxProcess
import ResolvConf
import Resolvers
import Tracing

/// The way of the channels of one library in a process.
struct ChannelWork {
    let resolver: ChannelResolver
    /// Channels that were seen in use.
    let seen: [Channel]
    let sessions: SessionWatch?

    /// - Returns: a report for each channel, or one for the library where it has none.
    func reports(_ task: ProcessTask) -> [ResolverReport] {
        let found = resolver.search()
        let seen = seen.filter { $0.library == resolver.name && !hasEnded($0) }
        let unseen = (found ?? []).filter { address in !seen.contains { $0.address == address } }
        let channels = seen + unseen.map { Channel(library: resolver.name, address: $0, threads: []) }
        guard channels.isEmpty else { return channels.compactMap { report($0, task) } }
        return [found == nil || !resolver.library.isTried ? unknown(task, found) : idle()]
    }

    /// What was seen in use may have been ended since, as by programs that make one for each lookup.
    private func hasEnded(_ channel: Channel) -> Bool {
        resolver.library.isTried && resolver.read(channel).reading == nil
    }

    private func blank(_ diagnosis: Diagnosis) -> ResolverReport {
        var report = ResolverReport(
            library: resolver.name, path: resolver.library.module.path, state: diagnosis.state.rawValue)
        report.version = resolver.library.version
        report.reason = diagnosis.pin?.word ?? (diagnosis.state == .opaque ? "unreadable" : nil)
        report.explanation = diagnosis.explanation
        return report
    }

    private func idle() -> ResolverReport {
        var report = blank(Diagnosis(.idle, "no \(resolver.noun) of \(resolver.name) is in the process's memory"))
        report.repair = .init(action: "none")
        return report
    }

    /// Whether there are channels is not known before one is used.
    private func unknown(_ task: ProcessTask, _ found: [UInt64]?) -> ResolverReport {
        let why =
            resolver.library.unreadable?.description
            ?? (found != nil
                ? "no \(resolver.noun) was found, but how \(resolver.releaseName) lays them out was never tried"
                : nil)
            ?? "the process has too much memory to look for a \(resolver.noun) of \(resolver.name) in it"
        var report = blank(Diagnosis(.opaque, why))
        if case .refresh = task {
            report.was = report.state
            report.repair = .init(action: "deferred", reason: "waits for a lookup that tells its \(resolver.noun)")
        }
        return report
    }

    private func report(_ channel: Channel, _ task: ProcessTask) -> ResolverReport? {
        let (reading, diagnosis) = resolver.read(channel)
        var report = report(channel, reading, diagnosis)
        switch task {
        case .inspect, .reset:
            return report
        case .plan(let limits):
            switch resolver.plan(diagnosis, reading, limits: limits) {
            case .nothing: report.repair = .init(action: "none")
            case .refuse(let why): report.repair = .init(action: "refused", reason: why)
            case .reconfigure:
                report.repair = .init(
                    action: "reconfigure", result: "planned",
                    note: "on the thread that uses it, which its next lookup tells")
            }
            return report
        case .refresh(let limits):
            let plan = channel.isDone ? .nothing : resolver.plan(diagnosis, reading, limits: limits)
            guard case .reconfigure = plan else {
                report.was = report.state
                report.repair = .init(action: "none")
                if case .refuse(let why) = plan { report.repair = .init(action: "refused", reason: why) }
                return report
            }
            let record = RepeatedTries.run(1, wait: limits.wait, sessions: sessions) {
                resolver.repair(channel, after: $1)
            }[0]
            guard record.action != .threadEnded else { return nil }
            return repaired(channel, before: diagnosis, record)
        }
    }

    private func report(_ channel: Channel, _ reading: ChannelReading?, _ diagnosis: Diagnosis) -> ResolverReport {
        var report = blank(diagnosis)
        report.thread = channel.threads.first
        report.channel = channel.name
        guard let configuration = reading?.configuration else { return report }
        report.nameservers = configuration.nameservers.map(\.description)
        report.search = configuration.search
        report.options = .init(
            ndots: configuration.options.ndots, timeout: configuration.options.timeout,
            attempts: configuration.options.attempts,
            flags: configuration.options.flags.map(\.rawValue).sorted() + configuration.otherFlags)
        report.pendingQueries = reading?.pendingQueries
        return report
    }

    private func repaired(_ channel: Channel, before: Diagnosis, _ record: RepairRecord) -> ResolverReport {
        let (reading, diagnosis) = resolver.read(channel)
        var report = report(channel, reading, diagnosis)
        report.was = before.state.rawValue
        report.repair = .init(record, attempted: "reconfigure")
        if record.action == .reconfigured {
            report.evidence = .init(
                file: type(of: resolver.library).readsFile
                    ? FileEvidence(of: TargetProcess.resolvConfPath, in: record.systemCalls).rawValue : nil,
                readBack: reading == nil ? nil : diagnosis.state == .current ? "matches" : "differs")
            if diagnosis.state == .pinned { report.repair?.result = "failed" }
        }
        return report
    }
}
