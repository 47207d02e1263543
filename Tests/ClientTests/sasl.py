"""A client of SASL over POP3, SMTP and IMAP, written from the RFCs: what the scripts about logins share.

Nothing of ours is used but the wire: SCRAM is from RFC 5802 and RFC 7677, its bindings from RFC 5929 and RFC 9266, PLAIN
from RFC 4616, tokens from RFC 7628, the profiles from RFC 5034, RFC 4954, RFC 9051 section 6.2.2 and RFC 4959.
"""
import base64
import hashlib
import hmac
import itertools
import re
import ssl

from node import Wire, expect, expect_match

# How a login ends, as each protocol says it.
VERDICTS = {
    "in": (r"^\+OK", r"^235 2\.7\.0 ", r"^\w+ OK "),
    "denied": (r"^-ERR \[AUTH\] Wrong name or password$", r"^535 5\.7\.8 Authentication credentials invalid$",
               r"^\w+ NO \[AUTHENTICATIONFAILED\] Wrong name or password$"),
    "malformed": (r"^-ERR The response is none of this mechanism$", r"^501 5\.5\.2 ", r"^\w+ BAD "),
    "not base64": (r"^-ERR .*not base64$", r"^501 5\.5\.2 ", r"^\w+ BAD "),
    "cancelled": (r"^-ERR Authentication cancelled$", r"^501 5\.7\.0 ", r"^\w+ BAD "),
    "unknown": (r"^-ERR Mechanism not available$", r"^504 5\.5\.4 ", r"^\w+ NO \[CANNOT\] "),
    "needs TLS": (r"^-ERR Mechanism needs an encrypted connection$", r"^538 5\.7\.11 ",
                  r"^\w+ NO \[PRIVACYREQUIRED\] "),
    "later": (r"^-ERR \[SYS/TEMP\] ", r"^454 4\.7\.0 ", r"^\w+ NO \[UNAVAILABLE\] "),
    "too long": (r"^-ERR .*too long$", r"^500 5\.5\.6 ", r"^\w+ BAD "),
}
PROTOCOLS = ("pop3", "submission", "imap")


def b64(octets):
    return base64.b64encode(octets).decode()


class Client:
    """A connection, up to where a login may begin. `tls` is None, "implicit" or "start"; `name` one of PROTOCOLS."""

    def __init__(self, node, name, source=None, proxy=None, tls=None, context=None):
        self.name = name
        listener = {"pop3": "pop3s", "submission": "submissions", "imap": "imaps"}[name] if tls == "implicit" else name
        self.wire = Wire(node.addresses[listener][0], source=source)
        self.tags = 0
        if proxy:
            kind = "TCP6" if ":" in proxy else "TCP4"
            self.wire.send(("PROXY %s %s %s 40000 25\r\n" % (kind, proxy, "::1" if ":" in proxy else "127.0.0.1"))
                           .encode())
        if tls == "implicit":
            self.seal(context)
        greeting = self.reply()
        expect_match(r"^(\+OK|220|\* OK)", greeting, "greeting")
        self.greeting = greeting
        self.extensions = self.ask_extensions()
        if tls == "start":
            expect_match({"pop3": r"^\+OK", "submission": "^220", "imap": r"^\w+ OK"}[name],
                         self.command({"pop3": "STLS"}.get(name, "STARTTLS")), "STARTTLS")
            self.seal(context)
            self.extensions = self.ask_extensions()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.close()

    def seal(self, context):
        expect(not self.wire.buffer, "octets before TLS: %r" % bytes(self.wire.buffer))
        self.wire.socket = context.wrap_socket(self.wire.socket, server_hostname="localhost")

    def reply(self):
        return self.wire.reply() if self.name == "submission" else self.wire.line()

    def command(self, text):
        """The status line of a command; untagged lines of IMAP are kept in `untagged`."""
        if self.name != "imap":
            self.wire.send(text.encode() + b"\r\n")
            return self.reply()
        self.tags += 1
        tag = "a%d" % self.tags
        self.wire.send(("%s %s\r\n" % (tag, text)).encode())
        return self.tagged()

    def tagged(self):
        self.untagged = []
        while True:
            line = self.wire.line()
            if not line.startswith("* "):
                return line
            self.untagged.append(line)

    def ask_extensions(self):
        """CAPA, EHLO or CAPABILITY as a list of lines or words."""
        if self.name == "submission":
            return [line[4:] for line in self.command("EHLO client.test").split("\n")[1:]]
        if self.name == "pop3":
            return self.wire.listing("CAPA")
        self.command("CAPABILITY")
        return [word for line in self.untagged for word in line.split()[2:]]

    def mechanisms(self):
        if self.name == "imap":
            return [word[5:] for word in self.extensions if word.startswith("AUTH=")]
        key = {"pop3": "SASL", "submission": "AUTH"}[self.name]
        return [word for line in self.extensions if line.split()[0] == key for word in line.split()[1:]]

    def authenticate(self, mechanism, steps, initial=False):
        """AUTH with `steps`: functions from a challenge to the response. The last reply of the server."""
        verb = "AUTHENTICATE" if self.name == "imap" else "AUTH"
        line, steps = "%s %s" % (verb, mechanism), list(steps)
        if initial:
            line += " " + (b64(steps.pop(0)(b"")) or "=")
        reply = self.command(line)
        prefix = "334 " if self.name == "submission" else "+ "
        for step in steps:
            if not reply.startswith(prefix):
                return reply
            self.wire.send(b64(step(base64.b64decode(reply[len(prefix):]))).encode() + b"\r\n")
            reply = self.tagged() if self.name == "imap" else self.reply()
        return reply

    def answer(self, line):
        """A raw line in the middle of an exchange."""
        self.wire.send(line + b"\r\n")
        return self.tagged() if self.name == "imap" else self.reply()

    def is_in(self):
        """Whether what needs a login is done now."""
        command = {"pop3": "STAT", "submission": "MAIL FROM:<>", "imap": "LIST \"\" INBOX"}[self.name]
        return bool(re.match(r"^(\+OK|250|\w+ OK)", self.command(command)))


