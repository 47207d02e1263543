#!/usr/bin/env python3
"""REQUIRETLS by MX (RFC 8689) with a real chain: zones that ldns signs and nsd serves, on loopback.

Promised: with a trust anchor, a message marked REQUIRETLS goes to the mail hosts of a signed domain, and to a signed domain
without MX itself, over TLS with a certificate of that very name, and is marked so there; a domain that nobody vouches for, a
certificate of another name and a host that does not promise the same bring it back with the status of RFC 8689; an answer
that does not verify, and a name server that is silent, make it wait. Without a trust anchor every such message comes back.

Usage: requiretls.py LETTERLOG
"""
import os
import shutil
import smtplib
import subprocess
import tempfile

from node import (DOMAIN, Node, PASSWORD, die_with_parent, end_process, expect, expect_match, free_port, main, need, run,
                  run_well, self_signed, wait_until)
from sasl import unchecked

ALICE = "alice@" + DOMAIN
SECONDS_MAX = 60

ZONE = """$ORIGIN {name}.
$TTL 60
@ IN SOA ns.{name}. root.{name}. 1 3600 600 86400 60
@ IN NS ns.{name}.
ns IN A 127.0.0.1
@ IN MX 10 mx.{name}.
mx IN A 127.0.0.1
bare IN A 127.0.0.1
strange IN MX 10 other.{name}.
other IN A 127.0.0.1
"""

CONFIGURATION = """server:
  ip-address: 127.0.0.1@{port}
  username: ""
  zonesdir: "{directory}"
  database: ""
  pidfile: "{directory}/pid"
  xfrdfile: "{directory}/xfrd"
  zonelistfile: "{directory}/zonelist"
  cookie-secret-file: "{directory}/cookie"
  server-count: 1
remote-control:
  control-enable: no
"""


class SignedZones:
    """nsd with zones of which some are signed; `anchors` is what a resolver is to trust."""

    def __init__(self, signed, forged, plain):
        self.signed, self.forged, self.plain = signed, forged, plain
        self.directory = tempfile.mkdtemp(prefix="letterlog-zones-")
        self.anchors = os.path.join(self.directory, "anchors")
        self.port = free_port()
        self.process = None

    def key(self, name):
        """The file names of a new key, without their ends."""
        said = run_well([need("ldns-keygen", "ldnsutils"), "-a", "ED25519", "-k", name], cwd=self.directory)
        return os.path.join(self.directory, said.decode().split()[-1])

    def zone(self, name):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(ZONE.format(name=name))
        return path

    def __enter__(self):
        zones = {}
        with open(self.anchors, "w") as anchors:
            for name in self.signed + self.forged:
                key, path = self.key(name), self.zone(name)
                run_well([need("ldns-signzone", "ldnsutils"), "-n", path, key], cwd=self.directory)
                zones[name] = path + ".signed"
                # Signed by a key that nobody trusts: what comes does not verify.
                trusted = self.key(name) if name in self.forged else key
                with open(trusted + ".key") as file:
                    anchors.write(file.read())
        zones.update((name, self.zone(name)) for name in self.plain)
        path = os.path.join(self.directory, "nsd.conf")
        with open(path, "w") as file:
            file.write(CONFIGURATION.format(port=self.port, directory=self.directory))
            for name, data in zones.items():
                file.write('zone:\n  name: "%s"\n  zonefile: "%s"\n' % (name, data))
        with open(os.path.join(self.directory, "log"), "wb") as log:
            self.process = subprocess.Popen([need("nsd", "nsd"), "-d", "-c", path], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=die_with_parent)
        wait_until("nsd answers", 20, self.answers)
        return self

    def answers(self):
        expect(self.process.poll() is None, "nsd ended")
        code, said = run([need("drill", "ldnsutils"), "-p", str(self.port), "@127.0.0.1", "mx", self.signed[0]])
        return code == 0 and b"mx." in said

    def stop(self):
        if self.process is not None:
            process, self.process = self.process, None
            expect(end_process(process, 20), "nsd did not end")

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def submit(node, recipient, subject):
    with smtplib.SMTP_SSL("127.0.0.1", node.port("submissions"), timeout=60, context=unchecked()) as client:
        client.ehlo("client.test")
        client.login(ALICE, PASSWORD)
        client.sendmail(ALICE, [recipient], "From: %s\r\nSubject: %s\r\n\r\nA line\r\n" % (ALICE, subject),
                        mail_options=["REQUIRETLS"])


def comes_back(node, recipient, status):
    submit(node, recipient, "to " + recipient)

    def report():
        return next((m for m in node.parsed_maildrop(ALICE) if m.get_content_type() == "multipart/report"
                     and "rfc822; " + recipient in m.as_string()), None)
    said = wait_until("a report about " + recipient, SECONDS_MAX, report).as_string()
    expect_match("Status: " + status.replace(".", r"\."), said, recipient)
    wait_until("the queue is empty", SECONDS_MAX, lambda: not node.queue())


def waits(node, recipient, reason):
    submit(node, recipient, "to " + recipient)
    entry = wait_until(recipient + " was tried", SECONDS_MAX, node.tried)
    expect_match(reason, entry["reason"], recipient)
    node.do("queue", "remove", "--all")


def check(program):
    with SignedZones(["signed.test"], ["forged.test"], ["plain.test"]) as zones:
        own, key = (os.path.join(zones.directory, name) for name in ("cert.pem", "key.pem"))
        self_signed(own, key, "mx.signed.test", "DNS:bare.signed.test", "DNS:mx.plain.test")
        people = ["zoe@" + domain for domain in ("signed.test", "bare.signed.test", "strange.signed.test", "plain.test")]
        with Node(program, people, ["tls.certificate=" + own, "tls.key=" + key]) as there:
            settings = ["sending.name-servers=127.0.0.1@%d" % zones.port, "sending.port=%d" % there.port("smtp"),
                        "sending.authority=" + own, "sending.retry-first=5m"]
            with Node(program, [ALICE], settings + ["sending.trust-anchor=" + zones.anchors]) as node:
                for domain in ("signed.test", "bare.signed.test"):
                    submit(node, "zoe@" + domain, "sealed")
                    arrived = wait_until("zoe@%s has it" % domain, SECONDS_MAX,
                                         lambda: there.parsed_maildrop("zoe@" + domain))
                    expect([m["Subject"] for m in arrived] == ["sealed"], "it came %d times" % len(arrived))
                    expect_match(r"with\s+ESMTPS", arrived[0]["Received"], "the hop to " + domain)
                wait_until("the queue is empty", SECONDS_MAX, lambda: not node.queue())
                # Its certificate is not that of the name that DNSSEC vouches for.
                comes_back(node, "zoe@strange.signed.test", "5.7.10")
                comes_back(node, "zoe@plain.test", "5.7.30")
                comes_back(node, "zoe@nowhere.signed.test", "5.1.2")
                waits(node, "zoe@forged.test", "does not verify|SERVFAIL|code 2")
                expect(len(there.parsed_maildrop("zoe@strange.signed.test") + there.parsed_maildrop("zoe@plain.test")) == 0,
                       "mail went where it must not")
                zones.stop()
                waits(node, "zoe@late.signed.test", "cannot look up")
            with zones.__class__(["signed.test"], [], []) as again:
                settings[0] = "sending.name-servers=127.0.0.1@%d" % again.port
                with Node(program, [ALICE], settings) as node:
                    comes_back(node, "zoe@signed.test", "5.7.30")


main(check)
