#!/usr/bin/env python3
"""What `export maildir` writes is served by Debian's Dovecot as our node served it.

Promised, for a whole account and for one folder: UIDs, UIDVALIDITY, UIDNEXT, flags, keywords that have a letter, dates, texts
and subscriptions are the same; mbsync and a client with QRESYNC that had all from our node pull nothing, and Dovecot sends no
text; POP3 clients find the UIDLs that they knew. Exported again, the tree is brought up to date and the same holds.

Usage: export_mail.py LETTERLOG
"""
import os
import random
import re

from import_imap import ANN, KEYWORDS, fill, letter, listed, next_uids, ours, snapshot, theirs
from import_pop3 import listing, uidls
from migrate import Resync, fetched, mbsync
from node import Node, PASSWORD, answer, expect, main
from peers import Dovecot, SECRET

FOLDERS = ["Archiv", "Projekte", "Projekte/&AMQ-rger &- S&APY-hne", "Deep/er/est", "a.b"]


def lettered(tree):
    """Keywords that have a letter in a tree, in lower case."""
    with open(tree + "/dovecot-keywords") as file:
        return {line.split()[1].lower() for line in file}


def kept(messages, letters):
    return {uid: ({flag for flag in flags if flag.startswith("\\") or flag in letters}, text, date)
            for uid, (flags, text, date) in messages.items()}


def compare(node, dovecot, tree, names):
    """Folders of both, but for keywords without a letter."""
    letters = lettered(tree)
    with ours(node, ANN) as here, theirs(dovecot.ports["imap"], ANN) as there:
        wanted, found = snapshot(here), snapshot(there)
        ours_next, theirs_next = next_uids(here), next_uids(there)
        if names is None:
            names = list(wanted)
            expect(set(listed(here, "LSUB")) <= set(listed(there, "LSUB")), "subscriptions")
        for name in names:
            expect(found[name][0] == wanted[name][0], name + ": another UIDVALIDITY")
            expect(theirs_next[name] == ours_next[name], "%s: UIDNEXT %d, not %d" % (name, theirs_next[name], ours_next[name]))
            expect(found[name][1] == kept(wanted[name][1], letters), name + ": other messages")


def served(node, root, home, resyncs, tree):
    """Clients that knew our node come to Dovecot."""
    with Dovecot(root) as dovecot:
        had = fetched(home)
        said = mbsync(home, dovecot.ports["imap"], SECRET)
        expect(fetched(home) == had and had, "mbsync pulled again: %s" % said[-800:])
        for resync in resyncs:
            resync.again(dovecot.ports["imap"], SECRET, lettered(tree))
        with open(dovecot.directory + "/log") as log:
            sent = [int(count) for count in re.findall(r"body_count=(\d+)", log.read())]
        expect(not any(sent), "Dovecot sent texts of messages: %s" % sent)
        expect(listing(dovecot.ports["pop3"], ANN) == uidls(node, ANN), "other POP3 UIDLs than ours")
        compare(node, dovecot, tree, None)


def synced(node, home):
    """mbsync and clients with QRESYNC have what the node has now."""
    mbsync(home, node.port("imap"), PASSWORD)
    return [Resync(node.port("imap"), PASSWORD, name) for name in ("INBOX", "Projekte", "Archiv")]


def one_folder(node, directory):
    root = directory + "/single"
    os.makedirs(root)
    node.do("export", "maildir", ANN, root + "/" + ANN, "--mailbox", "Projekte")
    with ours(node, ANN) as client:
        validity, messages = snapshot(client)["Projekte"]
        after = next_uids(client)["Projekte"]
    with Dovecot(root) as dovecot:
        with theirs(dovecot.ports["imap"], ANN) as client:
            found = snapshot(client)["INBOX"]
            expect(found[0] == validity, "one folder: another UIDVALIDITY")
            expect(found[1] == kept(messages, lettered(root + "/" + ANN)), "one folder: other messages")
            expect(next_uids(client)["INBOX"] == after, "one folder: another UIDNEXT")


def body(program):
    with Node(program, [ANN]) as node:
        os.chmod(node.directory, 0o711)
        home, root = node.directory + "/home", node.directory + "/out"
        os.makedirs(home + "/mail")
        os.makedirs(home + "/state")
        with ours(node, ANN) as client:
            fill(client, random.Random(71), folders=FOLDERS, messages=120, keywords=KEYWORDS)
            # The highest number that was given is of a message that is gone.
            answer(client.append("INBOX", None, None, letter(7_001)))
            answer(client.select("INBOX"))
            answer(client.uid("STORE", "*", "+FLAGS", "(\\Deleted)"))
            answer(client.expunge())
            answer(client.close())
        tree = root + "/" + ANN
        resyncs = synced(node, home)
        node.do("export", "maildir", ANN, root)
        served(node, root, home, resyncs, tree)
        with ours(node, ANN) as client:
            answer(client.append("INBOX", "(\\Seen)", None, letter(7_002)))
            answer(client.select("INBOX"))
            answer(client.uid("STORE", "4", "+FLAGS", "(\\Answered)"))
            answer(client.uid("MOVE", "10", "Sent"))
            answer(client.create("c.d"))
            answer(client.append("c.d", None, None, letter(7_003)))
            answer(client.unsubscribe("Sent"))
        resyncs = synced(node, home)
        node.do("export", "maildir", ANN, root)
        served(node, root, home, resyncs, tree)
        one_folder(node, node.directory)


if __name__ == "__main__":
    main(body)
