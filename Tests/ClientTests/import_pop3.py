#!/usr/bin/env python3
"""POP3 clients that leave their mail on the server download nothing again after a move.

Promised: mpop, fetchmail and getmail, which have fetched all from Dovecot (with UIDLs of another form than ours, which its
list keeps) or from Courier (with UIDLs in its list), fetch nothing from our node after `import maildir`, and only what has
come since; nor do they from the next Dovecot, when the tree goes there. So too after `import imap` from a Dovecot with UIDLs
of its usual form. UIDLs outlast a rebuild, and stay unique when messages are copied and moved.

Usage: import_pop3.py LETTERLOG
"""
import imaplib
import os
import random

from import_imap import ANN, BEN, CAS, ACCOUNTS, import_imap, letter, ours, theirs
from node import Node, PASSWORD, Wire, answer, delivery_agent, deliver, expect, main, need, run, write
from peers import Courier, Dovecot, SECRET

COUNT = 24


class Fetcher:
    """A client with its memory in a home of its own; its server and password may change, as for a person who moves."""

    def __init__(self, directory, account):
        self.home = os.path.join(directory, type(self).__name__ + "-" + account.split("@")[0])
        self.account = account
        self.got, self.agent = delivery_agent(self.home)

    def fetch(self, port, password):
        """How many messages came."""
        before = len(os.listdir(self.got))
        command, none = self.command(port, password)
        code, said = run(command, env={**os.environ, "HOME": self.home, "FETCHMAILHOME": self.home, "LC_ALL": "C.UTF-8"})
        expect(code in (0, none), "%s: exit %d: %s" % (type(self).__name__, code, said[-800:]))
        return len(os.listdir(self.got)) - before


class Mpop(Fetcher):
    def command(self, port, password):
        config = write(self.home + "/mpoprc", "account default\nhost 127.0.0.1\nport %d\nuser %s\npassword %s\nauth user\n"
                       "tls off\nkeep on\nreceived_header off\nuidls_file %s\ndelivery mda %s\n"
                       % (port, self.account, password, self.home + "/uidls", self.agent))
        return [need("mpop", "mpop"), "-C", config], 0


class Fetchmail(Fetcher):
    def command(self, port, password):
        config = write(self.home + "/fetchmailrc",
                       'set invisible\npoll 127.0.0.1 service %d protocol pop3 uidl auth password\n'
                       '  user "%s" password "%s" sslproto "" keep no rewrite mda "%s"\n'
                       % (port, self.account, password, self.agent))
        return [need("fetchmail", "fetchmail"), "-f", config, "-i", self.home + "/ids", "--pidfile", self.home + "/pid",
                "--nosyslog", "-v"], 1


class Getmail(Fetcher):
    def command(self, port, password):
        write(self.home + "/getmailrc",
              "[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = %d\nusername = %s\npassword = %s\n"
              "[destination]\ntype = MDA_external\npath = %s\nallow_root_commands = true\n[options]\ndelete = false\n"
              "read_all = false\ndelivered_to = false\nreceived = false\n" % (port, self.account, password, self.agent))
        # It remembers by server, port and user: the port is part of where somebody has moved to.
        for name in os.listdir(self.home):
            if name.startswith("oldmail-"):
                parts = name.split("-")
                parts[parts.index(next(part for part in parts if part.isdigit()))] = str(port)
                os.rename(os.path.join(self.home, name), os.path.join(self.home, "-".join(parts)))
        return [need("getmail", "getmail6"), "--getmaildir", self.home, "--rcfile", "getmailrc"], 0


def fill(client, seed):
    """With gaps, and the highest number gone."""
    choice = random.Random(seed)
    for number in range(COUNT + 4):
        flags = "(\\Seen)" if choice.random() < 0.5 else None
        answer(client.append("INBOX", flags, imaplib.Time2Internaldate(1_500_000_000 + number), letter(number)))
    answer(client.select("INBOX"))
    answer(client.uid("STORE", "2,5,%d:%d" % (COUNT + 3, COUNT + 4), "+FLAGS", "(\\Deleted)"))
    answer(client.expunge())
    answer(client.close())


def uidls(node, account):
    with node.pop3(account) as wire:
        return [line.split(" ", 1)[1] for line in wire.listing("UIDL")]


def moved(node, account, fetchers, before):
    """Nothing comes again, then what is new, once."""
    expect(uidls(node, account) == before, "other UIDLs: %s, not %s" % (uidls(node, account), before))
    for fetcher in fetchers:
        expect(fetcher.fetch(node.port("pop3"), PASSWORD) == 0, "%s downloads again" % type(fetcher).__name__)
    deliver(node, [account], letter(9_000))
    for fetcher in fetchers:
        expect(fetcher.fetch(node.port("pop3"), PASSWORD) == 1, "%s does not get what is new" % type(fetcher).__name__)
    now = uidls(node, account)
    expect(now[:-1] == before and len(set(now)) == len(now), "UIDLs after a delivery: %s" % now)


