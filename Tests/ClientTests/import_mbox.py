#!/usr/bin/env python3
"""`import mbox` reads what mutt saves, and what procmail and maildrop deliver into a spool.

Promised: messages that mutt copies into an mbox come with octets, flags and dates, whatever lines of their text begin with
`From `, as do those of a spool that procmail or maildrop writes and that mutt has read since; read again, none comes twice;
mutt and Dovecot open what `export mbox` writes, with flags and keywords, and nothing is lost on the way back.

Usage: import_mbox.py LETTERLOG
"""
import imaplib
import os
import random
import re
import subprocess

from import_imap import ANN, BEN, CAS, ACCOUNTS, fill, ours, snapshot, theirs
from node import Node, answer, expect, expect_match, main, need, run_well, write
from peers import Dovecot
from terminal import Terminal

DAN, EVE, FAY = ACCOUNTS[3:6]
COUNT = 93
RC = """set quit=yes delete=no move=no copy=no record='' mbox_type=mbox confirmappend=no confirmcreate=no
set sort=mailbox-order mark_old=no read_inc=0 write_inc=0 wait_key=no
push "%s"
"""
# Lines that begin a message where nothing protects them, and some that only look so.
TEXTS = ["plain\n", "From me Tue Jul  1 10:52:37 2003\nSubject: within\n\nmore\n", ">From the start\n>>From further\n",
         "From here on\n", "\n\nFrom you Wed Jul  2 10:52:37 2003\n\n\n", "no end of line", "\n", "Gr\u00fc\u00dfe\n"]
LETTERS = {"": set(), "S": {"\\seen"}, "FS": {"\\flagged", "\\seen"}, "RS": {"\\answered", "\\seen"}}


def text(number):
    return ("From: a%d@source.test\nTo: b@source.test\nSubject: number %d\nDate: Tue, 1 Jul 2003 10:52:37 +0200\n"
            "Message-ID: <%d@source.test>\n\n%s" % (number, number, number, TEXTS[number % len(TEXTS)])).encode()


def stored(content):
    """With CRLF, and the line end that every line of an mbox has."""
    return (content if content.endswith(b"\n") else content + b"\n").replace(b"\n", b"\r\n")


def mutt(folder, home, keys):
    rc = write(os.path.join(home, "muttrc"), RC % keys)
    with Terminal([need("mutt", "mutt"), "-n", "-F", rc, "-f", folder], HOME=home, MAIL=home + "/none") as screen:
        expect(screen.wait_for_end() == 0, "mutt %s: %s" % (keys, screen.text()[-600:]))


def imported(node, account, *arguments):
    said = node.do("import", "mbox", account, *arguments)
    with ours(node, account) as client:
        return said, snapshot(client)


def twice(node, account, *arguments):
    said = node.do("import", "mbox", account, *arguments)
    expect_match(r"^0 messages", said.splitlines()[-1], "%s again" % " ".join(arguments))


def by_mutt(node, work):
    """All tagged and copied into one file, which mutt then shows as it shows the Maildir."""
    os.makedirs(work + "/Mail")
    tree = work + "/tree"
    for part in ("cur", "new", "tmp"):
        os.makedirs(tree + "/" + part)
    flags = {}
    for number in range(COUNT):
        marks = random.Random(number).choice(list(LETTERS))
        flags[number] = LETTERS[marks]
        with open("%s/cur/%d.M%d.source:2,%s" % (tree, 1_000_000_000 + number, number, marks), "wb") as file:
            file.write(text(number))
    box = work + "/saved"
    mutt(tree, work, "<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>%s<enter><quit>" % box)
    with open(box, "rb") as file:
        content = file.read()
    expect(content.count(b"\nContent-Length: ") == COUNT, "mutt saved %d messages" % content.count(b"\nContent-Length: "))
    expect(b"\nFrom me Tue" in content and b"\n>From me" not in content, "mutt protects lines now: is the rule still right?")
    said, found = imported(node, ANN, box, "--mailbox", "saved")
    expect_match(r"saved  %d messages, %d imported, 0 there before, 0 missing" % (COUNT, COUNT), said, "mutt's mbox")
    check(found["saved"][1], flags, "mutt's mbox")
    twice(node, ANN, box, "--mailbox", "saved")


def check(messages, flags, what):
    """Each text once, with its flags."""
    by_text = {}
    for each, octets, _ in messages.values():
        expect(octets not in by_text, what + ": a message came twice")
        by_text[octets] = each
    expect(len(by_text) == len(flags), "%s: %d messages, not %d" % (what, len(by_text), len(flags)))
    for number, wanted in flags.items():
        octets = stored(text(number))
        expect(octets in by_text, "%s: message %d is not as it was: %s" % (
            what, number, [each for each in by_text if b"Subject: number %d\r\n" % number in each]))
        expect(by_text[octets] == wanted, "%s: flags of %d: %s, not %s" % (what, number, by_text[octets], wanted))


