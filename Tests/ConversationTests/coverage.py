#!/usr/bin/env python3
"""Every command and extension of SMTP, submission, LMTP and POP3, and the conversations that are held about it.

    coverage.py --write PAGE    writes the table
    coverage.py --check PAGE    tells what has no conversation, and whether the page is the table; exit code 1 then

A command has the conversations in which a client sends it; an extension those that `@needs` it, which is a keyword of the
answer to EHLO, LHLO or CAPA. conversations.py asks a node what it offers and holds that to the same `@needs`.
"""
import os
import re
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(FOLDER, "..", "..")
sys.path.insert(0, FOLDER)

from conversation import read_steps  # noqa: E402

# Of conversations that the page names for one word.
NAMES_MAX = 5

ANYWHERE = ("smtp", "submission", "lmtp")

# Word, protocols, where it is said what it does.
COMMANDS = [
    ("EHLO", ("smtp", "submission"), "RFC 5321 section 4.1.1.1"),
    ("HELO", ("smtp", "submission"), "RFC 5321 section 4.1.1.1"),
    ("LHLO", ("lmtp",), "RFC 2033 section 4.1"),
    ("MAIL", ANYWHERE, "RFC 5321 section 4.1.1.2; RFC 6409 section 6.1"),
    ("RCPT", ANYWHERE, "RFC 5321 section 4.1.1.3"),
    ("DATA", ANYWHERE, "RFC 5321 section 4.1.1.4; RFC 2033 section 4.2"),
    ("BDAT", ANYWHERE, "RFC 3030 section 2; RFC 2033 section 4.2"),
    ("RSET", ANYWHERE, "RFC 5321 section 4.1.1.5"),
    ("NOOP", ANYWHERE, "RFC 5321 section 4.1.1.9"),
    ("QUIT", ANYWHERE, "RFC 5321 section 4.1.1.10"),
    ("VRFY", ANYWHERE, "RFC 5321 sections 3.5.3 and 4.1.1.6"),
    ("EXPN", ANYWHERE, "RFC 5321 section 4.1.1.7"),
    ("HELP", ANYWHERE, "RFC 5321 section 4.1.1.8"),
    ("STARTTLS", ANYWHERE, "RFC 3207 section 4"),
    ("AUTH", ("submission",), "RFC 4954 section 4"),
    ("XCLIENT", ("smtp", "lmtp"), "Postfix's XCLIENT_README"),
    ("XFORWARD", ("smtp", "lmtp"), "Postfix's XFORWARD_README"),
    ("USER", ("pop3",), "RFC 1939 section 7"),
    ("PASS", ("pop3",), "RFC 1939 section 7"),
    ("AUTH", ("pop3",), "RFC 5034 section 4"),
    ("STLS", ("pop3",), "RFC 2595 section 4"),
    ("CAPA", ("pop3",), "RFC 2449 section 5"),
    ("STAT", ("pop3",), "RFC 1939 section 5"),
    ("LIST", ("pop3",), "RFC 1939 section 5"),
    ("RETR", ("pop3",), "RFC 1939 section 5"),
    ("DELE", ("pop3",), "RFC 1939 section 5"),
    ("NOOP", ("pop3",), "RFC 1939 section 5"),
    ("RSET", ("pop3",), "RFC 1939 section 5"),
    ("TOP", ("pop3",), "RFC 1939 section 7"),
    ("UIDL", ("pop3",), "RFC 1939 section 7"),
    ("QUIT", ("pop3",), "RFC 1939 section 6"),
    ("UTF8", ("pop3",), "RFC 6856 section 2.1"),
    ("LANG", ("pop3",), "RFC 6856 section 3.2"),
]

