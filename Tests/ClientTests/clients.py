#!/usr/bin/env python3
"""Programs that people use send mail to a node and fetch it from there.

Promised: swaks (SMTP, HELO only, LMTP, pipelined), curl, msmtp and Python's smtplib deliver; curl, poplib, fetchmail,
mpop and getmail fetch what was delivered, as it was delivered but for the line ends of the machine; a fetch that keeps the mail
fetches nothing the second time; deletion deletes; what is refused is told in a way that the program understands.

Usage: clients.py LETTERLOG
"""
import email.message
import email.policy
import os
import poplib
import re
import smtplib

from node import (Node, PASSWORD, deliver, delivery_agent, expect, expect_match, letter, main, need, run, run_well,
                  without_trace, write)

# One for each program, so that each finds an empty maildrop.
ACCOUNTS = ["%s@example.test" % name for name in ("swaks", "curl", "python", "msmtp", "fetchmail", "mpop", "getmail")]
BODY = (b"Zeilen mit \xc3\xbc, eine ganz lange: " + b"0123456789" * 90 +
        b"\r\n.\r\n..\r\n. \r\n\r\nFrom here\r\n\r\n\r\n")


def stored(node, account):
    """The messages of a maildrop without their trace, in order."""
    return [without_trace(message) for message in node.maildrop(account)]


# Senders

def with_swaks(node):
    swaks, account = need("swaks", "swaks"), ACCOUNTS[0]
    base = [swaks, "--server", "127.0.0.1", "--from", "sender@sender.test", "--ehlo", "client.test", "--body", "A line"]
    smtp, lmtp = ["--port", str(node.port("smtp"))], ["--port", str(node.port("lmtp"))]
    for arguments, with_type in (
            (smtp, "ESMTP"), (smtp + ["--protocol", "SMTP"], "SMTP"), (lmtp + ["--protocol", "LMTP"], "LMTP"),
            (smtp + ["--pipeline"], "ESMTP"), (lmtp + ["--protocol", "LMTP", "--pipeline"], "LMTP"),
            (smtp + ["--attach", "@/etc/hostname"], "ESMTP")):
        run_well([*base, "--to", account, *arguments])
        sender, received, sent = stored(node, account)[-1]
        expect(sender == "sender@sender.test", "swaks: the sender is %s" % sender)
        expect_match("with %s id" % with_type, received, "swaks " + " ".join(arguments))
        expect(b"A line\r\n" in sent, "swaks %s: %r" % (arguments, sent))
    both = ["--to", account + ",nobody@example.test"]
    # Half of the recipients are refused; the others get their mail.
    code, said = run([*base, *both, *lmtp, "--protocol", "LMTP"])
    expect_match(r"<\*\* 550 5\.1\.1 No such mailbox here", said, "swaks to an unknown recipient")
    for recipient in ("nobody@example.test", "somebody@elsewhere.test"):
        code, said = run([*base, "--to", recipient, *smtp])
        expect(code == 24, "swaks to %s: exit %d" % (recipient, code))
    # swaks drops the connection, and nothing is stored.
    run([*base, "--to", account, *smtp, "--drop-after", "DATA"])
    expect(len(stored(node, account)) == 7, "swaks delivered %d" % len(stored(node, account)))


