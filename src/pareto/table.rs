//! The table of a benchmark: architectures with the accuracy that each was measured to have.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

/// The column of architecture strings.
const ARCH: &str = "arch";
/// Most rows that one warning names.
const FEW: usize = 4;

/// Architectures with accuracies, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// One for each architecture, at least one.
    pub rows: Vec<TableRow>,
    /// The column that the accuracies are of.
    pub column: String,
    /// Rows without an accuracy: they are left out.
    pub empty: Vec<u64>,
    /// Rows that say again what a row before them says: they are left out.
    pub repeated: Vec<Repeated>,
}

/// An architecture and its accuracy.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow {
    /// Line of the file.
    pub line: u64,
    /// Architecture string.
    pub arch: String,
    /// Percent, 0 to 100.
    pub accuracy: f64,
}

/// A row that repeats another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated {
    /// Its line.
    pub line: u64,
    /// The line of the row that counts.
    pub first: u64,
}

/// Why a file is no table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The system refuses.
    #[error("{origin} cannot be read: {source}")]
    Read {
        /// The file.
        origin: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no CSV, or a row is shorter or longer than the header.
    #[error("{origin}: {reason}")]
    Form {
        /// The file.
        origin: String,
        /// The rule that is broken, with the line.
        reason: String,
    },
    /// A column is not there.
    #[error("{origin}: a table needs a column `{column}`, this one has {there}{hint}", hint = hint(column))]
    Column {
        /// The file.
        origin: String,
        /// What is needed.
        column: String,
        /// What there is.
        there: String,
    },
    /// A column is there twice.
    #[error("{origin}: the column `{column}` is there twice")]
    SameColumn {
        /// The file.
        origin: String,
        /// The column.
        column: String,
    },
    /// No row has an accuracy.
    #[error("{origin}: a table needs a row with an accuracy, this one has none in {rows} row{}", if *.rows == 1 { "" } else { "s" })]
    Empty {
        /// The file.
        origin: String,
        /// Rows below the header.
        rows: usize,
    },
    /// A row without an architecture, or with an accuracy that is none.
    #[error("{origin}, line {line}: {reason}")]
    Row {
        /// The file.
        origin: String,
        /// The line.
        line: u64,
        /// The rule that is broken, and what was given.
        reason: String,
    },
    /// Two rows do not agree.
    #[error(
        "{origin}, line {line}: `{arch}` has the accuracy {given}, and {other} in line {first}; \
         an architecture has one accuracy: leave one of them out, or their mean"
    )]
    Contradiction {
        /// The file.
        origin: String,
        /// The later line.
        line: u64,
        /// The architecture.
        arch: String,
        /// Its accuracy there.
        given: f64,
        /// Its accuracy before.
        other: f64,
        /// The line of that.
        first: u64,
    },
}

fn hint(column: &str) -> &'static str {
    if column == ARCH { "" } else { "; another is named by --accuracy-column" }
}

impl Table {
    /// The column of accuracies unless another is asked for.
    pub const ACCURACY: &'static str = "mean_acc";

    /// Reads the CSV file at `path`: the columns `arch` and `column`, an accuracy in percent; others are passed over.
    ///
    /// # Errors
    /// As [`Table::parse`], and [`TableError::Read`] where the system refuses.
    pub fn load(path: &Path, column: &str) -> Result<Self, TableError> {
        let origin = path.display().to_string();
        let file = std::fs::File::open(path).map_err(|source| TableError::Read { origin: origin.clone(), source })?;
        Self::parse(file, &origin, column)
    }

