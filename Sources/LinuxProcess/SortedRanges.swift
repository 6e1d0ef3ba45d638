extension Array {
    /// The element whose range holds an address, found by bisection: the ranges are ascending and do not overlap.
    public func element(at address: UInt64, in range: KeyPath<Element, Range<UInt64>>) -> Element? {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = (low + high) / 2
            if self[middle][keyPath: range].upperBound <= address { low = middle + 1 } else { high = middle }
        }
        guard low < endIndex, self[low][keyPath: range].contains(address) else { return nil }
        return self[low]
    }
}
