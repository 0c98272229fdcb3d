//! A search that is kept, stopped, lost and taken back, on a task with weights of its own.

use super::tests::{REPORT, both_stages, model, small};
use super::*;
use crate::cost::{CostKind, Probabilities};
use crate::record::{Place, Rollback, SearchEpoch, Stage as RunStage};
use crate::space::Space;

/// Weights that every weight step moves, on which the loss and its gradient depend: a task that is not brought back to
/// where it was ends elsewhere. Where the learning rate is above `bears`, the loss of step `breaks` is not finite.
struct Moving {
    zeros: Probabilities,
    weight: f64,
    sum: f64,
    bears: f64,
    breaks: Option<At>,
    /// How often a stage was entered.
    entered: u32,
}

const STEPS: u32 = 6;

impl Moving {
    fn new(space: &Space) -> Self {
        Self { zeros: Probabilities::zeros(space), weight: 0.0, sum: 0.0, bears: 1.0, breaks: None, entered: 0 }
    }

    fn breaking(space: &Space, at: At, bears: f64) -> Self {
        Self { breaks: Some(at), bears, ..Self::new(space) }
    }
}

impl TaskLoss for Moving {
    type Error = std::convert::Infallible;

    fn enter(&mut self, stage: &Stage) -> Result<(), Self::Error> {
        self.entered += 1;
        self.weight = 1.0 + stage.number() as f64;
        self.sum = 0.0;
        Ok(())
    }

    fn steps(&self) -> u32 {
        STEPS
    }

    fn weight_step(&mut self, choices: &Choices, at: At, learning_rate: f64) -> Result<(), Self::Error> {
        if at.step == 0 {
            self.sum = 0.0;
        }
        if self.breaks == Some(at) && learning_rate > self.bears {
            self.weight = f64::NAN;
        }
        let drawn = choices.weights.choices().flatten().enumerate().map(|(place, w)| w * (place as f64).sin());
        self.weight -= learning_rate * (self.weight - drawn.sum::<f64>());
        self.sum += self.weight;
        Ok(())
    }

    fn evaluate(&mut self, choices: &Choices, _: At) -> Result<TaskGradient, Self::Error> {
        let mut gradient = self.zeros.clone();
        for (place, slot) in gradient.choices_mut().flatten().enumerate() {
            *slot = (self.weight * (1.0 + place as f64)).cos();
        }
        let loss = choices.weights.choices().flatten().zip(gradient.choices().flatten()).map(|(w, g)| w * g).sum();
        Ok(TaskGradient { loss, gradient })
    }

    fn report(&mut self, _: &Choices) -> Result<EpochReport, Self::Error> {
        Ok(EpochReport { train_loss: Some(self.sum), ..REPORT })
    }
}

/// What a test keeps: in memory, through JSON.
#[derive(Default)]
struct Memory {
    steps: u32,
    /// Hands back after every so many steps.
    every: Option<u32>,
    stop_after: Option<u32>,
    kept: Option<(String, [f64; 2])>,
    restored: u32,
    epochs: Vec<SearchEpoch>,
    ended: Vec<u64>,
    rollbacks: Vec<Rollback>,
}

impl Memory {
    fn state(&self) -> Option<State> {
        self.kept.as_ref().map(|(state, _)| serde_json::from_str(state).unwrap())
    }
}

impl Observer for Memory {
    fn step(&mut self, _: At, _: u32) {
        self.steps += 1;
    }

    fn interrupted(&self) -> bool {
        Keeper::<Moving>::stops(self) || self.every.is_some_and(|every| self.steps.is_multiple_of(every))
    }

    fn seconds(&self) -> f64 {
        0.0
    }
}

impl Keeper<Moving> for Memory {
    type Error = SearchError<std::convert::Infallible>;

    fn stops(&self) -> bool {
        self.stop_after.is_some_and(|stop| self.steps >= stop)
    }

    fn keep(&mut self, state: &State, task: &Moving) -> Result<Health, Self::Error> {
        if !state.begins_stage() && !task.weight.is_finite() {
            return Ok(Health::NotFinite);
        }
        self.kept = Some((serde_json::to_string(state).unwrap(), [task.weight, task.sum]));
        Ok(Health::Finite)
    }

    fn restore(&mut self, state: &State, task: &mut Moving) -> Result<(), Self::Error> {
        let (kept, [weight, sum]) = self.kept.as_ref().expect("something is kept");
        let kept: State = serde_json::from_str(kept).unwrap();
        assert_eq!((kept.stage, kept.epoch, kept.step), (state.stage, state.epoch, state.step));
        (task.weight, task.sum) = (*weight, *sum);
        self.restored += 1;
        Ok(())
    }

