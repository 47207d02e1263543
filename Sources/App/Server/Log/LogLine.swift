import EventStore
import MailCore
import MailTypes

/// One event of the log as `log show` prints it.
struct LogLine {
    let cursor: Cursor
    let text: String
    private let fields: [String: JSONValue]

    init(_ logged: LoggedEvent, _ names: inout NameLookup) throws {
        names.account = logged.context.account
        cursor = logged.cursor
        let address = try names.address(logged.context.account)
        let description = try EventDescription(logged.event, &names)
        let origin = logged.origin
        let actor = try origin.actor.map { try names.address($0) }
        let session = origin.session.map { String($0.rawValue, radix: 16) }
        var by = origin.gateway.name
        if let session { by += ":\(session)" }
        if let actor, actor != address { by += " by \(actor)" }
        text =
            "\(logged.cursor.rawValue)  \(logged.context.time.text)  \(address) \(logged.context.aseq.rawValue)  "
            + "\(by)  \(description.text)" + (logged.isErased ? " (erased)" : "")
        fields = [
            "lsn": .count(logged.cursor.rawValue), "time": .string(logged.context.time.text),
            "account": .string(address), "aseq": .count(logged.context.aseq.rawValue), "actor": .text(actor),
            "gateway": .string(origin.gateway.name), "session": .text(session),
            "event": .string(description.name), "fields": description.value, "erased": .bool(logged.isErased),
        ]
    }

    var value: JSONValue { .object(fields) }
}
