//! What a run ran on.

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// `environment.json`: with `spec.yaml` what it takes to repeat a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of this package.
    pub version: String,
    /// Commit that it was built from, where known.
    pub commit: Option<String>,
    /// `cpu` or `cuda:0`, with the card's name where it has one.
    pub device: String,
    /// Threads of the host that tensors use.
    pub threads: usize,
    /// Version of libtorch; nothing where none was used.
    pub libtorch: Option<String>,
    /// Number format of convolutions: `f32` or `bf16`; nothing where nothing was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Operating system and processor architecture, as `linux x86_64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// What the search was predicted to hold at most; nothing where it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<PredictedMemory>,
}

/// Memory at the fullest moment of the stage that needs most, as predicted before its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictedMemory {
    /// All of it.
    pub peak_bytes: Bytes,
    /// What the process held before the first step.
    pub present_bytes: Bytes,
    /// Weights and statistics.
    pub weights_bytes: Bytes,
    /// Moments of the optimizer.
    pub moments_bytes: Bytes,
    /// Gradients of weights.
    pub gradients_bytes: Bytes,
    /// Maps that the backward pass needs.
    pub activations_bytes: Bytes,
    /// Gradients of maps, and what is held for a moment.
    pub workspace_bytes: Bytes,
    /// Images that go through together in each stage.
    pub micro_batches: Vec<u64>,
}
