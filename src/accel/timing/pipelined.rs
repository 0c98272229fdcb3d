//! `pipelined`: a double-buffered array, its fill and drain paid once a layer.

use super::Parts;
use crate::accel::accelerator::{Array, Dataflow};
use crate::accel::counts::Wide;
use crate::accel::tiling::{Extent, Tiling};

/// Cycles of the array itself; memory and vector work are not in it.
///
/// Tiles `i = 1..P` of the whole layer, blocks of the streamed length outermost, then the order of [`Tiling`]; `T_i`
/// streamed and `r_i` rows in use:
/// - weight- and input-stationary: `r_1 + sum_i max(T_i, r_(i+1)) + (R - 1) + (C - 1)` with `r_(P+1) = 0`: the next
///   operand loads while a tile streams;
/// - output-stationary: `P T + (P - 1) max(0, R - T) + (R - 1) + (C - 1) + R`: the sums of a tile drain in `R` cycles
///   while the next one streams.
///
/// Fill and drain run over all `R` rows and `C` columns, used or not.
#[inline]
pub(in crate::accel) fn parts(array: &Array, dataflow: Dataflow, tiling: &Tiling, blocks: &Extent) -> Parts {
    let stream = Wide::from(tiling.total_streamed());
    let across = Wide::from(array.rows - 1 + array.cols - 1);
    match dataflow {
        Dataflow::WeightStationary | Dataflow::InputStationary => {
            let busy = operand_stationary(tiling, blocks);
            Parts { cycles: busy + across, stream, load: busy - stream, fill_and_drain: across }
        }
        Dataflow::OutputStationary => {
            let wait = Wide::from(tiling.tiles() - 1) * Wide::from(array.rows.saturating_sub(tiling.streamed));
            let fill_and_drain = wait + across + Wide::from(array.rows);
            Parts { cycles: stream + fill_and_drain, stream, load: 0, fill_and_drain }
        }
    }
}

/// `r_1 + sum_i max(T_i, r_(i+1))`. Every walk over the tiles begins with the same rows, so a tile's successor is the
/// next of its own walk, or for the last one the first; the very last hides no load.
#[inline]
fn operand_stationary(tiling: &Tiling, blocks: &Extent) -> Wide {
    let tiles_of_a_row = Wide::from(tiling.cols.pieces()) * Wide::from(tiling.repeats);
    let walk = |streamed: u64| {
        let [full, rest] = tiling.rows.kinds().map(|(rows, count)| Wide::from(rows.max(streamed)) * Wide::from(count));
        (full + rest) * tiles_of_a_row
    };
    let [full, rest] = blocks.kinds().map(|(streamed, count)| (streamed, Wide::from(count)));
    let walks = full.1 * walk(full.0) + if rest.0 > 0 { walk(rest.0) } else { 0 };
    let first = tiling.rows.piece(0);
    let last = if rest.0 > 0 { rest.0 } else { full.0 };
    Wide::from(first) + walks - Wide::from(first.max(last)) + Wide::from(last)
}

#[cfg(test)]
mod tests {
    use super::super::Timing;
    use super::super::tests::{accelerator, gemm};
    use crate::accel::Dataflow::{self, InputStationary, OutputStationary, WeightStationary};
    use proptest::prelude::*;

    fn cycles(side: [u64; 2], dataflow: Dataflow, size: [u64; 3], repeats: u64) -> u64 {
        let accelerator = accelerator(side[0], side[1], dataflow);
        accelerator.array_cost(Timing::Pipelined, &gemm(size, repeats)).unwrap().cycles.0
    }

    #[test]
    fn one_tile_loads_streams_and_drains() {
        // load 4, stream 5, fill and drain 3 + 3
        assert_eq!(cycles([4, 4], WeightStationary, [5, 4, 4], 1), 15);
        assert_eq!(cycles([4, 4], InputStationary, [4, 5, 4], 1), 15);
    }

    #[test]
    fn one_partial_tile_still_drains_past_unused_rows_and_columns() {
        // load 2 rows, stream 5, fill and drain over all rows and columns 3 + 3
        assert_eq!(cycles([4, 4], WeightStationary, [5, 1, 2], 1), 13);
    }

