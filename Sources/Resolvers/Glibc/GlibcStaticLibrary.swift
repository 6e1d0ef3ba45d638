import ELFImage
import LinuxProcess
import ResolvConf
import Tracing

/// More than one C library has a resolver in the process.
struct SeveralLibraries: Error {
    let count: Int
    let path: String

    var reason: OpaqueReason {
        OpaqueReason("\(count) C libraries are loaded: which of them a thread resolves with cannot be told")
    }
}

extension GlibcLibrary {
    /// Where things are in a program that glibc was linked into.
    struct StaticParts {
        let version: String
        let reinitialize: UInt64
        let stateOffset: Int64
        let contextOffset: Int64?
        /// `global` of glibc's resolv/resolv_conf.c.
        let configurationTable: UInt64?
    }

    /// It is a program that glibc was linked into: no loader is asked for, and glibc's start-up code is there.
    static func isStatic(_ program: LoadedModule, _ memory: ProcessMemory) -> Bool {
        !program.hasInterpreter && LibraryKind(name: program.name) == .program && program.has(.abiTag, memory: memory)
    }

    private static let names: Set<String> = [
        "__resp", "_res", "__res_init", "__res_state", "__resolv_context_get", "current", "global",
        "__nptl_version", "nptl_version",
    ]

    /// glibc in a static program, by the program's own symbol table.
    ///
    /// - Throws: ``OpaqueReason`` where it has none, or where what it says does not agree with what lies in memory.
    init(static program: LoadedModule, in process: ProcessID, images: ImageCatalog) throws {
        let memory = images.memory
        let table: SymbolTable?
        do {
            table = try SymbolTable(of: program, in: process, memory: memory, names: GlibcLibrary.names)
        } catch {
            throw OpaqueReason("glibc is linked into it, and its symbol table cannot be read: \(error)")
        }
        guard let table else {
            throw OpaqueReason("glibc is linked into it, and it was stripped of the symbols that lead to its resolver")
        }
        guard let pointer = table["__resp"], pointer.kind == .threadLocal, let state = table["_res"],
            let function = table["__res_init"]
        else { throw OpaqueReason("glibc is linked into it without its resolver: it looks no names up through it") }
        guard let block = program.threadLocal, let offset = block.offset(of: pointer.value) else {
            throw OpaqueReason("its symbol table and its TLS block do not agree")
        }
        // Every thread begins with a pointer to `_res`: that stands at the symbol's place in the block's image.
        guard try memory.load(block.image &+ pointer.value, as: UInt64.self) == state.value else {
            throw OpaqueReason("its symbol table and its memory do not agree on __resp")
        }
        if let accessor = table["__res_state"] {
            let code = try memory.readUpTo(accessor.value, count: 32)
            guard GlibcMachineCode.offsetOfStatePointer(code) == offset else {
                throw OpaqueReason("its __res_state and its symbol table do not agree")
            }
        }
        let parts = StaticParts(
            version: try GlibcLibrary.version(table, memory), reinitialize: function.value, stateOffset: offset,
            contextOffset: try GlibcLibrary.contextOffset(table, block, memory),
            configurationTable: table.local("global", from: "resolv_conf")?.value)
        self.init(static: program, parts, buildID: try? images.image(of: program).buildID)
    }

    /// `current`, which the symbol table and the code of `__resolv_context_get` must place alike.
    private static func contextOffset(
        _ table: SymbolTable, _ block: LoadedModule.ThreadLocalBlock, _ memory: ProcessMemory
    ) throws -> Int64? {
        guard let function = table["__resolv_context_get"] else { return nil }
        guard let current = table.local("current", from: "resolv_context"), current.kind == .threadLocal,
            let offset = block.offset(of: current.value),
            GlibcMachineCode.offsetOfCurrentContext(try memory.readUpTo(function.value, count: 96)) == offset
        else { throw OpaqueReason("its __resolv_context_get and its symbol table do not agree") }
        return offset
    }

    /// The release, which the threads part of glibc keeps for debuggers; "2" where it was not linked in.
    private static func version(_ table: SymbolTable, _ memory: ProcessMemory) throws -> String {
        guard let symbol = table["__nptl_version"] ?? table["nptl_version"],
            let text = try? memory.readString(symbol.value, limit: 16),
            text.hasPrefix("2."), text.allSatisfy({ $0.isNumber || $0 == "." })
        else { return "2" }
        return text
    }
}
