import Glibc
import Testing

@testable import LinuxProcess

@Suite("ProcessStatus")
struct ProcessStatusTests {
    private static let text = """
        Name:\tkeydb: server
        Umask:\t0022
        State:\tS (sleeping)
        Tgid:\t812
        NSpid:\t812\t14\t1
        TracerPid:\t4242
        Uid:\t1000\t1001\t1002\t1003
        Gid:\t2000\t2001\t2002\t2003
        SigPnd:\t0000000000000002
        ShdPnd:\t0000000000000100
        SigBlk:\t7be3c0fe28014a03
        SigIgn:\t0000000000001000
        SigCgt:\t00000001800004ec
        CapEff:\t000001ffffffffff
        CapBnd:\t000000000000a425
        Seccomp:\t2
        x86_Thread_features:\tshstk wrss
        voluntary_ctxt_switches:\t150
        nonvoluntary_ctxt_switches:\t545

        """

    @Test("every field that Repoint asks for is found by its name")
    func fields() {
        let status = ProcessStatus(parsing: ProcessStatusTests.text)
        #expect(status.tracer == ProcessID(4242))
        #expect(status.pendingSignals == 0x2)
        #expect(status.sharedPendingSignals == 0x100)
        #expect(status.blockedSignals == 0x7be3_c0fe_2801_4a03)
        #expect(status.ignoredSignals == 0x1000)
        #expect(status.caughtSignals == 0x1_8000_04ec)
        #expect(status.seccomp == .filter)
        #expect(status.namespacePIDs == [812, 14, 1])
        #expect(status.effectiveUserID == 1001)
        #expect(status.fileUserID == 1003)
        #expect(status.fileGroupID == 2003)
        #expect(status.effectiveCapabilities == 0x1ff_ffff_ffff)
        #expect(status.boundingCapabilities == 0xa425)
        #expect(status.hasShadowStack)
        #expect(status.voluntarySwitches == 150)
        #expect(status.involuntarySwitches == 545)
    }

    @Test(
        "fields that are missing or unreadable count as nothing",
        arguments: [
            "", "\n\n", "no colon here", ":", "SigPnd:", "SigPnd:\tnothex", "Uid:\t1", "TracerPid:\t0", "Seccomp:\t0",
        ])
    func missing(text: String) {
        let status = ProcessStatus(parsing: text)
        #expect(status.tracer == nil)
        #expect(status.pendingSignals == 0)
        #expect(status.seccomp == .disabled)
        #expect(status.namespacePIDs.isEmpty)
        #expect(status.effectiveUserID == 0)
        #expect(status.fileUserID == 0)
        #expect(!status.hasShadowStack)
        #expect(!status.hasDeliverableSignal)
    }

    @Test(
        "seccomp modes are the kernel's, and one that is not known counts as a filter",
        arguments: [
            ("0", ProcessStatus.Seccomp.disabled), ("1", .strict), ("2", .filter), ("3", .filter),
            ("18446744073709551615", .filter),
        ])
    func seccomp(number: String, mode: ProcessStatus.Seccomp) {
        #expect(ProcessStatus(parsing: "Seccomp:\t\(number)\n").seccomp == mode)
    }

    @Test(
        "a signal is deliverable if it is pending and not blocked, for the thread or the process",
        arguments: [
            ("0", "0", "0", false), ("1", "0", "0", true), ("0", "1", "0", true), ("1", "0", "1", false),
            ("0", "4", "4", false), ("3", "0", "1", true), ("1", "2", "1", true), ("0", "0", "ffffffffffffffff", false),
            ("8000000000000000", "0", "7fffffffffffffff", true),
        ])
    func deliverable(pending: String, shared: String, blocked: String, isDeliverable: Bool) {
        let status = ProcessStatus(parsing: "SigPnd:\t\(pending)\nShdPnd:\t\(shared)\nSigBlk:\t\(blocked)\n")
        #expect(status.hasDeliverableSignal == isDeliverable)
    }

    @Test(
        "a shadow stack is a word of its own among the thread's features",
        arguments: [("shstk", true), ("wrss shstk", true), ("wrss", false), ("noshstk", false), ("", false)])
    func shadowStack(features: String, isOn: Bool) {
        #expect(ProcessStatus(parsing: "x86_Thread_features:\t\(features)\n").hasShadowStack == isOn)
        // Locked is not enabled.
        #expect(!ProcessStatus(parsing: "x86_Thread_features_locked:\t\(features)\n").hasShadowStack)
    }

    @Test("our own status is read")
    func own() throws {
        let status = try ProcessStatus.own()
        #expect(status.effectiveUserID == geteuid())
        #expect(status.fileGroupID == getegid())
        #expect(status.namespacePIDs.last == getpid() || status.namespacePIDs.first == getpid())
        #expect(try ProcessStatus(of: ProcessID.own.leader, in: .own).effectiveUserID == geteuid())
    }
}
