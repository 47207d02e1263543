"""Runs the same load against Dovecot and Letterlog in turn and prints one table.

Each round starts each server on an empty store, warms it, measures deliveries with 1 and 64 connections and a POP3
reading of what was delivered, with F (tools/load/fsync-bench) before and after. The figure of a row is the median of
the rounds. The order of the servers changes from round to round.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from servers import PASSWORD, Dovecot, Letterlog, own_user

USERS = 100
MESSAGE_OCTETS = 10 * 1024
MESSAGES_MAX = 60_000
POP3_SESSIONS = 200


def load(program, *arguments):
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode == 2 or not done.stdout:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def flush_ms(options):
    return load(options.load / "fsync-bench", options.dir)["F_ms"]


def machine_ticks():
    """Processor ticks of the whole machine since its start: (busy, stolen by the hypervisor, all)."""
    with open("/proc/stat") as stat:
        user, nice, system, idle, wait, interrupt, soft, stolen = map(int, stat.readline().split()[1:9])
    busy = user + nice + system + interrupt + soft
    return busy, stolen, busy + stolen + idle + wait


def measured(server, program, *arguments):
    """The program's figures, with the server's processor milliseconds per message and what others took meanwhile."""
    machine, before = machine_ticks(), server.cpu_seconds()
    result = load(program, *arguments)
    used = server.cpu_seconds() - before
    busy, stolen, total = (b - a for a, b in zip(machine, machine_ticks()))
    count = result.get("acknowledged", result.get("messages", 0))
    result["server_cpu_ms"] = 1000 * used / max(1, count)
    ours = (used + result["client_cpu_seconds"]) * os.sysconf("SC_CLK_TCK")
    result["others_percent"] = 100 * max(0, busy - ours) / total
    result["stolen_percent"] = 100 * stolen / total
    if result["errors"]:
        print(f"  {server.name}: {result['errors']} errors, first: {result['first_error']}", file=sys.stderr)
    return result


def one_round(server, options):
    deliver = [options.load / "lmtp-load", "--port", server.lmtp_port, "--size", MESSAGE_OCTETS,
               "--recipient-count", USERS, "--seconds", options.seconds]
    server.start()
    try:
        result = {"F_before": flush_ms(options), "version": server.version()}
        # One message for each account makes its folders; then processes for all connections.
        load(*deliver, "--messages", USERS)
        load(*deliver, "--messages", 4 * 64, "--connections", 64)
        result["lmtp 1"] = measured(server, *deliver, "--messages", MESSAGES_MAX)
        result["lmtp 64"] = measured(server, *deliver, "--messages", MESSAGES_MAX, "--connections", 64)
        result["pop3 8"] = measured(
            server, options.load / "pop3-load", "--port", server.pop3_port, "--connections", 8, "--sessions",
            POP3_SESSIONS, "--user-count", USERS, "--password", PASSWORD, "--retrieve", 50, "--seconds",
            options.seconds)
        result["F_after"] = flush_ms(options)
        return result
    finally:
        server.stop()


def median(rounds, row, key):
    return statistics.median(r[row][key] for r in rounds)


def table(results):
    names = list(results)
    heads = {
        "lmtp 1": "LMTP, 10 KB, 1 connection", "lmtp 64": "LMTP, 10 KB, 64 connections",
        "pop3 8": "POP3, RETR, 8 connections",
    }
    lines = [("", *(f"{n} {results[n][0]['version']}" for n in names), "ratio")]

    def row(label, figures, better_is_more):
        ratio = ""
        if len(figures) == 2 and min(figures) > 0:
            ratio = f"{figures[1] / figures[0]:.2f}" if better_is_more else f"{figures[0] / figures[1]:.2f}"
        lines.append((label, *(f"{f:,.2f}" if f < 100 else f"{f:,.0f}" for f in figures), ratio))

    for key, head in heads.items():
        row(f"{head}: messages/s", [median(results[n], key, "messages_per_second") for n in names], True)
        row("  server processor ms per message", [median(results[n], key, "server_cpu_ms") for n in names], False)
        latency = "retrieve_ms" if key.startswith("pop3") else "latency_ms"
        for rank in ("p50", "p99"):
            figures = [statistics.median(r[key][latency][rank] for r in results[n]) for n in names]
            row(f"  latency {rank} ms", figures, False)
        for share, label in (("others_percent", "processor taken by others, %"), ("stolen_percent", "stolen, %")):
            lines.append(("  " + label, *(f"{median(results[n], key, share):.0f}" for n in names), ""))
    row("64 connections / 1 connection", [
        median(results[n], "lmtp 64", "messages_per_second") / median(results[n], "lmtp 1", "messages_per_second")
        for n in names], True)
    row("one client, in units of 1/F", [
        statistics.median(
            r["lmtp 1"]["messages_per_second"] * (r["F_before"] + r["F_after"]) / 2000 for r in results[n])
        for n in names], True)
    for key, label in (("F_before", "F before, ms"), ("F_after", "F after, ms")):
        lines.append((label, *(f"{statistics.median(r[key] for r in results[n]):.3f}" for n in names), ""))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))).rstrip())


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", type=pathlib.Path, required=True, help="folder of the built load programs")
    parser.add_argument("--dir", type=pathlib.Path, help="folder on the disk to measure (a new one under /var/tmp)")
    parser.add_argument("--binary", default=root / ".build/release/letterlog")
    parser.add_argument("--dovecot-only", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8, help="of each measurement")
    parser.add_argument("--json", type=pathlib.Path, help="also write every figure of every round there")
    options = parser.parse_args()
    if not options.dovecot_only and not pathlib.Path(options.binary).exists():
        sys.exit(f"compare: {options.binary} is missing: swift build -c release --product letterlog")
    options.dir = pathlib.Path(tempfile.mkdtemp(prefix="letterlog-compare-", dir=options.dir or "/var/tmp"))
    options.dir.chmod(0o755)
    shutil.chown(options.dir, *own_user()[1])
    results = {"Dovecot": []} if options.dovecot_only else {"Dovecot": [], "Letterlog": []}
    try:
        for number in range(options.rounds):
            for name in sorted(results, reverse=number % 2 == 1):
                print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr)
                # Nothing is deleted before the end: ext4 avoids the inodes of files removed in the last minutes, and
                # looking past thousands of them would slow down whoever makes files next.
                folder = options.dir / f"{name}-{number}"
                server = Dovecot(folder, USERS) if name == "Dovecot" else Letterlog(folder, USERS, options.binary)
                results[name].append(one_round(server, options))
        table(results)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
    finally:
        shutil.rmtree(options.dir, ignore_errors=True)


if __name__ == "__main__":
    main()
