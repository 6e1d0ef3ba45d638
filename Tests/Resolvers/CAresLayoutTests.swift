import Testing

@testable import LinuxProcess
@testable import ResolvConf
@testable import Resolvers

/// A channel of c-ares 1.18 laid out in our own memory: `struct ares_channeldata` with an array of servers.
private final class ArrayChannel {
    struct Server {
        var address = "127.0.0.2"
        var port: UInt16 = 0
        var generation: Int32?
        /// What it points back to, in place of its channel.
        var owner: UInt64?
    }

    private var pieces: [Heap] = []
    let channel: Heap
    private static let size = 74272

    init(
        flags: UInt32 = 0, timeout: Int32 = 5000, tries: Int32 = 3, ndots: Int32 = 1, optmask: UInt32 = 0,
        servers: [Server] = [Server()], count: Int32? = nil, domains: [String] = [], path: String? = nil,
        queries: Int = 0
    ) {
        // Its own address must be known before it is filled.
        let memory = Heap([UInt8](repeating: 0, count: ArrayChannel.size))
        var bytes = memory.bytes
        bytes.set(flags, at: 0)
        bytes.set(timeout, at: 4)
        bytes.set(tries, at: 8)
        bytes.set(ndots, at: 12)
        bytes.set(optmask, at: 136)
        var list = [UInt8](repeating: 0, count: max(1, servers.count) * 128)
        for (index, server) in servers.enumerated() {
            let bytes = IPAddress(server.address)?.bytes ?? []
            list.set(Int32(bytes.count == 4 ? 2 : 10), at: index * 128)
            list.replaceSubrange(index * 128 + 4..<index * 128 + 4 + bytes.count, with: bytes)
            list.set(server.port.bigEndian, at: index * 128 + 20)
            list.set(server.generation ?? Int32(index + 1), at: index * 128 + 80)
            list.set(server.owner ?? memory.address, at: index * 128 + 112)
        }
        let array = Heap(list)
        pieces.append(array)
        bytes.set(array.address, at: 144)
        bytes.set(count ?? Int32(servers.count), at: 152)
        var pointers = [UInt8](repeating: 0, count: max(1, domains.count) * 8)
        for (index, domain) in domains.enumerated() {
            let text = Heap(Array(domain.utf8) + [0])
            pieces.append(text)
            pointers.set(text.address, at: index * 8)
        }
        let names = Heap(pointers)
        pieces.append(names)
        bytes.set(names.address, at: 40)
        bytes.set(Int32(domains.count), at: 48)
        if let path {
            let text = Heap(Array(path.utf8) + [0])
            pieces.append(text)
            bytes.set(text.address, at: 74256)
        }
        // A circle of nodes: prev, next, data.
        let nodes = (0..<queries).map { _ in Heap([UInt8](repeating: 0, count: 24)) }
        let circle = [memory.address + 440] + nodes.map(\.address)
        bytes.set(circle[1 % circle.count], at: 448)
        for (index, node) in nodes.enumerated() {
            var fields = [UInt8](repeating: 0, count: 24)
            fields.set(circle[(index + 2) % circle.count], at: 8)
            node.fill(fields)
        }
        pieces += nodes
        memory.fill(bytes)
        channel = memory
    }

    func read() throws -> ChannelReading {
        let layout = try #require(CAresLayout(of: CAresRelease(major: 1, minor: 18, patch: 1)))
        return try layout.read(channel.address, memory: ProcessMemory(of: .own))
    }
}

@Suite("CAresLayout")
struct CAresLayoutTests {
    @Test("a channel is read from its places")
    func fields() throws {
        let channel = ArrayChannel(
            timeout: 3000, tries: 4, ndots: 2, servers: [.init(), .init(address: "2001:db8::53")],
            domains: ["one.example", "two.example"], path: "/run/own.conf", queries: 3)
        let reading = try channel.read()
        #expect(reading.configuration.nameservers.map(\.description) == ["127.0.0.2:53", "[2001:db8::53]:53"])
        #expect(reading.configuration.search == ["one.example", "two.example"])
        let options = reading.configuration.options
        #expect((options.timeout, options.attempts, options.ndots) == (3, 4, 2))
        #expect(reading.resolvConfPath == "/run/own.conf")
        #expect(reading.pendingQueries == 3)
        #expect(!reading.hasOwnServers)
        #expect(!reading.mayHaveOwnServers)
        #expect(!reading.hasOwnSearch)
        #expect(!reading.watchesFile)
    }

