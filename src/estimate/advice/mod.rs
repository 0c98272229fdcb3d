//! Changes that would help, each estimated as a whole: a changed network or accelerator through the same estimator.
//!
//! | kind | what is changed |
//! |---|---|
//! | `width` | channels, down to the nearest tile edge that saves more of the cycles than of the channels |
//! | `slack` | channels, up to where the layers concerned take no more cycles, or a hundredth more |
//! | `wider` | channels, up to the nearest tile edge of the layers that put them out; what that costs |
//! | `dataflow`, `layer-dataflow` | the dataflow of all layers, or of each by itself |
//! | `array`, `count` | rows and columns, or the number of arrays, at equal PEs |
//! | `depthwise`, `memory` | the rule for depthwise products; what stays on chip, what overlaps |
//! | `batch` | images at once; cycles are compared for each image |
//!
//! An accelerator that is calibrated is one that was measured, at one batch: there only widths are proposed.
//!
//! A width is changed with all widths that are tied to it and all layers that read it. A list of rows has no wires: its
//! widths are changed for their own layer alone.

mod edges;
mod settings;
mod ties;
mod widths;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::plan::Engines;
use super::{Estimate, EstimateError, LayerEstimate, Target, network_on, rows_on};
use crate::accel::Engine;
use crate::import::scale_sim::Row;
use crate::network::Network;
use crate::units::{Cycles, Macs};

/// A change that is proposed, with what the whole network costs before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// What kind of change.
    pub kind: AdviceKind,
    /// What to change, in words.
    pub change: String,
    /// The share of the cycles for each image that is saved, `1 - after / before`; negative where it costs some.
    pub saved: f64,
    /// The network as it is.
    pub before: Figures,
    /// The network with the change.
    pub after: Figures,
    /// Keys of the accelerator file that change.
    pub settings: Vec<Setting>,
    /// Layers that put out another number of channels.
    pub widths: Vec<Resized>,
    /// For changes of layers, those that are asked for other products or take other cycles.
    pub layers: Vec<LayerChange>,
    /// Whether the layers that read the changed ones are changed with them.
    pub consumers: Consumers,
}

/// What kind of change is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the table at the head of the module says what each is")]
pub enum AdviceKind {
    Width,
    Dataflow,
    LayerDataflow,
    Array,
    Count,
    Depthwise,
    Memory,
    Batch,
    Slack,
    Wider,
}

/// What a network costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Images at once.
    pub batch: u64,
    /// Clock cycles for the whole batch.
    pub cycles: Cycles,
    /// Milliseconds for the whole batch.
    pub latency_ms: f64,
    /// Learned values.
    pub params: u64,
    /// Multiply-accumulates of the whole batch.
    pub macs: Macs,
}

/// A key of the accelerator file, or `batch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// The key, as `array.rows`.
    pub key: String,
    /// Its value now.
    pub before: String,
    /// The value proposed.
    pub after: String,
}

/// A layer that puts out another number of channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resized {
    /// The layer.
    pub layer: String,
    /// Its output channels.
    pub before: u64,
    /// Those proposed.
    pub after: u64,
}

/// A layer that costs something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LayerChange {
    /// The layer.
    pub layer: String,
    /// Its cycles.
    pub before: Cycles,
    /// Its cycles with the change.
    pub after: Cycles,
}

/// Whether layers that read a changed width are changed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Consumers {
    /// They are, and so is everything that is tied.
    Changed,
    /// There are no wires that tell them.
    Unknown,
}

/// What advice is asked for.
#[derive(Debug, Clone, Copy)]
enum Subject<'a> {
    Network(&'a Network),
    Rows { name: &'a str, rows: &'a [Row] },
}

/// Estimates `network` on `target`, with advice.
///
/// # Errors
/// As [`super::network`]; a change that cannot be estimated is not proposed.
pub fn network_with_advice(network: &Network, target: &Target<'_>) -> Result<Estimate, EstimateError> {
    Subject::Network(network).advised(target)
}

/// Estimates the rows of a SCALE-Sim topology on `target`, with advice.
///
/// # Errors
/// As [`super::rows`]; a change that cannot be estimated is not proposed.
pub fn rows_with_advice(name: &str, rows: &[Row], target: &Target<'_>) -> Result<Estimate, EstimateError> {
    Subject::Rows { name, rows }.advised(target)
}

