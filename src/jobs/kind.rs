//! What a YAML text of ours is, told by its keys.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::IgnoredAny;

use crate::load::{self, LoadError, Place};

/// The kinds of YAML files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A network: `nodes`.
    Network,
    /// An accelerator: `array`.
    Accelerator,
    /// A job: `space` and `search`.
    Job,
    /// An architecture of a space: `operators` and `widths`.
    Architecture,
}

/// Why a text is of no kind.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// It is no YAML map.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl FileKind {
    const ALL: [Self; 4] = [Self::Network, Self::Accelerator, Self::Job, Self::Architecture];

    /// The kind of `text`, which has most of its own keys there; `origin` names the text in errors.
    ///
    /// # Errors
    /// [`KindError`] where the text is no map, or has no key of any kind.
    pub fn of(text: &str, origin: &str) -> Result<Self, KindError> {
        let keys: BTreeMap<String, IgnoredAny> = load::parse(text, origin)?;
        let score = |kind: Self| kind.own_keys().iter().filter(|key| keys.contains_key(**key)).count();
        let mut best = (Self::Network, 0);
        for kind in Self::ALL {
            if score(kind) > best.1 {
                best = (kind, score(kind));
            }
        }
        if best.1 > 0 {
            return Ok(best.0);
        }
        let given: Vec<&str> = keys.keys().map(String::as_str).collect();
        let reason = format!(
            "a network has `nodes`, an accelerator `array`, a job `space` and `search`, an architecture `operators` and \
             `widths`; this file has {}",
            if given.is_empty() { "nothing".to_owned() } else { format!("`{}`", given.join("`, `")) }
        );
        Err(Place { line: 1, column: 1 }.reject(origin, reason).into())
    }

    /// Keys that no other kind has at the top.
    fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::Network => &["nodes", "input", "output"],
            Self::Accelerator => &["array", "dataflow", "clock-mhz", "depthwise", "memory", "calibration", "sources"],
            Self::Job => &["search", "objective", "data", "training", "accelerator", "seed"],
            Self::Architecture => &["operators", "widths"],
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "a network",
            Self::Accelerator => "an accelerator",
            Self::Job => "a job",
            Self::Architecture => "an architecture",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_in_spite_of_a_misspelt_key() {
        for (text, kind) in [
            ("version: 1\nname: a\ninput: [3]\nnods: []\n", FileKind::Network),
            ("name: a\narry: {}\ndataflow: x\n", FileKind::Accelerator),
            ("name: a\nspace: {}\nsearch: {}\n", FileKind::Job),
            ("space: a\noperators: {}\n", FileKind::Architecture),
        ] {
            assert_eq!(FileKind::of(text, "a.yaml").unwrap(), kind, "{text}");
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused_with_its_keys() {
        let message = FileKind::of("services: {}\nversion: 3\n", "a.yaml").unwrap_err().to_string();
        assert!(message.starts_with("a.yaml:1:1: a network has `nodes`"), "{message}");
        assert!(message.ends_with("this file has `services`, `version`"), "{message}");
    }
}
