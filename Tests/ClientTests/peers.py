"""Debian's Dovecot and Courier, in directories of their own and without privileges, as sources and readers of mail.

Nothing is taken from the system's configuration. Each server is ended by its process id and takes its directory with it.
"""
import grp
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading

from node import Broken, die_with_parent, end_process, expect, free_port, is_taken, need, self_signed, wait_until

SECRET = "source-secret"
MASTER = "boss"
MASTER_SECRET = "master-secret"

CONFIGURATION = """
protocols = imap pop3
listen = 127.0.0.1
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 1
ssl = yes
ssl_cert = <{directory}/cert.pem
ssl_key = <{directory}/key.pem
disable_plaintext_auth = no
auth_master_user_separator = *
auth_mechanisms = plain login
mail_location = maildir:{mail}/%u
mail_plugins = listescape
mail_max_userip_connections = 100
mail_fsync = never
passdb {{
  driver = passwd-file
  args = {directory}/masters
  master = yes
}}
passdb {{
  driver = static
  args = password={secret}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={directory}/home/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    special_use = \\Sent
  }}
  mailbox "Old Things" {{
    special_use = \\Archive
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
{extra}"""


class Peer:
    """A directory that belongs to who runs in it: root steps down to `nobody`."""

    def __init__(self, name):
        self.title = name
        is_root = os.geteuid() == 0
        self.user = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.geteuid())
        self.identity = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if is_root else {}
        self.directory = tempfile.mkdtemp(prefix="letterlog-%s-" % name.lower())

    def own(self, path=None):
        if not self.identity:
            return
        for parent, folders, files in os.walk(path or self.directory):
            for name in [".", *folders, *files]:
                os.chown(os.path.join(parent, name), self.user.pw_uid, self.user.pw_gid)

    def log(self):
        """The ends of what it has written."""
        said = ""
        for name in ("errors", "log"):
            path = os.path.join(self.directory, name)
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    said += "--- %s's %s:\n%s" % (self.title, name, "".join(file.readlines()[-30:]))
        return said

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class AnyDovecot(Peer):
    """Debian's Dovecot with the services named, before its configuration is known."""

    def __init__(self, *services):
        super().__init__("Dovecot")
        self.program = need("dovecot", "dovecot-core")
        for service in services:
            expect(os.path.exists("/usr/lib/dovecot/" + service), "install the Debian package dovecot-%sd" % service)
        for name in ("run", "state", "home"):
            os.mkdir(os.path.join(self.directory, name))
        self.ports, self.process = {}, None

    def configure(self, text, ports, **values):
        """Writes the configuration, with a certificate for it; the ports named are free ones."""
        self.ports = {name: free_port() for name in ports}
        self_signed(self.directory + "/cert.pem", self.directory + "/key.pem", "localhost", "IP:127.0.0.1")
        with open(self.directory + "/dovecot.conf", "w") as file:
            file.write(text.format(directory=self.directory, user=self.user.pw_name,
                                   group=grp.getgrgid(self.user.pw_gid).gr_name, **self.ports, **values))
        self.own()

    def launch(self):
        with open(self.directory + "/errors", "w") as errors:
            self.process = subprocess.Popen(
                [self.program, "-F", "-c", self.directory + "/dovecot.conf"], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=errors, preexec_fn=die_with_parent, **self.identity)
        for port in self.ports.values():
            wait_until("Dovecot answers", 20, lambda: self.answers(port))

    def answers(self, port):
        expect(self.process.poll() is None, "Dovecot ended at once: %s" % self.log())
        return is_taken(("127.0.0.1", port))

    def stop(self):
        if self.process is not None:
            end_process(self.process, 20)


