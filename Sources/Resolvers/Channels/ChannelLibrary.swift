import ELFImage
import LinuxProcess
import Tracing

/// A library that resolves names through objects its users make: the channels of c-ares, the bases of libevent's evdns.
///
/// Such an object reads resolv.conf when it is made, and no symbol names it. What is here called a channel is either.
public protocol ChannelLibrary: Sendable {
    /// The library in the words of the interface: `c-ares`, `evdns`.
    static var name: String { get }
    /// What it calls its objects.
    static var noun: String { get }
    /// Exported functions whose first argument is the object, and which are called in the course of every lookup.
    static var entryPoints: [String] { get }
    /// What of libevent may be on the stack of a thread that is to change an object.
    static var eventLoop: SafePoint.EventLoopRule { get }
    /// The thread's wait is to end after a change, so that its loop learns of new timers.
    static var endsWait: Bool { get }

    /// The calls make the process read the file itself, all of it: the search list and the options as well.
    static var readsFile: Bool { get }
    /// Its servers stand in the order of the file.
    static var keepsOrder: Bool { get }

    var module: LoadedModule { get }
    /// Such as `1.18.1`; nil where it does not tell.
    var version: String? { get }
    /// The addresses of those entry points that this release has.
    var entries: [UInt64] { get }
    /// Why its objects cannot be read; nil where they can.
    var unreadable: OpaqueReason? { get }
    /// What is not found to be an object is none: how this release lays them out has been seen in running programs.
    var isTried: Bool { get }
    /// Several threads may use one object of this release at the same time.
    var isThreadSafe: Bool { get }

    /// A function of the library by which its code is entered, where that cannot be told by the file it is in.
    func isInside(_ frame: StackFrame) -> Bool

    /// Reads an object, and sees whether it is one.
    func read(_ address: UInt64, memory: ProcessMemory) throws -> ChannelReading
    /// Whether an object may begin at an offset of some memory. Quick, and wrong now and then: ``read(_:memory:)`` decides.
    func mayBegin(at offset: Int, of memory: UnsafeRawBufferPointer) -> Bool

    /// The calls that give an object the servers of a resolv.conf.
    func reconfiguration(of address: UInt64, to wanted: WantedServers) throws(CallRefusal) -> [FunctionCall]
    /// Why an object must not be changed now, while its thread sleeps in this system call: what is waited for; nil where it may.
    ///
    /// - Throws: where it never may.
    func hindrance(_ now: ChannelReading?, interrupting systemCall: Int) throws(CallRefusal) -> String?
    /// What the results of those calls mean.
    func verdict(on results: [UInt64]) -> ChannelVerdict
    /// Takes back what the calls mark in the object besides the servers. The thread is held.
    func tidy(_ address: UInt64, as before: ChannelReading?, memory: ProcessMemory) throws
    /// What the calls leave behind that somebody should know of.
    func lastingEffect(as before: ChannelReading?) -> String?
}

/// What a resolv.conf asks of a channel.
public struct WantedServers: Sendable, Equatable {
    /// The file, as the process names it.
    public let path: String
    public let servers: [SocketEndpoint]
    /// nil where it cannot be known.
    public let search: [String]?

    public init(path: String, servers: [SocketEndpoint], search: [String]?) {
        self.path = path
        self.servers = servers
        self.search = search
    }
}

/// What was read of a channel.
public struct ChannelReading: Sendable, Equatable {
    public var configuration: ResolverConfiguration
    /// The application set the servers itself.
    public var hasOwnServers = false
    /// The servers are not those that the channel was made with, and nothing tells who set them.
    public var mayHaveOwnServers = false
    /// The application set the search list itself.
    public var hasOwnSearch = false
    /// The library looks after the file by itself, in a thread of its own.
    public var watchesFile = false
    /// The file it was told to read; nil for the system's.
    public var resolvConfPath: String?
    /// Queries under way; nil where they cannot be counted.
    public var pendingQueries: Int?

    public init(_ configuration: ResolverConfiguration) {
        self.configuration = configuration
    }

    /// Nothing was set in between; queries may have come and gone.
    func isSame(as other: ChannelReading) -> Bool {
        var other = other
        other.pendingQueries = pendingQueries
        return self == other
    }
}

/// What came of the calls.
public enum ChannelVerdict: Sendable, Equatable {
    case done
    /// Not at this moment, and why.
    case notNow(String)
    case failed(String)
}

/// A channel that is known of: by a lookup that was seen, or found in the process's memory.
public struct Channel: Hashable, Sendable, Codable {
    /// The library's name in the words of the interface.
    public let library: String
    public let address: UInt64
    /// The threads that were seen to use it, the last one first; empty where it was only found.
    public let threads: [Int32]
    /// It has got what it was to get in this run, while others of its process wait.
    public var isDone = false

    public init(library: String, address: UInt64, threads: [Int32]) {
        self.library = library
        self.address = address
        self.threads = threads
    }

    /// The address as it is printed.
    public var name: String { "0x\(String(address, radix: 16))" }
}

extension ChannelLibrary {
    /// The same servers, in the same order where it counts.
    func isSame(_ have: [SocketEndpoint], _ want: [SocketEndpoint]) -> Bool {
        Self.keepsOrder ? have == want : Set(have) == Set(want)
    }

    /// Judges a channel. Pure: the same values always give the same verdict.
    func judge(_ reading: ChannelReading, wanted: WantedServers) -> Diagnosis {
        let servers = reading.configuration.nameservers.map(\.description).joined(separator: ", ")
        var differences: [String] = []
        if !isSame(reading.configuration.nameservers, wanted.servers) { differences.append("its servers") }
        if let search = wanted.search, !reading.hasOwnSearch, search != reading.configuration.search {
            differences.append("its search list")
        }
        guard !differences.isEmpty else {
            return Diagnosis(.current, "this \(Self.noun) asks \(servers), as \(wanted.path) says")
        }
        let differs = "differs from \(wanted.path) in \(differences.joined(separator: " and "))"
        if reading.watchesFile {
            return Diagnosis(.following, "\(differs); \(Self.name) watches the file in a thread of its own")
        }
        if reading.hasOwnServers {
            return Diagnosis(
                pinned: .ownServers, "\(differs): the application set the servers of this \(Self.noun) itself")
        }
        if reading.mayHaveOwnServers {
            return Diagnosis(
                pinned: .ownServers,
                "\(differs): its servers were set after it was made, or each was asked over TCP; which of the two, nothing tells"
            )
        }
        return Diagnosis(
            pinned: .channel,
            "\(differs): a \(Self.noun) of \(Self.name) reads the file when it is made and never again")
    }
}