def with_curl(node):
    curl, account = need("curl", "curl"), ACCOUNTS[1]
    smtp = "smtp://127.0.0.1:%d/client.test" % node.port("smtp")
    path = os.path.join(node.directory, "letter")
    content = letter("by curl", BODY)
    with open(path, "wb") as file:
        file.write(content)
    recipients = ["--mail-rcpt", account, "--mail-rcpt", ACCOUNTS[2]]
    run_well([curl, "-sS", smtp, "--mail-from", "sender@sender.test", *recipients, "-T", path])
    expect(stored(node, account)[0][2] == content, "curl: other octets than were sent")
    code, said = run([curl, "-sS", smtp, "--mail-from", "a@b.test", "--mail-rcpt", "nobody@example.test", "-T", path])
    expect(code == 55, "curl to an unknown recipient: exit %d: %s" % (code, said))
    pop3 = "pop3://127.0.0.1:%d/" % node.port("pop3")
    login = ["--user", account + ":" + PASSWORD]
    listing = run_well([curl, "-sS", pop3, *login])
    expect_match(r"^1 \d+\r\n$", listing, "curl LIST")
    message = run_well([curl, "-sS", pop3 + "1", *login])
    expect(without_trace(message)[2] == content, "curl RETR: other octets than were sent")
    unique = run_well([curl, "-sS", pop3, *login, "-X", "UIDL"])
    expect_match(r"^1 [0-9a-f]{16}\r\n$", unique, "curl UIDL")
    head = run_well([curl, "-sS", pop3, *login, "-X", "TOP 1 0"])
    expect(message.startswith(head) and head.endswith(b"\r\n\r\n"), "curl TOP: %r" % head)
    code, said = run([curl, "-sS", pop3 + "2", *login])
    expect(code != 0, "curl fetched a message that is not there")
    run_well([curl, "-sS", "-l", pop3 + "1", *login, "-X", "DELE"])
    expect(stored(node, account) == [], "curl DELE did not delete")
    for page in ("health", "ready", "metrics"):
        run_well([curl, "-sSf", "http://127.0.0.1:%d/%s" % (node.port("http"), page)])


def with_python(node):
    account = ACCOUNTS[2]
    message = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
    message["From"], message["To"], message["Subject"] = "Jürgen <sender@sender.test>", account, "Grüße"
    message.set_content("Ein Text mit ü.\n.\nEnde\n", cte="8bit")
    message.add_attachment(bytes(range(256)) * 99, maintype="application", subtype="octet-stream", filename="ü.bin")
    # Otherwise each time it is written it gets another.
    message.set_boundary("=_boundary")
    for kind, name in ((smtplib.SMTP, "smtp"), (smtplib.LMTP, "lmtp")):
        with kind("127.0.0.1", node.port(name), local_hostname="client.test", timeout=30) as client:
            refused = client.send_message(message, to_addrs=[account, "nobody@example.test"],
                                          mail_options=["SMTPUTF8", "BODY=8BITMIME"])
            expect(list(refused) == ["nobody@example.test"] and refused["nobody@example.test"][0] == 550,
                   "smtplib: refused were %s" % refused)
            expect(client.has_extn("pipelining") and client.has_extn("8bitmime") and client.has_extn("smtputf8")
                   and int(client.esmtp_features["size"]) > 1_000_000, "extensions: %s" % client.esmtp_features)
            expect(not client.has_extn("auth") and client.has_extn("starttls"), "AUTH is announced, or STARTTLS is not")
            try:
                client.sendmail("a@b.test", ["nobody@example.test"], b"x")
                expect(False, "smtplib: a message for nobody was taken")
            except smtplib.SMTPRecipientsRefused:
                pass
            expect(client.noop()[0] == 250 and client.verify(account)[0] == 252, "NOOP or VRFY")
    client = poplib.POP3("127.0.0.1", node.port("pop3"), timeout=30)
    features = client.capa()
    expect({"TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES"} <= set(features), "CAPA: %s" % features)
    expect({"UTF8", "LANG"} <= set(features) and client.utf8().startswith(b"+OK"), "UTF8")
    client.user(account)
    client.pass_(PASSWORD)
    # curl sent the first.
    count, octets = client.stat()
    expect(count == 3, "poplib: %d messages" % count)
    expect(sum(int(line.split()[1]) for line in client.list()[1]) == octets, "STAT and LIST do not agree")
    sent = message.as_bytes()
    for number in (2, 3):
        content = b"\r\n".join(client.retr(number)[1]) + b"\r\n"
        expect(without_trace(content)[2] == sent, "poplib: other octets than were sent")
        expect(b"\r\n".join(client.top(number, 1)[1]) + b"\r\n" in content, "TOP is not the beginning")
        expect(re.fullmatch(rb"\+OK %d [0-9a-f]{16}" % number, client.uidl(number)), "UIDL: %s" % client.uidl(number))
    client.dele(1)
    client.dele(2)
    expect(client.stat()[0] == 1, "STAT counts what is marked")
    client.rset()
    expect(client.stat()[0] == 3, "RSET")
    client.dele(1)
    expect(client.quit().startswith(b"+OK"), "QUIT")
    expect(len(stored(node, account)) == 2, "not one message was deleted")
    # To a program that has not said UTF8 the header comes in ASCII, and says the same.
    client = poplib.POP3("127.0.0.1", node.port("pop3"), timeout=30)
    client.user(account)
    client.pass_(PASSWORD)
    content = b"\r\n".join(client.retr(1)[1]) + b"\r\n"
    client.quit()
    header, body = content.split(b"\r\n\r\n", 1)
    read = email.message_from_bytes(content, policy=email.policy.default)
    expect(header.isascii() and read["Subject"] == "Grüße" and "Jürgen" in read["From"], "in ASCII: %r" % header)
    expect(body == sent.split(b"\r\n\r\n", 1)[1], "a header in ASCII changes the body")


