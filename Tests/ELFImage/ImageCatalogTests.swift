import Glibc
import Testing

@testable import ELFImage
@testable import LinuxProcess

/// The images of this test program itself.
@Suite("ImageCatalog")
struct ImageCatalogTests {
    private let images: ImageCatalog
    private let libc: LoadedModule
    private let image: DynamicImage

    init() throws {
        images = try ImageCatalog(of: .own)
        libc = try #require(images.list.modules.first { $0.name == "libc.so.6" })
        image = try images.image(of: libc)
    }

    private func address(_ symbol: String) throws -> UInt64 {
        UInt64(UInt(bitPattern: try #require(dlsym(nil, symbol))))
    }

    @Test("libc is found, with its file and its place")
    func libcModule() throws {
        #expect(libc.path.hasPrefix("/"))
        #expect(libc.file != nil)
        #expect(!libc.isDeleted)
        #expect(LibraryKind(name: libc.name) == .libc)
        #expect(libc.range.contains(try address("getpid")))
        #expect(libc.executableRanges.contains { $0.contains(libc.base) } == false)
        #expect(libc.writableRanges.allSatisfy { libc.range.contains($0.lowerBound) })
        #expect(!libc.writableRanges.isEmpty)
    }

    @Test(
        "libc's functions are where the loader says",
        arguments: ["__res_init", "getpid", "malloc", "gnu_get_libc_version"])
    func functions(name: String) throws {
        let symbol = try #require(image.definition(of: name))
        #expect(symbol.value == (try address(name)))
        #expect(symbol.kind == .function)
        #expect(symbol.isDefined)
        #expect(image.functions(at: symbol.value).contains { $0.name == name })
    }

    @Test("the thread-local pointer to the resolver's state is told apart from functions")
    func threadLocal() throws {
        let symbol = try #require(image.definition(of: "__resp"))
        #expect(symbol.kind == .threadLocal)
        // An offset, not an address.
        #expect(symbol.value < 0x10000)
    }

    @Test(
        "an exported symbol is found through the hash table alone",
        arguments: ["__res_init", "getpid", "malloc", "__resp", "environ"])
    func exported(name: String) throws {
        let definition = try #require(image.definition(of: name))
        let lookup = try #require(SymbolLookup(in: libc, memory: images.memory))
        #expect(lookup.address(of: name) != nil)
        if definition.kind != .threadLocal { #expect(lookup.address(of: name) == definition.value) }
    }

    @Test(
        "what is not exported, or only wanted from elsewhere, is not found",
        arguments: ["nonesuch", "", "__tls_get_addr"])
    func notExported(name: String) throws {
        let lookup = try #require(SymbolLookup(in: libc, memory: images.memory))
        #expect(lookup.address(of: name) == nil)
    }

    @Test("libc carries the mark of glibc's start-up code, and nothing that Go's linker leaves")
    func notes() {
        #expect(libc.has(.abiTag, memory: images.memory))
        #expect(!libc.has(.goBuildID, memory: images.memory))
    }

    @Test("a file that is mapped only to be read is no image, one that is loaded stays one")
    func onlyMapped() throws {
        let size = 1 << 16
        let descriptor = try OwnedDescriptor(opening: "/proc/self/exe")
        let mapped = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor.rawValue, 0)
        try #require(mapped != MAP_FAILED)
        defer { munmap(mapped, size) }
        let address = UInt64(UInt(bitPattern: mapped))
        let again = try ImageCatalog(of: .own)
        #expect(again.map.regions.contains { $0.range.contains(address) && $0.offset == 0 })
        #expect(!again.list.modules.contains { $0.base == address })
        #expect(again.list.modules.contains { $0.base == libc.base })
    }

    @Test(
        "a program's thread-local variables end at the thread pointer, as far as the block is aligned",
        arguments: [
            (0x78, 8, 0, -0x78), (0x78, 8, 0x48, -0x30), (0x78, 64, 0, -0x80), (0x80, 64, 0x7f, -1), (1, 1, 0, -1),
        ] as [(UInt64, UInt64, UInt64, Int64)])
    func threadLocalOffset(size: UInt64, alignment: UInt64, variable: UInt64, offset: Int64) {
        let block = LoadedModule.ThreadLocalBlock(image: 0, size: size, alignment: alignment)
        #expect(block.offset(of: variable) == offset)
        #expect(block.offset(of: size) == nil)
    }

    @Test("the full symbol table is that of the file a process runs")
    func symbolTable() throws {
        let program = try #require(images.program)
        let names: Set = ["main", "nonesuch"]
        let table = try SymbolTable(of: program, in: .own, memory: images.memory, names: names)
        #expect(table?["nonesuch"] == nil)
        #expect(throws: ELFError.self) {
            try SymbolTable(of: libc, in: .own, memory: images.memory, names: names)
        }
    }

    @Test("a name that libc does not define is not found")
    func noFunction() {
        #expect(image.definition(of: "no_such_function") == nil)
        #expect(image.functions(at: 8).isEmpty)
    }

    @Test("the build id is the one that readelf prints", .enabled(if: access("/usr/bin/readelf", X_OK) == 0))
    func buildID() throws {
        let printed = try String(
            decoding: ChildProcess("/usr/bin/readelf", ["-n", libc.path]).output.readToEnd(), as: UTF8.self)
        let identifier = try #require(image.buildID)
        #expect(identifier.count == 40)
        #expect(printed.contains("Build ID: \(identifier)"))
    }

    @Test("the dynamic symbols are those that readelf counts", .enabled(if: access("/usr/bin/readelf", X_OK) == 0))
    func symbolCount() throws {
        let printed = try String(
            decoding: ChildProcess("/usr/bin/readelf", ["--dyn-syms", "-W", libc.path]).output.readToEnd(),
            as: UTF8.self)
        // Symbol table '.dynsym' contains 3033 entries:
        let words = try #require(printed.split(separator: "\n").first { $0.contains(".dynsym") }).split(separator: " ")
        #expect(words.contains(Substring(String(image.symbols.count))))
    }

    @Test("libc says its name and its versions")
    func versions() throws {
        #expect(image.soname == "libc.so.6")
        #expect(image.needed.contains { $0.hasPrefix("ld-linux") })
        #expect(image.definedVersions.contains("GLIBC_2.2.5"))
        // Not every release adds a version of its own, and none defines a later one.
        let newest = try #require(image.newestVersion(prefix: "GLIBC_"))
        typealias Version = @convention(c) () -> UnsafePointer<CChar>
        let running = String(
            cString: unsafeBitCast(try #require(dlsym(nil, "gnu_get_libc_version")), to: Version.self)())
        let numbers = [newest, running].map { $0.split(separator: ".").compactMap { Int($0) } }
        #expect(!numbers[1].lexicographicallyPrecedes(numbers[0]))
    }

    @Test("the slot of the state's pointer is among the relocations")
    func relocations() throws {
        #expect(!image.relocations.isEmpty)
        #expect(image.relocations.allSatisfy { libc.range.contains($0.place) })
        #expect(image.relocations.allSatisfy { image.symbols.indices.contains($0.symbolIndex) })
        #if arch(x86_64)
            // R_X86_64_TPOFF64
            #expect(image.relocations.contains { $0.type == 18 })
        #endif
    }

    @Test("a module is found by any address in it, and by none outside of all")
    func byAddress() throws {
        let list = images.list
        #expect(list.modules.map(\.base) == list.modules.map(\.base).sorted())
        for module in list.modules {
            #expect(list.module(containing: module.range.lowerBound)?.base == module.base)
            #expect(list.module(containing: module.range.upperBound - 1)?.base == module.base)
        }
        #expect(list.module(containing: 0) == nil)
        #expect(list.module(containing: UInt64.max) == nil)
        var local = 0
        withUnsafePointer(to: &local) { #expect(list.module(containing: UInt64(UInt(bitPattern: $0))) == nil) }
        #expect(images.kind(at: try address("getpid")) == .libc)
        #expect(images.kind(at: 8) == nil)
    }

    @Test("every module of ours can be read")
    func everyModule() throws {
        #expect(images.list.modules.count > 5)
        for module in images.list.modules {
            let image = try images.image(of: module)
            #expect(image.module.base == module.base)
            #expect(image.symbols.allSatisfy { !$0.isDefined || !$0.name.contains("\0") })
        }
    }

    @Test("the vDSO, which has no file, is read like any other")
    func vdso() throws {
        let module = try #require(images.list.modules.first { $0.path == "[vdso]" })
        #expect(module.file == nil)
        let image = try images.image(of: module)
        #if arch(x86_64)
            #expect(image.soname == "linux-vdso.so.1")
            #expect(image.definition(of: "__vdso_clock_gettime")?.kind == .function)
        #endif
        #expect(image.buildID != nil)
    }

    @Test("the program has an interpreter and an entry, and libc is no program")
    func program() throws {
        let path = try ProcessID.own.executable()
        let program = try #require(images.list.modules.first { $0.path == path })
        #expect(program.hasInterpreter)
        #expect(program.executableRanges.contains { $0.contains(program.entry) })
        #expect(program.unwindTable != nil)
    }
}

@Suite("DynamicImage")
struct DynamicImageTests {
    @Test(
        "the newest version is the one with the largest numbers",
        arguments: [
            (["GLIBC_2.2.5", "GLIBC_2.36", "GLIBC_2.4"], "2.36"), (["GLIBC_2.9", "GLIBC_2.10"], "2.10"),
            (["GLIBC_PRIVATE", "GLIBC_2.3.4", "GLIBC_2.3"], "2.3.4"), (["GLIBC_PRIVATE", "libc.so.6"], nil), ([], nil),
            (["CARES_1.0"], nil),
        ] as [([String], String?)])
    func newestVersion(versions: [String], newest: String?) throws {
        let images = try ImageCatalog(of: .own)
        let module = try #require(images.list.modules.first)
        let image = DynamicImage(module: module, content: ImageContent(definedVersions: versions))
        #expect(image.newestVersion(prefix: "GLIBC_") == newest)
    }
}

@Suite("LibraryKind")
struct LibraryKindTests {
    @Test(
        "a library's part is told by its name",
        arguments: [
            ("libc.so.6", LibraryKind.libc), ("libc-2.31.so", .libc), ("libpthread.so.0", .libc),
            ("librt-2.31.so", .libc),
            ("ld-linux-x86-64.so.2", .loader), ("ld-2.31.so", .loader), ("ld-musl-x86_64.so.1", .loader),
            ("libresolv.so.2", .resolver), ("libnss_dns.so.2", .resolver), ("libcares.so.2.5.1", .resolver),
            ("libevent-2.1.so.7", .libevent), ("libcurl.so.4", .program), ("libcap.so.2", .program),
            ("libc++.so.1", .program),
            ("pgbouncer", .program), ("", .program), ("[vdso]", .program), ("libcrypt.so.1", .program),
        ])
    func kinds(name: String, kind: LibraryKind) {
        #expect(LibraryKind(name: name) == kind)
    }
}
