/// Text in columns, as wide as they need be, with remarks below a row.
struct Table {
    enum Colour: String {
        case plain = ""
        case good = "32"
        case bad = "31"
        case dull = "2"
        case notable = "33"
    }

    struct Cell {
        let text: String
        let colour: Colour

        init(_ text: String, _ colour: Colour = .plain) {
            self.text = text
            self.colour = colour
        }
    }

    private struct Row {
        let cells: [Cell]
        let remarks: [Cell]
    }

    private let header: [String]
    private var rows: [Row] = []
    private let width: Int
    private let isColoured: Bool

    init(_ header: [String], width: Int, isColoured: Bool) {
        self.header = header
        self.width = width
        self.isColoured = isColoured
    }

    mutating func add(_ cells: [Cell], remarks: [Cell] = []) {
        rows.append(Row(cells: cells, remarks: remarks))
    }

    /// The table as text, each line at most as wide as asked for.
    var text: String {
        let widths = header.indices.map { column in
            max(header[column].count, rows.map { $0.cells[column].text.count }.max() ?? 0)
        }
        var lines = [line(header.map { Cell($0, .dull) }, widths)]
        for row in rows {
            lines.append(line(row.cells, widths))
            for remark in row.remarks {
                lines += Table.wrap(remark.text, to: width - 8).map { paint(Cell("        " + $0, remark.colour)) }
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func line(_ cells: [Cell], _ widths: [Int]) -> String {
        var room = width
        var text = ""
        for (index, cell) in cells.enumerated() {
            guard room > 0 else { break }
            let isLast = index == cells.count - 1
            var shown = cell.text
            if shown.count > room { shown = String(shown.prefix(max(0, room - 1))) + "…" }
            let padding = isLast ? 0 : min(max(0, widths[index] + 2 - shown.count), max(0, room - shown.count))
            text += paint(Cell(shown, cell.colour)) + String(repeating: " ", count: padding)
            room -= shown.count + padding
        }
        return text.trimmingSuffix { $0 == " " }
    }

    private func paint(_ cell: Cell) -> String {
        guard isColoured, cell.colour != .plain, !cell.text.isEmpty else { return cell.text }
        return "\u{1b}[\(cell.colour.rawValue)m\(cell.text)\u{1b}[0m"
    }

    /// Breaks a text at spaces.
    static func wrap(_ text: String, to width: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty && line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return line.isEmpty ? lines : lines + [line]
    }
}

extension String {
    fileprivate func trimmingSuffix(while condition: (Character) -> Bool) -> String {
        var text = self
        while let last = text.last, condition(last) { text.removeLast() }
        return text
    }
}
