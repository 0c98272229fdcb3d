//! Numbers that JSON cannot hold: written as `null`, read back as not a number.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// Probabilities of candidates, by name, for each place of choice, by name.
pub(super) type ByName = BTreeMap<String, BTreeMap<String, f64>>;

/// A number, `null` being not a number.
///
/// # Errors
/// Where there is something else.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Numbers by two names, `null` being not a number.
pub(super) fn by_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByName, D::Error> {
    let read = BTreeMap::<String, BTreeMap<String, Option<f64>>>::deserialize(deserializer)?;
    let inner = |map: BTreeMap<String, Option<f64>>| map.into_iter().map(|(k, v)| (k, v.unwrap_or(f64::NAN))).collect();
    Ok(read.into_iter().map(|(key, map)| (key, inner(map))).collect())
}
