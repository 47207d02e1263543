#!/usr/bin/env python3
"""Thunderbird, set up from scratch, on a screen of Xvfb.

Promised: it reads the mailboxes, downloads what is in INBOX, receives a message that is pushed to it while it idles,
sees the flag that a second client sets, and the second client sees what it reads, stars, moves and deletes.

It is driven by Marionette, its own remote control, in the context of its windows: what runs is its own code for IMAP.

Usage: imap_thunderbird.py LETTERLOG
"""
import json
import os
import socket
import subprocess
import time

from imapserver import PASSWORD, Server, answer, expect, letter, write
from node import Broken, die_with_parent, main, need, wait_until

ACCOUNT = "bird@example.test"
START_SECONDS_MAX = 90
SCRIPT_SECONDS_MAX = 30
REPLY_OCTETS_MAX = 1 << 22

PREFERENCES = {
    "mail.accountmanager.accounts": "account1,account2",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.accountmanager.localfoldersserver": "server2",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.account.account2.server": "server2",
    "mail.identity.id1.useremail": ACCOUNT,
    "mail.identity.id1.fullName": "Bird",
    "mail.identity.id1.valid": True,
    "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": "127.0.0.1",
    "mail.server.server1.userName": ACCOUNT,
    "mail.server.server1.name": "there",
    "mail.server.server1.socketType": 0,
    "mail.server.server1.authMethod": 3,
    "mail.server.server1.login_at_startup": False,
    "mail.server.server1.check_new_mail": False,
    "mail.server.server1.use_idle": True,
    "mail.server.server1.check_all_folders_for_new": False,
    "mail.server.server2.type": "none",
    "mail.server.server2.hostname": "Local Folders",
    "mail.server.server2.userName": "nobody",
    "marionette.port": 0,
    # Nothing is asked of the network but the server under test, and nobody is asked anything.
    "app.update.auto": False,
    "app.update.enabled": False,
    "app.donation.eoy.version.viewed": 999,
    "browser.safebrowsing.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "toolkit.telemetry.enabled": False,
    "extensions.update.enabled": False,
    "mail.provider.enabled": False,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.winsearch.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "mail.inappnotifications.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disableIPv6": True,
    "services.settings.server": "http://127.0.0.1:9/",
    "calendar.timezone.local": "UTC",
    "mail.biff.show_alert": False,
    "mail.biff.play_sound": False,
}


