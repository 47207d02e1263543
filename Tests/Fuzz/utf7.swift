// Modified UTF-7: never a trap, what decodes has one spelling, and every text comes back from its encoding.
import Octets

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzUTF7(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    if let text = ModifiedUTF7.decode(input) {
        precondition(Array(ModifiedUTF7.encode(text).utf8) == input, "two spellings of one name")
    }
    let text = String(decoding: input, as: UTF8.self)
    let encoded = ModifiedUTF7.encode(text)
    precondition(encoded.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "an octet that is not printable ASCII")
    let decoded = ModifiedUTF7.decode(encoded)
    precondition(decoded.map { $0.unicodeScalars.elementsEqual(text.unicodeScalars) } == true, "a text is lost")
    return 0
}
