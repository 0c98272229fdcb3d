//! `rank-check.json`: whether a supernet orders networks as their own training does.

use serde::{Deserialize, Serialize};

use super::SearchStage;
use crate::space::ArchitectureFile;

/// The check of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RankCheck {
    /// Epochs of the training of each network.
    pub epochs: u32,
    /// Each stage of the search with networks of its own.
    pub stages: Vec<RankStage>,
}

/// The check of a stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RankStage {
    /// The stage.
    pub stage: SearchStage,
    /// The correlations.
    pub correlation: RankCorrelation,
    /// The networks.
    pub networks: Vec<RankNetwork>,
}

/// How well two orders agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RankCorrelation {
    /// Networks with both accuracies.
    pub n: usize,
    /// Rank correlation of Spearman, ties at their mean rank.
    pub spearman: f64,
    /// Rank correlation of Kendall, tau-b.
    pub kendall: f64,
}

/// A network of a check.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RankNetwork {
    /// Its choices.
    pub architecture: ArchitectureFile,
    /// Accuracy on the selection split with the weights of the supernet at the end of the stage, a fraction.
    pub inherited_accuracy: f64,
    /// Accuracy on the selection split after a training of its own, a fraction; nothing where its loss was not finite.
    pub alone_accuracy: Option<f64>,
}

/// The correlations of a stage, for the summary.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RankSummary {
    /// The stage.
    pub stage: SearchStage,
    /// The correlations.
    pub correlation: RankCorrelation,
}
