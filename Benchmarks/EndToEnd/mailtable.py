"""Prints the rows of the speed table for SMTP in and for POP3: ours, the others', the factor, and the verdict.

smtp-in: `smtp-source` of Debian's Postfix sends 4 KiB messages over 20 connections to our port 25, and to a Postfix that
hands them to Dovecot's LMTP. Ours are delivered when smtp-source ends; Postfix's when its queue is empty again.
pop3: one session logs in, asks for UIDL and retrieves all of 1,000 messages of 4 KiB, from us, from Dovecot and from Cyrus;
a session of a maildrop with 100,000 messages that logs in and fetches nothing; and one that deletes them all, with how long
its QUIT takes and how long meanwhile a delivery to somebody else does.

A figure is the median of the rounds, in which the servers are asked in turn.
"""
import argparse
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "compare"))
from compare import load, machine_ticks  # noqa: E402
from cyrus import Cyrus  # noqa: E402
from servers import PASSWORD, Dovecot, Letterlog, free_port, greets, own_user  # noqa: E402

USERS = 20
CONNECTIONS = 20
OCTETS = 4096
SOURCE_SECONDS_MAX = 600


class MailLetterlog(Letterlog):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.smtp_port = free_port()

    def command(self):
        return super().command() + ["--listen", f"smtp=127.0.0.1:{self.smtp_port}"]


class Postfix:
    """An instance of its own, in a folder, in front of a Dovecot."""
    MAIN = """compatibility_level = 3.6
queue_directory = {0}/queue
data_directory = {0}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
mynetworks = 192.0.2.1/32
virtual_mailbox_domains = example.test
virtual_mailbox_maps = static:yes
virtual_transport = lmtp:inet:127.0.0.1:{1}
smtpd_recipient_restrictions = reject_unauth_destination
default_process_limit = 100
smtpd_client_connection_count_limit = 0
maillog_file = {0}/postfix.log
maillog_file_prefixes = {0}
"""

    def __init__(self, folder, lmtp_port):
        self.folder, self.port = pathlib.Path(folder), free_port()
        for part in ("etc", "queue", "data"):
            (self.folder / part).mkdir(parents=True)
        shutil.chown(self.folder / "data", "postfix")
        (self.folder / "etc" / "main.cf").write_text(self.MAIN.format(self.folder, lmtp_port))
        lines = []
        for line in pathlib.Path("/usr/share/postfix/master.cf.dist").read_text().splitlines():
            fields = line.split()
            # Nothing in a chroot, and our port in place of smtp.
            if len(fields) >= 8 and not line.startswith(("#", " ")):
                fields[4] = "n"
                if fields[0] == "smtp" and fields[1] == "inet":
                    fields[0] = f"127.0.0.1:{self.port}"
                line = " ".join(fields)
            lines.append(line)
        (self.folder / "etc" / "master.cf").write_text("\n".join(lines) + "\n")

    def postfix(self, *arguments):
        done = subprocess.run(["/usr/sbin/postfix", "-c", str(self.folder / "etc"), *arguments], capture_output=True,
                              text=True)
        if done.returncode:
            raise RuntimeError(f"postfix {arguments[0]}: {done.stderr or done.stdout}")

    def start(self):
        self.postfix("start")
        end = time.monotonic() + 20
        while not greets(self.port):
            if time.monotonic() > end:
                raise RuntimeError("postfix did not start")
            time.sleep(0.05)

    def waiting(self):
        return sum(len(files) for part in ("maildrop", "incoming", "active", "deferred")
                   for _, _, files in os.walk(self.folder / "queue" / part))

    def wait_until_empty(self):
        end = time.monotonic() + SOURCE_SECONDS_MAX
        while self.waiting():
            if time.monotonic() > end:
                raise RuntimeError(f"{self.waiting()} messages are left in Postfix's queue")
            time.sleep(0.02)


