// CAPA by state, and what UTF8, LANG and STLS turn on.

let capabilityConversations: [Conversation] = [
    Conversation(
        "capabilities in both states (RFC 2449)",
        """
        S: +OK pop.example.test POP3 Letterlog
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: PIPELINING
        S: EXPIRE NEVER
        S: LOGIN-DELAY 0
        S: UTF8 USER
        S: LANG
        S: IMPLEMENTATION Letterlog
        S: .
        C: capa\u{20}
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: PIPELINING
        S: EXPIRE NEVER
        S: LOGIN-DELAY 0
        S: UTF8 USER
        S: LANG
        S: IMPLEMENTATION Letterlog
        S: .
        C: CAPA all
        S: -ERR CAPA takes no argument
        C: QUIT
        S: +OK Closing
        """),
    Conversation(
        "UTF8 and LANG (RFC 6856)",
        """
        S: +OK pop.example.test POP3 Letterlog
        C: UTF8 now
        S: -ERR UTF8 takes no argument
        C: UTF8
        S: +OK UTF-8 from now on
        C: LANG
        S: +OK Languages follow
        S: en English
        S: .
        C: lang *
        S: +OK en Texts are English
        C: LANG EN
        S: +OK en Texts are English
        C: LANG MUL
        S: -ERR No such language here, texts stay English
        C: USER mrose
        S: +OK Send PASS
        C: PASS tan staaf
        S: +OK Maildrop has 3 messages (89 octets)
        C: UTF8
        S: -ERR Already logged in
        C: LANG en
        S: +OK en Texts are English
        C: QUIT
        S: +OK Closing
        """),
    Conversation(
        "no passwords in the clear", .encryptedOnly,
        """
        S: +OK pop.example.test POP3 Letterlog
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: UIDL
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: PIPELINING
        S: EXPIRE NEVER
        S: LOGIN-DELAY 0
        S: UTF8
        S: LANG
        S: IMPLEMENTATION Letterlog
        S: .
        C: USER mrose
        S: -ERR Passwords are not taken over an unencrypted connection
        C: PASS tan staaf
        S: -ERR USER comes first
        C: QUIT
        S: +OK Closing
        """),
    Conversation(
        "STLS (RFC 2595 section 4): what was said before does not count", .withTLS,
        """
        S: +OK pop.example.test POP3 Letterlog
        C: USER mrose
        S: -ERR Passwords are not taken over an unencrypted connection
        C: STLS now
        S: -ERR STLS takes no argument
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: UIDL
        S: STLS
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: PIPELINING
        S: EXPIRE NEVER
        S: LOGIN-DELAY 0
        S: UTF8
        S: LANG
        S: IMPLEMENTATION Letterlog
        S: .
        C: STLS
        S: +OK Begin TLS
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: PIPELINING
        S: EXPIRE NEVER
        S: LOGIN-DELAY 0
        S: UTF8 USER
        S: LANG
        S: IMPLEMENTATION Letterlog
        S: .
        C: STLS
        S: -ERR TLS is on already
        C: USER mrose
        S: +OK Send PASS
        C: PASS tan staaf
        S: +OK Maildrop has 3 messages (89 octets)
        C: STLS
        S: -ERR Already logged in
        C: QUIT
        S: +OK Closing
        """),
]

extension Site {
    static let encryptedOnly: Site = {
        var site = Site()
        site.configuration.allowsPlaintextLogin = false
        return site
    }()
    static let withTLS: Site = {
        var site = encryptedOnly
        site.configuration.offersTLS = true
        return site
    }()
}
