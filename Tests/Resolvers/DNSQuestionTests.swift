import Testing

@testable import Resolvers

@Suite("DNSQuestion")
struct DNSQuestionTests {
    /// A query as a stub resolver sends it.
    private func query(_ labels: [String], type: UInt16 = 1, hasEDNS: Bool = false, flags: UInt8 = 0x01) -> [UInt8] {
        var bytes: [UInt8] = [0xab, 0xcd, flags, 0x00, 0, 1, 0, 0, 0, 0, 0, hasEDNS ? 1 : 0]
        for label in labels { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        bytes += [0, UInt8(type >> 8), UInt8(type & 0xff), 0, 1]
        // An OPT record of 1232 bytes, as `options edns0` has it.
        if hasEDNS { bytes += [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0] }
        return bytes
    }

    // Octet by octet what a stub resolver sends to ask for the IPv6 addresses of db.example.
    private let plain: [UInt8] = [
        0x3c, 0x9e, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x64, 0x62, 0x07, 0x65, 0x78,
        0x61,
        0x6d, 0x70, 0x6c, 0x65, 0x00, 0x00, 0x1c, 0x00, 0x01,
    ]

    @Test("a query is read")
    func wholeQuery() {
        #expect(DNSQuestion.first(in: plain) == DNSQuestion(name: "db.example", type: "AAAA"))
    }

    @Test(
        "types have their names",
        arguments: [
            (1, "A"), (28, "AAAA"), (12, "PTR"), (33, "SRV"), (15, "MX"), (16, "TXT"), (65, "HTTPS"), (257, "TYPE257"),
        ] as [(UInt16, String)])
    func types(number: UInt16, name: String) {
        #expect(DNSQuestion.first(in: query(["x"], type: number))?.type == name)
    }

    @Test("a query with EDNS, and one that asks for AD, are read", arguments: [UInt8(0x00), 0x01])
    func edns(flags: UInt8) {
        #expect(DNSQuestion.first(in: query(["db", "example"], hasEDNS: true, flags: flags))?.name == "db.example")
        var bytes = query(["db", "example"])
        bytes[3] = 0x20
        #expect(DNSQuestion.first(in: bytes)?.name == "db.example")
    }

    @Test("a query is found in the middle of other bytes", arguments: [0, 1, 7, 100, 5000])
    func inside(distance: Int) {
        let bytes = [UInt8](repeating: 0xff, count: distance) + plain + [UInt8](repeating: 0xff, count: distance)
        #expect(DNSQuestion.first(in: bytes)?.name == "db.example")
        // Zeroes are what most of a stack is.
        let zeroes = [UInt8](repeating: 0, count: distance) + plain + [UInt8](repeating: 0, count: distance)
        #expect(DNSQuestion.first(in: zeroes)?.name == "db.example")
    }

    @Test("of two queries the first counts")
    func two() {
        #expect(DNSQuestion.first(in: query(["one"]) + query(["two"]))?.name == "one")
    }

    @Test("a name may have 255 octets and no more")
    func longNames() {
        // Four labels of 63 with their lengths are 256; with the root label, 255 leave 61 for the last.
        let full = String(repeating: "a", count: 63)
        let longest = [full, full, full, String(repeating: "b", count: 61)]
        #expect(DNSQuestion.first(in: query(longest))?.name == longest.joined(separator: "."))
        #expect(DNSQuestion.first(in: query([full, full, full, String(repeating: "b", count: 62)])) == nil)
        #expect(DNSQuestion.first(in: query([full, full, full, full])) == nil)
        #expect(DNSQuestion.first(in: query([full, full, full, full, full])) == nil)
        let short = [String](repeating: "a", count: 127)
        #expect(DNSQuestion.first(in: query(short))?.name == short.joined(separator: "."))
        #expect(DNSQuestion.first(in: query(short + ["a"])) == nil)
    }

    @Test("a query cut short anywhere is none")
    func truncated() {
        for bytes in [plain, query(["x"]), query([String(repeating: "a", count: 63), "b"])] {
            for count in 0..<bytes.count {
                #expect(DNSQuestion.first(in: Array(bytes.prefix(count))) == nil, "\(count) bytes")
            }
        }
    }

    @Test("the smallest query is read where nothing follows it")
    func smallest() {
        #expect(query(["x"]).count == 19)
        #expect(DNSQuestion.first(in: query(["x"]))?.name == "x")
    }

    @Test("what is no query is none")
    func noQuery() {
        // An answer, another kind of message, two questions, an answer record, two additional records, class CHAOS.
        for (index, value) in [(2, 0x81), (2, 0x29), (5, 2), (7, 1), (11, 2), (plain.count - 1, 3)] as [(Int, UInt8)] {
            var bytes = plain
            bytes[index] = value
            #expect(DNSQuestion.first(in: bytes) == nil, "byte \(index)")
        }
        #expect(DNSQuestion.first(in: query([])) == nil)
        #expect(DNSQuestion.first(in: query(["a b"])) == nil)
        #expect(DNSQuestion.first(in: query(["caf\u{e9}"])) == nil)
        // A compression pointer, which no query has.
        var pointer = plain
        pointer[12] = 0xc0
        #expect(DNSQuestion.first(in: pointer) == nil)
    }

    @Test("ten thousand random buffers harm nothing")
    func random() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<10_000 {
            let count = Int.random(in: 0..<80, using: &generator)
            // Small numbers make headers likely.
            var bytes = (0..<count).map { _ in
                UInt8.random(in: 0...255, using: &generator) & (Bool.random() ? 0x01 : 0xff)
            }
            if count > 14, Bool.random() { bytes.replaceSubrange(2..<12, with: [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) }
            if let question = DNSQuestion.first(in: bytes) {
                #expect(!question.name.isEmpty && question.name.utf8.count < 255)
            }
        }
    }
}
