#!/usr/bin/env python3
"""Several programs in one two-way Maildir at once, none of which waits for another, while IMAP clients work on the same mail.

Promised: folders whose names need modified UTF-7 and escapes are delivered into, read, saved to and carried by maildrop,
mutt and mbsync; `maildirsize` stops deliverquota where the account is full, and lets it in when IMAP has made room. Then,
all at the same time and with the node killed in between: maildrop and procmail deliver, mbsync carries both ways, mutt
flags, deletes and saves, and IMAP clients flag, move, append and delete the same messages. Nothing that nobody deleted is
lost, nothing is there twice, a flag that one of them alone gave stays, and when they have ended nothing more happens.

Usage: maildir_together.py LETTERLOG
"""
import imaplib
import json
import os
import random
import re
import threading
import time

from maildir_two_way import FAR, TREE, Site
from node import Broken, Node, answer, deliver, expect, letter, main, need, run, run_well, write
from terminal import Terminal

# The name, its folder, and how IMAP writes it (RFC 3501 section 5.1.3; dots as Dovecot's listescape has them).
NAMES = {"Entw&APw-rfe": ".Entw&APw-rfe", "Entw&APw-rfe/a.b": ".Entw&APw-rfe.a\\2eb",
         "&ZeVnLIqe-/~tilde": ".&ZeVnLIqe-.\\7etilde", "R&-D \"x\\\\y\"": ".R&-D \"x\\5cy\""}
CARRIED = ["INBOX", "Archive", "Entw&APw-rfe"]
SECONDS = 14
KILLS = 2


def quoted(name):
    return '"' + name.replace('"', '\\"') + '"'


class Together(Site):
    def __init__(self, node):
        super().__init__(node)
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.home}
        self.mutt = need("mutt", "mutt")
        self.mbsync = need("mbsync", "isync")
        self.maildrop, self.procmail = need("maildrop", "maildrop"), need("procmail", "procmail")
        self.recipes = {}

    def drop(self, subject, folder=""):
        """By maildrop."""
        if folder not in self.recipes:
            target = os.path.join(self.tree, folder).replace("\\", "\\\\").replace('"', '\\"').rstrip("/")
            self.recipes[folder] = write(os.path.join(self.home, "filter%d" % len(self.recipes)), 'to "%s/"\n' % target)
        content = letter(subject, b"By maildrop.\r\n").replace(b"\r\n", b"\n")
        run_well([self.maildrop, self.recipes[folder]], input=content, env=self.environment)

    def proc(self, subject):
        content = letter(subject, b"By procmail.\r\n").replace(b"\r\n", b"\n")
        run_well([self.procmail, "DEFAULT=%s/" % self.tree, "MAILDIR=" + self.tree, "/dev/null"], input=content,
                 env=self.environment)

    def edit(self, keys, folder="", count=None, subject=None):
        """What somebody types into mutt; its exit code. With a subject the keys are for that message alone, and are not
        typed when mutt does not show it."""
        settings = ("set folder='%s' delete=yes mark_old=no quit=yes wait_key=no move=no sleep_time=0 confirmappend=no "
                    "confirmcreate=no index_format='<%%Z> %%s' status_format='Count:%%m .%%V.'" % self.tree)
        with Terminal([self.mutt, "-n", "-F", "/dev/null", "-f", os.path.join(self.tree, folder), "-e", settings],
                      HOME=self.home) as screen:
            screen.wait_for("Count:" if count is None else "Count:%d" % count)
            if subject:
                screen.keys('l~s "^%s$"\n' % subject)
                for _ in range(10):
                    screen.drawn = b""
                    screen.keys("\x0c")
                    screen.read(0.2)
                    if ".~s" in screen.text():
                        break
                else:
                    keys = ""
            screen.keys(keys)
            # mutt does not quit while others change the folder, which they may do for as long as the storm lasts. An
            # error, such as that nothing is tagged, throws away what was typed ahead.
            deadline = time.monotonic() + 2 * SECONDS
            while time.monotonic() < deadline:
                pause = time.monotonic() + 0.2
                while time.monotonic() < pause and screen.read(0.05):
                    pass
                if screen.process.poll() is not None:
                    break
                screen.keys("\x07q")
            return screen.wait_for_end()

    def sync(self):
        """Exit code and what mbsync said."""
        configuration = self.mbsync_configuration(*map(quoted, CARRIED))
        return run([self.mbsync, "-c", configuration, "-a", "-V"], env={**os.environ, "HOME": self.home})

    def everywhere(self, account=TREE):
        """Subject -> (mailbox, flags), over all mailboxes."""
        client = self.login(account)
        names = [line.decode().split(' "/" ')[1] for line in answer(client.list())]
        client.logout()
        found = {}
        for name in names:
            for subject, flags in self.over_imap(account, name).items():
                expect(subject not in found, "%s is in %s and in %s" % (subject, name, found.get(subject, "?")))
                found[subject] = (name, flags)
        return found


