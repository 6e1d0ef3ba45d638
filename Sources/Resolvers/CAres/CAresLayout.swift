import LinuxProcess
import ResolvConf

/// Where the fields of a channel lie, by release (`struct ares_channeldata` of ares_private.h, x86-64).
///
/// Offsets taken from the sources of 1.15.0, 1.17.1, 1.18.1, 1.19.1, 1.26.0, 1.33.1 and 1.34.5, and from Debian's 1.34.9 as it runs. What is
/// read must also hang together: every server points back to its channel.
struct CAresLayout {
    /// How a channel holds its servers.
    enum Shape {
        /// Up to 1.19: int fields, and an array of servers at a fixed place.
        case array
        /// size_t fields, and a skip list of servers. The places of that list and of the source of random numbers.
        case list(UInt64, random: UInt64)
    }

    private let shape: Shape
    /// The list of all queries.
    private let queries: UInt64
    /// The path of the channel's own resolv.conf; nil where its place is not known.
    private let path: UInt64?
    /// It was found right in running programs, so that what is not found is not there.
    let isTried: Bool

    init?(of release: CAresRelease) {
        guard release.major == 1 else { return nil }
        switch release.minor {
        case 15: self.init(shape: .array, queries: 440, path: 74256)
        case 17, 18: self.init(shape: .array, queries: 440, path: 74256, isTried: true)
        // 1.19.1 put its source of random numbers elsewhere.
        case 19 where release.patch > 0: self.init(shape: .array, queries: 192, path: 74008, isTried: true)
        case 26: self.init(shape: .list(176, random: 184), queries: 192, path: 288, isTried: true)
        // Between the two releases at their ends; where the path is, differs.
        case 27...32: self.init(shape: .list(184, random: 192), queries: 200, path: nil)
        case 33: self.init(shape: .list(184, random: 192), queries: 200, path: 296, isTried: true)
        // It moved within 1.34; where, is known of these two only.
        case 34 where release.patch <= 5:
            self.init(shape: .list(184, random: 192), queries: 200, path: 416, isTried: true)
        case 34 where release.patch == 9:
            self.init(shape: .list(184, random: 200), queries: 208, path: 480, isTried: true)
        default: return nil
        }
    }

    /// What is tried where a program does not tell its release: all of the newer ones.
    static let all = [
        CAresLayout(shape: .list(184, random: 200), queries: 208, path: nil, isTried: true),
        CAresLayout(shape: .list(184, random: 192), queries: 200, path: nil, isTried: true),
        CAresLayout(shape: .list(176, random: 184), queries: 192, path: nil, isTried: true),
    ]

    private init(shape: Shape, queries: UInt64, path: UInt64?, isTried: Bool = false) {
        self.isTried = isTried
        self.shape = shape
        self.queries = queries
        self.path = path
    }

    private var isArray: Bool {
        if case .array = shape { true } else { false }
    }

    // ares.h
    private static let serversSet: UInt32 = 1 << 6
    private static let domainsSet: UInt32 = 1 << 7
    private static let resolvConfSet: UInt32 = 1 << 17
    private static let hasEventThread: UInt32 = 1 << 22

    /// Nobody has more.
    private static let serverLimit = 64
    private static let domainLimit = 64
    /// More than `struct ares_server` has in any release, in bytes.
    private static let serverSize = 640
    private static let knownFlags: UInt32 = 0x7ff
    private static let timeoutLimit = 600_000
    private static let triesLimit = 1000
    private static let ndotsLimit = 255

    private var optmaskOffset: UInt64 { isArray ? 136 : 112 }

    /// The numbers at its beginning make sense: flags, timeout, tries, ndots.
    func mayBegin(at offset: Int, of memory: UnsafeRawBufferPointer) -> Bool {
        guard let numbers = numbers(at: offset, of: memory) else { return false }
        return numbers.flags & ~Self.knownFlags == 0 && numbers.timeout > 0 && numbers.timeout <= Self.timeoutLimit
            && numbers.tries > 0 && numbers.tries <= Self.triesLimit && numbers.ndots >= 0
            && numbers.ndots <= Self.ndotsLimit
    }

