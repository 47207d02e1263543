"""Prints the speed and size table: what is asked, what was measured, and whether that is enough.

Every row runs the node or `letterlog bench` with its default configuration on a fresh store (but for the rows at a
million messages, which share one), in the given folder, and names the F that was taken before and after it.
Rows: flags, lmtp, resync, rebuild, million (metadata, ready after kill -9, and a node at rest).
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "compare"))
from compare import flush_ms, load, measured  # noqa: E402
from servers import Letterlog, free_port, runnable  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
USERS = 100
START_SECONDS_MAX = 60


class Table:
    def __init__(self, options):
        self.options = options
        self.rows = []

    def add(self, name, asked, value, unit, f, enough, note=""):
        row = {"row": name, "asked": asked, "measured": value, "unit": unit, "F_ms": f, "enough": bool(enough),
               "note": note}
        self.rows.append(row)
        print(f"{name:44} asked {asked:>10.4g} measured {value:>10.4g} {unit:8} F {f:.3f} ms  "
              f"{'enough' if enough else 'MISSED'}  {note}", flush=True)

    def bench(self, kind, *arguments, store=None):
        command = [str(self.options.binary), "bench", kind, "--json", *map(str, arguments)]
        if store:
            command += ["--store", str(store)]
        done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, TMPDIR=self.options.dir))
        if done.returncode:
            raise RuntimeError(done.stderr or done.stdout)
        result = json.loads(done.stdout.splitlines()[-1])
        result["F"] = (result["f_before_ms"] + result["f_after_ms"]) / 2
        return result

    # Rows

    def flags(self):
        count = 20_000 if self.options.small else 400_000
        runs = [self.bench("flags", "--messages", count) for _ in range(self.options.rounds)]
        best = sorted(runs, key=lambda run: run["per_second"])[len(runs) // 2]
        asked = min(15 / (best["F"] / 1000), 40_000)
        self.add("flag changes, 128 producers", asked, best["per_second"], "/s", best["F"], best["per_second"] >= asked,
                 f"batch {best['batch_mean']:.0f}, {best['pages_per_batch']:.0f} pages a batch, "
                 f"{best['cpu_us_per_operation']:.0f} us cpu, p99 {best['p99_ms']:.1f} ms")

    def lmtp(self):
        one, many, cpu, flushes = [], [], [], []
        for _ in range(self.options.rounds):
            folder = pathlib.Path(self.options.dir) / "lmtp"
            server = Letterlog(folder, USERS, self.options.program)
            deliver = [self.options.load / "lmtp-load", "--port", server.lmtp_port, "--size", 10240,
                       "--recipient-count", USERS, "--seconds", self.options.seconds]
            server.start()
            try:
                before = flush_ms(self.options)
                load(*deliver, "--messages", 4 * 64, "--connections", 64)
                one.append(measured(server, *deliver, "--messages", 60_000)["messages_per_second"])
                busy = measured(server, *deliver, "--messages", 100_000, "--connections", 64)
                many.append(busy["messages_per_second"])
                cpu.append(busy["server_cpu_ms"])
                flushes += [before, flush_ms(self.options)]
            finally:
                server.stop()
                shutil.rmtree(folder, ignore_errors=True)
        f = statistics.mean(flushes)
        asked = 0.25 / (f / 1000)
        first, rate, used = map(statistics.median, (one, many, cpu))
        self.add("deliveries over LMTP, one client", asked, first, "/s", f, first >= asked)
        wanted = 20 * first if f >= 2 else 6000
        self.add("deliveries over LMTP, 64 connections", wanted, rate, "/s", f, rate >= wanted,
                 "8 times Dovecot: see compare")
        self.add("processor time per delivery", 0.25, used, "ms", f, used <= 0.25)

    def resync(self):
        count = 10_000 if self.options.small else 1_000_000
        run = self.bench("resync", "--messages", count)
        self.add(f"resync after one change, {count} messages", 1, run["p50_ms"], "ms", run["F"], run["p50_ms"] <= 1,
                 f"p99 {run['p99_ms']:.3f} ms")

    def rebuild(self):
        run = self.bench("rebuild", "--messages", 20_000 if self.options.small else 400_000, "--accounts", 1000)
        rate = 1e6 / run["cpu_us_per_operation"]
        self.add("rebuild, events per second and core", 200_000, rate, "/s", run["F"], rate >= 200_000,
                 f"{run['per_second']:.0f}/s by the clock")

    def million(self):
        accounts, each = (50, 20) if self.options.small else (1000, 1000)
        store = pathlib.Path(self.options.dir) / "million" / "store"
        shutil.rmtree(store.parent, ignore_errors=True)
        store.parent.mkdir()
        run = self.bench("deliver", "--accounts", accounts, "--messages", accounts * each, "--size", 512, store=store)
        self.add(f"metadata per message, {accounts} accounts of {each}", 600, run["database_octets_per_operation"],
                 "octets", run["F"], run["database_octets_per_operation"] <= 600,
                 f"{run['per_second']:.0f} deliveries/s of 512 octets by the engine")
        self.kill(store, accounts * each, run["F"])
        shutil.rmtree(store.parent, ignore_errors=True)

    def kill(self, store, messages, f):
        configuration = store.parent / "maildir-off.yaml"
        configuration.write_text("maildir:\n  enabled: false\n")
        times, rest = [], 0
        for _ in range(3):
            process, _ = self.serve(store, configuration)
            time.sleep(1)
            rest = anonymous_octets(process.pid)
            # Changes that are not folded when the kill comes: the bench of flags works on a store of its own, so mail.
            port = process.lmtp_port
            subprocess.run([str(self.options.load / "lmtp-load"), "--port", str(port), "--size", "1024", "--seconds",
                            "2", "--connections", "32", "--messages", "100000", "--recipients",
                            "bench-%d@bench.invalid", "--recipient-count", "50"], capture_output=True, check=False)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process, seconds = self.serve(store, configuration)
            times.append(seconds)
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        worst = max(times)
        self.add(f"ready after kill -9, {messages} messages", 2, worst, "s", f, worst <= 2,
                 "worst of " + ", ".join(f"{seconds:.2f}" for seconds in times))
        self.add("a node at rest, anonymous memory", 30e6, rest, "octets", f, rest <= 30e6)

    def serve(self, store, configuration):
        port = free_port()
        begun = time.monotonic()
        process = subprocess.Popen(
            [str(self.options.binary), "serve", "--store", str(store), "--config", str(configuration), "--listen",
             f"lmtp=127.0.0.1:{port}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        process.lmtp_port = port
        line = process.stdout.readline()
        if not line.startswith("ready"):
            raise RuntimeError("the node did not get ready: " + line)
        return process, time.monotonic() - begun


def anonymous_octets(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    return 0


def main():
    parser = argparse.ArgumentParser(prog="table")
    parser.add_argument("--load", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--dir", default=None)
    parser.add_argument("--binary", default=ROOT / ".build/release/letterlog")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--small", action="store_true", help="a hundredth of the size, to try the script")
    parser.add_argument("--only", default="flags,lmtp,resync,rebuild,million")
    parser.add_argument("--json")
    options = parser.parse_args()
    options.binary = pathlib.Path(options.binary).resolve()
    root = pathlib.Path(tempfile.mkdtemp(prefix="letterlog-table-", dir=options.dir))
    options.dir = str(root)
    os.chmod(root, 0o755)
    options.program = runnable(options.binary, root)
    table = Table(options)
    try:
        for name in options.only.split(","):
            getattr(table, name)()
    finally:
        shutil.rmtree(root, ignore_errors=True)
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(table.rows, indent=1) + "\n")
    sys.exit(0 if all(row["enough"] for row in table.rows) else 1)


if __name__ == "__main__":
    main()
