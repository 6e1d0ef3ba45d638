import Glibc
import Testing

@testable import LinuxProcess
@testable import ResolvConf
@testable import Resolvers

@Suite("GlibcThreadState")
struct GlibcThreadStateTests {
    @Test("every field is read from its place")
    func fields() throws {
        let layout = StateLayout(
            options: 0x50_42c1, privateFlags: 0x20_0001, timeout: 7, attempts: 3, ndots: 4, sortCount: 9,
            servers: ["10.0.0.1", "10.0.0.2", "10.0.0.3"], port: 5353, search: ["a.example", "b.example"],
            sockets: [11, -1, 12],
            extensionIndex: 0x26a8_fa5e_48af_8063)
        let state = try layout.read()
        #expect(state.options.rawValue == 0x50_42c1)
        #expect(state.privateFlags == 0x20_0001)
        #expect(state.privateSingleRequest == .singleRequest)
        #expect((state.timeout, state.attempts, state.ndots) == (7, 3, 4))
        #expect(state.nameservers.map(\.description) == ["10.0.0.1:5353", "10.0.0.2:5353", "10.0.0.3:5353"])
        #expect(state.search == ["a.example", "b.example"])
        #expect(state.sockets == [11, 12])
        #expect(state.extensionIndex == 0x26a8_fa5e_48af_8063)
        #expect(state.isInitialized)
        #expect(state.configuration.options.flags == [.rotate, .edns0, .singleRequestReopen])
    }

