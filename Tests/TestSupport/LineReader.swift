import Glibc

/// Lines from a pipe, each waited for with a time limit.
struct LineReader {
    private let descriptor: Int32
    private var bytes: [UInt8] = []
    private(set) var isAtEnd = false

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// The next line without its end; nil when the pipe has ended or the time is up (``isAtEnd`` tells which).
    mutating func next(until deadline: Deadline) -> String? {
        while true {
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                defer { bytes.removeSubrange(...end) }
                return String(decoding: bytes[..<end], as: UTF8.self)
            }
            guard !isAtEnd, fill(until: deadline) else { return nil }
        }
    }

    /// Every complete line that is there by now.
    mutating func available() -> [String] {
        var lines: [String] = []
        while let line = next(until: Deadline(seconds: 0)) { lines.append(line) }
        return lines
    }

    private mutating func fill(until deadline: Deadline) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let ready = poll(&entry, 1, deadline.millisecondsLeft)
            if ready < 0 && errno == EINTR { continue }
            guard ready > 0 else { return false }
            break
        }
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        let count = read(descriptor, &piece, piece.count)
        guard count > 0 else {
            isAtEnd = count == 0 || errno != EINTR
            return !isAtEnd
        }
        bytes.append(contentsOf: piece[..<count])
        return true
    }
}
