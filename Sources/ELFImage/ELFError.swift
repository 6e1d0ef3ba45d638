import LinuxProcess

/// An ELF image that could not be read as one.
public struct ELFError: Error, Sendable, CustomStringConvertible {
    /// The image's path, as its process has it.
    public let image: String
    /// What is wrong with it.
    public let problem: String

    public init(image: String, problem: String) {
        self.image = image
        self.problem = problem
    }

    public var description: String { "\(image): \(problem)" }
}
