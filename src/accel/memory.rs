//! Memories of the accelerator: so far the bandwidth of its weights.

use serde::Serialize;

/// Memories and their bandwidths; what is not given is no limit, or the default of the timing that asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Memory {
    /// Bandwidth at which weights arrive in the array; the timing `uboost-csim` takes 80 GiB/s where it is not given.
    pub weight_bandwidth: Option<Bandwidth>,
}

/// Bandwidth in whole bytes a second, above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bandwidth(u64);

/// A bandwidth that no memory has.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a bandwidth in GB/s must be from 1e-9 to 1e9, got {0}")]
pub struct BadBandwidth(pub f64);

impl Bandwidth {
    /// `gib` GiB/s, of 2^30 bytes.
    #[must_use]
    pub const fn gib_per_second(gib: u32) -> Self {
        assert!(gib > 0, "a bandwidth is above zero");
        Self((gib as u64) << 30)
    }

    /// From GB/s of 10^9 bytes, rounded to whole bytes.
    ///
    /// # Errors
    /// [`BadBandwidth`] outside 1e-9 to 1e9 GB/s.
    pub fn from_gb_per_second(gb: f64) -> Result<Self, BadBandwidth> {
        if !(1e-9..=1e9).contains(&gb) {
            return Err(BadBandwidth(gb));
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounded, and from 1 to 1e18")]
        let bytes = (gb * 1e9).round() as u64;
        Ok(Self(bytes.max(1)))
    }

    /// Bytes a second.
    #[must_use]
    pub fn bytes_per_second(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighty_gib_are_exact_in_gb() {
        // 80 * 2^30 = 85,899,345,920
        let written = Bandwidth::from_gb_per_second(85.899_345_92).unwrap();
        assert_eq!(written, Bandwidth::gib_per_second(80));
        assert_eq!(written.bytes_per_second(), 85_899_345_920);
    }

    #[test]
    fn a_bandwidth_of_nothing_is_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Bandwidth::from_gb_per_second(bad).is_err(), "{bad}");
        }
    }
}
