//! Progress of search and training as the job's progress.

use crate::jobs::progress::Progress;
use crate::record::{SearchEpoch, SearchStage, TrainEpoch};
use crate::search::{self, At};
use crate::train;

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
    };
    format!(
        "{stage} {}/{}: train loss {:.3}, selection accuracy {:.1} %, expected latency {:.4} ms, utilization {:.1} %, {:.1} s",
        epoch.epoch,
        epoch.of,
        epoch.train_loss,
        epoch.validation_accuracy * 100.0,
        epoch.latency_ms,
        epoch.utilization * 100.0,
        epoch.seconds
    )
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
