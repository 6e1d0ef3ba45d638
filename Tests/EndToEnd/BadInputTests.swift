import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// What cannot be worked on: one clear line, the right exit code, and valid JSON all the same.
    @Suite("Bad input")
    struct BadInputTests {
        static let commands = ["inspect", "refresh"]

        /// Runs a command in both forms, and expects one line on standard error that says all of `words`.
        private func expectRefusal(
            _ arguments: [String], status: Int32, saying words: [String], under prefix: [String] = [],
            program: String = RepointRun.program, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            for form in [[], ["--json"]] {
                let run = try runRepoint(arguments + form, under: prefix, program: program)
                #expect(run.status == status, "\(run.standardError)", sourceLocation: sourceLocation)
                #expect(run.errorLines.count == 1, "\(run.standardError)", sourceLocation: sourceLocation)
                for word in words {
                    #expect(run.standardError.contains(word), "\(run.standardError)", sourceLocation: sourceLocation)
                }
                if form.isEmpty {
                    #expect(run.standardOutput == "", sourceLocation: sourceLocation)
                } else {
                    #expect(run.report?.command == arguments[0], sourceLocation: sourceLocation)
                }
            }
        }

        @Test("a PID that nobody has", arguments: commands)
        func nobody(_ command: String) throws {
            try expectRefusal([command, "4194303"], status: 4, saying: ["4194303", "does not exist"])
        }

        @Test("a name that nobody has", arguments: commands)
        func noName(_ command: String) throws {
            try expectRefusal([command, "no-such-name"], status: 2, saying: ["no-such-name"])
        }

        @Test("a zombie", arguments: commands)
        func zombie(_ command: String) throws {
            let parent = try Victim(.host, "zombie")
            try expectRefusal([command, parent.ready[1]], status: 4, saying: [parent.ready[1], "zombie"])
            try parent.end()
        }

        @Test("a kernel thread", arguments: commands)
        func kernelThread(_ command: String) throws {
            guard let thread = try ProcessID.all().first(where: { (try? ProcessStat(of: $0).isKernelThread) == true })
            else { try Test.cancel("skipped: no kernel thread is visible in this PID namespace") }
            try expectRefusal([command, "\(thread)"], status: 2, saying: ["kernel thread"])
        }

        @Test("the first process", arguments: commands)
        func firstProcess(_ command: String) throws {
            try expectRefusal([command, "1"], status: 2, saying: ["process 1", "init"])
        }

        @Test("a process that belongs to root, without the capability", arguments: commands)
        func unprivileged(_ command: String) throws {
            // Where everybody may run it.
            let directory = try TemporaryDirectory()
            let program = try directory.copy(RepointRun.program, as: "repoint")
            let resolver = try ResolverVictim(.host)
            let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            try expectRefusal(
                [command, resolver.word], status: 3, saying: [resolver.word, "CAP_SYS_PTRACE"], under: nobody,
                program: program)
            try resolver.victim.end()
        }

        @Test("a 32-bit process", arguments: commands)
        func thirtyTwoBit(_ command: String) throws {
            let victim = try Victim(.host, "thirtytwo")
            try expectRefusal([command, "\(victim.id)"], status: 1, saying: ["32-bit"])
            let process = try runRepoint([command, "--json", "\(victim.id)"]).process()
            #expect(process.resolvers.map(\.state) == ["opaque"])
            try victim.end()
        }

        @Test(
            "usage errors",
            arguments: [
                ["inspect"], ["refresh"], ["inspect", "--nonsense", "2"], ["inspect", "-5"],
                ["inspect", "99999999999"],
                ["refresh", "--wait", "-1", "2"], ["refresh", "--wait", "soon", "2"], ["reset"], ["reset", "2"],
                ["nonsense"], ["reset", "name", "--set", "rotate"],
            ])
        func usage(_ arguments: [String]) throws {
            let run = try runRepoint(arguments)
            #expect(run.status == 2, "\(run.standardError)")
            #expect(!run.standardError.isEmpty)
            #expect(run.standardOutput == "")
        }

        @Test("a static glibc program without its symbols is opaque, and the report says why")
        func staticProgram() throws {
            let directory = try TemporaryDirectory()
            let program = "\(directory.path)/waits"
            let source = "\(Stage.targets)/waits/main.c"
            let compiler = [
                "gcc", "-static", "-s", "-std=gnu11", "-O1", "-pthread", "-D_GNU_SOURCE", "-I\(Stage.targets)/common",
                source,
                "-o", program,
            ]
            guard let made = try? ProgramRun(compiler), made.status == 0 else {
                try Test.cancel("skipped: gcc -static makes no program here")
            }
            let victim = try Victim([program, "poll", "1000"])
            let run = try inspect(victim.id)
            #expect(run.status == 0)
            let report = try #require(run.process().resolvers.first)
            #expect(report.state == "opaque")
            #expect(report.explanation?.contains("stripped") == true, "\(report.explanation ?? "")")
            #expect(run.report?.summary.opaque == 1)
            #expect(try refresh(victim.id, "--force").status == 1)
            try victim.end()
        }

        @Test("a daemon that gave up root and is not dumpable is no bad input", arguments: Libc.glibcs)
        func unprivilegedDaemon(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            let victim = try Victim(libc, "unprivileged", environment: ["VICTIM_PINNED": "1"], etc: etc)
            try etc.change(to: "nameserver 127.0.0.3\n")
            let run = try refresh(victim.id)
            #expect(run.status == 0)
            #expect(try run.process().resolvers.first?.state == "current")
            #expect(try run.process().resolvers.first?.repair?.action == "reinitialize")
            try victim.end()
        }

        @Test("a daemon that may not read resolv.conf is not moved to 127.0.0.1")
        func unreadableFile() throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            let victim = try Victim(.host, "unprivileged", environment: ["VICTIM_PINNED": "1"], etc: etc)
            try etc.change(to: "nameserver 127.0.0.3\n")
            try etc.restrictResolvConf()
            let run = try refresh(victim.id)
            #expect(run.status == 1)
            let report = try #require(run.process().resolvers.first)
            #expect(report.repair?.action == "refused")
            #expect(report.repair?.reason?.contains("may not read") == true)
            #expect(report.nameservers == ["127.0.0.2:53"])
            try victim.end()
        }
    }
}
