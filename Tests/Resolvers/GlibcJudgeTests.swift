import Testing

@testable import LinuxProcess
@testable import ResolvConf
@testable import Resolvers

@Suite("GlibcJudge")
struct GlibcJudgeTests {
    private enum Loaded {
        case known(ConfigurationLayout)
        case detached
        case unknown
    }

    /// A verdict by a file, a state, and what the thread was loaded with.
    private func judge(
        file: String, _ state: StateLayout, loaded: Loaded = .unknown, reloads: Bool = true,
        knownBits: GlibcOptionBits = .known, environment: [String: String] = [:]
    ) throws -> Diagnosis {
        let expected = EffectiveConfiguration(ResolvConf(parsing: file), environment: environment, hostDomain: "")
        let judge = GlibcJudge(expected: expected, reloadsByItself: reloads, knownBits: knownBits)
        let by: GlibcJudge.Loaded
        switch loaded {
        case .known(let layout): by = .known(try #require(layout.read()))
        case .detached: by = .detached
        case .unknown: by = .unknown
        }
        return judge.judge(try state.read(), loaded: by)
    }

    private let old = "nameserver 10.0.0.1\n"
    private let new = "nameserver 10.0.0.2\n"

    // MARK: Current, idle

    @Test("a thread that has what the file says is current, whatever else is known of it")
    func current() throws {
        #expect(try judge(file: old, StateLayout()).state == .current)
        #expect(try judge(file: old, StateLayout(), loaded: .detached).state == .current)
        #expect(try judge(file: old, StateLayout(), reloads: false).state == .current)
        #expect(try judge(file: old + "options no-reload\n", StateLayout(options: 0x200_02c1)).state == .current)
    }

    @Test(
        "a thread that never resolved is idle, also where an application set options beforehand",
        arguments: [UInt64(0), 0x2c0])
    func idle(options: UInt64) throws {
        let diagnosis = try judge(file: new, StateLayout(options: options, servers: []))
        #expect(diagnosis.state == .idle)
        #expect(diagnosis.pin == nil)
    }

    @Test("no server in the file means the loopback address")
    func loopback() throws {
        #expect(try judge(file: "", StateLayout(servers: ["127.0.0.1"])).state == .current)
    }

    @Test("the environment is part of what a thread should have")
    func environment() throws {
        let state = StateLayout(ndots: 3, search: ["x.example"])
        let variables = ["LOCALDOMAIN": "x.example", "RES_OPTIONS": "ndots:3"]
        #expect(try judge(file: old, state, environment: variables).state == .current)
        #expect(try judge(file: old, state).state == .following)
    }

    @Test("serial lookups kept in _flags are no difference and are told")
    func privateFlags() throws {
        let diagnosis = try judge(file: old, StateLayout(privateFlags: 0x60_0000))
        #expect(diagnosis.state == .current)
        #expect(diagnosis.explanation.contains("_flags"))
        let asked = try judge(
            file: old + "options single-request\n", StateLayout(options: 0x20_02c1, privateFlags: 0x20_0000))
        #expect(asked.state == .current)
        #expect(!asked.explanation.contains("_flags"))
        #expect(try judge(file: new, StateLayout(privateFlags: 0x60_0000), loaded: .known(.init())).state == .following)
    }

    // MARK: Following

    @Test("an untouched thread follows a changed file by itself", arguments: [true, false])
    func following(isTableFound: Bool) throws {
        let diagnosis = try judge(file: new, StateLayout(), loaded: isTableFound ? .known(.init()) : .unknown)
        #expect(diagnosis.state == .following)
        #expect(diagnosis.pin == nil)
        #expect(diagnosis.explanation.contains("nameservers"))
    }

    @Test("a thread without a server in its configuration has the loopback address")
    func loadedLoopback() throws {
        let state = StateLayout(servers: ["127.0.0.1"])
        #expect(try judge(file: new, state, loaded: .known(.init(servers: []))).state == .following)
    }

    @Test("of more than three servers loaded a thread has the first three")
    func moreServers() throws {
        let servers = (1...4).map { "10.0.0.\($0)" }
        let state = StateLayout(servers: Array(servers.prefix(3)))
        #expect(try judge(file: new, state, loaded: .known(.init(servers: servers))).state == .following)
    }

    @Test(
        "each difference is named",
        arguments: [
            ("nameserver 10.0.0.1\nsearch a.example\n", "search"),
            ("nameserver 10.0.0.1\noptions timeout:1\n", "timeout"),
            ("nameserver 10.0.0.1\noptions attempts:3\n", "attempts"),
            ("nameserver 10.0.0.1\noptions ndots:2\n", "ndots"),
            ("nameserver 10.0.0.1\noptions rotate edns0\n", "edns0+rotate"),
            ("nameserver 10.0.0.1\nnameserver 10.0.0.2\n", "nameservers"),
            ("nameserver 10.0.0.9\noptions ndots:2\n", "nameservers, ndots"),
        ])
    func named(file: String, difference: String) throws {
        let diagnosis = try judge(file: file, StateLayout(), loaded: .known(.init()))
        #expect(diagnosis.state == .following)
        #expect(diagnosis.explanation.hasPrefix("differs from the file in \(difference), and"))
    }

    // MARK: A lost reply

    @Test(
        "a lost reply pins a thread, whichever of its bits was left",
        arguments: [UInt64(0x20_02c1), 0x40_02c1, 0x60_02c1], [true, false])
    func lostReply(options: UInt64, isTableFound: Bool) throws {
        let state = StateLayout(options: options)
        let diagnosis = try judge(file: new, state, loaded: isTableFound ? .known(.init()) : .unknown)
        #expect(diagnosis.state == .pinned)
        #expect(diagnosis.pin == .lostReply)
        #expect(diagnosis.pin?.word == "lost-reply")
    }

    @Test("a lost reply pins a thread though the file has not changed: it will not see the next change")
    func lostReplySameFile() throws {
        let diagnosis = try judge(file: old, StateLayout(options: 0x60_02c1), loaded: .known(.init()))
        #expect(diagnosis.pin == .lostReply)
    }

    @Test("serial lookups that the file asks for are no lost reply")
    func askedFor() throws {
        let asking = "nameserver 10.0.0.1\noptions single-request\n"
        let state = StateLayout(options: 0x20_02c1)
        #expect(try judge(file: asking, state).state == .current)
        let loaded = Loaded.known(.init(options: 0x20_02c1))
        #expect(
            try judge(file: "nameserver 10.0.0.2\noptions single-request\n", state, loaded: loaded).state == .following)
        // Asked for by the file it was loaded with, and not by the present one: it reloads and drops the bit.
        #expect(try judge(file: new, state, loaded: loaded).state == .following)
    }

