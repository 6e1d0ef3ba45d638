import LinuxProcess

/// The established TCP connections of a process, each named by its socket: a reconnect is a different one.
public struct SessionCensus: Sendable, Equatable {
    /// Inodes of the sockets.
    public let sockets: Set<UInt64>

    public init(of process: ProcessID) throws(SystemError) {
        let own = Set(try process.socketInodes().values)
        guard !own.isEmpty else {
            sockets = []
            return
        }
        var established: Set<UInt64> = []
        for transport in [InternetSocket.Transport.tcp, .tcp6] {
            // A kernel without IPv6 has no such file.
            let all = (try? InternetSocket.all(transport, seenBy: process)) ?? []
            established.formUnion(all.lazy.filter(\.isEstablished).map(\.inode))
        }
        sockets = own.intersection(established)
    }

    /// Connections of this census that a later one has no more.
    public func lost(since later: SessionCensus) -> Set<UInt64> { sockets.subtracting(later.sockets) }
}
