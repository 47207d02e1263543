#!/usr/bin/env python3
"""Logins by clients that share nothing with us: Python's own SCRAM, curl, swaks, msmtp, mpop, fetchmail.

Promised: each mechanism lets in who has the password and nobody else, on POP3 and submission; a wrong password, an
unknown name and a disabled account get the same words; tokens are judged by a token service; saslauthd is asked where
it keeps passwords; an imported hash is good and becomes verifiers of SCRAM; a credential shows its last use; and no
secret is in the node's log, in `log show` or in `account show`.

Usage: logins.py LETTERLOG
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import poplib
import re
import shutil
import signal
import smtplib
import socketserver
import subprocess
import tempfile
import threading
import urllib.parse

from node import (DOMAIN, PASSWORD, Node, Wire, die_with_parent, expect, expect_match, letter, main, need, run, run_well,
                  wait_until)

ANN = "ann@" + DOMAIN
EVE = "eve@" + DOMAIN
SASLAUTHD_PASSWORD = "kept-elsewhere"
CRYPT_PASSWORD = "from the old server"
TOKEN = "good.token-of~ann/42=="
CLIENT_SECRET = "secret of the mail server"
LISTENERS = ("submission=127.0.0.1:0", "pop3=127.0.0.1:0", "smtp=127.0.0.1:0")


def b64(octets):
    return base64.b64encode(octets).decode()


# SCRAM (RFC 5802, RFC 7677), written from the texts

def scram_first(name, nonce):
    return "n=%s,r=%s" % (name.replace("=", "=3D").replace(",", "=2C"), nonce)


def scram_last(digest, password, bare, challenge, header=b"n,,"):
    fields = dict(part.split("=", 1) for part in challenge.split(","))
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    client_key = hmac.digest(salted, b"Client Key", digest)
    server_key = hmac.digest(salted, b"Server Key", digest)
    without = "c=%s,r=%s" % (b64(header), fields["r"])
    message = ("%s,%s,%s" % (bare, challenge, without)).encode()
    signature = hmac.digest(hashlib.new(digest, client_key).digest(), message, digest)
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    return "%s,p=%s" % (without, b64(proof)), "v=" + b64(hmac.digest(server_key, message, digest))


def converse(wire, name, mechanism, steps):
    """AUTH with `steps`: functions from a challenge to the response. The last reply of the server."""
    prefix = "+ " if name == "pop3" else "334 "
    wire.send(b"AUTH %s\r\n" % mechanism.encode())
    reply = wire.line()
    for step in steps:
        if not reply.startswith(prefix):
            return reply
        wire.send(base64.b64encode(step(base64.b64decode(reply[len(prefix):]))) + b"\r\n")
        reply = wire.line()
    return reply


def scram(wire, name, mechanism, user, password):
    digest = "sha256" if "256" in mechanism else "sha1"
    bare = scram_first(user, "rOprNGfwEbeRWgbNEkqO")
    last = {}

    def second(challenge):
        message, last["verdict"] = scram_last(digest, password, bare, challenge.decode())
        return message.encode()

    def third(verdict):
        expect(verdict.decode() == last["verdict"], "%s: the server did not prove itself" % mechanism)
        return b""

    return converse(wire, name, mechanism, [lambda _: ("n,," + bare).encode(), second, third])


def log_in(node, name, mechanism, user, password, authorization=""):
    """Each from an address of its own, since failures slow down those who come from the same."""
    log_in.count += 1
    source = "127.1.%d.%d" % (log_in.count // 250, log_in.count % 250 + 1)
    with Wire(node.addresses[name][0], source=source) as wire:
        wire.reply() if name == "submission" else wire.line()
        if name == "submission":
            wire.send(b"EHLO client.test\r\n")
            wire.reply()
        if mechanism.startswith("SCRAM"):
            return scram(wire, name, mechanism, user, password)
        steps = {
            "PLAIN": [lambda _: ("%s\0%s\0%s" % (authorization, user, password)).encode()],
            "LOGIN": [lambda _: user.encode(), lambda _: password.encode()],
            "OAUTHBEARER": [lambda _: ("n,a=%s,\1host=mail\1port=1\1auth=Bearer %s\1\1" % (user, password)).encode(),
                            lambda challenge: check_refusal(challenge)],
            "XOAUTH2": [lambda _: ("user=%s\1auth=Bearer %s\1\1" % (user, password)).encode(),
                        lambda challenge: check_refusal(challenge)],
        }
        return converse(wire, name, mechanism, steps[mechanism])


log_in.count = 0


def check_refusal(challenge):
    expect("status" in json.loads(challenge), "a token is refused with %r" % challenge)
    return b"\1"


IN = {"pop3": r"^\+OK", "submission": "^235 2.7.0"}
OUT = {"pop3": r"^-ERR \[AUTH\] Wrong name or password$", "submission": "^535 5.7.8 Authentication credentials invalid$"}


def every_mechanism(node):
    for name in IN:
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"):
            expect_match(IN[name], log_in(node, name, mechanism, ANN, PASSWORD), "%s %s" % (name, mechanism))
            expect_match(OUT[name], log_in(node, name, mechanism, ANN, "wrong"), "%s %s, wrong" % (name, mechanism))
            expect_match(OUT[name], log_in(node, name, mechanism, "nobody@" + DOMAIN, PASSWORD),
                         "%s %s, unknown" % (name, mechanism))
        expect_match(IN[name], log_in(node, name, "PLAIN", ANN, PASSWORD, ANN), "authorisation of itself")
        expect_match(OUT[name], log_in(node, name, "PLAIN", ANN, PASSWORD, "bob@" + DOMAIN), "authorisation of another")
    node.do("account", "disable", ANN)
    for name in IN:
        for mechanism in ("SCRAM-SHA-256", "PLAIN"):
            expect_match(OUT[name], log_in(node, name, mechanism, ANN, PASSWORD), "disabled, %s" % mechanism)
    node.do("account", "enable", ANN)


def programs(node):
    host, port = node.addresses["submission"][0]
    pop3 = node.addresses["pop3"][0][1]
    folder = node.directory
    mail = letter("by many programs")
    with smtplib.SMTP(host, port, local_hostname="client.test", timeout=30) as client:
        client.login(ANN, PASSWORD)
        client.sendmail(ANN, [ANN], mail)
    for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
        run_well([need("curl", "curl"), "-sS", "smtp://127.0.0.1:%d" % port, "--login-options", "AUTH=" + mechanism,
                  "--user", "%s:%s" % (ANN, PASSWORD), "--mail-from", ANN, "--mail-rcpt", ANN, "-T", "-"],
                 input=mail) if mechanism != "SCRAM-SHA-256" or curl_has_scram() else None
    for mechanism in ("PLAIN", "LOGIN"):
        said = run_well([need("swaks", "swaks"), "--server", "127.0.0.1", "--port", str(port), "--auth", mechanism,
                         "--auth-user", ANN, "--auth-password", PASSWORD, "--from", ANN, "--to", ANN])
        expect_match("235 2.7.0", said, "swaks")
    code, said = run([need("swaks", "swaks"), "--server", "127.0.0.1", "--port", str(port), "--auth", "PLAIN",
                      "--auth-user", ANN, "--auth-password", "wrong", "--from", ANN, "--to", ANN])
    expect(code != 0, "swaks with a wrong password ended well")
    expect_match("535 5.7.8", said, "swaks with a wrong password")
    for method in ("plain", "login", "scram-sha-1", "scram-sha-256"):
        command = [need("msmtp", "msmtp"), "--host=127.0.0.1", "--port=%d" % port, "--auth=" + method,
                   "--user=" + ANN, "--passwordeval=echo " + PASSWORD, "--tls=off", "--from=" + ANN, ANN]
        run_well(command, input=mail)
        code, said = run([*command[:5], "--passwordeval=echo wrong", *command[6:]], input=mail)
        expect(code != 0 and b"535" in said, "msmtp %s with a wrong password: %d %r" % (method, code, said))
    for method in ("user", "plain", "scram-sha-1", "scram-sha-256"):
        target = os.path.join(folder, "mpop-" + method)
        run_well([need("mpop", "mpop"), "--host=127.0.0.1", "--port=%d" % pop3, "--auth=" + method, "--user=" + ANN,
                  "--passwordeval=echo " + PASSWORD, "--tls=off", "--keep=on", "--delivery=mbox," + target,
                  "--uidls-file=" + target + ".uidls"])
        expect(b"by many programs" in open(target, "rb").read(), "mpop %s brought nothing" % method)
    control = os.path.join(folder, "fetchmailrc")
    with open(control, "w") as file:
        file.write('poll 127.0.0.1 service %d protocol pop3 auth password username "%s" password "%s" keep sslproto ""\n'
                   '  mda "cat >> %s/fetched"\n' % (pop3, ANN, PASSWORD, folder))
    os.chmod(control, 0o600)
    run_well([need("fetchmail", "fetchmail"), "-f", control, "--all", "--pidfile", folder + "/fetchmail.pid",
              "--idfile", folder + "/fetchids"], env={**os.environ, "FETCHMAILHOME": folder})
    expect(b"by many programs" in open(folder + "/fetched", "rb").read(), "fetchmail brought nothing")
    said = run_well([need("curl", "curl"), "-sS", "pop3://127.0.0.1:%d" % pop3, "--login-options", "AUTH=PLAIN",
                     "--user", "%s:%s" % (ANN, PASSWORD)])
    expect_match(r"^1 \d+", said, "curl over POP3")
    client = poplib.POP3("127.0.0.1", pop3, timeout=30)
    expect("SASL" in client.capa() and "SCRAM-SHA-256" in client.capa()["SASL"], "CAPA without SASL")
    client.close()


def curl_has_scram():
    return b"GSASL" in run_well([need("curl", "curl"), "--version"]).upper()


class TokenService(http.server.BaseHTTPRequestHandler):
    """RFC 7662, for one good token."""
    asked = []

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        TokenService.asked.append((self.headers["Authorization"], form))
        token = form["token"][0]
        answer = {"active": token in (TOKEN, "narrow"), "username": ANN, "scope": "mail" if token == TOKEN else "other"}
        if token == "broken":
            answer = {"error": "x"}
        body = json.dumps(answer).encode()
        self.send_response(500 if token == "fails" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def tokens(node):
    for name in IN:
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            what = "%s %s" % (name, mechanism)
            expect_match(IN[name], log_in(node, name, mechanism, ANN, TOKEN), what)
            for token in ("unknown", "narrow"):
                expect_match(OUT[name], log_in(node, name, mechanism, ANN, token), what + ", " + token)
            expect_match(OUT[name], log_in(node, name, mechanism, "bob@" + DOMAIN, TOKEN), what + ", another's")
            later = r"^-ERR \[SYS/TEMP\]" if name == "pop3" else "^454 4.7.0"
            for token in ("broken", "fails"):
                expect_match(later, log_in(node, name, mechanism, ANN, token), what + ", " + token)
    expected = "Basic " + b64(("mail%20server:" + urllib.parse.quote(CLIENT_SECRET, safe="")).encode())
    expect(all(head == expected for head, _ in TokenService.asked), "asked as %s" % TokenService.asked[0][0])
    good = [form for _, form in TokenService.asked if form["token"] == [TOKEN]]
    expect(len(good) == 1, "a good token was asked about %d times" % len(good))


class ImapServer(socketserver.StreamRequestHandler):
    """What saslauthd's back end rimap asks: an IMAP server with one account, which knows LOGIN."""

    def handle(self):
        self.wfile.write(b"* OK ready\r\n")
        for line in self.rfile:
            tag, _, rest = line.decode().partition(" ")
            if rest.upper().startswith("LOGIN"):
                good = re.findall(r'"([^"]*)"', rest) == [EVE, SASLAUTHD_PASSWORD]
                self.wfile.write(("%s %s done\r\n" % (tag, "OK" if good else "NO")).encode())
            else:
                self.wfile.write(("* BYE\r\n%s OK done\r\n" % tag).encode())
                return


