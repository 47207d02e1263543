#!/usr/bin/env python3
"""Moving in and out, as docs/operating/migrate-in.md and migrate-out.md say it, to the letter.

Promised: the blocks of commands of both pages, run as they stand on a fresh store, bring the mail of two accounts of
Debian's Dovecot in, a Maildir and a spool too, and the same mail out again; an mbsync and a client with QRESYNC that had it all from our node find
nothing to download at a Dovecot that serves the tree, and Dovecot sends no text of a message; mutt opens what was exported.

Usage: migrate.py LETTERLOG
"""
import os
import random
import re
import urllib.request

from import_imap import (ANN, BEN, CAS, KEYWORDS, compare, compare_next, fill, letter, listed, next_uids, ours, snapshot,
                         theirs)
from node import DOMAIN, Node, PASSWORD, Wire, answer, expect, expect_match, main, need, run, run_well, wait_until, write
from peers import Dovecot, SECRET
from terminal import Terminal

PAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/operating")
MBSYNC = """
IMAPAccount it
Host 127.0.0.1
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs *

IMAPStore there
Account it

MaildirStore here
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :there:
Near :here:
Patterns * !Deep*
Create Near
Sync Pull
SyncState {home}/state/
"""


def blocks(page, kind):
    """The indented blocks of a page that begin with `# kind`."""
    with open(os.path.join(PAGES, page)) as file:
        text = file.read()
    found = re.findall(r"^    # %s\n((?:    .*\n)+)" % kind, text, re.M)
    expect(found, "%s has no block `# %s`" % (page, kind))
    return ["".join(line[4:] + "\n" for line in block.splitlines()) for block in found]


def follow(page, program, values, number=None):
    """Runs the blocks of a page, its variables set to ours; what it said."""
    names = re.findall(r"^(\w+)=", "".join(blocks(page, "yours")), re.M)
    expect(set(names) == set(values), "%s sets %s" % (page, names))
    environment = dict(os.environ, PATH=os.path.dirname(program) + ":" + os.environ["PATH"], **values)
    said = ""
    for index, block in enumerate(blocks(page, "run")):
        if number is None or index in number:
            said += run_well(["sh", "-euc", block], env=environment, cwd=values.get("HERE", "/"), seconds=120).decode()
    return said


def mbsync(home, port, password):
    configuration = write(os.path.join(home, "mbsyncrc"),
                          MBSYNC.format(home=home, port=port, user=ANN, password=password))
    code, said = run([need("mbsync", "isync"), "-c", configuration, "-V", "-Dn", "all"], seconds=120)
    said = said.decode("utf-8", "replace")
    wrong = re.search(r"(?:.*\n){0,12}.*(?:Error|cannot be opened).*\n", said)
    expect(code == 0, "mbsync ended with %d: %s" % (code, wrong[0] if wrong else said[-1500:]))
    return said


def fetched(home):
    """The messages that mbsync has, without their flags."""
    return sorted(name.split(":")[0] for _, _, files in os.walk(home + "/mail") for name in files if name[:1].isdigit())


