/// Finds where a header ends, however its octets are cut up; nothing behind it is looked at.
package struct HeaderEnd: Sendable {
    private var isLineEmpty = true
    /// Octets that were looked at.
    private var position = 0

    package init() {}

    /// - Parameter octets: the header from its start, longer at each call.
    /// - Returns: how many octets the header has, the empty line included; nil while it is not to be seen.
    package mutating func find(in octets: [UInt8]) -> Int? {
        while position < octets.count {
            let octet = octets[position]
            position += 1
            if octet == 10 {
                if isLineEmpty { return position }
                isLineEmpty = true
            } else if octet != 13 {
                isLineEmpty = false
            }
        }
        return nil
    }
}
