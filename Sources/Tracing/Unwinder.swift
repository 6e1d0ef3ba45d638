import CLibunwind
import ELFImage
import LinuxProcess

/// Walks a thread's stack from a snapshot, with libunwind and the unwind tables in the process's own memory.
///
/// No file is opened and the thread need not be stopped. For one thread's use; pages read are kept for the next walk.
public final class Unwinder {
    private let catalog: ImageCatalog
    private var pages: [UInt64: [UInt8]] = [:]
    private var tables: [UInt64: UnwindTable?] = [:]
    private var snapshot: StackSnapshot?
    private var accessors: UnsafeMutablePointer<unw_accessors_t>
    private var space: unw_addr_space_t?

    /// Deeper stacks are given up: nobody waits for a DNS reply under so many frames but a runaway recursion.
    private static let frameLimit = 512
    private static let pageSize: UInt64 = 4096

    public init(_ catalog: ImageCatalog) {
        self.catalog = catalog
        accessors = .allocate(capacity: 1)
        accessors.initialize(to: Unwinder.makeAccessors())
        space = clibunwind_create(accessors)
    }

    deinit {
        if let space { clibunwind_destroy(space) }
        accessors.deallocate()
    }

    /// The call stack of a snapshot.
    public func walk(_ snapshot: StackSnapshot) -> CallStack {
        self.snapshot = snapshot
        defer { self.snapshot = nil }
        var frames: [StackFrame] = []
        var cursor = unw_cursor_t()
        let context = Unmanaged.passUnretained(self).toOpaque()
        guard let space, clibunwind_init(&cursor, space, context) == 0 else {
            return CallStack(frames: [], end: .unknown(address: snapshot.registers.programCounter))
        }
        while frames.count < Unwinder.frameLimit {
            guard let address = register(&cursor, Native.unwindProgramCounter), address != 0,
                let stackPointer = register(&cursor, Native.unwindStackPointer)
            else { break }
            var procedure = unw_proc_info_t()
            let isKnown = clibunwind_procedure(&cursor, &procedure) == 0
            let isSignalFrame = isKnown && clibunwind_is_signal_frame(&cursor) > 0
            frames.append(
                StackFrame(
                    programCounter: address, stackPointer: stackPointer,
                    procedureStart: isKnown ? UInt64(procedure.start_ip) : nil, isSignalFrame: isSignalFrame))
            // Without unwind information libunwind would go on by guesses.
            if !isKnown || clibunwind_step(&cursor) <= 0 {
                return CallStack(frames: frames, end: isThreadStart(frames) ? .threadStart : .unknown(address: address))
            }
        }
        return CallStack(frames: frames, end: .unknown(address: frames.last?.programCounter ?? 0))
    }

    private func register(_ cursor: inout unw_cursor_t, _ number: Int32) -> UInt64? {
        var value: unw_word_t = 0
        return clibunwind_register(&cursor, number, &value) == 0 ? UInt64(value) : nil
    }

    /// The outermost frame is the program's entry, or the place in clone from which a thread goes to exit.
    private func isThreadStart(_ frames: [StackFrame]) -> Bool {
        guard let last = frames.last else { return false }
        if let start = last.procedureStart, catalog.list.modules.contains(where: { $0.entry == start }) { return true }
        guard catalog.isLibrary(.libc, at: last.programCounter),
            let code = try? catalog.memory.readUpTo(last.programCounter, count: 16)
        else { return false }
        return Native.endsThread(code[...])
    }

    // MARK: What libunwind asks

    private func word(at address: UInt64) -> UInt64? {
        if let snapshot, address >= snapshot.stackBase,
            let word: UInt64 = snapshot.stack.integer(at: Int(clamping: address - snapshot.stackBase))
        {
            return word
        }
        let offset = Int(address & (Unwinder.pageSize - 1))
        guard offset + 8 <= Int(Unwinder.pageSize) else { return try? catalog.memory.load(address) }
        let page = address & ~(Unwinder.pageSize - 1)
        // Only what cannot change is kept: other stack pages would go stale.
        guard let region = catalog.map.region(containing: address), !region.isWritable else {
            return try? catalog.memory.load(address)
        }
        if pages[page] == nil { pages[page] = try? catalog.memory.read(page, count: Int(Unwinder.pageSize)) }
        return pages[page]?.integer(at: offset)
    }

