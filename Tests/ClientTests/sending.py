#!/usr/bin/env python3
"""Mail leaves for other hosts and comes from them: Debian's Postfix as next hop, as smart host and as front, names from
dnsmasq.

Promised: two accounts exchange mail over submission by swaks, msmtp and smtplib; Postfix hands in mail from elsewhere, and
reports what is refused here; mail for others goes by MX, over TLS when that is offered, with wishes passed on; a null MX, a
domain that does not exist and a refusal come back as reports, CNAMEs are followed, a host that is not there, and one that
swallows what is sent to it, are passed over for the next, one that is slow is waited for; storms of 4xx, at RCPT and after
the message, lose and double nothing, also when the queue is told to go another way meanwhile; a smart host with a verified
certificate and a login takes everything, by SCRAM bound to TLS where it can, and one with a strange certificate gets nothing;
SIGHUP changes the route of a running node; 50 MB pass without being held in memory; the queue tells why each message waits,
and obeys.

Usage: sending.py LETTERLOG
"""
import os
import re
import signal
import smtplib
import socket
import tempfile
import threading
import time

from node import (DOMAIN, Node, PASSWORD, expect, expect_match, main, need, run_well, wait_until)
from postfix import NameServer, Postfix
from sasl import unchecked

ALICE, BOB = "alice@" + DOMAIN, "bob@" + DOMAIN
SECONDS_MAX = 90


def submit(node, sender, recipients, text, **options):
    with smtplib.SMTP("127.0.0.1", node.port("submission"), timeout=60) as client:
        client.ehlo("client.test")
        client.login(sender, PASSWORD)
        return client.sendmail(sender, recipients, text, **options)


def letter(sender, subject, body="A line\r\n"):
    return "From: %s\r\nTo: somebody\r\nSubject: %s\r\n\r\n%s" % (sender, subject, body)


def arrives(node, account, subject):
    def found():
        return next((m for m in node.parsed_maildrop(account) if m["Subject"] == subject), None)
    return wait_until("%s has `%s`" % (account, subject), SECONDS_MAX, found)


def empties(node):
    wait_until("the queue is empty", SECONDS_MAX, lambda: not node.queue())


class Swallowing:
    """A host whose packets are lost: nobody takes its connections, and the queue for them is full."""

    def __init__(self, address, port):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(0)
        self.waiting = []
        for _ in range(4):
            wire = socket.socket()
            wire.setblocking(False)
            wire.connect_ex((address, port))
            self.waiting.append(wire)

    def close(self):
        for wire in (*self.waiting, self.listener):
            wire.close()


class Slow:
    """A host that takes its time, and then is Postfix."""

    def __init__(self, address, port):
        self.listener = socket.create_server((address, port))
        self.target, self.seen = ("127.0.0.1", port), 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                wire, _ = self.listener.accept()
            except OSError:
                return
            self.seen += 1
            threading.Thread(target=self.talk, args=(wire,), daemon=True).start()

    def talk(self, wire):
        time.sleep(2)
        there = socket.create_connection(self.target, timeout=60)
        for source, sink in ((wire, there), (there, wire)):
            threading.Thread(target=self.pipe, args=(source, sink), daemon=True).start()

    def pipe(self, source, sink):
        try:
            while True:
                part = source.recv(65536)
                if not part:
                    break
                sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


# The promises

