import Glibc
import Testing

/// The C libraries that victims run with (TestTargets/Makefile and TestTargets/libcs/fetch bring them).
public enum Libc: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case host
    case bullseye
    case bookworm
    case trixie
    case sid
    case musl
    case muslStatic = "musl-static"

    public static let glibcs: [Libc] = [.host, .bullseye, .bookworm, .trixie, .sid]
    public static let musls: [Libc] = [.musl, .muslStatic]

    /// Those that libcs/fetch brings, with a c-ares and a libevent of their own.
    public static let suites: [Libc] = [.bullseye, .bookworm, .trixie, .sid]

    public var isGlibc: Bool { Libc.glibcs.contains(self) }

    /// The release, where it is known without asking the library.
    public var version: String? {
        switch self {
        case .bullseye: "2.31"
        case .bookworm: "2.36"
        case .trixie: "2.41"
        default: nil
        }
    }

    public var testDescription: String { version.map { "\(rawValue) \($0)" } ?? rawValue }

    /// The command line that runs a victim with this library. The test is skipped by name where its files are missing.
    public func command(
        _ program: String, _ arguments: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> [String] {
        let build = "\(Stage.targets)/build"
        switch self {
        case .host, .musl, .muslStatic:
            let path = "\(build)/\(rawValue)/\(program)"
            try require(path, because: "\(program) for \(rawValue)", sourceLocation: sourceLocation)
            return [path] + arguments
        case .bullseye, .bookworm, .trixie, .sid:
            // What is linked to the oldest library runs under the newer ones too.
            let path = "\(build)/bullseye/\(program)"
            let libc = "\(Stage.targets)/libcs/cache/\(rawValue)"
            try require(path, because: "\(program) for bullseye", sourceLocation: sourceLocation)
            try require("\(libc)/loader", because: "the C library of \(rawValue)", sourceLocation: sourceLocation)
            return ["\(libc)/loader", "--library-path", "\(libc)/libs", path] + arguments
        }
    }
}
