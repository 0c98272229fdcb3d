//! INI text as Python's `configparser` reads it, with the line of every value.
//!
//! `[section]`, then `key = value` or `key: value`; keys are the same in any case; lines that start with `#` or `;` are
//! comments; an indented line goes on with the value before it.

use std::collections::HashSet;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The section, as written.
    pub(super) section: String,
    /// The key, as written.
    pub(super) key: String,
    /// The value, without the space around it.
    pub(super) value: String,
    /// Line of the key, from 1.
    pub(super) line: u64,
}

/// Why a text is no INI file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum IniFault {
    #[error("a section is written `[name]`, got `{0}`")]
    Section(String),
    #[error("a line must be `[section]`, `key = value`, `key: value` or a comment, got `{0}`")]
    Line(String),
    #[error("`{0}` stands before the first section")]
    NoSection(String),
    #[error("section [{0}] stands twice")]
    SectionTwice(String),
    #[error("[{section}] {key} stands twice")]
    KeyTwice { section: String, key: String },
}

/// Sections and entries of an INI text, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ini {
    /// Name and line of each section.
    pub(super) sections: Vec<(String, u64)>,
    /// The values of all of them.
    pub(super) entries: Vec<Entry>,
}

impl Ini {
    /// Reads `text`.
    ///
    /// # Errors
    /// The line at fault, from 1, and the rule.
    pub(super) fn parse(text: &str) -> Result<Self, (u64, IniFault)> {
        let mut ini = Self::default();
        let (mut sections, mut keys) = (HashSet::new(), HashSet::new());
        let mut open = false;
        for (line, written) in (1..).zip(text.strip_prefix('\u{feff}').unwrap_or(text).lines()) {
            let trimmed = written.trim();
            if trimmed.starts_with(['#', ';']) {
                continue;
            }
            if trimmed.is_empty() {
                open = false;
            } else if open && written.starts_with([' ', '\t']) {
                ini.go_on(trimmed);
            } else if trimmed.starts_with('[') {
                open = false;
                let name = section(trimmed).map_err(|fault| (line, fault))?;
                if !sections.insert(name.clone()) {
                    return Err((line, IniFault::SectionTwice(name)));
                }
                ini.sections.push((name, line));
            } else {
                open = true;
                let entry = ini.entry(trimmed, line).map_err(|fault| (line, fault))?;
                let (section, key) = (entry.section.clone(), entry.key.clone());
                if !keys.insert((section.clone(), key.to_ascii_lowercase())) {
                    return Err((line, IniFault::KeyTwice { section, key }));
                }
                ini.entries.push(entry);
            }
        }
        Ok(ini)
    }

    /// The entry of `key`, in whatever case it is written.
    pub(super) fn get(&self, section: &str, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.section == section && entry.key.eq_ignore_ascii_case(key))
    }

    fn entry(&self, written: &str, line: u64) -> Result<Entry, IniFault> {
        let (key, value) = written.split_once(['=', ':']).ok_or_else(|| IniFault::Line(written.to_owned()))?;
        let key = key.trim_end();
        if key.is_empty() {
            return Err(IniFault::Line(written.to_owned()));
        }
        let (section, _) = self.sections.last().ok_or_else(|| IniFault::NoSection(key.to_owned()))?;
        Ok(Entry { section: section.clone(), key: key.to_owned(), value: value.trim().to_owned(), line })
    }

    fn go_on(&mut self, more: &str) {
        if let Some(entry) = self.entries.last_mut() {
            entry.value.push('\n');
            entry.value.push_str(more);
        }
    }
}

/// The name in `[name]`.
fn section(written: &str) -> Result<String, IniFault> {
    let name = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::trim);
    let name = name.filter(|name| !name.is_empty());
    name.map(str::to_owned).ok_or_else(|| IniFault::Section(written.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let (line, fault) = Ini::parse(text).unwrap_err();
        format!("{line}: {fault}")
    }

    #[test]
    fn both_delimiters_comments_and_longer_values_are_read() {
        let text = "\u{feff}# c = 1\n[a]\nOne = 1\n; c\ntwo:2 = x\r\n\n[ b ]\nlist = 1,\n  2,\n\t3\nempty =\n";
        let ini = Ini::parse(text).unwrap();
        let found: Vec<_> =
            ini.entries.iter().map(|e| (e.section.as_str(), e.key.as_str(), e.value.as_str(), e.line)).collect();
        let expected =
            [("a", "One", "1", 3), ("a", "two", "2 = x", 5), ("b", "list", "1,\n2,\n3", 8), ("b", "empty", "", 11)];
        assert_eq!(found, expected);
        assert_eq!(ini.sections, [("a".to_owned(), 2), ("b".to_owned(), 7)]);
        assert_eq!(ini.get("a", "ONE").unwrap().value, "1");
        assert_eq!(ini.get("A", "one"), None);
    }

    #[test]
    fn lines_that_are_none_are_named() {
        let cases = [
            ("[a]\nwidth\n", "2: a line must be `[section]`, `key = value`, `key: value` or a comment, got `width`"),
            ("[a]\n= 3\n", "2: a line must be `[section]`, `key = value`, `key: value` or a comment, got `= 3`"),
            ("[a\n", "1: a section is written `[name]`, got `[a`"),
            ("[]\n", "1: a section is written `[name]`, got `[]`"),
            ("x = 1\n[a]\n", "1: `x` stands before the first section"),
            ("[a]\n[b]\n[a]\n", "3: section [a] stands twice"),
            ("[a]\nx = 1\nX: 2\n", "3: [a] X stands twice"),
        ];
        for (text, expected) in cases {
            assert_eq!(fault(text), expected);
        }
    }
}
