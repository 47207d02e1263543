import POP3

extension POP3Session {
    /// LIST and UIDL of the whole maildrop.
    func list(_ listing: POP3Listing) {
        transfer = Transfer(source: .listing(listing))
        sendOn()
    }

    func sendPart(of listing: POP3Listing) {
        var listing = listing
        var part: [UInt8] = []
        listing.append(to: &part, octetsMax: GatewayLimits.listingChunkOctets)
        connection.write(part)
        if listing.isComplete { return endTransfer() }
        transfer?.source = .listing(listing)
    }
}
