import IMAP

extension FetchAttribute {
    /// What the cache may know.
    var needsSummary: Bool {
        switch self {
        case .envelope, .bodyStructure, .binary, .binarySize, .preview: true
        case .body(let section): !section.part.isEmpty || section.text != .all
        default: false
        }
    }

    var readsOctets: Bool {
        switch self {
        case .body, .binary, .binarySize, .preview: true
        default: false
        }
    }

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