impl Subject<'_> {
    fn estimate(self, target: &Target<'_>) -> Result<Estimate, EstimateError> {
        match self {
            Self::Network(network) => super::network(network, target),
            Self::Rows { name, rows } => super::rows(name, rows, target),
        }
    }

    /// With an engine for each of the estimate's layers.
    fn estimate_on(self, target: &Target<'_>, engines: &[&Engine]) -> Result<Estimate, EstimateError> {
        let engines = Engines::Each(engines);
        match self {
            Self::Network(network) => network_on(network, target, engines),
            Self::Rows { name, rows } => rows_on(name, rows, target, engines),
        }
    }

    fn advised(self, target: &Target<'_>) -> Result<Estimate, EstimateError> {
        let mut estimate = self.estimate(target)?;
        if estimate.total.cycles == Cycles(0) {
            return Ok(estimate);
        }
        let (widths, (settings, dataflows)) = rayon::join(
            || match self {
                Self::Network(network) => widths::of_network(network, target, &estimate),
                Self::Rows { name, rows } => widths::of_rows(name, rows, target, &estimate),
            },
            || rayon::join(|| settings::of(self, target, &estimate), || settings::dataflows(self, target, &estimate)),
        );
        let mut advice = [widths, settings, dataflows.whole].concat();
        advice.sort_by(|a, b| a.section().cmp(&b.section()).then(b.saved.total_cmp(&a.saved)));
        estimate.total.advice = advice;
        for (layer, advice) in estimate.layers.iter_mut().zip(dataflows.of_layers) {
            layer.advice = advice;
        }
        Ok(estimate)
    }
}

impl Figures {
    fn of(estimate: &Estimate) -> Self {
        let Estimate { batch, total, .. } = estimate;
        Self {
            batch: *batch,
            cycles: total.cycles,
            latency_ms: total.latency_ms,
            params: total.params,
            macs: total.macs,
        }
    }

    fn cycles_per_image(&self) -> f64 {
        self.cycles.0 as f64 / self.batch as f64
    }
}

impl Advice {
    fn new(kind: AdviceKind, change: String, before: &Estimate, after: &Estimate) -> Self {
        let (before, after) = (Figures::of(before), Figures::of(after));
        Self {
            kind,
            change,
            saved: 1.0 - after.cycles_per_image() / before.cycles_per_image(),
            before,
            after,
            settings: Vec::new(),
            widths: Vec::new(),
            layers: Vec::new(),
            consumers: Consumers::Changed,
        }
    }

    /// What saves cycles comes first, then what is free, then what costs some.
    fn section(&self) -> u8 {
        match self.kind {
            AdviceKind::Slack => 1,
            AdviceKind::Wider => 2,
            AdviceKind::Width
            | AdviceKind::Dataflow
            | AdviceKind::LayerDataflow
            | AdviceKind::Array
            | AdviceKind::Count
            | AdviceKind::Depthwise
            | AdviceKind::Memory
            | AdviceKind::Batch => 0,
        }
    }
}

/// The layers whose cycles differ, and those that `asked` names.
fn layer_changes(before: &Estimate, after: &Estimate, asked: impl Fn(usize) -> bool) -> Vec<LayerChange> {
    let pairs = before.layers.iter().zip(&after.layers).enumerate();
    let changed = pairs.filter(|(place, (a, b))| a.cycles != b.cycles || (asked(*place) && works(a)));
    let change = |(_, (a, b)): (_, (&LayerEstimate, &LayerEstimate))| LayerChange {
        layer: a.name.clone(),
        before: a.cycles,
        after: b.cycles,
    };
    changed.map(change).collect()
}

fn works(layer: &LayerEstimate) -> bool {
    layer.cycles > Cycles(0)
}

/// What `propose` says of each item, in their order.
fn each<T: Sync, R: Send>(items: &[T], propose: impl Fn(&T) -> Vec<R> + Sync + Send) -> Vec<R> {
    items.par_iter().map(propose).collect::<Vec<_>>().into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
