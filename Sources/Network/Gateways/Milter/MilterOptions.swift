import Milter
import NIOCore
import SMTP

/// A filter of this site that judges and changes mail, as the configuration names it.
package struct MilterOptions: Hashable, Sendable {
    package var address: ListenAddress
    /// For each answer before the end of the message, and for the connection.
    package var timeout = TimeAmount.seconds(30)
    /// For the verdict at the end of the message; begins anew when the filter says that it is at work.
    package var verdictTimeout = TimeAmount.minutes(2)
    package var absence = MilterAbsence.tempfail
    /// A larger message goes by this filter; 0 is no limit.
    package var messageOctetsMax = 0
    /// Which listeners' mail it sees.
    package var dialects: Set<SMTPDialect> = [.smtp, .submission]

    package init(_ address: ListenAddress) { self.address = address }
}

/// What becomes of mail while a filter is not there, or cannot be understood.
package enum MilterAbsence: String, CaseIterable, Sendable {
    /// It goes by the filter.
    case accept
    case tempfail, reject

    var verdict: MilterVerdict {
        switch self {
        case .accept: .continue
        case .tempfail: .refuse(MilterReply(451, 7, 1, ["A filter of this host is not there, try again later"]))
        case .reject: .refuse(MilterReply(550, 7, 1, ["A filter of this host is not there"]))
        }
    }
}

extension MilterReply {
    /// Too many sessions talk to filters.
    static let tooManyConnections = MilterReply(451, 7, 1, ["The filters of this host are too busy, try again later"])
}

extension SMTPReply {
    init(_ reply: MilterReply) {
        self.init(
            reply.code, SMTPEnhancedCode(reply.code / 100, reply.subject, reply.detail), lines: reply.lines)
    }
}
