#!/usr/bin/env python3
"""What tools/run prints works when it is pasted into a shell.

The lines are taken from tools/run as it prints them, for a node that is started as tools/run starts it, with the ports
of the demo replaced by those that were free. Every command has to end with 0 and to do what the line above it says.

Usage: pasted.py LETTERLOG
"""
import os
import re
import shlex
import subprocess
import urllib.request

from node import (COMMAND_SECONDS_MAX, DOMAIN, LISTENERS, Node, expect, expect_match, main, need, run_well, wait_until)
from terminal import Terminal

TOOLS_RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "run")
# What tools/run is without a configuration (NodeConfiguration.demoListeners).
PORTS = {"smtp": "1025", "submission": "1587", "submissions": "1465", "lmtp": "1024", "pop3": "1110", "pop3s": "1995",
         "imap": "1143", "imaps": "1993", "http": "8080"}


class Demo(Node):
    """A node as in tools/run: the store of that name in the current directory, and no setting of ours."""

    def __init__(self, program):
        super().__init__(program)
        self.store = ".letterlog-demo"
        # On a machine with a nearly full disk the demo refuses mail; that is not the subject here.
        self.settings = [setting for setting in self.settings if setting.startswith("storage.")]
        os.chdir(self.directory)

    def __enter__(self):
        super().__enter__()
        for person in ("alice", "bob"):
            self.do("account", "add", "%s@%s" % (person, DOMAIN), "--password-stdin", stdin=person + "-secret")
        return self


def printed(node):
    """The text of tools/run, its variables filled in by the shell that would."""
    with open(TOOLS_RUN) as file:
        script = file.read()
    text = re.search(r"^ *cat <<END$\n(.*?)^END$", script, re.M | re.S)
    expect(text, "tools/run has no text between `cat <<END` and `END`")
    settings = re.findall(r"^ *((?:maildir|certificate)=.*)$", script, re.M)
    expect(len(settings) == 2, "tools/run does not set `maildir` and `certificate`")
    shell = "\n".join([
        "set -eu", "store=%s" % node.store, "domain=%s" % DOMAIN, "letterlog=%s" % shlex.quote(node.program),
        "node=%d" % node.process.pid, *settings, "cat <<END", text.group(1) + "END", ""])
    done = subprocess.run(["bash"], input=shell, capture_output=True, text=True, cwd=node.directory,
                          timeout=COMMAND_SECONDS_MAX)
    expect(done.returncode == 0, "the text of tools/run: " + done.stderr)
    return done.stdout


def commands(text):
    """The indented lines; one that ends in a pipe goes on in the next."""
    found = []
    for line in text.splitlines():
        if not line.startswith("  "):
            continue
        if found and found[-1].endswith("|"):
            found[-1] += "\n" + line.strip()
        else:
            found.append(line.strip())
    return found


def with_ports(command, node):
    for name, port in PORTS.items():
        command = re.sub(r"\b%s\b" % port, str(node.port(name)), command)
    return command


def paste(command):
    return run_well(["bash", "-c", command]).decode("utf-8", "replace")


def body(program):
    for name, package in (("curl", "curl"), ("swaks", "swaks"), ("mutt", "mutt"), ("bash", "bash")):
        need(name, package)
    with Demo(program) as node:
        lines = commands(printed(node))
        unused = [port for port in PORTS.values() if not any(port in line for line in lines)]
        expect(not unused, "ports of the demo that no line uses: %s" % unused)
        said = {}
        mutt = None
        for line in lines:
            if line.startswith("mutt"):
                mutt = line
                continue
            print("$", line, flush=True)
            said[line] = paste(with_ports(line, node))
        check(said, node)
        expect(mutt, "no line for mutt")
        print("$", mutt, flush=True)
        open_mutt(mutt)
        health = "http://127.0.0.1:%d/" % node.port("http")
        for page in ("ready", "metrics"):
            with urllib.request.urlopen(health + page, timeout=10) as answer:
                expect(answer.status == 200, "/%s: %d" % (page, answer.status))


def check(said, node):
    def one(*words):
        found = [text for line, text in said.items() if all(word in line for word in words)]
        expect(len(found) == 1, "%d lines of tools/run have %s" % (len(found), words))
        return found[0]

    one("curl", "smtp://")
    expect_match(r"<-  250 2\.1\.5 Stored as ", one("swaks", "LMTP"), "swaks over LMTP")
    expect_match(r"^1 \d+\r?\n2 \d+\r?\n$", one("curl", "pop3:", "/ --user"), "the maildrop")
    expect_match(r"^\* LIST \([^)]*\) \"/\" INBOX\r?\n", one("curl", "imap:", "/ --user"), "the mailboxes")
    expect_match(r"^Return-Path: <bob@example\.test>\r?\nReceived: [^~]*Subject: Hello\r?\n\r?\nA first letter\.\r?\n$",
                 one("curl", "/1 --user"), "the first letter")
    expect_match(r"Subject: Hello\r?\n\r?\nA first letter\.\r?\n$", one("curl", "imap:", "MAILINDEX"), "the same over IMAP")
    one("curl", "smtps://")
    expect_match(r"<~  235 2\.7\.0 ", one("swaks", "--tls"), "swaks over TLS")
    expect_match(r"^1 \d+\r?\n2 \d+\r?\n3 \d+\r?\n4 \d+\r?\n$", one("curl", "pop3s://"), "the maildrop over TLS")
    expect_match(r"A third letter\.\r?\n$", one("curl", "--ssl-reqd", "pop3:"), "the third letter")
    expect_match(r"A third letter\.\r?\n$", one("curl", "imaps:"), "the third letter over IMAP")
    expect_match("^ok", one("curl", "/health"), "/health")
    expect_match("(?i)appended|delivered", one(" log show "), "the log")


def open_mutt(command):
    """It opens a screen; the letters are on it. Files follow their mail in their own time."""
    directory = shlex.split(command)[-1]
    wait_until("four files in " + directory, 30, lambda: sum(
        len(os.listdir(os.path.join(directory, part))) for part in ("new", "cur")
        if os.path.isdir(os.path.join(directory, part))) == 4)
    home = os.path.join(os.getcwd(), "home")
    # mutt asks whether to make it when it is not there.
    os.makedirs(os.path.join(home, "Mail"))
    with Terminal(["bash", "-c", "exec " + command], HOME=home) as screen:
        screen.wait_for("Hello", "Msgs:4")
        screen.keys("x")
        expect(screen.wait_for_end() == 0, "mutt did not end well")


expect(len(LISTENERS) == len(PORTS), "a listener without a port in the demo")
main(body)
