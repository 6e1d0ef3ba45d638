import Testing

@testable import Tracing

/// An assembler for classic BPF, as small as these tests need.
private enum BPF {
    static func statement(_ code: UInt16, _ constant: UInt32 = 0) -> UInt64 { UInt64(constant) << 32 | UInt64(code) }

    static func jump(_ code: UInt16, _ constant: UInt32, _ ifTrue: UInt8, _ ifFalse: UInt8) -> UInt64 {
        UInt64(constant) << 32 | UInt64(ifFalse) << 24 | UInt64(ifTrue) << 16 | UInt64(code)
    }

    /// Loads a word of `struct seccomp_data`.
    static func load(_ offset: UInt32) -> UInt64 { statement(0x20, offset) }
    static let loadNumber = load(0)
    static let loadArchitecture = load(4)
    static func loadLow(argument: UInt32) -> UInt64 { load(16 + argument * 8) }
    static func loadHigh(argument: UInt32) -> UInt64 { load(20 + argument * 8) }
    static func ifEqual(_ constant: UInt32, _ ifTrue: UInt8, _ ifFalse: UInt8) -> UInt64 {
        jump(0x15, constant, ifTrue, ifFalse)
    }
    static func ifGreater(_ constant: UInt32, _ ifTrue: UInt8, _ ifFalse: UInt8) -> UInt64 {
        jump(0x25, constant, ifTrue, ifFalse)
    }
    static func ifAtLeast(_ constant: UInt32, _ ifTrue: UInt8, _ ifFalse: UInt8) -> UInt64 {
        jump(0x35, constant, ifTrue, ifFalse)
    }
    static func ifAnyBit(_ constant: UInt32, _ ifTrue: UInt8, _ ifFalse: UInt8) -> UInt64 {
        jump(0x45, constant, ifTrue, ifFalse)
    }
    static func goOn(_ distance: UInt32) -> UInt64 { statement(0x05, distance) }
    static func end(_ action: UInt32) -> UInt64 { statement(0x06, action) }

    // seccomp(2)
    static let killProcess: UInt32 = 0x8000_0000
    static let kill: UInt32 = 0
    static let trap: UInt32 = 0x0003_0000
    static let errno: UInt32 = 0x0005_0000
    static let notify: UInt32 = 0x7fc0_0000
    static let trace: UInt32 = 0x7ff0_0000
    static let log: UInt32 = 0x7ffc_0000
    static let allow: UInt32 = 0x7fff_0000

    #if arch(x86_64)
        static let architecture: UInt32 = 0xc000_003e
    #else
        static let architecture: UInt32 = 0xc000_00b7
    #endif
}

@Suite("SeccompFilter")
struct UnitSeccompFilterTests {
    private let openat = SeccompFilter.Call("openat", Native.systemCalls.openat, [0xffff_ff9c, 0, 0o2000000])
    private let read = SeccompFilter.Call("read", Native.systemCalls.read)
    private let close = SeccompFilter.Call("close", Native.systemCalls.close)

    private func number(_ call: SeccompFilter.Call) -> UInt32 { UInt32(call.number) }

    private func hindered(_ program: [UInt64], _ calls: SeccompFilter.Call...) -> [String] {
        let filter = SeccompFilter(programs: [program])
        return calls.filter { filter.firstHindered(of: [$0]) != nil }.map(\.name)
    }

    @Test("without a filter nothing is hindered")
    func noFilter() {
        #expect(SeccompFilter(programs: []).firstHindered(of: [openat, read]) == nil)
    }

    @Test("a list of what is allowed lets through what it names")
    func allowList() {
        let program = [
            BPF.loadNumber, BPF.ifEqual(number(read), 2, 0), BPF.ifEqual(number(close), 1, 0), BPF.end(BPF.kill),
            BPF.end(BPF.allow),
        ]
        #expect(hindered(program, openat, read, close) == ["openat"])
    }

    @Test("a list of what is forbidden lets through all else")
    func denyList() {
        let program = [BPF.loadNumber, BPF.ifEqual(number(openat), 0, 1), BPF.end(BPF.killProcess), BPF.end(BPF.allow)]
        #expect(hindered(program, openat, read, close) == ["openat"])
    }

