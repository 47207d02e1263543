#!/usr/bin/env python3
"""Ten clients change an account at random, all at once, with deliveries, POP3 and an administrator beside them, and
believe what they are told.

Promised: each client that applies the untagged responses to its picture of a mailbox ends with the server's UIDs and
flags, plain, CONDSTORE and QRESYNC clients alike, however often they come and go; a UID never shows another message; a
message whose APPEND was acknowledged is there; nothing is BAD; memory does not grow with time; `verify` and `rebuild
--check` hold. The same after kill -9 in the middle of it.

Usage: imap_soak.py LETTERLOG [SECONDS [SEED]]      LETTERLOG_SOAK_SECONDS and LETTERLOG_SOAK_SEED do the same
"""
import os
import random
import re
import signal
import sys
import threading
import time

from imapserver import PASSWORD, Server, expect, letter
import node as nodes
from node import Broken, Wire, wait_until
from conversation import Connection, Difference
from imapwords import Atom, List, Text, number, numbers

ACCOUNT = "soak@example.test"
SECONDS_IN_CI = 60
CLIENTS = 10
REPLY_SECONDS_MAX = 60
MAILBOXES = ["INBOX", "Archive", "Drafts", "Sent"]
# Appended to and read, never changed: what was acknowledged has to be in it.
KEEP = "Keep"
SCRATCH = ["scratch/%d" % number for number in range(4)]
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "\\Draft", "work", "$Later"]
# Refusals that others' changes explain.
REFUSED = {"TRYCREATE", "NONEXISTENT", "ALREADYEXISTS", "EXPUNGEISSUED", "INUSE", "CANNOT", "UNAVAILABLE", "OVERQUOTA",
           "HASCHILDREN", "LIMIT"}
GROWTH_OCTETS_MAX = 96 << 20


class Gone(Exception):
    """The connection or the mailbox is no more; the client begins anew."""


class Shared:
    """What all clients know together."""

    def __init__(self, server, seed):
        self.server, self.seed = server, seed
        self.lock = threading.Lock()
        self.contents = {}  # (mailbox, UIDVALIDITY, UID) -> token
        self.kept = set()  # tokens acknowledged in KEEP
        self.serial = 0
        self.counts = {}
        self.stop = threading.Event()
        self.is_killed = False

    def token(self):
        with self.lock:
            self.serial += 1
            return "token-%d-%d" % (self.seed, self.serial)

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def see(self, mailbox, validity, uid, token):
        """A UID under its UIDVALIDITY is one message for ever (RFC 9051 section 2.3.1.1)."""
        with self.lock:
            known = self.contents.setdefault((mailbox, validity, uid), token)
        expect(known == token, "%s UID %d was %s and is %s" % (mailbox, uid, known, token))


class Picture:
    """What a client believes of a mailbox: UIDs by position, and flags."""

    def __init__(self, mailbox):
        self.mailbox, self.validity, self.modseq = mailbox, None, 0
        self.uids, self.flags = [], {}  # None where only EXISTS has spoken

    def place(self, position):
        expect(1 <= position <= len(self.uids), "%s: position %d of %d" % (self.mailbox, position, len(self.uids)))
        return position - 1


