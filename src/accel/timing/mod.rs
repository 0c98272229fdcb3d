//! Cycles that an array takes for a matrix product, under four timings.

pub(super) mod ideal;
pub(super) mod pipelined;
pub(super) mod scale_sim;
pub(super) mod uboost_csim;

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accelerator::{Accelerator, Array, BadArray, Dataflow};
use super::counts::Wide;
use super::workload::Gemm;
use crate::units::{Cycles, Macs};

pub use scale_sim::ScaleSimReport;

/// Cycles of the busiest array, and what they are made of; what is left waits for weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    /// All of them.
    pub(super) cycles: Wide,
    /// Operands stream.
    pub(super) stream: Wide,
    /// The operand that stays is loaded, and nothing streams.
    pub(super) load: Wide,
    /// The array fills and drains.
    pub(super) fill_and_drain: Wide,
}

/// Which cycles are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Timing {
    /// One streamed row a cycle, nothing else: the formula of the papers.
    Ideal,
    /// A double-buffered array: operands load behind the stream, fill and drain once a layer.
    #[default]
    Pipelined,
    /// What SCALE-Sim v3 reports with infinite bandwidth.
    ScaleSim,
    /// What the cycle simulator of U-Boost NAS reports; weight-stationary, one array.
    UboostCsim,
}

/// A name that no timing has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("timing `{0}`: must be one of ideal, pipelined, scale-sim, uboost-csim")]
pub struct UnknownTiming(pub String);

impl Timing {
    /// Every timing, in the order of help texts.
    pub const ALL: [Self; 4] = [Self::Ideal, Self::Pipelined, Self::ScaleSim, Self::UboostCsim];

    /// Its name in files and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ideal => "ideal",
            Self::Pipelined => "pipelined",
            Self::ScaleSim => "scale-sim",
            Self::UboostCsim => "uboost-csim",
        }
    }

    /// Whether this timing is defined for the dataflow and the arrays of an accelerator.
    ///
    /// # Errors
    /// [`CostError::Dataflow`] or [`CostError::Count`] for `uboost-csim`, which covers one weight-stationary array.
    pub fn covers(self, dataflow: Dataflow, count: u64) -> Result<(), CostError> {
        match self {
            Self::Ideal | Self::Pipelined | Self::ScaleSim => Ok(()),
            Self::UboostCsim if dataflow != Dataflow::WeightStationary => {
                Err(CostError::Dataflow { timing: self, dataflow })
            }
            Self::UboostCsim if count != 1 => Err(CostError::Count { timing: self, count }),
            Self::UboostCsim => Ok(()),
        }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Timing {
    type Err = UnknownTiming;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|timing| timing.name() == name).ok_or_else(|| UnknownTiming(name.to_owned()))
    }
}

/// What a matrix product costs on the arrays, without memory and vector work.
///
/// Costs of several products add up; a utilization of the sum is the ratio of the sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ArrayCost {
    /// Cycles of the busiest array; under `scale-sim` SCALE-Sim's number, the index of the last cycle.
    pub cycles: Cycles,
    /// Tiles of the busiest array.
    pub tiles: u64,
    /// Streamed length summed over the tiles of the busiest array, in cycles.
    pub streamed: u64,
    /// Multiply-accumulates of all arrays.
    pub macs: Macs,
}

impl ArrayCost {
    /// The cost of both, one after the other, or nothing where a sum would pass `u64`.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            cycles: self.cycles.checked_add(other.cycles)?,
            tiles: self.tiles.checked_add(other.tiles)?,
            streamed: self.streamed.checked_add(other.streamed)?,
            macs: Macs(self.macs.0.checked_add(other.macs.0)?),
        })
    }

    /// `macs / (PEs * streamed)`: what is left after tiling; `None` where nothing was multiplied.
    #[must_use]
    pub fn mapping_utilization(&self, array: &Array) -> Option<f64> {
        ratio(self.macs, array.pes(), self.streamed)
    }

    /// `macs / (PEs * cycles)`: with load, fill and drain; `None` where nothing was multiplied.
    #[must_use]
    pub fn overall_utilization(&self, array: &Array) -> Option<f64> {
        ratio(self.macs, array.pes(), self.cycles.0)
    }
}

