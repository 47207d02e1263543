// What a server sends to a client of ours is read or refused, however it is cut: the same responses and texts come of it,
// no more octets of texts than came, and what is held stays within the limit.
//
// Bytes: how to cut; then what the server sends.
import IMAP

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzIMAPClient(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard let cut = input.first else { return 0 }
    let octets = Array(input.dropFirst())
    let whole = Reading(octets, cut: octets.count)
    let pieces = Reading(octets, cut: Int(cut % 17) + 1)
    precondition(whole.responses == pieces.responses, "other responses when cut")
    precondition(whole.text == pieces.text, "another text when cut")
    precondition((whole.failure == nil) == (pieces.failure == nil), "refused only when cut")
    precondition(whole.text.count <= octets.count, "a text longer than all that came")
    precondition(whole.began >= whole.ended, "a text that ended without having begun")
    return 0
}

/// All that a parser says of some octets.
private struct Reading {
    var responses: [IMAPServerResponse] = []
    var text: [UInt8] = []
    var began = 0
    var ended = 0
    var failure: IMAPClientFailure?

    init(_ octets: [UInt8], cut: Int) {
        var parser = IMAPResponseParser()
        var rest = octets[...]
        while !rest.isEmpty, failure == nil {
            let piece = Array(rest.prefix(max(1, cut)))
            rest = rest.dropFirst(piece.count)
            do {
                try piece.withUnsafeBytes { octets in
                    try parser.consume(octets) { event in
                        switch event {
                        case .response(let response): responses.append(response)
                        case .bodyBegan: began += 1
                        case .bodyOctets(let octets): text.append(contentsOf: octets)
                        case .bodyEnded: ended += 1
                        }
                    }
                }
            } catch {
                failure = error as? IMAPClientFailure
                precondition(failure != nil, "another kind of failure")
            }
        }
    }
}
