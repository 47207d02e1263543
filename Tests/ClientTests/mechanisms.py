#!/usr/bin/env python3
"""Every mechanism of SASL, every way to fail with it, over POP3, SMTP and IMAP.

Promised: each lets in who proves it and nobody else; whatever is wrong with a proof is answered with the same words, an
unknown name, a disabled account, a credential of another protocol or one that was revoked among them; what is no message of
the mechanism, or given up, ends the exchange and not the session. Channel bindings are those of this session and no other,
and a client that was made to believe that there are none is not let in. A certificate opens the account of its address. On
a plain connection from elsewhere no mechanism is offered or taken that shows a password or token; TLS brings them.

The clients: Python's sockets and TLS under sasl.py (tls-server-end-point), openssl s_client (tls-exporter), GNU SASL's
gsasl (tls-exporter by GnuTLS), msmtp and mpop (EXTERNAL).

Usage: mechanisms.py LETTERLOG
"""
import base64
import concurrent.futures
import contextlib
import hashlib
import os
import re
import subprocess
import threading
import time

from node import (DOMAIN, PASSWORD, Broken, Node, die_with_parent, expect, expect_match, letter, main, need, run,
                  run_well)
from sasl import (PROTOCOLS, Client, Scram, b64, expect_verdict, login, plain, server_end_point, source, steps_for,
                  unchecked)
from tokens import GOOD, TokenService

ANN, BEN, CAL, OFF = ("%s@%s" % (name, DOMAIN) for name in ("ann", "ben", "cal", "off"))
NOBODY = "nobody@" + DOMAIN
APP_PASSWORD = "for imap alone"
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-1")
SHOWN = ("PLAIN", "LOGIN")
TOKENS = ("OAUTHBEARER", "XOAUTH2")
LISTENERS = tuple(name + "=127.0.0.1:0" for name in (
    "submission", "submissions", "pop3", "pop3s", "imap", "imaps"))
AT_ONCE = 16
maildrop = threading.Lock()


