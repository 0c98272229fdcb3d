//! Operators that pick, move or rename values, and tensors that no operator puts out.
//!
//! Axes count from 0 over the dimensions of one image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every `step`-th entry from `start` up to, and without, `stop` along an axis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the field's own words")]
pub struct Slice {
    pub axis: u64,
    pub start: u64,
    pub stop: u64,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub step: u64,
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if hands a reference")]
fn is_one(value: &u64) -> bool {
    *value == 1
}

/// `count` entries along an axis, in any order, repeats among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the field's own words")]
pub struct Gather {
    pub axis: u64,
    pub count: u64,
}

/// Values added around a tensor, for each of its dimensions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the field's own words")]
pub struct Pad {
    pub before: Vec<u64>,
    pub after: Vec<u64>,
}

/// Another number of samples along each dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Resize {
    /// The output's dimensions, as many as the input's.
    pub shape: Vec<u64>,
    /// How samples between the given ones are made.
    pub mode: ResizeMode,
}

/// How samples between given ones are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResizeMode {
    /// The nearest one.
    Nearest,
    /// Weighted by the distance to the two nearest ones of an axis.
    Linear,
    /// A cubic through the four nearest ones of an axis.
    Cubic,
}

/// A tensor that no operator puts out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the field's own words")]
pub struct Tensor {
    pub shape: Vec<u64>,
    pub origin: Origin,
}

/// Where a tensor that no operator puts out comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// It is learned: a class token, an embedding of positions, the scale of a layer.
    Learned,
    /// It is given: a constant, or a further input of the network.
    Given,
}

/// A row of a learned table for each of its input's values, which count the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the field's own words")]
pub struct Embedding {
    pub entries: u64,
    pub features: u64,
}
