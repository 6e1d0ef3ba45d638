import Glibc
import LinuxProcess
import Refresh
import Resolvers
import TestSupport
import Testing

extension RealDaemons {
    /// HTTP daemons that find what is behind them by host name.
    @Suite("Web")
    struct WebTests {
        private static let port = 8080
        private static let address = "127.0.0.1:8080"

        /// One request on a connection of its own.
        private func request(_ scene: Scene, port: Int = port) throws {
            try scene.openSessions(1, to: port, "http", "/").expectAlive()
        }

        @Test(
            "apache2 with mod_proxy: every thread of its children follows", .daemon("apache2"),
            arguments: Following.allCases)
        func apache(_ following: Following) throws {
            try Scene.play(options: following.options) { scene in
                try scene.startBackend()
                let modules = ["mpm_event", "authz_core", "proxy", "proxy_http"].map {
                    "LoadModule \($0)_module /usr/lib/apache2/modules/mod_\($0).so\n"
                }
                try scene.write(
                    modules.joined() + """
                        ServerRoot \(scene.path(""))
                        ServerName localhost
                        Listen \(Self.address)
                        PidFile \(scene.path("apache2.pid"))
                        Mutex file:\(scene.path("")) default
                        DefaultRuntimeDir \(scene.path(""))
                        User www-data
                        Group www-data
                        ErrorLog \(scene.path("apache2.log"))
                        LogLevel warn
                        KeepAlive On
                        KeepAliveTimeout 300
                        MaxKeepAliveRequests 0
                        StartServers 2
                        ServerLimit 2
                        ThreadsPerChild 4
                        ThreadLimit 4
                        MinSpareThreads 1
                        MaxSpareThreads 8
                        MaxRequestWorkers 8
                        # Without reuse, a name is looked up for every request.
                        ProxyPass / http://backend.example:8000/ disablereuse=On

                        """, to: "apache2.conf")
                let apache = try scene.start(
                    "apache2", ["/usr/sbin/apache2", "-f", scene.path("apache2.conf"), "-D", "FOREGROUND"],
                    package: "apache2-bin")
                try apache.waitForPort(Self.port)
                let clients = try scene.openSessions(6, to: Self.port, "http", "/")
                for _ in 0..<10 { try clients.expectAlive() }
                #expect(try scene.serversAsked(for: "backend.example") == [Scene.oldServer])

                try scene.switchOver()
                let run = try runRepoint(["refresh", "--json", "apache2"])
                #expect(run.status == 0, "\(run.standardError)")
                let children = try #require(run.report).processes.filter { $0.resolvers.contains { $0.was != "idle" } }
                #expect(!children.isEmpty)
                for child in children {
                    try expectRepair(of: child, following)
                    #expect(child.sessions?.lost ?? 0 == 0)
                }
                scene.forgetQueries()
                for _ in 0..<10 { try clients.expectAlive() }
                #expect(try scene.serversAsked(for: "backend.example", times: 10) == [Scene.newServer])
                #expect(apache.complaints() == [])
            }
        }

        @Test(
            "nginx: names of its configuration are looked up by glibc, when it is read", .daemon("nginx"),
            arguments: Following.allCases)
        func nginx(_ following: Following) throws {
            try Scene.play(options: following.options) { scene in
                try scene.startBackend()
                let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map {
                    "\($0)_temp_path \(scene.path($0));\n"
                }
                try scene.write(
                    """
                    user www-data;
                    worker_processes 2;
                    daemon off;
                    pid \(scene.path("nginx.pid"));
                    error_log stderr notice;
                    events { worker_connections 64; }
                    http {
                        access_log off;
                        keepalive_timeout 300;
                        \(paths.joined())
                        server {
                            listen \(Self.address);
                            location / { proxy_pass http://backend.example:8000; }
                        }
                        server {
                            listen 127.0.0.1:8081;
                            resolver \(Scene.oldServer) valid=1s ipv6=off;
                            set $name own.example;
                            location / { proxy_pass http://$name:8000; }
                        }
                    }
                    """, to: "nginx.conf")
                let nginx = try scene.start(
                    "nginx", ["/usr/sbin/nginx", "-c", scene.path("nginx.conf"), "-e", "stderr"], package: "nginx-light"
                )
                try nginx.waitForPort(Self.port)
                let clients = try scene.openSessions(5, to: Self.port, "http", "/")
                try clients.expectAlive()
                #expect(try scene.serversAsked(for: "backend.example") == [Scene.oldServer])

                try scene.switchOver()
                let run = try runRepoint(["refresh", "--json", "nginx"])
                #expect(run.report?.processes.count == 3)
                // The workers have their state from the master, which looked the names up before they were made.
                for process in run.report?.processes ?? [] { try expectRepair(of: process, following) }

                // Its own resolver's server stands in its configuration: no refresh changes that.
                scene.forgetQueries()
                try request(scene, port: 8081)
                #expect(try scene.serversAsked(for: "own.example") == [Scene.oldServer])
                // Now it is seen to ask it.
                try expectRefusal(by: "nginx", in: runRepoint(["refresh", "--json", "nginx"]), asking: Scene.oldServer)
                // A name without that is not looked up again before the configuration is read again: then at the new server.
                try clients.expectAlive()
                #expect((scene.old.queries + scene.new.queries).allSatisfy { !$0.name.hasPrefix("backend") })
                nginx.send(SIGHUP)
                #expect(try scene.serversAsked(for: "backend.example") == [Scene.newServer])
                try request(scene)
                #expect(nginx.complaints() == [])
            }
        }

