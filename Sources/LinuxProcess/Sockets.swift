import CLinux
import Glibc

/// An IPv4 or IPv6 address, as DNS servers and socket peers are named.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    public enum Family: Sendable, Hashable {
        case ipv4
        case ipv6
    }

    public let family: Family
    /// 4 or 16 bytes in network order.
    public let bytes: [UInt8]
    /// The interface index of a scoped (link-local) IPv6 address, else 0.
    public let scope: UInt32

    public init?(ipv4 bytes: some Collection<UInt8>) {
        guard bytes.count == 4 else { return nil }
        self.init(family: .ipv4, bytes: Array(bytes), scope: 0)
    }

    public init?(ipv6 bytes: some Collection<UInt8>, scope: UInt32 = 0) {
        guard bytes.count == 16 else { return nil }
        self.init(family: .ipv6, bytes: Array(bytes), scope: scope)
    }

    private init(family: Family, bytes: [UInt8], scope: UInt32) {
        self.family = family
        self.bytes = bytes
        self.scope = scope
    }

    /// Text as inet_pton(3) takes it; an IPv6 address may carry `%scope`, a name or a number.
    public init?(_ text: String) {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(family: .ipv4, bytes: withUnsafeBytes(of: &four) { Array($0) }, scope: 0)
            return
        }
        let parts = text.split(separator: "%", maxSplits: 1)
        var six = in6_addr()
        guard let address = parts.first, inet_pton(AF_INET6, String(address), &six) == 1 else { return nil }
        var scope: UInt32 = 0
        if parts.count > 1 {
            // Names of interfaces mean something with link-local addresses only, as with glibc.
            let isLinkLocal = withUnsafeBytes(of: &six) { bytes in
                bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80 || bytes[0] == 0xff && bytes[1] & 0x0f == 2
            }
            scope = UInt32(parts[1]) ?? (isLinkLocal ? if_nametoindex(String(parts[1])) : 0)
        }
        self.init(family: .ipv6, bytes: withUnsafeBytes(of: &six) { Array($0) }, scope: scope)
    }

    public var description: String {
        var text = [CChar](repeating: 0, count: 64)
        let family = family == .ipv4 ? AF_INET : AF_INET6
        guard inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return "?" }
        let address = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return scope == 0 ? address : "\(address)%\(scope)"
    }

    /// `address:port`, with brackets around an IPv6 address.
    public func withPort(_ port: UInt16) -> String {
        family == .ipv4 ? "\(self):\(port)" : "[\(self)]:\(port)"
    }
}

/// One end of an internet socket.
public struct SocketEndpoint: Hashable, Sendable, CustomStringConvertible {
    public let address: IPAddress
    public let port: UInt16

    public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    public var description: String { address.withPort(port) }
}

/// A line of /proc/PID/net/{tcp,udp}{,6} (proc(5)): a socket of the process's network namespace.
public struct InternetSocket: Sendable, Equatable {
    public enum Transport: String, Sendable, CaseIterable {
        case tcp
        case tcp6
        case udp
        case udp6
    }

    public let transport: Transport
    public let local: SocketEndpoint
    public let peer: SocketEndpoint
    /// TCP_ESTABLISHED, or a connected UDP socket.
    public let isEstablished: Bool
    /// The socket's inode, which names it for as long as it is open.
    public let inode: UInt64

    /// The sockets of one kind in a process's network namespace.
    public static func all(_ transport: Transport, seenBy process: ProcessID) throws(SystemError) -> [InternetSocket] {
        parse(try readText("\(process.procPath)/net/\(transport.rawValue)"), transport: transport)
    }

    static func parse(_ text: String, transport: Transport) -> [InternetSocket] {
        text.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count > 9, let local = SocketEndpoint(kernelText: fields[1]),
                let peer = SocketEndpoint(kernelText: fields[2]), let state = UInt8(fields[3], radix: 16),
                let inode = UInt64(fields[9])
            else { return nil }
            return InternetSocket(
                transport: transport, local: local, peer: peer, isEstablished: state == 1, inode: inode)
        }
    }
}

extension SocketEndpoint {
    /// `0100007F:0035`: the address as 32-bit words in the machine's byte order, the port in plain hexadecimal.
    init?(kernelText text: Substring) {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1], radix: 16) else { return nil }
        var bytes: [UInt8] = []
        var rest = parts[0]
        while rest.count >= 8 {
            guard let word = UInt32(rest.prefix(8), radix: 16) else { return nil }
            withUnsafeBytes(of: word) { bytes.append(contentsOf: $0) }
            rest = rest.dropFirst(8)
        }
        guard rest.isEmpty, let address = IPAddress(ipv4: bytes) ?? IPAddress(ipv6: bytes) else { return nil }
        self.init(address: address, port: port)
    }
}

extension ProcessID {
    /// The inodes of the sockets a process has open, by descriptor.
    public func socketInodes() throws(SystemError) -> [Int32: UInt64] {
        var inodes: [Int32: UInt64] = [:]
        for name in try directoryEntries("\(procPath)/fd") {
            guard let descriptor = Int32(name), let inode = socketInode(of: descriptor) else { continue }
            inodes[descriptor] = inode
        }
        return inodes
    }

    /// The inode behind one descriptor of the process; nil where it is closed or no socket.
    public func socketInode(of descriptor: Int32) -> UInt64? {
        guard let link = try? readLink("\(procPath)/fd/\(descriptor)"), link.hasPrefix("socket:[") else { return nil }
        return UInt64(link.dropFirst("socket:[".count).dropLast())
    }

    /// The server that a descriptor of the process is connected to, over UDP or TCP.
    public func peer(of descriptor: Int32) -> (endpoint: SocketEndpoint, transport: InternetSocket.Transport)? {
        guard let inode = socketInode(of: descriptor) else { return nil }
        for transport in [InternetSocket.Transport.udp, .udp6, .tcp, .tcp6] {
            guard let sockets = try? InternetSocket.all(transport, seenBy: self) else { continue }
            if let socket = sockets.first(where: { $0.inode == inode }), socket.peer.port != 0 {
                return (socket.peer, transport)
            }
        }
        return nil
    }

    /// How long a receive on a socket of the process may wait before it fails (SO_RCVTIMEO, or SO_SNDTIMEO for a send),
    /// in microseconds; 0 for ever. Read from a duplicate of the descriptor (pidfd_getfd(2)); nil where it cannot be had.
    public func socketTimeout(of descriptor: Int32, sending: Bool) -> UInt64? {
        let pidfd = clinux_pidfd_open(rawValue)
        guard pidfd >= 0 else { return nil }
        let owner = OwnedDescriptor(adopting: pidfd)
        let duplicate = clinux_pidfd_getfd(owner.rawValue, descriptor)
        guard duplicate >= 0 else { return nil }
        let socket = OwnedDescriptor(adopting: duplicate)
        var timeout = timeval()
        var size = socklen_t(MemoryLayout<timeval>.size)
        let option = sending ? SO_SNDTIMEO : SO_RCVTIMEO
        guard getsockopt(socket.rawValue, SOL_SOCKET, option, &timeout, &size) == 0 else {
            return errno == ENOTSOCK ? 0 : nil
        }
        return UInt64(timeout.tv_sec) * 1_000_000 + UInt64(timeout.tv_usec)
    }
}
