import Testing

@testable import ELFImage
@testable import LinuxProcess

@Suite("ModuleList")
struct ModuleListTests {
    @Test("regions that hold no ELF image make no module")
    func noImages() throws {
        // Our own stack and heap under the names of files.
        let map = try MemoryMap(of: .own)
        let stack = try #require(map.regions.first { $0.name == "[stack]" })
        func line(_ range: Range<UInt64>) -> String {
            "\(String(range.lowerBound, radix: 16))-\(String(range.upperBound, radix: 16)) r--p 00000000 fe:01 7 /x.so\n"
        }
        let text = line(8..<4096) + line(stack.range)
        #expect(ModuleList(map: MemoryMap(parsing: text), memory: ProcessMemory(of: .own)).modules.isEmpty)
    }

    @Test("an empty map has no module, and no address is in one")
    func empty() {
        let list = ModuleList(map: MemoryMap(parsing: ""), memory: ProcessMemory(of: .own))
        #expect(list.modules.isEmpty)
        #expect(list.module(containing: 0x1000) == nil)
    }

    @Test("only a mapping of a file's start is looked at")
    func notTheStart() throws {
        let map = try MemoryMap(of: .own)
        let memory = ProcessMemory(of: .own)
        let list = ModuleList(map: map, memory: memory)
        let starts = Set(map.regions.filter { $0.offset == 0 }.map(\.range.lowerBound))
        #expect(list.modules.allSatisfy { starts.contains($0.base) })
    }
}
