"""Reads one conversation and holds it with a server. README.md has the format.

A conversation ends at the first promise that is not kept, unless the answers stay in step: then the difference is noted
and it goes on. Nothing waits without a bound.
"""
import base64
import os
import re
import socket
import ssl
import sys
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ClientTests"))

from imapwords import Atom, Response, Text, Ungrammatical, match_all, numbers, response  # noqa: E402

REPLY_SECONDS_MAX = 10
QUIET_SECONDS = 0.3
RESPONSE_OCTETS_MAX = 64 << 20
LINE = re.compile(r"(C|S|R|S\?|S!|S>|S&)(\d*)([?!>&]?): ?(.*)$")


class Difference(Exception):
    """What came is not what was expected."""


class NotOffered(Exception):
    """The server has not what the conversation is about."""


class Step:
    def __init__(self, number, kind, connection, text, block=None):
        self.number, self.kind, self.connection, self.text, self.block = number, kind, connection, text, block


def read_steps(path):
    """The lines of a conversation; a directive has the block of `| ` lines under it."""
    steps = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file.read().split("\n"), 1):
            if not line.strip() or line.startswith("#"):
                continue
            block = re.match(r"\|(-?)(?: (.*))?$", line)
            if block:
                if not steps or steps[-1].kind != "@":
                    raise Ungrammatical("%s:%d: a block under no directive" % (path, number))
                steps[-1].block = (steps[-1].block or b"") + unescaped_block(block[2] or "") + \
                    (b"" if block[1] else b"\r\n")
                continue
            if line.startswith("@"):
                steps.append(Step(number, "@", "", line[1:].strip()))
                continue
            found = LINE.match(line)
            if not found:
                raise Ungrammatical("%s:%d: not a line of a conversation: %s" % (path, number, line))
            steps.append(Step(number, found[1] + found[3], found[2] or "1", found[4]))
    return steps


def unescaped(text):
    """\\r \\n \\t \\0 \\xHH and \\\\ of an R line."""
    def one(found):
        return bytes([int(found[1][1:], 16)]) if found[1][:1] == b"x" else \
            {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}[found[1]]
    return re.sub(rb"\\(x[0-9A-Fa-f]{2}|[rnt0\\])", one, text.encode())


def unescaped_block(text):
    """In a block only \\xHH and \\0 mean something: for octets that a text file cannot hold."""
    return re.sub(rb"\\(x[0-9A-Fa-f]{2}|0)", lambda found: bytes([int(found[1][1:] or b"0", 16)]), text.encode())


