#!/usr/bin/env python3
"""Who vouches for a message: a node beside dnsmasq, dkimpy, pyspf and swaks.

Promised: with `checks.policy` off nothing is asked and nothing changes; with record the results of SPF, DKIM and DMARC are in
Authentication-Results, those of SPF are pyspf's, those of DKIM dkimpy's, and forged fields are gone; with enforce mail is
refused where its author's domain asks for it, and only there; a name server that is silent refuses nothing and ends the
wait. Mail of our own domains is signed with the keys that `domain dkim` made, and dkimpy verifies it with the records that
the command printed; no key is shown by the log.

Usage: checks.py LETTERLOG
"""
import base64
import os
import re
import smtplib
import tempfile
import time

from node import Node, PASSWORD, expect, expect_match, main, need, package, run_well, stuffed
from postfix import NameServer

ACCOUNT = "alice@example.test"
SETTINGS = ["listeners.clients-from=127.0.0.1"]

# What pyspf is asked too: domain, record, and clients.
SPF = [
    ("plain.example", "v=spf1 ip4:192.0.2.1 -all", ["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
    ("soft.example", "v=spf1 ip6:2001:db8::/32 ~all", ["2001:db8::9", "192.0.2.1"]),
    ("hosts.example", "v=spf1 a:mx1.example mx:mail.example/30 ?all",
     ["192.0.2.10", "192.0.2.22", "192.0.2.24", "192.0.2.99"]),
    ("included.example", "v=spf1 include:plain.example include:soft.example -all",
     ["192.0.2.1", "2001:db8::9", "192.0.2.7"]),
    ("redirected.example", "v=spf1 redirect=plain.example", ["192.0.2.1", "192.0.2.7"]),
    ("macro.example", "v=spf1 exists:%{ir}.%{l}.allowed.example -all", ["192.0.2.5", "192.0.2.6"]),
    ("loop.example", "v=spf1 include:loop.example -all", ["192.0.2.1"]),
    ("broken.example", "v=spf1 ip4:192.0.2.1 moo -all", ["192.0.2.1"]),
    ("void.example", "v=spf1 a:n1.example a:n2.example a:n3.example -all", ["192.0.2.1"]),
    ("nothing.example", None, ["192.0.2.1"]),
]


def text_record(name, value):
    """Strings of at most 255 octets; a comma would end one."""
    parts = [value[start:start + 250] for start in range(0, len(value), 250)]
    return "--txt-record=%s,%s" % (name, ",".join(parts))


def records(keys):
    found = [text_record(domain, record) for domain, record, _ in SPF if record]
    found += ["--host-record=mx1.example,192.0.2.10", "--host-record=mx2.example,192.0.2.21",
              "--mx-host=mail.example,mx2.example,10", "--host-record=5.2.0.192.joe.allowed.example,127.0.0.2",
              text_record("_dmarc.plain.example", "v=DMARC1; p=reject"),
              text_record("_dmarc.soft.example", "v=DMARC1; p=quarantine"),
              text_record("_dmarc.org.example", "v=DMARC1; p=none; sp=reject")]
    return found + [text_record(name, value) for name, value in keys]


def send(node, client, sender, message, pattern="250", helo="mta.example"):
    """A message from a client that XCLIENT names."""
    address = ("IPV6:" if ":" in client else "") + client
    with node.wire("smtp") as wire:
        wire.command("EHLO front.example", "250")
        wire.command("XCLIENT ADDR=%s HELO=%s" % (address, helo), "220")
        wire.command("EHLO " + helo, "250")
        wire.command("MAIL FROM:<%s>" % sender, "250")
        wire.command("RCPT TO:<%s>" % ACCOUNT, "250")
        wire.command("DATA", "354")
        wire.send(stuffed(message))
        reply = wire.expect_reply(pattern, "the final dot")
        wire.command("QUIT", "221")
    return reply


def last(node):
    """The newest message of the account, and the results in it without folds."""
    with node.pop3(ACCOUNT) as wire:
        message = wire.message(int(wire.ok("STAT").split()[1]))
        wire.ok("QUIT")
    found = re.findall(rb"^Authentication-Results: mail\.example\.test;(?:[^\r\n]|\r\n[ \t])*", message, re.M)
    expect(len(found) <= 1, "%d fields of our name" % len(found))
    return message, re.sub(rb"\r\n\s+", b" ", found[0]).decode() if found else ""


def letter(domain, subject="hello", extra=b""):
    return (b"From: Joe <joe@" + domain.encode() + b">\r\nTo: alice@example.test\r\nSubject: " + subject.encode() +
            b"\r\nDate: Tue, 1 Jul 2025 10:00:00 +0000\r\nMessage-ID: <1@" + domain.encode() + b">\r\n" + extra +
            b"\r\nHello  there.\r\n\r\nLast line\r\n\r\n")


def spf_like_pyspf(node, server):
    resolver, spf = package("dns.resolver"), package("spf")
    theirs = resolver.Resolver(configure=False)
    theirs.nameservers, theirs.port = ["127.0.0.1"], server.port
    theirs.search = []
    resolver.default_resolver = theirs
    for domain, _, clients in SPF:
        for client in clients:
            sender = "joe@" + domain
            expected, _ = spf.check2(i=client, s=sender, h="mta.example")
            send(node, client, sender, letter("unrelated.example"))
            _, results = last(node)
            said = re.search(r"spf=(\w+)", results)
            expect(said and said.group(1) == expected,
                   "%s from %s: pyspf says %s, we say %s" % (domain, client, expected, results))
            expect_match(r" smtp\.mailfrom=joe@%s;" % re.escape(domain), results, "the sender")


def dkim_like_dkimpy(node, signed):
    """Messages that dkimpy has signed, and the same with a change."""
    for what, message in signed.items():
        send(node, "192.0.2.1", "joe@elsewhere.example", message)
        stored, results = last(node)
        expect_match(r"dkim=pass header\.d=plain\.example header\.s=\w+ header\.a=[\w-]+ header\.b=", results, what)
        expect_match(r"dmarc=pass header\.from=plain\.example", results, what)
        expect(stored.endswith(message), "%s: the message has changed" % what)
        send(node, "192.0.2.1", "joe@elsewhere.example", message.replace(b"Last line", b"Lost line"))
        expect_match(r'dkim=fail reason="body hash', last(node)[1], what + ", body changed")
        send(node, "192.0.2.1", "joe@elsewhere.example", message.replace(b"Subject: hello", b"Subject: hullo"))
        _, results = last(node)
        expect_match(r'dkim=fail reason="signature did not verify"', results, what + ", header changed")
        expect_match(r"dmarc=fail header\.from=plain\.example policy\.dmarc=reject", results, what)


def with_swaks(node):
    """And a forged field, by a program that knows XCLIENT."""
    swaks = need("swaks", "swaks")
    forged = "Authentication-Results: mail.example.test; dkim=pass header.d=plain.example"
    run_well([swaks, "--server", "127.0.0.1:%d" % node.port("smtp"), "--from", "joe@plain.example", "--to", ACCOUNT,
              "--helo", "mta.example", "--xclient-addr", "192.0.2.1", "--header", "Subject: by swaks",
              "--add-header", forged, "--h-From", "joe@plain.example"])
    stored, results = last(node)
    expect_match(r"spf=pass smtp\.mailfrom=joe@plain\.example; dkim=none; dmarc=pass", results, "swaks")
    expect(b"dkim=pass" not in stored, "a forged field stays")
    expect(stored.startswith(b"Return-Path: <joe@plain.example>\r\nAuthentication-Results: mail.example.test;"),
           "the field is not on top: %r" % stored[:200])


def enforced(node, signed):
    refused = r"550 5\.7\.1 plain\.example asks to refuse"
    send(node, "192.0.2.2", "joe@plain.example", letter("plain.example"), refused)
    send(node, "192.0.2.2", "joe@elsewhere.example", letter("plain.example"), refused)
    send(node, "192.0.2.2", "joe@elsewhere.example", letter("sub.org.example"), r"550 5\.7\.1 sub\.org\.example asks")
    send(node, "192.0.2.1", "joe@plain.example", letter("plain.example"))
    for message in signed.values():
        send(node, "192.0.2.2", "joe@elsewhere.example", message)
    # Nothing else is a reason: quarantine, no policy, a failed SPF alone, an error.
    send(node, "192.0.2.2", "joe@soft.example", letter("soft.example"))
    expect_match(r"dmarc=fail header\.from=soft\.example policy\.dmarc=quarantine", last(node)[1], "quarantine")
    send(node, "192.0.2.2", "joe@plain.example", letter("nothing.example"))
    send(node, "192.0.2.2", "joe@broken.example", letter("org.example"))


def silent(node):
    """The servers have gone: mail comes in all the same, with what could not be known."""
    began = time.monotonic()
    send(node, "192.0.2.2", "joe@plain.example", letter("plain.example"))
    expect(time.monotonic() - began < 60, "the wait did not end")
    expect_match(r"spf=temperror .*dmarc=temperror", last(node)[1], "no name server")


def own_signatures(node):
    """Keys of every kind, and what they sign as dkimpy sees it."""
    dkim = package("dkim")
    published = {}
    for selector, more in (("r1", []), ("e1", ["--algorithm", "ed25519"])):
        line = node.do("domain", "dkim", "add", "example.test", selector, *more)
        name, record = re.match(r"(\S+)\. IN TXT (.*)", line).groups()
        published[name] = "".join(re.findall(r'"([^"]*)"', record))
        expect(node.do("domain", "dkim", "show", "example.test", selector) == line, "show says another line")
    expect(len(node.do("domain", "dkim", "list").splitlines()) == 2, "two keys are listed")

    with smtplib.SMTP("127.0.0.1", node.port("submission"), timeout=30) as client:
        client.login(ACCOUNT, PASSWORD)
        client.sendmail(ACCOUNT, [ACCOUNT], letter("example.test").replace(b"joe@", b"alice@"))
    stored, _ = last(node)
    ask = lambda name, timeout=5: published.get(name.decode().rstrip("."), "").encode() or None
    expect(stored.count(b"\r\nDKIM-Signature: ") == 2, "two signatures: %r" % stored[:400])
    for index in (0, 1):
        expect(dkim.DKIM(stored).verify(index, dnsfunc=ask), "dkimpy does not verify signature %d" % index)
    changed = stored.replace(b"Last line", b"Lost line")
    expect(not dkim.verify(changed, dnsfunc=ask), "dkimpy verifies anything")
    log = node.do("log", "show", "--json")
    expect("(secret)" in log and "MII" not in log, "the log shows a key")
    node.do("domain", "dkim", "remove", "example.test", "r1")
    node.do("domain", "dkim", "remove", "example.test", "e1")


def body(program):
    dkim, nacl_signing = package("dkim"), package("nacl.signing")
    with tempfile.TemporaryDirectory(prefix="letterlog-checks-") as folder:
        path = os.path.join(folder, "key.pem")
        run_well([need("openssl", "openssl"), "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                  "-out", path])
        public = run_well(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"])
        with open(path, "rb") as file:
            rsa = file.read()
    ed = nacl_signing.SigningKey.generate()
    keys = [("r._domainkey.plain.example", "v=DKIM1; p=" + base64.b64encode(public).decode()),
            ("e._domainkey.plain.example", "v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(ed.verify_key)).decode())]
    signed = {}
    for algorithm, selector, key in ((b"rsa-sha256", b"r", rsa),
                                     (b"ed25519-sha256", b"e", base64.b64encode(bytes(ed)))):
        for forms in ((b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"relaxed", b"simple"), (b"simple", b"relaxed")):
            plain = letter("plain.example")
            field = dkim.sign(plain, selector, b"plain.example", key, canonicalize=forms, signature_algorithm=algorithm)
            signed["%s %s" % (algorithm.decode(), b"/".join(forms).decode())] = field + plain

    with NameServer("--local=/example/", *records(keys)) as server:
        asking = ["checks.name-servers=127.0.0.1@%d" % server.port]
        with Node(program, [ACCOUNT], [*SETTINGS, *asking, "checks.policy=record"]) as node:
            spf_like_pyspf(node, server)
            dkim_like_dkimpy(node, signed)
            with_swaks(node)
            own_signatures(node)
        with Node(program, [ACCOUNT], [*SETTINGS, *asking, "checks.policy=enforce", "checks.timeout=2s"]) as node:
            enforced(node, signed)
            server.stop()
            silent(node)
        with Node(program, [ACCOUNT], [*SETTINGS, *asking, "checks.policy=off"]) as node:
            forged = b"Authentication-Results: mail.example.test; dkim=pass\r\n" + letter("plain.example")
            send(node, "192.0.2.2", "joe@plain.example", forged)
            expect(last(node)[0].endswith(forged), "off is not off")


if __name__ == "__main__":
    main(body)
