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

/// A resolver of the program's own, which still asks the old server, is named with what would help, and the command was not done.
func expectRefusal(
    by program: String, in run: RepointRun, asking server: String? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let resolvers = try #require(run.report, sourceLocation: sourceLocation).processes.flatMap(\.resolvers)
    let own = try #require(resolvers.first { $0.library == program }, sourceLocation: sourceLocation)
    #expect(own.state == (server == nil ? "opaque" : "pinned"), sourceLocation: sourceLocation)
    #expect(own.nameservers == server.map { ["\($0):53"] }, sourceLocation: sourceLocation)
    #expect(own.repair?.action == "refused", sourceLocation: sourceLocation)
    #expect(own.repair?.reason?.contains(program) == true, sourceLocation: sourceLocation)
    #expect(run.status == 1, sourceLocation: sourceLocation)
}
