import CLinux
import Glibc

/// An open file that is closed when its owner lets go of it.
public struct OwnedDescriptor: ~Copyable {
    public let rawValue: Int32

    public init(adopting rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// Opens a path (open(2)), close-on-exec.
    public init(opening path: String, flags: Int32 = O_RDONLY) throws(SystemError) {
        let descriptor = open(path, flags | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("open \(path)", code: errno) }
        rawValue = descriptor
    }

    deinit {
        close(rawValue)
    }

    /// Everything from the current position to the end. Files of /proc say nothing of their size, so it is read in pieces.
    public func readToEnd(limit: Int = 64 << 20) throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        var failure: Int32 = 0
        var last = 0
        repeat {
            let piece = [UInt8](unsafeUninitializedCapacity: OwnedDescriptor.piece) { room, count in
                count = fill(room, &failure)
            }
            last = piece.count
            if bytes.isEmpty { bytes = piece } else { bytes.append(contentsOf: piece) }
        } while last > 0 && bytes.count < limit
        guard failure == 0 else { throw SystemError("read", code: failure) }
        return bytes
    }

    private static let piece = 16 << 10

    /// Reads once, and returns how much came.
    private func fill(_ room: UnsafeMutableBufferPointer<UInt8>, _ failure: inout Int32) -> Int {
        while true {
            let count = read(rawValue, room.baseAddress, room.count)
            if count >= 0 { return count }
            guard errno == EINTR else {
                failure = errno
                return 0
            }
        }
    }
}

/// The whole of a small file.
public func readFile(_ path: String) throws(SystemError) -> [UInt8] {
    do {
        return try OwnedDescriptor(opening: path).readToEnd()
    } catch {
        throw SystemError("read \(path)", code: error.code)
    }
}

/// The whole of a small text file; bytes that are not UTF-8 are replaced.
public func readText(_ path: String) throws(SystemError) -> String {
    String(decoding: try readFile(path), as: UTF8.self)
}

/// What a symbolic link says (readlink(2)).
public func readLink(_ path: String) throws(SystemError) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink(path, &buffer, buffer.count)
    guard count >= 0 else { throw SystemError("readlink \(path)", code: errno) }
    return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// The names in a directory, without `.` and `..`, in no order.
public func directoryEntries(_ path: String) throws(SystemError) -> [String] {
    guard let directory = opendir(path) else { throw SystemError("opendir \(path)", code: errno) }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
            field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names
}
