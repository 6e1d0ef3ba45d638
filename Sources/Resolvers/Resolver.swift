import ELFImage
import LinuxProcess
import Tracing

/// The resolvers that were found in a process. A further kind is a further case, with a folder of its own.
public enum Resolver {
    case glibc(GlibcResolver)
    case musl(MuslResolver)
    /// A resolver is there but cannot be read: which library, and why.
    case opaque(library: String, path: String, reason: OpaqueReason)

    /// Looks for every resolver Repoint knows.
    public static func find(in target: TargetProcess) -> [Resolver] {
        if let musl = MuslResolver(in: target.images) { return [.musl(musl)] }
        do {
            if let library = try GlibcLibrary(in: target.images) {
                return [.glibc(GlibcResolver(library, target: target))]
            }
        } catch {
            let path = target.images.list.modules.first { LibraryKind(name: $0.name) == .libc }?.path ?? ""
            let reason = error as? OpaqueReason ?? OpaqueReason("\(error)")
            return [.opaque(library: "glibc", path: path, reason: reason)]
        }
        let program = target.images.list.modules.first { $0.file != nil }
        return [
            .opaque(
                library: "unknown", path: program?.path ?? target.executable,
                reason: OpaqueReason("no C library is loaded: a static program, whose resolver has no symbols"))
        ]
    }
}
