import Glibc

/// Bytes at an address that stays, in our own process.
final class Heap {
    private let buffer: UnsafeMutableRawBufferPointer

    init(_ bytes: [UInt8]) {
        buffer = .allocate(byteCount: max(1, bytes.count), alignment: 16)
        buffer.copyBytes(from: bytes)
    }

    deinit { buffer.deallocate() }

    var address: UInt64 { UInt64(UInt(bitPattern: buffer.baseAddress)) }
    var bytes: [UInt8] { Array(buffer) }
}

/// A readable and writable page of our own, with an unmapped one after it.
final class LastPage {
    static let size: UInt64 = 4096
    private let start: UnsafeMutableRawPointer

    init?() {
        let length = Int(LastPage.size)
        guard let both = mmap(nil, 2 * length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            both != MAP_FAILED, mprotect(both + length, length, PROT_NONE) == 0
        else { return nil }
        start = both
    }

    deinit { munmap(start, 2 * Int(LastPage.size)) }

    var address: UInt64 { UInt64(UInt(bitPattern: start)) }
    var end: UInt64 { address + LastPage.size }

    /// Puts bytes at the end of the page, nothing between them and the gap.
    func fillEnd(_ bytes: [UInt8]) {
        UnsafeMutableRawBufferPointer(start: start + Int(LastPage.size) - bytes.count, count: bytes.count)
            .copyBytes(from: bytes)
    }
}
