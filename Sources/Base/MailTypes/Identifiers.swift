/// Identifies an account for ever; never reused. 0 is the system account, 1 the queue's.
public struct AccountID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// Owns what belongs to the shard itself.
    public static let system = AccountID(0)
    /// Owns the outbound queue.
    public static let queue = AccountID(1)
    /// The first identifier a person's account can get.
    public static let firstPersonal = AccountID(16)
}

/// Identifies a mailbox within its account for ever; 0 is the root of the hierarchy and no mailbox itself.
public struct MailboxID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    public static let root = MailboxID(0)
}

/// A message's number in its mailbox (RFC 9051 section 2.3.1.1): 1...4294967295, strictly ascending, never reused.
public struct UID: RawRepresentable, Hashable, Comparable, Strideable, Sendable {
    public var rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    @inlinable public func distance(to other: UID) -> Int { Int(other.rawValue) - Int(rawValue) }
    @inlinable public func advanced(by n: Int) -> UID { UID(UInt32(Int(rawValue) + n)) }
}

/// RFC 9051 section 2.3.1.1: 1...4294967295, strictly rising per account.
public struct UIDValidity: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The position of an event in its account's history, from 1, without gaps: the account's version and, for events
/// that touch mail, the MODSEQ of RFC 7162.
public struct ModSeq: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    @inlinable public var next: ModSeq { ModSeq(rawValue + 1) }
    public static let zero = ModSeq(0)
}

/// Identifies a message's content within its account; survives COPY and MOVE (EMAILID, RFC 8474 section 5.1).
public struct EmailID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Identifies a stored message body within its shard; never reused.
public struct BlobNumber: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Names one client connection in log lines and in the events it caused; never reused. 0 means none.
public struct SessionID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Sixteen bytes that name one command, so that a retried one is recognised.
public struct CommandID: Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64
    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z.
public struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: Int64
    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }
    @inlinable public init(milliseconds: Int64) { rawValue = milliseconds }
    @inlinable public init(seconds: Int64) { rawValue = seconds &* 1000 }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// Whole seconds, rounded towards the past.
    @inlinable public var seconds: Int64 { rawValue / 1000 - (rawValue % 1000 < 0 ? 1 : 0) }
    /// Whole days, rounded towards the past.
    @inlinable public var days: Int64 { seconds / 86400 - (seconds % 86400 < 0 ? 1 : 0) }
}

/// INTERNALDATE (RFC 9051 section 2.3.3): the moment, and the zone it was given in, in minutes east of UTC.
public struct InternalDate: Hashable, Sendable {
    public var time: Timestamp
    public var zoneMinutes: Int16
    @inlinable
    public init(time: Timestamp, zoneMinutes: Int16 = 0) {
        self.time = time
        self.zoneMinutes = zoneMinutes
    }
}

/// SHA-256 of a message body in its stored form.
public struct ContentHash: Hashable, Sendable {
    public var words: (UInt64, UInt64, UInt64, UInt64)
    @inlinable public init(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) { words = (a, b, c, d) }
    public static let zero = ContentHash(0, 0, 0, 0)
    @inlinable public static func == (a: Self, b: Self) -> Bool { a.words == b.words }
    @inlinable public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}