# Spoken by clients, and not here: what they hear.
ABSENT = [
    ("SEND", ("smtp",), "RFC 5321 appendix F.6"),
    ("TURN", ("smtp",), "RFC 5321 appendix F.1"),
    ("ETRN", ("smtp",), "RFC 5321 section 4.2.4"),
    ("BURL", ("submission",), "RFC 5321 section 4.2.4"),
    ("AUTH", ("smtp", "lmtp"), "RFC 5321 section 4.2.4"),
    ("EHLO", ("lmtp",), "RFC 2033 section 4.1"),
    ("APOP", ("pop3",), "RFC 1939 section 7"),
    ("LAST", ("pop3",), "RFC 1939 section 9"),
]

EXTENSIONS = [
    ("PIPELINING", ANYWHERE, "RFC 2920 section 3.1"),
    ("SIZE", ANYWHERE, "RFC 1870 section 6"),
    ("8BITMIME", ANYWHERE, "RFC 6152 section 3"),
    ("ENHANCEDSTATUSCODES", ANYWHERE, "RFC 2034 section 4"),
    ("STARTTLS", ANYWHERE, "RFC 3207 section 4"),
    ("SMTPUTF8", ANYWHERE, "RFC 6531 sections 3.4 and 3.5"),
    ("AUTH", ("submission",), "RFC 4954 sections 3 and 4"),
    ("CHUNKING", ANYWHERE, "RFC 3030 section 2"),
    ("BINARYMIME", ANYWHERE, "RFC 3030 section 3"),
    ("DSN", ANYWHERE, "RFC 3461 section 4"),
    ("REQUIRETLS", ANYWHERE, "RFC 8689 section 2"),
    ("FUTURERELEASE", ("submission",), "RFC 4865 section 4"),
    ("DELIVERBY", ("submission",), "RFC 2852 section 4"),
    ("LIMITS", ANYWHERE, "RFC 9422 section 3"),
    ("XCLIENT", ("smtp", "lmtp"), "Postfix's XCLIENT_README"),
    ("XFORWARD", ("smtp", "lmtp"), "Postfix's XFORWARD_README"),
    ("TOP", ("pop3",), "RFC 2449 section 6.1"),
    ("USER", ("pop3",), "RFC 2449 section 6.2"),
    ("SASL", ("pop3",), "RFC 5034 section 3"),
    ("RESP-CODES", ("pop3",), "RFC 2449 sections 6.4 and 8"),
    ("AUTH-RESP-CODE", ("pop3",), "RFC 3206 section 6"),
    ("LOGIN-DELAY", ("pop3",), "RFC 2449 section 6.5"),
    ("PIPELINING", ("pop3",), "RFC 2449 section 6.6"),
    ("EXPIRE", ("pop3",), "RFC 2449 section 6.7"),
    ("UIDL", ("pop3",), "RFC 2449 section 6.8"),
    ("IMPLEMENTATION", ("pop3",), "RFC 2449 section 6.9"),
    ("STLS", ("pop3",), "RFC 2595 section 4"),
    ("UTF8", ("pop3",), "RFC 6856 sections 2.1 and 2.2"),
    ("LANG", ("pop3",), "RFC 6856 section 3"),
]

# No keyword tells of these; the settings of the node that the conversation is held with do.
SETTINGS = [
    ("PROXY", ("smtp", "pop3"), "the specification of the PROXY protocol, version 1", "listeners.proxy-from"),
]

HEAD = """# Conversations about mail in and out, and POP3

What a client says and what it has to hear, for each command and extension: texts in `Tests/ConversationTests`, whose answers
are written from the sections named here and never from what a server says. `swift test --filter ConversationTests` holds
them with a node; those of LMTP and POP3 are held with Debian's Dovecot too (`tools/interop/imap-dovecot`).

Written by `tools/tables` from `coverage.py`, which finds the conversations by what is sent in them and by the extensions
that they need, and holds the list of commands to the command tables of `Sources/Protocols`.
"""


