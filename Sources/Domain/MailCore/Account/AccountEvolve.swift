// Account events folded: status, credentials, addresses, quota, settings.
import MailTypes

func foldAccount(
    _ event: Event, at context: EventContext, head: inout AccountHead, in state: any StateEditor
) throws(StateFault) {
    let account = context.account
    switch event {
    case .accountCreated(let event):
        head.quota = event.quota
        head.retention = event.retention
        let next = AccountID(account.rawValue + 1)
        if try state.nextAccount() < next { try state.setNextAccount(next) }
    case .accountStatusSet(let status):
        head.status = status
    case .credentialSet(let row):
        head.nextCredential = max(head.nextCredential, row.id + 1)
        // An event has no last use; another form of the same credential keeps what it had.
        var row = row
        row.lastUsed = try state.credentials(account).first { $0.id == row.id }?.lastUsed
        try state.setCredential(account, row)
    case .credentialRevoked(let id):
        try state.removeCredential(account, id: id)
    case .credentialUsed(let id):
        if var row = try state.credentials(account).first(where: { $0.id == id }) {
            row.lastUsed = context.time
            try state.setCredential(account, row)
        }
    case .addressAdded(let row):
        head.nextAddress = max(head.nextAddress, row.id + 1)
        try state.setAddress(account, row)
        try state.setOwner(ofAddress: row.directoryKey, account)
    case .addressRemoved(let id):
        if let row = try state.addresses(account).first(where: { $0.id == id }) {
            try state.setOwner(ofAddress: row.directoryKey, nil)
        }
        try state.removeAddress(account, id: id)
    case .quotaSet(let quota):
        head.quota = quota
    case .sessionOpened: break
    case .settingSet(let key, let value):
        try state.setSetting(account, key, value)
    case .retentionPolicySet(let retention):
        head.retention = retention
    default:
        throw .inconsistent("not an account event")
    }
}

extension AddressRow {
    /// The form under which the directory finds it: as the event has it, whatever form addresses get now.
    package var directoryKey: String { address.lowercased() }
}
