#!/usr/bin/env python3
"""`import imap` brings the mail of another server over as it is, however often it is broken off.

Promised, with Debian's Dovecot as the source, over TLS and STARTTLS, then with Courier, then with a node of ours: every
folder comes with its UIDs, UIDVALIDITY, flags, keywords, dates, octets, special uses and subscriptions; run again it
brings nothing twice, only what is new and flags that changed there, and leaves what changed here; killed at random
moments it goes on without a double; a master user and a file of accounts do; a wrong password, a certificate that nobody
vouches for, a folder that cannot be had whole each end it with 1 and a sentence.

Usage: import_imap.py LETTERLOG
"""
import imaplib
import os
import random
import re
import signal
import subprocess
import time

from node import DOMAIN, Node, PASSWORD, answer, die_with_parent, expect, expect_match, main
from peers import Courier, Dovecot, MASTER, MASTER_SECRET, SECRET

ANN, BEN, CAS = ("%s@%s" % (name, DOMAIN) for name in ("ann", "ben", "cas"))
ACCOUNTS = [ANN, BEN, CAS, "dan@" + DOMAIN, "eve@" + DOMAIN, "fay@" + DOMAIN]
FOLDERS = ["Sent", "Old Things", "Projekte", "Projekte/&AMQ-rger &- S&APY-hne", "Say \"a\\\\b\"", "Deep/er/est"]
KEYWORDS = ["$Forwarded", "work", "NonJunk"] + ["key%d" % number for number in range(40)]
MESSAGES = 300


