import SMTP
import Testing

@Suite struct ReceivedIdentityTests {
    @Test(arguments: [
        (
            "Received: from a (b [192.0.2.1])\r\n\tby c (Postfix) with ESMTP id 4Yx1\r\n\tfor <d@e>; Tue, 1 Jul 2003\r\n\r\n",
            "4Yx1"
        ),
        ("DKIM-Signature: v=1;\r\n\ti=x\r\nReceived: by c ID 7;date\r\nSubject: x\r\n", "7"),
        ("received:by c id q(a; (b) id z)w;x\r\n\r\n", "q"), ("Received: by c (id no) id yes\nX: y\n", "yes"),
        ("Received: by c with id\r\nReceived: by d id second; date\r\n\r\n", nil),
        ("Received: by c; id late\r\n\r\n", nil), ("Received: by c id cut; d", nil),
        ("Subject: id x\r\n\r\nReceived: by c id body\r\n\r\n", nil),
        ("Received: by c ((((((((( id deep\r\n\r\n", nil), ("", nil), ("\r\n", nil),
        ("Receive: by c id x\r\n\r\n", nil),
    ])
    func theTopmost(_ header: String, _ identity: String?) {
        #expect(receivedIdentity(Array(header.utf8)) == identity)
    }
}
