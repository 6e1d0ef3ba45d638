extension Array {
    /// The element whose range holds an address, found by bisection: the ranges are ascending and do not overlap.
    @inlinable
    public func element(at address: UInt64, in range: (borrowing Element) -> Range<UInt64>) -> Element? {
        let found = withUnsafeBufferPointer { elements -> Int? in
            var low = 0
            var high = elements.count
            while low < high {
                let middle = (low + high) / 2
                if range(elements[middle]).upperBound <= address { low = middle + 1 } else { high = middle }
            }
            return low < elements.count && range(elements[low]).contains(address) ? low : nil
        }
        return found.map { self[$0] }
    }
}
