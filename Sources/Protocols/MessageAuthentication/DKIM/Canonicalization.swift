// The two canonical forms of DKIM (RFC 6376 section 3.4). The body's streams: it gives the same hash however it is cut
// into pieces, and holds no more than a count of what may yet be dropped at the end.
import Digests

package enum Canonicalization: String, Hashable, Sendable {
    case simple
    case relaxed

    /// A header field in this form, with its CRLF.
    ///
    /// - Parameter field: the whole field with its line end, its folds as they came.
    func header(_ field: some Collection<UInt8>) -> [UInt8] {
        switch self {
        case .simple: return Array(field)
        case .relaxed:
            // Section 3.4.2.
            var out: [UInt8] = []
            var rest = Array(field)[...]
            if let colon = rest.firstIndex(of: Ascii.colon) {
                var name = rest[..<colon]
                while let last = name.last, Ascii.isFold(last) { name.removeLast() }
                out.append(contentsOf: name.map(Ascii.lower))
                out.append(Ascii.colon)
                rest = rest[(colon + 1)...]
            }
            var isBlank = false
            let start = out.count
            for octet in rest {
                switch octet {
                case Ascii.carriageReturn, Ascii.lineFeed: continue
                case Ascii.space, Ascii.tab: isBlank = true
                default:
                    if isBlank, out.count > start { out.append(Ascii.space) }
                    isBlank = false
                    out.append(octet)
                }
            }
            return out + [Ascii.carriageReturn, Ascii.lineFeed]
        }
    }
}

/// Hashes a body in canonical form (sections 3.4.3 and 3.4.4), up to a length if there is one (`l=`).
package struct BodyHasher: Sendable {
    private let form: Canonicalization
    private let octetsMax: UInt64?
    private var hasher = SHA256Hasher()
    /// Octets of the canonical body, hashed or behind `octetsMax`.
    package private(set) var octets: UInt64 = 0
    /// Line ends that count only when something follows them.
    private var lineEnds: UInt64 = 0
    /// The line that is open has octets.
    private var isLineOpen = false
    /// Blanks that count only when something of their line follows (relaxed).
    private var isBlank = false
    /// A CR that may begin a line end.
    private var sawReturn = false
    /// Canonical octets that wait for the hash.
    private var out: [UInt8] = []

    private static let chunkOctets = 4_096
    private static let lineEnd: [UInt8] = [Ascii.carriageReturn, Ascii.lineFeed]

    package init(_ form: Canonicalization, octetsMax: UInt64? = nil) {
        self.form = form
        self.octetsMax = octetsMax
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        var index = 0
        while index < bytes.count {
            let octet = bytes[index]
            if sawReturn {
                sawReturn = false
                if octet == Ascii.lineFeed {
                    endLine()
                    index += 1
                    continue
                }
                putReturn()
            }
            if octet == Ascii.carriageReturn {
                sawReturn = true
                index += 1
            } else if isDropped(octet) {
                isBlank = true
                index += 1
            } else {
                var end = index + 1
                while end < bytes.count, bytes[end] != Ascii.carriageReturn, !isDropped(bytes[end]) { end += 1 }
                put(UnsafeRawBufferPointer(rebasing: bytes[index..<end]))
                index = end
            }
        }
        flush()
    }

    package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// The hash; nil when the body is shorter than the length that the signature names.
    package mutating func finish() -> SHA256Digest? {
        if sawReturn {
            sawReturn = false
            putReturn()
        }
        // Section 3.4.3: no body is one line end; section 3.4.4: no body stays none. A last line without an end gets one.
        // A blank that a relaxed line ended with is gone, and a line of blanks alone is an empty one.
        if isLineOpen || (form == .simple && octets == 0 && out.isEmpty) {
            isLineOpen = false
            out += Self.lineEnd
        }
        flush()
        if let octetsMax, octets < octetsMax { return nil }
        return hasher.finalize()
    }

    private mutating func endLine() {
        isBlank = false
        if isLineOpen {
            isLineOpen = false
            out += Self.lineEnd
        } else {
            lineEnds += 1
        }
    }

    /// A CR that ended no line.
    private mutating func putReturn() {
        withUnsafeBytes(of: Ascii.carriageReturn) { put($0) }
    }

    private func isDropped(_ octet: UInt8) -> Bool { form == .relaxed && Ascii.isBlank(octet) }

    /// Octets of a line that stand as they are, and before them what they make count.
    private mutating func put(_ run: UnsafeRawBufferPointer) {
        while lineEnds > 0 {
            out += Self.lineEnd
            lineEnds -= 1
            if out.count >= Self.chunkOctets { flush() }
        }
        if isBlank {
            isBlank = false
            out.append(Ascii.space)
        }
        isLineOpen = true
        out.append(contentsOf: run)
        if out.count >= Self.chunkOctets { flush() }
    }

    private mutating func flush() {
        guard !out.isEmpty else { return }
        var count = out.count
        if let octetsMax { count = Int(clamping: min(UInt64(count), octetsMax - min(octets, octetsMax))) }
        out.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        octets += UInt64(out.count)
        out.removeAll(keepingCapacity: true)
    }
}
