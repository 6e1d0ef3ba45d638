import TestSupport
import Testing

/// The real command on real daemons, from Debian's packages. One at a time: they share two processors with what they serve.
@Suite("Real daemons", .serialized, .staged)
enum RealDaemons {}

/// The daemons that a test is about: REPOINT_DAEMONS in all, words with spaces between, or `all`.
enum DaemonChoice {
    private static let words = Set((Stage.variable("REPOINT_DAEMONS") ?? "").split(separator: " ").map(String.init))

    static func includes(_ name: String) -> Bool { words.contains("all") || words.contains(name) }
}

extension Trait where Self == ConditionTrait {
    /// Only where the daemon was asked for: `make test-daemons` asks for all, `make test` for a few.
    static func daemon(_ name: String) -> ConditionTrait {
        .enabled(if: DaemonChoice.includes(name), "\(name) is not among REPOINT_DAEMONS: use `make test-daemons`")
    }
}

/// What resolv.conf says before the switch, and so whether glibc follows by itself.
enum Following: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case byItself
    case afterRefresh

    /// Options of the old file. Debian's glibc has the remedy for lost replies: this is what pins a thread of it.
    var options: String { self == .byItself ? "" : "options no-reload\n" }
    var testDescription: String { self == .byItself ? "follows by itself" : "pinned by no-reload" }
}
