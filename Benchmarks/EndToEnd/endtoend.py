"""Prints the speed table of IMAP: what is asked, ours, Dovecot's, and the verdict.

Both servers run beside each other with the same mail, and are asked in turn; a figure is the median of the rounds. A row
is enough when it meets what is asked; that Dovecot was faster in the same run is said behind it.

Groups: hundred (a mailbox of 100,000 messages), million, small (loops of small commands), idle.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from sites import USERS, IMAPDovecot, IMAPLetterlog

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "compare"))
from compare import machine_ticks  # noqa: E402
from servers import runnable  # noqa: E402

SELECT = ("--setup", "SELECT INBOX")
CONDSTORE = ("--setup", "SELECT INBOX (CONDSTORE)")
MAILDIR_OFF = "maildir:\n  enabled: false\n"
# Dovecot takes a process for each session, and an inotify instance, of which a user has 128 by default.
DOVECOT_IDLE_SESSIONS = 100


class Table:
    def __init__(self, options):
        self.options, self.rows = options, []

    def add(self, name, asked, unit, ours, theirs=None, more_is_better=False, note=""):
        enough = ours >= asked if more_is_better else ours <= asked
        factor = (asked / ours if more_is_better else ours / asked) if min(ours, asked) > 0 else 0
        verdict = "enough" if enough else f"MISSED by {factor:.2f}"
        if theirs and (ours < theirs if more_is_better else ours > theirs):
            times = theirs / ours if more_is_better else ours / theirs
            verdict += f", Dovecot {times:.2f} times better"
        self.rows.append({"row": name, "asked": asked, "unit": unit, "ours": ours, "dovecot": theirs, "enough": enough,
                          "verdict": verdict, "note": note})
        print(f"{name:52} asked {asked:>9,.4g} ours {ours:>10,.4g} Dovecot "
              f"{f'{theirs:,.4g}' if theirs else '-':>9} {unit:9} {verdict}{'; ' + note if note else ''}", flush=True)

    def add_time(self, name, asked, results, note=""):
        """Milliseconds: the median over the rounds of each run's median."""
        ours, theirs = (statistics.median(r["p50_us"] for r in results[key]) / 1000 if results.get(key) else None
                        for key in ("ours", "theirs"))
        cpu = statistics.median(r["server_cpu"] / max(1, r["count"]) for r in results["ours"]) * 1000
        self.add(name, asked, "ms", ours, theirs, note=note or f"{cpu:.3g} ms cpu")


