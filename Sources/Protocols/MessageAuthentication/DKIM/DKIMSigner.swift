// Signs what leaves (RFC 6376 section 5). The body streams by once; a field for each key comes out, to be put before the
// message as it was read.
import Digests
import Octets

/// What a domain signs with.
package struct DKIMSigner: Sendable {
    package let domain: String
    package let selector: String
    package let key: SigningKey

    package init(domain: String, selector: String, key: SigningKey) {
        self.domain = domain
        self.selector = selector
        self.key = key
    }
}

/// Reads a message that is to be signed.
package struct MessageSigning: Sendable {
    /// Fields that are signed where they are there (section 5.4.1). Those that change on the way, and traces, are not.
    private static let signedFields: Set<String> = [
        "from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references",
        "mime-version", "content-type", "content-transfer-encoding", "content-disposition", "content-id",
        "content-description", "resent-from", "resent-sender", "resent-to", "resent-cc", "resent-date",
        "resent-message-id", "list-id", "list-help", "list-unsubscribe", "list-unsubscribe-post", "list-subscribe",
        "list-post", "list-owner", "list-archive",
    ]
    /// Those that are named once more than they are there, so that none can be added (section 8.15).
    private static let sealedFields = [
        "from", "reply-to", "to", "cc", "subject", "date", "message-id", "mime-version", "content-type",
        "content-transfer-encoding",
    ]
    private static let lineOctetsMax = 76

    private var header = HeaderSplitter()
    private var body = BodyHasher(.relaxed)
    /// Read when it is first asked for: not before the header is past.
    private lazy var fields = header.octets.flatMap { SignedHeader($0) }

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        let rest = header.take(bytes)
        if !rest.isEmpty { body.update(rest) }
    }

    package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// The domain of the author, when the header is past and names one only.
    package var authorDomain: String? {
        mutating get {
            guard let domains = fields?.authorDomains, domains.count == 1 else { return nil }
            return domains[0]
        }
    }

    /// One field for each signer, in their order, each with its line end. Empty when the header is longer, or has more
    /// fields, than is looked at, or has no From.
    ///
    /// - Parameter now: seconds since 1970.
    package mutating func finish(_ signers: [DKIMSigner], now: Int64) -> [UInt8] {
        guard !signers.isEmpty, let fields, let hash = body.finish() else { return [] }
        var names = fields.fields.map(\.name).filter { Self.signedFields.contains($0) }
        guard names.contains("from"),
            names.count + Self.sealedFields.count <= CheckLimits.signedFieldsMax
        else { return [] }
        names += Self.sealedFields
        return signers.flatMap { sign($0, fields, names, Base64.encode(hash.bytes), now) }
    }

    private func sign(
        _ signer: DKIMSigner, _ fields: SignedHeader, _ names: [String], _ bodyHash: String, _ now: Int64
    ) -> [UInt8] {
        var text = Fold("DKIM-Signature:", Self.lineOctetsMax)
        text.add("v=1;")
        text.add("a=\(signer.key.algorithm.tag);")
        text.add("c=relaxed/relaxed;")
        text.add("d=\(signer.domain);")
        text.add("s=\(signer.selector);")
        text.add("t=\(now);")
        for (index, name) in names.enumerated() {
            text.add((index == 0 ? "h=" : "") + name + (index + 1 == names.count ? ";" : ":"))
        }
        text.add("bh=\(bodyHash);")
        text.add("b=")
        let digest = fields.digest(names, .relaxed, own: Array(text.text.utf8))
        var signature = Base64.encode(signer.key.sign(digest.bytes))[...]
        while !signature.isEmpty {
            text.append(String(signature.prefix(text.room)))
            signature = signature.dropFirst(text.lastCount)
            if !signature.isEmpty { text.breakLine() }
        }
        return Array((text.text + "\r\n").utf8)
    }
}

/// A header field that is folded where a word would make a line too long.
struct Fold {
    private(set) var text: String
    private(set) var lastCount = 0
    private var column: Int
    private let columnsMax: Int

    init(_ name: String, _ columnsMax: Int) {
        text = name
        column = name.utf8.count
        self.columnsMax = columnsMax
    }

    /// Octets that still fit on the line; at least one.
    var room: Int { max(1, columnsMax - column) }

    /// A word behind a space, or on a new line.
    mutating func add(_ word: String) {
        if column + 1 + word.utf8.count > columnsMax, column > 1 {
            breakLine()
        } else {
            text += " "
            column += 1
        }
        append(word)
    }

    mutating func append(_ word: String) {
        text += word
        column += word.utf8.count
        lastCount = word.utf8.count
    }

    mutating func breakLine() {
        text += "\r\n\t"
        column = 1
    }
}
