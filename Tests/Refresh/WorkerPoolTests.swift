import FoundationEssentials
import Glibc
import LinuxProcess
import Resolvers
import Testing
import Tracing

@testable import Refresh

@Suite("LineBuffer")
struct LineBufferTests {
    /// A pipe.
    private final class Ends {
        let read: OwnedDescriptor
        private let writeEnd: Int32
        private var isOpen = true

        init() throws {
            var ends: [Int32] = [-1, -1]
            try #require(pipe(&ends) == 0)
            read = OwnedDescriptor(adopting: ends[0])
            writeEnd = ends[1]
        }

        func write(_ text: String) throws { try writeAll(Array(text.utf8), to: writeEnd) }

        func finish() {
            if isOpen { close(writeEnd) }
            isOpen = false
        }

        deinit { finish() }
    }

    private func text(_ line: [UInt8]?) -> String? { line.map { String(decoding: $0, as: UTF8.self) } }

    @Test("a line is taken when it is complete, however it came")
    func pieces() throws {
        let ends = try Ends()
        var lines = LineBuffer()
        #expect(lines.take() == nil)
        for piece in ["he", "ll", "o\nwo", "rld"] {
            try ends.write(piece)
            #expect(lines.fill(from: ends.read.rawValue) == true)
        }
        #expect(text(lines.take()) == "hello")
        #expect(lines.take() == nil)
        try ends.write("\n")
        #expect(lines.fill(from: ends.read.rawValue) == true)
        #expect(text(lines.take()) == "world")
        #expect(lines.take() == nil)
    }

    @Test("several lines in one read come one after the other, empty ones too")
    func several() throws {
        let ends = try Ends()
        var lines = LineBuffer()
        try ends.write("a\n\nb\r\nrest")
        ends.finish()
        #expect(text(lines.next(from: ends.read.rawValue)) == "a")
        #expect(text(lines.next(from: ends.read.rawValue)) == "")
        #expect(text(lines.next(from: ends.read.rawValue)) == "b\r")
        // What was not ended is no line.
        #expect(lines.next(from: ends.read.rawValue) == nil)
        #expect(lines.fill(from: ends.read.rawValue) == false)
    }

    @Test("a line may be longer than one read")
    func long() throws {
        let child = try ChildProcess("/bin/sh", ["-c", "head -c 300000 /dev/zero | tr '\\0' x; echo; echo end"])
        var lines = LineBuffer()
        #expect(lines.next(from: child.output.rawValue)?.count == 300_000)
        #expect(text(lines.next(from: child.output.rawValue)) == "end")
        #expect(lines.next(from: child.output.rawValue) == nil)
    }

    @Test("a descriptor that cannot be read has no lines")
    func noDescriptor() {
        var lines = LineBuffer()
        #expect(lines.next(from: -1) == nil)
    }
}

@Suite("WorkerPool")
struct WorkerPoolTests {
    init() {
        // As in repoint itself: a worker that is dead already is seen by its output, not by a signal.
        signal(SIGPIPE, SIG_IGN)
    }

    /// A worker in a few words of shell; `$1` of `read` is the order.
    private func pool(_ script: String, workers: Int = 2, grace: Double = 30) -> WorkerPool {
        WorkerPool(path: "/bin/sh", arguments: ["-c", script], workerCount: workers, grace: grace)
    }

    /// Answers an order with a report of its PID, which is the order's first number.
    private static let answer = """
        answer() { pid=${1#*\\"pid\\":}; pid=${pid%%[,\\}]*}; printf '{"pid":%s,"resolvers":[],"name":"done"}\\n' "$pid"; }

        """

    private static let ids = (101...108).map { ProcessID(Int32($0)) }

    @Test("reports come in the order of their processes, with any number of workers", arguments: [0, 1, 2, 3, 20])
    func order(workers: Int) throws {
        let script = WorkerPoolTests.answer + "while read -r order; do answer \"$order\"; done"
        var progress: [Int] = []
        let reports = try pool(script, workers: workers).perform(.inspect, on: WorkerPoolTests.ids) {
            // While none comes the last number is said again.
            if progress.last != $0 { progress.append($0) }
        }
        #expect(reports.map(\.pid) == WorkerPoolTests.ids.map(\.rawValue))
        #expect(reports.allSatisfy { $0.name == "done" && $0.error == nil })
        #expect(progress == Array(1...WorkerPoolTests.ids.count))
    }

    @Test("no process needs no worker")
    func nothing() throws {
        #expect(try pool("exit 1").perform(.inspect, on: []).isEmpty)
    }

    @Test("a worker that dies costs one report, and the next is done by another")
    func dies() throws {
        let script =
            WorkerPoolTests.answer
            + "while read -r order; do case $order in *103*|*108*) exit 1;; esac; answer \"$order\"; done"
        let reports = try pool(script).perform(.inspect, on: WorkerPoolTests.ids)
        #expect(reports.map(\.pid) == WorkerPoolTests.ids.map(\.rawValue))
        #expect(reports.filter { $0.error != nil }.map(\.pid) == [103, 108])
        #expect(reports[2].error?.contains("the worker died") == true)
        #expect(reports[2].errorCode == 1)
    }

    @Test("workers that end after each answer lose no order")
    func endsAfterAnswer() throws {
        let script = WorkerPoolTests.answer + "read -r order; answer \"$order\""
        let reports = try pool(script).perform(.inspect, on: (101...140).map { ProcessID(Int32($0)) })
        #expect(reports.map(\.pid) == Array(101...140))
        #expect(reports.allSatisfy { $0.error == nil })
    }