class Client(threading.Thread):
    def __init__(self, shared, index):
        super().__init__(name="client %d" % index, daemon=True)
        self.shared, self.index = shared, index
        self.random = random.Random("%d-%d" % (shared.seed, index))
        self.kind = ("plain", "condstore", "qresync")[index % 3]
        # One of each kind or more: a mailbox that goes is closed for them, and the session goes on.
        self.is_rev2 = index >= CLIENTS - 4
        self.connection, self.picture, self.failure = None, None, None
        self.cache = {}  # mailbox -> what a QRESYNC client remembers
        self.serial = 0
        self.trace = []

    # The wire

    def connect(self):
        try:
            self.connection = Connection(self.shared.server.place.address("imap"))
        except OSError:
            raise Gone()
        self.connection.allows_utf8 = True
        self.picture = None
        if self.read() is None:
            raise Gone()
        self.command("LOGIN %s %s" % (ACCOUNT, PASSWORD))
        if self.is_rev2:
            self.command("ENABLE IMAP4rev2")
        if self.kind == "qresync":
            self.command("ENABLE QRESYNC")
        elif self.kind == "condstore":
            self.command("ENABLE CONDSTORE")

    def leave(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None
        self.remember()

    def remember(self):
        """A QRESYNC client keeps what is sure: nothing without its UID, and the HIGHESTMODSEQ of the last full sync."""
        picture, self.picture = self.picture, None
        if picture is not None and self.kind == "qresync" and picture.validity and None not in picture.uids and \
                all(uid in picture.flags for uid in picture.uids):
            self.cache[picture.mailbox] = picture

    def read(self):
        found = self.connection.imap_response(time.monotonic() + REPLY_SECONDS_MAX)
        if found is None:
            if self.connection.is_closed:
                raise Gone()
            raise Broken("no answer in %d seconds after %s" % (REPLY_SECONDS_MAX, self.trace[-1:]))
        self.note("S: %r" % found)
        return found

    def note(self, line):
        self.trace.append(line[:300])
        del self.trace[:-400]

    def command(self, text, literals=(), forbids_expunge=False, silent=None):
        """Sends it, applies what comes, gives the tagged response and the untagged ones."""
        self.serial += 1
        tag = "%s%d" % ("pcq"[self.index % 3], self.serial)
        self.note("C: %s %s" % (tag, text))
        self.connection.send(("%s %s" % (tag, text)).encode())
        for literal in literals:
            self.connection.send(b"{%d+}\r\n" % len(literal) + literal)
        self.connection.send(b"\r\n")
        untagged = []
        while True:
            found = self.read()
            if found.tag == "*":
                if found.kind() == "BYE":
                    raise Gone()
                expect(not (forbids_expunge and found.kind() in ("EXPUNGE", "VANISHED")),
                       "%r during %s" % (found, text[:80]))
                self.apply(found)
                untagged.append(found)
                continue
            if found.tag == "+":
                continue
            expect(found.tag == tag, "%r answers %s" % (found, text[:80]))
            break
        expect(found.kind() != "BAD", "%s: %r" % (text[:200], found.raw))
        code = found.code[0].octets.decode().upper() if found.code else ""
        if found.kind() == "NO":
            self.shared.count("NO " + code)
            expect(code in REFUSED or not code, "%s: %r" % (text[:200], found.raw))
        if code == "HIGHESTMODSEQ" and self.picture is not None:
            self.advance(number(found.code[1]))
        return found, untagged

    def advance(self, modseq):
        self.picture.modseq = max(self.picture.modseq, modseq)

    # Believing

    def apply(self, found):
        picture = self.picture
        kind = found.kind()
        if kind == "OK" and found.code and picture is not None:
            name = found.code[0].octets.decode().upper()
            if name == "CLOSED" and not self.selecting:
                # Deleted by this session itself, or with IMAP4rev2 by anyone: nothing is selected any more (RFC 9051
                # section 3, transition 6).
                expect(picture.mailbox in SCRATCH, "%s was closed" % picture.mailbox)
                self.cache.pop(picture.mailbox, None)
                self.picture = picture = None
            elif name == "UIDVALIDITY":
                picture.validity = number(found.code[1])
            elif name == "HIGHESTMODSEQ":
                self.selected_modseq = number(found.code[1])
        if picture is None:
            return
        if kind == "EXISTS":
            count = number(found.words[0])
            if self.selecting:
                self.exists = count
                self.after_exists()
            else:
                expect(count >= len(picture.uids), "EXISTS %d after %d" % (count, len(picture.uids)))
                picture.uids += [None] * (count - len(picture.uids))
        elif kind == "EXPUNGE":
            uid = picture.uids.pop(picture.place(number(found.words[0])))
            picture.flags.pop(uid, None)
        elif kind == "VANISHED":
            is_earlier = isinstance(found.words[1], List)
            gone = set(numbers(found.words[-1].octets))
            expect(0 not in gone, "VANISHED 0")
            known = [uid for uid in picture.uids if uid in gone]
            if not is_earlier:
                # Messages of which only the number is known: the UIDs around say which of them it is.
                for uid in sorted(gone - set(known)):
                    before = max((place for place, each in enumerate(picture.uids)
                                  if each is not None and each < uid), default=-1)
                    expect(before + 1 < len(picture.uids) and picture.uids[before + 1] is None,
                           "VANISHED %d, and no such message can be there" % uid)
                    del picture.uids[before + 1]
            picture.uids = [uid for uid in picture.uids if uid not in gone]
            for uid in gone:
                picture.flags.pop(uid, None)
            if self.selecting:
                self.after_exists()
        elif kind == "FETCH":
            self.apply_fetch(found)

    def after_exists(self):
        """Within SELECT of a resync the remembered UIDs stand; what is more comes with FETCH."""

    def apply_fetch(self, found):
        picture, position = self.picture, number(found.words[0])
        items = dict(zip((word.octets.upper() for word in found.words[2][::2]), found.words[2][1::2]))
        uid = number(items[b"UID"]) if b"UID" in items else None
        if self.selecting:
            if uid is not None and b"FLAGS" in items:
                self.resynced[position] = (uid, flags_of(items[b"FLAGS"]))
            return
        place = picture.place(position)
        if uid is not None:
            known = picture.uids[place]
            expect(known in (None, uid), "%s: position %d is UID %s and UID %s" % (picture.mailbox, position, known, uid))
            picture.uids[place] = uid
            before = [each for each in picture.uids[:place] if each is not None]
            after = [each for each in picture.uids[place + 1:] if each is not None]
            expect((not before or before[-1] < uid) and (not after or after[0] > uid),
                   "%s: UID %d at %d is out of order" % (picture.mailbox, uid, position))
        uid = picture.uids[place]
        if b"FLAGS" in items and uid is not None:
            picture.flags[uid] = flags_of(items[b"FLAGS"])
            self.told.add(uid)
        for name, value in items.items():
            if name.startswith(b"BODY[") and isinstance(value, Text) and value.octets and uid is not None:
                token = re.search(rb"Subject: (\S+)", value.octets)
                if token:
                    self.shared.see(picture.mailbox, picture.validity, uid, token[1].decode())

    selecting, selected_modseq, exists = False, 0, 0
    resynced, told = {}, set()

    # Doing

    def select(self, mailbox):
        self.remember()
        cached = self.cache.get(mailbox) if self.kind == "qresync" else None
        self.picture = Picture(mailbox)
        parameter = ""
        if cached is not None and cached.modseq > 0:
            parameter = " (QRESYNC (%d %d%s))" % (
                cached.validity, cached.modseq,
                " " + as_set(cached.uids) if cached.uids and self.random.random() < 0.5 else "")
            self.picture.uids, self.picture.flags = list(cached.uids), dict(cached.flags)
        elif self.kind == "condstore":
            parameter = " (CONDSTORE)"
        self.selecting, self.resynced, self.selected_modseq, self.exists = True, {}, 0, 0
        try:
            found, _ = self.command('SELECT "%s"%s' % (mailbox, parameter))
        finally:
            self.selecting = False
        if found.kind() != "OK":
            self.picture = None
            self.cache.pop(mailbox, None)
            return False
        picture = self.picture
        if cached is not None and parameter and cached.validity == picture.validity:
            self.merge(picture)
        else:
            picture.uids, picture.flags = [None] * self.exists, {}
        self.learn()
        picture.modseq = self.selected_modseq
        return self.picture is not None

    def merge(self, picture):
        """The remembered, less what vanished, with what the FETCH responses say; new ones at the end are unknown."""
        for uid, flags in self.resynced.values():
            picture.flags[uid] = flags
        picture.uids = sorted(set(picture.uids) | {uid for uid, _ in self.resynced.values()})
        for position, (uid, _) in self.resynced.items():
            expect(position <= self.exists, "FETCH of %d, EXISTS is %d" % (position, self.exists))
        expect(len(picture.uids) <= self.exists, "%s: after a resync %d are remembered and %d exist: %s" % (
            picture.mailbox, len(picture.uids), self.exists, self.trace))
        for position, (uid, _) in self.resynced.items():
            if len(picture.uids) == self.exists:
                expect(picture.uids[position - 1] == uid, "%s: resync says UID %d at %d, it is %s" % (
                    picture.mailbox, uid, position, picture.uids[position - 1]))
        picture.uids += [None] * (self.exists - len(picture.uids))

    def learn(self):
        """UIDs and flags of what is only a number. What arrives meanwhile waits for the next time: while others deliver,
        there is always something newer."""
        picture = self.picture
        for _ in range(20 if picture else 0):
            unknown = self.unknown()
            if not unknown:
                return
            self.command("FETCH %d:%d (UID FLAGS)" % (unknown[0] + 1, unknown[-1] + 1))
            if self.picture is not picture:
                return
            # Nothing goes during FETCH (RFC 9051 section 7.5.1), so the positions asked for stand.
            if not any(place <= unknown[-1] for place in self.unknown()):
                return
            # A message that went meanwhile has no answer; NOOP tells of it.
            self.command("NOOP")
            if self.picture is not picture:
                return
        expect(not picture, "no UID for what is a number only")

    def unknown(self):
        """The places, from 0, of messages without UID or flags."""
        picture = self.picture
        return [place for place, uid in enumerate(picture.uids) if uid is None or uid not in picture.flags]

    def sync(self):
        self.command("NOOP")
        self.learn()
        # Full sync: what HIGHESTMODSEQ was said counts from here (RFC 7162 section 3.2.5).

    def some(self):
        """A set of positions or of UIDs, and the UIDs that it has."""
        picture = self.picture
        count = self.random.randint(1, min(5, len(picture.uids)))
        start = self.random.randint(0, len(picture.uids) - count)
        uids = picture.uids[start:start + count]
        return "%d:%d" % (start + 1, start + count), uids

    def act(self):
        if self.connection is None:
            self.connect()
        roll = self.random.random()
        if self.picture is None or roll < 0.06:
            box = self.random.choice(MAILBOXES * 3 + SCRATCH)
            self.select(box)
            self.shared.count("SELECT")
            return
        if roll < 0.10:
            self.sync()
            self.leave()
            return
        actions = [self.append] * 5 + [self.store] * 8 + [self.copy] * 2 + [self.move] * 3 + [self.expunge] * 3 + \
            [self.fetch] * 4 + [self.search] * 2 + [self.idle] * 2 + [self.sync] * 4 + [self.scratch, self.status,
                                                                                        self.keep]
        action = self.random.choice(actions)
        needs_messages = action in (self.store, self.copy, self.move, self.fetch)
        if needs_messages and not self.picture.uids:
            action = self.append
        action()
        self.shared.count(action.__name__)

    def append(self):
        mailbox = self.random.choice(MAILBOXES)
        flags = self.random.sample(FLAGS, self.random.randint(0, 3))
        contents = [letter(self.shared.token()) for _ in range(self.random.choice([1, 1, 1, 3]))]
        text = "APPEND %s (%s) " % (mailbox, " ".join(flags))
        if len(contents) == 1:
            self.command(text, contents)
        else:
            self.serial += 1
            tag = "m%d" % self.serial
            self.note("C: %s %s x%d" % (tag, text, len(contents)))
            self.connection.send((tag + " APPEND " + mailbox).encode())
            for content in contents:
                self.connection.send(b" {%d+}\r\n" % len(content) + content)
            self.connection.send(b"\r\n")
            while True:
                found = self.read()
                if found.tag == "*":
                    if found.kind() == "BYE":
                        raise Gone()
                    self.apply(found)
                    continue
                expect(found.tag == tag and found.kind() == "OK", "MULTIAPPEND: %r" % found)
                break

    def keep(self):
        token = self.shared.token()
        found, _ = self.command("APPEND %s " % KEEP, [letter(token)])
        if found.kind() == "OK":
            with self.shared.lock:
                self.shared.kept.add(token)

    def store(self):
        positions, uids = self.some()
        by_uid = self.random.random() < 0.5 and None not in uids
        flags = set(self.random.sample(FLAGS, self.random.randint(1, 2)))
        sign = self.random.choice(["+", "+", "-", ""])
        silent = ".SILENT" if self.random.random() < 0.5 else ""
        chosen = as_set(uids) if by_uid else positions
        self.told = set()
        picture = self.picture
        before = {uid: set(picture.flags.get(uid, ())) for uid in uids if uid is not None}
        found, _ = self.command("%sSTORE %s %sFLAGS%s (%s)" % (
            "UID " if by_uid else "", chosen, sign, silent, " ".join(sorted(flags))), forbids_expunge=not by_uid)
        if found.kind() != "OK":
            # What it did is not known.
            for uid in list(before):
                picture.flags.pop(uid, None)
            self.sync()
            return
        # Without an untagged FETCH of the message the flags are as the command made them (RFC 9051 section 6.4.6).
        if silent:
            for uid, old in before.items():
                if uid not in self.told and uid in picture.uids:
                    picture.flags[uid] = old | flags if sign == "+" else old - flags if sign == "-" else set(flags)

    def copy(self):
        positions, uids = self.some()
        self.command("COPY %s %s" % (positions, self.random.choice(MAILBOXES)))

    def move(self):
        positions, uids = self.some()
        target = self.random.choice([box for box in MAILBOXES if box != self.picture.mailbox])
        if None in uids:
            return
        self.command("UID MOVE %s %s" % (as_set(uids), target))

    def expunge(self):
        if self.random.random() < 0.5 and self.picture.uids and None not in self.picture.uids:
            _, uids = self.some()
            self.command("UID EXPUNGE %s" % as_set(uids))
        else:
            self.command("EXPUNGE")

    def fetch(self):
        positions, _ = self.some()
        self.command("FETCH %s (UID BODY.PEEK[])" % positions, forbids_expunge=True)

    def search(self):
        found, untagged = self.command("SEARCH " + self.random.choice(["FLAGGED", "UNSEEN", "DELETED", "ALL"]),
                                       forbids_expunge=True)
        for each in untagged if self.picture else ():
            if each.kind() == "SEARCH":
                for word in each.words[1:]:
                    if number(word) is not None:
                        self.picture.place(number(word))
            elif each.kind() == "ESEARCH" and len(each.words) > 3:
                for found in numbers(each.words[-1].octets):
                    self.picture.place(found)

    def idle(self):
        self.serial += 1
        tag = "i%d" % self.serial
        self.note("C: %s IDLE" % tag)
        self.connection.send(("%s IDLE\r\n" % tag).encode())
        end = time.monotonic() + self.random.random() * 0.3
        is_idle = False
        while True:
            if is_idle:
                found = self.connection.imap_response(end)
                if found is None:
                    if self.connection.is_closed:
                        raise Gone()
                    break
                self.note("S: %r" % found)
            else:
                found = self.read()
            if found.tag == "+":
                is_idle = True
                continue
            if found.kind() == "BYE":
                raise Gone()
            if found.tag == tag:
                expect(found.kind() == "NO", "IDLE: %r" % found)
                return
            self.apply(found)
        self.connection.send(b"DONE\r\n")
        while True:
            found = self.read()
            if found.tag == tag:
                expect(found.kind() == "OK", "IDLE: %r" % found)
                return
            if found.kind() == "BYE":
                raise Gone()
            self.apply(found)

    def scratch(self):
        name = self.random.choice(SCRATCH)
        verb = self.random.choice(["CREATE", "DELETE", "RENAME", "SUBSCRIBE", "LIST"])
        found, _ = self.command({"RENAME": "RENAME %s %s" % (name, self.random.choice(SCRATCH)),
                                 "LIST": 'LIST "" *'}.get(verb, "%s %s" % (verb, name)))
        if verb == "DELETE" and found.kind() == "OK" and self.picture is not None and self.picture.mailbox == name:
            self.picture = None
            self.cache.pop(name, None)

    def status(self):
        self.command("STATUS %s (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)" % self.random.choice(MAILBOXES + SCRATCH))

    # The thread

    def run(self):
        try:
            while not self.shared.stop.is_set():
                try:
                    self.act()
                except Gone:
                    self.leave()
                    self.shared.count("gone")
                    if self.shared.is_killed:
                        return
                    time.sleep(0.02)
        except BaseException as why:
            if not self.shared.is_killed:
                self.failure = "%s (%s): %s: %s\n    %s" % (
                    self.name, self.kind, type(why).__name__, why, "\n    ".join(self.trace[-25:]))
                self.shared.stop.set()
                if os.environ.get("SOAK_TRACE"):
                    with open(os.environ["SOAK_TRACE"], "w") as file:
                        file.write("\n".join(self.trace))

    def settle(self, truth):
        """At rest: a last sync, and the picture is the server's."""
        if self.picture is not None and self.picture.mailbox in SCRATCH:
            # Another client may have deleted it, and then this session ends with the next command (RFC 2180 section 3.3).
            self.leave()
        if self.connection is None or self.picture is None:
            if self.connection is None:
                self.connect()
            for mailbox in MAILBOXES:
                self.select(mailbox)
                self.compare(truth)
            return
        self.sync()
        self.compare(truth)

    def compare(self, truth):
        if self.picture is None or self.picture.mailbox not in truth:
            return
        uids, flags = truth[self.picture.mailbox]
        picture = self.picture
        expect(picture.uids == uids, "%s (%s): %s: UIDs %s, the server has %s\n    %s" % (
            self.name, self.kind, picture.mailbox, differing(picture.uids, uids), differing(uids, picture.uids),
            "\n    ".join(self.trace[-25:])))
        for uid in uids:
            expect(picture.flags.get(uid) == flags[uid], "%s (%s): %s UID %d: flags %s, the server has %s\n    %s" % (
                self.name, self.kind, picture.mailbox, uid, picture.flags.get(uid), flags[uid],
                "\n    ".join(line for line in self.trace if str(uid) in line or "STORE" in line)))


class Deliverer(threading.Thread):
    """LMTP from outside, and POP3 that deletes."""

    def __init__(self, shared):
        super().__init__(name="deliveries", daemon=True)
        self.shared, self.failure = shared, None
        self.random = random.Random("%d-deliveries" % shared.seed)

    def run(self):
        try:
            while not self.shared.stop.wait(self.random.random() * 0.1):
                try:
                    if self.random.random() < 0.85:
                        self.shared.server.deliver(ACCOUNT, letter(self.shared.token()))
                        self.shared.count("delivery")
                    else:
                        self.pop()
                except (OSError, Broken):
                    if self.shared.is_killed:
                        return
                    if self.shared.server.is_ours:
                        raise
        except BaseException as why:
            if not self.shared.is_killed:
                self.failure = "%s: %s: %s" % (self.name, type(why).__name__, why)
                self.shared.stop.set()

    def pop(self):
        with Wire(self.shared.server.place.address("pop3")) as wire:
            wire.line()
            wire.ok("USER " + ACCOUNT)
            wire.ok("PASS " + PASSWORD)
            count = int(wire.ok("STAT").split()[1])
            for number in self.random.sample(range(1, count + 1), min(count, 3)):
                wire.ok("DELE %d" % number)
            wire.send(b"QUIT\r\n")
            # A message that went meanwhile is a refusal of QUIT, after the others were deleted (RFC 1939 section 6).
            wire.line()
            self.shared.count("pop3")


class Administrator(threading.Thread):
    """Makes, renames and deletes mailboxes that clients have open."""

    def __init__(self, shared):
        super().__init__(name="administrator", daemon=True)
        self.shared, self.failure = shared, None
        self.random = random.Random("%d-administrator" % shared.seed)

    def run(self):
        try:
            while not self.shared.stop.wait(0.2 + self.random.random()):
                words = self.random.choice([
                    ["mailbox", "create", ACCOUNT, self.random.choice(SCRATCH)],
                    ["mailbox", "delete", ACCOUNT, self.random.choice(SCRATCH)],
                    ["mailbox", "rename", ACCOUNT, *self.random.sample(SCRATCH, 2)]])
                code, out, err = self.shared.server.place.node.run(*words)
                # A name that is taken or not there is a refusal.
                expect(code in (0, 1) or self.shared.is_killed, "%s: exit %d: %s%s" % (words, code, out, err))
                self.shared.count("administration")
        except BaseException as why:
            if not self.shared.is_killed:
                self.failure = "%s: %s: %s" % (self.name, type(why).__name__, why)
                self.shared.stop.set()


def flags_of(words):
    return {word.octets.decode() for word in words} - {"\\Recent"}


def differing(one, two):
    return [each for each in one if each not in set(two)][:20] or "%d the same" % len(one)


def as_set(uids):
    parts, sorted_uids = [], sorted(uid for uid in uids if uid is not None)
    for uid in sorted_uids:
        if parts and parts[-1][1] == uid - 1:
            parts[-1][1] = uid
        else:
            parts.append([uid, uid])
    return ",".join("%d" % low if low == high else "%d:%d" % (low, high) for low, high in parts)


def truth_of(server):
    """By a fresh connection: mailbox -> UIDs in order, flags by UID."""
    reader = Client(Shared(server, 0), 0)
    reader.connect()
    truth = {}
    for mailbox in MAILBOXES:
        expect(reader.select(mailbox), "%s cannot be selected" % mailbox)
        truth[mailbox] = (list(reader.picture.uids), dict(reader.picture.flags))
    expect(reader.select(KEEP), "%s cannot be selected" % KEEP)
    tokens = set()
    if reader.picture.uids:
        _, untagged = reader.command("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        for each in untagged:
            if each.kind() == "FETCH":
                tokens |= {found.decode() for word in each.words[2] if isinstance(word, Text)
                           for found in re.findall(rb"Subject: (\S+)", word.octets)}
    reader.leave()
    return truth, tokens


def load(shared, clients, seconds, kill=None):
    """Lets them all work for a while."""
    deliverer = Deliverer(shared)
    threads = [*clients, deliverer, *([Administrator(shared)] if shared.server.is_ours else [])]
    for thread in threads:
        thread.start()
    half = None
    end = time.monotonic() + seconds
    while time.monotonic() < end and not shared.stop.is_set():
        time.sleep(0.2)
        if half is None and time.monotonic() > end - seconds / 2 and shared.server.is_ours:
            half = shared.server.place.node.anonymous_octets()
    if kill:
        shared.is_killed = True
        kill()
    grown = shared.server.place.node.anonymous_octets() - half if half and not kill else 0
    shared.stop.set()
    last = time.monotonic() + 3 * REPLY_SECONDS_MAX
    for thread in threads:
        # What a thread is at may be several commands.
        thread.join(timeout=max(1, last - time.monotonic()))
        expect(not thread.is_alive(), "%s does not end" % thread.name)
    failures = [thread.failure for thread in threads if thread.failure]
    expect(not failures, "\n".join(failures))
    return grown


def check(shared, clients, what):
    truth, tokens = truth_of(shared.server)
    expect(shared.kept <= tokens, "%s: acknowledged and not there: %s" % (what, sorted(shared.kept - tokens)[:10]))
    for client in clients:
        try:
            client.settle(truth)
        except Gone:
            raise Broken("%s: %s was sent away:\n    %s" % (what, client.name, "\n    ".join(client.trace[-10:])))
        client.leave()
    if shared.server.is_ours:
        node = shared.server.place.node
        node.do("verify")
        node.do("rebuild", "--check")


def again(clients, shared):
    """Clients go on with what they remember; a thread runs only once."""
    fresh = []
    for old in clients:
        client = Client(shared, old.index)
        old.leave()
        client.cache = old.cache
        fresh.append(client)
    return fresh


def body(program, seconds, seed):
    with Server(program, [ACCOUNT]) as server:
        shared = Shared(server, seed)
        reader = server.login(ACCOUNT)
        for mailbox in [KEEP, *SCRATCH[:2]]:
            reader.create(mailbox)
        reader.logout()
        clients = [Client(shared, index) for index in range(CLIENTS)]
        grown = load(shared, clients, seconds * 0.7)
        expect(grown < GROWTH_OCTETS_MAX, "memory grew by %d octets in the second half" % grown)
        check(shared, clients, "at rest")
        print("at rest: %s; grown by %d KiB" % (
            " ".join("%s=%d" % each for each in sorted(shared.counts.items())), grown >> 10), flush=True)
        if server.is_ours:
            node = server.place.node
            for client in clients:
                client.leave()
            shared.stop.clear()
            clients = again(clients, shared)

            def kill():
                node.process.send_signal(signal.SIGKILL)
                node.process.wait()
            load(shared, clients, max(3, seconds * 0.15), kill)
            node.process.stdout.close()
            node.start()
            shared.is_killed = False
            shared.stop.clear()
            clients = again(clients, shared)
            check(shared, clients, "after kill -9")


def main():
    if len(sys.argv) < 2:
        print("usage: %s LETTERLOG [SECONDS [SEED]]" % sys.argv[0], file=sys.stderr)
        sys.exit(2)
    seconds = int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("LETTERLOG_SOAK_SECONDS", SECONDS_IN_CI))
    seed = int(sys.argv[3] if len(sys.argv) > 3 else os.environ.get("LETTERLOG_SOAK_SEED") or
               int.from_bytes(os.urandom(4), "big"))
    print("seed %d" % seed, flush=True)
    nodes.SCRIPT_SECONDS_MAX = seconds + 300
    sys.argv[1:] = sys.argv[1:2]
    nodes.main(lambda program: body(program, seconds, seed))


main()
