import ELFImage
import LinuxProcess
import Tracing

/// c-ares as it lies in one process. Its objects are channels (`struct ares_channeldata`).
public struct CAresLibrary: ChannelLibrary {
    public static let name = "c-ares"
    public static let noun = "channel"
    public static let eventLoop = SafePoint.EventLoopRule.anything
    public static let endsWait = false
    public static let readsFile = false
    public static let keepsOrder = true
    /// Few: each costs the kernel some time when it is taken away. What a program looks up goes through one of the first; what comes
    /// back, or does not, through one of the last.
    public static let entryPoints = [
        "ares_gethostbyname", "ares_getaddrinfo", "ares_query", "ares_query_dnsrec", "ares_send", "ares_process",
        "ares_process_fd",
    ]

    public let module: LoadedModule
    public let version: String?
    public let entries: [UInt64]
    /// nil where it does not tell.
    private let release: CAresRelease?
    private let layouts: [CAresLayout]
    private let setServers: UInt64
    /// Its functions, by the beginning of each.
    private let functions: Set<UInt64>

    /// Through which its code is entered besides: what calls back into the application.
    private static let otherFunctions = [
        "ares_gethostbyaddr", "ares_getnameinfo", "ares_search", "ares_search_dnsrec", "ares_send_dnsrec",
        "ares_timeout",
        "ares_process_fds", "ares_fds", "ares_getsock", "ares_cancel", "ares_destroy", "ares_reinit", "ares_init",
        "ares_init_options", "ares_dup", "ares_set_servers",
        "ares_set_servers_ports", "ares_set_servers_csv", setServersName, "ares_queue_wait_empty",
        "ares_process_pending_write",
    ]
    private static let setServersName = "ares_set_servers_ports_csv"

    /// Every c-ares in a process: a shared library, or part of a program or library that exports its functions, as Node does.
    static func all(in images: ImageCatalog) -> [any ChannelLibrary] {
        images.list.modules.compactMap { CAresLibrary($0, images: images) }
    }

    private init?(_ module: LoadedModule, images: ImageCatalog) {
        guard let setServers = images.definition(of: CAresLibrary.setServersName, in: module) else { return nil }
        let code = images.definition(of: "ares_version", in: module)
            .flatMap { try? images.memory.readUpTo($0, count: 32) }
        release = code.flatMap(CAresRelease.init(versionFunction:))
        layouts = release.map { CAresLayout(of: $0).map { [$0] } ?? [] } ?? CAresLayout.all
        self.module = module
        self.setServers = setServers
        version = release?.description
        entries = CAresLibrary.entryPoints.compactMap { images.definition(of: $0, in: module) }
        functions = Set(entries + CAresLibrary.otherFunctions.compactMap { images.definition(of: $0, in: module) })
    }

    public var unreadable: OpaqueReason? {
        layouts.isEmpty ? OpaqueReason("how c-ares \(version ?? "") lays out its channels is not known") : nil
    }

    public func isInside(_ frame: StackFrame) -> Bool {
        // Its own code is entered through one of its functions that have names.
        frame.procedureStart.map(functions.contains) ?? false
    }

    public var isTried: Bool { !layouts.isEmpty && layouts.allSatisfy(\.isTried) }

    /// Every public function locks its channel since 1.23 or so, where the library is built with threads as it is by default.
    public var isThreadSafe: Bool { release.map { $0 >= CAresRelease(major: 1, minor: 26, patch: 0) } ?? false }

    public func read(_ address: UInt64, memory: ProcessMemory) throws -> ChannelReading {
        var problem: any Error = OpaqueReason("its layout is not known")
        for layout in layouts {
            do {
                return try layout.read(address, memory: memory)
            } catch {
                problem = error
            }
        }
        throw problem
    }

    public func mayBegin(at offset: Int, of memory: UnsafeRawBufferPointer) -> Bool {
        layouts.contains { $0.mayBegin(at: offset, of: memory) }
    }

    // MARK: Changing a channel

    /// Before 1.15 it asserted, or used freed memory, when servers were set with queries under way.
    private static let firstSafe = CAresRelease(major: 1, minor: 15, patch: 0)

