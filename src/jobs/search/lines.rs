//! Epochs in one line each.

use crate::record::{SearchEpoch, TrainEpoch};

/// An epoch of the search.
pub(super) fn search(epoch: &SearchEpoch) -> String {
    format!(
        "{} {}/{}: train loss {:.3}, selection accuracy {:.1} %, expected latency {:.4} ms, utilization {:.1} %, {:.1} s",
        epoch.stage.name(),
        epoch.epoch,
        epoch.of,
        epoch.train_loss,
        epoch.validation_accuracy * 100.0,
        epoch.latency_ms,
        epoch.utilization * 100.0,
        epoch.seconds
    )
}

/// An epoch of the training.
pub(super) fn training(epoch: &TrainEpoch) -> String {
    let validation =
        epoch.validation_accuracy.map_or_else(String::new, |v| format!(", validation accuracy {:.1} %", v * 100.0));
    format!(
        "training {}/{}: loss {:.3}, accuracy {:.1} %{validation}, {:.1} s",
        epoch.epoch,
        epoch.of,
        epoch.loss,
        epoch.accuracy * 100.0,
        epoch.seconds
    )
}
