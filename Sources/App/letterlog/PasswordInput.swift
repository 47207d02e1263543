import Foundation
import Glibc
import Server

/// Where passwords come from: the first line of standard input, or a terminal that does not show them.
enum PasswordInput {
    /// - Parameters:
    ///   - fromInput: whether `--password-stdin` was given.
    ///   - confirms: a new password is asked for twice.
    static func read(fromInput: Bool, confirms: Bool = true) throws -> [UInt8] {
        if fromInput { return try firstLine() }
        guard isatty(STDIN_FILENO) == 1 else {
            throw AdministrationFailure("no terminal to ask for the password; use --password-stdin", .usage)
        }
        let first = try ask("Password: ")
        guard confirms else { return first }
        guard try ask("Again: ") == first else { throw AdministrationFailure("the two passwords differ", .usage) }
        return first
    }

    private static func firstLine() throws -> [UInt8] {
        var line: [UInt8] = []
        var octet: UInt8 = 0
        while true {
            let count = Glibc.read(STDIN_FILENO, &octet, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1, octet != 0x0A else { break }
            line.append(octet)
            // One more than is allowed, so that the length is refused by the one who knows the limit.
            guard line.count <= ServerLimits.passwordOctetsMax + 1 else { break }
        }
        if line.last == 0x0D { line.removeLast() }
        return line
    }

    private static func ask(_ prompt: String) throws -> [UInt8] {
        var old = termios()
        guard tcgetattr(STDIN_FILENO, &old) == 0 else {
            throw AdministrationFailure("the terminal does not answer", .failed)
        }
        var silent = old
        silent.c_lflag &= ~tcflag_t(ECHO)
        FileHandle.standardError.write(Data(prompt.utf8))
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &old)
            FileHandle.standardError.write(Data("\n".utf8))
        }
        return try firstLine()
    }
}
