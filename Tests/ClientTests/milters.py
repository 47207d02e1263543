#!/usr/bin/env python3
"""Filters that are not ours beside a node: OpenDKIM and rspamd, as Debian has them.

Promised: OpenDKIM verifies what comes in and says so on top of the message, and its refusal of a broken signature is what the
client hears; it signs what is handed in by submission, by TCP and over a Unix socket, and dkimpy verifies the stored message.
rspamd passes ordinary mail, marks and rewrites junk, and refuses it, over one connection for a session; it is told the client that
XCLIENT names. Both work one after the other. When a filter dies, mail is put off or goes by, as the site wants, and the filter is
used again when it is back. SIGHUP brings other filters to sessions that begin afterwards. Nothing else of a message changes, and a
large one is not held in memory.

Usage: milters.py LETTERLOG
"""
import base64
import os
import re
import signal
import smtplib
import subprocess
import tempfile
import threading

from node import (Node, PASSWORD, die_with_parent, expect, expect_match, free_port, is_taken, main, need, package, run_well,
                  stuffed, wait_until)

ALICE = "alice@example.test"
TEST_PATTERN = b"%sJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
MEMORY_OCTETS_MAX = 16 << 20
RSPAMD = """
options {{
    pidfile = "{folder}/rspamd.pid";
    filters = "";
    enable_test_patterns = true;
    dns {{ nameserver = ["127.0.0.1:{dns}"]; timeout = 1s; retransmits = 1; }}
    control_socket = "{folder}/control.sock mode=0600";
    hs_cache_dir = "{folder}";
    map_watch_interval = 1h;
}}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "info"; }}
worker "rspamd_proxy" {{
    bind_socket = "127.0.0.1:{port}";
    milter = yes;
    timeout = 20s;
    count = 1;
    spam_header = "X-Spam";
    reject_message = "Spam message rejected";
    upstream "local" {{ default = yes; self_scan = yes; }}
}}
actions {{ reject = 15; add_header = 6; rewrite_subject = 8; subject = "[junk] %s"; }}
"""


class Filter:
    """A program that listens; as a context started, then ended by its process id, without a say."""

    def __init__(self, command, address, log):
        self.command, self.address, self.log = command, address, log
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.stop()
        if kind is not None and os.path.exists(self.log):
            with open(self.log, errors="replace") as log:
                print("--- the end of %s:" % self.log, *log.readlines()[-25:], sep="\n", flush=True)

    def start(self):
        with open(self.log + ".out", "ab") as log:
            # A group of its own: rspamd has workers.
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            preexec_fn=lambda: (os.setsid(), die_with_parent()))
        wait_until("%s listens" % self.command[0], 60, self.listens)

    def listens(self):
        with open(self.log + ".out", errors="replace") as said:
            expect(self.process.poll() is None, "%s ended: %s" % (self.command[0], said.read()[-1500:]))
        return is_taken(self.address)

    def stop(self):
        if self.process is None:
            return
        process, self.process = self.process, None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # Its workers hold the socket until they are gone too.
        wait_until("%s listens no more" % self.command[0], 30, lambda: not is_taken(self.address))


def opendkim(folder, name, address, *lines):
    """OpenDKIM at a port of loopback, or at a Unix socket."""
    path = os.path.join(folder, name + ".conf")
    where = "local:" + address if isinstance(address, str) else "inet:%d@127.0.0.1" % address[1]
    with open(path, "w") as file:
        file.write("\n".join(["Syslog no", "Background no", "RequireSafeKeys no", "Socket " + where, "SendReports no",
                              "AuthservID filter.example.test", "Nameservers 127.0.0.1", *lines]) + "\n")
    return Filter([need("opendkim", "opendkim"), "-f", "-x", path], address, os.path.join(folder, name + ".log"))


def rspamd(folder):
    port = free_port()
    path = os.path.join(folder, "rspamd.conf")
    with open(path, "w") as file:
        file.write(RSPAMD.format(folder=folder, port=port, dns=free_port()))
    return Filter([need("rspamd", "rspamd"), "-f", "-i", "-c", path], ("127.0.0.1", port),
                  os.path.join(folder, "rspamd.log"))


def letter(body=b"Hello.\r\n", subject=b"hello", sender=b"joe@plain.example"):
    return (b"From: Joe <" + sender + b">\r\nTo: alice@example.test\r\nSubject: " + subject +
            b"\r\nDate: Tue, 1 Jul 2025 10:00:00 +0000\r\nMessage-ID: <1@plain.example>\r\n\r\n" + body)


def transaction(wire, message, pattern="250", sender="joe@plain.example"):
    wire.command("MAIL FROM:<%s>" % sender, "250")
    wire.command("RCPT TO:<%s>" % ALICE, "250")
    wire.command("DATA", "354")
    wire.send(stuffed(message))
    return wire.expect_reply(pattern, "the final dot")


