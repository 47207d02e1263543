// Maildir file names and modified UTF-7: never a trap, and what is taken for a name of ours has one spelling.
import Octets
import Projections

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMaildirName(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    if let file = MaildirFile(parsing: input), file.isCanonical {
        let text = file.letters.map { file.name.text($0) } ?? file.name.base
        precondition(Array(text.utf8) == input, "two spellings of one name")
    }
    if let text = ModifiedUTF7.decode(input) {
        precondition(Array(ModifiedUTF7.encode(text).utf8) == input, "two spellings of one folder name")
    }
    return 0
}
