import LinuxProcess
import ResolvConf

/// Where the fields of a base lie (`struct evdns_base` and `struct nameserver` of libevent 2.1's evdns.c, x86-64).
///
/// Offsets taken from the sources of 2.1.12 and 2.1.13. What is read must also hang together: the servers form a ring, and each points
/// back to its base.
enum EvdnsLayout {
    private enum Base {
        static let heads = 0
        static let servers = 16
        static let headCount = 24
        static let eventBase = 32
        static let inFlight = 44
        static let waiting = 48
        static let limit = 52
        static let timeoutSeconds = 56
        static let retransmits = 76
        static let searchState = 280
        static let lock = 304
        static let size = 320
    }

    private enum Server {
        static let address = 8
        static let next = 280
        static let base = 440
        static let size = 456
    }

    /// Nobody has more.
    private static let serverLimit = 64
    private static let domainLimit = 64

    /// Its counts and pointers make sense.
    static func mayBegin(at offset: Int, of memory: UnsafeRawBufferPointer) -> Bool {
        guard offset + Base.size <= memory.count else { return false }
        func word<T: BitwiseCopyable>(_ place: Int, _ type: T.Type) -> T {
            memory.loadUnaligned(fromByteOffset: offset + place, as: type)
        }
        let limit = word(Base.limit, Int32.self)
        let heads = word(Base.headCount, Int32.self)
        guard limit > 0, limit < 1 << 20, heads > 0, heads < 1 << 20 else { return false }
        let inFlight = word(Base.inFlight, Int32.self)
        let waiting = word(Base.waiting, Int32.self)
        let seconds = word(Base.timeoutSeconds, Int64.self)
        let retransmits = word(Base.retransmits, Int32.self)
        return inFlight >= 0 && inFlight <= limit && waiting >= 0 && waiting < 1 << 24 && seconds >= 0 && seconds < 3600
            && retransmits > 0 && retransmits < 1000 && isPointer(word(Base.heads, UInt64.self))
            && isPointer(word(Base.eventBase, UInt64.self)) && isPointer(word(Base.servers, UInt64.self))
    }

    private static func isPointer(_ value: UInt64) -> Bool { value > 0x10000 && value < 1 << 47 && value & 7 == 0 }

    /// Reads a base.
    ///
    /// - Throws: ``OpaqueReason`` where it is none.
    static func read(_ address: UInt64, memory: ProcessMemory) throws -> ChannelReading {
        let base = try memory.read(address, count: Base.size)
        guard base.withUnsafeBytes({ mayBegin(at: 0, of: $0) }), let first: UInt64 = base.integer(at: Base.servers),
            let seconds: Int = base.integer(at: Base.timeoutSeconds),
            let retransmits: Int32 = base.integer(at: Base.retransmits),
            let searchState: UInt64 = base.integer(at: Base.searchState),
            let inFlight: Int32 = base.integer(at: Base.inFlight), let waiting: Int32 = base.integer(at: Base.waiting)
        else { throw OpaqueReason("its numbers make no sense") }
        var options = ResolverOptions()
        options.timeout = max(1, seconds)
        options.attempts = Int(retransmits)
        let search = try self.search(searchState, memory, &options)
        var reading = ChannelReading(
            ResolverConfiguration(
                nameservers: try servers(first, of: address, memory), search: search, options: options))
        // Whoever lets it read a resolv.conf gets a search state, though it be empty.
        reading.hasOwnServers = searchState == 0
        reading.pendingQueries = Int(inFlight) + Int(waiting)
        // With evthread_use_pthreads a pthread_mutex_t, which begins with its state: 0 where nobody holds it.
        if let lock: UInt64 = base.integer(at: Base.lock), lock != 0 {
            reading.isLocked = try memory.load(lock, as: Int32.self) != 0
        }
        return reading
    }

    private static func servers(_ first: UInt64, of base: UInt64, _ memory: ProcessMemory) throws -> [SocketEndpoint] {
        var servers: [SocketEndpoint] = []
        var address = first
        repeat {
            let server = try memory.read(address, count: Server.size)
            guard server.integer(at: Server.base) == base, let next: UInt64 = server.integer(at: Server.next),
                let endpoint = SocketEndpoint(socketAddress: server, at: Server.address),
                servers.count < serverLimit
            else { throw OpaqueReason("its servers do not point back to it") }
            servers.append(endpoint)
            address = next
        } while address != first
        return servers
    }

    /// `struct search_state`: reference count, ndots, number of domains, and a list of them; the text follows each.
    private static func search(_ state: UInt64, _ memory: ProcessMemory, _ options: inout ResolverOptions) throws
        -> [String]
    {
        guard state != 0 else { return [] }
        let header = try memory.read(state, count: 24)
        guard let ndots: Int32 = header.integer(at: 4), let count: Int32 = header.integer(at: 8), count >= 0,
            count <= Int32(domainLimit), var domain: UInt64 = header.integer(at: 16)
        else { throw OpaqueReason("its search list makes no sense") }
        options.ndots = Int(ndots)
        var names: [String] = []
        while domain != 0, names.count < Int(count) {
            let length: Int32 = try memory.load(domain)
            guard length >= 0, length < 256 else { throw OpaqueReason("its search list makes no sense") }
            names.append(String(decoding: try memory.read(domain + 16, count: Int(length)), as: UTF8.self))
            domain = try memory.load(domain + 8)
        }
        return names
    }
}

extension SocketEndpoint {
    /// A `struct sockaddr_in` or `sockaddr_in6`.
    init?(socketAddress bytes: [UInt8], at offset: Int) {
        guard let family: UInt16 = bytes.integer(at: offset), let port: UInt16 = bytes.integer(at: offset + 2),
            offset + 28 <= bytes.count
        else { return nil }
        let address: IPAddress?
        switch family {
        case 2: address = IPAddress(ipv4: bytes[offset + 4..<offset + 8])
        case 10:
            address = IPAddress(ipv6: bytes[offset + 8..<offset + 24], scope: bytes.integer(at: offset + 24) ?? 0)
        default: address = nil
        }
        guard let address else { return nil }
        self.init(address: address, port: UInt16(bigEndian: port))
    }
}
