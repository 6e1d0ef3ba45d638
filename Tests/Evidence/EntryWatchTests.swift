import Evidence
import Glibc
import LinuxProcess
import Resolvers
import TestSupport
import Testing

/// Functions of real processes that are watched from outside.
@Suite("EntryWatch", .serialized, .staged)
struct EntryWatchTests {
    /// A program with a channel of c-ares, and the entries of that.
    private struct Scene {
        let asker: AskingVictim
        let responder: DNSResponder
        let points: Set<EntryPoint>

        init(_ modes: [String] = [], environment: [String: String] = [:]) throws {
            let etc = try EtcDirectory(resolvConf: "nameserver 127.0.0.2\n")
            asker = try AskingVictim(.ares, .host, modes, environment: environment, etc: etc)
            responder = try DNSResponder(.answer, at: ["127.0.0.2"], besides: asker.id)
            points = try Scene.points(of: asker.id)
        }

        static func points(of process: ProcessID) throws -> Set<EntryPoint> {
            let target = try TargetProcess(process)
            let sites = Resolver.find(in: target).flatMap { resolver -> [LookupSite] in
                if case .channels(let channels) = resolver { channels.lookupSites } else { [] }
            }
            try #require(!sites.isEmpty)
            return Set(sites.map { EntryPoint(path: $0.path, offset: $0.offset) })
        }
    }

    /// What comes by within a time, of those that are asked for.
    private func hits(_ watch: EntryWatch, of processes: [ProcessID], within seconds: Double = 5) -> [EntryHit] {
        var found: [EntryHit] = []
        _ = eventually(within: seconds) {
            found += watch.wait(milliseconds: 50).filter { processes.contains($0.process) }
            return Set(found.map(\.process)).count == processes.count
        }
        return found
    }

    @Test("a hit tells the process, the thread, the time and the first argument")
    func hit() throws {
        let scene = try Scene(["threads", "1"])
        let watch = try EntryWatch(scene.points)
        #expect(hits(watch, of: [scene.asker.id], within: 0.3).isEmpty)
        for side in 0...1 {
            let before = Deadline.now
            #expect(try scene.asker.lookup("side\(side).example", side: side).isAnswered)
            // The other side may still be at the end of its own.
            let thread = scene.asker.threads[side]
            var found: [EntryHit] = []
            let isSeen = eventually(within: 5) {
                found += watch.wait(milliseconds: 50).filter { $0.thread.rawValue == thread }
                return !found.isEmpty
            }
            let after = Deadline.now
            #expect(isSeen)
            let object = try scene.asker.object(side: side)
            for hit in found {
                #expect(hit.process == scene.asker.id)
                #expect("0x\(String(hit.arguments.first ?? 0, radix: 16))" == object)
                #expect((before...after).contains(Double(hit.time) / 1e9))
                #expect(scene.points.contains(hit.point))
            }
        }
        try scene.asker.victim.end()
    }

    @Test("one watch sees every process that maps the file")
    func twoProcesses() throws {
        let first = try Scene()
        let second = try Scene()
        let watch = try EntryWatch(first.points)
        #expect(try first.asker.lookup("one.example").isAnswered)
        #expect(try second.asker.lookup("two.example").isAnswered)
        let found = hits(watch, of: [first.asker.id, second.asker.id])
        #expect(Set(found.map(\.process)) == [first.asker.id, second.asker.id])
        let other = found.first { $0.process == second.asker.id }
        #expect("0x\(String(other?.arguments.first ?? 0, radix: 16))" == (try second.asker.object()))
    }

    @Test("only the threads that are named are watched where they are fewer than CPUs")
    func namedThreads() throws {
        let scene = try Scene(["threads", "1"])
        try #require(sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1)
        let watch = try EntryWatch(scene.points, of: [ThreadID(scene.asker.threads[1])])
        #expect(try scene.asker.lookup("zero.example").isAnswered)
        #expect(hits(watch, of: [scene.asker.id], within: 0.3).isEmpty)
        #expect(try scene.asker.lookup("one.example", side: 1).isAnswered)
        let found = hits(watch, of: [scene.asker.id])
        #expect(Set(found.map(\.thread.rawValue)) == [scene.asker.threads[1]])
        // One that has ended spoils nothing.
        let other = try EntryWatch(scene.points, of: [ThreadID(Int32.max - 1)])
        #expect(other.wait(milliseconds: 1).isEmpty)
    }

    @Test("a file that was deleted is reached through the process's mapping")
    func deletedFile() throws {
        let directory = try TemporaryDirectory()
        let other = try Scene()
        let original = try #require(
            MemoryMap(of: other.asker.id).regions.first { $0.name.contains("/libcares.so") }?.name)
        let copy = try directory.copy(original, as: "libcares.so.2")
        let scene = try Scene(environment: ["LD_LIBRARY_PATH": directory.path])
        #expect(unlink(copy) == 0)
        #expect(try MemoryMap(of: scene.asker.id).regions.contains { $0.name.hasPrefix(copy) })
        let watch = try EntryWatch(try Scene.points(of: scene.asker.id))
        #expect(try scene.asker.lookup("one.example").isAnswered)
        #expect(!hits(watch, of: [scene.asker.id]).isEmpty)
        try scene.asker.victim.end()
    }

    @Test("nobody is stopped, and nothing is left in the code")
    func nothingBehind() throws {
        let scene = try Scene()
        do {
            let watch = try EntryWatch(scene.points)
            #expect(try scene.asker.lookup("one.example").isAnswered)
            #expect(!hits(watch, of: [scene.asker.id]).isEmpty)
            // The instrument works: a breakpoint of the kernel's is there.
            #expect(try !changedCode(of: scene.asker.id).isEmpty)
            #expect(try isLeftAlone(scene.asker.id))
        }
        #expect(try eventually(within: 10) { try changedCode(of: scene.asker.id) == [] })
        #expect(try scene.asker.lookup("two.example").isAnswered)
        #expect(scene.asker.victim.reportedStops == 0)
        try scene.asker.victim.end()
    }

    @Test("a watch is handed over to a process that ends it")
    func leave() throws {
        let scene = try Scene()
        let watch = try EntryWatch(scene.points)
        watch.leave(to: ("/bin/true", []))
        #expect(try eventually(within: 20) { try changedCode(of: scene.asker.id) == [] })
        #expect(try scene.asker.lookup("one.example").isAnswered)
        try scene.asker.victim.end()
    }
}
