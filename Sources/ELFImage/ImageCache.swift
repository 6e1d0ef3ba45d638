import LinuxProcess

/// Contents of images, each parsed once for all processes that map it. For one thread's use.
///
/// One image is taken for another only if they came from the same file and the process's own memory shows the same first page and
/// the same notes, with the linker's fingerprint of the file (build id) among them. A path tells nothing here: an upgraded
/// library has its old path. A device and inode alone tell too little: inodes are given again, and overlayfs shows numbers that
/// several files have.
public final class ImageCache {
    private var contents: [ImageIdentity: ImageContent] = [:]
    private var symbolCount = 0

    /// Beyond so many symbols all are forgotten, which bounds the memory: some 100 bytes each.
    private static let symbolLimit = 100_000

    public init() {}

    /// The content of a module, parsed where it is not known.
    func content(of module: LoadedModule, memory: ProcessMemory) throws -> ImageContent {
        let identity = ImageIdentity(of: module, memory: memory)
        if let identity, let known = contents[identity] { return known }
        let content = try ImageReader(of: module, memory: memory).content()
        guard let identity, content.buildID != nil else { return content }
        if symbolCount + content.symbols.count > ImageCache.symbolLimit {
            contents.removeAll()
            symbolCount = 0
        }
        contents[identity] = content
        symbolCount += content.symbols.count
        return content
    }
}

/// What tells an image from every other.
private struct ImageIdentity: Hashable {
    private let file: FileIdentity
    private let firstPage: [UInt8]
    private let notes: [[UInt8]]

    /// More is no note that a linker writes.
    private static let noteLimit = 4096

    /// nil where the image cannot be told from others: it has no file, or no notes.
    init?(of module: LoadedModule, memory: ProcessMemory) {
        guard let file = module.file, !module.notes.isEmpty else { return nil }
        var notes: [[UInt8]] = []
        for range in module.notes {
            guard range.count <= ImageIdentity.noteLimit,
                let bytes = try? memory.read(range.lowerBound, count: range.count)
            else { return nil }
            notes.append(bytes)
        }
        self.file = file
        firstPage = module.firstPage
        self.notes = notes
    }

    func hash(into hasher: inout Hasher) {
        // Enough to find it; equality looks at all of it.
        hasher.combine(file)
        for note in notes { hasher.combine(note) }
    }
}
