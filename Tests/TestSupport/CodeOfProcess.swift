import Glibc
import LinuxProcess

/// The files a process has mapped as code whose bytes in memory differ from those in the file.
public func changedCode(of process: ProcessID) throws -> [String] {
    let memory = ProcessMemory(of: process)
    var changed: [String] = []
    for region in try MemoryMap(of: process).regions where region.isExecutable && region.file != nil {
        let mapped = try memory.read(region.range.lowerBound, count: region.range.count)
        let file = try readFile("/proc/\(process)/map_files/\(hexadecimal(region.range))")
        let start = Int(region.offset)
        // The last page of a mapping goes on past the end of its file.
        let onDisk = file[start..<min(start + mapped.count, file.count)]
        if !mapped.starts(with: onDisk) { changed.append(region.name) }
    }
    return changed
}

private func hexadecimal(_ range: Range<UInt64>) -> String {
    "\(String(range.lowerBound, radix: 16))-\(String(range.upperBound, radix: 16))"
}
