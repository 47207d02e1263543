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

    package init(store directory: String, configuration: NodeConfiguration) throws(AdministrationFailure) {
        do {
            store = try LMDBStore(directory)
        } catch {
            throw AdministrationFailure(error)
        }
        self.configuration = configuration
        engine = MailEngine(
            store: store, options: configuration.engineOptions(store: directory), clock: { .now })
    }

    package func close() { engine.close() }
}