class Bench:
    def __init__(self, options, table):
        self.options, self.table = options, table
        self.small = options.small

    def flush_ms(self):
        done = subprocess.run([self.options.load / "fsync-bench", self.options.dir], capture_output=True, text=True)
        return json.loads(done.stdout)["F_ms"]

    def pair(self, folder, configuration=""):
        """Both servers, started and empty; without Dovecot when it is not wanted."""
        base = pathlib.Path(self.options.dir) / folder
        sites = {"ours": IMAPLetterlog(base / "letterlog", self.options.load, self.options.program, configuration)}
        if not self.options.ours_only:
            sites["theirs"] = IMAPDovecot(base / "dovecot", self.options.load, self.options.format)
        started = {}
        try:
            for key, site in sites.items():
                site.start()
                started[key] = site
        except Exception:
            self.stop(started)
            raise
        return sites

    def stop(self, sites):
        for site in sites.values():
            site.stop()
            shutil.rmtree(site.folder, ignore_errors=True)

    def fill(self, sites, messages, *arguments):
        for key, site in sites.items():
            filled = site.imap("fill", "--messages", messages, *arguments)
            site.settle()
            print(f"  {site.name}: {filled['messages']} messages, {filled['messages_per_second']:,.0f}/s",
                  flush=True)

    def each(self, sites, mode, *arguments, rounds=None):
        """The same asked of both in turn."""
        results = {key: [] for key in sites}
        for _ in range(rounds or self.options.rounds):
            for key, site in sites.items():
                results[key].append(site.imap(mode, *arguments))
        return results

    def timed(self, name, asked, sites, *arguments, rounds=None, note=""):
        self.table.add_time(name, asked, self.each(sites, "time", *arguments, rounds=rounds), note)

    def first_select(self, sites, name, asked):
        results = {key: [] for key in sites}
        for _ in range(self.options.rounds):
            for key, site in sites.items():
                site.restart()
                results[key].append(site.imap("time", "--command", "SELECT INBOX"))
        self.table.add_time(name, asked, results)

    def changed_since(self, sites, name, asked, count):
        """Ten changed messages, asked for by the MODSEQ before."""
        numbers = ",".join(str(n * count // 10 + 1) for n in range(10))
        results = {key: [] for key in sites}
        for round_number in range(self.options.rounds):
            for key, site in sites.items():
                # Dovecot keeps no positions until a client has asked for them.
                before = site.imap("time", *CONDSTORE)["highestmodseq"]
                sign = "+" if round_number % 2 == 0 else "-"
                site.imap("time", *CONDSTORE, "--command", f"STORE {numbers} {sign}FLAGS (\\Flagged)")
                results[key].append(site.imap(
                    "time", *CONDSTORE, "--command", f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {before})", "--repeat", 30))
                if results[key][-1]["lines"] != 11:
                    print(f"  {site.name}: {results[key][-1]['lines']} lines in place of 11", file=sys.stderr)
        self.table.add_time(name, asked, results)

    # Groups

    def hundred(self):
        count = 2_000 if self.small else 100_000
        sites = self.pair("hundred")
        try:
            self.fill(sites, count)
            self.fill(sites, 200, "--first-user", 2, "--size", 10240)
            self.fill(sites, 100, "--first-user", 3)
            self.hundred_rows(sites, count)
        finally:
            self.stop(sites)

    def hundred_rows(self, sites, count):
        t = self.timed
        self.first_select(sites, f"SELECT first after start, {count}", 20)
        t(f"SELECT warm, {count}", 0.2, sites, *SELECT, "--between", "UNSELECT", "--command", "SELECT INBOX",
          "--repeat", 50)
        t(f"FETCH 1:* (FLAGS), {count}", 35, sites, *SELECT, "--command", "FETCH 1:* (FLAGS)", "--repeat", 7)
        t(f"FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE), {count}", 150, sites, *SELECT, "--command",
          "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)", "--repeat", 5)
        envelopes = (*SELECT, "--command", "FETCH 1:* (ENVELOPE)")
        results = {key: [] for key in sites}
        for _ in range(self.options.rounds):
            for key, site in sites.items():
                site.restart(without_cache=True)
                results[key].append(site.imap("time", *envelopes))
        self.table.add_time(f"FETCH 1:* (ENVELOPE), cache empty, {count}", 1400, results)
        for site in sites.values():
            site.settle()
        t(f"FETCH 1:* (ENVELOPE), cache filled, {count}", 300, sites, *envelopes, "--repeat", 4)
        self.changed_since(sites, f"UID FETCH (CHANGEDSINCE), 10 changed in {count}", 1, count)
        for name, asked, key in (("UNSEEN", 5, "UNSEEN"), ("by FROM", 100, 'FROM "harbour"'),
                                 ("by MESSAGE-ID", 100, f'HEADER MESSAGE-ID "<{count // 2}."'),
                                 ("by SUBJECT word", 100, 'SUBJECT "garden"')):
            # The first one fills the cache of whoever has not got the field in it yet.
            self.each(sites, "time", *SELECT, "--command", f"SEARCH {key}", rounds=1)
            t(f"SEARCH {name}, {count}", asked, sites, *SELECT, "--command", f"SEARCH {key}", "--repeat", 4)
        body = self.each(sites, "time", "--first-user", 2, *SELECT, "--command", 'SEARCH BODY "needle"', "--repeat", 4)
        rates = {key: 200e6 / statistics.median(r["p50_us"] for r in runs) for key, runs in body.items()}
        self.table.add("SEARCH BODY, 200 messages of 10 KB", 300, "/s", rates["ours"], rates.get("theirs"), True)
        t("NOOP that brings 5 new messages in", 0.5, sites, *SELECT, "--arrive", 5, "--command", "NOOP", "--repeat",
          100 if self.small else 200)
        self.order_all(sites, count)
        self.store_all(sites, count)
        self.expunge(sites, count)

    def watched(self, sites, watchers, *arguments):
        """The same asked of both in turn while other sessions ask for something small every two milliseconds.

        Answers the results, the longest wait of any of those for each server, and a note about ours."""
        results, waits = {key: [] for key in sites}, {key: {name: [] for name in watchers} for key in sites}
        for _ in range(self.options.rounds):
            for key, site in sites.items():
                begun = {name: site.begin("time", *words, "--repeat", 10000, "--pause-ms", 2, "--seconds", 3)
                         for name, words in watchers.items()}
                time.sleep(0.3)
                results[key].append(site.imap("time", *SELECT, *arguments))
                for name, watcher in begun.items():
                    waits[key][name].append(json.loads(watcher.communicate()[0]))
                site.settle()
        longest = {key: max(r["max_us"] for runs in waits[key].values() for r in runs) / 1000 for key in sites}
        note = ", ".join(f"{name} p99 {max(r['p99_us'] for r in runs) / 1000:.1f} max "
                         f"{max(r['max_us'] for r in runs) / 1000:.1f} ms" for name, runs in waits["ours"].items())
        return results, longest, note

    def store_all(self, sites, count):
        flags = ("--command", "STORE 1:* +FLAGS (\\Flagged)", "--command", "STORE 1:* -FLAGS (\\Flagged)")
        silent = ("--command", "STORE 1:* +FLAGS.SILENT (\\Draft)", "--command", "STORE 1:* -FLAGS.SILENT (\\Draft)")
        watchers = {
            "STATUS": ("--command", "STATUS INBOX (MESSAGES UNSEEN)"),
            "STORE": ("--first-user", 3, *SELECT, "--command", "STORE 1 +FLAGS (\\Flagged)", "--command",
                      "STORE 1 -FLAGS (\\Flagged)")}
        results, longest, note = self.watched(sites, watchers, *flags, "--repeat", 4)
        self.table.add_time(f"STORE 1:* +FLAGS, durable, {count}", 150, results)
        self.table.add("  other sessions meanwhile, longest wait", 50, "ms", longest["ours"], longest.get("theirs"),
                       note=note)
        results = {key: [] for key in sites}
        for _ in range(self.options.rounds):
            for key, site in sites.items():
                results[key].append(site.imap("time", *SELECT, *silent, "--repeat", 4))
                site.settle()
        self.table.add_time(f"  the same with .SILENT, {count}", 150, results)

    def order_all(self, sites, count):
        """Not in what is asked but for the wait: the largest steps that a client can ask for."""
        watchers = {
            "STATUS": ("--command", "STATUS INBOX (MESSAGES UNSEEN)"),
            "SEARCH": ("--first-user", 3, *SELECT, "--command", 'SEARCH FROM "harbour"')}
        orders = ("--command", "SORT (SUBJECT) UTF-8 ALL", "--command", "THREAD REFERENCES UTF-8 ALL")
        results, longest, note = self.watched(sites, watchers, *orders, "--repeat", 4)
        cpu = statistics.median(r["server_cpu"] / r["count"] for r in results["ours"]) * 1000
        self.table.add(f"other sessions while all {count} are sorted and threaded", 50, "ms", longest["ours"],
                       longest.get("theirs"), note=f"{note}; SORT and THREAD take {cpu:.0f} ms cpu each")

    def expunge(self, sites, count):
        gone = count // 100
        results = {key: [] for key in sites}
        for _ in range(self.options.rounds):
            # Spread over the mailbox, some hundreds to a command so that the lines stay short.
            numbers = [n * (count // gone - 10) + 1 for n in range(gone)]
            marks = []
            for start in range(0, gone, 250):
                text = ",".join(map(str, numbers[start:start + 250]))
                marks += ["--between", f"STORE {text} +FLAGS.SILENT (\\Deleted)"]
            for key, site in sites.items():
                results[key].append(site.imap("time", *SELECT, *marks, "--command", "EXPUNGE"))
                site.settle()
        self.table.add_time(f"EXPUNGE of {gone} spread over {count}, durable", 30, results)

    def million(self):
        count = 5_000 if self.small else 1_000_000
        sites = self.pair("million", MAILDIR_OFF)
        try:
            self.fill(sites, count, "--size", 800)
            self.first_select(sites, f"SELECT first after start, {count}", 200)
            self.timed(f"SELECT warm, {count}", 0.2, sites, *SELECT, "--between", "UNSELECT", "--command",
                       "SELECT INBOX", "--repeat", 50)
            self.changed_since(sites, f"UID FETCH (CHANGEDSINCE), 10 changed in {count}", 1, count)
            results = {key: [] for key in sites}
            for round_number in range(self.options.rounds * 3):
                for key, site in sites.items():
                    before = site.imap("time", *CONDSTORE)
                    sign = "+" if round_number % 2 == 0 else "-"
                    site.imap("time", *SELECT, "--command", f"STORE {count // 2} {sign}FLAGS (\\Answered)")
                    again = f"SELECT INBOX (QRESYNC ({before['uidvalidity']} {before['highestmodseq']}))"
                    results[key].append(site.imap("time", "--setup", "ENABLE QRESYNC", "--between", "UNSELECT",
                                                  "--command", again, "--allow-no", "--setup", "SELECT INBOX",
                                                  "--repeat", 10))
            self.table.add_time(f"QRESYNC SELECT after one change in {count}", 2, results)
        finally:
            self.stop(sites)

    def small_commands(self):
        seconds = 2 if self.small else self.options.seconds
        sites = self.pair("small")
        try:
            self.fill(sites, 100, "--first-user", 10, "--connections", 50, "--user-count", 50)
            first = ("--first-user", 10, "--connections", 10, "--user-count", 10, *SELECT, "--seconds", seconds)
            for name, command in (("NOOP", "NOOP"), ("STATUS", "STATUS INBOX (MESSAGES UNSEEN UIDNEXT)"),
                                  ("FETCH of one body", "FETCH %n (BODY.PEEK[])")):
                results = self.each(sites, "loop", *first, "--modulo", 100, "--command", command)
                ours, theirs = (statistics.median(r["commands_per_second"] for r in results[key])
                                if key in sites else None for key in ("ours", "theirs"))
                asked = 1.2 * theirs if theirs else 1
                self.table.add(f"{name}, 10 clients", asked, "/s", ours, theirs, True, self.costs(results))
            results = self.each({"ours": sites["ours"]}, "loop", *first, "--connections", 1, "--pipeline", 200,
                                "--command", "NOOP")
            rate = statistics.median(r["commands"] / r["server_cpu"] for r in results["ours"])
            clock = statistics.median(r["commands_per_second"] for r in results["ours"])
            self.table.add("pipelined NOOP, for each second of one core", 100_000, "/s", rate, None, True,
                           f"{clock:,.0f}/s by the clock")
            before = self.flush_ms()
            store = ("--first-user", 10, "--connections", 50, "--user-count", 50, *SELECT, "--seconds", seconds,
                     "--modulo", 100, "--command", "STORE %n +FLAGS (\\Flagged)", "--command",
                     "STORE %n -FLAGS (\\Flagged)")
            results = self.each(sites, "loop", *store)
            flush = (before + self.flush_ms()) / 2
            ours, theirs = (statistics.median(r["commands_per_second"] for r in results[key])
                            if key in sites else None for key in ("ours", "theirs"))
            asked = min(15_000 / flush, 15_000)
            self.table.add("durable STORE, 50 clients", asked, "/s", ours, theirs, True,
                           f"F {flush:.3f} ms, {self.costs(results)}")
        finally:
            self.stop(sites)

    @staticmethod
    def costs(results):
        """Processor microseconds for each command."""
        shown = {"ours": "ours", "theirs": "Dovecot's"}
        return ", ".join(
            f"{shown[key]} {statistics.median(r['server_cpu'] / max(1, r['commands']) for r in runs) * 1e6:.1f} us cpu"
            for key, runs in results.items())

    def idle(self):
        many, some = (400, 100) if self.small else (10_000, 1_000)
        # The node's limits on clients are below ten thousand; nothing else is changed.
        limits = f"limits:\n  connections: {many + 1000}\n  sessions-per-account: {many + 1000}\n"
        memory, waits = {}, {}
        for name, sessions, tls in (("plain", many, False), ("TLS", many, True), ("some", some, False)):
            site = IMAPLetterlog(pathlib.Path(self.options.dir) / "idle", self.options.load, self.options.program,
                                 limits)
            memory[name], waits[name] = self.idled(site, sessions, tls)
        theirs = (None, None)
        if not self.options.ours_only:
            theirs = self.idled(IMAPDovecot(pathlib.Path(self.options.dir) / "idle", self.options.load,
                                            self.options.format), min(DOVECOT_IDLE_SESSIONS, some), False)
        their_memory = theirs[0] and theirs[0] / 1024
        note = f"Dovecot with {min(DOVECOT_IDLE_SESSIONS, some)} sessions"
        self.table.add(f"IDLE, {many} sessions, memory each, plain", 16, "KiB", memory["plain"] / 1024, their_memory,
                       note=note)
        self.table.add(f"IDLE, {many} sessions, memory each, TLS", 48, "KiB", memory["TLS"] / 1024)
        wait = theirs[1]
        flush = self.flush_ms()
        self.table.add(f"IDLE, commit to EXISTS, p50 of {some} sessions", 5, "ms", waits["some"]["median"]["p50_us"] / 1000,
                       wait and wait["median"]["p50_us"] / 1000, note="from before the APPEND was sent, which took "
                       f"{waits['some']['append']['p50_us'] / 1000:.2f} ms, F {flush:.2f} ms; {note}")
        self.table.add(f"IDLE, commit to EXISTS, all of {many} sessions", 250, "ms", waits["plain"]["all"]["p50_us"] / 1000,
                       note=f"worst of the rounds {waits['plain']['all']['max_us'] / 1000:.0f} ms")
        self.table.add("  the same over TLS", 250, "ms", waits["TLS"]["all"]["p50_us"] / 1000)

    def idled(self, site, sessions, tls):
        site.start()
        try:
            site.imap("fill", "--messages", 20)
            site.settle()
            before = site.anonymous_octets()
            load = site.begin("idle", "--connections", sessions, "--sources", sessions // 400 + 1, "--repeat", 7,
                              tls=tls)
            if load.stdout.readline() != "idling\n":
                raise RuntimeError(f"{site.name} does not let {sessions} sessions idle:\n{site.output()}")
            site.settle()
            each = (site.anonymous_octets() - before) / sessions
            text, _ = load.communicate("go\n")
            return each, json.loads(text)
        finally:
            site.stop()
            shutil.rmtree(site.folder, ignore_errors=True)


GROUPS = {"small": Bench.small_commands, "hundred": Bench.hundred, "million": Bench.million, "idle": Bench.idle}


def main():
    parser = argparse.ArgumentParser(prog="endtoend")
    parser.add_argument("--load", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--dir", default=None)
    parser.add_argument("--binary", default=".build/release/letterlog")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each loop of small commands")
    parser.add_argument("--small", action="store_true", help="a fiftieth of the size, to try the script")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups: " + ", ".join(GROUPS))
    parser.add_argument("--format", default="mdbox", choices=["mdbox", "sdbox", "maildir"], help="Dovecot's")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    root = pathlib.Path(tempfile.mkdtemp(prefix="letterlog-endtoend-", dir=options.dir))
    options.dir = str(root)
    os.chmod(root, 0o755)
    options.program = runnable(options.binary, root)
    table = Table(options)
    bench = Bench(options, table)
    ticks = machine_ticks()
    try:
        for name in options.only.split(","):
            GROUPS[name](bench)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(table.rows, indent=1) + "\n")
    busy, stolen, total = (b - a for a, b in zip(ticks, machine_ticks()))
    print(f"the machine was {100 * busy / total:.0f} % busy, {100 * stolen / total:.0f} % stolen; {USERS} accounts")
    sys.exit(0 if all(row["enough"] for row in table.rows) else 1)


if __name__ == "__main__":
    main()
