#!/usr/bin/env python3
"""Postfix in front of a node and behind it, while the node is killed twice.

Promised: of messages that come by LMTP from a Postfix in front every one is in its mailbox exactly once, since what Postfix
sends again is known again; of messages that are handed in for people elsewhere and go to a Postfix as smart host every one is
in its mailbox, and what SMTP cannot tell apart (RFC 1047) is counted: a message whose reply the kill cut off is handed in
again by whoever waited for it; and one whose reply the node had and not yet written down is sent again. There are no more of
the first than replies that were cut off, and no more of the second than messages that were under way at the kills.

Usage: sending_kill.py LETTERLOG [MESSAGES]
"""
import collections
import re
import smtplib
import sys
import threading
import time

import node as harness
from node import DOMAIN, Node, PASSWORD, expect, free_port, main, wait_until
from postfix import Postfix

ALICE, BOB = "alice@" + DOMAIN, "bob@" + DOMAIN
SENDERS = 4
# Ten thousand take their time.
SECONDS_MAX = 280 if len(sys.argv) < 3 else 1500
harness.SCRIPT_SECONDS_MAX = max(harness.SCRIPT_SECONDS_MAX, SECONDS_MAX + 60)
# Connections of Postfix to the node, and of the node to Postfix.
CONNECTIONS = 8
# Messages that the node works on at once for one destination: a quarter of `sending.messages`.
UNDER_WAY = 50


class Injector(threading.Thread):
    """Hands messages in one after the other, each until it is taken; notes those whose reply was lost."""

    def __init__(self, names, port, login, sender, recipient, state):
        super().__init__(daemon=True)
        self.names, self.port, self.login = names, port, login
        self.sender, self.recipient, self.state = sender, recipient, state
        self.lost, self.failure = 0, None

    def run(self):
        client = None
        for name in self.names:
            text = "From: %s\r\nTo: %s\r\nSubject: m%s.\r\n\r\nA line\r\n" % (self.sender, self.recipient, name)
            deadline = time.monotonic() + 240
            sent = False
            while True:
                try:
                    if client is None:
                        client = smtplib.SMTP("127.0.0.1", self.port, timeout=60)
                        client.ehlo("client.test")
                        if self.login:
                            client.login(self.sender, PASSWORD)
                    client.mail(self.sender)
                    code, _ = client.rcpt(self.recipient)
                    if code != 250:
                        client.rset()
                        raise smtplib.SMTPResponseException(code, b"RCPT")
                    sent = True
                    code, said = client.data(text)
                    sent = False
                    if code == 250:
                        break
                except (OSError, smtplib.SMTPException) as error:
                    if sent:
                        self.lost += 1
                    client, sent = None, False
                    if time.monotonic() > deadline:
                        self.failure = error
                        return
                    time.sleep(0.2)
            self.state.append(name)


def copies(texts):
    """The Message-IDs of each message's copies, by its number."""
    found = collections.defaultdict(list)
    for text in texts:
        for number in re.findall(r"^Subject: m(\d+)\.", text, re.M):
            name = re.search(r"^Message-ID: *(?:\n[ \t]+)?(\S+)", text, re.M | re.I)
            found[int(number)].append(name.group(1) if name else None)
    return found


def judge(name, total, found, again_max, handed_in_max):
    """All are there; what is there twice is told apart. The node gives each message that is handed in a Message-ID: copies
    with one are of one hand-in, which was sent again, copies with two were handed in twice."""
    missing = [n for n in range(total) if n not in found]
    expect(not missing, "%s: %d messages are missing: %s" % (name, len(missing), missing[:20]))
    expect(set(found) <= set(range(total)), "%s: messages that nobody sent" % name)
    handed_in = sum(len(set(names)) - 1 for names in found.values())
    again = sum(len(names) - len(set(names)) for names in found.values())
    print("%s: %d messages, each there; %d twice since the kill cut the reply to whoever handed them in (%d replies were), "
          "%d twice since it came between the reply of the other host and our commit (at most %d were under way)"
          % (name, total, handed_in, handed_in_max, again, again_max), flush=True)
    expect(handed_in <= handed_in_max, "%s: %d messages were taken twice" % (name, handed_in))
    expect(again <= again_max, "%s: %d messages were sent twice" % (name, again))


def check(program):
    total = int(sys.argv[2]) if len(sys.argv) > 2 else 400
    lmtp, submission, pop3 = free_port(), free_port(), free_port()
    listeners = ["lmtp=127.0.0.1:%d" % lmtp, "submission=127.0.0.1:%d" % submission, "pop3=127.0.0.1:%d" % pop3]
    with Postfix(relay_domains=DOMAIN, relay_transport="lmtp:inet:127.0.0.1:%d" % lmtp, relay_recipient_maps="",
                 lmtp_destination_recipient_limit="1", default_destination_concurrency_limit=str(CONNECTIONS),
                 lmtp_destination_concurrency_limit=str(CONNECTIONS), in_flow_delay="0") as postfix:
        with Node(program, [ALICE, BOB], [
                "sending.smart-host=127.0.0.1:%d" % postfix.port, "sending.retry-first=2s", "sending.retry-max=4s",
                "sending.connections-per-host=%d" % CONNECTIONS, "maildir.enabled=false"],
                listeners=listeners) as node:
            inward, outward = [], []
            work = [Injector(range(n, total, SENDERS), postfix.port, False, "sender@sender.test", ALICE, inward)
                    for n in range(SENDERS)]
            work += [Injector(range(n, total, SENDERS), submission, True, BOB, "carol@there.test", outward)
                     for n in range(SENDERS)]
            for injector in work:
                injector.start()
            for part in (1, 2):
                wait_until("%d of 3 parts are under way" % part, SECONDS_MAX, lambda: len(outward) >= total * part // 3
                           or all(not injector.is_alive() for injector in work))
                node.kill()
                node.start()
            for injector in work:
                injector.join(SECONDS_MAX)
                expect(not injector.is_alive() and injector.failure is None, "not taken: %s" % injector.failure)

            def all_there():
                return count(node, ALICE) >= total and postfix.count() >= total and not postfix.waiting() \
                    and "0 messages wait" in node.do("queue", "list")
            wait_until("everything is where it belongs", SECONDS_MAX, all_there)
            # Postfix is not killed, so nobody hands in twice there; and what it sends us again we know again.
            judge("inward", total, copies(read(node, ALICE)), 0, 0)
            judge("outward", total, copies(message.decode() for message in postfix.delivered()), 2 * UNDER_WAY,
                  sum(injector.lost for injector in work if injector.login))
            expect(node.run("verify", "--blobs", "0")[0] == 0, "verify")


def count(node, account):
    with node.pop3(account) as wire:
        total = int(wire.ok("STAT").split()[1])
        wire.ok("QUIT")
        return total


def read(node, account):
    with node.pop3(account) as wire:
        total = int(wire.ok("STAT").split()[1])
        for number in range(1, total + 1):
            wire.ok("TOP %d 0" % number)
            yield wire.multiline().decode().replace("\r\n", "\n")
        wire.ok("QUIT")


main(check)