def hold(cases):
    """Functions, several at a time: an answer to a failure is held back for half a second."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(case) for case in cases]:
            done.result()


def attempt(node, name, verdict, mechanism, steps, what, initial=False, **options):
    # A maildrop is for one session of POP3 at a time, and those before may not be over yet.
    deadline = time.monotonic() + 30
    while True:
        with maildrop if (name, verdict) == ("pop3", "in") else contextlib.nullcontext():
            with Client(node, name, source=None if "proxy" in options else source(), **options) as client:
                reply = client.authenticate(mechanism, steps(client) if callable(steps) else steps, initial)
                if not reply.startswith("-ERR [IN-USE]") or time.monotonic() > deadline:
                    return expect_verdict(verdict, client, reply, "%s, %s" % (mechanism, what))
        time.sleep(0.05)


# The matrix

def password_cases(name, mechanism):
    """Verdict, user, password, authorisation, what it is."""
    yield "in", ANN, PASSWORD, "", "good"
    yield "in", "ann", PASSWORD, "", "a name without its domain"
    yield "denied", ANN, "wrong", "", "a wrong password"
    yield "denied", NOBODY, PASSWORD, "", "an unknown name"
    yield "denied", "", PASSWORD, "", "no name"
    yield "denied", OFF, PASSWORD, "", "a disabled account"
    yield "denied", ANN + "/ended", APP_PASSWORD, "", "a credential that was revoked"
    yield "in" if name == "imap" else "denied", ANN + "/imap", APP_PASSWORD, "", "a credential for IMAP"
    if mechanism != "LOGIN":
        yield "in", ANN, PASSWORD, ANN, "acting for itself"
        yield "denied", ANN, PASSWORD, BEN, "acting for another"
        yield "denied", ANN, PASSWORD, NOBODY, "acting for nobody"


def token_cases():
    yield "in", ANN, GOOD, "good"
    for text, what in (("unknown", "an unknown token"), ("narrow", "a token without the scope"),
                       ("ended", "a token that has ended"), ("off", "a token of a disabled account"),
                       ("nobody", "a token of nobody's")):
        yield "denied", OFF if text == "off" else NOBODY if text == "nobody" else ANN, text, what
    yield "denied", BEN, GOOD, "another's token"
    for text in ("broken", "fails", "moved", "endless"):
        yield "later", ANN, text, "a service that answers wrongly (%s)" % text


def matrix(node):
    for name in PROTOCOLS:
        for mechanism in SCRAM + SHOWN:
            for verdict, user, password, authorization, what in password_cases(name, mechanism):
                for initial in (False, True):
                    if initial and (verdict != "in" or mechanism == "LOGIN"):
                        continue
                    yield lambda a=(node, name, verdict, mechanism), u=(user, password, authorization), w=what, \
                        i=initial: attempt(*a, steps_for(a[3], *u), w, i)
        for mechanism in TOKENS:
            for verdict, user, text, what in token_cases():
                yield lambda a=(node, name, verdict, mechanism), u=(user, text), w=what: attempt(
                    *a, steps_for(a[3], *u), w)


# What is no message of the mechanism

def broken_messages(mechanism):
    """A message, and after how many good ones it comes."""
    if mechanism.startswith("SCRAM"):
        yield 0, b""
        yield 0, b"x,,n=ann,r=abcdefgh"
        yield 0, b"n,,"
        yield 0, b"n,,n=ann"
        yield 0, b"\xff" * 100
        return
    yield 0, {"PLAIN": b"only-a-name", "LOGIN": b"", "OAUTHBEARER": b"n,,\1auth=Basic x\1\1",
              "XOAUTH2": b"user=\1\1"}[mechanism]


def broken(node):
    for name in PROTOCOLS:
        for mechanism in SCRAM + SHOWN + TOKENS:
            good = steps_for(mechanism, ANN, PASSWORD)
            turns = range(2 if mechanism.startswith("SCRAM") or mechanism == "LOGIN" else 1)
            for turn in turns:
                for line, verdict in ((b"*", "cancelled"), (b"!!!", "not base64"), (b"QUJ", "not base64"),
                                      (b"QUJD" * 4000, "too long")):
                    yield lambda a=(node, name, mechanism), t=turn, g=good, l=line, v=verdict: raw(*a, g[:t], l, v)
            for turn, message in broken_messages(mechanism):
                if mechanism != "LOGIN":
                    yield lambda a=(node, name, mechanism), g=good[:turn], m=message: refused(*a, g, m)
        yield lambda n=name: commands(node, n)


def raw(node, name, mechanism, before, line, verdict):
    with Client(node, name, source=source()) as client:
        reply = client.authenticate(mechanism, before)
        expect_match(r"^(\+ |334 )", reply, "%s goes on" % mechanism)
        expect_verdict(verdict, client, client.answer(line), "%s: %s" % (mechanism, line[:10]))
        # The session goes on.
        goes_on(client, "after %s: %s" % (mechanism, line[:10]))


def goes_on(client, what, mechanism="PLAIN", steps=None):
    """A good login on the same connection."""
    with maildrop if client.name == "pop3" else contextlib.nullcontext():
        for _ in range(600):
            reply = client.authenticate(mechanism, steps() if steps else plain(ANN, PASSWORD))
            if not reply.startswith("-ERR [IN-USE]"):
                break
            time.sleep(0.05)
        expect_verdict("in", client, reply, what)
        client.wire.close()


def refused(node, name, mechanism, before, message):
    with Client(node, name, source=source()) as client:
        reply = client.authenticate(mechanism, [*before, lambda _: message, lambda _: b"\1"])
        expect(not client.is_in(), "%s: %r lets in" % (mechanism, message))
        expect_match(r"^(-ERR |501 |535 |\w+ (BAD|NO) )", reply, "%s: %r over %s" % (mechanism, message, name))
        goes_on(client, "after %s: %r" % (mechanism, message))


def commands(node, name):
    """Around an exchange: mechanisms that nobody has, a second login, and failures without end."""
    with Client(node, name, source=source()) as client:
        for mechanism in ("CRAM-MD5", "DIGEST-MD5", "NTLM", "ANONYMOUS", "GSSAPI", "OTP", "X-NONE"):
            expect(mechanism not in client.mechanisms(), "%s is offered" % mechanism)
            expect_verdict("unknown", client, client.authenticate(mechanism, []), mechanism)
        reply = client.authenticate("SCRAM-SHA-256", Scram("SCRAM-SHA-256", ANN, "wrong").steps())
        expect_verdict("denied", client, reply, "the first try")
        goes_on(client, "the second try", "scram-sha-256", lambda: Scram("SCRAM-SHA-256", ANN, PASSWORD).steps())
    with Client(node, name, source=source()) as client:
        reply = client.authenticate("PLAIN", plain(CAL, PASSWORD))
        expect_verdict("in", client, reply, "a login over " + name)
        again = client.authenticate("PLAIN", plain(CAL, PASSWORD))
        expect_match(r"^(-ERR|503|\w+ BAD)", again, "a second login over " + name)
    with Client(node, name, source=source()) as client:
        said = ""
        for number in range(12):
            try:
                said = client.authenticate("PLAIN", plain("nobody%d" % number, "wrong"), initial=True)
            except (Broken, OSError):
                break
        else:
            raise Broken("%s lets a client guess without an end: %s" % (name, said))


# Channel bindings

def bindings(node):
    context = unchecked()
    for name in PROTOCOLS:
        for tls in ("implicit", "start"):
            for hash_name in SCRAM:
                yield lambda n=name, t=tls, h=hash_name: attempt(
                    node, n, "in", h + "-PLUS", lambda client: bound(client, h), "bound", tls=t, context=context)
        plus, bare = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"
        for verdict, mechanism, steps, what in (
                ("denied", plus, lambda c: bound(c, bare, password="wrong"), "bound, a wrong password"),
                ("denied", plus, lambda c: bound(c, bare, user=NOBODY), "bound, an unknown name"),
                ("denied", plus, lambda c: bound(c, bare, spoiled=True), "another certificate"),
                ("denied", plus, lambda c: bound(c, bare, kind="tls-exporter"), "the octets of the other kind"),
                ("denied", plus, lambda c: bound(c, bare, kind="tls-unique"), "a kind that is not there"),
                ("denied", plus, lambda c: bound(c, bare, kind="no-such-kind"), "a kind that nobody knows"),
                ("denied", plus, lambda c: Scram(bare, BEN, PASSWORD).steps(), "bound to nothing"),
                ("denied", bare, lambda c: bound(c, bare), "bound, by the mechanism without"),
                ("denied", bare, lambda c: Scram(bare, BEN, PASSWORD, flag="y").steps(), "the flag y: a downgrade"),
                ("denied", "SCRAM-SHA-1", lambda c: Scram("SCRAM-SHA-1", BEN, PASSWORD, flag="y").steps(),
                 "the flag y: a downgrade"),
                ("denied", bare, lambda c: Scram(bare, BEN, PASSWORD, spoil=rebound).steps(), "c= of another header"),
                ("denied", bare, lambda c: Scram(bare, BEN, PASSWORD, spoil=renonced).steps(), "another nonce"),
                ("denied", bare, lambda c: Scram(bare, BEN, PASSWORD, spoil=reproved).steps(), "another proof"),
                ("in", bare, lambda c: Scram(bare, BEN, PASSWORD).steps(), "the flag n")):
            yield lambda n=name, a=(verdict, mechanism, steps, what): attempt(
                node, n, *a, tls="implicit", context=context)
        yield lambda n=name: in_the_clear(node, n)


def bound(client, mechanism, user=BEN, password=PASSWORD, kind="tls-server-end-point", spoiled=False):
    octets = server_end_point(client.wire.socket)
    if spoiled:
        octets = hashlib.sha256(octets).digest()
    return Scram(mechanism, user, password, flag="p=" + kind, binding=octets).steps()


def rebound(text):
    return text.replace("c=biws", "c=" + b64(b"y,,"))


def renonced(text):
    return re.sub("r=(.)", "r=z", text)


def reproved(text):
    return text[:-3] + ("A" if text[-3] != "A" else "B") + text[-2:]


def in_the_clear(node, name):
    """Without TLS there is nothing to bind to: y is the truth there."""
    with Client(node, name, source=source()) as client:
        expect(not [word for word in client.mechanisms() if word.endswith("-PLUS")], "-PLUS in the clear")
        reply = client.authenticate("SCRAM-SHA-256-PLUS", [])
        expect_match(r"^(-ERR Mechanism|504 |538 |\w+ NO \[(CANNOT|PRIVACYREQUIRED)\])", reply, "-PLUS in the clear")
        goes_on(client, "the flag y in the clear", "SCRAM-SHA-256",
                lambda: Scram("SCRAM-SHA-256", BEN, PASSWORD, flag="y").steps())


class SClient:
    """openssl s_client as a wire: it exports keying material, which Python cannot."""

    def __init__(self, node, name):
        listener = {"pop3": "pop3s", "submission": "submissions", "imap": "imaps"}[name]
        self.name = name
        self.process = subprocess.Popen(
            [need("openssl", "openssl"), "s_client", "-connect", "127.0.0.1:%d" % node.port(listener), "-tls1_3",
             "-nocommands", "-bind", source() + ":0", "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen",
             "32"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent)
        self.buffer = b""
        found = self.until(rb"Keying material: ([0-9A-F]{64})\n")
        self.exporter = bytes.fromhex(found.group(1).decode())
        self.until(rb"---\n(?=\+OK|220|\* OK)")
        self.line()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate(timeout=30)

    def until(self, pattern):
        while True:
            found = re.search(pattern, self.buffer)
            if found:
                self.buffer = self.buffer[found.end():]
                return found
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            expect(part, "s_client ended: %r" % self.buffer[-300:])
            self.buffer += part

    def line(self):
        # What s_client tells of tickets may come in between.
        return self.until(rb"(?m)^((?:\+|-ERR|\d{3}[ -]|\*|a\d* ).*)\r\n").group(1).decode()

    def ask(self, text):
        self.process.stdin.write(text.encode() + b"\r\n")
        self.process.stdin.flush()
        line = self.line()
        while line[:2] == "* " or line[3:4] == "-":
            line = self.line()
        return line

    def log_in(self, scram, mechanism):
        if self.name == "submission":
            self.ask("EHLO client.test")
        prefix = "334 " if self.name == "submission" else "+ "
        verb = "a1 AUTHENTICATE" if self.name == "imap" else "AUTH"
        reply = self.ask("%s %s %s" % (verb, mechanism, b64(scram.first(b""))))
        for step in (scram.second, scram.third):
            if not reply.startswith(prefix):
                return reply
            reply = self.ask(b64(step(base64.b64decode(reply[len(prefix):]))))
        return reply


def exporters(node):
    for name in PROTOCOLS:
        for mechanism in SCRAM:
            yield lambda n=name, m=mechanism: exporter(node, n, m)


def exporter(node, name, mechanism):
    # The maildrop of POP3 may have another session; that is said to who has proved himself.
    good = r"^(\+OK|-ERR \[IN-USE\]|235|\w+ OK)"
    bad = r"^(-ERR \[AUTH\]|535 5\.7\.8|\w+ NO \[AUTHENTICATIONFAILED\])"
    with SClient(node, name) as client, SClient(node, name) as other, SClient(node, name) as wrong:
        expect(client.exporter != other.exporter, "two sessions export the same")
        for wire, octets, expected, what in (
                (client, client.exporter, good, "its own exporter"),
                (other, client.exporter, bad, "the exporter of another session"),
                (wrong, b"", bad, "no octets")):
            scram = Scram(mechanism, BEN, PASSWORD, flag="p=tls-exporter", binding=octets)
            expect_match(expected, wire.log_in(scram, mechanism + "-PLUS"), "%s over %s, %s" % (mechanism, name, what))


def gsasl(node):
    """GNU SASL's program chooses the mechanism by itself where it is not told; it speaks IMAP and SMTP."""
    trust = os.path.join(node.store, "tls", "certificate.pem")
    for kind, name in (("--imap", "imap"), ("--smtp", "submission")):
        base = [need("gsasl", "gsasl"), kind, "--connect=localhost:%d" % node.port(name), "--x509-ca-file=" + trust,
                "--verbose"]
        for mechanism in ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", *SCRAM, *SHOWN):
            # Where it was told of a binding, gsasl says y to a mechanism without: rightly refused.
            binds = [] if mechanism.endswith("-PLUS") else ["--no-cb"]
            yield lambda b=[*base, *binds], m=mechanism: gsasl_says(b, m, BEN, PASSWORD, True)
            # All come from one address, where failures of one name would soon be slowed.
            user = BEN if mechanism == "SCRAM-SHA-256-PLUS" else "nobody.%s.%s" % (name, mechanism.lower())
            yield lambda b=[*base, *binds], m=mechanism, u=user: gsasl_says(b, m, u, "wrong", False)
        yield lambda b=base: gsasl_says(b, "SCRAM-SHA-256", CAL, PASSWORD, False)


