// Packed summaries: any octets are refused or read to the end, and what was read packs to something that reads the same.
//
// Bytes: the packed form.
import MIME

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPacked(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard let packed = PackedSummary(bytes: input) else { return 0 }
    _ = packed.sentDate
    packed.withEnvelope { envelope in
        _ = SortKeys.subject(of: envelope)
        for field in Envelope.Field.allCases { _ = Envelope.string(field, in: envelope) }
    }
    guard let summary = packed.summary else { return 0 }
    precondition(PackedSummary(bytes: PackedSummary(summary).bytes)?.summary == summary, "another summary")
    let structure = summary.structure
    for (index, part) in structure.parts.enumerated() {
        precondition(part.body.end <= structure.octets && part.end <= structure.parts.count && part.end > index)
        precondition(structure.children(of: index).allSatisfy { structure.parts[$0].body.end <= part.body.end })
    }
    return 0
}
