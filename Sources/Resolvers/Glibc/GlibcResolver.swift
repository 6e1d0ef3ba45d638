import ELFImage
import LinuxProcess
import ResolvConf
import Tracing

/// What was read of one thread that resolves with glibc.
public struct GlibcReading: Sendable {
    public let thread: ThreadID
    /// nil where the thread's state cannot be read; the diagnosis then says why.
    public let state: GlibcThreadState?
    public let configuration: ResolverConfiguration?
    public let isLookingUp: Bool
    public let lookup: Lookup?
    public let diagnosis: Diagnosis
    /// The single-request bits, told apart by where they stand.
    public let singleRequest: SingleRequest?
    let threadPointer: UInt64?
    /// How long the thread was held for the reading, in microseconds; nil where it was not held at all.
    public let pause: Double?

    public struct SingleRequest: Sendable, Equatable {
        public let inOptions: Set<ResolverFlag>
        public let inPrivateFlags: Set<ResolverFlag>
        /// resolv.conf asks for it.
        public let isAskedFor: Bool
    }
}

/// glibc's resolver in one process. For one thread's use.
public final class GlibcResolver {
    public let library: GlibcLibrary
    let target: TargetProcess
    let judge: GlibcJudge
    private var table: GlibcConfigurationTable?
    private var isTableSought = false

    init(_ library: GlibcLibrary, target: TargetProcess) {
        self.library = library
        self.target = target
        judge = GlibcJudge(
            expected: target.expected, reloadsByItself: library.reloadsByItself, knownBits: library.knownBits)
    }

    /// Reads a thread without running any code in it. It is held for a moment only where it is in a lookup.
    ///
    /// - Throws: `HoldError.gone` where the thread has ended.
    public func read(_ thread: ThreadID) throws -> GlibcReading {
        let memory = target.images.memory
        do {
            guard let pointer = try ThreadPointer.read(thread, in: target.id, images: target.images) else {
                return opaque(thread, "its thread pointer cannot be found")
            }
            var state = try library.state(threadPointer: pointer, memory: memory)
            let isLookingUp = try library.isLookingUp(threadPointer: pointer, memory: memory) ?? !state.sockets.isEmpty
            var pause: Double?
            let lookup = isLookingUp ? self.lookup(thread, state, &pause) : nil
            // A thread that reloaded between two reads would show a mixture.
            let again = try library.state(threadPointer: pointer, memory: memory)
            if again != state { state = try library.state(threadPointer: pointer, memory: memory) }
            return GlibcReading(
                thread: thread, state: state, configuration: state.isInitialized ? state.configuration : nil,
                isLookingUp: isLookingUp, lookup: lookup, diagnosis: judge.judge(state, loaded: loaded(state)),
                singleRequest: state.isInitialized ? singleRequest(state) : nil, threadPointer: pointer, pause: pause)
        } catch let error as HoldError {
            if error == .gone { throw error }
            return opaque(thread, "its thread pointer cannot be read: \(error)")
        } catch let error as SystemError {
            guard (try? ProcessStat(of: thread, in: target.id)) != nil else { throw HoldError.gone }
            return opaque(thread, error.description)
        } catch let reason as OpaqueReason {
            return opaque(thread, reason.description)
        }
    }

    private func opaque(_ thread: ThreadID, _ why: String) -> GlibcReading {
        GlibcReading(
            thread: thread, state: nil, configuration: nil, isLookingUp: false, lookup: nil,
            diagnosis: Diagnosis(.opaque, why), singleRequest: nil, threadPointer: nil, pause: nil)
    }

    private func lookup(_ thread: ThreadID, _ state: GlibcThreadState, _ pause: inout Double?) -> Lookup? {
        let sleep = LookupSleep(of: thread, in: target.id)
        let registers: Native.Registers
        do {
            let held = try HeldThread(thread, in: target.id, images: target.images)
            registers = held.registers
            pause = held.release()
        } catch {
            return nil
        }
        guard let snapshot = try? StackSnapshot(registers, catalog: target.images) else { return nil }
        let stack = target.unwinder.walk(snapshot)
        return Lookup.read(snapshot, stack: stack, sleep: sleep, of: target, sockets: state.sockets)
    }

    private func singleRequest(_ state: GlibcThreadState) -> GlibcReading.SingleRequest {
        GlibcReading.SingleRequest(
            inOptions: state.options.intersection(.lostReply).flags,
            inPrivateFlags: state.privateSingleRequest.flags,
            isAskedFor: !GlibcOptionBits(target.expected.options.flags).isDisjoint(with: .lostReply))
    }

    /// What the thread was loaded with. The table is looked for only where a verdict needs it.
    private func loaded(_ state: GlibcThreadState) -> GlibcJudge.Loaded {
        guard library.reloadsByItself, state.isInitialized, !judge.differences(of: state).isEmpty else {
            return .unknown
        }
        if !isTableSought {
            table = GlibcConfigurationTable(of: library, images: target.images)
            isTableSought = true
        }
        guard let table else { return .unknown }
        if let configuration = table.configuration(of: state) { return .known(configuration) }
        // A configuration loaded since would be missing from a table read before.
        self.table = GlibcConfigurationTable(of: library, images: target.images)
        return self.table?.configuration(of: state).map { .known($0) } ?? .detached
    }
}
