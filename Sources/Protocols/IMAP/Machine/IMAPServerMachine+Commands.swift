// From a whole command to what is done about it.

extension IMAPServerMachine {
    /// Reads tag and verb; the reader then stands behind the verb.
    func readVerb(_ reader: inout CommandReader) throws(GrammarStop) -> IMAPCommandRow {
        let tagOctets = reader.take(while: Ascii.isTag).count
        guard tagOctets > 0 else { throw .bad("A tag expected") }
        guard tagOctets <= IMAPLimits.tagOctetsMax else { throw .bad("The tag is too long") }
        guard reader.skip(Ascii.space) else { throw .bad("A tag, a space and a command expected") }
        let start = reader.position
        if reader.skip(word: "UID"), reader.current == Ascii.space { reader.advance() }
        _ = reader.take(while: Self.isVerb)
        let verb = UnsafeRawBufferPointer(rebasing: reader.bytes[start..<reader.position])
        let context = reader.context
        guard let row = IMAPCommandRow.named(verb), context.offers(row.capability) else {
            throw .bad("The command is not known here")
        }
        guard row.states.contains(context.state) else {
            if context.state == .notAuthenticated { throw .bad("Log in first") }
            throw .bad(row.states == .notAuthenticated ? "Already logged in" : "Select a mailbox first")
        }
        return row
    }

    private static func isVerb(_ octet: UInt8) -> Bool { (0x61...0x7A).contains(octet | 0x20) }

    /// - Parameter text: the whole command without its line end, or the last run of an APPEND.
    mutating func finishCommand(_ text: UnsafeRawBufferPointer, into actions: inout [IMAPAction]) {
        var reader = CommandReader(text, context)
        do throws(GrammarStop) {
            if let append { return try finishMessages(append, &reader, into: &actions) }
            let row = try readVerb(&reader)
            do throws(GrammarStop) {
                let command = try row.read(&reader)
                try perform(command, &reader, into: &actions)
            } catch {
                // RFC 9051 section 6.3.2: a SELECT that fails leaves no mailbox selected.
                if case .refused(let outcome) = error, outcome.status == .no, row.opensMailbox {
                    leaveMailbox(into: &actions)
                }
                throw error
            }
        } catch .refused(let outcome) {
            discardAppend(into: &actions)
            finish(outcome, into: &actions)
        } catch {
            discardAppend(into: &actions)
            finish(.bad("A literal stands where none can"), into: &actions)
        }
    }

    private mutating func perform(
        _ command: ParsedCommand, _ reader: inout CommandReader, into actions: inout [IMAPAction]
    ) throws(GrammarStop) {
        switch command {
        case .perform(let command): perform(command, into: &actions)
        case .append(let target): try finishMessages(AppendProgress(target, context), &reader, into: &actions)
        case .capability:
            actions.append(.data(ResponseLine.capability(capabilityNames)))
            finish(.ok("Done"), into: &actions)
        case .logout:
            actions.append(.reply(.untagged(.bye("Logging out"))))
            actions.append(.reply(.tagged(tag, .ok("Done"))))
            close(.logout, nil, into: &actions)
        case .id(let fields):
            actions.append(.identified(fields))
            actions.append(.data(ResponseLine.id(configuration.serverID)))
            finish(.ok("Done"), into: &actions)
        case .enable(let names): enable(names, into: &actions)
        case .namespace:
            actions.append(.data(ResponseLine.namespace))
            finish(.ok("Done"), into: &actions)
        case .startTLS: startTLS(into: &actions)
        case .login(let credentials):
            guard configuration.allowsPlaintextLogin else {
                throw .no(.privacyRequired, "Passwords are not taken over an unencrypted connection")
            }
            phase = .awaitingLogin
            actions.append(.login(credentials))
        case .authenticate(let mechanism, let response): authenticate(mechanism, response, into: &actions)
        case .compress:
            guard !isCompressed else { throw .no(.compressionActive, "The connection is compressed already") }
            phase = .awaitingCompression
            actions.append(.reply(.tagged(tag, .ok("Compression begins"))))
            actions.append(.startCompression)
        case .idle:
            phase = .idle
            actions.append(.reply(.proceed("idling")))
            actions.append(.startIdle)
        }
    }

