import ELFImage
import LinuxProcess
import ResolvConf
import Tracing

/// A library's channels in one process: how they are read, judged and given other servers. For one thread's use.
public final class ChannelResolver {
    public let library: any ChannelLibrary
    let target: TargetProcess
    /// The C library through which a called function finds back; nil where calls cannot be made.
    let glibc: GlibcLibrary?
    /// No other copy of the library is in the process.
    let isOnlyOne: Bool

    init(_ library: any ChannelLibrary, target: TargetProcess, glibc: GlibcLibrary?, isOnlyOne: Bool) {
        self.isOnlyOne = isOnlyOne
        self.library = library
        self.target = target
        self.glibc = glibc
    }

    public var name: String { type(of: library).name }
    public var noun: String { type(of: library).noun }
    /// Such as `c-ares 1.18.1`.
    public var releaseName: String { [name, library.version].compactMap { $0 }.joined(separator: " ") }

    /// The channels that can be found in the process's memory; nil where they cannot be looked for.
    public func search() -> [UInt64]? {
        guard library.unreadable == nil else { return nil }
        func run(_ library: some ChannelLibrary) -> [UInt64]? {
            switch ChannelSearch(library: library, images: target.images).run() {
            case .found(let addresses): addresses
            case .tooLarge: nil
            }
        }
        return run(library)
    }

    /// What there is to read of a channel, and the verdict.
    public func read(_ channel: Channel) -> (reading: ChannelReading?, diagnosis: Diagnosis) {
        if let unreadable = library.unreadable { return (nil, Diagnosis(.opaque, unreadable.description)) }
        do {
            let reading = try library.read(channel.address, memory: target.images.memory)
            return (reading, library.judge(reading, wanted: wanted(by: reading)))
        } catch {
            return (nil, Diagnosis(.opaque, "this \(noun) is not laid out as \(releaseName) does it: \(error)"))
        }
    }

    /// What the file that a channel reads says now.
    func wanted(by reading: ChannelReading?) -> WantedServers {
        let path = reading?.resolvConfPath ?? TargetProcess.resolvConfPath
        let file = path == TargetProcess.resolvConfPath ? try? target.file.get() : target.readFile(path)
        let servers = (file ?? ResolvConf()).everyNameserver.map { SocketEndpoint(address: $0, port: 53) }
        let search = path == TargetProcess.resolvConfPath ? target.expected.search : file?.search
        return WantedServers(path: path, servers: servers.isEmpty ? ChannelResolver.loopback : servers, search: search)
    }

    /// What a library asks where the file names no server.
    private static let loopback = [IPAddress("127.0.0.1")].compactMap { $0 }
        .map { SocketEndpoint(address: $0, port: 53) }

    /// Where a lookup of this process can be seen: the very file the library is mapped from, by the process's own mapping, so that
    /// a file that was replaced or deleted or lies in another mount namespace is still that file.
    public var lookupSites: [LookupSite] {
        library.entries.compactMap { address in
            guard let region = target.images.map.region(containing: address), region.file != nil else { return nil }
            let bounds = [region.range.lowerBound, region.range.upperBound].map { String($0, radix: 16) }
            return LookupSite(
                library: name, path: "/proc/\(target.id)/map_files/\(bounds.joined(separator: "-"))",
                file: "\(region.file?.device ?? ""):\(region.file?.inode ?? 0)",
                offset: address - region.range.lowerBound + region.offset)
        }
    }
}

/// A function that is called when a name is looked up, by its place in a file.
public struct LookupSite: Hashable, Sendable, Codable {
    public let library: String
    /// Leads to the file as long as the process has it mapped.
    public let path: String
    /// Device and inode: equal for all processes that map the same file.
    public let file: String
    /// In bytes.
    public let offset: UInt64
}
