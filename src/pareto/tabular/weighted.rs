//! The gradient search of this project, once for each of several weights of error and latency.

use super::archive::Scale;
use super::random::{Shuffled, draws};
use super::reader::{Reader, Stopped};
use crate::cost::{CostModel, Probabilities};
use crate::search::methods::Method;
use crate::search::{
    At, Choices, EpochReport, Form, LatencyUnit, Observer, Outcome, Paths, Search, SearchError, Settings, Stage,
    StageSettings, TaskGradient, TaskLoss, TaskSlopes,
};
use crate::space::{Architecture, Space};

/// Most searches, each of one weight.
const WEIGHTS: usize = 8;
/// Fewest evaluations of a search; where there are fewer, there are fewer weights.
const LEAST_EVALUATIONS: usize = 16;
/// Most random rows that are read first, for the scales of error and latency; at most a quarter of all evaluations.
const FIRST: usize = 32;
/// Makes the seeds of the searches differ (the golden ratio's fraction, as in SplitMix64).
const SEEDS: u64 = 0x9E37_79B9_7F4A_7C15;

/// Random rows for the scales, then a search for each weight `z` of an even grid: it minimises
/// `(1 - z) E[error] / range + z E[latency] / range`, the ranges those of the front of the random rows.
///
/// The error is read at draws, and moves the parameters by the score function; the latency is that of the distributions
/// with its exact gradient. One draw is one evaluation; each search ends with its likeliest network. The evaluations are
/// shared out evenly.
pub(super) fn search(
    reader: &mut Reader<'_>,
    space: &Space,
    cost: &CostModel,
    settings: &Settings,
) -> Result<(), Stopped> {
    let draws = &mut draws(settings.seed);
    let mut others = Shuffled::new(reader.table().rows().len());
    for _ in 0..FIRST.min(reader.left() / 4) {
        let Some(place) = others.next(draws) else { break };
        reader.read(place)?;
    }
    let scale = reader.archive().scale();
    let weights = (reader.left() / LEAST_EVALUATIONS).clamp(1, WEIGHTS);
    for number in 0..weights {
        let share = reader.left() / (weights - number);
        #[expect(clippy::cast_precision_loss, reason = "a few weights")]
        let weight = (number as f64 + 0.5) / weights as f64;
        let seed = (number as u64 + 1).wrapping_mul(SEEDS) ^ settings.seed;
        let settings = of_weight(settings, &scale, weight, seed);
        // The last of them is of the network that is found.
        let steps = u32::try_from(share.saturating_sub(1)).unwrap_or(u32::MAX);
        let mut task = TableTask { reader: &mut *reader, space, factor: (1.0 - weight) / scale.range[0], steps };
        let found = one(&mut Search::new(space, cost, settings), &mut task)?;
        task.read(&found)?;
    }
    Ok(())
}

/// The settings of one search: one epoch of one step an evaluation, one drawn path, error and latency in their ranges.
fn of_weight(settings: &Settings, scale: &Scale, weight: f64, seed: u64) -> Settings {
    let epoch = StageSettings { epochs: 1, warm_up_epochs: 0 };
    Settings {
        method: Method::Systole,
        seed,
        operators: Some((epoch, None)),
        paths: Paths::Alone,
        most_skips: None,
        widths: None,
        allocation: None,
        weight_steps: 1,
        lambda: weight / scale.range[1],
        beta: 0.0,
        latency: LatencyUnit::Milliseconds,
        form: Form::Linear,
        prices: Vec::new(),
        targets: Vec::new(),
        ..settings.clone()
    }
}

/// Runs the one stage of `search`; the architecture that it found.
fn one(search: &mut Search<'_>, task: &mut TableTask<'_, '_>) -> Result<Architecture, Stopped> {
    // A space of one architecture has no stage.
    if search.stage().is_some() {
        match search.epoch(task, &mut Untimed) {
            Ok(Outcome::Epoch(_) | Outcome::Interrupted) => {}
            Err(SearchError::Task(stopped)) => return Err(stopped),
            Err(error) => return Err(Stopped::Failed { reason: error.to_string() }),
        }
    }
    Ok(search.found().architecture)
}

/// Nobody watches: the reader does.
struct Untimed;

impl Observer for Untimed {
    fn step(&mut self, _: At, _: u32) {}

    fn interrupted(&self) -> bool {
        false
    }

    fn seconds(&self) -> f64 {
        0.0
    }
}

/// The error of drawn networks, as a loss.
struct TableTask<'a, 'b> {
    reader: &'a mut Reader<'b>,
    space: &'a Space,
    /// Loss of an error of 1.
    factor: f64,
    steps: u32,
}

impl TableTask<'_, '_> {
    fn read(&mut self, architecture: &Architecture) -> Result<f64, Stopped> {
        let missing = || {
            let arch = self.space.to_string_of(architecture);
            Stopped::Missing { arch: arch.unwrap_or_else(|| format!("{architecture:?}")) }
        };
        let place = self.reader.table().place(architecture).ok_or_else(missing)?;
        Ok(self.reader.read(place)?.error)
    }
}

impl TaskLoss for TableTask<'_, '_> {
    type Error = Stopped;

    fn enter(&mut self, _: &Stage) -> Result<(), Stopped> {
        Ok(())
    }

    fn steps(&self) -> u32 {
        self.steps
    }

    fn weight_step(&mut self, _: &Choices, _: At, _: f64) -> Result<(), Stopped> {
        Ok(())
    }

    fn evaluate(&mut self, choices: &Choices, _: At) -> Result<TaskGradient, Stopped> {
        let error = self.read(&choices.weights.argmax())?;
        Ok(TaskGradient { loss: self.factor * error, gradient: Probabilities::zeros(self.space) })
    }

    fn slopes(&self) -> TaskSlopes {
        TaskSlopes::Unknown
    }

    /// Nothing: it would be an evaluation.
    fn report(&mut self, _: &Choices) -> Result<EpochReport, Stopped> {
        Ok(EpochReport {
            train_loss: None,
            train_accuracy: f64::NAN,
            validation_loss: f64::NAN,
            validation_accuracy: f64::NAN,
        })
    }
}