def saslauthd(program):
    """A real one; accounts without a credential of ours are its, where the configuration says so."""
    imap = socketserver.ThreadingTCPServer(("127.0.0.1", 0), ImapServer)
    imap.daemon_threads = True
    threading.Thread(target=imap.serve_forever, daemon=True).start()
    folder = tempfile.mkdtemp(prefix="letterlog-saslauthd-")
    daemon = subprocess.Popen([need("saslauthd", "sasl2-bin"), "-d", "-a", "rimap", "-r", "-n", "2", "-m", folder,
                               "-O", "127.0.0.1/%d" % imap.server_address[1]], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                              preexec_fn=die_with_parent)
    try:
        socket_path = os.path.join(folder, "mux")
        wait_until("saslauthd listens", 30, lambda: os.path.exists(socket_path))
        settings = ["limits.login-failures=1000", "logins.saslauthd.accounts=all",
                    "logins.saslauthd.socket=" + socket_path]
        with Node(program, [ANN], settings, LISTENERS) as node:
            node.do("account", "add", EVE, "--no-password")
            for name in IN:
                for mechanism in ("PLAIN", "LOGIN"):
                    expect_match(IN[name], log_in(node, name, mechanism, EVE, SASLAUTHD_PASSWORD), "saslauthd, " + name)
                    expect_match(OUT[name], log_in(node, name, mechanism, EVE, "wrong"), "saslauthd, wrong")
                    expect_match(OUT[name], log_in(node, name, mechanism, "nobody@" + DOMAIN, SASLAUTHD_PASSWORD),
                                 "saslauthd, unknown")
                    expect_match(IN[name], log_in(node, name, mechanism, ANN, PASSWORD), "a credential of ours")
            expect_match("^-ERR Mechanism not available", log_in(node, "pop3", "SCRAM-SHA-256", EVE, "x"), "SCRAM")
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait(30)
            expect_match(r"^-ERR \[SYS/TEMP\]", log_in(node, "pop3", "PLAIN", EVE, SASLAUTHD_PASSWORD), "no saslauthd")
            expect_match(IN["pop3"], log_in(node, "pop3", "PLAIN", ANN, PASSWORD), "a credential of ours without it")
            with open(node.log_path, errors="replace") as log:
                expect(SASLAUTHD_PASSWORD not in log.read(), "saslauthd's password can be read")
    finally:
        if daemon.poll() is None:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait(30)
        imap.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def imported(node):
    """Hashes as another server has them; here openssl and Perl's crypt(3) make them."""
    hashes = {
        "six": run_well(["perl", "-e", "print crypt($ARGV[0], '$6$saltsalt')", CRYPT_PASSWORD]).decode(),
        "yes": run_well(["perl", "-e", "print crypt($ARGV[0], '$y$j9T$AnsV4p9rIjP9iZvAYTYZd1')",
                         CRYPT_PASSWORD]).decode(),
        "bcrypt": run_well(["perl", "-e", "print crypt($ARGV[0], '$2b$05$abcdefghijklmnopqrstuu')",
                            CRYPT_PASSWORD]).decode(),
    }
    path = os.path.join(node.directory, "accounts.csv")
    with open(path, "w") as file:
        for name, text in hashes.items():
            expect(text.startswith("$"), "crypt(3) made %r of %s" % (text, name))
            file.write("%s@%s,{CRYPT}%s\n" % (name, DOMAIN, text))
        file.write("bad@%s,{CRYPT}$1$abcdefgh$abcdefghijklmnopqrstuv\n" % DOMAIN)
    code, out, err = node.run("account", "import", path)
    expect(code == 1 and "added 3 accounts, 1 could not be added" in out, "import: %d %s%s" % (code, out, err))
    for name in hashes:
        address = "%s@%s" % (name, DOMAIN)
        for protocol in IN:
            expect_match(OUT[protocol], log_in(node, protocol, "SCRAM-SHA-256", address, CRYPT_PASSWORD), "too early")
            expect_match(OUT[protocol], log_in(node, protocol, "PLAIN", address, "wrong"), name + ", wrong")
        expect_match(IN["pop3"], log_in(node, "pop3", "PLAIN", address, CRYPT_PASSWORD), name)
        wait_until("verifiers of SCRAM for " + name, 30, lambda: '"scheme":"scram"' in node.do(
            "account", "show", address, "--json").replace(" ", ""))
        expect_match(IN["submission"], log_in(node, "submission", "SCRAM-SHA-256", address, CRYPT_PASSWORD), name)
    return list(hashes.values())


