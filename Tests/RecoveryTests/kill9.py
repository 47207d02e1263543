#!/usr/bin/env python3
"""Kills a real node at random moments under load and holds what comes back against a journal of acknowledgements.

Clients deliver over LMTP and delete over POP3. A delivery is journalled when its 250 has been read, a deletion when
QUIT answered +OK. After each kill -9 the node is started again and, before anything else happens:
  - every journalled message is in the maildrop, under the UIDL it had, with the bytes that were sent;
  - every journalled deletion stays done;
  - `verify` and `rebuild --projection state --check` hold.
A message without acknowledgement may be there or not, but whole.

Usage: kill9.py LETTERLOG STORE_PARENT CYCLES SEED
Prints the seed first; exits 1 with the first broken promise.
"""
import hashlib
import os
import poplib
import random
import re
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time

SENDERS = 4
ACCOUNTS = ["ann@example.test", "ben@example.test", "cas@example.test"]
PASSWORD = "kill-nine-test"
START_SECONDS_MAX = 30
VERIFY_SECONDS_MAX = 120


class Broken(Exception):
    """A promise that was not kept."""


class Node:
    def __init__(self, program, store):
        self.program, self.store, self.process, self.addresses = program, store, None, {}

    def run(self, *arguments, stdin=None):
        done = subprocess.run([self.program, *arguments, "--store", self.store], input=stdin, text=True,
                              capture_output=True, timeout=VERIFY_SECONDS_MAX)
        return done.returncode, done.stdout, done.stderr

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "serve", "--store", self.store, "--listen", "lmtp=127.0.0.1:0",
             "--listen", "pop3=127.0.0.1:0"], stdout=subprocess.PIPE, stderr=open(self.store + ".log", "a"), text=True)
        deadline = time.monotonic() + START_SECONDS_MAX
        line = ""
        while time.monotonic() < deadline:
            line = self.process.stdout.readline()
            if line.startswith("ready") or not line:
                break
        if not line.startswith("ready"):
            raise Broken("the node did not become ready; see " + self.store + ".log")
        self.addresses = {name: int(port) for name, port in re.findall(r"(\w+)=\S*?:(\d+)(?=\s|$)", line)}

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            if self.process.wait(timeout=30) != 0:
                raise Broken("SIGTERM ended with %d" % self.process.returncode)


class Journal:
    """What was acknowledged, by account: subject -> (digest of the sent body, UIDL once it was seen)."""

    def __init__(self):
        self.lock = threading.Lock()
        self.delivered = {account: {} for account in ACCOUNTS}
        self.sent = {account: {} for account in ACCOUNTS}
        self.deleted = {account: set() for account in ACCOUNTS}
        self.uidl = {account: {} for account in ACCOUNTS}

    def count(self):
        return sum(len(messages) for messages in self.delivered.values())


def compose(rng, name):
    size = rng.choice([200, 2000, 10_000, 10_000, 70_000])
    lines = ["From: sender@example.test", "Subject: " + name, "Message-ID: <%s@example.test>" % name, ""]
    octets = 0
    while octets < size:
        line = rng.choice(["", ".", "..x", "abc " * rng.randint(1, 18), "x" * rng.randint(1, 900)])
        lines.append(line.rstrip())
        octets += len(line) + 2
    return "\r\n".join(lines).encode() + b"\r\n"


def deliver(node, journal, seed, stop):
    rng = random.Random(seed)
    number = 0
    while not stop.is_set():
        try:
            with smtplib.LMTP("127.0.0.1", node.addresses["lmtp"], local_hostname="kill9.test") as client:
                while not stop.is_set():
                    number += 1
                    name = "m-%d-%d" % (seed, number)
                    body = compose(rng, name)
                    recipients = rng.sample(ACCOUNTS, rng.randint(1, 2))
                    for account in recipients:
                        journal.sent[account][name] = hashlib.sha256(body).hexdigest()
                    refused = client.sendmail("sender@example.test", recipients, body)
                    with journal.lock:
                        for account in recipients:
                            if account not in refused:
                                journal.delivered[account][name] = journal.sent[account][name]
        except (OSError, smtplib.SMTPException):
            if stop.is_set():
                return
            time.sleep(0.01)


