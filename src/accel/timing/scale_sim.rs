//! `scale-sim`: what SCALE-Sim v3 reports with infinite bandwidth.

use serde::Serialize;

use super::{CostError, Parts, Timing};
use crate::accel::accelerator::{Accelerator, Array, Dataflow};
use crate::accel::counts::{Wide, counted};
use crate::accel::tiling::{Split, Tiling};
use crate::accel::workload::Gemm;

/// `tiles * X - 1` for each repeat, with `X` the cycles of a tile ([`tile_cycles`]).
///
/// The number is the index of the last cycle, as SCALE-Sim reports it; each repeat is a layer of its own there, and so
/// is each pass of repeats that share the array.
#[inline(always)]
pub(in crate::accel) fn parts(array: &Array, dataflow: Dataflow, tiling: &Tiling) -> Parts {
    let tiles = Wide::from(tiling.tiles());
    Parts {
        cycles: tiles * tile_cycles(array, dataflow, tiling.streamed) - Wide::from(tiling.runs()),
        stream: Wide::from(tiling.total_streamed()),
        load: tiles * Wide::from(operand_load(array, dataflow)),
        fill_and_drain: tiles * Wide::from(array.rows + array.cols - 2),
    }
}

/// Cycles of one tile, whether or not its rows and columns are in use; the load of its operand is never hidden.
///
/// Weight- and input-stationary: `2 R + C + T - 2`; output-stationary: `R + C + T - 2`.
#[inline(always)]
fn tile_cycles(array: &Array, dataflow: Dataflow, streamed: u64) -> Wide {
    Wide::from(operand_load(array, dataflow) + array.rows + array.cols - 2) + Wide::from(streamed)
}

/// Cycles in which the operand that stays is loaded, before each tile.
#[inline(always)]
fn operand_load(array: &Array, dataflow: Dataflow) -> u64 {
    match dataflow {
        Dataflow::WeightStationary | Dataflow::InputStationary => array.rows,
        Dataflow::OutputStationary => 0,
    }
}

/// The columns of SCALE-Sim's reports besides cycles, mapping and overall utilization.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScaleSimReport {
    /// Its `Compute Util`, as a fraction: `Sr Sc T / (tiles R C X)`, `X` the cycles of a tile, for weight- and
    /// input-stationary plus `C - 1`.
    pub compute_utilization: f64,
    /// Reads of the input memory, in elements, over all repeats.
    pub ifmap_reads: u64,
    /// Reads of the filter memory, in elements, over all repeats.
    pub filter_reads: u64,
    /// Writes of the output memory, in elements, over all repeats.
    pub ofmap_writes: u64,
}

impl Accelerator {
    /// SCALE-Sim's compute utilization and memory accesses for `gemm`; of several arrays the busiest one's.
    ///
    /// # Errors
    /// [`CostError`] where the array is out of range or the accesses reach 2^63.
    pub fn scale_sim_report(&self, gemm: &Gemm) -> Result<ScaleSimReport, CostError> {
        self.array.check()?;
        let one = Split::new(&self.array, self.dataflow, gemm).busiest;
        let tiling = Tiling::new(&self.array, self.dataflow, &one);
        let repeats = Wide::from(tiling.repeats);
        let total = |of_one: Wide| {
            of_one.checked_mul(repeats).and_then(counted).ok_or(CostError::TooMany {
                what: "memory accesses",
                timing: Timing::ScaleSim,
                gemm: *gemm,
            })
        };
        let [ifmap, filter, ofmap] = accesses(&self.array, self.dataflow, &one);
        Ok(ScaleSimReport {
            compute_utilization: compute_utilization(&self.array, self.dataflow, &one),
            ifmap_reads: total(ifmap)?,
            filter_reads: total(filter)?,
            ofmap_writes: total(ofmap)?,
        })
    }
}

/// Accesses of one repeat in elements: input reads, filter reads, output writes.
///
/// Each operand as often as it goes through the array ([`Tiling::passes`]); output-stationary, `tiles (R + C)` writes
/// more.
fn accesses(array: &Array, dataflow: Dataflow, gemm: &Gemm) -> [Wide; 3] {
    let [m, n, k] = [gemm.m(), gemm.n(), gemm.k()].map(Wide::from);
    let tiling = Tiling::new(array, dataflow, gemm);
    let passes = tiling.passes(dataflow, 1);
    let more = match dataflow {
        Dataflow::WeightStationary | Dataflow::InputStationary => 0,
        Dataflow::OutputStationary => Wide::from(tiling.tiles_of_one()) * Wide::from(array.rows + array.cols),
    };
    [m * k * Wide::from(passes.inputs), k * n * Wide::from(passes.weights), m * n * Wide::from(passes.sums) + more]
}

