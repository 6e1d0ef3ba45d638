import CLinux
import LinuxProcess

/// How a call is laid on the stack of a thread of x86-64.
extension X86_64 {
    // struct rt_sigframe of the kernel's asm/sigframe.h: return address, ucontext, siginfo.
    private static let contextOffset = 8
    private static let frameSize = 8 + 304 + 128
    /// UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
    private static let contextFlags: UInt64 = 7
    private static let magic1: UInt32 = 0x4650_5853
    private static let magic2: UInt32 = 0x4650_5845
    /// AMX tile configuration and data: not part of a thread's state unless it asked for them.
    private static let dynamicFeatures: UInt64 = 1 << 17 | 1 << 18

    /// Where each of the XSAVE components ends, by their bits. Found out once: in a virtual machine each CPUID leaves it.
    private static let componentEnds = (0..<63).map { clinux_xstate_size(1 << UInt64($0)) }

    private static func vectorSize(of features: UInt64) -> Int {
        componentEnds.indices.filter { features >> UInt64($0) & 1 == 1 }.map { componentEnds[$0] }.max() ?? 0
    }

    public static func prepare() {
        _ = componentEnds
    }

    /// From the highest address down: results and argument bytes, the vector registers, then a block for each call, the last call's
    /// on top: a function may overwrite what lies below its own.
    ///
    /// A block is the return address of its call, what the result-storing code drops, and the signal frame that goes on: to the
    /// next call, or home.
    public static func callFrame(_ call: CallPreparation<Registers>) throws(CallRefusal) -> CallFrame<Registers> {
        let vectors = try vectorImage(call.vectors)
        let payload = Payload(of: call.calls, below: call.stackPointer &- redZone, store: call.wayBack.resultStore)
        let vectorAddress = (payload.address &- UInt64(vectors.count)) & ~63

        let dropped = call.wayBack.resultStore.map { 8 + $0.stackBytes } ?? 0
        let blockSize = UInt64((dropped + frameSize + 15) & ~15)
        // At a function's entry the stack pointer is 8 off a 16-byte boundary.
        let top = ((vectorAddress &- 8) & ~15) &+ 8
        func block(_ index: Int) -> UInt64 { top &- UInt64(call.calls.count - index) * blockSize }

        let address = block(0)
        var bytes = [UInt8](repeating: 0, count: Int(payload.address - address) + payload.bytes.count)
        func registers(_ index: Int) -> Registers {
            call.comeback.entering(
                function: call.calls[index].function, arguments: payload.arguments[index], stackPointer: block(index),
                resultBase: payload.resultBases[index])
        }
        for index in call.calls.indices {
            let isLast = index == call.calls.count - 1
            let next = isLast ? call.comeback : registers(index + 1)
            let start = Int(block(index) - address)
            if let store = call.wayBack.resultStore { bytes.set(store.address, at: start) }
            let frame = start + dropped
            bytes.set(call.wayBack.signalReturn, at: frame)
            bytes.set(contextFlags, at: frame + contextOffset)
            // uc_stack stays zero: the kernel then refuses it and leaves the alternate stack as it is.
            bytes.replaceSubrange(
                frame + contextOffset + 40..<frame + contextOffset + 296,
                with: next.signalContext(vectorState: vectorAddress))
            bytes.set(isLast ? call.signalMask : call.callMask, at: frame + contextOffset + 296)
        }
        let vectorStart = Int(vectorAddress - address)
        bytes.replaceSubrange(vectorStart..<vectorStart + vectors.count, with: vectors)
        bytes.replaceSubrange(Int(payload.address - address)..., with: payload.bytes)
        return CallFrame(address: address, bytes: bytes, registers: registers(0), results: payload.results)
    }

    /// What the calls' arguments point to, and room for what they return.
    private struct Payload {
        let address: UInt64
        let bytes: [UInt8]
        let arguments: [[UInt64]]
        let results: [UInt64]
        /// For rbx, by call.
        let resultBases: [UInt64]