    @Test("the first call that is hindered is told, by any of several filters")
    func several() {
        func forbidding(_ call: SeccompFilter.Call) -> [UInt64] {
            [BPF.loadNumber, BPF.ifEqual(number(call), 0, 1), BPF.end(BPF.kill), BPF.end(BPF.allow)]
        }
        let filter = SeccompFilter(programs: [forbidding(close), [BPF.end(BPF.allow)], forbidding(read)])
        #expect(filter.firstHindered(of: [openat, read, close])?.name == "read")
        #expect(filter.firstHindered(of: [openat]) == nil)
    }

    @Test(
        "only allowing and logging let a call through",
        arguments: [
            (BPF.allow, true), (BPF.log, true), (BPF.kill, false), (BPF.killProcess, false), (BPF.trap, false),
            (BPF.errno, false), (BPF.errno | 13, false), (BPF.notify, false), (BPF.trace, false), (BPF.allow | 7, true),
        ])
    func actions(action: UInt32, isThrough: Bool) {
        #expect(hindered([BPF.end(action)], read).isEmpty == isThrough)
        // The same in the accumulator.
        #expect(hindered([BPF.statement(0x00, action), BPF.statement(0x16)], read).isEmpty == isThrough)
    }

    @Test("an argument is seen in both its halves")
    func argumentHalves() {
        let call = SeccompFilter.Call("x", 1, [0, 0x1122_3344_5566_7788, 0, 0, 0, 0x99])
        #expect(SeccompFilter.run([BPF.loadLow(argument: 1), BPF.statement(0x16)], call) == 0x5566_7788)
        #expect(SeccompFilter.run([BPF.loadHigh(argument: 1), BPF.statement(0x16)], call) == 0x1122_3344)
        #expect(SeccompFilter.run([BPF.loadLow(argument: 5), BPF.statement(0x16)], call) == 0x99)
        #expect(SeccompFilter.run([BPF.loadLow(argument: 0), BPF.statement(0x16)], call) == 0)
    }

    @Test("a filter that allows opening for reading only is understood")
    func readOnlyOpen() {
        let program = [
            BPF.loadNumber, BPF.ifEqual(number(openat), 0, 4), BPF.loadHigh(argument: 2), BPF.ifEqual(0, 0, 3),
            BPF.loadLow(argument: 2), BPF.ifAnyBit(0o3, 1, 0), BPF.end(BPF.allow), BPF.end(BPF.errno | 13),
        ]
        #expect(hindered(program, openat).isEmpty)
        #expect(hindered(program, .init("openat for writing", openat.number, [0, 0, 0o1])) == ["openat for writing"])
        #expect(hindered(program, .init("high half", openat.number, [0, 0, 1 << 32])) == ["high half"])
        #expect(hindered(program, read).isEmpty)
    }

    @Test("a filter that checks the architecture sees this machine's")
    func architecture() {
        let program = [
            BPF.loadArchitecture, BPF.ifEqual(BPF.architecture, 1, 0), BPF.end(BPF.killProcess), BPF.end(BPF.allow),
        ]
        #expect(hindered(program, read).isEmpty)
        let other = [
            BPF.loadArchitecture, BPF.ifEqual(0x4000_0003, 1, 0), BPF.end(BPF.killProcess), BPF.end(BPF.allow),
        ]
        #expect(hindered(other, read) == ["read"])
    }

    @Test("comparisons are unsigned and have their edges")
    func comparisons() {
        func verdict(_ jump: UInt64, _ value: UInt32) -> UInt32? {
            SeccompFilter.run([BPF.statement(0x00, value), jump, BPF.end(1), BPF.end(2)], read)
        }
        for (value, result) in [(0x7fff_ffff, 2), (0x8000_0000, 2), (0x8000_0001, 1)] as [(UInt32, UInt32)] {
            #expect(verdict(BPF.ifGreater(0x8000_0000, 0, 1), value) == result)
        }
        for (value, result) in [(0x7fff_ffff, 2), (0x8000_0000, 1), (0x8000_0001, 1)] as [(UInt32, UInt32)] {
            #expect(verdict(BPF.ifAtLeast(0x8000_0000, 0, 1), value) == result)
        }
        #expect(verdict(BPF.ifAnyBit(0x10, 0, 1), 0x11) == 1)
        #expect(verdict(BPF.ifAnyBit(0x10, 0, 1), 0x0f) == 2)
        // With the index register in place of the constant.
        let withIndex = [
            BPF.statement(0x01, 7), BPF.statement(0x00, 7), BPF.jump(0x1d, 0, 0, 1), BPF.end(1), BPF.end(2),
        ]
        #expect(SeccompFilter.run(withIndex, read) == 1)
    }

