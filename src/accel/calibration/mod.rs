//! Latency fitted to measured times: a linear law over physical counts, and the ceiling above it.
//!
//! A law is additive over layers, plus one constant: `T = c + sum over layers of sum over terms (number * count)`, in
//! nanoseconds. What a measured host adds where the accelerator is faster than it stands above the sum:
//! `(T^16 + H^16)^(1/16)`. Cycles are never touched.

mod file;
mod network;
mod product;
mod work;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use file::CalibrationFile;
pub use network::{Counts, Lanes, NetworkLaw, NetworkTerm, Writer, Written};
pub use product::{ProductLaw, ProductTerm, product_bytes, product_counts};
pub use work::Work;

use super::accelerator::Accelerator;

/// Power of the soft maximum of model and host: a corner as sharp as measured.
const CEILING_POWER: i32 = 16;
/// Nanoseconds in a millisecond.
const NS_PER_MS: f64 = 1e6;

/// What turns counts into measured time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Calibration {
    /// The numbers.
    pub law: Law,
    /// Time of one image below which the host, not the accelerator, is measured, in ms.
    pub ceiling_ms: Option<f64>,
    /// What the numbers were fitted to, and how well.
    pub measured: Measured,
    /// Where the measurements are from, by what they measure.
    pub sources: BTreeMap<String, String>,
}

/// The two forms of a law.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    /// Of whole networks.
    Network(NetworkLaw),
    /// Of single matrix products.
    Products(ProductLaw),
}

/// The rows that a law was fitted to, and the errors on rows that it was not fitted to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Measured {
    /// Measured rows.
    pub rows: usize,
    /// Least measured time, ms.
    pub from_ms: f64,
    /// Greatest measured time, ms.
    pub to_ms: f64,
    /// Which of the forms was chosen.
    pub form: String,
    /// Folds of the cross-validation.
    pub folds: usize,
    /// Seed of the folds.
    pub seed: u64,
    /// Mean absolute relative error on held-out rows, percent.
    pub mape_percent: f64,
    /// Rank correlation of Spearman on held-out rows.
    pub spearman: f64,
    /// Rank correlation of Kendall (tau-b) on held-out rows.
    pub kendall: f64,
}

/// A time with its slope by the sum below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capped {
    /// Milliseconds.
    pub ms: f64,
    /// `d ms / d sum`, 0 to 1.
    pub slope: f64,
}

/// `(time^16 + ceiling^16)^(1/16)` and its slopes by both, without overflow.
#[must_use]
pub fn soft_maximum(time: f64, ceiling: f64) -> (f64, [f64; 2]) {
    let most = time.max(ceiling);
    if most <= 0.0 {
        return (0.0, [1.0, 0.0]);
    }
    let powers = [time, ceiling].map(|part| (part.max(0.0) / most).powi(CEILING_POWER));
    let value = most * (powers[0] + powers[1]).powf(1.0 / f64::from(CEILING_POWER));
    (value, [time, ceiling].map(|part| (part.max(0.0) / value).powi(CEILING_POWER - 1)))
}

impl Calibration {
    /// What does not depend on the layers, ms.
    #[must_use]
    pub fn constant_ms(&self) -> f64 {
        match &self.law {
            Law::Network(law) => law.terms[NetworkTerm::Constant as usize] / NS_PER_MS,
            Law::Products(_) => 0.0,
        }
    }

    /// What `work` adds on `accelerator`, for one image, ms.
    #[must_use]
    pub fn work_ms(&self, accelerator: &Accelerator, work: &Work) -> f64 {
        let nanoseconds = match &self.law {
            Law::Network(law) => law.nanoseconds(accelerator, work),
            Law::Products(law) => law.nanoseconds(accelerator, work),
        };
        nanoseconds / NS_PER_MS
    }

    /// Time of one image whose layers add up to `layers_ms`: with the constant, under the ceiling.
    #[must_use]
    pub fn image(&self, layers_ms: f64) -> Capped {
        let sum = self.constant_ms() + layers_ms;
        match self.ceiling_ms {
            None => Capped { ms: sum, slope: 1.0 },
            Some(ceiling) => {
                let (ms, [slope, _]) = soft_maximum(sum, ceiling);
                Capped { ms, slope }
            }
        }
    }
}

#[cfg(test)]
mod tests;
