//! The search loop: sample, weight step, architecture step, record.

mod elastic;
mod targets;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::adam::Adam;
use super::allocation::{self, Allocation, Masks};
use super::guard;
use super::lagrangian::Multiplier;
use super::methods::{self, Method};
use super::objective::{Loss, Objective, Pressed};
use super::paths::Paths;
use super::sample::{self, Draw, Purpose};
use super::settings::{Initial, Settings, StageSettings};
use super::task::{At, Choices, Stage, TaskLoss, TaskSlopes};
use crate::cost::{CostModel, Probabilities};
use crate::estimate::Target;
use crate::record::{HardTarget, Place, Rollback, SearchEpoch, TargetEpoch, WidthChoice};
use crate::space::{Architecture, Space, WidthId};

/// Paths that stand for a mixture that is never run as one.
const DRAWS: u32 = 8;

/// Share of the running mean of losses that a step keeps where a task has no slopes.
const BASELINE: f64 = 0.9;

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// All epochs of all stages were run.
    EpochLimit,
    /// It was asked to stop.
    Interrupted,
}

/// Who watches a search, and lends it a clock.
pub trait Observer {
    /// A step is done: `step` of `steps` in the epoch.
    fn step(&mut self, at: At, steps: u32);

    /// Whether the epoch is to hand back after this step: to be kept, or to stop.
    fn interrupted(&self) -> bool;

    /// Seconds since some fixed moment.
    fn seconds(&self) -> f64;
}

/// Why a search fails.
#[derive(Debug, thiserror::Error)]
pub enum SearchError<E: std::error::Error + 'static> {
    /// The task failed.
    #[error(transparent)]
    Task(E),
    /// A loss or a gradient is no number any more.
    #[error(
        "the loss is not finite in stage `{stage}`, epoch {epoch}, step {step}; try a lower `search.weights.learning-rate`"
    )]
    NotFinite {
        /// Stage's name.
        stage: &'static str,
        /// Epoch from 1.
        epoch: u32,
        /// Step from 1.
        step: u32,
    },
    /// A task whose widths cannot follow a dynamic allocation.
    #[error(
        "search.widths.policy: dynamic needs a task whose tensors grow and shrink with the widths, which this one's do \
         not; take fixed"
    )]
    Rigid,
    /// A space in which draws find no way to the output.
    #[error("no architecture whose output can be reached was found in a million draws")]
    Unreachable,
    /// The same a second time.
    #[error(
        "the loss is not finite in {again}, after it was not in {first} and the search went on with half the learning rates; \
         try a lower `search.weights.learning-rate`"
    )]
    NotFiniteAgain {
        /// Where it was not finite for the first time.
        first: Place,
        /// Where it is not finite now.
        again: Place,
    },
}

/// What a search must remember between steps: all of it on the host, besides the task's weights and sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Place in the list of stages.
    pub stage: usize,
    /// Epochs of the stage that are done.
    pub epoch: u32,
    /// Weight steps of the present epoch that are done.
    #[serde(default)]
    pub step: u32,
    #[serde(default)]
    running: Running,
    /// Where the search went back with half the learning rates, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Architecture parameters.
    pub alpha: Probabilities,
    adam: Adam,
    /// Operators that the first stage chose, where it is done.
    pub operators: Option<Vec<usize>>,
    /// What the terms of the hard targets remember, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub multipliers: Vec<Multiplier>,
    /// An architecture of the chosen operators that keeps every hard target, where the first stage is done and there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Architecture>,
    /// The widths, where a stage that allocates them dynamically has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation: Option<Allocation>,
    /// Running mean of the losses of a task without slopes, in the present stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
}

impl State {
    /// Whether a stage begins here: the task needs nothing but to enter it.
    #[must_use]
    pub fn begins_stage(&self) -> bool {
        self.epoch == 0 && self.step == 0
    }
}

/// What the present epoch has summed up so far.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Running {
    /// Sum of the objectives of the architecture steps.
    objective: f64,
    /// Number of architecture steps.
    steps: u32,
    /// Time, s.
    seconds: f64,
}