    private struct Numbers {
        let flags: UInt32
        let timeout: Int
        let tries: Int
        let ndots: Int
    }

    private func numbers(at offset: Int, of memory: UnsafeRawBufferPointer) -> Numbers? {
        guard offset + 200 <= memory.count else { return nil }
        let flags = memory.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        switch shape {
        case .array:
            func word(_ index: Int) -> Int {
                Int(memory.loadUnaligned(fromByteOffset: offset + index * 4, as: Int32.self))
            }
            return Numbers(flags: flags, timeout: word(1), tries: word(2), ndots: word(3))
        case .list:
            func word(_ index: Int) -> Int {
                Int(truncatingIfNeeded: memory.loadUnaligned(fromByteOffset: offset + index * 8, as: Int64.self))
            }
            return Numbers(flags: flags, timeout: word(1), tries: word(2), ndots: word(3))
        }
    }

    /// Reads a channel.
    ///
    /// - Throws: ``OpaqueReason`` where it is none.
    func read(_ address: UInt64, memory: ProcessMemory) throws -> ChannelReading {
        let size = 512
        let channel = try memory.read(address, count: size)
        let isPlausible = channel.withUnsafeBytes { mayBegin(at: 0, of: $0) }
        guard isPlausible, let numbers = channel.withUnsafeBytes({ numbers(at: 0, of: $0) }),
            let optmask: UInt32 = channel.integer(at: Int(optmaskOffset))
        else { throw OpaqueReason("its numbers make no sense") }

        let servers = try self.servers(of: address, channel, memory)
        var options = ResolverOptions()
        options.ndots = numbers.ndots
        options.timeout = max(1, numbers.timeout / 1000)
        options.attempts = numbers.tries
        if rotates(channel) { options.apply("rotate") }
        var reading = ChannelReading(
            ResolverConfiguration(
                nameservers: servers.map(\.endpoint), search: try domains(channel, memory), options: options))
        // The releases that do not mark servers set by a function show them by a port that no resolv.conf gives, or by their age.
        reading.hasOwnServers = optmask & Self.serversSet != 0 || isArray && servers.contains(where: \.hasPort)
        reading.mayHaveOwnServers = !servers.contains(where: \.isFirst)
        reading.hasOwnSearch = optmask & Self.domainsSet != 0
        reading.watchesFile = !isArray && optmask & Self.hasEventThread != 0
        reading.resolvConfPath = try resolvConfPath(of: address, optmask, memory)
        reading.pendingQueries = try pending(of: address, channel, memory)
        // A pthread_mutex_t begins with its state: 0 where nobody holds it.
        if !isArray, let lock: UInt64 = channel.integer(at: 168), lock != 0 {
            reading.isLocked = try memory.load(lock, as: Int32.self) != 0
        }
        return reading
    }

    /// Takes back the mark that servers were set by a function, and only that.
    func clearOwnServers(_ address: UInt64, memory: ProcessMemory) throws {
        if isArray { try resetGenerations(address, memory) }
        let optmask: UInt32 = try memory.load(address + optmaskOffset)
        guard optmask & Self.serversSet != 0 else { return }
        try memory.store(optmask & ~Self.serversSet, to: address + optmaskOffset)
    }

    // MARK: Servers

    private struct Server {
        let endpoint: SocketEndpoint
        let hasPort: Bool
        /// Nothing took its place since the channel was made; true where that is not known.
        var isFirst = true
    }

    /// A `struct server_state`, and where in it the channel and the generation of its TCP connection stand.
    private enum ServerState {
        static let size = 128
        static let generation = 80
        static let channel = 112
    }

