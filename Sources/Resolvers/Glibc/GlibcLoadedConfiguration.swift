import ELFImage
import LinuxProcess
import ResolvConf

/// A configuration that glibc 2.26 or later loaded and threads share: its `struct resolv_conf` (resolv/resolv_conf.h).
struct GlibcLoadedConfiguration: Sendable, Equatable {
    let nameservers: [SocketEndpoint]
    let search: [String]
    let options: GlibcOptionBits
    let timeout: Int
    let attempts: Int
    let ndots: Int

    // reference count, three lists (pointer and length each), then four 32-bit numbers
    private static let byteCount = 72

    init?(at address: UInt64, memory: ProcessMemory) {
        guard address != 0, address & 7 == 0,
            let bytes = try? memory.read(address, count: GlibcLoadedConfiguration.byteCount),
            let references = bytes.integer(at: 0, as: UInt64.self), references > 0, references < 1 << 32,
            let serverCount = bytes.integer(at: 16, as: UInt64.self), serverCount <= 64,
            let searchCount = bytes.integer(at: 32, as: UInt64.self), searchCount <= 1024,
            let options = bytes.integer(at: 56, as: UInt32.self),
            GlibcOptionBits.known.rawValue | UInt64(options) == GlibcOptionBits.known.rawValue,
            let timeout = bytes.integer(at: 60, as: UInt32.self), timeout <= 3600,
            let attempts = bytes.integer(at: 64, as: UInt32.self), attempts <= 100,
            let ndots = bytes.integer(at: 68, as: UInt32.self), ndots <= 15,
            let servers: [SocketEndpoint] = GlibcLoadedConfiguration.list(
                bytes.integer(at: 8) ?? 0, count: serverCount, memory,
                { GlibcThreadState.endpoint(try memory.readUpTo($0, count: 28)) }),
            let search: [String] = GlibcLoadedConfiguration.list(
                bytes.integer(at: 24) ?? 0, count: searchCount, memory, { try memory.readString($0, limit: 256) })
        else { return nil }
        nameservers = servers
        self.search = search
        self.options = GlibcOptionBits(rawValue: UInt64(options))
        self.timeout = Int(timeout)
        self.attempts = Int(attempts)
        self.ndots = Int(ndots)
    }

    /// Follows an array of pointers.
    private static func list<Element>(
        _ address: UInt64, count: UInt64, _ memory: ProcessMemory, _ decode: (UInt64) throws -> Element?
    ) -> [Element]? {
        guard count > 0 else { return [] }
        guard let pointers = try? memory.read(address, count: Int(count) * 8) else { return nil }
        var elements: [Element] = []
        for index in 0..<Int(count) {
            guard let pointer: UInt64 = pointers.integer(at: index * 8), let element = try? decode(pointer) else {
                return nil
            }
            elements.append(element)
        }
        return elements
    }
}

/// glibc's table of loaded configurations, which no symbol names.
///
/// Its address is in a variable of libc's .bss. Every pointer there is tried; what it leads to must look like the table in each
/// of a dozen ways, down to the servers' addresses, before it is believed.
struct GlibcConfigurationTable: Sendable {
    private let entries: [UInt64: GlibcLoadedConfiguration]

    /// INDEX_MAGIC of resolv/resolv_conf.c.
    private static let indexMagic: UInt64 = 0x26a8_fa5e_48af_8061
    private static let entryLimit: UInt64 = 4096

    init?(of library: GlibcLibrary, images: ImageCatalog) {
        let memory = images.memory
        for range in library.writableRanges {
            guard let bytes = try? memory.readUpTo(range.lowerBound, count: range.count) else { continue }
            // .bss comes last, and the variable is in it.
            for offset in stride(from: (bytes.count - 8) & ~7, through: 0, by: -8) {
                guard let pointer: UInt64 = bytes.integer(at: offset), pointer & 15 == 0,
                    !range.contains(pointer), let region = images.map.region(containing: pointer), region.isWritable,
                    let found = GlibcConfigurationTable.entries(at: pointer, memory, images.map)
                else { continue }
                entries = found
                return
            }
        }
        return nil
    }

    /// What the thread was loaded with; nil where it is attached to nothing.
    func configuration(of state: GlibcThreadState) -> GlibcLoadedConfiguration? {
        entries[state.extensionIndex ^ GlibcConfigurationTable.indexMagic]
    }

    /// used, allocated, array; head of the free list; the configuration in force.
    private static func entries(at address: UInt64, _ memory: ProcessMemory, _ map: MemoryMap)
        -> [UInt64: GlibcLoadedConfiguration]?
    {
        guard let header = try? memory.read(address, count: 40),
            let used = header.integer(at: 0, as: UInt64.self), used > 0, used <= entryLimit,
            let allocated = header.integer(at: 8, as: UInt64.self), allocated >= used, allocated <= 2 * entryLimit,
            let array = header.integer(at: 16, as: UInt64.self), array & 7 == 0,
            map.region(containing: array)?.isWritable == true,
            let current = header.integer(at: 32, as: UInt64.self), current & 7 == 0,
            let slots = try? memory.read(array, count: Int(used) * 8)
        else { return nil }
        var entries: [UInt64: GlibcLoadedConfiguration] = [:]
        var isCurrentThere = current == 0
        for index in 0..<used {
            guard let slot: UInt64 = slots.integer(at: Int(index) * 8) else { return nil }
            // An odd slot is a link of the free list.
            if slot & 1 == 1 { continue }
            guard let configuration = GlibcLoadedConfiguration(at: slot, memory: memory) else { return nil }
            entries[index] = configuration
            isCurrentThere = isCurrentThere || slot == current
        }
        return entries.isEmpty || !isCurrentThere ? nil : entries
    }
}
