#!/usr/bin/env python3
"""Hostile and broken clients, and a store or a port that is not to be had, through real sockets.

Promised: each gets a specific answer in the protocol's own form or on standard error; the node neither ends nor hangs
nor holds what a client refuses to end or to read; octets that are not CRLF . CRLF never make one message into two; and
after all of it the messages that were acknowledged are there, the others are not, and `verify` holds.

Usage: badinput.py LETTERLOG [PART]
"""
import json
import os
import re
import socket
import subprocess
import sys
import time

from node import (Broken, Node, PASSWORD, Wire, deliver, expect, expect_match, letter, main, run, stuffed,
                  without_trace)

ACCOUNTS = ["ann@example.test", "ben@example.test", "cas@example.test", "dee@example.test"]
# RFC 5321 section 4.5.3.1.8 wants a hundred recipients at least, so this is the smallest limit.
SMALL_RECIPIENTS = 100
SMALL_MESSAGE_OCTETS = 100_000
SMALL_CONNECTIONS = 12
ENDLESS_OCTETS = 48 << 20
LARGE_OCTETS = 30_000_000
# What a client may make the node hold beside what it held before.
GROWTH_OCTETS_MAX = 12 << 20


class Memory:
    """Holds that a stretch of work costs bounded memory, at its height and not only at its end."""

    def __init__(self, node, what):
        self.node, self.what = node, what

    def __enter__(self):
        self.before = self.highest = self.node.anonymous_octets()
        return self

    def look(self):
        self.highest = max(self.highest, self.node.anonymous_octets())

    def __exit__(self, kind, *_):
        if kind is None:
            self.look()
            growth = self.highest - self.before
            print("    %s: %d KB" % (self.what, growth >> 10))
            expect(growth <= GROWTH_OCTETS_MAX, "%s costs %d octets of memory" % (self.what, growth))


def count(node, account):
    with node.pop3(account) as wire:
        number = int(wire.ok("STAT", r"\+OK \d+ \d+$").split()[1])
        wire.ok("QUIT")
    return number


def smtp(node, name="smtp"):
    wire = node.wire(name)
    wire.command(("LHLO" if name == "lmtp" else "EHLO") + " client.test", "250")
    return wire


def open_data(wire, recipient=ACCOUNTS[0], sender="sender@sender.test"):
    wire.command("MAIL FROM:<%s>" % sender, "250")
    wire.command("RCPT TO:<%s>" % recipient, "250")
    wire.command("DATA", "354")


# Lines

def long_lines(node):
    """RFC 5321 section 4.5.3.1.4, RFC 2449 section 4: a limit, an answer, and the session goes on."""
    for name in ("smtp", "lmtp"):
        with smtp(node, name) as wire:
            wire.command("NOOP " + "x" * 2041, "250")
            wire.command("NOOP " + "x" * 2042, r"500 5\.5\.2 Command line over 2048 octets$")
            wire.command("NOOP " + "x" * 500_000, r"500 5\.5\.2 Command line over 2048 octets$")
            wire.command("NOOP", "250 2")
    with node.wire("pop3") as wire:
        wire.ok("USER " + "x" * 300, "-ERR Command line too long$")
        wire.ok("USER ann@example.test")
        wire.ok("PASS " + "x" * 600, "-ERR Command line too long$")
        wire.ok("NOOP " + "x" * 200_000, "-ERR Command line too long$")
        wire.ok("CAPA")