class Connection:
    """Octets to and from a server, TLS and compression included."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=REPLY_SECONDS_MAX) if isinstance(address, tuple) \
            else self.unix(address)
        self.buffer, self.is_closed = bytearray(), False
        self.deflate = self.inflate = None
        self.allows_utf8 = False
        self.waiting = []

    @staticmethod
    def unix(path):
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(REPLY_SECONDS_MAX)
        plain.connect(path)
        return plain

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)

    def compress(self):
        """RFC 4978: raw DEFLATE both ways."""
        self.deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.inflate = zlib.decompressobj(-15)
        if self.buffer:
            self.buffer = bytearray(self.inflate.decompress(bytes(self.buffer)))

    def send(self, octets):
        if self.deflate:
            octets = self.deflate.compress(octets) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        # Reading leaves a time-out that may be all but over.
        self.socket.settimeout(REPLY_SECONDS_MAX)
        try:
            self.socket.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what the server said before it closed is still to be read

    def fill(self, deadline):
        """Reads once; False at the end of the stream, None when the time is over."""
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        self.socket.settimeout(left)
        try:
            part = self.socket.recv(1 << 16)
        except (socket.timeout, TimeoutError):
            return None
        except (ConnectionResetError, ssl.SSLError):
            part = b""
        if not part:
            self.is_closed = True
            return False
        self.buffer += self.inflate.decompress(part) if self.inflate else part
        if len(self.buffer) > RESPONSE_OCTETS_MAX:
            raise Difference("a response of more than %d octets" % RESPONSE_OCTETS_MAX)
        return True

    def line_end(self, start, deadline):
        """The end of the line that begins at `start`."""
        while True:
            end = self.buffer.find(b"\n", start)
            if end >= 0:
                return end + 1
            more = self.fill(deadline)
            if not more:
                return None

    def line(self, deadline):
        """A line without its CRLF, or None."""
        end = self.line_end(0, deadline)
        if end is None:
            return None
        line = bytes(self.buffer[:end])
        del self.buffer[:end]
        if not line.endswith(b"\r\n"):
            raise Difference("a line without CRLF: %r" % line[-200:])
        return line[:-2]

    def imap_response(self, deadline):
        """One response with its literals, parsed; None when none came, or at the end."""
        if self.waiting:
            return self.waiting.pop(0)
        start = 0
        while True:
            end = self.line_end(start, deadline)
            if end is None:
                return None
            literal = re.search(rb"\{(\d+)\}\r\n$", bytes(self.buffer[max(start, end - 24):end]))
            is_status = re.match(rb"\S+ (OK|NO|BAD|BYE|PREAUTH)\b|\+", bytes(self.buffer[:64]), re.I)
            if not literal or is_status:
                break
            start = end + int(literal[1])
            while len(self.buffer) < start:
                if not self.fill(deadline):
                    return None
        whole = bytes(self.buffer[:end])
        del self.buffer[:end]
        if not whole.endswith(b"\r\n"):
            raise Difference("a response without CRLF: %r" % whole[-200:])
        try:
            return response(whole[:-2], allows_utf8=self.allows_utf8)
        except Ungrammatical as why:
            raise Difference("not in the grammar: %s" % why)

    def close(self):
        try:
            self.socket.close()
        except OSError:
            pass


class Conversation:
    """One file against one server. `place` has addresses, accounts and what the server cannot do."""

    def __init__(self, path, place, protocol):
        self.path, self.place, self.protocol = path, place, protocol
        self.names = {}
        self.connections = {}
        self.differences = []
        self.shown = []
        self.last_command = {}
        self.steps = read_steps(path)
        self.is_utf8 = False
        self.passwords = {}
        self.ends_quietly = True

    def accounts(self):
        """Names of the accounts that the file uses."""
        return ["a"] + [word for step in self.steps if step.kind == "@" and step.text.split()[0] == "account"
                        for word in step.text.split()[1:]]

    def needs(self):
        return [word for step in self.steps if step.kind == "@" and step.text.split()[0] == "needs"
                for word in step.text.split()[1:]]

    def settings(self):
        """Of the node that it is held with, where it is not the usual one."""
        return tuple(word for step in self.steps if step.kind == "@" and step.text.split()[0] == "with"
                     for word in step.text.split()[1:])

    def use(self, accounts):
        """Addresses and passwords by the file's names."""
        for name, (address, password) in accounts.items():
            self.names[name + ".user"], self.names[name + ".password"] = address, password
            here = "" if name == "a" else name + "."
            self.names[here + "plain"] = base64.b64encode(("\0%s\0%s" % (address, password)).encode())
            self.names[here + "user64"] = base64.b64encode(address.encode())
            self.names[here + "password64"] = base64.b64encode(password.encode())
        self.names["user"], self.names["password"] = accounts["a"]

    def note(self, text):
        self.shown.append(text)

    def run(self):
        at = 0
        try:
            while at < len(self.steps):
                step = self.steps[at]
                self.current = step
                if step.kind == "@":
                    self.directive(step)
                    at += 1
                elif step.kind in "CR":
                    self.send(step)
                    at += 1
                else:
                    end = at
                    while end < len(self.steps) and self.steps[end].kind.startswith("S") \
                            and self.steps[end].connection == step.connection:
                        end += 1
                    self.receive(self.steps[at:end])
                    at = end
            if self.ends_quietly and not self.differences:
                for name in list(self.connections):
                    self.leave(name)
        except Difference as why:
            self.differ(str(why))
        except (OSError, LookupError, NameError, TypeError, ValueError, Ungrammatical) as why:
            self.differ("%s: %s" % (type(why).__name__, why))
        finally:
            for connection in self.connections.values():
                connection.close()
        return self.differences

    def differ(self, why, step=None):
        step = step or self.current
        command = self.last_command.get(step.connection or "1", "")
        self.differences.append((step.number, command, why))
        self.note("!!! line %d: %s" % (step.number, why))

    # Sending

    def filled(self, text):
        """A line with its values; parts that wait for a continuation stand apart. {=name} is a literal, {+name} one
        that is not waited for, {~name} and {~+name} a literal8, {repeat N TEXT} what it says."""
        parts = [b""]

        def expand(found):
            mark, name = found[1], found[2]
            if mark and mark[0] in "=+~":
                octets = self.value(name)
                parts[-1] += b"~" * mark.startswith("~") + b"{%d%s}\r\n" % (len(octets), b"+" * mark.endswith("+"))
                if not mark.endswith("+"):
                    parts.append(b"")
                parts[-1] += octets
            else:
                parts[-1] += self.value(name)
        last = 0
        for found in re.finditer(r"\{(=|\+|~\+|~|)([A-Za-z][\w.]*)\}|\{repeat (\d+) ([^}]*)\}", text):
            parts[-1] += text[last:found.start()].encode()
            if found[3]:
                parts[-1] += found[4].encode() * int(found[3])
            else:
                expand(found)
            last = found.end()
        parts[-1] += text[last:].encode()
        return parts

    def value(self, name):
        if name not in self.names:
            raise Difference("{%s} has no value" % name)
        value = self.names[name]
        return value if isinstance(value, bytes) else str(value).encode()

    def connection(self, name, listener=None):
        if name not in self.connections:
            self.connections[name] = Connection(self.place.address(listener or self.protocol))
        return self.connections[name]

    def send(self, step):
        connection = self.connection(step.connection)
        if step.kind == "R":
            octets = b"".join(self.filled_raw(step.text))
            self.note("R%s: %r" % (step.connection, octets[:200]))
            self.last_command[step.connection] = step.text
            connection.send(octets)
            return
        parts = self.filled(step.text)
        self.last_command[step.connection] = step.text
        self.note("C%s: %s" % (step.connection, step.text[:300]))
        for index, part in enumerate(parts):
            if index and not self.is_continued(connection, step):
                return
            connection.send(part + (b"\r\n" if index == len(parts) - 1 else b""))

    def filled_raw(self, text):
        last = 0
        for found in re.finditer(r"\{([A-Za-z][\w.]*)\}|\{repeat (\d+) ([^}]*)\}", text):
            yield unescaped(text[last:found.start()])
            yield unescaped(found[3]) * int(found[2]) if found[2] else self.value(found[1])
            last = found.end()
        yield unescaped(text[last:])

    def is_continued(self, connection, step):
        """Waits for the continuation of a literal. A tagged answer in its place refuses the literal: the rest of the
        line is not sent then (RFC 9051 section 7.5)."""
        deadline = time.monotonic() + REPLY_SECONDS_MAX
        came = []
        while True:
            found = connection.imap_response(deadline)
            if found is None:
                raise Difference("no continuation for the literal")
            if found.tag == "+":
                self.note("S%s: +" % step.connection)
                break
            came.append(found)
            if found.tag != "*":
                break
        connection.waiting = came + connection.waiting
        return not came or came[-1].tag == "*"

    # Receiving

    def receive(self, steps):
        if self.protocol != "imap":
            self.receive_lines(steps)
            return
        if any(step.kind == "S&" for step in steps):
            self.receive_all(steps)
            return
        group = []
        for step in steps:
            if step.kind == "S" and self.is_barrier(step.text):
                self.receive_group(group, step)
                group = []
            else:
                group.append(step)
        if group:
            self.receive_pushed(group)

    @staticmethod
    def is_barrier(text):
        """A tagged response, a continuation or the end; all else is untagged."""
        return text == "{closed}" or not text.startswith("* ")

    def receive_all(self, steps):
        """Commands sent together, whose answers may come in any order (RFC 9051 section 5.5): up to the last of them."""
        connection = self.connection(steps[0].connection)
        deadline = time.monotonic() + REPLY_SECONDS_MAX
        tags = {step.text.split()[0] for step in steps if self.is_barrier(step.text)}
        collected = []
        while tags:
            found = connection.imap_response(deadline)
            if found is None:
                raise Difference("no answer to %s" % sorted(tags))
            self.note("S%s: %r" % (steps[0].connection, found))
            collected.append(found)
            tags.discard(found.tag)
        expected, _ = self.expectations(steps)
        while match_all(expected, collected, self.names)[0] is None:
            found = connection.imap_response(deadline)
            if found is None:
                break
            self.note("S%s: %r" % (steps[0].connection, found))
            collected.append(found)
        self.compare(steps, collected)

    def pattern(self, step, text=None):
        text = text or step.text
        found = re.match(r"\* expunged (\S+)$", text)
        if found:
            return numbers(self.substituted(found[1]).encode())
        # A set is one word: {one},{two} and {one}:{two}.
        text = re.sub(r"(?<=[,:])\{([A-Za-z]\w*)\}|\{([A-Za-z]\w*)\}(?=[,:])",
                      lambda found: self.value(found[1] or found[2]).decode(), text)
        connection = self.connections.get(step.connection)
        return response(text.encode(), is_pattern=True, names=self.names,
                        allows_utf8=connection is not None and connection.allows_utf8)

    def substituted(self, text):
        return re.sub(r"\{([A-Za-z]\w*)\}", lambda found: self.value(found[1]).decode(), text)

    def receive_group(self, steps, barrier):
        """Up to the response that has to end the group; then what came before it against what was expected."""
        connection = self.connection(barrier.connection)
        deadline = time.monotonic() + REPLY_SECONDS_MAX
        collected = []
        self.current = barrier
        end, text = None, barrier.text
        while True:
            found = connection.imap_response(deadline)
            if found is None:
                break
            self.note("S%s: %r" % (barrier.connection, found))
            if found.tag != "*":
                end = found
                break
            collected.append(found)
        if text.endswith(" or {closed}"):
            text = text[:-len(" or {closed}")] if end is not None else "{closed}"
        if text == "{closed}":
            if end is not None:
                raise Difference("expected the end of the connection, not %r" % end)
            if not connection.is_closed:
                raise Difference("the connection stays open")
            del self.connections[barrier.connection]
        elif end is None:
            raise Difference("expected %s, and %s" % (
                barrier.text, "the connection ended" if connection.is_closed else "nothing came"))
        # In step: the tag is the one expected.
        elif text.split()[0] != end.tag:
            raise Difference("expected %s, got %r" % (barrier.text, end))
        self.compare(steps, collected, "{closed}" in barrier.text)
        self.forbid([step for step in steps if step.kind == "S!"], [end] if end is not None else [])
        if end is not None:
            self.current = barrier
            names, _, _ = match_all([(self.pattern(barrier, text), False, False)], [end], self.names)
            if names is None:
                self.differ("expected %s, got %s" % (barrier.text, end.raw[:300].decode("utf-8", "replace")), barrier)
            else:
                self.names = names

    def compare(self, steps, collected, may_close=False):
        expected, forbidden = self.expectations(steps)
        names, left, failed = match_all(expected, collected, self.names)
        wanted = [step for step in steps if step.kind != "S!"]
        if names is None:
            self.differ("expected %s; came: %s" % (wanted[failed].text, shown(collected)), wanted[failed])
            return
        self.names = names
        self.forbid(forbidden, collected)
        for each in left:
            if not self.is_tolerated(each, collected) and not (each.kind() == "BYE" and may_close):
                self.differ("not expected: %r" % each, steps[-1] if steps else None)

    def expectations(self, steps):
        expected = [(self.pattern(step), step.kind == "S?", step.kind == "S>") for step in steps if step.kind != "S!"]
        return expected, [step for step in steps if step.kind == "S!"]

    def forbid(self, forbidden, collected):
        for step in forbidden:
            for each in collected:
                names, _, _ = match_all([(self.pattern(step), False, False)], [each], self.names)
                if names is not None:
                    self.differ("must not come: %r" % each, step)

    @staticmethod
    def is_tolerated(found, collected):
        """What a server may say at any time (RFC 9051 section 5.2, 7): counts, flags in use, information."""
        kind = found.kind()
        if kind in ("RECENT", "FLAGS", "CAPABILITY"):
            return True
        if kind == "OK":
            return True
        if kind == "EXISTS":  # one of several on the way up
            later = collected[collected.index(found) + 1:]
            return any(each.kind() == "EXISTS" for each in later)
        return False

    def receive_pushed(self, steps):
        """Lines that come by themselves: as soon as all are there, or not in time."""
        connection = self.connection(steps[0].connection)
        deadline = time.monotonic() + REPLY_SECONDS_MAX
        expected, forbidden = self.expectations(steps)
        collected = []
        self.current = steps[0]
        while True:
            names, left, failed = match_all(expected, collected, self.names)
            if names is not None:
                break
            found = connection.imap_response(deadline)
            if found is None:
                wanted = [step for step in steps if step.kind != "S!"]
                self.current = wanted[failed]
                raise Difference("expected %s, and %s; came: %s" % (
                    wanted[failed].text, "the connection ended" if connection.is_closed else "no more came",
                    shown(collected)))
            self.note("S%s: %r" % (steps[0].connection, found))
            if found.tag != "*":
                raise Difference("expected %s, got %r" % (steps[0].text, found))
            collected.append(found)
        self.names = names
        self.forbid(forbidden, collected)
        for each in left:
            if not self.is_tolerated(each, collected):
                self.differ("not expected: %r" % each, steps[-1])

    def receive_lines(self, steps):
        """POP3, SMTP and LMTP: line by line. `S*` has no place here: a line of {...} stands for any number of lines, one of
        {... not EXPRESSION} for any that do not match."""
        connection = self.connection(steps[0].connection)
        deadline = time.monotonic() + REPLY_SECONDS_MAX
        held = None
        for index, step in enumerate(steps):
            self.current = step
            if step.text == "{closed}":
                if connection.line(deadline) is not None:
                    raise Difference("expected the end of the connection")
                if not connection.is_closed:
                    raise Difference("the connection stays open")
                del self.connections[step.connection]
                return
            whole = re.fullmatch(r"(\+OK|\d{3}) has (.+)", step.text)
            if whole:
                self.receive_listing(connection, step, whole[1], whole[2].split("; "), deadline)
                continue
            skipped = re.fullmatch(r"\{\.\.\.(?: not (.*))?\}", step.text)
            if skipped:
                following = self.line_expression(steps[index + 1].text)
                while True:
                    held = connection.line(deadline)
                    if held is None:
                        raise Difference("the end before %s" % steps[index + 1].text)
                    if following.fullmatch(held):
                        break
                    if skipped[1] and re.fullmatch(skipped[1].encode(), held, re.S):
                        raise Difference("must not come: %s" % held.decode("utf-8", "replace"))
                    self.note("S%s: %s" % (step.connection, held.decode("utf-8", "replace")))
                continue
            line = connection.line(deadline) if held is None else held
            held = None
            if line is None:
                raise Difference("expected %s, and %s" % (
                    step.text, "the connection ended" if connection.is_closed else "nothing came"))
            self.note("S%s: %s" % (step.connection, line.decode("utf-8", "replace")[:300]))
            found = self.line_expression(step.text).fullmatch(line)
            if not found:
                raise Difference("expected %s, got %s" % (step.text, line.decode("utf-8", "replace")))
            self.names.update(found.groupdict())

    def receive_listing(self, connection, step, status, wanted, deadline):
        """A whole reply of several lines: those wanted are among them, in any order, those with a `no ` before are not."""
        lines, is_last = [], False
        while not is_last:
            line = connection.line(deadline)
            if line is None:
                raise Difference("the end within the reply; expected %s" % step.text)
            text = line.decode("utf-8", "replace")
            self.note("S%s: %s" % (step.connection, text[:300]))
            if (not lines or status != "+OK") and not text.startswith(status):
                raise Difference("expected %s, got %s" % (step.text, text))
            is_last = text == "." if status == "+OK" else text[3:4] == " "
            lines.append(text if status == "+OK" else text[4:])
        for each in wanted:
            is_forbidden = each.startswith("no ")
            expression = each[3:] if is_forbidden else each
            if any(re.fullmatch(expression, line) for line in lines) == is_forbidden:
                raise Difference("expected %s, got %s" % (step.text, "; ".join(lines)))

    def line_expression(self, text):
        """{*} any octets, {#} digits, {/expression/} what matches, {name} a word to keep or the word that was kept,
        {name/expression/}, the rest as it stands."""
        pattern, last = "", 0
        for found in re.finditer(r"\{(\*|#|[A-Za-z][\w.]*|(?=/))(?:/((?:[^/]|//)*)/)?\}", text):
            pattern += re.escape(text[last:found.start()])
            name = found[1]
            if name == "*":
                pattern += ".*"
            elif name == "#":
                pattern += r"\d+"
            elif not name:
                pattern += "(?:%s)" % found[2]
            elif name in self.names:
                pattern += re.escape(self.value(name).decode("utf-8", "replace"))
            else:
                pattern += "(?P<%s>%s)" % (name, found[2] or r"\S+")
            last = found.end()
        return re.compile((pattern + re.escape(text[last:])).encode(), re.S)

    def leave(self, name):
        """Every connection is in step at the end: LOGOUT answers under its tag, with a BYE before it."""
        connection = self.connections[name]
        if self.protocol == "imap":
            deadline = time.monotonic() + REPLY_SECONDS_MAX
            connection.send(b"zzlast LOGOUT\r\n")
            has_bye = False
            while True:
                found = connection.imap_response(deadline)
                if found is None:
                    raise Difference("connection %s is out of step at the end: no answer to LOGOUT" % name)
                self.note("S%s: %r" % (name, found))
                has_bye = has_bye or found.kind() == "BYE"
                if found.tag == "*":
                    continue
                if found.tag != "zzlast" or found.kind() != "OK" or not has_bye:
                    raise Difference("connection %s is out of step at the end: %r" % (name, found))
                return

    # Directives

    def directive(self, step):
        word, _, rest = step.text.partition(" ")
        rest = rest.strip()
        self.note("@%s" % step.text[:200])
        method = getattr(self, "do_" + word.replace("-", "_"), None)
        if method is None:
            raise Ungrammatical("no directive: @" + step.text)
        method(rest, step)

    def do_needs(self, rest, step):
        pass  # checked before the conversation begins

    do_account = do_with = do_needs

    def do_utf8(self, rest, step):
        """From here on strings of this connection may hold UTF-8 (RFC 6855 section 3, RFC 9051 section 5.1)."""
        self.connection(rest or "1").allows_utf8 = True

    def do_let(self, rest, step):
        """A name for octets: `@let NAME` with a block, or `@let NAME < FILE`, or `@let NAME = TEXT`."""
        name, _, source = rest.partition(" ")
        source = source.strip()
        if source.startswith("<"):
            self.names[name] = self.octets_of(source[1:].strip())
        elif source.startswith("="):
            self.names[name] = b"".join(self.filled(source[1:].strip()))
        else:
            self.names[name] = step.block or b""

    def octets_of(self, name):
        """A file beside the conversation; its lines end in LF and are given CRLF, unless its name ends in .crlf."""
        with open(os.path.join(os.path.dirname(self.path), name), "rb") as file:
            octets = file.read()
        return octets if name.endswith(".crlf") else octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    def do_connect(self, rest, step):
        """@connect [N] [LISTENER]: the connection, and its greeting."""
        name, _, listener = (rest or "1").partition(" ")
        connection = self.connection(name, listener or None)
        deadline = time.monotonic() + REPLY_SECONDS_MAX
        if listener == "imaps":
            connection.start_tls()
        if self.protocol == "imap":
            greeting = connection.imap_response(deadline)
            if greeting is None or greeting.tag != "*" or greeting.kind() != "OK":
                raise Difference("no greeting: %r" % greeting)
        else:
            line = connection.line(deadline)
            while line is not None and line[3:4] == b"-" and self.protocol != "pop3":
                line = connection.line(deadline)
            if line is None:
                raise Difference("no greeting")

    def do_open(self, rest, step):
        """@open N LISTENER: the connection; its greeting is still to come."""
        self.connection(*rest.split())

    def do_login(self, rest, step):
        """@login [N] [ACCOUNT]: connected and logged in."""
        name, _, account = (rest or "1").partition(" ")
        account = account or "a"
        self.do_connect(name, step)
        connection = self.connections[name]
        user, password = self.value(account + ".user").decode(), self.value(account + ".password").decode()
        if self.protocol == "pop3":
            for line in ("USER " + user, "PASS " + password):
                connection.send(line.encode() + b"\r\n")
                reply = connection.line(time.monotonic() + REPLY_SECONDS_MAX)
                if not (reply or b"").startswith(b"+OK"):
                    raise Difference("login refused: %r" % reply)
            return
        self.quick(connection, "LOGIN %s %s" % (user, password))

    def do_select(self, rest, step):
        """@select MAILBOX [N]: selected, whatever it says of the mailbox."""
        mailbox, _, name = rest.partition(" ")
        self.quick(self.connection(name or "1"), "SELECT %s" % mailbox)

    def quick(self, connection, command, octets=None):
        """A command that only has to succeed; its untagged responses."""
        deadline = time.monotonic() + REPLY_SECONDS_MAX
        connection.send(b"setup " + command.encode() + b"\r\n")
        untagged = []
        while True:
            found = connection.imap_response(deadline)
            if found is None:
                raise Difference("%s: no answer" % command)
            if found.tag == "+" and octets is not None:
                connection.send(octets + b"\r\n")
                octets = None
                continue
            if found.tag == "*":
                untagged.append(found)
                continue
            if found.tag != "setup" or found.kind() != "OK":
                raise Difference("%s: %s" % (command, found.raw.decode("utf-8", "replace")))
            return untagged

    def setup(self, account="a"):
        name = "setup-" + account
        if name not in self.connections:
            connection = Connection(self.place.address("imap"))
            self.connections[name] = connection
            connection.imap_response(time.monotonic() + REPLY_SECONDS_MAX)
            self.quick(connection, "LOGIN %s %s" % (
                self.value(account + ".user").decode(), self.value(account + ".password").decode()))
        return self.connections[name]

    def do_append(self, rest, step):
        """@append MAILBOX [(FLAGS)] ["DATE"] [< FILE]: by another connection, done when the directive ends. Without a
        block and a file, a short message. `@append 5 INBOX`: so many."""
        count = re.match(r"(\d+) ", rest)
        rest = rest[count.end():] if count else rest
        rest, _, file = rest.partition("<")
        octets = self.octets_of(file.strip()) if file else step.block
        if octets is not None:
            octets = re.sub(rb"\{repeat (\d+) ([^}]*)\}", lambda found: found[2] * int(found[1]), octets)
        for _ in range(int(count[1]) if count else 1):
            self.serial = getattr(self, "serial", 0) + 1
            content = octets if octets is not None else (
                b"From: fixture@example.test\r\nSubject: message %d\r\n\r\nbody %d\r\n" % (self.serial, self.serial))
            self.quick(self.setup(), "APPEND %s {%d}" % (rest.strip(), len(content)), content)

    def do_command(self, rest, step):
        """@command COMMAND: by another connection of the account, done when the directive ends. `@command b: ...` for
        another account."""
        other = re.match(r"([a-z]\w*): ", rest)
        account = other[1] if other else "a"
        text = b"".join(self.filled(rest[other.end():] if other else rest)).decode()
        self.quick(self.setup(account), text)

    def do_deliver(self, rest, step):
        """@deliver [ACCOUNT]: a message by LMTP; the block, or a short one."""
        import node
        self.serial = getattr(self, "serial", 0) + 1
        content = step.block or node.letter("delivered %d" % self.serial)
        wire = node.Wire(self.place.address("lmtp"))
        wire.reply()
        wire.command("LHLO client.test", "250")
        wire.command("MAIL FROM:<sender@sender.test>", "250")
        wire.command("RCPT TO:<%s>" % self.value((rest or "a") + ".user").decode(), "250")
        wire.command("DATA", "354")
        wire.send(node.stuffed(content))
        wire.expect_reply("250", "the final dot")
        wire.command("QUIT", "221")
        wire.close()

    def do_run(self, rest, step):
        """@run COMMAND: a `letterlog` command on the node."""
        self.place.run(b"".join(self.filled(rest)).decode())

    def do_check(self, rest, step):
        """@check EXPRESSION over captured numbers."""
        values = {name: int(value) for name, value in self.names.items()
                  if re.fullmatch(rb"\d+", value if isinstance(value, bytes) else str(value).encode())}
        if not eval(rest, {"__builtins__": {}}, values):  # the texts are ours
            self.differ("not true: %s, with %s" % (rest, {n: v for n, v in values.items() if n in rest}))

    def do_set(self, rest, step):
        """@set NAME EXPRESSION over captured numbers."""
        name, _, expression = rest.partition(" ")
        values = {key: int(value) for key, value in self.names.items()
                  if re.fullmatch(rb"\d+", value if isinstance(value, bytes) else str(value).encode())}
        self.names[name] = str(eval(expression, {"__builtins__": {}}, values)).encode()

    def do_quiet(self, rest, step):
        """@quiet [N]: nothing but what is always allowed comes for a moment."""
        name = rest or "1"
        connection = self.connection(name)
        deadline = time.monotonic() + QUIET_SECONDS
        collected = []
        while True:
            found = connection.imap_response(deadline)
            if found is None:
                break
            collected.append(found)
        for each in collected:
            if each.tag != "*" or not self.is_tolerated(each, collected):
                self.differ("not expected: %r" % each)

    def do_close(self, rest, step):
        """@close [N]: our side drops the connection."""
        self.connections.pop(rest or "1").close()

    def do_tls(self, rest, step):
        """@tls [N]: the handshake, after an OK to STARTTLS."""
        self.connection(rest or "1").start_tls()

    def do_compress(self, rest, step):
        """@compress [N]: DEFLATE from here on, after an OK to COMPRESS."""
        self.connection(rest or "1").compress()

    def do_noend(self, rest, step):
        """@noend: connections are not logged out at the end."""
        self.ends_quietly = False

    def do_not(self, rest, step):
        """@not SERVER: for that server this conversation means nothing; said in its list of differences."""


def shown(responses):
    text = "; ".join(map(repr, responses))
    return (text if len(text) < 1500 else text[:1500] + " [...]") or "nothing"
