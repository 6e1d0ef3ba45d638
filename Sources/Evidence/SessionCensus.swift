import LinuxProcess

/// The established TCP connections of a process, each named by its socket: a reconnect is a different one.
public struct SessionCensus: Sendable, Equatable {
    /// Inodes of the sockets.
    public let sockets: Set<UInt64>

    /// - Parameter directory: what is known of the sockets of network namespaces from earlier counts.
    public init(of process: ProcessID, directory: SocketDirectory = SocketDirectory()) throws(SystemError) {
        let own = try process.tcpSocketInodes()
        sockets = own.isEmpty ? [] : try directory.established(among: own, of: process)
    }

    /// Connections of this census that a later one has no more.
    public func lost(since later: SessionCensus) -> Set<UInt64> { sockets.subtracting(later.sockets) }
}

/// Where to ask about the sockets of a process: a place for each network namespace. For one thread's use.
public final class SocketDirectory {
    private var places: [String: TCPSockets] = [:]

    /// An open place keeps its namespace alive, and each is a descriptor of ours.
    private static let limit = 64

    public init() {}

    /// Those of a process's sockets, by inode, that are established TCP connections at this moment.
    func established(among inodes: Set<UInt64>, of process: ProcessID) throws(SystemError) -> Set<UInt64> {
        if let place = try? place(of: process), let found = try? place.established(among: inodes) { return found }
        return try listed(process).intersection(inodes)
    }

    private func place(of process: ProcessID) throws(SystemError) -> TCPSockets {
        // Its number belongs to no other namespace as long as the place is open.
        let space = try process.namespace(.network)
        if let known = places[space] { return known }
        if places.count >= SocketDirectory.limit { places.removeAll() }
        let place = try TCPSockets(around: process)
        places[space] = place
        return place
    }

    /// What /proc says, where the kernel cannot be asked: without CAP_SYS_ADMIN in another namespace, or without its module.
    private func listed(_ process: ProcessID) throws(SystemError) -> Set<UInt64> {
        var established: Set<UInt64> = []
        for transport in [InternetSocket.Transport.tcp, .tcp6] {
            // A kernel without IPv6 has no such file.
            let all = (try? InternetSocket.all(transport, seenBy: process)) ?? []
            established.formUnion(all.lazy.filter(\.isEstablished).map(\.inode))
        }
        return established
    }
}
