import LinuxProcess
import Testing

@testable import Tracing

#if arch(x86_64)
    /// Registers by their places in `struct user_regs_struct` (sys/user.h).
    enum Place: Int, CaseIterable {
        case r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, origRAX, rip, cs, eflags, rsp
        case ss, fsBase, gsBase, ds, es, fs, gs
    }

    /// Registers that each hold a value of their own.
    func makeRegisters(_ changes: [Place: UInt64] = [:]) throws -> X86_64.Registers {
        var bytes = [UInt8](repeating: 0, count: 27 * 8)
        for place in Place.allCases { bytes.set(0x1111_0000 + UInt64(place.rawValue), at: place.rawValue * 8) }
        for (place, value) in changes { bytes.set(value, at: place.rawValue * 8) }
        return try #require(X86_64.Registers(bytes: bytes))
    }

    func value(_ place: Place, of registers: X86_64.Registers) -> UInt64? {
        registers.bytes.integer(at: place.rawValue * 8, as: UInt64.self)
    }

    @Suite("X86_64.callFrame")
    struct UnitCallFrameTests {
        /// x87, SSE and AVX: in the standard format the AVX part follows the header and has 256 bytes.
        private static let avxSize = 512 + 64 + 256

        /// What NT_X86_XSTATE gives.
        private func vectors(features: UInt64 = 7, inUse: UInt64 = 7, size: Int = avxSize) -> [UInt8] {
            var state = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            state.set(features, at: 464)
            state.set(inUse, at: 512)
            return state
        }

        private func makeFrame(stackPointer: UInt64 = 0x7ffc_0000_1234, vectors: [UInt8]? = nil) throws -> CallFrame<
            X86_64.Registers
        > {
            try X86_64.callFrame(
                CallPreparation(
                    calls: [FunctionCall(0x7f00_0000_4000)],
                    wayBack: WayBack(signalReturn: 0x7f00_0000_8000, resultStore: nil),
                    comeback: try makeRegisters([.rsp: stackPointer, .eflags: 0x546, .cs: 0x33, .ss: 0x2b]),
                    stackPointer: stackPointer, signalMask: 0xabcd_ef01_2345_6789, callMask: 0x1111,
                    vectors: vectors ?? self.vectors()))
        }

        @Test(
            "the frame keeps the psABI's alignment and lies below the red zone", arguments: (0..<64).map { UInt64($0) })
        func alignment(low: UInt64) throws {
            let stackPointer = 0x7ffc_0000_1000 + low
            let frame = try makeFrame(stackPointer: stackPointer)
            #expect(frame.address % 16 == 8)
            #expect(frame.address + UInt64(frame.bytes.count) <= stackPointer - 128)
            #expect(frame.registers.stackPointer == frame.address)
            // The kernel wants its vector image on 64 bytes.
            let vectorState = try #require(frame.bytes.integer(at: 8 + 40 + 184, as: UInt64.self))
            #expect(vectorState % 64 == 0)
            // Nothing of the frame lies in the vector image.
            #expect(vectorState >= frame.address + 8 + 304 + 128)
        }

        @Test("the call starts at the function, with the direction and trap flags off and in no system call")
        func entry() throws {
            let frame = try makeFrame()
            #expect(frame.registers.programCounter == 0x7f00_0000_4000)
            #expect(frame.bytes.integer(at: 0, as: UInt64.self) == 0x7f00_0000_8000)
            #expect(value(.eflags, of: frame.registers) == 0x046)
            #expect(frame.registers.systemCall == nil)
            #expect(value(.rax, of: frame.registers) == 0)
            #expect(frame.registers.threadPointer == 0x1111_0000 + UInt64(Place.fsBase.rawValue))
        }

        /// Offsets in `struct ucontext` of the kernel's asm/ucontext.h and asm/sigcontext.h.
        private static let contextOffsets: [(place: Place, offset: Int)] = [
            (.r8, 40), (.r9, 48), (.r10, 56), (.r11, 64), (.r12, 72), (.r13, 80), (.r14, 88), (.r15, 96), (.rdi, 104),
            (.rsi, 112), (.rbp, 120), (.rbx, 128), (.rdx, 136), (.rax, 144), (.rcx, 152), (.rsp, 160), (.rip, 168),
            (.eflags, 176),
        ]

        @Test("every register stands at its offset in the kernel's signal frame")
        func context() throws {
            let frame = try makeFrame()
            let comeback = try makeRegisters([.rsp: 0x7ffc_0000_1234, .eflags: 0x546, .cs: 0x33, .ss: 0x2b])
            for (place, offset) in UnitCallFrameTests.contextOffsets {
                #expect(frame.bytes.integer(at: 8 + offset, as: UInt64.self) == value(place, of: comeback), "\(place)")
            }
            // UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
            #expect(frame.bytes.integer(at: 8, as: UInt64.self) == 7)
            // uc_link and uc_stack stay empty: the kernel then leaves the alternate stack alone.
            #expect(frame.bytes[16..<48].allSatisfy { $0 == 0 })
            #expect(frame.bytes.integer(at: 8 + 184, as: UInt16.self) == 0x33)
            #expect(frame.bytes.integer(at: 8 + 190, as: UInt16.self) == 0x2b)
            #expect(frame.bytes.integer(at: 8 + 296, as: UInt64.self) == 0xabcd_ef01_2345_6789)
        }

        @Test("the vector image has the kernel's two marks around what is to be restored")
        func vectorMarks() throws {
            let state = vectors()
            let frame = try makeFrame(vectors: state)
            let vectorState = try #require(frame.bytes.integer(at: 8 + 40 + 184, as: UInt64.self))
            let size = UnitCallFrameTests.avxSize
            let image = Array(frame.bytes[Int(vectorState - frame.address)...].prefix(size + 4))
            // FP_XSTATE_MAGIC1, the size with the second mark, the features, the size without it.
            #expect(image.integer(at: 464, as: UInt32.self) == 0x4650_5853)
            #expect(image.integer(at: 468, as: UInt32.self) == UInt32(size + 4))
            #expect(image.integer(at: 472, as: UInt64.self) == 7)
            #expect(image.integer(at: 480, as: UInt32.self) == UInt32(size))
            #expect(image[484..<512].allSatisfy { $0 == 0 })
            // FP_XSTATE_MAGIC2
            #expect(image.integer(at: size, as: UInt32.self) == 0x4650_5845)
            #expect(image[..<464] == state[..<464])
            #expect(image[512..<size] == state[512..<size])
        }

        @Test("without AVX the image is the legacy region and the header")
        func legacyVectors() throws {
            let frame = try makeFrame(vectors: vectors(features: 3, inUse: 3))
            let vectorState = try #require(frame.bytes.integer(at: 8 + 40 + 184, as: UInt64.self))
            let image = Array(frame.bytes[Int(vectorState - frame.address)...])
            #expect(image.integer(at: 480, as: UInt32.self) == 576)
            // FP_XSTATE_MAGIC2, and what follows is padding.
            #expect(image.integer(at: 576, as: UInt32.self) == 0x4650_5845)
            #expect(image[580...].allSatisfy { $0 == 0 })
        }

        @Test(
            "AMX tiles are refused where the thread uses them, and left out where it does not",
            arguments: [UInt64(1 << 17), 1 << 18])
        func tiles(tile: UInt64) throws {
            #expect(throws: CallRefusal.self) { try makeFrame(vectors: vectors(features: 7 | tile, inUse: 7 | tile)) }
            let frame = try makeFrame(vectors: vectors(features: 7 | tile, inUse: 7))
            let vectorState = try #require(frame.bytes.integer(at: 8 + 40 + 184, as: UInt64.self))
            #expect(frame.bytes.integer(at: Int(vectorState - frame.address) + 472, as: UInt64.self) == 7)
        }

        @Test("without an XSAVE state there is no call", arguments: [0, 100, 512, 519])
        func noVectors(size: Int) {
            #expect(throws: CallRefusal.self) { try makeFrame(vectors: [UInt8](repeating: 0, count: size)) }
        }
    }

    @Suite("X86_64.Registers")
    struct UnitRegistersTests {
        @Test("registers are read from the kernel's order and written back in it")
        func order() throws {
            let registers = try makeRegisters()
            func expected(_ place: Place) -> UInt64 { 0x1111_0000 + UInt64(place.rawValue) }
            #expect(registers.programCounter == expected(.rip))
            #expect(registers.stackPointer == expected(.rsp))
            #expect(registers.threadPointer == expected(.fsBase))
            #expect(registers.returnValue == Int64(expected(.rax)))
            #expect(registers.systemCall == Int(expected(.origRAX)))
            let arguments: [Place] = [.rdi, .rsi, .rdx, .r10, .r8, .r9]
            for (index, place) in arguments.enumerated() { #expect(registers.argument(index) == expected(place)) }
            #expect(X86_64.Registers(bytes: registers.bytes) == registers)
        }

        @Test("another number of bytes is no set of registers", arguments: [0, 8, 27 * 8 - 1, 27 * 8 + 1, 17 * 4])
        func wrongSize(count: Int) {
            #expect(X86_64.Registers(bytes: [UInt8](repeating: 0, count: count)) == nil)
        }

        @Test("rewinding goes back over the instruction and takes the number again")
        func rewind() throws {
            // As a restart left it: the result in rax, the number beside it.
            var registers = try makeRegisters([.rax: UInt64(bitPattern: -516), .origRAX: 232, .rip: 0x4002])
            registers.rewindSystemCall()
            #expect(registers.programCounter == 0x4000)
            #expect(value(.rax, of: registers) == 232)
            #expect(registers.systemCall == 232)

            var restarted = try makeRegisters([.rax: UInt64(bitPattern: -516), .origRAX: 219, .rip: 0x4002])
            restarted.rewindSystemCall(to: 7)
            #expect(restarted.programCounter == 0x4000)
            #expect(value(.rax, of: restarted) == 7)
        }

        @Test("leaving a system call marks the thread as being in none, and changes nothing else")
        func leave() throws {
            var registers = try makeRegisters()
            registers.leaveSystemCall()
            #expect(registers.systemCall == nil)
            #expect(registers == (try makeRegisters([.origRAX: UInt64.max])))
        }

        @Test("an argument is set in its register alone")
        func setArgument() throws {
            var registers = try makeRegisters()
            registers.setArgument(3, 42)
            #expect(registers == (try makeRegisters([.r10: 42])))
        }

        @Test("the same place is the same instruction, frame and thread", arguments: Place.allCases)
        func samePlace(place: Place) throws {
            let places: Set<Place> = [.rip, .rsp, .fsBase]
            let other = try makeRegisters([place: 0x9999])
            #expect(try makeRegisters().isAtSamePlace(as: other) == !places.contains(place))
        }

        @Test(
            "libunwind's numbers are DWARF's",
            arguments: [
                (0, Place.rax), (1, .rdx), (2, .rcx), (3, .rbx), (4, .rsi), (5, .rdi), (6, .rbp), (7, .rsp), (8, .r8),
                (9, .r9),
                (10, .r10), (11, .r11), (12, .r12), (13, .r13), (14, .r14), (15, .r15), (16, .rip),
            ])
        func unwind(number: Int, place: Place) throws {
            #expect(try makeRegisters().unwindRegister(number) == 0x1111_0000 + UInt64(place.rawValue))
        }

        @Test("other numbers are no registers", arguments: [-1, 17, 100, Int.max])
        func noUnwind(number: Int) throws {
            #expect(try makeRegisters().unwindRegister(number) == nil)
        }
    }

    @Suite("X86_64 code")
    struct UnitCodeTests {
        @Test(
            "the number before a system call is read",
            arguments: [(0x07, 7), (0xe8, 232), (0x23, 35)] as [(UInt8, Int)])
        func number(byte: UInt8, number: Int) {
            let code: [UInt8] = [0x90, 0x90, 0xb8, byte, 0, 0, 0, 0x0f, 0x05]
            #expect(X86_64.systemCallNumber(before: code[...]) == number)
            #expect(X86_64.systemCallNumber(before: code[2...]) == number)
        }

        @Test(
            "another way into the kernel tells no number",
            arguments: [
                [], [0x0f, 0x05], [0xb8, 7, 0, 0, 0, 0x0f, 0x34], [0xb9, 7, 0, 0, 0, 0x0f, 0x05],
                [0xb8, 7, 0, 0, 0, 0x0f, 0x05, 0x90],
                [0x48, 0x89, 0xf8, 0x90, 0x90, 0x0f, 0x05], [0xb8, 7, 0, 0, 0, 0x90, 0x0f, 0x05],
            ] as [[UInt8]])
        func noNumber(code: [UInt8]) {
            #expect(X86_64.systemCallNumber(before: code[...]) == nil)
        }

        @Test("the end of a thread is known, with a result of 32 or of 64 bits")
        func endsThread() {
            let code: [UInt8] = [0x89, 0xc7, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05]
            #expect(X86_64.endsThread(code[...]))
            #expect(X86_64.endsThread(([0x48] + code)[...]))
            #expect(X86_64.endsThread(([0x90] + code + [0xf4])[1...]))
            for count in 0..<code.count { #expect(!X86_64.endsThread(code[..<count]), "\(count) bytes") }
            for index in code.indices {
                var other = code
                other[index] ^= 1
                #expect(!X86_64.endsThread(other[...]), "byte \(index)")
            }
            // exit_group ends the process.
            #expect(!X86_64.endsThread([0x89, 0xc7, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05]))
        }
    }
#endif
