internal import COpenSSL

/// What libssl gives out once for the process: a place at its sessions for a pointer of ours, and our kind of transport.
// The pointer is set once and read from then on.
struct LibraryIndexes: @unchecked Sendable {
    static let shared = LibraryIndexes()

    /// At an `SSL`: the `TLSSession`, not retained.
    let session: CInt
    let wireMethod: OpaquePointer

    private init() {
        session = ll_ssl_new_index()
        // Some octets of memory at the first use: without them there is nothing that could go on.
        guard session >= 0, let method = ll_wire_method() else { fatalError("libssl cannot be set up") }
        wireMethod = method
    }
}
