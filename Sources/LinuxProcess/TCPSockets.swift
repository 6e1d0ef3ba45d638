import CLinux
import Glibc

/// The TCP sockets of one network namespace, by sock_diag(7).
///
/// To list them takes the kernel milliseconds, as it walks through its whole table; to ask about one it knows by name takes it
/// microseconds. So a list is kept, but only as a directory of names: whether a socket is established is asked anew each time.
/// For one thread's use.
public final class TCPSockets {
    private let descriptor: OwnedDescriptor
    /// By inode. What became of a socket since is not to be seen here.
    private var names: [UInt64: clinux_diag_socket] = [:]

    /// - Parameter process: one that lives in the network namespace.
    /// - Throws: `SystemError` where the kernel does not let us ask there.
    public init(around process: ProcessID) throws(SystemError) {
        let isOwn = try process.namespace(.network) == ProcessID.own.namespace(.network)
        let opened: Int32
        if isOwn {
            opened = clinux_diag_open(-1)
        } else {
            let space = try OwnedDescriptor(opening: "\(process.procPath)/ns/net")
            opened = clinux_diag_open(space.rawValue)
        }
        try SystemError.check("ask about sockets in the network namespace of process \(process)", opened)
        descriptor = OwnedDescriptor(adopting: opened)
    }

    /// Those of some sockets, by inode, that are established at this moment.
    public func established(among inodes: Set<UInt64>) throws(SystemError) -> Set<UInt64> {
        var found: Set<UInt64> = []
        var unknown: Set<UInt64> = []
        for inode in inodes {
            guard let name = names[inode], let state = state(of: name) else {
                unknown.insert(inode)
                continue
            }
            if state == CLINUX_TCP_ESTABLISHED { found.insert(inode) }
        }
        guard !unknown.isEmpty else { return found }
        // Younger than the list, or ended: a new list tells, and tells their states as well.
        try list()
        found.formUnion(unknown.filter { names[$0].map { Int($0.state) == CLINUX_TCP_ESTABLISHED } ?? false })
        return found
    }

    private func state(of socket: clinux_diag_socket) -> Int? {
        var name = socket
        var state: UInt8 = 0
        return clinux_diag_state(descriptor.rawValue, &name, &state) == 0 ? Int(state) : nil
    }

    private func list() throws(SystemError) {
        names.removeAll(keepingCapacity: true)
        for family in [AF_INET, AF_INET6] {
            var found: UnsafeMutablePointer<clinux_diag_socket>?
            let count = clinux_diag_list(descriptor.rawValue, family, &found)
            defer { free(found) }
            guard count >= 0 else {
                throw SystemError("list the TCP sockets of a network namespace", code: Int32(-count))
            }
            for socket in UnsafeBufferPointer(start: found, count: count) { names[UInt64(socket.inode)] = socket }
        }
    }
}

extension ProcessID {
    /// The inodes of the sockets a process has open that are TCP, or may be.
    public func tcpSocketInodes() throws(SystemError) -> Set<UInt64> {
        var inodes: Set<UInt64> = []
        for name in try directoryEntries("\(procPath)/fd") {
            guard let descriptor = Int32(name), let inode = socketInode(of: descriptor) else { continue }
            if clinux_diag_may_be_tcp("\(procPath)/fd/\(descriptor)") { inodes.insert(inode) }
        }
        return inodes
    }
}
