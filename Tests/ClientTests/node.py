"""A node in a temporary directory, and what the scripts of this folder share.

A node listens on loopback ports that the system chooses, is ended by its process id, and takes its directory with it.
Each script says what it promises in its docstring, is called as `SCRIPT LETTERLOG`, and exits 1 with the first promise
that was not kept. Nothing here waits without a bound.
"""
import csv
import ctypes
import email
import importlib
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

PASSWORD = "client-tests"
DOMAIN = "example.test"
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30
COMMAND_SECONDS_MAX = 60
SCRIPT_SECONDS_MAX = 300
SOCKET_SECONDS_MAX = 30
LISTENERS = tuple("%s=127.0.0.1:0" % name for name in (
    "smtp", "submission", "submissions", "lmtp", "pop3", "pop3s", "imap", "imaps", "http"))
PR_SET_PDEATHSIG = 1
PACKAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".build", "python")


class Broken(Exception):
    """A promise that was not kept."""


def expect(condition, text):
    if not condition:
        raise Broken(text)


def expect_match(pattern, text, what):
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    expect(re.search(pattern, text), "%s: expected /%s/, got: %s" % (what, pattern, text[:600]))


def need(program, package):
    """The path of a program that is not ours; without it the test fails."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    expect(path, "%s is missing: install the Debian package %s (tools/install test does)" % (program, package))
    return path


def package(name):
    """A module of tools/python-packages.txt, which the system's Python does not see by itself."""
    if PACKAGES not in sys.path:
        sys.path.insert(0, PACKAGES)
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        raise Broken("%s: tools/install test puts it into .build/python" % missing)


def run(command, seconds=COMMAND_SECONDS_MAX, **options):
    """Runs a program; its exit code, and what it said on both outputs together."""
    options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, **options)
    except subprocess.TimeoutExpired as late:
        raise Broken("%s did not end within %d seconds; it said: %s" % (command, seconds, (late.stdout or b"")[-600:]))
    return done.returncode, done.stdout


def run_well(command, **options):
    """The same for a program that has to end with 0; what it said."""
    code, output = run(command, **options)
    expect(code == 0, "%s: exit %d: %s" % (command, code, output.decode("utf-8", "replace")[-1500:]))
    return output


def wait_until(what, seconds, condition):
    """What `condition` gives once it is true; asks it ten times a second."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise Broken("not within %d seconds: %s" % (seconds, what))


def die_with_parent():
    """A killed test leaves no process behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_process(process, seconds):
    """Ends a process by SIGTERM, and by SIGKILL when that takes longer; whether the first was enough."""
    process.terminate()
    try:
        process.wait(timeout=seconds)
        return True
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


