import ELFImage
import Evidence
import LinuxProcess
import ResolvConf
import Resolvers
import Tracing

/// What is to be done with a process.
public enum ProcessTask: Codable, Sendable, Equatable {
    case inspect
    case refresh(RepairLimits)
    /// Says what a refresh would do, and does nothing.
    case plan(RepairLimits)
    case reset(ThreadReset)
}

/// What a worker knows that holds for more than one process. For one thread's use.
final class CommonKnowledge {
    let images = ImageCache()
    let sockets = SocketDirectory()
}

/// The way of one process: snapshot, diagnosis, repair, evidence, report. For one thread's use.
public struct ProcessWork {
    let target: TargetProcess
    /// Channels that were seen in use; nil where the whole process is to be worked on.
    let seen: [Channel]?

    private let sockets: SocketDirectory

    /// Does a task and never throws: what goes wrong stands in the report.
    static func perform(_ order: WorkOrder, knowing common: CommonKnowledge = CommonKnowledge()) -> ProcessReport {
        let id = ProcessID(order.pid)
        do {
            let deadline = MonotonicClock.nanoseconds + transitionPatience
            while true {
                let target = try TargetProcess(id, cache: common.images)
                let report = try ProcessWork(target: target, seen: order.channels, sockets: common.sockets)
                    .report(order.task)
                guard target.isInTransition else { return report }
                guard MonotonicClock.nanoseconds < deadline else { return report.overtaken }
                MonotonicClock.sleep(microseconds: transitionPause)
            }
        } catch {
            return ProcessReport(failed: id, error)
        }
    }

    /// How long one looks again and again at a process that becomes another program meanwhile, in nanoseconds.
    private static let transitionPatience: UInt64 = 250_000_000
    /// Between two looks, in microseconds.
    private static let transitionPause: UInt64 = 2000

    private func report(_ task: ProcessTask) throws(TargetError) -> ProcessReport {
        var report = ProcessReport(pid: target.id.rawValue)
        report.innerPid = target.innerID
        report.name = target.name
        report.executable = target.executable
        report.resolvConf = fileReport()
        report.namespaces = namespaceReport()

        var sessions: SessionWatch?
        if case .refresh = task { sessions = SessionWatch(target.id, sockets) }
        var awaited: [LookupSite] = []
        let resolvers = Resolver.find(in: target)
        for resolver in resolvers where seen == nil || resolver.hasChannels {
            let reports = try resolverReports(resolver, task, sessions)
            report.resolvers += reports
            // What is known to have a channel and not which thread uses it waits for a lookup.
            if case .channels(let channels) = resolver, reports.contains(where: { $0.repair?.action == "deferred" }) {
                awaited += channels.lookupSites
            }
        }
        report.awaitedLookups = awaited.isEmpty ? nil : awaited
        report.addSurroundings(of: target, isGlibc: resolvers.contains(where: \.isGlibc))
        guard target.isSame else { throw .gone(target.id) }
        report.sessions = sessions?.report()
        return report
    }

    private func resolverReports(_ resolver: Resolver, _ task: ProcessTask, _ sessions: SessionWatch?)
        throws(TargetError) -> [ResolverReport]
    {
        switch resolver {
        case .musl(let musl):
            return try threads(task).map { ResolverReport(musl, $0, in: target) }
        case .go(let go):
            return [ResolverReport(go, in: target, task)]
        case .own(let own):
            return [ResolverReport(own, task)]
        case .opaque(let library, let path, let reason):
            return [ResolverReport(opaque: library, path: path, reason)]
        case .ambiguous(let library, let path, let reason):
            var report = ResolverReport(opaque: library, path: path, reason)
            if task != .inspect { report.repair = .init(action: "refused", reason: reason.description) }
            return [report]
        case .glibc(let glibc):
            return GlibcWork(resolver: glibc, target: target, sessions: sessions).reports(try threads(task), task)
        case .channels(let channels):
            if case .reset = task { return [] }
            return ChannelWork(resolver: channels, seen: seen ?? [], sessions: sessions).reports(task)
        }
    }

