import EventStore
import MailCore

typealias Completion = @Sendable ([CommandOutcome]) -> Void

/// A request on its way through the pipeline.
struct Job: Sendable {
    var request: Request
    var completion: Completion
    var staged: [StagedBody] = []
    var octets: Int
    var touches: Int

    init(_ request: Request, _ completion: @escaping Completion) {
        self.request = request
        self.completion = completion
        octets = request.bodyOctets
        touches = request.touches
    }

    func fail(_ failure: EngineFailure) {
        completion(request.items.map { _ in .failed(failure) })
    }
}

/// A list of jobs with its totals.
struct JobQueue: Sendable {
    private(set) var jobs: [Job] = []
    private var first = 0
    private(set) var octets = 0
    private(set) var touches = 0
    var count: Int { jobs.count - first }
    var isEmpty: Bool { count == 0 }

    mutating func append(_ job: Job) {
        jobs.append(job)
        octets += job.octets
        touches += job.touches
    }

    /// Takes jobs in order up to the limits of a batch, at least one.
    mutating func take(_ options: EngineOptions) -> [Job] {
        var taken: [Job] = []
        var takenOctets = 0
        var takenTouches = 0
        while first < jobs.count {
            let job = jobs[first]
            let fits =
                taken.count < options.batchRequestsMax && takenOctets + job.octets <= options.batchOctetsMax
                && takenTouches + job.touches <= options.batchTouchesMax
            guard taken.isEmpty || fits else { break }
            taken.append(job)
            takenOctets += job.octets
            takenTouches += job.touches
            first += 1
        }
        octets -= takenOctets
        touches -= takenTouches
        if first == jobs.count {
            jobs.removeAll(keepingCapacity: true)
            first = 0
        } else if first > 1024 {
            jobs.removeFirst(first)
            first = 0
        }
        return taken
    }
}
