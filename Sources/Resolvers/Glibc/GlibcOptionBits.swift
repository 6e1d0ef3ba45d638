import ResolvConf

/// The bits of `_res.options` (glibc's <resolv.h>), 64 of them in memory.
public struct GlibcOptionBits: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    public static let initialized = GlibcOptionBits(rawValue: 0x1)
    public static let debug = GlibcOptionBits(rawValue: 0x2)
    public static let useVC = GlibcOptionBits(rawValue: 0x8)
    public static let recurse = GlibcOptionBits(rawValue: 0x40)
    public static let defaultNames = GlibcOptionBits(rawValue: 0x80)
    public static let searchNames = GlibcOptionBits(rawValue: 0x200)
    public static let rotate = GlibcOptionBits(rawValue: 0x4000)
    public static let edns0 = GlibcOptionBits(rawValue: 0x10_0000)
    public static let singleRequest = GlibcOptionBits(rawValue: 0x20_0000)
    public static let singleRequestReopen = GlibcOptionBits(rawValue: 0x40_0000)
    public static let noTLDQuery = GlibcOptionBits(rawValue: 0x100_0000)
    public static let noReload = GlibcOptionBits(rawValue: 0x200_0000)
    public static let trustAD = GlibcOptionBits(rawValue: 0x400_0000)
    public static let noAAAA = GlibcOptionBits(rawValue: 0x800_0000)
    public static let strictError = GlibcOptionBits(rawValue: 0x1000_0000)

    /// RES_INIT and RES_DEFAULT: what a thread has that read a file without options.
    public static let ordinary: GlibcOptionBits = [.initialized, .recurse, .defaultNames, .searchNames]
    /// What a lost reply leaves behind before glibc 2.40.
    public static let lostReply: GlibcOptionBits = [.singleRequest, .singleRequestReopen]
    /// Any bit that some glibc from 2.17 to 2.43 knows.
    public static let known = GlibcOptionBits(rawValue: 0x1fff_ffff)

    /// The names that bits go by, those of resolv.conf(5) first; the others as <resolv.h> has them, in lower case.
    public static let names: [(bit: GlibcOptionBits, name: String)] = [
        (.debug, ResolverFlag.debug.rawValue), (.rotate, ResolverFlag.rotate.rawValue),
        (.edns0, ResolverFlag.edns0.rawValue), (.singleRequest, ResolverFlag.singleRequest.rawValue),
        (.singleRequestReopen, ResolverFlag.singleRequestReopen.rawValue),
        (.noTLDQuery, ResolverFlag.noTLDQuery.rawValue), (.noReload, ResolverFlag.noReload.rawValue),
        (.useVC, ResolverFlag.useVC.rawValue), (.trustAD, ResolverFlag.trustAD.rawValue),
        (.noAAAA, ResolverFlag.noAAAA.rawValue), (.strictError, ResolverFlag.strictError.rawValue),
        (GlibcOptionBits(rawValue: 0x4), "aaonly"), (GlibcOptionBits(rawValue: 0x10), "primary"),
        (GlibcOptionBits(rawValue: 0x20), "igntc"), (GlibcOptionBits(rawValue: 0x100), "stayopen"),
        (GlibcOptionBits(rawValue: 0x400), "insecure1"), (GlibcOptionBits(rawValue: 0x800), "insecure2"),
        (GlibcOptionBits(rawValue: 0x1000), "noaliases"), (GlibcOptionBits(rawValue: 0x2000), "inet6"),
        (GlibcOptionBits(rawValue: 0x8000), "no-check-names"), (GlibcOptionBits(rawValue: 0x1_0000), "keeptsig"),
        (GlibcOptionBits(rawValue: 0x2_0000), "blast"), (GlibcOptionBits(rawValue: 0x4_0000), "bstring"),
        (GlibcOptionBits(rawValue: 0x8_0000), "no-ip6-dotint"), (GlibcOptionBits(rawValue: 0x80_0000), "dnssec"),
    ]

    /// The bit of a name in ``names``.
    public static func bit(named name: String) -> GlibcOptionBits? { names.first { $0.name == name }?.bit }

    /// The bits that a configuration asks for.
    public init(_ flags: Set<ResolverFlag>) {
        self = flags.reduce(into: []) { bits, flag in bits.formUnion(GlibcOptionBits.bit(named: flag.rawValue) ?? []) }
    }

    /// The switches among the bits that have a name in resolv.conf(5).
    public var flags: Set<ResolverFlag> { Set(ResolverFlag.allCases.filter { contains(GlibcOptionBits([$0])) }) }

    /// The other switches that are on, and those of every ordinary thread that are off, as `no-NAME`.
    public var otherFlags: [String] {
        let others = GlibcOptionBits.names.filter { ResolverFlag(rawValue: $0.name) == nil && contains($0.bit) }
        let missing = [
            (GlibcOptionBits.recurse, "no-recurse"), (.defaultNames, "no-defnames"), (.searchNames, "no-dnsrch"),
        ]
        .filter { !contains($0.0) }
        return others.map(\.name) + missing.map { $0.1 }
    }

    /// Bits that only libraries from a certain release on know. An older one never sets them, whatever the file says.
    private static let introduced: [(bit: GlibcOptionBits, minor: Int)] = [
        (.noReload, 26), (.trustAD, 31), (.noAAAA, 36), (.strictError, 41),
    ]

    /// The bits that a release, such as `2.36`, knows.
    static func known(in version: String) -> GlibcOptionBits {
        guard let minor = version.split(separator: ".").dropFirst().first.flatMap({ Int($0) }) else { return .known }
        return introduced.reduce(into: .known) { bits, entry in
            if minor < entry.minor { bits.remove(entry.bit) }
        }
    }
}
