//! Formulas for the cycles of a layer that other searches use, to be compared with.

use super::CostError;
use super::jet::Jet;
use super::layers::Layer;
use super::lookup::Lookup;
use crate::accel::{Accelerator, Dataflow, Dram};
use crate::estimate::Target;

/// Steepness of the smooth ceiling, `B` (U-Boost NAS).
const STEEPNESS: f64 = 20.0;
/// Offset of the smooth ceiling, `C` (U-Boost NAS).
const OFFSET: f64 = 0.2;
/// Distance from a step beyond which its exponential is that at the distance (the code of U-Boost NAS).
const REACH: f64 = 2.0;

/// The smooth ceiling of U-Boost NAS and its slope.
///
/// ```text
/// ceil_s(x) = sum over i = 0, 1, .. of (1 + exp(-B z_i) / C)^-2,  z_i = clamp(x - i, -2, 2),  B = 20, C = 0.2
/// ```
///
/// At an integer `n` it is `n + 0.02778`. Steps more than 2 below `x` are 1 and those more than 2 above it 0 (to 1e-36),
/// so only the few around are computed, however many there are.
#[must_use]
pub fn smooth_ceil(x: f64) -> (f64, f64) {
    let first = (x - REACH).ceil().max(0.0);
    let (mut value, mut slope) = (first, 0.0);
    let mut i = first;
    while i <= x + REACH {
        let power = (-STEEPNESS * (x - i).clamp(-REACH, REACH)).exp() / OFFSET;
        let step = 1.0 / (1.0 + power);
        value += step * step;
        if (x - i).abs() < REACH {
            slope += 2.0 * STEEPNESS * power * step * step * step;
        }
        i += 1.0;
    }
    (value, slope)
}

/// `max(1, ceil_s(x))`: below 0.97 the smooth ceiling undershoots, and no layer has less than one tile.
fn tiles(x: Jet) -> Jet {
    let (value, slope) = smooth_ceil(x.value);
    x.through(if value > 1.0 { (value, slope) } else { (1.0, 0.0) })
}

/// What prices a layer.
#[derive(Debug, Clone)]
pub(super) enum Law {
    /// `I J h w b` cycles with smooth `I` and `J`; of a depthwise convolution `c ceil_s(k^2 / rows) h w b`.
    SmoothCeil { rows: f64, cols: f64, arrays: f64 },
    /// The longer of MACs over PEs and bytes over bandwidth.
    Roofline { cycles_per_byte: f64, weight_bytes: f64, activation_bytes: f64 },
    /// MACs over PEs.
    Flops,
    /// A table's milliseconds at the nearest key, times the clock.
    Lookup { table: Lookup, cycles_per_ms: f64 },
}

/// What a layer costs for the batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Priced {
    pub(super) cycles: Jet,
    pub(super) macs: Jet,
}

impl Law {
    pub(super) fn smooth_ceil(target: &Target<'_>) -> Result<Self, CostError> {
        let Accelerator { array, dataflow, .. } = target.accelerator;
        if *dataflow != Dataflow::WeightStationary {
            return Err(CostError::SmoothCeilDataflow { dataflow: *dataflow });
        }
        #[expect(clippy::cast_precision_loss, reason = "sides of an array are far below 2^52")]
        let [rows, cols, arrays] = [array.rows, array.cols, array.count].map(|side| side as f64);
        Ok(Self::SmoothCeil { rows, cols, arrays })
    }

    pub(super) fn roofline(target: &Target<'_>) -> Result<Self, CostError> {
        let Accelerator { memory, clock, precision, .. } = target.accelerator;
        let bandwidth = match memory.dram {
            Dram::Shared(bandwidth) => Some(bandwidth),
            Dram::Unlimited | Dram::Ports { .. } => memory.weight_bandwidth,
        };
        let bandwidth = bandwidth.ok_or(CostError::NoBandwidth)?;
        #[expect(clippy::cast_precision_loss, reason = "a bandwidth needs no more than 53 bits")]
        let bytes_per_second = bandwidth.bytes_per_second() as f64;
        Ok(Self::Roofline {
            cycles_per_byte: clock.get() * 1e6 / bytes_per_second,
            weight_bytes: f64::from(precision.weight_bits) / 8.0,
            activation_bytes: f64::from(precision.activation_bits) / 8.0,
        })
    }

