import ResolvConf
import Testing

@testable import Refresh
@testable import Resolvers

@Suite("ThreadReset")
struct ThreadResetTests {
    private func reset(set: [String] = [], clear: [String] = []) throws -> ThreadReset {
        var reset = ThreadReset(thread: nil)
        for word in set { try reset.addSet(word) }
        for word in clear { try reset.addClear(word) }
        return reset
    }

    @Test("numbers and switches are taken by name")
    func words() throws {
        let reset = try reset(
            set: ["timeout=2", "attempts=3", "ndots=0", "rotate"], clear: ["single-request", "no-reload"])
        #expect((reset.timeout, reset.attempts, reset.ndots) == (2, 3, 0))
        #expect(reset.flagsToSet == ["rotate"])
        #expect(reset.flagsToClear == ["single-request", "no-reload"])
        #expect(!reset.isEmpty)
        #expect(ThreadReset(thread: 7).isEmpty)
    }

    @Test("every switch of resolv.conf may be set and cleared", arguments: ResolverFlag.allCases.map(\.rawValue))
    func everyFlag(word: String) throws {
        #expect(try reset(set: [word]).flagsToSet == [word])
        #expect(try reset(clear: [word]).flagsToClear == [word])
    }

    @Test(
        "numbers are taken up to their limits",
        arguments: [
            ("timeout=1", true), ("timeout=30", true), ("timeout=0", false), ("timeout=31", false),
            ("attempts=1", true),
            ("attempts=5", true), ("attempts=0", false), ("attempts=6", false), ("ndots=0", true), ("ndots=15", true),
            ("ndots=16", false), ("ndots=-1", false), ("timeout=99999999999999999999", false),
        ])
    func limits(word: String, isTaken: Bool) {
        if isTaken {
            #expect(throws: Never.self) { try reset(set: [word]) }
        } else {
            #expect(throws: ThreadReset.InvalidChange.self) { try reset(set: [word]) }
        }
    }

    @Test("a number out of its range is told with the range")
    func rangeText() {
        let error = #expect(throws: ThreadReset.InvalidChange.self) { try reset(set: ["timeout=99"]) }
        #expect(error?.description == "timeout takes a number from 1 to 30, not 99")
    }

    @Test(
        "what is no change is refused, and changes nothing",
        arguments: [
            "", "=", "=3", "timeout", "timeout=", "timeout=x", "timeout=2=3", "timeout= 2", "Timeout=2", "rotate=1",
            "nonesuch",
            "nonesuch=1", "ndots=1.5", "single_request",
        ])
    func badSet(word: String) throws {
        var reset = ThreadReset(thread: nil)
        #expect(throws: ThreadReset.InvalidChange.self) { try reset.addSet(word) }
        #expect(reset.isEmpty)
    }

    @Test("only switches can be cleared", arguments: ["", "timeout", "ndots", "nonesuch", "rotate=1", "recurse"])
    func badClear(word: String) {
        var reset = ThreadReset(thread: nil)
        let error = #expect(throws: ThreadReset.InvalidChange.self) { try reset.addClear(word) }
        #expect(error?.description.contains("single-request-reopen") == true)
        #expect(reset.isEmpty)
    }

    @Test("only bits that change are written, from the bits as they are")
    func writes() throws {
        let reset = try reset(set: ["rotate", "timeout=2"], clear: ["single-request", "no-reload"])
        let now = GlibcOptionBits(rawValue: 0x220_02c1)
        #expect(reset.writes(for: now) == [.options(GlibcOptionBits(rawValue: 0x42c1)), .timeout(2)])
        #expect(reset.writes(for: GlibcOptionBits(rawValue: 0x42c1)) == [.timeout(2)])
        #expect(ThreadReset(thread: nil).writes(for: now).isEmpty)
        // Bits that nobody knows stay as they are.
        let strange = GlibcOptionBits(rawValue: 0xf000_0000_0000_4ac1)
        #expect(
            try self.reset(clear: ["rotate"]).writes(for: strange) == [
                .options(GlibcOptionBits(rawValue: 0xf000_0000_0000_0ac1))
            ])
    }

    @Test("a switch that is both set and cleared ends cleared")
    func both() throws {
        let reset = try reset(set: ["rotate"], clear: ["rotate"])
        #expect(reset.writes(for: .ordinary).isEmpty)
        #expect(reset.writes(for: GlibcOptionBits(rawValue: 0x42c1)) == [.options(.ordinary)])
    }

    @Test("a reset is seen when all of it is there")
    func isSeen() throws {
        let reset = try reset(set: ["timeout=2", "ndots=3", "rotate"])
        var options = ResolverOptions()
        func configuration() -> ResolverConfiguration {
            ResolverConfiguration(nameservers: [], search: [], options: options)
        }
        let rotating = GlibcOptionBits(rawValue: 0x42c1)
        options.timeout = 2
        #expect(!reset.isSeen(in: configuration(), options: rotating))
        options.ndots = 3
        #expect(reset.isSeen(in: configuration(), options: rotating))
        #expect(!reset.isSeen(in: configuration(), options: .ordinary))
    }
}
