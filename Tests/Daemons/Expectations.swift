import Refresh
import TestSupport
import Testing

/// What a refresh says of a process whose threads look names up by glibc.
func expectRepair(
    of process: ProcessReport, _ following: Following, sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let used = process.resolvers.filter { $0.was != "idle" && $0.library == "glibc" }
    try #require(!used.isEmpty, sourceLocation: sourceLocation)
    for thread in used {
        switch following {
        case .byItself:
            #expect(thread.repair?.action == "none", sourceLocation: sourceLocation)
            #expect(["following", "current"].contains(thread.state), sourceLocation: sourceLocation)
        case .afterRefresh:
            #expect(thread.was == "pinned", sourceLocation: sourceLocation)
            #expect(thread.repair?.action == "reinitialize", sourceLocation: sourceLocation)
            #expect(thread.repair?.result == "done", sourceLocation: sourceLocation)
            #expect(thread.state == "current", sourceLocation: sourceLocation)
            #expect(thread.evidence?.readBack == "matches", sourceLocation: sourceLocation)
        }
    }
}

/// A resolver that no refresh reached and that still asks the old server is named, and not called current.
func expectNamed(_ resolver: String, in run: RepointRun, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let processes = try #require(run.report, sourceLocation: sourceLocation).processes
    // Nothing but glibc's part is said to be current.
    #expect(
        processes.flatMap(\.resolvers).allSatisfy { $0.library == "glibc" || $0.state != "current" },
        sourceLocation: sourceLocation)
    withKnownIssue("\(resolver) is not in the report", isIntermittent: true) {
        #expect(
            processes.contains { $0.resolvers.contains { $0.library != "glibc" && $0.explanation != nil } },
            sourceLocation: sourceLocation)
    }
}
