import ELFImage
import LinuxProcess

/// Looks for a library's objects in the memory of a process, without stopping it.
///
/// An object counts as found where its layout is known and all of it makes sense. That is enough to show it; what is to be changed
/// must have been seen in use.
struct ChannelSearch<Library: ChannelLibrary> {
    let library: Library
    let images: ImageCatalog

    enum Result: Equatable {
        case found([UInt64])
        /// There is too much memory to look through.
        case tooLarge
    }

    /// More is not looked through, in bytes: a second or so.
    private static var limit: Int { 1 << 30 }
    private static var step: Int { 1 << 20 }
    /// What is looked at for the beginning of an object.
    private static var overlap: Int { 512 }

    func run() -> Result {
        let regions = images.map.regions.filter {
            $0.isWritable && $0.isReadable && !$0.isShared && ($0.file == nil) && !$0.name.hasPrefix("[stack")
        }
        guard regions.reduce(0, { $0 + $1.range.count }) <= Self.limit else { return .tooLarge }
        return .found(regions.flatMap { search($0.range) })
    }

    private func search(_ range: Range<UInt64>) -> [UInt64] {
        var found: [UInt64] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let count = min(UInt64(Self.step + Self.overlap), range.upperBound - start)
            // Memory that was never touched is read as zeros, page by page; a region that has gone ends here.
            guard let bytes = try? images.memory.readUpTo(start, count: Int(count)), !bytes.isEmpty else { break }
            let candidates = bytes.withUnsafeBytes { memory in
                stride(from: 0, to: min(Self.step, memory.count), by: 8).filter { library.mayBegin(at: $0, of: memory) }
            }
            for offset in candidates where (try? library.read(start + UInt64(offset), memory: images.memory)) != nil {
                found.append(start + UInt64(offset))
            }
            start += UInt64(Self.step)
        }
        return found
    }
}
