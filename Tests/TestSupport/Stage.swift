import Glibc
import Testing

/// Where the tests run, and what they are told from outside.
public enum Stage {
    /// The suite has PID, mount and network namespaces of its own, so that nothing it starts outlives it or is seen on the host.
    public static let isSet = variable("REPOINT_TEST_STAGE") == "1"

    /// The checkout.
    public static let project: String = {
        // Tests/TestSupport/Stage.swift
        var parts = #filePath.split(separator: "/")
        parts.removeLast(3)
        return "/" + parts.joined(separator: "/")
    }()

    /// The programs to work on (TestTargets/Makefile builds them).
    public static let targets = project + "/TestTargets"

    /// An environment variable of the test run; nil when it is unset or empty.
    public static func variable(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }
}

extension Trait where Self == ConditionTrait {
    /// Only where `make test` runs the suite in namespaces of its own.
    public static var staged: ConditionTrait {
        .enabled(if: Stage.isSet, "runs only in namespaces of its own (REPOINT_TEST_STAGE=1): use `make test`")
    }
}

/// Skips the rest of a test by name where a file it needs is missing.
public func require(_ path: String, because what: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    guard access(path, R_OK) != 0 else { return }
    try Test.cancel("skipped: \(what): \(path) is missing", sourceLocation: sourceLocation)
}

/// How often the tests that look for rare accidents try: REPOINT_STRESS in all, 300 unless it is said.
public enum Stress {
    public static let total = Stage.variable("REPOINT_STRESS").flatMap { Int($0) } ?? 300

    /// The share of one of several cases, at least `least`.
    public static func share(of cases: Int, least: Int = 1) -> Int { max(least, (total + cases - 1) / cases) }
}