class Resync:
    """What a client with QRESYNC keeps of a folder, and how it comes back (RFC 7162 section 3.2.5)."""

    def __init__(self, port, password, folder):
        self.folder = folder
        with self.session(port, password) as wire:
            lines = self.command(wire, "SELECT %s (CONDSTORE)" % folder)
            self.validity = int(re.search(r"UIDVALIDITY (\d+)", lines)[1])
            self.modseq = int(re.search(r"HIGHESTMODSEQ (\d+)", lines)[1])
            self.messages = self.fetched(self.command(wire, "UID FETCH 1:* (FLAGS)"))

    @staticmethod
    def fetched(lines):
        """UID -> flags, of what FETCH says."""
        found = {}
        for line in lines.splitlines():
            if " FETCH (" in line:
                flags = re.search(r"FLAGS \(([^)]*)\)", line)[1].lower().split()
                found[int(re.search(r"UID (\d+)", line)[1])] = set(flags) - {"\\recent"}
        return found

    def session(self, port, password):
        wire = Wire(("127.0.0.1", port))
        wire.line()
        self.command(wire, "LOGIN %s %s" % (ANN, password))
        self.command(wire, "ENABLE QRESYNC")
        return wire

    @staticmethod
    def command(wire, text):
        wire.send(("t %s\r\n" % text).encode())
        lines = []
        while True:
            line = wire.line()
            if line.startswith("t "):
                expect(line.startswith("t OK"), "%s: %s" % (text, line))
                return "\n".join(lines + [line])
            lines.append(line)

    def again(self, port, password, letters):
        """At the other server: nothing of what it knew is gone or has another number; flags are the same."""
        with self.session(port, password) as wire:
            known = ",".join(str(uid) for uid in sorted(self.messages))
            lines = self.command(wire, "SELECT %s (QRESYNC (%d %d %s))" % (self.folder, self.validity, self.modseq, known))
            expect("UIDVALIDITY %d" % self.validity in lines, "%s: another UIDVALIDITY: %s" % (self.folder, lines[:500]))
            gone = re.search(r"VANISHED \(EARLIER\) (\S+)", lines)
            expect(not gone, "%s: gone: %s" % (self.folder, gone and gone[0]))
            # Keywords without a letter are not in a Maildir.
            wanted = {uid: {flag for flag in flags if flag.startswith("\\") or flag in letters}
                      for uid, flags in self.messages.items()}
            told = self.fetched(lines)
            expect(all(wanted.get(uid) == flags for uid, flags in told.items()),
                   "%s: other flags: %s" % (self.folder, told))
            now = self.fetched(self.command(wire, "UID FETCH 1:* (FLAGS)"))
            expect(now == wanted, "%s: %s" % (self.folder, [uid for uid in wanted if now.get(uid) != wanted[uid]]))


def move_in(program, node, dovecot):
    for name, seed in ((ANN, 21), (BEN, 22)):
        with theirs(dovecot.ports["imap"], name) as client:
            fill(client, random.Random(seed), messages=120)
    here = os.path.join(node.directory, "in")
    os.mkdir(here)
    with theirs(dovecot.ports["imap"], CAS) as client:
        # What a file's name has letters for: Dovecot keeps further keywords in its index alone.
        fill(client, random.Random(23), messages=60, keywords=KEYWORDS[:26])
    with open(here + "/spool", "wb") as file:
        for number in range(3):
            file.write(b"From a@source.test Tue Jul  1 10:52:37 2003\n" + letter(8_000 + number).replace(b"\r\n", b"\n") + b"\n")
    with open(here + "/accounts.csv", "w") as file:
        file.write("".join("%s,%s,%s\n" % (name, name, SECRET) for name in (ANN, BEN)))
    with open(here + "/passwords.csv", "w") as file:
        file.write("".join("%s,%s\n" % (name, PASSWORD) for name in (ANN, "alice@" + DOMAIN, BEN)))
    os.environ.update(LETTERLOG_STORAGE_SOFT_FREE="64000000", LETTERLOG_STORAGE_HARD_FREE="32000000",
                      LETTERLOG_MAILDIR_ROOT=node.maildir)
    said = follow("migrate-in.md", program, {
        "STORE": node.store, "DOMAIN": DOMAIN, "OLD": "localhost", "PORT": str(dovecot.ports["imaps"]),
        "CA": dovecot.directory + "/cert.pem", "ACCOUNTS": here + "/accounts.csv", "PASSWORDS": here + "/passwords.csv",
        "TREE": os.path.join(dovecot.mail, CAS), "SPOOL": here + "/spool"})
    expect_match(r"3 messages into spool of", said, "the spool")
    expect_match(r"\d+ messages in \d+ folders of localhost into 2 accounts\n(?s:.*)\n0 messages in", said, "moving in")


def metric(node, name):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % node.port("http"), timeout=30) as page:
        return int(re.search(r"^letterlog_maildir_%s (\d+)$" % name, page.read().decode(), re.M)[1])


def drift(node):
    """What somebody changes in a tree is seen by itself, and `verify` says where it is; a rebuild mends it."""
    node.wait_for_maildir()
    expect(metric(node, "differences_total") == 0, "a tree that nobody has touched differs")
    victim = node.files(ANN)[0]
    os.remove(victim)
    wait_until("the metric tells of the lost file", 90, lambda: metric(node, "differences_total") > 0)
    code, out, err = node.run("verify", "--maildir")
    expect(code == 1 and os.path.basename(victim).split(":")[0] in out + err, "verify --maildir: %s%s" % (out, err))
    node.do("rebuild", "--projection", "maildir")
    node.do("verify", "--maildir")


