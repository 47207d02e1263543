// The parse cache as administration sees it: that of a node, or the files of one that has ended.
import EventStore
import Projections

enum CacheWork {
    /// Empties the cache, which fills again as messages are asked for; or compares what is in it with the messages.
    static func run(check: Bool, _ session: AdministrationSession) throws {
        if check { try compare(session) } else { try empty(session) }
    }

    private static func empty(_ session: AdministrationSession) throws {
        if let cache = session.backend.cache {
            cache.removeAll()
        } else {
            do {
                try DisposableCache.empty(MessageCache.directory(ofStore: session.backend.store.directory))
            } catch {
                throw AdministrationFailure(error)
            }
        }
        try session.item(
            "parse cache emptied; it fills as messages are asked for", ["projection": "cache", "check": false])
    }

    private static func compare(_ session: AdministrationSession) throws {
        let cache: MessageCache
        if let open = session.backend.cache {
            cache = open
        } else {
            do {
                cache = try MessageCache(
                    directory: MessageCache.directory(ofStore: session.backend.store.directory),
                    octetsMax: session.configuration.cache.octetsMax)
            } catch {
                throw AdministrationFailure(error)
            }
        }
        defer { if session.backend.cache == nil { cache.close() } }
        let report = try cache.check(in: session.engine)
        if let difference = report.difference {
            throw AdministrationFailure("the parse cache differs from a message: \(difference)")
        }
        try session.item(
            "the parse cache equals the messages: \(report.rows) rows, \(report.messages) messages",
            [
                "projection": "cache", "check": true, "rows": .count(report.rows), "messages": .count(report.messages),
            ])
    }
}
