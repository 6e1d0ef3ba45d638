import Glibc
import LinuxProcess

/// A directory that is removed, with all that is in it, when let go of.
public final class TemporaryDirectory {
    public let path: String

    public init() throws {
        var template = Array("/tmp/repoint-test.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", code: errno) }
        path = String(decoding: template.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        // For programs that are not root, too.
        chmod(path, 0o755)
    }

    deinit {
        TemporaryDirectory.remove(path)
    }

    private static func remove(_ path: String) {
        // It refuses a directory, and never follows a link.
        guard unlink(path) != 0 else { return }
        for name in (try? directoryEntries(path)) ?? [] { remove("\(path)/\(name)") }
        rmdir(path)
    }

    /// Puts a copy of a program into it.
    ///
    /// - Returns: the copy's path.
    public func copy(_ program: String, as name: String) throws -> String {
        let copy = "\(path)/\(name)"
        let descriptor = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o755)
        guard descriptor >= 0 else { throw SystemError("create \(copy)", code: errno) }
        defer { close(descriptor) }
        try writeAll(try OwnedDescriptor(opening: program).readToEnd(limit: 1 << 30), to: descriptor)
        return copy
    }
}