def last_use(node):
    shown = wait_until("the last use of a credential", 30, lambda: re.search(
        r"last used \d{4}-\d\d-\d\d", node.do("account", "show", ANN)))
    expect(shown, "no last use")
    uses = node.do("log", "show", "--account", ANN).count("CredentialUsed")
    expect(1 <= uses <= 2, "%d uses of one credential within this test" % uses)


def nothing_secret(node, hashes):
    shown = node.do("log", "show", "--json") + node.do("account", "show", ANN, "--json")
    with open(node.log_path, errors="replace") as log:
        shown += log.read()
    secrets = [PASSWORD, SASLAUTHD_PASSWORD, CRYPT_PASSWORD, TOKEN, CLIENT_SECRET, "SCRAM-SHA-256$", *hashes]
    for secret in secrets:
        for form in (secret, b64(secret.encode()), b64(("\0%s\0%s" % (ANN, secret)).encode())):
            expect(form not in shown, "%s can be read" % ("a hash" if secret in hashes else secret))


def body(program):
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenService)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    settings = ["log.level=debug", "limits.login-failures=1000", "logins.tokens.scope=mail",
                "logins.tokens.endpoint=http://127.0.0.1:%d/introspect" % service.server_port,
                "logins.tokens.client-id=mail server"]
    with Node(program, [ANN, "bob@" + DOMAIN], settings, LISTENERS) as node:
        node.stop()
        secret = os.path.join(node.directory, "client-secret")
        with open(secret, "w") as file:
            file.write(CLIENT_SECRET + "\n")
        node.settings.append("logins.tokens.client-secret-file=" + secret)
        node.start()
        every_mechanism(node)
        programs(node)
        tokens(node)
        hashes = imported(node)
        last_use(node)
        nothing_secret(node, hashes)
    service.shutdown()
    saslauthd(program)


main(body)