    #[test]
    fn partial_edges_load_behind_the_stream() {
        // k = 4 + 2 by n = 4 + 1: tiles of 4, 4, 2, 2 rows, each streams 2:
        // 4 + max(2,4) + max(2,2) + max(2,2) + max(2,0) + 3 + 3 = 20
        assert_eq!(cycles([4, 4], WeightStationary, [2, 5, 6], 1), 20);
    }

    #[test]
    fn a_single_row_streams_no_faster_than_weights_load() {
        // two tiles of 4 rows: 4 + max(1,4) + max(1,0) + 3 + 3 = 15
        assert_eq!(cycles([4, 4], WeightStationary, [1, 4, 8], 1), 15);
    }

    #[test]
    fn repeats_follow_each_other_without_a_drain() {
        // three tiles of 2 rows: 2 + max(1,2) + max(1,2) + 1 + 3 + 3 = 13
        assert_eq!(cycles([4, 4], WeightStationary, [1, 1, 2], 3), 13);
    }

    #[test]
    fn output_stationary_drains_its_sums_behind_the_next_tile() {
        // one tile: stream 5, fill 3 + 3, drain 4 = 15
        assert_eq!(cycles([4, 4], OutputStationary, [4, 4, 5], 1), 15);
        // two tiles: 2 * 2 + max(0, 4 - 2) + 3 + 3 + 4 = 16
        assert_eq!(cycles([4, 4], OutputStationary, [8, 4, 2], 1), 16);
    }

    #[test]
    fn one_full_tile_is_scale_sim_and_the_cycle_it_does_not_count() {
        for (rows, cols, streamed) in [(4, 4, 5), (3, 7, 1), (8, 2, 20)] {
            let cases = [
                (WeightStationary, [streamed, cols, rows], 1),
                (InputStationary, [cols, streamed, rows], 1),
                (OutputStationary, [rows, cols, streamed], 1 + rows),
            ];
            for (dataflow, size, more) in cases {
                let accelerator = accelerator(rows, cols, dataflow);
                let scale_sim = accelerator.array_cost(Timing::ScaleSim, &gemm(size, 1)).unwrap();
                assert_eq!(cycles([rows, cols], dataflow, size, 1), scale_sim.cycles.0 + more, "{dataflow}");
            }
        }
    }

    /// The rows in use of every tile, in order.
    fn walk(held: [u64; 2], side: [u64; 2], repeats: u64) -> Vec<u64> {
        let [rows, cols] = side.map(|s| usize::try_from(s).unwrap());
        let mut tiles = Vec::new();
        for _ in 0..repeats {
            for row in (0..held[0]).step_by(rows) {
                for _ in (0..held[1]).step_by(cols) {
                    tiles.push(side[0].min(held[0] - row));
                }
            }
        }
        tiles
    }

    proptest! {
        #[test]
        fn operand_stationary_equals_a_loop_over_tiles(
            size in [1..40_u64, 1..40, 1..40], side in [1..9_u64, 1..9], repeats in 1..4_u64,
        ) {
            let [m, n, k] = size;
            for (dataflow, held, streamed) in [(WeightStationary, [k, n], m), (InputStationary, [k, m], n)] {
                let tiles = walk(held, side, repeats);
                let mut expected = tiles[0];
                for i in 0..tiles.len() {
                    expected += streamed.max(tiles.get(i + 1).copied().unwrap_or(0));
                }
                expected += side[0] - 1 + side[1] - 1;
                prop_assert_eq!(cycles(side, dataflow, size, repeats), expected);
            }
        }

        #[test]
        fn output_stationary_equals_a_loop_over_tiles(
            size in [1..40_u64, 1..40, 1..40], side in [1..9_u64, 1..9], repeats in 1..4_u64,
        ) {
            let [m, n, k] = size;
            let tiles = walk([m, n], side, repeats);
            let mut expected = 0;
            for i in 0..tiles.len() {
                expected += k;
                if i + 1 < tiles.len() {
                    expected += side[0].saturating_sub(k);
                }
            }
            expected += side[0] - 1 + side[1] - 1 + side[0];
            prop_assert_eq!(cycles(side, OutputStationary, size, repeats), expected);
        }
    }
}
