#!/usr/bin/env python3
"""`import maildir` reads what Dovecot, Courier and maildrop have made, `import mbox` what Dovecot has made.

Promised: a tree that Debian's Dovecot has made by IMAP, with a pop3 session, comes with UIDs, UIDVALIDITY, flags, keywords,
dates, octets, subscriptions and POP3 UIDLs; one that Courier has made, its keywords in its list and beside it, its names in
UTF-8, with the same as far as it has them; what maildrop has delivered into it meanwhile comes too; read again, nothing
comes twice. An mbox that Dovecot has filled comes with flags, keywords and UIDs, and so does one that we exported; `>From ` in its
forms is read as it was written.

Usage: import_maildir.py LETTERLOG
"""
import imaplib
import os
import poplib
import random
import subprocess

from import_imap import (ANN, ACCOUNTS, KEYWORDS, compare, compare_next, compare_with_courier, fill, letter, listed,
                         next_uids, ours, snapshot, theirs)
from node import Node, PASSWORD, answer, expect, expect_match, main, need, write
from peers import Courier, Dovecot, SECRET

BEN, CAS, _, EVE, FAY = ACCOUNTS[1:6]
NAMES = ["Sent", "Projekte", "Projekte/&AMQ-rger &- S&APY-hne", "Deep/er/est", "a.b", "~tilde"]


def import_(node, *arguments, status=0):
    code, out, err = node.run("import", *arguments)
    expect(code == status, "import %s: exit %d: %s%s" % (" ".join(arguments), code, out, err))
    return out + err


def pop3_uidls(port, account, password):
    client = poplib.POP3("127.0.0.1", port)
    client.user(account)
    client.pass_(password)
    uidls = [line.split()[1] for line in client.uidl()[1]]
    client.quit()
    return uidls


def from_dovecot(node):
    with Dovecot() as dovecot:
        with theirs(dovecot.ports["imap"], ANN) as client:
            # What a file's name has letters for: Dovecot keeps further keywords in its index alone.
            fill(client, random.Random(31), folders=NAMES, messages=150, keywords=KEYWORDS[:26])
            there, after = snapshot(client), next_uids(client)
            subscribed = listed(client, "LSUB")
        uidls = pop3_uidls(dovecot.ports["pop3"], ANN, SECRET)
        said = import_(node, "maildir", ANN, os.path.join(dovecot.mail, ANN))
        expect(" new," not in said, "UIDs were not kept: " + said)
        with ours(node, ANN) as client:
            compare(there, snapshot(client))
            compare_next(after, next_uids(client))
            expect(set(subscribed) <= set(listed(client, "LSUB")), "subscriptions")
        expect_match(r"^0 messages", import_(node, "maildir", ANN, os.path.join(dovecot.mail, ANN)).splitlines()[-1], "again")
    return uidls


def maildrop(courier, number):
    """Delivered by Courier's own agent for that."""
    program = need("maildrop", "maildrop")
    recipe = write(os.path.join(courier.directory, "recipe"), 'to "%s"\n' % courier.maildir)
    courier.own()
    subprocess.run([program, recipe], input=letter(number).replace(b"\r\n", b"\n"), check=True, timeout=30,
                   env={"PATH": "/usr/bin:/bin", "HOME": courier.directory}, cwd=courier.directory, **courier.identity)


def from_courier(node):
    with Courier() as courier:
        client = imaplib.IMAP4("127.0.0.1", courier.port)
        fill(client, random.Random(32), folders=NAMES[:4], separator=".", prefix="INBOX.", messages=80)
        client.logout()
        # The keywords of this one are in a file of their own; the list is written at the next visit.
        client = imaplib.IMAP4("127.0.0.1", courier.port)
        answer(client.select("INBOX"))
        answer(client.uid("STORE", "4", "FLAGS", "(\\Seen unlisted)"))
        client.logout()
        lists = set(os.listdir(courier.maildir)) | set(os.listdir(courier.maildir + "/courierimapkeywords"))
        expect({"courierimapuiddb", "courierimapsubscribed", ":list"} <= lists, "Courier's lists: %s" % sorted(lists))
        said = import_(node, "maildir", BEN, courier.maildir)
        client = imaplib.IMAP4("127.0.0.1", courier.port)
        there, after = snapshot(client, "INBOX."), next_uids(client, "INBOX.")
        expect("unlisted" in there["INBOX"][1][4][0], "Courier has not kept a keyword")
        with ours(node, BEN) as here:
            kept = compare_with_courier(there, snapshot(here), said)
            compare_next({name: after[name] for name in kept}, next_uids(here))
            expect({"Sent", "Projekte"} <= set(listed(here, "LSUB")), "subscriptions")
        client.logout()
        for number in (8_001, 8_002):
            maildrop(courier, number)
        expect_match(r"INBOX .* 2 imported, ", import_(node, "maildir", BEN, courier.maildir), "what maildrop delivered")


