// Address lists: what comes out has the form of an envelope, groups are whole, and only they have addresses without a
// host.
//
// Bytes: a list, as it stands in a field.
import MIME

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzAddress(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    // One field: no line of it begins a new one.
    var field = Array("From:".utf8)
    for octet in input { field += octet == 10 ? [10, 32] : [octet] }
    let envelope = (field + [10, 10]).withUnsafeBytes { Envelope(header: $0) }
    precondition(Envelope(bytes: envelope.bytes) == envelope, "an envelope that does not come back")
    let addresses = envelope.from
    precondition(envelope.sender == addresses && envelope.replyTo == addresses)
    precondition(addresses.count <= MIMELimits.addressesMax + 1)
    var isInGroup = false
    for address in addresses {
        for text in [address.name, address.route, address.mailbox, address.host] {
            precondition(text?.contains { $0 == 13 || $0 == 10 || $0 == 0 } != true, "a line end in a string")
        }
        if address.isGroupEnd {
            precondition(isInGroup && address.name == nil && address.route == nil)
            isInGroup = false
        } else if address.isGroupStart {
            precondition(!isInGroup && address.name == nil && address.route == nil)
            isInGroup = true
        } else {
            precondition(address.mailbox != nil && address.name?.isEmpty != true && address.route?.isEmpty != true)
        }
    }
    precondition(!isInGroup, "a group that does not end")
    envelope.bytes.withUnsafeBytes { bytes in
        _ = SortKeys.mailbox(.from, of: bytes)
        _ = SortKeys.display(.from, of: bytes)
        var search = TextSearch([[97]])
        search.take(.from, of: bytes)
    }
    // Any octets as an envelope: refused or read, to the end.
    _ = Envelope(bytes: input).map { _ = $0.from }
    return 0
}
