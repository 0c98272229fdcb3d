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

    proptest! {
        #[test]
        fn quotients_are_those_of_128_bits(high in 0..3_u64, low: u64, by in 1..=u64::MAX) {
            let a = (Wide::from(high) << 64) + Wide::from(low);
            prop_assert_eq!(small::div(a, by), a / Wide::from(by));
            prop_assert_eq!(small::div_ceil(a, by), a.div_ceil(Wide::from(by)));
        }
    }
}
