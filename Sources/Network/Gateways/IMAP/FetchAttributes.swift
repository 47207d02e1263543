import IMAP

extension FetchAttribute {
    /// The row does not answer it.
    var needsBody: Bool {
        switch self {
        case .envelope, .bodyStructure, .body, .binary, .binarySize, .preview: true
        case .flags, .uid, .internalDate, .rfc822Size, .modSeq, .emailID, .threadID, .saveDate: false
        }
    }
}

extension IMAPSession {
    /// Writes untagged responses.
    func respond(_ write: (inout IMAPWriter) -> Void) {
        var writer = IMAPWriter(usesUTF8: machine.enabled.usesUTF8)
        write(&writer)
        connection.write(writer.bytes)
    }
}
