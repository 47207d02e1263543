// The server's side of one exchange in libsasl2.
//
// Invariants
// - One thread at a time uses a conversation: the caller's lock. libsasl2's connections are not for several.
// - No recoverable secret is ever handed to the library: the property plug-in answers `*authPassword` (verifiers) and
//   never `userPassword`, without which no mechanism of its own can check a password.
// - A password that comes in the clear is not judged here. The library calls back with name and password, is told that
//   all is well, and the caller checks them elsewhere: deriving keys takes milliseconds and this runs on event loops.
//   `Outcome.password` keeps that apart from a login that the library has proved.
internal import CSASL
import MailCore
import MailTypes

final class SASLConversation {
    enum Outcome {
        case challenge([UInt8])
        /// The library has proved the client to be `name`.
        case proved(name: String, authorization: String)
        /// The client gave name and password in the clear; nobody has checked them yet.
        case password(name: String, password: [UInt8], authorization: String)
        case failed
    }

    /// Asked once, for the verifiers of a name: lines of the form of RFC 5803.
    private let verifiers: (String) -> [String]
    private var connection: OpaquePointer?
    private let callbacks: UnsafeMutablePointer<sasl_callback_t>
    private var bindingName: UnsafeMutablePointer<CChar>?
    private var bindingData: UnsafeMutablePointer<UInt8>?
    private let binding: UnsafeMutablePointer<sasl_channel_binding_t>
    private var password: (name: String, password: [UInt8])?

    /// Nil when the library has no memory for it.
    init?(service: String, host: String, verifiers: @escaping (String) -> [String]) {
        self.verifiers = verifiers
        callbacks = .allocate(capacity: 3)
        callbacks.initialize(repeating: sasl_callback_t(), count: 3)
        binding = .allocate(capacity: 1)
        binding.initialize(to: sasl_channel_binding_t())
        let context = Unmanaged.passUnretained(self).toOpaque()
        connection = ll_sasl_new(service, host, callbacks, checkPassword, lookUp, context)
        if connection == nil { return nil }
    }

    deinit {
        // Before what it points to.
        if connection != nil { sasl_dispose(&connection) }
        callbacks.deallocate()
        binding.deallocate()
        bindingName?.deallocate()
        bindingData?.deallocate()
    }

    /// Sets the channel binding that the client has named. The library holds one for a connection.
    func bind(_ name: String, _ data: [UInt8]) -> Bool {
        let octets = Array(name.utf8CString)
        let nameCopy = UnsafeMutablePointer<CChar>.allocate(capacity: octets.count)
        nameCopy.initialize(from: octets, count: octets.count)
        let dataCopy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(data.count, 1))
        dataCopy.initialize(from: data, count: data.count)
        bindingName?.deallocate()
        bindingData?.deallocate()
        (bindingName, bindingData) = (nameCopy, dataCopy)
        binding.pointee = sasl_channel_binding_t(
            name: nameCopy, critical: 0, len: UInt(data.count), data: UnsafePointer(dataCopy))
        return ll_sasl_bind_channel(connection, binding) == SASL_OK
    }

    /// Sets who the client is by its certificate.
    func setExternal(_ name: String) -> Bool { ll_sasl_set_external(connection, name) == SASL_OK }

    /// - Parameter response: nil for a mechanism in which the server speaks first.
    func start(_ mechanism: SASLMechanism, _ response: [UInt8]?) -> Outcome {
        var out: UnsafePointer<CChar>?
        var count: UInt32 = 0
        let result: Int32
        if let response {
            result = response.withTerminatedText {
                sasl_server_start(connection, mechanism.rawValue, $0, UInt32(response.count), &out, &count)
            }
        } else {
            result = sasl_server_start(connection, mechanism.rawValue, nil, 0, &out, &count)
        }
        return outcome(result, out, count)
    }

    func step(_ response: [UInt8]) -> Outcome {
        var out: UnsafePointer<CChar>?
        var count: UInt32 = 0
        let result = response.withTerminatedText {
            sasl_server_step(connection, $0, UInt32(response.count), &out, &count)
        }
        return outcome(result, out, count)
    }

    private func outcome(_ result: Int32, _ out: UnsafePointer<CChar>?, _ count: UInt32) -> Outcome {
        switch result {
        case SASL_CONTINUE:
            return .challenge(
                out.map { [UInt8](UnsafeRawBufferPointer(start: $0, count: Int(count))) } ?? [])
        case SASL_OK:
            let authorization = property(SASL_USERNAME) ?? ""
            if let password {
                return .password(name: password.name, password: password.password, authorization: authorization)
            }
            guard let name = property(SASL_AUTHUSER) else { return .failed }
            return .proved(name: name, authorization: authorization)
        default: return .failed
        }
    }

    private func property(_ which: Int32) -> String? {
        ll_sasl_property(connection, which).flatMap { String(validatingCString: $0) }
    }

    fileprivate func take(name: String, password: [UInt8]) { self.password = (name, password) }

    fileprivate func verifierLines(of name: String) -> [String] { verifiers(name) }
}

/// Called by the library with a name and a password in the clear: kept, not judged.
private func checkPassword(
    _: OpaquePointer?, context: UnsafeMutableRawPointer?, user: UnsafePointer<CChar>?, password: UnsafePointer<CChar>?,
    count: UInt32, _: OpaquePointer?
) -> Int32 {
    guard let context, let user, let password, let name = String(validatingCString: user) else { return SASL_BADAUTH }
    let conversation = Unmanaged<SASLConversation>.fromOpaque(context).takeUnretainedValue()
    let octets = [UInt8](UnsafeRawBufferPointer(start: password, count: Int(count)))
    conversation.take(name: name, password: octets)
    return SASL_OK
}

/// Called by the property plug-in for the name that logs in.
private func lookUp(
    context: UnsafeMutableRawPointer?, parameters: UnsafeMutablePointer<sasl_server_params_t>?,
    user: UnsafePointer<CChar>?, count: UInt32
) {
    guard let context, let parameters, let user else { return }
    let octets = UnsafeRawBufferPointer(start: user, count: Int(count))
    guard let name = String(validating: octets, as: UTF8.self) else { return }
    let conversation = Unmanaged<SASLConversation>.fromOpaque(context).takeUnretainedValue()
    for line in conversation.verifierLines(of: name) { _ = ll_sasl_set_authpassword(parameters, line) }
}

extension [UInt8] {
    /// Calls `body` with these octets and a NUL behind them: some mechanisms read one octet too far.
    fileprivate func withTerminatedText<R>(_ body: (UnsafePointer<CChar>?) -> R) -> R {
        (self + [0]).withUnsafeBytes { body($0.bindMemory(to: CChar.self).baseAddress) }
    }
}
