#!/usr/bin/env python3
"""Thunderbird, set up from scratch, on a screen of Xvfb.

Promised: it reads the mailboxes, downloads what is in INBOX, receives a message that is pushed to it while it idles,
sees the flag that a second client sets, and the second client sees what it reads, stars, moves and deletes.

thunderbird.py drives it: what runs is its own code for IMAP.

Usage: imap_thunderbird.py LETTERLOG
"""
import time

from imapserver import PASSWORD, Server, answer, letter
from node import main, wait_until
from thunderbird import Account, Thunderbird

ACCOUNT = "bird@example.test"


class Bird:
    """Thunderbird with that account: `server`, `inbox` and `message(subject)` are its."""

    HEAD = """
        const server = serverOf("%s");
        const inbox = inboxOf("%s");
        const message = subject => named(inbox, subject);
    """ % (ACCOUNT, ACCOUNT)

    def __init__(self, remote):
        self.remote = remote

    def run(self, script, *arguments):
        return self.remote.run(self.HEAD + script, *arguments)

    def wait_for(self, what, script, *arguments):
        return self.remote.wait_for(what, self.HEAD + script, *arguments)


def body(program):
    with Server(program, [ACCOUNT]) as server:
        server.append(ACCOUNT, "INBOX", letter("one"), letter("=?utf-8?q?zwei_=C3=BC?="), letter("three"))
        with Thunderbird(server.home("thunderbird"), [Account(ACCOUNT, "imap", server.port())]) as remote:
            bird = Bird(remote)
            bird.wait_for("its account is there", "return !!server")
            # In memory, so that nobody is asked; then the mailboxes are looked for.
            bird.run("server.password = arguments[0]; server.performExpand(null);", PASSWORD)
            bird.wait_for("the mailboxes are known", """
                return server.rootFolder.descendants.map(each => each.name).includes("Archive") && !!inbox""")
            bird.run("inbox.updateFolder(null)")
            bird.wait_for("three messages", "return [...inbox.messages].length == 3 && !!message('zwei ü')")
            client = server.login(ACCOUNT)
            answer(client.select("INBOX"))

            def flags(subject):
                return {told: flags for flags, told in server.state(ACCOUNT, "INBOX").values()}.get(subject)

            def is_deleted(subject):
                found = flags(subject)
                return found is None or "\\Deleted" in found

            # It idles: what is delivered and what another client flags comes by itself.
            time.sleep(1)
            server.deliver(ACCOUNT, letter("pushed"))
            bird.wait_for("the pushed message", "return !!message('pushed')")
            answer(client.noop())
            answer(client.store("1", "+FLAGS", "(\\Flagged)"))
            bird.wait_for("the flag of a second client", "return message('one').isFlagged")
            answer(client.store("1", "-FLAGS", "(\\Flagged)"))
            bird.wait_for("the flag taken away", "return !message('one').isFlagged")
            # The other way.
            bird.run("inbox.markMessagesRead([message('three')], true); inbox.markMessagesFlagged([message('three')], true)")
            wait_until("\\Seen and \\Flagged of Thunderbird", 30,
                       lambda: {"\\Seen", "\\Flagged"} <= (flags("three") or set()))
            bird.run("""
                const archive = server.rootFolder.descendants.find(each => each.name == "Archive");
                MailServices.copy.copyMessages(inbox, [message('one')], archive, true, null, null, false)""")
            wait_until("the message moved by Thunderbird", 30, lambda: server.subjects(ACCOUNT, "Archive") == ["one"])
            wait_until("and gone from INBOX", 30, lambda: is_deleted("one"))
            bird.run("inbox.deleteMessages([message('three')], null, false, true, null, false)")
            wait_until("the message deleted by Thunderbird", 30, lambda: is_deleted("three"))
            # What another client expunges goes here too.
            answer(client.noop())
            number = answer(client.search(None, "SUBJECT", "pushed"))[0].decode()
            answer(client.store(number, "+FLAGS", "(\\Deleted)"))
            answer(client.expunge())
            bird.wait_for("the message that another client expunged is gone", "return !message('pushed')")
            client.logout()


main(body)
