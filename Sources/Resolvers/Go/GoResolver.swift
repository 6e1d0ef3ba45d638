import ELFImage
import LinuxProcess
import ResolvConf

/// The resolver that a Go program brings along (package net). It looks at resolv.conf at a lookup if five seconds have passed since
/// it did, and reads it again where its time has changed (net/dnsclient_unix.go, `tryUpdate`). Its state is not read.
public struct GoResolver: Sendable {
    public let path: String
    /// The release of Go, such as `1.19.8`.
    public let version: String?

    /// Of a Go program, by the build id of its linker, in whatever way it is linked.
    public init?(in images: ImageCatalog) {
        guard let program = images.program, program.has(.goBuildID, memory: images.memory) else { return nil }
        path = program.path
        version = GoResolver.version(of: program, images.memory)
    }

    init(path: String, version: String?) {
        self.path = path
        self.version = version
    }

    /// - Parameter file: the process's resolv.conf as it is now.
    public func diagnose(file: ResolvConf) -> Diagnosis {
        guard file.options.contains("no-reload"), obeysNoReload else {
            return Diagnosis(
                .following, "Go's own resolver reads the file again by itself, five seconds after its last look at most"
            )
        }
        return Diagnosis(.opaque, "its file says no-reload, which this Go obeys: what it has once read cannot be seen")
    }

    /// From Go 1.20 on the option switches the reload off.
    private var obeysNoReload: Bool {
        guard let version else { return true }
        let numbers = version.split(separator: ".").prefix(2).compactMap { Int($0.prefix { $0.isNumber }) }
        return numbers.count < 2 || (numbers[0], numbers[1]) >= (1, 20)
    }

    // MARK: The release

    /// What begins the section .go.buildinfo (Go's debug/buildinfo).
    private static let magic: [UInt8] = [0xff] + Array(" Go buildinf:".utf8)
    private static let alignment = 16
    /// The linker puts it first into the data; another linker puts some sections before it.
    private static let searched = 64 << 10
    private static let headerSize = 32

    /// Go's own linker made the program, without a C library: it puts the section at the very start of the data.
    static func isAllOf(_ program: LoadedModule, _ memory: ProcessMemory) -> Bool {
        guard !program.hasInterpreter, let start = program.writableRanges.first?.lowerBound else { return false }
        return (try? memory.read(start, count: magic.count)) == magic
    }

    private static func version(of program: LoadedModule, _ memory: ProcessMemory) -> String? {
        for range in program.writableRanges {
            guard let bytes = try? memory.readUpTo(range.lowerBound, count: min(range.count, searched)) else {
                continue
            }
            for start in stride(from: 0, to: bytes.count - headerSize, by: alignment)
            where bytes[start] == magic[0] && bytes[start...].starts(with: magic) {
                return version(inBuildInformation: bytes[start...])
            }
        }
        return nil
    }

    /// From Go 1.18 on the text follows the header, after its length in one byte; bit 1 of the flags says so.
    static func version(inBuildInformation bytes: ArraySlice<UInt8>) -> String? {
        let start = bytes.startIndex
        guard bytes.count > headerSize, bytes[start + 15] & 2 != 0 else { return nil }
        let length = Int(bytes[start + headerSize])
        guard length < 64, bytes.count > headerSize + length else { return nil }
        let text = String(decoding: bytes[start + headerSize + 1..<start + headerSize + 1 + length], as: UTF8.self)
        return text.hasPrefix("go") ? text.dropFirst(2).split(separator: " ").first.map(String.init) : nil
    }
}