def with_msmtp(node):
    msmtp, account = need("msmtp", "msmtp"), ACCOUNTS[3]
    for protocol in ("smtp", "lmtp"):
        base = [msmtp, "--file=/dev/null", "--host=127.0.0.1", "--port=%d" % node.port(protocol),
                "--protocol=" + protocol, "--tls=off", "--auth=off", "--domain=client.test",
                "--from=sender@sender.test", "--set-date-header=off"]
        content = letter("by msmtp", BODY)
        run_well([*base, account], input=content.replace(b"\r\n", b"\n"))
        expect(stored(node, account)[-1][2] == content, "msmtp by %s: other octets than were sent" % protocol)
        code, said = run([*base, "nobody@example.test"], input=content)
        # EX_NOUSER of sysexits.h, or what the server has to say.
        expect(code != 0, "msmtp to an unknown recipient: exit %d" % code)
        expect_match(r"550 5\.1\.1 No such mailbox here", said, "msmtp to an unknown recipient")


# Fetchers

def letters(name):
    return [letter("for %s %d" % (name, number), BODY * number) for number in range(1, 6)]


def fill(node, account, contents):
    for content in contents:
        deliver(node, [account], content)


def unixed(content):
    """With the line ends of a file."""
    return content.replace(b"\r\n", b"\n")


def read_all(directory):
    found = []
    for name in sorted(os.listdir(directory)):
        with open(os.path.join(directory, name), "rb") as file:
            found.append(file.read())
    return found


def subject(content):
    return re.search(rb"^Subject: (.*?)\r?$", content, re.M)[1]


def expect_contents(program, found, contents):
    """Each is among the files once, with the line ends of a file."""
    for content in contents:
        same = [each for each in found if subject(each) == subject(content)]
        expect(len(same) == 1 and same[0].endswith(unixed(content)),
               "%s got %r" % (program, [each[-300:] for each in same]))


def with_fetchmail(node):
    fetchmail, account = need("fetchmail", "fetchmail"), ACCOUNTS[4]
    contents = letters("fetchmail")
    fill(node, account, contents)
    home = os.path.join(node.directory, "fetchmail")
    got, agent = delivery_agent(home)
    config = write(os.path.join(home, "fetchmailrc"),
                   'set invisible\npoll 127.0.0.1 service %d protocol pop3 uidl auth password\n'
                   '  user "%s" password "%s" sslproto "" keep no rewrite mda "%s"\n'
                   % (node.port("pop3"), account, PASSWORD, agent))
    command = [fetchmail, "-f", config, "-i", os.path.join(home, "ids"), "--pidfile", os.path.join(home, "pid"),
               "--nosyslog", "-v"]
    environment = {**os.environ, "HOME": home, "FETCHMAILHOME": home, "LC_ALL": "C"}
    run_well(command, env=environment)
    found = read_all(got)
    expect(len(found) == len(contents), "fetchmail fetched %d of %d" % (len(found), len(contents)))
    expect_contents("fetchmail", found, contents)
    code, said = run(command, env=environment)
    # EX_NOMAIL of fetchmail(1)
    expect(code == 1, "fetchmail again: exit %d: %s" % (code, said[-600:]))
    expect(len(read_all(got)) == len(contents), "fetchmail fetched again what it had")
    fill(node, account, letters("more")[:1])
    run_well(command, env=environment)
    expect(len(read_all(got)) == len(contents) + 1, "fetchmail did not fetch what was new")
    run_well([*command, "--all", "--nokeep"], env=environment)
    expect(stored(node, account) == [], "fetchmail did not delete")


