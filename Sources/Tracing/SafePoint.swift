import ELFImage
import Glibc
import LinuxProcess

/// Whether a function of libc may be called in a thread where it now stands.
///
/// Judged from a snapshot, by what is known to be harmless: anything else is no safe point.
public enum SafePoint: Sendable, Equatable {
    /// It is. The payload is the number of the system call that the thread sleeps in, which it makes anew if nobody brings it
    /// back from the call.
    case safe(systemCall: Int)
    /// Not now; a later moment may be.
    case unsafe(String)
    /// Never in this thread, and why.
    case never(String)

    /// Room a call needs below the stack pointer: the signal frame with its vector registers, and what libc's reading of
    /// resolv.conf took at the most in any release (8 KiB of buffer), with plenty to spare.
    public static let stackRoom: UInt64 = 64 << 10

    /// What libevent, which holds a resolver besides its event loop, may be doing on the stack.
    public enum EventLoopRule: Sendable {
        /// Its functions count as those of any program.
        case anything
        /// Nothing but wait for events, in one loop.
        case onlyWaiting
    }

    /// Judges a thread by its registers and stack.
    public static func judge(
        _ snapshot: StackSnapshot, stack: CallStack, thread: ThreadID, in process: ProcessID, stackStart: UInt64,
        threadPointer: UInt64, images: ImageCatalog, eventLoop: EventLoopRule = .anything
    ) -> SafePoint {
        guard let call = snapshot.registers.systemCall, HarmlessWaits.systemCalls.contains(call) else {
            return .unsafe("it is not waiting in a system call")
        }
        if let refusal = judgeStackOwner(
            snapshot.registers.stackPointer, thread: thread, in: process, stackStart: stackStart,
            threadPointer: threadPointer, images: images)
        {
            return refusal
        }
        guard stack.end == .threadStart else {
            return .unsafe("its call stack cannot be followed to the thread's start")
        }
        if stack.frames.contains(where: \.isSignalFrame) { return .unsafe("it is inside a signal handler") }
        return StackJudge(
            stack: stack, call: call, code: snapshot.registers.programCounter, images: images, eventLoop: eventLoop
        ).verdict
    }

    /// The stack must be the one the kernel or libc gave the thread, with room on it.
    private static func judgeStackOwner(
        _ stackPointer: UInt64, thread: ThreadID, in process: ProcessID, stackStart: UInt64, threadPointer: UInt64,
        images: ImageCatalog
    ) -> SafePoint? {
        // Threads start after the catalogue was made, too.
        guard
            let region = images.map.region(containing: stackPointer)
                ?? (try? MemoryMap(of: process))?.region(containing: stackPointer)
        else { return .unsafe("its stack pointer is in no mapping") }
        let room: UInt64
        if thread == process.leader && region.range.contains(stackStart) {
            // The main stack grows on demand up to its limit.
            let limit = mainStackLimit(of: process)
            room = limit - min(stackStart &- stackPointer, limit)
        } else if let stack = ThreadStack.find(threadPointer: threadPointer, memory: images.memory),
            stack.contains(stackPointer), region.range.contains(threadPointer)
        {
            room = stackPointer - stack.lowerBound
        } else {
            return .unsafe(
                "it runs on a stack that is not the thread's own (a coroutine, or an alternate signal stack)")
        }
        guard room >= stackRoom else {
            return .never("its stack has only \(room >> 10) KiB left, and a call wants \(stackRoom >> 10)")
        }
        guard
            thread == process.leader || ThreadStack.isAccessible(stackPointer - stackRoom..<stackPointer, images.memory)
        else { return .never("a guard page lies less than \(stackRoom >> 10) KiB below its stack pointer") }
        return nil
    }

    private static func mainStackLimit(of process: ProcessID) -> UInt64 {
        guard let text = try? readText("/proc/\(process)/limits") else { return 0 }
        for line in text.split(separator: "\n") where line.hasPrefix("Max stack size") {
            guard let soft = line.dropFirst("Max stack size".count).split(separator: " ").first else { return 0 }
            return UInt64(soft) ?? UInt64.max
        }
        return 0
    }
}

