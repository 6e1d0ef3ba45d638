import Evidence
import Glibc
import LinuxProcess
import TestSupport
import Testing

/// The established TCP connections of real processes.
@Suite("Session census", .serialized, .staged)
struct SessionCensusTests {
    @Test("counts the connections of a process, and knows each again", arguments: [1, 40])
    func counts(_ number: Int) throws {
        let victim = try Victim(.host, "sessions", ["\(number)"])
        let before = try SessionCensus(of: victim.id)
        #expect(before.sockets.count == number)
        let after = try SessionCensus(of: victim.id)
        #expect(after == before)
        #expect(before.lost(since: after) == [])
        // The other ends are other sockets.
        let server = ProcessID(try #require(Int32(victim.ready[1])))
        // It may not have accepted all of them yet.
        #expect(try eventually(within: 10) { try SessionCensus(of: server).sockets.count == number })
        let serverSide = try SessionCensus(of: server)
        #expect(serverSide.sockets.isDisjoint(with: before.sockets))
        try victim.end()
    }

    @Test("finds the connections of a process in another network namespace")
    func foreignNamespace() throws {
        let victim = try Victim(.host, "sessions", ["10"], ownNetwork: true)
        #expect(try SessionCensus(of: victim.id).sockets.count == 10)
        try victim.end()
    }

    @Test("is empty for a process without connections")
    func empty() throws {
        let resolver = try ResolverVictim(.host)
        #expect(try SessionCensus(of: resolver.id).sockets.isEmpty)
    }

    @Test("misses a connection that was closed, and takes a new one for another")
    func lost() throws {
        let victim = try Victim(.host, "sessions", ["5"])
        let before = try SessionCensus(of: victim.id)
        try victim.end()
        // Another process, whose connections look the same but for their sockets.
        let successor = try Victim(.host, "sessions", ["5"])
        let after = try SessionCensus(of: successor.id)
        #expect(after.sockets.count == 5)
        #expect(before.lost(since: after) == before.sockets)
        try successor.end()
    }

    /// A TCP connection of ours to ourselves.
    private final class Connection {
        let client: OwnedDescriptor
        let server: OwnedDescriptor
        let listener: OwnedDescriptor

        init() throws {
            listener = OwnedDescriptor(adopting: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
            client = OwnedDescriptor(adopting: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let (listening, connecting) = (listener.rawValue, client.rawValue)
            let isUp = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    bind(listening, address, size) == 0 && listen(listening, 1) == 0
                        && getsockname(listening, address, &size) == 0 && connect(connecting, address, size) == 0
                }
            }
            server = OwnedDescriptor(adopting: accept(listener.rawValue, nil, nil))
            try #require(isUp && server.rawValue >= 0)
        }
    }

    @Test("one directory serves count after count: what was opened and closed in between is seen")
    func sharedDirectory() throws {
        let directory = SocketDirectory()
        let nothing = try SessionCensus(of: .own, directory: directory)
        var connections = try (0..<3).map { _ in try Connection() }
        let before = try SessionCensus(of: .own, directory: directory)
        // Both ends are ours; the listeners are no sessions.
        #expect(before.sockets.count == nothing.sockets.count + 6)
        // One end is shut down by the other: still a socket, and no session.
        shutdown(connections[0].client.rawValue, Int32(SHUT_RDWR))
        let closed = try #require(ProcessID.own.socketInode(of: connections[1].client.rawValue))
        connections.remove(at: 1)
        connections.append(try Connection())
        let after = try SessionCensus(of: .own, directory: directory)
        #expect(before.lost(since: after).count == 4)
        #expect(before.lost(since: after).contains(closed))
        #expect(after.sockets.count == nothing.sockets.count + 4)
        #expect(after == (try SessionCensus(of: .own)))
    }
}
