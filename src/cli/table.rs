//! Tables as wide as the terminal, or 100 columns where there is none.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use terminal_size::{Width, terminal_size_of};

/// Columns where stdout is no terminal.
const COLUMNS: u16 = 100;
/// A terminal that is narrower is treated as if it were this wide.
const NARROWEST: u16 = 60;

/// The columns of a table.
pub(super) struct Columns<'a> {
    /// What stands above them.
    pub(super) header: &'a [&'a str],
    /// Those that are aligned left; numbers are aligned right.
    pub(super) left: &'a [usize],
    /// The one that gives way where there is no room; the others keep their width.
    pub(super) name: usize,
}

/// A table of rows; its lines have no blanks at their end and close with a newline.
pub(super) fn table(columns: &Columns<'_>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width());
    table.set_header(columns.header.to_vec());
    table.add_rows(rows);
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if place != columns.name {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        column.set_cell_alignment(if columns.left.contains(&place) {
            CellAlignment::Left
        } else {
            CellAlignment::Right
        });
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Names on the left, values behind them.
pub(super) fn list(title: &str, items: &[(&str, String)]) -> String {
    let width = items.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = items.iter().map(|(name, value)| format!("  {name:width$}  {value}\n"));
    std::iter::once(format!("{title}\n")).chain(lines).collect()
}

/// Columns that there are.
pub(super) fn width() -> u16 {
    terminal_size_of(std::io::stdout()).map_or(COLUMNS, |(Width(width), _)| width.max(NARROWEST))
}