    @Test(
        "arithmetic is that of 32-bit words",
        arguments: [
            (0x04, 0xffff_ffff, 2, 1), (0x14, 1, 2, 0xffff_ffff), (0x24, 0x8000_0001, 2, 2), (0x34, 7, 2, 3),
            (0x44, 5, 2, 7),
            (0x54, 6, 3, 2), (0x64, 1, 31, 0x8000_0000), (0x64, 1, 32, 0), (0x74, 0x8000_0000, 31, 1),
            (0x84, 1, 0, 0xffff_ffff),
            (0xa4, 6, 3, 5),
        ] as [(UInt16, UInt32, UInt32, UInt32)])
    func arithmetic(code: UInt16, left: UInt32, right: UInt32, result: UInt32) {
        #expect(
            SeccompFilter.run([BPF.statement(0x00, left), BPF.statement(code, right), BPF.statement(0x16)], read)
                == result)
    }

    @Test("the scratch words and the index register keep what is put there")
    func scratch() {
        let program = [
            BPF.statement(0x00, 11), BPF.statement(0x02, 15),  // M[15] = 11
            BPF.statement(0x01, 22), BPF.statement(0x03, 0),  // M[0] = 22, by way of X
            BPF.statement(0x60, 15), BPF.statement(0x07),  // A = M[15]; X = A
            BPF.statement(0x60, 0), BPF.statement(0x0c),  // A = M[0]; A += X
            BPF.statement(0x16),
        ]
        #expect(SeccompFilter.run(program, read) == 33)
        #expect(SeccompFilter.run([BPF.statement(0x01, 9), BPF.statement(0x87), BPF.statement(0x16)], read) == 9)
        #expect(SeccompFilter.run([BPF.statement(0x80), BPF.statement(0x16)], read) == 64)
    }

    @Test("a jump goes past what it says")
    func jump() {
        #expect(SeccompFilter.run([BPF.goOn(1), BPF.end(1), BPF.end(2)], read) == 2)
    }

    @Test(
        "a program that is no filter gives no verdict, and hinders",
        arguments: [
            [], [BPF.loadNumber], [BPF.goOn(0)], [BPF.goOn(5), BPF.end(BPF.allow)],
            [BPF.goOn(UInt32.max), BPF.end(BPF.allow)],
            [BPF.ifEqual(0, 255, 255), BPF.end(BPF.allow)], [BPF.load(64), BPF.end(BPF.allow)],
            [BPF.load(UInt32.max), BPF.end(BPF.allow)], [BPF.load(61), BPF.end(BPF.allow)],
            // Division by zero, remainder, an unknown jump, a packet load.
            [BPF.statement(0x34, 0), BPF.end(BPF.allow)], [BPF.statement(0x94, 3), BPF.end(BPF.allow)],
            [BPF.jump(0x65, 0, 0, 0), BPF.end(BPF.allow)], [BPF.statement(0x40, 0), BPF.end(BPF.allow)],
            [BPF.statement(0xb1, 0), BPF.end(BPF.allow)],
        ] as [[UInt64]])
    func invalid(program: [UInt64]) {
        #expect(SeccompFilter.run(program, read) == nil)
        #expect(hindered(program, read) == ["read"])
    }

    @Test("no program runs for ever, and none does harm")
    func random() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<5000 {
            let program = (0..<Int.random(in: 0..<40, using: &generator)).map { _ in
                generator.next() & 0xffff_ffff_0303_00ff
            }
            _ = SeccompFilter.run(program, openat)
        }
        // As long as the kernel takes them, jumping all the way.
        let longest = [UInt64](repeating: BPF.goOn(0), count: 4095) + [BPF.end(BPF.allow)]
        #expect(hindered(longest, read).isEmpty)
    }
}
