import CLibelf
import Glibc
import LinuxProcess

/// Decodes an image with libelf from a copy that is put together from the process's memory.
///
/// Each table is fetched from where the loader mapped it and laid at its offset in the file, as far as it is asked for;
/// the section headers, which are never mapped, are struck out. So libelf reads what the process really runs, whatever
/// has become of the file since.
final class ImageReader {
    private let module: LoadedModule
    private let memory: ProcessMemory
    private let copy: UnsafeMutableRawBufferPointer
    private let elf: OpaquePointer

    /// No table that Repoint asks for lies further into a file than this.
    private static let largestOffset: UInt64 = 1 << 31

    init(of module: LoadedModule, memory: ProcessMemory) throws {
        self.module = module
        self.memory = memory
        let size = module.segments.map { $0.offset &+ $0.fileSize }.max() ?? 0
        guard size >= 64, size < ImageReader.largestOffset else {
            throw ELFError(image: module.path, problem: "its segments do not fit in a file")
        }
        // Zeroed by mapping: only what is copied into it costs memory.
        let mapped = mmap(nil, Int(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let mapped, mapped != MAP_FAILED else {
            throw SystemError("mmap \(size) bytes for \(module.path)", code: errno)
        }
        copy = UnsafeMutableRawBufferPointer(start: mapped, count: Int(size))

        var header = try memory.readUpTo(module.base, count: min(4096, Int(size)))
        // e_shoff, e_shnum, e_shstrndx.
        header.set(0 as UInt64, at: 40)
        header.set(0 as UInt16, at: 60)
        header.set(0 as UInt16, at: 62)
        copy.copyBytes(from: header)

        elf_version(UInt32(EV_CURRENT))
        guard let start = copy.baseAddress, let handle = elf_memory(start, copy.count) else {
            munmap(mapped, Int(size))
            throw ELFError(image: module.path, problem: "libelf does not take it: \(ImageReader.lastProblem())")
        }
        elf = handle
    }

    deinit {
        elf_end(elf)
        munmap(copy.baseAddress, copy.count)
    }

    private static func lastProblem() -> String {
        elf_errmsg(-1).map { String(cString: $0) } ?? "unknown error"
    }

    /// Fetches a table by its address in the file's numbering and lets libelf decode it.
    private func table(_ address: UInt64, size: UInt64, type: Elf_Type) throws -> UnsafeMutablePointer<Elf_Data> {
        guard let offset = module.fileOffset(of: address), offset + size <= UInt64(copy.count) else {
            throw ELFError(image: module.path, problem: "a table at 0x\(String(address, radix: 16)) is outside of it")
        }
        let bytes = try memory.read(module.bias &+ address, count: Int(size))
        UnsafeMutableRawBufferPointer(rebasing: copy[Int(offset)...]).copyBytes(from: bytes)
        guard let data = elf_getdata_rawchunk(elf, Int64(offset), Int(size), type) else {
            throw ELFError(image: module.path, problem: ImageReader.lastProblem())
        }
        return data
    }

    /// The whole dynamic part of the image.
    func content() throws -> ImageContent {
        guard let dynamic = module.dynamic else { return ImageContent(buildID: buildID()) }
        let tags = try dynamicTags(dynamic)
        let strings = try stringTable(tags)
        return ImageContent(
            soname: tags.values[DT_SONAME]?.first.flatMap { strings($0) },
            needed: (tags.values[DT_NEEDED] ?? []).compactMap { strings($0) }, symbols: try symbols(tags, strings),
            relocations: try relocations(tags), definedVersions: try definedVersions(tags, strings), buildID: buildID())
    }

    // MARK: Tables

    private struct Tags {
        var values: [Int32: [UInt64]] = [:]

        func first(_ tag: Int32) -> UInt64? { values[tag]?.first }
    }

    private func dynamicTags(_ range: Range<UInt64>) throws -> Tags {
        let data = try table(range.lowerBound &- module.bias, size: UInt64(range.count), type: ELF_T_DYN)
        var tags = Tags()
        var index: Int32 = 0
        var entry = GElf_Dyn()
        while gelf_getdyn(data, index, &entry) != nil, entry.d_tag != DT_NULL {
            if let tag = Int32(exactly: entry.d_tag) { tags.values[tag, default: []].append(entry.d_un.d_val) }
            index += 1
        }
        return tags
    }

    /// An address from the dynamic section in the file's numbering: glibc's loader adds the bias in place, musl's does not.
    private func address(_ tags: Tags, _ tag: Int32) -> UInt64? {
        tags.first(tag).map { module.range.contains($0) ? $0 &- module.bias : $0 }
    }

    private func stringTable(_ tags: Tags) throws -> (UInt64) -> String? {
        guard let start = address(tags, DT_STRTAB), let size = tags.first(DT_STRSZ), size < 64 << 20 else {
            throw ELFError(image: module.path, problem: "it has no dynamic string table")
        }
        let bytes = try memory.read(module.bias &+ start, count: Int(size))
        return { offset in
            guard offset < bytes.count else { return nil }
            let tail = bytes[Int(offset)...]
            return String(decoding: tail[..<(tail.firstIndex(of: 0) ?? tail.endIndex)], as: UTF8.self)
        }
    }

    private func symbols(_ tags: Tags, _ strings: (UInt64) -> String?) throws -> [DynamicSymbol] {
        guard let start = address(tags, DT_SYMTAB), let count = try symbolCount(tags), count > 0 else { return [] }
        let data = try table(start, size: UInt64(count * MemoryLayout<Elf64_Sym>.size), type: ELF_T_SYM)
        return (0..<Int32(count)).compactMap { index in
            var symbol = GElf_Sym()
            guard gelf_getsym(data, index, &symbol) != nil, let name = strings(UInt64(symbol.st_name)) else {
                return nil
            }
            let kind = DynamicSymbol.Kind(symbolType: Int32(symbol.st_info & 0xf))
            let isDefined = symbol.st_shndx != UInt16(SHN_UNDEF)
            return DynamicSymbol(
                name: name, value: symbol.st_value, size: symbol.st_size, kind: kind, isDefined: isDefined)
        }
    }

    /// The dynamic section does not say how many symbols there are: the hash tables do.
    private func symbolCount(_ tags: Tags) throws -> Int? {
        if let hash = address(tags, DT_HASH) {
            let chains: UInt32 = try memory.load(module.bias &+ hash &+ 4)
            return Int(chains) < 1 << 24 ? Int(chains) : nil
        }
        guard let hash = address(tags, DT_GNU_HASH) else { return nil }
        let start = module.bias &+ hash
        let header = try memory.read(start, count: 16)
        guard let bucketCount = header.integer(at: 0, as: UInt32.self),
            let first = header.integer(at: 4, as: UInt32.self),
            let bloomWords = header.integer(at: 8, as: UInt32.self), bucketCount < 1 << 24, bloomWords < 1 << 24
        else { throw ELFError(image: module.path, problem: "its hash table is damaged") }
        let buckets = start + 16 + UInt64(bloomWords) * 8
        let bytes = try memory.read(buckets, count: Int(bucketCount) * 4)
        let last = (0..<Int(bucketCount)).compactMap { bytes.integer(at: $0 * 4, as: UInt32.self) }.max() ?? 0
        guard last >= first else { return Int(first) }
        // The chain of the last bucket ends with an odd hash.
        let chains = buckets + UInt64(bucketCount) * 4
        var index = last
        while index < 1 << 24 {
            let hash: UInt32 = try memory.load(chains + UInt64(index - first) * 4)
            if hash & 1 == 1 { break }
            index += 1
        }
        return Int(index) + 1
    }

    private func relocations(_ tags: Tags) throws -> [Relocation] {
        guard let start = address(tags, DT_RELA), let size = tags.first(DT_RELASZ), size > 0, size < 64 << 20 else {
            return []
        }
        let data = try table(start, size: size, type: ELF_T_RELA)
        return (0..<Int32(Int(size) / MemoryLayout<Elf64_Rela>.size)).compactMap { index in
            var entry = GElf_Rela()
            guard gelf_getrela(data, index, &entry) != nil else { return nil }
            return Relocation(
                place: entry.r_offset, type: UInt32(truncatingIfNeeded: entry.r_info),
                symbolIndex: Int(entry.r_info >> 32), addend: entry.r_addend)
        }
    }

    private func definedVersions(_ tags: Tags, _ strings: (UInt64) -> String?) throws -> [String] {
        guard let start = address(tags, DT_VERDEF), let count = tags.first(DT_VERDEFNUM), count < 4096 else {
            return []
        }
        // Entries of 20 bytes and auxiliary ones of 8 each; one auxiliary entry names the version, a second its parent.
        let room = min(count * 64, UInt64(copy.count) - (module.fileOffset(of: start) ?? UInt64(copy.count)))
        let data = try table(start, size: room, type: ELF_T_VDEF)
        var names: [String] = []
        var offset: Int32 = 0
        for _ in 0..<count {
            var definition = GElf_Verdef()
            var auxiliary = GElf_Verdaux()
            guard gelf_getverdef(data, offset, &definition) != nil,
                gelf_getverdaux(data, offset &+ Int32(truncatingIfNeeded: definition.vd_aux), &auxiliary) != nil,
                let name = strings(UInt64(auxiliary.vda_name))
            else { break }
            names.append(name)
            guard definition.vd_next != 0 else { break }
            offset &+= Int32(truncatingIfNeeded: definition.vd_next)
        }
        return names
    }

    private func buildID() -> String? {
        for note in module.notes {
            let address = note.lowerBound &- module.bias
            guard let data = try? table(address, size: UInt64(note.count), type: ELF_T_NHDR) else { continue }
            var offset = 0
            var header = GElf_Nhdr()
            var name = 0
            var description = 0
            while true {
                let next = gelf_getnote(data, offset, &header, &name, &description)
                guard next > 0, let bytes = data.pointee.d_buf else { break }
                if header.n_type == UInt32(NT_GNU_BUILD_ID), header.n_namesz == 4 {
                    let id = UnsafeRawBufferPointer(start: bytes + description, count: Int(header.n_descsz))
                    return id.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
                }
                offset = next
            }
        }
        return nil
    }
}

extension DynamicImage {
    /// Reads the dynamic part of a module from a process's memory.
    ///
    /// - Throws: ``ELFError`` where the image makes no sense, `SystemError` where the memory cannot be read.
    public init(of module: LoadedModule, memory: ProcessMemory) throws {
        self.init(module: module, content: try ImageReader(of: module, memory: memory).content())
    }
}
