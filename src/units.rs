//! Quantities with their units: a cycle is not a byte, and the compiler knows.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Clock cycles of the accelerator, exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Cycles(pub u64);

/// Multiply-accumulate operations, counted as PyTorch does: full windows, padding included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Macs(pub u64);

/// Bytes of memory or traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// Energy in pJ, not negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Picojoules(pub f64);

/// Clock frequency in MHz, finite and above zero.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Megahertz(f64);

/// A frequency that no clock has.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a clock in MHz must be a finite number above 0, got {0}")]
pub struct BadMegahertz(pub f64);

impl Megahertz {
    /// # Errors
    /// [`BadMegahertz`] unless `megahertz` is finite and positive.
    pub fn new(megahertz: f64) -> Result<Self, BadMegahertz> {
        if megahertz.is_finite() && megahertz > 0.0 { Ok(Self(megahertz)) } else { Err(BadMegahertz(megahertz)) }
    }

    /// The number, in MHz.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whole hertz, rounded.
    #[must_use]
    pub fn hertz(self) -> u128 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "rounded; above u128 it saturates and products are checked"
        )]
        let hertz = (self.0 * 1e6).round() as u128;
        hertz
    }

    /// Milliseconds that `cycles` take: `cycles / (1000 * MHz)`.
    #[must_use]
    pub fn milliseconds(self, cycles: Cycles) -> f64 {
        self.milliseconds_of(cycles.0 as f64)
    }

    /// As [`Megahertz::milliseconds`] for an expected, fractional number of cycles.
    #[must_use]
    pub fn milliseconds_of(self, cycles: f64) -> f64 {
        cycles / (self.0 * 1e3)
    }
}

impl Picojoules {
    /// The energy in uJ, of 10^6 pJ.
    #[must_use]
    pub fn microjoules(self) -> f64 {
        self.0 * 1e-6
    }
}

impl Add for Picojoules {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Cycles {
    /// The sum, or nothing where it would pass `u64`.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl Bytes {
    /// The sum, or nothing where it would pass `u64`.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl Add for Cycles {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Cycles {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Mul<u64> for Cycles {
    type Output = Self;
    fn mul(self, times: u64) -> Self {
        Self(self.0 * times)
    }
}

impl Sum for Cycles {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        Self(parts.map(|c| c.0).sum())
    }
}

impl Sum for Macs {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        Self(parts.map(|m| m.0).sum())
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        Self(parts.map(|b| b.0).sum())
    }
}

impl fmt::Display for Cycles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Macs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigahertz_runs_a_million_cycles_in_a_millisecond() {
        let clock = Megahertz::new(1000.0).unwrap();
        assert_eq!(clock.milliseconds(Cycles(1_000_000)), 1.0);
    }

    #[test]
    fn a_clock_without_a_frequency_is_refused() {
        for bad in [0.0, -700.0, f64::NAN, f64::INFINITY] {
            assert!(Megahertz::new(bad).is_err(), "{bad}");
        }
    }
}
