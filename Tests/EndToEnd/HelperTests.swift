import Glibc
import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Services that resolve names for others, in the places where they are used.
    @Suite("Helpers")
    struct HelperTests {
        private static let name = "db.example"
        private static let isolations: [Set<Isolation>] = [[.pid, .net, .user], [.pid, .net], [.net, .chroot]]
        private static let configuration = """
            server-user root
            paranoia no
            check-files hosts no
            persistent hosts no
            shared hosts no
            positive-time-to-live hosts 600
            """

        /// A victim in a container with nscd, run from the package as it is.
        private struct Host {
            let resolver: ResolverVictim
            let responder: DNSResponder
            let isolation: Set<Isolation>

            init(_ isolation: Set<Isolation>, cachesHosts: Bool = true) throws {
                self.isolation = isolation
                let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
                let word = cachesHosts ? "yes" : "no"
                try etc.write("\(configuration)\nenable-cache hosts \(word)\n", to: "nscd.conf")
                let places = ["/var/run/nscd/keep", "/var/cache/nscd/keep", "/dev/null"].map { "/dev/null=\($0)" }
                resolver = try .inContainer(
                    .host, isolation, etc: etc, files: try ServiceFiles.files(of: "/usr/sbin/nscd") + places)
                responder = try DNSResponder(.answer, at: ["127.0.0.2"], besides: resolver.id)
            }

            func start() throws -> ContainedService {
                let service = try ServiceFiles.start(["/usr/sbin/nscd", "--foreground"], in: resolver, isolation)
                let isThere = eventually(within: 20) { access("\(resolver.root)/var/run/nscd/socket", F_OK) == 0 }
                guard isThere else { throw TestSupportError("nscd did not start") }
                return service
            }

            /// How many queries a lookup cost.
            func queries(of name: String) throws -> Int {
                _ = responder.takeQueries()
                let answer = try resolver.lookup(name, in: 1)
                guard answer.code == 0 else { throw TestSupportError("getaddrinfo returned \(answer.code)") }
                return responder.takeQueries().count
            }
        }

        @Test(
            "nscd is named where its socket answers, and refreshed where it runs when that is asked for",
            arguments: isolations)
        func nscd(_ isolation: Set<Isolation>) throws {
            let host = try Host(isolation)
            #expect(try inspect(host.resolver.id).process().helpers == nil)
            let service = try host.start()
            #expect(try host.queries(of: Self.name) > 0)
            #expect(try host.queries(of: Self.name) == 0)

            let helper = try #require(try inspect(host.resolver.id).process().helpers?.first)
            #expect(helper.name == "nscd")
            #expect(helper.command == "nscd -i hosts")
            #expect(helper.why.contains("/var/run/nscd/socket"))
            #expect(helper.ran == nil)
            let pid = try #require(helper.pid)
            #expect(try ProcessID(pid).name() == "nscd")

            // Nothing is run that nobody asked for.
            for options in [[], ["--helpers", "--dry-run"]] {
                let run = try runRepoint(["refresh", "--json", host.resolver.word] + options)
                #expect(run.status == 0)
                #expect(try run.process().helpers?.first?.ran == nil)
            }
            #expect(try host.queries(of: Self.name) == 0)

            let run = try refresh(host.resolver.id, "--helpers")
            #expect(run.status == 0, "\(run.standardOutput)")
            let refreshed = try #require(try run.process().helpers?.first)
            #expect(refreshed.ran == true)
            #expect(refreshed.result == "done")
            #expect(refreshed.pid == pid)
            #expect(try host.queries(of: Self.name) > 0)
            #expect(try host.queries(of: Self.name) == 0)
            let table = try runRepoint(["inspect", host.resolver.word]).standardOutput
            #expect(table.contains("`nscd -i hosts`"))
            #expect(service.id.rawValue > 0)
        }

        @Test("nscd that does not cache hosts, or is gone, is none")
        func notUsed() throws {
            let withoutHosts = try Host([.pid, .net], cachesHosts: false)
            let service = try withoutHosts.start()
            #expect(try inspect(withoutHosts.resolver.id).process().helpers == nil)
            #expect(service.id.rawValue > 0)

            let gone = try Host([.net])
            do {
                let service = try gone.start()
                #expect(try inspect(gone.resolver.id).process().helpers?.count == 1)
                #expect(service.id.rawValue > 0)
            }
            #expect(access("\(gone.resolver.root)/var/run/nscd/socket", F_OK) == 0)
            #expect(try inspect(gone.resolver.id).process().helpers == nil)
        }

        @Test("what cannot be run where the service runs is said, and leaves the refresh undone in part")
        func notThere() throws {
            let host = try Host([.net])
            let service = try host.start()
            #expect(unlink("\(host.resolver.root)/usr/sbin/nscd") == 0)
            let run = try refresh(host.resolver.id, "--helpers")
            #expect(run.status == 1)
            let helper = try #require(try run.process().helpers?.first)
            #expect(helper.ran == false)
            #expect(helper.result?.contains("nscd is not in the root directory of process") == true)
            #expect(service.id.rawValue > 0)
        }

        @Test("every process that uses a service is told what came of it")
        func several() throws {
            let host = try Host([.net, .chroot])
            let service = try host.start()
            let other = try ChildProcess(
                "/usr/bin/nsenter",
                ["--target", "\(host.resolver.id)", "--mount", "--root", "--net", "--", "/bin/resolver"])
            _ = try host.queries(of: Self.name)
            let run = try runRepoint(["refresh", "--json", "--helpers", host.resolver.word, "\(other.id)"])
            #expect(run.report?.processes.count == 2)
            #expect(run.report?.processes.allSatisfy { $0.helpers?.first?.result == "done" } == true)
            #expect(service.id.rawValue > 0)
        }

        @Test("systemd-resolved is named where the file names its stub", arguments: ["127.0.0.53", "127.0.0.54"])
        func stub(_ address: String) throws {
            let resolver = try ResolverVictim(.host, etc: try EtcDirectory(resolvConf: "nameserver \(address)\n"))
            let helper = try #require(try inspect(resolver.id).process().helpers?.first)
            #expect(helper.name == "systemd-resolved")
            #expect(helper.command == "resolvectl flush-caches")
            #expect(helper.why.contains(address))
            let run = try refresh(resolver.id, "--helpers")
            #expect(run.status == 1)
            #expect(try run.process().helpers?.first?.ran == false)
            #expect(try run.process().helpers?.first?.result?.contains("not to be seen from here") == true)
        }

        @Test("systemd-resolved is none where nsswitch.conf has it and nobody answers, nor for musl")
        func noResolved() throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            try etc.write("hosts: files resolve [!UNAVAIL=return] dns\n", to: "nsswitch.conf")
            for libc in [Libc.host, .musl] {
                let resolver = try ResolverVictim(libc, etc: etc)
                #expect(try inspect(resolver.id).process().helpers == nil)
            }
        }
    }
}
