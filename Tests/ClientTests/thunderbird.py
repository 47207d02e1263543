"""Thunderbird on a screen of Xvfb, driven by Marionette, its own remote control, in the context of its windows: what runs
is its own code.

The accounts come as preferences; its profile is new, and nobody is asked anything.
"""
import json
import os
import socket
import subprocess

from node import Broken, die_with_parent, end_process, expect, need, wait_until, write

START_SECONDS_MAX = 90
SCRIPT_SECONDS_MAX = 30
REPLY_OCTETS_MAX = 1 << 22

# Of a connection: how it is sealed.
PLAIN, STARTTLS, TLS = 0, 2, 3
# The password as it is, by the mechanism that the server offers.
PASSWORD_METHOD = 3

HEAD = """
    const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
    const serverOf = address => MailServices.accounts.allServers.find(each => each.username == address);
    const inboxOf = address => serverOf(address)?.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
    const named = (folder, subject) => [...folder.messages].find(each => each.mime2DecodedSubject == subject);
"""

PREFERENCES = {
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


class AlertOpen(Broken):
    """A dialogue stood in the way of a command; it is dismissed."""


class Marionette:
    """The remote control: a length, a colon, and JSON on a socket."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SCRIPT_SECONDS_MAX + 15)
        self.buffer, self.serial = b"", 0
        # What it had to say in dialogues, which are dismissed.
        self.alerts = []
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
        if error and error["error"] == "unexpected alert open":
            self.alerts.append(str(error["data"]))
            raise AlertOpen("Thunderbird: %s: %s" % (command, error["data"]))
        expect(error is None, "Thunderbird: %s: %s" % (command, error))
        return result

    def run(self, script, *arguments):
        """JavaScript with MailServices, `serverOf(address)`, `inboxOf(address)` and `named(inbox, subject)` at hand; what it
        returns, or what it promises within a while."""
        return self.ask("WebDriver:ExecuteScript", {
            "script": HEAD + script, "args": list(arguments), "newSandbox": True, "sandbox": "system",
            "scriptTimeout": SCRIPT_SECONDS_MAX * 1000})["value"]

    # Seen now and then: what comes within milliseconds of the `+` of IDLE is not noticed (it has COMPRESS on, and waits on
    # its socket). The next line of the server, the one that keeps the connection alive within two minutes, wakes it.
    def wait_for(self, what, script, *arguments, seconds=150):
        last = None

        def is_so():
            nonlocal last
            try:
                last = self.run(script, *arguments)
            except AlertOpen:
                return None
            return last
        try:
            return wait_until(what, seconds, is_so)
        except Broken:
            raise Broken("Thunderbird: not within %d seconds: %s (%s); it has %s" % (seconds, what, last, self.run("""
                return MailServices.accounts.allServers.map(server => [server.username, server.rootFolder.descendants.map(
                    folder => [folder.name, [...folder.messages].map(each => [each.mime2DecodedSubject, each.flags])])])""")))


class Account:
    """A server that mail is read from, `imap` or `pop3`, and one that it is handed in to, for one address."""

    def __init__(self, address, kind, port, security=PLAIN, submission_port=None, submission_security=TLS):
        self.address, self.kind, self.port, self.security = address, kind, port, security
        self.submission_port, self.submission_security = submission_port, submission_security

    def preferences(self, number, profile):
        name = self.address.partition("@")[0]
        server, identity = "mail.server.server%d." % number, "mail.identity.id%d." % number
        found = {
            "mail.account.account%d.server" % number: "server%d" % number,
            "mail.account.account%d.identities" % number: "id%d" % number,
            identity + "useremail": self.address, identity + "fullName": name.capitalize(), identity + "valid": True,
            identity + "compose_html": False,
            server + "type": self.kind, server + "hostname": "localhost", server + "port": self.port,
            server + "userName": self.address, server + "name": name, server + "socketType": self.security,
            server + "authMethod": PASSWORD_METHOD, server + "login_at_startup": False,
            server + "check_new_mail": False, server + "check_all_folders_for_new": False,
            server + "directory": os.path.join(profile, "ImapMail" if self.kind == "imap" else "Mail", name)}
        if self.kind == "imap":
            found[server + "use_idle"] = True
        if self.submission_port:
            outgoing = "mail.smtpserver.smtp%d." % number
            found.update({
                identity + "smtpServer": "smtp%d" % number, outgoing + "type": "smtp", outgoing + "hostname": "localhost",
                outgoing + "port": self.submission_port, outgoing + "username": self.address,
                outgoing + "authMethod": PASSWORD_METHOD, outgoing + "try_ssl": self.submission_security})
        return found


class Thunderbird:
    """With a profile in `home`, which takes the accounts and the folders that belong to none."""

    def __init__(self, home, accounts):
        self.program, self.xvfb = need("thunderbird", "thunderbird"), need("Xvfb", "xvfb")
        self.home = home
        self.profile = os.path.join(self.home, "profile")
        os.makedirs(self.profile)
        preferences = dict(PREFERENCES)
        for number, account in enumerate(accounts, 1):
            preferences.update(account.preferences(number, self.profile))
        local = len(accounts) + 1
        preferences.update({
            "mail.accountmanager.accounts": ",".join("account%d" % number for number in range(1, local + 1)),
            "mail.accountmanager.defaultaccount": "account1",
            "mail.accountmanager.localfoldersserver": "server%d" % local,
            "mail.smtpservers": ",".join(
                "smtp%d" % number for number, account in enumerate(accounts, 1) if account.submission_port),
            "mail.account.account%d.server" % local: "server%d" % local,
            "mail.server.server%d.type" % local: "none", "mail.server.server%d.hostname" % local: "Local Folders",
            "mail.server.server%d.userName" % local: "nobody",
            "mail.server.server%d.directory" % local: os.path.join(self.profile, "Mail", "Local Folders")})
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
            end_process(process, 15)
