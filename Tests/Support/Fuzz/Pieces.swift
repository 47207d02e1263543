/// Lengths of the pieces in which input arrives: all at once without `cut`, single octets for 0.
struct Pieces {
    let cut: UInt8?
    private var state: UInt32

    init(cut: UInt8?) {
        self.cut = cut
        state = UInt32(cut ?? 0)
    }

    mutating func next() -> Int {
        guard let cut else { return .max }
        if cut == 0 { return 1 }
        state = state &* 1_664_525 &+ 1_013_904_223
        return 1 + Int(state >> 16) % Int(cut)
    }

    /// Hands `body` one piece after the other, each in a buffer of its exact size, so that a read beyond it is seen.
    static func each(of octets: ArraySlice<UInt8>, cut: UInt8?, _ body: ([UInt8]) -> Void) {
        var pieces = Pieces(cut: cut)
        var rest = octets
        while !rest.isEmpty {
            let piece = rest.prefix(pieces.next())
            rest = rest.dropFirst(piece.count)
            body(Array(piece))
        }
    }
}
