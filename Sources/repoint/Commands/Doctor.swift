import ArgumentParser
import Glibc
import Refresh

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what this machine allows, and what each lack costs.",
        discussion: "The exit code is 3 where repoint cannot work here at all.")

    @OptionGroup var output: OutputOptions

    func run() throws {
        let report = MachineReport()
        if output.json {
            print(try jsonDocument(report))
        } else {
            Console.write(table(report).text, to: STDOUT_FILENO)
        }
        throw ExitCode((report.isUsable ? ExitStatus.done : .notPermitted).rawValue)
    }

    private func table(_ report: MachineReport) -> Table {
        var table = Table(["WHAT", "VERDICT", "FOUND"], width: Console.width, isColoured: Console.isColoured)
        for finding in report.findings {
            let colour: Table.Colour =
                switch finding.verdict {
                case .good: .good
                case .limited: .notable
                case .missing: .bad
                }
            table.add(
                [.init(finding.subject), .init(finding.verdict.rawValue, colour), .init(finding.found)],
                remarks: finding.cost.map { [.init($0, .notable)] } ?? [])
        }
        return table
    }
}
