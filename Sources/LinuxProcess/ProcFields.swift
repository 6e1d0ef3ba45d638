/// The fields of a line of /proc, taken from left to right.
///
/// Bytes, not characters: these files are read for every thread of a host, and a name in them may hold anything.
struct ProcFields {
    /// What is left of the line.
    private var line: ArraySlice<UInt8>

    private static let space = UInt8(ascii: " ")

    init(_ line: ArraySlice<UInt8>) {
        self.line = line
    }

    /// The next word; nil at the end.
    mutating func word() -> ArraySlice<UInt8>? {
        skipSpaces()
        guard !line.isEmpty else { return nil }
        let end = line.firstIndex { $0 == ProcFields.space || $0 == UInt8(ascii: "\t") } ?? line.endIndex
        defer { line = line[end...] }
        return line[..<end]
    }

    /// All that is left, without spaces around it.
    var rest: ArraySlice<UInt8> {
        let isBlank = { (byte: UInt8) in byte == ProcFields.space || byte == UInt8(ascii: "\t") }
        guard let first = line.firstIndex(where: { !isBlank($0) }),
            let last = line.lastIndex(where: { !isBlank($0) })
        else { return line[line.endIndex...] }
        return line[first...last]
    }

    /// The next word as a number; nil where it is none.
    mutating func decimal() -> UInt64? { word().flatMap { ProcFields.number($0, radix: 10) } }

    /// The next word, or what of it stands before a separator, as a number.
    mutating func hexadecimal(until separator: Unicode.Scalar? = nil) -> UInt64? {
        guard let separator else { return word().flatMap { ProcFields.number($0, radix: 16) } }
        skipSpaces()
        guard let end = line.firstIndex(of: UInt8(ascii: separator)) else { return nil }
        defer { line = line[(end + 1)...] }
        return ProcFields.number(line[..<end], radix: 16)
    }

    /// Passes over numbered words, from one up to, and not with, another.
    mutating func skip(from first: Int, to next: Int) {
        for _ in first..<next { _ = word() }
    }

    private mutating func skipSpaces() {
        let first = line.firstIndex { $0 != ProcFields.space && $0 != UInt8(ascii: "\t") } ?? line.endIndex
        line = line[first...]
    }

    static func number(_ digits: ArraySlice<UInt8>, radix: UInt64) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            let part: UInt64
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): part = UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): part = UInt64(digit - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): part = UInt64(digit - UInt8(ascii: "A") + 10)
            default: return nil
            }
            guard part < radix else { return nil }
            let (product, isTooLarge) = value.multipliedReportingOverflow(by: radix)
            let (sum, isOver) = product.addingReportingOverflow(part)
            if isTooLarge || isOver { return nil }
            value = sum
        }
        return digits.isEmpty ? nil : value
    }
}