def is_put_off(wire):
    """Whether a message is told to try again, at whichever step: a filter that does not answer to MAIL is missed later."""
    for line in (b"MAIL FROM:<joe@plain.example>\r\n", b"RCPT TO:<%s>\r\n" % ALICE.encode(), b"DATA\r\n",
                 stuffed(letter())):
        wire.send(line)
        reply = wire.reply()
        if reply[:1] not in "23":
            expect_match(r"^451 4\.7\.1", reply, "no filter")
            wire.command("RSET", "250")
            return True
    return False


def send(node, *messages):
    """Messages with the pattern of their replies, in one session."""
    with node.wire("smtp") as wire:
        wire.command("EHLO mta.example", "250")
        for message, pattern in messages:
            transaction(wire, message, pattern)
        wire.command("QUIT", "221")


def last(node):
    return node.maildrop(ALICE)[-1]


def submit(node, message):
    with smtplib.SMTP("127.0.0.1", node.port("submission"), timeout=30) as client:
        client.login(ALICE, PASSWORD)
        client.sendmail(ALICE, [ALICE], message)


def verifies(program, folder, signed):
    """OpenDKIM at the front door."""
    port = free_port()
    lines = ["Mode v", "TestPublicKeys " + os.path.join(folder, "keys"), "On-BadSignature reject"]
    with opendkim(folder, "verify", ("127.0.0.1", port), *lines), \
            Node(program, [ALICE], ["milters=127.0.0.1:%d" % port]) as node:
        send(node, (signed, "250"), (signed.replace(b"Hello.", b"Hullo."), r"550 5\.7\.[01] "), (letter(), "250"))
        good, plain = node.maildrop(ALICE)
        expect(good.endswith(signed) and plain.endswith(letter()), "a message has changed")
        head = re.sub(rb"\r\n[ \t]+", b" ", good)
        expect_match(r"\AReturn-Path: <joe@plain\.example>\r\nAuthentication-Results: filter\.example\.test;[^\r]*dkim=pass",
                     head, "what OpenDKIM found is on top")
        expect(b"dkim=pass" not in plain, "a message without a signature passes")


def streams(program, folder):
    """A large message, of which no more than pieces are in memory."""
    port = free_port()
    with opendkim(folder, "large", ("127.0.0.1", port), "Mode v"), \
            Node(program, [ALICE], ["milters=127.0.0.1:%d" % port]) as node:
        large = letter(b"A line of some length that goes on and on\r\n" * 1_000_000)
        send(node, (letter(), "250"))
        before = peak = node.anonymous_octets()
        is_over = threading.Event()

        def watch():
            nonlocal peak
            while not is_over.wait(0.02):
                peak = max(peak, node.anonymous_octets())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            send(node, (large, "250"))
        finally:
            is_over.set()
            watcher.join()
        expect(peak - before < MEMORY_OCTETS_MAX, "%d octets more in memory for %d" % (peak - before, len(large)))
        expect(last(node).endswith(large), "a large message has changed")


def signs(program, folder, record):
    """OpenDKIM behind submission, at a Unix socket."""
    dkim = package("dkim")
    path = os.path.join(folder, "sign.sock")
    lines = ["Mode s", "Domain example.test", "Selector s", "KeyFile " + os.path.join(folder, "key.pem"), "UMask 000",
             "Canonicalization relaxed/simple"]
    settings = ["milters=unix:%s listeners=submission" % path]
    with opendkim(folder, "sign", path, *lines), Node(program, [ALICE], settings) as node:
        message = letter(sender=ALICE.encode())
        submit(node, message)
        signed = last(node)
        ask = lambda name, timeout=5: record if name == b"s._domainkey.example.test." else None
        expect(signed.endswith(message), "a message has changed")
        expect(dkim.verify(signed, dnsfunc=ask), "dkimpy does not verify: %r" % signed[:600])
        expect(not dkim.verify(signed.replace(b"Hello.", b"Hullo."), dnsfunc=ask), "dkimpy verifies anything")
        # Not what comes by port 25.
        send(node, (message, "250"))
        expect(b"DKIM-Signature" not in last(node), "mail from elsewhere is signed")
        # And with a signature of our own, which stands on what the filter has left.
        line = node.do("domain", "dkim", "add", "example.test", "own")
        own = "".join(re.findall(r'"([^"]*)"', line)).encode()
        submit(node, message)
        both = last(node)
        answers = {b"s._domainkey.example.test.": record, b"own._domainkey.example.test.": own}
        expect(both.count(b"\r\nDKIM-Signature:") == 2, "two signatures: %r" % both[:600])
        for index in (0, 1):
            expect(dkim.DKIM(both).verify(index, dnsfunc=lambda name, timeout=5: answers.get(name)),
                   "signature %d is not verified" % index)


