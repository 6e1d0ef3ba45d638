import CLibelf
import LinuxProcess

/// Finds single dynamic symbols of an image by its GNU hash table (DT_GNU_HASH), as the dynamic loader does: a few words are read
/// instead of a whole table of symbols, which in some programs has tens of thousands.
public struct SymbolLookup {
    private let module: LoadedModule
    private let memory: ProcessMemory
    private let symbols: UInt64
    private let strings: UInt64
    private let buckets: UInt64
    private let bucketCount: UInt32
    private let firstSymbol: UInt32
    private let bloom: UInt64
    private let bloomWords: UInt32
    private let bloomShift: UInt32

    private static let longestChain = 4096

    /// nil where the image has no such table; then it is to be parsed as a whole.
    public init?(in module: LoadedModule, memory: ProcessMemory) {
        guard let dynamic = module.dynamic, dynamic.count < 1 << 16,
            let entries = try? memory.read(dynamic.lowerBound, count: dynamic.count)
        else { return nil }
        func address(_ tag: Int32) -> UInt64? {
            let places = stride(from: 0, to: entries.count - 15, by: 16)
            guard let place = places.first(where: { entries.integer(at: $0) == Int64(tag) }),
                let value: UInt64 = entries.integer(at: place + 8)
            else { return nil }
            // glibc's loader adds the bias in place, musl's does not.
            return module.range.contains(value) ? value : module.bias &+ value
        }
        guard let table = address(DT_GNU_HASH), let symbols = address(DT_SYMTAB), let strings = address(DT_STRTAB),
            let header = try? memory.read(table, count: 16), let bucketCount: UInt32 = header.integer(at: 0),
            let firstSymbol: UInt32 = header.integer(at: 4), let bloomWords: UInt32 = header.integer(at: 8),
            let bloomShift: UInt32 = header.integer(at: 12), bucketCount > 0, bucketCount < 1 << 24,
            bloomWords.nonzeroBitCount == 1, bloomWords < 1 << 24, bloomShift < 32
        else { return nil }
        self.module = module
        self.memory = memory
        self.symbols = symbols
        self.strings = strings
        self.bucketCount = bucketCount
        self.firstSymbol = firstSymbol
        self.bloomWords = bloomWords
        self.bloomShift = bloomShift
        bloom = table + 16
        buckets = bloom + UInt64(bloomWords) * 8
    }

    /// The address of a function or variable that the image defines; nil where it defines none of this name.
    public func address(of name: String) -> UInt64? {
        let hash = name.utf8.reduce(UInt32(5381)) { ($0 << 5) &+ $0 &+ UInt32($1) }
        let index = UInt64((hash / 64) & (bloomWords - 1))
        let mask = UInt64(1) << UInt64(hash % 64) | UInt64(1) << UInt64((hash >> bloomShift) % 64)
        guard let word: UInt64 = try? memory.load(bloom + index * 8), word & mask == mask,
            var symbol: UInt32 = try? memory.load(buckets + UInt64(hash % bucketCount) * 4), symbol >= firstSymbol
        else { return nil }
        let chains = buckets + UInt64(bucketCount) * 4
        // The last hash of a chain is odd.
        for _ in 0..<SymbolLookup.longestChain {
            guard let found: UInt32 = try? memory.load(chains + UInt64(symbol - firstSymbol) * 4) else { return nil }
            if found | 1 == hash | 1, let value = value(of: symbol, named: name) { return value }
            if found & 1 == 1 { return nil }
            symbol += 1
        }
        return nil
    }

    /// The address of a symbol if it is defined here and has this name.
    private func value(of symbol: UInt32, named name: String) -> UInt64? {
        let size = UInt64(MemoryLayout<Elf64_Sym>.size)
        guard let bytes = try? memory.read(symbols + UInt64(symbol) * size, count: Int(size)) else { return nil }
        let entry = bytes.withUnsafeBytes { $0.loadUnaligned(as: Elf64_Sym.self) }
        guard entry.st_shndx != UInt16(SHN_UNDEF),
            let text = try? memory.readString(strings + UInt64(entry.st_name), limit: name.utf8.count + 1), text == name
        else { return nil }
        return module.bias &+ entry.st_value
    }
}
