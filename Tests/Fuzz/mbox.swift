// mbox files: never a trap, what comes out has CRLF line ends, and the size of the pieces that go in changes nothing.
import MIME

private func read(_ input: [UInt8], pieces: Int) -> (messages: Int, octets: [UInt8]) {
    var reader = MboxReader(quoting: .mboxrd, dropsStatusFields: input.count % 2 == 0)
    var octets: [UInt8] = []
    let sink = { (event: MboxEvent) in
        if case .bytes(let run) = event { octets.append(contentsOf: run) }
    }
    input.withUnsafeBytes { all in
        var offset = 0
        while offset < all.count {
            let end = min(all.count, offset + pieces)
            reader.consume(UnsafeRawBufferPointer(rebasing: all[offset..<end]), sink)
            offset = end
        }
    }
    reader.finish(sink)
    return (reader.messages, octets)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMbox(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let whole = read(input, pieces: max(1, count | 1))
    let single = read(input, pieces: 1)
    precondition(whole == single, "pieces matter")
    var last: UInt8 = 0
    for octet in whole.octets {
        precondition(octet != 10 || last == 13, "a line end without CR")
        last = octet
    }
    return 0
}