def judges(program, judge):
    """rspamd at the front door."""
    reject, mark, rewrite = (TEST_PATTERN % word for word in (b"X", b"Y", b"Z"))
    settings = ["milters=127.0.0.1:%d timeout=5s" % judge.address[1], "listeners.clients-from=127.0.0.1"]
    with Node(program, [ALICE], settings) as node:
        send(node, (letter(), "250"), (letter(reject), r"55[04] 5\.7\.1 (Spam message rejected|Gtube pattern)"),
             (letter(mark), "250"), (letter(rewrite), "250"), (letter(), "250"))
        plain, marked, rewritten, again = node.maildrop(ALICE)
        expect(plain.endswith(letter()) and again.endswith(letter()), "ordinary mail has changed")
        expect(b"\r\nX-Spam: Yes\r\n" in marked and marked.endswith(mark), "junk is marked: %r" % marked)
        expect_match(r"\r\nSubject: [^\r]+\r\n", rewritten, "the subject")
        expect(b"\r\nSubject: hello\r\n" not in rewritten, "the subject of junk is rewritten: %r" % rewritten)
        with node.wire("smtp") as wire:
            wire.command("EHLO front.example", "250")
            wire.command("XCLIENT ADDR=192.0.2.77 HELO=other.example", "220")
            wire.command("EHLO other.example", "250")
            transaction(wire, letter())
            wire.command("QUIT", "221")
        with open(judge.log, errors="replace") as log:
            expect_match(r"192\.0\.2\.77", log.read(), "rspamd's log names the client")
        # A large message goes through in pieces.
        large = letter(b"A line of some length that goes on and on\r\n" * 60_000)
        send(node, (large, "250"))
        expect(last(node).endswith(large), "a large message has changed")
        # It dies, within a session and before another; then it is back.
        with node.wire("smtp") as wire:
            wire.command("EHLO mta.example", "250")
            transaction(wire, letter())
            judge.stop()
            expect(is_put_off(wire), "mail goes by a filter that is dead")
            judge.start()
            transaction(wire, letter(reject), "55[04] 5.7.1")
            transaction(wire, letter())
            wire.command("QUIT", "221")


def in_order(program, folder, judge, signed):
    """Both, and one that is not there."""
    port = free_port()
    lines = ["Mode v", "TestPublicKeys " + os.path.join(folder, "keys")]
    with opendkim(folder, "first", ("127.0.0.1", port), *lines):
        settings = ["milters=127.0.0.1:%d, 127.0.0.1:%d unavailable=accept, 127.0.0.1:%d"
                    % (port, free_port(), judge.address[1])]
        with Node(program, [ALICE], settings) as node:
            junk = letter(TEST_PATTERN % b"X")
            send(node, (signed, "250"), (junk, "55[04] 5.7.1"), (letter(TEST_PATTERN % b"Y"), "250"))
            good, marked = node.maildrop(ALICE)
            expect(b"dkim=pass" in good and good.endswith(signed), "the first has no say")
            expect(b"\r\nX-Spam: Yes\r\n" in marked, "the second has no say")


def reloads(program):
    """SIGHUP: other filters, for the sessions that begin afterwards."""
    with Node(program, [ALICE]) as node, node.wire("smtp") as old:
        def reload(text, says="configuration reloaded"):
            with open(os.path.join(node.store, "letterlog.yaml"), "w") as file:
                file.write(text)
            with open(node.log_path) as log:
                before = log.read().count(says)
            node.process.send_signal(signal.SIGHUP)
            wait_until("the log says `%s`" % says, 30, lambda: open(node.log_path).read().count(says) > before)

        def is_filtered():
            with node.wire("smtp") as wire:
                wire.command("EHLO mta.example", "250")
                return is_put_off(wire)

        old.command("EHLO mta.example", "250")
        reload("milters:\n  - address: 127.0.0.1:%d\n" % free_port())
        expect(is_filtered(), "a new session goes by the new filter")
        transaction(old, letter())
        reload("milters:\n  - address: nowhere\n", "configuration not reloaded")
        expect(is_filtered(), "a mistake has taken the filter away")
        reload("")
        expect(not is_filtered(), "the filter is still asked")
        transaction(old, letter())
        old.command("QUIT", "221")


def body(program):
    dkim = package("dkim")
    with tempfile.TemporaryDirectory(prefix="letterlog-milters-") as folder:
        os.chmod(folder, 0o755)
        key = os.path.join(folder, "key.pem")
        run_well([need("openssl", "openssl"), "genrsa", "-traditional", "-out", key, "2048"])
        public = run_well(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"])
        record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
        with open(os.path.join(folder, "keys"), "wb") as file:
            file.write(b"s._domainkey.plain.example " + record + b"\n")
        with open(key, "rb") as file:
            signed = dkim.sign(letter(), b"s", b"plain.example", file.read()) + letter()
        verifies(program, folder, signed)
        streams(program, folder)
        reloads(program)
        signs(program, folder, record)
        with rspamd(folder) as judge:
            judges(program, judge)
            in_order(program, folder, judge, signed)


if __name__ == "__main__":
    main(body)
