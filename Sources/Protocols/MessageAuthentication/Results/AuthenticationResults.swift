// Authentication-Results (RFC 8601): what we found, in a field of our name; and fields of our name that others wrote,
// which are taken out so that nobody speaks for us (section 5).
import MailTypes

package enum AuthenticationResults {
    static let name = "authentication-results"
    private static let lineOctetsMax = 78

    /// The field, ended by CRLF.
    ///
    /// - Parameter server: our `authserv-id` (section 2.5).
    package static func field(_ verdict: MessageVerdict, server: String) -> [UInt8] {
        var results: [[String]] = []
        if let spf = verdict.spf { results.append(words(spf)) }
        if verdict.dkim.isEmpty { results.append(["dkim=none"]) }
        results += verdict.dkim.map(words)
        results.append(words(verdict.dmarc))
        var text = Fold("Authentication-Results:", lineOctetsMax)
        text.add(server + ";")
        for index in results.indices.dropLast() { results[index][results[index].count - 1] += ";" }
        for result in results {
            text.breakLine()
            text.append(result[0])
            for word in result.dropFirst() { text.add(word) }
        }
        return Array((text.text + "\r\n").utf8)
    }

    private static func words(_ spf: SPFVerdict) -> [String] {
        var words = ["spf=\(spf.result.rawValue)"]
        if let reason = spf.reason { words.append("reason=" + quoted(reason)) }
        if !spf.sender.isEmpty { words.append("smtp.\(spf.identity.rawValue)=" + value(spf.sender)) }
        return words
    }

    private static func words(_ dkim: DKIMVerdict) -> [String] {
        var words = ["dkim=\(dkim.result.rawValue)"]
        if let reason = dkim.reason { words.append("reason=" + quoted(reason)) }
        guard !dkim.domain.isEmpty else { return words }
        words.append("header.d=" + value(dkim.domain))
        words.append("header.s=" + value(dkim.selector))
        words.append("header.a=" + value(dkim.algorithm))
        words.append("header.b=" + value(dkim.mark))
        return words
    }

    private static func words(_ dmarc: DMARCVerdict) -> [String] {
        var words = ["dmarc=\(dmarc.result.rawValue)"]
        if let reason = dmarc.reason { words.append("reason=" + quoted(reason)) }
        if !dmarc.domain.isEmpty { words.append("header.from=" + value(dmarc.domain)) }
        if dmarc.result == .fail { words.append("policy.dmarc=\(dmarc.policy.rawValue)") }
        return words
    }

    /// As `pvalue`: an address or a token as it is, everything else quoted.
    private static func value(_ text: String) -> String {
        if text.utf8.allSatisfy(isToken), !text.isEmpty { return text }
        if let at = text.utf8.lastIndex(of: Ascii.at) {
            let (localPart, domain) = (text[..<at].utf8, text[text.index(after: at)...].utf8)
            if localPart.allSatisfy(isToken), domain.allSatisfy(isToken), Address(text) != nil { return text }
        }
        return quoted(text)
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars where scalar.value >= 0x20 && scalar.value != 0x7F {
            if scalar == "\"" || scalar == "\\" { out.unicodeScalars.append("\\") }
            out.unicodeScalars.append(scalar)
        }
        return out + "\""
    }

    /// `token` of RFC 2045 section 5.1.
    private static func isToken(_ octet: UInt8) -> Bool {
        octet > 0x20 && octet < 0x7F && !#"()<>@,;:\"/[]?="#.utf8.contains(octet)
    }

    // MARK: Forged fields

    /// The header without the fields of this kind that bear our name, or that nobody can read.
    package static func removingForged(_ header: [UInt8], server: String) -> [UInt8] {
        guard let fields = SignedHeader(header)?.fields else { return header }
        let kept = fields.filter { !isForged($0, server) }
        guard kept.count < fields.count else { return header }
        let length = fields.reduce(0) { $0 + $1.octets.count }
        return kept.flatMap(\.octets) + header[length...]
    }

    private static func isForged(_ field: SignedHeader.Field, _ server: String) -> Bool {
        guard field.name == name, let colon = field.octets.firstIndex(of: Ascii.colon) else { return false }
        guard field.octets.count <= CheckLimits.resultsOctetsMax else { return true }
        var text = ResultsReader(field.octets[(colon + 1)...])
        // authserv-id [ CFWS version ]; without them it is nobody's.
        guard let said = text.word() else { return true }
        guard said.lowercased() != server.lowercased(), said.lowercased() != server.lowercased() + "." else {
            return true
        }
        if let version = text.word(), version != "1" { return true }
        return false
    }
}

/// Reads words between comments and folds.
private struct ResultsReader {
    private var rest: ArraySlice<UInt8>

    init(_ octets: ArraySlice<UInt8>) { rest = octets }

    /// A token or a quoted string; nil when something else comes.
    mutating func word() -> String? {
        skip()
        guard let first = rest.first else { return nil }
        var out: [UInt8] = []
        if first == 0x22 {
            rest.removeFirst()
            while let octet = rest.popFirst(), octet != 0x22 {
                if octet == 0x5C {
                    if let next = rest.popFirst() { out.append(next) }
                } else if octet != Ascii.carriageReturn, octet != Ascii.lineFeed {
                    out.append(octet)
                }
            }
        } else {
            while let octet = rest.first, !Ascii.isFold(octet), !"();,\"".utf8.contains(octet) {
                out.append(octet)
                rest.removeFirst()
            }
        }
        return out.isEmpty ? nil : String(decoding: out, as: UTF8.self)
    }

    /// Blanks, folds and comments (RFC 5322 section 3.2.2).
    private mutating func skip() {
        var depth = 0
        while let octet = rest.first {
            switch octet {
            case 0x28: depth += 1
            case 0x29 where depth > 0: depth -= 1
            case 0x5C where depth > 0: rest.removeFirst()
            default: if depth == 0, !Ascii.isFold(octet) { return }
            }
            if !rest.isEmpty { rest.removeFirst() }
        }
    }
}
