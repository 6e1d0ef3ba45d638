import Glibc
import LinuxProcess
import Testing

@testable import LinuxProcess
@testable import Tracing

@Suite("WaitRestart")
struct UnitWaitRestartTests {
    private static let numbers = Native.systemCalls

    private func judge(_ number: Int, _ arguments: [UInt64] = [], isFiltered: Bool = false) throws -> WaitRestart {
        let words =
            (arguments + [UInt64](repeating: 0, count: 6 - arguments.count)) + [0x7ffc_0000_1000, 0x7f00_0000_1000]
        let text = "\(number) " + words.map { "0x" + String($0, radix: 16) }.joined(separator: " ") + "\n"
        let call = try #require(BlockedSystemCall(parsing: text))
        return WaitRestart(call, of: ProcessID.own.leader, in: .own, isFiltered: isFiltered)
    }

    private func isNoticed(_ restart: WaitRestart) -> Bool {
        if case .noticed(let why) = restart { return !why.isEmpty }
        return false
    }

    @Test("under a seccomp filter nothing is left to be restarted by the kernel as another system call")
    func filtered() throws {
        let numbers = Self.numbers
        let poll = try #require(numbers.poll)
        #expect(try judge(poll, [0x1000, 1, UInt64(UInt32.max)], isFiltered: true) == .again)
        #expect(
            try judge(poll, [0x1000, 1, 1500], isFiltered: true) == .againWithRest(argument: 2, milliseconds: 1500))
        #expect(isNoticed(try judge(numbers.nanosleep, [0x1000], isFiltered: true)))
        #expect(isNoticed(try judge(numbers.clockNanosleep, [1, 0, 0x1000], isFiltered: true)))
        #expect(try judge(numbers.clockNanosleep, [1, 1, 0x1000], isFiltered: true) == .byKernel)
        #expect(isNoticed(try judge(numbers.futex, [0x1000, 0x80, 0, 0x2000], isFiltered: true)))
        #expect(try judge(numbers.futex, [0x1000, 0x80, 0, 0], isFiltered: true) == .byKernel)
    }

    @Test("waits that the kernel goes on with by itself")
    func byKernel() throws {
        let numbers = UnitWaitRestartTests.numbers
        let calls =
            [numbers.poll, numbers.select, numbers.pause].compactMap { $0 } + [
                numbers.restartSyscall, numbers.ppoll, numbers.pselect6, numbers.nanosleep, numbers.clockNanosleep,
                numbers.futex,
                numbers.wait4, numbers.waitid, numbers.rtSigsuspend, numbers.msgrcv, numbers.msgsnd,
            ]
        for call in calls { #expect(try judge(call, [1, 2, 3, 4, 5, 6]) == .byKernel, "\(call)") }
    }

    @Test("epoll_wait without a timeout is executed again, and with one for the rest of it")
    func epoll() throws {
        let numbers = UnitWaitRestartTests.numbers
        for call in [numbers.epollWait, numbers.epollPwait].compactMap({ $0 }) {
            #expect(try judge(call, [5, 0x1000, 64, 0xffff_ffff]) == .again)
            #expect(try judge(call, [5, 0x1000, 64, UInt64.max]) == .again)
            #expect(try judge(call, [5, 0x1000, 64, 30_000]) == .againWithRest(argument: 3, milliseconds: 30_000))
            #expect(try judge(call, [5, 0x1000, 64, 0]) == .againWithRest(argument: 3, milliseconds: 0))
            // The upper half of the register is not the timeout's.
            #expect(
                try judge(call, [5, 0x1000, 64, 0xdead_beef_0000_0064])
                    == .againWithRest(argument: 3, milliseconds: 100))
        }
    }

    @Test("waits with a timeout behind a pointer are noticed, and without one executed again")
    func timeouts() throws {
        let numbers = UnitWaitRestartTests.numbers
        for (call, place) in [(numbers.epollPwait2, 3), (numbers.rtSigtimedwait, 2), (numbers.semtimedop, 3)] {
            var arguments = [UInt64](repeating: 1, count: 6)
            #expect(isNoticed(try judge(call, arguments)), "\(call)")
            arguments[place] = 0
            #expect(try judge(call, arguments) == .again, "\(call)")
        }
        #expect(try judge(numbers.semop, [1, 2, 3]) == .again)
    }

    @Test("a system call that is not known would be noticed", arguments: [UnitWaitRestartTests.numbers.openat, 9999])
    func unknown(number: Int) throws {
        #expect(isNoticed(try judge(number)))
    }

    @Test("reading and writing a pipe waits for ever, and the kernel goes on with it")
    func pipes() throws {
        let numbers = UnitWaitRestartTests.numbers
        let child = try ChildProcess("/bin/cat", [])
        for call in [numbers.read, numbers.readv] {
            #expect(try judge(call, [UInt64(child.output.rawValue)]) == .byKernel)
        }
        #expect(try judge(numbers.write, [UInt64(child.input.rawValue)]) == .byKernel)
    }

    @Test("a socket without a timeout is the kernel's business, and with one it would be noticed")
    func sockets() throws {
        let numbers = UnitWaitRestartTests.numbers
        let receiving = [
            numbers.read, numbers.readv, numbers.recvfrom, numbers.recvmsg, numbers.recvmmsg, numbers.accept,
            numbers.accept4,
        ]
        let sending = [numbers.write, numbers.sendto, numbers.sendmsg, numbers.connect]
        let descriptor = OwnedDescriptor(adopting: socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0))
        try #require(descriptor.rawValue >= 0)
        let arguments = [UInt64(descriptor.rawValue), 0x1000]
        for call in receiving + sending { #expect(try judge(call, arguments) == .byKernel, "\(call)") }

        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        try #require(setsockopt(descriptor.rawValue, SOL_SOCKET, SO_RCVTIMEO, &timeout, size) == 0)
        for call in receiving { #expect(isNoticed(try judge(call, arguments)), "\(call)") }
        for call in sending { #expect(try judge(call, arguments) == .byKernel, "\(call)") }

        try #require(setsockopt(descriptor.rawValue, SOL_SOCKET, SO_SNDTIMEO, &timeout, size) == 0)
        for call in sending { #expect(isNoticed(try judge(call, arguments)), "\(call)") }
    }

    @Test("recvmmsg with a timeout of its own would be noticed")
    func recvmmsg() throws {
        let descriptor = OwnedDescriptor(adopting: socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0))
        let arguments: [UInt64] = [UInt64(descriptor.rawValue), 0x1000, 8, 0, 0x2000]
        #expect(isNoticed(try judge(UnitWaitRestartTests.numbers.recvmmsg, arguments)))
    }

    @Test("a descriptor of which nothing is known would be noticed")
    func closed() throws {
        #expect(isNoticed(try judge(UnitWaitRestartTests.numbers.read, [1_000_000])))
        #expect(isNoticed(try judge(UnitWaitRestartTests.numbers.read, [UInt64.max])))
    }
}

@Suite("HarmlessWaits")
struct UnitHarmlessWaitsTests {
    private let numbers = Native.systemCalls

    @Test("calls that change something are no waits")
    func noWaits() {
        let numbers = numbers
        let others = [
            numbers.openat, numbers.mmap, numbers.munmap, numbers.brk, numbers.rtSigreturn, numbers.rtSigprocmask,
            numbers.close,
            numbers.newfstatat,
        ]
        for call in others { #expect(!HarmlessWaits.systemCalls.contains(call), "\(call)") }
    }

    @Test("waits for events are waits, and a lock is none for events")
    func eventWaits() {
        #expect(HarmlessWaits.eventWaits.isSubset(of: HarmlessWaits.systemCalls))
        #expect(!HarmlessWaits.eventWaits.contains(numbers.futex))
        #expect(!HarmlessWaits.eventWaits.contains(numbers.read))
        #expect(HarmlessWaits.systemCalls.contains(numbers.futex))
    }

    @Test("every wait that may be met has an answer to what a stop does to it")
    func answers() {
        for call in HarmlessWaits.systemCalls {
            let text = "\(call) 0x0 0x0 0x0 0x0 0x0 0x0 0x1000 0x2000\n"
            guard let blocked = BlockedSystemCall(parsing: text) else {
                Issue.record("\(call) cannot be parsed")
                continue
            }
            if case .noticed(let why) = WaitRestart(
                blocked, of: ProcessID.own.leader, in: .own, isFiltered: false)
            {
                #expect(!why.contains("is not known"), "\(call)")
            }
        }
    }

    @Test(
        "functions that may hold locks of libc's are none to be called in",
        arguments: [
            "malloc", "free", "fgets", "fread", "getaddrinfo", "gethostbyname", "dlopen", "fork", "getpwnam", "printf",
            "exit",
            "fflush", "opendir", "system",
        ])
    func lockingFunctions(name: String) {
        #expect(!HarmlessWaits.functions.contains(name))
    }

    @Test("what is restarted under another number has a function that is known")
    func restartable() {
        for (name, number) in HarmlessWaits.restartable {
            #expect(HarmlessWaits.functions.contains(name), "\(name)")
            #expect(HarmlessWaits.systemCalls.contains(number), "\(name)")
            #expect(number != numbers.restartSyscall)
        }
    }
}
