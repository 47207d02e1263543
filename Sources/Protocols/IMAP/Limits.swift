/// Every bound of this room, in one place.
package enum IMAPLimits {
    // Input
    /// A command with its line ends and the literals that are held in memory; message texts are not counted. RFC 2683
    /// section 3.2.1.5 asks for at least 8,000; clients name messages one by one in long sets.
    package static let commandOctetsMax = 64 << 10
    /// The same before login.
    package static let commandBeforeLoginOctetsMax = 8_000
    /// A line in an exchange of AUTHENTICATE, with its line end.
    package static let saslLineOctetsMax = 16 << 10
    package static let tagOctetsMax = 128
    /// RFC 4422 section 3.1.
    package static let saslMechanismOctetsMax = 20
    /// Literals of one command, those that carry message texts not counted.
    package static let literalsMax = 128
    /// A non-synchronizing literal where LITERAL- is announced (RFC 7888 section 5).
    package static let literalMinusOctetsMax = 4_096
    /// Octets of refused literals that are read and dropped for one command; above, the session ends (RFC 7888 section 4).
    package static let droppedOctetsMax = 256 << 20
    /// Parentheses, NOT and OR within each other in a search.
    package static let searchDepthMax = 64
    package static let charsetOctetsMax = 64
    /// Keys of a search.
    package static let searchKeysMax = 2_048
    /// Numbers and ranges of a set.
    package static let setElementsMax = 16_384
    /// Items of one FETCH.
    package static let fetchAttributesMax = 256
    /// Names in a list of header fields, in all items of one FETCH.
    package static let headerFieldsMax = 1_024
    /// Numbers in the address of a body part.
    package static let partDepthMax = 64
    /// Flags in one list.
    package static let flagsMax = 128
    package static let sortKeysMax = 32
    package static let listPatternsMax = 64
    /// Octets of a LIST reference or pattern.
    package static let listPatternOctetsMax = 4_096
    /// Options of LIST, SEARCH, SELECT, CREATE, of one list of STATUS items, and names given to ENABLE.
    package static let optionsMax = 64
    /// RFC 2971 section 3.3.
    package static let idFieldsMax = 30
    package static let idFieldOctetsMax = 30
    package static let idValueOctetsMax = 1_024
    /// Messages of one APPEND (RFC 3502).
    package static let appendMessagesMax = 1_000
    /// Parts of all messages of one APPEND (RFC 4469).
    package static let catenatePartsMax = 1_000
    package static let urlOctetsMax = 4_096
    /// User names and passwords.
    package static let credentialOctetsMax = 1_024

    // Sessions
    /// Commands in a row that were not understood, before the session is closed.
    package static let badCommandsMax = 20
    /// Failed logins before the session is closed. Slowing them down is the handler's.
    package static let loginFailuresMax = 5

    // Output
    /// A line of VANISHED, of a set in a response code; longer sets are split or shortened.
    package static let setLineOctetsMax = 4_000
    /// Text for people in a reply; longer text is cut.
    package static let replyTextOctetsMax = 400
    /// A string that is written quoted; longer ones are literals.
    package static let quotedOctetsMax = 1_024

    // What a server sends to a client of ours
    /// A response with its literals, the text of a message not counted.
    package static let responseOctetsMax = 1 << 20
    /// Capabilities, namespaces of one kind.
    package static let serverWordsMax = 512
    /// Flags of one message; Dovecot has been seen with hundreds of keywords.
    package static let serverFlagsMax = 1_024
    /// Lists within each other in an item that is passed over.
    package static let serverListDepthMax = 64
}
