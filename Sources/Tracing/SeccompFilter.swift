import CLinux
import LinuxProcess

/// The seccomp filters of a thread, run in our own interpreter to see what they would do to a call before it is made.
public struct SeccompFilter: Sendable {
    /// A system call with arguments, as a filter sees it; unknown arguments are 0.
    public struct Call: Sendable {
        public let name: String
        public let number: Int
        public let arguments: [UInt64]

        public init(_ name: String, _ number: Int, _ arguments: [UInt64] = []) {
            self.name = name
            self.number = number
            self.arguments = arguments + Array(repeating: 0, count: max(0, 6 - arguments.count))
        }
    }

    /// One program each: classic BPF instructions of 8 bytes (`struct sock_filter`).
    let programs: [[UInt64]]

    public init(programs: [[UInt64]]) {
        self.programs = programs
    }

    /// Reads the filters of a held thread. Needs CAP_SYS_ADMIN and a kernel with CONFIG_CHECKPOINT_RESTORE.
    public init(of thread: borrowing HeldThread) throws(SystemError) {
        var programs: [[UInt64]] = []
        while programs.count < 64 {
            let id = thread.thread.rawValue
            let count = clinux_ptrace_seccomp_filter(id, UInt(programs.count), nil)
            if count == -2 { break }  // ENOENT: that was the last
            guard count > 0 else { throw SystemError("read the seccomp filter of thread \(id)", code: Int32(-count)) }
            var program = [UInt64](repeating: 0, count: count)
            let read = clinux_ptrace_seccomp_filter(id, UInt(programs.count), &program)
            guard read == count else {
                throw SystemError("read the seccomp filter of thread \(id)", code: Int32(-read))
            }
            programs.append(program)
        }
        self.programs = programs
    }

    /// The first of `calls` that some filter would not simply let through.
    public func firstHindered(of calls: [Call]) -> Call? {
        calls.first { call in programs.contains { !SeccompFilter.allows($0, call) } }
    }

    // Actions of seccomp(2); the lower 16 bits are data.
    private static let allow: UInt32 = 0x7fff_0000
    private static let log: UInt32 = 0x7ffc_0000

    private static func allows(_ program: [UInt64], _ call: Call) -> Bool {
        guard let action = run(program, call) else { return false }
        return action & 0xffff_0000 == allow || action & 0xffff_0000 == log
    }

    /// `struct seccomp_data`: number, architecture, instruction pointer, six arguments.
    private static func data(_ call: Call) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 64)
        bytes.set(UInt32(truncatingIfNeeded: call.number), at: 0)
        #if arch(x86_64)
            bytes.set(0xc000_003e as UInt32, at: 4)
        #else
            bytes.set(0xc000_00b7 as UInt32, at: 4)
        #endif
        for (index, argument) in call.arguments.prefix(6).enumerated() { bytes.set(argument, at: 16 + index * 8) }
        return bytes
    }

    /// Runs a classic BPF program (the kernel's Documentation/networking/filter.rst) to its verdict; nil where it is not one
    /// that seccomp accepts.
    static func run(_ program: [UInt64], _ call: Call) -> UInt32? {
        let data = data(call)
        var accumulator: UInt32 = 0
        var index: UInt32 = 0
        var scratch = [UInt32](repeating: 0, count: 16)
        var counter = 0
        while program.indices.contains(counter) {
            let instruction = program[counter]
            let code = UInt16(truncatingIfNeeded: instruction)
            let ifTrue = Int(instruction >> 16 & 0xff)
            let ifFalse = Int(instruction >> 24 & 0xff)
            let constant = UInt32(truncatingIfNeeded: instruction >> 32)
            counter += 1
            let source = code & 0x08 != 0 ? index : constant
            switch code & 0x07 {
            case 0x00, 0x01:  // LD, LDX
                let value: UInt32
                switch code & 0xe0 {
                case 0x20:
                    guard let word = data.integer(at: Int(constant), as: UInt32.self) else { return nil }
                    value = word
                case 0x00: value = constant
                case 0x60: value = scratch[Int(constant & 15)]
                case 0x80: value = 64
                default: return nil
                }
                if code & 0x07 == 0 { accumulator = value } else { index = value }
            case 0x02: scratch[Int(constant & 15)] = accumulator
            case 0x03: scratch[Int(constant & 15)] = index
            case 0x04:
                guard let result = arithmetic(code & 0xf0, accumulator, source) else { return nil }
                accumulator = result
            case 0x05:
                let isTaken: Bool
                switch code & 0xf0 {
                case 0x00:
                    counter += Int(constant)
                    continue
                case 0x10: isTaken = accumulator == source
                case 0x20: isTaken = accumulator > source
                case 0x30: isTaken = accumulator >= source
                case 0x40: isTaken = accumulator & source != 0
                default: return nil
                }
                counter += isTaken ? ifTrue : ifFalse
            case 0x06: return code & 0x18 == 0x10 ? accumulator : constant
            case 0x07: if code & 0xf8 == 0x80 { accumulator = index } else { index = accumulator }
            default: return nil
            }
        }
        return nil
    }

    private static func arithmetic(_ operation: UInt16, _ left: UInt32, _ right: UInt32) -> UInt32? {
        switch operation {
        case 0x00: left &+ right
        case 0x10: left &- right
        case 0x20: left &* right
        case 0x30: right == 0 ? nil : left / right
        case 0x40: left | right
        case 0x50: left & right
        case 0x60: right < 32 ? left << right : 0
        case 0x70: right < 32 ? left >> right : 0
        case 0x80: 0 &- left
        case 0xa0: left ^ right
        default: nil
        }
    }
}
