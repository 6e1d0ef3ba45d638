import CLinux
import Glibc

/// The memory of a live process, read and written without stopping it (process_vm_readv(2)).
public struct ProcessMemory: Sendable {
    public let process: ProcessID

    public init(of process: ProcessID) {
        self.process = process
    }

    /// Exactly `count` bytes from `address`, or an error.
    public func read(_ address: UInt64, count: Int) throws(SystemError) -> [UInt8] {
        let bytes = try readUpTo(address, count: count)
        guard bytes.count == count else { throw failure("read", address, code: EFAULT) }
        return bytes
    }

    /// As many of `count` bytes as are mapped without a gap from `address` on.
    public func readUpTo(_ address: UInt64, count: Int) throws(SystemError) -> [UInt8] {
        var moved = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            moved = count == 0 ? 0 : clinux_memory_read(process.rawValue, address, buffer.baseAddress, count)
            initialized = max(0, moved)
        }
        guard moved >= 0 else { throw failure("read", address, code: Int32(-moved)) }
        return bytes
    }

    /// One integer, in the machine's byte order.
    public func load<T: FixedWidthInteger & BitwiseCopyable>(_ address: UInt64, as type: T.Type = T.self)
        throws(SystemError) -> T
    {
        var value: T = 0
        let size = MemoryLayout<T>.size
        let moved = clinux_memory_read(process.rawValue, address, &value, size)
        guard moved == size else { throw failure("read", address, code: moved < 0 ? Int32(-moved) : EFAULT) }
        return value
    }

    /// The bytes before the first NUL, at most `limit`.
    public func readString(_ address: UInt64, limit: Int = 1024) throws(SystemError) -> String {
        var text: [UInt8] = []
        while text.count < limit {
            // Never past the page: the next one may not be mapped.
            let here = address &+ UInt64(text.count)
            let piece = try readUpTo(here, count: min(256, 4096 - Int(here & 4095)))
            if let end = piece.firstIndex(of: 0) {
                text.append(contentsOf: piece[..<end])
                break
            }
            guard !piece.isEmpty else { break }
            text.append(contentsOf: piece)
        }
        return String(decoding: text.prefix(limit), as: UTF8.self)
    }

    /// Writes all of `bytes`, or throws. Only pages that the process itself may write are written.
    public func write(_ bytes: [UInt8], to address: UInt64) throws(SystemError) {
        let moved = clinux_memory_write(process.rawValue, address, bytes, bytes.count)
        guard moved == bytes.count else { throw failure("write", address, code: moved < 0 ? Int32(-moved) : EFAULT) }
    }

    public func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, to address: UInt64) throws(SystemError) {
        var copy = value
        let size = MemoryLayout<T>.size
        let moved = clinux_memory_write(process.rawValue, address, &copy, size)
        guard moved == size else { throw failure("write", address, code: moved < 0 ? Int32(-moved) : EFAULT) }
    }

    private func failure(_ verb: String, _ address: UInt64, code: Int32) -> SystemError {
        SystemError("\(verb) memory of process \(process) at 0x\(String(address, radix: 16))", code: code)
    }
}

extension [UInt8] {
    /// The integer at a byte offset, in the machine's byte order; nil past the end.
    public func integer<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type = T.self) -> T? {
        guard offset >= 0, offset <= count - MemoryLayout<T>.size else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
    }

    /// Overwrites the bytes at an offset, which must be there, with an integer in the machine's byte order.
    public mutating func set<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size, "an integer past the end of its bytes")
        withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: offset, as: T.self) }
    }
}
