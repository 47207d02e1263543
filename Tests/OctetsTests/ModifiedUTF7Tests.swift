import Octets
import Testing

/// Expected values: RFC 3501 section 5.1.3, and names that mail clients have been seen to use.
@Suite struct ModifiedUTF7Tests {
    static let pairs: [(String, String)] = [
        ("", ""),
        ("INBOX", "INBOX"),
        ("~peter/mail/\u{53F0}\u{5317}/\u{65E5}\u{672C}\u{8A9E}", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("Tom & Jerry", "Tom &- Jerry"),
        ("Entw\u{FC}rfe", "Entw&APw-rfe"),
        ("\u{153}uvre", "&AVM-uvre"),
        ("&\u{E9}&", "&-&AOk-&-"),
        ("\u{1F4E7}", "&2D3c5w-"),
        ("a\u{7F}b", "a&AH8-b"),
        ("\u{442}\u{435}\u{441}\u{442}", "&BEIENQRBBEI-"),
    ]

    @Test(arguments: pairs) func encodes(_ pair: (String, String)) {
        #expect(ModifiedUTF7.encode(pair.0) == pair.1)
    }

    @Test(arguments: pairs) func decodes(_ pair: (String, String)) {
        #expect(ModifiedUTF7.decode(pair.1) == pair.0)
    }

    @Test(arguments: [
        "&", "a&", "&AOk", "&AOk=-", "&A-", "&AO-", "&AOl-", "&AGE-", "&U,BTFw-&ZeVnLIqe-", "\u{E9}", "a\u{9}b",
        "&2D0-",
        "&3Oc-", "&/-", "&AOkA-",
    ]) func refuses(_ name: String) {
        #expect(ModifiedUTF7.decode(name) == nil)
    }

    @Test func everyScalarComesBack() {
        for value in stride(from: UInt32(0), to: 0x11_0000, by: 251) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = "x\(scalar)\(scalar)&\(scalar)-"
            #expect(ModifiedUTF7.decode(ModifiedUTF7.encode(text)) == text)
        }
    }
}