    private mutating func perform(_ command: IMAPCommand, into actions: inout [IMAPAction]) {
        stateAfter = nil
        switch command {
        case .noop where !isLoggedIn: return finish(.ok("Done"), into: &actions)
        case .select: leaveMailbox(into: &actions)
        case .close, .unselect: stateAfter = .authenticated
        case .unauthenticate: stateAfter = .notAuthenticated
        default: break
        }
        if command.enablesCondstore { beginCondstore(into: &actions) }
        phase = .performing
        actions.append(.perform(command))
    }

    /// RFC 7162 section 3.2.11: the client learns that what follows is of another mailbox.
    private mutating func leaveMailbox(into actions: inout [IMAPAction]) {
        guard isSelected else { return }
        state = .authenticated
        actions.append(.leaveMailbox)
        actions.append(.reply(.untagged(.ok("Previous mailbox closed", code: .closed))))
    }

    private mutating func beginCondstore(into actions: inout [IMAPAction]) {
        guard !enabled.contains(.condstore), capabilities.contains(.condstore) else { return }
        enabled.insert(.condstore)
        if isSelected { actions.append(.condstoreBegan) }
    }

    /// ENABLE (RFC 5161 section 3.1, RFC 7162 section 3.2.3).
    private mutating func enable(_ names: [String], into actions: inout [IMAPAction]) {
        var known: [IMAPCapability] = []
        let hadCondstore = enabled.contains(.condstore)
        for name in names {
            guard
                let capability = [IMAPCapability.condstore, .qresync, .imap4rev2, .utf8Accept].first(where: {
                    $0.name.uppercased() == name && capabilities.contains($0)
                }), !known.contains(capability)
            else { continue }
            known.append(capability)
            switch capability {
            case .condstore: enabled.insert(.condstore)
            case .qresync: enabled.formUnion([.qresync, .condstore])
            case .imap4rev2: enabled.insert(.rev2)
            default: enabled.insert(.utf8Accept)
            }
        }
        actions.append(.data(ResponseLine.enabled(known.map(\.name))))
        if isSelected, !hadCondstore, enabled.contains(.condstore) { actions.append(.condstoreBegan) }
        finish(.ok("Done"), into: &actions)
    }

    private mutating func startTLS(into actions: inout [IMAPAction]) {
        // Compression lies above TLS (RFC 4978 section 3): what it holds already must not count behind the handshake.
        guard configuration.canStartTLS, !isEncrypted, !isCompressed else {
            return finish(.bad(isEncrypted ? "TLS is there already" : "TLS cannot begin here"), into: &actions)
        }
        phase = .awaitingTLS
        actions.append(.reply(.tagged(tag, .ok("Begin TLS now"))))
        actions.append(.startTLS)
    }

    /// The names of CAPABILITY as things stand, IMAP4rev1 first.
    package var capabilityNames: [String] {
        let offered = capabilities
        var names: [String] = []
        for capability in IMAPCapability.allCases where offered.contains(capability) {
            guard isLoggedIn || capability.isToldBeforeLogin else { continue }
            switch capability {
            case .literalPlus: names.append(configuration.usesLiteralMinus ? "LITERAL-" : "LITERAL+")
            case .appendLimit: names.append("APPENDLIMIT=\(configuration.appendOctetsMax)")
            case .compressDeflate where isCompressed: break
            default: names.append(capability.name)
            }
        }
        if !isLoggedIn {
            if configuration.canStartTLS, !isEncrypted, !isCompressed { names.append("STARTTLS") }
            if !configuration.allowsPlaintextLogin { names.append("LOGINDISABLED") }
            names += configuration.mechanisms.map { "AUTH=" + $0 }
        }
        return names
    }
}
