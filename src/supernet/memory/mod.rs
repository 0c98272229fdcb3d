//! Memory of a step, predicted before the first: what it takes, and in how many parts a batch must go to fit.

mod kept;
mod step;

pub use step::{Inventory, Running, StepMemory};

use crate::space::{DeriveError, Space};
use crate::torch::Precision;
use crate::units::Bytes;

/// Images judged at once in a report, where there is room.
const REPORT_BATCH: u64 = 250;
/// Fewest images that go through together: batch norm needs two.
const LEAST: u64 = 2;
/// What libtorch holds of its own once it has run steps: code it pages in, primitives of oneDNN and their reordered
/// weights. A round figure, seen with libtorch 2.11.0 on x86-64.
const LIBRARY_BYTES: u64 = 100_000_000;
/// Share by which the heap outgrows what is held, by gaps between pieces; seen as above.
const GAPS: f64 = 0.05;

/// What a process may hold, and what it holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Most bytes, and where that comes from; nothing where the system does not tell.
    pub limit: Option<(Bytes, LimitSource)>,
    /// Bytes before the first step.
    pub present: Bytes,
}

impl Budget {
    /// Bytes that a step may take beside what the process holds anyway; nothing where no limit is known.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "bytes of a machine are far below 2^52"
    )]
    pub fn of_a_step(&self) -> Option<Bytes> {
        let (limit, _) = self.limit?;
        let left = limit.0.saturating_sub(self.present.0 + LIBRARY_BYTES);
        Some(Bytes((left as f64 / (1.0 + GAPS)) as u64))
    }
}

/// Where a limit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitSource {
    /// `search.memory-limit-mib`.
    Job,
    /// What the machine or the device has left.
    Device,
}

/// How a stage goes through its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Images that go through the supernet together in a step; the rest of a batch follows, gradients add up.
    pub micro_batch: u64,
    /// Images judged together in a report.
    pub report_batch: u64,
    /// Bytes before the first step.
    pub present: Bytes,
    /// Bytes of the fullest moment beside those.
    pub fullest: StepMemory,
}

/// No micro-batch is small enough.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "memory: stage `{stage}` needs {} MiB even at {LEAST} images at a time ({} MiB before the first step, weights {}, moments {}, \
     gradients {}, activations {}, workspace {}), and {} MiB is {}; take {cure}",
    mib(*.needed), mib(.plan.present), mib(.plan.fullest.weights), mib(.plan.fullest.moments),
    mib(.plan.fullest.gradients), mib(.plan.fullest.activations), mib(.plan.fullest.workspace), mib(*.limit), origin(*.limit_of)
)]
pub struct DoesNotFit {
    stage: &'static str,
    needed: Bytes,
    limit: Bytes,
    limit_of: LimitSource,
    plan: MemoryPlan,
    cure: &'static str,
}

fn origin(source: LimitSource) -> &'static str {
    match source {
        LimitSource::Job => "`search.memory-limit-mib`",
        LimitSource::Device => "what is free",
    }
}

fn mib(bytes: impl std::borrow::Borrow<Bytes>) -> u64 {
    bytes.borrow().0.div_ceil(1 << 20)
}

impl MemoryPlan {
    /// The largest micro-batch of `batch` images of a stage of `space` that fits.
    ///
    /// The parts of a batch are equal but for one image. A report goes through as many images as fit, 250 at most.
    ///
    /// # Errors
    /// [`PlanError`] where two images at a time do not fit.
    pub fn new(
        space: &Space,
        running: Running<'_>,
        precision: Precision,
        batch: u64,
        budget: Budget,
    ) -> Result<Self, PlanError> {
        let inventory = Inventory::new(space, running, precision)?;
        let plan = |parts: u64| {
            let micro_batch = batch.div_ceil(parts).max(LEAST.min(batch));
            let step = inventory.weight_step(micro_batch);
            let fits = |images: &u64| inventory.report(*images).total() <= step.total();
            // A report must not need more than the steps, unless there is room for all of it.
            let whole = inventory.report(REPORT_BATCH);
            let roomy = budget.limit.is_none_or(|(limit, _)| predicted(budget.present, &whole) <= limit);
            let report_batch =
                if roomy { REPORT_BATCH } else { (LEAST..REPORT_BATCH).rev().find(fits).unwrap_or(LEAST) };
            let report = inventory.report(report_batch);
            let fullest = if report.total() > step.total() { report } else { step };
            Self { micro_batch, report_batch, present: budget.present, fullest }
        };
        let Some((limit, limit_of)) = budget.limit else { return Ok(plan(1)) };
        let most_parts = batch.div_ceil(LEAST).max(1);
        let fitting = (1..=most_parts).map(plan).find(|plan| plan.predicted() <= limit);
        fitting.ok_or_else(|| {
            let plan = plan(most_parts);
            let (stage, cure) = advice(running);
            DoesNotFit { stage, needed: plan.predicted(), limit, limit_of, plan, cure }.into()
        })
    }

