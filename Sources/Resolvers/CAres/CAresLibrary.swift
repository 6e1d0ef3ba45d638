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
    public static let entryPoints = [
        "ares_gethostbyname", "ares_gethostbyaddr", "ares_getaddrinfo", "ares_getnameinfo", "ares_search", "ares_query",
        "ares_send", "ares_query_dnsrec", "ares_search_dnsrec", "ares_send_dnsrec", "ares_timeout", "ares_process",
        "ares_process_fd", "ares_process_fds", "ares_fds", "ares_getsock",
    ]

    public let module: LoadedModule
    public let version: String
    public let entries: [UInt64]
    private let release: CAresRelease
    private let setServers: UInt64?

    /// Every c-ares that a process has mapped as a shared library.
    static func all(in images: ImageCatalog) -> [any ChannelLibrary] {
        images.list.modules.filter { $0.name.hasPrefix("libcares") }.compactMap { CAresLibrary($0, images: images) }
    }

    private init?(_ module: LoadedModule, images: ImageCatalog) {
        guard let image = try? images.image(of: module), let function = image.definition(of: "ares_version") else {
            return nil
        }
        let code = try? images.memory.readUpTo(function.value, count: 32)
        release = code.flatMap(CAresRelease.init(versionFunction:)) ?? CAresRelease(major: 0, minor: 0, patch: 0)
        self.module = module
        version = release.description
        entries = CAresLibrary.addresses(of: CAresLibrary.entryPoints, in: image)
        setServers = image.definition(of: "ares_set_servers_ports_csv")?.value
    }

    private var layout: CAresLayout? { CAresLayout(of: release) }

    public var unreadable: OpaqueReason? {
        layout == nil ? OpaqueReason("how c-ares \(version) lays out its channels is not known") : nil
    }

    public var isTried: Bool { layout?.isTried ?? false }

    /// Every public function locks its channel since 1.23 or so, where the library is built with threads as it is by default.
    public var isThreadSafe: Bool { release >= CAresRelease(major: 1, minor: 26, patch: 0) }

    public func read(_ address: UInt64, memory: ProcessMemory) throws -> ChannelReading {
        guard let layout else { throw OpaqueReason("its layout is not known") }
        return try layout.read(address, memory: memory)
    }

    public func mayBegin(at offset: Int, of memory: UnsafeRawBufferPointer) -> Bool {
        layout?.mayBegin(at: offset, of: memory) ?? false
    }

    // MARK: Changing a channel

    /// Before 1.15 it asserted, or used freed memory, when servers were set with queries under way.
    private static let firstSafe = CAresRelease(major: 1, minor: 15, patch: 0)

    public func reconfiguration(of address: UInt64, to wanted: WantedServers) throws(CallRefusal) -> [FunctionCall] {
        guard release >= CAresLibrary.firstSafe else {
            throw CallRefusal(
                "c-ares \(version) may crash when its servers are set with queries under way (before 1.15): restart it")
        }
        guard let setServers else { throw CallRefusal("this c-ares has no ares_set_servers_ports_csv") }
        let takesScopes = release >= CAresRelease(major: 1, minor: 34, patch: 0)
        let words = wanted.servers.map { server -> String? in
            guard server.address.scope == 0 || takesScopes else { return nil }
            // Without a port, as the file has it: the channel's own counts, and nothing marks the server as an application's.
            if server.port == 53 { return server.address.description }
            return server.description
        }
        guard !words.contains(nil) else {
            throw CallRefusal("c-ares \(version) takes no link-local server: restart it, or name the server otherwise")
        }
        let text = words.compactMap { $0 }.joined(separator: ",")
        return [FunctionCall(setServers, .value(address), .text(text))]
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
        guard let layout, let before, !before.hasOwnServers else { return }
        try layout.clearOwnServers(address, memory: memory)
    }

    public func lastingEffect(as before: ChannelReading?) -> String? {
        guard before == nil, release >= CAresRelease(major: 1, minor: 22, patch: 0) else { return nil }
        return
            "the channel now counts its servers as set by the application: ares_reinit will not read the file for them"
    }
}

/// A release of c-ares.
struct CAresRelease: Comparable, CustomStringConvertible {
    let major: Int
    let minor: Int
    let patch: Int

    var description: String { major == 0 ? "?" : "\(major).\(minor).\(patch)" }

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
