import Glibc
import LinuxProcess
import Refresh
import Resolvers
import TestSupport
import Testing

extension RealDaemons {
    /// PgBouncer as Debian builds it, with c-ares, before PostgreSQL.
    @Suite("PgBouncer", .daemon("pgbouncer"))
    struct PgBouncerTests {
        @Test("Its channel stays with the old server until a refresh; the clients stay connected")
        func isRefreshed() throws {
            try Scene.play { scene in
                let pooler = try Pooler(in: scene)
                let clients = try scene.openSessions(20, to: Pooler.port, "postgres", "bench")
                // Server connections live for a second, so that there is always one to be made, and a name to be looked up.
                try clients.keepBusy(every: 0.1)
                #expect(try scene.serversAsked(for: Pooler.database) == [Scene.oldServer])

                try scene.switchOver()
                let before = try pooler.channel(in: inspect(pooler.daemon.id).process())
                #expect(before.state == "pinned")
                #expect(before.reason == "channel")
                #expect(before.nameservers == ["\(Scene.oldServer):53"])
                scene.forgetQueries()
                #expect(try scene.serversAsked(for: Pooler.database, times: 4) == [Scene.oldServer])

                let run = try refresh(pooler.daemon.id, "--wait", "20")
                let process = try run.process()
                // It ends its own connections to PostgreSQL after a second each, refresh or not, and they are counted.
                #expect(run.status == 0 || process.sessions?.lost != 0, "\(run.standardError)")
                let channel = try pooler.channel(in: process)
                #expect(channel.was == "pinned")
                #expect(channel.repair?.action == "reconfigure")
                #expect(channel.repair?.result == "done")
                #expect(channel.state == "current")
                #expect(channel.evidence?.readBack == "matches")
                #expect(channel.nameservers == ["\(Scene.newServer):53"])
                scene.forgetQueries()
                #expect(try scene.serversAsked(for: Pooler.database, times: 6) == [Scene.newServer])
                try clients.expectAlive()
                #expect(pooler.daemon.complaints() == [])
                #expect(try inspect(pooler.daemon.id).process().state == .current)
            }
        }

        @Test("With no lookup to tell its thread, the repair is deferred, and says what it waits for")
        func isDeferred() throws {
            try Scene.play { scene in
                let pooler = try Pooler(in: scene)
                let clients = try scene.openSessions(3, to: Pooler.port, "postgres", "bench")
                try clients.expectAlive()
                try scene.switchOver()
                // Nobody asks it for anything, so it needs no new connection.
                let run = try refresh(pooler.daemon.id, "--wait", "1")
                #expect(run.status == 1)
                let channel = try pooler.channel(in: run.process())
                #expect(channel.state == "pinned")
                #expect(channel.repair?.action == "deferred")
                #expect(channel.repair?.reason?.contains("lookup") == true, "\(channel.repair?.reason ?? "")")
                try clients.expectAlive()
            }
        }

        /// How often the load is switched from one server to the other. Between two switches it runs undisturbed, for comparison.
        private static let switches = 20

        @Test("Under load: 20 switches back and forth, and no transaction fails or waits")
        func underLoad() throws {
            try Scene.play { scene in
                let pooler = try Pooler(in: scene)
                try pooler.fill()
                let load = try pooler.startLoad(clients: 8, perSecond: 500, seconds: 300)
                #expect(try scene.serversAsked(for: Pooler.database) == [Scene.oldServer])

                var switching: [ClosedRange<Double>] = []
                var undisturbed: [ClosedRange<Double>] = []
                var pauses: [Double] = []
                for count in 0..<Self.switches {
                    let isOver = count % 2 == 0
                    let start = Deadline.sinceEpoch
                    try isOver ? scene.switchOver() : scene.switchBack()
                    let run = try runRepoint(
                        ["refresh", "--json", "\(pooler.daemon.id)", "--wait", "20"], program: RepointRun.released)
                    // Who had to wait for it comes through a little later.
                    let end = Deadline.sinceEpoch + 0.5
                    let process = try run.process()
                    // It ends its own connections to PostgreSQL after a second each, refresh or not, and they are counted.
                    #expect(run.status == 0 || process.sessions?.lost != 0, "\(run.standardError)")
                    let channel = try pooler.channel(in: process)
                    #expect(channel.state == "current" && channel.repair?.result == "done")
                    pauses.append(channel.repair?.pauseMicroseconds ?? 0)
                    scene.forgetQueries()
                    // Until the next lookup, and half a second at least, nobody does anything to it.
                    let isNew =
                        try scene.serversAsked(for: Pooler.database) == [isOver ? Scene.newServer : Scene.oldServer]
                    #expect(isNew, "after \(count + 1) switches")
                    while Deadline.sinceEpoch - end < 0.5 { usleep(1000) }
                    switching.append(start...end)
                    undisturbed.append(end...Deadline.sinceEpoch)
                }

                try pooler.end(load)
                let latencies = try pooler.latencies()
                let during = latencies.milliseconds(endingIn: switching)
                let between = latencies.milliseconds(endingIn: undisturbed)
                print(Self.figures("during \(Self.switches) switches", during))
                print(Self.figures("between them", between))
                print("the channel's thread was held for at most \(pauses.max() ?? 0) us")
                try #require(during.count > 1000 && between.count > 1000)
                // A handful of transactions in thousands decides it: a program beside that wants both processors for a moment moves it
                // by tens of milliseconds either way. What this would not miss is a pooler that stood still at each switch.
                let noise = Swift.max(50, 2 * between.quantile(0.999))
                #expect(during.quantile(0.999) < between.quantile(0.999) + noise)
                #expect(pooler.daemon.complaints() == [])
            }
        }

