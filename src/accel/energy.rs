//! Energy: a table of what an operation and an access cost, times their counts.

use serde::Serialize;

use super::accelerator::Precision;
use super::counts::Wide;
use super::tiling::Passes;
use super::traffic::Traffic;
use super::workload::Gemm;
use crate::units::Picojoules;

/// Energies as in an Accelergy table; each from 0 to [`EnergyTable::MAX_PJ`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EnergyTable {
    /// pJ of a multiply-accumulate.
    pub mac_pj: f64,
    /// pJ of a byte read from or written to a register of a processing element.
    pub register_pj_per_byte: f64,
    /// pJ of a byte read from or written to a memory on chip.
    pub sram_pj_per_byte: f64,
    /// pJ of a byte read from or written to DRAM.
    pub dram_pj_per_byte: f64,
}

/// What the table is multiplied with, in bits where it is data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) macs: u64,
    pub(super) register_bits: Wide,
    pub(super) sram_bits: Wide,
}

impl EnergyTable {
    /// The most that an operation or a byte may cost, in pJ.
    pub const MAX_PJ: f64 = 1e9;

    /// `mac_pj * MACs + register_pj * register bytes + sram_pj * SRAM bytes + dram_pj * DRAM bytes`.
    ///
    /// Every DRAM byte passes a memory on chip once, so the SRAM bytes are those of `counts` and of `traffic`.
    pub(super) fn energy(&self, counts: Counts, traffic: &Traffic) -> Picojoules {
        #[expect(clippy::cast_precision_loss, reason = "an energy needs no more than 53 bits")]
        let bytes = |bits: Wide| bits as f64 / 8.0;
        let dram: f64 = [traffic.weights, traffic.inputs, traffic.outputs].iter().map(|port| port.0 as f64).sum();
        Picojoules(
            self.mac_pj * counts.macs as f64
                + self.register_pj_per_byte * bytes(counts.register_bits)
                + self.sram_pj_per_byte * (bytes(counts.sram_bits) + dram)
                + self.dram_pj_per_byte * dram,
        )
    }
}

/// Counts of `gemm`, whose operands go through the arrays as often as `passes` says.
///
/// Registers: a multiply-accumulate reads a weight and an activation, and reads and writes a partial sum. Memories on
/// chip: `m k` inputs and `k n` weights for each pass; `m n` sums written for each row tile and read again for each but
/// the first.
pub(super) fn counts(precision: &Precision, gemm: &Gemm, passes: Passes) -> Counts {
    let [weight, activation, sum] =
        [precision.weight_bits, precision.activation_bits, precision.accumulator_bits].map(Wide::from);
    let [m, n, k, repeats] = [gemm.m(), gemm.n(), gemm.k(), gemm.repeats()].map(Wide::from);
    let [inputs, weights, sums] = [passes.inputs, passes.weights, passes.sums].map(Wide::from);
    let macs = gemm.macs().0;
    let values_in_bits = m * k * inputs * activation + k * n * weights * weight + m * n * (2 * sums - 1) * sum;
    Counts {
        macs,
        register_bits: Wide::from(macs) * (weight + activation + 2 * sum),
        sram_bits: repeats * values_in_bits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::GemmKind;
    use crate::units::Bytes;

    #[test]
    fn energy_is_the_table_times_the_counts() {
        // m 2, n 3, k 5, twice: 60 MACs. Inputs 2 * 5 * 2 passes = 20, weights 15 * 1, sums 6 * (2 * 2 - 1) = 18, all
        // twice.
        let gemm = Gemm::new(2, 3, 5).unwrap().repeated(2, GemmKind::Weights).unwrap();
        let counts = counts(&Precision::default(), &gemm, Passes { inputs: 2, weights: 1, sums: 2 });
        // registers: 60 * (1 + 1 + 2 * 4) bytes; memories: 2 * (20 + 15 + 18 * 4) bytes
        assert_eq!(counts, Counts { macs: 60, register_bits: 600 * 8, sram_bits: 214 * 8 });
        let table =
            EnergyTable { mac_pj: 0.5, register_pj_per_byte: 0.25, sram_pj_per_byte: 2.0, dram_pj_per_byte: 100.0 };
        let traffic = Traffic { weights: Bytes(30), inputs: Bytes(20), outputs: Bytes(12) };
        // 60 * 0.5 + 600 * 0.25 + (214 + 62) * 2 + 62 * 100
        assert_eq!(table.energy(counts, &traffic), Picojoules(30.0 + 150.0 + 552.0 + 6200.0));
    }
}
