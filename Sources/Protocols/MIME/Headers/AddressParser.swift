// The address lists of RFC 5322 sections 3.4 and 4.4, written straight into the form of `Envelope`.
//
// Nothing is refused. What cannot be read is kept as what it most likely is: a word without a domain is a mailbox with an
// empty host, several words without an address are a name alone. A host is never NIL then, for that would make it a group
// (RFC 9051 section 7.5.2).
import Octets

struct AddressParser {
    private let text: UnsafeRawBufferPointer
    private var position = 0
    /// Words with one space between them.
    private var phrase: [UInt8] = []
    /// The last of them, with those that a dot joins to it, as the local part of an address: no spaces between.
    private var local: [UInt8] = []
    /// Octets of `phrase` before that.
    private var nameCount = 0
    private var host: [UInt8] = []
    private var route: [UInt8] = []
    private var comment: [UInt8] = []
    private var words = 0
    private var isInGroup = false
    private var isSpaced = false
    private var left: Int

    /// - Parameter limit: addresses that are read; the others are left out.
    init(_ text: UnsafeRawBufferPointer, limit: Int) {
        self.text = text
        left = limit
    }

    /// Appends each address, and the marks of groups, as `01 address`.
    /// - Returns: how many.
    mutating func write(to out: inout ByteWriter) -> Int {
        let limit = left
        while position < text.count, left > 0 { item(&out) }
        if isInGroup {
            route.removeAll()
            emit(&out, name: nil, mailbox: nil, host: nil)
        }
        return limit - left
    }

    /// One address, or the beginning or end of a group, or what stands where one should.
    private mutating func item(_ out: inout ByteWriter) {
        phrase.removeAll(keepingCapacity: true)
        local.removeAll(keepingCapacity: true)
        comment.removeAll(keepingCapacity: true)
        route.removeAll(keepingCapacity: true)
        words = 0
        nameCount = 0
        isSpaced = false
        while position < text.count {
            switch text[position] {
            case 32, 9, 13, 10, 0:
                isSpaced = true
                position += 1
            case 40:
                readComment()
                isSpaced = true
            case 44:
                position += 1
                return leftover(&out)
            case 59:
                position += 1
                leftover(&out)
                if isInGroup {
                    isInGroup = false
                    emit(&out, name: nil, mailbox: nil, host: nil)
                }
                return
            case 58 where !isInGroup && words > 0:
                position += 1
                isInGroup = true
                return emit(&out, name: nil, mailbox: phrase, host: nil)
            case 60:
                position += 1
                return angle(&out)
            case 64 where words > 0:
                position += 1
                return at(&out)
            case 34: quoted()
            default: atom()
            }
        }
        leftover(&out)
    }

    /// After `local@`.
    private mutating func at(_ out: inout ByteWriter) {
        readDomain()
        skipSpace()
        if position < text.count, text[position] == 60 {
            // An address where the name should be.
            phrase += [64] + host
            position += 1
            return angle(&out)
        }
        emit(&out, name: nameCount > 0 ? Array(phrase[..<nameCount]) : comment, mailbox: local, host: host)
        skipJunk()
    }

    /// After `<`: a route, a local part, a domain.
    private mutating func angle(_ out: inout ByteWriter) {
        let name = phrase
        words = 0
        local.removeAll(keepingCapacity: true)
        host.removeAll(keepingCapacity: true)
        skipSpace()
        if position < text.count, text[position] == 64 { readRoute() }
        loop: while position < text.count {
            switch text[position] {
            case 32, 9, 13, 10, 0: position += 1
            case 40: readComment()
            case 62, 44, 59: break loop
            case 64:
                position += 1
                readDomain()
                break loop
            case 34: quoted()
            default: atom()
            }
        }
        while position < text.count, text[position] != 62, text[position] != 44, text[position] != 59 { position += 1 }
        if position < text.count, text[position] == 62 { position += 1 }
        if name.isEmpty { skipSpace() }
        emit(&out, name: name.isEmpty ? comment : name, mailbox: local, host: host)
        skipJunk()
    }

    /// A name without an address, or a word that may be a mailbox of this system.
    private mutating func leftover(_ out: inout ByteWriter) {
        guard words > 0 else { return }
        if isOneWord {
            emit(&out, name: comment, mailbox: local, host: [])
        } else {
            emit(&out, name: phrase, mailbox: [], host: [])
        }
    }

    private var isOneWord: Bool { phrase.count == local.count && !local.contains(32) }

    // MARK: Words