pub(super) fn ratio(macs: Macs, pes: u64, cycles: u64) -> Option<f64> {
    (macs.0 > 0 && cycles > 0).then(|| macs.0 as f64 / (pes as f64 * cycles as f64))
}

/// A product whose cycles cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// The array itself is out of range.
    #[error("array: {0}")]
    Array(#[from] BadArray),
    /// The timing is not defined for the dataflow.
    #[error("timing `{timing}` needs dataflow weight-stationary, got {dataflow}")]
    Dataflow {
        /// The timing that was asked for.
        timing: Timing,
        /// The dataflow of the accelerator.
        dataflow: Dataflow,
    },
    /// The timing is defined for one array only.
    #[error("timing `{timing}` needs one array, got count {count}")]
    Count {
        /// The timing that was asked for.
        timing: Timing,
        /// The arrays of the accelerator.
        count: u64,
    },
    /// Depthwise work for a vector unit that is not there.
    #[error("depthwise `vector` needs a vector unit, got none")]
    NoVectorUnit,
    /// Vector work beyond what is counted.
    #[error("the cycles of the vector unit must be below 2^63")]
    Vector,
    /// Traffic beyond what is counted.
    #[error("the bytes of memory traffic must be below 2^64 and their cycles below 2^63")]
    Traffic,
    /// The number is beyond what is counted.
    #[error(
        "the {what} of m {} x n {} x k {} x repeats {} must be below 2^63 under timing `{timing}`",
        gemm.m(), gemm.n(), gemm.k(), gemm.repeats()
    )]
    TooMany {
        /// `cycles` or `memory accesses`.
        what: &'static str,
        /// The timing that was asked for.
        timing: Timing,
        /// The product.
        gemm: Gemm,
    },
}