def delivered(node, work, name, account, form, numbers, command, before=b""):
    """A spool of a delivery agent with its form of protection, read by mutt afterwards, which rewrites what it marks."""
    spool = "%s/%s" % (work, name)
    home = work + "/" + name + ".home"
    os.makedirs(home + "/Mail")
    for number in numbers:
        subprocess.run(command(spool), input=before + text(number), check=True, timeout=30, cwd=home,
                       env={"PATH": "/usr/bin:/bin", "HOME": home, "LOGNAME": "root"})
    whole = "%d messages, %d imported, 0 there before, 0 missing" % (len(numbers), len(numbers))

    def compare(messages, what):
        # Agents put a line end behind a text that has none, and some a blank line.
        found = sorted(octets.rstrip(b"\r\n") for _, octets, _ in messages.values())
        wanted = sorted(stored(text(number)).rstrip(b"\r\n") for number in numbers)
        expect(found == wanted, "%s: %s" % (what, [each for each in found if each not in wanted]))

    said, found = imported(node, account, spool, "--form", form)
    expect_match("INBOX  " + whole, said, name)
    compare(found["INBOX"][1], name)
    twice(node, account, spool, "--form", form)
    # Read and flagged by mutt: the file has Status, X-Status and Content-Length now, and the same messages.
    mutt(spool, home, "<tag-pattern>~A<enter><tag-prefix><set-flag>!<sync-mailbox><quit>")
    with open(spool, "rb") as file:
        expect(file.read().count(b"\nX-Status: F") == len(numbers), "mutt flagged nothing in " + spool)
    twice(node, account, spool, "--form", form)
    said, found = imported(node, account, spool, "--form", form, "--mailbox", "read")
    expect_match("read  " + whole, said, name + " and mutt")
    compare(found["read"][1], name + " and mutt")
    expect(all("\\flagged" in each[0] for each in found["read"][1].values()), "flags that mutt set")


def exported(node, work):
    """Out as mbox, as mutt and Dovecot have it, and in again."""
    with ours(node, FAY) as client:
        fill(client, random.Random(41), folders=["Projekte", "Old Things"], messages=60)
        for number in range(len(TEXTS)):
            answer(client.append("INBOX", "(\\Seen last)", None, stored(text(number))))
        source = snapshot(client)
    out = work + "/out"
    node.do("export", "mbox", FAY, out)
    home = work + "/out.home"
    os.makedirs(home + "/Mail")
    for name in ("INBOX", "Old Things"):
        validity, messages = source[name]
        counted = [len(messages), sum("\\flagged" in each[0] for each in messages.values()),
                   sum("\\seen" not in each[0] for each in messages.values())]
        rc = write(home + "/muttrc", "set status_format='Count:%m Flagged:%F Unread:%u .' quit=yes\n")
        with Terminal([need("mutt", "mutt"), "-n", "-R", "-F", rc, "-f", "%s/%s.mbox" % (out, name)], HOME=home) as screen:
            screen.wait_for("Count:%d Flagged:%d Unread:%d ." % tuple(counted))
            screen.keys("q")
            expect(screen.wait_for_end() == 0, "mutt did not end well")
    with_dovecot(node, work, out, source)


def with_dovecot(node, work, out, source):
    """Dovecot serves the files: UIDs, UIDVALIDITY, UIDNEXT, flags, keywords and texts; our own import has them all back."""
    extra = "mail_location = mbox:{0}:INBOX={0}/INBOX.mbox\nmbox_write_locks = fcntl\n".format(out)
    with Dovecot(extra=extra) as dovecot:
        dovecot.own(out)
        with theirs(dovecot.ports["imap"], FAY) as client:
            for name, shown in (("INBOX", "INBOX"), ("Old Things", "Old Things.mbox")):
                answer(client.select('"%s"' % shown, readonly=True))
                validity, messages = source[name]
                expect(client.response("UIDVALIDITY")[1] == [b"%d" % validity], "%s: Dovecot has another UIDVALIDITY" % name)
                found = {}
                for item in answer(client.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[])")):
                    if isinstance(item, tuple):
                        uid = int(re.search(rb"UID (\d+)", item[0])[1])
                        flags = set(re.search(rb"FLAGS \(([^)]*)\)", item[0])[1].decode().lower().split()) - {"\\recent"}
                        found[uid] = (flags, item[1])
                expect(sorted(found) == sorted(messages), "%s: Dovecot has other UIDs" % name)
                for uid, (flags, octets, _) in messages.items():
                    expect(found[uid][0] == flags, "%s UID %d: %s, Dovecot has %s" % (name, uid, flags, found[uid][0]))
                    # It takes the protection of lines for part of the text, as its own files have none.
                    bare = re.sub(rb"(?m)^>(>*From )", rb"\1", found[uid][1])
                    expect(bare.rstrip() == octets.rstrip(), "%s UID %d: another text" % (name, uid))
    for name in ("INBOX", "Old Things", "Projekte"):
        node.do("import", "mbox", EVE, "%s/%s.mbox" % (out, name), "--mailbox", name)
    with ours(node, EVE) as client:
        back = snapshot(client)
    for name in ("INBOX", "Old Things", "Projekte"):
        expect(back[name][0] == source[name][0], name + ": another UIDVALIDITY")
        for uid, (flags, octets, date) in source[name][1].items():
            wanted = octets if octets.endswith(b"\n") else octets + b"\r\n"
            expect(back[name][1].get(uid) == (flags, wanted, date), "%s UID %d is not what it was" % (name, uid))


def body(program):
    with Node(program, ACCOUNTS) as node:
        work = os.path.join(node.directory, "mbox")
        os.mkdir(work)
        os.chmod(node.directory, 0o711)
        by_mutt(node, work)
        procmailrc = write(work + "/procmailrc", "DEFAULT=$SPOOL\n")
        # procmail takes one `>From ` for another: what had it before cannot be told.
        delivered(node, work, "procmail", BEN, "mboxo", [number for number in range(40) if number % len(TEXTS) != 2],
                  lambda spool: [need("procmail", "procmail"), "-p", "-m", "SPOOL=" + spool, procmailrc],
                  b"From a@source.test Tue Jul  1 10:52:37 2003\n")
        recipe = write(work + "/recipe", 'to "%s"\n' % (work + "/maildrop"))
        delivered(node, work, "maildrop", CAS, "mboxrd", range(40), lambda spool: [need("maildrop", "maildrop"), recipe])
        exported(node, work)
        node.wait_for_maildir()
        node.do("verify", "--maildir")


if __name__ == "__main__":
    main(body)
