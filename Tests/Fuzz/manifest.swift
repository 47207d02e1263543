// The manifest of a store: never a trap, what is read can be written and read again, and a file cut short is refused or
// says the same.
@testable import EventStore

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzManifest(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let text = String(decoding: input, as: UTF8.self)
    if let manifest = try? StoreManifest.parse(text, "STORE") {
        precondition(manifest.uuid.count == 16 && manifest.shards == 1, "a store that cannot be")
        precondition((try? StoreManifest.parse(manifest.text, "STORE")) == manifest, "a manifest changes when written")
    }
    guard input.count >= 18 else { return 0 }
    let manifest = StoreManifest(uuid: Array(input[..<16]), shards: 1)
    let whole = Array(manifest.text.utf8)
    precondition((try? StoreManifest.parse(manifest.text, "STORE")) == manifest, "what was written is not read")
    let cut = (Int(input[16]) << 8 | Int(input[17])) % whole.count
    if let short = try? StoreManifest.parse(String(decoding: whole[..<cut], as: UTF8.self), "STORE") {
        precondition(short == manifest, "a manifest cut short is taken for another")
    }
    return 0
}
