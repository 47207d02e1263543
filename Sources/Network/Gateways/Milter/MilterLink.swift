// One filter beside one session: which of the session's steps it is asked about, and what its answers, or its absence, make of
// them.
//
// Invariants
// - Every piece of work that is handed in is answered once, unless the link is ended; an ended link says nothing.
// - A filter is told of the connection and of the greeting when the first transaction begins, and again over a new connection; of
//   another greeting, and of one behind STARTTLS, over the same connection.
// - A filter that fails in a transaction is not asked again in it: what the site wants then (`absence`) is the answer to all that
//   comes. Nothing that it has asked for in that message is done.
// - No more of the message is held for it than one piece of `MilterLimits.sentOctetsMax`.
import EventStore
import Logging
import MailEngine
import Milter
import NIOCore
import Octets

final class MilterLink: MilterConnectionOwner {
    /// How far a message has been told.
    private enum Cursor {
        case data
        case field(Int)
        case body(Int)
        case over
    }

    /// What is being done.
    private enum Work {
        case questions([MilterQuestion])
        case message(MilteredMessage, Cursor)
    }

    private unowned let session: Connection
    private let options: MilterOptions
    private let macros: () -> [String: String]
    private var connection: MilterConnection?
    private var work: Work?
    private var completion: ((MilterVerdict) -> Void)?
    private var asked: MilterQuestion?
    private var isPumping = false
    private var isEnded = false

    /// What it said to the connection or the greeting; stands for all that follows...
    private var sessionVerdict: MilterVerdict?
    /// ...and to which of them.
    private var isVerdictOnGreeting = false
    private var toldGreeting: MilterQuestion?
    /// Asked about this transaction; false when it has accepted it, or does not see it.
    private var isInterested = false
    /// The filter knows of a transaction that has not come to its end.
    private var isInTransaction = false
    /// The answer to everything in this transaction.
    private var absent: MilterVerdict?
    /// The connection had served before, so that its loss now may be that of an idle one.
    private var retry: [MilterQuestion]?

    // Of the message.
    private var changes = MilterChanges()
    private var newBody: BodyReceiver?
    private var newBodyOctets = 0
    private var lineEnds = LineEnds()
    /// Of its body, at the cursor.
    private var piece: [UInt8]?
    private var isReadingPiece = false

    init(_ session: Connection, _ options: MilterOptions, macros: @escaping () -> [String: String]) {
        self.session = session
        self.options = options
        self.macros = macros
    }

    // MARK: For the chain

    /// A transaction begins.
    ///
    /// - Parameter greeting: the name that the client gave.
    func begin(
        connect: MilterQuestion, greeting: MilterQuestion, sender: MilterQuestion,
        _ completion: @escaping (MilterVerdict) -> Void
    ) {
        absent = nil
        isInterested = true
        if let connection, connection.isUsable {
            if isInTransaction { connection.abort() }
            isInTransaction = false
            if let sessionVerdict {
                if sessionVerdict == .accept { isInterested = false }
                return completion(sessionVerdict)
            }
            let questions = toldGreeting == greeting ? [sender] : [greeting, sender]
            retry = connection.hasServed ? [connect, greeting, sender] : nil
            return run(.questions(questions), completion)
        }
        open([connect, greeting, sender], completion)
    }

    private func open(_ questions: [MilterQuestion], _ completion: @escaping (MilterVerdict) -> Void) {
        let count = session.gateway.openMilters
        guard count.current < GatewayLimits.milterConnectionsMax else {
            absent = .refuse(.tooManyConnections)
            return completion(.refuse(.tooManyConnections))
        }
        sessionVerdict = nil
        toldGreeting = nil
        isInTransaction = false
        work = .questions(questions)
        self.completion = completion
        let connection = MilterConnection(self, eventLoop: session.eventLoop, open: count)
        self.connection = connection
        connection.connect(to: options.address, timeout: options.timeout)
    }

    /// What a client says before TLS counts no more (RFC 3207 section 4.2), nor does a verdict on it. The connection is the same:
    /// the filter hears the next greeting with the macros of TLS, and of no other client.
    func forgetGreeting() {
        toldGreeting = nil
        if isVerdictOnGreeting { sessionVerdict = nil }
    }

