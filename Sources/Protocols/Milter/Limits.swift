/// Every bound of this room, in one place.
package enum MilterLimits {
    /// Filters that a message goes by, one after the other.
    package static let filtersMax = 10
    /// What a packet of ours carries behind its command: no filter has to take more (MILTER_MAX_DATA_SIZE of mfdef.h).
    package static let sentOctetsMax = 65_535
    /// Octets of the name and the value of a field as it is told: a packet's, less their two NULs.
    package static let fieldOctetsMax = 65_533
    /// A packet of a filter with its command, but for a piece of a new body, which is passed on as it comes. A longer one
    /// ends the connection before it is read.
    package static let packetOctetsMax = 1 << 20
    /// Changes that a filter may ask for in one message, pieces of a new body not counted.
    package static let changesMax = 2_000
    /// Octets of these changes.
    package static let changeOctetsMax = 1 << 20
    /// Octets of the parameters that stand behind a recipient that a filter adds: what a line of RCPT has room for.
    package static let recipientParameterOctetsMax = 2_048
    /// Packets that say only that a filter is still at work, for one message.
    package static let progressesMax = 1_000
    /// Octets of the header of a message that is shown to filters.
    package static let headerOctetsMax = 1 << 20
    /// Fields of such a header.
    package static let headerFieldsMax = 5_000
    /// Octets of the name of a field that a filter adds (RFC 5322 section 2.1.1: a line).
    package static let fieldNameOctetsMax = 998
    /// Octets of the reason that a filter gives for keeping a message from its readers; what is above is left out.
    package static let reasonOctetsMax = 200
    /// Macros that a filter may ask for at one stage; what is above is not looked at.
    package static let macrosMax = 100
    /// Lines of the reply that a filter has for the client.
    package static let replyLinesMax = 32
    /// Octets of a line of it.
    package static let replyLineOctetsMax = 980
}