    private func searchTable(
        _ address: UInt64, into info: UnsafeMutablePointer<unw_proc_info_t>, needsUnwindInfo: Int32
    ) -> Int32 {
        let noInformation = -Int32(bitPattern: UNW_ENOINFO.rawValue)
        guard let space, let module = catalog.list.module(containing: address) else { return noInformation }
        if tables[module.base] == nil {
            tables[module.base] = .some(UnwindTable(of: module, memory: catalog.memory))
        }
        guard case .some(.some(let table)) = tables[module.base] else { return noInformation }
        return clibunwind_search_table(
            space, unw_word_t(address), unw_word_t(module.range.lowerBound), unw_word_t(module.range.upperBound),
            unw_word_t(table.header), unw_word_t(table.entries), unw_word_t(table.count), info, needsUnwindInfo,
            Unmanaged.passUnretained(self).toOpaque())
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> Unwinder? {
        context.map { Unmanaged<Unwinder>.fromOpaque($0).takeUnretainedValue() }
    }

    private static func makeAccessors() -> unw_accessors_t {
        var accessors = unw_accessors_t()
        accessors.find_proc_info = { _, address, info, needsUnwindInfo, context in
            guard let unwinder = Unwinder.from(context), let info else {
                return -Int32(bitPattern: UNW_EINVAL.rawValue)
            }
            return unwinder.searchTable(UInt64(address), into: info, needsUnwindInfo: needsUnwindInfo)
        }
        // libunwind keeps what it found in pools of its own.
        accessors.put_unwind_info = { _, _, _ in }
        accessors.get_dyn_info_list_addr = { _, _, _ in -Int32(bitPattern: UNW_ENOINFO.rawValue) }
        accessors.access_mem = { _, address, value, isWrite, context in
            guard isWrite == 0, let unwinder = Unwinder.from(context), let word = unwinder.word(at: UInt64(address))
            else {
                return -Int32(bitPattern: UNW_EINVAL.rawValue)
            }
            value?.pointee = unw_word_t(word)
            return 0
        }
        accessors.access_reg = { _, number, value, isWrite, context in
            guard isWrite == 0, let snapshot = Unwinder.from(context)?.snapshot,
                let word = snapshot.registers.unwindRegister(Int(number))
            else { return -Int32(bitPattern: UNW_EBADREG.rawValue) }
            value?.pointee = unw_word_t(word)
            return 0
        }
        accessors.access_fpreg = { _, _, _, _, _ in -Int32(bitPattern: UNW_EBADREG.rawValue) }
        accessors.resume = { _, _, _ in -Int32(bitPattern: UNW_EINVAL.rawValue) }
        accessors.get_proc_name = { _, _, _, _, _, _ in -Int32(bitPattern: UNW_ENOINFO.rawValue) }
        return accessors
    }
}

/// The binary-search table in an image's .eh_frame_hdr (LSB Core, "The .eh_frame_hdr section").
struct UnwindTable {
    let header: UInt64
    let entries: UInt64
    /// Length in words, as libunwind counts it.
    let count: UInt64

    // The encodings that every linker writes: addresses as 4 bytes relative to the place or to the header.
    private static let encodings: [UInt8] = [1, 0x1b, 0x03, 0x3b]

    init?(of module: LoadedModule, memory: ProcessMemory) {
        guard let range = module.unwindTable, let bytes = try? memory.read(range.lowerBound, count: 12),
            Array(bytes[..<4]) == UnwindTable.encodings, let entryCount = bytes.integer(at: 8, as: UInt32.self),
            12 + UInt64(entryCount) * 8 <= UInt64(range.count)
        else { return nil }
        header = range.lowerBound
        entries = range.lowerBound + 12
        // An entry is two 4-byte offsets.
        count = UInt64(entryCount) * 8 / UInt64(MemoryLayout<unw_word_t>.size)
    }
}
