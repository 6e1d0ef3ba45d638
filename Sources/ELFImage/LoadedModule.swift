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
    /// PT_TLS.
    public let threadLocal: ThreadLocalBlock?
    /// PT_GNU_EH_FRAME: the sorted table of unwind information.
    public let unwindTable: Range<UInt64>?
    /// PT_INTERP is there: a program that a dynamic loader started.
    public let hasInterpreter: Bool
    /// The address execution starts at (`e_entry`).
    public let entry: UInt64

    /// Its segments lie where a loader puts them: its code ready to run, its variables from the same file.
    func isLoaded(_ map: MemoryMap) -> Bool {
        let page: UInt64 = 4096
        return segments.allSatisfy { segment in
            guard segment.isExecutable || segment.isWritable && segment.fileSize > 0 else { return true }
            let start = bias &+ segment.address
            guard let region = map.region(containing: start) else { return false }
            // Code may have been moved to larger pages, which belong to no file.
            guard region.file == file else { return !segment.isWritable && region.isExecutable }
            let position = region.offset &+ (start & ~(page - 1)) &- region.range.lowerBound
            return position == segment.offset & ~(page - 1) && region.isExecutable == segment.isExecutable
        }
    }

    struct Segment: Sendable {
        let address: UInt64
        let fileSize: UInt64
        let memorySize: UInt64
        let offset: UInt64
        let isWritable: Bool
        let isExecutable: Bool
    }

    /// The thread-local variables of an image.
    public struct ThreadLocalBlock: Sendable, Equatable {
        /// The address of what they begin with.
        public let image: UInt64
        /// In bytes, those that begin with zeroes included.
        public let size: UInt64
        public let alignment: UInt64

        /// How far from a thread's thread pointer a variable of the program itself lies (variant II of the TLS ABI, as on x86-64: the
        /// block ends at the thread pointer).
        public func offset(of variable: UInt64) -> Int64? {
            guard variable < size, size < 1 << 32, alignment & (alignment - 1) == 0, alignment < 1 << 20 else {
                return nil
            }
            return Int64(variable) - Int64((size + alignment - 1) & ~(alignment - 1))
        }
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

    /// Finds every ELF image among the mappings by its header. A file that is only mapped to be read is none.
    public init(map: MemoryMap, memory: ProcessMemory) {
        modules = map.regions.compactMap { region in
            // Loaders map the header with the first segment, at offset 0; only the vDSO has no file.
            guard region.isReadable, region.offset == 0, region.file != nil || region.name == "[vdso]",
                let module = try? LoadedModule(at: region, map: map, memory: memory),
                region.file == nil || module.isLoaded(map)
            else { return nil }
            return module
        }
    }

    /// The module whose segments span an address.
    public func module(containing address: UInt64) -> LoadedModule? {
        modules.element(at: address, in: \.range)
    }
}
