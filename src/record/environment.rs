//! What a run ran on.

use serde::{Deserialize, Serialize};

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
}
