import Glibc
import Testing

@testable import LinuxProcess

@Suite("ProcessID")
struct ProcessIDTests {
    @Test("we are among all processes, which come in ascending order")
    func all() throws {
        let all = try ProcessID.all()
        #expect(all.contains(.own))
        #expect(all.contains(ProcessID(1)))
        #expect(all.map(\.rawValue) == all.map(\.rawValue).sorted())
    }

    @Test("our threads come in ascending order, the leader first, and one more is seen when it has started")
    func threads() throws {
        let threads = try ProcessID.own.threads()
        #expect(threads.first == ProcessID.own.leader)
        #expect(threads == threads.sorted())

        // The thread tells its id through one pipe and lives until the other is closed.
        let told = try Ends()
        let held = try Ends()
        let context = Context(tell: told.write, hold: held.read)
        var handle = pthread_t()
        let started = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                let context = Unmanaged<Context>.fromOpaque(argument).takeUnretainedValue()
                var id = Int32((try? readLink("/proc/thread-self"))?.split(separator: "/").last ?? "") ?? 0
                write(context.tell, &id, 4)
                var byte: UInt8 = 0
                read(context.hold, &byte, 1)
                return nil
            }, Unmanaged.passUnretained(context).toOpaque())
        try #require(started == 0)
        var id: Int32 = 0
        #expect(read(told.read, &id, 4) == 4)
        #expect(try ProcessID.own.threads().contains(ThreadID(id)))
        #expect(try ProcessStat(of: ThreadID(id), in: .own).parent == ProcessID(getppid()))
        #expect(write(held.write, "x", 1) == 1)
        pthread_join(handle, nil)
        withExtendedLifetime(context) {}
        #expect(throws: SystemError.self) { try ProcessStat(of: ThreadID(id), in: .own) }
    }

    @Test("our name, program, word length and environment are read")
    func ourselves() throws {
        #expect(try ProcessID.own.name() == ProcessStat(of: .own).name)
        #expect(try ProcessID.own.executable().hasPrefix("/"))
        #expect(try ProcessID.own.is64Bit() == true)
        #expect(try ProcessID.own.environment()["PATH"] == getenv("PATH").map { String(cString: $0) })
    }

    @Test("a process that does not exist is gone, whatever is asked")
    func gone() {
        let nobody = ProcessID(4_194_305)
        for ask: () throws -> Void in [
            { _ = try nobody.threads() }, { _ = try nobody.executable() }, { _ = try nobody.name() },
            { _ = try nobody.environment() }, { _ = try nobody.is64Bit() }, { _ = try nobody.socketInodes() },
            { _ = try nobody.namespace(.mount) }, { _ = try MemoryMap(of: nobody) },
        ] {
            let error = #expect(throws: SystemError.self) { try ask() }
            #expect(error?.isGone == true)
        }
    }

    @Test("our namespaces have names, and we share them with ourselves", arguments: NamespaceKind.allCases)
    func namespaces(kind: NamespaceKind) throws {
        #expect(try ProcessID.own.namespace(kind).hasPrefix("\(kind.rawValue):["))
        #expect(try ProcessID(getpid()).namespace(kind) == readLink("/proc/self/ns/\(kind.rawValue)"))
    }

    private final class Context {
        let tell: Int32
        let hold: Int32

        init(tell: Int32, hold: Int32) {
            self.tell = tell
            self.hold = hold
        }
    }

    /// A pipe.
    private struct Ends: ~Copyable {
        let read: Int32
        let write: Int32

        init() throws {
            var ends: [Int32] = [-1, -1]
            try #require(pipe(&ends) == 0)
            read = ends[0]
            write = ends[1]
        }

        deinit {
            close(read)
            close(write)
        }
    }
}