    @Test("workers are kept from one round to the next")
    func rounds() throws {
        let script =
            "n=0; " + WorkerPoolTests.answer
            + "while read -r order; do n=$((n+1)); answer \"$order\" | sed \"s/done/$n/\"; done"
        let pool = pool(script, workers: 1)
        let names = try (0..<3).flatMap { _ in try pool.perform(.inspect, on: [ProcessID(101)]).map(\.name) }
        #expect(names == ["1", "2", "3"])
    }

    @Test("a round that found no worker leaves nothing for the next")
    func failedRound() throws {
        let pool = WorkerPool(path: "/nonesuch", arguments: [], workerCount: 1)
        for _ in 0..<2 {
            #expect(throws: SystemError.self) { try pool.perform(.inspect, on: [ProcessID(101), ProcessID(102)]) }
        }
    }

    @Test("fifty are done while one hangs a worker", .timeLimit(.minutes(1)))
    func fiftyMeanwhile() throws {
        let script =
            WorkerPoolTests.answer
            + "while read -r order; do case $order in *:102[,}]*) kill -STOP $$;; esac; answer \"$order\"; done"
        var fifty: UInt64?
        let ids = (101...151).map { ProcessID(Int32($0)) }
        let reports = try pool(script, grace: 8).perform(.inspect, on: ids) {
            if $0 == 50, fifty == nil { fifty = MonotonicClock.nanoseconds }
        }
        let end = MonotonicClock.nanoseconds
        #expect(reports.count == 51)
        #expect(reports.filter { $0.error != nil }.map(\.pid) == [102])
        #expect(reports[1].error?.contains("did not come to an end in time") == true)
        // The others were done long before that one was given up.
        let head = end - (try #require(fifty))
        #expect(head > 2_000_000_000)
    }

    @Test("workers that die at once leave every report failed, and end")
    func allDie() throws {
        let pool = WorkerPool(path: "/bin/false", arguments: [], workerCount: 2)
        let reports = try pool.perform(.inspect, on: WorkerPoolTests.ids)
        #expect(reports.count == WorkerPoolTests.ids.count)
        #expect(reports.allSatisfy { $0.error?.contains("the worker died") == true })
    }

    @Test("a worker that answers something else is replaced")
    func rubbish() throws {
        // It says the order back to us.
        let pool = WorkerPool(path: "/bin/cat", arguments: [], workerCount: 2)
        let reports = try pool.perform(.inspect, on: WorkerPoolTests.ids)
        #expect(reports.map(\.pid) == WorkerPoolTests.ids.map(\.rawValue))
        #expect(reports.allSatisfy { $0.error?.contains("makes no sense") == true })
    }

    @Test("half an answer from a worker that dies is none")
    func half() throws {
        let reports = try pool("read -r order; printf '{\"pid\":'").perform(.inspect, on: [ProcessID(101)])
        #expect(reports.first?.error?.contains("the worker died") == true)
    }

    @Test(
        "a worker that never answers is given up when its time is over, and the others go on", .timeLimit(.minutes(1)))
    func never() throws {
        let script =
            WorkerPoolTests.answer
            + "while read -r order; do case $order in *102*) exec sleep 1000;; esac; answer \"$order\"; done"
        let reports = try pool(script, grace: 1.5).perform(.inspect, on: Array(WorkerPoolTests.ids.prefix(4)))
        #expect(reports.map(\.pid) == [101, 102, 103, 104])
        #expect(reports.filter { $0.error != nil }.map(\.pid) == [102])
        #expect(reports[1].error?.contains("did not come to an end in time") == true)
    }

    @Test("a worker that talks without end is given up as well", .timeLimit(.minutes(1)))
    func endless() throws {
        let reports = try pool("while :; do printf x; done", grace: 0.5).perform(.inspect, on: [ProcessID(101)])
        #expect(reports.first?.error?.contains("did not come to an end in time") == true)
    }

    @Test("a worker that is not there is an error")
    func missing() {
        let error = #expect(throws: SystemError.self) {
            try WorkerPool(path: "/nonesuch", arguments: [], workerCount: 1).perform(.inspect, on: [ProcessID(101)])
        }
        #expect(error?.code == ENOENT)
    }

    @Test(
        "an order says what is to be done, in a line",
        arguments: [
            ProcessTask.inspect, .refresh(RepairLimits()), .plan(RepairLimits()), .reset(ThreadReset(thread: 7)),
        ])
    func orders(task: ProcessTask) throws {
        let data = try JSONEncoder().encode(WorkOrder(pid: 4711, task: task))
        #expect(!data.contains(UInt8(ascii: "\n")))
        let back = try JSONDecoder().decode(WorkOrder.self, from: data)
        #expect(back.pid == 4711)
        #expect(back.task == task)
    }
}

@Suite("TargetSelection")
struct TargetSelectionTests {
    @Test("PIDs are taken as they are, each once, in ascending order")
    func numbers() throws {
        let selection = try TargetSelection(words: ["812", "7", "812"], all: false)
        #expect(selection.ids == [ProcessID(7), ProcessID(812)])
        #expect(selection.errors.isEmpty)
    }

    @Test("a name that nobody has is told")
    func noSuchName() throws {
        let selection = try TargetSelection(words: ["no-such-name"], all: false)
        #expect(selection.ids.isEmpty)
        #expect(selection.errors == [.noSuchName("no-such-name")])
    }

    @Test("all leaves out ourselves, our children, process 1 and the kernel's threads")
    func all() throws {
        let child = try ChildProcess("/bin/cat", [])
        let ids = try TargetSelection(words: [], all: true).ids
        #expect(!ids.contains(.own) && !ids.contains(ProcessID(1)) && !ids.contains(child.id))
        #expect(ids.allSatisfy { (try? ProcessStat(of: $0))?.isKernelThread != true })
    }
}
