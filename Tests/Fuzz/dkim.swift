// A message with signatures: read in two ways of cutting it, it comes to the same; forged results leave a header that has
// none of them, and is otherwise as it was.
//
// Bytes: one octet that says how to cut, then a message.
@testable import MessageAuthentication

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDKIM(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard let first = input.first else { return 0 }
    let message = Array(input.dropFirst())
    var whole = MessageReading(now: 1_000_000)
    whole.update(message)
    var cut = MessageReading(now: 1_000_000)
    var rest = message[...]
    while !rest.isEmpty {
        let piece = rest.prefix(Int(first % 7) + 1)
        cut.update(Array(piece))
        rest = rest.dropFirst(piece.count)
    }
    let (one, other) = (whole.finish(), cut.finish())
    precondition("\(one.signatures)" == "\(other.signatures)", "cuts matter")
    precondition(one.headerOctets == other.headerOctets && one.header == other.header)
    if let header = one.header {
        let clean = AuthenticationResults.removingForged(header, server: "a.example")
        precondition(clean.count <= header.count)
        precondition(AuthenticationResults.removingForged(clean, server: "a.example") == clean, "a forged field stays")
    }
    return 0
}
