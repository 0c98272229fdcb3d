//! Numbers with their derivatives by the widths of the two ends of an edge.

use std::ops::{Add, Mul};

/// A number, `d / d source width` and `d / d target width`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Jet {
    pub(super) value: f64,
    pub(super) source: f64,
    pub(super) target: f64,
}

impl Jet {
    /// A number that depends on neither width.
    pub(super) fn constant(value: f64) -> Self {
        Self { value, source: 0.0, target: 0.0 }
    }

    /// The width of the source.
    pub(super) fn source(value: f64) -> Self {
        Self { value, source: 1.0, target: 0.0 }
    }

    /// The width of the target.
    pub(super) fn target(value: f64) -> Self {
        Self { value, source: 0.0, target: 1.0 }
    }

    /// `f` of the number, where `value` is f and `slope` its derivative there.
    pub(super) fn through(self, (value, slope): (f64, f64)) -> Self {
        Self { value, source: slope * self.source, target: slope * self.target }
    }

    /// The larger, with its derivatives.
    pub(super) fn max(self, other: Self) -> Self {
        if other.value > self.value { other } else { self }
    }

    /// The quotient; nought where `other` is.
    pub(super) fn over(self, other: Self) -> Self {
        if other.value == 0.0 {
            return Self::default();
        }
        self * other.through((1.0 / other.value, -1.0 / (other.value * other.value)))
    }
}

impl Add for Jet {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, source: self.source + other.source, target: self.target + other.target }
    }
}

impl Mul for Jet {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        product(self, other)
    }
}

fn product(a: Jet, b: Jet) -> Jet {
    Jet {
        value: a.value * b.value,
        source: a.source * b.value + a.value * b.source,
        target: a.target * b.value + a.value * b.target,
    }
}

impl Mul<f64> for Jet {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self { value: self.value * factor, source: self.source * factor, target: self.target * factor }
    }
}
