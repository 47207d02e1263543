"""A Postfix of our own and a DNS server of our own, in directories of their own, on loopback.

Neither touches what the machine runs: Postfix has its own configuration, queue and master; dnsmasq answers on a port that
the system chose. Both are ended by their process ids.
"""
import os
import shutil
import socket
import subprocess
import tempfile

from node import die_with_parent, end_process, expect, free_port, need, run, run_well, wait_until

MASTER = """
{port}    inet  n - n - 200 smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
showq     unix  n - n - - showq
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - 50 smtp
lmtp      unix  - - n - 50 lmtp
relay     unix  - - n - 50 smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - 20 virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """As a context: made and started, then stopped and removed."""

    def __init__(self, **settings):
        self.directory = tempfile.mkdtemp(prefix="letterlog-postfix-")
        # Its daemons run as postfix, which has to get to the queue.
        os.chmod(self.directory, 0o755)
        self.port = free_port()
        self.settings = {
            "compatibility_level": "3.6", "queue_directory": self.path("queue"), "data_directory": self.path("data"),
            "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin",
            "maillog_file": self.path("mail.log"), "maillog_file_prefixes": self.directory,
            "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4", "myhostname": "postfix.test",
            "mydestination": "", "mynetworks": "127.0.0.0/8", "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "local_recipient_maps": "", "alias_maps": "", "smtputf8_enable": "no",
            "smtpd_client_connection_count_limit": "0", "default_process_limit": "200",
            "minimal_backoff_time": "2s", "maximal_backoff_time": "4s", "queue_run_delay": "2s",
            "smtp_destination_concurrency_failed_cohort_limit": "0", "lmtp_destination_concurrency_failed_cohort_limit": "0",
            # Mail for these domains ends here, in one directory.
            "virtual_mailbox_domains": "there.test", "virtual_mailbox_base": self.path("mail"),
            "virtual_mailbox_maps": "static:all/", "virtual_uid_maps": "static:65534",
            "virtual_gid_maps": "static:65534", "virtual_mailbox_limit": "0",
            "message_size_limit": "0", **settings}

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def __enter__(self):
        postfix = need("postfix", "postfix")
        try:
            for name in ("etc", "queue", "data", "mail"):
                os.mkdir(self.path(name))
            shutil.chown(self.path("data"), "postfix")
            os.chown(self.path("mail"), 65534, 65534)
            self.write_settings()
            with open(self.path("etc", "master.cf"), "w") as file:
                file.write(MASTER.format(port="127.0.0.1:%d" % self.port))
            run_well([postfix, "-c", self.path("etc"), "start"])
            wait_until("Postfix answers", 30, self.answers)
        except BaseException:
            self.show_log()
            self.remove()
            raise
        return self

    def write_settings(self):
        with open(self.path("etc", "main.cf"), "w") as file:
            file.write("".join("%s = %s\n" % item for item in self.settings.items()))

    def change(self, **settings):
        """Other settings from the next connection on."""
        self.settings.update(settings)
        self.write_settings()
        run_well([need("postfix", "postfix"), "-c", self.path("etc"), "reload"])

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as wire:
                return wire.recv(100).startswith(b"220 ")
        except OSError:
            return False

    def __exit__(self, kind, *_):
        if kind is not None:
            self.show_log()
        self.remove()

    def remove(self):
        run([need("postfix", "postfix"), "-c", self.path("etc"), "stop"])
        shutil.rmtree(self.directory, ignore_errors=True)

    def show_log(self):
        if os.path.exists(self.path("mail.log")):
            with open(self.path("mail.log"), errors="replace") as log:
                print("--- the end of Postfix's log:", *log.readlines()[-25:], sep="\n", flush=True)

    def log(self):
        with open(self.path("mail.log"), errors="replace") as log:
            return log.read()

    def delivered(self):
        """What came for there.test, each message whole."""
        messages = []
        for part in ("new", "cur"):
            folder = self.path("mail", "all", part)
            for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                with open(os.path.join(folder, name), "rb") as file:
                    messages.append(file.read())
        return messages

    def count(self):
        folder = self.path("mail", "all", "new")
        return len(os.listdir(folder)) if os.path.isdir(folder) else 0

    def waiting(self):
        code, said = run([need("postqueue", "postfix"), "-c", self.path("etc"), "-j"])
        return [line for line in said.splitlines() if line.strip()]


class NameServer:
    """dnsmasq with these records, and nothing else in the world; of `test` and what else is `--local` it knows all."""

    def __init__(self, *records):
        self.records = records
        self.port = free_port()
        self.process = None
        self.directory = tempfile.mkdtemp(prefix="letterlog-dns-")

    def __enter__(self):
        dnsmasq = need("dnsmasq", "dnsmasq-base")
        self.process = subprocess.Popen(
            [dnsmasq, "--keep-in-foreground", "--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--listen-address=127.0.0.1",
             "--bind-interfaces", "--port=%d" % self.port, "--local=/test/", "--pid-file=", "--user=root",
             "--log-facility=" + os.path.join(self.directory, "log"), *self.records],
            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        wait_until("dnsmasq answers", 20, self.answers)
        return self

    def answers(self):
        expect(self.process.poll() is None, "dnsmasq ended")
        # A question for the address of `up.test`.
        question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02up\x04test\x00\x00\x01\x00\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.settimeout(0.5)
            try:
                wire.sendto(question, ("127.0.0.1", self.port))
                return wire.recv(512)[:2] == b"\x12\x34"
            except OSError:
                return False

    def stop(self):
        expect(end_process(self.process, 10), "dnsmasq did not end")

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
