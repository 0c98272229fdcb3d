//! Exact counts: sums and products in 128 bits, quotients in 64 where they fit.

/// A count that no sum or product of the model passes.
pub(super) type Wide = u128;

/// Quotients of 128 bits by 64, several times as fast where the dividend has 64.
pub(super) mod small {
    use super::Wide;

    /// `floor(a / b)`.
    #[inline]
    pub(in crate::accel) fn div(a: Wide, b: u64) -> Wide {
        match u64::try_from(a) {
            Ok(a) => Wide::from(a / b),
            Err(_) => a / Wide::from(b),
        }
    }

    /// `ceil(a / b)`.
    #[inline]
    pub(in crate::accel) fn div_ceil(a: Wide, b: u64) -> Wide {
        match u64::try_from(a) {
            Ok(a) => Wide::from(a.div_ceil(b)),
            Err(_) => a.div_ceil(Wide::from(b)),
        }
    }
}

/// A divisor whose quotients are found by a multiplication: a side of an array, asked for every product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Divisor {
    by: u64,
    /// `ceil(2^64 / by)`, and 0 where `by` is 1.
    reciprocal: u64,
}

impl Divisor {
    /// Dividends below `2^BITS` times the most that the reciprocal is too large, less than `by`, stay below 2^64.
    const BITS: u32 = 48;
    /// The largest divisor.
    pub(super) const MAX: u64 = 1 << (64 - Self::BITS);

    /// `by` from 1 to [`Divisor::MAX`].
    pub(super) fn new(by: u64) -> Self {
        debug_assert!((1..=Self::MAX).contains(&by), "a side is from 1 to 65536, got {by}");
        Self { by, reciprocal: if by == 1 { 0 } else { u64::MAX / by + 1 } }
    }

    /// The divisor itself.
    #[inline]
    pub(super) fn get(self) -> u64 {
        self.by
    }

    /// `floor(length / by)` and what is left.
    #[inline(always)]
    pub(super) fn div_rem(self, length: u64) -> (u64, u64) {
        if length >> Self::BITS != 0 || self.reciprocal == 0 {
            return (length / self.by, length % self.by);
        }
        let quotient = ((Wide::from(length) * Wide::from(self.reciprocal)) >> 64) as u64;
        (quotient, length - quotient * self.by)
    }
}

/// `number` where it is below 2^63: sums of two still fit `u64`, and signed readers take it.
#[inline]
pub(super) fn counted(number: Wide) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| number >> 63 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_end_below_2_to_the_63() {
        assert_eq!(counted((1 << 63) - 1), Some((1 << 63) - 1));
        assert_eq!(counted(1 << 63), None);
        assert_eq!(counted(1 << 64), None);
    }

    #[test]
    fn reciprocals_divide_at_every_edge() {
        for by in (1..=600).chain(Divisor::MAX - 600..=Divisor::MAX) {
            for near in [0, by, 2 * by, by * by, (1 << 48) / by * by, 1 << 48, u64::MAX / by * by] {
                for length in near.saturating_sub(1)..=near.saturating_add(1) {
                    assert_eq!(Divisor::new(by).div_rem(length), (length / by, length % by), "{length} / {by}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn reciprocals_divide(by in 1..=Divisor::MAX, length: u64, shift in 0..64_u32) {
            let length = length >> shift;
            prop_assert_eq!(Divisor::new(by).div_rem(length), (length / by, length % by));
        }

        #[test]
        fn quotients_are_those_of_128_bits(high in 0..3_u64, low: u64, by in 1..=u64::MAX) {
            let a = (Wide::from(high) << 64) + Wide::from(low);
            prop_assert_eq!(small::div(a, by), a / Wide::from(by));
            prop_assert_eq!(small::div_ceil(a, by), a.div_ceil(Wide::from(by)));
        }
    }
}
