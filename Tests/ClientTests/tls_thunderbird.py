#!/usr/bin/env python3
"""Thunderbird sends and receives between accounts of a node, over TLS, under a certificate that an authority it knows has
signed.

Promised: alice writes to bob with a blind copy for carol, by TLS from the first octet; bob's IMAP, which idles behind
STARTTLS, has it by itself, carol's POP3 over TLS when it looks; both have every word and the attachment, octet for octet, and nothing
tells bob of carol; the copy for alice's Sent goes there. Bob answers by STARTTLS, and alice has the answer in the thread of
her message. Nothing is sent while it does not know the authority.

thunderbird.py drives it: what runs is its own code for sending, IMAP and POP3.

Usage: tls_thunderbird.py LETTERLOG
"""
import email
import email.policy
import imaplib
import os
import random
import ssl
import tempfile

from node import Node, PASSWORD, answer, expect, expect_match, main, need, run_well, wait_until, write
from thunderbird import Account, AlertOpen, STARTTLS, TLS, Thunderbird

ALICE, BOB, CAROL = ("%s@example.test" % name for name in ("alice", "bob", "carol"))
SUBJECT = "Grüße aus Köln, mit einer Betreffzeile, die länger ist als eine Zeile einer Nachricht es sein darf"
ANSWER = "Re: " + SUBJECT
LINES = ["Ein Text mit ü und €.", ".", "..", "From here on", "", "> zitiert", "Ende"]
ATTACHED = random.Random(6).randbytes(200_000)
WAIT_SECONDS = 60

SEND = """
    const [address, values, path, body] = arguments;
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    for (const [name, value] of Object.entries(values)) { fields[name] = value; }
    if (path) {
        const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
        file.initWithPath(path);
        const attachment = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
        attachment.name = file.leafName;
        attachment.url = Services.io.newFileURI(file).spec;
        fields.addAttachment(attachment);
    }
    const identity = MailServices.accounts.allIdentities.find(each => each.email == address);
    // Asked for later: a dialogue, should one open, does not stand in the way of this.
    MailServices.sentAs = null;
    const listener = {
        QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener", "nsIMsgCopyServiceListener"]),
        onStartSending() {}, onSendProgress() {}, onStatus() {}, onGetDraftFolderURI() {},
        onTransportSecurityError() {}, onSendNotPerformed() {},
        onStopSending(id, status) { MailServices.sentAs = [id, status]; },
        onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return {}; }, onStopCopy() {},
    };
    const sending = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
    sending.createAndSendMessage(
        null, identity, "", fields, false, false, Ci.nsIMsgSend.nsMsgDeliverNow, null, "text/plain", body, null, null,
        listener, "", "", Ci.nsIMsgCompType.New).catch(error => { MailServices.sentAs ??= ["error", String(error)]; });
"""


