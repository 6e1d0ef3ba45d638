import LinuxProcess
import Tracing

/// What two small exported functions of glibc load before they touch a thread's variables.
///
/// The offsets of thread-local variables stand in GOT slots that no symbol names. Relocations tell the slot of `__resp`; the
/// code of `__res_state` must agree. `current` is hidden, so only the code of `__resolv_context_get` tells its slot.
enum GlibcMachineCode {
    /// The slot read by `mov slot(%rip),%rax; mov %fs:(%rax),%rax; ret`; nil for any other code.
    static func slotOfStatePointer(_ code: [UInt8], at address: UInt64) -> UInt64? {
        #if arch(x86_64)
            let start = code.starts(with: endbr64) ? endbr64.count : 0
            guard code.count >= start + 12, Array(code[start..<start + 3]) == [0x48, 0x8b, 0x05],
                Array(code[start + 7..<start + 12]) == [0x64, 0x48, 0x8b, 0x00, 0xc3]
            else { return nil }
            return relative(code, displacementAt: start + 3, address)
        #else
            return nil
        #endif
    }

    /// The slot read by the first `mov slot(%rip),%reg` that `cmpq $0,%fs:0(%reg)` follows at once.
    static func slotOfCurrentContext(_ code: [UInt8], at address: UInt64) -> UInt64? {
        #if arch(x86_64)
            // REX.W (and R for r8 to r15), opcode, ModRM with rip-relative addressing; then fs:, REX.W (and B), 83 /7 and 0.
            for offset in 0..<max(0, code.count - 6) where code[offset] & 0xfb == 0x48 && code[offset + 1] == 0x8b {
                let modRM = code[offset + 2]
                guard modRM & 0xc7 == 0x05 else { continue }
                let comparison = comparison((modRM >> 3) & 7, isExtended: code[offset] & 4 == 4)
                guard code[(offset + 7)...].starts(with: comparison) else { continue }
                return relative(code, displacementAt: offset + 3, address)
            }
            return nil
        #else
            return nil
        #endif
    }

    /// The address returned by `lea text(%rip),%rax; ret`.
    static func returnedAddress(_ code: [UInt8], at address: UInt64) -> UInt64? {
        #if arch(x86_64)
            let start = code.starts(with: endbr64) ? endbr64.count : 0
            guard code.count >= start + 8, Array(code[start..<start + 3]) == [0x48, 0x8d, 0x05], code[start + 7] == 0xc3
            else { return nil }
            return relative(code, displacementAt: start + 3, address)
        #else
            return nil
        #endif
    }

    /// The offset in `mov $offset,%rax; mov %fs:(%rax),%rax; ret`, which a linker makes of the load of a slot in a static program.
    static func offsetOfStatePointer(_ code: [UInt8]) -> Int64? {
        #if arch(x86_64)
            let start = code.starts(with: endbr64) ? endbr64.count : 0
            guard code.count >= start + 12, Array(code[start..<start + 3]) == [0x48, 0xc7, 0xc0],
                Array(code[start + 7..<start + 12]) == [0x64, 0x48, 0x8b, 0x00, 0xc3]
            else { return nil }
            return code.integer(at: start + 3, as: Int32.self).map(Int64.init)
        #else
            return nil
        #endif
    }

    /// The offset in the first `mov $offset,%reg` that `cmpq $0,%fs:0(%reg)` follows at once.
    static func offsetOfCurrentContext(_ code: [UInt8]) -> Int64? {
        #if arch(x86_64)
            // REX.W (and B for r8 to r15), C7 /0 with a register operand.
            for offset in 0..<max(0, code.count - 6) where code[offset] & 0xfe == 0x48 && code[offset + 1] == 0xc7 {
                guard code[offset + 2] & 0xf8 == 0xc0 else { continue }
                let register = code[offset + 2] & 7
                guard code[(offset + 7)...].starts(with: comparison(register, isExtended: code[offset] & 1 == 1)) else {
                    continue
                }
                return code.integer(at: offset + 3, as: Int32.self).map(Int64.init)
            }
            return nil
        #else
            return nil
        #endif
    }

    /// `cmpq $0,%fs:0(%reg)`
    private static func comparison(_ register: UInt8, isExtended: Bool) -> [UInt8] {
        // As a base rsp and r12 need a SIB byte, rbp and r13 a displacement.
        let operand: [UInt8] = register == 4 ? [0x3c, 0x24] : register == 5 ? [0x7d, 0] : [0x38 | register]
        return [0x64, isExtended ? 0x49 : 0x48, 0x83] + operand + [0]
    }

    private static let endbr64: [UInt8] = [0xf3, 0x0f, 0x1e, 0xfa]

    private static func relative(_ code: [UInt8], displacementAt offset: Int, _ address: UInt64) -> UInt64? {
        guard let displacement: Int32 = code.integer(at: offset) else { return nil }
        return address &+ UInt64(offset + 4) &+ UInt64(bitPattern: Int64(displacement))
    }
}