def move_out(program, node, home):
    os.makedirs(home + "/mail")
    os.makedirs(home + "/state")
    node.start()
    mbsync(home, node.port("imap"), PASSWORD)
    resyncs = [Resync(node.port("imap"), PASSWORD, name) for name in ("INBOX", "Projekte", '"Old Things"')]
    with ours(node, ANN) as client:
        answer(client.append("INBOX", "(\\Seen last)", None, letter(7_777)))
    mbsync(home, node.port("imap"), PASSWORD)
    resyncs[0] = Resync(node.port("imap"), PASSWORD, "INBOX")
    with ours(node, ANN) as client:
        before, subscribed = snapshot(client), set(listed(client, "LSUB"))
    node.stop()
    had = fetched(home)
    expect(len(had) > 100, "mbsync has only %d messages" % len(had))
    new = os.path.join(node.directory, "new")
    follow("migrate-out.md", program, {"STORE": node.store, "MAILDIR": node.maildir, "NEW": new})
    letters = lettered(node)
    configuration, = blocks("migrate-out.md", "dovecot")
    with Dovecot(new, extra=configuration.replace("/srv/dovecot", new)) as dovecot:
        said = mbsync(home, dovecot.ports["imap"], SECRET)
        expect(fetched(home) == had, "mbsync pulled again: %s" % said[-800:])
        for resync in resyncs:
            resync.again(dovecot.ports["imap"], SECRET, letters)
        with open(dovecot.directory + "/log") as log:
            sent = [int(count) for count in re.findall(r"body_count=(\d+)", log.read())]
        expect(not any(sent), "Dovecot sent texts of messages: %s" % sent)
        with theirs(dovecot.ports["imap"], ANN) as client:
            after = snapshot(client)
            expect(subscribed - set(listed(client, "LSUB")) == set(), "subscriptions")
        for name, (validity, messages) in before.items():
            expect(after[name][0] == validity and sorted(after[name][1]) == sorted(messages), name + ": other numbers")
            for uid, (flags, text, date) in messages.items():
                kept = {flag for flag in flags if flag.startswith("\\") or flag in letters}
                expect(after[name][1][uid] == (kept, text, date), "%s UID %d: %s, was %s" % (
                    name, uid, after[name][1][uid][0], flags))
    return new


def lettered(node):
    """Keywords of the account that have a letter, in lower case."""
    with open(node.account_maildir(ANN) + "/dovecot-keywords") as file:
        return {line.split()[1].lower() for line in file}


def mutt_reads(new):
    mutt = need("mutt", "mutt")
    os.makedirs(new + ".home/Mail")
    for folder in (new + ".tree/alice@" + DOMAIN, new + ".folder", new + ".mbox/INBOX.mbox"):
        expect(os.path.exists(folder), "%s was not written" % folder)
        with Terminal([mutt, "-n", "-R", "-F", "/dev/null", "-f", folder, "-e", "set quit=yes", "-e", "push q"],
                      HOME=new + ".home") as screen:
            expect(screen.wait_for_end() == 0, "mutt did not open %s" % folder)


def body(program):
    program = os.path.abspath(program)
    with Dovecot() as dovecot:
        node = Node(program)
        # Dovecot steps down to `nobody`, who has to get to the tree.
        os.chmod(node.directory, 0o711)
        try:
            move_in(program, node, dovecot)
            node.start()
            for name in (ANN, BEN):
                with theirs(dovecot.ports["imap"], name) as source, ours(node, name) as client:
                    compare(snapshot(source), snapshot(client))
                    compare_next(next_uids(source), next_uids(client))
            with theirs(dovecot.ports["imap"], CAS) as source, ours(node, "alice@" + DOMAIN) as client:
                found = snapshot(client)
                expect(sorted(each[1] for each in found.pop("spool")[1].values()) == [letter(8_000 + each) for each in range(3)],
                       "the spool")
                compare(snapshot(source), found)
            drift(node)
            node.stop()
            new = move_out(program, node, node.directory + "/home")
            mutt_reads(new)
        except BaseException:
            node.show_log()
            raise
        finally:
            node.remove()


if __name__ == "__main__":
    main(body)
