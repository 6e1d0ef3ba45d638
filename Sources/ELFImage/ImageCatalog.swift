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
    private var parsed: [UInt64: Result<DynamicImage, any Error>] = [:]

    public init(of process: ProcessID) throws(SystemError) {
        memory = ProcessMemory(of: process)
        map = try MemoryMap(of: process)
        list = ModuleList(map: map, memory: memory)
    }

    /// The program that the process runs; with a loader called by name, what that one loaded.
    public var program: LoadedModule? {
        let files = list.modules.filter { $0.file != nil }
        return files.first { $0.hasInterpreter && LibraryKind(name: $0.name) == .program } ?? files.first
    }

    /// The dynamic part of a module, read on first use.
    public func image(of module: LoadedModule) throws -> DynamicImage {
        if let known = parsed[module.base] { return try known.get() }
        let result = Result { try DynamicImage(of: module, memory: memory) }
        parsed[module.base] = result
        return try result.get()
    }

    /// What kind of library holds an address.
    public func kind(at address: UInt64) -> LibraryKind? {
        list.module(containing: address).map { LibraryKind(name: $0.name) }
    }

    public func isLibrary(_ kind: LibraryKind, at address: UInt64) -> Bool {
        self.kind(at: address) == kind
    }
}
