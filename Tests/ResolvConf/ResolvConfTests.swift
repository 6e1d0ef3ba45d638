import Testing

@testable import LinuxProcess
@testable import ResolvConf

// Where glibc may surprise, what it makes of a file was seen with glibc 2.36: res_init() in a program, the file in place.

@Suite("ResolvConf")
struct ResolvConfTests {
    private func servers(_ text: String) -> [String] { ResolvConf(parsing: text).nameservers.map(\.description) }

    @Test("every keyword is understood")
    func keywords() {
        let file = ResolvConf(
            parsing: """
                nameserver 10.0.0.1
                nameserver 2001:db8::53
                search a.example b.example
                options ndots:2 rotate
                options timeout:1
                sortlist 130.155.160.0/255.255.240.0

                """)
        #expect(file.nameservers.map(\.description) == ["10.0.0.1", "2001:db8::53"])
        #expect(file.search == ["a.example", "b.example"])
        #expect(file.options == ["ndots:2", "rotate", "timeout:1"])
        #expect(file.problems.isEmpty)
    }

    @Test("an empty text says nothing", arguments: ["", "\n", "\n\n\n", " ", "\t\n", "\r\n"])
    func empty(text: String) {
        let file = ResolvConf(parsing: text)
        #expect(file.nameservers.isEmpty)
        #expect(file.search == nil)
        #expect(file.options.isEmpty)
    }

    @Test(
        "comments start in the first column", arguments: ["#", ";", "# ", ";;", "#nameserver 10.0.0.9", "; search x"])
    func comments(line: String) {
        let file = ResolvConf(parsing: "\(line)\nnameserver 10.0.0.1\n\(line)")
        #expect(file == ResolvConf(parsing: "nameserver 10.0.0.1\n"))
    }

    @Test("what follows an address is passed over, and what follows a search name is another one")
    func trailingWords() {
        #expect(servers("nameserver 10.0.0.1 # office\n") == ["10.0.0.1"])
        #expect(ResolvConf(parsing: "search a.example # office\n").search == ["a.example", "#", "office"])
    }

    @Test("tabs and runs of blanks separate as one blank does")
    func whitespace() {
        let file = ResolvConf(
            parsing: "nameserver\t \t10.0.0.1\nsearch\ta.example \t b.example \noptions\trotate\tndots:3\n")
        #expect(file.nameservers.map(\.description) == ["10.0.0.1"])
        #expect(file.search == ["a.example", "b.example"])
        #expect(file.options == ["rotate", "ndots:3"])
    }

    @Test("the last line needs no newline")
    func lastLine() {
        #expect(servers("nameserver 10.0.0.1\nnameserver 10.0.0.2") == ["10.0.0.1", "10.0.0.2"])
    }

    @Test(
        "a keyword starts its line, is in lower case and ends with white space",
        arguments: [
            " nameserver 10.0.0.1", "\tnameserver 10.0.0.1", "Nameserver 10.0.0.1", "NAMESERVER 10.0.0.1",
            "nameserver10.0.0.1",
            "nameserver:10.0.0.1", "nameservers 10.0.0.1", "nameserver", "nameserver ",
        ])
    func notAKeyword(line: String) {
        #expect(servers("\(line)\n").isEmpty)
    }

    @Test("carriage returns belong to the words before them, as they do for glibc")
    func carriageReturns() {
        let file = ResolvConf(
            parsing: "nameserver 10.0.0.1\r\nsearch a.example\r\noptions edns0\r\nnameserver 10.0.0.2\n")
        // glibc asks 127.0.0.1 where a file has such lines only: no wonder is to hide that.
        #expect(file.nameservers.map(\.description) == ["10.0.0.2"])
        #expect(file.search == ["a.example\r"])
        #expect(file.problems.map(\.line) == [1])
        #expect(EffectiveConfiguration(file, environment: [:], hostDomain: nil).options.flags == [.edns0])
    }

    @Test("three servers count, in their order, and the others are left out")
    func moreThanThree() {
        let text = (1...5).map { "nameserver 10.0.0.\($0)\n" }.joined()
        #expect(servers(text) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    }

    @Test("a bad address does not take the place of a good one, and is a problem with its line")
    func badAddresses() {
        let file = ResolvConf(
            parsing: "nameserver db.example\nnameserver 10.0.0.1\nnameserver 1.2.3.4#5353\nnameserver [::1]:53\n"
                + "nameserver 256.1.1.1\nnameserver ::1\n")
        #expect(file.nameservers.map(\.description) == ["10.0.0.1", "::1"])
        #expect(file.problems.map(\.line) == [1, 3, 4, 5])
        #expect(file.problems.first?.text == "nameserver db.example")
    }

    @Test(
        "addresses are taken in every form that glibc takes",
        arguments: [
            ("127.1", "127.0.0.1"), ("010.0.0.1", "8.0.0.1"), ("0x7f000001", "127.0.0.1"), ("1", "0.0.0.1"),
            ("fe80::2%1", "fe80::2%1"), ("fe80::3%nonesuch", "fe80::3"), ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ])
    func addressForms(text: String, address: String) {
        #expect(servers("nameserver \(text)\n") == [address])
    }

    @Test(
        "of domain and search the last one counts",
        arguments: [
            ("domain c.example\nsearch a.example b.example\n", ["a.example", "b.example"]),
            ("search a.example b.example\ndomain c.example d.example\n", ["c.example"]),
            ("search a.example\nsearch b.example\n", ["b.example"]),
            ("domain a.example\ndomain b.example\n", ["b.example"]),
        ])
    func precedence(text: String, search: [String]) {
        #expect(ResolvConf(parsing: text).search == search)
    }

    @Test(
        "a search or domain that names nothing changes nothing",
        arguments: ["search", "search ", "domain", "domain \t"])
    func emptySearch(line: String) {
        #expect(ResolvConf(parsing: "search a.example\n\(line)\n").search == ["a.example"])
        #expect(ResolvConf(parsing: "\(line)\n").search == nil)
    }

    @Test("unknown keywords are problems and change nothing else")
    func unknownKeywords() {
        let file = ResolvConf(parsing: "lookup file bind\nnameserver 10.0.0.1\nfamily inet4\n")
        #expect(file.nameservers.map(\.description) == ["10.0.0.1"])
        #expect(file.problems.map(\.line) == [1, 3])
    }

    @Test("a megabyte of rubbish is read without harm")
    func rubbish() {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<1 << 17).flatMap { _ in withUnsafeBytes(of: generator.next()) { Array($0) } }
        let file = ResolvConf(parsing: String(decoding: bytes, as: UTF8.self) + "\nnameserver 10.0.0.1\n")
        #expect(file.nameservers.map(\.description) == ["10.0.0.1"])
    }

    @Test("a megabyte without a newline, and one of newlines, are read without harm")
    func longLines() {
        #expect(ResolvConf(parsing: "search " + String(repeating: "a ", count: 500_000)).search?.count == 500_000)
        #expect(ResolvConf(parsing: String(repeating: "\n", count: 1_000_000)).problems.isEmpty)
    }
}