def source(port, messages):
    done = subprocess.run(
        ["/usr/sbin/smtp-source", "-4", "-s", str(CONNECTIONS), "-l", str(OCTETS), "-m", str(messages), "-f",
         "sender@sender.test", "-t", "user1@example.test", f"127.0.0.1:{port}"], capture_output=True, text=True,
        timeout=SOURCE_SECONDS_MAX)
    if done.returncode:
        raise RuntimeError(f"smtp-source: {done.stderr or done.stdout}")


def timed(body):
    machine, before = machine_ticks(), time.monotonic()
    body()
    seconds = time.monotonic() - before
    busy, stolen, total = (b - a for a, b in zip(machine, machine_ticks()))
    print(f"  {seconds:.2f} s, the machine {100 * busy / total:.0f} % busy, {100 * stolen / total:.0f} % stolen",
          file=sys.stderr)
    return seconds


def row(name, asked, unit, ours, theirs, whose, more_is_better=True):
    factor = (ours / theirs if more_is_better else theirs / ours) if theirs else None
    verdict = "enough" if factor is None and ours <= asked or factor and factor >= asked else "MISSED"
    shown = f"{whose} {theirs:,.4g}" if theirs else ""
    print(f"{name}: asked {asked:g}{'' if factor is None else ' times'}, ours {ours:,.4g} {unit} {shown} "
          f"{'' if factor is None else f'= {factor:.2f} times '}{verdict}", flush=True)


def smtp_in(options, folder):
    ours = MailLetterlog(folder / "letterlog", USERS, options.binary)
    dovecot = Dovecot(folder / "dovecot", USERS)
    postfix = Postfix(folder / "postfix", dovecot.lmtp_port)
    rates = {"ours": [], "theirs": []}
    ours.start()
    dovecot.start()
    try:
        postfix.start()
        try:
            def through_postfix():
                source(postfix.port, options.messages)
                postfix.wait_until_empty()
            for number in range(options.rounds + 1):
                seconds = {"ours": timed(lambda: source(ours.smtp_port, options.messages)),
                           "theirs": timed(through_postfix)}
                # The first round warms both.
                if number:
                    for key in rates:
                        rates[key].append(options.messages / seconds[key])
        finally:
            postfix.postfix("stop")
    finally:
        ours.stop()
        dovecot.stop()
    row(f"SMTP in, {CONNECTIONS} connections, {OCTETS} octets", 5, "messages/s", statistics.median(rates["ours"]),
        statistics.median(rates["theirs"]), "Postfix to Dovecot LMTP")


def pop3(options, folder):
    servers = {"ours": Letterlog(folder / "letterlog", USERS, options.binary),
               "Dovecot": Dovecot(folder / "dovecot", USERS), "Cyrus": Cyrus(folder / "cyrus", USERS)}
    sessions = {key: [] for key in servers}
    logins = []
    try:
        for server in servers.values():
            server.start()
            # The first one makes the mailbox, where none is made before.
            for messages, connections in ((1, 1), (999, 8)):
                load(options.load / "lmtp-load", "--port", server.lmtp_port, "--size", OCTETS, "--recipient-count", 1,
                     "--messages", messages, "--connections", connections)
        for number in range(options.rounds + 1):
            for key, server in servers.items():
                # Cyrus writes a reply in two parts and waits for the client's delayed acknowledgement between them, 40 ms
                # for each message: one of its sessions takes longer than all the others together.
                asked = 1 if key == "Cyrus" else options.sessions
                seconds = timed(lambda: load(
                    options.load / "pop3-load", "--port", server.pop3_port, "--sessions", asked, "--password", PASSWORD))
                if number or key == "Cyrus":
                    sessions[key].append(asked / seconds)
        rates = {key: statistics.median(values) for key, values in sessions.items()}
        print(", ".join(f"{key} {rate:.2f} sessions/s" for key, rate in rates.items()))
        best = max((key for key in rates if key != "ours"), key=rates.get)
        row("POP3: log in, UIDL, RETR all of 1,000", 1.2, "sessions/s", rates["ours"], rates[best], best)
        server = servers["ours"]
        load(options.load / "lmtp-load", "--port", server.lmtp_port, "--size", 512, "--recipient-count", 1,
             "--messages", options.large - 1000, "--connections", 64)
        for number in range(options.rounds + 1):
            logins.append(timed(lambda: load(
                options.load / "pop3-load", "--port", server.pop3_port, "--sessions", 1, "--password", PASSWORD,
                "--retrieve", 0)))
        row(f"POP3: log in and UIDL of {options.large:,}", 1, "s", statistics.median(logins[1:]), None, "")
        empty(server, options.large)
    finally:
        for server in servers.values():
            if server.process:
                server.stop()


