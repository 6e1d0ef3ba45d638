import ELFImage
import LinuxProcess
import Tracing

extension GlibcResolver {
    /// The last thing to be done without a call: a thread is marked as never initialised, so that its next lookup starts from the file.
    ///
    /// That is for one whose cleared bits belong to what it was loaded with, as with `options no-reload` in the file of then: they
    /// differ from that now, which switches its reload off just as well. It costs glibc one slot of a table of configurations.
    ///
    /// - Parameter record: of the repair so far, which is returned where nothing of this is needed or possible.
    public func startAfresh(_ reading: GlibcReading, after record: RepairRecord) -> RepairRecord {
        guard record.action == .cleared, reading.diagnosis.pin == .noReload, library.reloadsByItself,
            let pointer = reading.threadPointer, target.canReadFile(), let now = try? read(reading.thread),
            now.diagnosis.pin == .ownOptions
        else { return record }
        let memory = target.images.memory
        var fresh = write(now, after: record) { [library] state in
            // In the midst of a lookup glibc would take the mark's absence for an error, and end the process.
            guard (try? library.isLookingUp(threadPointer: pointer, memory: memory)) == false else { return [] }
            return [.options(state.options.subtracting(.initialized))]
        }
        guard fresh.action == .cleared else { return record }
        fresh.note = record.note
        return fresh
    }
}
