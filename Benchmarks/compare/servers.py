"""The servers under comparison: each is prepared in a folder of its own and run on free loopback ports.

A server runs in a session of its own, so that its processor time can be read from /proc as the sum over that session,
and is ended by its process id. Started by root, it runs as nobody: none of them needs more.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

PASSWORD = "compare-secret"
START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def own_user():
    """The command prefix that drops root, and the (user, group) names the server then has."""
    if os.getuid() == 0:
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"], ("nobody", "nogroup")
    import grp
    import pwd
    return [], (pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name)


def runnable(binary, folder):
    """The program where the servers' user may run it: in `folder`, when root starts them."""
    binary = pathlib.Path(binary).resolve()
    if not own_user()[0]:
        return binary
    copy = shutil.copy2(binary, folder / "letterlog")
    os.chmod(copy, 0o755)
    return copy


def session_processes(session):
    """The folder in /proc of each process of a session, with the fields of its `stat` from the state on."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session:
            yield entry, fields


def session_cpu_seconds(session):
    """Processor time of all processes of a session, with the ended children that their parents have waited for."""
    ticks = sum(int(value) for _, fields in session_processes(session) for value in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def greets(port):
    """Whether a server is there and has said something."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
            return bool(s.recv(1))
    except OSError:
        return False


class Server:
    """A server process; subclasses say how it is prepared and started."""

    def __init__(self, folder, users):
        self.folder = pathlib.Path(folder)
        self.users = users
        self.lmtp_port, self.pop3_port = free_port(), free_port()
        self.prefix, (self.user, self.group) = own_user()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        shutil.chown(self.folder, self.user, self.group)
        self.process = None

    def start(self):
        self.prepare()
        self.launch()

    def ports(self):
        """Where it has to answer before it counts as started."""
        return self.lmtp_port, self.pop3_port

    def launch(self):
        log = open(self.folder / "output.log", "ab")
        self.process = subprocess.Popen(
            self.prefix + self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, cwd=self.folder)
        end = time.monotonic() + START_SECONDS_MAX
        for port in self.ports():
            while not greets(port):
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise RuntimeError(f"{self.name} did not start:\n" + self.output())
                time.sleep(0.05)

    def output(self):
        return "\n".join(p.read_text(errors="replace")[-3000:] for p in self.folder.glob("*.log"))

    def cpu_seconds(self):
        return session_cpu_seconds(self.process.pid)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Dovecot(Server):
    """Debian's Dovecot with Maildir, every change synced, as many processes as there are connections."""
    name = "Dovecot"
    configuration = pathlib.Path(__file__).parent / "dovecot.conf"

    def version(self):
        return subprocess.run(["/usr/sbin/dovecot", "--version"], capture_output=True, text=True).stdout.split(" ")[0]

    def values(self):
        """What stands for the @NAMES@ of the configuration."""
        return {"FOLDER": self.folder, "USER": self.user, "GROUP": self.group, "PASSWORD": PASSWORD,
                "LMTP_PORT": self.lmtp_port, "POP3_PORT": self.pop3_port}

    def prepare(self):
        for part in ("run", "state", "home"):
            (self.folder / part).mkdir()
            shutil.chown(self.folder / part, self.user, self.group)
        text = self.configuration.read_text()
        for name, value in self.values().items():
            text = text.replace(f"@{name}@", str(value))
        (self.folder / "dovecot.conf").write_text(text)

    def command(self):
        return ["/usr/sbin/dovecot", "-F", "-c", str(self.folder / "dovecot.conf")]


class Letterlog(Server):
    """A Letterlog node with its default configuration."""
    name = "Letterlog"

    def __init__(self, folder, users, binary):
        super().__init__(folder, users)
        self.binary = str(pathlib.Path(binary).resolve())
        self.store = str(self.folder / "store")

    def version(self):
        done = subprocess.run([self.binary, "--version"], capture_output=True, text=True)
        return done.stdout.strip() or "?"

    def prepare(self):
        accounts = self.folder / "accounts.csv"
        accounts.write_text("".join(f"user{n}@example.test,{PASSWORD}\n" for n in range(self.users)))
        for arguments in (["init", "--store", self.store, "--domain", "example.test"],
                          ["account", "import", str(accounts), "--store", self.store]):
            done = subprocess.run(self.prefix + [self.binary] + arguments, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"letterlog {arguments[0]} failed: {done.stderr or done.stdout}")

    def command(self):
        return [self.binary, "serve", "--store", self.store, "--listen", f"lmtp=127.0.0.1:{self.lmtp_port}",
                "--listen", f"pop3=127.0.0.1:{self.pop3_port}"]
