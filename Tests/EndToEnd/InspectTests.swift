import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// What `inspect` says of threads whose state is known, since they were told what to do.
    @Suite("Inspect")
    struct InspectTests {
        private static let file = """
            nameserver 127.0.0.2
            nameserver 2001:db8::53
            search one.example two.example
            options timeout:3 attempts:4 ndots:2 rotate edns0

            """

        private static let plain = "nameserver 127.0.0.2\n"
        private static let other = "nameserver 127.0.0.3\n"

        @Test("reads what is in force in every thread, as the thread itself sees it", arguments: Libc.glibcs)
        func readsTheConfiguration(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: Self.file)
            let resolver = try ResolverVictim(libc, etc: etc)
            let run = try inspect(resolver.id)
            #expect(run.status == 0)
            let process = try run.process()
            #expect(process.resolvConf?.nameservers == ["127.0.0.2", "2001:db8::53"])
            #expect(process.resolvConf?.search == ["one.example", "two.example"])
            #expect(process.resolvers.map(\.thread) == resolver.threads)
            for (number, thread) in resolver.threads.enumerated() {
                let report = try run.thread(thread)
                #expect(report.library == "glibc")
                #expect(report.state == "current")
                #expect(report.nameservers == ["127.0.0.2:53", "[2001:db8::53]:53"])
                #expect(report.search == ["one.example", "two.example"])
                let options = try #require(report.options)
                #expect(options.ndots == 2)
                #expect(options.timeout == 3)
                #expect(options.attempts == 4)
                #expect(options.flags == ["edns0", "rotate"])
                let own = try resolver.show(number)
                #expect(own.servers == ["127.0.0.2", "2001:db8::53"])
                #expect(own.options == 0x1042c1)
            }
            try resolver.victim.end()
        }

        @Test("tells the release of glibc", arguments: [Libc.bullseye, .bookworm, .trixie])
        func tellsTheRelease(_ libc: Libc) throws {
            let resolver = try ResolverVictim(libc, threads: 1)
            #expect(try inspect(resolver.id).thread(resolver.threads[0]).version == libc.version)
        }

        @Test("a thread that has what the file says is current", arguments: Libc.glibcs)
        func current(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: Self.plain)
            let resolver = try ResolverVictim(libc, etc: etc)
            let run = try inspect(resolver.id)
            #expect(try run.process().resolvers.map(\.state) == ["current", "current", "current"])
            #expect(run.report?.summary.current == 1)
            #expect(run.report?.summary.threads == 3)
        }

        @Test(
            "a thread whose file has changed follows, and has followed after its next lookup", arguments: Libc.glibcs,
            EtcDirectory.Change.allCases)
        func following(_ libc: Libc, _ change: EtcDirectory.Change) throws {
            let etc = try EtcDirectory(resolvConf: Self.plain)
            let resolver = try ResolverVictim(libc, etc: etc)
            try etc.change(to: Self.other, by: change)
            let before = try inspect(resolver.id)
            for thread in resolver.threads {
                let report = try before.thread(thread)
                #expect(report.state == "following")
                #expect(report.reason == nil)
                #expect(report.nameservers == ["127.0.0.2:53"])
            }
            // The prediction is put to the test. A name in /etc/hosts makes the resolver look at its file as well.
            _ = try resolver.lookup("localhost", in: 1)
            _ = try resolver.lookup("nowhere.invalid", in: 1)
            let after = try inspect(resolver.id)
            #expect(try after.thread(resolver.threads[1]).state == "current")
            #expect(try after.thread(resolver.threads[1]).nameservers == ["127.0.0.3:53"])
            #expect(try after.thread(resolver.threads[2]).state == "following")
        }

        @Test(
            "bits that a lost reply leaves pin a thread as soon as the file changes, and only that thread",
            arguments: Libc.glibcs, ["200000", "400000"])
        func lostReply(_ libc: Libc, _ bit: String) throws {
            let etc = try EtcDirectory(resolvConf: Self.plain)
            let resolver = try ResolverVictim(libc, etc: etc)
            try resolver.options("+\(bit)", in: 1)
            try etc.change(to: Self.other)
            // The verdict is put to the test: a lookup does not make it follow.
            _ = try resolver.lookup("nowhere.invalid", in: 1)
            let run = try inspect(resolver.id)
            let pinned = try run.thread(resolver.threads[1])
            #expect(pinned.state == "pinned")
            #expect(pinned.reason == "lost-reply")
            #expect(pinned.nameservers == ["127.0.0.2:53"])
            let word = bit == "200000" ? "single-request" : "single-request-reopen"
            #expect(pinned.singleRequest?.options == [word])
            #expect(pinned.singleRequest?.privateFlags == [])
            #expect(pinned.singleRequest?.askedFor == false)
            #expect(try run.thread(resolver.threads[0]).state == "following")
            #expect(try run.thread(resolver.threads[2]).state == "following")
            #expect(run.report?.summary.pinned == 1)
        }

        @Test("single-request that the file itself asks for pins nothing", arguments: Libc.glibcs)
        func askedForSingleRequest(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: Self.plain + "options single-request\n")
            let resolver = try ResolverVictim(libc, etc: etc)
            let before = try inspect(resolver.id).thread(resolver.threads[1])
            #expect(before.state == "current")
            #expect(before.singleRequest?.options == ["single-request"])
            #expect(before.singleRequest?.askedFor == true)
            try etc.change(to: Self.other + "options single-request\n")
            #expect(try inspect(resolver.id).thread(resolver.threads[1]).state == "following")
            // A file that no longer asks for it is followed as well.
            try etc.change(to: Self.other)
            #expect(try inspect(resolver.id).thread(resolver.threads[1]).state == "following")
            _ = try resolver.lookup("nowhere.invalid", in: 1)
            #expect(try inspect(resolver.id).thread(resolver.threads[1]).state == "current")
        }

        @Test("no-reload pins a thread when the file changes", arguments: Libc.glibcs, [true, false])
        func noReload(_ libc: Libc, fromTheFile: Bool) throws {
            let option = fromTheFile ? "options no-reload\n" : ""
            let etc = try EtcDirectory(resolvConf: Self.plain + option)
            let resolver = try ResolverVictim(libc, etc: etc)
            if !fromTheFile { try resolver.options("+2000000", in: 1) }
            try etc.change(to: Self.other + option)
            _ = try resolver.lookup("nowhere.invalid", in: 1)
            let report = try inspect(resolver.id).thread(resolver.threads[1])
            #expect(report.state == "pinned")
            #expect(report.reason == "no-reload")
            #expect(report.nameservers == ["127.0.0.2:53"])
            #expect(report.options?.flags == ["no-reload"])
        }

        @Test("servers of the application's own pin a thread at once", arguments: Libc.glibcs)
        func ownServers(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: Self.plain)
            let resolver = try ResolverVictim(libc, etc: etc)
            try resolver.useServer("127.0.0.77", in: 2)
            let run = try inspect(resolver.id)
            let report = try run.thread(resolver.threads[2])
            #expect(report.state == "pinned")
            #expect(report.reason == "edited-state")
            #expect(report.nameservers == ["127.0.0.77:53"])
            #expect(try run.thread(resolver.threads[1]).state == "current")
        }

        @Test(
            "numbers that the application changed pin a thread", arguments: Libc.glibcs,
            ["retrans", "retry", "ndots"])
        func ownOptions(_ libc: Libc, _ field: String) throws {
            let etc = try EtcDirectory(resolvConf: Self.plain)
            let resolver = try ResolverVictim(libc, etc: etc)
            try resolver.set(field, 4, in: 1)
            try etc.change(to: Self.other)
            _ = try resolver.lookup("nowhere.invalid", in: 1)
            let report = try inspect(resolver.id).thread(resolver.threads[1])
            #expect(report.state == "pinned")
            #expect(report.reason == "edited-state")
            #expect(report.nameservers == ["127.0.0.2:53"])
        }

        @Test("a thread that never looked anything up is idle", arguments: Libc.glibcs)
        func idle(_ libc: Libc) throws {
            let resolver = try ResolverVictim(libc, fresh: true, etc: try EtcDirectory(resolvConf: Self.plain))
            let run = try inspect(resolver.id)
            #expect(run.status == 0)
            for thread in resolver.threads {
                let report = try run.thread(thread)
                #expect(report.state == "idle")
                #expect(report.nameservers == nil)
            }
            #expect(run.report?.summary.idle == 1)
        }

        @Test("musl is never stale, and there is nothing to do about it", arguments: Libc.musls)
        func musl(_ libc: Libc) throws {
            let etc = try EtcDirectory(resolvConf: Self.plain)
            let resolver = try ResolverVictim(libc, etc: etc)
            for text in [Self.plain, Self.other] {
                try etc.change(to: text)
                let run = try inspect(resolver.id)
                #expect(run.status == 0)
                let process = try run.process()
                #expect(try process.resolvers.count == resolver.id.threads().count)
                #expect(Set(process.resolvers.map(\.library)) == ["musl"])
                #expect(Set(process.resolvers.map(\.state)) == ["current"])
            }
            let repair = try refresh(resolver.id, "--force")
            #expect(repair.status == 0)
            #expect(try repair.process().resolvers.allSatisfy { $0.repair?.action == "none" })
            try resolver.victim.end()
        }

        @Test("a missing resolv.conf is said, and counts as an empty one")
        func missingFile() throws {
            let resolver = try ResolverVictim(.host, etc: try EtcDirectory(resolvConf: nil))
            let process = try inspect(resolver.id).process()
            #expect(process.resolvConf?.error?.contains("No such file") == true)
            #expect(process.resolvers.first?.state == "current")
            #expect(process.resolvers.first?.nameservers == ["127.0.0.1:53"])
        }

        @Test("changes nothing at all in the process", arguments: Libc.allCases)
        func changesNothing(_ libc: Libc) throws {
            let resolver = try ResolverVictim(libc, etc: try EtcDirectory(resolvConf: Self.plain))
            let before = try ProcessPicture(of: resolver.id)
            let states = libc.isGlibc ? try (0...2).map { try resolver.show($0) } : []
            for _ in 0..<3 { #expect(try inspect(resolver.id).status == 0) }
            #expect(try ProcessPicture(of: resolver.id).changes(since: before) == [])
            if libc.isGlibc { #expect(try (0...2).map { try resolver.show($0) } == states) }
            try resolver.victim.end()
        }
    }
}
