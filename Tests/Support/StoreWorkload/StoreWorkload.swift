// The program that the recovery tests run, record, disturb and kill: a store under a seeded load, and the checks that
// say afterwards whether it kept its promises. A process of its own, because a test of a crash needs one to crash, and
// because reading a damaged database may end the process that does it.
//
//     StoreWorkload run DIR JOURNAL [name=value ...]     a load; every acknowledged command becomes a line of JOURNAL
//     StoreWorkload check                                reads "DIR JOURNAL OCTETS" lines, answers each with a verdict
//     StoreWorkload inspect                              reads "DIR DIGEST" lines, answers each (see Inspection.swift)
//     StoreWorkload digest DIR                           prints the digest of all that a store says
//     StoreWorkload import DIR JOURNAL SOURCE [STEP N]   an import (see ImportWorkload.swift), killed at a step's nth passing
//     StoreWorkload import-check                         reads "DIR JOURNAL OCTETS SOURCE DIGEST" lines, answers each
//     StoreWorkload damage DIR KIND                      changes the database behind the store's back
//     StoreWorkload maildir DIR JOURNAL [kill=STEP:NTH]  a store with its Maildir tree (see MaildirStory.swift)
//     StoreWorkload maildir-check                        reads "DIR JOURNAL OCTETS BOOT NUMBERS" lines, answers each
import Glibc

@main
struct StoreWorkload {
    static func main() async {
        let arguments = CommandLine.arguments.dropFirst()
        switch (arguments.first, arguments.count) {
        case ("run", 3...):
            let rest = Array(arguments.dropFirst())
            await Workload.main(directory: rest[0], journal: rest[1], settings: Array(rest.dropFirst(2)))
        case ("check", 1):
            answerLines { words in
                guard words.count == 3, let octets = Int(words[2]) else { return "usage: DIR JOURNAL OCTETS" }
                return Check.verdict(directory: words[0], journal: words[1], promisedOctets: octets)
            }
        case ("inspect", 1):
            answerLines { words in
                guard words.count == 2 else { return "usage: DIR DIGEST" }
                return Inspection.verdict(directory: words[0], digest: words[1])
            }
        case ("digest", 2): say(Inspection.digest(directory: arguments.last ?? ""))
        case ("import", 4...):
            let rest = Array(arguments.dropFirst())
            ImportWorkload.main(directory: rest[0], journal: rest[1], source: rest[2], stop: Array(rest.dropFirst(3)))
        case ("import-check", 1):
            answerLines { words in
                guard words.count == 5, let octets = Int(words[2]) else {
                    return "usage: DIR JOURNAL OCTETS SOURCE DIGEST"
                }
                return ImportWorkload.verdict(
                    directory: words[0], journal: words[1], promisedOctets: octets, source: words[3], digest: words[4])
            }
        case ("damage", 3):
            let rest = Array(arguments.dropFirst())
            exit(Damage.apply(rest[1], directory: rest[0]))
        case ("maildir", 3...):
            let rest = Array(arguments.dropFirst())
            MaildirStory.main(directory: rest[0], journal: rest[1], settings: Array(rest.dropFirst(2)))
        case ("maildir-check", 1):
            answerLines { words in
                guard words.count == 5, let octets = Int(words[2]) else {
                    return "usage: DIR JOURNAL OCTETS BOOT NUMBERS"
                }
                return MaildirTreeCheck.verdict(
                    words[0], journal: words[1], promisedOctets: octets, boot: words[3] == "-" ? nil : words[3],
                    numbers: numbers(words[4]))
            }
        default:
            say("usage: see the head of StoreWorkload.swift", on: 2)
            exit(2)
        }
    }

    /// Pairs of numbers, one a line; none for `-`.
    private static func numbers(_ path: String) -> [UInt64: UInt64] {
        var found: [UInt64: UInt64] = [:]
        for line in String(decoding: readFile(path) ?? [], as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ").compactMap { UInt64($0) }
            if words.count == 2 { found[words[0]] = words[1] }
        }
        return found
    }

    private static func answerLines(_ answer: ([String]) -> String) {
        while let line = readLine() {
            say(answer(line.split(separator: " ").map(String.init)).replacing("\n", with: " "))
        }
    }
}

/// Writes a line at once: a buffer would be lost with the process.
func say(_ text: String, on descriptor: Int32 = 1) {
    let bytes = Array((text + "\n").utf8)
    _ = write(descriptor, bytes, bytes.count)
}
