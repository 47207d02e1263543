// From the greeting to `ready`: EHLO and HELO, STARTTLS, the login at a smart host, and servers that are none.
import SMTP

let openingConversations: [ClientConversation] = [
    ClientConversation(
        "STARTTLS when it is offered; what was offered before is forgotten (RFC 3207 section 4.2)",
        openingHello + """
            S: 250-there.test
            S: 250-PIPELINING
            S: 250 STARTTLS
            C: STARTTLS
            S: 220 go ahead
            = tls
            + secured
            C: EHLO mx.example.test
            S: 250 there.test
            = ready
            + send
            C: MAIL FROM:<a@example.test>
            """),
    ClientConversation(
        "octets in the clear behind the reply to STARTTLS are no reply of the secured server",
        openingHello + """
            S: 250-there.test
            S: 250 STARTTLS
            C: STARTTLS
            S: 220 go ahead\r\n250 injected
            = tls
            = close malformed
            """),
    ClientConversation(
        "STARTTLS refused, TLS wanted but not required",
        openingHello + """
            S: 250-there.test
            S: 250 STARTTLS
            C: STARTTLS
            S: 454 4.7.0 not now
            = ready
            """),
    ClientConversation(
        "TLS required and not offered", { $0.configuration.tls = .required },
        openingHello + """
            S: 250 there.test
            = close noTLS
            """),
    ClientConversation(
        "a server from before EHLO",
        openingHello + """
            S: 502 what
            C: HELO mx.example.test
            S: 250 there.test
            = ready
            """),
    ClientConversation(
        "turned away at the door",
        """
        S: 554 5.7.1 not you
        = close refused 554
        """),
    ClientConversation(
        "a smart host that wants a login over TLS (RFC 4954, RFC 4616)",
        {
            $0.configuration.isImplicitTLS = true
            $0.configuration.credentials = SMTPClientCredentials(user: "tim", password: "tanstaaftanstaaf")
        },
        openingHello + """
            S: 250-there.test
            S: 250 AUTH LOGIN PLAIN
            C: AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm
            S: 235 2.7.0 ok
            = ready
            """),
    ClientConversation(
        "AUTH LOGIN where there is no PLAIN; a wrong password ends it",
        {
            $0.configuration.isImplicitTLS = true
            $0.configuration.credentials = SMTPClientCredentials(user: "tim", password: "x")
        },
        openingHello + """
            S: 250-there.test
            S: 250 AUTH LOGIN
            C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: dGlt
            S: 334 UGFzc3dvcmQ6
            C: eA==
            S: 535 5.7.8 no
            = close refused 535
            """),
    ClientConversation(
        "a password does not go out in the clear",
        { $0.configuration.credentials = SMTPClientCredentials(user: "tim", password: "x") },
        openingHello + """
            S: 250-there.test
            S: 250 AUTH PLAIN
            = close noTLS
            """),
    ClientConversation(
        "no SMTP at all",
        """
        S: HTTP/1.1 400 Bad Request
        = close malformed
        """),
    ClientConversation(
        "a reply that nobody asked for",
        openingPlain + """
            S: 250 and another thing
            = close refused 250
            """),
]
