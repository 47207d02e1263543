#!/usr/bin/env python3
"""Debian's Dovecot, pointed at a copy of the projected Maildir, serves the same mail under the same numbers.

Promised, by IMAP and POP3 of a Dovecot that has nothing but the copy: the mailboxes and subscriptions of the account;
for each mailbox UIDVALIDITY, UIDNEXT and the UIDs, with gaps where mail was deleted; flags, keywords and dates; the
octets of every message; and the unique-ids that our POP3 gives, so that a client moved over downloads nothing twice.

Usage: dovecot_maildir.py LETTERLOG
"""
import base64
import calendar
import imaplib
import json
import os
import re
import shutil
import time

from node import Node, PASSWORD, Wire, answer, deliver, expect, letter, main
from peers import SECRET, Dovecot

ACCOUNTS = ["ann@example.test", "ben@example.test"]
DELIVERIES = 30
IMPORTED = "Ärger/Straße.de"
SUBSCRIBED = {ACCOUNTS[0]: ["INBOX", "Drafts", "Sent", "Junk", "A & B", IMPORTED], ACCOUNTS[1]: ["INBOX", "Junk"]}
# An mbox names UIDVALIDITY and UIDs; the node keeps them where they ascend.
IMPORTED_VALIDITY = 4_000_000_000
IMPORTED_MESSAGES = [
    (7, "RO", "", "", []),
    (8, "O", "", "", []),
    (41, "RO", "AF", "Work $Forwarded", ["\\Answered", "\\Flagged"]),
    (42, "O", "DT", "Later work2", ["\\Deleted", "\\Draft"]),
    (1000, "RO", "A", "Work", ["\\Answered"]),
]

# The account

def write_mbox(path):
    head = ("From MAILER-DAEMON Mon Nov 23 10:00:00 2026\nFrom: Mail System Internal Data <MAILER-DAEMON@mail.test>\n"
            "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: %d %010d\nStatus: RO\n\n"
            "This text is part of the internal format of your mail folder.\n\n" % (IMPORTED_VALIDITY, 1000))
    with open(path, "w") as file:
        file.write(head)
        for uid, status, more, keywords, _ in IMPORTED_MESSAGES:
            file.write("From sender@sender.test Mon Nov 23 10:%02d:00 2026\nSubject: number %d\nStatus: %s\n"
                       "X-Status: %s\nX-Keywords: %s\nX-UID: %d\n\nbody %d\n\n"
                       % (uid % 60, uid, status, more, keywords, uid, uid))


def fill(node):
    """Mail with gaps, several mailboxes, flags and keywords."""
    for number in range(DELIVERIES):
        recipients = ACCOUNTS if number % 3 == 0 else ACCOUNTS[:1]
        body = b"".join(b"line %d of %d\r\n" % (line, number) for line in range(number * 7))
        body += b".leading\r\n\xc3\xbc\r\n"
        deliver(node, recipients, letter("message %d" % number, body), name="lmtp" if number % 2 else "smtp")
    with node.pop3(ACCOUNTS[0]) as wire:
        for number in (1, 2, 5, 17, DELIVERIES):
            wire.ok("DELE %d" % number)
        wire.ok("QUIT")
    # The highest UIDs are gone: UIDNEXT stays above them.
    path = os.path.join(node.directory, "import.mbox")
    write_mbox(path)
    node.do("import", "mbox", ACCOUNTS[0], path, "--mailbox", IMPORTED)
    for name in ("Projects/2026 Q4", "A & B", "日本語/~tilde", "~home", "a~b/.hidden", "back\\slash"):
        node.do("mailbox", "create", ACCOUNTS[0], name)
    node.do("mailbox", "rename", ACCOUNTS[0], "Projects", "Renamed")
    node.do("mailbox", "delete", ACCOUNTS[0], "Junk")


def mailboxes(node, account):
    """Name -> what the node says of it."""
    lines = node.do("mailbox", "list", account, "--json").splitlines()
    return {row["mailbox"]: row for row in map(json.loads, lines)}


# Through Dovecot

def decoded(name):
    """Modified UTF-7 (RFC 3501 section 5.1.3)."""
    def one(found):
        if not found[1]:
            return "&"
        packed = found[1].replace(",", "/")
        return base64.b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-16-be")
    return re.sub("&([^-]*)-", one, name)