    /// RCPT of the transaction.
    func recipient(_ question: MilterQuestion, _ completion: @escaping (MilterVerdict) -> Void) {
        run(.questions([question]), completion)
    }

    /// The message of the transaction.
    func message(_ message: MilteredMessage, _ completion: @escaping (MilterVerdict) -> Void) {
        if options.messageOctetsMax > 0, message.source.count > options.messageOctetsMax { isInterested = false }
        changes = MilterChanges()
        newBody = nil
        newBodyOctets = 0
        lineEnds = LineEnds()
        piece = nil
        run(.message(message, .data), completion)
    }

    /// The session is over, or speaks for another client.
    func end() {
        isEnded = true
        work = nil
        completion = nil
        newBody?.abandon()
        newBody = nil
        connection?.quit()
        connection = nil
    }

    // MARK: Work

    private func run(_ work: Work, _ completion: @escaping (MilterVerdict) -> Void) {
        if let absent { return completion(absent) }
        guard isInterested else { return completion(.continue) }
        self.work = work
        self.completion = completion
        guard connection?.isUsable == true else { return milterFailed(.notThere) }
        pump()
    }

    private func pump() {
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        while let connection, work != nil, asked == nil, !isReadingPiece, connection.isReady {
            guard let question = next(connection.agreement) else { break }
            asked = question
            let isVerdict = question == .endOfMessage
            connection.ask(
                question, question.stage == nil ? [:] : macros(),
                patience: isVerdict ? options.verdictTimeout : options.timeout, deadline: deadline)
        }
        if let connection, work != nil, asked == nil, connection.isStalled { connection.waitForRoom(options.timeout) }
    }

    private var deadline: NIODeadline? {
        if case .message(let message, _)? = work { message.deadline } else { nil }
    }

    /// The next question; nil while a piece of the body is being read, or a new body written.
    private func next(_ agreement: MilterAgreement) -> MilterQuestion? {
        switch work {
        case nil: return nil
        case .questions(var questions):
            let question = questions.removeFirst()
            work = .questions(questions)
            return question
        case .message(let message, let cursor):
            let (question, after) = next(message, cursor, agreement)
            if work != nil { work = .message(message, after) }
            return question
        }
    }

    private func next(
        _ message: MilteredMessage, _ cursor: Cursor, _ agreement: MilterAgreement
    ) -> (MilterQuestion?, Cursor) {
        switch cursor {
        case .data: return (.data, .field(0))
        case .field(let index):
            let fields = message.header.fields
            guard !agreement.steps.contains(.noFields),
                let found = fields[index...].firstIndex(where: \.isShown)
            else { return (.endOfHeader, .body(0)) }
            let value = fields[found].value(leadingSpace: agreement.steps.contains(.leadingSpace))
            return (.field(name: fields[found].name, value: value), .field(found + 1))
        case .body(let offset):
            guard offset < message.bodyOctets, !agreement.steps.contains(.noBody) else { return (.endOfMessage, .over) }
            if let piece {
                self.piece = nil
                return (.body(piece), .body(offset + piece.count))
            }
            read(message, offset)
            return (nil, cursor)
        // A new body is on its way to its place.
        case .over: return (nil, cursor)
        }
    }

    /// Reads the next piece of the body, by a thread for files.
    private func read(_ message: MilteredMessage, _ offset: Int) {
        isReadingPiece = true
        let (source, start) = (message.source, message.bodyStart + offset)
        let count = min(MilterLimits.sentOctetsMax, message.bodyOctets - offset)
        let answer = session.answering { [self] (result: Result<[UInt8], StoreError>) in
            isReadingPiece = false
            // The filter may have failed meanwhile, and another message have come.
            guard !isEnded, case .message(let current, _)? = work, current === message else { return pump() }
            switch result {
            case .success(let octets) where octets.count == count:
                piece = octets
                pump()
            case .success, .failure:
                session.log.error("a body cannot be read", metadata: ["result": "\(result)"])
                connection?.quit()
                connection = nil
                finish(.refuse(MilterReply(451, 3, 0, ["Cannot read the message now, try again later"])))
            }
        }
        session.gateway.fileThreads.submit { _ in
            var octets: [UInt8] = []
            do throws(StoreError) {
                try source.read(at: start, count: count, into: &octets)
                answer(.success(octets))
            } catch {
                answer(.failure(error))
            }
        }
    }

