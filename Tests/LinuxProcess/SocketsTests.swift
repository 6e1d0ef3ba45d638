import Glibc
import Testing

@testable import LinuxProcess

@Suite("IPAddress")
struct IPAddressTests {
    @Test(
        "an address is what its text says, and says the same again",
        arguments: [
            ("127.0.0.1", [127, 0, 0, 1]), ("255.255.255.255", [255, 255, 255, 255]), ("0.0.0.0", [0, 0, 0, 0]),
            ("::", Array(repeating: 0, count: 16)), ("::1", Array(repeating: 0, count: 15) + [1]),
            ("2001:db8::53", [0x20, 1, 0x0d, 0xb8] + Array(repeating: 0, count: 10) + [0, 0x53]),
            ("::ffff:10.0.0.1", Array(repeating: 0, count: 10) + [0xff, 0xff, 10, 0, 0, 1]),
        ] as [(String, [UInt8])])
    func roundTrip(text: String, bytes: [UInt8]) throws {
        let address = try #require(IPAddress(text))
        #expect(address.bytes == bytes)
        #expect(address.family == (bytes.count == 4 ? .ipv4 : .ipv6))
        #expect(address.scope == 0)
        #expect(address.description == text)
        #expect(IPAddress(address.description) == address)
    }

    @Test("an IPv6 address in any spelling is the same")
    func spellings() {
        #expect(IPAddress("2001:DB8:0:0:0:0:0:53") == IPAddress("2001:db8::53"))
    }

    @Test("a scope is a number or the name of an interface")
    func scope() throws {
        #expect(try #require(IPAddress("fe80::1%7")).scope == 7)
        #expect(try #require(IPAddress("fe80::1%7")).description == "fe80::1%7")
        #expect(try #require(IPAddress("fe80::1%lo")).scope == if_nametoindex("lo"))
        #expect(try #require(IPAddress("fe80::1%nonesuch")).scope == 0)
        #expect(IPAddress("fe80::1%1") != IPAddress("fe80::1%2"))
    }

    @Test(
        "rubbish is no address",
        arguments: [
            "", " ", "%", "%lo", "1", "127.1", "010.0.0.1", "1.2.3.4.5", "256.0.0.1", "1.2.3.4 ", " 1.2.3.4",
            "1.2.3.4%lo",
            "1.2.3.4:53", "[::1]", "::1::", "12345::", "db.example", "1.2.3.x", "fe80::1 %lo", "\u{0}",
        ])
    func rubbish(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("bytes make an address only in the right number")
    func bytes() {
        #expect(IPAddress(ipv4: [10, 0, 0, 1])?.description == "10.0.0.1")
        #expect(IPAddress(ipv4: [10, 0, 0]) == nil)
        #expect(IPAddress(ipv6: [10, 0, 0, 1]) == nil)
        #expect(IPAddress(ipv6: [UInt8](repeating: 0, count: 16), scope: 3)?.description == "::%3")
    }

    @Test("a port stands after the address, which has brackets where it has colons")
    func port() throws {
        #expect(try #require(IPAddress("10.0.0.1")).withPort(53) == "10.0.0.1:53")
        #expect(try #require(IPAddress("::1")).withPort(5353) == "[::1]:5353")
        #expect(try SocketEndpoint(address: #require(IPAddress("fe80::1%2")), port: 53).description == "[fe80::1%2]:53")
    }
}

@Suite("SocketEndpoint")
struct SocketEndpointTests {
    // As a little-endian machine prints them.
    @Test(
        "the kernel's words are in the machine's byte order and its ports are not",
        arguments: [
            ("0100007F:0035", "127.0.0.1:53"), ("00000000:0000", "0.0.0.0:0"), ("3500007F:14E9", "127.0.0.53:5353"),
            ("0101A8C0:FFFF", "192.168.1.1:65535"), ("00000000000000000000000001000000:0035", "[::1]:53"),
            ("B80D01200000000000000000AABBCCDD:01BB", "[2001:db8::ddcc:bbaa]:443"),
            ("0000000000000000FFFF00000100007F:1F90", "[::ffff:127.0.0.1]:8080"),
        ])
    func kernelText(text: String, endpoint: String) {
        #expect(SocketEndpoint(kernelText: Substring(text))?.description == endpoint)
    }

