/// Whoever can say what an access token is good for.
package protocol TokenService: Sendable {
    /// `completion` is called once, on this thread or another.
    func judge(_ token: [UInt8], completion: @escaping @Sendable (TokenVerdict) -> Void)
}

package enum TokenVerdict: Equatable, Sendable {
    /// Good, and issued for this login name.
    case active(name: String)
    /// Unknown, expired, revoked, or without the scope that is asked for.
    case inactive
    /// The service does not answer.
    case unavailable
}
