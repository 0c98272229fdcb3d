//! The `vector` of an accelerator file: a unit, or `none`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::within;
use crate::accel::vector::VectorUnit;
use crate::load::{LoadError, Spanned};

/// A vector unit as written, or `none`.
#[derive(Debug, Clone, Default)]
pub struct VectorFile(pub Option<VectorUnitFile>);

/// A vector unit as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VectorUnitFile {
    /// Lanes side by side.
    #[schemars(with = "u64", range(min = 1, max = 1_048_576))]
    pub lanes: Spanned<i64>,
    /// Operations of a lane in a cycle; default 1.
    #[schemars(with = "Option<u64>", range(min = 1, max = 65_536))]
    pub ops_per_cycle: Option<Spanned<i64>>,
    /// Operations that an exponential counts as; default 1.
    #[schemars(with = "Option<u64>", range(min = 1, max = 65_536))]
    pub exponential_factor: Option<Spanned<i64>>,
}

impl VectorFile {
    pub(super) fn resolve(self, origin: &str) -> Result<Option<VectorUnit>, LoadError> {
        let Some(file) = self.0 else { return Ok(None) };
        let rate = |key, given: Option<Spanned<i64>>| {
            given.map_or(Ok(1), |given| within(key, &given, VectorUnit::MAX_RATE, origin))
        };
        Ok(Some(VectorUnit {
            lanes: within("vector.lanes", &file.lanes, VectorUnit::MAX_LANES, origin)?,
            ops_per_cycle: rate("vector.ops-per-cycle", file.ops_per_cycle)?,
            exponential_factor: rate("vector.exponential-factor", file.exponential_factor)?,
        }))
    }
}

impl<'de> Deserialize<'de> for VectorFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = VectorFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("none, or { lanes, ops-per-cycle, exponential-factor }")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<VectorFile, E> {
        if word == "none" { Ok(VectorFile(None)) } else { Err(E::invalid_value(Unexpected::Str(word), &self)) }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VectorFile, A::Error> {
        VectorUnitFile::deserialize(MapAccessDeserializer::new(map)).map(|unit| VectorFile(Some(unit)))
    }
}

impl JsonSchema for VectorFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Vector".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let unit = generator.subschema_for::<VectorUnitFile>();
        json_schema!({ "anyOf": [{ "const": "none" }, unit] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::{Accelerator, Depthwise};

    fn read(more: &str) -> Result<Accelerator, String> {
        let text =
            format!("name: a\narray: {{ rows: 4, cols: 4 }}\ndataflow: weight-stationary\nclock-mhz: 1000\n{more}\n");
        Accelerator::parse(&text, "a.yaml").map_err(|error| error.to_string())
    }

    #[test]
    fn a_unit_or_none_is_read() {
        assert_eq!(read("vector: none").unwrap().vector, None);
        let unit = VectorUnit { lanes: 128, ops_per_cycle: 1, exponential_factor: 1 };
        assert_eq!(read("vector: { lanes: 128 }").unwrap().vector, Some(unit));
        let unit = VectorUnit { lanes: 128, ops_per_cycle: 2, exponential_factor: 8 };
        let written = "vector: { lanes: 128, ops-per-cycle: 2, exponential-factor: 8 }";
        assert_eq!(read(written).unwrap().vector, Some(unit));
    }

    #[test]
    fn units_that_cannot_be_name_their_place() {
        let cases = [
            ("vector: { lanes: 0 }", "a.yaml:5:18: vector.lanes: must be from 1 to 1048576, got 0"),
            (
                "vector: { lanes: 1, ops-per-cycle: 65537 }",
                "a.yaml:5:36: vector.ops-per-cycle: must be from 1 to 65536, got 65537",
            ),
            ("depthwise: vector", "a.yaml:5:12: depthwise: `vector` needs a vector unit, got none"),
            ("vector: none\ndepthwise: vector", "a.yaml:6:12: depthwise: `vector` needs a vector unit, got none"),
        ];
        for (more, expected) in cases {
            assert_eq!(read(more).unwrap_err(), expected);
        }
        for (more, word) in [("vector: some", "some"), ("vector: { lane: 1 }", "lane"), ("vector: {}", "lanes")] {
            let message = read(more).unwrap_err();
            assert!(message.starts_with("a.yaml:5:") && message.contains(word), "{message}");
        }
        let accelerator = read("vector: { lanes: 1 }\ndepthwise: vector").unwrap();
        assert_eq!(accelerator.depthwise, Depthwise::Vector);
    }
}