    /// An array's servers count from 1 when they are made: each gets the channel's next generation, and gets the next one again when
    /// a TCP connection to it ends. Servers that were set later go on from there.
    private var generationPlace: UInt64 { queries - 24 }

    /// After servers were set and before any is asked, their generations follow each other. That they count from 1 again changes
    /// nothing for a channel without queries.
    private func resetGenerations(_ address: UInt64, _ memory: ProcessMemory) throws {
        let start: UInt64 = try memory.load(address + 144)
        let count: Int32 = try memory.load(address + 152)
        let last: Int32 = try memory.load(address + generationPlace)
        guard count > 0, count <= Int32(Self.serverLimit), last > count else { return }
        let places = (0..<UInt64(count)).map { start + $0 * UInt64(ServerState.size) + UInt64(ServerState.generation) }
        let generations: [Int32] = try places.map { try memory.load($0) }
        guard generations == Array(last - count + 1...last) else { return }
        for (index, place) in places.enumerated() { try memory.store(Int32(index + 1), to: place) }
        try memory.store(count, to: address + generationPlace)
    }

    private static let mismatch = OpaqueReason("its servers do not point back to it")

    private func servers(of address: UInt64, _ channel: [UInt8], _ memory: ProcessMemory) throws -> [Server] {
        switch shape {
        case .array: try arrayServers(of: address, channel, memory)
        case .list(let place, let random): try listServers(at: place, random, of: address, channel, memory)
        }
    }

    /// `struct server_state` of 128 bytes: address, ports in network order, and the channel at offset 112.
    private func arrayServers(of address: UInt64, _ channel: [UInt8], _ memory: ProcessMemory) throws -> [Server] {
        let size = ServerState.size
        guard let start: UInt64 = channel.integer(at: 144), let count: Int32 = channel.integer(at: 152), count > 0,
            count <= Int32(Self.serverLimit), start != 0
        else { throw OpaqueReason("it has no servers") }
        let bytes = try memory.read(start, count: Int(count) * size)
        return try (0..<Int(count)).map { index in
            let base = index * size
            guard bytes.integer(at: base + ServerState.channel) == address,
                let ip = Self.ipAddress(bytes, at: base, scope: 0), let port: UInt16 = bytes.integer(at: base + 20),
                let generation: Int32 = bytes.integer(at: base + ServerState.generation)
            else { throw Self.mismatch }
            let number = UInt16(bigEndian: port)
            return Server(
                endpoint: SocketEndpoint(address: ip, port: number == 0 ? defaultPort(channel) : number),
                hasPort: number != 0, isFirst: generation == Int32(index + 1))
        }
    }

    /// The channel's own port, in network order; 0 for 53.
    private func defaultPort(_ channel: [UInt8]) -> UInt16 {
        let port: UInt16? =
            isArray
            ? (channel.integer(at: 20, as: Int32.self)).map { UInt16(truncatingIfNeeded: $0) } : channel.integer(at: 44)
        let number = UInt16(bigEndian: port ?? 0)
        return number == 0 ? 53 : number
    }

    /// A skip list (dsa/ares_slist.c) of `struct ares_server`: its first level links all nodes.
    private func listServers(
        at place: UInt64, _ randomPlace: UInt64, of address: UInt64, _ channel: [UInt8], _ memory: ProcessMemory
    ) throws -> [Server] {
        // The list points to the channel's source of random numbers as well.
        guard let list: UInt64 = channel.integer(at: Int(place)),
            let random: UInt64 = channel.integer(at: Int(randomPlace)),
            list != 0
        else { throw OpaqueReason("it has no servers") }
        let header = try memory.read(list, count: 72)
        guard header.integer(at: 0) == random, let heads: UInt64 = header.integer(at: 24),
            let count: Int = header.integer(at: 64), count > 0, count <= Self.serverLimit
        else { throw Self.mismatch }
        var node: UInt64 = try memory.load(heads)
        var found: [(index: UInt64, server: Server)] = []
        while node != 0, found.count <= count {
            let fields = try memory.read(node, count: 40)
            guard fields.integer(at: 32) == list, let data: UInt64 = fields.integer(at: 0),
                let next: UInt64 = fields.integer(at: 16)
            else { throw Self.mismatch }
            found.append(try listServer(at: data, of: address, channel, memory))
            node = try memory.load(next)
        }
        guard found.count == count else { throw Self.mismatch }
        // It is sorted by failures first: what was configured has an index of its own.
        return found.sorted { $0.index < $1.index }.map(\.server)
    }

