import Glibc
import Testing

@testable import LinuxProcess

@Suite("ProcessMemory")
struct ProcessMemoryTests {
    private let memory = ProcessMemory(of: .own)
    /// The zero page, which nobody may map without a privilege.
    private let nowhere: UInt64 = 8

    @Test("bytes and integers are read where they stand")
    func read() throws {
        let heap = Heap([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88])
        #expect(try memory.read(heap.address, count: 8) == heap.bytes)
        #expect(try memory.read(heap.address + 2, count: 3) == [0x33, 0x44, 0x55])
        #expect(try memory.read(heap.address, count: 0).isEmpty)
        #expect(try memory.load(heap.address, as: UInt32.self) == 0x4433_2211)
        #expect(try memory.load(heap.address, as: UInt64.self) == 0x8877_6655_4433_2211)
        #expect(try memory.load(heap.address + 7, as: Int8.self) == -0x78)
    }

    @Test("bytes and integers are written where they are to stand, and nowhere else")
    func write() throws {
        let heap = Heap([UInt8](repeating: 0xee, count: 12))
        try memory.write([1, 2, 3], to: heap.address + 1)
        try memory.store(0x0a0b_0c0d as UInt32, to: heap.address + 6)
        #expect(heap.bytes == [0xee, 1, 2, 3, 0xee, 0xee, 0x0d, 0x0c, 0x0b, 0x0a, 0xee, 0xee])
    }

    @Test("an address that is not mapped is an error that names it")
    func unmapped() throws {
        let error = #expect(throws: SystemError.self) { try memory.read(nowhere, count: 4) }
        #expect(error?.code == EFAULT)
        #expect(error?.description.contains("0x8") == true)
        #expect(throws: SystemError.self) { try memory.load(nowhere, as: UInt64.self) }
        #expect(throws: SystemError.self) { try memory.readUpTo(nowhere, count: 4) }
        #expect(throws: SystemError.self) { try memory.readString(nowhere) }
        #expect(throws: SystemError.self) { try memory.write([1], to: nowhere) }
        #expect(throws: SystemError.self) { try memory.store(1 as UInt64, to: nowhere) }
        #expect(throws: SystemError.self) { try memory.read(UInt64.max - 3, count: 4) }
    }

    @Test("a read that runs into a gap gives what is before it, or an error where all was wanted")
    func gap() throws {
        let page = try #require(LastPage())
        page.fillEnd([7, 8, 9])
        #expect(try memory.readUpTo(page.end - 3, count: 100) == [7, 8, 9])
        let error = #expect(throws: SystemError.self) { try memory.read(page.end - 3, count: 100) }
        #expect(error?.code == EFAULT)
        #expect(throws: SystemError.self) { try memory.load(page.end - 4, as: UInt64.self) }
    }

    @Test("a write that runs into a gap is an error")
    func writeIntoGap() throws {
        let page = try #require(LastPage())
        #expect(throws: SystemError.self) { try memory.write([1, 2, 3, 4], to: page.end - 2) }
        #expect(throws: SystemError.self) { try memory.store(1 as UInt64, to: page.end - 2) }
    }

    @Test("pages that the process may not write are not written")
    func readOnly() throws {
        let function = try #require(dlsym(nil, "getpid"))
        #expect(throws: SystemError.self) { try memory.write([0x90], to: UInt64(UInt(bitPattern: function))) }
    }

    @Test("a string ends before its zero byte")
    func string() throws {
        let heap = Heap(Array("db.example".utf8) + [0] + Array("more".utf8))
        #expect(try memory.readString(heap.address) == "db.example")
        #expect(try memory.readString(heap.address + 10) == "")
        #expect(try memory.readString(heap.address, limit: 2) == "db")
        #expect(try memory.readString(heap.address, limit: 0) == "")
    }

    @Test("a string is read across the end of a page")
    func stringAcrossPages() throws {
        let heap = Heap([UInt8](repeating: UInt8(ascii: "a"), count: 10_000) + [0])
        #expect(try memory.readString(heap.address, limit: 20_000).utf8.count == 10_000)
        #expect(try memory.readString(heap.address).utf8.count == 1024)
    }

    @Test("a string that ends with its page is read though nothing is mapped after it")
    func stringAtPageEnd() throws {
        let page = try #require(LastPage())
        page.fillEnd(Array("last".utf8) + [0])
        #expect(try memory.readString(page.end - 5) == "last")
    }

    @Test("a string without an end before a gap is an error, unless the limit comes first")
    func stringIntoGap() throws {
        let page = try #require(LastPage())
        page.fillEnd(Array("last".utf8))
        #expect(throws: SystemError.self) { try memory.readString(page.end - 4) }
        #expect(try memory.readString(page.end - 4, limit: 4) == "last")
    }

    @Test("a string that is no UTF-8 is read with its bytes replaced")
    func notUTF8() throws {
        let heap = Heap([0x61, 0xff, 0x62, 0])
        #expect(try memory.readString(heap.address) == "a\u{fffd}b")
    }

    @Test("a process that does not exist is gone")
    func gone() {
        let error = #expect(throws: SystemError.self) {
            try ProcessMemory(of: ProcessID(4_194_305)).read(4096, count: 1)
        }
        #expect(error?.isGone == true)
    }
}

@Suite("[UInt8].integer and set")
struct IntegerTests {
    @Test(
        "an integer is read only where all of it stands",
        arguments: [
            (0, 0x0403_0201), (1, 0x0504_0302), (2, nil), (5, nil), (6, nil), (-1, nil), (Int.min, nil), (Int.max, nil),
            (Int.max - 3, nil),
        ] as [(Int, UInt32?)])
    func reading(offset: Int, value: UInt32?) {
        #expect(([1, 2, 3, 4, 5] as [UInt8]).integer(at: offset, as: UInt32.self) == value)
    }

    @Test("nothing holds no integer")
    func empty() {
        #expect(([] as [UInt8]).integer(at: 0, as: UInt8.self) == nil)
        #expect(([] as [UInt8]).integer(at: Int.max, as: UInt64.self) == nil)
    }

    @Test("an integer is written at any offset, aligned or not")
    func writing() {
        var bytes = [UInt8](repeating: 0xee, count: 8)
        bytes.set(0x0102 as UInt16, at: 1)
        bytes.set(0x0a0b_0c0d as UInt32, at: 4)
        #expect(bytes == [0xee, 0x02, 0x01, 0xee, 0x0d, 0x0c, 0x0b, 0x0a])
    }

    @Test("writing past the end stops the program rather than spoiling memory")
    func writingPastEnd() async {
        await #expect(processExitsWith: .failure) {
            var bytes = [UInt8](repeating: 0, count: 8)
            bytes.set(1 as UInt64, at: 1)
        }
    }
}
