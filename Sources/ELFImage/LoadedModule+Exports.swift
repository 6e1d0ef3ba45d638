import CLibelf
import LinuxProcess

extension LoadedModule {
    /// Whether the image exports a symbol, found through its hash table (DT_GNU_HASH) without reading its other symbols: a program
    /// may have a hundred thousand of them.
    public func exports(_ name: String, memory: ProcessMemory) -> Bool {
        (try? find(name, memory)) ?? false
    }

    private static let longestChain = 4096

    private func find(_ name: String, _ memory: ProcessMemory) throws -> Bool {
        guard let dynamic, dynamic.count < 1 << 16 else { return false }
        let entries = try memory.read(dynamic.lowerBound, count: dynamic.count)
        func address(_ tag: Int32) -> UInt64? {
            for offset in stride(from: 0, to: entries.count - 15, by: 16)
            where entries.integer(at: offset, as: Int64.self) == Int64(tag) {
                guard let value: UInt64 = entries.integer(at: offset + 8) else { return nil }
                return range.contains(value) ? value : value &+ bias
            }
            return nil
        }
        guard let table = address(DT_GNU_HASH), let symbols = address(DT_SYMTAB), let strings = address(DT_STRTAB)
        else { return false }
        let header = try memory.read(table, count: 16)
        guard let buckets: UInt32 = header.integer(at: 0), let first: UInt32 = header.integer(at: 4),
            let bloomWords: UInt32 = header.integer(at: 8), buckets > 0, bloomWords < 1 << 24
        else { return false }
        let hash = LoadedModule.hash(of: name)
        let start = table &+ 16 &+ UInt64(bloomWords) * 8
        var index: UInt32 = try memory.load(start &+ UInt64(hash % buckets) * 4)
        guard index >= first else { return false }
        let chains = start &+ UInt64(buckets) * 4
        for _ in 0..<LoadedModule.longestChain {
            let entry: UInt32 = try memory.load(chains &+ UInt64(index - first) * 4)
            if entry | 1 == hash | 1 {
                let symbol = try memory.read(
                    symbols &+ UInt64(index) * UInt64(MemoryLayout<Elf64_Sym>.size),
                    count: MemoryLayout<Elf64_Sym>.size
                ).withUnsafeBytes { $0.loadUnaligned(as: Elf64_Sym.self) }
                let text = try memory.readString(strings &+ UInt64(symbol.st_name), limit: name.utf8.count + 1)
                if text == name { return symbol.st_shndx != UInt16(SHN_UNDEF) }
            }
            // The last of a chain is odd.
            if entry & 1 == 1 { return false }
            index += 1
        }
        return false
    }

    /// The hash function of DT_GNU_HASH.
    private static func hash(of name: String) -> UInt32 {
        name.utf8.reduce(5381) { $0 &* 33 &+ UInt32($1) }
    }
}