fn compute_utilization(array: &Array, dataflow: Dataflow, gemm: &Gemm) -> f64 {
    let tiling = Tiling::new(array, dataflow, gemm);
    let drain = match dataflow {
        Dataflow::WeightStationary | Dataflow::InputStationary => array.cols - 1,
        Dataflow::OutputStationary => 0,
    };
    let tile = tile_cycles(array, dataflow, tiling.streamed) + Wide::from(drain);
    let macs = gemm.macs().0 as f64 / tiling.repeats as f64;
    let of_one_array = (array.rows * array.cols) as f64;
    macs / (tiling.tiles_of_one() as f64 * of_one_array * tile as f64)
}

#[cfg(test)]
mod tests {
    use super::super::Timing;
    use super::super::tests::{accelerator, gemm};
    use crate::accel::Dataflow::{self, InputStationary, OutputStationary, WeightStationary};
    use proptest::prelude::*;

    fn cycles(side: [u64; 2], dataflow: Dataflow, size: [u64; 3], repeats: u64) -> u64 {
        let accelerator = accelerator(side[0], side[1], dataflow);
        accelerator.array_cost(Timing::ScaleSim, &gemm(size, repeats)).unwrap().cycles.0
    }

    #[test]
    fn partial_tiles_pay_for_the_whole_array() {
        // k = 6 and n = 5 on 4 x 4: 4 tiles of 2*4 + 4 + 2 - 2 = 12, less one
        assert_eq!(cycles([4, 4], WeightStationary, [2, 5, 6], 1), 47);
        // k = 6 and m = 2: 2 tiles of 2*4 + 4 + 5 - 2 = 15, less one
        assert_eq!(cycles([4, 4], InputStationary, [2, 5, 6], 1), 29);
        // m = 2 and n = 5: 2 tiles of 4 + 4 + 6 - 2 = 12, less one
        assert_eq!(cycles([4, 4], OutputStationary, [2, 5, 6], 1), 23);
    }

    #[test]
    fn every_repeat_ends_at_its_own_last_index() {
        // a tile of 2*4 + 4 + 10 - 2 = 20, less one, three times
        assert_eq!(cycles([4, 4], WeightStationary, [10, 1, 3], 3), 57);
    }

    #[test]
    fn a_product_that_ends_at_index_zero_has_no_overall_utilization() {
        // 1 + 1 + 1 - 2 - 1 = 0
        let accelerator = accelerator(1, 1, OutputStationary);
        let cost = accelerator.array_cost(Timing::ScaleSim, &gemm([1, 1, 1], 1)).unwrap();
        assert_eq!(cost.cycles.0, 0);
        assert_eq!(cost.overall_utilization(&accelerator.array), None);
        assert_eq!(cost.mapping_utilization(&accelerator.array), Some(1.0));
    }

    #[test]
    fn accesses_count_each_pass_over_an_operand() {
        // m 2, n 5, k 6 on 4 x 4, three times
        let report = |dataflow| accelerator(4, 4, dataflow).scale_sim_report(&gemm([2, 5, 6], 3)).unwrap();
        let found = [WeightStationary, InputStationary, OutputStationary].map(report);
        let counts = found.map(|r| [r.ifmap_reads, r.filter_reads, r.ofmap_writes].map(|total| total / 3));
        // WS: 12 * 2, 30, 10 * 2;  IS: 12, 30 * 1, 10 * 2;  OS: 12 * 2, 30 * 1, 10 + 2 tiles * 8
        assert_eq!(counts, [[24, 30, 20], [12, 30, 20], [24, 30, 26]]);
        // WS: 60 / (4 tiles * 16 * (12 + 3));  OS: 60 / (2 tiles * 16 * 12)
        assert!((found[0].compute_utilization - 60.0 / 960.0).abs() < 1e-15);
        assert!((found[2].compute_utilization - 60.0 / 384.0).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn equals_a_loop_over_tiles(size in [1..40_u64, 1..40, 1..40], side in [1..9_u64, 1..9], repeats in 1..4_u64) {
            let [m, n, k] = size;
            let [rows, cols] = side;
            let cases = [
                (WeightStationary, [k, n], 2 * rows + cols + m - 2),
                (InputStationary, [k, m], 2 * rows + cols + n - 2),
                (OutputStationary, [m, n], rows + cols + k - 2),
            ];
            for (dataflow, held, tile) in cases {
                let mut expected = 0;
                for _ in 0..repeats {
                    for _ in (0..held[0]).step_by(usize::try_from(rows).unwrap()) {
                        for _ in (0..held[1]).step_by(usize::try_from(cols).unwrap()) {
                            expected += tile;
                        }
                    }
                    expected -= 1;
                }
                prop_assert_eq!(cycles(side, dataflow, size, repeats), expected);
            }
        }
    }
}
