//! What a run came to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RankSummary, Skips, StageEnd, TargetResult, nullable};
use crate::units::{Bytes, Cycles, Macs};

/// The stop reason of a run that was stopped before its end and can go on.
pub const INTERRUPTED: &str = "interrupted";

/// `summary.json`: the result of a run in one object. What is not measured is `null` or absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Name of the job.
    pub name: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Why it ended; [`INTERRUPTED`] where it can go on.
    pub stop_reason: String,
    /// Time spent searching, s, over all sittings.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub search_seconds: f64,
    /// Time spent training the network found, s, over all sittings.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub train_seconds: f64,
    /// Most memory in use at a time, over all sittings.
    pub peak_memory_bytes: Bytes,
    /// Most memory in use at a time until the end of the search, over all sittings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_peak_memory_bytes: Option<Bytes>,
    /// Accuracies of the trained network, fractions.
    pub accuracy: Accuracy,
    /// Mean cross-entropy on the test images, without smoothing, nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_loss: Option<f64>,
    /// Name of the accelerator.
    pub accelerator: String,
    /// Latency at batch 1, ms.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub latency_ms: f64,
    /// Array MACs over what the array could do while its tiles stream, a fraction: what tiling alone loses; nothing
    /// where there are no MACs.
    pub mapping_utilization: Option<f64>,
    /// Array MACs over what the array could do in its cycles, a fraction: adds load, fill and drain; nothing where
    /// there are no MACs.
    pub overall_utilization: Option<f64>,
    /// Multiply-accumulates for one image.
    pub macs: Macs,
    /// Trained parameters.
    pub params: u64,
    /// Cycles at batch 1, never calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles: Option<Cycles>,
    /// Timing model, as the accelerator file names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<String>,
    /// All MACs over what the array could do in the total cycles, a fraction: adds memory, vector work and stalls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end_utilization: Option<f64>,
    /// Images at a time in the search's objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_batch: Option<u64>,
    /// Latency of such a batch, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_batch_latency_ms: Option<f64>,
    /// Weight of latency in the objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// Weight of utilization in the objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
    /// Hardware cost that the search used, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// Which method searched, as the job names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Name of the data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// For each hard target of the job, how the network found stands to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetResult>,
    /// Free operators of the network found; absent where the space has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skips: Option<Skips>,
    /// What the stages that are done told of their choices at their ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageEnd>,
    /// How well the supernet orders networks, where that was checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rank_check: Vec<RankSummary>,
    /// Checkpoints that were written, over all sittings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoints: Option<u64>,
    /// Time that they took, s, part of the times of search and training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_seconds: Option<f64>,
    /// The search, where it read a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableSearch>,
    /// What casts doubt on the result, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What a search against the table of a benchmark read and found. Its accuracy, network and costs are those of the most
/// accurate network that was read, the fastest of equals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TableSearch {
    /// The table, as it was named.
    pub file: String,
    /// The column of accuracies.
    pub column: String,
    /// Architectures with an accuracy that it has.
    pub rows: usize,
    /// Hash of architectures and errors, by which a table is known again.
    pub fingerprint: String,
    /// Look-ups that were allowed.
    pub limit: u32,
    /// Look-ups that were made; one of a row that was read before counts again.
    pub evaluations: usize,
    /// Different rows that were read.
    pub rows_read: usize,
    /// Networks on the front of what was read.
    pub front: usize,
    /// Error (a fraction) of the corner that bounds the hypervolumes.
    pub reference_error: f64,
    /// Its latency, ms.
    pub reference_latency_ms: f64,
    /// Where the corner comes from: a margin beyond the exact front's worst values, a share of its range; nothing where it
    /// was given.
    pub reference_margin: Option<f64>,
    /// Hypervolume of what was read, ms.
    pub hypervolume: f64,
    /// The same over that of the whole table.
    pub hypervolume_share: f64,
    /// The fan of a search over preferences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan: Option<FanFound>,
}

/// The likeliest networks over a sweep of preferences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FanFound {
    /// Preferences of the sweep.
    pub preferences: u32,
    /// Different networks.
    pub networks: usize,
    /// Those of them that nothing that was read dominates.
    pub on_front: usize,
    /// Their hypervolume alone over that of the whole table.
    pub hypervolume_share: f64,
    /// How often the fan had collapsed and was restarted from what had been read.
    pub restarts: u32,
}

/// Accuracies, fractions of the images; nothing where it was not measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Accuracy {
    /// On the validation images; nothing where the final training used them.
    pub validation: Option<f64>,
    /// On the test images.
    pub test: Option<f64>,
}

impl Summary {
    /// Whether nothing is left to do: the run was not interrupted.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.stop_reason != INTERRUPTED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"name": "demo", "seed": 0, "stop_reason": "epoch-limit", "search_seconds": 1.5, "train_seconds": 2.0,
        "peak_memory_bytes": 7, "accuracy": {"validation": null, "test": 0.5}, "accelerator": "tpu-v1", "latency_ms": 0.25,
        "mapping_utilization": 0.5, "overall_utilization": null, "macs": 9, "params": 3}"#;

    #[test]
    fn the_fixed_fields_are_enough_and_come_out_as_they_went_in() {
        let summary: Summary = serde_json::from_str(LEAST).unwrap();
        assert_eq!(summary.accuracy, Accuracy { validation: None, test: Some(0.5) });
        let expected: serde_json::Value = serde_json::from_str(LEAST).unwrap();
        assert_eq!(serde_json::to_value(&summary).unwrap(), expected);
    }

    #[test]
    fn a_number_that_json_cannot_hold_is_read_back_as_none() {
        let mut summary: Summary = serde_json::from_str(LEAST).unwrap();
        summary.latency_ms = f64::INFINITY;
        summary.accuracy.test = Some(f64::NAN);
        let text = serde_json::to_string(&summary).unwrap();
        let back: Summary = serde_json::from_str(&text).unwrap();
        assert!(back.latency_ms.is_nan() && back.accuracy.test.is_none());
    }
}
