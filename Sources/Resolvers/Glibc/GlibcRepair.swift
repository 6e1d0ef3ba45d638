import ELFImage
import LinuxProcess
import ResolvConf
import Tracing

/// What was done.
public struct RepairRecord: Sendable, Equatable {
    public enum Action: Sendable, Equatable {
        case nothing
        case cleared
        case reinitialized
        /// A library's own functions gave a channel other servers.
        case reconfigured
        /// Not yet: what it waits for.
        case deferred(String)
        case refused(String)
        /// The thread has ended: there is nothing left to repair.
        case threadEnded
        /// It was begun and did not come out as it should.
        case failed(String)
    }

    public var action: Action
    /// A remark on what was done instead of more.
    public var note: String?
    /// The longest that the thread was held at a time, in microseconds.
    public var pause: Double?
    /// What the injected call did.
    public var systemCalls: [ObservedSystemCall] = []
    /// The obstacle may pass: another try is worth while.
    public var mayRetry = false
    /// The correction has been made already.
    var isCorrected = false

    public init(_ action: Action) {
        self.action = action
    }

    mutating func count(pause: Double) { self.pause = max(self.pause ?? 0, pause) }
}

extension GlibcResolver {
    /// Tries once to carry out a plan on a thread. Where the record says that a retry may help, the caller decides how long.
    ///
    /// - Parameter earlier: the record of the try before, whose work is not done again.
    public func repair(_ reading: GlibcReading, plan: GlibcRepairPlan, after earlier: RepairRecord? = nil)
        -> RepairRecord
    {
        var record = earlier ?? RepairRecord(.nothing)
        record.mayRetry = false
        record.note = nil
        switch plan {
        case .nothing:
            break
        case .refuse(let why):
            record.action = .refused(why)
        case .correct(let correction):
            correct(correction, reading, &record)
        case .reinitialize(let correction):
            reinitialize(after: correction, reading, &record)
        }
        return record
    }

    // MARK: Fields

    /// Tries once to write fields of a thread's state, with the thread held or seen to sleep.
    ///
    /// - Parameter fields: made from the state as it is at that moment.
    public func write(
        _ reading: GlibcReading, after earlier: RepairRecord? = nil, fields: (GlibcThreadState) -> [GlibcFieldWrite]
    ) -> RepairRecord {
        var record = earlier ?? RepairRecord(.nothing)
        record.mayRetry = false
        guard let pointer = reading.threadPointer else {
            record.action = .refused("its state cannot be read")
            return record
        }
        do {
            let held = try HeldThread(reading.thread, in: target.id, images: target.images)
            let result = Result { try apply(fields, pointer) }
            record.count(pause: held.release())
            try result.get()
            record.action = .cleared
        } catch let error as HoldError {
            switch error {
            case .gone:
                record.action = .threadEnded
            case .stopped, .noticeable:
                // It cannot be held unnoticed, but it does not run either.
                if (try? applyAsleep(fields, pointer, reading.thread)) == true {
                    record.action = .cleared
                } else {
                    record.postpone("a moment when it can be written to: \(error)", mayRetry: error.isPassing)
                }
            default:
                record.postpone("a moment when it can be written to: \(error)", mayRetry: error.isPassing)
            }
        } catch {
            record.action = .failed("\(error)")
        }
        return record
    }

    private func correct(_ correction: GlibcCorrection, _ reading: GlibcReading, _ record: inout RepairRecord) {
        guard !record.isCorrected else { return }
        record = write(reading, after: record, fields: correction.writes)
        record.isCorrected = record.action == .cleared
    }

    private func apply(_ fields: (GlibcThreadState) -> [GlibcFieldWrite], _ pointer: UInt64) throws {
        let memory = target.images.memory
        let state = try library.state(threadPointer: pointer, memory: memory)
        for field in fields(state) { try field.write(to: state.address, memory: memory) }
    }

    /// Writes to a thread that sleeps outside of the resolver, and sees that it slept all the while.
    private func applyAsleep(_ fields: (GlibcThreadState) -> [GlibcFieldWrite], _ pointer: UInt64, _ thread: ThreadID)
        throws -> Bool
    {
        let before = try Sleep(of: thread, in: target.id)
        guard before.isAsleep,
            try library.isLookingUp(threadPointer: pointer, memory: target.images.memory) == false
        else { return false }
        try apply(fields, pointer)
        return try Sleep(of: thread, in: target.id) == before
    }

    // MARK: The call

    /// A longer first name in the search list fails an assertion of glibc's (`resolv_conf_matches`; seen in 2.36).
    private static let searchNameLimit = 255

