import ELFImage
import LinuxProcess
import ResolvConf
import Tracing

/// glibc as it lies in one process: its version, its entry points, and where threads keep their resolver state.
public struct GlibcLibrary: Sendable {
    public let path: String
    /// Such as `2.36`.
    public let version: String
    public let buildID: String?
    /// `__res_init`
    public let reinitialize: UInt64
    /// How a function called in a thread finds back.
    public let wayBack: WayBack?
    /// The thread checks resolv.conf at each lookup (2.26 and later, or a backport).
    public let reloadsByItself: Bool
    /// Offset of the pointer to the state from a thread's thread pointer.
    let stateOffset: Int64
    /// Offset of `current`, which is not NULL while a lookup is under way in the thread.
    let contextOffset: Int64?
    /// Offset of `errno`.
    let errnoOffset: Int64?
    /// Where the pointer to the table of configurations lies: .data and .bss, unless it is known better.
    let writableRanges: [Range<UInt64>]
    /// Why no function of it may be called in any thread.
    public let callHindrance: String?

    /// Finds glibc in a process.
    ///
    /// - Returns: nil where there is none.
    /// - Throws: ``OpaqueReason`` where it is there and cannot be understood.
    public init?(in images: ImageCatalog) throws {
        let candidates = images.list.modules.filter {
            $0.file != nil && LibraryKind(name: $0.name) == .libc && $0.name.hasPrefix("libc")
        }
        let libraries = candidates.compactMap { module -> (LoadedModule, Result<DynamicImage, any Error>)? in
            let image = Result { try images.image(of: module) }
            // musl's is called libc.so too.
            if let found = try? image.get(), found.definedVersions.isEmpty { return nil }
            return (module, image)
        }
        guard let (module, result) = libraries.first else { return nil }
        let hasStatic = images.program.map { GlibcLibrary.isStatic($0, images.memory) } ?? false
        let count = libraries.count + (hasStatic ? 1 : 0)
        guard count == 1 else { throw SeveralLibraries(count: count, path: module.path) }
        let image: DynamicImage
        do {
            image = try result.get()
        } catch {
            throw OpaqueReason("its libc cannot be parsed: \(error)")
        }
        guard let statePointer = image.definition(of: "__resp"), statePointer.kind == .threadLocal,
            let function = image.definition(of: "__res_init"), let accessor = image.definition(of: "__res_state")
        else { throw OpaqueReason("\(module.path) has no resolver that is known") }

        let slots = image.relocations(ofType: Native.threadOffsetRelocation)
        func offsetSlot(of name: String, _ value: UInt64) -> Relocation? {
            slots.first { relocation in
                relocation.symbolIndex == 0
                    ? relocation.addend == Int64(value)
                    : image.symbolName(at: relocation.symbolIndex) == name
            }
        }
        guard let slot = offsetSlot(of: "__resp", statePointer.value) else {
            throw OpaqueReason("\(module.path) has no slot for the offset of __resp")
        }
        #if arch(x86_64)
            let code = try images.memory.read(accessor.value, count: 32)
            guard GlibcMachineCode.slotOfStatePointer(code, at: accessor.value) == slot.place else {
                throw OpaqueReason("\(module.path): its __res_state and its relocations do not agree")
            }
        #endif

        path = module.path
        version = GlibcLibrary.version(of: image, images.memory)
        buildID = image.buildID
        reinitialize = function.value
        stateOffset = try images.memory.load(slot.place)
        let contextGet = image.definition(of: "__resolv_context_get")
        reloadsByItself = contextGet != nil
        contextOffset = try contextGet.flatMap { function -> Int64? in
            let code = try images.memory.read(function.value, count: 96)
            guard let place = GlibcMachineCode.slotOfCurrentContext(code, at: function.value),
                slots.contains(where: { $0.place == place })
            else { return nil }
            return try images.memory.load(place)
        }
        let errno = image.definition(of: "errno").flatMap { offsetSlot(of: "errno", $0.value) }
        errnoOffset = try errno.map { try images.memory.load($0.place) }
        wayBack = GlibcLibrary.wayBack(in: image, images.memory)
        writableRanges = module.writableRanges
        callHindrance = nil
    }

    /// Takes what was found in a static program (``init(static:in:images:)``).
    init(static program: LoadedModule, _ parts: StaticParts, buildID: String?) {
        path = program.path
        version = parts.version
        self.buildID = buildID
        reinitialize = parts.reinitialize
        wayBack = nil
        reloadsByItself = parts.contextOffset != nil
        stateOffset = parts.stateOffset
        contextOffset = parts.contextOffset
        errnoOffset = nil
        writableRanges = parts.configurationTable.map { [$0..<$0 + 8] } ?? []
        callHindrance =
            "the C library and the program are one image: where a thread's stack is in which of them cannot be told"
    }

    /// What `gnu_get_libc_version` would return. Symbol versions tell less: 2.31 added none on x86-64.
    private static func version(of image: DynamicImage, _ memory: ProcessMemory) -> String {
        if let function = image.definition(of: "gnu_get_libc_version"),
            let code = try? memory.read(function.value, count: 16),
            let text = GlibcMachineCode.returnedAddress(code, at: function.value),
            let version = try? memory.readString(text, limit: 16),
            version.allSatisfy({ $0.isNumber || $0 == "." }), version.hasPrefix("2.")
        {
            return version
        }
        return image.newestVersion(prefix: "GLIBC_") ?? "2"
    }

    /// libc's code is searched once for all processes that map the same file, and looked at again in each.
    private static func wayBack(in image: DynamicImage, _ memory: ProcessMemory) -> WayBack? {
        let bias = image.module.bias
        let inFile = try? image.remembered {
            // Of a process that ends meanwhile only a part can be searched, and nothing be seen afterwards.
            guard let found = WayBack(in: image.module.executableRanges, memory: memory), found.isThere(memory) else {
                throw OpaqueReason("\(image.module.path) has no way back from a signal handler that is known")
            }
            return found.moved(by: 0 &- bias)
        }
        guard let found = inFile?.moved(by: bias), found.isThere(memory) else { return nil }
        return found
    }

    /// The state of one thread, by its thread pointer.
    func state(threadPointer: UInt64, memory: ProcessMemory) throws -> GlibcThreadState {
        let address: UInt64 = try memory.load(threadPointer &+ UInt64(bitPattern: stateOffset))
        guard address != 0 else { throw OpaqueReason("the thread has no resolver state") }
        return try GlibcThreadState(at: address, memory: memory)
    }

    /// A lookup is under way in the thread; nil where this libc does not let us know.
    func isLookingUp(threadPointer: UInt64, memory: ProcessMemory) throws -> Bool? {
        guard let contextOffset else { return nil }
        let context: UInt64 = try memory.load(threadPointer &+ UInt64(bitPattern: contextOffset))
        return context != 0
    }

    /// Option bits that this release knows.
    var knownBits: GlibcOptionBits { .known(in: version) }
}
