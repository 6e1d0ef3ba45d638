import Glibc
import LinuxProcess

/// A program that ran to its end: what it said, and how it ended.
public struct ProgramRun: Sendable {
    /// Its exit status; minus the signal's number where one killed it.
    public let status: Int32
    public let standardOutput: String
    public let standardError: String
    /// How long it took, in seconds.
    public let seconds: Double

    init(status: Int32, standardOutput: String, seconds: Double) {
        self.status = status
        self.standardOutput = standardOutput
        standardError = ""
        self.seconds = seconds
    }

    public var errorLines: [String] { standardError.split(separator: "\n").map(String.init) }

    /// Runs a program with pipes for standard output and error, and no standard input.
    ///
    /// - Parameter limit: seconds; a program that takes longer is killed, and this throws.
    public init(_ command: [String], limit: Double = 60) throws {
        let start = Deadline.now
        let deadline = Deadline(seconds: limit)
        let output = try OutputPipe()
        let errors = try OutputPipe()
        let id = try ProgramRun.spawn(command, output: output.writeEnd, errors: errors.writeEnd)
        output.closeWriteEnd()
        errors.closeWriteEnd()
        let texts = ProgramRun.drain([output.readEnd, errors.readEnd], until: deadline)
        var status: Int32 = 0
        let hasEnded = eventually(within: deadline.secondsLeft) { waitpid(id, &status, WNOHANG) == id }
        guard hasEnded else {
            kill(id, SIGKILL)
            waitpid(id, &status, 0)
            throw TestSupportError("\(command.joined(separator: " ")) did not end within \(limit) s")
        }
        // wait(2): the low seven bits are the signal, the next byte the exit status.
        self.status = status & 0x7f == 0 ? status >> 8 & 0xff : -(status & 0x7f)
        standardOutput = texts[0]
        standardError = texts[1]
        seconds = Deadline.now - start
    }

    private static func spawn(_ command: [String], output: Int32, errors: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
        var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var id: pid_t = 0
        let code = withoutBlockedSignals { posix_spawnp(&id, command[0], &actions, nil, &words, environ) }
        guard code == 0 else { throw SystemError("start \(command[0])", code: code) }
        return id
    }

    /// Reads several descriptors to their ends, whichever has something.
    private static func drain(_ descriptors: [Int32], until deadline: Deadline) -> [String] {
        var bytes = [[UInt8]](repeating: [], count: descriptors.count)
        var open = Set(descriptors.indices)
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while !open.isEmpty {
            let order = open.sorted()
            var entries = order.map { pollfd(fd: descriptors[$0], events: Int16(POLLIN), revents: 0) }
            guard poll(&entries, nfds_t(entries.count), deadline.millisecondsLeft) > 0 else { break }
            for (place, entry) in entries.enumerated() where entry.revents != 0 {
                let count = read(entry.fd, &piece, piece.count)
                if count > 0 {
                    bytes[order[place]].append(contentsOf: piece[..<count])
                } else {
                    open.remove(order[place])
                }
            }
        }
        return bytes.map { String(decoding: $0, as: UTF8.self) }
    }
}

/// A pipe whose ends are closed on exec, and in the end.
private final class OutputPipe {
    let readEnd: Int32
    private(set) var writeEnd: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SystemError("pipe", code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    func closeWriteEnd() {
        guard writeEnd >= 0 else { return }
        close(writeEnd)
        writeEnd = -1
    }

    deinit {
        closeWriteEnd()
        close(readEnd)
    }
}
