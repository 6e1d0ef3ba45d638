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

    @Test("a program has no capability that the other process cannot have, and gets at no other")
    func capabilities() throws {
        let kept = "/usr/bin/setpriv"
        try require(kept, because: "setpriv")
        let victim = try Victim(
            [kept, "--bounding-set", "-all,+net_bind_service,+chown"]
                + (try Libc.host.command("waits", ["poll", "1000"])))
        let script =
            "while read name value; do case $name in Cap*|NoNewPrivs*) echo $name$value;; esac; done < /proc/self/status"
        let run = try ProgramInside("/bin/sh", ["-c", script], joining: victim.id, limit: 20)
        #expect(run.status == 0)
        let all = "\(String(repeating: "0", count: 13))401"
        let none = String(repeating: "0", count: 16)
        #expect(
            run.output.split(separator: "\n") == [
                "CapInh:\(none)", "CapPrm:\(all)", "CapEff:\(all)", "CapBnd:\(all)", "CapAmb:\(none)", "NoNewPrivs:1",
            ])
        try victim.end()
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
            try ProgramInside("/bin/sh", ["-c", "while :; do :; done"], joining: victim.id, limit: 1)
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