    /// Bytes of the process at its fullest.
    #[must_use]
    pub fn predicted(&self) -> Bytes {
        predicted(self.present, &self.fullest)
    }
}

/// The stage's name, and what makes it smaller.
fn advice(running: Running<'_>) -> (&'static str, &'static str) {
    match running {
        Running::Operators { .. } => {
            ("operators", "`search.operators.paths: sampled`, a smaller `search.operators.width` or fewer candidates")
        }
        Running::Widths { .. } => ("widths", "narrower widths or fewer cells"),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "bytes of a machine are far below 2^52"
)]
fn predicted(present: Bytes, step: &StepMemory) -> Bytes {
    let held = step.total().0 as f64 * (1.0 + GAPS);
    Bytes(present.0 + LIBRARY_BYTES + held as u64)
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A candidate does not fit its edge.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// No micro-batch is small enough.
    #[error(transparent)]
    DoesNotFit(#[from] Box<DoesNotFit>),
}

impl From<DoesNotFit> for PlanError {
    fn from(error: DoesNotFit) -> Self {
        Self::DoesNotFit(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;
    use crate::network::Shape;
    use crate::search::Paths;
    use crate::space::file::{Setting, SpaceFile};

    fn space() -> Space {
        let text = "
stem: [{ conv: { kernel: 3, width: 16 } }]
body:
  cells:
    inputs: [a]
    nodes: [{ name: t, from: [a] }, { name: u, from: [t, a] }]
    candidates: [{ conv: { kernel: [3, 5] } }, { separable: { kernel: 3 } }, identity, zero]
    width: { min: 16, max: 32, step: 8 }
    stack: [{ cells: { count: 2 } }]
classifier: global-pool
";
        let file: SpaceFile = load::parse(text, "space").unwrap();
        let input = Shape::new(&[3, 32, 32]).unwrap();
        file.into_space(&Setting { name: "s", origin: "space", input, classes: 10 }).unwrap()
    }

    fn plan(limit: Option<u64>) -> Result<MemoryPlan, PlanError> {
        let space = space();
        let widths: Vec<usize> = space.widths.iter().map(|_| 0).collect();
        let running = Running::Operators { paths: Paths::Full, widths: &widths };
        let limit = limit.map(|limit| (Bytes(limit), LimitSource::Job));
        let budget = Budget { limit, present: Bytes(50_000_000) };
        MemoryPlan::new(&space, running, Precision::Float32, 64, budget)
    }

    #[test]
    fn without_a_limit_a_batch_goes_through_whole() {
        let plan = plan(None).unwrap();
        assert_eq!((plan.micro_batch, plan.report_batch), (64, 250));
        assert!(plan.predicted().0 > 150_000_000 + plan.fullest.total().0);
    }

    #[test]
    fn the_largest_part_that_fits_is_taken() {
        let whole = plan(None).unwrap().predicted().0;
        let mut last = 64;
        for limit in (160_000_000..whole).rev().step_by(7_000_000) {
            let Ok(plan) = plan(Some(limit)) else { break };
            assert!(plan.predicted().0 <= limit && plan.micro_batch <= last);
            // 64 in parts: 64, 32, 22, 16, 13, ..
            assert!((1..=32).any(|parts| 64u64.div_ceil(parts) == plan.micro_batch), "{}", plan.micro_batch);
            last = plan.micro_batch;
        }
        assert!(last < 64, "{last}");
    }

    #[test]
    fn what_fits_in_no_part_names_the_figures_and_the_cure() {
        let message = plan(Some(120_000_000)).unwrap_err().to_string();
        assert!(message.starts_with("memory: stage `operators` needs "), "{message}");
        for part in
            ["even at 2 images at a time", "48 MiB before the first step", "115 MiB is `search.memory-limit-mib`"]
        {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(message.contains("; take `search.operators.paths: sampled`"), "{message}");
    }
}
