//! `uboost-csim`: what the cycle simulator of U-Boost NAS reports (arXiv 2203.12412).
//!
//! Weights arrive at their bandwidth, a tile waits for its own; nothing else is charged. The last chunk of pixels and
//! the drain are left out, as they are there, so its utilization can exceed the mapping's.

use num_integer::gcd;

use super::Parts;
use crate::accel::accelerator::Accelerator;
use crate::accel::counts::{Wide, small};
use crate::accel::memory::Bandwidth;
use crate::accel::tiling::{Extent, Tiling};

/// Bandwidth of the weights where the file gives none: that of the authors' simulator.
const DEFAULT_WEIGHT_BANDWIDTH: Bandwidth = Bandwidth::gib_per_second(80);

/// Cycles between the end of a tile and the report of the simulator.
const CLOSING_CYCLES: Wide = 2;

/// Cycles of all tiles, weight-stationary on one array; nothing where they pass 128 bits.
///
/// With `chunks = ceil(m/R)`, `last = m - (chunks - 1) R`, for each tile of `r` rows and `q` columns in order:
/// ```text
/// loaded += r*q;  ready = ceil(cycles in which loaded weights arrive)
/// t = ready + r + 1                          for the first tile
/// t = max(t + max(last, r) + 1, ready)       for the others
/// t += (chunks - 1) * (min(m, R) + 1)
/// cycles = t + 2
/// ```
/// In closed form: `t` is the largest, over all tiles, of the tile's `ready` and the steps that follow it, plus the
/// other steps of the first tile. `ready` without its rounding and the steps are both linear along the repeats, along
/// whole row tiles and along whole column tiles, so the largest stands at an end of each.
///
/// Of these, `stream` are all streamed rows but those of the last chunk of the last tile, `load` the rows that load
/// behind no stream, `fill_and_drain` one cycle a chunk and the closing two; the rest waits for weights.
#[inline(never)]
pub(in crate::accel) fn parts(rows: u64, arrival: Arrival, tiling: &Tiling) -> Option<Parts> {
    let walk = Walk::new(rows, arrival, tiling);
    let chunks = Wide::from(tiling.streamed.div_ceil(rows));
    Some(Parts {
        cycles: walk.cycles()?,
        stream: Wide::from(tiling.total_streamed() - walk.last_chunk),
        load: walk.exposed_load(),
        fill_and_drain: Wide::from(tiling.tiles()) * chunks + CLOSING_CYCLES,
    })
}

/// The indices of the first whole piece, the last whole piece and the last piece.
fn ends(extent: &Extent) -> [u64; 3] {
    [0, extent.full.saturating_sub(1), extent.pieces() - 1]
}

/// A tile: row and column tile within one repeat, each from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    repeat: u64,
    row: u64,
    col: u64,
}

const FIRST: Position = Position { repeat: 0, row: 0, col: 0 };

/// The tiles in their order, and what each adds.
struct Walk<'a> {
    tiling: &'a Tiling,
    /// Cycles after a tile for the chunks of pixels before the last: `(chunks - 1) * (min(m, R) + 1)`.
    chunk_cycles: Wide,
    /// Pixels of the last chunk.
    last_chunk: u64,
    arrival: Arrival,
}

impl<'a> Walk<'a> {
    fn new(rows: u64, arrival: Arrival, tiling: &'a Tiling) -> Self {
        let pixels = tiling.streamed;
        let before_last = pixels.div_ceil(rows) - 1;
        Self {
            tiling,
            chunk_cycles: Wide::from(before_last) * (Wide::from(pixels.min(rows)) + 1),
            last_chunk: pixels - before_last * rows,
            arrival,
        }
    }

    fn cycles(&self) -> Option<Wide> {
        let mut end = 0;
        for repeat in [0, self.tiling.repeats - 1] {
            for row in ends(&self.tiling.rows) {
                for col in ends(&self.tiling.cols) {
                    end = end.max(self.end_if_late(Position { repeat, row, col })?);
                }
            }
        }
        Some(end + CLOSING_CYCLES)
    }