    @Test(
        "rubbish is no endpoint",
        arguments: [
            "", ":", "0100007F", "0100007F:", ":0035", "0100007:0035", "0100007F0:0035", "0100007F:10000",
            "0100007G:0035",
            "0100007F0100007F:0035", "0100007F:0035:1", "00000000000000000000000001000000FF:0035",
        ])
    func rubbish(text: String) {
        #expect(SocketEndpoint(kernelText: Substring(text)) == nil)
    }
}

@Suite("InternetSocket")
struct InternetSocketTests {
    private static let tcp = """
          sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1111 1 0000000000000000 100 0 0 10 0
           1: 0100007F:9C40 0200007F:1538 01 00000000:00000000 02:000A7D9C 00000000  1000        0 22222 2 0000000000000000 20 4 30 10 -1
        12345: 0100007F:9C42 0200007F:1538 06 00000000:00000000 03:00001771 00000000     0        0 0 3 0000000000000000

        """
    private static let tcp6 = """
          sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 00000000000000000000000001000000:0016 B80D0120000000000000000035000000:C350 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0000000000000000 100 0 0 10 0

        """

    @Test("lines of /proc/net/tcp are taken apart")
    func lines() throws {
        let sockets = InternetSocket.parse(InternetSocketTests.tcp, transport: .tcp)
        try #require(sockets.count == 3)
        #expect(sockets[0].local.description == "127.0.0.1:8080")
        #expect(!sockets[0].isEstablished)
        #expect(sockets[1].local.description == "127.0.0.1:40000")
        #expect(sockets[1].peer.description == "127.0.0.2:5432")
        #expect(sockets[1].isEstablished)
        #expect(sockets[1].inode == 22222)
        #expect(!sockets[2].isEstablished)
        #expect(sockets.allSatisfy { $0.transport == .tcp })
    }

    @Test("lines of /proc/net/tcp6 are taken apart")
    func lines6() throws {
        let socket = try #require(InternetSocket.parse(InternetSocketTests.tcp6, transport: .tcp6).first)
        #expect(socket.local.description == "[::1]:22")
        #expect(socket.peer.description == "[2001:db8::35]:50000")
        #expect(socket.isEstablished)
        #expect(socket.inode == 333)
    }

    @Test(
        "rubbish is passed over",
        arguments: [
            "", "\n\n\n", "sl local rem", "head\nrubbish", "head\n0: 0100007F:1F90 00000000:0000 0A",
            "head\n" + String(repeating: "x ", count: 20),
        ])
    func rubbish(text: String) {
        #expect(InternetSocket.parse(text, transport: .udp).isEmpty)
    }

    @Test("a socket of our own is found by its descriptor, with its peer")
    func own() throws {
        // UDP: connecting it sends nothing.
        let descriptor = OwnedDescriptor(adopting: socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0))
        try #require(descriptor.rawValue >= 0)
        #expect(ProcessID.own.socketInode(of: descriptor.rawValue) != nil)
        #expect(ProcessID.own.peer(of: descriptor.rawValue) == nil)

        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(5300).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0009).bigEndian
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor.rawValue, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(connected == 0)
        let peer = try #require(ProcessID.own.peer(of: descriptor.rawValue))
        #expect(peer.endpoint.description == "127.0.0.9:5300")
        #expect(peer.transport == .udp)
        let inode = ProcessID.own.socketInode(of: descriptor.rawValue)
        #expect(try ProcessID.own.socketInodes()[descriptor.rawValue] == inode)
    }

    @Test("what is closed or no socket has no inode and no peer")
    func noSocket() throws {
        let file = try OwnedDescriptor(opening: "/proc/self/stat")
        #expect(ProcessID.own.socketInode(of: file.rawValue) == nil)
        #expect(ProcessID.own.peer(of: file.rawValue) == nil)
        #expect(ProcessID.own.socketInode(of: -1) == nil)
        #expect(ProcessID.own.socketInode(of: 1_000_000) == nil)
    }

    @Test("the timeouts of a socket are read, and are apart for receiving and sending")
    func timeouts() throws {
        let descriptor = OwnedDescriptor(adopting: socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0))
        try #require(descriptor.rawValue >= 0)
        #expect(ProcessID.own.socketTimeout(of: descriptor.rawValue, sending: false) == 0)
        var timeout = timeval(tv_sec: 2, tv_usec: 500_000)
        try #require(
            setsockopt(descriptor.rawValue, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
                == 0)
        #expect(ProcessID.own.socketTimeout(of: descriptor.rawValue, sending: false) == 2_500_000)
        #expect(ProcessID.own.socketTimeout(of: descriptor.rawValue, sending: true) == 0)
    }

    @Test("a file waits for ever, and of a closed descriptor nothing is known")
    func timeoutOfFile() throws {
        let file = try OwnedDescriptor(opening: "/proc/self/stat")
        #expect(ProcessID.own.socketTimeout(of: file.rawValue, sending: false) == 0)
        #expect(ProcessID.own.socketTimeout(of: 1_000_000, sending: false) == nil)
        #expect(ProcessID(4_194_305).socketTimeout(of: 0, sending: false) == nil)
    }
}
