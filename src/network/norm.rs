//! Normalisations that need no running statistics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Over which values a mean and a deviation are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// The innermost dimensions that hold `features` values together.
    Layer,
    /// The same, without the mean.
    Rms,
    /// The channels of a group; as many groups as channels are instance normalisation.
    Group {
        /// Groups of channels.
        groups: u64,
    },
}

/// A normalisation: `(x - mean) / deviation`, then what is learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Norm {
    /// Over which values.
    pub kind: NormKind,
    /// Values with a scale and a shift of their own: those normalised together, or the channels of a group norm.
    pub features: u64,
    /// What is learned.
    pub affine: Affine,
}

impl Norm {
    /// The name in files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            NormKind::Layer => "layer-norm",
            NormKind::Rms => "rms-norm",
            NormKind::Group { .. } => "group-norm",
        }
    }
}

/// What a normalisation learns for each feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Affine {
    /// Nothing.
    None,
    /// A factor.
    Scale,
    /// A factor and a summand.
    ScaleAndShift,
}