        @Test(
            "haproxy: its own resolver keeps the server it began with; glibc's part is refreshed", .daemon("haproxy"),
            arguments: Following.allCases)
        func haproxy(_ following: Following) throws {
            try Scene.play(options: following.options) { scene in
                try scene.startBackend()
                try scene.write(
                    """
                    global
                        user haproxy
                        group haproxy
                    defaults
                        mode http
                        timeout client 300s
                        timeout server 300s
                        timeout connect 5s
                    resolvers system
                        parse-resolv-conf
                        hold valid 1s
                        timeout resolve 1s
                    frontend front
                        bind \(Self.address)
                        default_backend looked-up-again
                    backend looked-up-again
                        server one again.example:8000 check inter 1s resolvers system resolve-prefer ipv4 init-addr libc
                    backend looked-up-once
                        server one once.example:8000

                    """, to: "haproxy.cfg")
                let haproxy = try scene.start(
                    "haproxy", ["/usr/sbin/haproxy", "-db", "-f", scene.path("haproxy.cfg")], package: "haproxy")
                try haproxy.waitForPort(Self.port)
                let clients = try scene.openSessions(5, to: Self.port, "http", "/")
                try clients.expectAlive()
                #expect(try scene.serversAsked(for: "once.example") == [Scene.oldServer])

                try scene.switchOver()
                let run = try refresh(haproxy.id)
                try expectRepair(of: try run.process(), following)
                try clients.expectAlive()
                scene.forgetQueries()
                #expect(try scene.serversAsked(for: "again.example", times: 3) == [Scene.oldServer])
                try expectRefusal(by: "haproxy", in: run, asking: Scene.oldServer)
                try clients.expectAlive()
                #expect(haproxy.complaints() == [])
            }
        }

        @Test(
            "squid: its own resolver keeps the server it began with, until it is reconfigured", .daemon("squid"),
            arguments: Following.allCases)
        func squid(_ following: Following) throws {
            try Scene.play(options: following.options) { scene in
                try scene.startBackend()
                try scene.makeDirectory("cache", for: "proxy")
                try scene.write(
                    """
                    http_port 127.0.0.1:3128
                    pid_filename none
                    cache deny all
                    access_log none
                    cache_log \(scene.path("squid.log"))
                    cache_effective_user proxy
                    coredump_dir \(scene.path("cache"))
                    pinger_enable off
                    positive_dns_ttl 1 second
                    negative_dns_ttl 1 second
                    http_access allow all
                    client_idle_pconn_timeout 5 minutes
                    netdb_filename none
                    visible_hostname squid.example

                    """, to: "squid.conf")
                let squid = try scene.start(
                    "squid", ["/usr/sbin/squid", "-N", "-f", scene.path("squid.conf")], package: "squid")
                try squid.waitForPort(3128)
                let clients = try scene.openSessions(5, to: 3128, "http", "http://backend.example:8000/")
                try clients.expectAlive()
                #expect(try scene.serversAsked(for: "backend.example") == [Scene.oldServer])

                try scene.switchOver()
                let run = try refresh(squid.id)
                #expect(try run.process().sessions?.lost ?? 0 == 0)
                scene.forgetQueries()
                try scene.openSessions(1, to: 3128, "http", "http://late.example:8000/").expectAlive()
                #expect(try scene.serversAsked(for: "late.example") == [Scene.oldServer])
                try expectRefusal(by: "squid", in: run)
                try clients.expectAlive()
                #expect(squid.complaints() == [])

                squid.send(SIGHUP)
                try squid.waitForLog("Adding nameserver \(Scene.newServer)")
                let later = try scene.openSessions(1, to: 3128, "http", "http://later.example:8000/")
                try later.expectAlive()
                #expect(try scene.serversAsked(for: "later.example") == [Scene.newServer])
            }
        }
    }
}
