import Glibc
import Testing

@testable import ELFImage
@testable import LinuxProcess

/// Pages of our own that hold what should be an ELF image, and is damaged.
private final class Pages {
    private let buffer: UnsafeMutableRawBufferPointer

    init?(_ bytes: [UInt8]) {
        let length = (bytes.count + 4095) & ~4095
        guard length > 0, let start = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            start != MAP_FAILED
        else { return nil }
        buffer = .init(start: start, count: length)
        put(bytes)
    }

    deinit { munmap(buffer.baseAddress, buffer.count) }

    func put(_ bytes: [UInt8]) { buffer.copyBytes(from: bytes) }

    /// These pages as a line of /proc/PID/maps would have them.
    var region: MemoryRegion {
        let start = UInt64(UInt(bitPattern: buffer.baseAddress))
        return MemoryRegion(
            range: start..<start + UInt64(buffer.count), isReadable: true, isWritable: true, isExecutable: false,
            isShared: false, offset: 0, file: FileIdentity(device: "fe:01", inode: 7), name: "/damaged.so",
            isDeleted: false)
    }
}

@Suite("LoadedModule of damaged images")
struct DamagedImageTests {
    private let memory = ProcessMemory(of: .own)

    private func load(_ pages: Pages) throws -> LoadedModule {
        try LoadedModule(at: pages.region, map: MemoryMap(parsing: ""), memory: memory)
    }

    /// The vDSO as the kernel maps it: a whole image, small, and all of it in memory at its place in the file.
    private func healthyImage() throws -> [UInt8] {
        let map = try MemoryMap(of: .own)
        let region = try #require(map.regions.first { $0.name == "[vdso]" })
        return try memory.read(region.range.lowerBound, count: region.range.count)
    }

    // Offsets in Elf64_Ehdr and Elf64_Phdr (elf(5)).
    private static let headerOffset = 32
    private static let headerSize = 54
    private static let headerCount = 56
    private static let firstHeader = 64
    private static let size = 56

    @Test("a copy of a whole image is read from where it lies")
    func healthy() throws {
        let pages = try #require(Pages(try healthyImage()))
        let module = try load(pages)
        #expect(module.base == pages.region.range.lowerBound)
        let image = try DynamicImage(of: module, memory: memory)
        #expect(!image.symbols.isEmpty)
        #expect(image.buildID != nil)
    }

    @Test(
        "what is no ELF image is an error that names it",
        arguments: [
            [], [0x7f], Array("#!/bin/sh\n".utf8), Array("\u{7f}ELF".utf8), Array("\u{7f}elf".utf8),
            [UInt8](repeating: 0, count: 4096), [UInt8](repeating: 0xff, count: 4096),
        ] as [[UInt8]])
    func noImage(bytes: [UInt8]) throws {
        let pages = try #require(Pages(bytes + [0]))
        let error = #expect(throws: ELFError.self) { try load(pages) }
        #expect(error?.description.hasPrefix("/damaged.so: ") == true)
    }

    @Test("a 32-bit image is refused")
    func thirtyTwoBit() throws {
        var bytes = try healthyImage()
        bytes[4] = 1
        let pages = try #require(Pages(bytes))
        #expect(throws: ELFError.self) { try load(pages) }
    }

    @Test("program headers that are not in the first page are refused")
    func headersElsewhere() throws {
        let healthy = try healthyImage()
        for (value, offset) in [(4096, DamagedImageTests.headerOffset), (UInt64.max, DamagedImageTests.headerOffset)]
            as [(UInt64, Int)]
        {
            var bytes = healthy
            bytes.set(value, at: offset)
            let pages = try #require(Pages(bytes))
            #expect(throws: ELFError.self) { try load(pages) }
        }
        for (value, offset) in [
            (0, DamagedImageTests.headerSize), (55, DamagedImageTests.headerSize), (0, DamagedImageTests.headerCount),
            (UInt16.max, DamagedImageTests.headerCount),
        ] as [(UInt16, Int)] {
            var bytes = healthy
            bytes.set(value, at: offset)
            let pages = try #require(Pages(bytes))
            #expect(throws: ELFError.self) { try load(pages) }
        }
    }

    @Test("segments larger than memory are refused", arguments: [UInt64.max, 1 << 63, 1 << 47, UInt64.max - 4095])
    func hugeSegments(value: UInt64) throws {
        let healthy = try healthyImage()
        let count = try Int(#require(healthy.integer(at: DamagedImageTests.headerCount, as: UInt16.self)))
        for index in 0..<count {
            // p_offset, p_filesz, p_memsz
            for field in [8, 32, 40] {
                var bytes = healthy
                bytes.set(value, at: DamagedImageTests.firstHeader + index * DamagedImageTests.size + field)
                let pages = try #require(Pages(bytes))
                #expect(throws: ELFError.self, "header \(index), field \(field)") { try load(pages) }
            }
        }
    }

    @Test("an image cut short is an error, or what is left of it")
    func truncated() throws {
        let healthy = try healthyImage()
        let pages = try #require(Pages(healthy))
        for count in stride(from: 0, to: healthy.count, by: 61) {
            pages.put(Array(healthy.prefix(count)) + [UInt8](repeating: 0, count: healthy.count - count))
            read(pages)
        }
    }

    @Test("an image whose pages end before it does is an error")
    func pagesMissing() throws {
        let healthy = try healthyImage()
        let pages = try #require(Pages(Array(healthy.prefix(4096))))
        // Behind it lies what the kernel put there, or nothing.
        read(pages)
    }

    @Test("an image with damaged bytes harms nobody who reads it")
    func damaged() throws {
        let healthy = try healthyImage()
        let pages = try #require(Pages(healthy))
        var generator = SystemRandomNumberGenerator()
        let interesting: [UInt64] = [
            0, 1, 0x7f, 0xfff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 47, 1 << 63, UInt64.max,
        ]
        for round in 0..<1500 {
            var bytes = healthy
            // Headers and tables come first: most damage is to be where it hurts.
            let end = round % 2 == 0 ? 1024 : bytes.count
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 8..<end - 8, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.set(interesting.randomElement(using: &generator) ?? 0, at: place & ~7)
                default:
                    bytes.set(
                        UInt32(truncatingIfNeeded: interesting.randomElement(using: &generator) ?? 0), at: place & ~3)
                }
            }
            pages.put(bytes)
            read(pages)
        }
    }

    /// Reads all there is; a damaged image may be an error, or half of one.
    private func read(_ pages: Pages) {
        guard let module = try? load(pages) else { return }
        _ = module.writableRanges
        guard let image = try? DynamicImage(of: module, memory: memory) else { return }
        _ = image.newestVersion(prefix: "LINUX_")
        #expect(image.module.range.lowerBound == pages.region.range.lowerBound)
    }
}