def encoded(name):
    def one(found):
        return "&" + base64.b64encode(found[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
    return re.sub(r"[^\x20-\x7e]+", one, name.replace("&", "&-"))


def quoted(name):
    return '"' + encoded(name).replace("\\", "\\\\").replace('"', '\\"') + '"'


def listed(lines):
    """Names of LIST or LSUB."""
    names = []
    for line in lines:
        if isinstance(line, tuple):  # a literal
            names.append(decoded(line[1].decode()))
        elif line:
            name = re.match(rb'\(.*?\) (?:"[^"]*"|NIL) (.*)$', line)[1].decode()
            if name.startswith('"'):
                name = re.sub(r"\\(.)", r"\1", name[1:-1])
            names.append(decoded(name))
    return sorted(names)


def fetched(client):
    """UID -> flags, octets, message, date in seconds."""
    found = {}
    for item in answer(client.uid("FETCH", "1:*", "(UID FLAGS RFC822.SIZE INTERNALDATE BODY.PEEK[])")):
        if isinstance(item, tuple):
            uid = int(re.search(rb"UID (\d+)", item[0])[1])
            flags = set(re.search(rb"FLAGS \(([^)]*)\)", item[0])[1].decode().split()) - {"\\Recent"}
            date = time.mktime(imaplib.Internaldate2tuple(item[0]))
            found[uid] = (flags, int(re.search(rb"RFC822.SIZE (\d+)", item[0])[1]), item[1], int(date))
    return found


def compare_mailbox(client, name, row):
    """Selected read-only; what was fetched."""
    exists = int(answer(client.select(quoted(name), readonly=True))[0])
    told = {key: int(client.response(key)[1][0]) for key in ("UIDVALIDITY", "UIDNEXT")}
    expect(exists == row["messages"], "%s: %d messages, ours has %d" % (name, exists, row["messages"]))
    expect(told["UIDVALIDITY"] == row["uidvalidity"],
           "%s: UIDVALIDITY %d, ours is %d" % (name, told["UIDVALIDITY"], row["uidvalidity"]))
    expect(told["UIDNEXT"] == row["uidnext"], "%s: UIDNEXT %d, ours is %d" % (name, told["UIDNEXT"], row["uidnext"]))
    messages = fetched(client) if exists else {}
    expect(len(messages) == exists, "%s: %d fetched" % (name, len(messages)))
    unseen = sum("\\Seen" not in flags for flags, _, _, _ in messages.values())
    expect(unseen == row["unseen"], "%s: %d unseen, ours has %d" % (name, unseen, row["unseen"]))
    octets = sum(size for _, size, _, _ in messages.values())
    expect(octets == row["octets"], "%s: %d octets, ours has %d" % (name, octets, row["octets"]))
    return messages


def compare_imap(dovecot, node, account):
    rows = mailboxes(node, account)
    with imaplib.IMAP4("127.0.0.1", dovecot.ports["imap"], timeout=30) as client:
        answer(client.login(account, SECRET))
        names = listed(answer(client.list()))
        expect(names == sorted(rows), "%s: mailboxes %s, ours are %s" % (account, names, sorted(rows)))
        subscribed = listed(answer(client.lsub()))
        # A name stays subscribed when its mailbox goes (RFC 3501 section 6.3.6).
        missing = set(SUBSCRIBED[account]) - set(subscribed)
        expect(not missing, "%s: not subscribed: %s; subscribed are %s" % (account, missing, subscribed))
        found = {name: compare_mailbox(client, name, row) for name, row in rows.items()}
    return found


def pop3_maildrop(port, account, password):
    """(unique-id, octets, message) in the order of the maildrop."""
    with Wire(("127.0.0.1", port)) as wire:
        wire.line()
        wire.ok("USER " + account)
        wire.ok("PASS " + password)
        unique = [line.split()[1] for line in wire.listing("UIDL")]
        sizes = [int(line.split()[1]) for line in wire.listing("LIST")]
        messages = [wire.message(number) for number in range(1, len(unique) + 1)]
        wire.ok("QUIT")
    return list(zip(unique, sizes, messages))


def check_imported(messages):
    expect(sorted(messages) == [uid for uid, *_ in IMPORTED_MESSAGES], "UIDs of the mbox: %s" % sorted(messages))
    for uid, status, _, keywords, flags in IMPORTED_MESSAGES:
        wanted = set(flags) | set(keywords.split()) | ({"\\Seen"} if "R" in status else set())
        expect(messages[uid][0] == wanted, "UID %d: flags %s, not %s" % (uid, messages[uid][0], wanted))
        date = calendar.timegm((2026, 11, 23, 10, uid % 60, 0))
        expect(messages[uid][3] == date, "UID %d: date %d, not %d" % (uid, messages[uid][3], date))


def body(program):
    with Node(program, ACCOUNTS) as node:
        fill(node)
        node.wait_for_maildir()
        ours = {account: pop3_maildrop(node.port("pop3"), account, PASSWORD) for account in ACCOUNTS}
        rows = mailboxes(node, ACCOUNTS[0])
        expect(rows[IMPORTED]["uidvalidity"] == IMPORTED_VALIDITY, "the UIDVALIDITY of the mbox was not kept")
        dovecot = Dovecot()
        shutil.copytree(node.maildir, dovecot.mail, dirs_exist_ok=True)
        dovecot.own()
        with dovecot:
            for account in ACCOUNTS:
                found = compare_imap(dovecot, node, account)
                # Read once more: what Dovecot has written to its copy since changes nothing.
                expect(compare_imap(dovecot, node, account) == found, "%s: another answer when read again" % account)
                theirs = pop3_maildrop(dovecot.ports["pop3"], account, SECRET)
                unique = [[each[0] for each in maildrop] for maildrop in (theirs, ours[account])]
                expect(unique[0] == unique[1], "%s: unique-ids %s, ours are %s" % (account, *unique))
                expect(theirs == ours[account], "%s: other octets by Dovecot's POP3" % account)
                by_uid = {int(unique[:8], 16): message for unique, _, message in ours[account]}
                expect({uid: each[2] for uid, each in found["INBOX"].items()} == by_uid,
                       "%s: other UIDs or octets by IMAP: %s, ours are %s"
                       % (account, sorted(found["INBOX"]), sorted(by_uid)))
                if account == ACCOUNTS[0]:
                    check_imported(found[IMPORTED])
        expect(len(ours[ACCOUNTS[0]]) == DELIVERIES - 5, "the maildrop has %d messages" % len(ours[ACCOUNTS[0]]))


main(body)