def accounts_exchange(node):
    port = str(node.port("submission"))
    login = ["--server", "127.0.0.1", "--port", port, "--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", PASSWORD]
    swaks = need("swaks", "swaks")
    run_well([swaks, *login, "--from", ALICE, "--to", BOB, "--header", "Subject: by swaks"])
    run_well([swaks, *login, "--tls", "--from", ALICE, "--to", BOB, "--header", "Subject: by swaks over TLS"])
    run_well([need("msmtp", "msmtp"), "--host=127.0.0.1", "--port=" + port, "--auth=plain", "--user=" + BOB,
              "--passwordeval=echo " + PASSWORD, "--tls=off", "--from=" + BOB, "--", ALICE],
             input=letter(BOB, "by msmtp").replace("\r\n", "\n").encode())
    with smtplib.SMTP_SSL("127.0.0.1", node.port("submissions"), timeout=60, context=unchecked()) as client:
        client.login(BOB, PASSWORD)
        client.sendmail(BOB, [ALICE], letter(BOB, "by smtplib"))
    for account, subject in ((BOB, "by swaks"), (BOB, "by swaks over TLS"), (ALICE, "by msmtp"), (ALICE, "by smtplib")):
        message = arrives(node, account, subject)
        expect(message["Date"] and message["Message-ID"], "%s: %s" % (subject, message.as_string()))
    try:
        submit(node, ALICE, [BOB], letter(BOB, "forged"))
        expect(False, "a forged From was taken")
    except smtplib.SMTPDataError as refusal:
        expect(refusal.smtp_code == 550 and refusal.smtp_error.startswith(b"5.7.1"), str(refusal))


def by_exchangers(node, postfix):
    submit(node, ALICE, ["carol@there.test", "dora@alias.test", "erin@slow.test", "fay@silent.test", BOB],
           letter(ALICE, "by MX").replace("To:", "Bcc: x@y\r\nTo:"))
    arrives(node, BOB, "by MX")
    empties(node)
    wait_until("four have it", SECONDS_MAX, lambda: postfix.count() >= 4)
    copies = [m for m in postfix.delivered() if b"Subject: by MX" in m]
    expect(len(copies) == 4, "%d copies" % len(copies))
    for copy in copies:
        expect(b"Bcc" not in copy and copy.count(b"Return-Path:") == 1, copy.decode())
    expect_match(r"TLSv1\.3", postfix.log(), "TLS to Postfix")


def comes_back(node):
    for recipient, status in (
            ("x@nullmx.test", "5.1.10"), ("x@nowhere.test", "5.1.2"), ("x@refusing.test", "5.7.1")):
        submit(node, ALICE, [recipient], letter(ALICE, "to " + recipient))

        def report():
            for message in node.parsed_maildrop(ALICE):
                if message.get_content_type() == "multipart/report" and recipient in message.as_string():
                    return message
        said = wait_until("a report about " + recipient, SECONDS_MAX, report).as_string()
        expect_match("Status: " + re.escape(status), said, recipient)
        expect("to " + recipient in said, said)
    empties(node)


def reports_wanted(node, postfix):
    """RFC 3461: Postfix knows DSN, and so tells of the delivery itself."""
    before = postfix.count()
    with smtplib.SMTP("127.0.0.1", node.port("submission"), timeout=60) as client:
        client.ehlo("client.test")
        client.login(ALICE, PASSWORD)
        for extension in ("dsn", "futurerelease", "deliverby"):
            expect(client.has_extn(extension), "submission does not offer %s" % extension)
        client.sendmail(ALICE, ["carol@there.test"], letter(ALICE, "with wishes"),
                        mail_options=["RET=HDRS", "ENVID=QQ314"], rcpt_options=["NOTIFY=SUCCESS", "ORCPT=rfc822;Carol@there.test"])
        # One more, to be released later: a copy here waits too (RFC 4865).
        client.sendmail(ALICE, [BOB, "carol@there.test"], letter(ALICE, "later"), mail_options=["HOLDFOR=10"])
    held = [entry for entry in node.queue() if "as its sender asked" in entry["reason"]]
    # What is for an address here has an entry of its own, which leaves for no other host.
    expect([[r["address"] for r in entry["recipients"]] for entry in held] == [[BOB], ["carol@there.test"]], "held: %s" % held)
    wait_until("it came", SECONDS_MAX, lambda: postfix.count() > before)
    wait_until("Postfix tells of the delivery", SECONDS_MAX,
               lambda: "sender delivery status notification" in postfix.log())
    arrives(node, BOB, "later")
    empties(node)


