import Glibc
import Testing

@testable import LinuxProcess
@testable import Resolvers

@Suite("TargetError")
struct TargetErrorTests {
    @Test("process 1 is left alone")
    func firstProcess() {
        let error = #expect(throws: TargetError.self) { try TargetProcess(ProcessID(1)) }
        #expect(error?.description == "process 1 is the init of this machine or container: repoint leaves it alone")
    }

    @Test("repoint itself is no target")
    func oneself() {
        let error = #expect(throws: TargetError.self) { try TargetProcess(.own) }
        #expect(error == .oneself(.own))
        #expect(error?.description == "process \(getpid()) is repoint itself")
    }

    @Test("a process that does not exist is gone")
    func gone() {
        let nobody = ProcessID(4_194_305)
        let error = #expect(throws: TargetError.self) { try TargetProcess(nobody) }
        #expect(error == .gone(nobody))
        #expect(error?.description == "process 4194305 does not exist (any more)")
    }

    /// In a container process 2 is none.
    private static let hasKernelThread = (try? ProcessStat(of: ProcessID(2)))?.isKernelThread == true

    @Test("a kernel thread resolves no names", .enabled(if: hasKernelThread))
    func kernelThread() throws {
        let error = #expect(throws: TargetError.self) { try TargetProcess(ProcessID(2)) }
        #expect(error == .kernelThread(ProcessID(2), name: "kthreadd"))
        #expect(error?.description == "process 2 (kthreadd) is a kernel thread: it resolves no names")
    }

    @Test("a zombie only waits for its parent")
    func zombie() throws {
        let child = try ChildProcess("/bin/true", [])
        // Its output ends before it is a zombie; waiting with WNOWAIT leaves it one.
        var information = siginfo_t()
        try #require(waitid(P_PID, id_t(child.id.rawValue), &information, WEXITED | WNOWAIT) == 0)
        let error = #expect(throws: TargetError.self) { try TargetError.check(child.id) }
        #expect(error == .zombie(child.id))
        #expect(error?.description.contains("zombie") == true)
    }

    @Test("a process to work on is none of these")
    func target() throws {
        let child = try ChildProcess("/bin/cat", [])
        // Past its exec once it echoes.
        try writeAll([UInt8(ascii: "x")], to: child.input.rawValue)
        var byte: UInt8 = 0
        try #require(read(child.output.rawValue, &byte, 1) == 1)
        let target = try TargetProcess(child.id)
        #expect(target.name == "cat")
        #expect(target.isSame)
        #expect(target.executable.hasSuffix("/cat"))
    }

    @Test("an errno becomes what it means for the process")
    func fromErrno() {
        let id = ProcessID(812)
        #expect(TargetError(SystemError("x", code: ESRCH), process: id) == .gone(id))
        #expect(TargetError(SystemError("x", code: ENOENT), process: id) == .gone(id))
        #expect(TargetError(SystemError("x", code: EIO), process: id) == .failed(id, SystemError("x", code: EIO)))
        guard case .notPermitted(id, let lacking) = TargetError(SystemError("x", code: EPERM), process: id) else {
            Issue.record("EPERM is not a matter of permission")
            return
        }
        #expect(!lacking.isEmpty)
    }

    @Test(
        "every text is one line that names the process",
        arguments: [
            TargetError.gone(ProcessID(812)), .kernelThread(ProcessID(812), name: "x"), .zombie(ProcessID(812)),
            .oneself(ProcessID(812)), .traced(ProcessID(812), by: ProcessID(9), tracerName: "gdb"),
            .notPermitted(ProcessID(812), lacking: "CAP_SYS_PTRACE"), .thirtyTwoBit(ProcessID(812)),
            .failed(ProcessID(812), SystemError("x", code: EIO)),
        ])
    func texts(error: TargetError) {
        #expect(error.description.contains("812"))
        #expect(!error.description.contains("\n"))
    }

    @Test("who traces a process is named, and what to do about it")
    func traced() {
        let text = TargetError.traced(ProcessID(812), by: ProcessID(9), tracerName: "gdb").description
        #expect(text == "process 812 is already traced by process 9 (gdb); detach that one first")
        #expect(TargetError.noSuchName("redis").description == "no process is named redis")
    }
}
