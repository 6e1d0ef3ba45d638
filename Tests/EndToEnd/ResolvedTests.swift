import Glibc
import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// systemd-resolved and the bus it is spoken to over, in a container.
    @Suite("systemd-resolved")
    struct ResolvedTests {
        private static let isolation: Set<Isolation> = [.pid, .net]
        private static let users = """
            root:x:0:0:root:/:/bin/sh
            systemd-resolve:x:990:990::/:/bin/false

            """
        private static let bus = """
            <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
              "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
            <busconfig>
              <type>system</type>
              <listen>unix:path=/run/dbus/system_bus_socket</listen>
              <auth>EXTERNAL</auth>
              <policy context="default">
                <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/>
              </policy>
            </busconfig>
            """

        private final class Host {
            let resolver: ResolverVictim
            let responder: DNSResponder
            private let daemon: ContainedService
            private let service: ContainedService

            init(resolvConf: String, nsswitch: String = "hosts: files dns\n") throws {
                let etc = try EtcDirectory(resolvConf: resolvConf)
                try etc.write(users, to: "passwd")
                try etc.write("root:x:0:\nsystemd-resolve:x:990:\n", to: "group")
                try etc.write(nsswitch, to: "nsswitch.conf")
                try etc.write(bus, to: "bus.conf")
                // It keeps no answers of a server on this machine unless it is told to.
                try etc.write(
                    "[Resolve]\nDNS=127.0.0.2\nCacheFromLocalhost=yes\nDNSSEC=no\nLLMNR=no\nMulticastDNS=no\n",
                    to: "resolved.conf")
                let programs = try [
                    "/lib/systemd/systemd-resolved", "/usr/bin/resolvectl", "/usr/bin/dbus-daemon",
                ].flatMap { try ServiceFiles.files(of: $0) }
                let places = ["/run/dbus/keep", "/run/systemd/keep", "/dev/null"].map { "/dev/null=\($0)" }
                let files = programs + places + ["\(etc.path)/resolved.conf=/etc/systemd/resolved.conf"]
                let resolver = try ResolverVictim.inContainer(.host, isolation, etc: etc, files: files)
                let responder = try DNSResponder(.answer, at: ["127.0.0.2"], besides: resolver.id)
                // It asks nobody while there is no way out of the machine.
                let way =
                    "ip link add v0 type veth peer v1; ip addr add 192.0.2.1/24 dev v0; ip link set v0 up; ip link set v1 up"
                let made = try ProgramRun(["nsenter", "--target", "\(resolver.id)", "--net", "--", "sh", "-ec", way])
                guard made.status == 0 else { throw TestSupportError("no interface: \(made.standardError)") }
                let root = resolver.root
                func awaitSocket(_ path: String) throws {
                    let isThere = eventually(within: 20) { access(root + path, F_OK) == 0 }
                    guard isThere else { throw TestSupportError("there is no \(path)") }
                }
                let daemon = try ServiceFiles.start(
                    ["/usr/bin/dbus-daemon", "--config-file=/etc/bus.conf", "--nofork"], in: resolver, isolation)
                try awaitSocket("/run/dbus/system_bus_socket")
                let service = try ServiceFiles.start(["/lib/systemd/systemd-resolved"], in: resolver, isolation)
                try awaitSocket("/run/systemd/resolve/stub-resolv.conf")
                self.resolver = resolver
                self.responder = responder
                self.daemon = daemon
                self.service = service
            }

            /// How many queries reached the server behind it in a lookup.
            func queries(of name: String) throws -> Int {
                _ = responder.takeQueries()
                let answer = try resolver.lookup(name, in: 1)
                guard answer.code == 0 else { throw TestSupportError("getaddrinfo returned \(answer.code)") }
                return responder.takeQueries().count
            }
        }

        @Test("is named for who asks its stub, and forgets its answers when that is asked for")
        func stub() throws {
            let host = try Host(resolvConf: "nameserver 127.0.0.53\n")
            #expect(try host.queries(of: "db.example") > 0)
            #expect(try host.queries(of: "db.example") == 0)
            let helper = try #require(try inspect(host.resolver.id).process().helpers?.first)
            #expect(helper.name == "systemd-resolved")
            #expect(helper.command == "resolvectl flush-caches")
            let pid = try #require(helper.pid)
            #expect(try ProcessID(pid).name() == "systemd-resolve")

            let run = try refresh(host.resolver.id, "--helpers")
            #expect(run.status == 0, "\(run.standardOutput)")
            #expect(try run.process().helpers?.first?.ran == true)
            #expect(try run.process().helpers?.first?.result == "done")
            #expect(try host.queries(of: "db.example") > 0)
        }

        @Test("is named for who has it in nsswitch.conf")
        func module() throws {
            let host = try Host(
                resolvConf: "nameserver 127.0.0.2\n", nsswitch: "hosts: files resolve [!UNAVAIL=return] dns\n")
            let helpers = try #require(try inspect(host.resolver.id).process().helpers)
            #expect(helpers.map(\.name) == ["systemd-resolved"])
            #expect(helpers.first?.why.contains("nsswitch.conf") == true)
            #expect(try refresh(host.resolver.id, "--helpers").process().helpers?.first?.result == "done")
        }
    }
}
