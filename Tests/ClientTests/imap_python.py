#!/usr/bin/env python3
"""Python's two clients: imaplib, and the package imapclient of PyPI.

Promised: both log in, list, fill, select, fetch, search, store, copy, move, expunge and idle; what they read is what was
stored, octet for octet; names outside US-ASCII come back as they were given.

Usage: imap_python.py LETTERLOG
"""
import datetime

from imapserver import PASSWORD, Server, answer, expect, letter
from node import main, package

ACCOUNT = "py@example.test"
MESSAGE = letter("octets", b"Zeile mit \xc3\xbc\r\n.dot\r\n" + b"long " * 400 + b"\r\n\r\nend without line end")


def with_imaplib(server):
    client = server.login(ACCOUNT)
    names = b" ".join(line for line in answer(client.list()))
    for name in (b"INBOX", b"Drafts", b"Sent", b"Trash"):
        expect(name in names, "imaplib: LIST has no %s: %s" % (name, names))
    answer(client.create("work"))
    answer(client.subscribe("work"))
    answer(client.append("work", "(\\Seen \\Flagged)", '"05-Nov-1994 08:15:30 +0100"', MESSAGE))
    answer(client.append("work", None, None, letter("second")))
    answer(client.select("work"))
    code, exists = client.response("EXISTS")
    expect(exists == [b"2"], "imaplib: EXISTS %s" % exists)
    data = answer(client.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
    expect(data[0][1] == MESSAGE, "imaplib: other octets came back")
    head = data[0][0] + data[1]
    expect(b"RFC822.SIZE %d" % len(MESSAGE) in head, "imaplib: another size: %s" % head)
    for flag in (b"\\Seen", b"\\Flagged"):
        expect(flag in head, "imaplib: no %s: %s" % (flag, head))
    expect(answer(client.search(None, "SUBJECT", "second")) == [b"2"], "imaplib: SEARCH")
    expect(answer(client.search("UTF-8", "UNSEEN")) == [b"2"], "imaplib: SEARCH CHARSET")
    expect(answer(client.sort("REVERSE ARRIVAL", "UTF-8", "ALL"))[0].split() in ([b"2", b"1"], [b"1", b"2"]),
           "imaplib: SORT")
    expect(answer(client.thread("REFERENCES", "UTF-8", "ALL"))[0], "imaplib: THREAD")
    answer(client.store("2", "+FLAGS", "(\\Answered keyword)"))
    expect(b"keyword" in answer(client.fetch("2", "(FLAGS)"))[0], "imaplib: the keyword was not stored")
    answer(client.copy("1", "Archive"))
    answer(client.uid("MOVE", "1:*", "Trash"))
    expect(answer(client.select("Trash"))[0] == b"2", "imaplib: MOVE")
    answer(client.store("1", "+FLAGS", "\\Deleted"))
    expect(answer(client.expunge()) == [b"1"], "imaplib: EXPUNGE")
    answer(client.status("Archive", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"))
    answer(client.getquotaroot("INBOX"))
    answer(client.namespace())
    answer(client.enable("UTF8=ACCEPT")) if "UTF8=ACCEPT" in client.capabilities else None
    answer(client.rename("work", "works"))
    answer(client.delete("works"))
    code, _ = client.login_cram_md5("a", "b") if "AUTH=CRAM-MD5" in client.capabilities else ("NO", None)
    client.logout()


def with_imapclient(server):
    imapclient = package("imapclient")
    with imapclient.IMAPClient("127.0.0.1", port=server.port(), ssl=False, timeout=30) as client:
        client.login(ACCOUNT, PASSWORD)
        expect(client.has_capability("IDLE") and client.has_capability("MOVE"), "imapclient: %s" % (client.capabilities(),))
        client.id_({"name": "imapclient"})
        expect(client.namespace().personal == (("", "/"),), "imapclient: %s" % (client.namespace(),))
        client.create_folder("Entwürfe & mehr/日本語")
        names = [name for _, _, name in client.list_folders()]
        expect("Entwürfe & mehr/日本語" in names, "imapclient: %s" % names)
        client.subscribe_folder("Entwürfe & mehr/日本語")
        expect("Entwürfe & mehr/日本語" in [name for _, _, name in client.list_sub_folders()], "imapclient: LSUB")
        when = datetime.datetime(2020, 5, 4, 3, 2, 1, tzinfo=datetime.timezone.utc)
        client.append("INBOX", MESSAGE, flags=[b"\\Seen", b"$Work"], msg_time=when)
        client.append("INBOX", letter("another"))
        if client.has_capability("MULTIAPPEND") and hasattr(client, "multiappend"):
            client.multiappend("INBOX", [letter("third"), letter("fourth")])
        info = client.select_folder("INBOX")
        expect(info[b"EXISTS"] == 4, "imapclient: SELECT %s" % info)
        uids = client.search("ALL")
        expect(len(uids) == 4 and uids == sorted(uids), "imapclient: SEARCH %s" % uids)
        expect(client.search(["SUBJECT", "another", "UNSEEN"]) == [uids[1]], "imapclient: SEARCH SUBJECT")
        expect(client.search(["SUBJECT", "Größe"], charset="UTF-8") == [], "imapclient: SEARCH CHARSET")
        found = client.fetch(uids, ["ENVELOPE", "FLAGS", "INTERNALDATE", "BODYSTRUCTURE", "RFC822.SIZE", "BODY.PEEK[]"])
        first = found[uids[0]]
        expect(first[b"BODY[]"] == MESSAGE, "imapclient: other octets")
        expect(first[b"RFC822.SIZE"] == len(MESSAGE), "imapclient: another size")
        expect(first[b"ENVELOPE"].subject == b"octets", "imapclient: %s" % (first[b"ENVELOPE"],))
        expect({b"\\Seen", b"$Work"} <= set(first[b"FLAGS"]), "imapclient: %s" % (first[b"FLAGS"],))
        expect(first[b"INTERNALDATE"].astimezone(datetime.timezone.utc) == when, "imapclient: another date")
        expect(not first[b"BODYSTRUCTURE"].is_multipart, "imapclient: %s" % (first[b"BODYSTRUCTURE"],))
        client.add_flags(uids[1], [b"\\Flagged"])
        expect(b"\\Flagged" in client.get_flags(uids[1])[uids[1]], "imapclient: STORE")
        client.remove_flags(uids[1], [b"\\Flagged"])
        if client.has_capability("SORT"):
            expect(client.sort("SUBJECT")[0] == uids[1], "imapclient: SORT %s" % client.sort("SUBJECT"))
        if client.has_capability("THREAD=REFERENCES"):
            expect(len(client.thread("REFERENCES")) == 4, "imapclient: THREAD")
        client.idle()
        server.deliver(ACCOUNT, letter("pushed"))
        pushed = []
        for _ in range(10):
            pushed += client.idle_check(timeout=5)
            if (5, b"EXISTS") in pushed:
                break
        expect((5, b"EXISTS") in pushed, "imapclient: IDLE brought %s" % pushed)
        client.idle_done()
        client.copy(uids[:2], "Archive")
        client.move(uids[2:4], "Archive")
        expect(client.folder_status("Archive", ["MESSAGES"])[b"MESSAGES"] == 5, "imapclient: COPY and MOVE")
        client.delete_messages(uids[:1])
        client.expunge()
        expect(len(client.search("ALL")) == 2, "imapclient: EXPUNGE")
        client.unselect_folder()
        if server.is_ours:
            client.get_quota_root("INBOX")
        client.rename_folder("Entwürfe & mehr/日本語", "Ende")
        client.delete_folder("Ende")


def body(program):
    with Server(program, [ACCOUNT]) as server:
        with_imaplib(server)
        with_imapclient(server)


main(body)
