import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealDaemons {
    /// DNS servers and forwarders: nobody asks them to resolve with anything but their own configuration.
    @Suite("Bystanders")
    struct BystanderTests {
        @Test("unbound is not touched, though everybody is refreshed", .daemon("unbound"))
        func unbound() throws {
            try Scene.play(options: Following.afterRefresh.options) { scene in
                try scene.makeDirectory("unbound", for: "unbound")
                try scene.write(
                    """
                    server:
                      interface: 127.0.0.53
                      username: unbound
                      directory: "\(scene.path("unbound"))"
                      chroot: ""
                      pidfile: ""
                      use-syslog: no
                      do-not-query-localhost: no
                      module-config: "iterator"
                      cache-max-ttl: 0
                      num-threads: 2
                    forward-zone:
                      name: "."
                      forward-addr: \(Scene.oldServer)
                    remote-control:
                      control-enable: no

                    """, to: "unbound.conf")
                let unbound = try scene.start(
                    "unbound", ["/usr/sbin/unbound", "-d", "-c", scene.path("unbound.conf")], package: "unbound")
                try unbound.waitForLog("start of service")
                try ask("first.example", at: "127.0.0.53", in: scene)
                #expect(try scene.serversAsked(for: "first.example") == [Scene.oldServer])

                try expectUntouched(unbound, in: scene)
                try ask("second.example", at: "127.0.0.53", in: scene)
                #expect(try scene.serversAsked(for: "second.example") == [Scene.oldServer])
                #expect(unbound.complaints() == [])
            }
        }

        @Test("dnsmasq is not touched, and follows by itself", .daemon("dnsmasq"))
        func dnsmasq() throws {
            try Scene.play(options: Following.afterRefresh.options) { scene in
                let words = ["-k", "-z", "-a", "127.0.0.54", "-c", "0", "-C", "/dev/null", "-u", "nobody"]
                let dnsmasq = try scene.start(
                    "dnsmasq", ["/usr/sbin/dnsmasq"] + words + ["--log-facility=-", "-r", "/etc/resolv.conf"],
                    package: "dnsmasq-base")
                try dnsmasq.waitForLog("using nameserver")
                try ask("first.example", at: "127.0.0.54", in: scene)
                #expect(try scene.serversAsked(for: "first.example") == [Scene.oldServer])

                try expectUntouched(dnsmasq, in: scene)
                try dnsmasq.waitForLog("using nameserver \(Scene.newServer)")
                try ask("second.example", at: "127.0.0.54", in: scene)
                #expect(try scene.serversAsked(for: "second.example") == [Scene.newServer])
                #expect(dnsmasq.complaints() == [])
            }
        }

        /// Switches, and refreshes everybody by force, with a program that is pinned beside the daemon.
        private func expectUntouched(_ daemon: Daemon, in scene: Scene) throws {
            try scene.startBackend()
            let pinned = try scene.start(
                "python", [Scene.python, Scene.program("lookups.py")], user: "nobody", package: "python3")
            #expect(try scene.serversAsked(for: "python0.example") == [Scene.oldServer])
            let picture = try ProcessPicture(of: daemon.id)
            try scene.switchOver()
            let run = try runRepoint(["refresh", "--json", "--all", "--force"])
            let processes = try #require(run.report).processes
            let bystander = try #require(processes.first { $0.pid == daemon.id.rawValue })
            // Never held, not even to be read.
            for resolver in bystander.resolvers {
                #expect(["none", nil].contains(resolver.repair?.action))
                #expect(resolver.repair?.pauseMicroseconds == nil && resolver.heldMicroseconds == nil)
            }
            #expect(bystander.sessions?.lost ?? 0 == 0)
            #expect(try ProcessPicture(of: daemon.id) == picture)
            let neighbour = try #require(processes.first { $0.pid == pinned.id.rawValue })
            #expect(neighbour.resolvers.contains { $0.repair?.action == "reinitialize" && $0.state == "current" })
        }

        private func ask(_ name: String, at server: String, in scene: Scene) throws {
            let code = """
                import socket
                name = b''.join(bytes([len(label)]) + label.encode() for label in '\(name)'.split('.'))
                client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                client.settimeout(10)
                client.sendto(bytes.fromhex('123401000001000000000000') + name + bytes.fromhex('0000010001'), ('\(server)', 53))
                assert client.recv(512)[3] & 15 == 0
                """
            _ = try scene.run([Scene.python, "-c", code])
        }
    }
}