    /// As [`Table::load`], from what can be read; `origin` names it in errors.
    ///
    /// A row without an accuracy, and one that repeats an architecture with the same accuracy, is left out and named in
    /// the result.
    ///
    /// # Errors
    /// [`TableError`] with the line: no CSV, a missing column, no row, no architecture, an accuracy outside 0 to 100,
    /// two accuracies of one architecture.
    pub fn parse(text: impl Read, origin: &str, column: &str) -> Result<Self, TableError> {
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text);
        let header = reader.headers().map_err(|error| refused(error, origin))?.clone();
        let places = [ARCH, column].map(|name| place(&header, name, origin));
        let [arch, accuracy] = places;
        let mut rows =
            Rows { origin, column, places: [arch?, accuracy?], seen: HashMap::new(), table: Self::of(column) };
        let mut record = StringRecord::new();
        let mut count = 0;
        while reader.read_record(&mut record).map_err(|error| refused(error, origin))? {
            count += 1;
            rows.take(&record)?;
        }
        if rows.table.rows.is_empty() {
            return Err(TableError::Empty { origin: origin.to_owned(), rows: count });
        }
        Ok(rows.table)
    }

    fn of(column: &str) -> Self {
        Self { rows: Vec::new(), column: column.to_owned(), empty: Vec::new(), repeated: Vec::new() }
    }

    /// What was left out, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.empty.is_empty() {
            let lines: Vec<String> = self.empty.iter().map(u64::to_string).collect();
            let named = some_of(&lines);
            warnings.push(format!(
                "{} no `{}` and {} left out: line {named}",
                counted(lines.len(), ["has", "have"]),
                self.column,
                if lines.len() == 1 { "is" } else { "are" }
            ));
        }
        if !self.repeated.is_empty() {
            let lines = self.repeated.iter().map(|again| format!("{} (as {})", again.line, again.first));
            let lines: Vec<String> = lines.collect();
            let named = some_of(&lines);
            warnings.push(format!(
                "{} another, and the first counts: line {named}",
                counted(lines.len(), ["repeats", "repeat"])
            ));
        }
        warnings
    }
}

/// `1 row` or `2 rows`, and the verb of one or of several.
fn counted(rows: usize, [one, several]: [&str; 2]) -> String {
    if rows == 1 { format!("1 row {one}") } else { format!("{rows} rows {several}") }
}

/// The first few, and how many more there are.
fn some_of(names: &[String]) -> String {
    let few = names.iter().take(FEW).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > FEW { format!("{few} and {} more", names.len() - FEW) } else { few }
}

/// A table that is being read.
struct Rows<'a> {
    origin: &'a str,
    column: &'a str,
    places: [usize; 2],
    /// By architecture, its place in the table.
    seen: HashMap<String, usize>,
    table: Table,
}

impl Rows<'_> {
    fn take(&mut self, record: &StringRecord) -> Result<(), TableError> {
        let line = record.position().map_or(0, csv::Position::line);
        let [arch, accuracy] = self.places.map(|place| record.get(place).unwrap_or_default());
        let wrong = |reason| TableError::Row { origin: self.origin.to_owned(), line, reason };
        if arch.is_empty() {
            return Err(wrong(format!("`{ARCH}` must be an architecture string, got nothing")));
        }
        if accuracy.is_empty() {
            self.table.empty.push(line);
            return Ok(());
        }
        let number = accuracy.parse().ok().filter(|number| (0.0..=100.0).contains(number));
        let Some(accuracy) = number else {
            let rule = "must be an accuracy in percent from 0 to 100";
            return Err(wrong(format!("`{}` {rule}, got `{accuracy}`", self.column)));
        };
        self.add(TableRow { line, arch: arch.to_owned(), accuracy })
    }

    fn add(&mut self, row: TableRow) -> Result<(), TableError> {
        let Some(&place) = self.seen.get(&row.arch) else {
            self.seen.insert(row.arch.clone(), self.table.rows.len());
            self.table.rows.push(row);
            return Ok(());
        };
        let TableRow { line: first, accuracy: other, .. } = self.table.rows[place];
        let TableRow { line, arch, accuracy: given } = row;
        if given.to_bits() != other.to_bits() {
            return Err(TableError::Contradiction { origin: self.origin.to_owned(), line, arch, given, other, first });
        }
        self.table.repeated.push(Repeated { line, first });
        Ok(())
    }
}

fn place(header: &StringRecord, column: &str, origin: &str) -> Result<usize, TableError> {
    let mut places = (0..header.len()).filter(|&place| &header[place] == column);
    let [origin, column] = [origin, column].map(str::to_owned);
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        (Some(_), Some(_)) => Err(TableError::SameColumn { origin, column }),
        (None, _) => {
            let names: Vec<String> = header.iter().map(|name| format!("`{name}`")).collect();
            let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            Err(TableError::Column { origin, column, there })
        }
    }
}

