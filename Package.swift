// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target: strict, and no warning survives.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// Only the .c files see GNU extensions: a module that Swift imports must see the same libc as every other one.
let shims: [CSetting] = [.define("_GNU_SOURCE"), .unsafeFlags(["-Wall", "-Wextra", "-Werror"])]

let package = Package(
    name: "repoint",
    products: [.executable(name: "repoint", targets: ["repoint"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
    ],
    targets: [
        // C: what Swift cannot import, and the two system libraries.
        .target(name: "CLinux", cSettings: shims),
        .systemLibrary(name: "CLibelf", pkgConfig: "libelf", providers: [.apt(["libelf-dev"])]),
        .target(
            name: "CLibunwind", cSettings: shims,
            // The generic remote unwinder only: -lunwind would take the C++ runtime's own unwinder away.
            linkerSettings: [
                .linkedLibrary("unwind-generic"), .linkedLibrary("lzma"), .linkedLibrary("z"),
            ]),

        // The house, floor by floor: a module imports only modules above it in this list.
        .target(name: "LinuxProcess", dependencies: ["CLinux"], swiftSettings: strict),
        .target(name: "ELFImage", dependencies: ["CLibelf", "LinuxProcess"], swiftSettings: strict),
        .target(
            name: "Tracing", dependencies: ["CLinux", "CLibunwind", "ELFImage", "LinuxProcess"], swiftSettings: strict),
        .target(name: "ResolvConf", dependencies: ["LinuxProcess"], swiftSettings: strict),
        .target(
            name: "Resolvers", dependencies: ["ELFImage", "LinuxProcess", "ResolvConf", "Tracing"],
            swiftSettings: strict),
        .target(
            name: "Evidence", dependencies: ["CLinux", "LinuxProcess", "Tracing"], swiftSettings: strict),
        .target(
            name: "Refresh",
            dependencies: ["CLinux", "ELFImage", "Evidence", "LinuxProcess", "ResolvConf", "Resolvers", "Tracing"],
            swiftSettings: strict),
        .executableTarget(
            name: "repoint",
            dependencies: [
                "Refresh", "LinuxProcess", "Resolvers",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),

        // Tests: a folder per module, named alike. They start real programs from TestTargets/build.
        .target(
            name: "TestSupport", dependencies: ["LinuxProcess", "Refresh"], path: "Tests/TestSupport",
            swiftSettings: strict),
        .testTarget(
            name: "LinuxProcessTests", dependencies: ["LinuxProcess", "TestSupport"], path: "Tests/LinuxProcess",
            swiftSettings: strict),
        .testTarget(
            name: "ELFImageTests", dependencies: ["ELFImage", "TestSupport"], path: "Tests/ELFImage",
            swiftSettings: strict),
        .testTarget(
            name: "TracingTests", dependencies: ["Tracing", "TestSupport"], path: "Tests/Tracing", swiftSettings: strict
        ),
        .testTarget(
            name: "ResolvConfTests", dependencies: ["ResolvConf"], path: "Tests/ResolvConf", swiftSettings: strict),
        .testTarget(
            name: "ResolversTests", dependencies: ["Resolvers", "TestSupport"], path: "Tests/Resolvers",
            swiftSettings: strict),
        .testTarget(
            name: "EvidenceTests", dependencies: ["Evidence", "TestSupport"], path: "Tests/Evidence",
            swiftSettings: strict),
        .testTarget(
            name: "RefreshTests", dependencies: ["Refresh", "TestSupport", "Tracing"], path: "Tests/Refresh",
            swiftSettings: strict
        ),
        .testTarget(
            name: "EndToEndTests", dependencies: ["TestSupport", "Refresh"], path: "Tests/EndToEnd",
            swiftSettings: strict),
        .testTarget(
            name: "DaemonTests", dependencies: ["TestSupport", "LinuxProcess", "Refresh", "Resolvers"],
            path: "Tests/Daemons",
            exclude: ["install", "programs"], swiftSettings: strict),
    ]
)
