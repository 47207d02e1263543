#!/usr/bin/env python3
"""Holds conversations with a server and tells what came otherwise than the RFC says.

    conversations.py --letterlog PROGRAM [FILE|FOLDER|WORD...]     a node of ours, started for the run
    conversations.py --dovecot [FILE|FOLDER|WORD...]               Debian's Dovecot, started for the run
    conversations.py --host H --imap PORT --accounts CSV FILE...   a server that runs already, an account for each file

    --show         every line of what differs, as it was spoken
    --lines        for a program: `FILE<TAB>LINE<TAB>TEXT` for each difference, and nothing else
    --differences FILE   differences that are known, with the section that explains each; one that is not known, or one
                         that does not come any more, is an error

Exit code: 0 when everything was as expected, 1 otherwise.
"""
import argparse
import concurrent.futures
import csv
import os
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)

from conversation import Connection, Conversation, Difference, NotOffered, Ungrammatical  # noqa: E402
from servers import DOMAIN, Dovecot, Letterlog, Running  # noqa: E402
from node import Broken, PASSWORD, die_with_parent  # noqa: E402

AT_ONCE = 8
PROTOCOLS = ("imap", "pop3", "smtp", "submission", "lmtp")
LISTENERS = ("imaps", *PROTOCOLS)


def protocol_of(path):
    return os.path.relpath(path, FOLDER).split(os.sep)[0]


def find(words):
    """Conversations by path, folder or part of a path; all of them without words."""
    everything = []
    for protocol in PROTOCOLS:
        for parent, _, files in os.walk(os.path.join(FOLDER, protocol)):
            everything += [os.path.join(parent, name) for name in files if name.endswith(".txt")]
    everything.sort()
    if not words:
        return everything
    chosen = [path for path in everything
              if any(word in os.path.relpath(path, FOLDER) or os.path.abspath(word) == path for word in words)]
    if not chosen:
        sys.exit("no conversation: %s" % " ".join(words))
    return chosen


def quota_of(conversation):
    """`@account-quota messages=3 size=5000`: of account a, set before the conversation."""
    for step in conversation.steps:
        if step.kind == "@" and step.text.startswith("quota "):
            return dict(word.split("=") for word in step.text.split()[1:])
    return None


Conversation.do_quota = Conversation.do_needs


def capabilities(place, accounts):
    """What the server offers after login."""
    probe = Conversation.__new__(Conversation)
    probe.names, probe.connections, probe.protocol, probe.place = {}, {}, "imap", place
    probe.use(accounts)
    try:
        connection = probe.setup()
        offered = {repr(word).upper() for each in probe.quick(connection, "CAPABILITY") for word in each.words[1:]}
        # Before login, what goes away with it.
        connection = probe.connections["before"] = Connection(place.address("imap"))
        connection.imap_response(time.monotonic() + 10)
        before = {repr(word).upper() for each in probe.quick(connection, "CAPABILITY") for word in each.words[1:]}
        return offered | before
    finally:
        for each in probe.connections.values():
            each.close()


def extensions(place, protocol):
    """The keywords that a protocol of lines offers: before TLS and under it, before a login and after it."""
    wire = Connection(place.address(protocol))
    try:
        if place.is_proxied:
            wire.send(b"PROXY UNKNOWN\r\n")
        first = set(said_extensions(wire, protocol, True))
        if "STARTTLS" not in first and "STLS" not in first:
            return first
        begin = b"STLS\r\n" if protocol == "pop3" else b"STARTTLS\r\n"
        wire.send(begin)
        wire.line(time.monotonic() + 10)
        wire.start_tls()
        return first | set(said_extensions(wire, protocol, False))
    finally:
        wire.close()


def said_extensions(wire, protocol, greets):
    deadline = time.monotonic() + 10
    if greets:
        wire.line(deadline)
    wire.send({"pop3": b"CAPA\r\n", "lmtp": b"LHLO probe.test\r\n"}.get(protocol, b"EHLO probe.test\r\n"))
    wire.line(deadline)
    while True:
        line = wire.line(deadline)
        if line is None:
            raise Difference("%s: its extensions have no end" % protocol)
        text = line.decode()
        if protocol == "pop3":
            if text == ".":
                return
            yield text.split()[0].upper()
        else:
            yield text[4:].split()[0].upper()
            if text[3:4] == " ":
                return


def is_offered(word, offered):
    """APPENDLIMIT=* is offered with any number."""
    return any(each.startswith(word[:-1]) for each in offered) if word.endswith("*") else word in offered


class Outcome:
    def __init__(self, path):
        self.path = os.path.relpath(path, FOLDER)
        self.differences, self.shown, self.missing = [], [], []


def hold(path, place, accounts, offered):
    outcome = Outcome(path)
    try:
        conversation = Conversation(path, place, protocol_of(path))
        conversation.use(accounts)
        outcome.missing = [word for word in conversation.needs()
                           if not is_offered(word.upper(), offered[conversation.protocol])]
        if place.name != "letterlog":
            outcome.missing += ["letterlog --set " + word for word in conversation.settings()]
            outcome.missing += ["letterlog " + step.text for step in conversation.steps
                                if step.kind == "@" and step.text.startswith("run ")]
            outcome.missing += ["another server" for step in conversation.steps
                                if step.kind == "@" and step.text == "not " + place.name]
        if outcome.missing and place.name != "letterlog":
            return outcome
        if outcome.missing:
            outcome.differences = [(0, "", "not offered: " + " ".join(outcome.missing))]
            return outcome
        outcome.differences = conversation.run()
        outcome.shown = conversation.shown
    except (Broken, Difference, Ungrammatical, OSError) as why:
        outcome.differences = [(0, "", "%s: %s" % (type(why).__name__, why))]
    return outcome


