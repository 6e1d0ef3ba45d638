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
        self.init(parsing: try readFile("\(process.procPath)/maps"), root: process.rootPath())
    }

    /// - Parameter root: the process's root directory, which paths are told relative to.
    init(parsing text: String, root: String = "/") {
        self.init(parsing: Array(text.utf8), root: root)
    }

    private init(parsing bytes: [UInt8], root: String) {
        var regions: [MemoryRegion] = []
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let region = MemoryRegion(parsing: line, after: regions.last, root: root) else { continue }
            regions.append(region)
        }
        self.regions = regions
    }

    /// The region that holds an address.
    public func region(containing address: UInt64) -> MemoryRegion? {
        regions.element(at: address, in: \.range)
    }
}

extension MemoryRegion {
    private static let deletedMark = " (deleted)"

    /// `start-end perms offset device inode path`; the path may hold spaces.
    ///
    /// - Parameters:
    ///   - before: the region of the line before. Most regions lie beside another one of the same file.
    ///   - root: the process's root directory.
    fileprivate init?(parsing line: ArraySlice<UInt8>, after before: MemoryRegion?, root: String) {
        var fields = ProcFields(line)
        guard let start = fields.hexadecimal(until: "-"), let end = fields.hexadecimal(), start < end,
            let permissions = fields.word(), permissions.count >= 4, let offset = fields.hexadecimal(),
            let device = fields.word(), let inode = fields.decimal()
        else { return nil }
        let first = permissions.startIndex
        range = start..<end
        isReadable = permissions[first] == UInt8(ascii: "r")
        isWritable = permissions[first + 1] == UInt8(ascii: "w")
        isExecutable = permissions[first + 2] == UInt8(ascii: "x")
        isShared = permissions[first + 3] == UInt8(ascii: "s")
        self.offset = offset
        let path = fields.rest
        if let before, inode != 0, before.file?.inode == inode, before.isSameFile(device: device, path: path) {
            file = before.file
            name = before.name
            isDeleted = before.isDeleted
            return
        }
        file = inode == 0 ? nil : FileIdentity(device: String(decoding: device, as: UTF8.self), inode: inode)
        let mark = MemoryRegion.deletedMark.utf8
        isDeleted = path.count >= mark.count && path.suffix(mark.count).elementsEqual(mark)
        name = String(decoding: isDeleted ? path.dropLast(mark.count) : path, as: UTF8.self).named(inside: root)
    }

    private func isSameFile(device: ArraySlice<UInt8>, path: ArraySlice<UInt8>) -> Bool {
        guard !isDeleted, let file, file.device.utf8.elementsEqual(device) else { return false }
        return name.utf8.elementsEqual(path)
    }
}