        private static func figures(_ when: String, _ latencies: [Double]) -> String {
            let quantiles = [0.5, 0.99, 0.999, 1].map { (latencies.quantile($0) * 100).rounded() / 100 }
            return "\(when): \(latencies.count) transactions, latency p50 \(quantiles[0]) ms, p99 \(quantiles[1]) ms, "
                + "p99.9 \(quantiles[2]) ms, longest \(quantiles[3]) ms"
        }
    }
}

/// PgBouncer with its configuration, and PostgreSQL behind a host name.
struct Pooler {
    static let port = 6432
    static let database = "db.example"
    let daemon: Daemon
    private let scene: Scene
    /// Where Debian keeps PostgreSQL's own programs.
    private let programs: String

    init(in scene: Scene) throws {
        self.scene = scene
        try require("/usr/sbin/pgbouncer", because: "package pgbouncer")
        try require("/usr/lib/postgresql", because: "package postgresql")
        let versions = try directoryEntries("/usr/lib/postgresql").compactMap { Int($0) }
        programs = "/usr/lib/postgresql/\(versions.max() ?? 0)/bin"
        try require("\(programs)/initdb", because: "package postgresql")

        try scene.makeDirectory("data", for: "postgres")
        let initdb = ["\(programs)/initdb", "-D", scene.path("data"), "-A", "trust", "--no-sync", "-U", "postgres"]
        _ = try scene.run(initdb, user: "postgres")
        let settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "autovacuum=off"]
        let server = try scene.start(
            "postgres", ["\(programs)/postgres", "-D", scene.path("data")] + settings.flatMap { ["-c", $0] },
            user: "postgres", package: "postgresql")
        try server.waitForLog("database system is ready to accept connections")

        try scene.write(
            """
            [databases]
            bench = host=\(Pooler.database) port=5432 dbname=postgres user=postgres
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = \(Pooler.port)
            unix_socket_dir =
            auth_type = any
            admin_users = postgres
            pool_mode = transaction
            default_pool_size = 8
            max_client_conn = 100
            ; an answer is not kept, and a connection for a second
            dns_max_ttl = 0
            server_lifetime = 1
            """, to: "pgbouncer.ini")
        daemon = try scene.start(
            "pgbouncer", ["/usr/sbin/pgbouncer", scene.path("pgbouncer.ini")], user: "postgres", package: "pgbouncer")
        try daemon.waitForLog("process up")
        guard daemon.logLines.contains(where: { $0.contains("adns: c-ares") }) else {
            try Test.cancel("skipped: this PgBouncer resolves without c-ares: \(daemon.logLines)")
        }
    }

    func channel(
        in process: ProcessReport, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> ResolverReport {
        try #require(process.resolvers.first { $0.library == "c-ares" }, sourceLocation: sourceLocation)
    }

    /// Fills the tables that pgbench works on, past PgBouncer.
    func fill() throws {
        _ = try scene.run(pgbench + ["-p", "5432", "-i", "-q", "-s", "2", "postgres"])
    }

    private var pgbench: [String] { ["\(programs)/pgbench", "-h", "127.0.0.1", "-U", "postgres"] }

    /// Starts transactions at a steady rate, each with its latency in files `latency.*`.
    func startLoad(clients: Int, perSecond: Int, seconds: Int) throws -> Daemon {
        let load = ["-n", "-N", "-c", "\(clients)", "-j", "2", "-R", "\(perSecond)", "-T", "\(seconds)", "-l"]
        return try scene.start(
            "pgbench",
            pgbench + ["-p", "\(Pooler.port)"] + load + ["--log-prefix", scene.path("latency"), "bench"],
            package: "postgresql")
    }

    /// Ends the load as its time would: every transaction was carried out.
    func end(_ load: Daemon, sourceLocation: SourceLocation = #_sourceLocation) throws {
        // pgbench's own clock is this signal.
        load.send(SIGALRM)
        try load.waitForLog("tps =", within: 120)
        let said = load.logLines
        #expect(
            said.contains { $0.hasPrefix("number of failed transactions: 0 ") }, "\(said)",
            sourceLocation: sourceLocation)
        #expect(load.complaints(["error", "fatal", "aborted"]) == [], sourceLocation: sourceLocation)
    }

    func latencies() throws -> Latencies {
        let logs = try directoryEntries(scene.path("")).filter { $0.hasPrefix("latency") }
        return try Latencies(logs: logs.map { scene.path($0) })
    }
}