class Marionette:
    """The remote control: a length, a colon, and JSON on a socket."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SCRIPT_SECONDS_MAX + 15)
        self.buffer, self.serial = b"", 0
        self.receive()
        self.ask("WebDriver:NewSession", {})
        self.ask("Marionette:SetContext", {"value": "chrome"})

    def receive(self):
        while b":" not in self.buffer or len(self.buffer) < self.whole():
            part = self.socket.recv(1 << 16)
            expect(part and len(self.buffer) < REPLY_OCTETS_MAX, "Thunderbird closed its remote control")
            self.buffer += part
        whole = self.whole()
        text = self.buffer[self.buffer.index(b":") + 1:whole]
        self.buffer = self.buffer[whole:]
        return json.loads(text)

    def whole(self):
        length, colon, _ = self.buffer.partition(b":")
        return len(length) + 1 + int(length) if colon else 1

    def ask(self, command, parameters):
        self.serial += 1
        content = json.dumps([0, self.serial, command, parameters])
        self.socket.sendall(b"%d:%s" % (len(content.encode()), content.encode()))
        _, _, error, result = self.receive()
        expect(error is None, "Thunderbird: %s: %s" % (command, error))
        return result

    def run(self, script, *arguments):
        """JavaScript with `inbox` and `server` at hand; what it returns."""
        head = """
            const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
            const server = MailServices.accounts.allServers.find(each => each.type == "imap");
            const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
            const named = subject => [...inbox.messages].find(each => each.mime2DecodedSubject == subject);
        """
        return self.ask("WebDriver:ExecuteScript", {
            "script": head + script, "args": list(arguments), "newSandbox": True, "sandbox": "system"})["value"]

    # Seen now and then: what comes within milliseconds of the `+` of IDLE is not noticed (it has COMPRESS on, and waits on
    # its socket). The next line of the server, the one that keeps the connection alive within two minutes, wakes it.
    def wait_for(self, what, script, *arguments, seconds=150):
        last = None

        def is_so():
            nonlocal last
            last = self.run(script, *arguments)
            return last
        try:
            return wait_until(what, seconds, is_so)
        except Broken:
            raise Broken("Thunderbird: not within %d seconds: %s (%s); it has %s" % (seconds, what, last, self.run(
                "return inbox ? [...inbox.messages].map(each => [each.mime2DecodedSubject, each.flags]) : null")))


class Thunderbird:
    def __init__(self, server):
        self.program, self.xvfb = need("thunderbird", "thunderbird"), need("Xvfb", "xvfb")
        self.home = server.home("thunderbird")
        self.profile = os.path.join(self.home, "profile")
        os.makedirs(self.profile)
        preferences = dict(PREFERENCES)
        preferences["mail.server.server1.port"] = server.port()
        preferences["mail.server.server1.directory"] = self.profile + "/ImapMail"
        preferences["mail.server.server2.directory"] = self.profile + "/Mail"
        write(self.profile + "/prefs.js", "".join(
            "user_pref(%s, %s);\n" % (json.dumps(name), json.dumps(value)) for name, value in preferences.items()))
        self.processes = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self.remote

    def start(self):
        # The server of the screen chooses its number and tells it.
        read, told = os.pipe()
        screen = subprocess.Popen(
            [self.xvfb, "-displayfd", str(told), "-screen", "0", "1024x768x24", "-nolisten", "tcp"], pass_fds=[told],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        os.close(told)
        self.processes.append(screen)
        # With its line end: a pipe that is closed before would end it.
        display = ""
        while not display.endswith("\n"):
            part = os.read(read, 16).decode()
            expect(part, "Xvfb did not start")
            display += part
        os.close(read)
        display = display.strip()
        self.log = os.path.join(self.home, "log")
        with open(self.log, "wb") as log:
            self.processes.append(subprocess.Popen(
                [self.program, "-profile", self.profile, "-no-remote", "-marionette", "-remote-allow-system-access"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
                env={"PATH": os.environ["PATH"], "HOME": self.home, "DISPLAY": ":" + display, "LC_ALL": "C.UTF-8",
                     "MOZ_CRASHREPORTER_DISABLE": "1", "LIBGL_ALWAYS_SOFTWARE": "1", "XDG_RUNTIME_DIR": self.home,
                     "GDK_BACKEND": "x11"}))
        path = self.profile + "/MarionetteActivePort"

        def port():
            expect(self.processes[-1].poll() is None, "Thunderbird ended at once: %s" % self.said())
            if os.path.exists(path):
                with open(path) as file:
                    return file.read().strip()
        self.remote = Marionette(int(wait_until("Thunderbird listens", START_SECONDS_MAX, port)))

    def said(self):
        with open(self.log, errors="replace") as log:
            return log.read()[-2000:]

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def body(program):
    with Server(program, [ACCOUNT]) as server:
        server.append(ACCOUNT, "INBOX", letter("one"), letter("=?utf-8?q?zwei_=C3=BC?="), letter("three"))
        with Thunderbird(server) as bird:
            bird.wait_for("its account is there", "return !!server")
            # In memory, so that nobody is asked; then the mailboxes are looked for.
            bird.run("server.password = arguments[0]; server.performExpand(null);", PASSWORD)
            bird.wait_for("the mailboxes are known", """
                return server.rootFolder.descendants.map(each => each.name).includes("Archive") && !!inbox""")
            bird.run("inbox.updateFolder(null)")
            bird.wait_for("three messages", "return [...inbox.messages].length == 3 && !!named('zwei ü')")
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
            bird.wait_for("the pushed message", "return !!named('pushed')")
            answer(client.noop())
            answer(client.store("1", "+FLAGS", "(\\Flagged)"))
            bird.wait_for("the flag of a second client", "return named('one').isFlagged")
            answer(client.store("1", "-FLAGS", "(\\Flagged)"))
            bird.wait_for("the flag taken away", "return !named('one').isFlagged")
            # The other way.
            bird.run("inbox.markMessagesRead([named('three')], true); inbox.markMessagesFlagged([named('three')], true)")
            wait_until("\\Seen and \\Flagged of Thunderbird", 30,
                       lambda: {"\\Seen", "\\Flagged"} <= (flags("three") or set()))
            bird.run("""
                const archive = server.rootFolder.descendants.find(each => each.name == "Archive");
                MailServices.copy.copyMessages(inbox, [named('one')], archive, true, null, null, false)""")
            wait_until("the message moved by Thunderbird", 30, lambda: server.subjects(ACCOUNT, "Archive") == ["one"])
            wait_until("and gone from INBOX", 30, lambda: is_deleted("one"))
            bird.run("inbox.deleteMessages([named('three')], null, false, true, null, false)")
            wait_until("the message deleted by Thunderbird", 30, lambda: is_deleted("three"))
            # What another client expunges goes here too.
            answer(client.noop())
            number = answer(client.search(None, "SUBJECT", "pushed"))[0].decode()
            answer(client.store(number, "+FLAGS", "(\\Deleted)"))
            answer(client.expunge())
            bird.wait_for("the message that another client expunged is gone", "return !named('pushed')")
            client.logout()


main(body)