    @Test("of two bits only the one that was not asked for is a lost reply's")
    func halfAskedFor() throws {
        let file = "nameserver 10.0.0.2\noptions single-request\n"
        let state = StateLayout(options: 0x60_02c1)
        #expect(try judge(file: file, state, loaded: .known(.init(options: 0x20_02c1))).pin == .lostReply)
        #expect(try judge(file: file, state).pin == .lostReply)
        #expect(try judge(file: file, StateLayout(options: 0x20_02c1)).state == .following)
    }

    @Test("a bit that was loaded and is missing now is the application's doing, not a lost reply's")
    func bitTakenAway() throws {
        let diagnosis = try judge(file: new, StateLayout(), loaded: .known(.init(options: 0x20_02c1)))
        #expect(diagnosis.pin == .ownOptions)
    }

    // MARK: Other pins

    @Test("no-reload keeps a thread where it is", arguments: [true, false])
    func noReload(isTableFound: Bool) throws {
        let state = StateLayout(options: 0x200_02c1)
        let loaded = isTableFound ? Loaded.known(.init(options: 0x200_02c1)) : .unknown
        let diagnosis = try judge(file: new, state, loaded: loaded)
        #expect(diagnosis.pin == .noReload)
        #expect(diagnosis.pin?.word == "no-reload")
    }

