import EventStore
import Gateways
import MailCore
import MailEngine
import MailTypes
import Projections

/// A store opened by the command line while no node runs.
package final class LocalBackend: AdministrationBackend {
    package let engine: MailEngine
    package let store: LMDBStore
    package let configuration: NodeConfiguration
    package var serves: Bool { false }
    package var projector: MaildirProjector? { nil }
    package var cache: MessageCache? { nil }
    package var gateways: Gateways? { nil }

    /// - Parameter repairs: opens a store whose rows are damaged all the same, for a rebuild of them and nothing else.
    package init(
        store directory: String, configuration: NodeConfiguration, repairs: Bool = false
    ) throws(AdministrationFailure) {
        do {
            store = try Self.open(directory, repairs: repairs)
        } catch {
            throw AdministrationFailure(error)
        }
        self.configuration = configuration
        engine = MailEngine(
            store: store, options: configuration.engineOptions(store: directory), clock: { .now })
    }

    private static func open(_ directory: String, repairs: Bool) throws(StoreError) -> LMDBStore {
        do throws(StoreError) {
            return try LMDBStore(directory)
        } catch {
            guard repairs, case .damaged = error else { throw error }
            var options = LMDBStoreOptions()
            options.ignoresRows = true
            return try LMDBStore(directory, options: options)
        }
    }

    package func close() { engine.close() }
}
