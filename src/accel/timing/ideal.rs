//! `ideal`: every tile streams its rows, one a cycle, and nothing else takes time.

use super::Parts;
use crate::accel::counts::Wide;
use crate::accel::tiling::Tiling;

/// `tiles * T` over all repeats.
///
/// Weight-stationary this is `ceil(k*k*c/rows) * ceil(f/cols) * h*w*b` for a convolution and `c * ceil(k*k/rows) *
/// h*w*b` for a depthwise one: the formula of U-Boost NAS (arXiv 2203.12412).
#[inline(always)]
pub(in crate::accel) fn parts(tiling: &Tiling) -> Parts {
    let stream = Wide::from(tiling.total_streamed());
    Parts { cycles: stream, stream, load: 0, fill_and_drain: 0 }
}

#[cfg(test)]
mod tests {
    use super::super::Timing;
    use super::super::tests::{accelerator, gemm};
    use crate::accel::{ArrayCost, Dataflow};
    use proptest::prelude::*;

    fn cost(size: [u64; 3], repeats: u64) -> ArrayCost {
        let accelerator = accelerator(128, 128, Dataflow::WeightStationary);
        accelerator.array_cost(Timing::Ideal, &gemm(size, repeats)).unwrap()
    }

    #[test]
    fn a_3x3_kernel_on_one_pixel_takes_a_cycle_a_tile() {
        // (channels in = out, ceil(9c/128) * ceil(c/128), MACs / (128 * 128 * tiles))
        let goldens = [(64, 5, 0.45), (128, 9, 1.0), (136, 20, 0.508), (256, 36, 1.0), (280, 60, 0.7178)];
        let array = accelerator(128, 128, Dataflow::WeightStationary).array;
        for (channels, tiles, utilization) in goldens {
            let cost = cost([1, channels, 9 * channels], 1);
            assert_eq!((cost.cycles.0, cost.tiles), (tiles, tiles), "{channels}");
            let found = cost.mapping_utilization(&array).unwrap();
            assert!((found - utilization).abs() < 5e-5, "{channels}: {found}");
        }
    }

    #[test]
    fn a_depthwise_3x3_uses_nine_of_the_pes() {
        // 16 channels * ceil(9/128) * 64 pixels; 9 / 16384 = 0.0549 %
        let cost = cost([64, 1, 9], 16);
        assert_eq!(cost.cycles.0, 1024);
        let array = accelerator(128, 128, Dataflow::WeightStationary).array;
        assert_eq!(cost.mapping_utilization(&array), Some(9.0 / 16_384.0));
        assert_eq!(cost.mapping_utilization(&array), cost.overall_utilization(&array));
    }

    proptest! {
        #[test]
        fn equals_a_loop_over_tiles(size in [1..40_u64, 1..40, 1..40], side in [1..9_u64, 1..9], repeats in 1..4_u64) {
            let [m, n, k] = size;
            let sides = [
                (Dataflow::WeightStationary, k, n, m),
                (Dataflow::InputStationary, k, m, n),
                (Dataflow::OutputStationary, m, n, k),
            ];
            for (dataflow, rows, cols, streamed) in sides {
                let mut cycles = 0;
                for _ in 0..repeats {
                    for _ in (0..rows).step_by(usize::try_from(side[0]).unwrap()) {
                        for _ in (0..cols).step_by(usize::try_from(side[1]).unwrap()) {
                            cycles += streamed;
                        }
                    }
                }
                let cost = accelerator(side[0], side[1], dataflow)
                    .array_cost(Timing::Ideal, &gemm(size, repeats))
                    .unwrap();
                prop_assert_eq!(cost.cycles.0, cycles);
                prop_assert_eq!(cost.streamed, cycles);
            }
        }
    }
}