def unproved(protocol, offered, conversations):
    """What is offered has a conversation that needs it. Mechanisms of SASL are not IMAP's."""
    outcome = Outcome(os.path.join(FOLDER, protocol))
    needed = [word.upper() for each in conversations.values() if each.protocol == protocol for word in each.needs()]
    for capability in sorted(offered):
        if capability in ("IMAP4REV1", "LOGINDISABLED") or capability.startswith("AUTH="):
            continue
        if not any(is_offered(word, {capability}) for word in needed):
            outcome.differences.append((0, "", "%s is offered, and no conversation needs it" % capability))
    return outcome


def hold_all(server, paths, parsed, assigned, supply):
    """Outcomes of conversations with one server, and what it offers by protocol."""
    with server as place:
        everybody = [address for path in paths for address, _ in assigned[path].values()]
        place.start([*everybody, "probe@" + DOMAIN])
        for path in paths:
            place.prepare(assigned[path]["a"][0], quota_of(parsed[path]))
        offered = {}
        for protocol in sorted({protocol_of(path) for path in paths}):
            offered[protocol] = extensions(place, protocol) if protocol != "imap" else \
                capabilities(place, {"a": supply[0] if supply else ("probe@" + DOMAIN, PASSWORD)})
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda path: hold(path, place, assigned[path], offered), paths)), offered


def known_differences(path):
    """(file, command) -> why."""
    known = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = line.rstrip("\n").split("\t")
            if len(fields) != 3 or "RFC" not in fields[2]:
                sys.exit("%s:%d: expected FILE, COMMAND, why with its RFC, separated by tabs" % (path, number))
            known[fields[0], fields[1]] = fields[2]
    return known


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--letterlog")
    parser.add_argument("--dovecot", action="store_true")
    parser.add_argument("--host")
    for name in LISTENERS:
        parser.add_argument("--" + name, type=int)
    parser.add_argument("--accounts")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--differences")
    parser.add_argument("words", nargs="*")
    given = parser.parse_args()
    paths = find(given.words)
    began = time.monotonic()
    parsed = {}
    for path in paths:
        try:
            parsed[path] = Conversation(path, None, protocol_of(path))
        except Ungrammatical as why:
            sys.exit(str(why))
    if given.host:
        with open(given.accounts, newline="") as file:
            supply = list(csv.reader(file))
        ports = {name: getattr(given, name) for name in LISTENERS if getattr(given, name)}
        server = Running(given.host, ports, supply)
    elif given.dovecot:
        server = Dovecot()
        paths = [path for path in paths if protocol_of(path) not in ("smtp", "submission")]
        supply = None
    elif given.letterlog:
        server, supply = None, None
    else:
        parser.error("which server?")
    assigned, count = {}, 0
    for path in paths:
        assigned[path] = {}
        for name in parsed[path].accounts():
            assigned[path][name] = supply[count] if supply else ("u%d@%s" % (count, DOMAIN), PASSWORD)
            count += 1
    # With a node of ours, each set of settings has a node of its own.
    groups = {}
    for path in paths:
        groups.setdefault(parsed[path].settings() if given.letterlog else (), []).append(path)
    outcomes, offered = [], {}
    try:
        for settings, group in sorted(groups.items()):
            place = server or Letterlog(given.letterlog, [*given.set, *settings])
            found, told = hold_all(place, group, parsed, assigned, supply)
            outcomes += found
            for protocol, words in told.items():
                offered.setdefault(protocol, set()).update(words)
    except (Broken, Difference) as why:
        print("-\t0\t%s" % why if given.lines else "BROKEN: %s" % why)
        sys.exit(1)
    if given.letterlog:
        outcomes += [unproved(protocol, words, parsed) for protocol, words in sorted(offered.items())
                     if set(find([protocol + os.sep])) <= set(paths)]
    sys.exit(tell(outcomes, given, time.monotonic() - began))


def tell(outcomes, given, seconds):
    known = known_differences(given.differences) if given.differences else {}
    met, failed, missing = set(), 0, 0
    for outcome in outcomes:
        unknown = []
        for number, command, why in outcome.differences:
            if (outcome.path, command) in known:
                met.add((outcome.path, command))
                if not given.lines:
                    print("known: %s: %s\n       %s" % (outcome.path, command, known[outcome.path, command]))
            else:
                unknown.append((number, command, why))
        if outcome.missing and not outcome.differences:
            missing += 1
            if not given.lines:
                print("not offered: %s: %s" % (outcome.path, ", ".join(outcome.missing)))
        if not unknown:
            continue
        failed += 1
        for number, command, why in unknown:
            if given.lines:
                print("%s\t%d\t%s" % (outcome.path, number, " ".join(why.split())))
            else:
                print("%s:%d: after `%s`: %s" % (os.path.join("Tests/ConversationTests", outcome.path), number, command, why))
        if given.show:
            print("    " + "\n    ".join(outcome.shown))
    chosen = {outcome.path for outcome in outcomes}
    gone = [each for each in known if each not in met and each[0] in chosen]
    for path, command in gone:
        failed += 1
        print("%s: `%s` is listed as a difference and is none any more" % (path, command))
    if not given.lines:
        print("%d conversations in %.1f seconds: %d as expected, %d otherwise, %d not offered"
              % (len(outcomes), seconds, len(outcomes) - failed - missing, failed, missing))
    return 1 if failed else 0


if __name__ == "__main__":
    main()
