import Evidence
import LinuxProcess
import ResolvConf
import Resolvers
import Tracing

/// The way of one thread that resolves with glibc.
struct GlibcWork {
    let resolver: GlibcResolver
    let target: TargetProcess
    let sessions: SessionWatch?

    /// The reports of some threads, in their order. One that has ended meanwhile is left out.
    func reports(_ threads: [ThreadID], _ task: ProcessTask) -> [ResolverReport] {
        let readings = threads.compactMap { try? resolver.read($0) }
        switch task {
        case .inspect:
            return readings.map { ResolverReport($0, resolver.library) }
        case .plan(let limits):
            return readings.map { reading in
                var report = ResolverReport(reading, resolver.library)
                report.repair = planned(resolver.plan(reading, limits: limits))
                return report
            }
        case .refresh(let limits):
            let plans = readings.map { resolver.plan($0, limits: limits) }
            let records = RepeatedTries.run(readings.count, wait: limits.wait, sessions: sessions) { index, earlier in
                resolver.repair(readings[index], plan: plans[index], after: earlier)
            }
            let settled = zip(readings, records).map { resolver.startAfresh($0, after: $1) }
            return zip(readings, settled).filter { $1.action != .threadEnded }.map(refreshed)
        case .reset(let reset):
            let records = RepeatedTries.run(readings.count, wait: RepairLimits().wait, sessions: nil) {
                index, earlier in
                guard readings[index].state?.isInitialized == true else {
                    return RepairRecord(.refused("the thread has no resolver state yet: nothing to change"))
                }
                return resolver.write(readings[index], after: earlier) { reset.writes(for: $0.options) }
            }
            return zip(readings, records).filter { $1.action != .threadEnded }.map { self.reset($0, $1, reset) }
        }
    }

    private func planned(_ plan: GlibcRepairPlan) -> ResolverReport.RepairReport {
        switch plan {
        case .nothing: .init(action: "none")
        case .correct(let correction): .init(action: "clear", result: "planned", note: correction.description)
        case .reinitialize(let correction):
            .init(action: "reinitialize", result: "planned", note: correction.description)
        case .refuse(let why): .init(action: "refused", reason: why)
        }
    }

    private func refreshed(_ reading: GlibcReading, _ record: RepairRecord) -> ResolverReport {
        if case .nothing = record.action {
            var report = ResolverReport(reading, resolver.library)
            report.was = report.state
            report.repair = .init(action: "none")
            return report
        }
        // A call left to itself ends within moments; what is read then is what counts.
        if case .failed = record.action { MonotonicClock.sleep(microseconds: 20_000) }
        let after = (try? resolver.read(reading.thread)) ?? reading
        return ResolverReport(after, resolver.library, was: reading, record: record)
    }

    private func reset(_ reading: GlibcReading, _ record: RepairRecord, _ reset: ThreadReset) -> ResolverReport {
        let after = (try? resolver.read(reading.thread)) ?? reading
        var report = ResolverReport(after, resolver.library, was: reading, record: record)
        guard case .cleared = record.action else { return report }
        let isSeen = after.configuration.map { reset.isSeen(in: $0, options: after.state?.options ?? []) } ?? false
        report.repair?.action = "reset"
        report.repair?.result = isSeen ? "done" : "failed"
        report.evidence = .init(readBack: isSeen ? "matches" : "differs")
        return report
    }
}

extension ResolverReport {
    init(_ reading: GlibcReading, _ library: GlibcLibrary) {
        self.init(library: "glibc", path: library.path, state: reading.diagnosis.state.rawValue)
        version = library.version
        thread = reading.thread.rawValue
        reason = reading.diagnosis.pin?.word ?? (reading.diagnosis.state == .opaque ? "unreadable" : nil)
        explanation = reading.diagnosis.explanation
        if let configuration = reading.configuration {
            nameservers = configuration.nameservers.map(\.description)
            search = configuration.search
            let flags = configuration.options.flags.map(\.rawValue).sorted() + configuration.otherFlags
            options = .init(
                ndots: configuration.options.ndots, timeout: configuration.options.timeout,
                attempts: configuration.options.attempts, flags: flags)
        }
        if let single = reading.singleRequest {
            singleRequest = .init(
                options: single.inOptions.map(\.rawValue).sorted(),
                privateFlags: single.inPrivateFlags.map(\.rawValue).sorted(), askedFor: single.isAskedFor)
        }
        lookup = reading.lookup.map { LookupReport($0) }
        if lookup == nil && reading.isLookingUp { lookup = .init() }
        heldMicroseconds = reading.pause.map { $0.rounded() }
    }

    /// After a repair.
    init(
        _ reading: GlibcReading, _ library: GlibcLibrary, was before: GlibcReading, record: RepairRecord
    ) {
        self.init(reading, library)
        was = before.diagnosis.state.rawValue
        repair = RepairReport(record, attempted: "reinitialize")
        if reading.state != nil, record.action == .reinitialized || record.action == .cleared {
            // One that has to start from the file has nothing else in force any more.
            let isHealed = [.current, .following, .idle].contains(reading.diagnosis.state)
            let file =
                record.action == .reinitialized
                ? FileEvidence(of: TargetProcess.resolvConfPath, in: record.systemCalls).rawValue : nil
            let matches = record.action == .reinitialized ? reading.diagnosis.state == .current : isHealed
            evidence = .init(file: file, readBack: matches ? "matches" : "differs")
            if !isHealed { self.repair?.result = "failed" }
        }
    }
}

extension ResolverReport.RepairReport {
    /// - Parameter attempted: the action that counts as failed where one has.
    init(_ record: RepairRecord, attempted: String) {
        self.init(action: "none")
        switch record.action {
        case .nothing, .threadEnded: break
        case .cleared:
            action = "clear"
            result = "done"
        case .reinitialized:
            action = "reinitialize"
            result = "done"
        case .reconfigured:
            action = "reconfigure"
            result = "done"
        case .deferred(let what):
            action = "deferred"
            reason = "waits for \(what)"
        case .refused(let why):
            action = "refused"
            reason = why
        case .failed(let why):
            action = attempted
            result = "failed"
            reason = why
        }
        note = record.note
        pauseMicroseconds = record.pause.map { ($0 * 10).rounded() / 10 }
    }
}

extension ResolverReport.LookupReport {
    init(_ lookup: Lookup) {
        call = lookup.call
        name = lookup.name
        type = lookup.recordType
        server = lookup.server?.description
        transport = lookup.transport
        forSeconds = lookup.seconds.map { ($0 * 10).rounded() / 10 }
        let peers = lookup.sockets.sorted { $0.key < $1.key }.map { "\($0.key) -> \($0.value)" }
        sockets = peers.isEmpty ? nil : peers
    }
}