impl Running {
    fn mean_objective(&self) -> f64 {
        if self.steps == 0 { f64::NAN } else { self.objective / f64::from(self.steps) }
    }
}

/// What ended an epoch.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Its record.
    Epoch(Box<SearchEpoch>),
    /// It was asked to hand back in the middle; [`Search::epoch`] goes on with the next step.
    Interrupted,
}

/// A search over one space.
#[derive(Debug)]
pub struct Search<'a> {
    space: &'a Space,
    cost: &'a CostModel,
    settings: Settings,
    objective: Objective,
    /// The hard targets with their bounds of the operator stage and of the last one.
    targets: [Vec<HardTarget>; 2],
    /// What the estimator judges hard targets on.
    judge: Option<Target<'a>>,
    /// Width options of the operator stage.
    start: Vec<usize>,
    stages: Vec<StageSettings>,
    state: State,
}

impl<'a> Search<'a> {
    /// A search of `space` under `settings`, before its first epoch.
    #[must_use]
    pub fn new(space: &'a Space, cost: &'a CostModel, settings: Settings) -> Self {
        let searches_operators = space.operators.iter().any(|choice| choice.candidates.len() > 1);
        let searches_widths = space.widths.iter().any(|choice| choice.options.len() > 1);
        let operators = settings.operators.filter(|_| searches_operators);
        let widths = settings.widths.filter(|_| searches_widths);
        let start = start(space, operators.and_then(|(_, width)| width));
        let fixed = (operators.is_none()).then(|| vec![0; space.operators.len()]);
        let stages = operators.map(|(stage, _)| stage).into_iter().chain(widths).collect();
        let zeros = Probabilities::zeros(space);
        let multipliers = vec![Multiplier::new(&settings.penalty); settings.targets.len()];
        let state = State {
            stage: 0,
            epoch: 0,
            step: 0,
            running: Running::default(),
            rollback: None,
            alpha: zeros.clone(),
            adam: Adam::new(zeros),
            operators: fixed,
            multipliers,
            witness: None,
            allocation: None,
            baseline: None,
        };
        let objective = Objective {
            form: settings.form,
            lambda: settings.lambda,
            beta: settings.beta,
            unit_ms: 1.0,
            unit_utilization: 1.0,
            prices: Vec::new(),
        };
        let targets = [settings.targets.clone(), settings.targets.clone()];
        let mut search = Self { space, cost, settings, objective, targets, judge: None, start, stages, state };
        search.state.alpha = search.first_alpha();
        search.begin_allocation();
        search.set_units();
        search
    }

    /// The search with `judge`, by which networks found keep hard targets: the accelerator, timing and batch of the tables.
    #[must_use]
    pub fn judged_by(mut self, judge: Target<'a>) -> Self {
        self.judge = Some(judge);
        self
    }

    /// The search as it was in `state`.
    #[must_use]
    pub fn resumed(mut self, state: State) -> Self {
        self.go_back(state);
        self
    }

    /// Makes the search what it was in `state`.
    pub fn go_back(&mut self, state: State) {
        self.state = state;
        self.hold_to_targets();
        self.hold_to_grid();
    }

    /// What to save, after any step.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The objective with its units.
    #[must_use]
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// Epochs of all stages.
    #[must_use]
    pub fn epochs(&self) -> u32 {
        self.stages.iter().map(|stage| stage.epochs).sum()
    }

    /// Number of stages.
    #[must_use]
    pub fn stages(&self) -> usize {
        self.stages.len()
    }

    /// Epochs of all stages that are done.
    #[must_use]
    pub fn epochs_done(&self) -> u32 {
        self.stages[..self.state.stage].iter().map(|stage| stage.epochs).sum::<u32>() + self.state.epoch
    }

