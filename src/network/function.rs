//! Arithmetic for each value, and over axes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Arithmetic on each value; operands of several inputs are broadcast, a constant is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Function {
    /// `x + c`.
    Shift,
    /// `c x`.
    Scale,
    /// `a - b`.
    Subtract,
    /// `a / b`.
    Divide,
    /// `a^b`.
    Power,
    /// The larger.
    Maximum,
    /// The smaller.
    Minimum,
    /// Equal, less, greater.
    Compare,
    /// And, or, not, exclusive or.
    Logic,
    /// `b` where `a`, otherwise `c`.
    Select,
    /// What a division leaves.
    Remainder,
    /// `exp x`.
    Exponential,
    /// `ln x`.
    Logarithm,
    /// `sqrt x`.
    Root,
    /// `1 / x`.
    Reciprocal,
    /// The error function.
    ErrorFunction,
    /// Sine, cosine and their kin.
    Trigonometric,
    /// `|x|`, the sign of `x`.
    Absolute,
    /// To a whole number.
    Round,
}

impl Function {
    /// Whether it takes an approximation, as an exponential does, rather than one step of an arithmetic unit.
    #[must_use]
    pub fn is_transcendental(self) -> bool {
        match self {
            Self::Power
            | Self::Exponential
            | Self::Logarithm
            | Self::Root
            | Self::ErrorFunction
            | Self::Trigonometric => true,
            Self::Shift
            | Self::Scale
            | Self::Subtract
            | Self::Divide
            | Self::Maximum
            | Self::Minimum
            | Self::Compare
            | Self::Logic
            | Self::Select
            | Self::Remainder
            | Self::Reciprocal
            | Self::Absolute
            | Self::Round => false,
        }
    }
}

/// One value for all along some axes, which stay with a length of 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reduce {
    /// What is taken of them.
    pub function: Reduction,
    /// The axes, from 0 over the dimensions of one image.
    pub axes: Vec<u64>,
}

/// What is taken of many values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Their mean.
    Mean,
    /// Their sum, or a norm made of one.
    Sum,
    /// Their product.
    Product,
    /// The largest, or its place.
    Maximum,
    /// The smallest, or its place.
    Minimum,
}
