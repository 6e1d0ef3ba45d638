import Glibc
import TestSupport
import Testing

@testable import ELFImage
@testable import LinuxProcess

/// One image is parsed once, and never taken for another.
@Suite("ImageCache")
struct ImageCacheTests {
    private let memory = ProcessMemory(of: .own)

    private func libc(in images: ImageCatalog) throws -> LoadedModule {
        try #require(images.list.modules.first { $0.name == "libc.so.6" })
    }

    @Test("the same library of two processes is parsed once; each has its own addresses")
    func shared() throws {
        let other = try ChildProcess("/bin/cat", [])
        let id = other.id
        let cache = ImageCache()
        let ours = try ImageCatalog(of: .own, cache: cache)
        var found: ImageCatalog?
        // It may be in its loader still.
        _ = eventually(within: 10) {
            found = try? ImageCatalog(of: id, cache: cache)
            return found?.list.modules.contains { $0.name == "libc.so.6" } == true
        }
        let theirs = try #require(found)
        let mine = try ours.image(of: libc(in: ours))
        let its = try theirs.image(of: libc(in: theirs))
        #expect(mine.content === its.content)
        #expect(mine.module.bias != its.module.bias)
        let here = try #require(mine.definition(of: "getpid"))
        let there = try #require(its.definition(of: "getpid"))
        #expect(here.value &- mine.module.bias == there.value &- its.module.bias)
        #expect(its.module.range.contains(there.value))
        #expect(its.functions(at: there.value).contains { $0.name == "getpid" })
        // The loader filled places in its own image.
        #expect(its.relocations.allSatisfy { its.module.range.contains($0.place) })
        #expect(other.id == id)
    }

    @Test("what was worked out about an image is kept with it")
    func remembered() throws {
        let images = try ImageCatalog(of: .own)
        let image = try images.image(of: libc(in: images))
        struct Answer { let number: Int }
        struct Failure: Error {}
        let failing: () throws -> Answer = { throw Failure() }
        #expect(throws: Failure.self) { try image.remembered(failing) }
        let answers = [1, 2].map { number in image.remembered { Answer(number: number) }.number }
        #expect(answers == [1, 1])
        let text = image.remembered { "another type" }
        #expect(text == "another type")
    }

    /// The vDSO, copied to where it can be changed, as if it were mapped from a file.
    private final class Copy {
        let bytes: UnsafeMutableRawBufferPointer
        let file: FileIdentity

        init(file: FileIdentity) throws {
            let map = try MemoryMap(of: .own)
            let region = try #require(map.regions.first { $0.name == "[vdso]" })
            let image = try ProcessMemory(of: .own).read(region.range.lowerBound, count: region.range.count)
            let memory = mmap(nil, image.count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            bytes = UnsafeMutableRawBufferPointer(start: memory, count: image.count)
            bytes.copyBytes(from: image)
            self.file = file
        }

        deinit { munmap(bytes.baseAddress, bytes.count) }

        /// To be used only while this value lives.
        func module() throws -> LoadedModule {
            let start = UInt64(UInt(bitPattern: bytes.baseAddress))
            let region = MemoryRegion(
                range: start..<start + UInt64(bytes.count), isReadable: true, isWritable: true, isExecutable: false,
                isShared: false, offset: 0, file: file, name: "/usr/lib/same-name.so", isDeleted: false)
            return try LoadedModule(at: region, map: MemoryMap(parsing: ""), memory: ProcessMemory(of: .own))
        }
    }

    private static let file = FileIdentity(device: "fe:01", inode: 7)

    @Test("a copy in another file is another image, though its bytes are the same")
    func otherFile() throws {
        let cache = ImageCache()
        let one = try Copy(file: Self.file)
        let same = try Copy(file: Self.file)
        let content = try cache.content(of: one.module(), memory: memory)
        let again = try cache.content(of: same.module(), memory: memory)
        #expect(again === content)
        for file in [FileIdentity(device: "fe:01", inode: 8), FileIdentity(device: "00:2e", inode: 7)] {
            let other = try Copy(file: file)
            let found = try cache.content(of: other.module(), memory: memory)
            #expect(found !== content)
        }
    }

    @Test("another build under the same path, device and inode is another image")
    func otherBuild() throws {
        let cache = ImageCache()
        let one = try Copy(file: Self.file)
        let module = try one.module()
        let content = try cache.content(of: module, memory: memory)
        let identifier = try #require(content.buildID)
        // The last byte of the build id.
        let other = try Copy(file: Self.file)
        let first = try #require(UInt8(identifier.prefix(2), radix: 16))
        let place = try #require(
            (0..<other.bytes.count - 20).first { offset in
                other.bytes[offset] == first
                    && (0..<identifier.utf8.count / 2).allSatisfy { index in
                        let digits = identifier.dropFirst(index * 2).prefix(2)
                        return UInt8(digits, radix: 16) == other.bytes[offset + index]
                    }
            })
        other.bytes[place] ^= 0xff
        let changed = try cache.content(of: other.module(), memory: memory)
        #expect(changed !== content)
        #expect(changed.buildID != identifier)
        // And the first one is still known.
        let known = try cache.content(of: module, memory: memory)
        #expect(known === content)
    }

    @Test("another first page under the same build id is another image")
    func otherFirstPage() throws {
        let cache = ImageCache()
        let one = try Copy(file: Self.file)
        let content = try cache.content(of: one.module(), memory: memory)
        let other = try Copy(file: Self.file)
        // e_entry, which nothing here depends on.
        other.bytes[24] ^= 1
        let changed = try cache.content(of: other.module(), memory: memory)
        #expect(changed !== content)
        #expect(changed.buildID == content.buildID)
    }

    @Test("an image without a file is parsed anew each time")
    func noFile() throws {
        let cache = ImageCache()
        let images = try ImageCatalog(of: .own)
        let vdso = try #require(images.list.modules.first { $0.path == "[vdso]" })
        let content = try cache.content(of: vdso, memory: memory)
        let again = try cache.content(of: vdso, memory: memory)
        #expect(again !== content)
    }
}
