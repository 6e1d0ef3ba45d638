import Glibc
import Testing

@testable import LinuxProcess

@Suite("MemoryMap")
struct MemoryMapTests {
    private static let text = """
        00400000-00401000 r--p 00000000 fe:01 131 /opt/two words/a (b) c
        00401000-00403000 r-xp 00001000 fe:01 131 /opt/two words/a (b) c
        7f0000000000-7f0000021000 rw-p 00000000 00:00 0 
        7f0000100000-7f0000101000 rw-s 000ff000 00:05 2049                       /memfd:pool (deleted)
        7f0000101000-7f0000102000 ---p 00000000 00:00 0 
        7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
        7ffc000f0000-7ffc000f2000 r-xp 00000000 00:00 0                          [vdso]
        ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]

        """

    private let map = MemoryMap(parsing: MemoryMapTests.text)

    @Test("a line is taken apart field by field")
    func fields() throws {
        try #require(map.regions.count == 8)
        let code = map.regions[1]
        #expect(code.range == 0x401000..<0x403000)
        #expect(code.isReadable && !code.isWritable && code.isExecutable && !code.isShared)
        #expect(code.offset == 0x1000)
        #expect(code.file == FileIdentity(device: "fe:01", inode: 131))
        #expect(code.name == "/opt/two words/a (b) c")
        #expect(!code.isDeleted)
        let shared = map.regions[3]
        #expect(shared.isShared && shared.isWritable && !shared.isExecutable)
        #expect(shared.offset == 0xff000)
        #expect(!map.regions[4].isReadable)
    }

    @Test("a deleted file is known as such and has its name")
    func deleted() {
        #expect(map.regions[3].isDeleted)
        #expect(map.regions[3].name == "/memfd:pool")
    }

    @Test("an anonymous region has no file and no name, and a special one its name in brackets")
    func anonymous() {
        #expect(map.regions[2].file == nil)
        #expect(map.regions[2].name.isEmpty)
        #expect(map.regions[5].name == "[stack]")
        #expect(map.regions[5].file == nil)
        #expect(map.regions[7].name == "[vsyscall]")
    }

    @Test("a path may end in a carriage return, and hides nothing after it")
    func carriageReturn() {
        let text = "1000-2000 r--p 0 fe:01 7 /tmp/x\r\n2000-3000 r--p 0 fe:01 8 /tmp/y\n"
        #expect(MemoryMap(parsing: text).regions.map(\.name) == ["/tmp/x\r", "/tmp/y"])
    }

    @Test(
        "rubbish lines are passed over",
        arguments: [
            "", " ", "-", "rubbish", "1000-2000", "1000-2000 r--p 0 fe:01", "2000-1000 r--p 0 fe:01 7 /x",
            "1000-1000 r--p 0 fe:01 7 /x", "1000-xyz r--p 0 fe:01 7 /x", "1000-2000 r-- 0 fe:01 7 /x",
            "1000-2000 r--p zz fe:01 7 /x", "1000-2000 r--p 0 fe:01 seven /x", "1000-2000-3000 r--p 0 fe:01 7 /x",
            "11000000000000000000-2 r--p 0 fe:01 7 /x", "\u{0}\u{ff}",
        ])
    func rubbish(line: String) {
        let text = "1000-2000 r--p 0 fe:01 7 /x\n\(line)\n3000-4000 r--p 0 fe:01 7 /y\n"
        #expect(MemoryMap(parsing: text).regions.map(\.name) == ["/x", "/y"])
    }

    @Test(
        "the region of an address is found, at both ends of each and in no gap",
        arguments: [
            (UInt64(0), nil), (0x3fffff, nil), (0x400000, 0), (0x400fff, 0), (0x401000, 1), (0x402fff, 1),
            (0x403000, nil),
            (0x7eff_ffff_ffff, nil), (0x7f00_0000_0000, 2), (0x7f00_0002_1000, nil), (0x7f00_0010_0fff, 3),
            (0x7f00_0010_1000, 4), (0x7ffc_0002_0fff, 5), (0xffff_ffff_ff60_0000, 7), (0xffff_ffff_ff60_0fff, 7),
            (0xffff_ffff_ff60_1000, nil), (UInt64.max, nil),
        ] as [(UInt64, Int?)])
    func bisection(address: UInt64, index: Int?) {
        #expect(map.region(containing: address) == index.map { map.regions[$0] })
    }

    @Test("an empty map holds no address")
    func empty() {
        #expect(MemoryMap(parsing: "").region(containing: 0x1000) == nil)
    }

    @Test("our own map holds our stack, our heap and our code")
    func own() throws {
        let map = try MemoryMap(of: .own)
        #expect(zip(map.regions, map.regions.dropFirst()).allSatisfy { $0.range.upperBound <= $1.range.lowerBound })
        let heap = Heap([1, 2, 3])
        #expect(map.region(containing: heap.address)?.isWritable == true)
        let function = try #require(dlsym(nil, "getpid"))
        let code = try #require(map.region(containing: UInt64(UInt(bitPattern: function))))
        #expect(code.isExecutable)
        #expect(code.name.contains("libc"))
        #expect(map.regions.contains { $0.name == "[stack]" })
    }

    @Test(
        "files are named as a process names them that has another root directory",
        arguments: [
            ("/", "/opt/two words/a (b) c"), ("/opt", "/two words/a (b) c"), ("/opt/two words", "/a (b) c"),
            // What lies outside keeps its name; so does what only begins alike.
            ("/srv", "/opt/two words/a (b) c"), ("/opt/two", "/opt/two words/a (b) c"),
        ])
    func root(root: String, name: String) {
        let map = MemoryMap(parsing: MemoryMapTests.text, root: root)
        #expect(map.regions.first?.name == name)
        #expect(map.regions.contains { $0.name == "[stack]" })
    }
}
