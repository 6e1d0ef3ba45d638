import CLinux
import Glibc
import LinuxProcess
import Tracing

/// A function in a file, by its offset there.
public struct EntryPoint: Hashable, Sendable, Codable {
    /// A path by which we reach the very file, such as one in /proc/PID/map_files, which leads to deleted files as well.
    public let path: String
    /// Of the function's first instruction, in bytes.
    public let offset: UInt64

    public init(path: String, offset: UInt64) {
        self.path = path
        self.offset = offset
    }
}

/// Some thread came by an entry point.
public struct EntryHit: Sendable {
    public let point: EntryPoint
    /// As our PID namespace numbers them.
    public let process: ProcessID
    public let thread: ThreadID
    /// CLOCK_MONOTONIC, in nanoseconds.
    public let time: UInt64
    /// The first arguments of the function.
    public let arguments: [UInt64]
}

/// Watches functions in every process that maps their file, through uprobes of perf_event_open(2).
///
/// No process is stopped, and the kernel takes the probes away when this value goes or its owner dies. For one thread's use.
public final class EntryWatch {
    private var rings: [Ring] = []
    private var events: [OwnedEvent] = []
    private var points: [UInt64: EntryPoint] = [:]
    /// What cannot be watched, and why: its file has gone, or lies where the kernel sets no probes.
    public private(set) var failures: [EntryPoint: SystemError] = [:]

    /// - Parameter threads: nobody else needs to be watched. Each probe takes the kernel a tenth of a second to take away, and there is
    ///   one for each CPU: so where these threads are fewer, they are watched instead.
    /// - Throws: `SystemError` where nothing at all can be watched: EACCES or EPERM where CAP_PERFMON is missing, ENOENT where this
    ///   kernel has no uprobes.
    public init(_ wanted: Set<EntryPoint>, of threads: [ThreadID] = []) throws(SystemError) {
        let type = try EntryWatch.eventType()
        var places = try EntryWatch.onlineProcessors().map { Place(thread: -1, cpu: $0) }
        if !threads.isEmpty, threads.count < places.count {
            places = threads.map { Place(thread: $0.rawValue, cpu: -1) }
        }
        for place in places {
            var ring: Ring?
            for point in wanted {
                let event: OwnedEvent
                do throws(SystemError) {
                    event = try OwnedEvent(type: type, point: point, place)
                } catch {
                    // The thread has ended.
                    guard error.code != ESRCH else { break }
                    failures[point] = error
                    continue
                }
                points[try event.identifier()] = point
                if let ring {
                    try event.redirect(to: ring)
                } else {
                    let new = try Ring(event.descriptor)
                    ring = new
                    rings.append(new)
                }
                events.append(event)
            }
        }
        if events.isEmpty, let failure = failures.values.first { throw failure }
        for event in events { try event.enable() }
    }

    /// Where an event counts: -1 stands for all.
    fileprivate struct Place {
        let thread: Int32
        let cpu: Int32
    }

    private static func eventType() throws(SystemError) -> UInt32 {
        let path = "/sys/bus/event_source/devices/uprobe/type"
        guard let type = UInt32(try readText(path).trimming("\n ")) else {
            throw SystemError("find the number of uprobe events in \(path)", code: ENOENT)
        }
        return type
    }

    /// `0-3,8`, as the kernel lists them.
    private static func onlineProcessors() throws(SystemError) -> [Int32] {
        try readText("/sys/devices/system/cpu/online").trimming("\n ").split(separator: ",").flatMap {
            part -> [Int32] in
            let bounds = part.split(separator: "-").compactMap { Int32($0) }
            guard let first = bounds.first, let last = bounds.last, first <= last else { return [] }
            return Array(first...last)
        }
    }

    /// Waits until somebody comes by, or the time is up, and returns all that came by since.
    public func wait(milliseconds: Int) -> [EntryHit] {
        let found = take()
        guard found.isEmpty else { return found }
        var entries = rings.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        poll(&entries, nfds_t(entries.count), Int32(clamping: milliseconds))
        return take()
    }

    /// Ends the watch without waiting for the kernel, which takes a tenth of a second to take each probe away: a process that ends at
    /// once is given them, and it is the one that waits.
    ///
    /// - Parameter program: starts, does nothing, and ends.
    public func leave(to program: (path: String, arguments: [String])) {
        rings = []
        let descriptors = events.map(\.descriptor)
        try? startDetached(program.path, program.arguments, keeping: descriptors)
        events = []
    }

    private func take() -> [EntryHit] {
        var hits: [EntryHit] = []
        for ring in rings {
            while let record = ring.next() {
                if let hit = hit(record) { hits.append(hit) }
            }
        }
        return hits.sorted { $0.time < $1.time }
    }

    /// PERF_RECORD_SAMPLE, with the fields that clinux_perf_uprobe asks for.
    private func hit(_ record: [UInt8]) -> EntryHit? {
        let sample: UInt32 = 9
        guard record.integer(at: 0) == sample, let identifier: UInt64 = record.integer(at: 8),
            let point = points[identifier], let process: Int32 = record.integer(at: 16),
            let thread: Int32 = record.integer(at: 20), let time: UInt64 = record.integer(at: 24), process > 0,
            // Without registers there is only the word that says so.
            record.integer(at: 32, as: UInt64.self) != 0
        else { return nil }
        let arguments = Native.sampledArguments.compactMap { record.integer(at: 40 + $0 * 8, as: UInt64.self) }
        return EntryHit(
            point: point, process: ProcessID(process), thread: ThreadID(thread), time: time, arguments: arguments)
    }
}

/// A perf event.
private final class OwnedEvent {
    let descriptor: Int32
    private let point: EntryPoint

    init(type: UInt32, point: EntryPoint, _ place: EntryWatch.Place) throws(SystemError) {
        self.point = point
        descriptor = clinux_perf_uprobe(type, point.path, point.offset, place.thread, place.cpu, false)
        try SystemError.check("watch \(point.path) at offset \(point.offset) with a uprobe", min(0, descriptor))
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    func identifier() throws(SystemError) -> UInt64 {
        var identifier: UInt64 = 0
        try SystemError.check("name a uprobe", clinux_perf_identifier(descriptor, &identifier))
        return identifier
    }

    func redirect(to ring: Ring) throws(SystemError) {
        try SystemError.check("share the ring of a uprobe", clinux_perf_redirect(descriptor, ring.descriptor))
    }

    func enable() throws(SystemError) {
        try SystemError.check("start a uprobe", clinux_perf_enable(descriptor))
    }
}

/// The memory in which the kernel hands over what was sampled on one CPU or of one thread.
private final class Ring {
    /// Of the event that was mapped, which its owner closes.
    let descriptor: Int32
    private let memory: UnsafeMutableRawPointer
    private var record = [UInt8](repeating: 0, count: 512)

    /// Some hundred samples: a lookup or two are waited for.
    private static let pages = 16

    init(_ descriptor: Int32) throws(SystemError) {
        var error: Int32 = 0
        let mapped = clinux_perf_map(descriptor, Ring.pages, &error)
        guard let mapped else { throw SystemError("map the ring of a uprobe", code: -error) }
        self.descriptor = descriptor
        memory = mapped
    }

    deinit {
        clinux_perf_unmap(memory, Ring.pages)
    }

    /// The next record; nil when there is none left.
    func next() -> [UInt8]? {
        while true {
            let size = clinux_perf_take(memory, Ring.pages, &record, record.count)
            if size == 0 { return nil }
            if size > 0 { return Array(record[..<size]) }
        }
    }
}
