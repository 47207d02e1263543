#!/usr/bin/env python3
"""A message that a relay sends again because the node died before its 250 was heard is in the mailbox exactly once.

    repeats.py LETTERLOG

Promises, in rounds that kill the node (SIGKILL) some milliseconds after the final dot, with the reply unread:
- started again, the node takes the same message again with 250, and the mailbox has it once, whether or not the first try
  had been committed; both are seen;
- a message without a name of a relay is delivered as often as it is sent.
"""
import random
import time

from node import Node, expect, main, stuffed

ROUNDS = 12
RECEIVED = "Received: from client.test by relay.test with ESMTP id %s; Thu, 26 Nov 2026 01:30:00 +0000\r\n"


def begin(node):
    """After DATA's 354."""
    wire = node.wire("lmtp")
    wire.command("LHLO relay.test", "250")
    wire.command("MAIL FROM:<sender@client.test>", "250")
    wire.command("RCPT TO:<ann@example.test>", "250")
    wire.command("DATA", "354")
    return wire


def send(node, text):
    with begin(node) as wire:
        wire.send(stuffed(text.encode()))
        wire.expect_reply("250", "the message")


def count(node, subject):
    return sum(b"\r\nSubject: %s\r\n" % subject.encode() in message for message in node.maildrop("ann@example.test"))


def kept_before(node, subject, text):
    """Whether the killed node had it; then sends it again."""
    had = count(node, subject)
    send(node, text)
    expect(had in (0, 1), "%s was there %d times after the kill" % (subject, had))
    now = count(node, subject)
    expect(now == 1, "%s is there %d times after it came again" % (subject, now))
    return had


def promises(program):
    chance = random.Random(6)
    with Node(program, accounts=("ann@example.test",), listeners=("lmtp=127.0.0.1:0", "pop3=127.0.0.1:0")) as node:
        committed = 0
        for number in range(ROUNDS):
            subject = "round %d" % number
            text = RECEIVED % ("A%d" % number) + "Subject: %s\r\n\r\ntext" % subject
            wire = begin(node)
            wire.send(stuffed(text.encode()))
            # Every third round waits for the commit, whose reply stays unread.
            time.sleep(1 if number % 3 == 2 else chance.uniform(0, 0.004))
            node.kill()
            wire.close()
            node.start()
            committed += kept_before(node, subject, text)
        expect(committed >= ROUNDS // 3, "only %d of %d kills came after the commit" % (committed, ROUNDS))
        for _ in range(2):
            send(node, "Subject: no name\r\n\r\ntext")
        expect(count(node, "no name") == 2, "a message without a name came twice")


main(promises)
