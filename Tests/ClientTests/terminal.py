"""A program with a screen, in a pseudo-terminal."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from node import Broken, die_with_parent, expect

ROWS, COLUMNS = 50, 132
SECONDS_MAX = 30
SCREEN_OCTETS_MAX = 1 << 20
# Cursor movement stands where spaces were not drawn; everything else of a terminal's control is nothing to us.
MOVEMENT = re.compile(rb"\x1b\[[0-9;?]*[CGHdf]")
CONTROL = re.compile(
    rb"\x1b\[[0-9;?>]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>78M]|\x1b\][^\x07]*\x07|[\x00-\x09\x0b-\x1a\x7f]")


class Terminal:
    def __init__(self, command, **environment):
        self.command, self.drawn = command, b""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

        def prepare():
            die_with_parent()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=prepare,
            env={"PATH": os.environ["PATH"], "TERM": "xterm", "LC_ALL": "C.UTF-8", **environment})
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def read(self, seconds):
        """Reads what is drawn now; False when the program has closed its terminal."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            part = os.read(self.master, 1 << 16)
        except OSError:
            return False
        self.drawn += part
        expect(len(self.drawn) <= SCREEN_OCTETS_MAX, "%s draws without end" % self.command)
        return bool(part)

    def text(self):
        return CONTROL.sub(b"", MOVEMENT.sub(b" ", self.drawn)).decode("utf-8", "replace")

    def wait_for(self, *texts):
        """Until all of them have been drawn."""
        deadline = time.monotonic() + SECONDS_MAX
        while not all(text in self.text() for text in texts):
            missing = [text for text in texts if text not in self.text()]
            if time.monotonic() > deadline or not self.read(0.5):
                raise Broken("%s does not show %s; it shows: %s" % (self.command, missing, self.text()[-1500:]))

    def keys(self, text):
        os.write(self.master, text.encode())

    def wait_for_end(self):
        """The program's exit code."""
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline and self.read(0.2):
            if self.process.poll() is not None:
                break
        try:
            return self.process.wait(timeout=max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Broken("%s does not end; it shows: %s" % (self.command, self.text()[-1500:]))
