//! One network on one accelerator: how wrong, how slow.

use std::fmt;

use serde::Serialize;

use super::ParetoError;
use crate::units::Macs;

/// A network on an accelerator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Name, unique on its accelerator.
    pub name: String,
    /// 1 - accuracy, a fraction.
    pub error: f64,
    /// Latency at batch 1, ms.
    pub latency_ms: f64,
    /// Overall utilization, a fraction: adds load, fill and drain to what tiling loses.
    pub utilization: Option<f64>,
    /// Energy of one image, uJ, where the accelerator has an energy table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_uj: Option<f64>,
    /// Trained parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<u64>,
    /// Trained parameters at the accelerator's precision of weights, KiB of 1024 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_kib: Option<f64>,
    /// Multiply-accumulates for one image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macs: Option<Macs>,
    /// Which method searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Seed of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Search and training, s, where it is a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Name of the accelerator.
    pub accelerator: String,
    /// Which images the error is of.
    pub accuracy_from: AccuracyFrom,
    /// The run folder, where it is a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// Which images an accuracy was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccuracyFrom {
    /// Test images.
    Test,
    /// Validation images: nothing was measured on test images.
    Validation,
    /// A table, which says for itself.
    Table,
}

impl fmt::Display for AccuracyFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Test => "test",
            Self::Validation => "validation",
            Self::Table => "table",
        })
    }
}

impl Point {
    /// A point with its two objectives, error (a fraction) and latency (ms), and nothing else known; of test images.
    #[must_use]
    pub fn new(name: &str, accelerator: &str, [error, latency_ms]: [f64; 2]) -> Self {
        Self {
            name: name.to_owned(),
            error,
            latency_ms,
            utilization: None,
            energy_uj: None,
            params: None,
            weight_kib: None,
            macs: None,
            method: None,
            seed: None,
            seconds: None,
            accelerator: accelerator.to_owned(),
            accuracy_from: AccuracyFrom::Test,
            run: None,
        }
    }

    /// The name that it shares with the runs of the same job under other seeds: without `-s<seed>` at its end.
    #[must_use]
    pub fn job(&self) -> &str {
        let seed = self.seed.map(|seed| format!("-s{seed}"));
        seed.and_then(|seed| self.name.strip_suffix(&*seed)).unwrap_or(&self.name)
    }

    /// That both objectives are numbers that a run can have.
    pub(super) fn check(&self) -> Result<(), ParetoError> {
        let wrong = |rule, given| Err(ParetoError::Value { name: self.name.clone(), rule, given });
        if !(0.0..=1.0).contains(&self.error) {
            return wrong("an error is a fraction from 0 to 1", self.error);
        }
        if !(self.latency_ms.is_finite() && self.latency_ms >= 0.0) {
            return wrong("a latency in ms must be finite and not negative", self.latency_ms);
        }
        Ok(())
    }
}
