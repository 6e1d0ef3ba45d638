import Glibc
import LinuxProcess
import Testing

/// What can be seen of a process from outside, for comparing before and after.
public struct ProcessPicture: Sendable, Equatable, CustomTestStringConvertible {
    /// Its mappings, without those that malloc makes, and without the bounds of those that grow by themselves.
    public let mappings: [String]
    /// Its descriptors and what they are open on.
    public let descriptors: [String]
    /// What belongs to each thread: masks, dispositions, tracer.
    public let threads: [String]

    /// glibc's malloc gives a thread an arena of its own at its first allocation: anonymous memory from a multiple of 64 MiB on
    /// (HEAP_MAX_SIZE of malloc/arena.c).
    private static func isArena(_ region: MemoryRegion, in map: MemoryMap) -> Bool {
        let size: UInt64 = 64 << 20
        let start = region.range.lowerBound & ~(size - 1)
        guard region.file == nil, region.name.isEmpty, region.range.upperBound <= start + size,
            let first = map.region(containing: start)
        else { return false }
        return first.file == nil && first.name.isEmpty && first.isWritable && first.range.lowerBound == start
    }

    /// What came (+) and what went (-) since another picture.
    public func changes(since before: ProcessPicture) -> [String] {
        let now = mappings + descriptors + threads
        let then = before.mappings + before.descriptors + before.threads
        return now.filter { !then.contains($0) }.map { "+ \($0)" } + then.filter { !now.contains($0) }.map { "- \($0)" }
    }

    /// How many of its descriptors are sockets.
    public var socketCount: Int { descriptors.count { $0.contains("socket:[") } }

    /// The same without the sockets, which are others after each lookup.
    public var withoutSockets: ProcessPicture {
        ProcessPicture(
            mappings: mappings, descriptors: descriptors.filter { !$0.contains("socket:[") }, threads: threads)
    }

    private init(mappings: [String], descriptors: [String], threads: [String]) {
        self.mappings = mappings
        self.descriptors = descriptors
        self.threads = threads
    }

    public var testDescription: String { "\(mappings.count) mappings, \(descriptors.count) descriptors, \(threads)" }

    public init(of process: ProcessID) throws {
        let map = try MemoryMap(of: process)
        // Where a uprobe was hit once, the kernel keeps a page of its own.
        mappings = map.regions.filter { !ProcessPicture.isArena($0, in: map) && $0.name != "[uprobes]" }.map { region in
            let access = "\(region.isReadable) \(region.isWritable) \(region.isExecutable) \(region.isShared)"
            let start = String(region.range.lowerBound, radix: 16)
            let isGrowing = ["[heap]", "[stack]"].contains(region.name)
            let bounds = isGrowing ? "growing" : "\(start) with \(region.range.count) bytes"
            let file = region.file.map { "\($0.device) \($0.inode)" } ?? "anonymous"
            return "\(bounds) \(access) \(region.offset) \(file) \(region.name)"
        }
        // One that was closed meanwhile is not there.
        descriptors = try directoryEntries("/proc/\(process)/fd").sorted().compactMap { name in
            (try? readLink("/proc/\(process)/fd/\(name)")).map { "\(name) \($0)" }
        }
        threads = try process.threads().map { thread in
            let status = try ProcessStatus(of: thread, in: process)
            let masks = [
                status.blockedSignals, status.ignoredSignals, status.caughtSignals, status.pendingSignals,
                status.sharedPendingSignals,
            ]
            let tracer = status.tracer?.description ?? "nobody"
            return "\(thread) \(masks.map { String($0, radix: 16) }) traced by \(tracer)"
        }
    }
}

/// The states of a process's threads, as `ps` has them.
public func threadStates(of process: ProcessID) throws -> [ThreadID: ProcessStat.State] {
    var states: [ThreadID: ProcessStat.State] = [:]
    for thread in try process.threads() { states[thread] = try ProcessStat(of: thread, in: process).state }
    return states
}

/// Nobody traces the process or has stopped it.
public func isLeftAlone(_ process: ProcessID) throws -> Bool {
    try process.threads().allSatisfy { thread in
        // One that has ended meanwhile is left alone as well.
        guard let state = try? ProcessStat(of: thread, in: process).state,
            let status = try? ProcessStatus(of: thread, in: process)
        else { return true }
        return status.tracer == nil && state != .tracingStop && state != .stopped
    }
}
