import CLibelf
import Glibc
import LinuxProcess

/// A symbol of an executable's full symbol table (.symtab).
public struct ProgramSymbol: Sendable, Equatable {
    public let name: String
    /// The address in memory; for a thread-local symbol its offset in the module's TLS block.
    public let value: UInt64
    public let size: UInt64
    public let kind: DynamicSymbol.Kind
    /// For a local symbol, the name of the source or object file it is from, as in `resolv_conf.c` or `resolv_conf.o`.
    public let source: String?
}

/// Some symbols of a program's full table, which no loader maps: it is read from the file that the process runs, through /proc/PID/exe,
/// whatever has become of its name.
public struct SymbolTable: Sendable {
    private let symbols: [String: [ProgramSymbol]]

    /// - Parameters:
    ///   - program: the module of the process's executable.
    ///   - names: the symbols that are wanted; the others are passed over.
    /// - Returns: nil where the file has no such table (it was stripped).
    /// - Throws: ``ELFError`` where the file is not what was mapped, `SystemError` where it cannot be read.
    public init?(of program: LoadedModule, in process: ProcessID, memory: ProcessMemory, names: Set<String>) throws {
        let file = try OwnedDescriptor(opening: "/proc/\(process)/exe")
        try SymbolTable.checkIsSame(file, program, memory)
        elf_version(UInt32(EV_CURRENT))
        // Read, not mapped: a file that shrinks under a mapping kills whoever looks at it.
        guard let elf = elf_begin(file.rawValue, ELF_C_READ, nil) else {
            throw ELFError(image: program.path, problem: "libelf does not take its file")
        }
        defer { elf_end(elf) }
        guard let (table, strings) = SymbolTable.section(of: elf), let data = elf_getdata(table, nil) else {
            return nil
        }
        symbols = SymbolTable.symbols(elf, data, strings, names, bias: program.bias)
    }

    /// The only symbol of a name; nil where there are none or several.
    public subscript(name: String) -> ProgramSymbol? {
        guard let found = symbols[name], let first = found.first else { return nil }
        return found.count == 1 ? first : nil
    }

    /// The symbol of a name that a source file, given without its suffix, keeps to itself.
    public func local(_ name: String, from source: String) -> ProgramSymbol? {
        symbols[name]?.first { $0.source == source + ".c" || $0.source == source + ".o" }
    }

    /// The program may be another file than the one in /proc/PID/exe where it is run by a loader called by name.
    private static func checkIsSame(
        _ file: borrowing OwnedDescriptor, _ program: LoadedModule, _ memory: ProcessMemory
    ) throws {
        var header = [UInt8](repeating: 0, count: 1024)
        let count = pread(file.rawValue, &header, header.count, 0)
        guard count > 0 else { throw SystemError("read \(program.path)", code: errno) }
        guard try memory.readUpTo(program.base, count: count) == Array(header[..<count]) else {
            throw ELFError(image: program.path, problem: "its file is not what was mapped")
        }
    }

    private static func section(of elf: OpaquePointer) -> (table: OpaquePointer, strings: Int)? {
        var section = elf_nextscn(elf, nil)
        while let current = section {
            var header = GElf_Shdr()
            if gelf_getshdr(current, &header) != nil, header.sh_type == UInt32(SHT_SYMTAB) {
                return (current, Int(header.sh_link))
            }
            section = elf_nextscn(elf, current)
        }
        return nil
    }

    private static func symbols(
        _ elf: OpaquePointer, _ data: UnsafeMutablePointer<Elf_Data>, _ strings: Int, _ names: Set<String>, bias: UInt64
    ) -> [String: [ProgramSymbol]] {
        var found: [String: [ProgramSymbol]] = [:]
        var source: UnsafeMutablePointer<CChar>?
        let count = data.pointee.d_size / MemoryLayout<Elf64_Sym>.size
        // Most names are told from the wanted ones by their lengths, before a string is made of them.
        let lengths = Set(names.map(\.utf8.count))
        for index in 0..<Int32(clamping: count) {
            var symbol = GElf_Sym()
            guard gelf_getsym(data, index, &symbol) != nil, let text = elf_strptr(elf, strings, Int(symbol.st_name))
            else { continue }
            let type = Int32(symbol.st_info & 0xf)
            let isLocal = symbol.st_info >> 4 == UInt8(STB_LOCAL)
            if type == STT_FILE {
                source = text
                continue
            }
            guard symbol.st_shndx != UInt16(SHN_UNDEF), lengths.contains(strlen(text)) else { continue }
            let name = String(cString: text)
            guard names.contains(name) else { continue }
            let kind = DynamicSymbol.Kind(symbolType: type)
            found[name, default: []].append(
                ProgramSymbol(
                    name: name, value: kind == .threadLocal ? symbol.st_value : bias &+ symbol.st_value,
                    size: symbol.st_size, kind: kind, source: isLocal ? source.map { String(cString: $0) } : nil))
        }
        return found
    }
}

extension DynamicSymbol.Kind {
    /// The kind by the type in a symbol's `st_info`.
    init(symbolType: Int32) {
        self =
            switch symbolType {
            case STT_FUNC, 10: .function  // 10 is STT_GNU_IFUNC
            case STT_OBJECT: .object
            case STT_TLS: .threadLocal
            default: .other
            }
    }
}
