"""The servers that conversations are held with: a node of ours, Debian's Dovecot, or any that runs already.

Each knows its addresses and makes accounts. All listen on loopback, on ports that the system chooses.
"""
import os
import shlex
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ClientTests"))

from node import Broken, Node, PASSWORD, expect  # noqa: E402
from peers import AnyDovecot  # noqa: E402

DOMAIN = "example.test"
ACCOUNT_SECONDS_MAX = 300


class Letterlog:
    """A node, started for the run."""

    name = "letterlog"

    def __init__(self, program, settings=(), names=("smtp", "submission", "lmtp", "pop3", "imap")):
        listeners = tuple("%s=127.0.0.1:0" % name for name in names)
        self.is_proxied = any(setting.startswith("listeners.proxy-from=") for setting in settings)
        self.node = Node(program, settings=["maildir.enabled=false", *settings], listeners=listeners)

    def __enter__(self):
        self.node.do("init", "--domain", DOMAIN)
        return self

    def start(self, accounts):
        self.node.import_accounts(accounts)
        self.node.start()

    def __exit__(self, kind, *_):
        self.node.__exit__(kind)

    def address(self, name):
        expect(name in self.node.addresses, "the node has no listener %s" % name)
        return self.node.addresses[name][0]

    def run(self, command):
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


class Dovecot(AnyDovecot):
    """Debian's Dovecot with quotas and LMTP."""

    name = "dovecot"
    can_run = is_proxied = False

    def __init__(self, format="sdbox"):
        super().__init__("imap", "pop3", "lmtp")
        self.format, self.quotas, self.users = format, {}, []

    def __enter__(self):
        return self

    def prepare(self, address, quota):
        self.quotas[address] = quota or {}
        self.write_users()

    def write_users(self):
        # Written beside and renamed: Dovecot reads the file at any moment.
        with open(self.directory + "/users.new", "w") as file:
            for address in self.users:
                quota = self.quotas.get(address, {})
                rule = "".join(":%s=%s" % (key, value) for key, value in (
                    ("storage", quota.get("size", "") and quota["size"] + "B"), ("messages", quota.get("messages")))
                    if value)
                extra = "userdb_quota_rule=*%s" % rule if rule else ""
                file.write("%s:%s:%d:%d::%s/home/%s::%s\n" % (
                    address, PASSWORD, self.user.pw_uid, self.user.pw_gid, self.directory, address, extra))
        os.rename(self.directory + "/users.new", self.directory + "/users")

    def start(self, accounts):
        self.users = list(accounts)
        self.write_users()
        self.configure(DOVECOT, ("imap", "imaps", "pop3", "lmtp"), format=self.format)
        self.launch()

    def __exit__(self, kind, *_):
        self.stop()
        if os.environ.get("CONVERSATIONS_LOG"):
            print(self.log())
        self.remove()

    def address(self, name):
        expect(name in self.ports, "Dovecot has no listener %s" % name)
        return ("127.0.0.1", self.ports[name])

    def run(self, command):
        raise Broken("Dovecot has no `letterlog %s`" % command)


class Running:
    """A server that runs already: `--host`, `--port` and the accounts of a CSV file, used in turn."""

    name = "server"
    can_run = is_proxied = False

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
