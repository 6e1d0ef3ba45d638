import ResolvConf

/// What is to be written into a thread's state, so that its own reload works again.
public enum GlibcCorrection: Sendable, Equatable {
    case none
    /// Option bits to clear; nothing else is touched.
    case clear(GlibcOptionBits)

    /// The writes for a thread in this state.
    func writes(for state: GlibcThreadState) -> [GlibcFieldWrite] {
        switch self {
        case .none: []
        case .clear(let bits): [.options(state.options.subtracting(bits))]
        }
    }

    /// For a person; nil where nothing is written.
    public var description: String? {
        switch self {
        case .none: nil
        case .clear(let bits): "clears \(bits.flags.map(\.rawValue).sorted().joined(separator: ", "))"
        }
    }
}