impl Accelerator {
    /// What `gemm` costs on the arrays under `timing`: [`Accelerator::engine`] asked once.
    ///
    /// # Errors
    /// [`CostError`] where the timing does not cover the accelerator, or the cycles reach 2^63.
    pub fn array_cost(&self, timing: Timing, gemm: &Gemm) -> Result<ArrayCost, CostError> {
        self.engine(timing)?.array_cost(gemm)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::accel::workload::GemmKind;
    use crate::accel::{Depthwise, Memory, Precision};
    use crate::units::Megahertz;
    use std::collections::BTreeMap;

    /// An accelerator of one array at 1 GHz.
    pub(in crate::accel) fn accelerator(rows: u64, cols: u64, dataflow: Dataflow) -> Accelerator {
        Accelerator {
            name: "test".to_owned(),
            array: Array { rows, cols, count: 1 },
            dataflow,
            clock: Megahertz::new(1000.0).unwrap(),
            timing: Timing::Pipelined,
            depthwise: Depthwise::PerChannel,
            memory: Memory::default(),
            vector: None,
            precision: Precision::default(),
            energy: None,
            calibration: None,
            sources: BTreeMap::new(),
        }
    }

    /// A product of `repeats` equal ones.
    pub(in crate::accel) fn gemm(size: [u64; 3], repeats: u64) -> Gemm {
        let kind = if repeats > 1 { GemmKind::Depthwise } else { GemmKind::Weights };
        Gemm::new(size[0], size[1], size[2]).unwrap().repeated(repeats, kind).unwrap()
    }

    #[test]
    fn names_read_back() {
        for timing in Timing::ALL {
            assert_eq!(timing.name().parse(), Ok(timing));
            assert_eq!(serde_json::to_value(timing).unwrap(), timing.name());
        }
        let error = "fast".parse::<Timing>().unwrap_err();
        assert_eq!(error.to_string(), "timing `fast`: must be one of ideal, pipelined, scale-sim, uboost-csim");
    }

    #[test]
    fn uboost_csim_covers_one_weight_stationary_array() {
        let gemm = gemm([4, 4, 4], 1);
        let mut accelerator = accelerator(4, 4, Dataflow::OutputStationary);
        let error = accelerator.array_cost(Timing::UboostCsim, &gemm).unwrap_err();
        assert_eq!(error.to_string(), "timing `uboost-csim` needs dataflow weight-stationary, got output-stationary");
        accelerator.dataflow = Dataflow::WeightStationary;
        accelerator.array.count = 2;
        let error = accelerator.array_cost(Timing::UboostCsim, &gemm).unwrap_err();
        assert_eq!(error.to_string(), "timing `uboost-csim` needs one array, got count 2");
    }

    #[test]
    fn cycles_from_2_to_the_63_are_an_error() {
        let accelerator = accelerator(1, 1, Dataflow::WeightStationary);
        let most = gemm([i64::MAX.cast_unsigned(), 1, 1], 1);
        let ideal = accelerator.array_cost(Timing::Ideal, &most).unwrap();
        assert_eq!(ideal.cycles, Cycles(i64::MAX.cast_unsigned()));
        let more = gemm([1 << 63, 1, 1], 1);
        for timing in Timing::ALL {
            let error = accelerator.array_cost(timing, &more).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "the cycles of m 9223372036854775808 x n 1 x k 1 x repeats 1 must be below 2^63 under timing `{timing}`"
                )
            );
        }
    }

    #[test]
    fn the_largest_products_never_overflow() {
        let max = u64::MAX;
        for size in [[max, 1, 1], [1, max, 1], [1, 1, max], [1 << 31, 1 << 16, 1 << 16]] {
            for (rows, cols) in [(1, 1), (65_536, 65_536), (1, 65_536), (65_536, 1)] {
                for dataflow in [Dataflow::WeightStationary, Dataflow::InputStationary, Dataflow::OutputStationary] {
                    for timing in Timing::ALL {
                        let _ = accelerator(rows, cols, dataflow).array_cost(timing, &gemm(size, 1));
                    }
                }
            }
        }
        let _ = accelerator(1, 1, Dataflow::WeightStationary).array_cost(Timing::UboostCsim, &gemm([1, 1, 1], max));
    }

    #[test]
    fn several_arrays_cost_what_the_busiest_does() {
        let mut accelerator = accelerator(4, 4, Dataflow::WeightStationary);
        accelerator.array.count = 2;
        // 12 columns = 3 tiles: the busiest array has 2 of them, 5 pixels each: 10 streamed.
        // 5 * 12 * 4 = 240 MACs on 32 PEs: 240 / (32 * 10) = 0.75
        let cost = accelerator.array_cost(Timing::Ideal, &gemm([5, 12, 4], 1)).unwrap();
        assert_eq!((cost.cycles, cost.tiles, cost.streamed, cost.macs), (Cycles(10), 2, 10, Macs(240)));
        assert_eq!(cost.mapping_utilization(&accelerator.array), Some(0.75));
    }

    #[test]
    fn utilization_of_a_sum_is_the_ratio_of_the_sums() {
        let accelerator = accelerator(4, 4, Dataflow::WeightStationary);
        let full = accelerator.array_cost(Timing::Ideal, &gemm([10, 4, 4], 1)).unwrap();
        let thin = accelerator.array_cost(Timing::Ideal, &gemm([30, 1, 4], 1)).unwrap();
        // (160 + 120) MACs / (16 PEs * 40 cycles)
        let both = full.checked_add(thin).unwrap();
        assert_eq!(both.mapping_utilization(&accelerator.array), Some(280.0 / 640.0));
        assert_eq!(ArrayCost::default().mapping_utilization(&accelerator.array), None);
        assert_eq!(ArrayCost::default().overall_utilization(&accelerator.array), None);
    }
}
