//! The accelerator as meant: plain data, whatever file it came from.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::energy::EnergyTable;
use super::memory::Memory;
use super::timing::Timing;
use super::vector::VectorUnit;
use crate::units::{Bytes, Megahertz};

/// A systolic-array accelerator.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Accelerator {
    /// What it is called in reports.
    pub name: String,
    /// The processing elements.
    pub array: Array,
    /// Which operand stays in the array.
    pub dataflow: Dataflow,
    /// Clock of the array.
    pub clock: Megahertz,
    /// The timing used unless the caller asks for another.
    pub timing: Timing,
    /// How depthwise products are mapped.
    pub depthwise: Depthwise,
    /// Memories and their bandwidths.
    pub memory: Memory,
    /// The unit for what is no matrix product; such work is free where there is none.
    pub vector: Option<VectorUnit>,
    /// Bits of a number.
    pub precision: Precision,
    /// What an operation and an access cost, where known.
    pub energy: Option<EnergyTable>,
    /// Latency fitted to measured times, where there are any.
    pub calibration: Option<Calibration>,
    /// Where each number is from, by its key.
    pub sources: BTreeMap<String, String>,
}

/// `count` equal arrays of `rows` x `cols` processing elements (PEs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Array {
    /// Rows of one array, 1 to [`Array::MAX_SIDE`].
    pub rows: u64,
    /// Columns of one array, 1 to [`Array::MAX_SIDE`].
    pub cols: u64,
    /// Arrays, 1 to [`Array::MAX_COUNT`].
    pub count: u64,
}

/// An array that is empty or larger than any that is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: must be from 1 to {most}, got {given}")]
pub struct BadArray {
    /// `rows`, `cols` or `count`.
    pub field: &'static str,
    /// The most that is covered.
    pub most: u64,
    /// What was given.
    pub given: u64,
}

impl Array {
    /// The most rows or columns: beyond any array built, and small enough that cycle sums stay exact.
    pub const MAX_SIDE: u64 = 65_536;
    /// The most arrays.
    pub const MAX_COUNT: u64 = 1_024;

    /// # Errors
    /// [`BadArray`] for the first field out of its range.
    pub fn check(&self) -> Result<(), BadArray> {
        let fields = [
            ("rows", Self::MAX_SIDE, self.rows),
            ("cols", Self::MAX_SIDE, self.cols),
            ("count", Self::MAX_COUNT, self.count),
        ];
        for (field, most, given) in fields {
            if given < 1 || given > most {
                return Err(BadArray { field, most, given });
            }
        }
        Ok(())
    }

    /// Processing elements of all arrays, `rows * cols * count`.
    #[must_use]
    pub fn pes(&self) -> u64 {
        self.rows * self.cols * self.count
    }
}

/// Which operand of a matrix product stays in the array while the others stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dataflow {
    /// Rows hold k, columns hold n, m streams.
    WeightStationary,
    /// Rows hold k, columns hold m, n streams.
    InputStationary,
    /// Rows hold m, columns hold n, k streams.
    OutputStationary,
}

impl fmt::Display for Dataflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WeightStationary => "weight-stationary",
            Self::InputStationary => "input-stationary",
            Self::OutputStationary => "output-stationary",
        })
    }
}

/// How the groups of a depthwise or grouped product are mapped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Depthwise {
    /// One group a pass, as in SCALE-Sim and U-Boost.
    #[default]
    PerChannel,
    /// As many groups as fit share a pass, one behind the other along the diagonal of the array.
    Diagonal,
    /// The vector unit computes depthwise products, a multiply-accumulate an operation; other groups as `per-channel`.
    Vector,
}

impl fmt::Display for Depthwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PerChannel => "per-channel",
            Self::Diagonal => "diagonal",
            Self::Vector => "vector",
        })
    }
}

/// Bits of a weight, an activation and an accumulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Precision {
    /// Bits of a weight.
    pub weight_bits: u32,
    /// Bits of an activation.
    pub activation_bits: u32,
    /// Bits of a partial sum.
    pub accumulator_bits: u32,
}

impl Precision {
    /// The widest number that is covered, in bits.
    pub const MAX_BITS: u32 = 64;

    /// Bytes of `values` weights, rounded up; 2^64 - 1 where they are more.
    #[must_use]
    pub fn weight_bytes(&self, values: u64) -> Bytes {
        bytes(values, self.weight_bits)
    }

    /// Bytes of `values` activations, rounded up; 2^64 - 1 where they are more.
    #[must_use]
    pub fn activation_bytes(&self, values: u64) -> Bytes {
        bytes(values, self.activation_bits)
    }

    /// Bytes of `values` partial sums, rounded up; 2^64 - 1 where they are more.
    #[must_use]
    pub fn accumulator_bytes(&self, values: u64) -> Bytes {
        bytes(values, self.accumulator_bits)
    }
}

/// `ceil(values * bits / 8)`.
fn bytes(values: u64, bits: u32) -> Bytes {
    let bits = u128::from(values) * u128::from(bits);
    Bytes(u64::try_from(bits.div_ceil(8)).unwrap_or(u64::MAX))
}

/// int8 with accumulators of 32 bits.
impl Default for Precision {
    fn default() -> Self {
        Self { weight_bits: 8, activation_bits: 8, accumulator_bits: 32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_out_of_range_names_the_field() {
        let array = Array { rows: 128, cols: 0, count: 1 };
        assert_eq!(array.check().unwrap_err().to_string(), "cols: must be from 1 to 65536, got 0");
        let array = Array { rows: 65_537, cols: 1, count: 1 };
        assert_eq!(array.check().unwrap_err().to_string(), "rows: must be from 1 to 65536, got 65537");
        let array = Array { rows: 65_536, cols: 65_536, count: 1_024 };
        assert_eq!(array.check(), Ok(()));
    }

    #[test]
    fn bytes_are_rounded_up_from_bits() {
        let precision = Precision { weight_bits: 4, activation_bits: 12, accumulator_bits: 24 };
        // 3 * 4 = 12 bits, 3 * 12 = 36 bits, 3 * 24 = 72 bits
        assert_eq!(precision.weight_bytes(3), Bytes(2));
        assert_eq!(precision.activation_bytes(3), Bytes(5));
        assert_eq!(precision.accumulator_bytes(3), Bytes(9));
        assert_eq!(Precision { weight_bits: 64, ..precision }.weight_bytes(u64::MAX), Bytes(u64::MAX));
    }

    #[test]
    fn pes_count_every_array() {
        assert_eq!(Array { rows: 4, cols: 8, count: 3 }.pes(), 96);
    }
}
