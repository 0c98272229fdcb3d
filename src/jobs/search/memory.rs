//! Memory of a search before it starts: what each stage will take, and how its batches are cut to fit.

use tch::Device;

use super::SearchJobError;
use crate::jobs::spec::Job;
use crate::record::PredictedMemory;
use crate::search::methods::Method;
use crate::search::{Paths, Search, Stage};
use crate::supernet::Together;
use crate::supernet::memory::{Budget, LimitSource, MemoryPlan, Running};
use crate::torch::{Precision, memory};
use crate::units::Bytes;

/// How the stages of a search go through their batches.
#[derive(Debug, Clone, Default)]
pub(super) struct Plans {
    /// By number of the stage; nothing for a stage that is not run.
    stages: [Option<MemoryPlan>; 2],
    batch: u64,
    /// Whether the width stage begins at its plan and grows.
    grows: bool,
    budget: Option<Budget>,
}

impl Plans {
    /// Plans of the stages that `search` has yet to run; of what it settles on its way, the largest counts.
    ///
    /// # Errors
    /// [`SearchJobError`] where even the smallest part of a batch does not fit.
    pub(super) fn new(
        job: &Job,
        search: &Search<'_>,
        device: Device,
        precision: Precision,
    ) -> Result<Self, SearchJobError> {
        let budget = budget(job, device)?;
        let plan = |running| MemoryPlan::new(&job.space, running, precision, job.settings.batch, budget);
        // The supernet of an evolution has all candidates at the widest options; its masks are left out.
        let widths: Vec<usize> = job.space.widths.iter().map(|choice| choice.options.len() - 1).collect();
        let whole = || plan(Running::Operators { paths: Paths::ONE, widths: &widths });
        let first = search.first_sizes();
        let sizes = first.as_deref();
        let stage = match job.settings.method {
            Method::Systole | Method::Darts { .. } | Method::Gdas => search.stage(),
            Method::Evolution(_) => Some(Stage::Whole),
            Method::Random { .. } | Method::Synflow { .. } | Method::Nsga2 { .. } => None,
        };
        let stages = match stage {
            None => [None, None],
            Some(Stage::Whole) => [None, Some(whole()?)],
            Some(Stage::Widths { operators }) => {
                [None, Some(plan(Running::Widths { operators: Some(&operators), sizes })?)]
            }
            Some(stage @ Stage::Operators { .. }) => {
                let widths = Running::Widths { operators: None, sizes };
                let widths = (search.stages() > 1).then(|| plan(widths)).transpose()?;
                [Some(plan(Running::of(&stage, job.settings.paths))?), widths]
            }
        };
        let grows = sizes.is_some() && stages[1].is_some();
        Ok(Self { stages, batch: job.settings.batch, grows, budget: Some(budget) })
    }

    /// Bytes that a step of a width stage may grow to.
    pub(super) fn ceiling(&self) -> Option<Bytes> {
        self.budget.filter(|_| self.grows).and_then(|budget| budget.of_a_step())
    }

    /// How many images go through together in the stage of each number.
    pub(super) fn together(&self) -> [Together; 2] {
        let count = |images: u64| usize::try_from(images).unwrap_or(usize::MAX);
        self.stages.map(|plan| {
            plan.map_or(Together::WHOLE, |plan| Together {
                step: count(plan.micro_batch),
                report: count(plan.report_batch),
            })
        })
    }

    /// The plan that needs most.
    fn fullest(&self) -> Option<MemoryPlan> {
        self.stages.into_iter().flatten().max_by_key(MemoryPlan::predicted)
    }

    /// For `environment.json`.
    pub(super) fn record(&self) -> Option<PredictedMemory> {
        self.fullest().map(|plan| PredictedMemory {
            peak_bytes: plan.predicted(),
            present_bytes: plan.present,
            weights_bytes: plan.fullest.weights,
            moments_bytes: plan.fullest.moments,
            gradients_bytes: plan.fullest.gradients,
            activations_bytes: plan.fullest.activations,
            workspace_bytes: plan.fullest.workspace,
            micro_batches: self.stages.into_iter().flatten().map(|plan| plan.micro_batch).collect(),
        })
    }

    /// What there is to say before the start.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(plan) = self.fullest() {
            let fullest = plan.fullest;
            let most = if self.grows { "at the widths' first sizes" } else { "at most" };
            lines.push(format!(
                "memory: {most} {} MB predicted, of which weights {}, moments {}, gradients {}, activations {}, workspace {}",
                megabytes(plan.predicted()),
                megabytes(fullest.weights),
                megabytes(fullest.moments),
                megabytes(fullest.gradients),
                megabytes(fullest.activations),
                megabytes(fullest.workspace)
            ));
        }
        if let Some((limit, _)) = self.budget.and_then(|budget| budget.limit).filter(|_| self.grows) {
            lines.push(format!("memory: no width grows beyond what {} MB hold", megabytes(limit)));
        }
        for (plan, stage) in self.stages.into_iter().zip(["operators", "widths"]) {
            if let Some(plan) = plan.filter(|plan| plan.micro_batch < self.batch) {
                lines.push(format!(
                    "memory: stage `{stage}` takes its batches of {} in parts of {} to fit; batch norms see one part at a time",
                    self.batch, plan.micro_batch
                ));
            }
        }
        lines
    }
}

fn megabytes(bytes: Bytes) -> u64 {
    bytes.0.div_ceil(1_000_000)
}

fn budget(job: &Job, device: Device) -> Result<Budget, SearchJobError> {
    let limit = match job.settings.memory_limit {
        Some(limit) => Some((limit, LimitSource::Job)),
        None => memory::most(device)?.map(|most| (most, LimitSource::Device)),
    };
    Ok(Budget { limit, present: memory::present(device)?.unwrap_or_default() })
}
