import ELFImage
import LinuxProcess

/// A c-ares that was linked into a program instead of loaded beside it, as Node's own builds have it. It is only named.
struct LinkedCAres {
    let path: String
    let reason: OpaqueReason

    /// Nothing where c-ares is a library of its own: then whoever uses it uses that one.
    init?(in images: ImageCatalog) {
        guard !images.list.modules.contains(where: { $0.name.hasPrefix("libcares.so") }),
            let module = images.program, module.exports("ares_init_options", memory: images.memory)
        else { return nil }
        path = module.path
        let isNode = module.exports(LinkedCAres.nodeMark, memory: images.memory)
        reason = OpaqueReason(
            isNode
                ? "c-ares is linked into Node, for dns.resolve() and its kin alone (dns.lookup(), and so http and net, use glibc): "
                    + "its channels cannot be read"
                : "c-ares is linked into the program: its channels cannot be read")
    }

    /// `_register_cares_wrap()`, the module of Node that binds c-ares.
    private static let nodeMark = "_Z20_register_cares_wrapv"
}
