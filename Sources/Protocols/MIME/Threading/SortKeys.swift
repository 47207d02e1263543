import MailTypes

/// The values that SORT compares (RFC 5256 section 3, RFC 5957), prepared by i;unicode-casemap, from the form of an
/// envelope.
package enum SortKeys {
    /// FROM, TO and CC: the mailbox of the first address.
    package static func mailbox(_ field: Envelope.Field, of envelope: UnsafeRawBufferPointer) -> [UInt8] {
        Envelope.firstAddress(field, in: envelope)?.mailbox.map { CaseFolder.fold($0) } ?? []
    }

    /// DISPLAYFROM and DISPLAYTO: the first address as it is shown.
    package static func display(_ field: Envelope.Field, of envelope: UnsafeRawBufferPointer) -> [UInt8] {
        guard let address = Envelope.firstAddress(field, in: envelope) else { return [] }
        if let name = address.name {
            let text = EncodedWords.decode(name)
            if !text.isEmpty { return CaseFolder.fold(text) }
        }
        guard let mailbox = address.mailbox else { return [] }
        guard let host = address.host else { return CaseFolder.fold(mailbox) }
        return CaseFolder.fold(Array(mailbox) + [64] + Array(host))
    }

    /// SUBJECT.
    package static func subject(of envelope: UnsafeRawBufferPointer) -> BaseSubject {
        BaseSubject(Envelope.string(.subject, in: envelope).map { Array($0) })
    }

    /// DATE: the sent date, or the other when the message has none that can be read (RFC 5256 section 2.2).
    package static func sentDate(of envelope: UnsafeRawBufferPointer, otherwise date: InternalDate) -> InternalDate {
        Envelope.string(.date, in: envelope).flatMap { MessageDate.parse($0) } ?? date
    }
}
