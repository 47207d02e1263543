/// Limits of the body store. Each is the largest value that is still accepted, or the size at which something happens.
package enum BodyLimits {
    /// What is handed to one write, and what a source hands out at once.
    package static let runOctetsMax = 1 << 20
    /// Bodies up to this size stay in memory until they are staged; larger ones go through a file without a name.
    package static let memoryBodyOctetsMax = 1 << 20
    /// Pieces a body in memory is kept in, so that growing it copies little.
    package static let memoryChunkOctets = 64 << 10
    /// What a spool gathers before it writes to its file.
    package static let spoolRunOctets = 256 << 10
    /// Segments kept open for readers. An open body keeps its own segment open beyond that.
    package static let openSegmentsMax = 64
    /// A segment takes whole blocks of this size.
    package static let blockOctets = 4096
    /// The smallest segment worth having: a file header and a block.
    package static let segmentOctetsMin = 2 * blockOctets
    /// Zeros that are written and flushed in one go while a segment is prepared, so that other flushes get their turn.
    package static let zeroStepOctets = 4 << 20
    /// How far ahead of the next number a number behind the tail may be and still be believed.
    package static let blobNumbersAheadMax: UInt64 = 1 << 24
}
