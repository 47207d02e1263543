#!/usr/bin/env python3
"""Logins by clients that share nothing with us: curl, swaks, msmtp, mpop, fetchmail, Python's libraries.

Promised: the programs log in with a good password and not with another, over POP3, submission and IMAP; tokens are judged
by a token service over https, which hears nothing when nobody vouches for it; saslauthd is asked where it keeps passwords,
and one that hangs holds up nobody else; an imported hash is good and becomes verifiers of SCRAM; a credential shows its
last use; and no secret is in the node's log, in `log show` or in `account show`. Mechanism by mechanism: mechanisms.py.

Usage: logins.py LETTERLOG
"""
import imaplib
import os
import poplib
import re
import shutil
import signal
import smtplib
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
import urllib.parse

from node import (DOMAIN, PASSWORD, Broken, Node, die_with_parent, expect, expect_match, letter, main, need, run,
                  run_well, wait_until, write)
from sasl import PROTOCOLS, VERDICTS, Client, b64, source, steps_for
from tokens import CLIENT_SECRET, GOOD as TOKEN, TokenService

ANN = "ann@" + DOMAIN
EVE = "eve@" + DOMAIN
SASLAUTHD_PASSWORD = "kept-elsewhere"
CRYPT_PASSWORD = "from the old server"
LISTENERS = ("submission=127.0.0.1:0", "pop3=127.0.0.1:0", "smtp=127.0.0.1:0", "imap=127.0.0.1:0")


def log_in(node, name, mechanism, user, password):
    with Client(node, name, source=source()) as client:
        return client.authenticate(mechanism, steps_for(mechanism, user, password))


IN, OUT, LATER = ({name: VERDICTS[verdict][number] for number, name in enumerate(PROTOCOLS)}
                  for verdict in ("in", "denied", "later"))


def programs(node):
    host, port = node.addresses["submission"][0]
    pop3 = node.addresses["pop3"][0][1]
    folder = node.directory
    mail = letter("by many programs", sender=ANN)
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
        # Failures of one name slow its logins: the others are of names that nobody has.
        user = ANN if method == "scram-sha-256" else "nobody." + method
        code, said = run([*command[:4], "--user=" + user, "--passwordeval=echo wrong", *command[6:]], input=mail)
        expect(code != 0 and b"535" in said, "msmtp %s with a wrong password: %d %r" % (method, code, said))
    for method in ("user", "plain", "scram-sha-1", "scram-sha-256"):
        target = os.path.join(folder, "mpop-" + method)
        run_well([need("mpop", "mpop"), "--host=127.0.0.1", "--port=%d" % pop3, "--auth=" + method, "--user=" + ANN,
                  "--passwordeval=echo " + PASSWORD, "--tls=off", "--keep=on", "--delivery=mbox," + target,
                  "--uidls-file=" + target + ".uidls"])
        expect(b"by many programs" in open(target, "rb").read(), "mpop %s brought nothing" % method)
    control = write(
        os.path.join(folder, "fetchmailrc"),
        'poll 127.0.0.1 service %d protocol pop3 auth password username "%s" password "%s" keep sslproto ""\n'
        '  mda "cat >> %s/fetched"\n' % (pop3, ANN, PASSWORD, folder))
    run_well([need("fetchmail", "fetchmail"), "-f", control, "--all", "--pidfile", folder + "/fetchmail.pid",
              "--idfile", folder + "/fetchids"], env={**os.environ, "FETCHMAILHOME": folder})
    expect(b"by many programs" in open(folder + "/fetched", "rb").read(), "fetchmail brought nothing")
    said = run_well([need("curl", "curl"), "-sS", "pop3://127.0.0.1:%d" % pop3, "--login-options", "AUTH=PLAIN",
                     "--user", "%s:%s" % (ANN, PASSWORD)])
    expect_match(r"^1 \d+", said, "curl over POP3")
    client = poplib.POP3("127.0.0.1", pop3, timeout=30)
    expect("SASL" in client.capa() and "SCRAM-SHA-256" in client.capa()["SASL"], "CAPA without SASL")
    client.close()


def programs_imap(node):
    """The same over IMAP: curl, fetchmail, Python's imaplib and gsasl, with a good and a wrong password."""
    port = node.port("imap")
    for mechanism in ("PLAIN", "LOGIN"):
        command = [need("curl", "curl"), "-sS", "imap://127.0.0.1:%d/" % port, "--login-options", "AUTH=" + mechanism,
                   "-X", "STATUS INBOX (MESSAGES)"]
        expect_match(r"MESSAGES [1-9]", run_well([*command, "--user", "%s:%s" % (ANN, PASSWORD)]), "curl over IMAP")
        code, said = run([*command, "--user", "nobody.%s:%s" % (mechanism, PASSWORD)])
        expect(code == 67, "curl as nobody over IMAP: exit %d: %s" % (code, said))
    with imaplib.IMAP4("127.0.0.1", port, timeout=30) as client:
        try:
            client.login("nobody.imaplib", PASSWORD)
            raise Broken("imaplib as nobody is in")
        except imaplib.IMAP4.error as why:
            expect_match("AUTHENTICATIONFAILED", str(why), "imaplib as nobody")
        client.login(ANN, PASSWORD)
    with imaplib.IMAP4("127.0.0.1", port, timeout=30) as client:
        client.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (ANN, PASSWORD)).encode())
        expect(client.select()[0] == "OK", "imaplib selects nothing")
    folder = node.directory
    control = write(
        os.path.join(folder, "fetchmailrc-imap"),
        'poll 127.0.0.1 service %d protocol imap auth password username "%s" password "%s" keep sslproto ""\n'
        '  mda "cat >> %s/fetched-imap"\n' % (port, ANN, PASSWORD, folder))
    run_well([need("fetchmail", "fetchmail"), "-f", control, "--all", "--pidfile", folder + "/fetchmail-imap.pid"],
             env={**os.environ, "FETCHMAILHOME": folder})
    expect(b"by many programs" in open(folder + "/fetched-imap", "rb").read(), "fetchmail over IMAP brought nothing")


