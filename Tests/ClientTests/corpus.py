#!/usr/bin/env python3
"""Varied messages go in by SMTP and LMTP and come back as they were, by POP3 and as files.

2,000 messages made from a seed, and one of 30 MB: HTML, attachments, quoted-printable, 8-bit text, no Message-ID, no
header, no body, long lines, dots in every position, nested message/rfc822, UTF-8 in the header. Promised:
  - every recipient has each message once, behind one Return-Path and one Received, with the octets that were sent;
  - LIST tells its octets, RETR gives them, TOP n gives the header and n lines;
  - UIDL is the same after another login and after a restart of the node, and ascends with the UIDs;
  - the Maildir has one file for each, with the same octets, the UID in its name and in dovecot-uidlist, and S= and W=
    tell its size.

Usage: corpus.py LETTERLOG [SEED]
"""
import base64
import hashlib
import os
import quopri
import random
import re
import sys
import threading
import time

from node import Node, expect, expect_match, main, stuffed, without_trace

MESSAGES = 2000
SENDERS = 4
LARGE_OCTETS = 30_000_000
ACCOUNTS = ["ann@example.test", "ben@example.test", "cas@example.test", "dee@example.test"]
RETRIEVALS_PIPELINED = 25
TOP_LINES = [0, 1, 2, 7, 1_000_000_000]
SENDING_SECONDS_MAX = 120
WORDS = "log letter seal event batch mailbox shard snapshot zeal quiet river under over green".split()
UNICODE = "Grüße aus Köln, žluťoučký kůň, Ελληνικά, 日本語のメール, עברית, 🐘 und … "


def words(rng, octets):
    """Text in lines of moderate length."""
    lines, line, left = [], [], octets
    while left > 0:
        line.append(rng.choice(WORDS))
        left -= len(line[-1]) + 1
        if len(line) >= rng.randint(5, 14):
            lines.append(" ".join(line))
            line = []
    return "\r\n".join(lines + [" ".join(line)]).encode() + b"\r\n"


def header(rng, number, *more, message_id=True):
    lines = [b"From: Sender <s%d@sender.test>" % number, b"To: somebody@example.test",
             b"Date: Mon, 23 Nov 2026 10:%02d:00 +0100" % (number % 60), b"Subject: " + rng.choice(WORDS).encode()]
    if message_id:
        lines.append(b"Message-ID: <m%d@sender.test>" % number)
    return b"\r\n".join([*lines, b"MIME-Version: 1.0", *more]) + b"\r\n\r\n"


def part(kind, encoding, content):
    return b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + content


def crlf(text):
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def attachment(octets):
    return part(b'application/octet-stream; name="a.bin"', b"base64", crlf(base64.encodebytes(octets)))


def multipart(rng, kind, parts):
    boundary = b"=_%016x" % rng.getrandbits(64)
    body = b"This is a multi-part message.\r\n"
    for each in parts:
        body += b"--" + boundary + b"\r\n" + each + b"\r\n"
    body += b"--" + boundary + b"--\r\n"
    return b"Content-Type: multipart/" + kind + b'; boundary="' + boundary + b'"', body


def html(rng):
    return part(b"text/html; charset=utf-8", b"8bit",
                ("<html><body><p>%s</p>\r\n<p>%s</p></body></html>\r\n" % (UNICODE * rng.randint(1, 9), "x")).encode())


def plain(rng, number):
    return header(rng, number) + words(rng, rng.choice([10, 300, 3000, 12_000]))


def html_alternative(rng, number):
    field, body = multipart(rng, b"alternative", [part(b"text/plain", b"7bit", words(rng, 300)), html(rng)])
    return header(rng, number, field) + body


def with_attachment(rng, number):
    octets = rng.randbytes(rng.choice([1, 700, 9_000, 30_000]))
    field, body = multipart(rng, b"mixed", [part(b"text/plain", b"7bit", words(rng, 200)), attachment(octets)])
    return header(rng, number, field) + body


def related_in_mixed(rng, number):
    inner, related = multipart(rng, b"related", [html(rng), attachment(rng.randbytes(500))])
    field, body = multipart(rng, b"mixed", [inner + b"\r\n\r\n" + related, attachment(rng.randbytes(900))])
    return header(rng, number, field) + body


def quoted_printable(rng, number):
    text = crlf(quopri.encodestring((UNICODE * rng.randint(1, 40)).encode()))
    return header(rng, number, b"Content-Type: text/plain; charset=utf-8",
                  b"Content-Transfer-Encoding: quoted-printable") + text + b"=\r\n.=\r\n"


