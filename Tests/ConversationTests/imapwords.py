"""Responses of IMAP as trees of words, and whether one is what a line of a conversation expects.

RFC 9051 section 9 is the grammar. A word is an atom, a string (quoted or literal: which of them, the server chooses) or
a list. What a server may order as it likes is compared without order: flags, the items of FETCH, STATUS, ESEARCH, QUOTA
and ID, attributes, capabilities. Sets of numbers are compared by the numbers in them. Text for people is never compared.

Every response is parsed, the unexpected too: one that the grammar does not allow breaks its conversation.
"""
import calendar
import re

SET_NUMBERS_MAX = 1_000_000
MATCH_STEPS_MAX = 200_000
STATUS_WORDS = (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")


class Ungrammatical(Exception):
    """A response that the grammar does not allow, or a pattern that means nothing."""


class Atom:
    def __init__(self, octets):
        self.octets = octets

    def __repr__(self):
        return self.octets.decode("utf-8", "replace")

    def upper(self):
        return self.octets.upper()

    def is_nil(self):
        return self.octets.upper() == b"NIL"


class Text:
    """A string: quoted, or a literal."""

    def __init__(self, octets, kind="quoted"):
        self.octets, self.kind = octets, kind

    def __repr__(self):
        shown = self.octets.decode("utf-8", "replace").replace("\r", "\\r").replace("\n", "\\n")
        return '"%s"' % (shown if len(shown) < 600 else shown[:600] + "[...]")


class Code(list):
    """A response code in brackets."""

    def __repr__(self):
        return "[%s]" % " ".join(map(repr, self))


class List(list):
    def __repr__(self):
        return "(%s)" % " ".join(map(repr, self))


class Wild:
    """A word of a pattern in braces: {name}, {*}, {#}, {name/expression/}, {any A B}, {>=name}, {covers SET not SET},
    {=name}."""

    def __init__(self, inside):
        self.inside = inside

    def __repr__(self):
        return "{%s}" % self.inside


class Response:
    """One response: its tag (`*` and `+` too), its words, and for a status its code; `expunged` for the pattern that
    stands for any number of EXPUNGE."""

    def __init__(self, tag, words, code=None, raw=b""):
        self.tag, self.words, self.code, self.raw = tag, words, code, raw

    def kind(self):
        """What it is about: FETCH, EXISTS, OK."""
        if self.tag == "+" or not self.words:
            return ""
        is_count = isinstance(self.words[0], Wild) or number(self.words[0]) is not None
        at = 1 if is_count and len(self.words) > 1 else 0
        word = self.words[at]
        return word.upper().decode("ascii", "replace") if isinstance(word, Atom) else ""

    def __repr__(self):
        code = " %r" % self.code if self.code is not None else ""
        return " ".join([self.tag, *map(repr, self.words)]) + code


def number(word):
    return int(word.octets) if isinstance(word, Atom) and word.octets.isdigit() else None


# Words out of octets

class Scanner:
    """Over one response, literals included; or, as a pattern, over one line of a conversation."""

    def __init__(self, octets, is_pattern=False, names=None, allows_utf8=False):
        self.octets, self.at = octets, 0
        self.is_pattern, self.names, self.allows_utf8 = is_pattern, names or {}, allows_utf8

    def fail(self, why):
        raise Ungrammatical("%s at octet %d of %r" % (why, self.at, bytes(self.octets[:400])))

    def peek(self):
        return self.octets[self.at:self.at + 1]

    def words(self, closing):
        """Words separated by single spaces up to `closing`, which is taken."""
        words = []
        while True:
            if self.peek() == closing:
                self.at += len(closing)
                return words
            if not self.peek():
                self.fail("the end before %r" % closing)
            words.append(self.word(closing))
            if self.peek() == b" " and self.octets[self.at + 1:self.at + 2] not in (b" ", b"", closing):
                self.at += 1
            elif self.peek() == b"(" and words and isinstance(words[-1], List):
                pass  # body parts and addresses stand without a space
            elif self.peek() != closing:
                self.fail("no single space between words")

    def word(self, closing):
        first = self.peek()
        if first == b"(":
            self.at += 1
            return List(self.words(b")"))
        if first == b'"':
            return self.quoted()
        if first == b"~" and self.octets[self.at + 1:self.at + 2] == b"{":
            self.at += 1
            return self.literal("literal8")
        if first == b"{":
            return self.wild() if self.is_pattern else self.literal("literal")
        return self.atom(closing)

    def quoted(self):
        self.at += 1
        found = bytearray()
        while True:
            octet = self.peek()
            self.at += 1
            if octet == b'"':
                return Text(bytes(found))
            if not octet:
                self.fail("a quoted string without end")
            if octet == b"\\":
                escaped = self.peek()
                self.at += 1
                if self.is_pattern and escaped in b"rnt0":
                    found += {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0"}[escaped]
                elif self.is_pattern and escaped == b"x":
                    found.append(int(self.octets[self.at:self.at + 2], 16))
                    self.at += 2
                elif escaped in (b'"', b"\\"):
                    found += escaped
                else:
                    self.fail("\\%r in a quoted string" % escaped)
                continue
            if octet in b"\r\n\0" or (octet >= b"\x80" and not (self.is_pattern or self.allows_utf8)):
                self.fail("%r in a quoted string" % octet)
            found += octet

    def literal(self, kind):
        head = re.compile(rb"\{(\d+)\}\r\n").match(self.octets, self.at)
        if not head:
            self.fail("a malformed literal")
        end = head.end() + int(head[1])
        content = bytes(self.octets[head.end():end])
        if kind == "literal" and b"\0" in content:
            self.fail("NUL in a literal that is no literal8")
        self.at = end
        return Text(content, kind)

    def wild(self):
        end, depth = self.at, 0
        while end < len(self.octets):
            depth += {b"{": 1, b"}": -1}.get(bytes(self.octets[end:end + 1]), 0)
            end += 1
            if depth == 0:
                break
        inside = self.octets[self.at + 1:end - 1].decode()
        self.at = end
        if inside.startswith("="):
            if inside[1:] not in self.names:
                raise Ungrammatical("{%s} has no value" % inside)
            value = self.names[inside[1:]]
            return Text(value if isinstance(value, bytes) else str(value).encode())
        return Wild(inside)

    def atom(self, closing):
        start = self.at
        while True:
            octet = self.peek()
            if octet == b"[" and closing != b"]" and self.at > start:
                self.section()
                continue
            if octet in (b"", b" ", b"(", b")", b'"', b"\r", b"\n") or octet == closing:
                break
            if octet >= b"\x7f" and not (self.is_pattern or self.allows_utf8):
                self.fail("%r in an atom" % octet)
            if octet < b" ":
                self.fail("a control character in an atom")
            if self.is_pattern and octet == b"{":
                break
            self.at += 1
        if self.at == start:
            self.fail("no word")
        return Atom(bytes(self.octets[start:self.at]))

    def section(self):
        """BODY[...]: up to the bracket that closes it."""
        self.at += 1
        while self.peek() != b"]":
            if not self.peek():
                self.fail("a section without end")
            if self.peek() == b'"':
                self.quoted()
            else:
                self.at += 1
        self.at += 1


def response(octets, is_pattern=False, names=None, allows_utf8=False):
    """A response without its last CRLF."""
    tag, _, rest = octets.partition(b" ")
    if tag == b"+":
        return Response("+", [], None, octets)
    tag = tag.decode("utf-8", "replace")
    first = rest.split(b" ", 1)[0]
    if first.upper() in STATUS_WORDS or (is_pattern and b"|" in first):
        return status(tag, first, rest[len(first) + 1:], octets, is_pattern, names, allows_utf8)
    if tag != "*":
        raise Ungrammatical("no response: %r" % octets[:200])
    scanner = Scanner(rest + b"\r", is_pattern, names, allows_utf8)
    words = scanner.words(b"\r")
    if not words:
        raise Ungrammatical("an empty response")
    return Response(tag, words, None, octets)


def status(tag, first, rest, octets, is_pattern, names, allows_utf8):
    code = None
    if rest.startswith(b"["):
        scanner = Scanner(rest, is_pattern, names, allows_utf8)
        scanner.at = 1
        code = Code(scanner.words(b"]"))
        rest = rest[scanner.at:].lstrip(b" ")
        if not code and not is_pattern:
            raise Ungrammatical("an empty response code")
    if not is_pattern and any(octet in rest for octet in b"\r\n\0"):
        raise Ungrammatical("text with a control character: %r" % rest)
    return Response(tag, [Atom(first)], code, octets)


# Comparison

def numbers(octets):
    """The numbers of a set in order, or None when it is no set."""
    if not re.fullmatch(rb"\d+(:\d+)?(,\d+(:\d+)?)*", octets):
        return None
    found = []
    for part in octets.split(b","):
        low, _, high = part.partition(b":")
        low, high = int(low), int(high or low)
        if abs(high - low) + len(found) > SET_NUMBERS_MAX:
            raise Ungrammatical("a set of too many numbers: %r" % octets[:80])
        found += range(min(low, high), max(low, high) + 1)
    return found


def pairs(words):
    """Name and value in turn; the names in upper case."""
    if len(words) % 2:
        raise Ungrammatical("a name without its value: %r" % (words,))
    found = {}
    for name, value in zip(words[::2], words[1::2]):
        key = item_name(name.octets)
        if key in found:
            raise Ungrammatical("%r twice in one response" % key)
        found[key] = value
    return found


def item_name(octets):
    """BODY[HEADER.FIELDS ("From")] and BODY[header.fields (FROM)] name the same."""
    return octets.upper().replace(b'"', b"")


def instant(octets):
    """The seconds of a date-time."""
    found = re.fullmatch(rb"([ \d]\d)-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)", octets)
    if not found:
        return None
    months = b"JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"
    at = months.find(found[2].upper())
    zone = (int(found[8]) * 60 + int(found[9])) * 60 * (-1 if found[7] == b"-" else 1)
    return calendar.timegm((int(found[3]), at // 3 + 1, int(found[1]), int(found[4]), int(found[5]), int(found[6]))) - zone


class Matcher:
    """Holds one response against one pattern. `names` are the values captured so far; new ones go there only when the
    whole response fits."""

    def __init__(self, names):
        self.names = names

    def matches(self, pattern, found):
        if pattern.tag != found.tag and not (pattern.tag.startswith("{")):
            return False
        if pattern.tag == "+":
            return True
        kind = pattern.kind()
        if pattern.code is not None or kind in ("OK", "NO", "BAD", "BYE", "PREAUTH") or "|" in kind:
            return self.status(pattern, found)
        if kind != found.kind():
            return False
        rule = getattr(self, "rule_" + kind.replace("-", "_").lower(), None)
        if rule:
            return rule(pattern.words, found.words)
        return self.all(pattern.words, found.words)

    def status(self, pattern, found):
        if found.kind() not in pattern.kind().split("|"):
            return False
        if pattern.code is None:
            return True
        if not pattern.code:
            return found.code is None
        if found.code is None:
            return False
        if isinstance(pattern.code[0], Atom) and pattern.code[0].upper() in (b"PERMANENTFLAGS", b"CAPABILITY"):
            return self.named_set(pattern.code, found.code)
        return self.all(pattern.code, found.code)

    def named_set(self, pattern, found):
        if not self.word(pattern[0], found[0]):
            return False
        if pattern[0].upper() == b"CAPABILITY":
            return self.set(pattern[1:], found[1:])
        return len(found) == 2 and isinstance(found[1], List) and self.set(pattern[1], found[1])

    # The kinds of responses whose parts come in any order.

    def rule_fetch(self, pattern, found):
        if not self.word(pattern[0], found[0]) or not isinstance(found[2], List):
            return False
        wanted, given = pattern[2], found[2]
        if isinstance(wanted, List) and not any(isinstance(word, Atom) and word.upper() == b"UID" for word in wanted):
            # A server may name the UID in any FETCH (RFC 9051 section 7.5.2: what was not asked for may come).
            at = next((i for i in range(0, len(given), 2) if given[i].octets.upper() == b"UID"), None)
            if at is not None and len(wanted) + 2 == len(given):
                given = List(given[:at] + given[at + 2:])
        return self.items(wanted, given, self.fetch_item)

    def rule_status(self, pattern, found):
        return self.word(pattern[1], found[1]) and self.items(pattern[2], found[2], self.item)

    def rule_flags(self, pattern, found):
        return self.flags(pattern[1], found[1])

    def rule_list(self, pattern, found):
        if len(found) < 4 or not isinstance(found[1], List):
            return False
        if not self.set([*pattern[1], Atom(b"...")], found[1]):
            return False
        if not self.word(pattern[2], found[2]) or not self.mailbox(pattern[3], found[3]):
            return False
        if len(pattern) > 4 and isinstance(pattern[4], Atom) and pattern[4].octets == b"...":
            return True
        if len(pattern) == 4 or len(found) == 4:
            return len(pattern) == len(found)
        return self.items(pattern[4], found[4], self.item)

    rule_lsub = rule_list

    def rule_capability(self, pattern, found):
        return self.set(pattern[1:], found[1:])

    rule_enabled = rule_capability

    def rule_search(self, pattern, found):
        return self.set(pattern[1:], found[1:])

    def rule_id(self, pattern, found):
        if not isinstance(pattern[1], List) or not isinstance(found[1], List):
            return self.word(pattern[1], found[1])
        return self.items(pattern[1], found[1], self.item)

    def rule_esearch(self, pattern, found):
        def split(words):
            tag = words[1] if len(words) > 1 and isinstance(words[1], List) else None
            rest = words[2:] if tag is not None else words[1:]
            is_uid = bool(rest) and isinstance(rest[0], Atom) and rest[0].upper() == b"UID"
            return tag, is_uid, rest[1:] if is_uid else rest
        tag, is_uid, rest = split(pattern)
        found_tag, found_uid, found_rest = split(found)
        if (tag is None) != (found_tag is None) or is_uid != found_uid:
            return False
        return (tag is None or self.word(tag, found_tag)) and self.items(rest, found_rest, self.item)

    def rule_quota(self, pattern, found):
        if not self.word(pattern[1], found[1]) or not isinstance(found[2], List):
            return False
        if isinstance(pattern[2], Wild):
            return self.wild(pattern[2].inside, found[2])

        def triples(words):
            return sorted((words[at:at + 3] for at in range(0, len(words), 3)), key=lambda each: repr(each[0]))
        wanted, given = triples(pattern[2]), triples(found[2])
        return len(wanted) == len(given) and all(self.all(one, two) for one, two in zip(wanted, given))

    def rule_vanished(self, pattern, found):
        return self.all(pattern[1:], found[1:])

    # Parts

    def all(self, pattern, found):
        if pattern and isinstance(pattern[-1], Atom) and pattern[-1].octets == b"...":
            pattern = pattern[:-1]
            found = found[:len(pattern)]
        return len(pattern) == len(found) and all(self.word(one, two) for one, two in zip(pattern, found))

    def set(self, pattern, found):
        """Without order. `...` allows others, `!word` forbids one."""
        wanted = list(pattern)
        allows_others = any(isinstance(word, Atom) and word.octets == b"..." for word in wanted)
        left = list(found)
        for word in wanted:
            if isinstance(word, Atom) and word.octets == b"...":
                continue
            if isinstance(word, Atom) and word.octets.startswith(b"!") and len(word.octets) > 1:
                if any(self.word(Atom(word.octets[1:]), each) for each in found):
                    return False
                continue
            at = next((index for index, each in enumerate(left) if self.word(word, each)), None)
            if at is None:
                return False
            del left[at]
        return allows_others or not left

    def flags(self, pattern, found):
        """\\Recent comes and goes with the sessions of others: it counts only where the pattern speaks of it."""
        if not isinstance(found, List):
            return False
        if not isinstance(pattern, List):
            return self.word(pattern, found)
        names_recent = any(isinstance(word, Atom) and word.upper().lstrip(b"!") == b"\\RECENT" for word in pattern)
        kept = found if names_recent else [word for word in found if word.octets.upper() != b"\\RECENT"]
        return self.set(pattern, kept)

    def items(self, pattern, found, compare):
        if isinstance(pattern, Wild):
            return self.wild(pattern.inside, found)
        allows_others = bool(pattern) and isinstance(pattern[-1], Atom) and pattern[-1].octets == b"..."
        forbidden = [word for word in pattern if isinstance(word, Atom) and word.octets.startswith(b"!")]
        wanted = pairs([word for word in (pattern[:-1] if allows_others else pattern) if word not in forbidden])
        given = pairs(found)
        if not allows_others and len(wanted) != len(given):
            return False
        if any(word.octets[1:].upper() in given for word in forbidden):
            return False
        return all(key in given and compare(key, value, given[key]) for key, value in wanted.items())

    def item(self, _, pattern, found):
        return self.word(pattern, found)

    def fetch_item(self, key, pattern, found):
        if key == b"FLAGS":
            return self.flags(pattern, found)
        if key == b"INTERNALDATE" and isinstance(pattern, Text) and isinstance(found, Text):
            return instant(found.octets) is not None and instant(pattern.octets) == instant(found.octets)
        if key == b"SAVEDATE" and isinstance(pattern, Text) and isinstance(found, Text):
            return instant(pattern.octets) == instant(found.octets)
        # Names of types, parameters and encodings have no case (RFC 2045 section 5.1).
        folds = key in (b"BODYSTRUCTURE", b"BODY")
        return self.word(pattern, found, is_strict=True, folds=folds)

    def mailbox(self, pattern, found):
        both = [word.octets for word in (pattern, found) if not isinstance(word, (Wild, List))]
        if len(both) == 2 and all(octets.upper() == b"INBOX" for octets in both):
            return True
        return self.word(pattern, found)

    def word(self, pattern, found, is_strict=False, folds=False):
        """`is_strict`: a string is a string and an atom an atom. `folds`: strings without regard to case."""
        if isinstance(pattern, Wild):
            return self.wild(pattern.inside, found)
        if isinstance(pattern, List):
            return isinstance(found, List) and self.list(pattern, found, is_strict, folds)
        if isinstance(found, List):
            return False
        if isinstance(pattern, Text):
            if isinstance(found, Atom) and (is_strict or found.is_nil()):
                return False
            one, two = pattern.octets, found.octets
            return one == two or (folds and one.upper() == two.upper())
        if isinstance(found, Text):
            return not is_strict and not pattern.is_nil() and pattern.octets == found.octets
        if pattern.upper() == found.upper():
            return True
        one, two = numbers(pattern.octets), numbers(found.octets)
        return one is not None and two is not None and len(one) == len(two) and one == two

    def list(self, pattern, found, is_strict, folds):
        if pattern and isinstance(pattern[-1], Atom) and pattern[-1].octets == b"...":
            pattern = pattern[:-1]
            found = found[:len(pattern)]
        return len(pattern) == len(found) and all(
            self.word(one, two, is_strict, folds) for one, two in zip(pattern, found))

    def wild(self, inside, found):
        if inside == "*":
            return True
        if inside == "#":
            return number(found) is not None
        if inside.startswith(">="):
            return number(found) is not None and number(found) >= int(self.names[inside[2:]])
        if inside.startswith("any "):
            scanner = Scanner(inside[4:].encode() + b"\r", True, self.names)
            return any(self.word(word, found) for word in scanner.words(b"\r"))
        if inside.startswith(("covers ", "set ")):
            return self.covers(inside, found)
        if isinstance(found, List):
            octets = repr(found).encode()
        else:
            octets = found.octets
        name, slash, expression = inside.partition("/")
        if slash and not re.fullmatch(expression[:-1].encode(), octets, re.S):
            return False
        if not re.fullmatch(r"[A-Za-z_][\w.]*|", name):
            raise Ungrammatical("{%s} means nothing" % inside)
        if not name:
            return True
        if name in self.names:
            known = self.names[name]
            return (known if isinstance(known, bytes) else str(known).encode()) == octets
        self.names[name] = octets
        return True

    def covers(self, inside, found):
        """{covers 3,5 not 1,4}: a set that has the first and none of the second. {set 3,5}: in any order."""
        given = numbers(found.octets) if isinstance(found, Atom) else None
        if given is None:
            return False
        word, *rest = inside.split()
        rest = [self.filled(each) for each in rest]
        if word == "set":
            return sorted(given) == sorted(numbers(rest[0]))
        wanted = set(numbers(rest[0]))
        unwanted = set(numbers(rest[2])) if len(rest) > 2 else set()
        return wanted <= set(given) and not unwanted & set(given)

    def filled(self, text):
        def one(found):
            value = self.names[found[1]]
            return value.decode() if isinstance(value, bytes) else str(value)
        return re.sub(r"\{(\w+)\}", one, text).encode()


def expunged(wanted, responses):
    """Whether these responses, EXPUNGE after EXPUNGE, take away the messages that had these numbers at first."""
    # Positions of what is left, as far as the numbers reach.
    left = list(range(1, max(wanted) + len(wanted) + len(responses) + 1))
    gone = []
    for each in responses:
        at = number(each.words[0])
        if at is None or not 1 <= at <= len(left):
            return False
        gone.append(left.pop(at - 1))
    return sorted(gone) == sorted(wanted)


def match_all(expected, found, names):
    """Finds for each expected line a response of its own. `expected` are (pattern, is_optional, is_after) in order.
    Gives the names with what was captured, the responses left over, and the first line without a response."""
    steps = [0]
    best = [0]

    def search(at, used, last, names):
        steps[0] += 1
        if steps[0] > MATCH_STEPS_MAX:
            return None
        best[0] = max(best[0], at)
        if at == len(expected):
            return names, used
        pattern, is_optional, is_after = expected[at]
        if isinstance(pattern, list):  # numbers of EXPUNGE
            candidates = [i for i, each in enumerate(found) if each.kind() == "EXPUNGE" and i not in used]
            if expunged(pattern, [found[i] for i in candidates]):
                return search(at + 1, used | set(candidates), last, names)
            return search(at + 1, used, last, names) if is_optional else None
        for index, each in enumerate(found):
            if index in used or (is_after and index < last):
                continue
            tried = dict(names)
            try:
                fits = Matcher(tried).matches(pattern, each)
            except (IndexError, AttributeError, TypeError):
                fits = False
            if fits:
                done = search(at + 1, used | {index}, index, tried)
                if done:
                    return done
        return search(at + 1, used, last, names) if is_optional else None

    done = search(0, frozenset(), -1, dict(names))
    if done is None:
        return None, found, best[0]
    new, used = done
    return new, [each for index, each in enumerate(found) if index not in used], None
