import ELFImage

extension TargetProcess {
    /// What its language's runtime does with addresses after they were resolved, as far as a refresh does not reach it.
    public var remarks: [String] {
        guard images.list.modules.contains(where: { $0.name == "libjvm.so" }) else { return [] }
        return [
            "the JVM keeps answers for as long as its security property networkaddress.cache.ttl says (30 s unless it is set; "
                + "with a security manager for ever): only then does it ask the resolver again"
        ]
    }
}
