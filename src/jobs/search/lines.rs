//! Epochs in one line each.

use crate::record::{HardTarget, JudgedCandidate, SearchEpoch, TargetEpoch, TrainEpoch};
use crate::search::repair::{Effort, Fit, Repaired};

/// An epoch of the search.
pub(super) fn search(epoch: &SearchEpoch) -> String {
    let target = |target: &TargetEpoch| {
        let (name, sign) = (target.metric.name(), target.relation.sign());
        format!(", {name} {:.4} {sign} {:.4} at {:.3}", target.value, target.target, target.multiplier)
    };
    let targets: String = epoch.targets.iter().map(target).collect();
    format!(
        "{} {}/{}: train loss {:.3}, selection accuracy {:.1} %, expected latency {:.4} ms, utilization {:.1} %{targets}, {:.1} s",
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

/// That no network was found that keeps `targets`, and what the cheapest takes.
pub(super) fn unmet(targets: &[HardTarget], found: &Repaired) -> Option<String> {
    let Fit::Unmet(searched) = found.fit else { return None };
    let told = match searched {
        Effort::Whole => "no network of the space keeps the targets",
        Effort::Partial => "no network was found that keeps the targets",
    };
    let missed = targets.iter().zip(&found.values).filter(|(target, value)| !target.is_met(**value));
    let missed = missed.map(|(target, value)| {
        let (name, percent) = (target.metric.name(), 100.0 * target.violation(*value));
        format!("{target} is missed by {percent:.1} %, {name} {value:.6}")
    });
    Some(format!("{told}; of the cheapest {}", missed.collect::<Vec<String>>().join(", ")))
}

/// An epoch of a supernet on drawn paths.
pub(super) fn supernet(epoch: &SearchEpoch) -> String {
    format!(
        "supernet {}/{}: train loss {:.3}, selection accuracy of the first candidate {:.1} %, {:.1} s",
        epoch.epoch,
        epoch.of,
        epoch.train_loss,
        epoch.validation_accuracy * 100.0,
        epoch.seconds
    )
}

/// A candidate of a list.
pub(super) fn candidate(judged: &JudgedCandidate) -> String {
    let of = judged.of.map_or_else(String::new, |of| format!("/{of}"));
    let loss = judged.loss.map_or_else(String::new, |loss| format!(", selection loss {loss:.3}"));
    let accuracy = judged.accuracy.map_or_else(String::new, |a| format!(", selection accuracy {:.1} %", a * 100.0));
    let score = judged.score.map_or_else(String::new, |score| format!(", log synaptic flow {score:.2}"));
    let objective = judged.objective.map_or_else(String::new, |value| format!(", objective {value:.4}"));
    format!(
        "candidate {}{of}{loss}{accuracy}{score}, latency {:.4} ms, utilization {:.1} %{objective}, {:.1} s",
        judged.number,
        judged.latency_ms,
        judged.utilization * 100.0,
        judged.seconds
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
