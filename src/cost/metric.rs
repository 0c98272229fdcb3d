//! What a search can ask of the hardware, one number each: relaxed over distributions, or exact off an estimate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Probabilities;
use crate::accel::Accelerator;
use crate::estimate::Estimate;

/// A figure of a network on an accelerator, at the batch of the target.
///
/// What is counted is counted for the whole batch, except parameters and weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Latency in ms, calibrated where the accelerator is.
    LatencyMs,
    /// `all MACs / (PEs * all cycles)`, a fraction; 0 where nothing is multiplied.
    Utilization,
    /// Energy in uJ; 0 where the accelerator has no energy table ([`Metric::is_known`]).
    EnergyUj,
    /// Multiply-accumulates.
    Macs,
    /// Learned values.
    Params,
    /// Learned values at the precision of weights, in KiB of 1024 bytes.
    WeightKib,
    /// Most activations alive at once, in KiB of 1024 bytes.
    PeakActivationKib,
}

/// A relaxed number and its gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Valued {
    /// The number, in the unit of what was asked for.
    pub value: f64,
    /// `d value / d probability`.
    pub gradient: Probabilities,
}

impl Valued {
    /// `factor` times both.
    pub(super) fn scaled(self, factor: f64) -> Self {
        Self { value: self.value * factor, gradient: self.gradient.scaled(factor) }
    }
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::LatencyMs,
        Self::Utilization,
        Self::EnergyUj,
        Self::Macs,
        Self::Params,
        Self::WeightKib,
        Self::PeakActivationKib,
    ];

    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LatencyMs => "latency-ms",
            Self::Utilization => "utilization",
            Self::EnergyUj => "energy-uj",
            Self::Macs => "macs",
            Self::Params => "params",
            Self::WeightKib => "weight-kib",
            Self::PeakActivationKib => "peak-activation-kib",
        }
    }

    /// Whether `accelerator` says what this takes: energy needs an energy table.
    #[must_use]
    pub fn is_known(self, accelerator: &Accelerator) -> bool {
        match self {
            Self::EnergyUj => accelerator.energy.is_some(),
            Self::LatencyMs
            | Self::Utilization
            | Self::Macs
            | Self::Params
            | Self::WeightKib
            | Self::PeakActivationKib => true,
        }
    }
}

/// The metric as an estimate of a network has it, at the estimate's batch.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a metric needs no more than 53 bits")]
pub fn exact(metric: Metric, estimate: &Estimate) -> f64 {
    let total = &estimate.total;
    match metric {
        Metric::LatencyMs => total.latency_ms,
        Metric::Utilization => total.end_to_end_utilization.unwrap_or(0.0),
        Metric::EnergyUj => total.energy_uj.unwrap_or(0.0),
        Metric::Macs => total.macs.0 as f64,
        Metric::Params => total.params as f64,
        Metric::WeightKib => total.weight_bytes.0 as f64 / 1024.0,
        Metric::PeakActivationKib => total.peak_activation_bytes.map_or(0.0, |bytes| bytes.0 as f64 / 1024.0),
    }
}
