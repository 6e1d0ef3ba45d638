import Glibc

@testable import LinuxProcess
@testable import Resolvers

/// Bytes at an address that stays, in our own process.
final class Heap {
    private let buffer: UnsafeMutableRawBufferPointer

    init(_ bytes: [UInt8]) {
        buffer = .allocate(byteCount: max(1, bytes.count), alignment: 16)
        buffer.copyBytes(from: bytes)
    }

    deinit { buffer.deallocate() }

    var address: UInt64 { UInt64(UInt(bitPattern: buffer.baseAddress)) }
    var bytes: [UInt8] { Array(buffer) }

    /// Other bytes in the same place, for what points to itself.
    func fill(_ bytes: [UInt8]) { buffer.copyBytes(from: bytes.prefix(buffer.count)) }
}

/// A `struct sockaddr_in` or `sockaddr_in6`.
func socketAddress(_ text: String, port: UInt16 = 53) -> [UInt8] {
    guard let address = IPAddress(text) else { return [] }
    let head = [UInt8(port >> 8), UInt8(port & 0xff)]
    switch address.family {
    case .ipv4:
        return [2, 0] + head + address.bytes + [UInt8](repeating: 0, count: 8)
    case .ipv6:
        return [10, 0] + head + [0, 0, 0, 0] + address.bytes + withUnsafeBytes(of: address.scope) { Array($0) }
    }
}

/// A `struct __res_state` laid out in our own memory, as glibc would have it.
struct StateLayout {
    var options: UInt64 = 0x2c1
    var privateFlags: UInt32 = 0
    var timeout: Int32 = 5
    var attempts: Int32 = 2
    var ndots: UInt8 = 1
    /// Of `sort_list`, in the same byte as `ndots`.
    var sortCount: UInt8 = 0
    var serverCount: Int32?
    var servers: [String] = ["10.0.0.1"]
    var port: UInt16 = 53
    var search: [String] = []
    var sockets: [Int32] = [-1, -1, -1]
    var extensionIndex: UInt64 = 0
    /// Where an IPv6 server's address would lead, in place of the address.
    var badPointer: UInt64?

    /// The state as Repoint reads it from our own memory.
    func read() throws -> GlibcThreadState {
        var bytes = [UInt8](repeating: 0, count: 568)
        bytes.set(timeout, at: 0)
        bytes.set(attempts, at: 4)
        bytes.set(options, at: 8)
        bytes.set(serverCount ?? Int32(servers.count), at: 16)
        bytes[392] = ndots | sortCount << 4
        bytes.set(privateFlags, at: 504)
        for (index, socket) in sockets.enumerated() { bytes.set(socket, at: 520 + index * 4) }
        bytes.set(extensionIndex, at: 560)
        var pieces: [Heap] = []
        for (index, server) in servers.prefix(3).enumerated() {
            let address = socketAddress(server, port: port)
            if address.count == 16 {
                bytes.replaceSubrange(20 + index * 16..<36 + index * 16, with: address)
            } else {
                let piece = Heap(address)
                pieces.append(piece)
                bytes.set(badPointer ?? piece.address, at: 536 + index * 8)
            }
        }
        for (index, name) in search.prefix(7).enumerated() {
            let piece = Heap(Array(name.utf8) + [0])
            pieces.append(piece)
            bytes.set(piece.address, at: 72 + index * 8)
        }
        let state = Heap(bytes)
        return try withExtendedLifetime((pieces, state)) {
            try GlibcThreadState(at: state.address, memory: ProcessMemory(of: .own))
        }
    }
}

/// A `struct resolv_conf` of glibc's, laid out in our own memory.
struct ConfigurationLayout {
    var references: UInt64 = 1
    var servers: [String] = ["10.0.0.1"]
    var search: [String] = []
    var options: UInt32 = 0x2c1
    var timeout: UInt32 = 5
    var attempts: UInt32 = 2
    var ndots: UInt32 = 1
    var serverCount: UInt64?
    var searchCount: UInt64?
    var serverList: UInt64?

    func read() -> GlibcLoadedConfiguration? {
        var pieces: [Heap] = []
        func list(_ entries: [[UInt8]]) -> UInt64 {
            var pointers: [UInt8] = []
            for entry in entries {
                let piece = Heap(entry)
                pieces.append(piece)
                withUnsafeBytes(of: piece.address) { pointers.append(contentsOf: $0) }
            }
            let piece = Heap(pointers)
            pieces.append(piece)
            return piece.address
        }
        var bytes = [UInt8](repeating: 0, count: 72)
        bytes.set(references, at: 0)
        // The room that a sockaddr_in6 takes is read of every server.
        let addresses = servers.map { socketAddress($0) + [UInt8](repeating: 0, count: 16) }
        bytes.set(serverList ?? list(addresses), at: 8)
        bytes.set(serverCount ?? UInt64(servers.count), at: 16)
        bytes.set(list(search.map { Array($0.utf8) + [0] }), at: 24)
        bytes.set(searchCount ?? UInt64(search.count), at: 32)
        bytes.set(options, at: 56)
        bytes.set(timeout, at: 60)
        bytes.set(attempts, at: 64)
        bytes.set(ndots, at: 68)
        let whole = Heap(bytes)
        return withExtendedLifetime((pieces, whole)) {
            GlibcLoadedConfiguration(at: whole.address, memory: ProcessMemory(of: .own))
        }
    }
}
