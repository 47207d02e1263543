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

from node import Broken, connect, die_with_parent, expect, need, run_well, wait_until

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
  separator = {separator}
  prefix = {prefix}
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
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Peer:
    """A directory that belongs to who runs in it: root steps down to `nobody`."""

    def __init__(self, name):
        is_root = os.geteuid() == 0
        self.user = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.geteuid())
        self.identity = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if is_root else {}
        self.directory = tempfile.mkdtemp(prefix="letterlog-%s-" % name)

    def own(self, path=None):
        if not self.identity:
            return
        for parent, folders, files in os.walk(path or self.directory):
            for name in [".", *folders, *files]:
                os.chown(os.path.join(parent, name), self.user.pw_uid, self.user.pw_gid)


class Dovecot(Peer):
    """`mail` is the directory of Maildirs, one for each user; by default an empty one of its own."""

    def __init__(self, mail=None, separator="/", prefix="", extra=""):
        super().__init__("dovecot")
        self.program = need("dovecot", "dovecot-core")
        expect(os.path.exists("/usr/lib/dovecot/imap"), "install the Debian package dovecot-imapd")
        expect(os.path.exists("/usr/lib/dovecot/pop3"), "install the Debian package dovecot-pop3d")
        self.mail = mail or self.directory + "/mail"
        for name in ("run", "state", "home", "mail"):
            os.mkdir(os.path.join(self.directory, name))
        run_well([need("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                  "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                  "-keyout", self.directory + "/key.pem", "-out", self.directory + "/cert.pem"])
        with open(self.directory + "/masters", "w") as file:
            file.write("%s:{PLAIN}%s\n" % (MASTER, MASTER_SECRET))
        self.ports = {"imap": free_port(), "imaps": free_port(), "pop3": free_port()}
        with open(self.directory + "/dovecot.conf", "w") as file:
            file.write(CONFIGURATION.format(
                directory=self.directory, mail=self.mail, user=self.user.pw_name,
                group=grp.getgrgid(self.user.pw_gid).gr_name, secret=SECRET, separator=separator, prefix=prefix,
                **self.ports) + extra)
        self.own()
        if mail:
            self.own(mail)
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            [self.program, "-F", "-c", self.directory + "/dovecot.conf"], stdout=subprocess.DEVNULL,
            stderr=open(self.directory + "/errors", "w"), stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
            **self.identity)
        try:
            for port in self.ports.values():
                wait_until("Dovecot answers", 20, lambda: self.answers(port))
        except BaseException:
            self.__exit__(Broken)
            raise
        return self

    def answers(self, port):
        expect(self.process.poll() is None, "Dovecot ended")
        try:
            connect(("127.0.0.1", port), 5).close()
            return True
        except OSError:
            return False

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            for name in ("errors", "log"):
                path = os.path.join(self.directory, name)
                if os.path.exists(path):
                    with open(path, errors="replace") as file:
                        print("--- Dovecot's %s:" % name, *file.readlines()[-20:], sep="\n")
        shutil.rmtree(self.directory, ignore_errors=True)


class Courier(Peer):
    """Courier's imapd on a port of loopback, already logged in (PREAUTH), with one Maildir."""

    CAPABILITY = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE QUOTA IDLE"

    def __init__(self):
        super().__init__("courier")
        unpacked = pathlib.Path(__file__).parents[2] / ".build/debian/courier-imap/usr/bin/imapd"
        expect(unpacked.exists(), "%s is missing: tools/install test puts it there" % unpacked)
        # Where another user may run it.
        self.program = shutil.copy(unpacked, self.directory + "/imapd")
        self.maildir = self.directory + "/Maildir"
        for name in ("", "/cur", "/new", "/tmp"):
            os.mkdir(self.maildir + name)
        self.own()
        self.listener = None

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            environment = {
                "AUTHENTICATED": "ann", "HOME": self.directory, "IMAP_CAPABILITY": self.CAPABILITY, "IMAP_KEYWORDS": "1",
                "IMAP_USELOCKS": "1", "IMAP_ULIMITD": "0", "PATH": "/usr/bin:/bin", "PROTOCOL": "IMAP",
                "TCPREMOTEIP": "127.0.0.1", "IMAP_TRASHFOLDERNAME": "Trash", "IMAP_UMASK": "022"}
            with connection, open(self.directory + "/errors", "ab") as errors:
                subprocess.Popen([self.program, "Maildir"], cwd=self.directory, stdin=connection, stdout=connection,
                                 stderr=errors, env=environment, preexec_fn=die_with_parent, **self.identity)

    def __exit__(self, kind, *_):
        self.listener.close()
        if kind is not None and os.path.exists(self.directory + "/errors"):
            with open(self.directory + "/errors", errors="replace") as file:
                print("--- Courier's errors:", *file.readlines()[-20:], sep="\n")
        shutil.rmtree(self.directory, ignore_errors=True)