        init(of calls: [FunctionCall], below top: UInt64, store: ResultStore?) {
            let room = calls.flatMap(\.arguments).reduce(calls.count * 8) { sum, argument in
                if case .bytes(let bytes) = argument { sum + bytes.count } else { sum }
            }
            let address = (top &- UInt64(room)) & ~15
            var bytes = [UInt8](repeating: 0, count: calls.count * 8)
            arguments = calls.map { call in
                call.arguments.map { argument in
                    switch argument {
                    case .value(let value):
                        return value
                    case .bytes(let text):
                        defer { bytes += text }
                        return address + UInt64(bytes.count)
                    }
                }
            }
            let places = calls.indices.map { address + UInt64($0 * 8) }
            self.address = address
            self.bytes = bytes
            results = store == nil ? [] : places
            let displacement = UInt64(bitPattern: Int64(store?.displacement ?? 0))
            resultBases = places.map { $0 &- displacement }
        }
    }

    /// The XSAVE area as rt_sigreturn wants it: with the kernel's two marks around what is to be restored.
    private static func vectorImage(_ state: [UInt8]) throws(CallRefusal) -> [UInt8] {
        // ptrace puts XCR0 where a signal frame has its first mark; the header's first word says what is in use.
        guard let enabled = state.integer(at: 464, as: UInt64.self), let inUse = state.integer(at: 512, as: UInt64.self)
        else { throw CallRefusal("the kernel gives no XSAVE state of the thread") }
        guard inUse & dynamicFeatures == 0 else { throw CallRefusal("the thread uses AMX tiles") }
        let features = enabled & ~dynamicFeatures
        let size = min(vectorSize(of: features), state.count)
        var image = Array(state[..<size])
        image.replaceSubrange(464..<512, with: repeatElement(0, count: 48))
        image.set(magic1, at: 464)
        image.set(UInt32(size + 4), at: 468)
        image.set(features, at: 472)
        image.set(UInt32(size), at: 480)
        withUnsafeBytes(of: magic2) { image.append(contentsOf: $0) }
        return image
    }

    /// mov %rax,[disp8](%rbx), then only what a function's end is made of, up to ret.
    public static func resultStore(_ code: Slice<UnsafeRawBufferPointer>) -> (displacement: Int8, stackBytes: Int)? {
        guard code.count > 4, code[code.startIndex] == 0x48, code[code.startIndex + 1] == 0x89 else { return nil }
        let displacement: Int8
        var rest = code.dropFirst(3)
        switch code[code.startIndex + 2] {
        case 0x03: displacement = 0
        case 0x43:
            displacement = Int8(bitPattern: code[code.startIndex + 3])
            rest = rest.dropFirst()
        default: return nil
        }
        var stackBytes = 0
        while let first = rest.first {
            let second = rest.dropFirst().first ?? 0
            let third = rest.dropFirst(2).first ?? 0
            switch (first, second, third) {
            case (0xc3, _, _): return (displacement, stackBytes)
            // pop %rbx, %rbp; pop %r12 to %r15
            case (0x5b, _, _), (0x5d, _, _):
                stackBytes += 8
                rest = rest.dropFirst()
            case (0x41, 0x5c...0x5f, _):
                stackBytes += 8
                rest = rest.dropFirst(2)
            // add $imm8,%rsp
            case (0x48, 0x83, 0xc4):
                guard let bytes = rest.dropFirst(3).first, bytes < 0x80, bytes & 7 == 0 else { return nil }
                stackBytes += Int(bytes)
                rest = rest.dropFirst(4)
            // xor %eax,%eax; mov of a preserved register to %rax
            case (0x31, 0xc0, _):
                rest = rest.dropFirst(2)
            case (0x48, 0x89, 0xd8), (0x48, 0x89, 0xe8), (0x4c, 0x89, 0xe0), (0x4c, 0x89, 0xe8), (0x4c, 0x89, 0xf0),
                (0x4c, 0x89, 0xf8):
                rest = rest.dropFirst(3)
            default: return nil
            }
        }
        return nil
    }
}
