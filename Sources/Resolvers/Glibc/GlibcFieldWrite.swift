import LinuxProcess

/// One field of a thread's state, written alone.
public enum GlibcFieldWrite: Sendable, Equatable {
    case options(GlibcOptionBits)
    case timeout(Int)
    case attempts(Int)
    case ndots(Int)

    func write(to state: UInt64, memory: ProcessMemory) throws(SystemError) {
        switch self {
        case .options(let bits): try memory.store(bits.rawValue, to: state + UInt64(GlibcThreadState.Offset.options))
        case .timeout(let value): try memory.store(Int32(value), to: state + UInt64(GlibcThreadState.Offset.timeout))
        case .attempts(let value): try memory.store(Int32(value), to: state + UInt64(GlibcThreadState.Offset.attempts))
        case .ndots(let value):
            // Four bits of a byte; the other four are the length of the sort list.
            let address = state + UInt64(GlibcThreadState.Offset.ndots)
            let byte: UInt8 = try memory.load(address)
            try memory.store(byte & 0xf0 | UInt8(value & 0xf), to: address)
        }
    }
}
