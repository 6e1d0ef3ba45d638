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

    /// What takes over a second shows how far it is, on a terminal, and leaves nothing there.
    final class Progress {
        private let started = Progress.milliseconds
        private let isShown = isatty(STDERR_FILENO) == 1
        private var last = 0

        /// In milliseconds.
        private static let patience = 1000
        private static let interval = 100

        func report(_ progress: RefreshRun.Progress) {
            let now = Progress.milliseconds
            guard isShown, now - started >= Progress.patience, now - last >= Progress.interval else { return }
            last = now
            switch progress {
            case .done(let done, let total):
                show("\(done) of \(total) process\(total == 1 ? "" : "es")")
            case .waiting(let count):
                show("waiting for the next lookup of \(count) process\(count == 1 ? "" : "es")")
            }
        }

        func end() {
            if last > 0 { show("") }
        }

        private func show(_ text: String) {
            Console.write("\r\u{1b}[K\(text)", to: STDERR_FILENO)
        }

        private static var milliseconds: Int {
            var now = timespec()
            clock_gettime(CLOCK_MONOTONIC, &now)
            return now.tv_sec * 1000 + now.tv_nsec / 1_000_000
        }
    }
}