def with_mpop(node):
    mpop, account = need("mpop", "mpop"), ACCOUNTS[5]
    contents = letters("mpop")
    fill(node, account, contents)
    home = os.path.join(node.directory, "mpop")
    for name in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(home, "got", name))
    config = write(os.path.join(home, "mpoprc"), "account default\nhost 127.0.0.1\nport %d\nuser %s\npassword %s\n"
                   "auth user\ntls off\nkeep on\nreceived_header off\nuidls_file %s\ndelivery maildir %s\n"
                   % (node.port("pop3"), account, PASSWORD, os.path.join(home, "uidls"), os.path.join(home, "got")))
    command, environment = [mpop, "-C", config], {**os.environ, "HOME": home, "LC_ALL": "C"}
    run_well(command, env=environment)
    new = os.path.join(home, "got", "new")
    found = read_all(new)
    expect(len(found) == len(contents), "mpop fetched %d of %d" % (len(found), len(contents)))
    expect_contents("mpop", found, contents)
    run_well(command, env=environment)
    expect(len(read_all(new)) == len(contents), "mpop fetched again what it had")
    # It knows the unique-ids still after the node was restarted, and deletes what it has.
    node.stop()
    node.start()
    write(config, open(config).read().replace("port", "#").replace(
        "user ", "port %d\nuser " % node.port("pop3"), 1).replace("keep on", "keep off"))
    run_well(command, env=environment)
    expect(len(read_all(new)) == len(contents), "mpop fetched again after a restart")
    expect(stored(node, account) == [], "mpop did not delete")
    said = run_well([mpop, "--file=/dev/null", "--host=127.0.0.1", "--port=%d" % node.port("pop3"), "--serverinfo",
                     "--tls=off"], env=environment)
    expect_match("Letterlog", said, "mpop --serverinfo")


def with_getmail(node):
    getmail, account = need("getmail", "getmail6"), ACCOUNTS[6]
    contents = letters("getmail")
    fill(node, account, contents)
    home = os.path.join(node.directory, "getmail")
    new, agent = delivery_agent(home)
    config = os.path.join(home, "getmailrc")
    settings = ("[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = %d\nusername = %s\npassword = %s\n"
                "[destination]\ntype = MDA_external\npath = %s\nallow_root_commands = true\n[options]\ndelete = %s\nread_all = false\n"
                "delivered_to = false\nreceived = false\n")
    command = [getmail, "--getmaildir", home, "--rcfile", "getmailrc"]
    environment = {**os.environ, "HOME": home, "LC_ALL": "C.UTF-8"}
    for delete, extra in (("false", 0), ("false", 0), ("true", 1)):
        write(config, settings % (node.port("pop3"), account, PASSWORD, agent, delete))
        fill(node, account, letters("later")[:extra])
        run_well(command, env=environment)
        found = read_all(new)
        expect(len(found) == len(contents) + extra, "getmail has %d" % len(found))
    expect_contents("getmail", found, contents)
    expect(stored(node, account) == [], "getmail did not delete")


def body(program):
    with Node(program, ACCOUNTS) as node:
        for part in (with_swaks, with_curl, with_python, with_msmtp, with_fetchmail, with_mpop, with_getmail):
            part(node)
            print(part.__name__, "held", flush=True)
            expect(node.is_running(), "the node ended")
        node.wait_for_maildir()


main(body)
