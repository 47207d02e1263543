#!/usr/bin/env python3
"""curl and fetchmail over IMAP.

Promised: curl lists, searches, fetches a message and a part of it, stores flags, appends, and is told of refusals;
fetchmail fetches what is new, keeps it or deletes it, and fetches nothing the second time; it idles and fetches at once.

Usage: imap_fetch.py LETTERLOG
"""
import glob
import os
import subprocess

from imapserver import PASSWORD, Server, expect, letter, write
from node import die_with_parent, main, need, run, run_well, wait_until

CURL, FETCHMAIL, IDLER = "curl@example.test", "fetch@example.test", "idle@example.test"
BODY = b"Zeile mit \xc3\xbc\r\n..two dots\r\nFrom the start\r\n"


def with_curl(server):
    curl = need("curl", "curl")
    base, login = "imap://127.0.0.1:%d/" % server.port(), ["--user", CURL + ":" + PASSWORD]

    def ask(path, *options):
        return run_well([curl, "-sS", "-m", "30", base + path, *login, *options])

    message = letter("by curl", BODY)
    server.append(CURL, "INBOX", message, letter("second"))
    listing = ask("")
    for name in (b"INBOX", b"Drafts", b"Trash"):
        expect(name in listing, "curl: LIST has no %s: %s" % (name, listing))
    expect(ask("INBOX;UID=1") == message or ask("INBOX;MAILINDEX=1") == message, "curl: other octets")
    expect(ask("INBOX;MAILINDEX=1;SECTION=TEXT") == BODY, "curl: SECTION=TEXT")
    expect(ask("INBOX?SUBJECT%20second").split() == [b"*", b"SEARCH", b"2"], "curl: SEARCH")
    expect(b"MESSAGES 2" in ask("", "-X", "STATUS INBOX (MESSAGES)"), "curl: STATUS")
    ask("INBOX", "-X", "STORE 2 +FLAGS (\\Flagged)")
    expect(b"\\Flagged" in ask("INBOX", "-X", "FETCH 2 (FLAGS)"), "curl: STORE")
    path = os.path.join(server.directory, "letter")
    with open(path, "wb") as file:
        file.write(letter("appended", BODY))
    ask("Sent", "-T", path)
    expect(server.subjects(CURL, "Sent") == ["appended"], "curl: APPEND")
    code, _ = run([curl, "-sS", "-m", "30", base + "no-such-mailbox;MAILINDEX=1", *login])
    expect(code in (67, 78), "curl: a mailbox that is not there: exit %d" % code)
    code, _ = run([curl, "-sS", "-m", "30", base, "--user", CURL + ":wrong"])
    expect(code == 67, "curl: a wrong password: exit %d" % code)
    # The strongest mechanism that both know, and the initial response with it.
    expect(b"INBOX" in ask("", "--login-options", "AUTH=PLAIN", "--sasl-ir"), "curl: AUTH=PLAIN")


def fetchmail_files(directory):
    found = {}
    for path in glob.glob(directory + "/*.mail"):
        with open(path, "rb") as file:
            found[path] = file.read()
    return found


def with_fetchmail(server):
    fetchmail, home = need("fetchmail", "fetchmail"), server.home("fetchmail")

    def configuration(name, account, rest):
        into = server.home("into-" + name)
        # Each message to a file of its own; the delivery agent is a shell line.
        agent = 'mda "cat >$(mktemp %s/XXXXXX.mail)"' % into
        path = write(home + "/rc-" + name, "poll 127.0.0.1 proto IMAP port %d auth password user %s password %s %s %s\n"
                     % (server.port(), account, PASSWORD, agent, rest))
        return into, path

    def fetch(path, what, good=(0,)):
        code, said = run([fetchmail, "-f", path, "--sslproto", "", "-v", "--nobounce", "--pidfile", home + "/pid",
                          "-i", home + "/ids"], env={**os.environ, "HOME": home, "FETCHMAILHOME": home})
        expect(code in good, "fetchmail, %s: exit %d: %s" % (what, code, said.decode("utf-8", "replace")[-1500:]))
        return said

    server.append(FETCHMAIL, "INBOX", *(letter("fetch %d" % number, BODY) for number in range(3)))
    into, path = configuration("keep", FETCHMAIL, "keep")
    fetch(path, "the first time")
    found = fetchmail_files(into)
    expect(len(found) == 3, "fetchmail: %d files" % len(found))
    for octets in found.values():
        expect(b"..two dots\nFrom the start\n" in octets.replace(b"\r\n", b"\n"), "fetchmail: %r" % octets)
    # 1 is fetchmail's word for: no mail. What it has read is \\Seen, and it asks for UNSEEN.
    fetch(path, "the second time", good=(1,))
    expect(len(fetchmail_files(into)) == 3, "fetchmail: fetched again")
    expect(all("\\Seen" in flags for flags, _ in server.state(FETCHMAIL, "INBOX").values()), "fetchmail: not \\Seen")
    server.append(FETCHMAIL, "INBOX", letter("fetch more", BODY))
    into, path = configuration("delete", FETCHMAIL, "fetchall nokeep")
    fetch(path, "deleting")
    expect(len(fetchmail_files(into)) == 4, "fetchmail: %d of 4" % len(fetchmail_files(into)))
    expect(server.state(FETCHMAIL, "INBOX") == {}, "fetchmail: not deleted: %s" % server.state(FETCHMAIL, "INBOX"))
    # Idling: a message that comes is fetched without another poll.
    into, path = configuration("idle", IDLER, "idle keep")
    with open(home + "/log", "wb") as log:
        process = subprocess.Popen(
            [fetchmail, "-f", path, "--sslproto", "", "-v", "-N", "--pidfile", home + "/idle-pid", "-i", home + "/idle-ids"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
            env={**os.environ, "HOME": home, "FETCHMAILHOME": home})
    try:
        def idles():
            with open(home + "/log", "rb") as said:
                return b"IDLE" in said.read()
        wait_until("fetchmail idles", 30, idles)
        server.deliver(IDLER, letter("pushed", BODY))
        wait_until("fetchmail has fetched what was pushed", 30, lambda: len(fetchmail_files(into)) == 1)
    finally:
        # In IDLE fetchmail looks at a gentler signal only when the server says something.
        process.kill()
        process.wait(timeout=30)


def body(program):
    with Server(program, [CURL, FETCHMAIL, IDLER]) as server:
        with_curl(server)
        with_fetchmail(server)


main(body)
