// What a message needs or wishes for, where a server has it and where not: size, 8-bit, UTF-8, reports, REQUIRETLS, a time
// to deliver by, binary chunks.
import SMTP

let capabilityConversations: [ClientConversation] = [
    ClientConversation(
        "what the server said it cannot take is not offered to it", { $0.message.octets = 1_001 },
        openingPipelined + """
            + send
            = failed 552, failed 552
            = ready
            """),
    ClientConversation(
        "internationalized mail needs SMTPUTF8 (RFC 6531 section 3.2)", { $0.message.needsUTF8 = true },
        openingPipelined + """
            + send
            = failed 550, failed 550
            = ready
            """),
    ClientConversation(
        "8BITMIME is said where it is offered (RFC 6152)", { $0.message.is8Bit = true },
        openingPipelined + """
            + send
            C: MAIL FROM:<a@example.test> SIZE=10 BODY=8BITMIME
            C: RCPT TO:<x@there.test>
            C: RCPT TO:<y@there.test>
            C: DATA
            """),
    ClientConversation(
        "wishes go where they are known (RFC 3461 section 5.2)",
        {
            $0.message.envelopeID = "QQ"
            $0.message.returns = .headers
            $0.message.notify = ["NEVER", ""]
            $0.message.originals = ["", "rfc822;y@there.test"]
        },
        openingHello + """
            S: 250-there.test
            S: 250-PIPELINING
            S: 250 DSN
            = ready
            + send
            C: MAIL FROM:<a@example.test> RET=HDRS ENVID=QQ
            C: RCPT TO:<x@there.test> NOTIFY=NEVER
            C: RCPT TO:<y@there.test> ORCPT=rfc822;y@there.test
            C: DATA
            """),
    ClientConversation(
        "REQUIRETLS is promised over TLS only (RFC 8689 section 4.2.1)",
        {
            $0.message.wantsRequireTLS = true
            $0.message.mustRequireTLS = true
        },
        openingHello + """
            S: 250-there.test
            S: 250 REQUIRETLS
            = ready
            + send
            = incapable 550, incapable 550
            = ready
            """),
    ClientConversation(
        "REQUIRETLS over TLS, and no report with the text (section 5)",
        {
            $0.configuration.isImplicitTLS = true
            $0.message.wantsRequireTLS = true
            $0.message.mustRequireTLS = true
            $0.message.returns = .full
        },
        openingHello + """
            S: 250-there.test
            S: 250-DSN
            S: 250 REQUIRETLS
            = ready
            + send
            C: MAIL FROM:<a@example.test> REQUIRETLS RET=HDRS
            S: 250 ok
            C: RCPT TO:<x@there.test>
            """),
    ClientConversation(
        "a time to deliver by (RFC 2852 section 4)",
        { $0.message.deliverBy = SMTPDeliverBy(seconds: 120, mode: .return, isTraced: true) },
        openingHello + """
            S: 250-there.test
            S: 250 DELIVERBY 60
            = ready
            + send
            C: MAIL FROM:<a@example.test> BY=120;RT
            S: 250 ok
            C: RCPT TO:<x@there.test>
            """),
    ClientConversation(
        "a host that needs more time than there is (section 4.1.4.1)",
        { $0.message.deliverBy = SMTPDeliverBy(seconds: 59, mode: .return) },
        openingHello + """
            S: 250-there.test
            S: 250 DELIVERBY 60
            = ready
            + send
            = incapable 550, incapable 550
            = ready
            """),
    ClientConversation(
        "a binary message goes in one chunk, when somebody is to have it (RFC 3030)", { $0.message.isBinary = true },
        openingHello + """
            S: 250-there.test
            S: 250-PIPELINING
            S: 250-CHUNKING
            S: 250 BINARYMIME
            = ready
            + send
            C: MAIL FROM:<a@example.test> BODY=BINARYMIME
            C: RCPT TO:<x@there.test>
            C: RCPT TO:<y@there.test>
            S: 250 ok
            S: 250 ok
            S: 550 no
            C: BDAT 10 LAST
            = chunk
            + sent
            S: 250 stored
            = delivered 250, failed 550
            = ready
            """),
    ClientConversation(
        "a binary message that nobody takes", { $0.message.isBinary = true },
        openingHello + """
            S: 250-there.test
            S: 250-CHUNKING
            S: 250 BINARYMIME
            = ready
            + send
            C: MAIL FROM:<a@example.test> BODY=BINARYMIME
            S: 250 ok
            C: RCPT TO:<x@there.test>
            S: 550 no
            C: RCPT TO:<y@there.test>
            S: 550 no
            = failed 550, failed 550
            C: RSET
            S: 250 ok
            = ready
            """),
    ClientConversation(
        "a host without BINARYMIME gets no binary message", { $0.message.isBinary = true },
        openingPipelined + """
            + send
            = incapable 554, incapable 554
            = ready
            """),
]
