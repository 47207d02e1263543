#!/usr/bin/env python3
"""Programs that keep mailboxes here and there the same: mbsync and offlineimap3.

Promised: all mail, flags and new mailboxes go both ways, deletions too; what arrives is what was stored, octet for octet
but for the line ends of files; and a run with nothing to do transfers nothing.

Usage: imap_sync.py LETTERLOG
"""
import glob
import os
import re
import time

from imapserver import PASSWORD, Server, answer, expect, letter, write
from node import main, need, run

MBSYNC, OFFLINEIMAP = "mbsync@example.test", "offline@example.test"
BODY = b"Zeile mit \xc3\xbc\r\n.dot\r\nFrom the start\r\n\r\nlast\r\n"


def files(folder):
    """Path -> octets with CRLF of a Maildir; what mbsync adds to a header is taken out."""
    found = {}
    for path in glob.glob(folder + "/cur/*") + glob.glob(folder + "/new/*"):
        with open(path, "rb") as file:
            octets = file.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        found[path] = re.sub(rb"(?m)^(X-TUID|X-OfflineIMAP): .*\r\n", b"", octets)
    return found


def drop(folder, octets, flags=""):
    """A message put into a Maildir, as another program would."""
    place = "cur" if flags else "new"
    name = "%d.%d.client.test%s" % (time.time_ns(), os.getpid(), ":2," + flags if flags else "")
    with open(os.path.join(folder, place, name), "wb") as file:
        file.write(octets.replace(b"\r\n", b"\n"))


def set_flags(folder, subject, flags):
    for path, octets in files(folder).items():
        if b"Subject: " + subject.encode() + b"\r\n" in octets:
            base = os.path.basename(path).split(":2,")[0]
            os.rename(path, os.path.join(folder, "cur", base + ":2," + flags))
            return
    expect(False, "no message %s in %s" % (subject, folder))


def with_mbsync(server):
    mbsync, home = need("mbsync", "isync"), server.home("mbsync")
    mail = home + "/mail"
    configuration = write(home + "/mbsyncrc", """
IMAPAccount server
Host 127.0.0.1
Port %d
User %s
Pass %s
SSLType None
AuthMechs LOGIN

IMAPStore far
Account server

MaildirStore near
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
""" % (server.port(), MBSYNC, PASSWORD, mail, mail))
    os.makedirs(mail)

    def sync(what):
        code, said = run([mbsync, "-c", configuration, "-a", "-V", "-D"], env={**os.environ, "HOME": home})
        expect(code == 0, "mbsync, %s: exit %d: %s" % (what, code, said.decode("utf-8", "replace")[-1500:]))
        return said.decode("utf-8", "replace")

    server.append(MBSYNC, "INBOX", *(letter("there %d" % number, BODY) for number in range(5)))
    server.append(MBSYNC, "Archive", letter("flagged", BODY), flags="(\\Seen \\Flagged)")
    sync("the first time")
    here = files(mail + "/INBOX")
    expect(sorted(here.values()) == sorted(letter("there %d" % number, BODY) for number in range(5)),
           "mbsync: other octets, or another number: %d" % len(here))
    flagged = [os.path.basename(path) for path in files(mail + "/Archive")]
    expect(len(flagged) == 1 and set(flagged[0].split(":2,")[1]) == set("FS"), "mbsync: flags %s" % flagged)
    # Nothing to do: nothing is fetched, stored or told. Its debug output has every command.
    quiet = sync("with nothing to do")
    moved = [line for line in quiet.splitlines() if re.search(
        r"(>>> \d+ (UID FETCH \d+ \(BODY|APPEND|UID STORE|UID COPY|UID MOVE|UID EXPUNGE|EXPUNGE|CREATE))", line)]
    expect(not moved, "mbsync: the second run transferred: %s" % moved)
    # Both ways: new mail, flags, a deletion, a mailbox made here.
    drop(mail + "/INBOX", letter("from here", BODY))
    set_flags(mail + "/INBOX", "there 1", "FRS")
    set_flags(mail + "/INBOX", "there 2", "ST")
    for part in ("cur", "new", "tmp"):
        os.makedirs(mail + "/Projects/" + part)
    drop(mail + "/Projects", letter("new mailbox", BODY), "S")
    server.append(MBSYNC, "INBOX", letter("from there", BODY))
    client = server.login(MBSYNC)
    answer(client.select("INBOX"))
    answer(client.store("5", "+FLAGS", "(\\Flagged)"))
    answer(client.store("1", "+FLAGS", "(\\Deleted)"))
    answer(client.expunge())
    client.logout()
    sync("both ways")
    state = {subject: flags for flags, subject in server.state(MBSYNC, "INBOX").values()}
    expect(sorted(state) == ["from here", "from there", "there 1", "there 3", "there 4"], "mbsync: there is %s" % state)
    expect(state["there 1"] == {"\\Seen", "\\Flagged", "\\Answered"}, "mbsync: flags %s" % state["there 1"])
    expect(server.subjects(MBSYNC, "Projects") == ["new mailbox"], "mbsync: the mailbox made here is not there")
    here = {octets.split(b"Subject: ")[1].split(b"\r\n")[0].decode(): path
            for path, octets in files(mail + "/INBOX").items()}
    expect(sorted(here) == sorted(state), "mbsync: here is %s" % sorted(here))
    expect("F" in here["there 4"].split(":2,")[1], "mbsync: the flag set there did not come: %s" % here["there 4"])
    quiet = sync("with nothing to do again")
    expect(not re.search(r">>> \d+ (UID FETCH \d+ \(BODY|APPEND|UID STORE)", quiet), "mbsync: transferred again")


