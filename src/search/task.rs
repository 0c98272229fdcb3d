//! The border of the search: what a task is asked.

use super::allocation::Resize;
use super::paths::Paths;
use crate::cost::Probabilities;
use crate::record::SearchStage;
use crate::units::Bytes;

/// A stage of the search with what it keeps fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Operators are searched, joins have these width options.
    Operators {
        /// Option of each width choice.
        widths: Vec<usize>,
    },
    /// Widths are searched, edges have these candidates.
    Widths {
        /// Candidate of each operator choice.
        operators: Vec<usize>,
    },
    /// Nothing is fixed: every candidate of every edge, every width of every join.
    Whole,
}

impl Stage {
    /// Its name in records.
    #[must_use]
    pub fn name(&self) -> SearchStage {
        match self {
            Self::Operators { .. } => SearchStage::Operators,
            Self::Widths { .. } => SearchStage::Widths,
            Self::Whole => SearchStage::Supernet,
        }
    }

    /// Its number, for random streams and checkpoints.
    #[must_use]
    pub fn number(&self) -> u64 {
        match self {
            Self::Operators { .. } => 0,
            Self::Widths { .. } => 1,
            Self::Whole => 2,
        }
    }
}

/// Mixing weights that were drawn for one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Choices {
    /// Weight of every option; each choice sums to 1. A candidate of weight nought does not run.
    pub weights: Probabilities,
    /// How many candidates run.
    pub paths: Paths,
}

/// A place in the search, from which every random draw follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Number of the stage.
    pub stage: u64,
    /// Epoch of the stage, from 0.
    pub epoch: u32,
    /// Weight step of the epoch, from 0; an architecture step has the number of the weight step before it.
    pub step: u32,
}

/// A loss and its gradient by every mixing weight.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskGradient {
    /// Loss on the images that choices are judged by, in nats where it is a cross-entropy.
    pub loss: f64,
    /// `d loss / d weight`; nought for what is fixed.
    pub gradient: Probabilities,
}

/// What a task knows of the slopes of its loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskSlopes {
    /// Its gradient by every mixing weight.
    Known,
    /// Nothing: the loss of one-hot choices alone. The parameters `a` then follow the score function (Williams 1992),
    /// `(loss - b) (drawn - softmax(a))`, `b` the running mean of the losses before.
    Unknown,
}

/// Means over an epoch. What was not measured is absent or not a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochReport {
    /// Loss of the weight steps, where there are any.
    pub train_loss: Option<f64>,
    /// Accuracy of the weight steps, a fraction.
    pub train_accuracy: f64,
    /// Loss of the likeliest architecture on the selection split.
    pub validation_loss: f64,
    /// Accuracy of the likeliest architecture on the selection split, a fraction.
    pub validation_accuracy: f64,
}

/// Something whose loss depends on the choices of a space.
pub trait TaskLoss {
    /// Why it fails.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Prepares for a stage: fresh weights for the options that it searches.
    ///
    /// # Errors
    /// Where that cannot be done.
    fn enter(&mut self, stage: &Stage) -> Result<(), Self::Error>;

    /// Weight steps in an epoch.
    fn steps(&self) -> u32;

    /// One step of the weights on the training split under `choices`. Does not wait for the device.
    ///
    /// # Errors
    /// Where the step fails.
    fn weight_step(&mut self, choices: &Choices, at: At, learning_rate: f64) -> Result<(), Self::Error>;

    /// Loss on the selection split under `choices`, and its gradient by their weights, which is not read where
    /// [`TaskLoss::slopes`] says that there are none.
    ///
    /// # Errors
    /// Where the step fails.
    fn evaluate(&mut self, choices: &Choices, at: At) -> Result<TaskGradient, Self::Error>;

    /// Whether the task knows how its loss changes with the mixing weights.
    fn slopes(&self) -> TaskSlopes {
        TaskSlopes::Known
    }

    /// What the epoch measured; `likeliest` is one-hot.
    ///
    /// # Errors
    /// Where it fails.
    fn report(&mut self, likeliest: &Choices) -> Result<EpochReport, Self::Error>;

    /// The same task as one whose widths grow and shrink, where it is one: what a dynamic allocation asks for.
    fn elastic(&mut self) -> Option<&mut dyn Elastic<Error = Self::Error>> {
        None
    }
}

/// A task whose tensors hold as many channels as an allocation says, and no more.
///
/// The order of calls: [`TaskLoss::enter`] a width stage, [`Elastic::allocate`] once, what was kept is loaded where the
/// search goes on from a checkpoint, then steps, probes and resizes as the search goes on. Sizes are part of the
/// search's state, not of the task's: on the way back from a checkpoint `allocate` names the sizes of the tensors that
/// lie there.
///
/// Under a dynamic allocation every [`Choices`] that a weight step, a probe or a report gets is one-hot in the widths, at
/// an option up to the allocated one; the step runs the channels of that option alone, a prefix of the tensors, and
/// moves no other weight, moment or running statistic. There is no [`TaskLoss::evaluate`]: the gradient of the widths is
/// made of probes. Where a join's width is shared or derived, all tensors that hold its channels are sized alike: rows
/// of what makes them, columns of what reads them at their right offset, batch norms, and their moments.
pub trait Elastic {
    /// Why it fails.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Sizes all tensors of the stage that was just entered for these options, one of each width choice; their first
    /// values are those that [`TaskLoss::enter`] would give tensors of that size.
    ///
    /// # Errors
    /// Where that cannot be done.
    fn allocate(&mut self, widths: &[usize]) -> Result<(), Self::Error>;

    /// Grows or shrinks the tensors of one width.
    ///
    /// The function at every option up to the narrower of both sizes stays what it was, to the bit. New channels have
    /// fresh filters (a function of the seed, `at` and the width), batch norms of scale 1, shift 0, mean 0 and variance 1, no
    /// outgoing weight, and moments of nought; what shrinks keeps the prefix of weights, batch norms, moments and of its
    /// readers' columns.
    ///
    /// # Errors
    /// Where that cannot be done.
    fn resize(&mut self, resize: Resize, at: At) -> Result<(), Self::Error>;

    /// Loss of each of `choices` on the same `batches` batches of the selection split, a function of `at`, without
    /// gradients, batch norms on the statistics of each batch. Nothing changes, running statistics included.
    ///
    /// # Errors
    /// Where it fails.
    fn probe(&mut self, choices: &[Choices], batches: u32, at: At) -> Result<Vec<f64>, Self::Error>;

    /// Bytes of a step, probe or report at its fullest, were the tensors sized for these options, as predicted: what a memory
    /// ceiling is held against. A wider option needs no less.
    ///
    /// # Errors
    /// Where that cannot be told.
    fn needed(&self, widths: &[usize]) -> Result<Bytes, Self::Error>;

    /// Bytes of weights, gradients and moments at the present sizes.
    fn allocated(&self) -> Bytes;
}
