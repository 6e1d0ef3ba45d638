import LinuxProcess
import Testing

@testable import Tracing

#if arch(x86_64)
    /// Several calls in a row, with arguments in memory and results that are kept.
    @Suite("X86_64.callFrame of a sequence")
    struct UnitCallSequenceTests {
        private static let signalReturn: UInt64 = 0x7f00_0000_8000
        private static let store = ResultStore(address: 0x7f00_0000_9000, displacement: 16, stackBytes: 8)
        private static let mask: UInt64 = 0xabcd_ef01_2345_6789
        private static let callMask: UInt64 = 0x1111
        private static let stackPointer: UInt64 = 0x7ffc_0000_1238

        private func makeFrame(_ calls: [FunctionCall], store: ResultStore? = store) throws -> CallFrame<
            X86_64.Registers
        > {
            var state = [UInt8](repeating: 0, count: 512 + 64 + 256)
            state.set(UInt64(7), at: 464)
            state.set(UInt64(7), at: 512)
            return try X86_64.callFrame(
                CallPreparation(
                    calls: calls, wayBack: WayBack(signalReturn: Self.signalReturn, resultStore: store),
                    comeback: try makeRegisters([.rsp: Self.stackPointer, .eflags: 0x246, .cs: 0x33, .ss: 0x2b]),
                    stackPointer: Self.stackPointer, signalMask: Self.mask, callMask: Self.callMask, vectors: state))
        }

        private static let calls = [
            FunctionCall(0x1000, .value(1)), FunctionCall(0x2000, .value(2), .text("a server")),
            FunctionCall(0x3000, .text("/etc/resolv.conf"), .value(3), .bytes([9, 8])),
        ]

        /// Where what the first call returns to lies, and each signal frame after it.
        private func frames(_ frame: CallFrame<X86_64.Registers>, _ count: Int, dropped: Int) throws -> [Int] {
            // Each block is rounded up to 16 bytes.
            let block = (dropped + 8 + 304 + 128 + 15) & ~15
            return (0..<count).map { $0 * block + dropped }
        }

        @Test("each signal frame starts the next call, and the last one leads home")
        func chain() throws {
            let frame = try makeFrame(Self.calls)
            #expect(frame.registers.programCounter == 0x1000)
            #expect(frame.registers.argument(0) == 1)
            let starts = try frames(frame, 3, dropped: 16)
            for (index, start) in starts.enumerated() {
                func context(_ offset: Int) -> UInt64? { frame.bytes.integer(at: start + 8 + offset) }
                // Before it stands the code that stores a result, and what that drops.
                #expect(frame.bytes.integer(at: start - 16, as: UInt64.self) == Self.store.address)
                #expect(frame.bytes.integer(at: start, as: UInt64.self) == Self.signalReturn)
                let isLast = index == 2
                #expect(
                    context(168) == (isLast ? value(.rip, of: try makeRegisters()) : Self.calls[index + 1].function))
                #expect(context(296) == (isLast ? Self.mask : Self.callMask))
                let stack = try #require(context(160))
                #expect(isLast ? stack == Self.stackPointer : stack % 16 == 8)
                // A function's frame lies below its own block, and must not reach those to come.
                if !isLast { #expect(stack == frame.address + UInt64(starts[index + 1] - 16)) }
            }
        }

        @Test("bytes lie where the function is told, whole and apart")
        func arguments() throws {
            let frame = try makeFrame(Self.calls)
            let starts = try frames(frame, 3, dropped: 16)
            func bytes(_ address: UInt64, _ count: Int) -> [UInt8] {
                Array(frame.bytes[Int(address - frame.address)...].prefix(count))
            }
            // rsi of the second, rdi and rdx of the third: at 112, 104 and 136 of the context that starts them.
            let text = try #require(frame.bytes.integer(at: starts[0] + 8 + 112, as: UInt64.self))
            #expect(bytes(text, 9) == Array("a server".utf8) + [0])
            let path = try #require(frame.bytes.integer(at: starts[1] + 8 + 104, as: UInt64.self))
            #expect(bytes(path, 17) == Array("/etc/resolv.conf".utf8) + [0])
            let last = try #require(frame.bytes.integer(at: starts[1] + 8 + 136, as: UInt64.self))
            #expect(bytes(last, 2) == [9, 8])
            for address in [text, path, last] { #expect(address + 32 < Self.stackPointer - 128 + 32) }
        }

        @Test("each result has a word of its own, which rbx leads to")
        func results() throws {
            let frame = try makeFrame(Self.calls)
            #expect(frame.results.count == 3)
            #expect(Set(frame.results).count == 3)
            #expect(value(.rbx, of: frame.registers) == frame.results[0] - 16)
            let starts = try frames(frame, 3, dropped: 16)
            for index in 0..<2 {
                // rbx is at 128 of the context.
                #expect(
                    frame.bytes.integer(at: starts[index] + 8 + 128, as: UInt64.self) == frame.results[index + 1] - 16)
            }
            for place in frame.results {
                #expect(place % 8 == 0 && place < Self.stackPointer - 128)
                #expect(frame.bytes.integer(at: Int(place - frame.address), as: UInt64.self) == 0)
            }
        }

        @Test("without code that stores results there are none, and the frames stand alone")
        func noStore() throws {
            let frame = try makeFrame(Self.calls, store: nil)
            #expect(frame.results == [])
            for start in try frames(frame, 3, dropped: 0) {
                #expect(frame.bytes.integer(at: start, as: UInt64.self) == Self.signalReturn)
            }
        }
    }

    @Suite("X86_64.resultStore")
    struct UnitResultStoreTests {
        private func store(_ code: [UInt8]) -> (displacement: Int8, stackBytes: Int)? {
            code.withUnsafeBytes { X86_64.resultStore($0[...]) }
        }

        @Test("the end of a function that stores rax by rbx is known, with what it drops")
        func known() throws {
            // mov %rax,(%rbx); pop %rbx; ret
            let plain = try #require(store([0x48, 0x89, 0x03, 0x5b, 0xc3]))
            #expect((plain.displacement, plain.stackBytes) == (0, 8))
            // mov %rax,-8(%rbx); add $0x18,%rsp; xor %eax,%eax; pop %rbx; pop %rbp; pop %r12; ret
            let long = try #require(
                store([0x48, 0x89, 0x43, 0xf8, 0x48, 0x83, 0xc4, 0x18, 0x31, 0xc0, 0x5b, 0x5d, 0x41, 0x5c, 0xc3]))
            #expect((long.displacement, long.stackBytes) == (-8, 24 + 24))
        }

        @Test(
            "anything else on the way is refused",
            arguments: [
                [0x48, 0x89, 0x0b, 0x5b, 0xc3], [0x48, 0x8b, 0x03, 0x5b, 0xc3], [0x48, 0x89, 0x03, 0x5b, 0x90],
                [0x48, 0x89, 0x03, 0xe8, 0, 0, 0, 0, 0xc3], [0x48, 0x89, 0x03, 0x5b], [0x48, 0x89, 0x03],
                [0x48, 0x89, 0x03, 0x5c, 0xc3], [0x48, 0x89, 0x03, 0x48, 0x83, 0xc4, 0x84, 0xc3],
                [0x48, 0x89, 0x03, 0x48, 0x83, 0xc4, 0x0c, 0xc3], [0x48, 0x89, 0x03, 0xc2, 0x08, 0x00],
            ] as [[UInt8]])
        func unknown(_ code: [UInt8]) {
            #expect(store(code) == nil)
        }

        @Test("this machine's C library has such an end, and an entry to rt_sigreturn")
        func ownLibrary() throws {
            let memory = ProcessMemory(of: .own)
            let ranges = try MemoryMap(of: .own).regions.filter { $0.isExecutable && $0.name.contains("/libc.so") }
                .map(\.range)
            try #require(!ranges.isEmpty)
            let wayBack = try #require(WayBack(in: ranges, memory: memory))
            let found = try #require(wayBack.resultStore)
            #expect(ranges.contains { $0.contains(found.address) && $0.contains(wayBack.signalReturn) })
            let again = try #require(store(memory.readUpTo(found.address, count: 32)))
            #expect((again.displacement, again.stackBytes) == (found.displacement, found.stackBytes))
            #expect(wayBack.isThere(memory))
            #expect(!wayBack.moved(by: 1).isThere(memory))
        }
    }
#endif
