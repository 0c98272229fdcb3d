//! The gradient search of this project, once for each of several weights of error and latency, in turns.

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
/// shared out evenly, and the searches take turns, one evaluation each, so that what was read until a stop is of all
/// weights.
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
    let (mut left, weights) = (reader.left(), (reader.left() / LEAST_EVALUATIONS).clamp(1, WEIGHTS));
    let mut going = Vec::new();
    for number in 0..weights {
        let share = left / (weights - number);
        left -= share;
        #[expect(clippy::cast_precision_loss, reason = "a few weights")]
        let weight = (number as f64 + 0.5) / weights as f64;
        let seed = (number as u64 + 1).wrapping_mul(SEEDS) ^ settings.seed;
        let settings = of_weight(settings, &scale, weight, seed);
        // The last of them is of the network that is found.
        let steps = u32::try_from(share.saturating_sub(1)).unwrap_or(u32::MAX);
        going.push(Turns {
            search: Search::new(space, cost, settings),
            factor: (1.0 - weight) / scale.range[0],
            steps,
        });
    }
    while !going.is_empty() {
        let mut left = Vec::new();
        for mut turns in going {
            let (factor, steps) = (turns.factor, turns.steps);
            let mut task = TableTask { reader: &mut *reader, space, factor, steps };
            match turn(&mut turns.search, &mut task)? {
                Some(found) => task.read(&found).map(|_| ())?,
                None => left.push(turns),
            }
        }
        going = left;
    }
    Ok(())
}

/// The search of one weight between its turns.
struct Turns<'a> {
    search: Search<'a>,
    /// Loss of an error of 1.
    factor: f64,
    steps: u32,
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
        preference: None,
        beta: 0.0,
        latency: LatencyUnit::Milliseconds,
        form: Form::Linear,
        prices: Vec::new(),
        targets: Vec::new(),
        ..settings.clone()
    }
}

/// One step of `search`; where all are made the architecture that it found.
fn turn(search: &mut Search<'_>, task: &mut TableTask<'_, '_>) -> Result<Option<Architecture>, Stopped> {
    // A space of one architecture has no stage.
    if search.stage().is_some() {
        match search.epoch(task, &mut StepByStep) {
            Ok(Outcome::Epoch(_)) => {}
            Ok(Outcome::Interrupted) => return Ok(None),
            Err(SearchError::Task(stopped)) => return Err(stopped),
            Err(error) => return Err(Stopped::Failed { reason: error.to_string() }),
        }
    }
    Ok(Some(search.found().architecture))
}

/// Stops after each step; the reader watches.
struct StepByStep;

impl Observer for StepByStep {
    fn step(&mut self, _: At, _: u32) {}

    fn interrupted(&self) -> bool {
        true
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
