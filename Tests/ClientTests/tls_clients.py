#!/usr/bin/env python3
"""Programs that people use speak TLS with a node.

Promised: openssl s_client, Python, curl, swaks, msmtp, mpop and fetchmail send and fetch over TLS, from the first octet and
from STARTTLS or STLS on, and trust the store's own certificate when they are told to; older versions of TLS and ciphers
without forward secrecy are refused; SNI chooses the certificate; SIGHUP loads new files for new sessions, keeps the old
ones where a file is broken, and ends no session; check-config says what is wrong with the files; the memory of a node does
not grow with what a client leaves unread.

Usage: tls_clients.py LETTERLOG
"""
import imaplib
import os
import poplib
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import time

from node import (Node, PASSWORD, deliver, delivery_agent, expect, expect_match, letter, main, need, run,
                  run_well, self_signed, wait_until, without_trace, write)

ACCOUNT = "alice@example.test"
# A submission without one is given one.
DATE = b"Date: Thu, 26 Nov 2026 12:00:00 +0000\r\n"


def own_certificate(node):
    return os.path.join(node.store, "tls", "certificate.pem")


def trusting(node):
    return ssl.create_default_context(cafile=own_certificate(node))


def count(node):
    with node.pop3(ACCOUNT) as wire:
        found = int(wire.ok("STAT").split()[1])
        wire.ok("QUIT")
    return found


def own_files(node):
    folder = os.path.join(node.store, "tls")
    modes = {name: os.stat(os.path.join(folder, name)).st_mode & 0o777 for name in os.listdir(folder)}
    expect(modes == {"certificate.pem": 0o644, "key.pem": 0o600}, "files of the certificate: %s" % modes)


