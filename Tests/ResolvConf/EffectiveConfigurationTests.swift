import Testing

@testable import LinuxProcess
@testable import ResolvConf

@Suite("EffectiveConfiguration")
struct EffectiveConfigurationTests {
    private func effective(_ text: String, _ environment: [String: String] = [:], hostDomain: String? = "")
        -> EffectiveConfiguration
    {
        EffectiveConfiguration(ResolvConf(parsing: text), environment: environment, hostDomain: hostDomain)
    }

    @Test("without a server it is the loopback address", arguments: ["", "search a.example\n", "nameserver x\n"])
    func loopback(text: String) {
        #expect(effective(text).nameservers.map(\.description) == ["127.0.0.1"])
    }

    @Test("without a search list it is the host's domain")
    func hostDomain() {
        #expect(effective("", hostDomain: "corp.example").search == ["corp.example"])
        #expect(effective("search a.example\n", hostDomain: "corp.example").search == ["a.example"])
    }

    @Test("a host without a domain searches nothing, and one that is not known leaves it open")
    func noHostDomain() {
        #expect(effective("", hostDomain: "").search == [])
        #expect(effective("", hostDomain: nil).search == nil)
        #expect(effective("domain a.example\n", hostDomain: nil).search == ["a.example"])
    }

    @Test(
        "LOCALDOMAIN replaces the search list",
        arguments: [
            ("x.example", ["x.example"]), ("x.example y.example", ["x.example", "y.example"]),
            ("x.example \t y.example ", ["x.example", "y.example"]), ("x.example\ny.example", ["x.example"]),
            // An empty name first, where glibc has one.
            ("", [""]), ("  x.example  y.example", ["", "x.example", "y.example"]), ("\tx.example", ["", "x.example"]),
        ])
    func localDomain(value: String, search: [String]) {
        #expect(effective("search a.example\n", ["LOCALDOMAIN": value], hostDomain: "corp.example").search == search)
        #expect(effective("", ["LOCALDOMAIN": value], hostDomain: nil).search == search)
    }

    @Test("RES_OPTIONS comes after the file's options")
    func resOptions() {
        let options = effective("options ndots:3 timeout:9\n", ["RES_OPTIONS": "ndots:7\trotate  nonesuch"]).options
        #expect(options.ndots == 7)
        #expect(options.timeout == 9)
        #expect(options.flags == [.rotate])
        #expect(effective("options ndots:3\n", ["RES_OPTIONS": ""]).options.ndots == 3)
    }

    @Test("without options it is the defaults of resolv.conf(5)")
    func defaults() {
        let options = effective("").options
        #expect(options == ResolverOptions())
        #expect((options.ndots, options.timeout, options.attempts) == (1, 5, 2))
        #expect(options.flags.isEmpty)
    }
}

@Suite("ResolverOptions")
struct ResolverOptionsTests {
    private func options(_ words: String...) -> ResolverOptions {
        words.reduce(into: ResolverOptions()) { $0.apply($1) }
    }

    @Test(
        "numbers have their limits",
        arguments: [
            ("ndots:0", 0, 5, 2), ("ndots:15", 15, 5, 2), ("ndots:16", 15, 5, 2), ("ndots:99", 15, 5, 2),
            ("timeout:1", 1, 1, 2), ("timeout:30", 1, 30, 2), ("timeout:31", 1, 30, 2), ("attempts:5", 1, 5, 5),
            ("attempts:6", 1, 5, 5), ("attempts:0", 1, 5, 0),
        ])
    func limits(word: String, ndots: Int, timeout: Int, attempts: Int) {
        let options = options(word)
        #expect((options.ndots, options.timeout, options.attempts) == (ndots, timeout, attempts))
    }

    @Test(
        "numbers are read as atoi(3) reads them",
        arguments: [
            ("ndots:", 0), ("ndots:x", 0), ("ndots:3x", 3), ("ndots:+3", 3), ("ndots:0x4", 0), ("ndots:-1", 15),
        ])
    func numbers(word: String, ndots: Int) {
        #expect(options(word).ndots == ndots)
    }

    @Test("the last of two counts, and flags add up")
    func order() {
        let options = options("ndots:2", "rotate", "ndots:4", "edns0")
        #expect(options.ndots == 4)
        #expect(options.flags == [.rotate, .edns0])
    }

    @Test("every switch goes by its name", arguments: ResolverFlag.allCases)
    func flags(flag: ResolverFlag) {
        #expect(options(flag.rawValue).flags == [flag])
    }

    @Test(
        "a switch is known by how its word starts, and the longest name counts",
        arguments: [
            ("rotate2", ResolverFlag.rotate), ("edns0,rotate", .edns0), ("single-requestX", .singleRequest),
            ("single-request-reopenX", .singleRequestReopen), ("single-request-re", .singleRequest),
            ("no_tld_query", .noTLDQuery), ("no-tld-query", .noTLDQuery),
        ])
    func prefixes(word: String, flag: ResolverFlag) {
        #expect(options(word).flags == [flag])
    }

    @Test(
        "unknown words are passed over",
        arguments: ["", "nonesuch", "Rotate", "ndots", "ndots=3", "timeout", "inet6", "no-check-names", "rotat"])
    func unknown(word: String) {
        #expect(options(word) == ResolverOptions())
    }
}
