import CLinux
import Glibc

/// A program run to its end in another process's namespaces and root directory, with no more capabilities than that one can have.
public struct ProgramInside: Sendable {
    /// Its exit status; 127 where it could not be started there.
    public let status: Int32
    /// What it said, on standard output and error.
    public let output: String

    private static let outputLimit = 4096

    /// - Parameters:
    ///   - path: the program, as the other process names it.
    ///   - limit: seconds; a program that takes longer is ended.
    /// - Throws: `SystemError` where the other process cannot be joined, or the time is up.
    public init(_ path: String, _ arguments: [String], joining process: ProcessID, limit: UInt32) throws(SystemError) {
        let capabilities = try ProcessStatus(of: process).boundingCapabilities
        var ends: [Int32] = [-1, -1]
        try SystemError.check("pipe", clinux_pipe(&ends))
        let reading = OwnedDescriptor(adopting: ends[0])
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let started = clinux_start_inside(process.rawValue, path, &words, capabilities, limit, ends[1])
        close(ends[1])
        try SystemError.check("start \(path) in the namespaces of process \(process)", started)

        var bytes: [UInt8] = []
        // It ends by itself by then; only where that fails it is ended from here.
        let isDone = ProgramInside.drain(reading.rawValue, into: &bytes, limit: Double(limit) + 1)
        if !isDone { kill(started, SIGKILL) }
        var status: Int32 = 0
        while waitpid(started, &status, 0) < 0 && errno == EINTR {}
        // wait(2): the low seven bits are the signal, the next byte the exit status.
        self.status = status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f)
        guard isDone, ![128 + SIGALRM, 128 + SIGKILL].contains(self.status) else {
            throw SystemError("run \(path)", code: ETIMEDOUT)
        }
        output = String(decoding: bytes, as: UTF8.self).trimming("\n ")
    }

    /// - Returns: false where the time was up before the end.
    private static func drain(_ descriptor: Int32, into bytes: inout [UInt8], limit: Double) -> Bool {
        var now = timespec()
        func seconds() -> Double {
            clock_gettime(CLOCK_MONOTONIC, &now)
            return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
        }
        let end = seconds() + limit
        var piece = [UInt8](repeating: 0, count: outputLimit)
        while true {
            let left = end - seconds()
            guard left > 0 else { return false }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, Int32(left * 1000) + 1) > 0 else { continue }
            let count = read(descriptor, &piece, piece.count)
            if count == 0 { return true }
            if count > 0, bytes.count < outputLimit { bytes.append(contentsOf: piece[..<count]) }
        }
    }
}
