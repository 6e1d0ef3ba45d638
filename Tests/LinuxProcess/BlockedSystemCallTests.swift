import Glibc
import Testing

@testable import LinuxProcess

@Suite("BlockedSystemCall")
struct BlockedSystemCallTests {
    @Test("a blocked call has its number, six arguments and two registers")
    func blocked() throws {
        let text = "232 0x5 0x7ffd2a0b1c40 0x400 0xffffffff 0x0 0x8 0x7ffd2a0b1bf8 0x7f3a2b91dd56\n"
        let call = try #require(BlockedSystemCall(parsing: text))
        #expect(call.number == 232)
        #expect(call.arguments == [5, 0x7ffd_2a0b_1c40, 0x400, 0xffff_ffff, 0, 8])
        #expect(call.stackPointer == 0x7ffd_2a0b_1bf8)
        #expect(call.programCounter == 0x7f3a_2b91_dd56)
    }

    @Test(
        "what is in no system call is nothing",
        arguments: [
            "running\n", "-1 0x7ffd2a0b1bf8 0x7f3a2b91dd56\n", "", "\n", "232", "232 0x5 0x6",
            "-1 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8", "two 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8",
            "232 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0xzz",
            "232 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8 0x9", "232 0x11112222333344445 0x2 0x3 0x4 0x5 0x6 0x7 0x8",
        ])
    func nothing(text: String) {
        #expect(BlockedSystemCall(parsing: text) == nil)
    }

    @Test("a child that waits for its input is seen in read")
    func child() throws {
        let child = try ChildProcess("/bin/cat", [])
        // Its echo shows that it is past its start; then it goes back to the same read.
        try writeAll([UInt8(ascii: "x")], to: child.input.rawValue)
        var byte: UInt8 = 0
        #expect(Glibc.read(child.output.rawValue, &byte, 1) == 1)
        var call: BlockedSystemCall?
        for _ in 0..<100_000 where call == nil {
            call = try BlockedSystemCall(of: child.id.leader, in: child.id)
            sched_yield()
        }
        let read = try #require(call)
        #expect(read.arguments[0] == 0)
        #expect(try MemoryMap(of: child.id).region(containing: read.stackPointer)?.name == "[stack]")
        #expect(try MemoryMap(of: child.id).region(containing: read.programCounter)?.isExecutable == true)
    }
}

@Suite("SchedulerClock")
struct SchedulerClockTests {
    private static let text = """
        cat (812, #threads: 1)
        -------------------------------------------------------------------
        se.exec_start                                :        635320.444465
        se.vruntime                                  :             3.044465
        se.sum_exec_runtime                          :             0.998401

        """

    @Test("the stamp is found in its line")
    func stamp() {
        #expect(SchedulerClock.executionStamp(parsing: SchedulerClockTests.text) == 635320.444465)
    }

    @Test(
        "without a stamp there is none",
        arguments: [
            "", "se.exec_start", "se.exec_start :", "se.exec_start : soon", "sum_exec_start : 3",
            "x\n\nse.vruntime : 1",
        ])
    func noStamp(text: String) {
        #expect(SchedulerClock.executionStamp(parsing: text) == nil)
    }
}