def with_s_client(node):
    openssl = need("openssl", "openssl")
    base = [openssl, "s_client", "-CAfile", own_certificate(node), "-verify_return_error", "-brief"]
    for name, starttls in (("pop3s", None), ("submissions", None), ("pop3", "pop3"), ("smtp", "smtp"),
                           ("submission", "smtp"), ("lmtp", "lmtp"), ("imaps", None),
                           ("imap", "imap")):
        to = ["-connect", "127.0.0.1:%d" % node.port(name), *(["-starttls", starttls] if starttls else [])]
        for version in ("-tls1_2", "-tls1_3"):
            said = run_well([*base, *to, version], input=b"").decode(errors="replace")
            expect_match("Verification: OK", said, "s_client %s to %s" % (version, name))
        for old in ("-tls1", "-tls1_1"):
            code, said = run([*base, *to, old, "-cipher", "ALL:@SECLEVEL=0"], input=b"")
            expect(code != 0, "%s: %s is spoken" % (name, old))
    for weak in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "aNULL"):
        to = ["-connect", "127.0.0.1:%d" % node.port("pop3s"), "-tls1_2", "-cipher", weak + ":@SECLEVEL=0"]
        code, said = run([*base, *to], input=b"")
        expect(code != 0, "the cipher %s is taken" % weak)
    # Renegotiation: R in a line of its own asks for it.
    to = ["-connect", "127.0.0.1:%d" % node.port("pop3s"), "-tls1_2", "-CAfile", own_certificate(node)]
    process = subprocess.Popen([openssl, "s_client", *to], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    said = b""
    while b"+OK" not in said:
        part = os.read(process.stdout.fileno(), 4096)
        expect(part, "s_client ended: %r" % said[-300:])
        said += part
    process.stdin.write(b"R\n")
    process.stdin.flush()
    said, _ = process.communicate(timeout=30)
    expect(b"no renegotiation" in said or process.returncode != 0, "renegotiated: %r" % said[-300:])


def with_python(node):
    context = trusting(node)
    before = count(node)
    content = DATE + letter("sealed", b"A line\r\n" * 30000, sender=ACCOUNT)
    with smtplib.SMTP_SSL("127.0.0.1", node.port("submissions"), "client.test", timeout=30, context=context) as client:
        client.login(ACCOUNT, PASSWORD)
        client.sendmail(ACCOUNT, [ACCOUNT], content)
    for kind, name in ((smtplib.SMTP, "smtp"), (smtplib.SMTP, "submission"), (smtplib.LMTP, "lmtp")):
        with kind("127.0.0.1", node.port(name), "client.test", timeout=30) as client:
            client.starttls(context=context)
            expect(not client.has_extn("starttls"), "%s offers STARTTLS twice" % name)
            if name == "submission":
                client.login(ACCOUNT, PASSWORD)
            client.sendmail(ACCOUNT, [ACCOUNT], content)
    expect(count(node) == before + 4, "not all letters came")
    for client in (poplib.POP3_SSL("127.0.0.1", node.port("pop3s"), timeout=30, context=context),
                   poplib.POP3("127.0.0.1", node.port("pop3"), timeout=30)):
        if not isinstance(client, poplib.POP3_SSL):
            expect("STLS" in client.capa(), "STLS is not offered")
            client.stls(context)
        expect("STLS" not in client.capa(), "STLS is offered twice")
        client.user(ACCOUNT)
        client.pass_(PASSWORD)
        got = b"\r\n".join(client.retr(before + 1)[1]) + b"\r\n"
        expect(without_trace(got)[2] == content, "other octets than were sent")
        client.quit()
    for client in (imaplib.IMAP4_SSL("127.0.0.1", node.port("imaps"), timeout=30, ssl_context=context),
                   imaplib.IMAP4("127.0.0.1", node.port("imap"), timeout=30)):
        if not isinstance(client, imaplib.IMAP4_SSL):
            expect("STARTTLS" in client.capabilities, "IMAP offers no STARTTLS")
            client.starttls(context)
        expect("STARTTLS" not in client.capabilities, "IMAP offers STARTTLS twice")
        client.login(ACCOUNT, PASSWORD)
        client.select()
        got = client.fetch(str(before + 1), "(BODY.PEEK[])")[1][0][1]
        expect(without_trace(got)[2] == content, "other octets than were sent, over IMAP")
        client.append("INBOX", None, None, content)
        found = int(client.select()[1][0])
        client.store(str(found), "+FLAGS", r"(\Deleted)")
        client.expunge()
        client.logout()
    # A session goes on from an earlier one.
    session = None
    for turn in range(2):
        with socket.create_connection(("127.0.0.1", node.port("pop3s")), timeout=30) as plain:
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as sealed:
                expect(sealed.recv(100).startswith(b"+OK"), "no greeting")
                expect(sealed.session_reused == (turn > 0), "the ticket is not taken")
                session = sealed.session
                sealed.sendall(b"QUIT\r\n")
                expect(sealed.recv(100).startswith(b"+OK"), "QUIT")
                expect(sealed.recv(100) == b"", "the end is not said")
                sealed.unwrap()


def with_programs(node):
    curl, swaks = need("curl", "curl"), need("swaks", "swaks")
    msmtp, mpop, fetchmail = need("msmtp", "msmtp"), need("mpop", "mpop"), need("fetchmail", "fetchmail")
    trust, before = own_certificate(node), count(node)
    content = DATE + letter("by a program", b"A line\r\n", sender=ACCOUNT)
    path = os.path.join(node.directory, "sealed-letter")
    with open(path, "wb") as file:
        file.write(content)
    login = ["--user", ACCOUNT + ":" + PASSWORD, "--cacert", trust]
    mail = ["--mail-from", ACCOUNT, "--mail-rcpt", ACCOUNT, "-T", path]
    run_well([curl, "-sS", "smtps://127.0.0.1:%d" % node.port("submissions"), *login, *mail])
    run_well([curl, "-sS", "--ssl-reqd", "smtp://127.0.0.1:%d" % node.port("submission"), *login, *mail])
    base = [swaks, "--server", "127.0.0.1", "--from", ACCOUNT, "--to", ACCOUNT]
    auth = ["--auth", "PLAIN", "--auth-user", ACCOUNT, "--auth-password", PASSWORD]
    run_well([*base, "--port", str(node.port("smtp")), "--tls"])
    run_well([*base, "--port", str(node.port("submission")), "--tls", *auth])
    run_well([*base, "--port", str(node.port("submissions")), "--tls-on-connect", *auth])
    run_well([*base, "--port", str(node.port("lmtp")), "--protocol", "LMTP", "--tls"])
    for name, starttls in (("submissions", "off"), ("submission", "on")):
        run_well([msmtp, "--file=/dev/null", "--host=localhost", "--source-ip=127.0.0.1",
                  "--port=%d" % node.port(name), "--tls=on", "--tls-starttls=" + starttls, "--tls-trust-file=" + trust,
                  "--auth=plain", "--user=" + ACCOUNT, "--passwordeval=echo '%s'" % PASSWORD, "--domain=client.test",
                  "--from=" + ACCOUNT, ACCOUNT], input=content)
    total = before + 8
    expect(count(node) == total, "%d letters came of 8" % (count(node) - before))
    for url in ("pop3s://127.0.0.1:%d/" % node.port("pop3s"), "pop3://127.0.0.1:%d/" % node.port("pop3")):
        listing = run_well([curl, "-sS", "--ssl-reqd", url, *login])
        expect(len(listing.splitlines()) == total, "curl lists %r" % listing)
    for url in ("imaps://127.0.0.1:%d/" % node.port("imaps"), "imap://127.0.0.1:%d/" % node.port("imap")):
        said = run_well([curl, "-sS", "--ssl-reqd", url, *login, "-X", "STATUS INBOX (MESSAGES)"])
        expect_match(r"MESSAGES %d\)" % total, said, "curl over " + url)
    code, said = run([curl, "-sS", "pop3s://127.0.0.1:%d/" % node.port("pop3s"), "--user", "a:b"])
    expect(code == 60, "curl trusts a certificate that nobody vouches for: exit %d" % code)
    home = os.path.join(node.directory, "sealed")
    for kind in ("pop3s", "pop3"):
        for part in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(home, kind, part))
        config = write(
            os.path.join(home, "mpoprc-" + kind),
            "account default\nhost localhost\nport %d\nuser %s\npassword %s\nauth user\ntls on\n"
            "tls_starttls %s\ntls_trust_file %s\nkeep on\nuidls_file %s\ndelivery maildir %s\n" % (
                node.port(kind), ACCOUNT, PASSWORD, "on" if kind == "pop3" else "off", trust,
                os.path.join(home, "uidls-" + kind), os.path.join(home, kind)))
        run_well([mpop, "-C", config], env={**os.environ, "HOME": home, "LC_ALL": "C"})
        got = len(os.listdir(os.path.join(home, kind, "new")))
        expect(got == total, "mpop over %s fetched %d of %d" % (kind, got, total))
        options = "ssl sslcertck sslproto tls1.2+" if kind == "pop3s" else "sslcertck sslproto tls1.2+"
        got = os.path.join(home, "fetchmail-" + kind)
        config = write(
            os.path.join(home, "fetchmailrc-" + kind),
            'set invisible\npoll localhost service %d protocol pop3 uidl auth password\n'
            '  user "%s" password "%s" %s sslcertfile "%s" keep mda "cat >> %s"\n' % (
                node.port(kind), ACCOUNT, PASSWORD, options, trust, got))
        run_well([fetchmail, "-f", config, "-i", os.path.join(home, "ids-" + kind), "--pidfile",
                  os.path.join(home, "pid"), "--nosyslog"],
                 env={**os.environ, "HOME": home, "FETCHMAILHOME": home, "LC_ALL": "C"})
        with open(got, "rb") as file:
            fetched = len(re.findall(rb"^Received: ", file.read(), re.M))
        expect(fetched >= total, "fetchmail over %s fetched %d of %d" % (kind, fetched, total))
    # Its POP3 has TLS from the first octet only.
    folder, agent = delivery_agent(os.path.join(home, "getmail"))
    write(os.path.join(home, "getmailrc"),
          "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\nport = %d\nusername = %s\n"
          "password = %s\nca_certs = %s\n[destination]\ntype = MDA_external\npath = %s\n"
          "allow_root_commands = true\n[options]\ndelete = false\n" % (
              node.port("pop3s"), ACCOUNT, PASSWORD, trust, agent))
    run_well([need("getmail", "getmail6"), "--getmaildir", home, "--rcfile", "getmailrc"],
             env={**os.environ, "HOME": home, "LC_ALL": "C.UTF-8"})
    got = len(os.listdir(folder))
    expect(got == total, "getmail fetched %d of %d" % (got, total))


