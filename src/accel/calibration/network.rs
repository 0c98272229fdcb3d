//! The law of whole networks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::work::{Work, padded, real};
use crate::accel::accelerator::{Accelerator, Dataflow};
use crate::accel::workload::{Gemm, GemmKind};

/// How many values a tensor of `channels` takes: as they are, or with the channels padded to the columns of the array.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Lanes {
    /// As they are.
    #[default]
    Unpadded,
    /// `cols * ceil(channels / cols)`.
    Padded,
}

/// What is counted. Each number is in nanoseconds for one of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NetworkTerm {
    /// 1 for a network: what every run pays.
    #[serde(rename = "constant-ns")]
    Constant,
    /// Products that are not depthwise.
    #[serde(rename = "dense-launch-ns")]
    DenseLaunch,
    /// Depthwise convolutions.
    #[serde(rename = "depthwise-launch-ns")]
    DepthwiseLaunch,
    /// Gates.
    #[serde(rename = "gate-launch-ns")]
    GateLaunch,
    /// Rows that stream through tiles of the array: weight-stationary `m * ceil(k / rows) * ceil(n / cols)`.
    #[serde(rename = "tile-row-ns")]
    TileRow,
    /// Taps of depthwise convolutions, channels padded to the columns: `m * kernel area * cols * ceil(channels / cols)`.
    #[serde(rename = "depthwise-tap-ns")]
    Tap,
    /// Values that gates multiply.
    #[serde(rename = "gate-element-ns")]
    GateElement,
    /// Values that products put out, on the chip or off it: normalisation and activation.
    #[serde(rename = "written-element-ns")]
    WrittenElement,
    /// Values of dense outputs beyond the on-chip capacity V: `max(0, values - V)`.
    #[serde(rename = "dense-excess-element-ns")]
    DenseExcess,
    /// As before, of depthwise outputs.
    #[serde(rename = "depthwise-excess-element-ns")]
    DepthwiseExcess,
    /// All values of dense outputs that are larger than V.
    #[serde(rename = "dense-spilled-element-ns")]
    DenseSpilled,
    /// As before, of depthwise outputs.
    #[serde(rename = "depthwise-spilled-element-ns")]
    DepthwiseSpilled,
    /// All values of gated maps that are larger than V.
    #[serde(rename = "gate-spilled-element-ns")]
    GateSpilled,
    /// Taps, as above, of depthwise convolutions whose output is larger than V.
    #[serde(rename = "depthwise-spilled-tap-ns")]
    SpilledTap,
}

impl NetworkTerm {
    /// How many there are.
    pub const COUNT: usize = 14;
    /// How many of the first no capacity enters.
    pub const BASE: usize = 8;
    /// Every term, in the order of [`NetworkLaw::terms`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::Constant,
        Self::DenseLaunch,
        Self::DepthwiseLaunch,
        Self::GateLaunch,
        Self::TileRow,
        Self::Tap,
        Self::GateElement,
        Self::WrittenElement,
        Self::DenseExcess,
        Self::DepthwiseExcess,
        Self::DenseSpilled,
        Self::DepthwiseSpilled,
        Self::GateSpilled,
        Self::SpilledTap,
    ];
}

/// Time of a network for one image: `constant + sum over its layers`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NetworkLaw {
    /// On-chip capacity V, values of one image's tensor that stay on the chip; nothing where none leaves it.
    pub capacity_elements: Option<f64>,
    /// What counts beyond V.
    pub excess_lanes: Lanes,
    /// What counts of a tensor that is larger than V.
    pub spilled_lanes: Lanes,
    /// Nanoseconds for one of each term, in the order of [`NetworkTerm::ALL`].
    pub terms: [f64; NetworkTerm::COUNT],
}

/// A tensor that a layer writes, in values of one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Written {
    /// As it is.
    pub elements: f64,
    /// With channels padded to the columns.
    pub padded: f64,
}

impl Written {
    fn of(positions: u64, channels: u64, cols: u64) -> Self {
        let at = |channels: u64| real(positions) * real(channels);
        Self { elements: at(channels), padded: at(padded(channels, cols)) }
    }

    /// Its values in these lanes.
    #[must_use]
    pub fn in_lanes(self, lanes: Lanes) -> f64 {
        match lanes {
            Lanes::Unpadded => self.elements,
            Lanes::Padded => self.padded,
        }
    }

    /// Values beyond `capacity`.
    #[must_use]
    pub fn excess(self, capacity: f64, lanes: Lanes) -> f64 {
        (self.in_lanes(lanes) - capacity).max(0.0)
    }

