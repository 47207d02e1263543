// SPF, DMARC and key records of whoever publishes them: an evaluation over a DNS that answers with them everywhere ends,
// within the limits of what it may ask.
//
// Bytes: a record.
import Digests
import Dispatch
import MailTypes
import MessageAuthentication

private struct Everywhere: MailNames {
    // One evaluation runs at a time, and asks one question after the other.
    final class Count: @unchecked Sendable { var questions = 0 }
    let record: [UInt8]
    let count = Count()

    private func asked<Record>(_ records: [Record]) -> NameAnswer<Record> {
        count.questions += 1
        return records.isEmpty ? .noRecords : .found(records)
    }

    func texts(of name: String) async -> NameAnswer<[UInt8]> {
        check(name)
        return asked([record])
    }
    func addresses(of name: String, isV6: Bool) async -> NameAnswer<IPAddress> {
        check(name)
        return asked([IPAddress("192.0.2.77")!])
    }
    func exchangers(of name: String) async -> NameAnswer<String> {
        check(name)
        return asked((0..<9).map { "mx\($0).a.example" })
    }
    func pointers(of address: IPAddress) async -> NameAnswer<String> { asked((0..<40).map { "p\($0).a.example" }) }

    private func check(_ name: String) {
        precondition(name.utf8.count <= 253 + "_dmarc.".utf8.count && !name.hasSuffix(".") && !name.contains(".."))
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSPF(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let names = Everywhere(record: input)
    let question = SPFQuestion(
        client: IPAddress("192.0.2.1")!, sender: Address("user@a.example"), helo: "h.example", receiver: "r.example",
        now: 1)
    wait { _ = await question.verdict(names) }
    // Ten terms, each of at most one question and ten more; the record after each; pointers once; an explanation.
    precondition(names.count.questions <= 10 * 12 + 11 + 22 + 2, "more questions than the limits allow")
    wait {
        var reading = MessageReading(now: 1)
        reading.update(Array("From: a@b.c.a.example\r\n\r\n".utf8))
        _ = await reading.finish().verdict(spf: nil, names)
    }
    for algorithm in SignatureAlgorithm.allCases { _ = try? DKIMKeyRecord(input, for: algorithm) }
    return 0
}

private func wait(_ work: @escaping @Sendable () async -> Void) {
    let done = DispatchSemaphore(value: 0)
    Task {
        await work()
        done.signal()
    }
    done.wait()
}
