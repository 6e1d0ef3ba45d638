import ELFImage
import LinuxProcess
import Tracing

/// What is to be done about a channel.
public enum ChannelRepairPlan: Sendable, Equatable {
    case nothing
    /// It is to get the servers of the file.
    case reconfigure
    case refuse(String)
}

extension ChannelResolver {
    /// What a refresh should do about a channel.
    ///
    /// - Parameter reading: nil where it cannot be read.
    public func plan(_ diagnosis: Diagnosis, _ reading: ChannelReading?, limits: RepairLimits) -> ChannelRepairPlan {
        if let obstacle = obstacle(limits), diagnosis.state == .pinned || limits.isForced { return .refuse(obstacle) }
        switch diagnosis.state {
        case .idle:
            return .nothing
        case .current, .following:
            guard limits.isForced, reading?.hasOwnServers != true, reading?.watchesFile != true else { return .nothing }
            return .reconfigure
        case .opaque:
            // Whether its servers are the application's own cannot be seen, so somebody must take it on himself.
            return limits.isForced
                ? .reconfigure
                : .refuse(
                    "its servers cannot be read, and may be the application's own; --force sets those of the file")
        case .pinned:
            break
        }
        if reading?.hasOwnServers == true {
            return .refuse("its servers are the application's own, which repoint never overwrites")
        }
        if reading?.mayHaveOwnServers == true, !limits.isForced {
            return .refuse(
                "its servers may have been set by the application, after it was made; --force sets those of the file")
        }
        let wanted = wanted(by: reading)
        if let reading, library.isSame(reading.configuration.nameservers, wanted.servers), !type(of: library).readsFile
        {
            return .refuse("\(name) has no function that changes the search list of a live \(noun)")
        }
        return .reconfigure
    }

    /// Why no channel of the process can be changed at all.
    private func obstacle(_ limits: RepairLimits) -> String? {
        if !isOnlyOne {
            return "several copies of \(name) are loaded, and which of them a \(noun) belongs to cannot be told"
        }
        if !limits.mayCall {
            return "a \(noun) can be changed only by a call of the library's own (--no-inject forbids it)"
        }
        if case .failure(let error) = target.file {
            return "its \(TargetProcess.resolvConfPath) cannot be read (\(error))"
        }
        if type(of: library).readsFile, !target.canReadFile() {
            return "the process may not read its \(TargetProcess.resolvConfPath)"
        }
        guard let glibc, glibc.wayBack != nil else {
            return "calls are made only in processes that run with glibc as a shared library"
        }
        return nil
    }

    /// Tries once to give a channel the servers of its file, on the thread that uses it.
    ///
    /// - Parameter earlier: the record of the try before.
    public func repair(_ channel: Channel, after earlier: RepairRecord? = nil) -> RepairRecord {
        var record = earlier ?? RepairRecord(.nothing)
        record.mayRetry = false
        record.note = nil
        let living = (try? target.id.threads()) ?? []
        let users = channel.threads.filter { living.contains(ThreadID($0)) }
        guard let number = users.first else {
            record.postpone("a lookup: which thread uses this \(noun) is seen only then", mayRetry: false)
            record.action = .deferred("a lookup that tells which thread uses this \(noun)")
            return record
        }
        guard users.count == 1 || library.isThreadSafe else {
            record.action = .refused(
                "threads \(users.map(String.init).joined(separator: ", ")) share it, and "
                    + "\(releaseName) does not lock: no moment is safe")
            return record
        }
        let before = try? library.read(channel.address, memory: target.images.memory)
        guard before != nil || !library.isTried else {
            // It was one when the repair was planned.
            record.action = .threadEnded
            return record
        }
        let wanted = wanted(by: before)
        let calls: [FunctionCall]
        do throws(CallRefusal) {
            calls = try library.reconfiguration(of: channel.address, to: wanted)
        } catch {
            record.action = .refused(error.description)
            return record
        }
        call(calls, on: ThreadID(number), channel, before, &record)
        if record.action == .reconfigured {
            record.note = library.lastingEffect(as: before)
        }
        return record
    }

    private func call(
        _ calls: [FunctionCall], on thread: ThreadID, _ channel: Channel, _ before: ChannelReading?,
        _ record: inout RepairRecord
    ) {
        guard let glibc, let wayBack = glibc.wayBack else {
            record.action = .refused("this libc's code is not laid out in a way that is known")
            return
        }
        let pointer = try? ThreadPointer.read(thread, in: target.id, images: target.images)
        let errno = glibc.errnoOffset.flatMap { offset in pointer.map { $0 &+ UInt64(bitPattern: offset) } }
        let sequence = CallSequence(
            calls, wayBack: wayBack, errno: errno, endsWait: type(of: library).endsWait)
        var pauses: [Double] = []
        let memory = target.images.memory
        let result = CallAttempt(
            target: target, thread: thread, eventLoop: type(of: library).eventLoop,
            systemCalls: CallConditions.reconfiguring(readingFile: type(of: library).readsFile),
            isForbidden: library.isInside, wantsOthersAsleep: !library.isThreadSafe
        ).perform(
            sequence,
            hindrance: { [library, noun] interrupted in
                // Its thread is held: from here on nobody changes or ends it.
                let now = try? library.read(channel.address, memory: memory)
                if let before, now.map({ $0.isSame(as: before) }) != true {
                    return "another moment: the \(noun) was changed meanwhile"
                }
                // Whoever holds it may wait for something of this very thread's.
                if now?.isLocked == true { return "another moment: a thread holds the lock of the \(noun)" }
                return try library.hindrance(now, interrupting: interrupted)
            },
            afterRunning: { try? library.tidy(channel.address, as: before, memory: memory) },
            onPause: { pauses.append($0) })
        for pause in pauses { record.count(pause: pause) }
        switch result {
        case .done(let outcome):
            record.systemCalls = outcome.systemCalls
            settle(outcome, &record)
        case .never(let why):
            record.action = .refused(why)
        case .notNow(let why):
            record.postpone("a safe point: \(why)", mayRetry: true)
        case .gone:
            record.action = .deferred("a lookup: the thread that used this \(noun) has ended")
        }
    }

    private func settle(_ outcome: CallOutcome, _ record: inout RepairRecord) {
        if case .leftToHeal(let why) = outcome.end {
            record.action = .failed("the call was left to finish by itself: \(why)")
            return
        }
        guard !outcome.results.isEmpty else {
            // Only what is read back tells.
            record.action = .reconfigured
            return
        }
        switch library.verdict(on: outcome.results) {
        case .done: record.action = .reconfigured
        case .notNow(let why): record.postpone(why, mayRetry: true)
        case .failed(let why): record.action = .failed(why)
        }
    }
}
