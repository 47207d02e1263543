/// The sizes this room enforces before the C library is asked.
package enum Limits {
    /// The longest key, in octets. It is what the library is built with; `Environment` checks that at open.
    package static let keyOctetsMax = 511
    /// The address space one environment reserves by default, in octets (1 TiB). It costs nothing until it is filled.
    package static let mapOctets = 1 << 40
    /// Read transactions that may be open at once, by default.
    package static let readersMax: UInt32 = 1_024
    /// Named databases of one environment, by default. Each one adds work to the begin of every transaction.
    package static let databasesMax: UInt32 = 16
}
