import Testing

@testable import LinuxProcess
@testable import ResolvConf
@testable import Resolvers

/// A base of evdns (`struct evdns_base` of libevent 2.1) laid out in our own memory.
private final class BaseLayout {
    private var pieces: [Heap] = []
    let base: Heap

    init(
        servers: [String] = ["127.0.0.2"], domains: [String]? = [], inFlight: Int32 = 0, waiting: Int32 = 0,
        limit: Int32 = 64, heads: Int32 = 16, timeout: Int64 = 5, retransmits: Int32 = 3, owner: UInt64? = nil,
        isRing: Bool = true
    ) {
        let memory = Heap([UInt8](repeating: 0, count: 320))
        var bytes = memory.bytes
        let table = Heap([UInt8](repeating: 0, count: 64))
        pieces.append(table)
        bytes.set(table.address, at: 0)
        bytes.set(table.address, at: 32)
        bytes.set(heads, at: 24)
        bytes.set(inFlight, at: 44)
        bytes.set(waiting, at: 48)
        bytes.set(limit, at: 52)
        bytes.set(timeout, at: 56)
        bytes.set(retransmits, at: 76)
        let nodes = servers.map { _ in Heap([UInt8](repeating: 0, count: 456)) }
        for (index, node) in nodes.enumerated() {
            var fields = node.bytes
            let address = socketAddress(servers[index])
            fields.replaceSubrange(8..<8 + address.count, with: address)
            let next = isRing || index + 1 < nodes.count ? nodes[(index + 1) % nodes.count].address : node.address
            fields.set(index + 1 == nodes.count && !isRing ? nodes[index].address : next, at: 280)
            fields.set(owner ?? memory.address, at: 440)
            node.fill(fields)
        }
        pieces += nodes
        bytes.set(nodes.first?.address ?? 0, at: 16)
        if let domains {
            // The last one that is put in comes first, each with its text behind it.
            var next: UInt64 = 0
            for domain in domains.reversed() {
                var entry = [UInt8](repeating: 0, count: 16)
                entry.set(Int32(domain.utf8.count), at: 0)
                entry.set(next, at: 8)
                let piece = Heap(entry + Array(domain.utf8))
                pieces.append(piece)
                next = piece.address
            }
            var state = [UInt8](repeating: 0, count: 24)
            state.set(Int32(1), at: 0)
            state.set(Int32(2), at: 4)
            state.set(Int32(domains.count), at: 8)
            state.set(next, at: 16)
            let piece = Heap(state)
            pieces.append(piece)
            bytes.set(piece.address, at: 280)
        }
        memory.fill(bytes)
        base = memory
    }

    func read() throws -> ChannelReading { try EvdnsLayout.read(base.address, memory: ProcessMemory(of: .own)) }
}

@Suite("EvdnsLayout")
struct EvdnsLayoutTests {
    @Test("a base is read from its places")
    func fields() throws {
        let layout = BaseLayout(
            servers: ["127.0.0.2", "2001:db8::53", "127.0.0.3"], domains: ["one.example", "two.example"], inFlight: 3,
            waiting: 4, timeout: 7, retransmits: 5)
        let reading = try layout.read()
        #expect(
            reading.configuration.nameservers.map(\.description) == [
                "127.0.0.2:53", "[2001:db8::53]:53", "127.0.0.3:53",
            ])
        #expect(reading.configuration.search == ["one.example", "two.example"])
        let options = reading.configuration.options
        #expect((options.timeout, options.attempts, options.ndots) == (7, 5, 2))
        #expect(reading.pendingQueries == 7)
        #expect(!reading.hasOwnServers)
    }

    @Test("a base that never read a file has servers of its own")
    func ownServers() throws {
        #expect(try BaseLayout(domains: nil).read().hasOwnServers)
        #expect(try !BaseLayout(domains: []).read().hasOwnServers)
    }

    @Test("what makes no sense is no base")
    func nonsense() {
        let wrong: [(String, BaseLayout)] = [
            ("a server of another", BaseLayout(owner: 0x5555_5550)), ("no servers", BaseLayout(servers: [])),
            ("no limit", BaseLayout(limit: 0)), ("more in flight than may be", BaseLayout(inFlight: 65)),
            ("a negative number that waits", BaseLayout(waiting: -1)), ("no heads", BaseLayout(heads: 0)),
            ("a timeout of hours", BaseLayout(timeout: 7200)), ("no retransmits", BaseLayout(retransmits: 0)),
            ("a ring that never closes", BaseLayout(servers: ["127.0.0.2", "127.0.0.3"], isRing: false)),
            ("a hundred servers", BaseLayout(servers: Array(repeating: "127.0.0.2", count: 100))),
        ]
        for (what, layout) in wrong {
            #expect(throws: (any Error).self, "\(what)") { try layout.read() }
        }
    }

    @Test("every offset of memory but its own is refused")
    func elsewhere() {
        let layout = BaseLayout()
        let memory = ProcessMemory(of: .own)
        for offset in stride(from: 8, to: 320, by: 8) {
            #expect(throws: (any Error).self) {
                try EvdnsLayout.read(layout.base.address + UInt64(offset), memory: memory)
            }
        }
    }
}
