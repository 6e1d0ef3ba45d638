import LinuxProcess
import ResolvConf

/// A resolver in a program's own code, known by the program's name. Nothing can be called in it: it is named when it has, or may
/// have, other servers than the file, with what makes the program look again.
public struct OwnResolver: Sendable {
    /// The program's name.
    public let name: String
    public let path: String
    /// The servers it is seen to ask: its UDP sockets are connected to their port 53. Empty where it does not connect any.
    public let nameservers: [SocketEndpoint]
    public let diagnosis: Diagnosis
    /// What makes it read its configuration again.
    public let remedy: String

    /// What is known of a program.
    private struct Program {
        /// Where it takes its servers from, and when.
        let habit: String
        let remedy: String
        /// It keeps a connected UDP socket for each server, and has none where its resolver is not used.
        let isConnected: Bool
    }

    private static let programs = [
        "haproxy": Program(
            habit:
                "the servers of its `resolvers` sections, and the file's for `parse-resolv-conf`, are read at its start",
            remedy: "reload haproxy", isConnected: true),
        "nginx": Program(
            habit: "the servers of its directive `resolver` stand in its configuration",
            remedy: "change `resolver` in its configuration and run nginx -s reload", isConnected: true),
        "squid": Program(
            habit: "squid reads the file at its start and when it is reconfigured, and its servers cannot be read",
            remedy: "squid -k reconfigure", isConnected: false),
    ]

    /// Nothing where the program has no such resolver, does not use it, or asks only servers that the file names.
    init?(in target: TargetProcess) {
        guard let name = target.executable.split(separator: "/").last.map(String.init),
            let program = OwnResolver.programs[name]
        else { return nil }
        self.name = name
        path = target.executable
        remedy = program.remedy
        guard program.isConnected else {
            nameservers = []
            diagnosis = Diagnosis(.opaque, "it resolves names itself: \(program.habit)")
            return
        }
        nameservers = OwnResolver.servers(askedBy: target.id)
        let expected = target.expected.nameservers
        guard nameservers.contains(where: { !expected.contains($0.address) }) else { return nil }
        diagnosis = Diagnosis(pinned: .ownResolver, "it resolves names itself as well: \(program.habit)")
    }

    private static func servers(askedBy process: ProcessID) -> [SocketEndpoint] {
        guard let inodes = try? Set(process.socketInodes().values), !inodes.isEmpty else { return [] }
        var servers: [SocketEndpoint] = []
        for transport in [InternetSocket.Transport.udp, .udp6] {
            for socket in (try? InternetSocket.all(transport, seenBy: process)) ?? []
            where socket.peer.port == 53 && inodes.contains(socket.inode) && !servers.contains(socket.peer) {
                servers.append(socket.peer)
            }
        }
        return servers
    }
}
