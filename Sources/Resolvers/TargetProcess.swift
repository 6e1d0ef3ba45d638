import ELFImage
import Glibc
import LinuxProcess
import ResolvConf
import Tracing

/// A process under examination: everything its resolvers are judged by, read once. For one thread's use.
public final class TargetProcess {
    public let id: ProcessID
    /// Its PID in its own PID namespace, where that is not ours.
    public let innerID: Int32?
    public let name: String
    public let executable: String
    public let startTime: UInt64
    public let stackStart: UInt64
    public let images: ImageCatalog
    public let unwinder: Unwinder
    /// The process's own /etc/resolv.conf: in its root directory and mount namespace.
    public let file: Result<ResolvConf, SystemError>
    public let expected: EffectiveConfiguration

    public static let resolvConfPath = "/etc/resolv.conf"

    /// - Parameter cache: what is known of images from other processes.
    /// - Throws: ``TargetError`` where it is not a process to work on.
    public init(_ id: ProcessID, cache: ImageCache = ImageCache()) throws(TargetError) {
        let status = try TargetError.check(id)
        let numbers = status.namespacePIDs
        innerID = numbers.count > 1 ? numbers.last : nil
        do {
            let stat = try ProcessStat(of: id)
            self.id = id
            name = stat.name
            startTime = stat.startTime
            stackStart = stat.stackStart
            executable = try id.executable()
            images = try ImageCatalog(of: id, cache: cache)
            unwinder = Unwinder(images)
        } catch {
            throw TargetError(error, process: id)
        }
        file = TargetProcess.readFile(of: id)
        let parsed = (try? file.get()) ?? ResolvConf()
        expected = EffectiveConfiguration(
            parsed, environment: (try? id.environment()) ?? [:], hostDomain: TargetProcess.hostDomain(of: id))
    }

    /// A missing or unreadable file counts as an empty one with every resolver; the report says so.
    private static func readFile(of id: ProcessID) -> Result<ResolvConf, SystemError> {
        do throws(SystemError) {
            let bytes = try RootDirectory(of: id).read(resolvConfPath)
            return .success(ResolvConf(parsing: String(decoding: bytes, as: UTF8.self)))
        } catch {
            return .failure(error)
        }
    }

    /// Another file of the process that has the form of a resolv.conf; nil where it cannot be read.
    func readFile(_ path: String) -> ResolvConf? {
        guard let bytes = try? RootDirectory(of: id).read(path) else { return nil }
        return ResolvConf(parsing: String(decoding: bytes, as: UTF8.self))
    }

    /// Our host name's domain, where the process shares our host name.
    private static func hostDomain(of id: ProcessID) -> String? {
        guard let theirs = try? id.namespace(.hostName), let ours = try? ProcessID.own.namespace(.hostName),
            theirs == ours
        else { return nil }
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count) == 0 else { return nil }
        let text = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return text.firstIndex(of: ".").map { String(text[text.index(after: $0)...]) } ?? ""
    }

    /// The process itself, with its user and group, cannot read the file: its libc would fall back to 127.0.0.1.
    public func canReadFile() -> Bool {
        guard case .success = file else { return false }
        return (try? RootDirectory(of: id).canRead(TargetProcess.resolvConfPath, as: id)) ?? false
    }

    /// It is still the process it was, and has not ended: same PID, same start.
    public var isSame: Bool {
        guard let stat = try? ProcessStat(of: id) else { return false }
        return stat.startTime == startTime && stat.state != .zombie && stat.state != .dead
    }

    /// It has replaced itself by another program (execve(2)) since it was read, or is only just starting: its loader has not come to a
    /// C library yet. Either way what was read of it is not what it is about to be.
    public var isInTransition: Bool {
        guard let stackStart = try? ProcessStat(of: id).stackStart else { return false }
        return stackStart != self.stackStart || isStarting
    }

    /// A program that wants a loader, in which no C library is to be seen.
    var isStarting: Bool {
        images.program?.hasInterpreter == true
            && !images.list.modules.contains { LibraryKind(name: $0.name) == .libc || $0.name.hasPrefix("ld-musl") }
    }
}
