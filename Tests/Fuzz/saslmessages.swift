// What a client may send before it is known: a token message says the same when its pairs are cut out and put together
// again, and shows its token nowhere; a name is an address and at most one label; a binding's name is harmless.
//
// Bytes: what kind of message; the message.
import MailTypes

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSASLMessages(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard let kind = input.first else { return 0 }
    let message = Array(input.dropFirst())
    switch kind % 4 {
    case 0: checkToken(message, .oauthBearer)
    case 1: checkToken(message, .xoauth2)
    case 2: checkFlag(message)
    default: checkName(String(decoding: message, as: UTF8.self))
    }
    return 0
}

private func checkToken(_ octets: [UInt8], _ mechanism: SASLMechanism) {
    guard let message = TokenMessage(octets, mechanism) else { return }
    let token = String(decoding: message.token, as: UTF8.self)
    precondition(!token.isEmpty && message.token.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2C }, "no token")
    precondition("\(message)" == "TokenMessage(redacted)", "a token is shown")
    precondition(!message.authorization.utf8.contains(0) || mechanism == .xoauth2)
    // Written plainly it is read as the same.
    let name = message.authorization
    let again: TokenMessage?
    if mechanism == .xoauth2 {
        again = TokenMessage(Array("user=\(name)\u{1}auth=Bearer \(token)\u{1}\u{1}".utf8), .xoauth2)
    } else {
        let escaped = name.utf8.flatMap { octet -> [UInt8] in
            switch octet {
            case 0x2C: Array("=2C".utf8)
            case 0x3D: Array("=3D".utf8)
            default: [octet]
            }
        }
        let header = name.isEmpty ? Array("n,,".utf8) : Array("n,a=".utf8) + escaped + [0x2C]
        again = TokenMessage(header + Array("\u{1}auth=Bearer \(token)\u{1}\u{1}".utf8), .oauthBearer)
    }
    precondition(again == message, "another message")
}

private func checkFlag(_ octets: [UInt8]) {
    switch ScramBindingFlag(of: octets) {
    case .named(let name)?:
        precondition((1...64).contains(name.utf8.count) && octets.starts(with: Array("p=\(name),".utf8)))
    case .unsupported?: precondition(octets.starts(with: Array("n,".utf8)))
    case .serverCannot?: precondition(octets.starts(with: Array("y,".utf8)))
    case nil: break
    }
}

private func checkName(_ text: String) {
    guard let name = LoginName(text, defaultDomain: "example.test") else { return }
    precondition(name.address.localPart != "*" && text.utf8.count <= 320)
    precondition(!name.address.domain.contains("/"), "a label within the domain")
    if name.label != nil { precondition(text.contains("@") && text.contains("/")) }
}
