import CLinux
import Glibc

/// A program that we started, joined to us by two pipes: its standard input and output. Killed and reaped when let go of.
public struct ChildProcess: ~Copyable {
    public let id: ProcessID
    public let input: OwnedDescriptor
    public let output: OwnedDescriptor

    /// Starts a program (posix_spawn(3)); standard error stays ours.
    public init(_ path: String, _ arguments: [String]) throws(SystemError) {
        let toChild = try Pipe()
        let fromChild = try Pipe()

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Duplicating onto another number drops close-on-exec.
        posix_spawn_file_actions_adddup2(&actions, toChild.readEnd.rawValue, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, fromChild.writeEnd.rawValue, STDOUT_FILENO)

        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var started: pid_t = 0
        let code = posix_spawn(&started, path, &actions, nil, &words, environ)
        guard code == 0 else { throw SystemError("start \(path)", code: code) }
        id = ProcessID(started)
        input = toChild.keepWriteEnd()
        output = fromChild.keepReadEnd()
    }

    deinit {
        kill(id.rawValue, SIGKILL)
        var status: Int32 = 0
        for _ in 0..<ChildProcess.looks {
            let ended = waitpid(id.rawValue, &status, WNOHANG)
            if ended == id.rawValue || ended < 0 && errno != EINTR { return }
            usleep(ChildProcess.pause)
        }
    }

    /// How often, and in what intervals in microseconds, it is looked whether it has ended. One in an uninterruptible sleep ends when
    /// that does: nobody is to wait for it.
    private static let looks = 500
    private static let pause: UInt32 = 1000
}

/// Starts a program that nobody waits for, with nothing to read and nowhere to write, and with some open files of ours.
public func startDetached(_ path: String, _ arguments: [String], keeping descriptors: [Int32]) throws(SystemError) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for standard in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] {
        posix_spawn_file_actions_addopen(&actions, standard, "/dev/null", O_RDWR, 0)
    }
    // Duplicating a descriptor onto itself drops close-on-exec.
    for descriptor in descriptors { posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor) }
    var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var started: pid_t = 0
    let code = posix_spawn(&started, path, &actions, nil, &words, environ)
    guard code == 0 else { throw SystemError("start \(path)", code: code) }
}

/// The two ends of a pipe, closed on exec.
private struct Pipe: ~Copyable {
    let readEnd: OwnedDescriptor
    let writeEnd: OwnedDescriptor

    init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        try SystemError.check("pipe", clinux_pipe(&ends))
        readEnd = OwnedDescriptor(adopting: ends[0])
        writeEnd = OwnedDescriptor(adopting: ends[1])
    }

    consuming func keepReadEnd() -> OwnedDescriptor { readEnd }
    consuming func keepWriteEnd() -> OwnedDescriptor { writeEnd }
}

/// Writes all of some bytes to a descriptor.
public func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(SystemError) {
    var done = 0
    while done < bytes.count {
        let count = bytes[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 {
            if errno == EINTR { continue }
            throw SystemError("write", code: errno)
        }
        done += count
    }
}
