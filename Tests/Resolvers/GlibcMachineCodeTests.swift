import Testing

@testable import Resolvers

#if arch(x86_64)
    @Suite("GlibcMachineCode")
    struct GlibcMachineCodeTests {
        private static let endbr64: [UInt8] = [0xf3, 0x0f, 0x1e, 0xfa]
        /// As of `__res_state` in Debian's glibc 2.36: the slot is 0x1234 bytes past the load's end.
        private static let statePointer: [UInt8] = [
            0x48, 0x8b, 0x05, 0x34, 0x12, 0x00, 0x00, 0x64, 0x48, 0x8b, 0x00, 0xc3,
        ]
        private static let address: UInt64 = 0x7f00_0000_1000

        // MARK: __res_state

        @Test("the slot of the state's pointer is found, with and without endbr64")
        func statePointer() {
            let code = GlibcMachineCodeTests.statePointer
            let address = GlibcMachineCodeTests.address
            #expect(GlibcMachineCode.slotOfStatePointer(code, at: address) == address + 7 + 0x1234)
            #expect(GlibcMachineCode.slotOfStatePointer(code + [0x90, 0x90], at: address) == address + 7 + 0x1234)
            let marked = GlibcMachineCodeTests.endbr64 + code
            #expect(GlibcMachineCode.slotOfStatePointer(marked, at: address) == address + 11 + 0x1234)
        }

        @Test("a slot may lie before the code")
        func negativeDisplacement() {
            var code = GlibcMachineCodeTests.statePointer
            code.replaceSubrange(3..<7, with: [0xf9, 0xff, 0xff, 0xff])
            #expect(GlibcMachineCode.slotOfStatePointer(code, at: 0x1000) == 0x1000)
        }

        @Test("code cut short anywhere leads nowhere", arguments: [false, true])
        func truncated(isMarked: Bool) {
            let code = (isMarked ? GlibcMachineCodeTests.endbr64 : []) + GlibcMachineCodeTests.statePointer
            for count in 0..<code.count {
                #expect(GlibcMachineCode.slotOfStatePointer(Array(code.prefix(count)), at: 0) == nil, "\(count) bytes")
            }
        }

        @Test("code with any byte but the displacement's changed leads nowhere")
        func changed() {
            let code = GlibcMachineCodeTests.statePointer
            for index in code.indices where !(3..<7).contains(index) {
                var other = code
                other[index] ^= 1
                #expect(GlibcMachineCode.slotOfStatePointer(other, at: 0) == nil, "byte \(index)")
            }
        }

        // MARK: Static programs

        /// As of `__res_state` in a static program with glibc 2.36: 0x78 bytes before the thread pointer.
        private static let staticPointer: [UInt8] = [
            0x48, 0xc7, 0xc0, 0x88, 0xff, 0xff, 0xff, 0x64, 0x48, 0x8b, 0x00, 0xc3,
        ]

        @Test("in a static program the offset itself stands in the code")
        func staticState() {
            let code = GlibcMachineCodeTests.staticPointer
            #expect(GlibcMachineCode.offsetOfStatePointer(code) == -0x78)
            #expect(GlibcMachineCode.offsetOfStatePointer(GlibcMachineCodeTests.endbr64 + code) == -0x78)
            #expect(GlibcMachineCode.offsetOfStatePointer(GlibcMachineCodeTests.statePointer) == nil)
            #expect(GlibcMachineCode.slotOfStatePointer(code, at: 0) == nil)
            for index in code.indices {
                #expect(GlibcMachineCode.offsetOfStatePointer(Array(code[..<index])) == nil, "\(index) bytes")
                guard !(3..<7).contains(index) else { continue }
                var other = code
                other[index] ^= 1
                #expect(GlibcMachineCode.offsetOfStatePointer(other) == nil, "byte \(index)")
            }
        }

        @Test("so does that of the context, in whatever register", arguments: UInt8(0)..<16)
        func staticContext(register: UInt8) {
            let high = register >> 3
            let low = register & 7
            let load: [UInt8] = [0x48 | high, 0xc7, 0xc0 | low, 0xd0, 0xff, 0xff, 0xff]
            let operand: [UInt8] = low == 4 ? [0x3c, 0x24] : low == 5 ? [0x7d, 0x00] : [0x38 | low]
            let comparison: [UInt8] = [0x64, 0x48 | high, 0x83] + operand + [0]
            #expect(GlibcMachineCode.offsetOfCurrentContext([0x53, 0x55] + load + comparison + [0x74]) == -0x30)
            #expect(GlibcMachineCode.offsetOfCurrentContext(load + [0x90] + comparison) == nil)
            #expect(GlibcMachineCode.offsetOfCurrentContext(load + comparison.dropLast() + [1]) == nil)
        }

        // MARK: __resolv_context_get

        /// `mov 0x1234(%rip),%reg; cmpq $0,%fs:0(%reg)`, and what follows in the function.
        private static func contextCode(register: UInt8, immediate: UInt8 = 0) -> [UInt8] {
            let high = register >> 3
            let low = register & 7
            let load: [UInt8] = [0x48 | high << 2, 0x8b, 0x05 | low << 3, 0x34, 0x12, 0x00, 0x00]
            let operand: [UInt8] = low == 4 ? [0x3c, 0x24] : low == 5 ? [0x7d, 0x00] : [0x38 | low]
            return load + [0x64, 0x48 | high, 0x83] + operand + [immediate]
        }

        private static let prologue: [UInt8] = endbr64 + [0x41, 0x54, 0x55, 0x53]
        private static let rest: [UInt8] = [0x74, 0x10, 0x31, 0xc0, 0x5b, 0x5d, 0x41, 0x5c, 0xc3]

        @Test("the slot of `current` is found through any of the registers", arguments: 0..<UInt8(16))
        func currentContext(register: UInt8) {
            let code = GlibcMachineCodeTests.contextCode(register: register)
            let address = GlibcMachineCodeTests.address
            #expect(GlibcMachineCode.slotOfCurrentContext(code, at: address) == address + 7 + 0x1234)
            let whole = GlibcMachineCodeTests.prologue + code + GlibcMachineCodeTests.rest
            #expect(GlibcMachineCode.slotOfCurrentContext(whole, at: address) == address + 15 + 0x1234)
        }

        @Test("a load and a comparison through different registers lead nowhere")
        func differentRegisters() {
            for load in 0..<UInt8(16) {
                for comparison in 0..<UInt8(16) where comparison != load {
                    let code =
                        GlibcMachineCodeTests.contextCode(register: load).prefix(7)
                        + GlibcMachineCodeTests.contextCode(register: comparison).dropFirst(7)
                        + GlibcMachineCodeTests.rest
                    #expect(GlibcMachineCode.slotOfCurrentContext(Array(code), at: 0) == nil, "\(load), \(comparison)")
                }
            }
        }

        @Test("a comparison with something else than 0 leads nowhere")
        func otherImmediate() {
            let code = GlibcMachineCodeTests.contextCode(register: 3, immediate: 5) + GlibcMachineCodeTests.rest
            #expect(GlibcMachineCode.slotOfCurrentContext(code, at: 0) == nil)
        }

        @Test("the comparison must follow the load at once, and the load be relative to the program counter")
        func apart() {
            let code = GlibcMachineCodeTests.contextCode(register: 3)
            let gap = Array(code.prefix(7)) + [0x90] + Array(code.dropFirst(7)) + GlibcMachineCodeTests.rest
            #expect(GlibcMachineCode.slotOfCurrentContext(gap, at: 0) == nil)
            for modRM: UInt8 in [0x1c, 0x5d, 0x9d, 0xdd] {
                var other = code + GlibcMachineCodeTests.rest
                other[2] = modRM
                #expect(GlibcMachineCode.slotOfCurrentContext(other, at: 0) == nil, "\(modRM)")
            }
        }

        @Test("another load before it does not mislead")
        func loadBefore() {
            let other: [UInt8] = [0x48, 0x8b, 0x05, 0x00, 0x00, 0x01, 0x00]
            let code = other + GlibcMachineCodeTests.contextCode(register: 0) + GlibcMachineCodeTests.rest
            #expect(GlibcMachineCode.slotOfCurrentContext(code, at: 0) == 14 + 0x1234)
        }

        @Test("code cut short anywhere leads nowhere", arguments: [UInt8(0), 4, 13])
        func truncatedContext(register: UInt8) {
            let code = GlibcMachineCodeTests.contextCode(register: register)
            for count in 0..<code.count {
                #expect(
                    GlibcMachineCode.slotOfCurrentContext(Array(code.prefix(count)), at: 0) == nil, "\(count) bytes")
            }
        }

        // MARK: gnu_get_libc_version

        @Test("the address that a function returns is found, with and without endbr64")
        func returnedAddress() {
            let code: [UInt8] = [0x48, 0x8d, 0x05, 0x10, 0x00, 0x00, 0x00, 0xc3]
            #expect(GlibcMachineCode.returnedAddress(code, at: 0x1000) == 0x1017)
            #expect(GlibcMachineCode.returnedAddress(GlibcMachineCodeTests.endbr64 + code, at: 0x1000) == 0x101b)
            for count in 0..<code.count {
                #expect(GlibcMachineCode.returnedAddress(Array(code.prefix(count)), at: 0) == nil, "\(count) bytes")
            }
            for index in [0, 1, 2, 7] {
                var other = code
                other[index] ^= 1
                #expect(GlibcMachineCode.returnedAddress(other, at: 0) == nil, "byte \(index)")
            }
        }

        @Test("random code harms nothing")
        func random() {
            var generator = SystemRandomNumberGenerator()
            for _ in 0..<2000 {
                let code = (0..<Int.random(in: 0..<100, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
                _ = GlibcMachineCode.slotOfStatePointer(code, at: UInt64.max)
                _ = GlibcMachineCode.returnedAddress(code, at: UInt64.max)
                // A chance match would need ten given bytes.
                #expect(GlibcMachineCode.slotOfCurrentContext(code, at: 0) == nil)
            }
        }
    }
#endif
