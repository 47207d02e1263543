/// Limits of the engine; each default is what a first run gets.
package struct EngineOptions: Sendable {
    /// Requests waiting; one more is answered `.busy`.
    package var queueRequestsMax = 4096
    /// Octets of bodies waiting.
    package var queueOctetsMax = 64 << 20
    /// Requests in one batch.
    package var batchRequestsMax = 512
    /// Octets of bodies in one batch; one larger body makes a batch of its own.
    package var batchOctetsMax = 16 << 20
    /// Messages touched by one batch, so that one client's large command does not hold up the others.
    package var batchTouchesMax = 4096
    /// Octets of the UID maps that are kept of mailboxes which were looked at lately.
    package var indexOctetsMax = 64 << 20
    /// Without requests for that long the writer does what the store has put off.
    package var settleNanoseconds = 200_000_000
    /// Octets of one message body.
    package var bodyOctetsMax = 150_000_000
    /// Bodies up to this many octets are received in memory, larger ones in an unlinked file.
    package var spoolThresholdOctets = 1 << 20
    /// Where such files live; by default inside the store.
    package var spoolDirectory: String
    /// Below this many free octets new mail is refused.
    package var softFreeOctets: UInt64 = 4 << 30
    /// Below this many only deletions and administration are taken.
    package var hardFreeOctets: UInt64 = 1 << 30

    package init(spoolDirectory: String) {
        self.spoolDirectory = spoolDirectory
    }
}
