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
    /// The address in memory; for a thread-local symbol its offset in the module's TLS block.
    public let value: UInt64
    public let size: UInt64
    public let kind: Kind
    /// Defined here, rather than wanted from elsewhere.
    public let isDefined: Bool
}

/// A relocation with addend (DT_RELA).
public struct Relocation: Sendable, Equatable {
    /// The address in memory of the place that the loader filled.
    public let place: UInt64
    public let type: UInt32
    /// Index into the dynamic symbol table, 0 for none.
    public let symbolIndex: Int
    public let addend: Int64
}

/// What an image says to the dynamic loader: its symbols, relocations, versions and build id.
public struct DynamicImage: Sendable {
    public let module: LoadedModule
    public let soname: String?
    public let needed: [String]
    public let symbols: [DynamicSymbol]
    public let relocations: [Relocation]
    /// The names of the versions it defines, such as `GLIBC_2.36`.
    public let definedVersions: [String]
    /// The linker's fingerprint of the file, in hexadecimal.
    public let buildID: String?

    /// The first symbol of this name that the image itself defines.
    public func definition(of name: String) -> DynamicSymbol? {
        symbols.first { $0.isDefined && $0.name == name }
    }

    /// The defined functions that start at an address.
    public func functions(at address: UInt64) -> [DynamicSymbol] {
        symbols.filter { $0.isDefined && $0.kind == .function && $0.value == address }
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
}