    private func threads(_ task: ProcessTask) throws(TargetError) -> [ThreadID] {
        let all: [ThreadID]
        do {
            all = try target.id.threads()
        } catch {
            throw TargetError(error, process: target.id)
        }
        guard case .reset(let reset) = task, let number = reset.thread else { return all }
        guard all.contains(ThreadID(number)) else { throw .noSuchThread(target.id, ThreadID(number)) }
        return [ThreadID(number)]
    }

    private func fileReport() -> ProcessReport.FileReport {
        var report = ProcessReport.FileReport(path: TargetProcess.resolvConfPath)
        switch target.file {
        case .success(let file):
            report.nameservers = file.nameservers.map(\.description)
            report.search = file.search ?? []
            report.options = file.options
        case .failure(let error):
            report.error = error.description
        }
        return report
    }

    private func namespaceReport() -> ProcessReport.NamespaceReport? {
        guard let mount = try? target.id.namespaceName(.mount), let network = try? target.id.namespaceName(.network)
        else { return nil }
        return .init(
            mount: mount, network: network, pid: try? target.id.namespaceName(.process),
            user: try? target.id.namespaceName(.user))
    }
}

extension ProcessReport {
    /// The same of a process that became another program in the meantime: what could not be read of it could not for that reason.
    fileprivate var overtaken: ProcessReport {
        var report = self
        for index in resolvers.indices where resolvers[index].state == ResolverState.opaque.rawValue {
            report.resolvers[index].explanation = "it was becoming another program whenever it was looked at"
        }
        return report
    }

    init(failed id: ProcessID, _ error: TargetError) {
        self.init(pid: id.rawValue)
        self.error = error.description
        errorCode = error.exitStatus.rawValue
        name = try? id.name()
        if case .thirtyTwoBit = error {
            resolvers = [
                ResolverReport(
                    opaque: "unknown", path: (try? id.executable()) ?? "",
                    OpaqueReason("a 32-bit process is not supported"))
            ]
        }
    }
}

extension ResolverReport {
    /// musl has nothing in force but what the file says at the next lookup.
    init(_ musl: MuslResolver, _ thread: ThreadID, in target: TargetProcess) {
        self.init(library: "musl", path: musl.path, state: ResolverState.current.rawValue)
        self.thread = thread.rawValue
        explanation = "musl reads the file at every lookup: never stale"
        let expected = target.expected
        nameservers = expected.nameservers.map { $0.withPort(53) }
        search = expected.search
        options = .init(
            ndots: expected.options.ndots, timeout: expected.options.timeout, attempts: expected.options.attempts,
            flags: [])
        lookup = musl.lookup(of: thread, in: target).map { LookupReport($0) }
        repair = .init(action: "none")
    }

    /// What Go's resolver has in force is not read: the report says only what it does.
    init(_ go: GoResolver, in target: TargetProcess, _ task: ProcessTask) {
        let diagnosis = go.diagnose(file: (try? target.file.get()) ?? ResolvConf())
        self.init(library: "go", path: go.path, state: diagnosis.state.rawValue)
        version = go.version
        explanation = diagnosis.explanation
        reason = diagnosis.state == .opaque ? "unreadable" : nil
        guard task != .inspect else { return }
        was = state
        repair = .init(action: "none")
    }

    /// Nothing is done to what the program does itself.
    init(_ own: OwnResolver, _ task: ProcessTask) {
        self.init(library: own.name, path: own.path, state: own.diagnosis.state.rawValue)
        reason = own.diagnosis.pin?.word ?? "unreadable"
        explanation = own.diagnosis.explanation
        if !own.nameservers.isEmpty { nameservers = own.nameservers.map(\.description) }
        guard task != .inspect else { return }
        was = state
        repair = .init(action: "refused", reason: "nothing in it can be called: \(own.remedy)")
    }

    init(opaque library: String, path: String, _ reason: OpaqueReason) {
        self.init(library: library, path: path, state: ResolverState.opaque.rawValue)
        self.reason = "unreadable"
        explanation = reason.description
    }
}