def here_with_report(node):
    """RFC 3461 section 5.2.3: a copy in a mailbox here is told of."""
    with smtplib.SMTP("127.0.0.1", node.port("submission"), timeout=60) as client:
        client.ehlo("client.test")
        client.login(ALICE, PASSWORD)
        client.sendmail(ALICE, [BOB], letter(ALICE, "with a receipt"), rcpt_options=["NOTIFY=SUCCESS"])
    arrives(node, BOB, "with a receipt")

    def report():
        return next((m for m in node.parsed_maildrop(ALICE) if "Action: delivered" in m.as_string()), None)
    expect_match("Final-Recipient: rfc822; " + BOB, wait_until("a report", SECONDS_MAX, report).as_string(), "report")


def from_elsewhere(node, postfix):
    """Postfix as sender: mail for our domain comes to our port by SMTP, each once; it tells the sender what we refuse."""
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        client.ehlo("client.test")
        for number in range(20):
            client.sendmail("carol@there.test", [ALICE, BOB], letter("carol@there.test", "from Postfix %d" % number))
        client.sendmail("dora@there.test", ["nobody@" + DOMAIN], letter("dora@there.test", "to nobody"))
    for account in (ALICE, BOB):
        def subjects():
            return sorted(m["Subject"] for m in node.parsed_maildrop(account) if m["Subject"].startswith("from Postfix"))
        expected = sorted("from Postfix %d" % number for number in range(20))
        wait_until("%s has all" % account, SECONDS_MAX, lambda: len(subjects()) >= 20)
        expect(subjects() == expected, "%s has %s" % (account, subjects()))
    wait_until("Postfix tells the sender", SECONDS_MAX, lambda: any(
        b"multipart/report" in m and b"550 5.1.1" in m and b"dora@there.test" in m for m in postfix.delivered()))
    expect_match(r"TLS connection established to 127\.0\.0\.1", postfix.log(), "Postfix speaks TLS to us")


STORM = 60


def storms(node, postfix):
    """Every message is put off again and again, at RCPT and after its end, and comes in the end, once."""
    with smtplib.SMTP("127.0.0.1", node.port("submission"), timeout=60) as client:
        client.ehlo("client.test")
        client.login(ALICE, PASSWORD)
        for number in range(STORM):
            client.sendmail(ALICE, ["x%d@%s.test" % (number, "late" if number % 2 else "storm")],
                            letter(ALICE, "storm %d." % number))
    wait_until("each was put off twice", SECONDS_MAX, lambda: (lambda waiting: len(waiting) == STORM and all(
        e["recipients"][0]["attempts"] > 1 for e in waiting))(node.queue()))
    expect(not any(b"Subject: storm " in m for m in postfix.delivered()), "a message that was put off was taken")
    reasons = " ".join(entry["reason"] for entry in node.queue())
    for word in ("a storm", "a late storm"):
        expect(word in reasons, "%s is no reason in: %s" % (word, reasons[:500]))
    postfix.change(smtpd_recipient_restrictions="permit_mynetworks", smtpd_end_of_data_restrictions="")
    node.do("queue", "retry", "--all")
    empties(node)
    wait_until("all came", SECONDS_MAX, lambda: not postfix.waiting())
    found = sorted(int(n) for m in postfix.delivered() for n in re.findall(rb"^Subject: storm (\d+)\.", m, re.M))
    expect(found == list(range(STORM)), "of %d messages came %s" % (STORM, found))
    expect(not any("storm" in m.as_string() and m.get_content_type() == "multipart/report"
                   for m in node.parsed_maildrop(ALICE)), "the sender was told of a failure")