def listing(port, account):
    with Wire(("127.0.0.1", port)) as wire:
        wire.line()
        wire.ok("USER " + account)
        wire.ok("PASS " + SECRET)
        found = [line.split(" ", 1)[1] for line in wire.listing("UIDL")]
        wire.ok("QUIT")
    return found


def fetchers_of(node, account):
    return [kind(node.directory, account) for kind in (Mpop, Fetchmail, Getmail)]


def from_dovecot(node):
    fetchers = fetchers_of(node, ANN)
    with Dovecot(extra="pop3_uidl_format = %v.%u-old\npop3_save_uidl = yes\n") as dovecot:
        with theirs(dovecot.ports["imap"], ANN) as client:
            fill(client, 61)
        for fetcher in fetchers:
            expect(fetcher.fetch(dovecot.ports["pop3"], SECRET) == COUNT, "%s at Dovecot" % type(fetcher).__name__)
        before = listing(dovecot.ports["pop3"], ANN)
        node.do("import", "maildir", ANN, os.path.join(dovecot.mail, ANN))
    moved(node, ANN, fetchers, before)
    leaving(node, ANN, fetchers)


def from_courier(node):
    fetchers = fetchers_of(node, BEN)
    with Courier() as courier:
        client = imaplib.IMAP4("127.0.0.1", courier.port)
        fill(client, 62)
        client.logout()
        for fetcher in fetchers:
            expect(fetcher.fetch(courier.pop3_port, SECRET) == COUNT, "%s at Courier" % type(fetcher).__name__)
        before = listing(courier.pop3_port, BEN)
        expect(all(uidl.startswith("UID") for uidl in before), "Courier's UIDLs: %s" % before)
        node.do("import", "maildir", BEN, courier.maildir)
    # Courier lists by the names of files, we by UID.
    expect(sorted(uidls(node, BEN)) == sorted(before), "other UIDLs: %s, not %s" % (uidls(node, BEN), before))
    moved(node, BEN, fetchers, uidls(node, BEN))
    leaving(node, BEN, fetchers)


def leaving(node, account, fetchers):
    """And when the tree goes to a Dovecot: its list has the UIDLs that came along."""
    root = node.directory + "/out-" + account.split("@")[0]
    os.chmod(node.directory, 0o711)
    node.do("export", "maildir", account, root)
    before = uidls(node, account)
    with Dovecot(root) as dovecot:
        expect(listing(dovecot.ports["pop3"], account) == before, "other UIDLs at the next Dovecot")
        for fetcher in fetchers:
            expect(fetcher.fetch(dovecot.ports["pop3"], SECRET) == 0, "%s downloads again" % type(fetcher).__name__)
    # The projection beside the store has them as well, as lines that were appended and as a list that was written.
    node.wait_for_maildir()
    node.do("verify", "--maildir")
    with open(node.account_maildir(account) + "/dovecot-uidlist") as file:
        said = [line.split(" P", 1)[1].split(" ")[0] for line in file if " P" in line]
    expect(said == [uidl for uidl in before if "-" in uidl], "the projection's list has %s" % said)


def by_imap(node):
    """Dovecot's usual UIDLs are made of UID and UIDVALIDITY, as ours are."""
    fetchers = fetchers_of(node, CAS)
    with Dovecot() as dovecot:
        with theirs(dovecot.ports["imap"], CAS) as client:
            fill(client, 63)
        for fetcher in fetchers:
            expect(fetcher.fetch(dovecot.ports["pop3"], SECRET) == COUNT, "%s at Dovecot" % type(fetcher).__name__)
        before = listing(dovecot.ports["pop3"], CAS)
        import_imap(node, CAS, "--host", "127.0.0.1", "--port", str(dovecot.ports["imap"]), "--security", "none")
    moved(node, CAS, fetchers, before)


def lasting(node):
    """A rebuild makes the same; a message that is copied, or moved away and back, is another."""
    before = uidls(node, ANN)
    node.stop()
    node.do("rebuild", "--projection", "state", "--check")
    node.do("rebuild", "--projection", "state")
    node.start()
    expect(uidls(node, ANN) == before, "other UIDLs after a rebuild")
    with ours(node, ANN) as client:
        answer(client.select("INBOX"))
        answer(client.uid("COPY", "1", "INBOX"))
        answer(client.uid("MOVE", "3", "Sent"))
        answer(client.select("Sent"))
        answer(client.uid("MOVE", "1", "INBOX"))
    now = uidls(node, ANN)
    expect(len(set(now)) == len(now) == len(before) + 1, "UIDLs are not unique: %s" % now)
    expect(set(before) - set(now) == {before[1]}, "UIDLs that changed: %s" % (set(before) - set(now)))


def body(program):
    with Node(program, ACCOUNTS[:3]) as node:
        from_dovecot(node)
        from_courier(node)
        by_imap(node)
        lasting(node)
        node.do("verify")


if __name__ == "__main__":
    main(body)