def curl_has_scram():
    return b"GSASL" in run_well([need("curl", "curl"), "--version"]).upper()


def tokens(node, service):
    """Beside mechanisms.py: a good token is asked about once, and by whom."""
    for name in PROTOCOLS:
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            expect_match(IN[name], log_in(node, name, mechanism, ANN, TOKEN), "%s %s" % (name, mechanism))
            expect_match(OUT[name], log_in(node, name, mechanism, ANN, "unknown"), "%s %s" % (name, mechanism))
    expected = "Basic " + b64(("mail%20server:" + urllib.parse.quote(CLIENT_SECRET, safe="")).encode())
    expect(all(head == expected for head, _ in service.asked), "asked as %s" % service.asked[0][0])
    good = [form for _, form in service.asked if form["token"] == [TOKEN]]
    expect(len(good) == 1, "a good token was asked about %d times" % len(good))


def untrusted(program):
    """A service whose certificate nobody vouches for is told nothing, and the log says so."""
    with TokenService(ANN) as service:
        settings = [each for each in service.settings if "ca-file" not in each]
        with Node(program, [ANN], settings, LISTENERS) as node:
            expect_match(LATER["pop3"], log_in(node, "pop3", "OAUTHBEARER", ANN, TOKEN), "an untrusted token service")
            with open(node.log_path) as log:
                expect_match("token service cannot be asked.*|.*not trusted", log.read(), "the log")
        expect(not service.asked, "an untrusted token service was asked")
        code, out, err = node_check(program, [*settings, "logins.tokens.ca-file=/nowhere.pem"])
        expect(code == 1, "check-config takes a file that is not there: %s%s" % (out, err))
        expect_match(r"`logins\.tokens\.ca-file` /nowhere\.pem: No such file", out + err, "check-config")


def node_check(program, settings):
    sets = [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run([program, "check-config", *sets], text=True, capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def hanging(program):
    """A saslauthd that takes questions and never answers: its accounts hear "try later", the others notice nothing."""
    folder = tempfile.mkdtemp(prefix="letterlog-hanging-")
    path = os.path.join(folder, "mux")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(128)
        settings = ["limits.login-failures=1000", "logins.saslauthd.accounts=marked", "logins.saslauthd.timeout=3s",
                    "logins.saslauthd.socket=" + path]
        try:
            with Node(program, [ANN], settings, LISTENERS) as node:
                node.do("account", "add", EVE, "--saslauthd")
                waiting = [threading.Thread(target=lambda name=name: answers.append(
                    (name, log_in(node, name, "PLAIN", EVE, "x")))) for name in PROTOCOLS * 20]
                answers = []
                for thread in waiting:
                    thread.start()
                for name in PROTOCOLS:
                    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
                        expect_match(IN[name], log_in(node, name, mechanism, ANN, PASSWORD), "beside a hanging saslauthd")
                expect(len(answers) < len(waiting), "nobody waits for saslauthd")
                for thread in waiting:
                    thread.join(60)
                expect(len(answers) == len(waiting), "%d of %d answers" % (len(answers), len(waiting)))
                for name, reply in answers:
                    expect_match(LATER[name], reply, "a hanging saslauthd over " + name)
                with open(node.log_path) as log:
                    expect(log.read().count("saslauthd cannot be asked") == 1, "the log tells of a hanging saslauthd once")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


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
            for name in PROTOCOLS:
                for mechanism in ("PLAIN", "LOGIN"):
                    expect_match(IN[name], log_in(node, name, mechanism, EVE, SASLAUTHD_PASSWORD), "saslauthd, " + name)
                    expect_match(OUT[name], log_in(node, name, mechanism, EVE, "wrong"), "saslauthd, wrong")
                    expect_match(OUT[name], log_in(node, name, mechanism, "nobody@" + DOMAIN, SASLAUTHD_PASSWORD),
                                 "saslauthd, unknown")
                    expect_match(IN[name], log_in(node, name, mechanism, ANN, PASSWORD), "a credential of ours")
            expect_match("^-ERR Mechanism not available", log_in(node, "pop3", "SCRAM-SHA-256", EVE, "x"), "SCRAM")
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait(30)
            for name in PROTOCOLS:
                expect_match(LATER[name], log_in(node, name, "PLAIN", EVE, SASLAUTHD_PASSWORD), "no saslauthd")
                expect_match(IN[name], log_in(node, name, "PLAIN", ANN, PASSWORD), "a credential of ours without it")
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
    expect_match(r"last used \d{4}-\d\d-\d\d", node.do("account", "password", "list", ANN), "account password list")
    expect_match(r'"last_used":\s*"\d{4}-', node.do("account", "password", "list", ANN, "--json"), "the same in JSON")
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
    with TokenService(ANN) as service:
        settings = ["log.level=debug", "limits.login-failures=1000", *service.settings]
        with Node(program, [ANN, "bob@" + DOMAIN], settings, LISTENERS) as node:
            timed(programs, node)
            timed(programs_imap, node)
            timed(tokens, node, service)
            hashes = timed(imported, node)
            timed(last_use, node)
            timed(nothing_secret, node, hashes)
    timed(untrusted, program)
    timed(saslauthd, program)
    timed(hanging, program)


def timed(part, *arguments):
    began = time.monotonic()
    result = part(*arguments)
    print("%s held in %.1f s" % (part.__name__, time.monotonic() - began), flush=True)
    return result


main(body)
