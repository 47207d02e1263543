import MailCore
import MailTypes
import Projections
import Testing

@Suite("Maildir names")
struct NameTests {
    @Test(
        "a name comes back from its text",
        arguments: [
            ("1234567890.V5f5e1000U1E1.letterlog,S=17,W=17", nil as String?),
            ("-1.V1U2E3.h,S=0,W=0:2,", ""),
            (
                "0.VffffffffUffffffffEffffffffffffffff.a-b_c.d,S=4294967295,W=4294967295:2,DFPRSTabz",
                "DFPRSTabz"
            ),
        ])
    func parses(_ pair: (String, String?)) throws {
        let file = try #require(MaildirFile(parsing: pair.0.utf8))
        #expect(file.letters?.text == pair.1)
        #expect(file.isCanonical)
        #expect(file.letters.map { file.name.text($0) } ?? file.name.base == pair.0)
    }

    @Test(
        "letters of other programs are kept apart from ours",
        arguments: [
            (":2,SF", "FS"), (":2,SS", "S"), (":2,SX", "S"), (":2,S-", "S"), (":2,aS", "Sa"),
        ])
    func letters(_ pair: (String, String)) throws {
        let file = try #require(MaildirFile(parsing: ("1.V1U1E1.h,S=1,W=1" + pair.0).utf8))
        #expect(file.letters?.text == pair.1)
        #expect(!file.isCanonical)
    }

    @Test(
        "what others call their files is not ours",
        arguments: [
            "", ".", "1", "1700000000.M1P2.host:2,S", "1.V1U1E1.h,S=1,W=2:2,", "1.V1U1E1.h,S=1:2,S",
            "1.V1U0E1.h,S=1,W=1",
            "1.V0U1E1.h,S=1,W=1", "1.V01U1E1.h,S=1,W=1", "1.V1UAE1.h,S=1,W=1", "01.V1U1E1.h,S=1,W=1",
            "-0.V1U1E1.h,S=1,W=1",
            "1.V1U1E1.,S=1,W=1", "1.V1U1E1.h,S=1,W=1:1,S", "1.V1U1E1.h,S=1,W=1x", "1.V100000000U1E1.h,S=1,W=1",
            "1.V1U1E10000000000000000.h,S=1,W=1", "1.V1U1E1.h,S=4294967296,W=4294967296",
            "99999999999999999999.V1U1E1.h,S=1,W=1",
        ])
    func refuses(_ name: String) { #expect(MaildirFile(parsing: name.utf8) == nil) }

    @Test("any bytes are a name or none")
    func anyBytes() {
        let whole = Array("1234567890.V5f5e1000U1E1.letterlog,S=17,W=17:2,DFSab".utf8)
        for cut in 0...whole.count {
            for octet in [0, 0x2E, 0x3A, 0x39, 0x66, 0xFF] as [UInt8] {
                var bytes = whole
                if cut < bytes.count { bytes[cut] = octet } else { bytes.append(octet) }
                if let file = MaildirFile(parsing: bytes), file.isCanonical, let letters = file.letters {
                    #expect(Array(file.name.text(letters).utf8) == bytes)
                }
                _ = MaildirFile(parsing: bytes[..<cut])
            }
        }
    }

    private static let letterCases: [(SystemFlags, UInt64, Bool, String)] = [
        (.all, 0, false, "DFRST"), ([], 0b101, false, "ac"), (.seen, 1 << 25, true, "PSz"),
        ([], 1 << 26 | 1 << 63, false, ""),
    ]

    @Test("flags and keywords to letters", arguments: letterCases)
    func letterTable(_ row: (SystemFlags, UInt64, Bool, String)) {
        #expect(MaildirLetters(row.0, keywords: row.1, forwarded: row.2).text == row.3)
    }
}
