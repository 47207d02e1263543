#!/usr/bin/env python3
"""The outbound queue: what a full one costs in memory, and how fast it empties into a sink on loopback.

Messages of 4 KB are handed in over submission while nobody listens at the smart host; the queue is then as long as it gets.
The memory of the node is read, the sink (smtp-sink of Debian's postfix) is started, and the time until the queue is empty
is taken. Exits 0 when both figures are enough.

Usage: sending.py [--program LETTERLOG] [--messages 100000] [--dir DIR] [--json FILE]
"""
import argparse
import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "Tests/ClientTests"))

import node as harness  # noqa: E402
from node import PASSWORD, Node, free_port  # noqa: E402

SENDER = "alice@example.test"
RATE_MIN, MEGABYTES_MAX = 500, 200
CONNECTIONS = 8
SECONDS_MAX = 1800


def reply(file):
    while True:
        line = file.readline()
        if not line:
            raise SystemExit("the node closed the connection")
        if line[3:4] != b"-":
            return line


def inject(port, count):
    body = b"".join(b"%d: %s\r\n" % (n, b"x" * 66) for n in range(56))
    with socket.create_connection(("127.0.0.1", port), timeout=120) as wire:
        file = wire.makefile("rb")
        reply(file)
        plain = base64.b64encode(b"\0" + SENDER.encode() + b"\0" + PASSWORD.encode())
        for line in (b"EHLO bench.test", b"AUTH PLAIN " + plain):
            wire.sendall(line + b"\r\n")
            said = reply(file)
        if not said.startswith(b"235"):
            raise SystemExit("no login: %r" % said)
        head = b"From: %s\r\nSubject: bench\r\n\r\n" % SENDER.encode()
        for number in range(count):
            wire.sendall(b"MAIL FROM:<%s>\r\nRCPT TO:<r%d@there.test>\r\nDATA\r\n" % (SENDER.encode(), number))
            for _ in range(3):
                reply(file)
            wire.sendall(head + body + b".\r\n")
            said = reply(file)
            if not said.startswith(b"250"):
                raise SystemExit("not taken: %r" % said)


def memory(node):
    return {key: node.resident_octets(key) / (1 << 20) for key in ("RssAnon", "VmRSS", "VmHWM")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=os.path.join(ROOT, ".build/release/letterlog"))
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--dir")
    parser.add_argument("--json")
    options = parser.parse_args()
    sink_program = shutil.which("smtp-sink", path=os.environ["PATH"] + ":/usr/sbin")
    if not sink_program:
        raise SystemExit("smtp-sink is missing: install the Debian package postfix")
    port = free_port()
    harness.COMMAND_SECONDS_MAX = SECONDS_MAX
    node = Node(options.program, [SENDER], [
        "sending.smart-host=127.0.0.1:%d" % port, "sending.smart-host-tls=off", "sending.retry-first=1h",
        "sending.connections-per-host=16", "maildir.enabled=false"],
        listeners=["submission=127.0.0.1:0"], parent=options.dir)
    # What it says of each message costs the disk nothing.
    node.log_path = os.devnull
    with node:
        return measure(options, node, sink_program, port)


def measure(options, node, sink_program, port):
    sink = None
    try:
        rest = memory(node)
        began = time.monotonic()
        threads = [threading.Thread(target=inject, args=(node.port("submission"), options.messages // CONNECTIONS))
                   for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = time.monotonic() - began
        count = options.messages // CONNECTIONS * CONNECTIONS
        time.sleep(2)
        full = memory(node)
        # It does not run as root.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        sink = subprocess.Popen([sink_program, "-c", *user, "127.0.0.1:%d" % port, "1000"], stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        if sink.poll() is not None:
            raise SystemExit("smtp-sink ended at once")
        waiting = node.do("queue", "list", "--limit", "0", "--json")
        node.do("queue", "retry", "--all")
        began = time.monotonic()
        while time.monotonic() - began < SECONDS_MAX:
            left = int(re.search(r'"waiting":(\d+)', node.do("queue", "list", "--limit", "0", "--json")).group(1))
            if left == 0:
                break
            time.sleep(0.2 if left < 20_000 else 1)
        sent = time.monotonic() - began
        peak = memory(node)
        figures = {
            "messages": count, "waiting_before": waiting.strip(), "handed_in_per_second": round(count / taken),
            "sent_per_second": round(count / sent), "rest": rest, "full_queue": full, "while_sending": peak,
            "left": left}
        print(json.dumps(figures, indent=1))
        if options.json:
            with open(options.json, "w") as file:
                json.dump(figures, file)
        enough = left == 0 and count / sent >= RATE_MIN and full["RssAnon"] < MEGABYTES_MAX and peak["RssAnon"] < MEGABYTES_MAX
        print("enough" if enough else "NOT ENOUGH: %d/s and %d MB are asked for" % (RATE_MIN, MEGABYTES_MAX))
        return 0 if enough else 1
    finally:
        if sink is not None:
            sink.terminate()
            sink.wait(timeout=60)


sys.exit(main())
