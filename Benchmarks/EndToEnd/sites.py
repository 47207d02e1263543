"""The two servers as IMAP sees them: prepared, filled, restarted, and asked by `imap-load`."""
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "compare"))
from servers import PASSWORD, Dovecot, Letterlog, free_port, session_processes  # noqa: E402

LOAD_SECONDS_MAX = 1200
SETTLE_SECONDS_MAX = 600
USERS = 64


class IMAPSite:
    """What both have in common."""

    def imap(self, mode, *arguments, tls=False):
        """One run of `imap-load`, with the processor time that the server took in it."""
        before = self.cpu_seconds()
        done = subprocess.run(self.load_command(mode, *arguments, tls=tls), capture_output=True, text=True,
                              timeout=LOAD_SECONDS_MAX)
        if done.returncode == 2 or not done.stdout:
            raise RuntimeError(f"{self.name}: {mode} {arguments[:8]}: {done.stderr}\n{self.output()}")
        result = json.loads(done.stdout)
        result["server_cpu"] = self.cpu_seconds() - before
        if result["errors"]:
            print(f"  {self.name}: {result['errors']} errors, first: {result['first_error']}", file=sys.stderr)
        return result

    def load_command(self, mode, *arguments, tls=False):
        port = self.imaps_port if tls else self.imap_port
        return [str(self.load / "imap-load"), mode, "--port", str(port), "--password", PASSWORD,
                *(["--tls"] if tls else []), *map(str, arguments)]

    def begin(self, mode, *arguments, tls=False):
        """The same without waiting for its end."""
        return subprocess.Popen(self.load_command(mode, *arguments, tls=tls), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)

    def settle(self):
        """Waits until nothing goes on behind the scenes."""
        end, quiet, last = time.monotonic() + SETTLE_SECONDS_MAX, 0, self.cpu_seconds()
        while quiet < 4 and time.monotonic() < end:
            time.sleep(0.5)
            now = self.cpu_seconds()
            quiet, last = (quiet + 1 if now - last < 0.02 else 0), now

    def restart(self, without_cache=False):
        self.stop()
        if without_cache:
            self.drop_cache()
        self.launch()

    def anonymous_octets(self):
        """Anonymous memory of every process of the session; what is shared counts by its share."""
        octets = 0
        for entry, _ in session_processes(self.process.pid):
            try:
                for line in (entry / "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss_Anon:"):
                        octets += int(line.split()[1]) * 1024
            except OSError:
                continue
        return octets


class IMAPDovecot(IMAPSite, Dovecot):
    configuration = pathlib.Path(__file__).parent / "dovecot.conf"

    def __init__(self, folder, load, mail_format):
        super().__init__(folder, USERS)
        self.load, self.format = load, mail_format
        self.imap_port = free_port()

    def ports(self):
        return (self.imap_port,)

    def values(self):
        location = "maildir:~/Maildir" if self.format == "maildir" else f"{self.format}:~/mail"
        return {**super().values(), "IMAP_PORT": self.imap_port, "LOCATION": location,
                "FSYNC": "always" if self.format == "maildir" else "optimized"}

    def drop_cache(self):
        for file in (self.folder / "home").rglob("dovecot.index.cache"):
            file.unlink()


class IMAPLetterlog(IMAPSite, Letterlog):
    """A node with its default configuration, but for the lines given."""

    def __init__(self, folder, load, binary, configuration=""):
        super().__init__(folder, USERS, binary)
        self.load, self.configuration = load, configuration
        self.imap_port, self.imaps_port = free_port(), free_port()

    def ports(self):
        return (self.imap_port,)

    def command(self):
        command = [self.binary, "serve", "--store", self.store]
        if self.configuration:
            file = self.folder / "letterlog.yaml"
            file.write_text(self.configuration)
            command += ["--config", str(file)]
        for name, port in (("imap", self.imap_port), ("imaps", self.imaps_port)):
            command += ["--listen", f"{name}=127.0.0.1:{port}"]
        return command

    def drop_cache(self):
        for file in pathlib.Path(self.store, "shard-0000", "cache").iterdir():
            file.unlink()