/// Waits in which a thread holds no lock of libc's.
enum HarmlessWaits {
    /// System calls that a thread may be found in.
    static let systemCalls: Set<Int> = {
        let numbers = Native.systemCalls
        let optional = [numbers.poll, numbers.select, numbers.epollWait, numbers.pause].compactMap { $0 }
        return Set(
            optional + [
                numbers.restartSyscall, numbers.ppoll, numbers.pselect6, numbers.epollPwait, numbers.epollPwait2,
                numbers.nanosleep,
                numbers.clockNanosleep, numbers.futex, numbers.read, numbers.readv, numbers.accept, numbers.accept4,
                numbers.connect, numbers.recvfrom, numbers.recvmsg, numbers.recvmmsg, numbers.sendto, numbers.sendmsg,
                numbers.write, numbers.wait4, numbers.waitid, numbers.rtSigsuspend, numbers.rtSigtimedwait,
                numbers.semop, numbers.semtimedop, numbers.msgrcv, numbers.msgsnd,
            ])
    }()

    /// Waits that no memory allocator makes, in whatever code it is.
    static let eventWaits: Set<Int> = {
        let numbers = Native.systemCalls
        let optional = [numbers.poll, numbers.select, numbers.epollWait].compactMap { $0 }
        return Set(
            optional + [
                numbers.ppoll, numbers.pselect6, numbers.epollPwait, numbers.epollPwait2, numbers.accept,
                numbers.accept4, numbers.recvfrom, numbers.recvmsg,
            ])
    }()

    /// Functions of libc that wait and hold nothing of libc's while they do, as exported in some release.
    static let functions: Set<String> = [
        "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "__poll", "__poll_chk", "ppoll", "__ppoll_chk", "select",
        "__select", "pselect", "nanosleep", "__nanosleep", "clock_nanosleep", "__clock_nanosleep", "sleep", "usleep",
        "pthread_cond_wait", "pthread_cond_timedwait", "pthread_cond_clockwait", "cnd_wait", "cnd_timedwait",
        "sem_wait", "sem_timedwait", "sem_clockwait", "pthread_join", "pthread_timedjoin_np", "pthread_clockjoin_np",
        "thrd_join", "thrd_sleep", "pthread_barrier_wait", "pthread_mutex_lock", "__pthread_mutex_lock",
        "pthread_rwlock_rdlock", "pthread_rwlock_wrlock", "pthread_mutex_timedlock", "read", "__read", "__read_chk",
        "readv", "recv", "__recv", "__recv_chk", "recvfrom", "__recvfrom_chk", "recvmsg", "__recvmsg", "recvmmsg",
        "accept", "accept4", "connect", "__connect", "send", "__send", "sendto", "sendmsg", "__sendmsg", "write",
        "__write", "wait", "__wait", "waitpid", "__waitpid", "wait3", "wait4", "waitid", "pause", "sigsuspend",
        "__sigsuspend", "sigwait", "sigwaitinfo", "sigtimedwait", "semop", "semtimedop", "msgrcv", "msgsnd", "syscall",
    ]

    /// The system call behind those of the functions that the kernel restarts under another number (restart_syscall(2)), in
    /// releases whose wrappers share one system-call instruction (glibc 2.41 and later).
    static let restartable: [String: Int] = {
        let numbers = Native.systemCalls
        let sleeps = [
            "nanosleep", "__nanosleep", "clock_nanosleep", "__clock_nanosleep", "sleep", "usleep", "thrd_sleep",
        ]
        let polls = ["poll", "__poll", "__poll_chk"]
        return Dictionary(
            uniqueKeysWithValues: sleeps.map { ($0, numbers.clockNanosleep) }
                + (numbers.poll.map { number in polls.map { ($0, number) } } ?? []))
    }()

    /// libc's function under which the main thread runs.
    static let mainStarter = "__libc_start_main"
}

/// Judges a complete stack, function by function.
private struct StackJudge {
    let stack: CallStack
    let call: Int
    /// The address after the system-call instruction.
    let code: UInt64
    let images: ImageCatalog
    let eventLoop: SafePoint.EventLoopRule

    /// Consecutive frames in libc, from the innermost to the one that other code called.
    private struct Run {
        var frames: [StackFrame] = []
        var reachesEnd = false
    }