    fn epoch(&mut self, record: SearchEpoch) -> Result<(), Self::Error> {
        self.epochs.push(record);
        Ok(())
    }

    fn ended(&mut self, stage: &Stage, task: &mut Moving) -> Result<(), Self::Error> {
        assert!(task.weight.is_finite());
        self.ended.push(stage.number());
        Ok(())
    }

    fn rolled_back(&mut self, state: &State, rollback: Rollback) -> Result<(), Self::Error> {
        assert_eq!(state.rollback, Some(rollback));
        self.epochs.retain(|epoch| {
            let back = rollback.back_to.position();
            (RunStage::from(epoch.stage), epoch.epoch) < (back.stage, back.epoch)
        });
        self.rollbacks.push(rollback);
        Ok(())
    }
}

fn lines(epochs: &[SearchEpoch]) -> Vec<String> {
    epochs.iter().map(|epoch| serde_json::to_string(epoch).unwrap()).collect()
}

#[test]
fn a_search_stopped_after_any_step_goes_on_to_the_same_bits() {
    let space = small();
    let model = model(&space, "small-32x32", 1, CostKind::Expected);
    for paths in [Paths::Full, Paths::ONE] {
        let new = || Search::new(&space, &model, Settings { paths, ..both_stages(4) });
        let (mut whole, mut unbroken) = (new(), Memory::default());
        assert_eq!(drive(&mut whole, &mut Moving::new(&space), &mut unbroken).unwrap(), Driven::Done);
        assert_eq!((unbroken.epochs.len(), unbroken.steps, &unbroken.ended), (7, 7 * STEPS, &vec![0, 1]));
        for stop in 1..7 * STEPS {
            let mut memory = Memory { stop_after: Some(stop), ..Memory::default() };
            let mut first = new();
            assert_eq!(drive(&mut first, &mut Moving::new(&space), &mut memory).unwrap(), Driven::Stopped);
            // What was stopped in a step ends there, and in another process begins with what was kept.
            assert_eq!((memory.steps, memory.state().as_ref()), (stop, Some(first.state())));
            let mut second = new().resumed(memory.state().unwrap());
            memory.stop_after = None;
            assert_eq!(drive(&mut second, &mut Moving::new(&space), &mut memory).unwrap(), Driven::Done);
            assert_eq!(second.state(), whole.state(), "stopped after {stop}");
            assert_eq!(lines(&memory.epochs), lines(&unbroken.epochs), "stopped after {stop}");
            assert_eq!((memory.steps, &memory.ended), (unbroken.steps, &unbroken.ended));
        }
    }
}

#[test]
fn how_often_a_search_is_kept_changes_nothing() {
    let space = small();
    let model = model(&space, "small-32x32", 1, CostKind::Expected);
    let ends = |every| {
        let mut search = Search::new(&space, &model, both_stages(4));
        let (mut task, mut memory) = (Moving::new(&space), Memory { every, ..Memory::default() });
        drive(&mut search, &mut task, &mut memory).unwrap();
        assert_eq!((memory.restored, task.entered), (0, 2));
        (search.state().clone(), lines(&memory.epochs))
    };
    let wanted = ends(None);
    for every in [1, 2, 5, 6, 7] {
        assert_eq!(ends(Some(every)), wanted, "every {every}");
    }
}

#[test]
fn a_loss_that_is_not_finite_once_goes_back_to_what_was_kept_with_half_the_rates() {
    let space = small();
    let model = model(&space, "small-32x32", 1, CostKind::Expected);
    // The second stage, its second epoch, where architecture steps come after every second step: rates fall from 0.05.
    let at = At { stage: 1, epoch: 1, step: 3 };
    let lost = |bears: f64, every: Option<u32>| {
        let mut search = Search::new(&space, &model, both_stages(4));
        let mut memory = Memory { every, ..Memory::default() };
        let ended = drive(&mut search, &mut Moving::breaking(&space, at, bears), &mut memory);
        (search, memory, ended)
    };
    let (search, memory, ended) = lost(0.03, Some(4));
    assert_eq!(ended.unwrap(), Driven::Done);
    // The third operator epoch ends after 18 steps, the first width epoch after 24, where all was kept last; the step that
    // breaks is the 28th, the fourth of its epoch, and its architecture step finds out.
    let place = |epoch, step| Place { stage: RunStage::Widths, epoch, step };
    let wanted = Rollback { not_finite: place(2, 4), back_to: place(2, 1), learning_rate_factor: 0.5 };
    assert_eq!(memory.rollbacks, [wanted]);
    assert_eq!(search.state().rollback, Some(wanted));
    // All seven epochs, each once, all of them numbers.
    let places: Vec<(SearchEpochPlace, bool)> =
        memory.epochs.iter().map(|e| ((e.stage.name(), e.epoch), e.train_loss.is_finite())).collect();
    let stages = (1..=3).map(|epoch| ("operators", epoch)).chain((1..=4).map(|epoch| ("widths", epoch)));
    assert!(places.into_iter().eq(stages.map(|place| (place, true))));
    // Without a checkpoint in the stage it goes back to its beginning.
    let (_, memory, ended) = lost(0.03, None);
    assert_eq!((ended.unwrap(), memory.rollbacks[0].back_to), (Driven::Done, place(1, 1)));
    assert_eq!(memory.restored, 0);
}

