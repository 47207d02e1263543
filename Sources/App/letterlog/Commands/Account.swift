import ArgumentParser

struct Account: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Manage accounts.",
        subcommands: [
            Add.self, ImportAccounts.self, List.self, Show.self, Passwd.self, Password.self, Alias.self, SetQuota.self,
            SetCapabilities.self, SetMaildir.self, Disable.self, Enable.self, Remove.self,
        ])

    func run() throws {
        throw ValidationError(
            "account needs one of add, import, list, show, passwd, password, alias, quota, capabilities, maildir, "
                + "disable, enable, remove")
    }
}