def with_names(site):
    client = site.login()
    for name in NAMES:
        answer(client.create(quoted(name)))
    client.logout()
    site.settle()
    for name, folder in NAMES.items():
        expect(os.path.isdir(os.path.join(site.tree, folder, "cur")), "%s has no folder %s" % (name, folder))
        site.drop("into " + folder, folder)
    for folder in (".Made", ".Von&AMQ-u&AN8-en.a\\2eb"):
        # mutt and maildirmake make no names with escapes by themselves; a folder is what it is called.
        run_well([need("maildirmake.maildrop", "maildrop"), os.path.join(site.tree, folder)])
        site.drop("into " + folder, folder)
    deliver(site.node, [TREE], letter("to be saved"))
    site.settle()
    code = site.edit("s\x15=.Entw&APw-rfe.a\\2eb\nq", count=1)
    expect(code == 0, "mutt ended with %d" % code)
    folders = {**{quoted(name): folder for name, folder in NAMES.items()}, "Made": ".Made",
               '"Von&AMQ-u&AN8-en/a.b"': ".Von&AMQ-u&AN8-en.a\\2eb", "INBOX": ""}
    site.expect_agreed(folders)
    for name, folder in NAMES.items():
        expect("into " + folder in site.over_imap(TREE, quoted(name)), "%s: what was delivered is not there" % name)
    expect("to be saved" in site.over_imap(TREE, '"Entw&APw-rfe/a.b"'), "what mutt saved is not there")
    expect(not site.over_imap(), "what mutt saved is still in INBOX")


def with_carrying(site):
    for _ in range(2):
        code, said = site.sync()
        expect(code == 0, "mbsync: exit %d: %s" % (code, said.decode("utf-8", "replace")[-1500:]))
        site.settle()
    here, there = (site.over_imap(account, '"Entw&APw-rfe"') for account in (TREE, FAR))
    expect(here == there and "into .Entw&APw-rfe" in here, "here %s, there %s" % (here, there))


def with_quota(site):
    """deliverquota goes by the `maildirsize` that the node writes."""
    program = need("deliverquota.maildrop", "maildrop")
    rows = map(json.loads, site.node.do("mailbox", "list", TREE, "--json").splitlines())
    site.node.do("account", "quota", TREE, "--size", str(sum(row["octets"] for row in rows) + 20_000))

    def give(subject):
        content = letter(subject, b"0123456789" * 600 + b"\r\n")
        return run([program, site.tree], input=content, env=site.environment)[0]

    site.settle()
    sizes = os.path.join(site.tree, "maildirsize")
    expect(os.path.exists(sizes), "an account with a limit has no maildirsize")
    given = []
    while len(given) < 10:
        code = give("quota %d" % len(given))
        if code != 0:
            break
        given.append("quota %d" % len(given))
        site.settle()
    expect(code == 77, "deliverquota ended with %d after %s" % (code, given))
    expect(1 <= len(given) <= 4, "%d messages of 6 KB went into 20 KB" % len(given))
    site.store(given[0], "+FLAGS", "(\\Deleted)")
    site.settle()
    code = give("quota again")
    expect(code == 0, "with room again deliverquota ended with %d: %s" % (code, open(sizes).read()))
    site.settle()
    inbox = site.over_imap()
    expect(set(given[1:]) | {"quota again"} <= set(inbox) and given[0] not in inbox, "there is %s" % sorted(inbox))
    site.expect_agreed({"INBOX": ""})
    site.node.do("account", "quota", TREE, "--size", "0")
    site.settle()
    expect(not os.path.exists(sizes), "without a limit maildirsize stays")


class Journal:
    """What each did, and may be relied on."""

    def __init__(self):
        self.lock = threading.Lock()
        self.brought, self.doomed, self.moved = set(), set(), set()
        self.answered, self.flagged, self.edited = set(), set(), set()
        self.failures = []

    def pick(self, rng, accept=lambda number: True, among=None):
        with self.lock:
            known = sorted(subject for subject in self.brought - self.doomed
                           if accept(int(subject.split()[-1])) and (among is None or subject in among))
        return rng.choice(known) if known else None


