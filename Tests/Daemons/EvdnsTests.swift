import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealDaemons {
    /// transmission-daemon finds UDP trackers by libevent's evdns.
    @Suite("evdns", .daemon("transmission"))
    struct EvdnsTests {
        private static let library = "evdns"

        @Test("transmission-daemon: its base stays with the old server until a refresh")
        func transmission() throws {
            try Scene.play { scene in
                try scene.makeDirectory("transmission", for: "debian-transmission")
                // Whatever waits in its queue asks no tracker.
                try scene.write("{ \"download-queue-enabled\": false }", to: "transmission/settings.json")
                let words = [
                    "--no-portmap", "--no-dht", "--no-lpd", "--no-utp", "--no-auth", "-a", "127.0.0.1", "-p", "9091",
                ]
                let daemon = try scene.start(
                    "transmission",
                    ["/usr/bin/transmission-daemon", "-f", "-g", scene.path("transmission")] + words,
                    user: "debian-transmission", package: "transmission-daemon")
                try daemon.waitForPort(9091)
                let clients = try scene.openSessions(5, to: 9091, "http", "/transmission/web/index.html")
                try clients.expectAlive()
                try addTorrent(1, in: scene)
                #expect(try scene.serversAsked(for: "tracker1.example") == [Scene.oldServer])

                try scene.switchOver()
                let before = try base(of: inspect(daemon.id))
                #expect(before.state == "pinned")
                #expect(before.reason == "channel")
                try addTorrent(2, in: scene)
                #expect(try scene.serversAsked(for: "tracker2.example") == [Scene.oldServer])

                // A lookup while the command waits tells the thread.
                let adder = try scene.start(
                    "adder", [Scene.python, "-c", Self.adding(3..<40)], package: "python3")
                let run = try refresh(daemon.id, "--wait", "20")
                #expect(run.status == 0, "\(run.standardError)")
                let after = try base(of: run)
                #expect(after.was == "pinned")
                #expect(after.repair?.action == "reconfigure")
                #expect(after.repair?.result == "done")
                #expect(after.state == "current")
                #expect(after.evidence?.readBack == "matches")
                adder.send(15)
                scene.forgetQueries()
                try addTorrent(50, in: scene)
                #expect(try scene.serversAsked(for: "tracker50.example") == [Scene.newServer])
                try clients.expectAlive()
                #expect(daemon.isAlive)
                #expect(daemon.complaints() == [])
            }
        }

        private func base(of run: RepointRun, sourceLocation: SourceLocation = #_sourceLocation) throws
            -> ResolverReport
        {
            let resolvers = try run.process(sourceLocation: sourceLocation).resolvers
            return try #require(resolvers.first { $0.library == Self.library }, sourceLocation: sourceLocation)
        }

        private func addTorrent(_ number: Int, in scene: Scene) throws {
            _ = try scene.run([Scene.python, "-c", Self.adding(number..<number + 1)])
        }

        /// A program that adds a torrent with a tracker of its own for each number, twice a second.
        private static func adding(_ numbers: Range<Int>) -> String {
            """
            import json, time, urllib.error, urllib.request
            session = ''
            for n in range(\(numbers.lowerBound), \(numbers.upperBound)):
                magnet = f'magnet:?xt=urn:btih:{n:040x}&tr=udp://tracker{n}.example:6969'
                order = json.dumps({'method': 'torrent-add', 'arguments': {'filename': magnet}}).encode()
                for _ in range(2):
                    try:
                        urllib.request.urlopen(urllib.request.Request(
                            'http://127.0.0.1:9091/transmission/rpc', order, {'X-Transmission-Session-Id': session}))
                        break
                    except urllib.error.HTTPError as error:
                        session = error.headers['X-Transmission-Session-Id']
                if \(numbers.count) > 1: time.sleep(0.5)
            """
        }
    }
}
