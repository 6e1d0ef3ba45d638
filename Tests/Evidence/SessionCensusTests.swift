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
        let serverSide = try SessionCensus(of: server)
        #expect(serverSide.sockets.count == number)
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
}
