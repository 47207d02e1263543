import MailTypes

/// The values that SORT compares (RFC 5256 section 3, RFC 5957), prepared by i;unicode-casemap, from the form of an
/// envelope.
package enum SortKeys {
    /// FROM, TO and CC: the mailbox of the first address.
    package static func mailbox(_ field: Envelope.Field, of envelope: UnsafeRawBufferPointer) -> [UInt8] {
        first(field, of: envelope) { $0.mailbox.map { CaseFolder.fold($0) } ?? [] }
    }

    /// DISPLAYFROM and DISPLAYTO: the first address as it is shown.
    package static func display(_ field: Envelope.Field, of envelope: UnsafeRawBufferPointer) -> [UInt8] {
        first(field, of: envelope) { address in
            if let name = address.name {
                let text = EncodedWords.decode(name)
                if !text.isEmpty { return CaseFolder.fold(text) }
            }
            guard let mailbox = address.mailbox else { return [] }
            guard let host = address.host else { return CaseFolder.fold(mailbox) }
            return CaseFolder.fold(Array(mailbox) + [64] + Array(host))
        }
    }

    /// SUBJECT.
    package static func subject(of envelope: UnsafeRawBufferPointer) -> BaseSubject {
        var subject = BaseSubject(nil)
        Envelope.read(envelope) { item in
            if case .string(.subject, let text?) = item { subject = BaseSubject(Array(text)) }
        }
        return subject
    }

    /// DATE: the sent date, or the other when the message has none that can be read (RFC 5256 section 2.2).
    package static func sentDate(of envelope: UnsafeRawBufferPointer, otherwise date: InternalDate) -> InternalDate {
        var sent: InternalDate?
        Envelope.read(envelope) { item in
            if case .string(.date, let text?) = item { sent = MessageDate.parse(text) }
        }
        return sent ?? date
    }

    private static func first(
        _ field: Envelope.Field, of envelope: UnsafeRawBufferPointer, _ key: (Envelope.Address) -> [UInt8]
    ) -> [UInt8] {
        var isNext = false
        var found: [UInt8] = []
        Envelope.read(envelope) { item in
            switch item {
            case .list(let list, _): isNext = list == field
            case .address(let address) where isNext:
                found = key(address)
                isNext = false
            default: break
            }
        }
        return found
    }
}
