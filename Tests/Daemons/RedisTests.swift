import LinuxProcess
import Refresh
import Resolvers
import TestSupport
import Testing

extension RealDaemons {
    /// redis-server, which finds its primary by host name (the KeyDB case).
    @Suite("redis", .daemon("redis"))
    struct RedisTests {
        @Test(
            "A replica finds its primary by the new server, with its clients connected", arguments: Following.allCases)
        func replica(_ following: Following) throws {
            try Scene.play(options: following.options) { scene in
                // Debian's redis-tools hold the server under another name; the package redis-server would start one on the host.
                let tool = "/usr/bin/redis-check-rdb"
                try require(tool, because: "package redis-tools")
                let server = scene.path("redis-server")
                _ = try scene.run(["ln", "-s", tool, server])
                let common = [
                    server, "--repl-diskless-sync-delay", "0", "--bind", "127.0.0.1", "--save", "", "--loglevel",
                    "notice", "--dir", scene.path(""),
                ]
                let primary = try scene.start("primary", common + ["--port", "6379"], package: "redis-tools")
                try primary.waitForLog("Ready to accept connections")
                let replica = try scene.start(
                    "replica", common + ["--port", "6380", "--replicaof", "primary.example", "6379"],
                    package: "redis-tools")
                try replica.waitForLog("MASTER <-> REPLICA sync: Finished with success")
                let clients = try scene.openSessions(25, to: 6380, "redis")
                try clients.expectAlive()
                #expect(try scene.serversAsked(for: "primary.example") == [Scene.oldServer])

                // It warns of the machine's settings at its start.
                let linesAtStart = replica.logLines.count
                try scene.switchOver()
                let run = try refresh(replica.id)
                #expect(run.status == 0, "\(run.standardError)")
                let process = try run.process()
                try expectRepair(of: process, following)
                #expect(process.sessions?.lost == 0)
                try clients.expectAlive()

                // The primary throws its replica out, which comes back, and so looks the name up, by itself.
                scene.forgetQueries()
                _ = try scene.run(["redis-cli", "-p", "6379", "client", "kill", "type", "replica"])
                #expect(try scene.serversAsked(for: "primary.example") == [Scene.newServer])
                let isLinked = try eventually(within: 20) {
                    try scene.run(["redis-cli", "-p", "6380", "info", "replication"]).standardOutput
                        .contains("master_link_status:up")
                }
                #expect(isLinked, "\(replica.logLines)")
                #expect(try inspect(replica.id).process().state == .current)
                try clients.expectAlive()
                #expect(replica.isAlive && primary.isAlive)
                #expect(replica.complaints(after: linesAtStart) == [])
            }
        }
    }
}
