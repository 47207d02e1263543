/// How input is cut into reads.
package enum Chunking: Sendable {
    case whole
    case octetByOctet
    case splitAt(Int)
    /// Reads of these sizes, over and over.
    case sizes([Int])

    package func cut(_ input: [UInt8]) -> [ArraySlice<UInt8>] {
        switch self {
        case .whole: return [input[...]]
        case .octetByOctet: return input.indices.map { input[$0...$0] }
        case .splitAt(let index): return [input[..<index], input[index...]]
        case .sizes(let sizes):
            var pieces: [ArraySlice<UInt8>] = []
            var start = 0
            while start < input.count {
                let end = min(input.count, start + sizes[pieces.count % sizes.count])
                pieces.append(input[start..<end])
                start = end
            }
            return pieces
        }
    }
}