class Conversations:
    """What is in the conversations of a protocol."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.sent, self.needed, self.settings = {}, {}, {}
        folder = os.path.join(FOLDER, protocol)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".txt"):
                self.read(name, read_steps(os.path.join(folder, name)))

    def read(self, name, steps):
        # A connection of another protocol only looks on.
        others = {step.text.split()[1] for step in steps
                  if step.kind == "@" and re.match(r"(connect|open) \S+ \S", step.text)}
        for step in steps:
            word, _, rest = step.text.partition(" ")
            if step.kind == "@" and word == "needs":
                for each in rest.split():
                    self.needed.setdefault(each, []).append(name)
            elif step.kind == "@" and word == "with":
                for each in rest.split():
                    self.settings.setdefault(each.partition("=")[0], []).append(name)
            elif step.kind in "CR" and step.connection not in others:
                for line in step.text.replace("\\n", "").split("\\r"):
                    found = re.match(r"[A-Za-z0-9]+", line)
                    if found and name not in self.sent.get(found[0].upper(), []):
                        self.sent.setdefault(found[0].upper(), []).append(name)


def rows(protocol, conversations):
    """Kind, word, where it is written down, and the conversations."""
    found = []
    for kind, table, source in (("command", COMMANDS, conversations.sent), ("not offered", ABSENT, conversations.sent),
                                ("extension", EXTENSIONS, conversations.needed)):
        found += [(kind, word, text, source.get(word, [])) for word, protocols, text in table if protocol in protocols]
    found += [("setting", word, text, conversations.settings.get(setting, []))
              for word, protocols, text, setting in SETTINGS if protocol in protocols]
    return found


def page(tables):
    text = HEAD
    for protocol, table in tables.items():
        text += "\n## %s\n\n| | word | written down in | conversations |\n| --- | --- | --- | --- |\n" % {
            "smtp": "SMTP", "submission": "Submission", "lmtp": "LMTP", "pop3": "POP3"}[protocol]
        for kind, word, where, files in table:
            names = ", ".join("`%s`" % name[:-4] for name in files[:NAMES_MAX])
            more = " and %d more" % (len(files) - NAMES_MAX) if len(files) > NAMES_MAX else ""
            text += "| %s | `%s` | %s | %s%s |\n" % (kind, word, where, names, more)
    return text


def understood():
    """(verb, protocol) of the command tables, as their sources have them."""
    found = set()
    for room, pattern in (("SMTP", r'SMTPCommand\(\s*"(\w+)"(?:, in: \[([^\]]*)\])?'), ("POP3", r'POP3Command\(\s*"(\w+)"()')):
        folder = os.path.join(ROOT, "Sources", "Protocols", room, "Commands")
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                for verb, dialects in re.findall(pattern, file.read()):
                    protocols = ["pop3"] if room == "POP3" else re.findall(r"\.(\w+)", dialects) or ANYWHERE
                    found |= {(verb, protocol) for protocol in protocols}
    return found


def faults(tables):
    """What the list or the conversations lack."""
    for protocol, table in tables.items():
        for kind, word, _, files in table:
            if not files:
                yield "%s: no conversation has the %s %s" % (protocol, kind, word)
    listed = {(word, protocol) for word, protocols, _ in COMMANDS for protocol in protocols}
    # XCLIENT and XFORWARD are offered to trusted peers, of which submission has none.
    for verb, protocol in sorted(understood() - listed):
        if not (verb in ("XCLIENT", "XFORWARD") and protocol == "submission"):
            yield "%s: the command %s is not in the list of coverage.py" % (protocol, verb)
    for verb, protocol in sorted(listed - understood()):
        yield "%s: the command %s of coverage.py is in no command table" % (protocol, verb)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("--write", "--check"):
        sys.exit(__doc__)
    tables = {protocol: rows(protocol, Conversations(protocol)) for protocol in ("smtp", "submission", "lmtp", "pop3")}
    found = list(faults(tables))
    text = page(tables)
    if sys.argv[1] == "--write":
        with open(sys.argv[2], "w", encoding="utf-8") as file:
            file.write(text)
    with open(sys.argv[2], encoding="utf-8") as file:
        if file.read() != text:
            found.append("%s is not what coverage.py finds; tools/tables writes it anew" % sys.argv[2])
    print("\n".join(found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
