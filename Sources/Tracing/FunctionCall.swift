import LinuxProcess

/// A function to be called in a thread, with at most six integers or pointers as its arguments.
public struct FunctionCall: Sendable, Equatable {
    public enum Argument: Sendable, Equatable {
        case value(UInt64)
        /// Bytes that lie on the thread's dead stack while the calls run; the function gets their address.
        case bytes([UInt8])

        /// A text as C has it, with its NUL.
        public static func text(_ text: String) -> Argument { .bytes(Array(text.utf8) + [0]) }
    }

    public let function: UInt64
    public let arguments: [Argument]

    public init(_ function: UInt64, _ arguments: Argument...) {
        self.function = function
        self.arguments = arguments
    }
}

/// Functions that a thread is made to call one after the other, and its way back from them.
///
/// All of it lies on the thread's stack before the first one begins, so that a thread that is left alone finishes them all.
public struct CallSequence: Sendable {
    public let calls: [FunctionCall]
    public let wayBack: WayBack
    /// The thread's `errno`, which a function may set and which is put back; nil where it is not known.
    public let errno: UInt64?
    /// The wait that was interrupted ends at once, as if its time had run out: for an event loop that must look at its timers
    /// anew, and takes that for nothing special.
    public let endsWait: Bool

    public init(_ calls: [FunctionCall], wayBack: WayBack, errno: UInt64?, endsWait: Bool = false) {
        self.calls = calls
        self.wayBack = wayBack
        self.errno = errno
        self.endsWait = endsWait
    }
}

/// Code of a C library by which a called function finds back without us.
public struct WayBack: Sendable, Equatable {
    /// Where libc enters rt_sigreturn.
    public let signalReturn: UInt64
    /// Where what a function returned is stored on the way; nil where the library has no such code: what it returned then
    /// stays unknown.
    public let resultStore: ResultStore?

    public init(signalReturn: UInt64, resultStore: ResultStore?) {
        self.signalReturn = signalReturn
        self.resultStore = resultStore
    }

    /// Looks for both in the code of a C library.
    ///
    /// - Returns: nil where it has no entry to rt_sigreturn.
    public init?(in ranges: [Range<UInt64>], memory: ProcessMemory) {
        var signalReturn: UInt64?
        var resultStore: ResultStore?
        for range in ranges {
            var start = range.lowerBound
            while start < range.upperBound, signalReturn == nil || resultStore == nil {
                // A little more than a step, so that nothing is cut in two.
                let length = min(WayBack.step + WayBack.overlap, range.upperBound - start)
                guard let code = try? memory.readUpTo(start, count: Int(length)) else { break }
                if signalReturn == nil {
                    signalReturn = WayBack.find(Native.signalReturnCode, in: code).map { start + UInt64($0) }
                }
                if resultStore == nil { resultStore = ResultStore.find(in: code, at: start) }
                start += WayBack.step
            }
        }
        guard let signalReturn else { return nil }
        self.init(signalReturn: signalReturn, resultStore: resultStore)
    }

    /// The same code in an image that lies elsewhere.
    public func moved(by distance: UInt64) -> WayBack {
        WayBack(
            signalReturn: signalReturn &+ distance,
            resultStore: resultStore.map {
                ResultStore(
                    address: $0.address &+ distance, displacement: $0.displacement, stackBytes: $0.stackBytes)
            })
    }

    /// The process really has this code where we think.
    public func isThere(_ memory: ProcessMemory) -> Bool {
        let code = Native.signalReturnCode
        guard (try? memory.read(signalReturn, count: code.count)) == code else { return false }
        guard let resultStore else { return true }
        let bytes = try? memory.readUpTo(resultStore.address, count: Int(WayBack.overlap))
        return bytes.flatMap { ResultStore.find(at: resultStore.address, in: $0) } == resultStore
    }

    private static let step: UInt64 = 64 << 10
    private static let overlap: UInt64 = 64

    private static func find(_ sequence: [UInt8], in code: [UInt8]) -> Int? {
        code.withUnsafeBytes { bytes in
            sequence.withUnsafeBytes { wanted in
                guard let first = wanted.first, bytes.count >= wanted.count else { return nil }
                return (0...bytes.count - wanted.count).first { offset in
                    bytes[offset] == first && bytes[offset...].starts(with: wanted)
                }
            }
        }
    }
}

/// The end of some function of a C library, which stores the result register to memory on its way out.
///
/// A called function returns into it, it stores, drops some words from the stack and returns further. The memory is named by a
/// register that every function gives back as it found it.
public struct ResultStore: Sendable, Equatable {
    public let address: UInt64
    /// What is added to the register to get the place of the store.
    public let displacement: Int8
    /// How many bytes it takes from the stack before it returns.
    public let stackBytes: Int

    public init(address: UInt64, displacement: Int8, stackBytes: Int) {
        self.address = address
        self.displacement = displacement
        self.stackBytes = stackBytes
    }

    /// The one that begins with the first byte of some code.
    static func find(at address: UInt64, in code: [UInt8]) -> ResultStore? {
        code.withUnsafeBytes { Native.resultStore($0[...]) }.map {
            ResultStore(address: address, displacement: $0.displacement, stackBytes: $0.stackBytes)
        }
    }

    static func find(in code: [UInt8], at start: UInt64) -> ResultStore? {
        code.withUnsafeBytes { bytes in
            for offset in bytes.indices {
                guard let found = Native.resultStore(bytes[offset...]) else { continue }
                return ResultStore(
                    address: start + UInt64(offset), displacement: found.displacement, stackBytes: found.stackBytes)
            }
            return nil
        }
    }
}
