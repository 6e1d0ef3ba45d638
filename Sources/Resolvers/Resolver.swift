import ELFImage
import LinuxProcess
import Tracing

/// The resolvers that were found in a process. A further kind is a further case, with a folder of its own.
public enum Resolver {
    case glibc(GlibcResolver)
    case musl(MuslResolver)
    /// A library whose objects each have a configuration of their own.
    case channels(ChannelResolver)
    case go(GoResolver)
    /// Code of the program's own beside the libraries.
    case own(OwnResolver)
    /// A resolver is there but cannot be read: which library, and why.
    case opaque(library: String, path: String, reason: OpaqueReason)
    /// Several libraries of a kind are there, and which of them resolves is not known.
    case ambiguous(library: String, path: String, reason: OpaqueReason)

    public var isGlibc: Bool {
        if case .glibc = self { true } else { false }
    }

    /// It is a library with channels.
    public var hasChannels: Bool {
        if case .channels = self { true } else { false }
    }

    /// Looks for every resolver Repoint knows: that of the C library first, then libraries that bring one of their own.
    public static func find(in target: TargetProcess) -> [Resolver] {
        let go = GoResolver(in: target.images)
        var found: [Resolver] = []
        if let library = cLibrary(in: target) {
            found.append(library)
        } else if go == nil {
            found.append(staticProgram(in: target))
        }
        if let go { found.append(.go(go)) }
        var glibc: GlibcLibrary?
        if case .glibc(let resolver)? = found.first { glibc = resolver.library }
        let libraries: [any ChannelLibrary] =
            CAresLibrary.all(in: target.images) + EvdnsLibrary.all(in: target.images)
        found += libraries.map {
            .channels(ChannelResolver($0, target: target, glibc: glibc, isOnlyOne: isOnlyOne($0, of: libraries)))
        }
        if let own = OwnResolver(in: target) { found.append(.own(own)) }
        return found
    }

    private static func isOnlyOne(_ library: any ChannelLibrary, of libraries: [any ChannelLibrary]) -> Bool {
        libraries.count { type(of: $0).name == type(of: library).name } == 1
    }

    /// The resolver of the C library, loaded or linked into the program.
    private static func cLibrary(in target: TargetProcess) -> Resolver? {
        let images = target.images
        let musl = MuslResolver(in: images)
        var path = images.list.modules.first { LibraryKind(name: $0.name) == .libc }?.path
        do {
            let glibc = try GlibcLibrary(in: images)
            if let musl, glibc != nil { throw SeveralLibraries(count: 2, path: musl.path) }
            if let musl { return .musl(musl) }
            if let glibc { return .glibc(GlibcResolver(glibc, target: target)) }
            guard let program = images.program, GlibcLibrary.isStatic(program, images.memory) else { return nil }
            path = program.path
            let library = try GlibcLibrary(static: program, in: target.id, images: images)
            return .glibc(GlibcResolver(library, target: target))
        } catch let several as SeveralLibraries {
            return .ambiguous(library: "glibc", path: several.path, reason: several.reason)
        } catch {
            let reason = error as? OpaqueReason ?? OpaqueReason("\(error)")
            return .opaque(library: "glibc", path: path ?? "", reason: reason)
        }
    }

    /// A program without any C library that is known.
    private static func staticProgram(in target: TargetProcess) -> Resolver {
        .opaque(
            library: "unknown", path: target.images.program?.path ?? target.executable,
            reason: OpaqueReason(
                target.isStarting
                    ? "no C library is loaded: it is only just starting, or does without"
                    : "no C library is loaded: a static program, whose resolver has no symbols"))
    }
}
