import Glibc
import LinuxProcess
import Refresh
import TestSupport
import Testing

extension RealProcesses {
    /// Programs with a runtime that resolves names in threads of its own: the JVM and Node.
    @Suite("Runtimes")
    struct RuntimeTests {
        private static let old = "nameserver 127.0.0.2\n"
        private static let new = "nameserver 127.0.0.3\n"

        /// The first of some paths that is there.
        private static func program(_ name: String) throws -> String {
            let paths = ["/usr/bin", "/usr/local/bin"].map { "\($0)/\(name)" }
            let path = paths.first { access($0, X_OK) == 0 }
            try require(path ?? paths[0], because: name)
            return path ?? paths[0]
        }

        @Test("Node's pool threads are read one by one, and its own c-ares is named")
        func node() throws {
            let script = """
                const dns = require('dns'), fs = require('fs');
                setTimeout(() => process.exit(1), 110000);
                dns.lookup('localhost', () => fs.writeSync(1, `ready ${process.pid}\\n`));
                require('readline').createInterface({input: process.stdin})
                    .on('line', name => dns.lookup(name, () => fs.writeSync(1, `${name}\\n`)))
                    .on('close', () => process.exit(0));
                """
            let etc = try EtcDirectory(resolvConf: Self.old)
            let victim = try Victim([try Self.program("node"), "-e", script], etc: etc)
            try etc.change(to: Self.new)
            let seen = try inspect(victim.id)
            #expect(seen.status == 0)
            let resolvers = try seen.process().resolvers
            let threads = resolvers.filter { $0.library == "glibc" }
            #expect(try threads.count == victim.id.threads().count)
            #expect(threads.filter { $0.state == "following" }.count == 1)
            let linked = resolvers.filter { $0.library == "c-ares" }
            #expect(linked.count == 1)
            // Its channels, which only dns.resolve() and its kin use, are found inside the program or beside it.
            #expect(["idle", "pinned"].contains(linked.first?.state))
            #expect(try refresh(victim.id, "--force", "--wait", "0.2").report != nil)
            #expect(try victim.ask("localhost") == "localhost")
        }

        @Test("the JVM's threads are read one by one, and its cache of answers is named")
        func java() throws {
            let program = """
                import java.net.InetAddress;
                import java.util.Scanner;
                public class Lookup {
                    public static void main(String[] words) throws Exception {
                        InetAddress.getByName("localhost");
                        System.out.println("ready " + ProcessHandle.current().pid());
                        Scanner input = new Scanner(System.in);
                        while (input.hasNextLine())
                            System.out.println(InetAddress.getByName(input.nextLine()).getHostAddress());
                    }
                }
                """
            let java = try Self.program("java")
            let etc = try EtcDirectory(resolvConf: Self.old)
            try etc.write(program, to: "Lookup.java")
            // Some builds keep half of their files in /etc: only the one is exchanged.
            let exchange = "mount --bind \"$0\" /etc/resolv.conf; exec \"$@\""
            let victim = try Victim(
                ["unshare", "--mount", "--", "sh", "-ec", exchange, "\(etc.path)/resolv.conf"]
                    + [java, "-XX:TieredStopAtLevel=1", "-Xmx128m", "\(etc.path)/Lookup.java"])
            try etc.change(to: Self.new, by: .rewrite)
            let process = try inspect(victim.id).process()
            #expect(process.name == "java")
            #expect(try process.resolvers.count == victim.id.threads().count)
            #expect(Set(process.resolvers.map(\.library)) == ["glibc"])
            #expect(process.resolvers.contains { $0.state == "following" })
            #expect(process.remarks?.first?.contains("networkaddress.cache.ttl") == true)
            #expect(try runRepoint(["inspect", "\(victim.id)"]).standardOutput.contains("networkaddress.cache.ttl"))
            #expect(try victim.ask("127.0.0.1") == "127.0.0.1")
        }
    }
}