    @Test("a thread with an application's servers is pinned by them")
    func ownServers() throws {
        let state = StateLayout(servers: ["192.0.2.1"])
        let diagnosis = try judge(file: old, state, loaded: .known(.init()))
        #expect(diagnosis.pin == .ownServers)
        #expect(diagnosis.pin?.word == "edited-state")
        #expect(try judge(file: old, state, loaded: .detached).pin == .ownServers)
        // Servers weigh more than options: they are never overwritten.
        #expect(
            try judge(file: old, StateLayout(options: 0x60_02c1, servers: ["192.0.2.1"]), loaded: .known(.init())).pin
                == .ownServers)
    }

    @Test("another port makes servers an application's own")
    func ownPort() throws {
        #expect(try judge(file: old, StateLayout(port: 5353), loaded: .known(.init())).pin == .ownServers)
    }

    @Test("a thread with an application's search list is pinned by it")
    func ownSearch() throws {
        let state = StateLayout(search: ["app.example"])
        #expect(try judge(file: old, state, loaded: .known(.init(search: ["a.example"]))).pin == .ownServers)
    }

    @Test(
        "options that an application changed switch the reload off",
        arguments: [
            StateLayout(options: 0x42c1), StateLayout(timeout: 1), StateLayout(attempts: 1), StateLayout(ndots: 3),
            StateLayout(options: 0x60_42c1), StateLayout(options: 0x20_02c1, timeout: 1), StateLayout(options: 0x281),
        ])
    func ownOptions(state: StateLayout) throws {
        let diagnosis = try judge(file: new, state, loaded: .known(.init()))
        #expect(diagnosis.pin == .ownOptions)
        #expect(diagnosis.pin?.word == "edited-state")
    }

    @Test("a glibc that reads the file once is pinned as soon as the file differs")
    func oldLibc() throws {
        let diagnosis = try judge(file: new, StateLayout(), reloads: false)
        #expect(diagnosis.pin == .oldLibc)
        #expect(diagnosis.pin?.word == "old-libc")
    }

    // MARK: What counts as a difference

    @Test(
        "search lists are compared without the dots at their names' ends, six names and 256 bytes of them",
        arguments: [
            (["a.example"], "a.example."), (["a.example."], "a.example"), (["."], "."),
            (["1.e", "2.e", "3.e", "4.e", "5.e", "6.e"], "1.e 2.e 3.e 4.e 5.e 6.e 7.e"),
            (
                [String(repeating: "a", count: 200)],
                String(repeating: "a", count: 200) + " " + String(repeating: "b", count: 60)
            ),
        ])
    func sameSearch(have: [String], want: String) throws {
        let file = old + "search \(want)\n"
        #expect(try judge(file: file, StateLayout(search: have)).state == .current)
        // Loaded from it, and the file has changed since.
        let loaded = ConfigurationLayout(search: want.split(separator: " ").map(String.init))
        if loaded.search.allSatisfy({ !$0.hasSuffix(".") }), !have.contains(where: { $0.hasSuffix(".") }) {
            #expect(try judge(file: new, StateLayout(search: have), loaded: .known(loaded)).state == .following)
        }
    }

    @Test("a search list in another order differs")
    func searchOrder() throws {
        #expect(try judge(file: old + "search b.e a.e\n", StateLayout(search: ["a.e", "b.e"])).state == .following)
        #expect(try judge(file: old, StateLayout(search: ["a.e"])).state == .following)
    }

    @Test("where the host's domain is not known a search list cannot differ")
    func unknownSearch() throws {
        let expected = EffectiveConfiguration(ResolvConf(parsing: old), environment: [:], hostDomain: nil)
        let judge = GlibcJudge(expected: expected, reloadsByItself: true, knownBits: .known)
        #expect(judge.differences(of: try StateLayout(search: ["corp.example"]).read()).isEmpty)
    }

    @Test("an option that this libc does not know makes no difference")
    func unknownOption() throws {
        let file = old + "options no-aaaa trust-ad\n"
        #expect(
            try judge(file: file, StateLayout(), knownBits: .known.subtracting([.noAAAA, .trustAD])).state == .current)
        #expect(try judge(file: file, StateLayout(), knownBits: .known).state == .following)
    }

    @Test("the debug option, which glibc passes over, makes no difference")
    func debugOption() throws {
        #expect(try judge(file: old + "options debug\n", StateLayout()).state == .current)
        // Set by the application itself it does.
        #expect(try judge(file: old, StateLayout(options: 0x2c3), loaded: .known(.init())).pin == .ownOptions)
    }

    @Test(
        "bits that resolv.conf has no word for are named too",
        arguments: [
            (UInt64(0x281), "recurse"), (0x0c1, "dnsrch"), (0x241, "defnames"), (0x3c1, "stayopen"), (0x2e1, "igntc"),
        ])
    func strayBits(options: UInt64, name: String) throws {
        let diagnosis = try judge(file: old, StateLayout(options: options), loaded: .known(.init()))
        #expect(diagnosis.explanation.hasPrefix("differs from the file in \(name);"))
        #expect(diagnosis.pin == .ownOptions)
    }
}

