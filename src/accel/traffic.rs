//! Traffic to DRAM: compulsory, what stays on chip, and what is read again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accelerator::Dataflow;
use super::memory::Memory;
use super::tiling::Tiling;
use super::workload::GemmKind;
use crate::units::Bytes;

/// One operand of a layer, for the whole batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Operand {
    /// All of it, each value once.
    pub bytes: Bytes,
    /// What of it is in DRAM; the rest is on chip.
    pub off_chip: Bytes,
}

/// What a layer reads and writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Operands {
    /// Weights; of a product of two activations, the second of them.
    pub weights: Operand,
    /// Input activations.
    pub inputs: Operand,
    /// Output activations.
    pub outputs: Operand,
}

/// Bytes to and from DRAM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Weights read.
    pub weights: Bytes,
    /// Input activations read.
    pub inputs: Bytes,
    /// Output activations written.
    pub outputs: Bytes,
}

impl Operand {
    /// An operand that is in DRAM.
    #[must_use]
    pub fn off_chip(bytes: Bytes) -> Self {
        Self { bytes, off_chip: bytes }
    }

    /// An operand that is on chip.
    #[must_use]
    pub fn on_chip(bytes: Bytes) -> Self {
        Self { bytes, off_chip: Bytes(0) }
    }
}

impl Traffic {
    /// Each operand once, as far as it is in DRAM.
    #[must_use]
    pub fn compulsory(operands: &Operands) -> Self {
        Self {
            weights: operands.weights.off_chip,
            inputs: operands.inputs.off_chip,
            outputs: operands.outputs.off_chip,
        }
    }

    /// The traffic of a product that is cut as `tiling`, what stays in the array loaded `loads` times.
    ///
    /// | dataflow | inputs | weights | outputs |
    /// |---|---|---|---|
    /// | weight-stationary | once if they fit, else ceil(n/C) times | loads times | once |
    /// | input-stationary | loads times | once if they fit, else ceil(m/C) times | once |
    /// | output-stationary | once if they fit, else ceil(n/C) times | once if they fit, else ceil(m/R) times | once |
    ///
    /// Inputs fit where all of them fit the activation memory, weights where those of the layer fit the weight memory;
    /// the second operand of a product of activations where both fit the activation memory. Nothing where a count
    /// passes 64 bits.
    #[inline]
    pub(super) fn of_product(product: &Product<'_>, memory: &Memory, operands: &Operands) -> Option<Self> {
        let Product { tiling, dataflow, kind, loads } = *product;
        let passes = tiling.passes(dataflow, loads);
        let inputs = || if memory.fits_input(operands.inputs.bytes) { 1 } else { passes.inputs };
        let weights = || if fits_second(kind, memory, operands) { 1 } else { passes.weights };
        let (inputs, weights) = match dataflow {
            Dataflow::WeightStationary => (inputs(), passes.weights),
            Dataflow::InputStationary => (passes.inputs, weights()),
            Dataflow::OutputStationary => (inputs(), weights()),
        };
        Some(Self {
            weights: Bytes(operands.weights.off_chip.0.checked_mul(weights)?),
            inputs: Bytes(operands.inputs.off_chip.0.checked_mul(inputs)?),
            outputs: operands.outputs.off_chip,
        })
    }

    /// All bytes, or nothing where they pass `u64`.
    #[must_use]
    pub fn total(&self) -> Option<Bytes> {
        self.read()?.checked_add(self.outputs)
    }

    /// Bytes read, or nothing where they pass `u64`.
    #[must_use]
    pub fn read(&self) -> Option<Bytes> {
        self.weights.checked_add(self.inputs)
    }

    /// Both, or nothing where a sum would pass `u64`.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            weights: self.weights.checked_add(other.weights)?,
            inputs: self.inputs.checked_add(other.inputs)?,
            outputs: self.outputs.checked_add(other.outputs)?,
        })
    }
}

/// A product as its traffic sees it.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) tiling: &'a Tiling,
    pub(super) dataflow: Dataflow,
    pub(super) kind: GemmKind,
    /// How often what stays in the array is loaded.
    pub(super) loads: u64,
}

fn fits_second(kind: GemmKind, memory: &Memory, operands: &Operands) -> bool {
    match kind {
        GemmKind::Weights | GemmKind::Depthwise => memory.fits_weights(operands.weights.bytes),
        GemmKind::Activations => {
            operands.inputs.bytes.checked_add(operands.weights.bytes).is_some_and(|both| memory.fits_input(both))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::{Array, Gemm};

    const ALL: [Dataflow; 3] = [Dataflow::WeightStationary, Dataflow::InputStationary, Dataflow::OutputStationary];

    /// m 10, n 20, k 6 on 4 x 8 in bytes of one value each: 60 inputs, 120 weights, 200 outputs.
    fn traffic(memory: &Memory, dataflow: Dataflow, loads: u64) -> [u64; 3] {
        let array = Array { rows: 4, cols: 8, count: 1 };
        let gemm = Gemm::new(10, 20, 6).unwrap();
        let tiling = Tiling::new(&array, dataflow, &gemm);
        let operands = Operands {
            weights: Operand::off_chip(Bytes(120)),
            inputs: Operand::off_chip(Bytes(60)),
            outputs: Operand::off_chip(Bytes(200)),
        };
        let product = Product { tiling: &tiling, dataflow, kind: gemm.kind(), loads };
        let traffic = Traffic::of_product(&product, memory, &operands).unwrap();
        assert_eq!(traffic.total().unwrap().0, traffic.weights.0 + traffic.inputs.0 + traffic.outputs.0);
        [traffic.weights.0, traffic.inputs.0, traffic.outputs.0]
    }

    #[test]
    fn what_fits_is_read_once() {
        for dataflow in ALL {
            assert_eq!(traffic(&Memory::default(), dataflow, 1), [120, 60, 200]);
        }
    }

    #[test]
    fn what_does_not_fit_is_read_once_for_each_pass() {
        let memory =
            Memory { weight_capacity: Some(Bytes(119)), activation_capacity: Some(Bytes(59)), ..Memory::default() };
        // WS: inputs ceil(20/8) = 3 times; IS: weights ceil(10/8) = 2 times; OS: inputs 3, weights ceil(10/4) = 3 times
        let expected = [[120, 180, 200], [240, 60, 200], [360, 180, 200]];
        assert_eq!(ALL.map(|dataflow| traffic(&memory, dataflow, 1)), expected);
    }

    #[test]
    fn weights_that_stay_in_the_array_are_read_for_each_block_of_m() {
        assert_eq!(traffic(&Memory::default(), Dataflow::WeightStationary, 4), [480, 60, 200]);
    }

    #[test]
    fn what_is_on_chip_is_not_read_again_either() {
        let array = Array { rows: 4, cols: 8, count: 1 };
        let gemm = Gemm::new(10, 20, 6).unwrap();
        let tiling = Tiling::new(&array, Dataflow::OutputStationary, &gemm);
        let memory = Memory { activation_capacity: Some(Bytes(59)), ..Memory::default() };
        let inputs = Operand { bytes: Bytes(60), off_chip: Bytes(20) };
        let operands = Operands { weights: Operand::on_chip(Bytes(120)), inputs, outputs: Operand::default() };
        let product = Product { tiling: &tiling, dataflow: Dataflow::OutputStationary, kind: gemm.kind(), loads: 1 };
        let traffic = Traffic::of_product(&product, &memory, &operands).unwrap();
        assert_eq!(traffic, Traffic { weights: Bytes(0), inputs: Bytes(60), outputs: Bytes(0) });
    }
}