    /// Cycles and MACs of `layer` between these widths, for `batch` images on `pes` processing elements.
    pub(super) fn price(&self, layer: &Layer, (source, target): (Jet, Jet), (batch, pes): (f64, f64)) -> Priced {
        let (inputs, outputs) = (layer.inputs.at(source, target), layer.outputs.at(source, target));
        #[expect(clippy::cast_precision_loss, reason = "pixels and taps are far below 2^52")]
        let [taps, pixels, in_pixels] = [layer.kernel, layer.side, layer.in_side].map(|side| (side * side) as f64);
        let weights = if layer.depthwise { inputs * taps } else { inputs * outputs * taps };
        let macs = weights * (pixels * batch);
        let cycles = match self {
            Self::SmoothCeil { rows, cols, arrays } => {
                let tiles = if layer.depthwise {
                    inputs * tiles(Jet::constant(taps / rows)).value
                } else {
                    tiles(inputs * (taps / rows)) * tiles(outputs * cols.recip())
                };
                tiles * (pixels * batch / arrays)
            }
            Self::Roofline { cycles_per_byte, weight_bytes, activation_bytes } => {
                let activations = inputs * in_pixels + outputs * pixels;
                let bytes = weights * *weight_bytes + activations * (batch * activation_bytes);
                (macs * pes.recip()).max(bytes * *cycles_per_byte)
            }
            Self::Flops => macs * pes.recip(),
            Self::Lookup { table, cycles_per_ms } => {
                let ms = table.milliseconds(layer, [inputs.value, outputs.value]);
                Jet::constant(ms.unwrap_or(0.0) * cycles_per_ms)
            }
        };
        Priced { cycles, macs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smooth_ceiling_has_the_values_of_its_formula() {
        // By the sum over 300 steps. At an integer n: n + (0.2 / 1.2)^2 = n + 1/36.
        for (x, value) in [(0.0, 0.027_778), (0.01, 0.038_543), (0.5, 0.999_546), (1.0, 1.027_778), (1.05, 1.124_036)] {
            assert!((smooth_ceil(x).0 - value).abs() < 1e-6, "{x}");
        }
        for tiles in [2.0, 9.0, 299.0, 1000.0, 123_456.0] {
            assert!((smooth_ceil(tiles).0 - tiles - 1.0 / 36.0).abs() < 1e-7, "{tiles}");
        }
    }

    #[test]
    fn the_smooth_ceiling_is_the_sum_over_all_steps() {
        for hundredth in 0..2_000 {
            let x = f64::from(hundredth) / 100.0 + 0.003;
            let step = |i: u32| {
                let z = (x - f64::from(i)).clamp(-2.0, 2.0);
                (1.0 + (-20.0 * z).exp() / 0.2).powf(-2.0)
            };
            let naive: f64 = (0..300).map(step).sum();
            assert!((smooth_ceil(x).0 - naive).abs() < 1e-12 * naive.max(1.0), "{x}");
        }
    }

    #[test]
    fn the_slope_of_the_smooth_ceiling_is_that_of_differences() {
        for hundredth in 1..500 {
            let (x, step) = (f64::from(hundredth) / 100.0 + 0.003, 1e-5);
            let difference = (smooth_ceil(x + step).0 - smooth_ceil(x - step).0) / (2.0 * step);
            assert!((smooth_ceil(x).1 - difference).abs() < 1e-4 * difference.abs().max(1.0), "{x}");
        }
    }

    #[test]
    fn smooth_utilization_is_largest_where_tiles_are_full() {
        // 128 inputs on 128 x 128: one row tile, so utilization is f / 128 / (ceil_s(1) ceil_s(f / 128)).
        let utilization = |f: u32| f64::from(f) / 128.0 / (smooth_ceil(1.0).0 * smooth_ceil(f64::from(f) / 128.0).0);
        let best = |f: &u32| utilization(*f) > utilization(f - 8).max(utilization(f + 8));
        let peaks: Vec<u32> = (64..=504).step_by(8).filter(best).collect();
        assert_eq!(peaks, [128, 256, 384]);
        // 1 / 1.02778^2, 2 / (1.02778 * 2.02778), 3 / (1.02778 * 3.02778)
        for (peak, height) in peaks.into_iter().zip([0.9467, 0.9596, 0.9640]) {
            assert!((utilization(peak) - height).abs() < 5e-5, "{peak}: {}", utilization(peak));
        }
    }
}
