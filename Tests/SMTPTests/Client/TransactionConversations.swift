// One message: its commands in turn and in a pipeline, refusals at each of them, and connections that end on the way.

let transactionConversations: [ClientConversation] = [
    ClientConversation(
        "one by one without PIPELINING",
        openingPlain + """
            + send
            C: MAIL FROM:<a@example.test>
            S: 250 ok
            C: RCPT TO:<x@there.test>
            S: 250 ok
            C: RCPT TO:<y@there.test>
            S: 550 5.1.1 nobody
            C: DATA
            S: 354 go on
            = body
            + sent
            S: 250 2.0.0 stored as 7
            = delivered 250, failed 550
            = ready
            + quit
            C: QUIT
            S: 221 bye
            = close quit
            """),
    ClientConversation(
        "a group of commands with PIPELINING (RFC 2920)",
        openingPipelined + "+ send\n" + messageAsked + """
            S: 250 ok
            S: 250 ok
            S: 451 4.2.1 later
            S: 354 go on
            = body
            + sent
            S: 250 stored
            = delivered 250, deferred 451
            = ready
            """),
    ClientConversation(
        "MAIL refused in a pipeline: its reply is the reason, not those after it",
        openingPipelined + "+ send\n" + messageAsked + """
            S: 550 5.7.1 not from you
            S: 503 out of order
            S: 503 out of order
            S: 503 out of order
            = failed 550, failed 550
            C: RSET
            S: 250 ok
            = ready
            """),
    ClientConversation(
        "nobody taken, and DATA accepted all the same: an empty message (RFC 2920 section 3.1)",
        openingPipelined + "+ send\n" + messageAsked + """
            S: 250 ok
            S: 550 no
            S: 450 not now
            S: 354 go on
            C: .
            S: 554 no valid recipients
            = failed 550, deferred 450
            C: RSET
            S: 250 ok
            = ready
            """),
    ClientConversation(
        "DATA refused",
        openingPipelined + "+ send\n" + messageAsked + """
            S: 250 ok
            S: 250 ok
            S: 550 no
            S: 452 4.3.1 no room
            = deferred 452, failed 550
            C: RSET
            S: 250 ok
            = ready
            """),
    ClientConversation(
        "the end of the message refused for good",
        openingPipelined + "+ send\n" + messageAsked + """
            S: 250 ok
            S: 250 ok
            S: 250 ok
            S: 354 go on
            = body
            + sent
            S: 554 5.6.0 no
            = failed 554, failed 554
            C: RSET
            S: 250 ok
            = ready
            """),
    ClientConversation(
        "the connection breaks before the last reply: nobody has it for certain",
        openingPipelined + "+ send\n" + messageAsked + """
            S: 250 ok
            S: 250 ok
            S: 550 no
            S: 354 go on
            = body
            + sent
            + lost
            = unanswered, failed 550
            = close disconnected
            """),
    ClientConversation(
        "421 at any time ends it (RFC 5321 section 3.8)",
        openingPipelined + "+ send\n" + messageAsked + """
            S: 250 ok
            S: 421 4.3.2 going down
            = deferred 421, deferred 421
            = close refused 421
            """),
    ClientConversation(
        "a refusal in the middle of the body",
        openingPipelined + "+ send\n" + messageAsked + """
            S: 250 ok
            S: 250 ok
            S: 250 ok
            S: 354 go on
            = body
            S: 552 5.3.4 too big
            = failed 552, failed 552
            = close refused 552
            """),
]
