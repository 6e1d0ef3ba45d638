import Glibc
import LinuxProcess
import Testing

/// Services that resolve names for others, unpacked by TestTargets/services/fetch and run in containers.
public enum ServiceFiles {
    private static let unpacked = "\(Stage.targets)/build/services"
    private static let privateLibraries = "/usr/lib/x86_64-linux-gnu/systemd"

    /// A program and the libraries it is linked with, to be copied to where its package has them, as `FROM=TO`.
    ///
    /// - Parameter program: its path as its package has it, or one of this machine.
    public static func files(of program: String) throws -> [String] {
        let fetched = unpacked + program
        let source = access(fetched, X_OK) == 0 ? fetched : program
        try require(source, because: program)
        let path = "LD_LIBRARY_PATH=\(unpacked)\(privateLibraries)"
        let said = try ProgramRun(["env", path, "ldd", source]).standardOutput
        let libraries = said.split(separator: "\n").compactMap { line -> String? in
            line.split(separator: " ").first { $0.hasPrefix("/") }.map(String.init)
        }
        return ["\(source)=\(program)"]
            + libraries.map { library in
                let isPrivate = library.hasPrefix(unpacked)
                return "\(library)=\(isPrivate ? String(library.dropFirst(unpacked.count)) : library)"
            }
    }

    /// Starts a program in a container that is there.
    public static func start(_ command: [String], in container: ResolverVictim, _ isolation: Set<Isolation>) throws
        -> ContainedService
    {
        let spaces = isolation.subtracting([.chroot]).map { "--\($0)" }.sorted() + ["--mount", "--root"]
        return try withoutBlockedSignals {
            ContainedService(
                try ChildProcess("/usr/bin/nsenter", ["--target", "\(container.id)"] + spaces + ["--"] + command))
        }
    }
}

/// A program in a container, for as long as this value lives.
public final class ContainedService {
    private let runner: ChildProcess

    init(_ runner: consuming ChildProcess) {
        self.runner = runner
    }

    public var id: ProcessID { runner.id }

    /// What was forked into the PID namespace ends before its parent, which sees to what is left of it: else nobody would, and the
    /// namespace could not end.
    deinit {
        for id in (try? ProcessID.all()) ?? [] where (try? ProcessStat(of: id).parent) == runner.id {
            kill(id.rawValue, SIGKILL)
            _ = eventually(within: 5) { (try? ProcessStat(of: id)) == nil }
        }
    }
}
