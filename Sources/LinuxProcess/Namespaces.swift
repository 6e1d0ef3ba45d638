/// One kind of namespace a process lives in (namespaces(7)).
public enum NamespaceKind: String, Sendable, CaseIterable {
    case mount = "mnt"
    case network = "net"
    case process = "pid"
    case user = "user"
    case hostName = "uts"
}

extension ProcessID {
    /// The namespace's identity, such as `net:[4026531840]`.
    public func namespace(_ kind: NamespaceKind) throws(SystemError) -> String {
        try readLink("\(procPath)/ns/\(kind.rawValue)")
    }

    /// `host` where the process shares it with PID 1 (or with us, where PID 1 is not ours to ask), else its identity.
    public func namespaceName(_ kind: NamespaceKind) throws(SystemError) -> String {
        let own = try namespace(kind)
        let host = (try? ProcessID(1).namespace(kind)) ?? (try? readLink("/proc/self/ns/\(kind.rawValue)"))
        return own == host ? "host" : own
    }
}
