#!/usr/bin/env python3
"""No secret can be printed: not in the node's log at its most talkative, not by any administrative command in text or
JSON, not on a page. Passwords are used rightly and wrongly on every way in, set, added and revoked, tokens are judged by a
service that answers well, wrongly or not at all, and then they are looked for: as they are, in base64, and as what the
store keeps of them; so are the secret of the token service, the store's TLS key and its login key."""
import base64
import json
import os
import urllib.request

from node import DOMAIN, Node, PASSWORD, expect, main
from sasl import PROTOCOLS, Client, plain as plain_steps, token
from tokens import CLIENT_SECRET, GOOD, TokenService

WRONG = "wrong-guess-4711"
CHANGED = "changed-secret-0815"
LISTENERS = ("smtp=127.0.0.1:0", "submission=127.0.0.1:0", "lmtp=127.0.0.1:0", "pop3=127.0.0.1:0",
             "imap=127.0.0.1:0", "http=127.0.0.1:0")
# What begins a verifier in the store, whatever follows.
KEPT = ("SCRAM-SHA-256$", "SCRAM-SHA-1$", "$y$", "$6$", "$2b$")
ASKED = (
    ("account", "list"), ("account", "show", "alice"), ("account", "password", "list", "alice"), ("who",),
    ("log", "show"), ("log", "show", "--account", "alice"), ("stats",), ("domain", "list"),
    ("mailbox", "list", "alice"), ("verify",))


def plain(password):
    return base64.b64encode(b"\0alice@example.test\0" + password.encode()).decode()


def attempts(node, password):
    """The password on every way in."""
    with node.wire("pop3") as wire:
        wire.send(b"USER alice\r\n")
        wire.line()
        wire.send(("PASS %s\r\n" % password).encode())
        wire.line()
    for name, greet in (("pop3", None), ("submission", "EHLO client.test")):
        with node.wire(name) as wire:
            if greet:
                wire.send(greet.encode() + b"\r\n")
                wire.reply()
            wire.send(("AUTH PLAIN %s\r\n" % plain(password)).encode())
            wire.line()
    with Client(node, "imap") as client:
        client.command('LOGIN alice "%s"' % password)
    with Client(node, "imap") as client:
        client.authenticate("PLAIN", plain_steps("alice", password), initial=True)
    with Client(node, "imap") as client:
        client.command("LOGIN alice %s extra" % password)
        client.command("XLOGIN alice %s" % password)
        client.command("AUTHENTICATE X-NONE " + plain(password))
    # Where it does not belong: in a command that is not known, and in a line that is too long.
    with node.wire("pop3") as wire:
        wire.send(("PASSWORD %s\r\n" % password).encode())
        wire.line()
        wire.send(("PASS %s\r\n" % (password * 40)).encode())
        wire.line()


def tokens(node):
    """Good, refused, and where the service answers wrongly."""
    used = [GOOD, "narrow-token-4242", "fails", "broken", "endless"]
    cases = [(name, mechanism, text) for name in PROTOCOLS for mechanism in ("OAUTHBEARER", "XOAUTH2") for text in used]
    for number, (name, mechanism, text) in enumerate(cases, start=1):
        # Failures from one address slow it down.
        with Client(node, name, source="127.3.0.%d" % number) as client:
            client.authenticate(mechanism, token(mechanism, "alice@" + DOMAIN, text))
    return used[:2]


def keys(node):
    """Lines of the key in PEM, and the login key in hexadecimal and base64."""
    with open(os.path.join(node.store, "tls", "key.pem")) as file:
        lines = [line.strip() for line in file if not line.startswith("---")]
    with open(os.path.join(node.store, "login.key"), "rb") as file:
        key = file.read()
    return [line for line in lines if len(line) > 20] + [key.hex(), base64.b64encode(key).decode().rstrip("=")]


def body(program):
    with TokenService("alice@" + DOMAIN) as service:
        play(program, service)


def play(program, service):
    settings = ["log.level=debug", "limits.login-failures=1000", *service.settings]
    with Node(program, accounts=("alice@" + DOMAIN,), settings=settings, listeners=LISTENERS) as node:
        secrets = [PASSWORD, WRONG, CHANGED, CLIENT_SECRET, *tokens(node), *keys(node)]
        attempts(node, PASSWORD)
        attempts(node, WRONG)
        app = node.do("account", "password", "add", "alice", "phone", "--json").splitlines()
        generated = json.loads(app[-1])["password"]
        secrets.append(generated)
        attempts(node, generated)
        node.do("account", "passwd", "alice", "--password-stdin", stdin=CHANGED + "\n")
        attempts(node, CHANGED)
        said = []
        for words in ASKED:
            for form in ((), ("--json",)):
                said.append((" ".join(words + form), node.do(*words, *form)))
        # What fails repeats nothing either.
        for words in (("account", "add", "alice", "--password-stdin"), ("account", "passwd", "nobody", "--password-stdin"),
                      ("account", "password", "add", "alice", "phone", "--password-stdin")):
            code, out, err = node.run(*words, stdin=WRONG + "\n")
            expect(code != 0, "%s was taken" % " ".join(words))
            said.append((" ".join(words), out + err))
        host, port = node.addresses["http"][0]
        with urllib.request.urlopen("http://%s:%d/metrics" % (host, port), timeout=30) as page:
            said.append(("/metrics", page.read().decode()))
        node.do("account", "password", "revoke", "alice", "phone")
        with open(node.log_path, errors="replace") as log:
            lines = log.read()
        expect("login denied" in lines and "logged in" in lines, "the log tells of logins")
        said.append(("the node's log", lines))
        for where, text in said:
            for secret in secrets:
                for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="), plain(secret)):
                    expect(form not in text, "%s shows a password" % where)
            for kept in KEPT:
                expect(kept not in text, "%s shows a verifier" % where)


if __name__ == "__main__":
    main(body)