def certificate(directory, name):
    """A self-signed pair for a host name, in one folder."""
    base = os.path.join(directory, name)
    self_signed(base + ".pem", base + ".key", name)
    return base + ".pem", base + ".key"


def presented(node, name):
    """The common name of what a client gets that asks for this name."""
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", node.port("pop3s")), timeout=30) as plain:
        with context.wrap_socket(plain, server_hostname=name) as sealed:
            der = sealed.getpeercert(binary_form=True)
    said = run_well([need("openssl", "openssl"), "x509", "-inform", "der", "-noout", "-subject"], input=der).decode()
    return re.search(r"CN = (\S+)", said).group(1)


def reload(node, says):
    """SIGHUP, and the log has these words afterwards that it had not before."""
    with open(node.log_path) as log:
        before = log.read().count(says)
    node.process.send_signal(signal.SIGHUP)
    wait_until("`%s` in the log" % says, 30, lambda: open(node.log_path).read().count(says) > before)


def files(program):
    with Node(program) as maker:
        folder = os.path.join(maker.directory, "certificates")
        os.makedirs(folder)
        main_pair, other_pair = certificate(folder, "main.test"), certificate(folder, "other.test")
        settings = ["tls.certificate=" + main_pair[0], "tls.key=" + main_pair[1],
                    "tls.certificates=other.test=%s" % other_pair[0], "tls.keys=other.test=%s" % other_pair[1]]
        with Node(program, [ACCOUNT], settings) as node:
            expect(presented(node, "main.test") == "main.test", "the main certificate")
            expect(presented(node, "other.test") == "other.test", "SNI")
            expect(presented(node, "unknown.test") == "main.test", "a name that is not known")
            code, out, err = node.run("check-config")
            expect(code == 0, "check-config: %s%s" % (out, err))
            context = ssl._create_unverified_context()
            session = context.wrap_socket(
                socket.create_connection(("127.0.0.1", node.port("pop3s")), timeout=30), server_hostname="main.test")
            expect(session.recv(100).startswith(b"+OK"), "no greeting")
            new_pair = certificate(folder, "new.test")
            for old, new in zip(main_pair, new_pair):
                os.replace(new, old)
            reload(node, "certificates loaded")
            expect(presented(node, "main.test") == "new.test", "the new certificate is not there")
            session.sendall(b"USER alice@example.test\r\n")
            expect(session.recv(100).startswith(b"+OK"), "a session ended with its certificate")
            # Another's key, no certificate at all, no file.
            for breaking, word in ((lambda: os.replace(certificate(folder, "x.test")[0], main_pair[0]), "belong"),
                                   (lambda: open(main_pair[0], "w").write("nothing"), "no certificate"),
                                   (lambda: os.remove(main_pair[0]), "No such file")):
                breaking()
                reload(node, "not loaded anew")
                expect_match(word, open(node.log_path).read(), "why a broken file is not taken")
                expect(presented(node, "main.test") == "new.test", "a broken file took the place of a good one")
                code, out, err = node.run("check-config")
                expect(code == 1, "check-config finds nothing: %s%s" % (out, err))
                expect_match(r"`tls\.certificate` .*main\.test\.pem.*" + word, out + err, "check-config")
            session.sendall(b"QUIT\r\n")
            expect(session.recv(100).startswith(b"+OK"), "the session did not live on")
            open_pair = certificate(folder, "open.test")
            os.chmod(open_pair[1], 0o644)
            others = [setting for setting in node.settings if not setting.startswith("tls.")]
            node.settings = others + ["tls.certificate=" + open_pair[0], "tls.key=" + open_pair[1]]
            code, out, err = node.run("check-config")
            expect(code == 1, "check-config finds nothing about a key for everybody")
            expect_match(r"`tls\.key` .*open\.test\.key.*others can use.*0644", out + err, "check-config")
            # Without a good file there is no start.
            node.stop()
            node.settings = others + ["tls.certificate=/nowhere.pem"]
            code, out, err = node.run("serve")
            expect(code == 1, "serve without its certificate: exit %d" % code)
            expect_match(r"`tls\.certificate` /nowhere\.pem: No such file", out + err, "serve without its certificate")


def unread(node):
    """A client that asks for much and reads nothing."""
    content = letter("large", (b"x" * 76 + b"\r\n") * 250_000)
    deliver(node, [ACCOUNT], content)
    number = count(node)
    context = trusting(node)
    before = node.anonymous_octets()
    client = poplib.POP3_SSL("127.0.0.1", node.port("pop3s"), timeout=30, context=context)
    client.user(ACCOUNT)
    client.pass_(PASSWORD)
    for _ in range(20):
        client.sock.sendall(b"RETR %d\r\n" % number)
    time.sleep(1)
    grown = node.anonymous_octets() - before
    expect(grown < 8_000_000, "the node holds %d octets for a client that does not read" % grown)
    client.close()


def body(program):
    with Node(program, [ACCOUNT]) as node:
        for part in (own_files, with_s_client, with_python, with_programs, unread):
            part(node)
            print(part.__name__, "held", flush=True)
            expect(node.is_running(), "the node ended")
    files(program)
    print("files held", flush=True)


main(body)