def endless_lines(node):
    """A line that never ends is not kept."""
    block = b"x" * (1 << 20)
    for name, answer in (("smtp", r"500 5\.5\.2 Command line over"), ("lmtp", r"500 5\.5\.2 Command line over"),
                         ("pop3", "-ERR Command line too long")):
        with node.wire(name) as wire, Memory(node, "an endless line of " + name) as memory:
            for _ in range(ENDLESS_OCTETS // len(block)):
                wire.send(block)
                memory.look()
            wire.send(b"\r\n")
            expect_match("^" + answer, wire.line(), "the end of an endless line of " + name)
    with smtp(node) as wire, Memory(node, "an endless line of a message") as memory:
        open_data(wire)
        sent = 0
        while sent <= 50_000_000:
            wire.send(block)
            sent += len(block)
            memory.look()
        wire.send(b"\r\n.\r\n")
        wire.expect_reply(r"552 5\.3\.4 Message over the size limit$", "a line of 50 MB")
        wire.command("NOOP", "250")
    expect(count(node, ACCOUNTS[0]) == 0, "a message over the limit was stored")


def nul_octets(node):
    with smtp(node) as wire:
        wire.command("NOOP \0", r"500 5\.5\.2 Command line has a NUL, a bare CR or a bare LF$")
        wire.command("MAIL FROM:<a\0@sender.test>", r"500 5\.5\.2 Command line has a NUL")
        open_data(wire)
        wire.send(stuffed(letter("NUL", b"a\0b\r\n")))
        wire.expect_reply(r"550 5\.6\.0 Message has a NUL octet$", "a message with NUL")
        wire.command("NOOP", "250")
    with smtp(node, "lmtp") as wire:
        wire.command("MAIL FROM:<sender@sender.test>", "250")
        for recipient in ACCOUNTS[:2]:
            wire.command("RCPT TO:<%s>" % recipient, "250")
        wire.command("DATA", "354")
        wire.send(stuffed(letter("NUL", b"\0\r\n")))
        for _ in range(2):
            # One reply for each recipient (RFC 2033 section 4.2).
            wire.expect_reply(r"550 5\.6\.0 Message has a NUL octet$", "a message with NUL over LMTP")
    with node.wire("pop3") as wire:
        wire.ok("NOOP\0", "-ERR Command line has a NUL, a bare CR or a bare LF$")
    expect(count(node, ACCOUNTS[0]) == 0, "a message with NUL was stored")


def bare_line_ends_in_commands(node):
    for octets in (b"NOOP\n", b"NOOP\rNOOP\r\n", b"\n", b"NOOP\r\r\n"):
        with smtp(node) as wire:
            wire.send(octets + b"QUIT\r\n")
            wire.expect_reply(r"500 5\.5\.2 Command line has a NUL, a bare CR or a bare LF$", repr(octets))
            wire.expect_reply("221", "QUIT after %r" % octets)
            wire.expect_end("after %r" % octets)
        with node.wire("pop3") as wire:
            wire.send(octets + b"QUIT\r\n")
            expect_match("^-ERR Command line has a NUL, a bare CR or a bare LF$", wire.line(), repr(octets))
            expect_match(r"^\+OK", wire.line(), "QUIT after %r" % octets)


# Between `first` and a second transaction; what is stored is none, or one that holds it all.
SMUGGLING = [
    (b"\n.\n", "bare"), (b"\n.\r\n", "bare"), (b"\r\n.\n", "bare"), (b"\r.\r", "bare"), (b"\r\n.\r", "bare"),
    (b"\r.\r\n", "bare"), (b"\n.\r", "bare"), (b"\r.\n", "bare"), (b"\r\n.\r\r\n", "bare"), (b"\r\r\n.\r\r\n", "bare"),
    (b"\n\n.\n\n", "bare"), (b"\r\n.\r\0\n", "bare"), (b"\r\n\0.\r\n", "NUL"), (b"\r\n.\0\r\n", "NUL"),
    (b"\r\n..\r\n", None), (b"\r\n. \r\n", None), (b"\r\n .\r\n", None), (b"\r\n.\x0b\r\n", None),
    (b"\xe2\x80\xa8.\xe2\x80\xa8", None), (b"\xc2\x85.\xc2\x85", None), (b"\r\n.\t\r\n", None),
]
REFUSALS = {"bare": r"550 5\.6\.0 Message has a bare CR or LF; lines end in CRLF \(RFC 5321 section 2\.3\.8\)$",
            "NUL": r"550 5\.6\.0 Message has a NUL octet$"}


def smuggling(node):
    """Only CRLF . CRLF ends a message (RFC 5321 section 4.1.1.4)."""
    expected = 0
    for name in ("smtp", "lmtp"):
        hello = ("LHLO" if name == "lmtp" else "EHLO") + " client.test\r\n"
        second = (hello + "MAIL FROM:<smuggler@sender.test>\r\nRCPT TO:<ben@example.test>\r\nDATA\r\n").encode()
        for variant, refusal in SMUGGLING:
            octets = letter("outer", b"first" + variant + second + letter("inner")) + b".\r\n"
            for is_cut in (False, True):
                with smtp(node, name) as wire:
                    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    open_data(wire)
                    if is_cut:
                        # Each octet around the variant on its own.
                        start = octets.index(variant) - 1
                        end = start + len(variant) + 2
                        wire.send(octets[:start])
                        for index in range(start, end):
                            wire.send(octets[index:index + 1])
                        wire.send(octets[end:])
                    else:
                        wire.send(octets)
                    wire.expect_reply(REFUSALS[refusal] if refusal else "250 2", "%r by %s" % (variant, name))
                    wire.send(b"QUIT\r\n")
                    wire.expect_reply("221", "%r by %s was answered twice" % (variant, name))
                    wire.expect_end("%r by %s" % (variant, name))
                expected += refusal is None
    expect(count(node, "ben@example.test") == 0, "a message was smuggled in")
    expect(count(node, ACCOUNTS[0]) == expected, "not each message that was acknowledged is there")
    with node.pop3(ACCOUNTS[0]) as wire:
        for number in range(1, expected + 1):
            sender, _, sent = without_trace(wire.message(number))
            expect(sender == "sender@sender.test" and b"Subject: inner" in sent, "message %d was cut" % number)
            wire.ok("DELE %d" % number)
        wire.ok("QUIT")


# Commands

SMTP_COMMANDS = [
    ("FROB", r"500 5\.5\.1 Command not known here$"), ("", "500 5"), ("   ", "500 5"), ("NOOP2", r"500 5\.5\.1"),
    ("MAILFROM:<a@b.test>", r"500 5\.5\.1"), ("STARTTLS now", r"501 5\.5\.4 STARTTLS takes no argument$"),
    ("\u00e9", r"500 5"), ("RCPT TO:<ann@example.test>", r"503 5\.5\.1 MAIL comes first$"),
    ("DATA", r"503 5\.5\.1 MAIL comes first$"), ("VRFY", r"501 5\.5\.4 VRFY needs an address$"),
    ("VRFY ann", r"252 2\.0\.0"), ("EXPN list", "50[02] 5|252 2"), ("MAIL", r"501 5\.5\.4 MAIL FROM:<address>$"),
    ("MAIL FROM:", r"501 5\.1\.7 Bad sender address; write <local@domain>$"), ("MAIL FROM:<a@>", r"501 5\.1\.7"),
    ("MAIL FROM:<a b@c.test>", r"501 5\.1\.7"), ("MAIL FROM:<a@b.test", r"501 5\.1\.7"),
    ("MAIL FROM:<a..b@c.test>", r"501 5\.1\.7"),
    ("MAIL FROM:<a@b.test> FROB=1", r"555 5\.5\.4 Parameter not known here$"),
    ("MAIL FROM:<a@b.test> SIZE=x", r"501 5\.5\.4 SIZE needs a number of octets$"),
    ("MAIL FROM:<a@b.test> SIZE=1 SIZE=1", r"501 5\.5\.4 Parameter given twice$"),
    ("MAIL FROM:<a@b.test> BODY=9BIT", r"501 5\.5\.4 BODY is 7BIT, 8BITMIME or BINARYMIME$"),
    ("MAIL FROM:<\u00e9@b.test>", r"550 5\.6\.7 Non-ASCII sender needs SMTPUTF8$"),
]
RECIPIENTS = [
    ("TO:<nobody@example.test>", r"550 5\.1\.1 No such mailbox here$"),
    ("TO:<ann@elsewhere.test>", r"550 5\.7\.1 Relaying denied: this host takes mail for its own domains only$"),
    ("TO:<ann%elsewhere.test@example.test>", r"550 5\.1\.1"),
    ("TO:<elsewhere.test!ann@example.test>", r"550 5\.1\.1"),
    ("TO:<@example.test:ann@elsewhere.test>", r"550 5\.7\.1"),
    ("TO:<\"ann@elsewhere.test\"@example.test>", r"550 5\.1\.1"),
    ("TO:<ann@[127.0.0.1]>", r"550 5\.7\.1"),
    ("TO:<ann>", r"501 5\.1\.3 Bad recipient address; write <local@domain>$"), ("TO:<>", r"501 5\.1\.3"),
    ("", r"501 5\.5\.4 RCPT TO:<address>$"), ("TO:<ann@example.test> FROB", r"555 5\.5\.4 Parameter not known here$"),
    ("TO:<\u00e9@example.test>", r"553 5\.6\.7 Non-ASCII recipient needs SMTPUTF8$"),
]


def smtp_commands(node):
    for first in range(0, len(SMTP_COMMANDS), 10):
        # Twenty mistakes end a session.
        with smtp(node) as wire:
            for command, pattern in SMTP_COMMANDS[first:first + 10]:
                wire.command(command, pattern)
            wire.command("QUIT", "221")
    with node.wire("smtp") as wire:
        wire.command("MAIL FROM:<a@b.test>", r"503 5\.5\.1 EHLO or HELO comes first$")
        wire.command("EHLO", r"501 5\.5\.4 Give a domain name or an address literal$")
        wire.command("LHLO client.test", r"500 5\.5\.1")
        wire.command("EHLO client.test", "250")
        for _ in range(17):
            wire.command("FROB", r"500 5\.5\.1")
        wire.command("FROB", r"421 4\.7\.0 Too many errors, closing$")
        wire.expect_end("after 421")
    with node.wire("lmtp") as wire:
        wire.command("EHLO client.test", r"500 5\.5\.1")
        wire.command("HELO client.test", r"500 5\.5\.1")
        wire.command("MAIL FROM:<a@b.test>", r"503 5\.5\.1 LHLO comes first$")
        wire.command("LHLO client.test", "250")
        wire.command("MAIL FROM:<a@b.test>", "250")
        wire.command("RCPT TO:<nobody@example.test>", r"550 5\.1\.1")
        # RFC 2033 section 4.2: without a recipient DATA gets 503.
        wire.command("DATA", r"503 5\.5\.1")


def recipients(node):
    for name in ("smtp", "lmtp"):
        with smtp(node, name) as wire:
            wire.command("MAIL FROM:<sender@sender.test>", "250")
            for argument, pattern in RECIPIENTS:
                wire.command("RCPT " + argument, pattern)
            wire.command("DATA", r"554 5\.5\.1 No valid recipients$" if name == "smtp" else r"503 5\.5\.1")
            wire.command("MAIL FROM:<sender@sender.test>", r"503 5\.5\.1 A transaction is open; RSET ends it$")


POP3_COMMANDS = [
    ("FROB", "-ERR Command not known here$"), ("STAT 1", r"-ERR|\+OK"), ("LIST x", "-ERR "),
    ("LIST 0", "-ERR No such message"),
    ("LIST 99", "-ERR No such message, 1 in maildrop$"), ("LIST -1", "-ERR "), ("LIST 1 1", "-ERR "),
    ("UIDL 99", "-ERR No such message"), ("RETR", "-ERR RETR needs a message number$"),
    ("RETR 99", "-ERR No such message"), ("RETR 99999999999999999999", "-ERR RETR needs a message number$"),
    ("TOP 1", "-ERR TOP needs a message number and a number of lines$"), ("TOP 1 x", "-ERR TOP needs"),
    ("DELE 99", "-ERR No such message"), ("DELE", "-ERR DELE needs a message number$"),
    ("USER x", "-ERR Already logged in$"),
    ("DELE 1", r"\+OK"), ("RETR 1", "-ERR Message 1 is marked as deleted$"), ("DELE 1", "-ERR Message 1 is marked"),
    ("RSET", r"\+OK"),
]


def pop3_commands(node):
    deliver(node, ["dee@example.test"], letter("one"))
    with node.wire("pop3") as wire:
        for command, pattern in (("STAT", "-ERR Log in first$"), ("RETR 1", "-ERR Log in first$"),
                                 ("PASS x", "-ERR USER comes first$"), ("USER", "-ERR USER needs a name$"),
                                 ("\u00e9", "-ERR Command not known here$")):
            wire.ok(command, pattern)
    with node.pop3("dee@example.test") as wire:
        for command, pattern in POP3_COMMANDS:
            wire.ok(command, pattern)
        wire.ok("QUIT")
    with node.wire("pop3") as wire:
        for _ in range(19):
            wire.ok("FROB", "-ERR Command not known here$")
        wire.ok("FROB", "-ERR Too many errors, closing$")
        wire.expect_end("after too many errors")
    expect(count(node, "dee@example.test") == 1, "a message went that was not to go")


def http_requests(node):
    for request, pattern in ((b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", b"^HTTP/1.1 404 "),
                             (b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"^HTTP/1.1 405 "),
                             (b"GET /../../etc/passwd HTTP/1.0\r\n\r\n", b"^HTTP/1.. 404 "),
                             (b"\0\0\0\0\r\n\r\n", b"^HTTP/1.1 400 "), (b"frob\r\n\r\n", b"^HTTP/1.1 400 "),
                             (b"GET / HTTP/1.1\r\nX: " + b"y" * 200_000 + b"\r\n\r\n", b"^(HTTP/1.1 4|$)")):
        with node.wire("http", greeting=False) as wire:
            try:
                wire.send(request)
                wire.socket.shutdown(socket.SHUT_WR)
                while wire.fill() and len(wire.buffer) < 100_000:
                    pass
            except (OSError, Broken):
                # It may close on us in the middle of what it does not want.
                expect(len(request) > 100_000, "%r: reset" % request[:40])
            expect(re.search(pattern, bytes(wire.buffer)), "%r: %r" % (request[:40], bytes(wire.buffer[:200])))


# Sizes and numbers

def limits(program):
    """A small node: its limits are reached with little."""
    settings = ["limits.message-size=%d" % SMALL_MESSAGE_OCTETS, "limits.recipients=%d" % SMALL_RECIPIENTS,
                "limits.connections-per-address=%d" % SMALL_CONNECTIONS]
    with Node(program, ACCOUNTS[:1], settings) as node:
        sizes(node)
        too_many_recipients(node)
        too_many_connections(node)
        expect(node.is_running(), "the node ended")


def sizes(node):
    whole = letter("size", b"x" * 70 + b"\r\n")
    just = whole + b"y" * (SMALL_MESSAGE_OCTETS - len(whole) - 2) + b"\r\n"
    for name in ("smtp", "lmtp"):
        with smtp(node, name) as wire:
            # RFC 1870 section 6.1: refused before it is sent.
            wire.command("MAIL FROM:<a@b.test> SIZE=%d" % (SMALL_MESSAGE_OCTETS + 1),
                         r"552 5\.3\.4 Message over the size limit$")
            wire.command("MAIL FROM:<a@b.test> SIZE=99999999999999999999", r"552 5\.3\.4")
            wire.command("MAIL FROM:<a@b.test> SIZE=%d" % SMALL_MESSAGE_OCTETS, "250")
            wire.command("RSET", "250")
            for content, pattern in ((just, "250 2"), (b"z" + just, r"552 5\.3\.4 Message over the size limit$"),
                                     (just * 5, r"552 5\.3\.4")):
                open_data(wire)
                wire.send(stuffed(content))
                wire.expect_reply(pattern, "a message of %d octets by %s" % (len(content), name))
            wire.command("NOOP", "250")
    expect(count(node, ACCOUNTS[0]) == 2, "not just the messages within the limit are there")


def too_many_recipients(node):
    for name in ("smtp", "lmtp"):
        with smtp(node, name) as wire:
            wire.command("MAIL FROM:<a@b.test>", "250")
            for _ in range(SMALL_RECIPIENTS):
                wire.command("RCPT TO:<ann@example.test>", "250")
            # RFC 5321 section 4.5.3.1.10
            wire.command("RCPT TO:<ann@example.test>", r"452 4\.5\.3 Too many recipients$")
            wire.command("DATA", "354")
            wire.send(stuffed(letter("many")))
            for _ in range(SMALL_RECIPIENTS if name == "lmtp" else 1):
                wire.expect_reply("250 2", "a message to many, by " + name)
            wire.command("QUIT", "221")
    expect(count(node, ACCOUNTS[0]) == 4, "an account that was named often has not one copy")


def too_many_connections(node):
    held = [node.wire("smtp") for _ in range(SMALL_CONNECTIONS)]
    for name, pattern in (("smtp", r"421 4\.7\.0 Too many connections, try again later$"),
                          ("lmtp", r"421 4\.7\.0 Too many connections, try again later$"),
                          ("pop3", r"-ERR \[SYS/TEMP\] Too many connections, try again later$")):
        for _ in range(20):
            with node.wire(name, greeting=False) as wire:
                expect_match("^" + pattern, wire.line(), "a connection too many of " + name)
                wire.expect_end("a connection too many of " + name)
    held[0].command("NOOP", "250|503")
    for wire in held:
        wire.close()
    for _ in range(50):
        try:
            with node.wire("pop3", greeting=False) as wire:
                expect_match(r"^\+OK", wire.line(), "a connection after the flood")
            return
        except Broken as broken:
            last = broken
            time.sleep(0.1)
    raise last


# Sockets

def half_closed(node):
    """The end of the client's side is not the end of the session; what was begun and not ended is nothing."""
    with node.wire("smtp") as wire:
        wire.send(b"EHLO client.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<cas@example.test>\r\nDATA\r\n")
        for code in ("250", "250", "250", "354"):
            wire.expect_reply(code, "before the half close")
        wire.send(stuffed(letter("half closed")) + b"QUIT\r\n")
        wire.socket.shutdown(socket.SHUT_WR)
        wire.expect_reply("250 2", "the dot before the half close")
        wire.expect_reply("221", "QUIT before the half close")
        wire.expect_end("after the half close")
    with smtp(node) as wire:
        open_data(wire, "cas@example.test")
        wire.send(letter("cut off"))
        wire.socket.shutdown(socket.SHUT_WR)
        wire.expect_end("a message without an end")
    with node.pop3("cas@example.test") as wire:
        wire.send(b"DELE 1\r\nSTAT\r\n")
        wire.socket.shutdown(socket.SHUT_WR)
        expect_match(r"^\+OK", wire.line(), "DELE")
        expect_match(r"^\+OK 0 0$", wire.line(), "STAT")
        wire.expect_end("a session without QUIT")
    expect(count(node, "cas@example.test") == 1, "DELE without QUIT removed, or a message without its dot was stored")


def reset(wire):
    """Closes so that the other side gets an RST."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wire.close()


def wait_for_maildrop(node, account):
    """A dead session gives its maildrop back soon."""
    for _ in range(100):
        with node.wire("pop3") as wire:
            wire.ok("USER " + account)
            if wire.ok("PASS " + PASSWORD, r"\+OK|-ERR \[IN-USE\]").startswith("+OK"):
                return
        time.sleep(0.05)
    raise Broken("the maildrop of a dead session stays locked")


def sessions(node):
    """RFC 1939 sections 4 to 6: one session at a time, and only QUIT removes."""
    account = "dee@example.test"
    deliver(node, [account], letter("to stay"))
    before = count(node, account)
    for end in (lambda wire: wire.close(), reset):
        with node.pop3(account) as wire:
            wire.ok("DELE 1")
            with node.wire("pop3") as second:
                second.ok("USER " + account)
                second.ok("PASS " + PASSWORD, r"-ERR \[IN-USE\] Maildrop in use by another session$")
            end(wire)
        wait_for_maildrop(node, account)
        expect(count_soon(node, account) == before, "a session without QUIT removed messages")
    with smtp(node) as wire:
        open_data(wire, account)
        wire.send(letter("cut off"))
        reset(wire)
    expect(count_soon(node, account) == before, "half a message was stored")


def count_soon(node, account):
    wait_for_maildrop(node, account)
    for _ in range(100):
        try:
            return count(node, account)
        except Broken as broken:
            if "IN-USE" not in str(broken):
                raise
            time.sleep(0.05)
    raise Broken("the maildrop stays locked")


def wrong_passwords(node):
    """From an address of their own: the slow-down that failures bring is that address's."""
    for name, password in ((ACCOUNTS[0], "wrong"), ("nobody@example.test", PASSWORD)):
        with Wire(node.addresses["pop3"][0], source="127.0.0.9") as wire:
            wire.line()
            wire.ok("USER " + name)
            # RFC 3206; both hear the same.
            wire.ok("PASS " + password, r"-ERR \[AUTH\] Wrong name or password$")
            wire.ok("STAT", "-ERR Log in first$")


def clients_that_do_not_read(node):
    """RETR of 30 MB to four clients that take nothing: bounded memory, others are served, and the mail is whole."""
    line = b"0123456789abcdef" * 4 + b"\r\n"
    large = letter("large", line * (LARGE_OCTETS // len(line) + 1))
    before = {account: count(node, account) for account in ACCOUNTS}
    with Memory(node, "a message of 30 MB to four recipients"):
        deliver(node, ACCOUNTS, large)
    held = []
    with Memory(node, "four clients that do not read") as memory:
        for account in ACCOUNTS:
            wire = node.pop3(account)
            wire.socket.settimeout(60)
            wire.send(b"RETR %d\r\n" % (before[account] + 1) * 3)
            held.append(wire)
        for _ in range(10):
            time.sleep(0.1)
            memory.look()
        with smtp(node) as wire:
            wire.command("NOOP", "250")
        for _ in range(2):
            expect_match(r"^\+OK", held[0].line(), "RETR")
            sent = without_trace(held[0].multiline())[2]
            memory.look()
            expect(sent == large, "a message that was read late is not what was sent")
        held[0].close()
        for wire in held[1:]:
            reset(wire)
    for account in ACCOUNTS:
        expect(count_soon(node, account) == before[account] + 1, "the large message went")


# Processes

def fails(node, arguments, code, pattern, settings=()):
    """A command that has to end by itself with an error on standard error."""
    sets = [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(node.command(*arguments) + sets, capture_output=True, text=True, timeout=30)
    expect(done.returncode == code,
           "%s: exit %d, not %d: %s" % (" ".join(arguments), done.returncode, code, done.stderr))
    expect_match(pattern, done.stderr, " ".join(arguments))
    expect("ready" not in done.stdout, "%s: said ready" % " ".join(arguments))


def second_node(node):
    pid = node.process.pid
    reason = r"the store is in use: .*LOCK is held by another process \(pid %d\)" % pid
    fails(node, ["serve", "--listen", "smtp=127.0.0.1:0"], 75, reason)
    fails(node, ["init"], 75, reason)
    expect(node.is_running(), "the first node ended")


def not_a_listener(program, node):
    """Listeners that cannot be, on a store of their own."""
    taken = node.port("smtp")
    with Node(program) as other:
        other.stop()
        for listener, code, pattern in (
                ("smtp=127.0.0.1:%d" % taken, 1, r"smtp.*127\.0\.0\.1:%d.*Address already in use" % taken),
                ("http=0.0.0.0:0", 1,
                 r"http.*0\.0\.0\.0:0.*only loopback addresses and Unix sockets are allowed for pages over HTTP"),
                ("lmtp=unix:%s/none/lmtp" % other.directory, 1, "lmtp.*No such file or directory"),
                ("lmtp=unix:%s" % other.log_path, 1, "lmtp.*the path exists and is no socket"),
                ("lmtp=unix:/" + "x" * 200, 2, "lmtp"),
                ("smtp=127.0.0.1:99999", 2, "smtp"), ("smtp", 2, "is not NAME=ADDRESS"),
                ("frob=127.0.0.1:0", 2, "is not NAME=ADDRESS with a name of smtp")):
            fails(other, ["serve", "--listen", listener], code, pattern)
        for listener, pattern in (("smtp=0.0.0.0:0", r"smtp.*0\.0\.0\.0:0.*only loopback .* without TLS"),
                                  ("pop3=[::]:0", r"pop3.*\[::\]:0.*only loopback addresses"),
                                  ("pop3s=127.0.0.1:0", "pop3s.*TLS is off")):
            fails(other, ["serve", "--listen", listener], 1, pattern, settings=["tls.enabled=false"])
        fails(other, ["serve"], 2, "limits.recipients", settings=["limits.recipients=many"])
        fails(other, ["serve"], 2, r"limits\.recipient.*is no key; is `limits\.recipients` meant",
              settings=["limits.recipient=1"])
        other.start()


def newer_store(program):
    with Node(program) as node:
        node.stop()
        path = os.path.join(node.store, "STORE")
        with open(path) as file:
            manifest = json.load(file)
        newer = dict(manifest, format=manifest["format"] + 1)
        refusal = r"STORE has format %d; this program reads up to %d\. Use the newer version" % (
            newer["format"], manifest["format"])
        for text, pattern in ((json.dumps(newer), refusal), ("not a manifest", "STORE is no store manifest"),
                              ("", "STORE is no store manifest")):
            with open(path, "w") as file:
                file.write(text)
            fails(node, ["serve", "--listen", "smtp=127.0.0.1:0"], 1, pattern)
            fails(node, ["account", "list"], 1, pattern)
        with open(path, "w") as file:
            json.dump(manifest, file, indent=2)
        node.start()
    missing = os.path.join(node.directory, "nowhere")
    code, said = run([program, "serve", "--store", missing])
    expect(code in (1, 2), "a store that is not there: exit %d" % code)
    expect_match("nowhere.*No such file or directory|no store", said, "a store that is not there")


def damaged_store(program):
    """What a disk can do to the files of a store that nobody serves: the damage is named, and no process crashes."""
    with Node(program, ACCOUNTS[:1]) as node:
        for number in range(3):
            deliver(node, ACCOUNTS[:1], letter("damage %d" % number, b"to be damaged\r\n"), sender="marked@sender.test")
        node.stop()
        shard = os.path.join(node.store, "shard-0000")
        log = os.path.join(shard, "data.mdb")
        with open(log, "rb") as file:
            whole = file.read()
        expect(whole.count(b"marked@sender.test") >= 3, "the log does not name the senders")
        serve = ["serve", "--listen", "smtp=127.0.0.1:0"]
        damages = [(bytes(8192) + whole[8192:], "shard-0000: meta page 0 is none of"),
                   (b"no database" * 3000, "shard-0000: meta page 0 is none of"),
                   (whole[:5000], r"data\.mdb is too short"), (b"", r"data\.mdb is too short"),
                   (whole.replace(b"marked@", b"masked@"), "the end of the log does not verify")]
        for octets, pattern in damages:
            with open(log, "wb") as file:
                file.write(octets)
            for command in (serve, ["verify"], ["account", "list"]):
                fails(node, command, 1, "the store is damaged: .*" + pattern)
        with open(log, "wb") as file:
            file.write(whole)
        with open(os.path.join(shard, "seg", "00000001.seg"), "r+b") as file:
            body = file.read()
            file.seek(body.index(b"to be damaged"))
            file.write(b"T")
        # It still serves what is whole, and `verify` names what is not, with and without a node.
        fails(node, ["verify"], 1, r"body, invariant \d+: body \d+: CRC of chunk 0")
        node.start()
        fails(node, ["verify"], 1, r"body, invariant \d+: body \d+: CRC of chunk 0")
        expect(count(node, ACCOUNTS[0]) == 3, "a damaged body took others with it")


def body(program):
    parts = [long_lines, endless_lines, nul_octets, bare_line_ends_in_commands, smuggling, smtp_commands, recipients,
             pop3_commands, http_requests, half_closed, sessions, wrong_passwords, clients_that_do_not_read,
             second_node]
    only = sys.argv[2] if len(sys.argv) > 2 else None
    failures = []

    def attempt(part, *arguments):
        if only not in (None, part.__name__):
            return
        began = time.monotonic()
        try:
            part(*arguments)
            print("%-28s held, %.1f s" % (part.__name__, time.monotonic() - began), flush=True)
        except Broken as broken:
            frame = broken.__traceback__
            while frame.tb_next and not frame.tb_next.tb_frame.f_code.co_filename.endswith("node.py"):
                frame = frame.tb_next
            failures.append("%s (line %d): %s" % (part.__name__, frame.tb_lineno, broken))
            print("%-28s BROKEN: %s" % (part.__name__, failures[-1]), flush=True)

    with Node(program, ACCOUNTS) as node:
        for part in parts:
            attempt(part, node)
            expect(node.is_running(), "the node ended in " + part.__name__)
        attempt(not_a_listener, program, node)
        if only is None:
            node.do("verify")
    attempt(limits, program)
    attempt(newer_store, program)
    attempt(damaged_store, program)
    if failures:
        raise Broken("%d of the promises: %s" % (len(failures), "; ".join(failures)))


main(body)
