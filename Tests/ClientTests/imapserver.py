"""The IMAP server that the scripts imap_*.py talk to: a node, or, called with `--dovecot` in place of the program,
Debian's Dovecot. A script is tried against that one first, so that what fails later is not the script.
"""
import imaplib
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ConversationTests"))

from node import PASSWORD, SOCKET_SECONDS_MAX, Wire, answer, deliver, expect, letter, write  # noqa: E402
import servers  # noqa: E402


class Server:
    """Started with its accounts; `directory` is for what the clients keep."""

    def __init__(self, program, accounts):
        self.place = servers.Dovecot() if program == "--dovecot" else servers.Letterlog(program)
        self.accounts = accounts
        self.is_ours = program != "--dovecot"

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="letterlog-imap-client-")
        self.place.__enter__()
        try:
            if not self.is_ours:
                self.place.users = list(self.accounts)
            self.place.start(self.accounts)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *raised):
        try:
            self.place.__exit__(*raised)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def port(self, name="imap"):
        return self.place.address(name)[1]

    def deliver(self, account, content):
        """By LMTP."""
        deliver(Addresses(self.place), [account], content, name="lmtp")

    def login(self, account):
        """A second client: Python's own, logged in."""
        client = imaplib.IMAP4("127.0.0.1", self.port(), timeout=SOCKET_SECONDS_MAX)
        answer(client.login(account, PASSWORD))
        return client

    def append(self, account, mailbox, *contents, flags=None):
        client = self.login(account)
        for content in contents:
            answer(client.append(mailbox, flags, None, content))
        client.logout()

    def state(self, account, mailbox):
        """UID -> (flags without \\Recent, subject) as a second client sees it."""
        client = self.login(account)
        answer(client.select(mailbox, readonly=True))
        found = {}
        for item in answer(client.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")):
            if isinstance(item, tuple):
                head = item[0].decode()
                uid = int(head.split("UID ")[1].split(" ")[0].rstrip(")"))
                flags = set(head.split("FLAGS (")[1].split(")")[0].split()) - {"\\Recent"}
                found[uid] = (flags, item[1].decode("utf-8", "replace").strip().partition(": ")[2])
        client.logout()
        return found

    def subjects(self, account, mailbox):
        return sorted(subject for _, subject in self.state(account, mailbox).values())

    def home(self, name):
        """A directory for a client's files."""
        path = os.path.join(self.directory, name)
        os.makedirs(path)
        return path


class Addresses:
    """What `deliver` of node.py asks of a node."""

    def __init__(self, place):
        self.place = place

    def wire(self, name):
        wire = Wire(self.place.address(name))
        wire.reply()
        return wire


__all__ = ["PASSWORD", "Server", "answer", "expect", "letter", "write"]