    /// All values, where the tensor as it is exceeds `capacity`.
    #[must_use]
    pub fn spilled(self, capacity: f64, lanes: Lanes) -> f64 {
        if self.elements > capacity { self.in_lanes(lanes) } else { 0.0 }
    }
}

/// The counts of one work that no capacity enters, and the tensor that may leave the chip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    /// In the order of [`NetworkTerm::ALL`]; nought behind [`NetworkTerm::BASE`].
    pub base: [f64; NetworkTerm::COUNT],
    /// Whose tensor it is.
    pub writer: Writer,
    /// The tensor.
    pub written: Written,
}

/// What writes a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// A product that is not depthwise.
    Dense,
    /// A depthwise convolution.
    Depthwise,
    /// A gate.
    Gate,
}

/// Rows that stream through all tiles of `gemm`, over all arrays.
pub(super) fn tile_rows(accelerator: &Accelerator, dataflow: Dataflow, gemm: &Gemm) -> f64 {
    let (rows, cols) = (accelerator.array.rows, accelerator.array.cols);
    let (held_rows, held_cols, streamed) = match dataflow {
        Dataflow::WeightStationary => (gemm.k(), gemm.n(), gemm.m()),
        Dataflow::InputStationary => (gemm.k(), gemm.m(), gemm.n()),
        Dataflow::OutputStationary => (gemm.m(), gemm.n(), gemm.k()),
    };
    real(held_rows.div_ceil(rows)) * real(held_cols.div_ceil(cols)) * real(streamed) * real(gemm.repeats())
}

impl Counts {
    /// What `work` counts on `accelerator`.
    #[must_use]
    pub fn of(accelerator: &Accelerator, work: &Work) -> Self {
        let cols = accelerator.array.cols;
        let mut base = [0.0; NetworkTerm::COUNT];
        let mut put = |term: NetworkTerm, count: f64| base[term as usize] = count;
        let (writer, written) = match work {
            Work::Gate { positions, channels } => {
                let written = Written::of(*positions, *channels, cols);
                put(NetworkTerm::GateLaunch, 1.0);
                put(NetworkTerm::GateElement, written.elements);
                (Writer::Gate, written)
            }
            Work::Product(gemm) => {
                let written = Written::of(gemm.m(), gemm.n().saturating_mul(gemm.repeats()), cols);
                put(NetworkTerm::WrittenElement, written.elements);
                match gemm.kind() {
                    GemmKind::Depthwise => {
                        put(NetworkTerm::DepthwiseLaunch, 1.0);
                        put(NetworkTerm::Tap, written.padded * real(gemm.k()));
                        (Writer::Depthwise, written)
                    }
                    GemmKind::Weights | GemmKind::Activations => {
                        put(NetworkTerm::DenseLaunch, 1.0);
                        put(NetworkTerm::TileRow, tile_rows(accelerator, accelerator.dataflow, gemm));
                        (Writer::Dense, written)
                    }
                }
            }
        };
        Self { base, writer, written }
    }

    /// What it counts of `term` at `capacity`, where its tensor counts in `lanes`.
    #[must_use]
    pub fn beyond(&self, term: NetworkTerm, capacity: f64, lanes: Lanes) -> f64 {
        let whole = || self.written.spilled(capacity, lanes);
        match (term, self.writer) {
            (NetworkTerm::DenseExcess, Writer::Dense) | (NetworkTerm::DepthwiseExcess, Writer::Depthwise) => {
                self.written.excess(capacity, lanes)
            }
            (NetworkTerm::DenseSpilled, Writer::Dense)
            | (NetworkTerm::DepthwiseSpilled, Writer::Depthwise)
            | (NetworkTerm::GateSpilled, Writer::Gate) => whole(),
            (NetworkTerm::SpilledTap, Writer::Depthwise) if whole() > 0.0 => self.base[NetworkTerm::Tap as usize],
            _ => 0.0,
        }
    }
}

impl NetworkLaw {
    /// What `work` adds, ns.
    pub(super) fn nanoseconds(&self, accelerator: &Accelerator, work: &Work) -> f64 {
        let counts = Counts::of(accelerator, work);
        let sum: f64 = counts.base.iter().zip(&self.terms).map(|(count, number)| count * number).sum();
        let Some(capacity) = self.capacity_elements else { return sum };
        let beyond = NetworkTerm::ALL[NetworkTerm::BASE..].iter().map(|&term| {
            let lanes = match term {
                NetworkTerm::DenseExcess | NetworkTerm::DepthwiseExcess => self.excess_lanes,
                _ => self.spilled_lanes,
            };
            self.terms[term as usize] * counts.beyond(term, capacity, lanes)
        });
        sum + beyond.sum::<f64>()
    }
}
