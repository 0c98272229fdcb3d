//! Training of a supernet on single paths (SPOS, Guo et al. 2020).

use super::super::engine::{Observer, Outcome, SearchError};
use super::super::paths::Paths;
use super::super::sample::{Purpose, stream};
use super::super::settings::Settings;
use super::super::task::{At, Choices, Stage, TaskLoss};
use super::draws::uniform;
use crate::cost::{CostModel, Probabilities};
use crate::record::{SearchEpoch, SearchStage};
use crate::space::{Architecture, Space};

/// The training of a supernet's weights: in each step one path and one width of every join, drawn uniformly.
#[derive(Debug)]
pub struct SinglePaths<'a> {
    space: &'a Space,
    cost: &'a CostModel,
    settings: &'a Settings,
    /// Passes over the training split.
    epochs: u32,
    /// The architecture by which an epoch is judged.
    judge: Architecture,
}

impl<'a> SinglePaths<'a> {
    /// The training of `epochs` epochs; each is judged by the path `judge`.
    #[must_use]
    pub fn new(
        space: &'a Space,
        cost: &'a CostModel,
        settings: &'a Settings,
        epochs: u32,
        judge: Architecture,
    ) -> Self {
        Self { space, cost, settings, epochs, judge }
    }

    /// One path with all its weight.
    #[must_use]
    pub fn path(space: &Space, architecture: &Architecture) -> Choices {
        Choices { weights: Probabilities::one_hot(space, architecture), paths: Paths::ONE }
    }

    /// Runs `epoch`, from 0, on `task`, which has entered [`Stage::Whole`].
    ///
    /// # Errors
    /// [`SearchError`] where the task fails or its loss is not finite.
    pub fn epoch<T: TaskLoss>(
        &self,
        epoch: u32,
        task: &mut T,
        observer: &mut impl Observer,
    ) -> Result<Outcome, SearchError<T::Error>> {
        let (began, steps) = (observer.seconds(), task.steps());
        for step in 0..steps {
            let at = At { stage: Stage::Whole.number(), epoch, step };
            let mut draws = stream(self.settings.seed, Purpose::Weights, at);
            let drawn = uniform(self.space, &mut draws).ok_or(SearchError::Unreachable)?;
            let done = (f64::from(epoch) + f64::from(step) / f64::from(steps)) / f64::from(self.epochs);
            let weights = &self.settings.weights;
            let rate = weights.learning_rate * weights.schedule.factor(done);
            task.weight_step(&Self::path(self.space, &drawn), at, rate).map_err(SearchError::Task)?;
            observer.step(at, steps);
            if observer.interrupted() {
                return Ok(Outcome::Interrupted);
            }
        }
        let mut record = self.record(epoch, task)?;
        record.seconds = observer.seconds() - began;
        Ok(Outcome::Epoch(Box::new(record)))
    }

    fn record<T: TaskLoss>(&self, epoch: u32, task: &mut T) -> Result<SearchEpoch, SearchError<T::Error>> {
        let report = task.report(&Self::path(self.space, &self.judge)).map_err(SearchError::Task)?;
        if report.train_loss.is_some_and(|loss| !loss.is_finite()) {
            return Err(SearchError::NotFinite { stage: "supernet", epoch: epoch + 1, step: task.steps() });
        }
        let hardware = self.cost.hardware(&Probabilities::uniform(self.space));
        Ok(SearchEpoch {
            stage: SearchStage::Supernet,
            epoch: epoch + 1,
            of: self.epochs,
            temperature: f64::NAN,
            train_loss: report.train_loss.unwrap_or(f64::NAN),
            train_accuracy: report.train_accuracy,
            validation_loss: report.validation_loss,
            validation_accuracy: report.validation_accuracy,
            latency_ms: hardware.latency_ms,
            utilization: hardware.utilization,
            objective: f64::NAN,
            seconds: f64::NAN,
            entropy: None,
            skips: None,
            mixed_accuracy: None,
            operators: std::collections::BTreeMap::new(),
            widths: std::collections::BTreeMap::new(),
            targets: Vec::new(),
            allocation: None,
        })
    }
}
