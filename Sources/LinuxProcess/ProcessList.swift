import Glibc

extension ProcessID {
    /// Every process that /proc shows, kernel threads included, in ascending order.
    public static func all() throws(SystemError) -> [ProcessID] {
        try directoryEntries("/proc").compactMap { Int32($0) }.sorted().map(ProcessID.init)
    }

    /// The threads of a process, in ascending order (the leader is the first unless it has ended).
    public func threads() throws(SystemError) -> [ThreadID] {
        try directoryEntries("\(procPath)/task").compactMap { Int32($0) }.sorted().map(ThreadID.init)
    }

    public static var own: ProcessID { ProcessID(getpid()) }

    /// The path of the program it runs, as it has it in its mount namespace and root directory; ` (deleted)` cut off.
    public func executable() throws(SystemError) -> String {
        let path = try readLink("\(procPath)/exe").named(inside: rootPath())
        let mark = " (deleted)"
        return path.hasSuffix(mark) ? String(path.dropLast(mark.count)) : path
    }

    /// The command name (comm), which `ps` shows and which names a process on our command line.
    public func name() throws(SystemError) -> String {
        try readText("\(procPath)/comm").trimming("\n")
    }

    /// The environment the program was started with. What it set later itself is not there.
    public func environment() throws(SystemError) -> [String: String] {
        var variables: [String: String] = [:]
        for entry in try readFile("\(procPath)/environ").split(separator: 0) {
            guard let equals = entry.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = String(decoding: entry[..<equals], as: UTF8.self)
            variables[name] = String(decoding: entry[entry.index(after: equals)...], as: UTF8.self)
        }
        return variables
    }

    /// The cgroup freezer holds it: it would answer nobody (cgroups(7)).
    public func isFrozen() -> Bool {
        guard let text = try? readText("\(procPath)/cgroup") else { return false }
        for line in text.split(separator: "\n") where line.hasPrefix("0::") {
            let events = try? readText("/sys/fs/cgroup\(line.dropFirst(3))/cgroup.events")
            return events?.contains("frozen 1") ?? false
        }
        return false
    }

    /// The ELF class of its program: false for a 32-bit process. nil when it cannot be read.
    public func is64Bit() throws(SystemError) -> Bool? {
        let auxiliary = try readFile("\(procPath)/auxv")
        // A 64-bit vector ends in a 16-byte AT_NULL pair and its first key fits in 32 bits of a 64-bit word.
        guard auxiliary.count >= 16, let first = auxiliary.integer(at: 0, as: UInt64.self) else { return nil }
        return first < 1 << 32
    }
}
