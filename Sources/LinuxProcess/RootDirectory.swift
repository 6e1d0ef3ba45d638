import CLinux
import Glibc

/// A process's own root directory (/proc/PID/root): its container's or chroot's file system, not ours.
public struct RootDirectory: ~Copyable {
    fileprivate let descriptor: OwnedDescriptor

    public init(of process: ProcessID) throws(SystemError) {
        descriptor = try OwnedDescriptor(opening: "\(process.procPath)/root", flags: O_PATH_DIRECTORY)
    }

    /// Reads a file by its path inside this root. Absolute symbolic links are followed inside it, never out of it.
    public func read(_ path: String) throws(SystemError) -> [UInt8] {
        let opened = clinux_open_in_root(descriptor.rawValue, path, O_RDONLY | O_NONBLOCK)
        guard opened >= 0 else { throw SystemError("open \(path) in the root of the process", code: -opened) }
        return try OwnedDescriptor(adopting: opened).readToEnd(limit: 1 << 20)
    }
}

extension RootDirectory {
    /// Whether a process could open a file for reading: tried with its user and group id for files, not with ours.
    public func canRead(_ path: String, as process: ProcessID) throws(SystemError) -> Bool {
        let status = try ProcessStatus(of: process)
        let opened = clinux_open_as(
            descriptor.rawValue, path, O_RDONLY | O_NONBLOCK, status.fileUserID, status.fileGroupID)
        guard opened >= 0 else { return false }
        _ = OwnedDescriptor(adopting: opened)
        return true
    }
}

extension RootDirectory {
    /// A service that answered on a socket.
    public struct Answer: Sendable {
        /// The process that listens, as far as our PID namespace numbers it.
        public let listener: ProcessID?
    }

    /// Connects to a stream socket by its path in this root, and hangs up: whoever is behind it is there.
    public func connect(to path: String) -> Answer? {
        var listener: Int32 = 0
        guard clinux_connect_in_root(descriptor.rawValue, path, &listener) == 0 else { return nil }
        return Answer(listener: listener > 0 ? ProcessID(listener) : nil)
    }

    /// Whether a program is there, to be run.
    public func hasProgram(_ path: String) -> Bool {
        let opened = clinux_open_in_root(descriptor.rawValue, path, O_PATH)
        guard opened >= 0 else { return false }
        let file = OwnedDescriptor(adopting: opened)
        var status = stat()
        return fstat(file.rawValue, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && status.st_mode & 0o111 != 0
    }
}

extension ProcessID {
    /// Its root directory as we would name it: something else than `/` after chroot(2). A container's is `/`, as no name leads
    /// there from here.
    public func rootPath() -> String { (try? readLink("\(procPath)/root")) ?? "/" }
}

extension String {
    /// A path that the kernel told us, as a process with another root directory names it. What lies outside of that root is left as
    /// it is.
    func named(inside root: String) -> String {
        guard root != "/", hasPrefix(root + "/") else { return self }
        return String(dropFirst(root.count))
    }
}

// O_PATH is a GNU extension that the Glibc module does not show.
private let O_PATH: Int32 = 0o10000000
private let O_PATH_DIRECTORY: Int32 = O_PATH | O_DIRECTORY
