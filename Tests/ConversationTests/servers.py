"""The servers that conversations are held with: a node of ours, Debian's Dovecot, or any that runs already.

Each knows its addresses and makes accounts. All listen on loopback, on ports that the system chooses.
"""
import csv
import glob
import grp
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ClientTests"))

from node import (Broken, Node, PASSWORD, connect, die_with_parent, expect, need, run_well, wait_until)  # noqa: E402

DOMAIN = "example.test"
ACCOUNT_SECONDS_MAX = 300


class Letterlog:
    """A node, started for the run."""

    name = "letterlog"

    def __init__(self, program, settings=(), names=("smtp", "lmtp", "pop3", "imap")):
        listeners = tuple("%s=127.0.0.1:0" % name for name in names)
        self.node = Node(program, settings=["maildir.enabled=false", *settings], listeners=listeners)

    def __enter__(self):
        self.node.do("init", "--domain", DOMAIN)
        return self

    def start(self, accounts):
        path = os.path.join(self.node.directory, "accounts.csv")
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows((address, PASSWORD) for address in accounts)
        self.node.do("account", "import", path)
        self.node.start()

    def __exit__(self, kind, *_):
        self.node.__exit__(kind)

    def address(self, name):
        expect(name in self.node.addresses, "the node has no listener %s" % name)
        return self.node.addresses[name][0]

    def run(self, command):
        import shlex
        return self.node.do(*shlex.split(command))

    def prepare(self, address, quota):
        if quota:
            words = [word for key, value in quota.items() for word in ("--" + key, value)]
            self.node.do("account", "quota", address, *words)

    can_run = True


DOVECOT = """
protocols = imap pop3 lmtp
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
auth_failure_delay = 0
# The first name decides what an unknown user and a wrong password look like.
auth_mechanisms = plain login
mail_location = {format}:~/mail
mail_plugins = quota zlib
mail_max_userip_connections = 100
postmaster_address = postmaster@example.test
default_process_limit = 400
default_client_limit = 4000
lda_mailbox_autocreate = no
mailbox_list_index = yes
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {directory}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {directory}/users
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_grace = 0
  quota_max_mail_size = 50M
}}
protocol imap {{
  mail_plugins = quota imap_quota zlib imap_zlib
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    auto = subscribe
    special_use = \\Drafts
  }}
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
  mailbox Archive {{
    auto = subscribe
    special_use = \\Archive
  }}
  mailbox Junk {{
    auto = subscribe
    special_use = \\Junk
  }}
  mailbox Trash {{
    auto = subscribe
    special_use = \\Trash
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
  service_count = 0
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  chroot =
  service_count = 0
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service imap {{
  process_limit = 400
}}
service lmtp {{
  user = {user}
  unix_listener lmtp {{
    mode = 0
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Dovecot:
    """Debian's Dovecot in a directory of its own and without privileges: root steps down to `nobody`."""

    name = "dovecot"
    can_run = False

    def __init__(self, format="sdbox"):
        self.program = need("dovecot", "dovecot-core")
        for file, package in (("imap", "dovecot-imapd"), ("pop3", "dovecot-pop3d"), ("lmtp", "dovecot-lmtpd")):
            expect(os.path.exists("/usr/lib/dovecot/" + file), "install the Debian package " + package)
        is_root = os.geteuid() == 0
        self.user = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.geteuid())
        self.identity = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if is_root else {}
        self.format = format
        self.ports, self.process, self.quotas, self.users = {}, None, {}, []

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="letterlog-dovecot-")
        return self

    def prepare(self, address, quota):
        self.quotas[address] = quota or {}
        self.write_users()

    def write_users(self):
        with open(self.directory + "/users", "w") as file:
            for address in self.users:
                quota = self.quotas.get(address, {})
                rule = "".join(":%s=%s" % (key, value) for key, value in (
                    ("storage", quota.get("size", "") and quota["size"] + "B"), ("messages", quota.get("messages")))
                    if value)
                extra = "userdb_quota_rule=*%s" % rule if rule else ""
                file.write("%s:%s:%d:%d::%s/home/%s::%s\n" % (
                    address, PASSWORD, self.user.pw_uid, self.user.pw_gid, self.directory, address, extra))

    def start(self, accounts):
        self.users = list(accounts)
        for name in ("run", "state", "home"):
            os.mkdir(os.path.join(self.directory, name))
        self.ports = {name: free_port() for name in ("imap", "imaps", "pop3", "lmtp")}
        run_well(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                  "30", "-subj", "/CN=mail.example.test", "-keyout", self.directory + "/key.pem", "-out",
                  self.directory + "/cert.pem"])
        with open(self.directory + "/dovecot.conf", "w") as file:
            file.write(DOVECOT.format(
                directory=self.directory, user=self.user.pw_name, group=grp.getgrgid(self.user.pw_gid).gr_name,
                format=self.format, **self.ports))
        self.write_users()
        if self.identity:
            for parent, folders, files in os.walk(self.directory):
                for name in [".", *folders, *files]:
                    os.chown(os.path.join(parent, name), self.user.pw_uid, self.user.pw_gid)
        self.process = subprocess.Popen(
            [self.program, "-F", "-c", self.directory + "/dovecot.conf"], stdout=subprocess.DEVNULL,
            stderr=open(self.directory + "/errors", "w"), stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
            **self.identity)
        for port in self.ports.values():
            wait_until("Dovecot answers", 20, lambda: self.answers(port))

    def answers(self, port):
        expect(self.process.poll() is None, "Dovecot ended at once: %s" % self.log())
        try:
            connect(("127.0.0.1", port), 5).close()
            return True
        except OSError:
            return False

    def log(self):
        found = ""
        for path in glob.glob(self.directory + "/log") + glob.glob(self.directory + "/errors"):
            with open(path, errors="replace") as file:
                found += "".join(file.readlines()[-30:])
        return found

    def __exit__(self, kind, *_):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if os.environ.get("CONVERSATIONS_LOG"):
            print(self.log())
        shutil.rmtree(self.directory, ignore_errors=True)

    def address(self, name):
        expect(name in self.ports, "Dovecot has no listener %s" % name)
        return ("127.0.0.1", self.ports[name])

    def run(self, command):
        raise Broken("Dovecot has no `letterlog %s`" % command)


class Running:
    """A server that runs already: `--host`, `--port` and the accounts of a CSV file, used in turn."""

    name = "server"
    can_run = False

    def __init__(self, host, ports, accounts):
        self.host, self.ports, self.given = host, ports, accounts

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def start(self, accounts):
        pass

    def prepare(self, address, quota):
        pass

    def address(self, name):
        expect(name in self.ports, "no port was given for %s" % name)
        return (self.host, self.ports[name])

    def run(self, command):
        raise Broken("this server has no `letterlog %s`" % command)
