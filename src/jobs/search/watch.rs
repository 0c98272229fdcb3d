//! Progress of search and training as the job's progress.

use crate::jobs::progress::Progress;
use crate::record::{HardTarget, JudgedCandidate, SearchEpoch, SearchStage, TargetEpoch, TrainEpoch};
use crate::search::repair::{Effort, Fit, Repaired};
use crate::search::{self, At};
use crate::train;

/// Progress of a candidate's training: it can be stopped, but its steps are not told.
pub(super) struct Untold<'a>(pub(super) &'a mut dyn Progress);

impl train::Observer for Untold<'_> {
    fn step(&mut self, _epoch: u32, _step: usize, _steps: usize) {}

    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }

    fn seconds(&self) -> f64 {
        self.0.seconds()
    }
}

/// One progress for both kinds of observer.
pub(super) struct Watch<'a> {
    progress: &'a mut dyn Progress,
}

impl<'a> Watch<'a> {
    pub(super) fn new(progress: &'a mut dyn Progress) -> Self {
        Self { progress }
    }
}

impl search::Observer for Watch<'_> {
    fn step(&mut self, _at: At, _steps: u32) {
        self.progress.step();
    }

    fn interrupted(&self) -> bool {
        self.progress.interrupted()
    }

    fn seconds(&self) -> f64 {
        self.progress.seconds()
    }
}

impl train::Observer for Watch<'_> {
    fn step(&mut self, _epoch: u32, _step: usize, _steps: usize) {
        self.progress.step();
    }

    fn interrupted(&self) -> bool {
        self.progress.interrupted()
    }

    fn seconds(&self) -> f64 {
        self.progress.seconds()
    }
}

/// An epoch of the search in one line.
pub(super) fn search_line(epoch: &SearchEpoch) -> String {
    let stage = match epoch.stage {
        SearchStage::Operators => "operators",
        SearchStage::Widths => "widths",
        SearchStage::Supernet => "supernet",
    };
    let target = |target: &TargetEpoch| {
        let (name, sign) = (target.metric.name(), target.relation.sign());
        format!(", {name} {:.4} {sign} {:.4} at {:.3}", target.value, target.target, target.multiplier)
    };
    let targets: String = epoch.targets.iter().map(target).collect();
    format!(
        "{stage} {}/{}: train loss {:.3}, selection accuracy {:.1} %, expected latency {:.4} ms, utilization {:.1} %{targets}, {:.1} s",
        epoch.epoch,
        epoch.of,
        epoch.train_loss,
        epoch.validation_accuracy * 100.0,
        epoch.latency_ms,
        epoch.utilization * 100.0,
        epoch.seconds
    )
}

/// An epoch of a supernet on drawn paths in one line.
pub(super) fn supernet_line(epoch: &SearchEpoch) -> String {
    format!(
        "supernet {}/{}: train loss {:.3}, selection accuracy of the first candidate {:.1} %, {:.1} s",
        epoch.epoch,
        epoch.of,
        epoch.train_loss,
        epoch.validation_accuracy * 100.0,
        epoch.seconds
    )
}

/// A candidate in one line.
pub(super) fn candidate_line(judged: &JudgedCandidate) -> String {
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

/// That no network was found that keeps `targets`, and what the cheapest takes.
pub(super) fn unmet_line(targets: &[HardTarget], found: &Repaired) -> Option<String> {
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

/// An epoch of training in one line.
pub(super) fn train_line(epoch: &TrainEpoch) -> String {
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
