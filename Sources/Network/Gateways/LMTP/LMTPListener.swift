import SMTP

/// LMTP (RFC 2033) is SMTP with another greeting word and a reply for each recipient, and the machine knows both: a
/// session is an `SMTPSession` in this dialect. What differs for the listener: its clients are mail systems of the same
/// site, so that Unix sockets are usual, and a domain literal or a strange name in LHLO is nobody's concern.
extension GatewayOptions {
    func lmtp(_ sending: SendingOptions) -> SMTPServerConfiguration { smtp(.lmtp, sending) }
}