    /// `r_1 + sum over the other tiles of max(0, r - last)`.
    fn exposed_load(&self) -> Wide {
        let Tiling { rows, cols, repeats, .. } = self.tiling;
        let longer = |rows: u64| Wide::from(rows.saturating_sub(self.last_chunk));
        let of_a_col: Wide = rows.kinds().into_iter().map(|(piece, count)| longer(piece) * Wide::from(count)).sum();
        let first = rows.piece(0);
        of_a_col * Wide::from(cols.pieces()) * Wide::from(*repeats) - longer(first) + Wide::from(first)
    }

    /// When all would end if every tile after the one at `at` waited for the one before it, and that one for its
    /// weights alone.
    fn end_if_late(&self, at: Position) -> Option<Wide> {
        let ready = self.arrival.ready(self.elements_through(at))?;
        let load = if at == FIRST { Wide::from(self.tiling.rows.piece(0)) + 1 } else { 0 };
        let last = Position {
            repeat: self.tiling.repeats - 1,
            row: self.tiling.rows.pieces() - 1,
            col: self.tiling.cols.pieces() - 1,
        };
        let after = self.steps_through(last) - self.steps_through(at);
        ready.checked_add(load + self.chunk_cycles + after)
    }

    /// Weights of the tiles up to and with the one at `at`.
    fn elements_through(&self, at: Position) -> Wide {
        let Tiling { rows, cols, .. } = self.tiling;
        let width = Wide::from(cols.full) * Wide::from(cols.size) + Wide::from(cols.rest);
        let height = Wide::from(rows.full) * Wide::from(rows.size) + Wide::from(rows.rest);
        let in_row = width.min((Wide::from(at.col) + 1) * Wide::from(cols.size));
        Wide::from(at.repeat) * height * width
            + Wide::from(at.row) * Wide::from(rows.size) * width
            + Wide::from(rows.piece(at.row)) * in_row
    }

    /// Cycles of the tiles up to and with the one at `at`, had none to wait for its weights.
    fn steps_through(&self, at: Position) -> Wide {
        let Tiling { rows, cols, .. } = self.tiling;
        let pieces = Wide::from(cols.pieces());
        let of_repeat: Wide =
            rows.kinds().into_iter().map(|(piece, count)| Wide::from(count) * pieces * self.step(piece)).sum();
        Wide::from(at.repeat) * of_repeat
            + Wide::from(at.row) * pieces * self.step(rows.size)
            + (Wide::from(at.col) + 1) * self.step(rows.piece(at.row))
    }

    /// Cycles of a tile with `rows` in use whose weights are there.
    fn step(&self, rows: u64) -> Wide {
        Wide::from(self.last_chunk.max(rows)) + 1 + self.chunk_cycles
    }
}

/// How fast weights arrive, as the fraction `cycles / weights` in lowest terms.
#[derive(Debug, Clone, Copy)]
pub(in crate::accel) struct Arrival {
    /// Bits of a weight x cycles a second.
    cycles: Wide,
    /// Bits a second.
    weights: Wide,
}

impl Arrival {
    /// Nothing where the clock is too fast to count.
    pub(in crate::accel) fn new(accelerator: &Accelerator) -> Option<Self> {
        let bandwidth = accelerator.memory.weight_bandwidth.unwrap_or(DEFAULT_WEIGHT_BANDWIDTH);
        let cycles = accelerator.clock.hertz().checked_mul(Wide::from(accelerator.precision.weight_bits))?;
        let weights = Wide::from(bandwidth.bytes_per_second()) * 8;
        let common = gcd(cycles, weights);
        Some(Self { cycles: cycles / common, weights: weights / common })
    }