def gsasl_says(base, mechanism, user, password, is_good):
    code, said = run([*base, "--mechanism=" + mechanism, "--authentication-id=" + user, "--password=" + password],
                     input=b"")
    expect((code == 0) == is_good, "gsasl as %s, %s, %s password: exit %d: %s"
           % (user, mechanism, "good" if is_good else "wrong", code, said.decode(errors="replace")[-600:]))
    if mechanism.endswith("-PLUS"):
        expect(b"tls-exporter" in base64_lines(said), "gsasl does not bind: %s" % said.decode(errors="replace")[-600:])


def base64_lines(said):
    """What stands in base64 in a transcript, as it is."""
    found = []
    for word in re.findall(rb"[A-Za-z0-9+/]{20,}={0,2}", said):
        try:
            found.append(base64.b64decode(word))
        except ValueError:
            continue
    return b"\n".join(found)


# Certificates of clients

class People:
    """An authority and what it has issued."""

    def __init__(self, folder):
        self.folder = folder
        self.openssl = need("openssl", "openssl")
        os.makedirs(folder)
        self.authority = self.path("people.pem")
        self.key("people")
        self.make("req", "-x509", "-new", "-key", self.path("people.key"), "-subj", "/CN=People", "-days", "30",
                  "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
                  "-out", self.authority)

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self, *arguments):
        run_well([self.openssl, *arguments])

    def key(self, name):
        self.make("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.path(name + ".key"))

    def issue(self, name, *mail):
        self.key(name)
        with open(self.path(name + ".ext"), "w") as file:
            file.write("extendedKeyUsage=clientAuth\n")
            if mail:
                file.write("subjectAltName=%s\n" % ",".join("email:" + each for each in mail))
        self.make("req", "-new", "-key", self.path(name + ".key"), "-subj", "/CN=" + name, "-out",
                  self.path(name + ".csr"))
        self.make("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.authority, "-CAkey",
                  self.path("people.key"), "-CAcreateserial", "-days", "20", "-extfile", self.path(name + ".ext"),
                  "-out", self.path(name + ".pem"))
        return self.path(name + ".pem"), self.path(name + ".key")


def external(node, people):
    cal, off, nobody = people.issue("cal", CAL), people.issue("off", OFF), people.issue("nobody", NOBODY)
    two, mute = people.issue("two", BEN, CAL), people.issue("mute")
    for name in PROTOCOLS:
        for verdict, pair, wanted, what in (
                ("in", cal, "", "its account"), ("in", cal, CAL, "its account by name"),
                ("in", cal, "cal", "its account by a short name"), ("denied", cal, ANN, "another's account"),
                ("denied", cal, NOBODY, "nobody's account"), ("denied", off, "", "a disabled account"),
                ("denied", nobody, "", "an address that nobody has"), ("denied", nobody, ANN, "nobody for ann"),
                ("in", two, "", "the first of two"), ("in", two, CAL, "the second of two"),
                ("denied", two, ANN, "a third beside two"),
                ("unknown", mute, "", "a certificate without an address"), ("unknown", None, "", "no certificate")):
            for tls in ("implicit", "start"):
                yield lambda a=(name, verdict), w=wanted, p=pair, t=tls, what=what: attempt(
                    node, *a, "EXTERNAL", [lambda _: w.encode()] if a[1] != "unknown" else [], what, tls=t,
                    context=unchecked(*(p or ())))
        yield lambda n=name: offered_external(node, n, cal)
        yield lambda n=name: raw_external(node, n, cal)
    yield lambda: programs_external(node, cal)


def offered_external(node, name, pair):
    for context, is_offered in ((unchecked(*pair), True), (unchecked(), False)):
        with Client(node, name, source=source(), tls="start", context=context) as client:
            expect(("EXTERNAL" in client.mechanisms()) == is_offered, "EXTERNAL over %s: %s" % (
                name, client.mechanisms()))
    with Client(node, name, source=source()) as client:
        expect("EXTERNAL" not in client.mechanisms(), "EXTERNAL in the clear")
        expect_verdict("unknown", client, client.authenticate("EXTERNAL", []), "EXTERNAL in the clear")


def raw_external(node, name, pair):
    with Client(node, name, source=source(), tls="implicit", context=unchecked(*pair)) as client:
        expect_match(r"^(\+ |334 )", client.authenticate("EXTERNAL", []), "EXTERNAL without an initial response")
        expect_verdict("cancelled", client, client.answer(b"*"), "EXTERNAL given up")
        reply = client.authenticate("EXTERNAL", [lambda _: b""], initial=True)
        expect_verdict("in", client, reply, "EXTERNAL with an empty initial response")


def programs_external(node, pair):
    trust = ["--tls-trust-file=" + os.path.join(node.store, "tls", "certificate.pem"), "--tls=on",
             "--tls-cert-file=" + pair[0], "--tls-key-file=" + pair[1], "--auth=external", "--user=" + CAL,
             "--host=localhost"]
    run_well([need("msmtp", "msmtp"), "--file=/dev/null", "--source-ip=127.0.0.1",
              "--port=%d" % node.port("submissions"), "--tls-starttls=off", *trust, "--from=" + CAL, CAL],
             input=letter("by a certificate", sender=CAL))
    target = os.path.join(node.directory, "by-certificate")
    run_well([need("mpop", "mpop"), "--port=%d" % node.port("pop3s"), "--tls-starttls=off", *trust, "--keep=on",
              "--delivery=mbox," + target, "--uidls-file=" + target + ".uidls"])
    expect(b"by a certificate" in open(target, "rb").read(), "mpop brought nothing")


# From elsewhere, in the clear

def elsewhere(node):
    for name in PROTOCOLS:
        for address in ("203.0.113.7", "2001:db8::7", "10.0.0.7", "169.254.1.7"):
            yield lambda n=name, a=address: plain_elsewhere(node, n, a)
        yield lambda n=name: sealed_elsewhere(node, n)
        # Both the proxy and the client are of this machine.
        yield lambda n=name: attempt(node, n, "in", "PLAIN", plain(ANN, PASSWORD), "from here", proxy="127.0.0.9")


def plain_elsewhere(node, name, address):
    with Client(node, name, proxy=address) as client:
        offered = client.mechanisms()
        expect(offered == list(SCRAM), "%s offers %s to %s in the clear" % (name, offered, address))
        for mechanism in SHOWN + TOKENS:
            for initial in (False, True):
                steps = steps_for(mechanism, ANN, GOOD if mechanism in TOKENS else PASSWORD)
                expect_verdict("needs TLS", client, client.authenticate(
                    mechanism, steps, initial and mechanism != "LOGIN"), "%s from %s" % (mechanism, address))
    with Client(node, name, proxy=address) as client:
        if name == "pop3":
            expect("USER" not in client.extensions, "USER is offered to %s" % address)
            expect_match("^-ERR", client.command("USER " + ANN), "USER from " + address)
            expect_match("^-ERR", client.command("PASS " + PASSWORD), "PASS from " + address)
        if name == "imap":
            expect("LOGINDISABLED" in client.extensions, "LOGIN is offered to %s" % address)
            expect_match(r"^\w+ NO \[PRIVACYREQUIRED\]", client.command("LOGIN ann " + PASSWORD), "LOGIN")
        expect(not client.is_in(), "a password in the clear from %s lets in" % address)
        goes_on(client, "SCRAM from " + address, "SCRAM-SHA-256",
                lambda: Scram("SCRAM-SHA-256", ANN, PASSWORD).steps())


def sealed_elsewhere(node, name):
    with Client(node, name, proxy="203.0.113.8", tls="start", context=unchecked()) as client:
        offered = set(client.mechanisms())
        expect({*SCRAM, *SHOWN, *TOKENS} <= offered, "%s offers %s over TLS" % (name, offered))
        expect("LOGINDISABLED" not in client.extensions, "LOGIN is not offered over TLS")
        if name == "pop3":
            expect("USER" in client.extensions, "USER is not offered over TLS")
            expect_match(r"^\+OK", client.command("USER " + ANN), "USER over TLS")
            # In use: said to who has proved himself.
            expect_match(r"^(\+OK|-ERR \[IN-USE\])", client.command("PASS " + PASSWORD), "PASS over TLS")
        elif name == "imap":
            expect_match(r"^\w+ OK", client.command("LOGIN %s %s" % (ANN, PASSWORD)), "LOGIN over TLS")
        else:
            expect_verdict("in", client, client.authenticate("LOGIN", login(ANN, PASSWORD)), "LOGIN over TLS")


def body(program):
    with TokenService(ANN, OFF, NOBODY) as service:
        people = People(os.path.join(service.folder, "people"))
        settings = ["log.level=debug", "limits.login-failures=1000", "tls.client-authority=" + people.authority,
                    *service.settings]
        with Node(program, [ANN, BEN, CAL, OFF], settings, LISTENERS) as node:
            node.do("account", "disable", OFF)
            for label, more in (("imap", ("--scope", "imap")), ("ended", ())):
                node.do("account", "password", "add", ANN, label, "--password-stdin", *more, stdin=APP_PASSWORD + "\n")
            node.do("account", "password", "revoke", ANN, "ended")
            for part in (matrix, broken, bindings, exporters, gsasl):
                began = time.monotonic()
                hold(part(node))
                print(part.__name__, "held in %.1f s" % (time.monotonic() - began), flush=True)
            hold(external(node, people))
            print("external held", flush=True)
        with Node(program, [ANN], [*settings, "listeners.proxy-from=127.0.0.1"], LISTENERS) as node:
            hold(elsewhere(node))
            print("elsewhere held", flush=True)


main(body)