    @Test("no file of its own and no query are told from some")
    func plain() throws {
        let reading = try ArrayChannel().read()
        #expect(reading.resolvConfPath == nil)
        #expect(reading.pendingQueries == 0)
    }

    @Test("the mask, and a port, mark servers and domains as the application's")
    func marks() throws {
        #expect(try ArrayChannel(optmask: 1 << 6).read().hasOwnServers)
        #expect(try ArrayChannel(optmask: 1 << 7).read().hasOwnSearch)
        #expect(try ArrayChannel(optmask: ~(1 << 6)).read().hasOwnServers == false)
        let ported = try ArrayChannel(servers: [.init(port: 5353)]).read()
        #expect(ported.hasOwnServers)
        #expect(ported.configuration.nameservers.map(\.port) == [5353])
    }

    @Test(
        "servers may be the application's where none has the generation that it got first",
        arguments: [([1, 2], false), ([1, 7], false), ([5, 2], false), ([3, 4], true), ([2, 1], true)]
            as [(
                [Int32], Bool
            )])
    func generations(_ generations: [Int32], _ isDoubtful: Bool) throws {
        let channel = ArrayChannel(servers: generations.map { .init(generation: $0) })
        #expect(try channel.read().mayHaveOwnServers == isDoubtful)
    }

    @Test("what makes no sense is no channel")
    func nonsense() throws {
        let wrong: [(String, ArrayChannel)] = [
            ("flags", ArrayChannel(flags: 0x800)), ("no timeout", ArrayChannel(timeout: 0)),
            ("a timeout of a day", ArrayChannel(timeout: 86_400_000)), ("no tries", ArrayChannel(tries: 0)),
            ("many tries", ArrayChannel(tries: 1001)), ("negative ndots", ArrayChannel(ndots: -1)),
            ("no servers", ArrayChannel(servers: [])), ("a negative count", ArrayChannel(count: -1)),
            ("a thousand servers", ArrayChannel(count: 1000)),
            ("a server of another", ArrayChannel(servers: [.init(), .init(owner: 0x5555)])),
            ("a path that is none", ArrayChannel(path: "resolv.conf")),
        ]
        for (what, channel) in wrong {
            #expect(throws: (any Error).self, "\(what)") { try channel.read() }
        }
    }

    @Test("every offset of memory but its own is refused")
    func elsewhere() throws {
        let channel = ArrayChannel()
        let layout = try #require(CAresLayout(of: CAresRelease(major: 1, minor: 18, patch: 1)))
        let memory = ProcessMemory(of: .own)
        for offset in stride(from: 8, to: 4096, by: 8) {
            #expect(throws: (any Error).self) {
                try layout.read(channel.channel.address + UInt64(offset), memory: memory)
            }
        }
    }

    @Test("the release is read from the code of ares_version, and nothing else is taken for it")
    func release() {
        // endbr64; test %rdi,%rdi; je; movl $0x11201,(%rdi)
        let code: [UInt8] = [0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x85, 0xff, 0x74, 0x06, 0xc7, 0x07, 0x01, 0x12, 0x01, 0x00]
        #expect(CAresRelease(versionFunction: code)?.description == "1.18.1")
        #expect(CAresRelease(versionFunction: Array(code.dropLast())) == nil)
        #expect(CAresRelease(versionFunction: [0xc7, 0x07, 0x01, 0x12, 0x02, 0x00]) == nil)
        #expect(CAresRelease(versionFunction: []) == nil)
        #expect(CAresRelease(major: 1, minor: 9, patch: 9) < CAresRelease(major: 1, minor: 18, patch: 0))
    }

    @Test("releases whose layout is not known have none", arguments: [(1, 16, 0), (1, 34, 7), (1, 35, 0), (2, 0, 0)])
    func unknown(_ major: Int, _ minor: Int, _ patch: Int) {
        #expect(CAresLayout(of: CAresRelease(major: major, minor: minor, patch: patch)) == nil)
    }
}
