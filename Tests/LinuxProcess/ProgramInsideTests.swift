import Glibc
import LinuxProcess
import TestSupport
import Testing

@Suite("ProgramInside", .staged)
struct ProgramInsideTests {
    private func container() throws -> ResolverVictim {
        let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
        return try .inContainer(.host, etc: etc, files: ["/bin/dash=/bin/sh"])
    }

    @Test("a program runs in the namespaces and the root directory of another process, as root there")
    func inside() throws {
        let victim = try container()
        let script = "read line < /etc/resolv.conf; echo $line $$; exit 3"
        let run = try ProgramInside("/bin/sh", ["-c", script], joining: victim.id, limit: 20)
        #expect(run.status == 3)
        let words = run.output.split(separator: " ")
        #expect(words.prefix(2) == ["nameserver", "127.0.0.2"])
        // The container's first process is the victim.
        let number = try #require(words.last.flatMap { Int($0) })
        #expect((2..<100).contains(number))
        for kind in NamespaceKind.allCases where kind != .hostName {
            #expect(try victim.id.namespace(kind) != ProcessID.own.namespace(kind))
        }
    }

    @Test("a program that is not there ends with status 127")
    func notThere() throws {
        let victim = try container()
        #expect(try ProgramInside("/bin/nonesuch", [], joining: victim.id, limit: 20).status == 127)
    }

    @Test("a program that takes too long is ended, and what it was started by with it")
    func tooLong() throws {
        let victim = try container()
        let error = #expect(throws: SystemError.self) {
            try ProgramInside("/bin/sh", ["-c", "while :; do :; done"], joining: victim.id, limit: 0.3)
        }
        #expect(error?.code == ETIMEDOUT)
        let isGone = eventually(within: 5) {
            (try? ProcessID.all())?.allSatisfy {
                (try? $0.executable()) != "/bin/sh" || (try? $0.name()) != "sh" || isOurs($0)
            }
                ?? false
        }
        #expect(isGone)
    }

    /// Not in the container.
    private func isOurs(_ id: ProcessID) -> Bool {
        (try? id.namespace(.process)) == (try? ProcessID.own.namespace(.process))
    }

    @Test("a process that is gone cannot be joined")
    func gone() throws {
        let error = #expect(throws: SystemError.self) {
            try ProgramInside("/bin/true", [], joining: ProcessID(4_194_303), limit: 1)
        }
        #expect(error?.isGone == true)
    }
}
