import ResolvConf

/// What is to be written into a thread's state, so that its own reload works again and `__res_init` keeps nothing of what was
/// there: it takes options that differ from the file's for the application's wish.
public enum GlibcCorrection: Sendable, Equatable {
    case none
    /// Option bits to clear; nothing else is touched.
    case clear(GlibcOptionBits)
    /// Option bits and numbers as the file has them.
    case restore(GlibcOptionBits, ResolverOptions)

    /// The writes for a thread in this state.
    func writes(for state: GlibcThreadState) -> [GlibcFieldWrite] {
        switch self {
        case .none: []
        case .clear(let bits): [.options(state.options.subtracting(bits))]
        case .restore(let bits, let numbers):
            [.options(bits), .timeout(numbers.timeout), .attempts(numbers.attempts), .ndots(numbers.ndots)]
        }
    }

    /// For a person; nil where nothing is written.
    public var description: String? {
        switch self {
        case .none: nil
        case .clear(let bits): "clears \(bits.flags.map(\.rawValue).sorted().joined(separator: ", "))"
        case .restore: "puts back the options that the file gives"
        }
    }
}
