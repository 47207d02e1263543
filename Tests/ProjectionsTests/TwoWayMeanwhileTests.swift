// Two-way accounts: what the owner of a file does to it while the file becomes a message.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections
import Testing

@Suite("Maildir two-way, meanwhile")
struct TwoWayMeanwhileTests {
    private static let steps: [MaildirStep] = [.treeScanned, .foreignSynced, .adoptionCommitted]

    /// A projection whose tree is changed once, after the first `step` that is passed when `isArmed`.
    private final class Meddling {
        let site: Site
        var isArmed = false
        private let step: MaildirStep
        private let isKilled: Bool
        private let meddle: (Site) throws -> Void

        init(_ step: MaildirStep, isKilled: Bool, _ meddle: @escaping (Site) throws -> Void) throws {
            site = try Site()
            self.step = step
            self.isKilled = isKilled
            self.meddle = meddle
            try site.create("Box")
            try site.setMode(.twoWay)
        }

        func projection() -> MaildirProjection {
            site.projection { [unowned self] step in
                guard isArmed, step == self.step else { return }
                isArmed = false
                try meddle(site)
                if isKilled { throw Crash() }
            }
        }

        /// Looks until quiet, over the crash.
        func settle(_ first: MaildirProjection) throws {
            var projection = first
            isArmed = true
            do {
                try projection.settleImports()
            } catch is Crash {
                projection = self.projection()
                try projection.settleImports()
            }
            #expect(!isArmed)
            try projection.storeCheckpoint()
            #expect(try site.differences(projection) == [])
            let head = try site.head
            try projection.settleImports()
            #expect(try site.head == head)
        }

        /// Looks until quiet when the file of a message has been moved to another folder.
        func settleMoved() throws {
            try site.deliver("one", flags: [.seen])
            let projection = projection()
            try site.settled(projection)
            let name = try site.file("one")
            site.move(name, to: ".Box/" + name)
            try settle(projection)
        }
    }

    @Test("letters that a delivered file gets are the message's", arguments: steps, [false, true])
    func delivered(step: MaildirStep, isKilled: Bool) throws {
        for text in ["crlf\r\n", "lf\n"] {
            let meddling = try Meddling(step, isKilled: isKilled) { $0.move("new/1.one", to: "cur/1.one:2,FS") }
            let projection = meddling.projection()
            try meddling.site.settled(projection)
            try meddling.site.put(text, "new/1.one")
            try meddling.settle(projection)
            let stored = text.hasSuffix("\r\n") ? text : "lf\r\n"
            #expect(try meddling.site.mail() == [stored + "|FS"], "\(step)")
        }
    }

    @Test("letters that a moved file gets or loses are the message's", arguments: steps, [false, true])
    func moved(step: MaildirStep, isKilled: Bool) throws {
        let meddling = try Meddling(step, isKilled: isKilled) { site in
            let name = try site.file("one", in: ".Box")
            site.move(name, to: name.replacing(":2,S", with: ":2,F"))
        }
        try meddling.settleMoved()
        #expect(try meddling.site.mail() == [])
        #expect(try meddling.site.mail("Box") == ["one|F"], "\(step)")
    }

    @Test("where both sides change the message meanwhile, each letter that the state changed is as the state has it")
    func both() throws {
        for text in ["crlf\r\n", "lf\n"] {
            let meddling = try Meddling(.adoptionCommitted, isKilled: true) { site in
                site.move("new/1.one", to: "cur/1.one:2,FS")
                try site.flag([1], .add, [.answered, .seen])
                try site.flag([1], .remove, [.seen])
            }
            let projection = meddling.projection()
            try meddling.site.settled(projection)
            try meddling.site.put(text, "new/1.one")
            try meddling.settle(projection)
            #expect(try meddling.site.mail().map { $0.suffix(3) } == ["|FR"])
        }
    }

    @Test("a file that is moved on to another folder becomes one message, with its letters", arguments: [false, true])
    func movedOn(isKilled: Bool) throws {
        let meddling = try Meddling(.adoptionCommitted, isKilled: isKilled) {
            $0.move("new/1.one", to: ".Box/cur/1.one:2,F")
        }
        let projection = meddling.projection()
        try meddling.site.settled(projection)
        try meddling.site.put("crlf\r\n", "new/1.one")
        try meddling.settle(projection)
        #expect(try meddling.site.mail() + meddling.site.mail("Box") == ["crlf\r\n|F"])
    }

    @Test("a delivered file that is deleted is no message", arguments: steps)
    func deleted(step: MaildirStep) throws {
        for text in ["crlf\r\n", "lf\n"] {
            let meddling = try Meddling(step, isKilled: false) { remove($0.home + "/new/1.one") }
            let projection = meddling.projection()
            try meddling.site.settled(projection)
            try meddling.site.put(text, "new/1.one")
            try meddling.settle(projection)
            #expect(try meddling.site.mail() == [], "\(step)")
            #expect(meddling.site.files() == [])
        }
    }

    @Test("a moved file that is deleted is no message", arguments: steps)
    func movedAndDeleted(step: MaildirStep) throws {
        let meddling = try Meddling(step, isKilled: false) { remove($0.home + "/" + (try $0.file("one", in: ".Box"))) }
        try meddling.settleMoved()
        #expect(try meddling.site.mail() + meddling.site.mail("Box") == [], "\(step)")
    }

    @Test("a delivered file that is saved elsewhere, by a copy and a deletion, is there alone", arguments: steps)
    func saved(step: MaildirStep) throws {
        for text in ["crlf\r\n", "lf\n"] {
            let meddling = try Meddling(step, isKilled: false) { site in
                try site.put(text, ".Box/cur/2.two:2,S")
                remove(site.home + "/new/1.one")
            }
            let projection = meddling.projection()
            try meddling.site.settled(projection)
            try meddling.site.put(text, "new/1.one")
            try meddling.settle(projection)
            let stored = text.hasSuffix("\r\n") ? text : "lf\r\n"
            #expect(try meddling.site.mail() == [], "\(step)")
            #expect(try meddling.site.mail("Box") == [stored + "|S"], "\(step)")
        }
    }

    @Test(
        "a file that was away, so that its message was deleted, is a message when it comes back", arguments: [0, 1, 2])
    func away(looks: Int) throws {
        for text in ["crlf\r\n", "lf\n"] {
            let meddling = try Meddling(.adoptionCommitted, isKilled: false) { $0.move("new/1.one", to: "away") }
            let projection = meddling.projection()
            try meddling.site.settled(projection)
            try meddling.site.put(text, "new/1.one")
            try meddling.settle(projection)
            for _ in 0...looks {
                meddling.site.move("away", to: "cur/1.one:2,F")
                try projection.settleImports()
                let stored = text.hasSuffix("\r\n") ? text : "lf\r\n"
                #expect(try meddling.site.mail() == [stored + "|F"])
                // Away once more, with the octets and under the identity that it had.
                let name = try meddling.site.file(stored)
                if looks == 0 || text != stored { break }
                meddling.site.move(name, to: "away")
                try projection.settleImports()
                #expect(try meddling.site.mail() == [])
            }
        }
    }
}
