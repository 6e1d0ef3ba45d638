import Glibc
import Testing

@testable import LinuxProcess

@Suite("ProcessStat")
struct ProcessStatTests {
    /// A line of proc(5) with the fields that count, and small numbers elsewhere.
    private func line(
        name: String, state: String = "S", parent: String = "1", flags: String = "4194560",
        stackStart: String = "140722"
    ) -> String {
        "812 (\(name)) \(state) \(parent) 812 812 0 -1 \(flags) 100 0 3 0 12 4 0 0 20 0 7 0 35512 9437184 320 "
            + "18446744073709551615 94200 94300 \(stackStart) 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0\n"
    }

    @Test("every field that Repoint asks for is found by its number")
    func fields() throws {
        let stat = try #require(ProcessStat(parsing: line(name: "keydb-server")))
        #expect(stat.name == "keydb-server")
        #expect(stat.state == .sleeping)
        #expect(stat.parent == ProcessID(1))
        #expect(stat.threadCount == 7)
        #expect(stat.startTime == 35512)
        #expect(stat.stackStart == 140722)
        #expect(stat.processor == 1)
        #expect(!stat.isKernelThread)
    }

    @Test(
        "a name in parentheses is parsed to its last parenthesis",
        arguments: [
            "a b", "(sd-pam)", ") S 1 (", "tmux: server", "", ":-)", "two\nlines", "tab\there", "x) R 0 0",
            "\u{301}accent",
            "\r", "caf\u{e9}", "\u{fffd}",
        ])
    func oddNames(name: String) throws {
        let stat = try #require(ProcessStat(parsing: line(name: name, parent: "77")))
        #expect(Array(stat.name.utf8) == Array(name.utf8))
        #expect(stat.state == .sleeping)
        #expect(stat.parent == ProcessID(77))
    }

    @Test(
        "each state letter of the kernel has its case",
        arguments: [
            ("R", ProcessStat.State.running), ("S", .sleeping), ("D", .uninterruptible), ("T", .stopped),
            ("t", .tracingStop),
            ("Z", .zombie), ("X", .dead), ("I", .idle), ("P", .parked),
        ])
    func states(letter: String, state: ProcessStat.State) throws {
        #expect(try #require(ProcessStat(parsing: line(name: "x", state: letter))).state == state)
    }

    @Test("a process on its way out is told by its flag")
    func exiting() throws {
        // PF_EXITING among others.
        #expect(try #require(ProcessStat(parsing: line(name: "sh", flags: "4194564"))).isExiting)
        #expect(try !#require(ProcessStat(parsing: line(name: "sh", flags: "4194560"))).isExiting)
    }

    @Test("a kernel thread is told by its flag")
    func kernelThread() throws {
        // PF_KTHREAD among others, as kthreadd shows it.
        #expect(try #require(ProcessStat(parsing: line(name: "kthreadd", flags: "2129984"))).isKernelThread)
        #expect(try !#require(ProcessStat(parsing: line(name: "bash", flags: "4194304"))).isKernelThread)
    }

    @Test("a hidden stack start is 0")
    func hiddenStack() throws {
        #expect(try #require(ProcessStat(parsing: line(name: "x", stackStart: "0"))).stackStart == 0)
    }

    @Test(
        "what is no line of proc(5) is nothing",
        arguments: [
            "", "\n", "812", "812 (x", "812 x) S 1", ")(", "812 (x)", "812 (x) ", "812 (x) S", "812 (x) Q 1 2 3",
            "812 (x) S 1 812 812 0 -1 4194560", "812 (x) S one 2 3", "\u{0}\u{1}\u{2}",
            String(repeating: "(", count: 5000),
        ])
    func rubbish(text: String) {
        #expect(ProcessStat(parsing: text) == nil)
    }

    @Test("a line cut short anywhere before its last field is nothing")
    func truncated() throws {
        let whole = line(name: "a b")
        // Field 39, the processor, is the last that must be there.
        let fields = whole.split(separator: " ")
        for count in 1..<39 {
            // The name "a b" makes one field of two.
            #expect(ProcessStat(parsing: fields.prefix(count).joined(separator: " ")) == nil, "\(count) fields")
        }
        #expect(ProcessStat(parsing: fields.prefix(40).joined(separator: " ")) != nil)
    }

    @Test("numbers too large for a field do no harm")
    func hugeNumbers() {
        let huge = "18446744073709551615"
        let text = "1 (x) S " + Array(repeating: huge, count: 49).joined(separator: " ")
        #expect(ProcessStat(parsing: text)?.threadCount == Int.max)
    }

    @Test("our own line is read")
    func own() throws {
        let stat = try ProcessStat(of: .own)
        #expect(stat.parent == ProcessID(getppid()))
        #expect(stat.threadCount >= 1)
        #expect(stat.startTime > 0)
        #expect(!stat.isKernelThread)
        #expect(try ProcessStat(of: ProcessID.own.leader, in: .own).startTime == stat.startTime)
    }

    @Test("a process that does not exist is gone")
    func gone() {
        // Beyond the largest PID the kernel gives (PID_MAX_LIMIT).
        let error = #expect(throws: SystemError.self) { try ProcessStat(of: ProcessID(4_194_305)) }
        #expect(error?.isGone == true)
    }
}

@Suite("StringProtocol.trimming")
struct TrimmingTests {
    @Test(
        "characters are taken off both ends and none inside",
        arguments: [
            ("  a b ", " ", "a b"), ("\n\n", "\n", ""), ("", " ", ""), ("abc", "", "abc"), ("-+x+-", "+-", "x"),
        ])
    func trimming(text: String, characters: String, result: String) {
        #expect(text.trimming(characters) == result)
    }
}
