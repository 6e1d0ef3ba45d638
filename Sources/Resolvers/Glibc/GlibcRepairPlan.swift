import LinuxProcess
import ResolvConf

/// How far a refresh may go.
public struct RepairLimits: Sendable, Equatable, Codable {
    /// Code may be run in the process.
    public var mayCall = true
    /// What is `current` or `following` is initialised anew as well, and options that the application changed are dropped.
    public var isForced = false
    /// Seconds to wait for a safe point.
    public var wait = 2.0

    public init() {}
}

/// What is to be done about a thread.
public enum GlibcRepairPlan: Sendable, Equatable {
    case nothing
    /// Only fields of the state are to be written.
    case correct(GlibcCorrection)
    /// `__res_init` is to be called, after the correction.
    case reinitialize(after: GlibcCorrection)
    case refuse(String)
}

extension GlibcResolver {
    /// What a refresh should do about a reading.
    public func plan(_ reading: GlibcReading, limits: RepairLimits) -> GlibcRepairPlan {
        func reinitializing(after correction: GlibcCorrection) -> GlibcRepairPlan {
            guard limits.mayCall else { return correction == .none ? .nothing : .correct(correction) }
            return .reinitialize(after: correction)
        }
        switch reading.diagnosis.state {
        case .idle, .opaque:
            return .nothing
        case .current, .following:
            return limits.isForced ? reinitializing(after: .none) : .nothing
        case .pinned:
            break
        }
        guard let state = reading.state, let pin = reading.diagnosis.pin else { return .nothing }
        if case .failure(let error) = target.file {
            return .refuse(
                "its \(TargetProcess.resolvConfPath) cannot be read (\(error)): its libc would ask 127.0.0.1")
        }
        let asked = GlibcOptionBits(target.expected.options.flags)
        let unasked = state.options.intersection(.lostReply).subtracting(asked)
        switch pin {
        case .lostReply:
            return reinitializing(after: .clear(unasked))
        case .noReload:
            return reinitializing(after: .clear(unasked.union(.noReload)))
        case .ownOptions:
            guard limits.isForced else {
                return .refuse("the application changed its options itself; --force puts back those of the file")
            }
            return reinitializing(after: unasked.isEmpty ? .none : .clear(unasked))
        case .ownServers:
            return .refuse("its servers are the application's own, which repoint never overwrites")
        case .channel, .ownResolver:
            return .nothing
        case .oldLibc:
            return .refuse("glibc before 2.26 has its own rules, which this release does not know yet: restart it")
        }
    }
}