    private mutating func beginWord() {
        if words > 0, isSpaced {
            if local.last != 46, text[position] != 46 {
                nameCount = phrase.count
                local.removeAll(keepingCapacity: true)
            }
            phrase.append(32)
        }
        words += 1
        isSpaced = false
    }

    /// Octets up to something that means something else.
    private mutating func atom() {
        beginWord()
        let start = position
        position += 1
        scan: while position < text.count {
            switch text[position] {
            case 32, 9, 13, 10, 0, 34, 40, 44, 58, 59, 60, 62, 64: break scan
            default: position += 1
            }
        }
        let run = text.slice(start, position)
        phrase.append(contentsOf: run)
        local.append(contentsOf: run)
    }

    /// A quoted string (RFC 5322 section 3.2.4), without its quotes; one that is not ended goes on to the end.
    private mutating func quoted() {
        beginWord()
        let start = phrase.count
        position += 1
        while position < text.count, text[position] != 34 {
            if text[position] == 92, position + 1 < text.count { position += 1 }
            take(text[position], into: &phrase)
            position += 1
        }
        position += 1
        if position > text.count { position = text.count }
        local.append(contentsOf: phrase[start...])
        // An empty quoted string is a word all the same.
        if phrase.count == start { isSpaced = false }
    }

    private func take(_ octet: UInt8, into run: inout [UInt8]) {
        if octet != 13, octet != 10, octet != 0 { run.append(octet) }
    }

    /// A comment (RFC 5322 section 3.2.2); the last one becomes the name of an address that has none.
    private mutating func readComment() {
        comment.removeAll(keepingCapacity: true)
        position += 1
        var depth = 1
        while position < text.count {
            var octet = text[position]
            position += 1
            if octet == 92, position < text.count {
                octet = text[position]
                position += 1
            } else if octet == 40 {
                depth += 1
            } else if octet == 41 {
                depth -= 1
                if depth == 0 { break }
            }
            take(octet, into: &comment)
        }
        while comment.last?.isBlank == true { comment.removeLast() }
        let blanks = comment.prefix { $0.isBlank }.count
        comment.removeFirst(blanks)
    }

    // MARK: Domains

    /// After `@`: a domain or a literal, without the spaces and comments of section 4.4.
    private mutating func readDomain() {
        host.removeAll(keepingCapacity: true)
        skipSpace()
        while position < text.count {
            let octet = text[position]
            switch octet {
            case 91:
                while position < text.count, text[position] != 93 {
                    if !text[position].isSpace, text[position] != 0 { host.append(text[position]) }
                    position += 1
                }
                guard position < text.count else { return }
                host.append(93)
                position += 1
            case 32, 9, 13, 10, 40, 0:
                // Only a dot goes on after it.
                skipSpace()
                guard position < text.count, text[position] == 46 || host.last == 46 else { return }
            case 44, 59, 60, 62, 58, 34, 41: return
            default:
                host.append(octet)
                position += 1
            }
        }
    }

    /// `@a,@b:` of section 4.4.
    private mutating func readRoute() {
        while position < text.count {
            let octet = text[position]
            if octet == 58 {
                position += 1
                return
            }
            if octet == 62 || octet == 60 { return }
            if octet == 40 {
                let kept = comment
                readComment()
                comment = kept
                continue
            }
            if !octet.isSpace, octet != 0 { route.append(octet) }
            position += 1
        }
    }

    private mutating func skipSpace() {
        while position < text.count {
            if text[position].isSpace || text[position] == 0 {
                position += 1
            } else if text[position] == 40 {
                readComment()
            } else {
                return
            }
        }
    }

    /// What is left before the next comma.
    private mutating func skipJunk() {
        while position < text.count {
            switch text[position] {
            case 44:
                position += 1
                return
            case 59: return
            case 40: readComment()
            case 34:
                position += 1
                while position < text.count, text[position] != 34 { position += text[position] == 92 ? 2 : 1 }
                position = Swift.min(position + 1, text.count)
            default: position += 1
            }
        }
    }

    private mutating func emit(_ out: inout ByteWriter, name: [UInt8]?, mailbox: [UInt8]?, host: [UInt8]?) {
        guard left > 0 || (mailbox == nil && host == nil) else { return }
        left -= 1
        out.u8(1)
        out.envelopeString(name?.isEmpty == true ? nil : name)
        out.envelopeString(route.isEmpty ? nil : route)
        out.envelopeString(mailbox)
        out.envelopeString(host)
    }
}

extension ByteWriter {
    /// In the form of `Envelope`.
    mutating func envelopeString(_ text: [UInt8]?) {
        guard let text else { return u8(0) }
        varint(UInt64(text.count + 1))
        raw(text)
    }
}