class Dovecot(AnyDovecot):
    """`mail` is the directory of Maildirs, one for each user; by default an empty one of its own."""

    def __init__(self, mail=None, extra=""):
        super().__init__("imap", "pop3")
        self.mail = mail or self.directory + "/mail"
        os.mkdir(self.directory + "/mail")
        with open(self.directory + "/masters", "w") as file:
            file.write("%s:{PLAIN}%s\n" % (MASTER, MASTER_SECRET))
        self.configure(CONFIGURATION, ("imap", "imaps", "pop3"), mail=self.mail, secret=SECRET, extra=extra)
        if mail:
            self.own(mail)

    def __enter__(self):
        try:
            self.launch()
        except BaseException:
            self.__exit__(Broken)
            raise
        return self

    def __exit__(self, kind, *_):
        self.stop()
        if kind is not None:
            print(self.log())
        self.remove()


class Courier(Peer):
    """Courier's servers on ports of loopback, with one Maildir: imapd already logged in (PREAUTH), pop3d for any password."""

    CAPABILITY = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE QUOTA IDLE"

    def __init__(self):
        super().__init__("Courier")
        self.imapd = self.unpacked("courier-imap", "bin/imapd")
        self.pop3d = self.unpacked("courier-pop", "lib/courier/courier/courierpop3d")
        self.maildir = self.directory + "/Maildir"
        for name in ("", "/cur", "/new", "/tmp"):
            os.mkdir(self.maildir + name)
        self.own()
        self.listeners = []

    def unpacked(self, package, name):
        """A copy where another user may run it."""
        path = pathlib.Path(__file__).parents[2] / ".build/debian" / package / "usr" / name
        expect(path.exists(), "%s is missing: tools/install test puts it there" % path)
        return shutil.copy(path, self.directory + "/" + path.name)

    def __enter__(self):
        self.port = self.listen(lambda connection: self.serve(self.imapd, "IMAP", connection))
        self.pop3_port = self.listen(self.log_in)
        return self

    def listen(self, take):
        listener = socket.create_server(("127.0.0.1", 0))
        self.listeners.append(listener)
        threading.Thread(target=self.accept, args=(listener, take), daemon=True).start()
        return listener.getsockname()[1]

    def accept(self, listener, take):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(30)
                take(connection)

    def serve(self, program, protocol, connection):
        environment = {
            "AUTHENTICATED": "ann", "HOME": self.directory, "IMAP_CAPABILITY": self.CAPABILITY, "IMAP_KEYWORDS": "1",
            "IMAP_USELOCKS": "1", "IMAP_ULIMITD": "0", "PATH": "/usr/bin:/bin", "PROTOCOL": protocol,
            "TCPREMOTEIP": "127.0.0.1", "IMAP_TRASHFOLDERNAME": "Trash", "IMAP_UMASK": "022"}
        connection.settimeout(None)
        with open(self.directory + "/errors", "ab") as errors:
            subprocess.Popen([program, "Maildir"], cwd=self.directory, stdin=connection, stdout=connection,
                             stderr=errors, env=environment, preexec_fn=die_with_parent, **self.identity)

    def log_in(self, connection):
        """What courierpop3login says before it becomes pop3d, which answers PASS."""
        connection.sendall(b"+OK Hello there.\r\n")
        for _ in range(20):
            line = b""
            while not line.endswith(b"\n") and len(line) < 512:
                octet = connection.recv(1)
                if not octet:
                    return
                line += octet
            word = line.split()[0].upper() if line.split() else b""
            if word == b"PASS":
                return self.serve(self.pop3d, "POP3", connection)
            if word == b"QUIT":
                return connection.sendall(b"+OK Bye.\r\n")
            said = {b"USER": b"+OK Password required.\r\n", b"CAPA": b"+OK\r\nUSER\r\nUIDL\r\nTOP\r\n.\r\n"}
            connection.sendall(said.get(word, b"-ERR Invalid command.\r\n"))

    def __exit__(self, kind, *_):
        for listener in self.listeners:
            listener.close()
        if kind is not None:
            print(self.log())
        self.remove()
