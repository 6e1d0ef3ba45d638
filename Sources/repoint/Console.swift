import Glibc
import LinuxProcess
import Refresh

/// Standard output and error, as a terminal or not.
enum Console {
    /// One line of diagnosis on standard error.
    static func diagnose(_ text: String) {
        write("repoint: \(text)\n", to: STDERR_FILENO)
    }

    static func write(_ text: String, to descriptor: Int32) {
        try? writeAll(Array(text.utf8), to: descriptor)
    }

    /// Columns of the terminal on standard output; the width of a table where there is none.
    static var width: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 40 else { return 100 }
        return min(Int(size.ws_col), 160)
    }

    static var isColoured: Bool { isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil }

    /// What takes long shows how far it is, on a terminal.
    struct Progress {
        private let started = time(nil)
        private let isShown = isatty(STDERR_FILENO) == 1

        func report(_ progress: RefreshRun.Progress) {
            guard isShown, time(nil) > started else { return }
            switch progress {
            case .done(let done, let total):
                Console.write("\r\u{1b}[K\(done) of \(total) processes", to: STDERR_FILENO)
            case .waiting(let count):
                Console.write(
                    "\r\u{1b}[Kwaiting for the next lookup of \(count) process\(count == 1 ? "" : "es")",
                    to: STDERR_FILENO)
            }
        }

        func end() {
            if isShown { Console.write("\r\u{1b}[K", to: STDERR_FILENO) }
        }
    }
}