def large(node, postfix):
    before, memory = postfix.count(), node.resident_octets("VmHWM")
    body = ("0123456789" * 7 + "\r\n") * 650_000
    submit(node, ALICE, ["carol@there.test"], letter(ALICE, "large", body))
    wait_until("50 MB arrived", SECONDS_MAX, lambda: postfix.count() > before)
    empties(node)
    sent = max(postfix.delivered(), key=len)
    expect(body.replace("\r\n", "\n").encode() in sent, "the large message was changed")
    # Held whole anywhere on its way, it would be at least its own size more.
    growth = node.resident_octets("VmHWM") - memory
    expect(growth < len(body) * 3 // 4, "the node took %d octets more for %d" % (growth, len(body)))


def operator(node):
    submit(node, ALICE, ["x@storm.test"], letter(ALICE, "waits"))
    entry = wait_until("it was tried", SECONDS_MAX, node.tried)
    name = str(entry["id"])
    expect_match(r"said 451 .*storm", entry["reason"], "queue list")
    shown = node.do("queue", "show", name)
    expect_match(r"route    the mail hosts of storm.test", shown, "queue show")
    node.do("queue", "hold", name)
    expect_match("held", node.do("queue", "list", "--held"), "queue list --held")
    code, _, said = node.run("queue", "release", "99999999")
    expect(code == 1 and "no such entry" in said, "%d %s" % (code, said))
    # All that is named, or nothing.
    code, _, said = node.run("queue", "release", name, "99999998", "99999999")
    expect(code == 1 and "no such entry in the queue: 99999998, 99999999; nothing was changed" in said, "%d %s" % (code, said))
    expect_match("held", node.do("queue", "list", "--held"), "queue release of some did nothing")
    node.do("queue", "release", name)
    wait_until("it was tried again", SECONDS_MAX,
               lambda: any(e["recipients"][0]["attempts"] > 1 for e in node.queue()))
    node.do("queue", "remove", "--domain", "storm.test")
    expect(not node.queue(), "queue remove left %s" % node.queue())
    expect(not any("Subject: waits" in m.as_string() for m in node.parsed_maildrop(ALICE)), "remove told the sender")


def check_exchangers(program):
    with Postfix(smtpd_tls_security_level="may", smtpd_tls_chain_files=certificate(), smtpd_tls_loglevel="1",
                 smtpd_relay_restrictions="reject_unauth_destination", smtp_tls_security_level="may",
                 smtp_tls_loglevel="1", relay_domains=DOMAIN, relay_recipient_maps="", smtpd_error_sleep_time="0",
                 smtpd_soft_error_limit="1000", smtpd_hard_error_limit="1000",
                 smtpd_recipient_restrictions="check_recipient_access inline:{{storm.test=451 4.7.1 a storm}}, permit_mynetworks",
                 smtpd_end_of_data_restrictions="check_recipient_access inline:{{late.test=452 4.3.1 a late storm}}",
                 virtual_mailbox_domains="there.test, alias.test, slow.test, silent.test, storm.test, late.test") as postfix:
        # One port for all hosts, so their addresses tell them apart: nobody listens on .7, .8 takes its time, and .9 takes
        # nothing.
        slow = Slow("127.0.0.8", postfix.port)
        swallowing = Swallowing("127.0.0.9", postfix.port)
        with NameServer(
                "--host-record=mx.there.test,127.0.0.1", "--host-record=dead.there.test,127.0.0.7",
                "--host-record=slow.there.test,127.0.0.8", "--host-record=there.test,127.0.0.1",
                "--host-record=silent.there.test,127.0.0.9", "--mx-host=silent.test,silent.there.test,10",
                "--mx-host=silent.test,mx.there.test,20",
                "--mx-host=late.test,mx.there.test,10",
                "--mx-host=there.test,dead.there.test,10", "--mx-host=there.test,mx.there.test,20",
                "--cname=alias.test,there.test",
                "--mx-host=slow.test,slow.there.test,10",
                "--mx-host=storm.test,mx.there.test,10", "--mx-host=refusing.test,mx.there.test,10",
                "--mx-host=nullmx.test,.,0") as names:
            with Node(program, [ALICE, BOB], [
                    "sending.name-servers=127.0.0.1@%d" % names.port, "sending.port=%d" % postfix.port,
                    "sending.connect-timeout=3s", "sending.retry-first=2s", "limits.message-size=60MB"]) as node:
                accounts_exchange(node)
                by_exchangers(node, postfix)
                comes_back(node)
                reports_wanted(node, postfix)
                here_with_report(node)
                operator(node)
                large(node, postfix)
                postfix.change(relay_transport="smtp:[127.0.0.1]:%d" % node.port("smtp"))
                from_elsewhere(node, postfix)
                storms(node, postfix)
        expect(slow.seen > 0, "the slow host was not asked")
        slow.close()
        swallowing.close()


SECRETS = tempfile.TemporaryDirectory(prefix="letterlog-cert-")


def certificate(name="localhost"):
    """A key and a certificate that is its own authority, in one file."""
    path = os.path.join(SECRETS.name, name + ".pem")
    if not os.path.exists(path):
        run_well([need("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                  "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name, "-keyout", path + ".key",
                  "-out", path + ".crt"])
        with open(path, "w") as both:
            for part in (".key", ".crt"):
                with open(path + part) as file:
                    both.write(file.read())
    return path


def check_smart_host(program):
    """Another node of ours as smart host: mail is handed in under a login, over TLS."""
    own = certificate("localhost")
    with Node(program, [ALICE], ["tls.certificate=" + own, "sending.check-sender=false"]) as relay:
        relay.do("account", "add", "zoe@other.test", "--password-stdin", stdin=PASSWORD + "\n")
        secret = os.path.join(relay.directory, "secret")
        with open(secret, "w") as file:
            file.write(PASSWORD + "\n")
        for mode, listener in (("required", "submission"), ("implicit", "submissions")):
            with Node(program, [BOB], [
                    "sending.smart-host=localhost:%d" % relay.port(listener), "sending.smart-host-tls=" + mode,
                    "sending.smart-host-user=" + ALICE, "sending.smart-host-password-file=" + secret,
                    "sending.retry-first=2s", "sending.authority=" + own + ".crt"]) as node:
                submit(node, BOB, ["zoe@other.test"], letter(BOB, "by smart host, " + mode))
                arrives(relay, "zoe@other.test", "by smart host, " + mode)
                empties(node)
        # One whose certificate nobody vouches for gets nothing, and the queue says why; a new route takes what waited.
        settings = ["sending.smart-host=localhost:%d" % relay.port("submission"), "sending.smart-host-tls=required",
                    "sending.smart-host-user=" + ALICE, "sending.smart-host-password-file=" + secret,
                    "sending.retry-first=2s"]
        with Node(program, [BOB], settings) as node:
            submit(node, BOB, ["zoe@other.test"], letter(BOB, "under seal"))
            entry = wait_until("it was tried", SECONDS_MAX, node.tried)
            expect_match("TLS failed", entry["reason"], "a strange certificate")
            expect(not any(m["Subject"] == "under seal" for m in relay.parsed_maildrop("zoe@other.test")), "it was sent")
            node.stop()
            node.settings.append("sending.authority=" + own + ".crt")
            # Without a node the queue is in the store, and obeys too.
            expect_match("1 message is to be tried now", node.do("queue", "retry", "--all"), "queue retry")
            node.start()
            arrives(relay, "zoe@other.test", "under seal")
            empties(node)
            expect(sum(m["Subject"] == "under seal" for m in relay.parsed_maildrop("zoe@other.test")) == 1, "it came twice")


def check_scram(program):
    """A smart host that takes no password in any other way: libsasl2 judges what we prove."""
    own = certificate("localhost")
    for mechanism in ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1"):
        with Node(program, [ALICE], ["tls.certificate=" + own, "logins.mechanisms=" + mechanism]) as relay:
            secret = os.path.join(relay.directory, "secret")
            for password, comes in (("wrong", False), (PASSWORD, True)):
                with open(secret, "w") as file:
                    file.write(password + "\n")
                with Node(program, [BOB], [
                        "sending.smart-host=localhost:%d" % relay.port("submission"), "sending.smart-host-tls=required",
                        "sending.smart-host-user=" + ALICE, "sending.smart-host-password-file=" + secret,
                        "sending.retry-first=5m", "sending.authority=" + own + ".crt"]) as node:
                    submit(node, BOB, ["x@elsewhere.test"], letter(BOB, "by " + mechanism))
                    entry = wait_until("it was tried", SECONDS_MAX, lambda: node.tried() or not node.queue())
                    # The smart host does not relay for BOB's address: that it says so shows that it let us in.
                    said = entry["reason"] if entry is not True else "\n".join(
                        m.as_string() for m in node.parsed_maildrop(BOB))
                    expect_match("553 5.7.1" if comes else "said 450 535 ", said, "%s with the %s password"
                                 % (mechanism, "right" if comes else "wrong"))


def check_reload(program):
    """SIGHUP: another route, and other rules for those who hand in."""
    with Node(program, ["zoe@other.test"]) as first, Node(program, ["zoe@other.test"]) as second:
        with Node(program, [BOB], ["sending.smart-host-tls=off"]) as node:
            def reload(*lines):
                with open(os.path.join(node.store, "letterlog.yaml"), "w") as file:
                    file.write("sending:\n" + "".join("  %s\n" % line for line in lines))
                with open(node.log_path) as log:
                    before = log.read().count("configuration reloaded")
                node.process.send_signal(signal.SIGHUP)
                wait_until("it was reloaded", 30,
                           lambda: open(node.log_path).read().count("configuration reloaded") > before)

            for number, relay in enumerate((first, second, first)):
                reload("smart-host: 127.0.0.1:%d" % relay.port("smtp"))
                submit(node, BOB, ["zoe@other.test"], letter(BOB, "route %d" % number))
                arrives(relay, "zoe@other.test", "route %d" % number)
            empties(node)
            expect([m["Subject"] for m in second.parsed_maildrop("zoe@other.test")] == ["route 1"], "what the second has")
            reload("smart-host: 127.0.0.1:%d" % second.port("smtp"), "enabled: false")
            try:
                submit(node, BOB, ["zoe@other.test"], letter(BOB, "nowhere"))
                expect(False, "mail for another host was taken by a node that sends nothing")
            except smtplib.SMTPRecipientsRefused as refusal:
                expect(refusal.recipients["zoe@other.test"][0] == 550, str(refusal))
            reload("smart-host: 127.0.0.1:%d" % second.port("smtp"), "check-sender: false", "recipients-per-hour: 2",
                   "enabled: true")
            submit(node, "bob@" + DOMAIN, ["zoe@other.test"], letter("boss@other.test", "for another"))
            arrives(second, "zoe@other.test", "for another")
            # What cannot be done leaves everything as it was.
            reload("smart-host: 127.0.0.1:1", "authority: /nowhere")
            expect_match("sending not reloaded", open(node.log_path).read(), "a file that is not there")
            submit(node, BOB, ["zoe@other.test"], letter("boss@other.test", "as before"))
            arrives(second, "zoe@other.test", "as before")
            try:
                submit(node, BOB, ["zoe@other.test"], letter(BOB, "one too many"))
                expect(False, "the limit of an hour was not reloaded")
            except smtplib.SMTPRecipientsRefused as refusal:
                expect(refusal.recipients["zoe@other.test"][0] == 450, str(refusal))


def check(program):
    check_exchangers(program)
    check_smart_host(program)
    check_scram(program)
    check_reload(program)


main(check)
