import LinuxProcess

extension LoadedModule {
    /// An entry of a note segment (elf(5), "Notes").
    public enum Note: Sendable {
        /// The kernel a program needs (NT_GNU_ABI_TAG): the start-up code of glibc brings it along.
        case abiTag
        /// The build id of Go's linker.
        case goBuildID

        fileprivate var owner: [UInt8] {
            switch self {
            case .abiTag: Array("GNU\0".utf8)
            case .goBuildID: Array("Go\0\0".utf8)
            }
        }

        fileprivate var type: UInt32 {
            switch self {
            case .abiTag: 1
            case .goBuildID: 4
            }
        }
    }

    /// Whether the image carries a note.
    public func has(_ note: Note, memory: ProcessMemory) -> Bool {
        notes.contains { range in
            guard range.count < 1 << 16, let bytes = try? memory.read(range.lowerBound, count: range.count) else {
                return false
            }
            return LoadedModule.entries(of: bytes).contains { $0.type == note.type && $0.owner == note.owner }
        }
    }

    /// Name size, description size and type, of four bytes each; then both, each padded to four bytes.
    private static func entries(of bytes: [UInt8]) -> [(owner: [UInt8], type: UInt32)] {
        var entries: [(owner: [UInt8], type: UInt32)] = []
        var offset = 0
        while let nameSize: UInt32 = bytes.integer(at: offset), let size: UInt32 = bytes.integer(at: offset + 4),
            let type: UInt32 = bytes.integer(at: offset + 8)
        {
            let name = offset + 12
            // The name's padding is part of what it is compared by; "Go" is padded with a second zero.
            let description = name + (Int(nameSize) + 3) & ~3
            guard description <= bytes.count else { break }
            entries.append((Array(bytes[name..<description]), type))
            offset = description + (Int(size) + 3) & ~3
        }
        return entries
    }
}