def self_signed(certificate, key, name, *others):
    """A certificate for a host name, and for `others` written as openssl has them; it is its own authority."""
    run_well([need("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
              "-keyout", key, "-out", certificate, "-subj", "/CN=" + name, "-days", "30",
              "-addext", "subjectAltName=" + ",".join(["DNS:" + name, *others])])


def free_port():
    """A port of loopback that is free for streams and for datagrams."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", 0))
            port = stream.getsockname()[1]
            try:
                datagrams.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Broken("no port is free")


class Node:
    """A store and the process that serves it. As a context: made and started, then stopped and removed."""

    def __init__(self, program, accounts=(), settings=(), listeners=LISTENERS, parent=None):
        self.program = os.path.abspath(program)
        self.directory = tempfile.mkdtemp(prefix="letterlog-client-", dir=parent)
        self.store = os.path.join(self.directory, "store")
        self.maildir = os.path.join(self.directory, "maildir")
        self.log_path = os.path.join(self.directory, "log")
        self.listeners = listeners
        # The limits for a full disk are not the subject here: a machine with little room runs the tests too.
        self.settings = ["storage.soft-free=64000000", "storage.hard-free=32000000", "hostname=mail.example.test",
                         "maildir.enabled=true", "maildir.root=" + self.maildir, *settings]
        self.process, self.addresses = None, {}
        self.accounts = accounts

    def __enter__(self):
        try:
            self.do("init", "--domain", DOMAIN)
            for account in self.accounts:
                self.do("account", "add", account, "--password-stdin", stdin=PASSWORD + "\n")
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.stop()
        finally:
            if kind is not None:
                self.show_log()
            self.remove()

    def command(self, *arguments):
        sets = [word for setting in self.settings for word in ("--set", setting)]
        return [self.program, *arguments, "--store", self.store, *sets]

    def run(self, *arguments, stdin=None):
        """Exit code, standard output and standard error of a command on this store."""
        done = subprocess.run(self.command(*arguments), input=stdin, text=True, capture_output=True,
                              timeout=COMMAND_SECONDS_MAX)
        return done.returncode, done.stdout, done.stderr

    def do(self, *arguments, stdin=None):
        code, out, err = self.run(*arguments, stdin=stdin)
        expect(code == 0, "letterlog %s: exit %d: %s%s" % (" ".join(arguments), code, out, err))
        return out

    def import_accounts(self, addresses):
        """Many at once, from a file."""
        path = os.path.join(self.directory, "accounts.csv")
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows((address, PASSWORD) for address in addresses)
        self.do("account", "import", path)

    def start(self):
        listens = [word for listener in self.listeners for word in ("--listen", listener)]
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.command("serve", *listens), stdout=subprocess.PIPE, stderr=log,
                                        stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        log.close()
        line = self.ready_line()
        self.addresses = {}
        for name, address in re.findall(r"(\w+)=(\S+)", line):
            self.addresses.setdefault(name, []).append(parse_address(address))

    def ready_line(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while time.monotonic() < deadline:
                if selector.select(timeout=1):
                    part = os.read(self.process.stdout.fileno(), 4096)
                    said += part
                    found = re.search(rb"^ready.*\n", said, re.M)
                    if found:
                        return found.group().decode()
                    if not part:
                        break
        raise Broken("the node did not become ready; it printed %r" % said)

    def stop(self):
        if self.process is None:
            return
        process, self.process = self.process, None
        has_ended = end_process(process, STOP_SECONDS_MAX)
        process.stdout.close()
        expect(has_ended, "the node did not end within %d seconds of SIGTERM" % STOP_SECONDS_MAX)
        expect(process.returncode == 0, "the node ended with %d" % process.returncode)

    def kill(self):
        """As a power cut would: it has no say."""
        process, self.process = self.process, None
        process.kill()
        process.wait()
        process.stdout.close()

    def remove(self):
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def show_log(self):
        if os.path.exists(self.log_path):
            with open(self.log_path, errors="replace") as log:
                print("--- the end of the node's log:", *log.readlines()[-25:], sep="\n", flush=True)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wire(self, name, seconds=SOCKET_SECONDS_MAX, greeting=True):
        """A connection to the first listener of that name, its greeting read."""
        wire = Wire(self.addresses[name][0], seconds)
        if greeting:
            wire.reply() if name != "pop3" else wire.line()
        return wire

    def port(self, name):
        return self.addresses[name][0][1]

    def pop3(self, account, password=PASSWORD):
        """A POP3 session, logged in. With UTF8 messages come as they are (RFC 6856 section 2.1)."""
        wire = self.wire("pop3")
        wire.ok("UTF8")
        wire.ok("USER " + account)
        wire.ok("PASS " + password)
        return wire

    def maildrop(self, account):
        """The messages of an account's INBOX, in order."""
        with self.pop3(account) as wire:
            count = int(wire.ok("STAT").split()[1])
            messages = [wire.message(number) for number in range(1, count + 1)]
            wire.ok("QUIT")
        return messages

    def parsed_maildrop(self, account):
        return [email.message_from_bytes(message) for message in self.maildrop(account)]

    def queue(self):
        """The messages that wait, as `queue list --json` has them."""
        lines = self.do("queue", "list", "--json").splitlines()
        return [json.loads(line) for line in lines if "recipients" in line]

    def tried(self):
        """The first message of the queue whose first recipient was tried; None before."""
        return next((entry for entry in self.queue() if entry["recipients"][0]["attempts"] > 0), None)

    def resident_octets(self, key="VmRSS"):
        """Anonymous and file pages that the node holds; VmHWM is the highest they were."""
        with open("/proc/%d/status" % self.process.pid) as status:
            return int(re.search(key + r":\s+(\d+) kB", status.read()).group(1)) * 1024

    def anonymous_octets(self):
        """Memory that no file backs: the map of the database is not in it."""
        return self.resident_octets("RssAnon")

    def processor_seconds(self):
        """What its threads have used; those that have ended do not count."""
        total = 0
        tasks = "/proc/%d/task" % self.process.pid
        for task in os.listdir(tasks):
            try:
                with open("%s/%s/schedstat" % (tasks, task)) as file:
                    total += int(file.read().split()[0])
            except OSError:
                continue
        return total / 1e9

    def account_maildir(self, account):
        return os.path.join(self.maildir, account)

    def files(self, account):
        """The message files of an account's INBOX."""
        found = []
        for part in ("new", "cur"):
            folder = os.path.join(self.account_maildir(account), part)
            if os.path.isdir(folder):
                found += [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        return found

    def wait_for_files(self, account, count, seconds=60):
        try:
            return wait_until("%d files" % count, seconds,
                              lambda: (lambda files: files if len(files) == count else None)(self.files(account)))
        except Broken:
            raise Broken("the Maildir of %s has %d files after %d seconds, not %d"
                         % (account, len(self.files(account)), seconds, count))

    def wait_for_maildir(self, seconds=60):
        """Until the Maildirs, lists included, show the state: files follow the log in their own time."""
        said = ""

        def is_settled():
            nonlocal said
            code, _, said = self.run("verify", "--maildir", "--blobs", "0")
            return code == 0

        try:
            wait_until("the Maildirs show the state", seconds, is_settled)
        except Broken:
            raise Broken("the Maildirs do not show the state after %d seconds: %s" % (seconds, said))


def parse_address(text):
    """(host, port), or the path of a Unix socket."""
    if text.startswith("unix:"):
        return text[5:]
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def connect(address, seconds=SOCKET_SECONDS_MAX, source=None):
    if isinstance(address, str):
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(seconds)
        plain.connect(address)
        return plain
    return socket.create_connection(address, timeout=seconds, source_address=(source, 0) if source else None)


def is_taken(address):
    """Whether somebody takes connections there."""
    try:
        connect(address, 5).close()
        return True
    except OSError:
        return False


class Wire:
    """Octets to and from a listener: nothing is mended on the way, and no line is too long."""

    def __init__(self, address, seconds=SOCKET_SECONDS_MAX, source=None):
        self.socket = connect(address, seconds, source)
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, octets):
        self.socket.sendall(octets)

    def fill(self):
        """Reads once; False at the end."""
        try:
            part = self.socket.recv(1 << 18)
        except socket.timeout:
            raise Broken("no answer; so far: %r" % bytes(self.buffer[-300:]))
        except ConnectionResetError:
            raise Broken("the connection was reset; so far: %r" % bytes(self.buffer[-300:]))
        self.buffer += part
        return bool(part)

    def line(self):
        """One line without its CRLF, as text."""
        start = 0
        while True:
            end = self.buffer.find(b"\n", start)
            if end >= 0:
                break
            start = len(self.buffer)
            expect(self.fill(), "the connection ended within a line: %r" % bytes(self.buffer[-300:]))
        line = bytes(self.buffer[:end + 1])
        del self.buffer[:end + 1]
        expect(line.endswith(b"\r\n"), "a reply line without CRLF: %r" % line)
        return line[:-2].decode("utf-8", "replace")

    def reply(self):
        """A reply of SMTP with all its lines (RFC 5321 section 4.2.1), joined by newlines."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def command(self, text, pattern):
        """Sends a command line of SMTP and holds the reply against a pattern from its start."""
        self.send(text.encode() + b"\r\n")
        return self.expect_reply(pattern, text)

    def expect_reply(self, pattern, what):
        reply = self.reply()
        expect_match("^" + pattern, reply, what[:80])
        return reply

    def ok(self, text, pattern=r"\+OK"):
        """Sends a command line of POP3 and holds the status line against a pattern from its start."""
        self.send(text.encode() + b"\r\n")
        line = self.line()
        shown = "PASS ..." if text.startswith("PASS") else text[:80]
        expect_match("^" + pattern, line, shown)
        return line

    def multiline(self):
        """What follows a +OK up to the lone dot, dots taken out (RFC 1939 section 3)."""
        content = bytearray(b"\r\n") + self.buffer
        self.buffer = content
        start = 0
        while True:
            end = self.buffer.find(b"\r\n.\r\n", start)
            if end >= 0:
                break
            start = max(0, len(self.buffer) - 4)
            expect(self.fill(), "the connection ended within a multi-line answer")
        content = bytes(self.buffer[:end + 2])
        del self.buffer[:end + 5]
        return content.replace(b"\r\n..", b"\r\n.")[2:]

    def listing(self, text):
        self.ok(text)
        return [line.decode() for line in self.multiline().split(b"\r\n") if line]

    def message(self, number):
        self.ok("RETR %d" % number)
        return self.multiline()

    def expect_end(self, what):
        """Our side may go on; the other has closed."""
        while self.fill():
            pass
        expect(not self.buffer, "%s: more was said: %r" % (what, bytes(self.buffer[-300:])))


def stuffed(content):
    """A message as it follows DATA, with the final dot (RFC 5321 section 4.5.2). Its last line ends in CRLF then."""
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    dotted = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    return dotted + b".\r\n"


MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
TRACE = re.compile(
    rb"Return-Path: ?(?:\r\n\t)?<([^>]*)>\r\n"
    rb"Received: from ((?:[^\r\n]|\r\n\t)*?);(?:\r\n\t| )"
    rb"(?:\w{3},(?:\r\n\t| ))?\d{1,2} (?:" + MONTHS.encode() + rb") \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r\n")


def without_trace(message):
    """The envelope sender, the words of Received, and the message as it was sent (RFC 5321 section 4.4)."""
    found = TRACE.match(message)
    expect(found, "no Return-Path and Received in front: %r" % message[:300])
    return found.group(1).decode(), found.group(2).replace(b"\r\n\t", b" ").decode(), message[found.end():]


def deliver(node, recipients, content, sender="sender@sender.test", name="smtp"):
    """One message by SMTP or LMTP."""
    with node.wire(name) as wire:
        wire.command(("LHLO" if name == "lmtp" else "EHLO") + " client.test", "250")
        wire.command("MAIL FROM:<%s>" % sender, "250")
        for recipient in recipients:
            wire.command("RCPT TO:<%s>" % recipient, "250")
        wire.command("DATA", "354")
        wire.send(stuffed(content))
        for _ in recipients if name == "lmtp" else [None]:
            wire.expect_reply("250", "the final dot")
        wire.command("QUIT", "221")


def letter(subject, body=b"A letter.\r\n", sender="sender@sender.test"):
    return (b"From: Sender <" + sender.encode() + b">\r\nTo: somebody@example.test\r\nSubject: " + subject.encode() +
            b"\r\nMessage-ID: <" + re.sub(rb"\W+", b".", subject.encode()) + b"@sender.test>\r\n\r\n" + body)


def answer(result):
    """What imaplib was told, when that was OK."""
    code, data = result
    expect(code == "OK", "IMAP: %s %s" % (code, data))
    return data


def write(path, text, mode=0o600):
    """A file for a program that wants it to be its owner's."""
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def delivery_agent(home):
    """In a new folder: one for messages, and a program that puts each that it is given into a file of its own there."""
    into = os.path.join(home, "got")
    os.makedirs(into)
    return into, write(os.path.join(home, "mda"), '#!/bin/sh\ncat > "$(mktemp "%s/XXXXXXXX")"\n' % into, 0o700)


def main(body):
    """Calls `body` with the path of the program, and tells what broke."""
    if len(sys.argv) < 2:
        print("usage: %s LETTERLOG" % sys.argv[0], file=sys.stderr)
        sys.exit(2)
    began = time.monotonic()

    def too_long(*_):
        raise Broken("the script took over %d seconds" % SCRIPT_SECONDS_MAX)

    # The process of the tests blocks nearly all signals, and what it starts inherits that: neither the alarm below nor
    # SIGTERM to a server that we start would come.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SCRIPT_SECONDS_MAX)
    try:
        body(sys.argv[1])
    except Broken as broken:
        shared = ("node.py", "terminal.py")
        at = [frame for frame in traceback.extract_tb(broken.__traceback__)
              if os.path.basename(frame.filename) not in shared]
        print("BROKEN: %s (%s line %d)" % (broken, os.path.basename(at[-1].filename), at[-1].lineno))
        sys.exit(1)
    print("held, in %.1f seconds" % (time.monotonic() - began))
