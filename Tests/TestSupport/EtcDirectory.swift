import Glibc
import LinuxProcess

/// A directory that stands for /etc in a victim's mount namespace. It is removed when let go of.
public final class EtcDirectory {
    private let directory: TemporaryDirectory
    public var path: String { directory.path }

    /// - Parameter resolvConf: the text of resolv.conf; nil for none.
    public init(resolvConf: String?) throws {
        directory = try TemporaryDirectory()
        try write("127.0.0.1 localhost\n::1 localhost\n", to: "hosts")
        try write("hosts: files dns\npasswd: files\ngroup: files\n", to: "nsswitch.conf")
        try write("root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n", to: "passwd")
        if let resolvConf { try write(resolvConf, to: "resolv.conf") }
    }

    /// How a file gets a new text.
    public enum Change: Sendable, CaseIterable {
        /// A new file takes the old one's name, as careful programs do it: another inode.
        case rename
        /// The old file is truncated and written: the same inode.
        case rewrite
    }

    /// Gives resolv.conf a new text.
    public func change(to text: String, by change: Change = .rename) throws {
        switch change {
        case .rewrite:
            try write(text, to: "resolv.conf")
        case .rename:
            try write(text, to: "resolv.conf.new")
            guard rename("\(path)/resolv.conf.new", "\(path)/resolv.conf") == 0 else {
                throw SystemError("rename resolv.conf", code: errno)
            }
        }
    }

    public func removeResolvConf() throws {
        guard unlink("\(path)/resolv.conf") == 0 else { throw SystemError("unlink resolv.conf", code: errno) }
    }

    /// Takes the right to read resolv.conf from everybody but its owner, root.
    public func restrictResolvConf() throws {
        guard chmod("\(path)/resolv.conf", 0o600) == 0 else { throw SystemError("chmod resolv.conf", code: errno) }
    }

    public func write(_ text: String, to name: String) throws {
        let descriptor = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SystemError("create \(path)/\(name)", code: errno) }
        defer { close(descriptor) }
        try writeAll(Array(text.utf8), to: descriptor)
    }
}
