import MailTypes
import MessageAuthentication
import Synchronization

/// The DNS: TXT records by name, and a count of questions. `isSilent`: answers never come.
final class MemoryNames: MailNames {
    let texts: [String: String]
    let isSilent: Bool
    private let count = Atomic<Int>(0)
    var questions: Int { count.load(ordering: .sequentiallyConsistent) }

    init(_ texts: [String: String], isSilent: Bool = false) {
        self.texts = texts
        self.isSilent = isSilent
    }

    func texts(of name: String) async -> NameAnswer<[UInt8]> {
        count.add(1, ordering: .sequentiallyConsistent)
        if isSilent { try? await Task.sleep(for: .seconds(3_600)) }
        return texts[name].map { .found([Array($0.utf8)]) } ?? .noName
    }
    func addresses(of name: String, isV6: Bool) async -> NameAnswer<IPAddress> { .noName }
    func exchangers(of name: String) async -> NameAnswer<String> { .noName }
    func pointers(of address: IPAddress) async -> NameAnswer<String> { .noName }
}
