/// One mapping of a process's address space: a line of /proc/PID/maps (proc(5)).
public struct MemoryRegion: Sendable, Equatable {
    public let range: Range<UInt64>
    public let isReadable: Bool
    public let isWritable: Bool
    public let isExecutable: Bool
    public let isShared: Bool
    /// Offset in the mapped file, in bytes.
    public let offset: UInt64
    /// The file's device and inode: what names the file even after it was renamed, replaced or deleted.
    public let file: FileIdentity?
    /// The path as the process itself has it, in its mount namespace and root directory, or a name in brackets such as `[stack]`; empty if anonymous.
    public let name: String
    public let isDeleted: Bool
}

/// A file's device and inode.
public struct FileIdentity: Hashable, Sendable {
    public let device: String
    public let inode: UInt64
}

/// The address space of a process, in ascending order.
public struct MemoryMap: Sendable {
    public let regions: [MemoryRegion]

    public init(of process: ProcessID) throws(SystemError) {
        self.init(parsing: try readText("\(process.procPath)/maps"), root: process.rootPath())
    }

    /// - Parameter root: the process's root directory, which paths are told relative to.
    init(parsing text: String, root: String = "/") {
        // Bytes, not characters: to Swift a path's last carriage return and the newline after it are one character.
        regions = text.utf8.split(separator: UInt8(ascii: "\n")).compactMap {
            MemoryRegion(parsing: Substring($0), root: root)
        }
    }

    /// The region that holds an address.
    public func region(containing address: UInt64) -> MemoryRegion? {
        regions.element(at: address, in: \.range)
    }
}

extension MemoryRegion {
    private static let deletedMark = " (deleted)"

    /// `start-end perms offset device inode path`; the path may hold spaces.
    init?(parsing line: Substring, root: String = "/") {
        let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
        guard fields.count >= 5 else { return nil }
        let bounds = fields[0].split(separator: "-")
        let permissions = Array(fields[1].utf8)
        guard bounds.count == 2, let start = UInt64(bounds[0], radix: 16), let end = UInt64(bounds[1], radix: 16),
            start < end, permissions.count >= 4, let offset = UInt64(fields[2], radix: 16),
            let inode = UInt64(fields[4])
        else { return nil }
        range = start..<end
        isReadable = permissions[0] == UInt8(ascii: "r")
        isWritable = permissions[1] == UInt8(ascii: "w")
        isExecutable = permissions[2] == UInt8(ascii: "x")
        isShared = permissions[3] == UInt8(ascii: "s")
        self.offset = offset
        file = inode == 0 ? nil : FileIdentity(device: String(fields[3]), inode: inode)
        var path = fields.count > 5 ? fields[5].trimming(" ") : ""
        isDeleted = path.hasSuffix(MemoryRegion.deletedMark)
        if isDeleted { path.removeLast(MemoryRegion.deletedMark.count) }
        name = path.named(inside: root)
    }
}
