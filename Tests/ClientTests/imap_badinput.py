#!/usr/bin/env python3
"""What no client should send over IMAP, and clients that do not read.

Promised: lines, literals, tags, lists and compressed octets without end, commands without end whose answers nobody
reads, and a large mailbox asked for by such a client: none of it makes the node hold more than a bounded amount of
memory or keeps others waiting; the connection is in step afterwards, or it was ended.

Usage: imap_badinput.py LETTERLOG
"""
import re
import socket
import time
import zlib

from imapserver import PASSWORD, Server, answer, expect, letter
from node import connect, main, wait_until

ACCOUNT, OTHER = "bad@example.test", "good@example.test"
GROWTH_OCTETS_MAX = 48 << 20
SEND_SECONDS_MAX = 20
JUNK_OCTETS = 64 << 20
READ_OCTETS_MAX = 8 << 20


class Raw:
    """A connection that sends what it likes. `send` gives up when the node does not read or has closed."""

    def __init__(self, server, login=True, select=False):
        self.socket = connect(("127.0.0.1", server.port()), 10)
        self.said = b""
        self.is_over = False
        self.until(b"\r\n")
        if login:
            self.tell(b"in LOGIN %s %s\r\n" % (ACCOUNT.encode(), PASSWORD.encode()), b"in OK")
        if select:
            self.tell(b"se SELECT INBOX\r\n", b"se OK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, octets, seconds=SEND_SECONDS_MAX):
        """How many octets the node took."""
        self.socket.settimeout(1)
        sent, deadline = 0, time.monotonic() + seconds
        view = memoryview(octets)
        while sent < len(octets) and time.monotonic() < deadline:
            try:
                sent += self.socket.send(view[sent:sent + (1 << 16)])
            except socket.timeout:
                break
            except (BrokenPipeError, ConnectionResetError):
                self.is_over = True
                break
        return sent

    def until(self, end, seconds=20):
        """Reads until `end`, or the node has closed."""
        deadline = time.monotonic() + seconds
        while end not in self.said and time.monotonic() < deadline:
            self.socket.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                part = self.socket.recv(1 << 16)
            except (socket.timeout, ConnectionResetError, BrokenPipeError):
                part = b""
            if not part:
                self.is_over = True
                break
            self.said = (self.said + part)[-READ_OCTETS_MAX:]
        return end in self.said

    def tell(self, octets, end):
        self.said = b""
        self.send(octets)
        expect(self.until(end), "%r: %r" % (octets[:60], self.said[-200:]))

    def is_in_step(self):
        self.said = b""
        self.send(b"step NOOP\r\n")
        return self.until(b"step OK")


def body(program):
    with Server(program, [ACCOUNT, OTHER]) as server:
        server.append(ACCOUNT, "INBOX", *(letter("large %d" % number, b"x" * 998 + b"\r\n") for number in range(3)))
        filler = server.login(ACCOUNT)
        large = letter("huge", (b"y" * 998 + b"\r\n") * 4000)
        for _ in range(10):
            answer(filler.append("INBOX", None, None, large))
        watcher = server.login(OTHER)

        def memory():
            return server.place.node.anonymous_octets() if server.is_ours else 0

        def check(what, before):
            began = time.monotonic()
            answer(watcher.noop())
            expect(time.monotonic() - began < 10, "%s: another session waits" % what)
            grown = memory() - before
            expect(grown < GROWTH_OCTETS_MAX, "%s: memory grew by %d octets" % (what, grown))

        before = memory()
        for name, start in (("a line", b"a1 "), ("a tag", b""), ("a quoted string", b'a1 LIST "'), ("a list", b"a1 ID (")):
            for login in (False, True):
                with Raw(server, login) as raw:
                    raw.send(start + b"x" * JUNK_OCTETS)
                    check("%s without end" % name, before)
        for text in (b"a1 LOGIN {1000000000+}\r\n", b"a1 APPEND INBOX {4000000000+}\r\n", b"a1 SEARCH SUBJECT {900000000+}\r\n"):
            with Raw(server) as raw:
                raw.send(text + b"z" * JUNK_OCTETS)
                check("%r" % text, before)
        for text in (b"a1 SEARCH " + b"(" * 100_000 + b"ALL\r\n", b"a1 FETCH 1 (" + b"FLAGS " * 100_000 + b"UID)\r\n",
                     b"a1 UID FETCH " + b"1," * 200_000 + b"1 FLAGS\r\n", b"a1 STORE 1 +FLAGS (" + b"k " * 100_000 + b"k)\r\n",
                     b"a1 SEARCH" + b" NOT" * 100_000 + b" ALL\r\n", b"a1 FETCH 1 BODY[" + b"1." * 100_000 + b"1]\r\n"):
            with Raw(server, select=True) as raw:
                raw.send(text)
                expect(raw.until(b"a1 ") or raw.is_over, "no answer to %r" % text[:40])
                expect(raw.is_over or raw.is_in_step(), "out of step after %r: %r" % (text[:40], raw.said[-200:]))
                check("%r" % text[:40], before)
        # Answers that nobody reads: the node has to stop reading, and not to keep them.
        with Raw(server, select=True) as raw:
            taken = raw.send(b"n NOOP\r\n" * 4_000_000, seconds=8)
            check("NOOP without end (%d octets taken)" % taken, before)
        with Raw(server, select=True) as raw:
            raw.send(b"".join(b"f%d FETCH 1:* (BODY.PEEK[])\r\n" % number for number in range(200)))
            time.sleep(1)
            check("bodies that nobody reads", before)
        with Raw(server, select=True) as raw:
            raw.send(b"i IDLE\r\n")
            for number in range(200):
                answer(filler.append("INBOX", None, None, letter("idle %d" % number)))
            check("news that nobody reads", before)
        raws = [Raw(server, login=False) for _ in range(200)]
        check("two hundred that never log in", before)
        for raw in raws:
            raw.socket.close()
        with Raw(server) as raw:
            raw.send(b"c CAPABILITY\r\n")
            raw.until(b"c OK")
            if b"COMPRESS=DEFLATE" in raw.said:
                raw.tell(b"z COMPRESS DEFLATE\r\n", b"z OK")
                packer = zlib.compressobj(9, zlib.DEFLATED, -15)
                bomb = packer.compress(b"a1 " + b"\0" * (512 << 20)) + packer.flush(zlib.Z_SYNC_FLUSH)
                raw.send(bomb)
                check("512 MiB out of %d octets" % len(bomb), before)
        # CATENATE copies what is stored range by range, and holds none of it.
        big = letter("big", (b"y" * 998 + b"\r\n") * 45_000)
        uid = int(re.search(rb"APPENDUID \d+ (\d+)", answer(filler.append("INBOX", None, None, big))[0])[1])
        with Raw(server) as raw:
            part = b' CATENATE (URL "/INBOX/;UID=%d" TEXT {3+}\r\nend)' % uid
            raw.tell(b"cat APPEND INBOX" + 3 * part + b"\r\n", b"cat OK")
            check("three times 45 MB by CATENATE", before)
        # All of it given back, and the node is as it was.
        wait_until("memory is given back", 30, lambda: memory() - before < GROWTH_OCTETS_MAX)
        answer(watcher.select("INBOX"))
        watcher.logout()
        filler.logout()
        if server.is_ours:
            server.place.node.do("verify")


main(body)