    var verdict: SafePoint {
        var runs: [Run] = []
        var isInLibc = false
        for (index, frame) in stack.frames.enumerated() {
            // A return address may be one past the end of its function.
            let address = index == 0 ? frame.programCounter : frame.programCounter &- 1
            guard let module = images.list.module(containing: address) else {
                return .unsafe("a function on its stack belongs to no file")
            }
            switch LibraryKind(name: module.name) {
            case .libc:
                if !isInLibc { runs.append(Run()) }
                runs[runs.count - 1].frames.append(frame)
                runs[runs.count - 1].reachesEnd = index == stack.frames.count - 1
                isInLibc = true
            case .loader:
                return .unsafe("it is in the dynamic loader")
            case .resolver:
                return .unsafe("it is in \(module.name), resolving a name")
            case .libevent, .program:
                isInLibc = false
                if let refusal = judgeAllocator(module) { return refusal }
            }
        }
        for run in runs {
            if let refusal = judge(run) { return refusal }
        }
        if eventLoop == .onlyWaiting, let refusal = judgeEventLoop() { return refusal }
        let innermost = runs.first.flatMap { run in
            run.frames.first?.programCounter == stack.frames.first?.programCounter ? names(of: run) : nil
        }
        guard let original = originalCall(in: innermost ?? []) else {
            return .unsafe("it sleeps in a system call that was interrupted before and cannot be told")
        }
        return .safe(systemCall: original)
    }

    /// Functions by which a program enters libevent's loop.
    private static let loopFunctions: Set<String> = [
        "event_base_loop", "event_base_dispatch", "event_loop", "event_dispatch",
    ]
    /// The back-end's function that waits, the loop, and the function that calls it.
    private static let loopDepth = 3

    /// libevent's frames must be one run, right above the wait, that was entered through its loop: its resolver, which its loop
    /// would have called, then does nothing.
    private func judgeEventLoop() -> SafePoint? {
        let isLoop = stack.frames.enumerated().map { index, frame in
            images.isLibrary(.libevent, at: index == 0 ? frame.programCounter : frame.programCounter &- 1)
        }
        guard let first = isLoop.firstIndex(of: true), let last = isLoop.lastIndex(of: true) else { return nil }
        let isWaiting = !stack.frames[..<first].contains { frame in
            !images.isLibrary(.libc, at: frame.programCounter)
        }
        let entry = names(of: Run(frames: [stack.frames[last]]))
        guard isWaiting, isLoop[first...last].allSatisfy({ $0 }), last - first < StackJudge.loopDepth,
            entry.contains(where: StackJudge.loopFunctions.contains)
        else { return .unsafe("libevent does more on its stack than wait for events") }
        return nil
    }

    /// The system call that the thread made, also where the kernel goes on with it as restart_syscall.
    private func originalCall(in functions: [String]) -> Int? {
        guard call == Native.systemCalls.restartSyscall else { return call }
        if let bytes = try? images.memory.read(code &- 16, count: 16),
            let number = Native.systemCallNumber(before: bytes[...])
        {
            return number
        }
        return functions.lazy.compactMap { HarmlessWaits.restartable[$0] }.first
    }

    /// The names of the function through which a run of frames was entered.
    private func names(of run: Run) -> [String] {
        guard let start = run.frames.last?.procedureStart, let module = images.list.module(containing: start),
            let image = try? images.image(of: module)
        else { return [] }
        return image.functions(at: start).map(\.name)
    }

    /// A function of a file that brings its own malloc may hold that malloc's locks.
    private func judgeAllocator(_ module: LoadedModule) -> SafePoint? {
        guard module.path != "[vdso]" else { return nil }
        guard let image = try? images.image(of: module) else {
            return .unsafe("\(module.name) on its stack cannot be parsed")
        }
        guard image.definition(of: "malloc") != nil else { return nil }
        // A program that is linked with its allocator defines it too: then the wait tells.
        let isProgram = module.hasInterpreter
        if isProgram && HarmlessWaits.eventWaits.contains(call) { return nil }
        return .unsafe("it is in \(module.name), which defines malloc")
    }

    /// Entered through a function that is known, a wait inside libc is harmless; any other function may hold a lock.
    private func judge(_ run: Run) -> SafePoint? {
        if run.reachesEnd {
            // start_thread and clone.
            return run.frames.count <= 2 ? nil : .unsafe("it is a thread of libc's own")
        }
        let names = names(of: run)
        if names.contains(HarmlessWaits.mainStarter) { return nil }
        if names.contains(where: HarmlessWaits.functions.contains) { return nil }
        let name = names.first ?? "a function of libc that has no name"
        return .unsafe("it is in \(name)")
    }
}
