import Glibc
import LinuxProcess
import Testing

/// What sets a container apart from the machine (options of TestTargets/container). A mount namespace and a root directory of its own
/// it always has.
public enum Isolation: String, Sendable, CaseIterable, CustomTestStringConvertible {
    case pid
    case net
    case user
    /// Its root directory is changed by chroot(2), and not that of its mount namespace.
    case chroot

    public var testDescription: String { rawValue }

    /// As container runtimes do it by default.
    public static let all: Set<Isolation> = [.pid, .net, .user]
}

extension Libc {
    /// The files that a dynamically linked victim needs in a root directory of its own, as `FROM=TO`.
    func containerFiles() throws -> [String] {
        let loader = "/lib64/ld-linux-x86-64.so.2"
        let libraries = "/lib/x86_64-linux-gnu"
        switch self {
        case .host:
            return [loader, "\(libraries)/libc.so.6", "\(libraries)/libresolv.so.2"].map { "\($0)=\($0)" }
        case .bullseye, .bookworm, .trixie, .sid:
            let files = "\(Stage.targets)/libcs/cache/\(rawValue)"
            try require("\(files)/loader", because: "the C library of \(rawValue)")
            return ["\(files)/loader=\(loader)", "\(files)/libs=\(libraries)"]
        case .musl:
            return ["/lib/ld-musl-x86_64.so.1=/lib/ld-musl-x86_64.so.1"]
        case .muslStatic:
            return []
        }
    }

    /// A victim built for this library, to be run by the loader it asks for.
    func containerProgram(_ name: String) throws -> String {
        let build = isGlibc && self != .host ? "bullseye" : rawValue
        let path = "\(Stage.targets)/build/\(build)/\(name)"
        try require(path, because: "\(name) for \(rawValue)")
        return path
    }
}

extension ResolverVictim {
    /// Starts the victim `resolver` in a container that holds nothing but it, its C library and an /etc.
    ///
    /// - Parameters:
    ///   - program: another build of the victim.
    ///   - files: what else is to be copied into it, as `FROM=TO`.
    public static func inContainer(
        _ libc: Libc, _ isolation: Set<Isolation> = Isolation.all, etc: EtcDirectory, threads: Int = 2,
        program: String? = nil, files: [String] = []
    ) throws -> ResolverVictim {
        let program = try program ?? libc.containerProgram("resolver")
        let copied = ["\(program)=/bin/resolver", "\(etc.path)=/etc"] + (try libc.containerFiles()) + files
        let command =
            ["\(Stage.targets)/build/host/container"] + isolation.map { "--\($0)" }.sorted()
            + copied.flatMap { ["--copy", $0] } + ["--", "/bin/resolver", "--threads", "\(threads)"]
        let victim = try Victim(command)
        guard isolation.contains(.pid) else { return ResolverVictim(victim) }
        // It knows only the numbers inside.
        guard let id = try ProcessID.all().first(where: { (try? ProcessStat(of: $0).parent) == victim.id }) else {
            throw TestSupportError("the container of \(victim.name) has no process")
        }
        var outside: [Int32: Int32] = [:]
        for thread in try id.threads() {
            let numbers = try ProcessStatus(of: thread, in: id).namespacePIDs
            if let inner = numbers.last { outside[inner] = thread.rawValue }
        }
        let inner = victim.ready.dropFirst().compactMap { Int32($0) }
        return ResolverVictim(victim, id: id, threads: inner.compactMap { outside[$0] })
    }

    /// Its root directory, as it can be reached from outside.
    public var root: String { "/proc/\(id)/root" }

    /// Puts a file into its root directory, under another name first: the old one, should somebody have it, stays what it is.
    public func install(_ bytes: [UInt8], as path: String, mode: mode_t = 0o644) throws {
        let temporary = "\(root)\(path).new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw SystemError("create \(temporary)", code: errno) }
        defer { close(descriptor) }
        try writeAll(bytes, to: descriptor)
        guard rename(temporary, "\(root)\(path)") == 0 else { throw SystemError("rename \(temporary)", code: errno) }
    }

    /// Gives its resolv.conf a new text.
    public func changeResolvConf(to text: String) throws { try install(Array(text.utf8), as: "/etc/resolv.conf") }
}
