#!/usr/bin/env python3
"""A storm of bad logins beside good clients: no good client fails.

    storm.py LETTERLOG [BAD LOGINS [CLIENTS]]

Clients come through the PROXY protocol, so that each has an address of its own, and with TLS, which passwords need. Good ones log in, look and leave, round
after round, first alone and then beside the storm; bad ones guess passwords of the same accounts and of names that
nobody has, from some hundred networks, and do not wait for long answers. The first figures are a short form for CI; with
10000 it is the measurement of docs/decisions/0030, and prints how long good logins took in both parts.
"""
import asyncio
import json
import sys
import time

from node import Node, PASSWORD, expect, main
from sasl import unchecked

BAD_LOGINS = 600
GOOD_CLIENTS = 20
CONCURRENT_BAD = 100
ROUNDS_ALONE = 5
SECONDS_MAX = 280
PATIENCE_SECONDS = 60
TLS = unchecked()


async def connect(port, address):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"PROXY TCP4 %s 127.0.0.1 40000 995\r\n" % address.encode())
    await writer.start_tls(TLS, ssl_handshake_timeout=PATIENCE_SECONDS)
    return reader, writer


async def ask(reader, writer, line):
    writer.write(line.encode() + b"\r\n")
    return (await asyncio.wait_for(reader.readline(), PATIENCE_SECONDS)).decode()


async def good_login(port, number, times):
    reader, writer = await connect(port, "198.51.%d.7" % number)
    try:
        greeting = (await asyncio.wait_for(reader.readline(), PATIENCE_SECONDS)).decode()
        expect(greeting.startswith("+OK"), "a good client heard %r" % greeting)
        await ask(reader, writer, "USER user%d" % number)
        begun = time.monotonic()
        answer = await ask(reader, writer, "PASS " + PASSWORD)
        times.append(time.monotonic() - begun)
        expect(answer.startswith("+OK"), "a good login heard %r" % answer)
        expect((await ask(reader, writer, "STAT")).startswith("+OK"), "STAT of a good client")
        expect((await ask(reader, writer, "QUIT")).startswith("+OK"), "QUIT of a good client")
    finally:
        writer.close()


async def bad_login(port, number, clients):
    """Guesses once or twice and hangs up; the node may hold its answers back or refuse them."""
    try:
        reader, writer = await connect(port, "10.%d.%d.9" % (number % 250, number // 250 % 4))
    except ConnectionError:
        return
    try:
        await asyncio.wait_for(reader.readline(), PATIENCE_SECONDS)
        for turn in range(2):
            name = "user%d" % (number % clients) if turn == 0 else "nobody%d" % number
            await ask(reader, writer, "USER " + name)
            writer.write(b"PASS guess%d\r\n" % number)
            answer = await asyncio.wait_for(reader.readline(), 1)
            expect(not answer.startswith(b"+OK"), "a bad login heard %r" % answer)
    except (asyncio.TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()


async def rounds(port, clients, times, until):
    """Each good client again and again, a little apart, until `until` answers yes."""
    async def one(number):
        turn = 0
        while not until(turn):
            await good_login(port, number, times)
            await asyncio.sleep(0.05 + 0.001 * number)
            turn += 1
    await asyncio.gather(*(one(number) for number in range(clients)))


async def storm(port, bad, clients):
    left = iter(range(bad))

    async def attacker():
        for number in left:
            await bad_login(port, number, clients)
    await asyncio.gather(*(attacker() for _ in range(CONCURRENT_BAD)))


def figures(times):
    times = sorted(times)
    return {"logins": len(times), "p50_ms": round(1000 * times[len(times) // 2], 1),
            "p99_ms": round(1000 * times[int(len(times) * 0.99)], 1), "max_ms": round(1000 * times[-1], 1)}


async def play(port, bad, clients):
    first, alone, beside = [], [], []
    await rounds(port, clients, first, lambda turn: turn >= 1)
    await rounds(port, clients, alone, lambda turn: turn >= ROUNDS_ALONE)
    begun = time.monotonic()
    attack = asyncio.create_task(storm(port, bad, clients))
    await rounds(port, clients, beside, lambda turn: attack.done() and turn > 0)
    await attack
    return {"bad_logins": bad, "good_clients": clients, "seconds": round(time.monotonic() - begun, 1),
            "first": figures(first), "alone": figures(alone), "beside": figures(beside)}


def promises(program):
    bad = int(sys.argv[2]) if len(sys.argv) > 2 else BAD_LOGINS
    clients = int(sys.argv[3]) if len(sys.argv) > 3 else GOOD_CLIENTS
    with Node(program, settings=["listeners.proxy-from=127.0.0.1"], listeners=("pop3s=127.0.0.1:0",)) as node:
        node.import_accounts("user%d@example.test" % number for number in range(clients))
        result = asyncio.run(asyncio.wait_for(play(node.port("pop3s"), bad, clients), SECONDS_MAX * max(1, bad // 5000)))
        print(json.dumps(result))
        # What a crowd can cause is told in a bounded number of lines.
        with open(node.log_path) as log:
            lines = log.read().count("login denied")
        expect(lines <= 20 * (2 + int(result["seconds"]) // 60) + 2, "%d lines of denied logins" % lines)


if __name__ == "__main__":
    main(promises)
