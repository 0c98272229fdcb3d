//! How the operators of an edge are mixed: all of them, or some that are drawn.

use std::fmt;
use std::num::NonZeroUsize;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::load::{LoadError, Ranges, Spanned};

/// Most candidates that a draw may be asked to run: more than any space has on an edge.
const MOST: u32 = 65_536;

/// How the operators of an edge are mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paths {
    /// Every candidate runs, and the outputs are summed with the mixing weights (the paper).
    Full,
    /// So many candidates of each edge run, drawn without replacement; all where an edge has no more. The gradient is
    /// still by every candidate's weight (straight-through).
    Sampled(NonZeroUsize),
    /// One candidate of each edge runs, and the gradient is by its weight alone (GDAS).
    Alone,
}

impl Paths {
    /// One candidate runs: weights are one-hot.
    pub const ONE: Self = Self::Sampled(NonZeroUsize::MIN);
}

/// The ways to mix operators as they are written: `full`, `sampled`, or `{ sampled: 2 }`.
#[derive(Debug, Clone, Default)]
pub enum PathsFile {
    /// One candidate of each edge runs.
    #[default]
    One,
    /// So many candidates of each edge run.
    Sampled(Spanned<u64>),
    /// All candidates run.
    Full,
}

impl PathsFile {
    pub(super) fn meant(&self, ranges: &Ranges<'_>) -> Result<Paths, LoadError> {
        match self {
            Self::Full => Ok(Paths::Full),
            Self::One => Ok(Paths::ONE),
            Self::Sampled(count) => {
                let count = ranges.whole("sampled", count, 1, MOST)?;
                Ok(NonZeroUsize::new(count as usize).map_or(Paths::ONE, Paths::Sampled))
            }
        }
    }
}

/// The form with a number.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sampled {
    /// Candidates of an edge that run in a step, drawn without replacement.
    #[schemars(with = "u64", range(min = 1, max = 65_536))]
    sampled: Spanned<u64>,
}

impl<'de> Deserialize<'de> for PathsFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PathsVisitor)
    }
}

struct PathsVisitor;

impl<'de> Visitor<'de> for PathsVisitor {
    type Value = PathsFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("full, sampled or { sampled: N }")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<PathsFile, E> {
        match word {
            "full" => Ok(PathsFile::Full),
            "sampled" => Ok(PathsFile::One),
            _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PathsFile, A::Error> {
        Sampled::deserialize(MapAccessDeserializer::new(map)).map(|file| PathsFile::Sampled(file.sampled))
    }
}

impl Serialize for PathsFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One => serializer.serialize_str("sampled"),
            Self::Full => serializer.serialize_str("full"),
            Self::Sampled(count) => std::collections::BTreeMap::from([("sampled", count.value)]).serialize(serializer),
        }
    }
}

impl JsonSchema for PathsFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Paths".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let sampled = generator.subschema_for::<Sampled>();
        json_schema!({ "anyOf": [{ "enum": ["sampled", "full"] }, sampled] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    #[derive(Debug, Serialize, Deserialize)]
    struct Doc {
        paths: PathsFile,
    }

    fn read(text: &str) -> Result<Paths, String> {
        let ranges = Ranges { origin: "job.yaml" };
        let doc: Doc = load::parse(text, "job.yaml").map_err(|error| error.to_string())?;
        doc.paths.meant(&ranges).map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_is_read_and_comes_out_as_it_went_in() {
        let two = Paths::Sampled(NonZeroUsize::new(2).unwrap());
        for (text, meant) in [
            ("paths: full\n", Paths::Full),
            ("paths: sampled\n", Paths::ONE),
            ("paths:\n  sampled: 1\n", Paths::ONE),
            ("paths:\n  sampled: 2\n", two),
        ] {
            assert_eq!(read(text).unwrap(), meant);
            assert_eq!(load::to_yaml(&load::parse::<Doc>(text, "job.yaml").unwrap()), text);
        }
        assert_eq!(read("paths: { sampled: 2 }").unwrap(), two);
    }

    #[test]
    fn what_is_no_way_to_mix_is_refused_with_its_place() {
        let cases = [
            ("paths: { sampled: 0 }", "job.yaml:1:19: sampled must lie in 1..=65536, got 0"),
            ("paths: { sampled: 65537 }", "job.yaml:1:19: sampled must lie in 1..=65536, got 65537"),
        ];
        for (text, message) in cases {
            assert_eq!(read(text).unwrap_err(), message);
        }
        for (text, word) in [
            ("paths: some", "full, sampled or { sampled: N }"),
            ("paths: 3", "full, sampled or { sampled: N }"),
            ("paths: { full: 3 }", "full"),
            ("paths: {}", "sampled"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.starts_with("job.yaml:1:") && message.contains(word), "{message}");
        }
    }
}