def utf8_body(rng, number):
    return header(rng, number, b"Content-Type: text/plain; charset=utf-8", b"Content-Transfer-Encoding: 8bit") + (
        UNICODE * rng.randint(1, 20) + "\r\n").encode()


def latin1_body(rng, number):
    """Octets that are no UTF-8, all of 0x80...0xFF and the control characters but NUL, CR and LF."""
    every = bytes(octet for octet in range(1, 256) if octet not in (10, 13))
    return header(rng, number, b"Content-Type: text/plain; charset=iso-8859-1", b"Content-Transfer-Encoding: 8bit") + (
        "Schöne Grüße aus Köln\r\n".encode("latin-1") * rng.randint(1, 50) + every + b"\r\n")


def no_message_id(rng, number):
    return header(rng, number, message_id=False) + words(rng, 100)


def empty_body(rng, number):
    whole = header(rng, number)
    return rng.choice([whole, whole[:-2], whole + b"\r\n"])


def no_header(rng, number):
    return rng.choice([b"", b"\r\n", b"\r\nOnly a body.\r\n", b"Only text, no field\r\n",
                       b"\tFolded into what is above\r\n",
                       b" \r\n", b"\r\n\r\n\r\n"])


def long_lines(rng, number):
    letters = b"abcdefghijklmnopqrstuvwxyz"
    line = bytes(rng.choices(letters, k=20_000))
    lengths = rng.sample([997, 998, 999, 1_500, 2_048, 4_096, 20_000], 3)
    body = b"".join(line[:length] + b"\r\n" + b"." + line[:length] + b"\r\n" for length in lengths)
    return header(rng, number) + body


def long_header_line(rng, number):
    return b"X-Long: " + b"y" * rng.choice([990, 1_500, 20_000]) + b"\r\n" + header(rng, number) + b"text\r\n"


def nested(rng, number):
    inner = header(rng, number + 1_000_000)
    body = words(rng, 400) + b".\r\n..\r\n"
    for _ in range(rng.randint(0, 4)):
        body = inner + body
        inner = header(rng, number + 2_000_000, b"Content-Type: message/rfc822")
    field, whole = multipart(rng, b"digest", [b"Content-Type: message/rfc822\r\n\r\n" + inner + body])
    return header(rng, number, field) + whole


def leading_dots(rng, number):
    lines = [b"." * rng.randint(0, 5) + rng.choice([b"", b"text", b" "]) for _ in range(rng.randint(1, 60))]
    return header(rng, number) + b"\r\n".join(lines) + b"\r\n"


def only_dots(rng, number):
    return rng.choice([b".\r\n", b"..\r\n", b".\r\n.\r\n.\r\n", b"." * 5_000 + b"\r\n", b"\r\n.\r\n\r\n..\r\n"])


def blank_end(rng, number):
    return header(rng, number) + b"text\r\n" + b"\r\n" * rng.randint(1, 40)


def no_final_newline(rng, number):
    """The dot needs a line of its own, so the CRLF in front of it belongs to the message (RFC 5321 section 4.1.1.4)."""
    return header(rng, number) + rng.choice([b"text without an end", b".", b"..", b"x" * 998])


def other_trace(rng, number):
    """Fields of other hosts stay as they are, below ours."""
    return (b"Return-Path: <other@sender.test>\r\nReceived: from a by b;\r\n\tMon, 23 Nov 2026 10:00:00 +0000\r\n"
            b"Received: from c by d; Mon, 23 Nov 2026 09:00:00 +0000\r\n" + header(rng, number) + words(rng, 60))


def utf8_header(rng, number):
    return header(rng, number, "X-Greeting: ".encode() + UNICODE.encode(), "Comments: Jiří 日本".encode()) + b"text\r\n"


KINDS = [plain, plain, html_alternative, with_attachment, related_in_mixed, quoted_printable, utf8_body, latin1_body,
         no_message_id, empty_body, no_header, long_lines, long_header_line, nested, leading_dots, only_dots, blank_end,
         no_final_newline, other_trace, utf8_header]


