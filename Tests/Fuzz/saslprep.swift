// SASLprep over any octets: never a trap, and what is prepared once stays as it is when prepared again.
import Digests

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSASLprep(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard let prepared = try? SASLprep.prepare(input) else { return 0 }
    precondition((try? SASLprep.prepare(prepared)) == prepared, "a prepared password changes when prepared again")
    return 0
}
