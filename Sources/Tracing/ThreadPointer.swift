import CLinux
import ELFImage
import LinuxProcess

/// The thread pointer (fs base on x86-64) of a thread in another process, found without stopping it.
public enum ThreadPointer {
    // struct pthread begins with its own address, repeated at 16; both in the TCB of the x86-64 TLS ABI.
    private static let selfReferences: [UInt64] = [0, 16]

    /// glibc registers every thread's list of robust futexes with the kernel, and the list's head lies in the structure that
    /// the thread pointer points to. get_robust_list(2) gives the head; the structure proves itself by two pointers to itself.
    ///
    /// - Returns: nil where that does not hold, as with another C library.
    public static func find(_ thread: ThreadID, memory: ProcessMemory) -> UInt64? {
        guard let offset = Native.robustListOffset else { return nil }
        var head: UInt64 = 0
        guard clinux_robust_list(thread.rawValue, &head) == 0, head > offset else { return nil }
        let candidate = head - offset
        for reference in selfReferences {
            guard (try? memory.load(candidate + reference)) == candidate else { return nil }
        }
        return candidate
    }

    /// The same, stopping the thread for a moment where there is no other way.
    public static func read(_ thread: ThreadID, in process: ProcessID, images: ImageCatalog) throws -> UInt64? {
        if let found = find(thread, memory: images.memory) { return found }
        let held = try HeldThread(thread, in: process, images: images)
        let pointer = held.threadPointer()
        held.release()
        return pointer
    }
}
