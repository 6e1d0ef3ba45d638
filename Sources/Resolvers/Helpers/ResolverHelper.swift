import ELFImage
import LinuxProcess
import ResolvConf

/// A service outside of a process that resolves names for it, or keeps answers.
public struct ResolverHelper: Sendable, Equatable {
    public enum Kind: String, Sendable {
        case nscd
        case resolved = "systemd-resolved"
    }

    public let kind: Kind
    /// The service's process; nil where it is not known.
    public let process: ProcessID?
    /// How it is known that the process uses it.
    public let why: String

    public init(_ kind: Kind, process: ProcessID?, why: String) {
        self.kind = kind
        self.process = process
        self.why = why
    }

    // MARK: Finding them

    /// What a process really uses.
    ///
    /// - Parameter isGlibc: its resolver is glibc's, the only one that asks nscd for addresses and has NSS modules.
    public static func find(for target: TargetProcess, isGlibc: Bool) -> [ResolverHelper] {
        guard let root = try? RootDirectory(of: target.id) else { return [] }
        return [isGlibc ? nscd(root) : nil, resolved(root, target, isGlibc: isGlibc)].compactMap { $0 }
    }

    /// glibc's _PATH_NSCDSOCKET.
    private static let nscdSocket = "/var/run/nscd/socket"

    private static func nscd(_ root: borrowing RootDirectory) -> ResolverHelper? {
        guard let answer = root.connect(to: nscdSocket), cachesHosts(root) else { return nil }
        return ResolverHelper(
            .nscd, process: answer.listener, why: "nscd listens on \(nscdSocket), where its libc asks first")
    }

    /// nscd.conf(5): what is not enabled is not asked for.
    private static func cachesHosts(_ root: borrowing RootDirectory) -> Bool {
        guard let bytes = try? root.read("/etc/nscd.conf") else { return true }
        var isEnabled = true
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            if words.count >= 3, words[0] == "enable-cache", words[1] == "hosts" { isEnabled = words[2] == "yes" }
        }
        return isEnabled
    }

    /// The addresses of the stub, with and without its own ideas about names (systemd-resolved.service(8)).
    private static let stubs = ["127.0.0.53", "127.0.0.54"]
    /// Where nss-resolve asks.
    private static let resolvedSocket = "/run/systemd/resolve/io.systemd.Resolve"
    /// What nss-resolve is called in nsswitch.conf(5).
    private static let module = "resolve"

    private static func resolved(_ root: borrowing RootDirectory, _ target: TargetProcess, isGlibc: Bool)
        -> ResolverHelper?
    {
        let servers = target.expected.nameservers.map(\.description)
        if let stub = servers.first(where: stubs.contains) {
            return ResolverHelper(
                .resolved, process: root.connect(to: resolvedSocket)?.listener,
                why: "its \(TargetProcess.resolvConfPath) names \(stub), the stub of systemd-resolved")
        }
        // The module is loaded at the first lookup, and passed over where nobody answers it.
        guard isGlibc, hostSources(root).contains(module), let answer = root.connect(to: resolvedSocket) else {
            return nil
        }
        return ResolverHelper(
            .resolved, process: answer.listener, why: "its /etc/nsswitch.conf has hosts looked up by nss-resolve")
    }

    /// The words of the line `hosts:`.
    private static func hostSources(_ root: borrowing RootDirectory) -> [String] {
        guard let bytes = try? root.read("/etc/nsswitch.conf") else { return [] }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let text = line.prefix { $0 != "#" }
            guard let colon = text.firstIndex(of: ":"), text[..<colon].trimming(" \t") == "hosts" else { continue }
            return text[text.index(after: colon)...].split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
        }
        return []
    }
}

extension ResolverHelper.Kind {
    /// What makes it forget its answers: programs to try, each with its arguments.
    public var commands: [[String]] {
        switch self {
        case .nscd: [["nscd", "-i", "hosts"]]
        // Before systemd 239 it had another name.
        case .resolved: [["resolvectl", "flush-caches"], ["systemd-resolve", "--flush-caches"]]
        }
    }

    /// The command for a person to type.
    public var command: String { commands[0].joined(separator: " ") }

    /// The command name of its process, of which the kernel keeps 15 bytes.
    public var processName: String { String(rawValue.prefix(15)) }
}
