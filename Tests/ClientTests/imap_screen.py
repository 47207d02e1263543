#!/usr/bin/env python3
"""neomutt and alpine, in a terminal.

Promised: neomutt shows what is there, fills its header cache and shows the same from it, opens, flags, deletes, moves
and sees what arrives while it looks on; alpine opens, reads, answers questions and expunges. A second client sees each
change.

Usage: imap_screen.py LETTERLOG
"""
import glob
import os
import time

from imapserver import PASSWORD, Server, expect, letter, write
from node import main, need, wait_until
from terminal import Terminal

NEOMUTT, ALPINE = "neo@example.test", "alpine@example.test"
SUBJECTS = ["First of three", "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "Third of three"]
SHOWN = ["First of three", "Grüße aus Köln", "Third of three"]


def with_neomutt(server):
    neomutt, home = need("neomutt", "neomutt"), server.home("neomutt")
    os.makedirs(home + "/cache/headers")
    os.makedirs(home + "/cache/bodies")
    server.append(NEOMUTT, "INBOX", *(letter(subject, b"Body %d ends here.\r\n" % number)
                                      for number, subject in enumerate(SUBJECTS)))
    configuration = write(home + "/neomuttrc", """
set imap_user="%s" imap_pass="%s"
set folder="imap://127.0.0.1:%d" spoolfile="+INBOX" trash="+Trash"
set header_cache="%s/cache/headers" message_cachedir="%s/cache/bodies"
set ssl_starttls=no ssl_force_tls=no imap_idle=yes imap_qresync=yes imap_condstore=yes
set mail_check=2 timeout=2 imap_keepalive=10 quit=yes confirmappend=no delete=yes wait_key=no sleep_time=0 move=no
set index_format='<%%Z> %%s' status_format='Count:%%m New:%%n Flagged:%%F .' sort=mailbox-order
set record="" copy=no sidebar_visible=no
""" % (NEOMUTT, PASSWORD, server.port(), home, home))

    def screen():
        return Terminal([neomutt, "-n", "-F", configuration], HOME=home)

    def flags(subject):
        return {told: flags for flags, told in server.state(NEOMUTT, "INBOX").values()}.get(subject)

    with screen() as terminal:
        terminal.wait_for("Count:3 New:3", *SHOWN)
        terminal.keys("/Third\n\n")
        terminal.wait_for("Body 2 ends here.")
        terminal.keys("i")
        # Flag the first one; the server has it once the mailbox is written.
        terminal.keys("1\nF$")
        wait_until("the flag is there", 20, lambda: "\\Flagged" in (flags("First of three") or ()))
        expect("\\Seen" in flags("Third of three"), "neomutt: what was read is not \\Seen")
        # What arrives is shown while it looks on.
        server.deliver(NEOMUTT, letter("Fourth, pushed"))
        terminal.wait_for("Fourth, pushed")
        # A move to another mailbox.
        terminal.keys("1\ns")
        terminal.wait_for("Save to mailbox")
        terminal.keys("\x15=Archive\n")
        time.sleep(0.5)
        terminal.keys("$")
        wait_until("the message is in Archive", 20, lambda: server.subjects(NEOMUTT, "Archive") == ["First of three"])
        wait_until("and in INBOX no more", 20, lambda: flags("First of three") is None)
        terminal.keys("q")
        expect(terminal.wait_for_end() == 0, "neomutt did not end well")
    cached = [path for path in glob.glob(home + "/cache/**", recursive=True) if os.path.isfile(path)]
    expect(cached, "neomutt keeps no cache")
    # What another client changed meanwhile, and the rest from the cache.
    client = server.login(NEOMUTT)
    client.select("INBOX")
    client.store("1", "+FLAGS", "(\\Flagged)")
    client.logout()
    server.append(NEOMUTT, "INBOX", letter("Fifth, while away"))
    with screen() as terminal:
        terminal.wait_for("Count:4", "Flagged:1", "Grüße aus Köln", "Third of three", "Fourth, pushed",
                          "Fifth, while away")
        terminal.keys("/Fifth\nd$")
        wait_until("the message is deleted", 20, lambda: flags("Fifth, while away") is None)
        terminal.keys("q")
        expect(terminal.wait_for_end() == 0, "neomutt did not end well")
    with screen() as terminal:
        terminal.wait_for("Count:3", "Grüße aus Köln", "Third of three", "Fourth, pushed")
        terminal.keys("x")
        expect(terminal.wait_for_end() == 0, "neomutt did not end well")


def with_alpine(server):
    alpine, home = need("alpine", "alpine"), server.home("alpine")
    server.append(ALPINE, "INBOX", *(letter("Letter number %d" % number, b"Text of %d is here.\r\n" % number)
                                     for number in range(1, 4)))
    inbox = "{127.0.0.1:%d/imap/user=%s/novalidate-cert/notls}INBOX" % (server.port(), ALPINE)
    configuration = write(home + "/pinerc", """
personal-name=Alp
user-domain=example.test
inbox-path=%s
folder-collections=Mail {127.0.0.1:%d/imap/user=%s/notls}[]
feature-list=quell-user-id-prompt,quit-without-confirm,expunge-without-confirm,expunge-without-confirm-everywhere,quell-folder-internal-msg,no-enable-newmail-in-xterm-icon,auto-move-read-msgs
initial-keystroke-list=
last-version-used=9.99
mail-check-interval=2
""" % (inbox, server.port(), ALPINE))
    with Terminal([alpine, "-p", configuration, "-i"], HOME=home) as terminal:
        terminal.wait_for("PASSWORD")
        terminal.keys(PASSWORD + "\r")
        terminal.wait_for("Preserve password")
        terminal.keys("n")
        terminal.wait_for("Letter number 1", "Letter number 3")
        terminal.keys("J1\r")
        terminal.keys("\r")
        terminal.wait_for("Text of 1 is here.")
        terminal.keys("i")
        wait_until("the first one is \\Seen", 20, lambda: "\\Seen" in server.state(ALPINE, "INBOX")[1][0])
        # The next one is deleted and expunged.
        terminal.keys("J2\r")
        terminal.keys("d")
        terminal.keys("x")
        wait_until("the second one is gone", 20,
                   lambda: "Letter number 2" not in server.subjects(ALPINE, "INBOX"))
        # It looks by itself every 15 seconds, and whenever its screen is drawn anew.
        server.deliver(ALPINE, letter("Pushed to alpine"))
        for _ in range(10):
            terminal.keys("\x0c")
            terminal.read(0.5)
            if "Pushed to alpine" in terminal.text():
                break
        terminal.wait_for("Pushed to alpine")
        terminal.keys("q")
        time.sleep(0.3)
        terminal.keys("y")
        terminal.wait_for_end()
    expect(server.subjects(ALPINE, "INBOX") == ["Letter number 1", "Letter number 3", "Pushed to alpine"],
           "alpine left %s" % server.subjects(ALPINE, "INBOX"))


def body(program):
    with Server(program, [NEOMUTT, ALPINE]) as server:
        with_neomutt(server)
        with_alpine(server)


main(body)
