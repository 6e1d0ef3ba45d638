import CLinux

/// The calling thread stays on one CPU as long as this value lives, and gets back the CPUs it was allowed to run on when it goes.
public struct ProcessorPin: ~Copyable {
    /// A bit for each CPU, as sched_getaffinity(2) gives them.
    private let allowed: [UInt64]

    /// Room for 8192 CPUs, the most that Linux is built for.
    private static let words = 128

    /// nil where the thread may not run on that CPU.
    public init?(to cpu: Int) {
        guard cpu >= 0, cpu < ProcessorPin.words * 64 else { return nil }
        var allowed = [UInt64](repeating: 0, count: ProcessorPin.words)
        let size = allowed.count * MemoryLayout<UInt64>.size
        guard clinux_get_affinity(&allowed, size) == 0 else { return nil }
        var wanted = [UInt64](repeating: 0, count: ProcessorPin.words)
        wanted[cpu / 64] = 1 << UInt64(cpu % 64)
        guard allowed[cpu / 64] & wanted[cpu / 64] != 0, clinux_set_affinity(wanted, size) == 0 else { return nil }
        self.allowed = allowed
    }

    deinit {
        _ = clinux_set_affinity(allowed, allowed.count * MemoryLayout<UInt64>.size)
    }
}