def mboxes(node):
    """Our own, Dovecot's, and the forms of quoting."""
    work = os.path.join(node.directory, "mbox")
    os.mkdir(work)
    node.do("export", "mbox", ANN, work + "/out", "--mailbox", "INBOX")
    node.do("import", "mbox", CAS, work + "/out/INBOX.mbox")
    with ours(node, ANN) as source, ours(node, CAS) as client:
        compare({"INBOX": snapshot(source)["INBOX"]}, {"INBOX": snapshot(client)["INBOX"]})
    again = node.do("import", "mbox", CAS, work + "/out/INBOX.mbox")
    expect_match(r"^0 messages", again.splitlines()[-1], "the same file again")
    head = "From a@b Tue Jul  1 10:52:37 2003\nSubject: x\n\n"
    for form, stored in (("mboxrd", b">From there\r\nFrom here\r\n"), ("mboxo", b">>From there\r\nFrom here\r\n"),
                         ("none", b">>From there\r\n>From here\r\n")):
        with open(work + "/forms", "w") as file:
            file.write(head + ">>From there\n>From here\n\n")
        node.do("import", "mbox", EVE, work + "/forms", "--form", form, "--mailbox", form)
        with ours(node, EVE) as client:
            (_, text, _), = snapshot(client)[form][1].values()
            expect(text == b"Subject: x\r\n\r\n" + stored, "%s: %r" % (form, text))
    dovecots_mbox(node, work)


def dovecots_mbox(node, work):
    extra = "mail_location = mbox:{0}/box:INBOX={0}/spool\nmbox_write_locks = fcntl\n"
    # Dovecot steps down to `nobody`, who has to get to the file.
    os.chmod(node.directory, 0o711)
    with Dovecot(extra=extra.format(work)) as dovecot:
        os.mkdir(work + "/box")
        dovecot.own(work)
        with theirs(dovecot.ports["imap"], FAY) as client:
            for number in range(20):
                content = letter(number) + b"From me Tue Jul  1 10:52:37 2003\r\n>From there\r\n" * (number % 4 == 0)
                flags = ["\\Seen"] * (number % 2) + ["work"] * (number % 3 == 0) + ["\\Flagged"] * (number % 5 == 0)
                date = imaplib.Time2Internaldate(1_500_000_000 + number)
                answer(client.append("INBOX", "(%s)" % " ".join(flags), date, content))
            answer(client.select("INBOX"))
            answer(client.uid("STORE", "2,5,19:20", "+FLAGS", "(\\Deleted)"))
            answer(client.expunge())
            answer(client.close())
            validity, messages = snapshot(client)["INBOX"]
            after = next_uids(client)["INBOX"]
        said = import_(node, "mbox", FAY, work + "/spool")
        with ours(node, FAY) as client:
            found = snapshot(client)["INBOX"]
            expect(found[0] == validity, "UIDVALIDITY of Dovecot's mbox: %d, not %d: %s" % (found[0], validity, said))
            expect({uid: each[:2] for uid, each in found[1].items()} == {uid: each[:2] for uid, each in messages.items()},
                   "Dovecot's mbox: %s, not %s" % (sorted(found[1]), sorted(messages)))
            compare_next({"INBOX": after}, next_uids(client))


def body(program):
    with Node(program, ACCOUNTS) as node:
        uidls = from_dovecot(node)
        if uidls:
            expect(pop3_uidls(node.port("pop3"), ANN, PASSWORD) == uidls, "other POP3 UIDLs than Dovecot gave")
        from_courier(node)
        mboxes(node)
        code, out, _ = node.run("import", "maildir", EVE, node.directory)
        expect(code == 1, "what is no Maildir was taken: " + out)
        node.wait_for_maildir()
        node.do("verify", "--maildir")


if __name__ == "__main__":
    main(body)
