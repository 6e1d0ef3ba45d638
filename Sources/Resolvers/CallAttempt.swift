import ELFImage
import LinuxProcess
import Tracing

/// One try at calling functions in a thread of a process, at a safe point or not at all.
///
/// The thread is held for its registers, judged by a snapshot while it runs, and held once more: only where nothing has moved are
/// the functions called.
struct CallAttempt {
    let target: TargetProcess
    let thread: ThreadID
    /// What may be on the thread's stack.
    let eventLoop: SafePoint.EventLoopRule
    /// The system calls that the functions make.
    let systemCalls: [SeccompFilter.Call]
    /// Functions that must not be on the thread's stack, besides what is never safe.
    var isForbidden: (StackFrame) -> Bool = { _ in false }
    /// All other threads of the process must sleep: nothing else keeps them out of what is to be changed.
    var wantsOthersAsleep = false

    enum Result {
        case done(CallOutcome)
        /// A later try may succeed.
        case notNow(String)
        case never(String)
        /// The thread has ended.
        case gone
    }

    /// - Parameters:
    ///   - whenFirstHeld: what is to be done in any case, as soon as the thread is held for the first time.
    ///   - hindrance: asked when the thread is held for the call: why it must not be made now, or nil. It is told the system call
    ///     that the thread sleeps in. A ``CallRefusal`` says that it never can be.
    ///   - beforeRunning: run when the thread is committed to the calls and has not begun them yet.
    ///   - afterRunning: run when all functions have returned, before the thread is let go.
    ///   - onPause: told each time how long the thread was held, in microseconds.
    func perform(
        _ sequence: CallSequence, whenFirstHeld: () throws -> Void = {},
        hindrance: (_ interrupted: Int) throws -> String?,
        beforeRunning: () -> Void = {}, afterRunning: () -> Void = {}, onPause: (Double) -> Void
    ) -> Result {
        do {
            Native.prepare()
            let status = try ProcessStatus(of: thread, in: target.id)
            if let hindrance = CallConditions.hindrance(status) { return .never(hindrance) }
            let rehearsal = try HeldThread(thread, in: target.id, images: target.images)
            let registers = rehearsal.registers
            let threadPointer = rehearsal.threadPointer()
            let findings = CallConditions.Findings(of: rehearsal, status)
            let first = Swift.Result { try whenFirstHeld() }
            onPause(rehearsal.release())
            try first.get()
            if let hindrance = findings.hindrance(to: systemCalls) { return .never(hindrance) }
            guard let threadPointer else { return .never("its thread pointer cannot be read") }

            let snapshot = try StackSnapshot(registers, catalog: target.images)
            let stack = target.unwinder.walk(snapshot)
            let interrupted: Int
            switch SafePoint.judge(
                snapshot, stack: stack, thread: thread, in: target.id, stackStart: target.stackStart,
                threadPointer: threadPointer, images: target.images, eventLoop: eventLoop)
            {
            case .safe(let systemCall): interrupted = systemCall
            case .unsafe(let why): return .notNow(why)
            case .never(let why): return .never(why)
            }

            if stack.frames.contains(where: isForbidden) { return .notNow("it is in the library that is to be called") }
            if wantsOthersAsleep, let other = try awakeThread() {
                return .notNow("thread \(other) runs, and may be about to use the same")
            }

            let held = try HeldThread(thread, in: target.id, images: target.images)
            guard snapshot.isStill(held, stack: stack, memory: target.images.memory) else {
                onPause(held.release())
                return .notNow("it moved on while it was judged")
            }
            if let why = try hindrance(interrupted) {
                onPause(held.release())
                return .notNow(why)
            }
            let outcome = try held.call(
                loopAware(sequence, stack), interrupting: interrupted, beforeRunning: beforeRunning,
                afterRunning: afterRunning)
            onPause(outcome.pause)
            return .done(outcome)
        } catch let error as HoldError {
            if error == .gone { return .gone }
            return error.isPassing ? .notNow(error.description) : .never(error.description)
        } catch let refusal as CallRefusal {
            return .never(refusal.description)
        } catch {
            return .notNow("\(error)")
        }
    }

    /// Another thread of the process that is not asleep in a system call.
    private func awakeThread() throws -> ThreadID? {
        try target.id.threads().first { other in
            guard other != thread else { return false }
            // One that has ended meanwhile uses nothing.
            guard let state = try? ProcessStat(of: other, in: target.id).state else { return false }
            return state == .running || state == .uninterruptible
        }
    }

    /// Only an event loop takes the early end of a wait for nothing special.
    private func loopAware(_ sequence: CallSequence, _ stack: CallStack) -> CallSequence {
        let isInLoop = stack.frames.contains { target.images.isLibrary(.libevent, at: $0.programCounter) }
        return CallSequence(
            sequence.calls, wayBack: sequence.wayBack, errno: sequence.errno, endsWait: sequence.endsWait && isInLoop)
    }
}