type SearchEpochPlace = (&'static str, u32);

#[test]
fn half_the_rates_are_half_of_both() {
    let space = small();
    let model = model(&space, "small-32x32", 1, CostKind::Expected);
    let mut search = Search::new(&space, &model, both_stages(4));
    // Breaks in the first step, which nothing precedes: the weight is 1, and the loss is found out at the epoch's end.
    let mut task = Moving::breaking(&space, At { stage: 0, epoch: 0, step: 0 }, 0.03);
    let mut memory = Memory { stop_after: Some(STEPS + 1), ..Memory::default() };
    drive(&mut search, &mut task, &mut memory).unwrap();
    assert_eq!(memory.rollbacks.len(), 1);
    let mut plain = Search::new(&space, &model, Settings { weights: slower(), ..both_stages(4) });
    let (mut same, mut kept) = (Moving::new(&space), Memory { stop_after: Some(1), ..Memory::default() });
    drive(&mut plain, &mut same, &mut kept).unwrap();
    assert_eq!(task.weight, same.weight);
    // The logits: the first step of Adam moves each by its rate, 0.1 as a rule and 0.05 after the rollback.
    let moved = |every_step_breaks: bool| {
        let stage = StageSettings { epochs: 1, warm_up_epochs: 0 };
        let settings = Settings { operators: Some((stage, None)), widths: None, weight_steps: 6, ..both_stages(4) };
        let mut search = Search::new(&space, &model, settings);
        let first = search.state().alpha.clone();
        let at = At { stage: 0, epoch: 0, step: 0 };
        let mut task = Moving::breaking(&space, at, if every_step_breaks { 0.03 } else { 1.0 });
        drive(&mut search, &mut task, &mut Memory::default()).unwrap();
        (search.state().alpha.operators[0][0] - first.operators[0][0]).abs()
    };
    assert!((moved(false) - 0.1).abs() < 1e-6 && (moved(true) - 0.05).abs() < 1e-6);
}

fn slower() -> WeightSettings {
    let Settings { weights, .. } = both_stages(4);
    WeightSettings { learning_rate: weights.learning_rate / 2.0, ..weights }
}

#[test]
fn a_loss_that_is_not_finite_twice_ends_with_both_places() {
    let space = small();
    let model = model(&space, "small-32x32", 1, CostKind::Expected);
    let mut search = Search::new(&space, &model, both_stages(4));
    let at = At { stage: 0, epoch: 1, step: 2 };
    let mut memory = Memory::default();
    let error = drive(&mut search, &mut Moving::breaking(&space, at, 0.0), &mut memory).unwrap_err();
    // Architecture steps come after the second, fourth and sixth step.
    assert_eq!(
        error.to_string(),
        "the loss is not finite in stage `operators`, epoch 2, step 4, after it was not in stage `operators`, epoch 2, step 4 \
         and the search went on with half the learning rates; try a lower `search.weights.learning-rate`"
    );
    assert_eq!((memory.rollbacks.len(), memory.epochs.len()), (1, 1));
    // A search that is resumed after it went back does not go back once more.
    let mut state = memory.state().unwrap_or_else(|| Search::new(&space, &model, both_stages(4)).state().clone());
    state.rollback = Some(memory.rollbacks[0]);
    let mut resumed = Search::new(&space, &model, both_stages(4)).resumed(state);
    let again = drive(&mut resumed, &mut Moving::breaking(&space, at, 0.0), &mut Memory::default()).unwrap_err();
    assert!(matches!(again, SearchError::NotFiniteAgain { .. }));
}
