import LinuxProcess

/// What part of the system a shared object is, by its name. Names tell enough: a wrong guess only makes Repoint decline.
public enum LibraryKind: Sendable, Equatable {
    /// The C library proper, with the threads library that stood beside it before glibc 2.34.
    case libc
    /// The dynamic loader (with musl, the C library as well).
    case loader
    /// Name resolution: libresolv, NSS modules, c-ares.
    case resolver
    /// libevent, which holds both an event loop and a resolver.
    case libevent
    case program

    public init(name: String) {
        func isOne(of prefixes: String...) -> Bool { prefixes.contains { name.hasPrefix($0) } }
        self =
            if isOne(of: "libc.so", "libc-2", "libpthread.so", "libpthread-2", "librt.so", "librt-2") {
                .libc
            } else if isOne(of: "ld-linux", "ld-2", "ld.so", "ld-musl") {
                .loader
            } else if isOne(of: "libresolv", "libnss_", "libcares") {
                .resolver
            } else if isOne(of: "libevent") {
                .libevent
            } else {
                .program
            }
    }
}

/// The images of one process, each parsed at most once. For one thread's use.
public final class ImageCatalog {
    public let memory: ProcessMemory
    public let map: MemoryMap
    public let list: ModuleList
    private let cache: ImageCache
    private var parsed: [UInt64: Result<DynamicImage, any Error>] = [:]
    private var lookups: [UInt64: SymbolLookup] = [:]

    /// - Parameter cache: what is known of images from other processes.
    public init(of process: ProcessID, cache: ImageCache = ImageCache()) throws(SystemError) {
        memory = ProcessMemory(of: process)
        map = try MemoryMap(of: process)
        list = ModuleList(map: map, memory: memory)
        self.cache = cache
    }

    /// The program that the process runs; with a loader called by name, what that one loaded.
    public var program: LoadedModule? {
        let files = list.modules.filter { $0.file != nil }
        return files.first { $0.hasInterpreter && LibraryKind(name: $0.name) == .program } ?? files.first
    }

    /// The dynamic part of a module, read on first use.
    public func image(of module: LoadedModule) throws -> DynamicImage {
        if let known = parsed[module.base] { return try known.get() }
        let result = Result {
            DynamicImage(module: module, content: try cache.content(of: module, memory: memory))
        }
        parsed[module.base] = result
        return try result.get()
    }

    /// The address of a function or variable that a module defines; nil where it defines none of this name.
    public func definition(of name: String, in module: LoadedModule) -> UInt64? {
        if let lookup = lookups[module.base] { return lookup.address(of: name) }
        if let lookup = SymbolLookup(in: module, memory: memory) {
            lookups[module.base] = lookup
            return lookup.address(of: name)
        }
        return (try? image(of: module))?.definition(of: name)?.value
    }

    /// What kind of library holds an address.
    public func kind(at address: UInt64) -> LibraryKind? {
        list.module(containing: address).map { LibraryKind(name: $0.name) }
    }

    public func isLibrary(_ kind: LibraryKind, at address: UInt64) -> Bool {
        self.kind(at: address) == kind
    }
}