numbers = itertools.count(1)


def source():
    """Failures slow down those who come from the same address: each case has its own."""
    number = next(numbers)
    return "127.1.%d.%d" % (number // 250, number % 250 + 1)


def expect_verdict(verdict, client, reply, what):
    expect_match(VERDICTS[verdict][PROTOCOLS.index(client.name)], reply, "%s over %s" % (what, client.name))
    expect(client.is_in() == (verdict == "in"), "%s over %s: %s, but then it is %s in"
           % (what, client.name, verdict, "not" if verdict == "in" else "still"))


def server_end_point(sealed):
    """RFC 5929 section 4.1, for a certificate that is signed with SHA-256."""
    return hashlib.sha256(sealed.getpeercert(binary_form=True)).digest()


class Scram:
    """The client's two messages and its look at the server's proof.

    `flag` is n, y or p=NAME; `binding` the octets that belong to it. `spoil` changes the last message."""

    def __init__(self, mechanism, user, password, flag="n", binding=b"", authorization="", spoil=lambda text: text):
        self.digest = "sha256" if "256" in mechanism else "sha1"
        self.mechanism, self.password, self.binding, self.spoil = mechanism, password, binding, spoil
        self.header = "%s,%s," % (flag, "a=" + self.escaped(authorization) if authorization else "")
        self.bare = "n=%s,r=rOprNGfwEbeRWgbNEkqO" % self.escaped(user)

    @staticmethod
    def escaped(name):
        return name.replace("=", "=3D").replace(",", "=2C")

    def first(self, _):
        return (self.header + self.bare).encode()

    def second(self, challenge):
        challenge = challenge.decode()
        fields = dict(part.split("=", 1) for part in challenge.split(","))
        expect(fields["r"].startswith("rOprNGfwEbeRWgbNEkqO") and len(fields["r"]) > 30, "the nonce %s" % fields["r"])
        salted = hashlib.pbkdf2_hmac(self.digest, self.password.encode(), base64.b64decode(fields["s"]),
                                     int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", self.digest)
        without = "c=%s,r=%s" % (b64(self.header.encode() + self.binding), fields["r"])
        message = ("%s,%s,%s" % (self.bare, challenge, without)).encode()
        signature = hmac.digest(hashlib.new(self.digest, client_key).digest(), message, self.digest)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.verdict = "v=" + b64(hmac.digest(hmac.digest(salted, b"Server Key", self.digest), message, self.digest))
        return self.spoil("%s,p=%s" % (without, b64(proof))).encode()

    def third(self, verdict):
        expect(verdict.decode() == self.verdict, "%s: the server did not prove itself" % self.mechanism)
        return b""

    def steps(self):
        return [self.first, self.second, self.third]


def plain(user, password, authorization=""):
    return [lambda _: ("%s\0%s\0%s" % (authorization, user, password)).encode()]


def login(user, password):
    return [lambda _: user.encode(), lambda _: password.encode()]


def token(mechanism, user, text):
    """The second step is the dummy after a refusal (RFC 7628 section 3.2.3)."""
    message = ("n,a=%s,\1host=mail\1port=1\1auth=Bearer %s\1\1" if mechanism == "OAUTHBEARER"
               else "user=%s\1auth=Bearer %s\1\1") % (user, text)

    def refused(challenge):
        expect(b'"status"' in challenge, "a token is refused with %r" % challenge)
        return b"\1"
    return [lambda _: message.encode(), refused]


def steps_for(mechanism, user, secret, authorization=""):
    if mechanism.startswith("SCRAM"):
        return Scram(mechanism, user, secret, authorization=authorization).steps()
    if mechanism == "PLAIN":
        return plain(user, secret, authorization)
    return login(user, secret) if mechanism == "LOGIN" else token(mechanism, user, secret)


def unchecked(certificate=None, key=None):
    """TLS with whoever answers; who that is is not the subject."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key)
    return context
