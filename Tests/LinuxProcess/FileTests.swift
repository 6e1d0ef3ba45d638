import Glibc
import Testing

@testable import LinuxProcess

@Suite("Files of /proc")
struct FileTests {
    @Test("a file that says nothing of its size is read whole")
    func wholeFile() throws {
        // The kernel gives it a page or so at a time.
        let bytes = try readFile("/proc/self/maps")
        #expect(bytes.count > 4096)
        #expect(bytes.last == UInt8(ascii: "\n"))
        #expect(try readText("/proc/self/comm") == ProcessID.own.name() + "\n")
    }

    @Test("reading stops near its limit")
    func limit() throws {
        let bytes = try OwnedDescriptor(opening: "/dev/zero").readToEnd(limit: 100_000)
        #expect(bytes.count >= 100_000 && bytes.count < 200_000)
    }

    @Test("a failure names the file and the reason")
    func failure() {
        let error = #expect(throws: SystemError.self) { try readFile("/nonesuch/file") }
        #expect(error?.description == "read /nonesuch/file: No such file or directory")
        #expect(error?.isGone == true)
        #expect(throws: SystemError.self) { try readFile("/proc") }
        #expect(throws: SystemError.self) { try readLink("/proc") }
        #expect(throws: SystemError.self) { try directoryEntries("/proc/self/stat") }
    }

    @Test("a link says where it leads, and a directory what is in it")
    func linkAndDirectory() throws {
        #expect(try readLink("/proc/self") == String(getpid()))
        let names = try directoryEntries("/proc/self")
        #expect(names.contains("stat"))
        #expect(!names.contains(".") && !names.contains(".."))
    }

    @Test(
        "errors say what they mean",
        arguments: [
            (ESRCH, true, false), (ENOENT, true, false), (ECHILD, true, false), (EPERM, false, true),
            (EACCES, false, true),
            (EIO, false, false),
        ])
    func errors(code: Int32, isGone: Bool, isDenied: Bool) {
        let error = SystemError("x", code: code)
        #expect(error.isGone == isGone)
        #expect(error.isDenied == isDenied)
        #expect(error.description.hasPrefix("x: "))
    }

    @Test("a shim's negative result becomes the error it stands for")
    func check() throws {
        #expect(try SystemError.check("x", 3) == 3)
        #expect(throws: SystemError("x", code: EINVAL)) { try SystemError.check("x", -EINVAL) }
    }
}

@Suite("RootDirectory")
struct RootDirectoryTests {
    @Test("in our own root a file is what it is")
    func ownRoot() throws {
        let root = try RootDirectory(of: .own)
        #expect(try root.read("/proc/version") == readFile("/proc/version"))
        #expect(throws: SystemError.self) { try root.read("/nonesuch") }
        #expect(try root.canRead("/proc/version", as: .own))
        #expect(try !root.canRead("/nonesuch", as: .own))
    }

    @Test("a fifo is not waited for")
    func fifo() throws {
        let tree = try Tree()
        try #require(mkfifo("\(tree.path)/fifo", 0o600) == 0)
        #expect(try RootDirectory(of: .own).read("\(tree.path)/fifo").isEmpty)
    }

    @Test(
        "a process's own root is used, and no link leads out of it",
        .enabled(if: geteuid() == 0 && access("/usr/bin/perl", X_OK) == 0))
    func otherRoot() throws {
        let tree = try Tree()
        try tree.write("inside", to: "etc/target")
        try #require(symlink("/etc/target", "\(tree.path)/etc/absolute") == 0)
        try #require(symlink("../../../../../../etc/target", "\(tree.path)/etc/climbing") == 0)
        // There outside of the tree, and not inside.
        try #require(symlink("/proc/version", "\(tree.path)/etc/outside") == 0)

        let script = "chroot($ARGV[0]) or die; chdir('/'); syswrite(STDOUT, '.'); sysread(STDIN, $_, 1)"
        let child = try ChildProcess("/usr/bin/perl", ["-e", script, tree.path])
        var byte: UInt8 = 0
        try #require(Glibc.read(child.output.rawValue, &byte, 1) == 1)

        let root = try RootDirectory(of: child.id)
        for name in ["target", "absolute", "climbing"] {
            #expect(try root.read("/etc/\(name)") == Array("inside".utf8), "\(name)")
        }
        let error = #expect(throws: SystemError.self) { try root.read("/etc/outside") }
        #expect(error?.code == ENOENT)
        #expect(try root.canRead("/etc/absolute", as: child.id))
        #expect(try !root.canRead("/etc/outside", as: child.id))
    }

    /// A small directory tree that goes away with its owner.
    private final class Tree {
        let path: String

        init() throws {
            var template = Array("/tmp/repoint-root-XXXXXX".utf8CString)
            path = String(cString: try #require(mkdtemp(&template)))
            try #require(mkdir("\(path)/etc", 0o755) == 0)
        }

        func write(_ text: String, to name: String) throws {
            let descriptor = OwnedDescriptor(adopting: open("\(path)/\(name)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644))
            try writeAll(Array(text.utf8), to: descriptor.rawValue)
        }

        deinit {
            for directory in ["\(path)/etc", path] {
                for name in (try? directoryEntries(directory)) ?? [] { unlink("\(directory)/\(name)") }
                rmdir(directory)
            }
        }
    }
}

@Suite("ChildProcess")
struct ChildProcessTests {
    @Test("a child is joined to us by two pipes, and is gone when it is let go of")
    func echo() throws {
        let id: ProcessID
        do {
            let child = try ChildProcess("/bin/cat", [])
            id = child.id
            try writeAll(Array("hello".utf8), to: child.input.rawValue)
            var bytes = [UInt8](repeating: 0, count: 5)
            #expect(read(child.output.rawValue, &bytes, 5) == 5)
            #expect(bytes == Array("hello".utf8))
            #expect(try ProcessStat(of: id).parent == .own)
        }
        #expect(throws: SystemError.self) { try ProcessStat(of: id) }
    }

    @Test("arguments are passed as they are")
    func arguments() throws {
        let child = try ChildProcess("/usr/bin/printf", ["%s|", "a b", "", "$HOME"])
        #expect(try String(decoding: child.output.readToEnd(), as: UTF8.self) == "a b||$HOME|")
    }

    @Test("a program that is not there is an error that names it")
    func missing() {
        let error: SystemError?
        do {
            _ = try ChildProcess("/nonesuch", [])
            error = nil
        } catch {
            #expect(error.code == ENOENT)
            #expect(error.description.contains("/nonesuch"))
            return
        }
        Issue.record("it started: \(String(describing: error))")
    }
}
