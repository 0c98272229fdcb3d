//! The law of single matrix products.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::tile_rows;
use super::work::{Work, padded, real};
use crate::accel::accelerator::{Accelerator, Dataflow};
use crate::accel::workload::Gemm;

/// What is counted. Each number is in nanoseconds for one of it.
///
/// A product whose operands and result take at most V bytes is done in one shot: load, compute, store, one after the
/// other. A larger one streams, and of its traffic the result alone is exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ProductTerm {
    /// 1 for a product.
    #[serde(rename = "launch-ns")]
    Launch,
    /// Fill of the first tile: `min(m, n, cols) / cols`.
    #[serde(rename = "fill-ns")]
    Fill,
    /// One shot: rows of tiles over the arrays, the better of both stationary operands.
    #[serde(rename = "one-shot-tile-row-ns")]
    OneShotTileRow,
    /// As before, of arrays that work in pairs: column tiles are rounded up to an even number.
    #[serde(rename = "one-shot-paired-tile-row-ns")]
    OneShotPairedTileRow,
    /// One shot: parts that the sum over k is done in, `ceil(k / rows)`.
    #[serde(rename = "one-shot-partial-sum-ns")]
    OneShotPartialSum,
    /// One shot: bytes of both operands and the result.
    #[serde(rename = "one-shot-byte-ns")]
    OneShotByte,
    /// One shot: fills of further tiles, `min(m, n) / cols`.
    #[serde(rename = "one-shot-fill-ns")]
    OneShotFill,
    /// Streamed: 1 for a product.
    #[serde(rename = "streamed-launch-ns")]
    StreamedLaunch,
    /// Streamed: rows of tiles over the arrays, weights stationary.
    #[serde(rename = "streamed-tile-row-ns")]
    StreamedTileRow,
    /// Streamed: tiles, `ceil(k / rows) * ceil(n / cols)`: loads that are not hidden.
    #[serde(rename = "streamed-tile-ns")]
    StreamedTile,
    /// Streamed: bytes of the result.
    #[serde(rename = "streamed-result-byte-ns")]
    StreamedResultByte,
}

impl ProductTerm {
    /// How many there are.
    pub const COUNT: usize = 11;
    /// Every term, in the order of [`ProductLaw::terms`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::Launch,
        Self::Fill,
        Self::OneShotTileRow,
        Self::OneShotPairedTileRow,
        Self::OneShotPartialSum,
        Self::OneShotByte,
        Self::OneShotFill,
        Self::StreamedLaunch,
        Self::StreamedTileRow,
        Self::StreamedTile,
        Self::StreamedResultByte,
    ];
}

/// Time of a product.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProductLaw {
    /// Bytes of operands and result up to which a product is done in one shot; nothing where all are.
    pub one_shot_bytes: Option<f64>,
    /// Nanoseconds for one of each term, in the order of [`ProductTerm::ALL`].
    pub terms: [f64; ProductTerm::COUNT],
}

/// Bytes of both operands and the result of one product.
#[must_use]
pub fn product_bytes(accelerator: &Accelerator, gemm: &Gemm) -> f64 {
    let (m, n, k) = (real(gemm.m()), real(gemm.n()), real(gemm.k()));
    let activation = f64::from(accelerator.precision.activation_bits) / 8.0;
    let weight = f64::from(accelerator.precision.weight_bits) / 8.0;
    activation * (m * k + m * n) + weight * k * n
}

/// Rows of tiles that the busiest of the arrays sees, with column tiles rounded up to `paired` arrays.
fn one_shot_rows(accelerator: &Accelerator, gemm: &Gemm, paired: u64) -> f64 {
    let array = accelerator.array;
    let held = |columns: u64, streamed: u64| {
        let column_tiles = padded(columns.div_ceil(array.cols), paired);
        real(gemm.k().div_ceil(array.rows)) * real(column_tiles) * real(streamed)
    };
    let rows = match accelerator.dataflow {
        Dataflow::WeightStationary | Dataflow::InputStationary => {
            held(gemm.n(), gemm.m()).min(held(gemm.m(), gemm.n()))
        }
        Dataflow::OutputStationary => {
            real(gemm.m().div_ceil(array.rows)) * real(padded(gemm.n().div_ceil(array.cols), paired)) * real(gemm.k())
        }
    };
    rows * real(gemm.repeats()) / real(array.count)
}

/// Rows that stream through one tile.
fn streamed_rows(dataflow: Dataflow, gemm: &Gemm) -> f64 {
    real(match dataflow {
        Dataflow::WeightStationary => gemm.m(),
        Dataflow::InputStationary => gemm.n(),
        Dataflow::OutputStationary => gemm.k(),
    })
}

/// The counts of a product that streams where it takes more than `one_shot_bytes`.
#[must_use]
pub fn product_counts(
    accelerator: &Accelerator,
    gemm: &Gemm,
    one_shot_bytes: Option<f64>,
) -> [f64; ProductTerm::COUNT] {
    let array = accelerator.array;
    let repeats = real(gemm.repeats());
    let mut counts = [0.0; ProductTerm::COUNT];
    let mut put = |term: ProductTerm, count: f64| counts[term as usize] = count;
    put(ProductTerm::Launch, 1.0);
    let narrow = gemm.m().min(gemm.n());
    put(ProductTerm::Fill, repeats * real(narrow.min(array.cols)) / real(array.cols));
    let bytes = product_bytes(accelerator, gemm);
    if one_shot_bytes.is_none_or(|most| bytes <= most) {
        put(ProductTerm::OneShotTileRow, one_shot_rows(accelerator, gemm, 1));
        put(ProductTerm::OneShotPairedTileRow, one_shot_rows(accelerator, gemm, 2));
        put(ProductTerm::OneShotPartialSum, repeats * real(gemm.k().div_ceil(array.rows)));
        put(ProductTerm::OneShotByte, repeats * bytes);
        put(ProductTerm::OneShotFill, repeats * real(narrow) / real(array.cols));
    } else {
        let dataflow = match accelerator.dataflow {
            Dataflow::WeightStationary | Dataflow::InputStationary => Dataflow::WeightStationary,
            Dataflow::OutputStationary => Dataflow::OutputStationary,
        };
        let activation = f64::from(accelerator.precision.activation_bits) / 8.0;
        put(ProductTerm::StreamedLaunch, 1.0);
        put(ProductTerm::StreamedTileRow, tile_rows(accelerator, dataflow, gemm) / real(array.count));
        put(ProductTerm::StreamedTile, tile_rows(accelerator, dataflow, gemm) / streamed_rows(dataflow, gemm));
        put(ProductTerm::StreamedResultByte, repeats * activation * real(gemm.m()) * real(gemm.n()));
    }
    counts
}

impl ProductLaw {
    /// What `work` takes, ns; a gate is no product and takes nothing.
    pub(super) fn nanoseconds(&self, accelerator: &Accelerator, work: &Work) -> f64 {
        match work {
            Work::Gate { .. } => 0.0,
            Work::Product(gemm) => {
                let counts = product_counts(accelerator, gemm, self.one_shot_bytes);
                counts.iter().zip(&self.terms).map(|(count, number)| count * number).sum()
            }
        }
    }
}