    public func reconfiguration(of address: UInt64, to wanted: WantedServers) throws(CallRefusal) -> [FunctionCall] {
        if let release, release < CAresLibrary.firstSafe {
            throw CallRefusal(
                "c-ares \(release) may crash when its servers are set with queries under way (before 1.15): restart it")
        }
        if let server = wanted.servers.first(where: { CAresLibrary.isPassedOver($0.address) }) {
            throw CallRefusal(
                "c-ares passes over servers like \(server.address) without a word, in one release or another: "
                    + "name another one, or restart it")
        }
        // Without a port, as the file has it: the channel's own counts, and nothing marks the server as an application's.
        let text = wanted.servers.map { $0.port == 53 ? $0.address.description : $0.description }.joined(separator: ",")
        return [FunctionCall(setServers, .value(address), .text(text))]
    }

    /// Link-local addresses, whose scope 1.34.5 loses and older ones refuse, and site-local ones, which none takes.
    private static func isPassedOver(_ address: IPAddress) -> Bool {
        address.family == .ipv6 && address.bytes[0] == 0xfe && address.bytes[1] & 0x80 == 0x80
    }

    /// From here on servers can be set with queries under way.
    private static let firstMoving = CAresRelease(major: 1, minor: 22, patch: 0)

    public func hindrance(_ now: ChannelReading?, interrupting systemCall: Int) throws(CallRefusal) -> String? {
        // Without queries there are no sockets, or nobody waits for them. Old releases refuse by themselves; epoll forgets a closed
        // socket, and the others fail for it.
        guard let pending = now?.pendingQueries, pending > 0, Native.systemCalls.polls.contains(systemCall),
            release.map({ $0 >= CAresLibrary.firstMoving }) ?? true
        else { return nil }
        return "the end of the channel's queries, whose sockets would be closed under its thread's poll or select"
    }

    /// `enum ares_status_t` of <ares.h>.
    private static let notImplemented: Int32 = 5
    private static let resultNames: [Int32: String] = [
        1: "ARES_ENODATA", 6: "ARES_ECONNREFUSED", 8: "ARES_EBADNAME", 15: "ARES_ENOMEM", 17: "ARES_EBADSTR",
        21: "ARES_ENOTINITIALIZED",
    ]

    public func verdict(on results: [UInt64]) -> ChannelVerdict {
        let result = Int32(truncatingIfNeeded: results.first ?? 0)
        switch result {
        case 0: return .done
        case CAresLibrary.notImplemented: return .notNow("the end of the channel's queries (ARES_ENOTIMP)")
        default:
            let name = CAresLibrary.resultNames[result].map { " (\($0))" } ?? ""
            return .failed("ares_set_servers_ports_csv returned \(result)\(name)")
        }
    }

    public func tidy(_ address: UInt64, as before: ChannelReading?, memory: ProcessMemory) throws {
        guard let layout = layouts.first, let before, !before.hasOwnServers else { return }
        try layout.clearOwnServers(address, memory: memory)
    }

    public func lastingEffect(as before: ChannelReading?) -> String? {
        guard before == nil, release.map({ $0 >= CAresRelease(major: 1, minor: 22, patch: 0) }) ?? true else {
            return nil
        }
        return
            "the channel now counts its servers as set by the application: ares_reinit will not read the file for them"
    }
}

/// A release of c-ares.
struct CAresRelease: Comparable, CustomStringConvertible {
    let major: Int
    let minor: Int
    let patch: Int

    var description: String { "\(major).\(minor).\(patch)" }

    init(major: Int, minor: Int, patch: Int) {
        self.major = major
        self.minor = minor
        self.patch = patch
    }

    /// The number that `ares_version` stores where its argument points: 0x011201 is 1.18.1.
    init?(versionFunction code: [UInt8]) {
        #if arch(x86_64)
            // movl $number,(%rdi)
            guard let start = code.firstIndex(of: [0xc7, 0x07]), let number: UInt32 = code.integer(at: start + 2),
                number >> 16 == 1
            else { return nil }
            self.init(major: Int(number >> 16), minor: Int(number >> 8 & 0xff), patch: Int(number & 0xff))
        #else
            return nil
        #endif
    }

    static func < (left: CAresRelease, right: CAresRelease) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }
}
