import CLibelf
import LinuxProcess

extension LoadedModule {
    /// Reads the ELF and program headers at the start of a mapping (elf(5)).
    init(at region: MemoryRegion, map: MemoryMap, memory: ProcessMemory) throws {
        // Program headers follow the ELF header at once in every image that a linker makes.
        let header = try memory.readUpTo(region.range.lowerBound, count: min(4096, region.range.count))
        guard header.starts(with: [0x7f, UInt8(ascii: "E"), UInt8(ascii: "L"), UInt8(ascii: "F")]) else {
            throw ELFError(image: region.name, problem: "not an ELF image")
        }
        guard header.count >= MemoryLayout<Elf64_Ehdr>.size, header[Int(EI_CLASS)] == ELFCLASS64 else {
            throw ELFError(image: region.name, problem: "not a 64-bit ELF image")
        }
        let elf = header.withUnsafeBytes { $0.loadUnaligned(as: Elf64_Ehdr.self) }
        let size = MemoryLayout<Elf64_Phdr>.size
        guard elf.e_phentsize == size, elf.e_phoff < 4096,
            Int(elf.e_phoff) + Int(elf.e_phnum) * size <= header.count
        else { throw ELFError(image: region.name, problem: "its program headers are not in its first page") }
        let programHeaders = header.withUnsafeBytes { bytes in
            (0..<Int(elf.e_phnum)).map {
                bytes.loadUnaligned(fromByteOffset: Int(elf.e_phoff) + $0 * size, as: Elf64_Phdr.self)
            }
        }
        func all(_ type: Int32) -> [Elf64_Phdr] { programHeaders.filter { $0.p_type == UInt32(type) } }

        let loads = all(PT_LOAD)
        guard let first = loads.first, let last = loads.last else {
            throw ELFError(image: region.name, problem: "no segment to load")
        }
        let page: UInt64 = 4096
        let bias = region.range.lowerBound &- (first.p_vaddr & ~(page - 1))
        func range(_ header: Elf64_Phdr) -> Range<UInt64>? {
            let start = bias &+ header.p_vaddr
            let (end, overflow) = start.addingReportingOverflow(header.p_memsz)
            return overflow ? nil : start..<end
        }
        // More than an address space holds is damage, and would overflow whoever counts with it.
        let largest: UInt64 = 1 << 47
        guard programHeaders.allSatisfy({ $0.p_memsz < largest && $0.p_filesz < largest && $0.p_offset < largest }),
            loads.allSatisfy({ range($0) != nil })
        else { throw ELFError(image: region.name, problem: "its segments are larger than memory") }
        guard let end = range(last)?.upperBound, region.range.lowerBound < end else {
            throw ELFError(image: region.name, problem: "its segments are out of order")
        }

        path = region.name
        file = region.file
        isDeleted = region.isDeleted
        base = region.range.lowerBound
        self.bias = bias
        firstPage = header
        self.range = base..<end
        let executableFlag = UInt32(PF_X)
        executableRanges = loads.filter { $0.p_flags & executableFlag != 0 }.compactMap(range)
        segments = loads.map {
            Segment(
                address: $0.p_vaddr, fileSize: $0.p_filesz, memorySize: $0.p_memsz, offset: $0.p_offset,
                isWritable: $0.p_flags & UInt32(PF_W) != 0, isExecutable: $0.p_flags & executableFlag != 0)
        }
        dynamic = all(PT_DYNAMIC).first.flatMap(range)
        notes = all(PT_NOTE).compactMap(range)
        threadLocal = all(PT_TLS).first.map {
            ThreadLocalBlock(image: bias &+ $0.p_vaddr, size: $0.p_memsz, alignment: max(1, $0.p_align))
        }
        unwindTable = programHeaders.first { $0.p_type == UInt32(PT_GNU_EH_FRAME) }.flatMap(range)
        hasInterpreter = !all(PT_INTERP).isEmpty
        entry = bias &+ elf.e_entry
    }

    /// The file offset of an address of the file's own numbering.
    func fileOffset(of address: UInt64) -> UInt64? {
        for segment in segments where address >= segment.address && address - segment.address < segment.fileSize {
            return segment.offset + (address - segment.address)
        }
        return nil
    }
}