    /// The stage that runs next; nothing where the search is over.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        (self.state.stage < self.stages.len()).then(|| self.stage_now())
    }

    fn stage_now(&self) -> Stage {
        match &self.state.operators {
            None => Stage::Operators { widths: self.start.clone() },
            Some(operators) => Stage::Widths { operators: operators.clone() },
        }
    }

    /// Probability of every option: what is not searched in the present stage is fixed.
    #[must_use]
    pub fn distributions(&self) -> Probabilities {
        self.fixed_where_fixed(self.state.alpha.softmax())
    }

    /// Puts one-hot choices where the present stage has no say.
    fn fixed_where_fixed(&self, mut probabilities: Probabilities) -> Probabilities {
        let fix = |choices: &mut Vec<Vec<f64>>, chosen: &[usize]| {
            for (choice, &chosen) in choices.iter_mut().zip(chosen) {
                choice.fill(0.0);
                choice[chosen] = 1.0;
            }
        };
        match self.stage_now() {
            Stage::Operators { widths } => fix(&mut probabilities.widths, &widths),
            Stage::Widths { operators } => {
                fix(&mut probabilities.operators, &operators);
                if let Some(allocation) = &self.state.allocation {
                    allocation.spread(&mut probabilities.widths);
                }
            }
            Stage::Whole => {}
        }
        probabilities
    }

    /// The likeliest architecture whose output can be reached.
    #[must_use]
    pub fn likeliest(&self) -> Architecture {
        if let (Method::Darts { inputs }, None) = (self.settings.method, &self.state.operators) {
            return methods::derived(self.space, &self.distributions(), inputs);
        }
        match self.limited() {
            Some(limited) => reachable(self.space, &limited),
            None => reachable(self.space, &self.distributions()),
        }
    }

    /// The distributions without the identities beyond the limit on them, where there is one and operators are chosen.
    fn limited(&self) -> Option<Probabilities> {
        match (self.stage_now(), self.settings.most_skips) {
            (Stage::Operators { .. }, Some(most)) => {
                Some(guard::limited(self.space, &self.distributions(), most as usize))
            }
            (Stage::Operators { .. }, None) | (Stage::Widths { .. } | Stage::Whole, _) => None,
        }
    }

    /// The step that comes next.
    #[must_use]
    pub fn place(&self) -> Place {
        let State { epoch, step, .. } = self.state;
        Place { stage: self.stage_now().name().into(), epoch: epoch + 1, step: step + 1 }
    }

    /// The step that was done last, of the present epoch.
    pub(super) fn place_before(&self) -> Place {
        Place { step: self.state.step.max(1), ..self.place() }
    }

    /// Runs what is left of the present epoch on `task`, which has entered the stage.
    ///
    /// # Errors
    /// [`SearchError`] where the task fails or a number is not finite.
    ///
    /// # Panics
    /// Where the search is over: ask [`Search::stage`] first.
    pub fn epoch<T: TaskLoss>(
        &mut self,
        task: &mut T,
        observer: &mut impl Observer,
    ) -> Result<Outcome, SearchError<T::Error>> {
        let stage = self.stage().expect("the search is not over");
        let length = self.stages[self.state.stage];
        let (epoch, began, steps) = (self.state.epoch, observer.seconds(), task.steps());
        for step in self.state.step..steps {
            let at = At { stage: stage.number(), epoch, step };
            let rate = self.learning_rate(length, f64::from(epoch) + f64::from(step) / f64::from(steps.max(1)));
            let choices = self.draw_for_weights(length, at, steps);
            task.weight_step(&choices, at, rate).map_err(SearchError::Task)?;
            if self.moves_choices(length, at, steps) {
                let loss = match self.allocation_settings() {
                    None => self.architecture_step(task, at)?,
                    Some(settings) => self.allocation_step(task, at, &settings)?,
                };
                self.state.running.objective += loss.total;
                self.state.running.steps += 1;
            }
            self.state.step = step + 1;
            observer.step(at, steps);
            if observer.interrupted() {
                self.state.running.seconds += observer.seconds() - began;
                return Ok(Outcome::Interrupted);
            }
        }
        if epoch + 1 == length.epochs {
            self.end_allocation();
        }
        let mut record = self.record(task, &stage)?;
        record.seconds = self.state.running.seconds + observer.seconds() - began;
        if epoch >= length.warm_up_epochs {
            self.press(&record.targets);
        }
        self.advance(length);
        Ok(Outcome::Epoch(Box::new(record)))
    }

    /// One step of the architecture parameters: task gradient through the draw, hardware gradient without noise, but for
    /// costs that are fed with draws.
    fn architecture_step<T: TaskLoss>(&mut self, task: &mut T, at: At) -> Result<Loss, SearchError<T::Error>> {
        let (choices, draw) = self.draw(Purpose::Architecture, at);
        let answer = task.evaluate(&choices, at).map_err(SearchError::Task)?;
        let of_draws = self.cost.is_of_draws();
        let probabilities = if of_draws { self.fixed_where_fixed(draw.soft.clone()) } else { self.distributions() };
        let pressed = self.pressed();
        let priced = self.objective.price(self.cost, &probabilities, self.targets());
        let slopes = self.objective.slopes(answer.loss, &priced, &pressed);
        let mut gradient = match task.slopes() {
            TaskSlopes::Known => draw.backward_of_task(&answer.gradient),
            TaskSlopes::Unknown => self.scored(&draw, answer.loss),
        };
        if slopes.task != 1.0 {
            gradient = gradient.scaled(slopes.task);
        }
        let by_hardware = if of_draws {
            draw.backward(&slopes.hardware)
        } else {
            sample::jacobian(&self.state.alpha.softmax(), &slopes.hardware)
        };
        gradient.add_scaled(&by_hardware, 1.0);
        self.only_searched(&mut gradient);
        let loss = self.objective.loss(answer.loss, &priced, &pressed);
        if !loss.total.is_finite() || !gradient.is_finite() {
            return Err(self.not_finite(at.step));
        }
        let mut adam = self.settings.adam;
        adam.learning_rate *= self.rates();
        self.state.adam.step(adam, &mut self.state.alpha, &gradient);
        let steps = task.steps() / self.settings.weight_steps;
        for (place, (Pressed { target, .. }, valued)) in pressed.iter().zip(&priced.targets).enumerate() {
            let violation = target.violation(valued.value);
            self.state.multipliers[place].follow(violation, steps, &self.settings.penalty);
        }
        Ok(loss)
    }

    /// The score function of a draw of this loss; nought for the first, whose loss is the first baseline.
    fn scored(&mut self, draw: &Draw, loss: f64) -> Probabilities {
        let before = self.state.baseline.unwrap_or(loss);
        self.state.baseline = Some(BASELINE * before + (1.0 - BASELINE) * loss);
        let mut gradient = draw.hard();
        gradient.add_scaled(&self.state.alpha.softmax(), -1.0);
        gradient.scaled(loss - before)
    }

    /// Factor on the learning rates of weights and logits.
    fn rates(&self) -> f64 {
        self.state.rollback.map_or(1.0, |rollback| rollback.learning_rate_factor)
    }

    fn not_finite<E: std::error::Error + 'static>(&self, step: u32) -> SearchError<E> {
        SearchError::NotFinite { stage: self.stage_now().name().name(), epoch: self.state.epoch + 1, step: step + 1 }
    }

    fn only_searched(&self, gradient: &mut Probabilities) {
        let other = match self.stage_now() {
            Stage::Operators { .. } => &mut gradient.widths,
            Stage::Widths { .. } => &mut gradient.operators,
            Stage::Whole => return,
        };
        other.iter_mut().flatten().for_each(|value| *value = 0.0);
    }

    /// Mixing weights of one step, and the soft draw behind them.
    fn draw(&self, purpose: Purpose, at: At) -> (Choices, Draw) {
        let mut stream = sample::stream(self.settings.seed, purpose, at);
        let draw = self.settings.method.draw(&self.state.alpha, self.temperature(at.epoch), &mut stream);
        let widths = match self.settings.paths {
            Paths::Full | Paths::Sampled(_) => draw.soft.widths.clone(),
            Paths::Alone => draw.hard().widths,
        };
        let weights = Probabilities { operators: draw.mixing(self.settings.paths), widths };
        (Choices { weights: self.fixed_where_fixed(weights), paths: self.settings.paths }, draw)
    }

    /// Mixing weights of a weight step.
    fn draw_for_weights(&self, length: StageSettings, at: At, steps: u32) -> Choices {
        let explore = match (&self.state.allocation, self.stage_now(), self.settings.masks) {
            (_, Stage::Operators { .. } | Stage::Whole, _) | (None, Stage::Widths { .. }, Masks::Soft) => {
                return self.draw(Purpose::Weights, at).0;
            }
            (Some(_), Stage::Widths { .. }, _) | (None, Stage::Widths { .. }, Masks::Hard) => {
                if self.is_warm(length, at, steps) { allocation::EXPLORE } else { 1.0 }
            }
        };
        self.hard_widths(explore, &mut sample::stream(self.settings.seed, Purpose::Weights, at))
    }

    /// The present distributions with one option of each width.
    fn hard_widths(&self, explore: f64, stream: &mut rand_chacha::ChaCha8Rng) -> Choices {
        let Probabilities { operators, widths } = self.distributions();
        let weights = Probabilities { operators, widths: sample::hard(&widths, explore, stream) };
        Choices { weights, paths: self.settings.paths }
    }

    /// Whether the warm-up of the stage is over where the weight step `at`, of `steps` in an epoch, is done.
    fn is_warm(&self, length: StageSettings, at: At, steps: u32) -> bool {
        if self.allocation_settings().is_none() || length.warm_up_epochs > 0 {
            return at.epoch >= length.warm_up_epochs;
        }
        let done = u64::from(at.epoch) * u64::from(steps) + u64::from(at.step);
        #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
        let share = done as f64 / (f64::from(length.epochs) * f64::from(steps));
        share >= allocation::WARM_UP
    }

    /// Whether an architecture step follows the weight step `at`.
    fn moves_choices(&self, length: StageSettings, at: At, steps: u32) -> bool {
        self.is_warm(length, at, steps) && (at.step + 1).is_multiple_of(self.settings.weight_steps)
    }

    fn temperature(&self, epoch: u32) -> f64 {
        self.settings.method.temperature(&self.settings.temperature, epoch, self.stages[self.state.stage].epochs)
    }

    fn learning_rate(&self, length: StageSettings, epochs_done: f64) -> f64 {
        let weights = &self.settings.weights;
        self.rates() * weights.learning_rate * weights.schedule.factor(epochs_done / f64::from(length.epochs))
    }

    fn record<T: TaskLoss>(&self, task: &mut T, stage: &Stage) -> Result<SearchEpoch, SearchError<T::Error>> {
        let likeliest = self.likeliest();
        let choices = self.one_hot(&likeliest);
        let report = task.report(&choices).map_err(SearchError::Task)?;
        if report.train_loss.is_some_and(|loss| !loss.is_finite()) {
            return Err(self.not_finite(task.steps().saturating_sub(1)));
        }
        let probabilities = self.distributions();
        let priced = self.objective.price(self.cost, &probabilities, self.targets());
        let targets = self.pressed().into_iter().zip(&priced.targets);
        let targets = targets
            .map(|(Pressed { target, multiplier }, valued)| TargetEpoch::new(&target, valued.value, multiplier.value));
        let hardware = &priced.hardware;
        let (epoch, of) = (self.state.epoch + 1, self.stages[self.state.stage].epochs);
        let mixed_accuracy = (epoch == of).then(|| self.mixed_accuracy(task)).transpose()?;
        let (searched, skips) = match stage {
            Stage::Operators { .. } => (&probabilities.operators, guard::skips(self.space, &likeliest)),
            Stage::Widths { .. } | Stage::Whole => (&probabilities.widths, None),
        };
        Ok(SearchEpoch {
            stage: stage.name(),
            epoch,
            of,
            temperature: self.temperature(self.state.epoch),
            train_loss: report.train_loss.unwrap_or(f64::NAN),
            train_accuracy: report.train_accuracy,
            validation_loss: report.validation_loss,
            validation_accuracy: report.validation_accuracy,
            latency_ms: hardware.latency_ms,
            utilization: hardware.utilization,
            objective: self.state.running.mean_objective(),
            seconds: f64::NAN,
            entropy: self.entropy(searched),
            skips,
            mixed_accuracy: mixed_accuracy.filter(|accuracy| accuracy.is_finite()),
            operators: self.operators_by_name(&probabilities),
            widths: self.widths_by_name(&probabilities),
            targets: targets.collect(),
            allocation: self.allocated(task),
        })
    }

    /// One-hot weights of `architecture`.
    fn one_hot(&self, architecture: &Architecture) -> Choices {
        Choices { weights: Probabilities::one_hot(self.space, architecture), paths: self.settings.paths }
    }

    /// Accuracy on the selection split under the mixed weights, without noise: of the mixture itself; where single paths
    /// are drawn, which no mixture has been trained for, the mean over [`DRAWS`] of them.
    fn mixed_accuracy<T: TaskLoss>(&self, task: &mut T) -> Result<f64, SearchError<T::Error>> {
        let hard = self.state.allocation.is_some() || self.settings.masks == Masks::Hard;
        let choices: Vec<Choices> = match (self.stage_now(), self.settings.paths) {
            (Stage::Operators { .. }, Paths::Sampled(_) | Paths::Alone) => {
                (0..DRAWS).map(|number| self.drawn(number)).collect()
            }
            (Stage::Widths { .. }, _) if hard => (0..DRAWS).map(|number| self.drawn_widths(number)).collect(),
            (Stage::Operators { .. }, Paths::Full) | (Stage::Widths { .. } | Stage::Whole, _) => {
                vec![Choices { weights: self.distributions(), paths: self.settings.paths }]
            }
        };
        let mut sum = 0.0;
        for choices in &choices {
            sum += task.report(choices).map_err(SearchError::Task)?.validation_accuracy;
        }
        #[expect(clippy::cast_precision_loss, reason = "a few draws")]
        let count = choices.len() as f64;
        Ok(sum / count)
    }

    /// A draw from the present distributions.
    fn drawn(&self, number: u32) -> Choices {
        let at = At { stage: self.stage_now().number(), epoch: self.state.epoch, step: number };
        let tau = self.temperature(self.state.epoch);
        let draw = Draw::new(&self.state.alpha, tau, &mut sample::stream(self.settings.seed, Purpose::Judged, at));
        let paths = self.settings.paths;
        let weights = Probabilities { operators: draw.mixing(paths), widths: draw.soft.widths };
        Choices { weights: self.fixed_where_fixed(weights), paths }
    }

    /// The present distributions with a draw of each width.
    fn drawn_widths(&self, number: u32) -> Choices {
        let at = At { stage: self.stage_now().number(), epoch: self.state.epoch, step: number };
        self.hard_widths(0.0, &mut sample::stream(self.settings.seed, Purpose::Judged, at))
    }

    fn operators_by_name(&self, probabilities: &Probabilities) -> BTreeMap<String, BTreeMap<String, f64>> {
        let named = self.space.operators.iter().zip(&probabilities.operators);
        let searched = named.filter(|(choice, _)| choice.candidates.len() > 1);
        searched
            .map(|(choice, p)| {
                let labels = choice.candidates.iter().map(crate::space::Candidate::label);
                (choice.name.clone(), labels.zip(p.iter().copied()).collect())
            })
            .collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "channels are far below 2^52")]
    fn widths_by_name(&self, probabilities: &Probabilities) -> BTreeMap<String, WidthChoice> {
        let likeliest = probabilities.argmax();
        let named = self.space.widths.iter().zip(&probabilities.widths).zip(&likeliest.widths);
        let searched = named.filter(|((choice, _), _)| choice.options.len() > 1);
        searched
            .map(|((choice, p), &chosen)| {
                let expected = choice.options.iter().zip(p).map(|(&c, p)| c as f64 * p).sum();
                (choice.name.clone(), WidthChoice { expected, most_likely: choice.options[chosen] })
            })
            .collect()
    }

    fn advance(&mut self, length: StageSettings) {
        self.state.epoch += 1;
        self.state.step = 0;
        self.state.running = Running::default();
        self.forget_decisions();
        if self.state.epoch < length.epochs {
            return;
        }
        if self.state.operators.is_none() {
            let found = self.found();
            self.state.operators = Some(found.architecture.operators.clone());
            self.state.witness = (!self.settings.targets.is_empty() && found.is_met()).then_some(found.architecture);
        }
        self.state.multipliers.fill(Multiplier::new(&self.settings.penalty));
        self.state.stage += 1;
        self.state.epoch = 0;
        self.state.baseline = None;
        self.state.adam = Adam::new(Probabilities::zeros(self.space));
        if self.stage().is_some() {
            self.begin_allocation();
        }
    }

    /// Operators normal with the settings' spread; widths flat or a bump around a random option.
    fn first_alpha(&self) -> Probabilities {
        let at = At { stage: 0, epoch: 0, step: 0 };
        let mut stream = sample::stream(self.settings.seed, Purpose::Initial, at);
        let mut alpha = Probabilities::zeros(self.space);
        for logit in alpha.operators.iter_mut().flatten() {
            *logit = self.settings.spread * sample::normals(&mut stream)[0];
        }
        if self.settings.initial == Initial::Bump {
            for choice in &mut alpha.widths {
                bump(choice, sample::uniform(&mut stream));
            }
        }
        alpha
    }
}

