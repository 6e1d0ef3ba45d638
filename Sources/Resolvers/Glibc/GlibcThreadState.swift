import ELFImage
import LinuxProcess
import ResolvConf

/// A thread's `struct __res_state`: 568 bytes, laid out alike in glibc 2.17 to 2.43 on 64-bit machines.
public struct GlibcThreadState: Sendable, Equatable {
    public let address: UInt64
    public let options: GlibcOptionBits
    /// RES_F_* bits, private to glibc.
    public let privateFlags: UInt32
    /// `retrans`: seconds to wait for a reply.
    public let timeout: Int
    /// `retry`
    public let attempts: Int
    public let ndots: Int
    public let nameservers: [SocketEndpoint]
    public let search: [String]
    /// Descriptors of a lookup's sockets, as far as they are open.
    public let sockets: [Int32]
    /// Which configuration object the thread was loaded with (glibc 2.26 and later); mangled.
    public let extensionIndex: UInt64

    enum Offset {
        static let timeout = 0
        static let attempts = 4
        static let options = 8
        static let serverCount = 16
        static let servers = 20
        static let search = 72
        /// `unsigned ndots:4`, the low half of this byte.
        static let ndots = 392
        static let privateFlags = 504
        static let sockets = 520
        static let servers6 = 536
        static let extensionIndex = 560
    }

    static let byteCount = 568
    private static let serverLimit = 3
    private static let searchLimit = 6
    // AF_INET, AF_INET6
    private static let family4: UInt16 = 2
    private static let family6: UInt16 = 10

    public var isInitialized: Bool { options.contains(.initialized) }

    /// RES_F_SNGLKUP and RES_F_SNGLKUPREOP, which glibc 2.40 and later use instead of the option bits.
    public var privateSingleRequest: GlibcOptionBits {
        GlibcOptionBits(rawValue: UInt64(privateFlags)).intersection(.lostReply)
    }

    /// Reads and checks the state at an address.
    ///
    /// - Throws: ``OpaqueReason`` where the bytes are no resolver state, `SystemError` where they cannot be read.
    init(at address: UInt64, memory: ProcessMemory) throws {
        let bytes = try memory.read(address, count: GlibcThreadState.byteCount)
        func number<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: T.Type) -> T {
            bytes.integer(at: offset) ?? 0
        }
        self.address = address
        options = GlibcOptionBits(rawValue: number(Offset.options, UInt64.self))
        privateFlags = number(Offset.privateFlags, UInt32.self)
        timeout = Int(number(Offset.timeout, Int32.self))
        attempts = Int(number(Offset.attempts, Int32.self))
        ndots = Int(bytes[Offset.ndots] & 0xf)
        extensionIndex = number(Offset.extensionIndex, UInt64.self)
        guard options.contains(.initialized) else {
            // Zeroes, but for what an application may have set before its first lookup.
            nameservers = []
            search = []
            sockets = []
            return
        }
        let serverCount = Int(number(Offset.serverCount, Int32.self))
        // One for each server; the places of servers that there are not hold zeroes.
        sockets = (0..<min(max(serverCount, 0), GlibcThreadState.serverLimit))
            .map { number(Offset.sockets + $0 * 4, Int32.self) }
            .filter { $0 >= 0 }
        guard options.isSubset(of: .known), (0...GlibcThreadState.serverLimit).contains(serverCount),
            sockets.allSatisfy({ $0 < 1 << 20 }), abs(timeout) < 1 << 16, abs(attempts) < 1 << 16
        else { throw OpaqueReason("what its thread-local pointer leads to is no resolver state") }
        nameservers = try (0..<serverCount).map { try GlibcThreadState.server($0, in: bytes, memory: memory) }
        search = try GlibcThreadState.searchList(in: bytes, memory: memory)
    }

    private static func server(_ index: Int, in bytes: [UInt8], memory: ProcessMemory) throws -> SocketEndpoint {
        let offset = Offset.servers + index * 16
        switch bytes.integer(at: offset, as: UInt16.self) {
        case family4?:
            if let server = endpoint4(bytes[offset...]) { return server }
        case 0?:
            // An IPv6 server leaves its IPv4 slot empty and lives behind a pointer.
            let pointer: UInt64 = bytes.integer(at: Offset.servers6 + index * 8) ?? 0
            if pointer != 0, let server = endpoint(try memory.read(pointer, count: 28)) { return server }
        default:
            break
        }
        throw OpaqueReason("server \(index + 1) of its resolver state makes no sense")
    }

    private static func endpoint4(_ bytes: ArraySlice<UInt8>) -> SocketEndpoint? {
        let start = bytes.startIndex
        guard bytes.count >= 8, let address = IPAddress(ipv4: bytes[start + 4..<start + 8]) else { return nil }
        return SocketEndpoint(address: address, port: UInt16(bytes[start + 2]) << 8 | UInt16(bytes[start + 3]))
    }

    /// A `struct sockaddr_in` or `sockaddr_in6`.
    static func endpoint(_ bytes: [UInt8]) -> SocketEndpoint? {
        switch bytes.integer(at: 0, as: UInt16.self) {
        case family4?:
            return endpoint4(bytes[...])
        case family6?:
            guard bytes.count >= 28,
                let address = IPAddress(ipv6: bytes[8..<24], scope: bytes.integer(at: 24) ?? 0)
            else { return nil }
            return SocketEndpoint(address: address, port: UInt16(bytes[2]) << 8 | UInt16(bytes[3]))
        default:
            return nil
        }
    }

    private static func searchList(in bytes: [UInt8], memory: ProcessMemory) throws -> [String] {
        var names: [String] = []
        for index in 0..<searchLimit {
            guard let pointer: UInt64 = bytes.integer(at: Offset.search + index * 8), pointer != 0 else { break }
            names.append(try memory.readString(pointer, limit: 256))
        }
        return names
    }

    /// The names of a list that glibc takes over into a state: six at the most, and as many as fit in `defdname` with a zero
    /// byte after each.
    static func searchThatFits(_ names: [String]) -> [String] {
        var room = 256
        return Array(
            names.prefix(searchLimit).prefix { name in
                room -= name.utf8.count + 1
                return room >= 0
            })
    }

    /// The state in the words of a report.
    var configuration: ResolverConfiguration {
        var numbers = ResolverOptions()
        numbers.ndots = ndots
        numbers.timeout = timeout
        numbers.attempts = attempts
        numbers.flags = options.flags
        return ResolverConfiguration(
            nameservers: nameservers, search: search, options: numbers, otherFlags: options.otherFlags)
    }
}

/// Why a resolver's state cannot be read.
public struct OpaqueReason: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}