    /// The cycle at which `elements` weights have arrived, in integers: floating point is a cycle off in places.
    fn ready(&self, elements: Wide) -> Option<Wide> {
        let arrived = elements.checked_mul(self.cycles)?;
        Some(match u64::try_from(self.weights) {
            Ok(weights) => small::div_ceil(arrived, weights),
            Err(_) => arrived.div_ceil(self.weights),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Timing;
    use super::super::tests::{accelerator, gemm};
    use super::Bandwidth;
    use crate::accel::{Accelerator, Dataflow};
    use crate::units::Megahertz;
    use proptest::prelude::*;

    fn cycles(accelerator: &Accelerator, size: [u64; 3], repeats: u64) -> u64 {
        accelerator.array_cost(Timing::UboostCsim, &gemm(size, repeats)).unwrap().cycles.0
    }

    #[test]
    fn goldens_of_the_authors_simulator() {
        let accelerator = accelerator(128, 128, Dataflow::WeightStationary);
        // (map side, kernel, channels in, channels out), cycles
        let convolutions = [
            ([1, 1, 128, 128], 322),
            ([1, 1, 256, 416], 1324),
            ([8, 3, 64, 256], 1719),
            ([32, 1, 16, 16], 925),
            ([32, 3, 256, 256], 37_345),
        ];
        for ([side, kernel, channels, filters], expected) in convolutions {
            let size = [side * side, filters, kernel * kernel * channels];
            assert_eq!(cycles(&accelerator, size, 1), expected, "{size:?}");
        }
        for ([side, kernel, channels], expected) in [([8, 3, 16], 988), ([32, 5, 256], 264_092)] {
            let size = [side * side, 1, kernel * kernel];
            assert_eq!(cycles(&accelerator, size, channels), expected, "{size:?}");
        }
    }

    #[test]
    fn one_tile_waits_for_its_weights_and_loads_them() {
        // 128 * 128 weights at 85.899 bytes a cycle: ceil(190.73) = 191; 191 + 128 + 1 + 2
        let accelerator = accelerator(128, 128, Dataflow::WeightStationary);
        assert_eq!(cycles(&accelerator, [1, 128, 128], 1), 322);
    }

    #[test]
    fn bandwidth_clock_and_bits_scale_the_arrival_alone() {
        let mut accelerator = accelerator(4, 4, Dataflow::WeightStationary);
        accelerator.memory.weight_bandwidth = Some(Bandwidth::from_gb_per_second(2.0).unwrap());
        // 16 weights at 2 bytes a cycle: 8 + 4 + 1 + 2
        assert_eq!(cycles(&accelerator, [1, 4, 4], 1), 15);
        accelerator.precision.weight_bits = 16;
        // 32 bytes: 16 + 7
        assert_eq!(cycles(&accelerator, [1, 4, 4], 1), 23);
        accelerator.clock = Megahertz::new(500.0).unwrap();
        // half the cycles in the same time
        assert_eq!(cycles(&accelerator, [1, 4, 4], 1), 15);
    }

    /// The walk of the simulator, tile by tile; `weights` and `cycles` give the arrival.
    fn walk(size: [u64; 3], side: [u64; 2], repeats: u64, arrival: [u64; 2]) -> u64 {
        let [m, n, k] = size;
        let chunks = m.div_ceil(side[0]);
        let last = m - (chunks - 1) * side[0];
        let (mut loaded, mut t, mut first) = (0_u64, 0_u64, true);
        for _ in 0..repeats {
            for row in (0..k).step_by(usize::try_from(side[0]).unwrap()) {
                for col in (0..n).step_by(usize::try_from(side[1]).unwrap()) {
                    let (r, q) = (side[0].min(k - row), side[1].min(n - col));
                    loaded += r * q;
                    let ready = (loaded * arrival[0]).div_ceil(arrival[1]);
                    t = if first { ready + r + 1 } else { (t + last.max(r) + 1).max(ready) };
                    first = false;
                    t += (chunks - 1) * (m.min(side[0]) + 1);
                }
            }
        }
        t + 2
    }

    fn assert_walked(size: [u64; 3], side: [u64; 2], repeats: u64, megabytes: u64) {
        let mut accelerator = accelerator(side[0], side[1], Dataflow::WeightStationary);
        accelerator.memory.weight_bandwidth = Some(Bandwidth::from_gb_per_second(megabytes as f64 / 1e3).unwrap());
        assert_eq!(cycles(&accelerator, size, repeats), walk(size, side, repeats, [1000, megabytes]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn equals_a_walk_over_tiles(
            size in [1..40_u64, 1..60, 1..60], side in [1..9_u64, 1..9], repeats in 1..6_u64,
            megabytes in 1..20_000_u64,
        ) {
            assert_walked(size, side, repeats, megabytes);
        }

        #[test]
        fn equals_a_walk_over_tiles_where_weights_are_nearly_as_fast_as_pixels(
            size in [1..6_u64, 1..60, 1..60], side in [1..9_u64, 1..9], repeats in 1..6_u64,
            megabytes in 500..9_000_u64,
        ) {
            assert_walked(size, side, repeats, megabytes);
        }
    }
}
