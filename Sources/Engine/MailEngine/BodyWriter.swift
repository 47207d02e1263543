import EventStore
import MailTypes

/// Receives one message body from a session, in memory while it is small and in an unlinked file beyond.
///
/// Used by one session at a time. An unfinished one leaves nothing behind.
package final class BodyWriter {
    private let spool: BodySpool
    private let limit: Int

    init(_ options: EngineOptions, spoolsAtOnce: Bool = false) {
        limit = options.bodyOctetsMax
        spool = BodySpool(
            directory: options.spoolDirectory, thresholdOctets: spoolsAtOnce ? 0 : options.spoolThresholdOctets,
            octetsMax: limit)
    }

    /// Octets so far.
    package var count: Int { spool.count }

    /// - Throws: `.tooLarge` over the limit of a body, `.full` when the spool's disk is.
    package func append(_ bytes: UnsafeRawBufferPointer) throws(EngineFailure) {
        guard spool.count + bytes.count <= limit else { throw .tooLarge(limit: limit) }
        do throws(StoreError) {
            try spool.append(bytes)
        } catch {
            throw Self.failure(error)
        }
    }

    package func append(_ bytes: [UInt8]) throws(EngineFailure) {
        let result: Result<Void, EngineFailure> = bytes.withUnsafeBytes { pointer in
            do throws(EngineFailure) {
                return .success(try append(pointer))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    package func finish() throws(EngineFailure) -> any BodySource {
        do throws(StoreError) {
            return try spool.finish()
        } catch {
            throw Self.failure(error)
        }
    }

    private static func failure(_ error: StoreError) -> EngineFailure {
        if case .full = error { .full } else { .fault("spool: \(error)") }
    }
}