def with_offlineimap(server):
    offlineimap, home = need("offlineimap", "offlineimap3"), server.home("offlineimap")
    mail = home + "/mail"
    configuration = write(home + "/offlineimaprc", """
[general]
accounts = test
metadata = %s/state
ui = basic
maxsyncaccounts = 1
socktimeout = 30

[Account test]
localrepository = here
remoterepository = there

[Repository here]
type = Maildir
localfolders = %s

[Repository there]
type = IMAP
remotehost = 127.0.0.1
remoteport = %d
remoteuser = %s
remotepass = %s
ssl = no
starttls = no
auth_mechanisms = LOGIN
maxconnections = 1
""" % (home, mail, server.port(), OFFLINEIMAP, PASSWORD))

    def sync(what):
        code, said = run([offlineimap, "-c", configuration, "-o", "-1"], seconds=90, env={**os.environ, "HOME": home})
        text = said.decode("utf-8", "replace")
        expect(code == 0 and "ERROR" not in text, "offlineimap, %s: exit %d: %s" % (what, code, text[-2500:]))
        return text

    server.append(OFFLINEIMAP, "INBOX", *(letter("there %d" % number, BODY) for number in range(4)))
    first = sync("the first time")
    expect(first.count("Copy message") == 4, "offlineimap: the first run says: %s" % first)
    expect(sorted(files(mail + "/INBOX").values()) == sorted(letter("there %d" % number, BODY) for number in range(4)),
           "offlineimap: other octets")
    second = sync("with nothing to do")
    expect("Copy message" not in second and "Adding flags" not in second, "offlineimap: the second run: %s" % second)
    drop(mail + "/INBOX", letter("from here", BODY), "S")
    set_flags(mail + "/INBOX", "there 1", "FS")
    client = server.login(OFFLINEIMAP)
    answer(client.select("INBOX"))
    answer(client.store("4", "+FLAGS", "(\\Answered)"))
    answer(client.store("1", "+FLAGS", "(\\Deleted)"))
    answer(client.expunge())
    client.logout()
    sync("both ways")
    state = {subject: flags for flags, subject in server.state(OFFLINEIMAP, "INBOX").values()}
    expect(sorted(state) == ["from here", "there 1", "there 2", "there 3"], "offlineimap: there is %s" % state)
    expect(state["there 1"] == {"\\Seen", "\\Flagged"}, "offlineimap: flags %s" % state)
    here = {octets.split(b"Subject: ")[1].split(b"\r\n")[0].decode(): path
            for path, octets in files(mail + "/INBOX").items()}
    expect(sorted(here) == sorted(state), "offlineimap: here is %s" % sorted(here))
    expect("R" in here["there 3"].split(":2,")[1], "offlineimap: the flag did not come: %s" % here["there 3"])
    last = sync("with nothing to do again")
    expect("Copy message" not in last, "offlineimap: transferred again: %s" % last)


def body(program):
    with Server(program, [MBSYNC, OFFLINEIMAP]) as server:
        with_mbsync(server)
        with_offlineimap(server)


main(body)