@Suite("GlibcOptionBits")
struct GlibcOptionBitsTests {
    @Test("names and bits are one to one, and cover all but the ordinary ones")
    func names() {
        let names = GlibcOptionBits.names
        #expect(Set(names.map(\.name)).count == names.count)
        #expect(Set(names.map(\.bit)).count == names.count)
        #expect(names.allSatisfy { $0.bit.rawValue.nonzeroBitCount == 1 })
        let all = names.reduce(into: GlibcOptionBits.ordinary) { $0.formUnion($1.bit) }
        #expect(all == .known)
    }

    @Test("a name leads to its bit and back", arguments: GlibcOptionBits.names.map(\.name))
    func roundTrip(name: String) throws {
        let bit = try #require(GlibcOptionBits.bit(named: name))
        #expect(GlibcOptionBits.names.filter { bit.contains($0.bit) }.map(\.name) == [name])
    }

    @Test("a switch of resolv.conf leads to its bit and back", arguments: ResolverFlag.allCases)
    func flags(flag: ResolverFlag) {
        let bits = GlibcOptionBits([flag])
        #expect(bits.rawValue.nonzeroBitCount == 1)
        #expect(bits.flags == [flag])
    }

    // <resolv.h> of glibc 2.41.
    @Test(
        "switches have the bits of <resolv.h>",
        arguments: [
            ("debug", 0x2), ("use-vc", 0x8), ("rotate", 0x4000), ("edns0", 0x10_0000), ("single-request", 0x20_0000),
            ("single-request-reopen", 0x40_0000), ("no-tld-query", 0x100_0000), ("no-reload", 0x200_0000),
            ("trust-ad", 0x400_0000), ("no-aaaa", 0x800_0000), ("strict-error", 0x1000_0000), ("dnssec", 0x80_0000),
        ] as [(String, UInt64)])
    func header(name: String, value: UInt64) {
        #expect(GlibcOptionBits.bit(named: name)?.rawValue == value)
    }

    @Test("an unknown name has no bit", arguments: ["", "nonesuch", "Rotate", "rotate ", "recurse"])
    func unknown(name: String) {
        #expect(GlibcOptionBits.bit(named: name) == nil)
    }

    @Test("other flags are those without a word, and the ordinary ones that are off")
    func otherFlags() {
        #expect(GlibcOptionBits.ordinary.otherFlags.isEmpty)
        #expect(GlibcOptionBits(rawValue: 0x60_42c1).otherFlags.isEmpty)
        #expect(GlibcOptionBits(rawValue: 0x3e1).otherFlags == ["igntc", "stayopen"])
        #expect(GlibcOptionBits(rawValue: 0x1).otherFlags == ["no-recurse", "no-defnames", "no-dnsrch"])
    }

    @Test(
        "each release knows the bits that were there when it came out",
        arguments: [
            ("2.17", 0x1ff_ffff), ("2.25", 0x1ff_ffff), ("2.26", 0x3ff_ffff), ("2.30", 0x3ff_ffff),
            ("2.31", 0x7ff_ffff),
            ("2.35", 0x7ff_ffff), ("2.36", 0xfff_ffff), ("2.40", 0xfff_ffff), ("2.41", 0x1fff_ffff),
            ("2.43", 0x1fff_ffff),
            ("2", 0x1fff_ffff), ("2.x", 0x1fff_ffff),
        ] as [(String, UInt64)])
    func knownByVersion(version: String, bits: UInt64) {
        #expect(GlibcOptionBits.known(in: version).rawValue == bits)
    }
}
