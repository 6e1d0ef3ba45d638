import LinuxProcess

/// The stack that glibc gave a thread, as its `struct pthread` records it.
///
/// Mappings do not tell: glibc 2.43 makes guard pages that are no mappings of their own (MADV_GUARD_INSTALL), so that the
/// stacks of neighbouring threads show as one.
enum ThreadStack {
    private static let page: UInt64 = 4096
    /// The record lies somewhere in the structure, whose layout differs from release to release.
    private static let searched = 0x1000
    /// Static TLS and the structure itself lie between the thread pointer and the end of the stack.
    private static let largestHead: UInt64 = 1 << 20

    /// Looks in the thread's control block for `stackblock, stackblock_size, guardsize`: an area that holds the block itself near its
    /// upper end.
    ///
    /// - Returns: the usable part, above the guard; nil where no such record stands there.
    static func find(threadPointer: UInt64, memory: ProcessMemory) -> Range<UInt64>? {
        guard let block = try? memory.readUpTo(threadPointer, count: searched) else { return nil }
        for offset in stride(from: 0, to: block.count - 24, by: 8) {
            guard let start: UInt64 = block.integer(at: offset), let size: UInt64 = block.integer(at: offset + 8),
                let guardSize: UInt64 = block.integer(at: offset + 16), start < threadPointer, size >= page,
                size < 1 << 40, start &+ size > threadPointer, start &+ size - threadPointer < largestHead,
                guardSize < size, guardSize & (page - 1) == 0, start & 15 == 0
            else { continue }
            return start + guardSize..<start + size
        }
        return nil
    }

    /// Every byte can be read: no guard is in between.
    static func isAccessible(_ range: Range<UInt64>, _ memory: ProcessMemory) -> Bool {
        (try? memory.read(range.lowerBound, count: range.count)) != nil
    }
}
