//! YAML text to a value of any type; an error says which file, line, column, and why.

mod ranges;

use std::fmt;
use std::path::{Path, PathBuf};

pub use ranges::Ranges;
use serde::de::DeserializeOwned;
use serde_yaml::{Budget, Options};
pub use serde_yaml::{Location, Spanned};

/// Why a file could not be read as what it should be.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read at all.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is no YAML, or not of the form that is asked for.
    #[error("{origin}{}: {reason}", Place { line: *line, column: *column })]
    Parse {
        /// The file, or what stands for it.
        origin: String,
        /// Line, from 1; 0 where what is wrong stands in no text.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// The rule, and what was given.
        reason: String,
    },
}

/// A place in a text that was read: what a later rule needs to name the line it rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line, from 1; 0 where there is no text.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
}

/// `:line:column`, and nothing where there is no text.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { Ok(()) } else { write!(f, ":{}:{}", self.line, self.column) }
    }
}

impl Place {
    /// Where `value` stands.
    #[must_use]
    pub fn of<T>(value: &Spanned<T>) -> Self {
        Self { line: value.referenced.line(), column: value.referenced.column() }
    }

    /// The error of a rule that a value at this place of `origin` breaks.
    #[must_use]
    pub fn reject(self, origin: &str, reason: impl fmt::Display) -> LoadError {
        LoadError::Parse { origin: origin.to_owned(), line: self.line, column: self.column, reason: reason.to_string() }
    }
}

/// `value` as if it had been read, where no text stands behind it: a default, or what is about to be written.
#[must_use]
pub fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Location::UNKNOWN, Location::UNKNOWN)
}

/// Reads the YAML file at `path` as a `T`.
///
/// # Errors
/// [`LoadError`] where it cannot be read, is no YAML, or is no `T`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, LoadError> {
    parse(&text(path)?, &path.display().to_string())
}

/// The text of the file at `path`.
///
/// # Errors
/// [`LoadError::Read`] where it cannot be read or is not UTF-8.
pub fn text(path: &Path) -> Result<String, LoadError> {
    std::fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })
}

/// Reads `text` as a `T`; `origin` is its name in errors.
///
/// # Errors
/// [`LoadError::Parse`] with the place of what is wrong.
pub fn parse<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, LoadError> {
    serde_yaml::from_str_with_options(text, options(text)).map_err(|error| {
        let place = error.location();
        let error = error.without_snippet();
        // The message ends in its own " at line L, column C"; the place stands in front of it here.
        let mut reason = error.to_string();
        if let Some(end) = reason.rfind(" at line ") {
            reason.truncate(end);
        }
        if let Some(end) = reason.find(", set DuplicateKeyPolicy") {
            reason.truncate(end);
        }
        let (line, column) = place.map_or((1, 1), |p| (p.line(), p.column()));
        if reason.ends_with("rejected by the configured policy") {
            "invalid number: must be finite".clone_into(&mut reason);
        }
        if reason.starts_with("invalid ") && !reason.contains(", expected ") {
            reason = format!("{reason}, got {}", scalar_at(text, line, column));
        }
        LoadError::Parse { origin: origin.to_owned(), line, column, reason }
    })
}

/// The reader's own limits, those on lengths raised to what `text` can hold; those on aliases stay, since a short text
/// of them can stand for any length.
fn options(text: &str) -> Options {
    let least = Budget::default();
    // A byte starts two nodes at most, as each letter of `{a,b}` does; a node has two events at most, its start and end.
    let nodes = text.len().saturating_mul(2);
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: least.max_nodes.max(nodes),
            max_events: least.max_events.max(nodes.saturating_mul(2)),
        },
    }
}

/// The text of the scalar that starts at a place, as far as it tells one value from another.
fn scalar_at(text: &str, line: u64, column: u64) -> String {
    let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).saturating_sub(1);
    let rest = text.lines().nth(index(line)).unwrap_or_default().chars().skip(index(column));
    let scalar: String = rest.take_while(|c| !matches!(c, ',' | ']' | '}' | '#')).collect();
    format!("`{}`", scalar.trim())
}

/// Writes `value` as YAML text.
///
/// # Panics
/// Never for the plain records of this crate: they hold only maps with string keys, lists and scalars.
#[must_use]
pub fn to_yaml<T: serde::Serialize>(value: &T) -> String {
    serde_yaml::to_string(value).expect("plain records always serialize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Item {
        #[expect(dead_code, reason = "only its reading is tested")]
        width: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Doc {
        #[expect(dead_code, reason = "only its reading is tested")]
        items: Vec<Item>,
    }

    fn message(text: &str) -> String {
        parse::<Doc>(text, "job.yaml").unwrap_err().to_string()
    }

    #[test]
    fn errors_name_file_line_column_and_what_was_given() {
        let cases = [
            ("items:\n  - width: 3\n  - wdth: 4\n", "job.yaml:3:5: unknown field `wdth`, expected one of width"),
            ("items:\n  - width: 3\n  - width: x\n", "job.yaml:3:12: invalid u32, got `x`"),
            ("items:\n  - width: 3\n  - width: -1\n", "job.yaml:3:12: invalid u32, got `-1`"),
            ("items:\n  - width: 3\n  - {}\n", "job.yaml:3:5: missing field `width`"),
            ("items:\n  - width: 3\n  - width: 4\n    width: 5\n", "job.yaml:4:5: duplicate mapping key: width"),
            ("items:\n  - width: [3]\n", "job.yaml:2:12: expected string scalar"),
            ("items: [\n", "job.yaml:1:8: unclosed bracket '['"),
            ("", "job.yaml:1:1: unexpected end of input"),
        ];
        for (text, wanted) in cases {
            assert_eq!(message(text), wanted);
        }
    }

    #[test]
    fn a_list_may_be_as_long_as_its_text() {
        // More than the 250,000 nodes that the reader allows of itself.
        let text = format!("[{}]", "1,".repeat(260_000));
        assert_eq!(parse::<Vec<u32>>(&text, "long.yaml").unwrap().len(), 260_000);
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let line = |name: char, before: &str| format!("{name}: &{name} [{}]\n", [before; 9].join(", "));
        // 9^8 = 43,046,721 ones.
        let lines = ('b'..='h').zip('a'..='g').map(|(name, before)| line(name, &format!("*{before}")));
        let text: String = std::iter::once(line('a', "1")).chain(lines).collect();
        let error = parse::<serde_json::Value>(&text, "bomb.yaml").unwrap_err().to_string();
        assert!(error.starts_with("bomb.yaml:") && error.contains("budget breached"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = load::<Doc>(Path::new("no/such.yaml")).unwrap_err();
        assert!(error.to_string().starts_with("no/such.yaml: "), "{error}");
    }
}
