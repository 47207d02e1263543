// Stored records of every release, read for ever.
//
// `LETTERLOG_WRITE_FIXTURES=1 swift test --filter FixtureTests` writes files for samples that have none. It never
// overwrites: a fixture that no longer reads is a format that has been broken.
import EventFormat
import Foundation
import MailCore
import MailTypes
import Octets
import Testing

@Suite struct FixtureTests {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("fixtures/events")

    static func names() -> [String] {
        if ProcessInfo.processInfo.environment["LETTERLOG_WRITE_FIXTURES"] == "1" {
            do { try write() } catch { Issue.record(error) }
        }
        let files = FileManager.default.enumerator(at: directory, includingPropertiesForKeys: nil)
        let paths = (files?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "bin" }
        return paths.map { $0.deletingLastPathComponent().lastPathComponent + "/" + $0.lastPathComponent }.sorted()
    }

    @Test(arguments: names()) func reads(_ name: String) throws {
        let file = Self.directory.appendingPathComponent(name)
        let bytes = [UInt8](try Data(contentsOf: file))
        let expected = try String(
            contentsOf: file.deletingPathExtension().appendingPathExtension("txt"), encoding: .utf8)
        let lsn = try #require(expected.split(separator: "\n").first.flatMap { UInt64($0.dropFirst(5)) })

        let record = try RecordCodec.decode(bytes, lsn: lsn)
        guard case .event(let event) = record.content else {
            Issue.record("not an event")
            return
        }
        let context = EventContext(
            account: record.header.account, aseq: record.header.aseq, time: record.header.time)
        let described = describe(
            event, context, lsn: lsn, previousLSN: record.header.previousLSN, record.origin, record.command,
            retryable: record.retryable, erased: record.isErased, hash: record.hash.description)
        #expect(described == expected)
        #expect(name.hasPrefix(Hex.encode(record.header.type, width: 4) + ".v\(record.header.typeVersion)/"))

        // What is erased cannot be written again.
        if record.isErased { return }
        var salt = Sample.salt
        if record.header.personalOctets > 0 {
            let start = bytes.count - record.header.personalOctets
            salt = bytes.withUnsafeBytes {
                (
                    $0.loadUnaligned(fromByteOffset: start, as: UInt64.self),
                    $0.loadUnaligned(fromByteOffset: start + 8, as: UInt64.self)
                )
            }
        }
        let again = try RecordCodec.encode(
            event, at: context, lsn: lsn, previousLSN: record.header.previousLSN, origin: record.origin,
            command: record.command, retryable: record.retryable, salt: salt)
        #expect(again.bytes == bytes)
        #expect(again.hash == record.hash)
    }

    @Test func coversEveryType() {
        let covered = Set(Self.names().map { $0.prefix(4) })
        for type in EventType.allCases {
            #expect(covered.contains(Substring(Hex.encode(type.rawValue, width: 4))), "no fixture of \(type.name)")
        }
    }

    @Test func everySampleHasItsFixture() throws {
        let names = Set(Self.names())
        for sample in samples {
            let folder = Self.folder(sample)
            #expect(names.contains("\(folder)/\(sample.name).bin"))
            #expect(names.contains("\(folder)/\(sample.name)-erased.bin") == (sample.erased != nil))
        }
    }

    private static func folder(_ sample: Sample) -> String {
        let type = EventType(of: sample.event)
        return Hex.encode(type.rawValue, width: 4) + ".v\(type.version)"
    }

    private static func write() throws {
        for sample in samples {
            let folder = directory.appendingPathComponent(folder(sample))
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let record = try sample.encode()
            try write(
                sample, sample.event, record.bytes, erased: false, record, folder.appendingPathComponent(sample.name))
            guard let erased = sample.erased else { continue }
            let bytes = try RecordCodec.erasingPersonalPart(of: record.bytes, lsn: sample.lsn)
            try write(
                sample, erased, bytes, erased: true, record, folder.appendingPathComponent(sample.name + "-erased"))
        }
    }

    private static func write(
        _ sample: Sample, _ event: Event, _ bytes: [UInt8], erased: Bool, _ record: EncodedRecord, _ file: URL
    ) throws {
        let text = describe(
            event, sample.context, lsn: sample.lsn, previousLSN: sample.previousLSN, sample.origin, sample.command,
            retryable: sample.retryable, erased: erased, hash: record.hash.description)
        let binary = file.appendingPathExtension("bin")
        guard !FileManager.default.fileExists(atPath: binary.path) else { return }
        try Data(bytes).write(to: binary, options: .withoutOverwriting)
        try Data(text.utf8).write(to: file.appendingPathExtension("txt"), options: .withoutOverwriting)
    }
}
