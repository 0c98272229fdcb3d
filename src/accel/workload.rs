//! What an array is asked to do: matrix products.

use crate::units::Macs;

/// `repeats` independent products of `[m, k]` by `[k, n]`.
///
/// A convolution or linear layer is `groups` repeats with
/// - `m` = output pixels x batch,
/// - `n` = output channels / groups,
/// - `k` = kernel area x input channels / groups.
///
/// Depthwise: groups = channels, `n` = the channel multiplier (mostly 1), `k` = kernel area. A product of two
/// activations (QK^T, AV) is batch x heads repeats of its own. All four are at least 1 and their product, the MACs,
/// is below 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gemm {
    m: u64,
    n: u64,
    k: u64,
    repeats: u64,
    kind: GemmKind,
}

/// What is multiplied, as far as the hardware treats it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GemmKind {
    /// Activations by weights: convolution (grouped ones, too) or linear layer.
    Weights,
    /// A depthwise convolution: one repeat a channel.
    Depthwise,
    /// Activations by activations: nothing of it is resident.
    Activations,
}

/// A product that is empty or too large to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// A dimension is zero.
    #[error("{dimension} of a matrix product must be at least 1, got 0")]
    Empty {
        /// `m`, `n`, `k` or `repeats`.
        dimension: &'static str,
    },
    /// The multiply-accumulates pass `u64`.
    #[error("the MACs of a matrix product must be below 2^64, got m {m} x n {n} x k {k} x repeats {repeats}")]
    TooLarge {
        /// Rows of the streamed operand.
        m: u64,
        /// Columns of the weights.
        n: u64,
        /// The length that is summed over.
        k: u64,
        /// Products of this shape.
        repeats: u64,
    },
}

impl Gemm {
    /// One product of activations `[m, k]` by weights `[k, n]`.
    ///
    /// # Errors
    /// [`WorkloadError`] where a dimension is zero or the MACs pass `u64`.
    pub fn new(m: u64, n: u64, k: u64) -> Result<Self, WorkloadError> {
        Self { m, n, k, repeats: 1, kind: GemmKind::Weights }.checked()
    }

    /// `repeats` products of this shape.
    ///
    /// # Errors
    /// As [`Gemm::new`].
    pub fn repeated(self, repeats: u64, kind: GemmKind) -> Result<Self, WorkloadError> {
        Self { repeats, kind, ..self }.checked()
    }

    /// One of its repeats.
    #[must_use]
    pub fn of_one(self) -> Self {
        Self { repeats: 1, ..self }
    }

    /// The share of one of several arrays: never more than the whole, so nothing is left to check.
    pub(super) fn shrunk(self, m: u64, n: u64) -> Self {
        Self { m: m.min(self.m), n: n.min(self.n), ..self }
    }

    fn checked(self) -> Result<Self, WorkloadError> {
        let Self { m, n, k, repeats, kind: _ } = self;
        for (dimension, length) in [("m", m), ("n", n), ("k", k), ("repeats", repeats)] {
            if length == 0 {
                return Err(WorkloadError::Empty { dimension });
            }
        }
        let macs = m.checked_mul(n).and_then(|p| p.checked_mul(k)).and_then(|p| p.checked_mul(repeats));
        macs.map(|_| self).ok_or(WorkloadError::TooLarge { m, n, k, repeats })
    }

    /// Rows of the streamed operand: output pixels x batch.
    #[must_use]
    pub fn m(&self) -> u64 {
        self.m
    }

    /// Columns of the weights: output channels of a group.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The length that is summed over: kernel area x input channels of a group.
    #[must_use]
    pub fn k(&self) -> u64 {
        self.k
    }

    /// Products of this shape: groups, or batch x heads.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.repeats
    }

    /// What is multiplied.
    #[must_use]
    pub fn kind(&self) -> GemmKind {
        self.kind
    }

    /// `m * n * k * repeats`.
    #[must_use]
    pub fn macs(&self) -> Macs {
        Macs(self.m * self.n * self.k * self.repeats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_are_the_product_of_all_four() {
        let gemm = Gemm::new(2, 3, 5).unwrap().repeated(7, GemmKind::Depthwise).unwrap();
        assert_eq!(gemm.macs(), Macs(210));
        assert_eq!(gemm.kind(), GemmKind::Depthwise);
    }

    #[test]
    fn an_empty_product_names_its_dimension() {
        let error = Gemm::new(2, 0, 5).unwrap_err();
        assert_eq!(error.to_string(), "n of a matrix product must be at least 1, got 0");
        let error = Gemm::new(2, 1, 5).unwrap().repeated(0, GemmKind::Weights).unwrap_err();
        assert_eq!(error.to_string(), "repeats of a matrix product must be at least 1, got 0");
    }

    #[test]
    fn macs_never_wrap() {
        // 2^32 * 2^31 = 2^63 fits, twice that does not.
        let half = Gemm::new(1 << 32, 1 << 31, 1).unwrap();
        assert_eq!(half.macs(), Macs(1 << 63));
        assert!(half.repeated(2, GemmKind::Weights).is_err());
        let error = Gemm::new(1 << 32, 1 << 32, 1).unwrap_err();
        assert!(error.to_string().ends_with("got m 4294967296 x n 4294967296 x k 1 x repeats 1"), "{error}");
    }
}