    @Test("our own libc lays a state out as this says")
    func ownLibc() throws {
        // A resolver state of our own, filled in by libc's initialiser; a symbol, not a macro.
        typealias Initialize = @convention(c) (UnsafeMutableRawPointer) -> Int32
        typealias Close = @convention(c) (UnsafeMutableRawPointer) -> Void
        let initialize = unsafeBitCast(try #require(dlsym(nil, "__res_ninit")), to: Initialize.self)
        let close = unsafeBitCast(try #require(dlsym(nil, "__res_nclose")), to: Close.self)
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 16)
        buffer.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
        defer { buffer.deallocate() }
        try #require(initialize(buffer) == 0)
        defer { close(buffer) }
        let state = try GlibcThreadState(at: UInt64(UInt(bitPattern: buffer)), memory: ProcessMemory(of: .own))
        #expect(state.isInitialized)
        #expect(state.sockets.isEmpty)

        let file = (try? readText("/etc/resolv.conf")) ?? ""
        let environment = try ProcessID.own.environment()
        let expected = EffectiveConfiguration(ResolvConf(parsing: file), environment: environment, hostDomain: nil)
        #expect(state.nameservers == expected.nameservers.map { SocketEndpoint(address: $0, port: 53) })
        #expect(
            (state.timeout, state.attempts, state.ndots)
                == (expected.options.timeout, expected.options.attempts, expected.options.ndots))
        if let search = expected.search { #expect(state.search == search) }
    }

    @Test("IPv4 and IPv6 servers stand side by side")
    func mixedServers() throws {
        let state = try StateLayout(servers: ["2001:db8::1", "10.0.0.2", "fe80::1%3"]).read()
        #expect(state.nameservers.map(\.description) == ["[2001:db8::1]:53", "10.0.0.2:53", "[fe80::1%3]:53"])
    }

    @Test("a thread that never resolved has nothing in force and no sockets", arguments: [UInt64(0), 0x2c0, 0x20_0000])
    func neverResolved(options: UInt64) throws {
        let state = try StateLayout(
            options: options, timeout: 0, attempts: 0, ndots: 0, servers: [], sockets: [0, 0, 0]
        ).read()
        #expect(!state.isInitialized)
        #expect(state.nameservers.isEmpty)
        #expect(state.search.isEmpty)
        #expect(state.sockets.isEmpty)
    }

    @Test("the places of servers that there are not hold no sockets")
    func unusedPlaces() throws {
        #expect(try StateLayout(sockets: [-1, 0, 0]).read().sockets.isEmpty)
        #expect(try StateLayout(sockets: [11, 0, 0]).read().sockets == [11])
    }

    @Test("what is no state is refused, not believed")
    func notAState() throws {
        let layouts = [
            StateLayout(options: 0x2000_02c1), StateLayout(options: UInt64.max), StateLayout(serverCount: 4),
            StateLayout(serverCount: -1), StateLayout(timeout: -100_000), StateLayout(timeout: 100_000),
            StateLayout(attempts: -100_000), StateLayout(attempts: 100_000), StateLayout(sockets: [1 << 20, -1, -1]),
            // A server is announced and its place is empty.
            StateLayout(serverCount: 2, servers: ["10.0.0.1"]),
        ]
        for layout in layouts { #expect(throws: OpaqueReason.self) { try layout.read() } }
    }

    @Test("a server behind a pointer that leads nowhere is an error")
    func badPointer() {
        #expect(throws: (any Error).self) { try StateLayout(servers: ["::1"], badPointer: 8).read() }
    }

    @Test("an address that is not mapped is an error")
    func unmapped() {
        #expect(throws: SystemError.self) { try GlibcThreadState(at: 8, memory: ProcessMemory(of: .own)) }
    }

    @Test("six search names are read at the most")
    func searchLimit() throws {
        let names = (1...7).map { "a\($0).example" }
        #expect(try StateLayout(search: names).read().search == Array(names.prefix(6)))
    }

    @Test(
        "glibc takes as many search names as fit in 256 bytes",
        arguments: [
            // Seen with glibc 2.36: both of 127 bytes and their zeroes fit, one byte more does not. A first name of more than
            // 255 bytes it cannot take at all: it ends the process.
            ([127, 127], 2), ([128, 127], 1), ([255], 1), ([256], 0), ([70, 66, 65, 55, 9, 9], 3),
            ([1, 1, 1, 1, 1, 1, 1], 6),
            ([], 0),
        ])
    func searchThatFits(lengths: [Int], count: Int) {
        let names = lengths.map { String(repeating: "a", count: $0) }
        #expect(GlibcThreadState.searchThatFits(names) == Array(names.prefix(count)))
    }

    @Test(
        "an endpoint is read from a socket address",
        arguments: [
            ("127.0.0.1", 53, "127.0.0.1:53"), ("::1", 853, "[::1]:853"), ("fe80::1%9", 5353, "[fe80::1%9]:5353"),
        ]
            as [(String, UInt16, String)])
    func endpoint(address: String, port: UInt16, text: String) {
        #expect(GlibcThreadState.endpoint(socketAddress(address, port: port))?.description == text)
    }

    @Test("a socket address that is cut short or of another family is none")
    func badEndpoint() {
        for address in ["127.0.0.1", "::1"] {
            let bytes = socketAddress(address)
            let needed = address.contains(":") ? 28 : 8
            for count in 0..<needed {
                #expect(GlibcThreadState.endpoint(Array(bytes.prefix(count))) == nil, "\(count)")
            }
            #expect(GlibcThreadState.endpoint(Array(bytes.prefix(needed))) != nil)
        }
        #expect(GlibcThreadState.endpoint([1, 0] + [UInt8](repeating: 0, count: 26)) == nil)
    }

    @Test("fields are written alone, and their neighbours stay")
    func fieldWrites() throws {
        let heap = Heap([UInt8](repeating: 0x77, count: 568))
        let memory = ProcessMemory(of: .own)
        for field in [GlibcFieldWrite.options(.ordinary), .timeout(3), .attempts(4), .ndots(2)] {
            try field.write(to: heap.address, memory: memory)
        }
        let bytes = heap.bytes
        #expect(bytes.integer(at: 0, as: Int32.self) == 3)
        #expect(bytes.integer(at: 4, as: Int32.self) == 4)
        #expect(bytes.integer(at: 8, as: UInt64.self) == 0x2c1)
        // The upper half is the length of the sort list.
        #expect(bytes[392] == 0x72)
        let written = Set(Array(0..<16) + [392])
        #expect(bytes.indices.allSatisfy { written.contains($0) || bytes[$0] == 0x77 })
    }
}

@Suite("GlibcLoadedConfiguration")
struct GlibcLoadedConfigurationTests {
    @Test("every field is read from its place")
    func fields() throws {
        let layout = ConfigurationLayout(
            servers: ["10.0.0.1", "2001:db8::1", "10.0.0.3", "10.0.0.4"], search: ["a.example", "b.example"],
            options: 0x42c1, timeout: 3, attempts: 4, ndots: 6)
        let configuration = try #require(layout.read())
        #expect(
            configuration.nameservers.map(\.description) == [
                "10.0.0.1:53", "[2001:db8::1]:53", "10.0.0.3:53", "10.0.0.4:53",
            ])
        #expect(configuration.search == ["a.example", "b.example"])
        #expect(configuration.options.rawValue == 0x42c1)
        #expect((configuration.timeout, configuration.attempts, configuration.ndots) == (3, 4, 6))
    }

    @Test("empty lists are lists")
    func empty() throws {
        let configuration = try #require(ConfigurationLayout(servers: [], search: [], serverList: 0).read())
        #expect(configuration.nameservers.isEmpty && configuration.search.isEmpty)
    }

    @Test("what is no configuration is not believed")
    func notAConfiguration() {
        let layouts = [
            ConfigurationLayout(references: 0), ConfigurationLayout(references: 1 << 32),
            ConfigurationLayout(options: 0x2000_02c1),
            ConfigurationLayout(timeout: 3601), ConfigurationLayout(attempts: 101), ConfigurationLayout(ndots: 16),
            ConfigurationLayout(serverCount: 65), ConfigurationLayout(searchCount: 1025),
            ConfigurationLayout(serverCount: UInt64.max), ConfigurationLayout(serverList: 8),
        ]
        for layout in layouts { #expect(layout.read() == nil) }
    }

    @Test("an address that is odd, null or not mapped leads to none", arguments: [UInt64(0), 8, 3, UInt64.max - 7])
    func badAddress(address: UInt64) {
        #expect(GlibcLoadedConfiguration(at: address, memory: ProcessMemory(of: .own)) == nil)
    }
}
