import Delivery
import MessageAuthentication

extension NodeConfiguration.Checks {
    /// Where checks ask for names; nil where nothing is checked.
    func names() throws -> (any MailNames)? {
        guard policy != .off else { return nil }
        do {
            return try UnboundNames(servers: nameServers)
        } catch {
            throw AdministrationFailure("`checks.name-servers`: \(error)")
        }
    }
}
