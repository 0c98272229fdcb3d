//! Settings of a dynamic allocation: as written, and as meant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::slope::Slopes;
use crate::load::{LoadError, Ranges, Spanned, unplaced};
use crate::units::Bytes;

/// Which widths are held while they are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyFile {
    /// All options, from the first step to the last.
    #[default]
    Fixed,
    /// A few around the present one, which move as the search goes on.
    Dynamic,
}

/// The widths of a weight step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Masks {
    /// The expected prefix mask of a soft draw.
    #[default]
    Soft,
    /// One option of each width: half of the time any, else one drawn by its probability.
    Hard,
}

/// What is the policy `dynamic`'s own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DynamicFile {
    /// Channels that every width starts at; the nearest option counts. The first edge of a tile, else the
    /// middle option, where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub start: Option<Spanned<u64>>,
    /// Architecture steps from one check, and probe, to the next.
    #[schemars(with = "u64", range(min = 1))]
    pub check_every: Spanned<u64>,
    /// Batches of the selection split that a probe takes.
    #[schemars(with = "u64", range(min = 1))]
    pub probe_batches: Spanned<u64>,
    /// Widths that are probed at a time, in turn; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>", range(min = 1))]
    pub probed: Option<Spanned<u64>>,
    /// Widths that may try a wider option at a time; a third of them, rounded up, where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>", range(min = 1))]
    pub growing: Option<Spanned<u64>>,
    /// Share of the architecture steps after which nothing is added.
    #[schemars(with = "f64", range(min = 0.0, max = 1.0))]
    pub grow_until: Spanned<f64>,
    /// How the slopes of widths are put together.
    pub slopes: Slopes,
}

impl Default for DynamicFile {
    fn default() -> Self {
        Self {
            start: None,
            check_every: unplaced(5),
            probe_batches: unplaced(2),
            probed: None,
            growing: None,
            grow_until: unplaced(0.6),
            slopes: Slopes::default(),
        }
    }
}

/// Settings of a dynamic allocation as they are meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AllocationSettings {
    /// Channels that every width starts at; the first edge of a tile, else the middle option, where absent.
    pub start: Option<u64>,
    /// Architecture steps from one check to the next.
    pub check_every: u32,
    /// Batches of a probe.
    pub probe_batches: u32,
    /// Widths that are probed at a time.
    pub probed: Option<u32>,
    /// Widths that may try a wider option at a time; a third of them, rounded up, where absent.
    pub growing: Option<u32>,
    /// Share of the architecture steps after which nothing is added.
    pub grow_until: f64,
    /// How slopes are put together.
    pub slopes: Slopes,
    /// Factor by which a slope may be wrong, to both sides.
    pub band: f64,
    /// Share that a former probe keeps in the mean when another comes.
    pub memory: f64,
    /// What happens when the steps are done.
    pub end: EndGame,
    /// Bytes that a step may take at its fullest: no width grows beyond them.
    pub ceiling: Option<Bytes>,
}

/// What happens when the steps of the stage are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndGame {
    /// The likeliest options stand.
    Likeliest,
    /// The logits go on under the last slopes until every width is clear.
    Clear,
    /// And each width in turn takes the best option up to its top, under the last slopes, until none changes.
    Descent,
}

/// Probability with which a weight step takes any option of a window, whatever its logit: rarely sampled options would be
/// measured as worse than they are.
pub(in crate::search) const EXPLORE: f64 = 0.5;
/// Share of the weight steps before the first architecture step, where the job says nothing of warm-up.
pub(in crate::search) const WARM_UP: f64 = 0.1;
/// Architecture steps after which the channels of an option have learned enough to be measured: new ones change nothing
/// for the first dozens of steps.
pub(super) const MATURITY: u32 = 30;
/// Least slope, nats: a width of no measured value still pays something, so that equal costs are decided.
pub(super) const LEAST_SLOPE: f64 = 0.002;
/// Probability below which an option may be dropped.
pub(super) const UNLIKELY: f64 = 0.05;
/// Checks in a row in which an option must be able to go before it goes.
pub(super) const PATIENCE: u32 = 2;
/// Logit of a new option, from the greatest of its window.
pub(super) const NEW_LOGIT: f64 = -1.0;
/// Probability of the likeliest option from which on a width is clear.
pub(in crate::search) const CLEAR: f64 = 0.9;
/// Most steps of logits after the stage's own.
pub(in crate::search) const END_STEPS: u32 = 1_000;

impl AllocationSettings {
    /// The settings that are meant where the job says nothing.
    pub const DEFAULT: Self = Self {
        start: None,
        check_every: 5,
        probe_batches: 2,
        probed: None,
        growing: None,
        grow_until: 0.6,
        slopes: Slopes::Shrunk,
        band: 1.5,
        memory: 0.9,
        end: EndGame::Descent,
        ceiling: None,
    };
}

impl DynamicFile {
    pub(in crate::search) fn meant(&self, ranges: &Ranges<'_>) -> Result<AllocationSettings, LoadError> {
        let optional = |name, value: &Option<Spanned<u64>>| {
            value.as_ref().map(|value| ranges.whole(name, value, 1, 65_536)).transpose()
        };
        Ok(AllocationSettings {
            start: optional("start", &self.start)?.map(u64::from),
            check_every: ranges.whole("check-every", &self.check_every, 1, 1_000_000)?,
            probe_batches: ranges.whole("probe-batches", &self.probe_batches, 1, 1_000_000)?,
            probed: optional("probed", &self.probed)?,
            growing: optional("growing", &self.growing)?,
            grow_until: ranges.number("grow-until", &self.grow_until, 0.0, 1.0)?,
            slopes: self.slopes,
            ..AllocationSettings::DEFAULT
        })
    }
}