# The node's own, in which a delivered file has become a message.
NAMED = re.compile(r"\d+\.V[0-9a-f]+U\d+E\d+\.")


class Storm:
    """Messages have numbers; mutt writes back what it believes of a message, so those whose number 3 divides are its own
    and no flag of others on them is relied on, and only those it saves or deletes are not moved over IMAP. It forgets what
    it was told about a file that gets another name while the folder is open, so it saves none before that has its own."""

    def __init__(self, site):
        self.site, self.journal, self.stop = site, Journal(), threading.Event()
        self.numbers, self.counts = iter(range(10_000)), {}
        self.number_lock = threading.Lock()

    def subject(self, word):
        with self.number_lock:
            return "%s %d" % (word, next(self.numbers))

    def brought(self, subject):
        with self.journal.lock:
            self.journal.brought.add(subject)

    def worker(self, name, seed, action, pause):
        def body():
            rng = random.Random(seed)
            while not self.stop.is_set():
                try:
                    if action(rng):
                        self.counts[name] = self.counts.get(name, 0) + 1
                except (OSError, imaplib.IMAP4.error):
                    # The node was killed; what was not answered is not in the journal.
                    time.sleep(0.2)
                except Broken as broken:
                    if self.site.node.is_running() and not self.killing:
                        self.journal.failures.append("%s: %s" % (name, broken))
                        return
                time.sleep(pause)
        return threading.Thread(target=body, name=name)

    killing, said = False, ""

    def by_delivery(self, rng):
        kind = rng.randrange(4)
        if kind == 0:
            subject = self.subject("drop")
            self.site.drop(subject)
        elif kind == 1:
            subject = self.subject("far")
            self.site.drop(subject, ".Entw&APw-rfe")
        elif kind == 2:
            subject = self.subject("proc")
            self.site.proc(subject)
        else:
            subject = self.subject("smtp")
            try:
                deliver(self.site.node, [TREE], letter(subject))
            except Broken:
                # Not answered: it may be there or not.
                return False
        self.brought(subject)
        return True

    def over_imap(self, rng, action):
        client = self.site.login()
        try:
            return action(rng, client)
        finally:
            try:
                client.logout()
            except (OSError, imaplib.IMAP4.error):
                pass

    def find(self, client, subject, mailboxes=("INBOX", "Archive", '"Entw&APw-rfe"')):
        for mailbox in mailboxes:
            answer(client.select(mailbox))
            uids = answer(client.uid("SEARCH", "SUBJECT", '"%s"' % subject))[0].split()
            for uid in uids:
                fetched = answer(client.uid("FETCH", uid.decode(), "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
                if any(isinstance(each, tuple) and each[1].strip() == b"Subject: " + subject.encode() for each in fetched):
                    return uid.decode(), mailbox
        return None, None

    def flag_some(self, rng, client):
        subject = self.journal.pick(rng, lambda number: number % 3 != 0)
        uid, _ = self.find(client, subject) if subject else (None, None)
        if uid and any(line and b"FLAGS" in line for line in answer(client.uid("STORE", uid, "+FLAGS", "(\\Answered)"))):
            self.journal.answered.add(subject)
            return True
        return False

    def move_some(self, rng, client):
        subject = self.journal.pick(rng, lambda number: number % 3 == 1)
        uid, mailbox = self.find(client, subject) if subject else (None, None)
        if not uid:
            return False
        self.journal.moved.add(subject)
        answer(client.uid("MOVE", uid, rng.choice([each for each in ("INBOX", "Archive", '"Entw&APw-rfe"')
                                                   if each != mailbox])))
        return True

    def delete_some(self, rng, client):
        subject = self.journal.pick(rng)
        if not subject or rng.random() < 0.7:
            subject = self.subject("append")
            answer(client.append("INBOX", None, None, letter(subject)))
            self.brought(subject)
            return True
        with self.journal.lock:
            self.journal.doomed.add(subject)
        uid, _ = self.find(client, subject)
        if uid:
            answer(client.uid("STORE", uid, "+FLAGS", "(\\Deleted)"))
            answer(client.uid("EXPUNGE", uid))
        return bool(uid)

    def in_tree(self):
        try:
            return self.site.in_tree()
        except Broken:
            # A directory that is read while names change in it shows some twice; in the end none may be there twice.
            return {}

    def by_mutt(self, rng):
        what = rng.choice(["flag", "delete", "save"])
        among = None
        if what == "save":
            among = {subject for subject, (path, _) in self.in_tree().items() if NAMED.match(os.path.basename(path))}
        subject = self.journal.pick(rng, lambda number: number % 3 == 0, among)
        if not subject:
            return False
        if what == "delete":
            with self.journal.lock:
                self.journal.doomed.add(subject)
            keys = 'D~s "^%s$"\nq' % subject
        elif what == "flag":
            return self.site.edit("Fq", subject=subject) == 0
        else:
            self.journal.moved.add(subject)
            self.counts["saves"] = self.counts.get("saves", 0) + 1
            return self.site.edit("s\x15=.Archive\nq", subject=subject) == 0
        return self.site.edit(keys) == 0

    def by_hand(self, rng):
        """As a script may: one more letter."""
        subject = self.journal.pick(rng, lambda number: number % 3 == 2)
        found = self.in_tree() if subject else {}
        if subject not in found:
            return False
        path, _ = found[subject]
        base, _, letters = os.path.basename(path).partition(":2,")
        if "F" in letters or not base:
            return False
        try:
            os.rename(path, os.path.join(self.site.tree, "cur", base + ":2," + "".join(sorted(letters + "F"))))
        except FileNotFoundError:
            return False
        self.journal.flagged.add(subject)
        return True

    def by_mbsync(self, _):
        # It waits while a directory was changed within the last second, and gives up when the node is killed; what it did
        # must be right all the same.
        code, said = self.site.sync()
        self.said = "exit %d: %s" % (code, said.decode("utf-8", "replace")[-600:])
        return b"Error" not in said or code == 0

    def run(self):
        node = self.site.node
        workers = [
            self.worker("delivery", 1, self.by_delivery, 0.02), self.worker("hand", 2, self.by_hand, 0.1),
            self.worker("flags", 3, lambda rng: self.over_imap(rng, self.flag_some), 0.05),
            self.worker("moves", 4, lambda rng: self.over_imap(rng, self.move_some), 0.1),
            self.worker("deletions", 5, lambda rng: self.over_imap(rng, self.delete_some), 0.1),
            self.worker("mutt", 6, self.by_mutt, 0.2), self.worker("mbsync", 7, self.by_mbsync, 0.3),
        ]
        for each in workers:
            each.start()
        for _ in range(KILLS + 1):
            time.sleep(SECONDS / (KILLS + 1))
            if _ < KILLS:
                self.killing = True
                node.kill()
                node.start()
                self.killing = False
        self.stop.set()
        for each in workers:
            each.join()
        expect(not self.journal.failures, "; ".join(self.journal.failures)[:1500])
        idle = [each for each in ["saves"] + [each.name for each in workers] if not self.counts.get(each)]
        expect(not idle, "did nothing: %s; %s; mbsync: %s" % (idle, self.counts, self.said))


def with_all_at_once(site):
    storm = Storm(site)
    storm.run()
    journal = storm.journal
    for _ in range(2):
        site.settle()
        code, said = site.sync()
        expect(code == 0, "mbsync in the end: exit %d: %s" % (code, said.decode("utf-8", "replace")[-1500:]))
    site.expect_agreed({"INBOX": "", "Archive": ".Archive", '"Entw&APw-rfe"': ".Entw&APw-rfe"})
    here = site.everywhere()
    lost = journal.brought - journal.doomed - set(here)
    expect(not lost, "lost of %d: %s; %s" % (len(journal.brought), sorted(lost), storm.counts))
    for name, flags, wanted in (("answered over IMAP", journal.answered, "\\Answered"),
                                ("flagged in the tree", journal.flagged - journal.moved, "\\Flagged")):
        gone = sorted(subject for subject in flags - journal.doomed if wanted not in here[subject][1])
        expect(not gone, "%s and are not: %s; %s" % (name, gone, storm.counts))
    for mailbox in CARRIED:
        a, b = (site.over_imap(account, quoted(mailbox)) for account in (TREE, FAR))
        expect(set(a) == set(b), "%s: only here %s, only there %s" % (mailbox, set(a) - set(b), set(b) - set(a)))
    print(sorted(storm.counts.items()), len(here), "messages; mbsync, the last time:", storm.said)


def body(program):
    with Node(program, [TREE, FAR]) as node:
        node.do("account", "maildir", TREE, "two-way")
        site = Together(node)
        client = site.login()
        if b"Archive" not in b" ".join(client.list()[1]):
            answer(client.create("Archive"))
        client.logout()
        with_names(site)
        with_carrying(site)
        with_quota(site)
        with_all_at_once(site)


if __name__ == "__main__":
    main(body)