def read_maildrop(node, account):
    """UIDL -> (subject, digest of the message without the trace lines in front)."""
    client = poplib.POP3("127.0.0.1", node.addresses["pop3"], timeout=60)
    client.user(account)
    client.pass_(PASSWORD)
    found = {}
    for line in client.uidl()[1]:
        number, uidl = line.decode().split()
        raw = b"\r\n".join(client.retr(int(number))[1]) + b"\r\n"
        start = raw.find(b"From: sender@example.test\r\n")
        subject = re.search(rb"^Subject: (\S+)\r$", raw, re.M)
        if start < 0 or not subject:
            raise Broken("%s: message %s is not whole" % (account, number))
        found[uidl] = (subject.group(1).decode(), hashlib.sha256(raw[start:]).hexdigest())
    client.quit()
    return found


def check(node, journal):
    for account in ACCOUNTS:
        found = read_maildrop(node, account)
        by_subject = {}
        for uidl, (subject, digest) in found.items():
            if subject in by_subject:
                raise Broken("%s: %s is there twice" % (account, subject))
            by_subject[subject] = (uidl, digest)
            if digest != journal.sent[account].get(subject):
                raise Broken("%s: %s has other bytes than were sent" % (account, subject))
        for subject in journal.delivered[account]:
            if subject in journal.deleted[account]:
                continue
            if subject not in by_subject:
                raise Broken("%s: %s was acknowledged and is gone" % (account, subject))
            uidl = journal.uidl[account].setdefault(subject, by_subject[subject][0])
            if uidl != by_subject[subject][0]:
                raise Broken("%s: %s changed its UIDL" % (account, subject))
        for subject in journal.deleted[account]:
            if subject in by_subject:
                raise Broken("%s: %s was deleted and is back" % (account, subject))
        # What came without acknowledgement is from now on as good as any other.
        for subject, (uidl, _) in by_subject.items():
            journal.delivered[account].setdefault(subject, journal.sent[account][subject])
            journal.uidl[account][subject] = uidl
    for command in (["verify"], ["rebuild", "--projection", "state", "--check"]):
        code, out, err = node.run(*command)
        if code != 0:
            raise Broken("%s: exit %d: %s%s" % (" ".join(command), code, out, err))


def delete_some(node, journal, rng):
    account = rng.choice(ACCOUNTS)
    client = poplib.POP3("127.0.0.1", node.addresses["pop3"], timeout=60)
    client.user(account)
    client.pass_(PASSWORD)
    subjects = {uidl: subject for subject, uidl in journal.uidl[account].items()}
    doomed = []
    for line in client.uidl()[1]:
        number, uidl = line.decode().split()
        if uidl in subjects and rng.random() < 0.2:
            client.dele(int(number))
            doomed.append(subjects[uidl])
    client.quit()
    journal.deleted[account].update(doomed)


def main():
    program, parent, cycles, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    print("seed", seed, flush=True)
    rng = random.Random(seed)
    store = os.path.join(tempfile.mkdtemp(prefix="kill9-", dir=parent), "store")
    node = Node(program, store)
    journal = Journal()
    code, out, err = node.run("init", "--domain", "example.test")
    if code != 0:
        raise Broken("init: " + out + err)
    for account in ACCOUNTS:
        code, out, err = node.run("account", "add", account, "--password-stdin", stdin=PASSWORD + "\n")
        if code != 0:
            raise Broken("account add: " + out + err)
    for cycle in range(cycles):
        node.start()
        check(node, journal)
        delete_some(node, journal, rng)
        stop = threading.Event()
        senders = [threading.Thread(target=deliver, args=(node, journal, rng.getrandbits(32), stop))
                   for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        time.sleep(rng.uniform(0.05, 1.2))
        node.kill()
        stop.set()
        for sender in senders:
            sender.join()
    node.start()
    check(node, journal)
    node.stop()
    deleted = sum(len(names) for names in journal.deleted.values())
    print("%d kills, %d deliveries and %d deletions acknowledged, none lost" % (cycles, journal.count(), deleted))
    if journal.count() == 0 or deleted == 0:
        raise Broken("nothing was acknowledged, so nothing was tested")


if __name__ == "__main__":
    try:
        main()
    except Broken as broken:
        print("BROKEN:", broken)
        sys.exit(1)
