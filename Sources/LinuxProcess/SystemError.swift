import Glibc

/// A system call that failed: which one, on what, and the kernel's reason.
public struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    public let operation: String
    /// The errno of the failure (errno(3)).
    public let code: Int32

    public init(_ operation: String, code: Int32) {
        self.operation = operation
        self.code = code
    }

    /// The process or thread spoken to has ended.
    public var isGone: Bool { code == ESRCH || code == ENOENT || code == ECHILD }
    public var isDenied: Bool { code == EPERM || code == EACCES }

    public var description: String { "\(operation): \(SystemError.text(of: code))" }

    public static func text(of code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Runs a shim that returns a negative errno on failure.
    @discardableResult
    @inline(__always)
    public static func check(_ operation: @autoclosure () -> String, _ result: Int32) throws(SystemError) -> Int32 {
        guard result >= 0 else { throw SystemError(operation(), code: -result) }
        return result
    }
}