fn refused(error: csv::Error, origin: &str) -> TableError {
    let origin = origin.to_owned();
    let line = error.position().map(csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("a row has as many fields as the header, {expected_len}, got {len}")
        }
        csv::ErrorKind::Utf8 { .. } => "a table is UTF-8 text".to_owned(),
        csv::ErrorKind::Io(_)
        | csv::ErrorKind::Seek
        | csv::ErrorKind::Serialize(_)
        | csv::ErrorKind::Deserialize { .. } => {
            return match error.into_kind() {
                csv::ErrorKind::Io(source) => TableError::Read { origin, source },
                other => TableError::Form { origin, reason: format!("{other:?}") },
            };
        }
        other => format!("{other:?}"),
    };
    match line {
        Some(line) => TableError::Row { origin, line, reason },
        None => TableError::Form { origin, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Table, TableError> {
        Table::parse(text.as_bytes(), "table.csv", Table::ACCURACY)
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_table_is_read_in_its_order_and_other_columns_are_passed_over() {
        let table = parse("\u{feff}flops,mean_acc,arch\n1, 93.5 ,021\n2,0,\"|a~0|\"\n").unwrap();
        let rows = [(2, "021", 93.5), (3, "|a~0|", 0.0)];
        let expected = rows.map(|(line, arch, accuracy)| TableRow { line, arch: arch.to_owned(), accuracy });
        assert_eq!(table.rows, expected);
        assert_eq!((table.column.as_str(), table.warnings()), ("mean_acc", Vec::new()));
    }

    #[test]
    fn another_column_of_accuracies_may_be_asked_for() {
        let text = "arch,mean_acc,valid\n0,90,80\n";
        assert_eq!(Table::parse(text.as_bytes(), "table.csv", "valid").unwrap().rows[0].accuracy, 80.0);
        let error = Table::parse(text.as_bytes(), "table.csv", "best").unwrap_err().to_string();
        let wanted = "table.csv: a table needs a column `best`, this one has `arch`, `mean_acc`, `valid`; another is named by --accuracy-column";
        assert_eq!(error, wanted);
    }

    #[test]
    fn a_missing_column_is_named_with_those_that_there_are() {
        assert_eq!(
            message("name,mean_acc\n0,1\n"),
            "table.csv: a table needs a column `arch`, this one has `name`, `mean_acc`"
        );
        assert_eq!(message(""), "table.csv: a table needs a column `arch`, this one has nothing");
        assert_eq!(message("arch,mean_acc,arch\n"), "table.csv: the column `arch` is there twice");
    }

    #[test]
    fn accuracies_are_percentages() {
        let rule = "table.csv, line 3: `mean_acc` must be an accuracy in percent from 0 to 100, got";
        for given in ["100.5", "-1", "NaN", "inf", "good"] {
            assert_eq!(message(&format!("arch,mean_acc\n0,100\n1,{given}\n")), format!("{rule} `{given}`"));
        }
    }

    #[test]
    fn rows_that_say_nothing_new_are_left_out_and_named() {
        let table = parse("arch,mean_acc\n0,90\n1,\n0,90.0\n2,91\n").unwrap();
        assert_eq!(table.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(table.empty, [3]);
        assert_eq!(table.repeated, [Repeated { line: 4, first: 2 }]);
        let wanted = [
            "1 row has no `mean_acc` and is left out: line 3",
            "1 row repeats another, and the first counts: line 4 (as 2)",
        ];
        assert_eq!(table.warnings(), wanted);
    }

    #[test]
    fn two_accuracies_of_one_architecture_contradict_each_other() {
        let wanted = "table.csv, line 4: `0` has the accuracy 91, and 90 in line 2; an architecture has one accuracy: leave one of them out, or their mean";
        assert_eq!(message("arch,mean_acc\n0,90\n1,5\n0,91\n"), wanted);
    }

    #[test]
    fn a_table_without_a_row_is_refused() {
        assert_eq!(
            message("arch,mean_acc\n"),
            "table.csv: a table needs a row with an accuracy, this one has none in 0 rows"
        );
        assert_eq!(
            message("arch,mean_acc\n0,\n"),
            "table.csv: a table needs a row with an accuracy, this one has none in 1 row"
        );
    }

    #[test]
    fn a_broken_row_is_named_by_its_line() {
        let fields = "table.csv, line 3: a row has as many fields as the header, 2, got 3";
        assert_eq!(message("arch,mean_acc\n0,1\n1,2,3\n"), fields);
        let error = Table::parse(&b"arch,mean_acc\n0,1\n\xff,2\n"[..], "table.csv", "mean_acc").unwrap_err();
        assert_eq!(error.to_string(), "table.csv, line 3: a table is UTF-8 text");
        assert_eq!(
            message("arch,mean_acc\n,1\n"),
            "table.csv, line 2: `arch` must be an architecture string, got nothing"
        );
    }
}
