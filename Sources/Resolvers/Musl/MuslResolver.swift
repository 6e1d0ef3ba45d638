import ELFImage
import LinuxProcess

/// musl's resolver: it reads resolv.conf at every lookup (src/network/resolvconf.c) and keeps nothing. Never stale.
public struct MuslResolver: Sendable {
    public let path: String
    /// Linked into the program rather than loaded.
    public let isStatic: Bool

    /// strerror(0) of musl, which stands in every program that is linked with it statically.
    private static let staticMark = "No error information"

    /// Finds musl as a shared library, or inside a static program.
    public init?(in images: ImageCatalog) {
        for module in images.list.modules where module.file != nil {
            let kind = LibraryKind(name: module.name)
            guard kind == .libc || kind == .loader, let image = try? images.image(of: module) else { continue }
            // glibc gives its symbols versions, musl does not.
            if image.definedVersions.isEmpty, image.definition(of: "res_init") != nil,
                image.definition(of: "getaddrinfo") != nil
            {
                path = module.path
                isStatic = false
                return
            }
        }
        // glibc and Go's own linker leave a mark that is found sooner.
        guard let program = images.program, !program.hasInterpreter,
            !GlibcLibrary.isStatic(program, images.memory), !GoResolver.isAllOf(program, images.memory),
            MuslResolver.isStaticMusl(program, images)
        else { return nil }
        path = program.path
        isStatic = true
    }

    /// What a thread looks up at this moment, if anything.
    public func lookup(of thread: ThreadID, in target: TargetProcess) -> Lookup? {
        Lookup.readAsleep(thread, of: target)
    }

    private static func isStaticMusl(_ program: LoadedModule, _ images: ImageCatalog) -> Bool {
        let mark = Array(staticMark.utf8)
        for region in images.map.regions where region.file == program.file && region.isReadable {
            guard
                let bytes = try? images.memory.readUpTo(
                    region.range.lowerBound, count: min(region.range.count, 16 << 20))
            else { continue }
            if bytes.contains(sequence: mark) { return true }
        }
        return false
    }
}

extension [UInt8] {
    /// Whether another run of bytes stands anywhere in this one.
    func contains(sequence: [UInt8]) -> Bool { firstIndex(of: sequence) != nil }

    /// Where another run of bytes first stands in this one.
    func firstIndex(of sequence: [UInt8], from start: Int = 0) -> Int? {
        guard let first = sequence.first else { return start }
        var index = start
        let last = count - sequence.count
        while index <= last {
            guard let next = self[index...last].firstIndex(of: first) else { return nil }
            if self[next..<next + sequence.count].elementsEqual(sequence) { return next }
            index = next + 1
        }
        return nil
    }
}
