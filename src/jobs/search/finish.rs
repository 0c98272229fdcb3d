//! What a run leaves in its folder.

use super::keep::Keep;
use super::training::Trained;
use super::{Run, SearchJobError, pictures, rank};
use crate::cost;
use crate::estimate::{self, Estimate, Target};
use crate::jobs::spec::DataSet;
use crate::jobs::write_run_report;
use crate::load;
use crate::network::Network;
use crate::record::{
    Accuracy, Ended, HistoryRecord, INTERRUPTED, Rollback, Summary, TargetResult, diverged, doubts, held_back,
    read_history, stage_ends, write, write_json,
};
use crate::search;
use crate::space::Architecture;
use crate::torch::file;

/// The stop reason of a run whose epochs are all done.
const EPOCH_LIMIT: &str = "epoch-limit";
/// The stop reason of a run whose loss was not finite a second time.
pub(super) const NOT_FINITE: &str = "not-finite";

/// How a run ends.
#[derive(Clone, Copy)]
pub(super) enum Ending<'a> {
    /// In the search, since it was told to stop.
    Stopped,
    /// After or in the training.
    Trained(&'a Trained),
    /// Its loss was not finite a second time.
    NotFinite,
}

impl<'a> Ending<'a> {
    fn trained(self) -> Option<&'a Trained> {
        match self {
            Self::Trained(trained) => Some(trained),
            Self::Stopped | Self::NotFinite => None,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Trained(trained) if trained.finished => EPOCH_LIMIT,
            Self::Trained(_) | Self::Stopped => INTERRUPTED,
            Self::NotFinite => NOT_FINITE,
        }
    }
}

/// A found network that is to be written down.
pub(super) struct Finish<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) architecture: &'a Architecture,
    pub(super) network: &'a Network,
}

impl Finish<'_> {
    /// `architecture.yaml`, `network.yaml`, `estimate.json`.
    pub(super) fn write_network(&self) -> Result<(), SearchJobError> {
        let Run { job, folder, .. } = self.run;
        let architecture = load::to_yaml(&job.space.architecture_file(self.architecture));
        write(&folder.architecture(), architecture.as_bytes())?;
        write(&folder.network(), self.network.to_yaml().as_bytes())?;
        Ok(write_json(&folder.estimate(), &[self.estimate(1)?])?)
    }

    fn estimate(&self, batch: u64) -> Result<Estimate, SearchJobError> {
        let Run { job, .. } = self.run;
        let target = Target { accelerator: &job.accelerator, timing: job.timing, batch };
        Ok(estimate::network(self.network, &target)?)
    }

    /// `weights.safetensors`, `plots/`, `summary.json`, `report.html`.
    pub(super) fn end(&self, keep: &mut Keep<'_>, ending: Ending<'_>) -> Result<Summary, SearchJobError> {
        let folder = self.run.folder;
        if let Some(trained) = ending.trained() {
            file::save(&folder.weights(), &trained.weights)?;
        }
        keep.note_peak()?;
        let summary = self.summary(keep, ending)?;
        keep.history.append(&HistoryRecord::End(Ended { stop_reason: summary.stop_reason.clone() }))?;
        pictures::draw(self.run.job, folder, self.architecture)?;
        write_json(&folder.summary(), &summary)?;
        write_run_report(folder)?;
        Ok(summary)
    }

    /// What casts doubt on the result.
    fn warnings(&self, keep: &Keep<'_>, records: &[HistoryRecord], choices: Vec<String>) -> Vec<String> {
        let rollbacks = keep.checkpoint.rollbacks();
        let diverged = diverged(records, self.run.job.space.classes);
        let run = rollbacks.iter().map(Rollback::warning).chain(self.run.environment.changes());
        run.chain(diverged).chain(choices).chain(held_back(records)).collect()
    }

    fn summary(&self, keep: &Keep<'_>, ending: Ending<'_>) -> Result<Summary, SearchJobError> {
        let Run { job, .. } = self.run;
        let (one, batch) = (self.estimate(1)?, self.estimate(job.hardware_batch)?);
        let (checkpoint, trained) = (&keep.checkpoint, ending.trained());
        let records = read_history(&self.run.folder.history())?;
        let stages = stage_ends(&records);
        let skips = search::skips(&job.space, self.architecture).filter(|_| job.settings.operators.is_some());
        let doubts = doubts(skips.as_ref(), &stages);
        let targets = job.settings.targets.iter();
        Ok(Summary {
            name: job.name.clone(),
            seed: job.settings.seed,
            stop_reason: ending.reason().to_owned(),
            search_seconds: checkpoint.search_seconds,
            train_seconds: checkpoint.train_seconds,
            peak_memory_bytes: checkpoint.peak_memory_bytes,
            search_peak_memory_bytes: Some(checkpoint.search_peak_memory_bytes).filter(|peak| peak.0 > 0),
            accuracy: Accuracy {
                validation: trained.and_then(|trained| trained.validation),
                test: trained.and_then(|trained| trained.test).map(|test| test.accuracy),
            },
            test_loss: trained.and_then(|trained| trained.test).map(|test| test.loss),
            accelerator: job.accelerator.name.clone(),
            latency_ms: one.total.latency_ms,
            mapping_utilization: one.total.mapping_utilization,
            overall_utilization: one.total.overall_utilization,
            macs: one.total.macs,
            params: one.total.params,
            cycles: Some(one.total.cycles),
            timing: Some(one.timing),
            end_to_end_utilization: one.total.end_to_end_utilization,
            hardware_batch: Some(job.hardware_batch),
            hardware_batch_latency_ms: Some(batch.total.latency_ms),
            lambda: Some(job.settings.lambda),
            beta: Some(job.settings.beta),
            cost: Some(cost::CostKind::from(job.file.objective.cost).name().to_owned()),
            method: Some(job.settings.method.name().to_owned()),
            data: Some(self.data_name()),
            targets: targets.map(|target| TargetResult::new(target, cost::exact(target.metric, &batch))).collect(),
            skips,
            stages,
            rank_check: rank::summaries(self.run, keep),
            table: None,
            checkpoints: Some(checkpoint.checkpoints),
            checkpoint_seconds: Some(checkpoint.checkpoint_seconds),
            warnings: self.warnings(keep, &records, doubts),
        })
    }

    fn data_name(&self) -> String {
        match self.run.job.file.data.set {
            DataSet::Shapes => "shapes".to_owned(),
            DataSet::Cifar10 => "cifar10".to_owned(),
        }
    }
}
