// What we tell a filter, as packets: four octets of length, one of command, then what belongs to it. Texts end with a NUL.

/// Where a client comes from, for a filter.
package enum MilterPeer: Hashable, Sendable {
    case v4(String, port: UInt16)
    case v6(String, port: UInt16)
    /// Over a Unix socket, or not known.
    case unknown
}

/// What a filter is told, and may have something to say to.
package enum MilterQuestion: Hashable, Sendable {
    case connect(host: String, MilterPeer)
    case helo(String)
    /// The path with its angle brackets, then the parameters of MAIL or RCPT.
    case sender(path: String, parameters: [String])
    case recipient(path: String, parameters: [String])
    case data
    /// The value without the line end, its folds with LF alone.
    case field(name: [UInt8], value: [UInt8])
    case endOfHeader
    /// At most `MilterLimits.sentOctetsMax`.
    case body([UInt8])
    case endOfMessage

    /// Nil where no macros are told.
    package var stage: MilterStage? {
        switch self {
        case .connect: .connect
        case .helo: .helo
        case .sender: .sender
        case .recipient: .recipient
        case .data: .data
        case .endOfHeader: .endOfHeader
        case .endOfMessage: .endOfMessage
        case .field, .body: nil
        }
    }

    /// The filter has said that it does not want to hear of it.
    func isUnwanted(_ agreement: MilterAgreement) -> Bool {
        let steps = agreement.steps
        return switch self {
        case .connect: steps.contains(.noConnect)
        case .helo: steps.contains(.noHelo)
        case .sender: steps.contains(.noSender)
        case .recipient: steps.contains(.noRecipient)
        case .data: steps.contains(.noData) || agreement.version < MilterAgreement.versionWithData
        case .field: steps.contains(.noFields)
        case .endOfHeader: steps.contains(.noEndOfHeader)
        case .body: steps.contains(.noBody)
        case .endOfMessage: false
        }
    }

    /// The filter has said that it will not answer.
    func isUnanswered(_ steps: MilterSteps) -> Bool {
        switch self {
        case .connect: steps.contains(.noAnswerToConnect)
        case .helo: steps.contains(.noAnswerToHelo)
        case .sender: steps.contains(.noAnswerToSender)
        case .recipient: steps.contains(.noAnswerToRecipient)
        case .data: steps.contains(.noAnswerToData)
        case .field: steps.contains(.noAnswerToField)
        case .endOfHeader: steps.contains(.noAnswerToEndOfHeader)
        case .body: steps.contains(.noAnswerToBody)
        case .endOfMessage: false
        }
    }

    func append(to output: inout [UInt8]) { MilterPacket.append(command, content, to: &output) }

    /// What names its packet.
    var command: Unicode.Scalar {
        switch self {
        case .connect: "C"
        case .helo: "H"
        case .sender: "M"
        case .recipient: "R"
        case .data: "T"
        case .field: "L"
        case .endOfHeader: "N"
        case .body: "B"
        case .endOfMessage: "E"
        }
    }

    private var content: [UInt8] {
        switch self {
        case .connect(let host, let peer):
            var data = text(host)
            switch peer {
            case .v4(let address, let port): data += [UInt8(ascii: "4")] + bigEndian(port) + text(address)
            case .v6(let address, let port): data += [UInt8(ascii: "6")] + bigEndian(port) + text(address)
            case .unknown: data += [UInt8(ascii: "U")]
            }
            return data
        case .helo(let name): return text(name)
        case .sender(let path, let parameters), .recipient(let path, let parameters):
            return ([path] + parameters).flatMap(text)
        case .field(let name, let value): return name + [0] + value + [0]
        case .body(let octets): return octets
        case .data, .endOfHeader, .endOfMessage: return []
        }
    }
}

enum MilterPacket {
    static func append(_ command: Unicode.Scalar, _ data: [UInt8], to output: inout [UInt8]) {
        output.reserveCapacity(output.count + data.count + 5)
        output += bigEndian(UInt32(data.count + 1))
        output.append(UInt8(ascii: command))
        output += data
    }

    static func negotiation(_ agreement: MilterAgreement) -> [UInt8] {
        var output: [UInt8] = []
        let numbers = [agreement.version, agreement.actions.rawValue, agreement.steps.rawValue]
        append("O", numbers.flatMap(bigEndian), to: &output)
        return output
    }

    /// - Parameter command: of the packet that the macros are for.
    static func appendMacros(_ macros: [(String, String)], for command: Unicode.Scalar, to output: inout [UInt8]) {
        append("D", [UInt8(ascii: command)] + macros.flatMap { text($0.0) + text($0.1) }, to: &output)
    }

    static var abort: [UInt8] {
        var output: [UInt8] = []
        append("A", [], to: &output)
        return output
    }

    static var quit: [UInt8] {
        var output: [UInt8] = []
        append("Q", [], to: &output)
        return output
    }
}

private func bigEndian(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
}

/// With its NUL; one within would end it early, so that it is left out.
private func text(_ text: String) -> [UInt8] { text.utf8.filter { $0 != 0 } + [0] }
