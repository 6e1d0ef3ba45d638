import LinuxProcess

/// A shared object, executable or vDSO as it lies in a process: where, and which file it came from.
///
/// Everything is read from the process's own memory, so that a library upgraded, deleted or hidden in another mount
/// namespace is seen as what it is there.
public struct LoadedModule: Sendable {
    /// The path in the process's mount namespace, or `[vdso]`.
    public let path: String
    public let file: FileIdentity?
    public let isDeleted: Bool
    /// The address of the ELF header.
    public let base: UInt64
    /// What is added to an address in the file (`p_vaddr`) to get the address in memory.
    public let bias: UInt64
    /// From the ELF header to the end of the last segment.
    public let range: Range<UInt64>
    public let executableRanges: [Range<UInt64>]
    /// The first page, with the ELF header and the program headers.
    let firstPage: [UInt8]
    /// The segments to be loaded (PT_LOAD).
    let segments: [Segment]
    /// PT_DYNAMIC, absent in a static executable.
    let dynamic: Range<UInt64>?
    let notes: [Range<UInt64>]
    /// PT_GNU_EH_FRAME: the sorted table of unwind information.
    public let unwindTable: Range<UInt64>?
    /// PT_INTERP is there: a program that a dynamic loader started.
    public let hasInterpreter: Bool
    /// The address execution starts at (`e_entry`).
    public let entry: UInt64

    struct Segment: Sendable {
        let address: UInt64
        let fileSize: UInt64
        let memorySize: UInt64
        let offset: UInt64
        let isWritable: Bool
    }

    /// The last component of the path.
    public var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    /// The addresses of its writable segments, .data and .bss included.
    public var writableRanges: [Range<UInt64>] {
        segments.filter(\.isWritable).map { bias &+ $0.address..<bias &+ $0.address &+ $0.memorySize }
    }
}

/// The modules of one process, in ascending order of their addresses.
public struct ModuleList: Sendable {
    public let modules: [LoadedModule]

    /// Finds every ELF image among the mappings by its header.
    public init(map: MemoryMap, memory: ProcessMemory) {
        modules = map.regions.compactMap { region in
            // Loaders map the header with the first segment, at offset 0; only the vDSO has no file.
            guard region.isReadable, region.offset == 0, region.file != nil || region.name == "[vdso]",
                let module = try? LoadedModule(at: region, map: map, memory: memory)
            else { return nil }
            return module
        }
    }

    /// The module whose segments span an address.
    public func module(containing address: UInt64) -> LoadedModule? {
        modules.element(at: address, in: \.range)
    }
}
