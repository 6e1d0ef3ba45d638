import ResolvConf
import Testing

@testable import Resolvers

@Suite("GoResolver")
struct GoResolverTests {
    private func information(flags: UInt8, _ text: String) -> [UInt8] {
        let header: [UInt8] = [0xff] + Array(" Go buildinf:".utf8) + [8, flags] + [UInt8](repeating: 0, count: 16)
        return header + [UInt8(text.utf8.count)] + Array(text.utf8) + [0, 0, 0]
    }

    @Test(
        "the release is read where it stands behind the header",
        arguments: [
            ("go1.19.8", "1.19.8"), ("go1.22rc1", "1.22rc1"), ("go1.21.4 X:boringcrypto", "1.21.4"), ("devel", nil),
        ] as [(String, String?)])
    func version(text: String, version: String?) {
        #expect(GoResolver.version(inBuildInformation: information(flags: 2, text)[...]) == version)
        // Before Go 1.18 there is a pointer instead.
        #expect(GoResolver.version(inBuildInformation: information(flags: 0, text)[...]) == nil)
    }

    @Test("information that is cut short tells nothing")
    func short() {
        let bytes = information(flags: 2, "go1.19.8")
        for count in 0..<bytes.count - 3 {
            #expect(GoResolver.version(inBuildInformation: bytes[..<count]) == nil, "\(count)")
        }
    }

    @Test(
        "no-reload is obeyed from Go 1.20 on, and nothing else keeps Go from reading the file again",
        arguments: [
            ("1.19.8", "", ResolverState.following), ("1.19.8", "options no-reload", .following),
            ("1.20", "options no-reload", .opaque), ("1.22rc1", "options ndots:2 no-reload", .opaque),
            (nil, "options no-reload", .opaque), ("2.0", "options rotate", .following), (nil, "", .following),
        ] as [(String?, String, ResolverState)])
    func noReload(version: String?, text: String, state: ResolverState) {
        let file = ResolvConf(parsing: "nameserver 127.0.0.2\n" + text)
        #expect(GoResolver(path: "/program", version: version).diagnose(file: file).state == state)
    }
}
