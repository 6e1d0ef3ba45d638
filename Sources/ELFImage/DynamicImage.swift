import LinuxProcess

/// A symbol of an image's dynamic symbol table.
public struct DynamicSymbol: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        case function
        case object
        case threadLocal
        case other
    }

    public let name: String
    /// The address; for a thread-local symbol its offset in the module's TLS block.
    public let value: UInt64
    public let size: UInt64
    public let kind: Kind
    /// Defined here, rather than wanted from elsewhere.
    public let isDefined: Bool
}

/// A relocation with addend (DT_RELA).
public struct Relocation: Sendable, Equatable {
    /// The address of the place that the loader filled.
    public let place: UInt64
    public let type: UInt32
    /// Index into the dynamic symbol table, 0 for none.
    public let symbolIndex: Int
    public let addend: Int64
}

/// What an image says to the dynamic loader: its symbols, relocations, versions and build id.
///
/// The content is the file's and may be shared with other processes; the addresses are those of the process that the module lies in.
public struct DynamicImage {
    public let module: LoadedModule
    let content: ImageContent

    public var soname: String? { content.soname }
    public var needed: [String] { content.needed }
    /// The names of the versions it defines, such as `GLIBC_2.36`.
    public var definedVersions: [String] { content.definedVersions }
    /// The linker's fingerprint of the file, in hexadecimal.
    public var buildID: String? { content.buildID }

    /// All symbols, in the order of their indices. Long: look for one by its name or address instead.
    public var symbols: [DynamicSymbol] { content.symbols.map(placed) }
    /// All relocations. Long as well.
    public var relocations: [Relocation] { content.relocations.map(placed) }

    /// The first symbol of this name that the image itself defines.
    public func definition(of name: String) -> DynamicSymbol? {
        content.definitions[name].map { placed(content.symbols[$0]) }
    }

    /// The defined functions that start at an address.
    public func functions(at address: UInt64) -> [DynamicSymbol] {
        (content.functions[address &- module.bias] ?? []).map { placed(content.symbols[$0]) }
    }

    /// The name of a symbol by its index, as a relocation has it.
    public func symbolName(at index: Int) -> String? {
        content.symbols.indices.contains(index) ? content.symbols[index].name : nil
    }

    /// The relocations of one type.
    public func relocations(ofType type: UInt32) -> [Relocation] {
        (content.relocationsByType[type] ?? []).map { placed(content.relocations[$0]) }
    }

    /// Something that was worked out about the content, kept with it: computed at the first time for each type of value. It must not
    /// depend on the process, so addresses in it are the file's (less ``LoadedModule/bias``).
    public func remembered<Value>(_ make: () throws -> Value) rethrows -> Value {
        try content.remembered(make)
    }

    /// `2.36` for an image that defines versions up to `GLIBC_2.36`.
    public func newestVersion(prefix: String) -> String? {
        let numbers = definedVersions.compactMap { version -> [Int]? in
            guard version.hasPrefix(prefix) else { return nil }
            let parts = version.dropFirst(prefix.count).split(separator: ".").map { Int($0) }
            return parts.contains(nil) ? nil : parts.compactMap { $0 }
        }
        return numbers.max { $0.lexicographicallyPrecedes($1) }?.map(String.init).joined(separator: ".")
    }

    private func placed(_ symbol: DynamicSymbol) -> DynamicSymbol {
        guard symbol.isDefined, symbol.kind != .threadLocal else { return symbol }
        return DynamicSymbol(
            name: symbol.name, value: module.bias &+ symbol.value, size: symbol.size, kind: symbol.kind,
            isDefined: true)
    }

    private func placed(_ relocation: Relocation) -> Relocation {
        Relocation(
            place: module.bias &+ relocation.place, type: relocation.type, symbolIndex: relocation.symbolIndex,
            addend: relocation.addend)
    }
}

/// What is the same of an image in every process that maps it: addresses here are the file's own. For one thread's use.
final class ImageContent {
    let soname: String?
    let needed: [String]
    let symbols: [DynamicSymbol]
    let relocations: [Relocation]
    let definedVersions: [String]
    let buildID: String?
    /// Places among the symbols: of the first definition of a name, and of the functions at an address.
    let definitions: [String: Int]
    let functions: [UInt64: [Int]]
    /// Places among the relocations.
    let relocationsByType: [UInt32: [Int]]
    private var conclusions: [ObjectIdentifier: AnyObject] = [:]

    init(
        soname: String? = nil, needed: [String] = [], symbols: [DynamicSymbol] = [], relocations: [Relocation] = [],
        definedVersions: [String] = [], buildID: String? = nil
    ) {
        self.soname = soname
        self.needed = needed
        self.symbols = symbols
        self.relocations = relocations
        self.definedVersions = definedVersions
        self.buildID = buildID
        var definitions: [String: Int] = [:]
        var functions: [UInt64: [Int]] = [:]
        for (index, symbol) in symbols.enumerated() where symbol.isDefined {
            if definitions[symbol.name] == nil { definitions[symbol.name] = index }
            if symbol.kind == .function { functions[symbol.value, default: []].append(index) }
        }
        self.definitions = definitions
        self.functions = functions
        relocationsByType = Dictionary(grouping: relocations.indices) { relocations[$0].type }
    }

    func remembered<Value>(_ make: () throws -> Value) rethrows -> Value {
        let key = ObjectIdentifier(Value.self)
        if let known = conclusions[key] as? Conclusion<Value> { return known.value }
        let value = try make()
        conclusions[key] = Conclusion(value)
        return value
    }

    private final class Conclusion<Value> {
        let value: Value

        init(_ value: Value) {
            self.value = value
        }
    }
}
