#!/usr/bin/env python3
"""Programs of others in the Maildir of a two-way account, while an IMAP client works on the same messages.

Promised: what mutt flags, deletes and saves to another folder, what maildrop and procmail deliver, and what mbsync
carries both ways between the tree and an account elsewhere, is there over IMAP; changes of both sides to one message
meet; nothing is lost and nothing there twice. `log why` names the import. Once all are done another look makes no event,
and `verify --maildir` and `rebuild --check` hold. Much that is deleted at once waits for `maildir confirm` or `maildir
restore`, with the account served; the samples that the node takes of its trees meanwhile find no drift in it, and end nothing
of the waiting. kill -9 at odd moments loses nothing and doubles nothing.

Usage: maildir_two_way.py LETTERLOG
"""
import glob
import imaplib
import json
import os
import re
import time
import urllib.request
from random import Random

from node import PASSWORD, Node, answer, deliver, expect, letter, main, need, run, run_well, wait_until, write
from terminal import Terminal

TREE, FAR = "tree@example.test", "far@example.test"
LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}


class Site:
    def __init__(self, node):
        self.node = node
        self.tree = node.account_maildir(TREE)
        self.home = os.path.join(node.directory, "home")
        os.makedirs(self.home)

    def mbsync_configuration(self, *patterns):
        """Carries mailboxes both ways between the account elsewhere, over IMAP, and the tree."""
        host, port = self.node.addresses["imap"][0]
        state = os.path.join(self.home, "state")
        os.makedirs(state, exist_ok=True)
        return write(os.path.join(self.home, "mbsyncrc"), """
IMAPAccount far
Host %s
Port %d
User %s
Pass %s
SSLType None
AuthMechs LOGIN

IMAPStore far
Account far

MaildirStore near
Inbox %s
SubFolders Maildir++

Channel all
Far :far:
Near :near:
Patterns %s
Create Both
Expunge Both
SyncState %s/
""" % (host, port, FAR, PASSWORD, self.tree, " ".join(patterns), state))

    def login(self, account=TREE):
        host, port = self.node.addresses["imap"][0]
        client = imaplib.IMAP4(host, port, timeout=30)
        answer(client.login(account, PASSWORD))
        return client

    def over_imap(self, account=TREE, mailbox="INBOX"):
        """Subject -> flags; a subject that comes twice breaks the promise."""
        client = self.login(account)
        answer(client.select(mailbox, readonly=True))
        found = {}
        for item in answer(client.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")):
            if isinstance(item, tuple):
                flags = set(item[0].decode().split("FLAGS (")[1].split(")")[0].split()) - {"\\Recent"}
                subject = item[1].decode().strip().partition(": ")[2]
                expect(subject not in found, "%s is twice in %s of %s" % (subject, mailbox, account))
                found[subject] = flags
        client.logout()
        return found

    def in_tree(self, folder=""):
        """Subject -> (path, flags)."""
        found = {}
        for path in glob.glob(os.path.join(self.tree, folder, "cur", "*")) \
                + glob.glob(os.path.join(self.tree, folder, "new", "*")):
            with open(path, "rb") as file:
                subject = re.search(rb"(?m)^Subject: (.*?)\r?$", file.read()).group(1).decode()
            expect(subject not in found, "%s has two files in %s" % (subject, folder or "INBOX"))
            letters = path.partition(":2,")[2]
            found[subject] = (path, {LETTERS[each] for each in letters if each in LETTERS})
        return found

    def store(self, subject, operation, flags, account=TREE, mailbox="INBOX"):
        client = self.login(account)
        answer(client.select(mailbox))
        uids = answer(client.uid("SEARCH", "SUBJECT", '"%s"' % subject))[0].split()
        expect(len(uids) == 1, "%d messages have the subject %s" % (len(uids), subject))
        answer(client.uid("STORE", uids[0].decode(), operation, flags))
        if "\\Deleted" in flags:
            answer(client.expunge())
        client.logout()

    def metric(self, name):
        host, port = self.node.addresses["http"][0]
        text = urllib.request.urlopen("http://%s:%d/metrics" % (host, port), timeout=30).read().decode()
        return int(re.search(r"(?m)^letterlog_maildir_%s (\d+)$" % name, text).group(1))

    def settle(self):
        """Looks until the tree is quiet."""
        status = json.loads(self.node.do("maildir", "status", TREE, "--json"))
        expect(status["settled"] and not status["refused"] and status["failure"] is None, "not settled: %s" % status)
        return status

    def position(self):
        return json.loads(self.node.do("stats", "--json"))["log_position"]

    def expect_agreed(self, mailboxes):
        self.settle()
        for mailbox, folder in mailboxes.items():
            over_imap = self.over_imap(TREE, mailbox)
            tree = {subject: flags for subject, (_, flags) in self.in_tree(folder).items()}
            expect(over_imap == tree, "%s: over IMAP %s, in the tree %s" % (mailbox, over_imap, tree))
        before = self.position()
        self.settle()
        expect(self.position() == before, "another look made events")
        self.node.do("verify", "--maildir")
        self.node.do("rebuild", "--projection", "maildir", "--check")
        self.node.do("rebuild", "--projection", "state", "--check")


def with_mutt(site):
    mutt = need("mutt", "mutt")
    for number in range(6):
        deliver(site.node, [TREE], letter("mutt %d" % number))
    site.settle()
    client = site.login()
    if b"Archive" not in b" ".join(client.list()[1]):
        answer(client.create("Archive"))
    client.logout()
    site.settle()
    settings = ("set folder='%s' index_format='<%%Z> %%s' status_format='Count:%%m .' sort=subject confirmappend=no "
                "delete=yes mark_old=yes quit=yes wait_key=no move=no sleep_time=0" % site.tree)
    with Terminal([mutt, "-n", "-F", "/dev/null", "-f", site.tree, "-e", settings], HOME=site.home) as screen:
        screen.wait_for("Count:6", "mutt 5")
        screen.keys("/mutt 1\nF")
        screen.keys("/mutt 2\nd")
        screen.keys("/mutt 3\ns")
        screen.wait_for("Save to mailbox")
        screen.keys("\x15=.Archive\n")
        # The same messages over IMAP, before mutt writes what it holds.
        site.store("mutt 1", "+FLAGS", "(\\Answered)")
        site.store("mutt 4", "+FLAGS", "(\\Deleted)")
        screen.keys("/mutt 5\n\n")
        screen.keys("i")
        screen.keys("q")
        expect(screen.wait_for_end() == 0, "mutt did not end well")
    site.expect_agreed({"INBOX": "", "Archive": ".Archive"})
    inbox, archive = site.over_imap(), site.over_imap(TREE, "Archive")
    expect(sorted(inbox) == ["mutt 0", "mutt 1", "mutt 5"], "after mutt there is %s" % inbox)
    expect({"\\Flagged", "\\Answered"} <= inbox["mutt 1"], "mutt 1 has %s" % inbox["mutt 1"])
    expect("\\Seen" in inbox["mutt 5"], "mutt 5 has %s" % inbox["mutt 5"])
    expect(sorted(archive) == ["mutt 3"], "mutt saved %s" % archive)


def with_delivery(site):
    maildrop, procmail = need("maildrop", "maildrop"), need("procmail", "procmail")
    recipe = write(os.path.join(site.home, "mailfilter"),
                   "if (/^Subject: .*archive/)\n{\n  to \"%s/.Archive/\"\n}\nto \"%s/\"\n" % (site.tree, site.tree))
    environment = {"PATH": os.environ["PATH"], "HOME": site.home}
    for number in range(8):
        content = letter("drop %d" % number, b"By maildrop.\r\n").replace(b"\r\n", b"\n")
        run_well([maildrop, recipe], input=content, env=environment)
        content = letter("proc %d" % number, b"By procmail.\r\n").replace(b"\r\n", b"\n")
        run_well([procmail, "DEFAULT=%s/" % site.tree, "MAILDIR=" + site.tree, "/dev/null"], input=content,
                 env=environment)
        deliver(site.node, [TREE], letter("smtp %d" % number))
    run_well([maildrop, recipe], input=letter("to archive").replace(b"\r\n", b"\n"), env=environment)
    site.expect_agreed({"INBOX": "", "Archive": ".Archive"})
    inbox = site.over_imap()
    for number in range(8):
        for program in ("drop", "proc", "smtp"):
            expect("%s %d" % (program, number) in inbox, "%s %d is lost" % (program, number))
    expect("to archive" in site.over_imap(TREE, "Archive"), "what maildrop sorted is not there")
    client = site.login()
    answer(client.select("INBOX"))
    uid = answer(client.uid("SEARCH", "SUBJECT", '"drop 3"'))[0].decode()
    octets = answer(client.uid("FETCH", uid, "(BODY.PEEK[])"))[0][1]
    expect(octets.endswith(b"\r\n\r\nBy maildrop.\r\n") and b"\n" not in octets.replace(b"\r\n", b""),
           "other octets: %r" % octets)
    client.logout()
    why = site.node.do("log", "why", "--account", TREE, "--mailbox", "INBOX", "--uid", uid)
    expect("maildir-import" in why, "the log does not say who brought it: " + why)


def with_mbsync(site):
    mbsync = need("mbsync", "isync")
    configuration = site.mbsync_configuration("INBOX", "Archive")

    def sync(what):
        code, said = run([mbsync, "-c", configuration, "-a", "-V"], env={**os.environ, "HOME": site.home})
        expect(code == 0, "mbsync, %s: exit %d: %s" % (what, code, said.decode("utf-8", "replace")[-1500:]))

    far = site.login(FAR)
    for number in range(5):
        answer(far.append("INBOX", None, None, letter("far %d" % number)))
    far.logout()

    def expect_same(what):
        """After two runs, with a look between, both accounts are the same."""
        for _ in range(2):
            sync(what)
            site.settle()
        here, there = site.over_imap(), site.over_imap(FAR)
        expect(here == there, "%s: here %s, there %s" % (what, here, there))
        expect(site.over_imap(TREE, "Archive") == site.over_imap(FAR, "Archive"), "%s: Archive differs" % what)
        return here

    expect("far 3" in expect_same("the first time"), "what is far did not come")
    # Both ends and the tree at once; mbsync runs while the node has not yet looked.
    site.store("far 0", "+FLAGS", "(\\Flagged)")
    site.store("far 0", "+FLAGS", "(\\Answered)", FAR)
    site.store("far 1", "+FLAGS", "(\\Deleted)")
    site.store("far 2", "+FLAGS", "(\\Deleted)", FAR)
    path, _ = site.in_tree()["drop 1"]
    os.rename(path, os.path.join(site.tree, "cur", os.path.basename(path).partition(":2,")[0] + ":2,RS"))
    path, _ = site.in_tree()["drop 2"]
    os.remove(path)
    site.store("drop 4", "+FLAGS", "(\\Seen)")
    deliver(site.node, [TREE], letter("while it runs"))
    same = expect_same("both ways")
    expect({"\\Flagged", "\\Answered"} <= same["far 0"], "far 0 has %s" % same["far 0"])
    expect({"\\Answered", "\\Seen"} <= same["drop 1"], "drop 1 has %s" % same["drop 1"])
    for gone in ("far 1", "far 2", "drop 2"):
        expect(gone not in same, gone + " is still there")
    expect("while it runs" in same and "drop 4" in same, "lost: %s" % sorted(same))
    site.expect_agreed({"INBOX": "", "Archive": ".Archive"})
    # Nothing to do: nothing is done, here or there.
    before = site.position()
    sync("with nothing to do")
    site.settle()
    expect(site.position() == before, "a run with nothing to do made events")


def with_accident(site):
    before = site.over_imap()
    expect(len(before) > 15, "too few messages for an accident")
    for path, _ in site.in_tree().values():
        os.remove(path)
    status = site.settle()
    expect([each["messages"] for each in status["waiting"]] == [len(before)], "not in quarantine: %s" % status)
    expect(site.over_imap() == before, "deleted without a word")
    expect(site.metric("quarantined_messages") == len(before), "no metric of it")
    # Each account once more, whichever is next.
    samples, drifted = site.metric("samples_total"), site.metric("drifted_total")
    wait_until("samples were taken", 60, lambda: site.metric("samples_total") >= samples + 2)
    expect(site.metric("drifted_total") == drifted, "what waits was sampled as drift")
    expect(site.metric("quarantined_messages") == len(before), "a sample ended the waiting")
    expect(site.over_imap() == before, "deleted by a sample")
    deliver(site.node, [TREE], letter("meanwhile"))
    expect("meanwhile" in site.over_imap(), "the account is not served")
    site.node.do("maildir", "restore", TREE)
    site.expect_agreed({"INBOX": ""})
    expect(set(site.over_imap()) == {*before, "meanwhile"}, "restore lost something")
    kept = sorted(site.in_tree())[:3]
    for subject, (path, _) in site.in_tree().items():
        if subject not in kept:
            os.remove(path)
    site.settle()
    # A restart forgets nothing of it.
    site.node.stop()
    site.node.start()
    expect(len(site.settle()["waiting"]) == 1, "a restart forgot what waits")
    said = site.node.do("maildir", "confirm", TREE)
    expect("%d messages deleted" % (len(before) + 1 - 3) in said, "confirm of %d says %s" % (len(before) + 1 - 3, said))
    expect(sorted(site.over_imap()) == kept, "after confirm there is %s" % site.over_imap())
    site.expect_agreed({"INBOX": ""})


def with_kills(site):
    """kill -9 at odd moments while files come, change and move: all of them are there once, with what was done to them."""
    kept, random = set(site.over_imap()), Random(7)
    brought, flagged, moved = set(), set(), set()
    for round in range(5):
        for number in range(12):
            subject = "kill %d.%d" % (round, number)
            name = "%d.%d_%d.kill.test" % (time.time_ns() // 1_000_000_000, round, number)
            with open(os.path.join(site.tree, "tmp", name), "wb") as file:
                file.write(letter(subject).replace(b"\r\n", b"\n") if number % 2 else letter(subject))
            os.rename(os.path.join(site.tree, "tmp", name), os.path.join(site.tree, "new", name))
            brought.add(subject)
        deliver(site.node, [TREE], letter("killed %d" % round))
        brought.add("killed %d" % round)
        # Old files of this phase: one more letter, and another folder.
        for subject, (path, flags) in sorted(site.in_tree().items()):
            if subject in brought and subject not in flagged and ".letterlog," in path and random.random() < 0.3:
                base, _, letters = os.path.basename(path).partition(":2,")
                try:
                    if random.random() < 0.3:
                        os.rename(path, os.path.join(site.tree, ".Archive", "cur", base + ":2," + letters))
                        moved.add(subject)
                    else:
                        os.rename(path, os.path.join(site.tree, "cur", base + ":2," + "".join(sorted(letters + "F"))))
                        flagged.add(subject)
                except FileNotFoundError:
                    # The node was quicker.
                    pass
        time.sleep(random.random() * 2)
        site.node.kill()
        site.node.start()
    site.expect_agreed({"INBOX": "", "Archive": ".Archive"})
    inbox, archive = site.over_imap(), site.over_imap(TREE, "Archive")
    lost = (kept | brought) - set(inbox) - set(archive)
    expect(not lost, "lost by kill -9: %s" % sorted(lost))
    expect(not set(inbox) & set(archive), "in both mailboxes: %s" % sorted(set(inbox) & set(archive)))
    for subject in flagged:
        expect("\\Flagged" in inbox.get(subject, archive.get(subject)), "%s lost its flag" % subject)
    expect(moved <= set(archive), "not moved: %s" % sorted(moved - set(archive)))


def body(program):
    with Node(program, [TREE, FAR]) as node:
        expect("one-way" in node.do("account", "maildir", TREE), "an account does not begin one-way")
        node.do("account", "maildir", TREE, "two-way")
        expect("maildir      two-way" in node.do("account", "show", TREE), "account show does not tell")
        site = Site(node)
        with_mutt(site)
        with_delivery(site)
        with_mbsync(site)
        with_accident(site)
        with_kills(site)


if __name__ == "__main__":
    main(body)