class Message:
    def __init__(self, number, kind, content, recipients, is_lmtp):
        self.number, self.kind, self.recipients, self.is_lmtp = number, kind, recipients, is_lmtp
        # Text above 7 bits in the header needs SMTPUTF8 (RFC 6531 section 3.2), in the body 8BITMIME.
        self.parameters = {"utf8_header": " BODY=8BITMIME SMTPUTF8", "utf8_body": " BODY=8BITMIME",
                           "latin1_body": " BODY=8BITMIME"}.get(kind, "")
        self.with_type = ("UTF8" if "SMTPUTF8" in self.parameters else "" if is_lmtp else "E") + (
            "LMTP" if is_lmtp else "SMTP")
        self.wire = stuffed(content)
        stored = content + b"\r\n" if content and not content.endswith(b"\r\n") else content
        self.octets, self.digest = len(stored), hashlib.sha256(stored).digest()

    @property
    def sender(self):
        return "s%d@sender.test" % self.number

    def __str__(self):
        return "message %d (%s, by %s)" % (self.number, self.kind, "LMTP" if self.is_lmtp else "SMTP")


def compose(rng):
    messages = []
    for number in range(MESSAGES):
        kind = KINDS[number % len(KINDS)]
        recipients = rng.sample(ACCOUNTS, rng.choice([1, 1, 1, 2, 4]))
        # Twenty kinds: parity alone would give each kind to one protocol.
        is_lmtp = (number + number // len(KINDS)) % 2 == 0
        messages.append(Message(number, kind.__name__, kind(rng, number), recipients, is_lmtp))
    field, body = multipart(rng, b"mixed", [attachment(rng.randbytes(LARGE_OCTETS * 3 // 4))])
    large = Message(MESSAGES, "large", header(rng, MESSAGES, field) + body, ACCOUNTS[:2], False)
    expect(large.octets > LARGE_OCTETS, "the large message is small")
    return messages + [large]


def send(node, messages, is_lmtp):
    """All on one connection, commands of a transaction in one go (RFC 2920)."""
    with node.wire("lmtp" if is_lmtp else "smtp", seconds=60) as wire:
        wire.command(("LHLO" if is_lmtp else "EHLO") + " client.test", "250")
        for message in messages:
            commands = ["MAIL FROM:<%s>%s" % (message.sender, message.parameters)]
            commands += ["RCPT TO:<%s>" % recipient for recipient in message.recipients] + ["DATA"]
            wire.send("".join(command + "\r\n" for command in commands).encode())
            for command in commands[:-1]:
                wire.expect_reply("250 2", "%s: %s" % (message, command))
            wire.expect_reply("354", "%s: DATA" % message)
            wire.send(message.wire)
            for _ in message.recipients if is_lmtp else [None]:
                wire.expect_reply("250 2", "%s: the final dot" % message)
        wire.command("QUIT", "221")


def send_all(node, messages):
    failures = []

    def work(share, is_lmtp):
        try:
            send(node, share, is_lmtp)
        except Exception as error:  # told by the main thread
            failures.append(error)

    threads = []
    for is_lmtp in (True, False):
        own = [message for message in messages if message.is_lmtp == is_lmtp]
        for index in range(SENDERS // 2):
            threads.append(threading.Thread(target=work, args=(own[index::SENDERS // 2], is_lmtp), daemon=True))
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + SENDING_SECONDS_MAX
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    if failures:
        raise failures[0]
    expect(not any(thread.is_alive() for thread in threads), "sending took over %d seconds" % SENDING_SECONDS_MAX)


def retrieve(wire, count):
    """Messages 1...count, each with what TOP gives of it; several commands are on the way (RFC 2449 section 6.6)."""
    for first in range(1, count + 1, RETRIEVALS_PIPELINED):
        share = range(first, min(first + RETRIEVALS_PIPELINED, count + 1))
        wire.send(b"".join(b"RETR %d\r\nTOP %d %d\r\n" % (number, number, lines_of_top(number)) for number in share))
        for number in share:
            expect_match(r"^\+OK", wire.line(), "RETR %d" % number)
            content = wire.multiline()
            expect_match(r"^\+OK", wire.line(), "TOP %d" % number)
            yield number, content, wire.multiline()


def lines_of_top(number):
    return TOP_LINES[number % len(TOP_LINES)]


def top(content, lines):
    """What TOP gives of a message (RFC 1939 section 7)."""
    end = content.find(b"\r\n\r\n")
    if end < 0:
        return content
    end += 4
    for _ in range(min(lines, len(content))):
        line = content.find(b"\r\n", end)
        if line < 0:
            return content
        end = line + 2
    return content[:end]


def check_maildrop(node, account, messages):
    """Everything of one account by POP3; UIDL -> digest of the stored octets."""
    wanted = {message.sender: message for message in messages if account in message.recipients}
    stored = {}
    with node.pop3(account) as wire:
        sizes = [int(line.split()[1]) for line in wire.listing("LIST")]
        unique = [line.split()[1] for line in wire.listing("UIDL")]
        expect(len(sizes) == len(unique) == len(wanted), "%s: LIST has %d, UIDL %d, sent were %d"
               % (account, len(sizes), len(unique), len(wanted)))
        expect(unique == sorted(set(unique)), "%s: UIDL repeats or does not ascend" % account)
        wire.ok("STAT", r"\+OK %d %d$" % (len(sizes), sum(sizes)))
        for number, content, beginning in retrieve(wire, len(sizes)):
            sender, received, sent = without_trace(content)
            message = wanted.pop(sender, None)
            expect(message, "%s: number %d is from %s: not sent, or here twice" % (account, number, sender))
            same = len(sent) == message.octets and hashlib.sha256(sent).digest() == message.digest
            expect(same, "%s, %s: other octets than were sent (%d, sent were %d): %r"
                   % (account, message, len(sent), message.octets, sent[:200]))
            expect(sizes[number - 1] == len(content), "%s, %s: LIST tells %d octets, RETR gives %d"
                   % (account, message, sizes[number - 1], len(content)))
            expect_match(r"client\.test .*by mail\.example\.test with %s id \S+$" % message.with_type, received,
                         "%s: Received" % message)
            stored[unique[number - 1]] = hashlib.sha256(content).digest()
            lines = lines_of_top(number)
            expect(beginning == top(content, lines), "%s: TOP %d %d gives %r"
                   % (message, number, lines, beginning[-200:]))
        expect(not wanted, "%s: not there: %s" % (account, ", ".join(map(str, list(wanted.values())[:5]))))
        wire.ok("QUIT")
    return stored


def unique_ids(node, account):
    with node.pop3(account) as wire:
        unique = [line.split()[1] for line in wire.listing("UIDL")]
        wire.ok("QUIT")
    return unique


NAME = re.compile(r"\d+\.V([0-9a-f]+)U([0-9a-f]+)E[0-9a-f]+\.[\w.-]+,S=(\d+),W=(\d+)(:2,[A-Za-z]*)?$")


def check_maildir(node, account, stored):
    """The files against the maildrop. A unique-id is UID and UIDVALIDITY in eight hexadecimal digits each."""
    files = node.files(account)
    expect(len(files) == len(stored), "%s: %d files for %d messages" % (account, len(files), len(stored)))
    left = dict(stored)
    bases = {}
    for path in files:
        found = NAME.match(os.path.basename(path))
        expect(found, "%s is no name of ours" % path)
        validity, uid, size, wire_size = int(found[1], 16), int(found[2], 16), int(found[3]), int(found[4])
        with open(path, "rb") as file:
            content = file.read()
        expect(size == wire_size == len(content), "%s has %d octets" % (path, len(content)))
        digest = left.pop("%08x%08x" % (uid, validity), None)
        expect(digest, "%s: a file without a message" % path)
        expect(digest == hashlib.sha256(content).digest(), "%s: other octets than by POP3" % path)
        bases[uid] = os.path.basename(path).split(":2,")[0]
    with open(os.path.join(node.account_maildir(account), "dovecot-uidlist")) as file:
        head, *lines = file.read().splitlines()
    expect_match(r"^3 V%d N\d+ G[0-9a-f]{32}$" % validity, head, "the first line of dovecot-uidlist")
    listed = dict(re.match(r"(\d+) :(.*)", line).groups() for line in lines)
    expect(listed == {str(uid): base for uid, base in bases.items()}, "%s: dovecot-uidlist is not the files" % account)


def body(program):
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261123
    print("seed", seed, flush=True)
    messages = compose(random.Random(seed))
    with Node(program, ACCOUNTS) as node:
        send_all(node, messages)
        stored = {account: check_maildrop(node, account, messages) for account in ACCOUNTS}
        node.wait_for_maildir()
        for account in ACCOUNTS:
            expect(unique_ids(node, account) == list(stored[account]), "%s: UIDL changed at another login" % account)
            check_maildir(node, account, stored[account])
        node.stop()
        node.start()
        for account in ACCOUNTS:
            expect(unique_ids(node, account) == list(stored[account]), "%s: UIDL changed with a restart" % account)
        print("%d messages, %d copies" % (len(messages), sum(map(len, stored.values()))))


main(body)
