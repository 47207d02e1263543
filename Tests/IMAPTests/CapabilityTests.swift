// What is offered in which state and to whom, and what a client turns on.
import IMAP
import MailTypes
import Testing

@Suite struct CapabilityTests {
    @Test func capabilitiesByState() {
        var session = Session()
        let before = session.machine.capabilityNames
        #expect(
            before == [
                "IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ENABLE", "ID", "STARTTLS", "AUTH=SCRAM-SHA-256",
                "AUTH=PLAIN",
            ])
        session.send("a LOGIN u p\r\n")
        let after = session.machine.capabilityNames
        #expect(after.contains("QRESYNC") && after.contains("APPENDLIMIT=100000") && after.contains("COMPRESS=DEFLATE"))
        #expect(!after.contains("STARTTLS") && !after.contains { $0.hasPrefix("AUTH=") })
        #expect(Set(after).count == after.count)
        session.send("b CAPABILITY\r\n")
        #expect(session.sent.suffix(2) == ["* CAPABILITY " + after.joined(separator: " "), "b OK Done"])
    }

    @Test func loginDisabledWithoutEncryption() {
        var configuration = Session.configuration
        configuration.allowsPlaintextLogin = false
        configuration.mechanisms = ["SCRAM-SHA-256"]
        configuration.mechanismsUnderTLS = ["PLAIN"]
        configuration.usesLiteralMinus = true
        var session = Session(configuration)
        #expect(session.machine.capabilityNames.contains("LOGINDISABLED"))
        #expect(session.machine.capabilityNames.contains("LITERAL-"))
        session.send("a LOGIN u p\r\nb AUTHENTICATE PLAIN AHUAcA==\r\nc AUTHENTICATE LOGIN\r\n")
        #expect(
            session.sent == [
                "a NO [PRIVACYREQUIRED] Passwords are not taken over an unencrypted connection",
                "b NO [PRIVACYREQUIRED] Passwords are not taken over an unencrypted connection",
                "c NO [CANNOT] There is no such mechanism",
            ])
        #expect(session.actions.isEmpty)
    }

    /// What an account is not offered is not there for it.
    @Test func hiddenCapabilities() {
        var session = Session()
        session.answer = { action, machine, actions in
            if case .login = action {
                machine.loginFinished(
                    .success(hidden: [.compressDeflate, .qresync, .idle, .imap4rev2]), into: &actions)
            } else {
                Session.sayYes(action, &machine, &actions)
            }
        }
        session.send("a LOGIN u p\r\nb COMPRESS DEFLATE\r\nc ENABLE QRESYNC CONDSTORE\r\nd IDLE\r\ne MOVE 1 x\r\n")
        #expect(session.sent[1].hasPrefix("b BAD "))
        #expect(session.sent[2...3] == ["* ENABLED CONDSTORE", "c OK Done"])
        #expect(session.sent[4].hasPrefix("d BAD "))
        #expect(session.sent[5] == "e BAD Select a mailbox first")
        // IMAP4rev2 has MOVE in itself, so hiding the name alone does not take the command away.
        var other = Session()
        other.answer = { action, machine, actions in
            if case .login = action {
                machine.loginFinished(.success(hidden: [.move]), into: &actions)
            } else {
                Session.sayYes(action, &machine, &actions)
            }
        }
        other.send("a LOGIN u p\r\nb SELECT x\r\nc MOVE 1 y\r\n")
        #expect(other.performed.last == .move(set((1, 1)), name("y"), isUID: false))
        #expect(!other.machine.capabilityNames.contains("MOVE"))
    }

    /// What belongs to an extension among the arguments of other commands goes with it.
    @Test(arguments: [
        ("FETCH 1 SAVEDATE", IMAPCapability.saveDate), ("FETCH 1 (UID PREVIEW (LAZY))", .preview),
        ("FETCH 1 EMAILID", .objectID), ("FETCH 1 THREADID", .objectID), ("FETCH 1 MODSEQ", .condstore),
        ("FETCH 1 UID (CHANGEDSINCE 1)", .condstore), ("STORE 1 (UNCHANGEDSINCE 1) FLAGS ()", .condstore),
        ("SELECT x (CONDSTORE)", .condstore), ("SEARCH NOT SAVEDATESUPPORTED", .saveDate),
        ("SEARCH SAVEDON 1-Jan-2020", .saveDate), ("SEARCH OLDER 5", .within), ("SEARCH EMAILID x", .objectID),
        ("SEARCH OR ALL MODSEQ 1", .condstore), ("STATUS x (HIGHESTMODSEQ)", .condstore),
        ("STATUS x (APPENDLIMIT)", .appendLimit), ("STATUS x (MAILBOXID)", .objectID),
        ("STATUS x (DELETED-STORAGE)", .quotaStorage), ("SORT (DISPLAYTO) UTF-8 ALL", .sortDisplay),
        ("THREAD REFERENCES UTF-8 ALL", .threadReferences), ("THREAD ORDEREDSUBJECT UTF-8 ALL", .threadOrderedSubject),
        ("CREATE x (USE (\\Sent))", .createSpecialUse), ("APPEND x {1+}\r\na {1+}\r\nb", .multiAppend),
        ("APPEND x CATENATE (URL /x)", .catenate), ("APPEND x UTF8 (~{1+}\r\na)", .utf8Accept),
        ("REPLACE 1 x {1+}\r\na", .replace),
    ])
    func argumentsOfHiddenCapabilities(_ command: String, _ capability: IMAPCapability) {
        var offering = Session.loggedIn(selected: true)
        offering.send("a \(command)\r\n")
        #expect(offering.sent.last?.hasPrefix("a OK ") == true)
        var configuration = Session.configuration
        configuration.capabilities.remove(capability)
        var session = Session.loggedIn(selected: true, configuration)
        session.send("a \(command)\r\nb NOOP\r\n")
        #expect(session.sent.count == 2 && session.sent[0].hasPrefix("a BAD ") && session.sent[1] == "b OK Done")
    }

    // MARK: ENABLE and CONDSTORE

    @Test func enable() {
        var session = Session.loggedIn()
        session.send("a ENABLE x qresync IMAP4REV2 QRESYNC\r\nb ENABLE x\r\nc ENABLE utf8=accept\r\n")
        #expect(
            session.sent == [
                "* ENABLED QRESYNC IMAP4rev2", "a OK Done", "* ENABLED", "b OK Done", "* ENABLED UTF8=ACCEPT",
                "c OK Done",
            ])
        #expect(session.machine.enabled == [.condstore, .qresync, .rev2, .utf8Accept])
        #expect(session.actions.isEmpty)
        // RFC 6855 section 3.
        session.send("d SELECT x\r\ne SEARCH CHARSET UTF-8 ALL\r\n")
        #expect(session.sent.last?.hasPrefix("e BAD ") == true)
    }

    /// RFC 7162 section 3.1: the first CONDSTORE enabling command with a mailbox selected tells HIGHESTMODSEQ.
    @Test(arguments: [
        "FETCH 1 MODSEQ", "FETCH 1 FLAGS (CHANGEDSINCE 1)", "STORE 1 (UNCHANGEDSINCE 1) FLAGS ()",
        "SEARCH NOT (MODSEQ 1)", "STATUS x (HIGHESTMODSEQ)", "ENABLE CONDSTORE", "ENABLE QRESYNC",
        "LIST \"\" * RETURN (STATUS (HIGHESTMODSEQ))", "SORT (DATE) UTF-8 MODSEQ 7",
    ])
    func condstoreEnabling(_ command: String) {
        var session = Session.loggedIn(selected: true)
        session.send("a NOOP\r\nb \(command)\r\nc \(command)\r\n")
        #expect(session.actions.count { $0 == .condstoreBegan } == 1)
        let place = session.entries.firstIndex(of: .action(.condstoreBegan))!
        #expect(place < session.entries.firstIndex(of: .sent("b OK Done"))!)
        #expect(session.machine.enabled.contains(.condstore))
        var unselected = Session.loggedIn()
        unselected.send("a SELECT x (CONDSTORE)\r\n")
        #expect(!unselected.actions.contains(.condstoreBegan))
        #expect(unselected.machine.enabled == .condstore)
    }
}
