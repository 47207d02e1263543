// Base64 decoding: never a trap, and what it takes is canonical, so that encoding the result gives the input back.
import Octets

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzBase64(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    if let bytes = Base64.decode(input) {
        precondition(Array(Base64.encode(bytes).utf8) == input, "two texts for the same bytes")
    }
    precondition(Base64.decode(Base64.encode(input)) == input, "what was encoded does not come back")
    return 0
}
