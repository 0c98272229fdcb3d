//! What a law counts: products, and gates on their results.

use crate::accel::workload::Gemm;

/// The part of a layer that takes measured time, for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A convolution, a linear layer or a plain product.
    Product(Gemm),
    /// A map multiplied by a factor for each channel (squeeze-excitation): the mean before it and the product.
    Gate {
        /// Positions of the map.
        positions: u64,
        /// Its channels.
        channels: u64,
    },
}

/// `length` in whole parts of `side`, together: `side * ceil(length / side)`.
pub(super) fn padded(length: u64, side: u64) -> u64 {
    length.div_ceil(side).saturating_mul(side)
}

#[expect(clippy::cast_precision_loss, reason = "times are floating point; counts below 2^53 are exact")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}
