// Headers of the PROXY protocol: never a trap, never more than the limit waited for, and no answer changes with what comes
// behind a header.
import MailTypes

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzProxy(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let result = input.withUnsafeBytes { ProxyHeader.parse($0) }
    switch result {
    case .incomplete:
        let isText = input.first != 0x0D
        precondition(
            input.count < (isText ? ProxyLimits.textOctetsMax : ProxyLimits.binaryOctetsMax), "waits past its limit")
    case .header(let header, let octets):
        precondition(octets <= min(input.count, ProxyLimits.binaryOctetsMax), "more octets than came")
        let alone = Array(input.prefix(octets))
        precondition(alone.withUnsafeBytes { ProxyHeader.parse($0) } == result, "depends on what follows")
        if octets > 0 {
            let cut = Array(alone.dropLast())
            precondition(cut.withUnsafeBytes { ProxyHeader.parse($0) } == .incomplete, "known before its end")
        }
        if case .ip(let address, port: _) = header.client {
            precondition(IPAddress(address.description) == address, "an address that cannot be read back")
        }
    case .malformed:
        precondition((input + [0x0D, 0x0A]).withUnsafeBytes { ProxyHeader.parse($0) } == result, "more makes it good")
    }
    return 0
}