class Lines:
    """Lines of a protocol to and from a port."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.file = self.socket.makefile("rb")

    def line(self, status):
        line = self.file.readline()
        while line[3:4] == b"-":
            line = self.file.readline()
        if not line.startswith(status):
            raise RuntimeError(f"expected {status!r}, got {line!r}")

    def say(self, text, status):
        self.socket.sendall(text.encode() + b"\r\n")
        self.line(status)


def deliveries(port, is_over, seconds):
    """Delivers to user1 one after the other; how long each took, with the moment of its end."""
    lines = Lines(port)
    lines.line(b"220")
    lines.say("LHLO client.test", b"250")
    while not is_over.is_set():
        began = time.monotonic()
        lines.say("MAIL FROM:<>", b"250")
        lines.say("RCPT TO:<user1@example.test>", b"250")
        lines.say("DATA", b"354")
        lines.say("Subject: meanwhile\r\n\r\ntext\r\n.", b"250")
        seconds.append((time.monotonic(), time.monotonic() - began))


def empty(server, count):
    """DELE of everything, and QUIT."""
    session = Lines(server.pop3_port)
    session.line(b"+OK")
    session.say("USER user0@example.test", b"+OK")
    session.say("PASS " + PASSWORD, b"+OK")
    began = time.monotonic()
    for first in range(1, count + 1, 1000):
        numbers = range(first, min(first + 1000, count + 1))
        session.socket.sendall("".join(f"DELE {number}\r\n" for number in numbers).encode())
        for _ in numbers:
            session.line(b"+OK")
    marked = time.monotonic() - began
    is_over, seconds = threading.Event(), []
    others = threading.Thread(target=deliveries, args=(server.lmtp_port, is_over, seconds))
    others.start()
    time.sleep(2)
    began = time.monotonic()
    session.say("QUIT", b"+OK")
    ended = time.monotonic()
    time.sleep(2)
    is_over.set()
    others.join()
    within = [each for at, each in seconds if began <= at <= ended + max(each, 0)]
    before = [each for at, each in seconds if at < began]
    print(f"POP3: DELE of {count:,} in {marked:.2f} s, QUIT in {ended - began:.2f} s; a delivery to somebody else took at "
          f"most {max(before) * 1000:.1f} ms before (median {statistics.median(before) * 1000:.1f}) and at most "
          f"{max(within, default=0) * 1000:.1f} ms meanwhile")


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["smtp-in", "pop3"])
    parser.add_argument("--load", type=pathlib.Path, required=True, help="folder of the built load programs")
    parser.add_argument("--dir", type=pathlib.Path, help="folder on the disk to measure (a new one under /var/tmp)")
    parser.add_argument("--binary", default=root / ".build/release/letterlog")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=5000, help="of a round of smtp-in")
    parser.add_argument("--sessions", type=int, default=10, help="of a round of pop3")
    parser.add_argument("--large", type=int, default=100_000, help="messages of the large maildrop")
    options = parser.parse_args()
    if not pathlib.Path(options.binary).exists():
        sys.exit(f"{options.binary} is missing: swift build -c release --product letterlog")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="letterlog-mail-", dir=options.dir or "/var/tmp"))
    folder.chmod(0o755)
    shutil.chown(folder, *own_user()[1])
    try:
        {"smtp-in": smtp_in, "pop3": pop3}[options.what](options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
