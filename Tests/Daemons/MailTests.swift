import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealDaemons {
    @Suite("Mail", .daemon("exim"))
    struct MailTests {
        @Test(
            "exim delivers with a process for each message, which reads the file afresh", arguments: Following.allCases)
        func exim(_ following: Following) throws {
            try Scene.play(options: following.options) { scene in
                try scene.startBackend()
                try require("/usr/sbin/exim4", because: "package exim4-daemon-light")
                try scene.makeDirectory("spool", for: "Debian-exim")
                // Where it looks for its configuration without giving up its rights.
                try scene.configure(
                    """
                    primary_hostname = mail.example
                    spool_directory = \(scene.path("spool"))
                    log_file_path = \(scene.path("spool"))/%slog
                    pid_file_path = \(scene.path("spool"))/exim.pid
                    daemon_smtp_ports = 2526
                    local_interfaces = 127.0.0.1
                    acl_smtp_rcpt = accept
                    keep_environment =
                    tls_advertise_hosts =
                    host_lookup =
                    begin routers
                    relay:
                      driver = manualroute
                      route_list = * relay.example byname
                      transport = relay
                      self = send
                    begin transports
                    relay:
                      driver = smtp
                      port = 2525
                      hosts_try_chunking =

                    """, at: "exim4/exim4.conf")
                let exim = try scene.start(
                    "exim", ["/usr/sbin/exim4", "-bdf", "-q10m"], package: "exim4-daemon-light")
                try exim.waitForPort(2526)
                let clients = try scene.openSessions(5, to: 2526, "smtp")
                try clients.expectAlive()
                try send("first", in: scene)
                #expect(try scene.serversAsked(for: "relay.example") == [Scene.oldServer])
                try expectDeliveries(1, in: scene)

                try scene.switchOver()
                // The listener, and a process for each session.
                let run = try runRepoint(["refresh", "--json", "exim4"])
                #expect(run.status == 0, "\(run.standardError)")
                let processes = try #require(run.report).processes
                #expect(processes.count >= 6)
                for process in processes {
                    #expect(process.resolvers.allSatisfy { $0.state != "pinned" })
                    #expect(process.sessions?.lost ?? 0 == 0)
                }
                scene.forgetQueries()
                try send("second", in: scene)
                #expect(try scene.serversAsked(for: "relay.example") == [Scene.newServer])
                try expectDeliveries(2, in: scene)
                try clients.expectAlive()
                #expect(exim.complaints() == [])
                #expect(scene.text(of: "spool/paniclog") == "")
            }
        }

        private func send(_ subject: String, in scene: Scene) throws {
            let code = """
                import smtplib
                with smtplib.SMTP('127.0.0.1', 2526) as exim:
                    exim.sendmail('from@a.example', ['to@b.example'], 'Subject: \(subject)\\r\\n\\r\\nHello\\r\\n')
                """
            _ = try scene.run([Scene.python, "-c", code])
        }

        private func expectDeliveries(_ count: Int, in scene: Scene) throws {
            let areDone = eventually(within: 30) {
                scene.text(of: "spool/mainlog").split(separator: "\n").count { $0.hasSuffix(" Completed") } == count
            }
            #expect(areDone, "\(scene.text(of: "spool/mainlog"))")
        }
    }
}