def authority(directory):
    """An authority and a certificate for localhost that it signed: the authority's file, the certificate's, its key's."""
    openssl = need("openssl", "openssl")
    ours, key, wanted, signed = (os.path.join(directory, name) for name in ("ca.pem", "key.pem", "csr.pem", "signed.pem"))
    new = [openssl, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run_well([*new, "-x509", "-keyout", ours + ".key", "-out", ours, "-subj", "/CN=Authority", "-days", "30"])
    run_well([*new, "-keyout", key, "-out", wanted, "-subj", "/CN=localhost",
              "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "extendedKeyUsage=serverAuth"])
    run_well([openssl, "x509", "-req", "-in", wanted, "-CA", ours, "-CAkey", ours + ".key", "-CAcreateserial",
              "-copy_extensions", "copy", "-days", "30", "-out", signed])
    return ours, signed, key


def messages(node, trust, account, mailbox):
    """What a second client reads, over TLS."""
    client = imaplib.IMAP4_SSL("localhost", node.port("imaps"), ssl_context=ssl.create_default_context(cafile=trust),
                               timeout=WAIT_SECONDS)
    answer(client.login(account, PASSWORD))
    answer(client.select(mailbox, readonly=True))
    found = [item[1] for item in answer(client.fetch("1:*", "(BODY.PEEK[])")) if isinstance(item, tuple)] \
        if client.untagged_responses["EXISTS"] != [b"0"] else []
    client.logout()
    return found


def parsed(octets):
    return email.message_from_bytes(octets, policy=email.policy.default)


def expect_letter(octets, who):
    """Alice's message as it came."""
    message = parsed(octets)
    expect(message["Subject"] == SUBJECT, "%s: the subject is %r" % (who, message["Subject"]))
    expect(message["From"].addresses[0].addr_spec == ALICE and message["To"].addresses[0].addr_spec == BOB,
           "%s: from %s to %s" % (who, message["From"], message["To"]))
    expect(message["Date"] and message["Message-ID"], "%s: no Date or no Message-ID" % who)
    text, attached = message.get_body(("plain",)), list(message.iter_attachments())
    expect(text.get_content().split() == " ".join(LINES).split() and text.get_content().splitlines()[1] == ".",
           "%s: the text is %r" % (who, text.get_content()))
    expect(len(attached) == 1 and attached[0].get_filename() == "übersicht.bin"
           and attached[0].get_content() == ATTACHED, "%s: another attachment than was sent" % who)
    return message


def send(bird, sender, values, body, path=None):
    """How that ended: the message's identifier, and a status that is 0 when it went out."""
    bird.run(SEND, sender, values, path, body)
    return bird.wait_for("it is sent, or is not", "return MailServices.sentAs")


def prepare(bird, node, ca):
    """Passwords in memory, so that nobody is asked; then, without the authority, nothing works; then with it."""
    bird.wait_for("its accounts are there", "return [...arguments].every(each => !!serverOf(each))", ALICE, BOB, CAROL)
    bird.run("""
        const [password] = arguments;
        for (const each of [...MailServices.accounts.allServers, ...MailServices.outgoingServer.servers]) {
            if (each.type != "none") { each.password = password; }
        }""", PASSWORD)
    said = send(bird, ALICE, {"from": ALICE, "to": BOB, "subject": "unsealed", "fcc": "nocopy://"}, "Text")
    expect(said[1] != 0, "it sent to a server that nobody vouches for: %s" % said)

    def told():
        try:
            bird.run("return null")
        except AlertOpen:
            pass
        return bird.alerts
    expect_match("(?i)certificate", wait_until("it says why", WAIT_SECONDS, told)[0], "why it was not sent")
    expect(messages(node, ca, BOB, "INBOX") == [], "a message came from a client that does not know who we are")
    with open(ca) as file:
        text = "".join(line.strip() for line in file if "CERTIFICATE" not in line)
    bird.run("""
        Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(
            arguments[0], "C,,");""", text)
    for account in (ALICE, BOB):
        bird.run("serverOf(arguments[0]).performExpand(null)", account)
        bird.wait_for("the mailboxes of " + account, """
            return !!inboxOf(arguments[0]) &&
                serverOf(arguments[0]).rootFolder.descendants.some(each => each.name == "Sent")""", account)
        bird.run("inboxOf(arguments[0]).updateFolder(null)", account)


def check(program):
    with tempfile.TemporaryDirectory(prefix="letterlog-authority-") as secrets:
        ca, certificate, key = authority(secrets)
        with Node(program, [ALICE, BOB, CAROL], ["tls.certificate=" + certificate, "tls.key=" + key]) as node:
            home = os.path.join(node.directory, "thunderbird")
            os.makedirs(home)
            accounts = [
                Account(ALICE, "imap", node.port("imaps"), TLS, node.port("submissions"), TLS),
                Account(BOB, "imap", node.port("imap"), STARTTLS, node.port("submission"), STARTTLS),
                Account(CAROL, "pop3", node.port("pop3s"), TLS)]
            with Thunderbird(home, accounts) as bird:
                prepare(bird, node, ca)
                first = there(bird, node, ca, home)
                back(bird, node, ca, first)
            expect(node.is_running(), "the node ended")


def there(bird, node, ca, home):
    path = os.path.join(home, "übersicht.bin")
    with open(path, "wb") as file:
        file.write(ATTACHED)
    sent = bird.run("""
        return serverOf(arguments[0]).rootFolder.descendants.find(each => each.name == "Sent").URI""", ALICE)
    values = {"from": "Alice <%s>" % ALICE, "to": "Bob <%s>" % BOB, "bcc": CAROL, "subject": SUBJECT, "fcc": sent}
    said = send(bird, ALICE, values, "\n".join(LINES), path)
    expect(said[1] == 0, "it could not send: %s" % said)
    # By itself, since it idles.
    bird.wait_for("the letter in bob's INBOX", "return !!named(inboxOf(arguments[0]), arguments[1])", BOB, SUBJECT)
    found = messages(node, ca, BOB, "INBOX")
    expect(len(found) == 1, "bob has %d messages" % len(found))
    message = expect_letter(found[0], "bob")
    expect(message["Bcc"] is None and CAROL.encode() not in found[0], "bob's copy tells of carol: %r" % found[0][:2000])
    expect_match(r"with (UTF8SMTPSA|ESMTPSA) id", message["Received"], "how it was handed in")
    expect(message["Return-Path"] == "<%s>" % ALICE, "the sender is %s" % message["Return-Path"])
    # The blind copy, by POP3.
    bird.run("""
        const server = serverOf(arguments[0]);
        if (!inboxOf(arguments[0])) {
            server.QueryInterface(Ci.nsILocalMailIncomingServer).createDefaultMailboxes();
            server.QueryInterface(Ci.nsILocalMailIncomingServer).setFlagsOnDefaultMailboxes();
        }
        MailServices.pop3.GetNewMail(null, null, inboxOf(arguments[0]), server);""", CAROL)
    bird.wait_for("the letter in carol's INBOX", "return !!named(inboxOf(arguments[0]), arguments[1])", CAROL, SUBJECT)
    own = os.path.join(home, "profile", "Mail", "carol", "Inbox")

    def whole():
        with open(own, "rb") as file:
            kept = file.read()
        return kept if kept.rstrip().endswith(b"--") else None
    kept = wait_until("carol's file is written", WAIT_SECONDS, whole)
    # Its mailbox file puts lines of its own before the header, and a mark before `From `.
    blind = expect_letter(kept[kept.index(b"Return-Path:"):].replace(b"\n>From ", b"\nFrom "), "carol")
    expect(blind["Bcc"] is None, "carol's copy has a Bcc: %s" % blind["Bcc"])
    expect(blind["Message-ID"] == message["Message-ID"], "carol has another message")
    # Alice's own copy, which Thunderbird appended.
    copies = wait_until("the copy in Sent", WAIT_SECONDS, lambda: messages(node, ca, ALICE, "Sent"))
    expect(len(copies) == 1 and expect_letter(copies[0], "Sent")["Bcc"] is not None, "the copy in Sent lost its Bcc")
    return message["Message-ID"]


def back(bird, node, ca, first):
    values = {"from": "Bob <%s>" % BOB, "to": "Alice <%s>" % ALICE, "subject": ANSWER, "references": first,
              "fcc": "nocopy://"}
    said = send(bird, BOB, values, "Danke.")
    expect(said[1] == 0, "bob could not answer: %s" % said)
    bird.wait_for("the answer in alice's INBOX", """
        const found = named(inboxOf(arguments[0]), arguments[1]);
        return !!found && found.numReferences == 1""", ALICE, SUBJECT)
    found = messages(node, ca, ALICE, "INBOX")
    message = parsed(found[0])
    expect(len(found) == 1 and message["In-Reply-To"] == first and message["References"] == first,
           "%d answers, the first to %s" % (len(found), message["In-Reply-To"]))
    expect(message["Subject"] == ANSWER and message.get_content().rstrip() == "Danke.", "another answer: %r" % found[0])
    expect_match(r"with (UTF8SMTPSA|ESMTPSA) id", message["Received"], "how the answer was handed in")


main(check)
