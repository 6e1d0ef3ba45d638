import LinuxProcess
import ResolvConf

/// Judges a thread's state. Pure: the same values always give the same verdict.
struct GlibcJudge {
    let expected: EffectiveConfiguration
    /// The library checks resolv.conf by itself.
    let reloadsByItself: Bool
    let knownBits: GlibcOptionBits

    /// How the loaded configuration of a thread is known.
    enum Loaded {
        /// The thread is attached to this one.
        case known(GlibcLoadedConfiguration)
        /// The table was read, and the thread is attached to none of it.
        case detached
        /// The table was not found.
        case unknown
    }

    func judge(_ state: GlibcThreadState, loaded: Loaded) -> Diagnosis {
        guard state.isInitialized else {
            return Diagnosis(.idle, "this thread has never looked a name up; it will read the file when it does")
        }
        let differences = differences(of: state)
        guard !differences.isEmpty else {
            return Diagnosis(.current, currentText(state))
        }
        let differs = "differs from the file in \(differences.joined(separator: ", "))"
        guard reloadsByItself else {
            return pinned(.oldLibc, "\(differs); this glibc reads the file once and never again")
        }
        if state.options.contains(.noReload) {
            return pinned(.noReload, "\(differs), and the option no-reload keeps it so")
        }
        switch loaded {
        case .known(let loaded):
            if let edited = editedServers(state, loaded) { return pinned(.ownServers, "\(differs); \(edited)") }
            let changed = state.options.symmetricDifference(loaded.options)
            if !changed.isEmpty || state.timeout != loaded.timeout || state.attempts != loaded.attempts
                || state.ndots != loaded.ndots
            {
                let others = changed.subtracting(.lostReply)
                if others.isEmpty && state.options.isSuperset(of: changed) && state.timeout == loaded.timeout
                    && state.attempts == loaded.attempts && state.ndots == loaded.ndots
                {
                    return pinned(.lostReply, "\(differs); \(lostReplyText)")
                }
                return pinned(
                    .ownOptions, "\(differs); the application changed its options, which switches the reload off")
            }
            return following(differs)
        case .detached:
            return pinned(.ownServers, "\(differs); its servers are the application's own")
        case .unknown:
            // Without the table only the bits speak: set and not asked for, by the file as it is now.
            let sticky = state.options.intersection(.lostReply).subtracting(GlibcOptionBits(expected.options.flags))
            return sticky.isEmpty ? following(differs) : pinned(.lostReply, "\(differs); \(lostReplyText)")
        }
    }

    private let lostReplyText =
        "a lost reply left it with serial lookups, and the bit that remembers this switches the reload off"

    init(expected: EffectiveConfiguration, reloadsByItself: Bool, knownBits: GlibcOptionBits) {
        self.expected = expected
        self.reloadsByItself = reloadsByItself
        self.knownBits = knownBits
    }

    private func pinned(_ reason: PinReason, _ text: String) -> Diagnosis {
        Diagnosis(pinned: reason, text)
    }

    private func following(_ differs: String) -> Diagnosis {
        Diagnosis(.following, "\(differs), and reads the file again at its next lookup")
    }

    private func currentText(_ state: GlibcThreadState) -> String {
        let asked = GlibcOptionBits(expected.options.flags).isDisjoint(with: .lostReply)
        guard !state.privateSingleRequest.isEmpty, asked else { return "as the file says" }
        return "as the file says; lookups are serial since a reply was lost (in _flags), until it is initialised anew"
    }

    /// What the thread has and what the file gives, where they are not the same.
    func differences(of state: GlibcThreadState) -> [String] {
        var found: [String] = []
        let expectedServers = expected.nameservers.prefix(ResolvConf.nameserverLimit)
            .map { SocketEndpoint(address: $0, port: 53) }
        if state.nameservers != Array(expectedServers) { found.append("nameservers") }
        if let search = expected.search, !GlibcJudge.isSameSearch(state.search, search) { found.append("search") }
        // glibc is built without the debug messages that resolv.conf may ask for, and then never sets their bit.
        let asked = GlibcOptionBits(expected.options.flags).subtracting(.debug)
        let wanted = GlibcOptionBits.ordinary.union(asked).intersection(knownBits)
        let changed = state.options.symmetricDifference(wanted).intersection(knownBits)
        if !changed.isEmpty {
            found.append((changed.flags.map(\.rawValue) + changed.strayNames).sorted().joined(separator: "+"))
        }
        if state.timeout != expected.options.timeout { found.append("timeout") }
        if state.attempts != expected.options.attempts { found.append("attempts") }
        if state.ndots != expected.options.ndots { found.append("ndots") }
        return found
    }

    /// A root's dot at the end of a name makes no difference.
    private static func isSameSearch(_ have: [String], _ want: [String]) -> Bool {
        func plain(_ names: [String]) -> [String] {
            GlibcThreadState.searchThatFits(names).map { $0 == "." ? $0 : $0.trimmingEnd(".") }
        }
        return plain(have) == plain(want)
    }

    private func editedServers(_ state: GlibcThreadState, _ loaded: GlibcLoadedConfiguration) -> String? {
        let servers = Array(loaded.nameservers.prefix(ResolvConf.nameserverLimit))
        // An empty list means the loopback address.
        guard state.nameservers == servers || servers.isEmpty else { return "its servers are the application's own" }
        guard state.search == GlibcThreadState.searchThatFits(loaded.search) || loaded.search.isEmpty else {
            return "its search list is the application's own"
        }
        return nil
    }
}

extension GlibcOptionBits {
    /// Names of the bits that resolv.conf(5) has no word for.
    fileprivate var strayNames: [String] {
        let ordinary: [(bit: GlibcOptionBits, name: String)] = [
            (.recurse, "recurse"), (.defaultNames, "defnames"), (.searchNames, "dnsrch"),
        ]
        return (GlibcOptionBits.names + ordinary)
            .filter { ResolverFlag(rawValue: $0.name) == nil && contains($0.bit) }.map(\.name)
    }
}

extension String {
    func trimmingEnd(_ suffix: Character) -> String {
        var text = self
        while text.last == suffix { text.removeLast() }
        return text
    }
}
