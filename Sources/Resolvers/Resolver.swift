import ELFImage
import LinuxProcess
import Tracing

/// The resolvers that were found in a process. A further kind is a further case, with a folder of its own.
public enum Resolver {
    case glibc(GlibcResolver)
    case musl(MuslResolver)
    /// A library whose objects each have a configuration of their own.
    case channels(ChannelResolver)
    /// A resolver is there but cannot be read: which library, and why.
    case opaque(library: String, path: String, reason: OpaqueReason)

    /// It is a library with channels.
    public var hasChannels: Bool {
        if case .channels = self { true } else { false }
    }

    /// Looks for every resolver Repoint knows: that of the C library first, then libraries that bring one of their own.
    public static func find(in target: TargetProcess) -> [Resolver] {
        let own = cLibrary(in: target)
        var glibc: GlibcLibrary?
        if case .glibc(let resolver) = own { glibc = resolver.library }
        let libraries: [any ChannelLibrary] =
            CAresLibrary.all(in: target.images) + EvdnsLibrary.all(in: target.images)
        return [own] + libraries.map { .channels(ChannelResolver($0, target: target, glibc: glibc)) }
    }

    private static func cLibrary(in target: TargetProcess) -> Resolver {
        if let musl = MuslResolver(in: target.images) { return .musl(musl) }
        do {
            if let library = try GlibcLibrary(in: target.images) {
                return .glibc(GlibcResolver(library, target: target))
            }
        } catch {
            let path = target.images.list.modules.first { LibraryKind(name: $0.name) == .libc }?.path ?? ""
            let reason = error as? OpaqueReason ?? OpaqueReason("\(error)")
            return .opaque(library: "glibc", path: path, reason: reason)
        }
        let program = target.images.list.modules.first { $0.file != nil }
        return .opaque(
            library: "unknown", path: program?.path ?? target.executable,
            reason: OpaqueReason("no C library is loaded: a static program, whose resolver has no symbols"))
    }
}