    private func listServer(at data: UInt64, of address: UInt64, _ channel: [UInt8], _ memory: ProcessMemory) throws
        -> (index: UInt64, server: Server)
    {
        // The pointer back to the channel stands at its end, and that is elsewhere in each release.
        let server = try memory.readUpTo(data, count: Self.serverSize)
        let places = stride(from: 104, to: server.count, by: 8)
        guard places.contains(where: { server.integer(at: $0) == address }), let index: UInt64 = server.integer(at: 0),
            let scope: UInt32 = server.integer(at: 96), let ip = Self.ipAddress(server, at: 8, scope: scope),
            let port: UInt16 = server.integer(at: 28)
        else { throw Self.mismatch }
        let number = port == 0 ? defaultPort(channel) : port
        return (index, Server(endpoint: SocketEndpoint(address: ip, port: number), hasPort: port != 0))
    }

    /// `struct ares_addr`: the family and the address.
    private static func ipAddress(_ bytes: [UInt8], at offset: Int, scope: UInt32) -> IPAddress? {
        guard let family: Int32 = bytes.integer(at: offset) else { return nil }
        switch family {
        case 2: return IPAddress(ipv4: bytes[offset + 4..<offset + 8])
        case 10: return IPAddress(ipv6: bytes[offset + 4..<offset + 20], scope: scope)
        default: return nil
        }
    }

    // MARK: The rest

    private func rotates(_ channel: [UInt8]) -> Bool {
        (isArray ? channel.integer(at: 16, as: Int32.self) : channel.integer(at: 40)) == 1
    }

    private func domains(_ channel: [UInt8], _ memory: ProcessMemory) throws -> [String] {
        let place = isArray ? 40 : 56
        let count = isArray ? channel.integer(at: 48, as: Int32.self).map(Int.init) : channel.integer(at: 64)
        guard let list: UInt64 = channel.integer(at: place), let count, count >= 0, count <= Self.domainLimit else {
            throw OpaqueReason("its search list makes no sense")
        }
        return try (0..<count).map { try memory.readString(memory.load(list + UInt64($0 * 8)), limit: 256) }
    }

    private func resolvConfPath(of address: UInt64, _ optmask: UInt32, _ memory: ProcessMemory) throws -> String? {
        guard let path else {
            guard optmask & Self.resolvConfSet == 0 else {
                throw OpaqueReason("it reads a file of its own, unknown which")
            }
            return nil
        }
        let pointer: UInt64 = try memory.load(address + path)
        guard pointer != 0 else { return nil }
        let text = try memory.readString(pointer, limit: 4096)
        guard text.hasPrefix("/") else { throw OpaqueReason("its path of a resolv.conf makes no sense") }
        return text
    }

    private func pending(of address: UInt64, _ channel: [UInt8], _ memory: ProcessMemory) throws -> Int? {
        guard isArray else {
            // `struct ares_llist` counts its nodes.
            guard let list: UInt64 = channel.integer(at: Int(queries)), list != 0 else { return nil }
            return try memory.load(list + 24)
        }
        // A circular list through `prev, next, data`; empty where it leads to itself.
        let head = address + queries
        var node: UInt64 = try memory.load(head + 8)
        var count = 0
        while node != head, count < 1000 {
            node = try memory.load(node + 8)
            count += 1
        }
        return count
    }
}
