// What a sender asks for beside delivery, as values of the envelope: reports (RFC 3461), TLS on the whole way (RFC 8689),
// release at a later time (RFC 4865), delivery in time (RFC 2852). MailParameters reads them and `parameter` writes them
// for the next host.

/// When the sender wants a report about a recipient (RFC 3461 section 4.1). Nothing in it is NEVER; where the parameter is
/// absent the envelope has nil, and a host reports failures and, as it likes, delays.
package struct SMTPNotify: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let success = SMTPNotify(rawValue: 1)
    package static let failure = SMTPNotify(rawValue: 2)
    package static let delay = SMTPNotify(rawValue: 4)

    /// The value of NOTIFY=; nil for anything else. NEVER stands alone.
    package init?(parameter: String) {
        let words = parameter.uppercased().split(separator: ",", omittingEmptySubsequences: false)
        guard words.count <= 3 else { return nil }
        if words == ["NEVER"] {
            self = []
            return
        }
        var notify = SMTPNotify()
        for word in words {
            guard let element = Self.names.first(where: { $0.name == word })?.element, !notify.contains(element) else {
                return nil
            }
            notify.insert(element)
        }
        self = notify
    }

    package var parameter: String {
        isEmpty ? "NEVER" : Self.names.filter { contains($0.element) }.map(\.name).joined(separator: ",")
    }

    private static let names: [(name: String, element: SMTPNotify)] = [
        ("SUCCESS", .success), ("FAILURE", .failure), ("DELAY", .delay),
    ]
}

/// The recipient as the sender first wrote it (RFC 3461 section 4.2, RFC 6533 section 3): a kind of address, and the address.
package struct SMTPOriginalRecipient: Equatable, Sendable {
    /// As it stands in the parameter; it is passed on unchanged (RFC 3461 section 5.2.1).
    package let parameter: String
    /// Such as `rfc822` or `utf-8`, in lower case.
    package let kind: String
    /// Decoded; for reports.
    package let address: String

    /// The value of ORCPT=; nil for anything else.
    package init?(parameter: String) {
        guard parameter.utf8.count <= SMTPLimits.originalRecipientOctetsMax,
            let semicolon = parameter.firstIndex(of: ";")
        else { return nil }
        let kind = parameter[..<semicolon].lowercased()
        let value = parameter[parameter.index(after: semicolon)...]
        // An atom (RFC 3461 section 4.2).
        guard !kind.isEmpty, kind.utf8.allSatisfy({ Ascii.isLetterOrDigit($0) || $0 == Ascii.hyphen }) else {
            return nil
        }
        let address = kind == "utf-8" ? Self.unitext(value) : SMTPXtext(encoded: String(value))?.text
        guard let address else { return nil }
        self.parameter = parameter
        self.kind = kind
        self.address = address
    }

    /// RFC 6533 section 3: UTF-8 as it is, or with `\x{HEX}` for characters that cannot stand there.
    private static func unitext(_ value: Substring) -> String? {
        var text = String.UnicodeScalarView()
        var rest = value.unicodeScalars[...]
        while let scalar = rest.first {
            rest = rest.dropFirst()
            guard scalar == "\\" else {
                guard scalar.value > 0x20, scalar.value != 0x7F, scalar != "+", scalar != "=" else { return nil }
                text.append(scalar)
                continue
            }
            guard rest.starts(with: "x{".unicodeScalars), let end = rest.firstIndex(of: "}") else { return nil }
            let digits = rest[rest.startIndex..<end].dropFirst(2)
            guard (2...6).contains(digits.count), digits.allSatisfy(\.properties.isASCIIHexDigit),
                let value = UInt32(String(String.UnicodeScalarView(digits)), radix: 16),
                let escaped = Unicode.Scalar(value)
            else { return nil }
            text.append(escaped)
            rest = rest[rest.index(after: end)...]
        }
        return text.isEmpty ? nil : String(text)
    }
}

/// How much of the message goes back with a report of failure (RFC 3461 section 4.3).
package enum SMTPReturnedContent: String, Hashable, Sendable {
    case full = "FULL"
    case headers = "HDRS"
}

/// Not to be sent on before that time (RFC 4865).
package enum SMTPHold: Hashable, Sendable {
    case seconds(Int)
    /// Seconds since 1970.
    case until(Int)

    /// Seconds since 1970 at which a message that came at `now` may go.
    package func release(at now: Int) -> Int {
        switch self {
        case .seconds(let seconds): now + seconds
        case .until(let time): time
        }
    }

    /// The value of `Future-Release-Request` in a report (RFC 4865 section 5.1.2).
    package var field: String {
        switch self {
        case .seconds(let seconds): "for;\(seconds)"
        case .until(let time): "until;\(InternetTime.text(time))"
        }
    }
}

/// To be delivered within a time (RFC 2852 section 4).
package struct SMTPDeliverBy: Hashable, Sendable {
    package enum Mode: String, Hashable, Sendable {
        /// The sender is told, and it is tried on.
        case notify = "N"
        /// It goes back.
        case `return` = "R"
    }
    /// From MAIL on; 0 and less with `notify` only.
    package let seconds: Int
    package let mode: Mode
    /// Relays report that they passed it on.
    package let isTraced: Bool

    package init(seconds: Int, mode: Mode, isTraced: Bool = false) {
        self.seconds = seconds
        self.mode = mode
        self.isTraced = isTraced
    }

    /// The value of BY=; nil for anything else.
    package init?(parameter: String) {
        let parts = parameter.uppercased().split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let digits = parts[0].first == "-" || parts[0].first == "+" ? parts[0].dropFirst() : parts[0]
        guard (1...SMTPLimits.byTimeDigitsMax).contains(digits.utf8.count), digits.utf8.allSatisfy(Ascii.isDigit),
            let magnitude = Int(digits), let first = parts[1].first, let mode = Mode(rawValue: String(first)),
            parts[1].dropFirst().isEmpty || parts[1].dropFirst() == "T"
        else { return nil }
        let seconds = parts[0].first == "-" ? -magnitude : magnitude
        guard seconds > 0 || mode == .notify else { return nil }
        self.init(seconds: seconds, mode: mode, isTraced: parts[1].utf8.count == 2)
    }

    package var parameter: String { "\(seconds);\(mode.rawValue)\(isTraced ? "T" : "")" }
}
