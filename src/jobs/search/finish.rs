//! What a run leaves in its folder.

use super::{Checkpoint, Run, SearchJobError, Trained, pictures};
use crate::cost;
use crate::estimate::{self, Estimate, Target};
use crate::jobs::spec::DataSet;
use crate::load;
use crate::network::Network;
use crate::record::{
    Accuracy, Ended, HistoryRecord, HistoryWriter, INTERRUPTED, Summary, TargetResult, diverged, read_history, write,
    write_json,
};
use crate::space::Architecture;
use crate::torch::file;

/// The stop reason of a run whose epochs are all done.
const EPOCH_LIMIT: &str = "epoch-limit";

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

    /// `weights.safetensors`, `plots/`, `summary.json`.
    pub(super) fn end(
        &self,
        checkpoint: &mut Checkpoint,
        trained: Option<&Trained>,
        history: &mut HistoryWriter,
    ) -> Result<Summary, SearchJobError> {
        let folder = self.run.folder;
        if let Some(trained) = trained {
            file::save(&folder.weights(), &trained.weights)?;
        }
        checkpoint.note_peak(self.run)?;
        let summary = self.summary(checkpoint, trained)?;
        history.append(&HistoryRecord::End(Ended { stop_reason: summary.stop_reason.clone() }))?;
        pictures::draw(self.run.job, folder, self.architecture)?;
        write_json(&folder.summary(), &summary)?;
        Ok(summary)
    }

    fn summary(&self, checkpoint: &Checkpoint, trained: Option<&Trained>) -> Result<Summary, SearchJobError> {
        let Run { job, .. } = self.run;
        let (one, batch) = (self.estimate(1)?, self.estimate(job.hardware_batch)?);
        let finished = trained.is_some_and(|trained| trained.finished);
        let targets = job.settings.targets.iter();
        Ok(Summary {
            name: job.name.clone(),
            seed: job.settings.seed,
            stop_reason: if finished { EPOCH_LIMIT } else { INTERRUPTED }.to_owned(),
            search_seconds: checkpoint.search_seconds,
            train_seconds: checkpoint.train_seconds,
            peak_memory_bytes: checkpoint.peak_memory_bytes,
            accuracy: Accuracy {
                validation: trained.and_then(|trained| trained.validation),
                test: trained.and_then(|trained| trained.test),
            },
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
            warnings: diverged(&read_history(&self.run.folder.history())?, job.space.classes),
        })
    }

    fn data_name(&self) -> String {
        match self.run.job.file.data.set {
            DataSet::Shapes => "shapes".to_owned(),
            DataSet::Cifar10 => "cifar10".to_owned(),
        }
    }
}
