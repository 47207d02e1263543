#!/usr/bin/env python3
"""IPv6, Unix sockets, and several listeners of one protocol.

Promised: every listener is named in the `ready` line under the address it got and serves there; the trace tells an
IPv6 client as RFC 5321 section 4.1.3 writes it; a Unix socket is closed to others, goes with the node, and is taken
over when a killed node left it behind.

Usage: listeners.py LETTERLOG
"""
import os
import smtplib
import socket
import stat

from node import (Node, Wire, deliver, expect, expect_match, letter, main, need, run_well, without_trace)

ACCOUNT = "ann@example.test"


def count(node, address):
    with Wire(address) as wire:
        wire.line()
        wire.ok("USER " + ACCOUNT)
        wire.ok("PASS client-tests")
        number = int(wire.ok("STAT").split()[1])
        last = without_trace(wire.message(number))[1] if number else None
        wire.ok("QUIT")
    return number, last


def over_every_listener(node, path):
    expect(all(isinstance(address, tuple) and address[1] > 0 for address in node.addresses["smtp"]), "a port is 0")
    hosts = [address[0] for address in node.addresses["smtp"]]
    expect(hosts == ["127.0.0.1", "::1"], "smtp listens on %s" % hosts)
    pop3 = node.addresses["pop3"]
    expect(count(node, pop3[0]) == (0, None), "the maildrop is not empty")
    for number, (host, port) in enumerate(node.addresses["smtp"], start=1):
        with smtplib.SMTP(host, port, local_hostname="client.test", timeout=30) as client:
            client.sendmail("a@b.test", [ACCOUNT], letter("over " + host))
        shown = r"^client\.test \(\[%s\]\)" % ("127\\.0\\.0\\.1" if host == "127.0.0.1" else "IPv6:::1")
        for address in pop3:
            found, received = count(node, address)
            expect(found == number, "%s: %d messages" % (address, found))
            expect_match(shown, received, "Received of a client on " + host)


def over_a_unix_socket(node, path):
    mode = stat.S_IMODE(os.stat(path).st_mode)
    expect(mode & 0o007 == 0, "%s is open to everybody: %o" % (path, mode))
    with smtplib.LMTP(path, local_hostname="client.test") as client:
        refused = client.sendmail("a@b.test", [ACCOUNT, "nobody@example.test"], letter("over a Unix socket"))
    expect(refused.get("nobody@example.test", (0,))[0] == 550 and len(refused) == 1, "refused: %s" % refused)
    found, received = count(node, node.addresses["pop3"][0])
    expect(found == 3, "%d messages" % found)
    # There is no address to tell.
    expect_match(r"^client\.test by mail\.example\.test with LMTP id", received, "Received over a Unix socket")
    said = run_well([need("swaks", "swaks"), "--protocol", "LMTP", "--socket", path, "--from", "a@b.test",
                     "--to", ACCOUNT])
    expect_match(r"250 2\.1\.5 Stored as", said, "swaks")
    said = run_well([need("curl", "curl"), "-sS", "-6", "http://[::1]:%d/health" % node.addresses["http"][0][1]])
    expect_match("^ok", said, "curl over IPv6")


def body(program):
    listeners = ["smtp=127.0.0.1:0", "smtp=[::1]:0", "pop3=[::1]:0", "pop3=localhost:0", "http=[::1]:0"]
    with Node(program, [ACCOUNT], listeners=listeners) as node:
        path = os.path.join(node.directory, "lmtp.sock")
        node.stop()
        expect(not os.path.exists(path), "a socket from nowhere")
        node.listeners = [*listeners, "lmtp=unix:" + path]
        node.start()
        expect(node.addresses["lmtp"] == [path], "lmtp listens on %s" % node.addresses["lmtp"])
        over_every_listener(node, path)
        over_a_unix_socket(node, path)
        node.stop()
        expect(not os.path.exists(path), "the node left its socket behind")
        node.start()
        node.kill()
        expect(stat.S_ISSOCK(os.lstat(path).st_mode), "a killed node took its socket away")
        node.start()
        deliver(node, [ACCOUNT], letter("after a kill"), name="lmtp")
        # A live one is left alone.
        with Node(program, listeners=["lmtp=127.0.0.1:0"]) as other:
            other.stop()
            code, _, said = other.run("serve", "--listen", "lmtp=unix:" + path)
            expect(code == 1, "a second node on the same socket: exit %d" % code)
            expect_match("lmtp.*another process listens there", said, "a second node on the same socket")
        deliver(node, [ACCOUNT], letter("still there"), name="lmtp")
        expect(count(node, node.addresses["pop3"][0])[0] == 6, "not every message is there")


expect(socket.has_ipv6, "Python has no IPv6")
main(body)
