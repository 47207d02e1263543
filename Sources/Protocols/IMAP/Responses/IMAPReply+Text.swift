// Status responses and continuations as octets. Whatever their text and their codes are made of, a line stays one line of
// printable ASCII: names of mailboxes and octets of clients are never put into text.
import MailTypes
import Octets

extension IMAPReply {
    /// Appends the reply as it goes over the wire. Octets of its text that are not printable ASCII become `?` and long
    /// text is cut, so that text from elsewhere cannot break the framing.
    package func append(to output: inout [UInt8]) {
        switch self {
        case .tagged(let tag, let outcome):
            output.put(tag)
            outcome.append(to: &output)
        case .untagged(let outcome):
            output.append(Ascii.asterisk)
            outcome.append(to: &output)
        case .proceed(let text):
            output.put("+ ")
            Self.append(text: text, to: &output)
            output.putLineEnd()
        case .challenge(let octets):
            output.put("+ ")
            output.put(Base64.encode(octets))
            output.putLineEnd()
        }
    }

    /// As it goes over the wire.
    package var bytes: [UInt8] {
        var output: [UInt8] = []
        append(to: &output)
        return output
    }

    static func append(text: String, to output: inout [UInt8]) {
        // `text` has at least one octet (RFC 9051 section 9).
        if text.isEmpty { return output.put("Done") }
        for octet in text.utf8.prefix(IMAPLimits.replyTextOctetsMax) {
            output.append((0x20...0x7E).contains(octet) ? octet : Ascii.questionMark)
        }
    }
}

extension IMAPOutcome {
    fileprivate func append(to output: inout [UInt8]) {
        output.append(Ascii.space)
        output.put(status.rawValue)
        output.append(Ascii.space)
        if let code {
            output.append(Ascii.openBracket)
            code.append(to: &output)
            output.put("] ")
        }
        // Text that begins with a bracket would be taken for a code.
        if code == nil, text.utf8.first == Ascii.openBracket { output.append(Ascii.space) }
        IMAPReply.append(text: text, to: &output)
        output.putLineEnd()
    }
}

extension IMAPResponseCode {
    func append(to output: inout [UInt8]) {
        if let name { return output.put(name) }
        switch self {
        case .appendUID(let validity, let uids):
            output.put("APPENDUID ")
            output.put(decimal: validity.rawValue)
            output.append(Ascii.space)
            output.put(set: uids.runs)
        case .copyUID(let validity, let source, let destination):
            output.put("COPYUID ")
            output.put(decimal: validity.rawValue)
            output.append(Ascii.space)
            output.put(set: source.runs)
            output.append(Ascii.space)
            output.put(set: destination.runs)
        case .badCharset(let names):
            output.put("BADCHARSET")
            for (index, name) in names.enumerated() {
                output.append(Ascii.space)
                if index == 0 { output.append(Ascii.open) }
                output.put(name)
            }
            if !names.isEmpty { output.append(Ascii.close) }
        case .badURL(let url):
            output.put("BADURL ")
            for octet in url.utf8.prefix(IMAPLimits.replyTextOctetsMax) {
                let isSafe = (0x21...0x7E).contains(octet) && octet != Ascii.closeBracket
                output.append(isSafe ? octet : Ascii.questionMark)
            }
        case .capability(let names):
            output.put("CAPABILITY")
            for name in names {
                output.append(Ascii.space)
                output.put(name)
            }
        case .highestModSeq(let value):
            output.put("HIGHESTMODSEQ ")
            output.put(decimal: value)
        case .inProgress(let tag, let done, let goal): Self.append(tag, done, goal, to: &output)
        case .mailboxID(let id):
            output.put("MAILBOXID (")
            output.put(id)
            output.append(Ascii.close)
        case .modified(let runs):
            output.put("MODIFIED ")
            output.put(set: runs)
        case .permanentFlags(let flags, let keywords, let allowsNew):
            output.put("PERMANENTFLAGS (")
            var hasAny = FlagText.append(flags, isRecent: false, to: &output)
            for keyword in keywords.map(\.name) + (allowsNew ? ["\\*"] : []) {
                if hasAny { output.append(Ascii.space) }
                hasAny = true
                output.put(keyword)
            }
            output.append(Ascii.close)
        case .uidNext(let value):
            output.put("UIDNEXT ")
            output.put(decimal: value)
        case .uidValidity(let validity):
            output.put("UIDVALIDITY ")
            output.put(decimal: validity.rawValue)
        case .unseen(let number):
            output.put("UNSEEN ")
            output.put(decimal: number)
        default: preconditionFailure("a code without arguments has a name")
        }
    }

    /// RFC 9585 section 4.
    private static func append(_ tag: String?, _ done: UInt32?, _ goal: UInt32?, to output: inout [UInt8]) {
        output.put("INPROGRESS (")
        if let tag, tag.utf8.allSatisfy({ (0x20...0x7E).contains($0) && $0 != Ascii.closeBracket }) {
            output.put(string: tag, usesUTF8: false)
        } else {
            output.put("NIL")
        }
        output.append(Ascii.space)
        if let done { output.put(decimal: done) } else { output.put("NIL") }
        output.append(Ascii.space)
        if let done, let goal, goal > done { output.put(decimal: goal) } else { output.put("NIL") }
        output.append(Ascii.close)
    }

    /// Of a code without arguments.
    private var name: StaticString? {
        switch self {
        case .alert: "ALERT"
        case .alreadyExists: "ALREADYEXISTS"
        case .authenticationFailed: "AUTHENTICATIONFAILED"
        case .authorizationFailed: "AUTHORIZATIONFAILED"
        case .cannot: "CANNOT"
        case .clientBug: "CLIENTBUG"
        case .closed: "CLOSED"
        case .compressionActive: "COMPRESSIONACTIVE"
        case .contactAdmin: "CONTACTADMIN"
        case .corruption: "CORRUPTION"
        case .expired: "EXPIRED"
        case .expungeIssued: "EXPUNGEISSUED"
        case .hasChildren: "HASCHILDREN"
        case .inUse: "INUSE"
        case .limit: "LIMIT"
        case .noModSeq: "NOMODSEQ"
        case .nonExistent: "NONEXISTENT"
        case .noPerm: "NOPERM"
        case .notSaved: "NOTSAVED"
        case .overQuota: "OVERQUOTA"
        case .parse: "PARSE"
        case .privacyRequired: "PRIVACYREQUIRED"
        case .readOnly: "READ-ONLY"
        case .readWrite: "READ-WRITE"
        case .serverBug: "SERVERBUG"
        case .tooBig: "TOOBIG"
        case .tryCreate: "TRYCREATE"
        case .uidNotSticky: "UIDNOTSTICKY"
        case .unavailable: "UNAVAILABLE"
        case .unknownCTE: "UNKNOWN-CTE"
        case .useAttr: "USEATTR"
        case .appendUID, .copyUID, .badCharset, .badURL, .capability, .highestModSeq, .inProgress, .mailboxID,
            .modified,
            .permanentFlags, .uidNext, .uidValidity, .unseen:
            nil
        }
    }
}