    private func finish(_ verdict: MilterVerdict) {
        work = nil
        asked = nil
        retry = nil
        let completion = completion
        self.completion = nil
        completion?(verdict)
    }

    // MARK: Events of the connection

    func milterReady() { pump() }

    func milterSettled() { if !isEnded { session.resume() } }

    var hasRoomForChanges: Bool { newBody?.hasRoom ?? true }

    func milterWants(_ change: MilterChange) {
        guard case .message? = work else { return }
        do throws(MilterFault) {
            guard case .body(let octets) = change else { return try changes.take(change) }
            newBodyOctets += octets.count
            guard newBodyOctets <= session.gateway.options.messageOctetsMax else { throw .bodyTooLarge }
            let receiver = newBody ?? BodyReceiver(session)
            receiver.hadRoom = { [weak self] in self?.connection?.readOn() }
            newBody = receiver
            octets.withUnsafeBytes { piece in
                lineEnds.pass(piece) { receiver.append(ByteBuffer(bytes: $0)) }
            }
        } catch {
            connection?.fail(error)
        }
    }

    func milterAnswered(_ verdict: MilterVerdict) {
        guard let question = asked else { return }
        asked = nil
        retry = nil
        switch (question, verdict) {
        case (.endOfMessage, .continue), (.endOfMessage, .accept):
            isInTransaction = false
            connection?.endMessage()
            commit()
        case (.body, .skip):
            if case .message(let message, _)? = work { work = .message(message, .body(message.bodyOctets)) }
        case (.connect, .continue), (.data, .continue), (.field, .continue), (.endOfHeader, .continue),
            (.body, .continue):
            break
        case (.connect, _), (.helo, _): greeted(question, verdict)
        case (_, .accept):
            isInTransaction = true
            isInterested = false
            connection?.endMessage()
            finish(.continue)
        case (.sender, .continue), (.recipient, .continue):
            isInTransaction = true
            finish(.continue)
        default:
            isInTransaction = true
            connection?.endMessage()
            newBody?.abandon()
            newBody = nil
            finish(verdict)
        }
        pump()
    }

    private func greeted(_ question: MilterQuestion, _ verdict: MilterVerdict) {
        isVerdictOnGreeting = false
        if case .helo = question {
            toldGreeting = question
            isVerdictOnGreeting = true
        }
        // A connection cannot be discarded.
        guard verdict != .continue, verdict != .discard else { return }
        sessionVerdict = verdict
        if verdict == .accept { isInterested = false }
        finish(verdict)
    }

    /// The filter is through with the message: what it wants is done.
    private func commit() {
        guard case .message(let message, _)? = work, let connection else { return }
        let leadingSpace = connection.agreement.steps.contains(.leadingSpace)
        guard let newBody else {
            message.apply(changes, body: nil, leadingSpace: leadingSpace)
            return finish(.continue)
        }
        newBody.finish { [self] result in
            guard !isEnded, case .message(let current, _)? = work, current === message else { return }
            self.newBody = nil
            switch result {
            case .success(let body):
                message.apply(changes, body: body, leadingSpace: leadingSpace)
                finish(.continue)
            case .failure(let failure):
                session.log.warning("a new body is not taken", metadata: ["error": "\(failure)"])
                finish(.refuse(MilterReply(452, 3, 1, ["Cannot store what a filter makes of the message now"])))
            }
        }
    }

    func milterFailed(_ fault: MilterFault) {
        connection = nil
        isInTransaction = false
        // It has said its verdict, and what it wants is on its way to its place.
        if case .message(_, .over)? = work, asked == nil { return }
        newBody?.abandon()
        newBody = nil
        guard !isEnded, work != nil, let completion else { return }
        if let retry, fault == .notThere {
            // It has let go of a connection that was idle.
            self.retry = nil
            asked = nil
            return open(retry, completion)
        }
        session.gateway.notices.say(
            .milterFailed, session.log, ["milter": "\(options.address)", "reason": "\(fault)"])
        let verdict = options.absence.verdict
        absent = verdict
        finish(verdict)
    }
}