def quoted(name):
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def letter(number, octets=0):
    text = "From: a@source.test\r\nSubject: number %d\r\nMessage-ID: <%d@source.test>\r\n\r\n" % (number, number)
    return (text + "body %d {5}\r\n" % number + ("x" * 70 + "\r\n") * (octets // 72)).encode()


def fill(client, choice, folders=FOLDERS, separator="/", prefix="", messages=MESSAGES, keywords=KEYWORDS):
    """Mail of all kinds; some of it removed, so that UIDs have gaps."""
    folders = [prefix + name.replace("/", separator) for name in folders]
    for name in folders:
        answer(client.create(quoted(name)))
    for name in folders[:3]:
        answer(client.subscribe(quoted(name)))
    for number in range(messages):
        name = "INBOX" if number % 3 else choice.choice(folders)
        flags = [flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Draft") if choice.random() < 0.3]
        flags += choice.sample(keywords, choice.choice((0, 0, 1, 3)))
        date = imaplib.Time2Internaldate(1_500_000_000 + number * 86_400)
        octets = 2_000_000 if number == 50 else choice.choice((0, 0, 3_000, 30_000))
        answer(client.append(quoted(name), "(%s)" % " ".join(flags), date, letter(number, octets)))
    # The last of each goes: somebody may have seen its number.
    for name in folders[:2]:
        answer(client.append(quoted(name), None, None, letter(5_000)))
        answer(client.select(quoted(name)))
        answer(client.store("*", "+FLAGS", "(\\Deleted)"))
        answer(client.close())
    answer(client.append("INBOX", None, None, letter(5_001)))
    answer(client.select("INBOX"))
    answer(client.store("*", "+FLAGS", "(\\Deleted)"))
    answer(client.uid("STORE", "3,5:9,20", "+FLAGS", "(\\Deleted)"))
    answer(client.expunge())
    answer(client.close())


def listed(client, command="LIST"):
    names = {}
    for line in answer(client.list() if command == "LIST" else client.lsub()):
        if not line:
            continue
        if isinstance(line, tuple):
            line = line[0] + b'"' + line[1].replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        attributes, separator, name = re.match(rb'\((.*?)\) "(.*?)" (.*)$', line).groups()
        name = name.decode()
        if name.startswith('"'):
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        names[name] = (attributes.decode(), separator.decode())
    return names


def snapshot(client, prefix=""):
    """Folder -> (UIDVALIDITY, UID -> flags, octets, text, date). Names with `/` and without the prefix."""
    found = {}
    for name, (attributes, separator) in listed(client).items():
        if "\\noselect" in attributes.lower() or "\\nonexistent" in attributes.lower():
            continue
        exists = int(answer(client.select(quoted(name), readonly=True))[0])
        validity = int(client.response("UIDVALIDITY")[1][0])
        messages = {}
        if exists:
            for item in answer(client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")):
                if isinstance(item, tuple):
                    uid = int(re.search(rb"UID (\d+)", item[0])[1])
                    flags = set(re.search(rb"FLAGS \(([^)]*)\)", item[0])[1].decode().lower().split()) - {"\\recent"}
                    messages[uid] = (flags, item[1], time.mktime(imaplib.Internaldate2tuple(item[0])))
        expect(len(messages) == exists, "%s: %d of %d fetched" % (name, len(messages), exists))
        short = name[len(prefix):] if name.startswith(prefix) and name != "INBOX" else name
        found[short if separator == "/" else short.replace(separator, "/")] = (validity, messages)
    return found


def next_uids(client, prefix=""):
    """Folder -> UIDNEXT, named as in a snapshot."""
    found = {}
    for name, (attributes, separator) in listed(client).items():
        if "\\noselect" in attributes.lower() or "\\nonexistent" in attributes.lower():
            continue
        said = answer(client.status(quoted(name), "(UIDNEXT)"))[-1]
        short = name[len(prefix):] if name.startswith(prefix) and name != "INBOX" else name
        found[short if separator == "/" else short.replace(separator, "/")] = int(re.search(rb"UIDNEXT (\d+)", said)[1])
    return found


def compare_next(there, here):
    """UIDNEXT is no lower than there: a number that a client may know is given to nothing else."""
    for name, number in there.items():
        expect(here[name] == number, "%s: UIDNEXT %d, there %d" % (name, here[name], number))


def ours(node, account):
    client = imaplib.IMAP4("127.0.0.1", node.port("imap"))
    answer(client.login(account, PASSWORD))
    return client


def theirs(port, account):
    client = imaplib.IMAP4("127.0.0.1", port)
    answer(client.login(account, SECRET))
    return client


def compare(there, here, uids=True):
    """All that is there is here; what else is here is empty."""
    for name, (validity, messages) in there.items():
        expect(name in here, "%s is not here: %s" % (name, sorted(here)))
        if uids:
            expect(here[name][0] == validity, "%s: UIDVALIDITY %d, there %d" % (name, here[name][0], validity))
            expect(sorted(here[name][1]) == sorted(messages), "%s: other UIDs" % name)
            for uid, message in messages.items():
                expect(here[name][1][uid] == message, "%s UID %d: %s, there %s" % (
                    name, uid, str(here[name][1][uid])[:300], str(message)[:300]))
        else:
            key = lambda each: (each[1], sorted(each[0]), each[2])
            expect(sorted(map(key, here[name][1].values())) == sorted(map(key, messages.values())),
                   "%s: other messages" % name)
    more = [name for name in here if name not in there and here[name][1]]
    expect(not more, "mail in folders that are not there: %s" % more)


def compare_with_courier(there, here, said):
    """Two folders that Courier made in one second have one UIDVALIDITY, which no two of ours may have; those that kept it."""
    kept = {name for name in there if here.get(name, (0,))[0] == there[name][0]}
    expect("INBOX" in kept, "no UIDs kept: " + said)
    compare({name: there[name] for name in kept}, {name: here[name] for name in kept})
    compare(there, here, uids=False)
    return kept


def import_imap(node, *arguments, password=SECRET, status=0):
    code, out, err = node.run("import", "imap", *arguments, "--password-stdin", stdin=password + "\n")
    expect(code == status, "import imap %s: exit %d: %s%s" % (" ".join(arguments), code, out, err))
    return out + err


def changes(node, dovecot, arguments):
    """What happens on both sides between two runs."""
    with theirs(dovecot.ports["imap"], ANN) as client:
        answer(client.select("INBOX"))
        answer(client.uid("STORE", "10", "+FLAGS", "(\\Flagged later)"))
        answer(client.uid("STORE", "11", "FLAGS", "()"))
        answer(client.uid("STORE", "12", "+FLAGS", "(\\Deleted)"))
        answer(client.expunge())
        answer(client.append("INBOX", "(\\Seen)", None, letter(9_000)))
    with ours(node, ANN) as client:
        answer(client.select("INBOX"))
        answer(client.uid("STORE", "13", "+FLAGS", "(here)"))
    said = import_imap(node, *arguments)
    expect_match(r"INBOX .* 1 imported, .* 0 missing, .* 2 with other flags, 1 gone from the source", said, "second run")
    with ours(node, ANN) as client, theirs(dovecot.ports["imap"], ANN) as source:
        here, there = snapshot(client)["INBOX"][1], snapshot(source)["INBOX"][1]
    expect("here" in here[13][0], "what changed here was taken back")
    there[13][0].add("here")
    expect(12 in here and 12 not in there, "what is gone there must stay here")
    del here[12]
    expect(here == there, "after changes: %s" % [uid for uid in there if here.get(uid) != there[uid]])


def from_dovecot(node, dovecot):
    with theirs(dovecot.ports["imap"], ANN) as client:
        fill(client, random.Random(1))
        there, after = snapshot(client), next_uids(client)
    arguments = [ANN, "--host", "localhost", "--port", str(dovecot.ports["imaps"]), "--ca", dovecot.directory + "/cert.pem"]
    said = import_imap(node, *arguments)
    expect_match(r"^%d messages in %d folders" % (sum(len(each[1]) for each in there.values()), len(there)),
                 said.splitlines()[-1], "the last line")
    expect_match(r"sha256 [0-9a-f]{64}", said, "the report")
    with ours(node, ANN) as client:
        compare(there, snapshot(client))
        compare_next(after, next_uids(client))
        names = listed(client)
        expect("\\Archive" in names["Old Things"][0] and "\\Sent" in names["Sent"][0], "special uses: %s" % names)
        subscribed = listed(client, "LSUB")
        expect(all(name in subscribed for name in FOLDERS[:3]), "subscriptions: %s" % subscribed)
    before = node.do("log", "show", "--account", ANN, "--json").count("\n")
    expect_match(r"^0 messages", import_imap(node, *arguments).splitlines()[-1], "the second run")
    expect(node.do("log", "show", "--account", ANN, "--json").count("\n") == before, "a run without news changed something")
    changes(node, dovecot, arguments)
    refusals(node, dovecot)


def refusals(node, dovecot):
    imap, imaps = str(dovecot.ports["imap"]), str(dovecot.ports["imaps"])
    said = import_imap(node, BEN, "--host", "localhost", "--port", imaps, status=1)
    expect_match(r"certificate", said, "a certificate that nobody vouches for")
    said = import_imap(node, BEN, "--host", "localhost", "--port", imap, "--security", "none", password="no", status=1)
    expect_match(r"refused the login", said, "a wrong password")
    said = import_imap(node, BEN, "--host", "localhost", "--port", "1", "--security", "none", status=75)
    expect_match(r"cannot be reached", said, "nobody there")
    expect("no" not in said.split() and SECRET not in said, "a password was printed")


def many(node, dovecot):
    """Accounts from a file, by a master user, over STARTTLS; both ways to name whose mail it is."""
    for name in (BEN, CAS):
        with theirs(dovecot.ports["imap"], name) as client:
            fill(client, random.Random(name), folders=FOLDERS[:4], messages=60)
    file = os.path.join(node.directory, "accounts.csv")
    with open(file, "w") as out:
        out.write("account,user,password\n%s\n%s,%s,\n" % (BEN, CAS, CAS))
    tls = ["--host", "localhost", "--port", str(dovecot.ports["imap"]), "--security", "starttls",
           "--ca", dovecot.directory + "/cert.pem"]
    said = import_imap(node, "--accounts", file, *tls, "--master-user", MASTER, password=MASTER_SECRET)
    expect_match(r"into 2 accounts", said, "the sum")
    for name in (BEN, CAS):
        with theirs(dovecot.ports["imap"], name) as source, ours(node, name) as client:
            compare(snapshot(source), snapshot(client))
            compare_next(next_uids(source), next_uids(client))
    said = import_imap(node, BEN, *tls, "--master-user", MASTER, "--master-separator", "*", password=MASTER_SECRET)
    expect_match(r"^0 messages", said.splitlines()[-1], "by the other way")
    with open(file, "w") as out:
        out.write("%s,%s,%s\n%s,%s,wrong\n" % (BEN, BEN, SECRET, CAS, CAS))
    code, out, err = node.run("import", "imap", "--accounts", file, *tls)
    expect(code == 1 and "1 accounts failed" in err and "wrong" not in out + err, "one that fails: %s%s" % (out, err))


def killed(program, dovecot):
    """The program is killed at random moments, then goes on: no double, nothing missing."""
    account = ACCOUNTS[3]
    choice = random.Random(7)
    with theirs(dovecot.ports["imap"], account) as client:
        fill(client, choice, folders=FOLDERS[:3], messages=900)
        there, after = snapshot(client), next_uids(client)
    arguments = ["import", "imap", account, "--host", "127.0.0.1", "--port", str(dovecot.ports["imap"]),
                 "--security", "none", "--password-stdin"]
    # How long a whole one takes here and now, in a store of its own.
    with Node(program, [account]) as node:
        node.stop()
        began = time.monotonic()
        node.do(*arguments, stdin=SECRET + "\n")
        whole = time.monotonic() - began
    with Node(program, [account]) as node:
        node.stop()
        kills = 0
        for _ in range(12):
            process = subprocess.Popen(node.command(*arguments), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
            process.stdin.write(SECRET.encode() + b"\n")
            process.stdin.close()
            try:
                process.wait(choice.uniform(0.04, 0.16) * whole)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
        expect(kills > 3, "only %d of 12 runs were killed before they ended" % kills)
        node.do(*arguments, stdin=SECRET + "\n")
        node.do("verify")
        node.start()
        with ours(node, account) as client:
            compare(there, snapshot(client))
            compare_next(after, next_uids(client))


def from_courier(node):
    with Courier() as courier:
        client = imaplib.IMAP4("127.0.0.1", courier.port)
        names = ["Sent", "Projekte", "Projekte/&AMQ-rger &- S&APY-hne", "Deep/er/est"]
        fill(client, random.Random(3), folders=names, separator=".", prefix="INBOX.", messages=90)
        there, after = snapshot(client, "INBOX."), next_uids(client, "INBOX.")
        account = ACCOUNTS[4]
        said = import_imap(node, account, "--host", "127.0.0.1", "--port", str(courier.port), "--security", "none")
        with ours(node, account) as here:
            kept = compare_with_courier(there, snapshot(here), said)
            compare_next({name: after[name] for name in kept}, next_uids(here))
            expect("Projekte" in listed(here, "LSUB"), "subscriptions")
        client.logout()


def from_a_node(program, node):
    """Our own server is a source like others."""
    with Node(program, [ANN]) as source:
        with ours(source, ANN) as client:
            fill(client, random.Random(5), folders=FOLDERS[2:5], messages=80)
            there, after = snapshot(client), next_uids(client)
        account = ACCOUNTS[5]
        import_imap(node, account, "--user", ANN, "--host", "127.0.0.1", "--port", str(source.port("imap")),
                    "--security", "none", password=PASSWORD)
        with ours(node, account) as client:
            compare(there, snapshot(client))
            compare_next({name: number for name, number in after.items() if name in there and there[name][1]},
                         next_uids(client))


def body(program):
    with Dovecot() as dovecot:
        with Node(program, ACCOUNTS) as node:
            from_dovecot(node, dovecot)
            many(node, dovecot)
            from_courier(node)
            from_a_node(program, node)
            node.wait_for_maildir()
            node.do("verify", "--maildir")
        killed(program, dovecot)


if __name__ == "__main__":
    main(body)
