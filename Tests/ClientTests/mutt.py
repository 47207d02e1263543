#!/usr/bin/env python3
"""mutt opens the projected Maildir.

Promised: its index shows every message with its subject, decoded, and new mail as new; a message opens; and opened
read-only, not a file is renamed, nor anything else changed below the Maildir. While it is open it shows what is
delivered, and what is flagged and removed over IMAP.

Usage: mutt.py LETTERLOG
"""
import imaplib
import os
import time

from node import Node, PASSWORD, answer, deliver, expect, letter, main, need, wait_until
from terminal import Terminal

ACCOUNT = "ann@example.test"
SUBJECTS = {
    "Plain subject": "Plain subject",
    "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=": "Grüße aus Köln",
    "Third of three": "Third of three",
}


def snapshot(directory):
    """Every path below with its size and time of change; where a file is accessed from is no matter."""
    found = {}
    for parent, folders, files in os.walk(directory):
        for name in [*folders, *files]:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            found[os.path.relpath(path, directory)] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def store(node, subject, flags):
    client = imaplib.IMAP4(*node.addresses["imap"][0], timeout=30)
    answer(client.login(ACCOUNT, PASSWORD))
    answer(client.select("INBOX"))
    uid = answer(client.uid("SEARCH", "SUBJECT", '"%s"' % subject))[0].decode()
    answer(client.uid("STORE", uid, "+FLAGS", flags))
    if "Deleted" in flags:
        answer(client.expunge())
    client.logout()


def shows(screen, *texts):
    """Whether all of them are on a screen that is drawn anew."""
    screen.drawn = b""
    screen.keys("\x0c")
    for _ in range(5):
        screen.read(0.1)
    return all(text in screen.text() for text in texts)


def follow(node, screen):
    deliver(node, [ACCOUNT], letter("While it is open"))
    wait_until("mutt shows what came", 30,
               lambda: shows(screen, "Count:%d " % (len(SUBJECTS) + 1), "While it is open"))
    # mutt compares the times of directories by whole seconds, and misses a second change in one.
    time.sleep(2)
    store(node, "Third of three", "(\\Flagged)")
    wait_until("mutt shows the flag", 30, lambda: shows(screen, "!> Third of three"))
    time.sleep(2)
    store(node, "While it is open", "(\\Deleted)")
    wait_until("mutt shows what went", 30,
               lambda: shows(screen, "Count:%d " % len(SUBJECTS)) and "While it is open" not in screen.text())


def body(program):
    mutt = need("mutt", "mutt")
    with Node(program, [ACCOUNT]) as node:
        for subject in SUBJECTS:
            deliver(node, [ACCOUNT], letter(subject, b"Body of " + subject.split()[0].encode() + b" ends here.\r\n"))
        node.wait_for_maildir()
        directory = node.account_maildir(ACCOUNT)
        home = os.path.join(node.directory, "home")
        os.makedirs(os.path.join(home, "Mail"))
        before = snapshot(directory)
        folder_format = "set index_format='<%Z> %s' status_format='Count:%m New:%n .' sort=mailbox-order"
        with Terminal([mutt, "-n", "-R", "-F", "/dev/null", "-f", directory, "-e", folder_format], HOME=home) as screen:
            screen.wait_for("Count:%d New:%d ." % (len(SUBJECTS), len(SUBJECTS)), *SUBJECTS.values())
            expect("<N" in screen.text(), "nothing is shown as new: " + screen.text())
            # One message, then back and out. Those of one second stand in any order.
            screen.keys("/Plain\n\n")
            screen.wait_for("Body of Plain ends here.")
            screen.keys("i")
            screen.keys("x")
            expect(screen.wait_for_end() == 0, "mutt did not end well")
        after = snapshot(directory)
        changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        expect(not changed, "read-only mutt changed %s" % changed)
        # Opened read-only, it takes no flag from anybody.
        live = folder_format + " timeout=1 mail_check=0 mark_old=no"
        with Terminal([mutt, "-n", "-F", "/dev/null", "-f", directory, "-e", live], HOME=home) as screen:
            screen.wait_for("Count:%d" % len(SUBJECTS))
            follow(node, screen)
            screen.keys("x")
            expect(screen.wait_for_end() == 0, "mutt did not end well")
        # Moving marks into file names is what it does otherwise: the node has to bear it and to keep its mail.
        writing = folder_format + " mark_old=yes"
        with Terminal([mutt, "-n", "-F", "/dev/null", "-f", directory, "-e", writing], HOME=home) as screen:
            screen.wait_for("Count:%d" % len(SUBJECTS))
            screen.keys("/Plain\n\n")
            screen.wait_for("Body of Plain ends here.")
            screen.keys("i")
            screen.keys("q")
            expect(screen.wait_for_end() == 0, "mutt did not end well")
        deliver(node, [ACCOUNT], letter("After mutt"))
        node.wait_for_files(ACCOUNT, len(SUBJECTS) + 1)
        with node.pop3(ACCOUNT) as wire:
            wire.ok("STAT", r"\+OK %d " % (len(SUBJECTS) + 1))
        node.do("verify")


main(body)
