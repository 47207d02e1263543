/// Limits of the formats. Each is the largest value that is still accepted.
package enum FormatLimits {
    /// One record of the log, header included.
    package static let recordOctetsMax = 61_440
    /// Milliseconds from 1970 on either side: some 270,000 years, so that day arithmetic cannot overflow.
    package static let timeMillisecondsMax: Int64 = 8_640_000_000_000_000
    /// A row that records changes; larger ones are split.
    package static let changeRowOctetsMax = 1800
    /// A text that stands in a key as it is; longer ones are replaced by their digest.
    package static let keyTextOctetsMax = 400
    /// What LMDB takes as a key.
    package static let keyOctetsMax = 511
    /// One stored body.
    package static let bodyOctetsMax = Int(UInt32.max)
}
