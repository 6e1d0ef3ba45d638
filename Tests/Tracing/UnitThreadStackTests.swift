import Glibc
import Testing

@testable import LinuxProcess
@testable import Tracing

@Suite("ThreadStack")
struct UnitThreadStackTests {
    /// A thread's control block in our own memory, with a stack record at some place in it.
    private final class Block {
        private let buffer: UnsafeMutableRawBufferPointer

        init() {
            buffer = .allocate(byteCount: 0x2000, alignment: 64)
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
        }

        deinit { buffer.deallocate() }

        var threadPointer: UInt64 { UInt64(UInt(bitPattern: buffer.baseAddress)) }

        func put(_ start: UInt64, _ size: UInt64, _ guardSize: UInt64, at offset: Int) {
            for (index, word) in [start, size, guardSize].enumerated() {
                buffer.storeBytes(of: word, toByteOffset: offset + index * 8, as: UInt64.self)
            }
        }

        var found: Range<UInt64>? {
            ThreadStack.find(threadPointer: threadPointer, memory: ProcessMemory(of: .own))
        }
    }

    private let size: UInt64 = 8 << 20
    private let page: UInt64 = 4096

    /// The start of an area of `size` bytes that ends a little above the control block.
    private func start(_ block: Block, _ size: UInt64) -> UInt64 { (block.threadPointer + 0x1000 - size) & ~0xfff }

    @Test("the record is found wherever it stands in the block", arguments: [0, 8, 0x298, 0x690, 0xfe0])
    func found(offset: Int) {
        let block = Block()
        let start = start(block, size)
        block.put(start, size, page, at: offset)
        #expect(block.found == start + page..<start + size)
    }

    @Test("a stack without a guard is used from its start")
    func noGuard() {
        let block = Block()
        let start = start(block, size)
        block.put(start, size, 0, at: 0x690)
        #expect(block.found == start..<start + size)
    }

    @Test("a block without a record has no stack")
    func nothing() {
        #expect(Block().found == nil)
    }

    @Test("what is no such record is passed over")
    func noRecord() {
        let block = Block()
        let start = start(block, size)
        let records: [(UInt64, UInt64, UInt64)] = [
            (block.threadPointer, size, page),  // the block would not be in its stack
            (start, size / 2, page),  // it ends below the block
            (start, size + (2 << 20), page),  // the block lies far from its end
            (start, size, size),  // nothing but guard
            (start, size, page + 8),  // a guard of no pages
            (start + 8, size, page),  // not aligned
            (start, 1 << 40, page),
            (start, UInt64.max, page),
            (block.threadPointer - 64, 2048, 0),  // smaller than a page
        ]
        for (index, record) in records.enumerated() {
            block.put(record.0, record.1, record.2, at: 0x690)
            #expect(block.found == nil, "record \(index)")
        }
    }

    @Test("an address that is not mapped has no stack", arguments: [UInt64(8), UInt64.max - 7])
    func unmapped(address: UInt64) {
        #expect(ThreadStack.find(threadPointer: address, memory: ProcessMemory(of: .own)) == nil)
    }

    @Test("a range with a gap in it is not accessible")
    func accessible() throws {
        let length = 3 * 4096
        let mapped = try #require(mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
        try #require(mapped != MAP_FAILED)
        defer { munmap(mapped, length) }
        let start = UInt64(UInt(bitPattern: mapped))
        let memory = ProcessMemory(of: .own)
        #expect(ThreadStack.isAccessible(start..<start + 3 * page, memory))
        try #require(mprotect(mapped + 4096, 4096, PROT_NONE) == 0)
        #expect(!ThreadStack.isAccessible(start..<start + 3 * page, memory))
        #expect(ThreadStack.isAccessible(start..<start + page, memory))
        #expect(ThreadStack.isAccessible(start + 2 * page..<start + 3 * page, memory))
    }

    @Test("a thread of our own libc has the stack that libc says")
    func ownThread() throws {
        let result = ThreadResult()
        var handle = pthread_t()
        let started = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                let result = Unmanaged<ThreadResult>.fromOpaque(argument).takeUnretainedValue()
                let pointer = UInt64(pthread_self())
                result.found = ThreadStack.find(threadPointer: pointer, memory: ProcessMemory(of: .own))
                // Something that lies on this stack.
                var here: UInt8 = 0
                withUnsafePointer(to: &here) { result.address = UInt64(UInt(bitPattern: $0)) }
                return nil
            }, Unmanaged.passUnretained(result).toOpaque())
        try #require(started == 0)
        pthread_join(handle, nil)
        let stack = try #require(result.found)
        #expect(stack.contains(result.address))
        // glibc's default, with the size limit of this process: at least as large as the smallest that a call wants.
        #expect(stack.upperBound - stack.lowerBound > SafePoint.stackRoom)
    }

    private final class ThreadResult {
        var found: Range<UInt64>?
        var address: UInt64 = 0
    }
}