    private func reinitialize(after correction: GlibcCorrection, _ reading: GlibcReading, _ record: inout RepairRecord)
    {
        if let why = library.callHindrance {
            if correction != .none {
                correct(correction, reading, &record)
                guard record.action == .cleared else { return }
            }
            record.noCall(.refused(why), because: why)
            return
        }
        guard let pointer = reading.threadPointer, let wayBack = library.wayBack,
            let errnoOffset = library.errnoOffset, library.contextOffset != nil
        else {
            record.action = .refused("this libc's code is not laid out in a way that is known")
            return
        }
        guard target.canReadFile() else {
            record.action = .refused(
                "the process may not read its \(TargetProcess.resolvConfPath): its libc would ask 127.0.0.1")
            return
        }
        if let name = target.expected.search?.first(where: { $0.utf8.count > GlibcResolver.searchNameLimit }) {
            record.action = .refused(
                "a search name of \(name.utf8.count) bytes makes this libc abort the process: shorten it in the file")
            return
        }
        let sequence = CallSequence(
            [FunctionCall(library.reinitialize)], wayBack: wayBack,
            errno: pointer &+ UInt64(bitPattern: errnoOffset))
        let attempt = attempt(sequence, after: correction, reading.thread, pointer, &record)
        // Could it not be held, the gentler rung may still be had.
        if correction != .none && !record.isCorrected {
            correct(correction, reading, &record)
            guard record.action == .cleared else { return }
        }
        switch attempt {
        case .done(let outcome):
            record.systemCalls = outcome.systemCalls
            record.action = .reinitialized
            if case .leftToHeal(let why) = outcome.end {
                record.action = .failed("the call was left to finish by itself: \(why)")
            } else if let result = outcome.results.first, Int32(truncatingIfNeeded: result) != 0 {
                record.action = .failed("res_init returned \(Int32(truncatingIfNeeded: result))")
            }
        case .never(let why):
            record.noCall(.refused(why), because: why)
        case .notNow(let why):
            record.noCall(.deferred("a safe point: \(why)"), because: why)
            record.mayRetry = true
        case .gone:
            record.action = .threadEnded
        }
    }

    /// One try. The options are corrected as soon as the thread is held, so that its own reload works again whatever comes of the call.
    private func attempt(
        _ sequence: CallSequence, after correction: GlibcCorrection, _ thread: ThreadID, _ pointer: UInt64,
        _ record: inout RepairRecord
    ) -> CallAttempt.Result {
        var isCorrected = record.isCorrected
        var pauses: [Double] = []
        let result = CallAttempt(
            target: target, thread: thread, eventLoop: .anything, systemCalls: CallConditions.reinitializing
        ).perform(
            sequence,
            whenFirstHeld: {
                guard correction != .none && !isCorrected else { return }
                try apply(correction.writes, pointer)
                isCorrected = true
            },
            hindrance: { _ in
                let isLookingUp = try library.isLookingUp(threadPointer: pointer, memory: target.images.memory)
                return isLookingUp == false ? nil : "a lookup is under way in it"
            },
            beforeRunning: { try? apply(fileOptions, pointer) }, onPause: { pauses.append($0) })
        record.isCorrected = isCorrected
        for pause in pauses { record.count(pause: pause) }
        return result
    }

    /// The options of the file. `__res_init` keeps those it finds, as if the application had set them; a call that comes without them
    /// being written leaves the thread with its old ones until its next lookup.
    private func fileOptions(_ state: GlibcThreadState) -> [GlibcFieldWrite] {
        let options = target.expected.options
        let bits = GlibcOptionBits.ordinary.union(GlibcOptionBits(options.flags)).intersection(library.knownBits)
        return [.options(bits), .timeout(options.timeout), .attempts(options.attempts), .ndots(options.ndots)]
    }
}

extension RepairRecord {
    /// No call could be made. Where bits were cleared the thread reloads by itself at its next lookup all the same.
    mutating func noCall(_ action: Action, because why: String) {
        guard isCorrected else {
            self.action = action
            return
        }
        self.action = .cleared
        note = "not re-initialised at once: \(why)"
    }

    mutating func postpone(_ what: String, mayRetry: Bool) {
        action = mayRetry ? .deferred(what) : .refused(what)
        self.mayRetry = mayRetry
    }
}

/// That a thread does not run, and where it sleeps: equal twice, it did not run in between.
private struct Sleep: Equatable {
    let state: ProcessStat.State
    let call: BlockedSystemCall?
    let switches: UInt64

    init(of thread: ThreadID, in process: ProcessID) throws(SystemError) {
        let status = try ProcessStatus(of: thread, in: process)
        state = try ProcessStat(of: thread, in: process).state
        call = try BlockedSystemCall(of: thread, in: process)
        switches = status.voluntarySwitches + status.involuntarySwitches
    }

    var isAsleep: Bool { state == .stopped || call != nil }
}
