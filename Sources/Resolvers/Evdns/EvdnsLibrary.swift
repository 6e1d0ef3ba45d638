import ELFImage
import LinuxProcess
import ResolvConf
import Tracing

/// libevent's evdns as it lies in one process. Its objects are bases (`struct evdns_base`).
public struct EvdnsLibrary: ChannelLibrary {
    public static let name = "evdns"
    public static let noun = "base"
    /// It shares a library with the event loop, which waits on every such stack.
    public static let eventLoop = SafePoint.EventLoopRule.onlyWaiting
    /// Requests under way are sent again, with timers that the loop must learn of. libevent takes an early end for nothing special.
    public static let endsWait = true
    public static let readsFile = true
    public static let keepsOrder = false
    public static let entryPoints = [
        "evdns_base_resolve_ipv4", "evdns_base_resolve_ipv6", "evdns_base_resolve_reverse",
        "evdns_base_resolve_reverse_ipv6", "evdns_getaddrinfo",
    ]

    public let module: LoadedModule
    public let version: String?
    public let entries: [UInt64]
    private let functions: Functions?

    private struct Functions {
        let clear: UInt64
        let clearSearch: UInt64
        let parse: UInt64
        let resume: UInt64

        init?(_ module: LoadedModule, _ images: ImageCatalog) {
            guard let clear = images.definition(of: "evdns_base_clear_nameservers_and_suspend", in: module),
                let clearSearch = images.definition(of: "evdns_base_search_clear", in: module),
                let parse = images.definition(of: "evdns_base_resolv_conf_parse", in: module),
                let resume = images.definition(of: "evdns_base_resume", in: module)
            else { return nil }
            self.clear = clear
            self.clearSearch = clearSearch
            self.parse = parse
            self.resume = resume
        }
    }

    /// Every evdns that a process has mapped as a shared library: in libevent itself, or in libevent_extra.
    static func all(in images: ImageCatalog) -> [any ChannelLibrary] {
        let modules = images.list.modules.filter { LibraryKind(name: $0.name) == .libevent }
        return modules.compactMap { EvdnsLibrary($0, beside: modules, images: images) }
    }

    private init?(_ module: LoadedModule, beside modules: [LoadedModule], images: ImageCatalog) {
        guard images.definition(of: "evdns_base_new", in: module) != nil else { return nil }
        self.module = module
        entries = EvdnsLibrary.entryPoints.compactMap { images.definition(of: $0, in: module) }
        functions = Functions(module, images)
        // libevent_extra leaves the version to libevent_core.
        version = ([module] + modules).lazy.compactMap { EvdnsLibrary.version(of: $0, images) }.first
    }

    /// What `event_get_version` returns, such as `2.1.12-stable`.
    private static func version(of module: LoadedModule, _ images: ImageCatalog) -> String? {
        guard let function = images.definition(of: "event_get_version", in: module),
            let code = try? images.memory.readUpTo(function, count: 16),
            let text = GlibcMachineCode.returnedAddress(code, at: function),
            let version = try? images.memory.readString(text, limit: 32), version.first?.isNumber == true
        else { return nil }
        return String(version.prefix { $0.isNumber || $0 == "." })
    }

    public var unreadable: OpaqueReason? {
        guard version?.hasPrefix("2.1.") != true else { return nil }
        return OpaqueReason("how evdns of libevent \(version ?? "") lays out its bases is not known")
    }

    public func isInside(_ frame: StackFrame) -> Bool { false }

    public var isTried: Bool { version == "2.1.12" || version == "2.1.13" }

    /// Only where the application called evthread_use_pthreads, which the base tells; a loop runs in one thread in any case.
    public var isThreadSafe: Bool { false }

    public func read(_ address: UInt64, memory: ProcessMemory) throws -> ChannelReading {
        try EvdnsLayout.read(address, memory: memory)
    }

    public func mayBegin(at offset: Int, of memory: UnsafeRawBufferPointer) -> Bool {
        EvdnsLayout.mayBegin(at: offset, of: memory)
    }

    // MARK: Changing a base

    /// DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC of <event2/dns.h>; not the hosts file, whose entries would be
    /// there twice.
    private static let parseOptions: UInt64 = 1 | 2 | 4

    public func reconfiguration(of address: UInt64, to wanted: WantedServers) throws(CallRefusal) -> [FunctionCall] {
        guard let functions else { throw CallRefusal("this libevent has not all of evdns's functions") }
        return [
            FunctionCall(functions.clear, .value(address)),
            FunctionCall(functions.clearSearch, .value(address)),
            FunctionCall(
                functions.parse, .value(address), .value(EvdnsLibrary.parseOptions), .text(wanted.path)),
            FunctionCall(functions.resume, .value(address)),
        ]
    }

    private static let parseErrors: [Int32: String] = [
        1: "it failed to open the file", 2: "it failed to stat the file", 3: "the file is too large",
        4: "it ran out of memory", 5: "it read less than the file has",
    ]
    /// The file names no server: the loopback address was taken instead, as every resolver does.
    private static let noNameserver: Int32 = 6

    public func verdict(on results: [UInt64]) -> ChannelVerdict {
        guard results.count == 4 else { return .done }
        let parsed = Int32(truncatingIfNeeded: results[2])
        guard parsed != 0, parsed != EvdnsLibrary.noNameserver else { return .done }
        let text = EvdnsLibrary.parseErrors[parsed].map { ": \($0)" } ?? ""
        return .failed("evdns_base_resolv_conf_parse returned \(parsed)\(text)")
    }

    public func hindrance(_ now: ChannelReading?, interrupting systemCall: Int) throws(CallRefusal) -> String? {
        // Its sockets are in the loop all the time, and select fails for one that was closed, which ends libevent's loop.
        guard Native.systemCalls.polls.contains(systemCall) else { return nil }
        throw CallRefusal("its event loop waits in poll or select, and the base's sockets would be closed under it")
    }

    public func tidy(_ address: UInt64, as before: ChannelReading?, memory: ProcessMemory) throws {}

    public func lastingEffect(as before: ChannelReading?) -> String? { nil }
}
