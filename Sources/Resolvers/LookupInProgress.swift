import ELFImage
import LinuxProcess
import Tracing

extension Lookup {
    /// Functions by which an application asks for a name, the outermost of which it called.
    private static let entryPoints: Set<String> = [
        "getaddrinfo", "gethostbyname", "gethostbyname2", "gethostbyname_r", "gethostbyname2_r", "gethostbyaddr",
        "gethostbyaddr_r", "getnameinfo", "res_query", "res_search", "res_send", "res_nquery", "res_nsearch",
        "res_nsend", "__res_query", "__res_search", "__res_send", "__res_nquery", "__res_nsearch", "__res_nsend",
        "res_querydomain", "getaddrinfo_a",
    ]

    /// What a thread that sits in a lookup waits for, from a snapshot of it and its system call.
    ///
    /// - Parameters:
    ///   - sleep: the system call it slept in before it was held, and for how long.
    ///   - sockets: descriptors that the resolver's own state names.
    /// - Returns: nil where no function of the resolver is on its stack and no socket is open.
    static func read(
        _ snapshot: StackSnapshot, stack: CallStack, sleep: LookupSleep?, of target: TargetProcess, sockets: [Int32]
    ) -> Lookup? {
        var lookup = Lookup()
        lookup.call = entryPoint(stack, target.images)
        guard lookup.call != nil || !sockets.isEmpty else { return nil }
        for socket in sockets {
            if let peer = target.id.peer(of: socket) { lookup.sockets[socket] = peer.endpoint }
        }
        if let sleep, let descriptor = waitedFor(sleep.call, target.images.memory),
            let peer = target.id.peer(of: descriptor)
        {
            lookup.sockets[descriptor] = peer.endpoint
            lookup.server = peer.endpoint
            lookup.transport = peer.transport.rawValue.hasPrefix("udp") ? "udp" : "tcp"
        }
        lookup.seconds = sleep?.seconds ?? AttemptBeginning.secondsAgo(snapshot, stack)
        lookup.take(DNSQuestion.first(in: snapshot.stack))
        return lookup
    }

    /// What a thread waits for that is asleep in poll on an internet socket with a DNS query in its stack. For resolvers that keep
    /// no state and have no unwind tables; the thread is not held.
    static func readAsleep(_ thread: ThreadID, of target: TargetProcess) -> Lookup? {
        let memory = target.images.memory
        guard let sleep = LookupSleep(of: thread, in: target.id),
            let descriptor = waitedFor(sleep.call, memory), let inode = target.id.socketInode(of: descriptor),
            let stack = try? memory.readUpTo(sleep.call.stackPointer, count: StackSnapshot.limit),
            let question = DNSQuestion.first(in: stack)
        else { return nil }
        let kinds = [InternetSocket.Transport.udp, .udp6, .tcp, .tcp6]
        let found = kinds.lazy.compactMap { kind in
            try? InternetSocket.all(kind, seenBy: target.id).first { $0.inode == inode }
        }
        guard let socket = found.first else { return nil }
        var lookup = Lookup()
        lookup.take(question)
        lookup.transport = socket.transport.rawValue.hasPrefix("udp") ? "udp" : "tcp"
        // A socket that is not connected asks several servers at once.
        if socket.peer.port != 0 {
            lookup.server = socket.peer
            lookup.sockets[descriptor] = socket.peer
        }
        lookup.seconds = sleep.seconds
        return lookup
    }

    private mutating func take(_ question: DNSQuestion?) {
        name = question?.name
        recordType = question?.type
    }

    private static func entryPoint(_ stack: CallStack, _ images: ImageCatalog) -> String? {
        // From the outside in: the first that is known is what the application called.
        for frame in stack.frames.reversed() {
            guard let start = frame.procedureStart, let module = images.list.module(containing: start),
                [.libc, .resolver, .loader].contains(LibraryKind(name: module.name)),
                let image = try? images.image(of: module)
            else { continue }
            if let name = image.functions(at: start).map(\.name).first(where: entryPoints.contains) { return name }
        }
        return nil
    }

    /// The descriptor that a blocked system call waits for: the first of poll's list, or that of a receive.
    private static func waitedFor(_ call: BlockedSystemCall, _ memory: ProcessMemory) -> Int32? {
        let numbers = Native.systemCalls
        switch call.number {
        case numbers.poll, numbers.ppoll, numbers.restartSyscall:
            // A poll that was interrupted before goes on under the last of these, with its arguments.
            return try? memory.load(call.arguments[0])
        case numbers.recvfrom, numbers.recvmsg, numbers.read, numbers.connect, numbers.sendto, numbers.write:
            return Int32(truncatingIfNeeded: call.arguments[0])
        default:
            return nil
        }
    }
}

/// The system call a thread sleeps in, and for how long, as seen before it is held: that makes its sleep another one.
struct LookupSleep {
    let call: BlockedSystemCall
    /// nil where it was interrupted before: it has gone to sleep anew since.
    let seconds: Double?

    /// nil where the thread does not sleep.
    init?(of thread: ThreadID, in process: ProcessID) {
        guard let call = try? BlockedSystemCall(of: thread, in: process) else { return nil }
        self.call = call
        let isFirstSleep = call.number != Native.systemCalls.restartSyscall
        seconds = isFirstSleep ? SchedulerClock.millisecondsAsleep(thread, in: process).map { $0 / 1000 } : nil
    }
}

/// A question of a DNS query, as it stands in a resolver's buffer (RFC 1035, sections 4.1.1 and 4.1.2).
struct DNSQuestion: Equatable {
    let name: String
    let type: String

    private static let types: [UInt16: String] = [
        1: "A", 28: "AAAA", 12: "PTR", 33: "SRV", 15: "MX", 16: "TXT", 65: "HTTPS",
    ]
    private static let headerSize = 12
    /// Octets of a name, the root label's included (RFC 1035, section 2.3.4).
    private static let nameLimit = 255

    /// The first complete query in some bytes: a header that asks one question and answers none, then a well-formed name.
    static func first(in bytes: [UInt8]) -> DNSQuestion? {
        guard bytes.count > headerSize + 5 else { return nil }
        // Header bytes 4 to 11: one question, no answer, no authority, at most one additional record (EDNS).
        for start in 0..<bytes.count - headerSize - 5
        where bytes[start + 5] == 1 && bytes[start + 4] == 0 && bytes[start + 2] & 0xfe == 0
            && bytes[start + 6..<start + 11].allSatisfy({ $0 == 0 }) && bytes[start + 11] <= 1
        {
            if let question = question(bytes, at: start + headerSize) { return question }
        }
        return nil
    }

    private static func question(_ bytes: [UInt8], at start: Int) -> DNSQuestion? {
        var labels: [String] = []
        var position = start
        while position < bytes.count, bytes[position] != 0 {
            let length = Int(bytes[position])
            guard length < 64, position + 1 + length < bytes.count else { return nil }
            let label = bytes[position + 1..<position + 1 + length]
            guard label.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
            labels.append(String(decoding: label, as: UTF8.self))
            position += 1 + length
        }
        // Type and class IN follow the root label.
        guard !labels.isEmpty, position - start < nameLimit, position + 5 <= bytes.count, bytes[position + 3] == 0,
            bytes[position + 4] == 1
        else {
            return nil
        }
        let type = UInt16(bytes[position + 1]) << 8 | UInt16(bytes[position + 2])
        return DNSQuestion(name: labels.joined(separator: "."), type: types[type] ?? "TYPE\(type)")
    }
}
