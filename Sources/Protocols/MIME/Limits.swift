/// Limits of reading mail.
package enum MIMELimits {
    /// Octets of a line that an mbox reader looks at as a whole: `From ` lines and header fields of interest. Longer
    /// lines pass through in pieces and are never taken for either.
    package static let lineOctetsMax = 8192
    /// Octets of the header of one message that are looked through for status fields.
    package static let headerOctetsMax = 1 << 20
    /// Keywords of one message that are taken from `X-Keywords`.
    package static let keywordsMax = 128
    /// Octets of a date that is read.
    package static let dateOctetsMax = 256
    /// Octets that a reader gathers before it hands them out.
    package static let outputOctets = 1 << 16
    /// Depth of comments inside comments in a date.
    package static let commentDepthMax = 16
}
