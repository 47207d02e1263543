// A message on its way through: header first, then body, in pieces of any size, once. The header is held (it is bounded);
// of the body only hashes are kept, one for each way in which a signature wants it.
import Digests
import Octets

/// What a check of one signature came to (RFC 8601 section 2.7.1).
package enum DKIMResult: String, Hashable, Sendable {
    case pass, fail, policy, neutral, temperror, permerror
}

/// One signature and what became of it.
package struct DKIMVerdict: Hashable, Sendable {
    package var result: DKIMResult
    package var domain: String
    package var selector: String
    /// The first octets of `b=` in base64, which tell signatures of one domain apart (RFC 6008).
    package var mark: String
    package var algorithm: String
    /// Why, where it is no pass.
    package var reason: String?
}

/// Reads a message that is to be verified.
package struct MessageReading: Sendable {
    private var header = HeaderSplitter()
    private var fields: SignedHeader?
    private var signatures: [Result<DKIMSignature, DKIMSignature.Problem>] = []
    private var hashers: [HashKey: BodyHasher] = [:]
    private let now: Int64

    private struct HashKey: Hashable {
        let form: Canonicalization
        let octetsMax: UInt64?

        init(_ signature: DKIMSignature) {
            form = signature.bodyForm
            octetsMax = signature.bodyOctets
        }
    }

    /// - Parameter now: seconds since 1970.
    package init(now: Int64) { self.now = now }

    /// Takes the next piece.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        let wasOpen = header.isOpen
        let body = header.take(bytes)
        if wasOpen, !header.isOpen { readSignatures() }
        guard !body.isEmpty else { return }
        for key in hashers.keys { hashers[key]?.update(body) }
    }

    package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// The message is over.
    package mutating func finish() -> InspectedMessage {
        if header.isOpen { readSignatures() }
        var hashes: [HashKey: SHA256Digest] = [:]
        for key in hashers.keys { hashes[key] = hashers[key]?.finish() }
        let pending = signatures.map { found in
            switch found {
            case .failure(let problem): return PendingSignature.unusable(problem)
            case .success(let signature):
                let key = HashKey(signature)
                let isWhole = signature.bodyOctets.map { $0 >= (hashers[key]?.octets ?? 0) } ?? true
                return .checkable(signature, bodyMatches: hashes[key]?.bytes == signature.bodyHash, isWhole: isWhole)
            }
        }
        return InspectedMessage(
            header: fields == nil ? nil : header.octets, headerOctets: header.count, fields: fields,
            signatures: pending)
    }

    private mutating func readSignatures() {
        guard let octets = header.octets, let fields = SignedHeader(octets) else { return }
        self.fields = fields
        for field in fields.fields where field.name == "dkim-signature" {
            guard signatures.count < CheckLimits.signaturesMax else { break }
            do throws(DKIMSignature.Problem) {
                let signature = try DKIMSignature(field.octets, now: now)
                signatures.append(.success(signature))
                hashers[HashKey(signature)] = BodyHasher(signature.bodyForm, octetsMax: signature.bodyOctets)
            } catch {
                signatures.append(.failure(error))
            }
        }
    }
}

enum PendingSignature: Sendable {
    case unusable(DKIMSignature.Problem)
    case checkable(DKIMSignature, bodyMatches: Bool, isWhole: Bool)
}

/// A message that was read to its end.
package struct InspectedMessage: Sendable {
    /// Nil when it is longer, or has more fields, than is looked at.
    package let header: [UInt8]?
    package let headerOctets: Int
    let fields: SignedHeader?
    let signatures: [PendingSignature]

    /// Verifies every signature; the keys are asked for one after the other, each name once.
    package func verify(_ names: some MailNames) async -> [DKIMVerdict] {
        guard let fields else { return [] }
        var verdicts: [DKIMVerdict] = []
        var answers: [String: NameAnswer<[UInt8]>] = [:]
        for pending in signatures {
            switch pending {
            case .unusable(let problem): verdicts.append(DKIMVerdict(problem))
            case .checkable(let signature, let bodyMatches, let isWhole):
                var verdict = DKIMVerdict(signature)
                if !bodyMatches {
                    // No key makes this one good.
                    (verdict.result, verdict.reason) = (.fail, "body hash did not verify")
                } else {
                    let name = signature.keyName
                    let answer: NameAnswer<[UInt8]>
                    if let known = answers[name] { answer = known } else { answer = await names.texts(of: name) }
                    answers[name] = answer
                    (verdict.result, verdict.reason) = judge(signature, answer, fields)
                    // Section 8.2: whoever adds to a message that is signed so far only must not pass for its author.
                    if verdict.result == .pass, !isWhole {
                        (verdict.result, verdict.reason) = (.policy, "only the beginning of the body is signed")
                    }
                }
                verdicts.append(verdict)
            }
        }
        return verdicts
    }

    /// The signatures where nobody answered about keys.
    func unanswered(_ reason: String) -> [DKIMVerdict] {
        signatures.map { pending in
            switch pending {
            case .unusable(let problem): return DKIMVerdict(problem)
            case .checkable(let signature, _, _):
                var verdict = DKIMVerdict(signature)
                (verdict.result, verdict.reason) = (.temperror, reason)
                return verdict
            }
        }
    }

    /// Sections 6.1.2 and 6.1.3.
    private func judge(
        _ signature: DKIMSignature, _ answer: NameAnswer<[UInt8]>, _ fields: SignedHeader
    ) -> (DKIMResult, String?) {
        guard case .found(let records) = answer else {
            if case .failed = answer { return (.temperror, "no answer about the key") }
            return (.permerror, "no key")
        }
        var problem = DKIMKeyRecord.Problem.malformed
        for record in records.prefix(CheckLimits.recordsMax) {
            do throws(DKIMKeyRecord.Problem) {
                let record = try DKIMKeyRecord(record, for: signature.algorithm)
                if record.isStrict, !signature.identity.hasSuffix("@" + signature.domain) {
                    return (.permerror, "i= is below d=, which the key does not allow")
                }
                let digest = fields.digest(signature.fields, signature.headerForm, own: signature.unsigned)
                if record.key.verifies(signature.signature, of: digest.bytes) { return (.pass, nil) }
                return record.isTesting
                    ? (.neutral, "signature did not verify, key in testing")
                    : (.fail, "signature did not verify")
            } catch {
                problem = error
            }
        }
        return (problem == .revoked ? .fail : problem == .tooShort ? .policy : .permerror, problem.rawValue)
    }
}

extension DKIMVerdict {
    fileprivate init(_ signature: DKIMSignature) {
        result = .neutral
        domain = signature.domain
        selector = signature.selector
        mark = Base64.encode(signature.signature.prefix(6))
        algorithm = signature.algorithm.tag
    }

    fileprivate init(_ problem: DKIMSignature.Problem) {
        (domain, selector, mark, algorithm) = ("", "", "", "")
        reason = problem.text
        switch problem {
        case .malformed: result = .permerror
        case .algorithm: result = .policy
        case .time: result = .fail
        }
    }
}
