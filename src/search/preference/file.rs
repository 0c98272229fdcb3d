//! Settings of the preference search: as written, and as meant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::load::{LoadError, Ranges, Spanned, unplaced};

/// One search for the whole front, as it is written; `objective: preference` has every default.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PreferenceFile {
    /// Preferences of a step, each with one draw.
    #[schemars(with = "u64", range(min = 1))]
    pub preferences: Spanned<u64>,
    /// Knots of the logits over the preference; 2 make them affine.
    #[schemars(with = "u64", range(min = 2))]
    pub knots: Spanned<u64>,
    /// Step size of the logits' Adam.
    #[schemars(with = "f64")]
    pub learning_rate: Spanned<f64>,
    /// Weight of the best networks judged so far.
    #[schemars(with = "f64", range(min = 0.0))]
    pub imitation: Spanned<f64>,
    /// How many of them.
    #[schemars(with = "u64", range(min = 1))]
    pub top: Spanned<u64>,
    /// Weight of the entropy at the start; it falls to nothing.
    #[schemars(with = "f64", range(min = 0.0))]
    pub entropy: Spanned<f64>,
    /// Weight of the sum beside the maximum in the Chebyshev scalar.
    #[schemars(with = "f64", range(min = 0.0))]
    pub rho: Spanned<f64>,
    /// Random networks judged first.
    #[schemars(with = "u64", range(min = 2))]
    pub start: Spanned<u64>,
}

impl Default for PreferenceFile {
    /// What was best on two benchmarks.
    fn default() -> Self {
        Self {
            preferences: unplaced(4),
            knots: unplaced(9),
            learning_rate: unplaced(0.03),
            imitation: unplaced(0.3),
            top: unplaced(3),
            entropy: unplaced(0.1),
            rho: unplaced(0.05),
            start: unplaced(32),
        }
    }
}

/// As [`PreferenceFile`], meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PreferenceSettings {
    /// Preferences of a step.
    pub preferences: u32,
    /// Knots of the logits, 2 at least.
    pub knots: u32,
    /// Step size of Adam, in logits.
    pub learning_rate: f64,
    /// Weight of imitation.
    pub imitation: f64,
    /// How many networks are imitated.
    pub top: u32,
    /// First weight of the entropy.
    pub entropy: f64,
    /// Weight of the sum in the scalar.
    pub rho: f64,
    /// Random networks judged first.
    pub start: u32,
}

impl PreferenceFile {
    /// The settings that are meant.
    ///
    /// # Errors
    /// The first value out of its range, with its line.
    pub fn meant(&self, ranges: &Ranges<'_>) -> Result<PreferenceSettings, LoadError> {
        Ok(PreferenceSettings {
            preferences: ranges.whole("preferences", &self.preferences, 1, 64)?,
            knots: ranges.whole("knots", &self.knots, 2, 65)?,
            learning_rate: ranges.number("learning-rate", &self.learning_rate, 1e-9, 10.0)?,
            imitation: ranges.number("imitation", &self.imitation, 0.0, 100.0)?,
            top: ranges.whole("top", &self.top, 1, 1000)?,
            entropy: ranges.number("entropy", &self.entropy, 0.0, 100.0)?,
            rho: ranges.number("rho", &self.rho, 0.0, 100.0)?,
            start: ranges.whole("start", &self.start, 2, 100_000)?,
        })
    }
}