/// `exp(-(i - m)^2 / 2) / sqrt(2 pi)` around the option `m` that `uniform` falls on.
#[expect(clippy::cast_precision_loss, reason = "a place among a few thousand options")]
fn bump(choice: &mut [f64], uniform: f64) {
    let middle = (uniform * choice.len() as f64).floor();
    for (place, logit) in choice.iter_mut().enumerate() {
        *logit = (-0.5 * (place as f64 - middle).powi(2)).exp() / std::f64::consts::TAU.sqrt();
    }
}

/// The option of every width for the operator stage: nearest to `width`, or the middle one.
fn start(space: &Space, width: Option<u64>) -> Vec<usize> {
    let option = |(place, choice): (usize, &crate::space::WidthChoice)| match width {
        Some(channels) => space.nearest(WidthId(place), channels),
        None => choice.options.len() / 2,
    };
    space.widths.iter().enumerate().map(option).collect()
}

/// The likeliest option everywhere; where that cuts the output off, the way to it whose `zero`s give way at the least
/// loss of likelihood, `sum ln(p_zero / p_runner-up)`, is opened.
///
/// A choice that several edges of the way share is counted for each of them.
fn reachable(space: &Space, probabilities: &Probabilities) -> Architecture {
    let mut architecture = probabilities.argmax();
    // For each join the loss of the best way from the image, and its last edge.
    let mut ways = vec![(f64::INFINITY, None); space.joins.len()];
    ways[0] = (0.0, None);
    for to in 1..ways.len() {
        for (place, edge) in space.edges.iter().enumerate().filter(|(_, edge)| edge.to.0 == to) {
            let operator = edge.operator.0;
            let (_, loss) = kept(space, probabilities, operator, architecture.operators[operator]);
            let loss = ways[edge.from.0].0 + loss;
            if loss < ways[to].0 {
                ways[to] = (loss, Some(place));
            }
        }
    }
    let mut join = space.last().0;
    while let Some(place) = ways[join].1 {
        let operator = space.edges[place].operator.0;
        architecture.operators[operator] = kept(space, probabilities, operator, architecture.operators[operator]).0;
        join = space.edges[place].from.0;
    }
    architecture
}

/// What an operator choice takes where its edge is to be there: `chosen`, or for `zero` the runner-up, and the loss of
/// likelihood `ln(p_zero / p_runner-up)`; infinite where `zero` is all there is.
fn kept(space: &Space, probabilities: &Probabilities, operator: usize, chosen: usize) -> (usize, f64) {
    if space.operators[operator].zero() != Some(chosen) {
        return (chosen, 0.0);
    }
    let p = &probabilities.operators[operator];
    let others = (0..p.len()).filter(|&place| place != chosen);
    let best = others.reduce(|best, place| if p[place] > p[best] { place } else { best });
    // No probability of a softmax is so small that it should close a way for good.
    best.map_or((chosen, f64::INFINITY), |best| (best, (p[chosen] / p[best].max(f64::MIN_POSITIVE)).ln()))
}
