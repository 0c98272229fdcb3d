//! Training of a fixed network from scratch, and its evaluation.

mod synflow;

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Reduction, Tensor};

use crate::data::{Batch, DataError, Loader, Order};
use crate::network::{Network, NetworkError};
use crate::nn::{Module, NnError, Phase, hits};
use crate::record::{Rollback, TrainEpoch, nullable_number as number};
use crate::torch::file::{self, TensorFileError};
use crate::torch::{Precision, Sgd, SgdConfig, TorchError, autocast, make_channels_last, mix};

pub use synflow::log_synflow;

/// Images judged at once.
const EVALUATION_BATCH: usize = 500;
/// The first learning rate of a cycle is the largest one over this (Smith and Topin 2018, as PyTorch has it).
const FIRST_DIVISOR: f64 = 25.0;
/// The last learning rate of a cycle is the first one over this.
const LAST_DIVISOR: f64 = 1e4;
/// The random streams of training, apart from those of a search.
const STREAM: u64 = 1000;

/// Why training fails.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A network without its norms is no network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The network cannot be a module, or a checkpoint does not fit it.
    #[error(transparent)]
    Module(#[from] NnError),
    /// Images cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// libtorch failed.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// A file of tensors cannot be written or read.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// The loss is no number any more.
    #[error("the loss is not finite in epoch {epoch} of the training; try a lower `training.learning-rate`")]
    NotFinite {
        /// Epoch from 1.
        epoch: u32,
    },
    /// The same a second time.
    #[error(
        "the loss is not finite in epoch {epoch} of the training, after it was not in epoch {first} and the training went on \
         with half the learning rate; try a lower `training.learning-rate`"
    )]
    NotFiniteAgain {
        /// Epoch from 1.
        epoch: u32,
        /// The epoch of the first time.
        first: u32,
    },
}

impl TrainError {
    /// The epoch in which the loss was not finite, or a weight at a checkpoint, if that is what this is.
    #[must_use]
    pub fn not_finite(&self, place: &TrainPlace) -> Option<u32> {
        match self {
            Self::NotFinite { epoch } => Some(*epoch),
            Self::File(TensorFileError::NotFinite { .. }) => Some(place.epoch + 1),
            Self::Network(_)
            | Self::Module(_)
            | Self::Data(_)
            | Self::Torch(_)
            | Self::File(_)
            | Self::NotFiniteAgain { .. } => None,
        }
    }

    /// Whether a loss was not finite, or a weight at a checkpoint.
    #[must_use]
    pub fn is_not_finite(&self) -> bool {
        self.not_finite(&TrainPlace::default()).is_some()
    }
}

impl From<tch::TchError> for TrainError {
    fn from(error: tch::TchError) -> Self {
        Self::Torch(error.into())
    }
}

/// How a network is trained: SGD with Nesterov momentum under a one-cycle schedule, label smoothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// Seed of every draw.
    pub seed: u64,
    /// Passes over the images.
    pub epochs: u32,
    /// Images in a step.
    pub batch: usize,
    /// Largest step size.
    pub learning_rate: f64,
    /// Share of the steps in which it rises.
    pub warm_up: f64,
    /// Share of the former direction.
    pub momentum: f64,
    /// L2 penalty.
    pub weight_decay: f64,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Longest norm of all gradients together.
    pub clip: f64,
    /// Number format of convolutions.
    pub precision: Precision,
}

impl Recipe {
    /// Step size after the share `done` (0 to 1) of all steps: from a 25th up to the largest along a half cosine, then
    /// down to a 250,000th.
    #[must_use]
    pub fn rate(&self, done: f64) -> f64 {
        let cosine =
            |from: f64, to: f64, share: f64| to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos());
        let (first, most) = (self.learning_rate / FIRST_DIVISOR, self.learning_rate);
        if done < self.warm_up {
            cosine(first, most, done / self.warm_up)
        } else {
            cosine(most, first / LAST_DIVISOR, (done - self.warm_up) / (1.0 - self.warm_up))
        }
    }
}

/// How well a network does on a split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy, nats.
    pub loss: f64,
    /// Share of images whose likeliest class is right.
    pub accuracy: f64,
}

/// Who watches a training, and lends it a clock.
pub trait Observer {
    /// Step `step` (from 1) of `steps` in `epoch` (from 0) is done.
    fn step(&mut self, epoch: u32, step: usize, steps: usize);

    /// Whether the epoch is to hand back after this step: to be kept, or to stop.
    fn interrupted(&self) -> bool;

    /// Seconds since some fixed moment.
    fn seconds(&self) -> f64;
}

/// What ended an epoch.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Its record; validation is left to the caller.
    Epoch(TrainEpoch),
    /// It was asked to hand back in the middle; [`Trainer::epoch`] goes on with the next step.
    Interrupted,
}

/// Where a training stands, on the host: with the tensors all there is to save.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TrainPlace {
    /// Epochs that are done.
    pub epoch: u32,
    /// Steps of the present epoch that are done.
    pub step: usize,
    /// Sum of the mean losses of those steps, nats.
    #[serde(deserialize_with = "number")]
    loss: f64,
    /// Images in them whose likeliest class was right.
    hits: i64,
    /// Images in them.
    images: i64,
    /// Time in them, s.
    seconds: f64,
    /// Where the training went back with a lower learning rate, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
}

/// A network under training.
#[derive(Debug)]
pub struct Trainer<'a> {
    module: Module,
    sgd: Sgd,
    loader: &'a Loader<'a>,
    split: &'a [i64],
    recipe: Recipe,
    /// Epochs and steps that are done, and the time of the present epoch; its sums are in `sums`.
    place: TrainPlace,
    sums: Sums,
}

/// Sums of an epoch under way, on the device.
#[derive(Debug)]
struct Sums {
    loss: Tensor,
    hits: Tensor,
}

impl Sums {
    /// Those of `place`, to the bit: f32 goes into f64 and back unchanged.
    fn of(place: &TrainPlace, device: Device) -> Self {
        Self {
            loss: Tensor::from(place.loss).to_kind(Kind::Float).to_device(device),
            hits: Tensor::from(place.hits).to_device(device),
        }
    }
}

impl<'a> Trainer<'a> {
    /// `network` with fresh weights, to learn from the images `split`.
    ///
    /// # Errors
    /// [`TrainError`] where the network is too large for the device.
    pub fn new(
        network: &Network,
        loader: &'a Loader<'a>,
        split: &'a [i64],
        recipe: Recipe,
    ) -> Result<Self, TrainError> {
        let module = Module::new(network, loader.device(), mix(&[recipe.seed, STREAM]))?;
        let parameters = module.parameters();
        make_channels_last(&parameters)?;
        let Recipe { momentum, weight_decay, clip, .. } = recipe;
        let sgd = Sgd::new(parameters, SgdConfig { momentum, weight_decay, nesterov: true, clip: Some(clip) })?;
        let place = TrainPlace::default();
        let sums = Sums::of(&place, loader.device());
        Ok(Self { module, sgd, loader, split, recipe, place, sums })
    }

    /// Where the training stands; waits for the device.
    #[must_use]
    pub fn place(&self) -> TrainPlace {
        TrainPlace { loss: self.sums.loss.double_value(&[]), hits: self.sums.hits.int64_value(&[]), ..self.place }
    }

    /// Steps in an epoch.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.split.len() / self.recipe.batch.min(self.split.len()).max(1)
    }

    /// Whether all epochs are done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.place.epoch >= self.recipe.epochs
    }

    /// What is left of the present pass over the images.
    ///
    /// # Errors
    /// [`TrainError`] where a step fails or the loss is no number.
    pub fn epoch(&mut self, observer: &mut impl Observer) -> Result<Outcome, TrainError> {
        let began = observer.seconds();
        let order = Order::Shuffled { seed: self.recipe.seed, stage: STREAM, epoch: u64::from(self.place.epoch) };
        let epoch = self.loader.epoch(self.split, self.recipe.batch.min(self.split.len()), order)?;
        let steps = epoch.batches();
        for step in self.place.step..steps {
            self.step(&epoch.batch(step)?, self.rate(step, steps))?;
            self.place.step = step + 1;
            observer.step(self.place.epoch, step + 1, steps);
            if observer.interrupted() {
                self.place.seconds += observer.seconds() - began;
                return Ok(Outcome::Interrupted);
            }
        }
        let record = self.record(steps)?;
        let seconds = self.place.seconds + observer.seconds() - began;
        self.place = TrainPlace { epoch: record.epoch, rollback: self.place.rollback, ..TrainPlace::default() };
        self.sums = Sums::of(&self.place, self.loader.device());
        Ok(Outcome::Epoch(TrainEpoch { seconds, ..record }))
    }

    fn step(&mut self, batch: &Batch, rate: f64) -> Result<(), TrainError> {
        let (loss, logits) = self.loss(batch)?;
        loss.f_backward()?;
        self.sums.loss += loss.detach();
        self.sums.hits += hits(&logits.detach(), &batch.labels);
        self.place.images += batch.labels.size()[0];
        Ok(self.sgd.step(rate)?)
    }

    /// The record of the epoch whose `steps` steps are done.
    fn record(&self, steps: usize) -> Result<TrainEpoch, TrainError> {
        let (place, epoch) = (self.place(), self.place.epoch + 1);
        let loss = place.loss / to_f64(steps);
        if !loss.is_finite() {
            return Err(TrainError::NotFinite { epoch });
        }
        Ok(TrainEpoch {
            epoch,
            of: self.recipe.epochs,
            learning_rate: self.rate(steps.saturating_sub(1), steps),
            loss,
            accuracy: ratio(place.hits, place.images),
            validation_accuracy: None,
            seconds: f64::NAN,
        })
    }

    /// Step size of a step of the present epoch, from 0.
    fn rate(&self, step: usize, steps: usize) -> f64 {
        let done = (f64::from(self.place.epoch) + to_f64(step) / to_f64(steps)) / f64::from(self.recipe.epochs);
        let factor = self.place.rollback.map_or(1.0, |rollback| rollback.learning_rate_factor);
        factor * self.recipe.rate(done)
    }

    /// Smoothed cross-entropy and logits of one batch.
    fn loss(&self, batch: &Batch) -> Result<(Tensor, Tensor), TrainError> {
        let smoothing = self.recipe.label_smoothing;
        Ok(autocast(self.loader.device(), self.recipe.precision, || {
            let logits = self.module.run(&batch.images, Phase::Train).to_kind(Kind::Float);
            (logits.cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::Mean, -100, smoothing), logits)
        })?)
    }

    /// Loss and accuracy on `split`, each image once, unchanged, under running statistics.
    ///
    /// # Errors
    /// [`TrainError`] where the device fails.
    pub fn evaluate(&self, split: &[i64]) -> Result<Evaluation, TrainError> {
        evaluate(&self.module, self.loader, split, self.recipe.precision)
    }

    /// The weights by name.
    #[must_use]
    pub fn weights(&self) -> Vec<(String, Tensor)> {
        self.module.tensors().map(|(name, tensor)| (name.to_owned(), tensor)).collect()
    }

    /// Writes weights and moments; gives where the training stands.
    ///
    /// # Errors
    /// [`TrainError`] where the file cannot be written; [`TensorFileError::NotFinite`] where a number is not finite, and
    /// then nothing is written.
    pub fn save(&self, path: &Path) -> Result<TrainPlace, TrainError> {
        let place = self.place();
        if !place.loss.is_finite() {
            return Err(TensorFileError::NotFinite { name: "sum of losses".to_owned() }.into());
        }
        file::save_finite(path, &self.state())?;
        Ok(place)
    }

    /// Reads back what [`Trainer::save`] wrote at `place`.
    ///
    /// # Errors
    /// [`TrainError`] where the file is missing, broken or of another network.
    pub fn load(&mut self, path: &Path, place: TrainPlace) -> Result<(), TrainError> {
        file::restore(path, self.loader.device(), self.state())?;
        self.stand(place);
        Ok(())
    }

    /// Goes on from `place` with the weights as they are.
    pub fn stand(&mut self, place: TrainPlace) {
        self.place = place;
        self.sums = Sums::of(&place, self.loader.device());
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        file::with_moments(self.weights(), self.sgd.momentum())
    }
}

/// Loss and accuracy of `module` on `split`.
///
/// # Errors
/// [`TrainError`] where the device fails.
pub fn evaluate(
    module: &Module,
    loader: &Loader<'_>,
    split: &[i64],
    precision: Precision,
) -> Result<Evaluation, TrainError> {
    let device = loader.device();
    let epoch = loader.epoch(split, EVALUATION_BATCH, Order::Sequential)?;
    let mut loss = Tensor::f_zeros([], (Kind::Float, device))?;
    let mut hit = Tensor::f_zeros([], (Kind::Int64, device))?;
    for number in 0..epoch.batches() {
        let batch = epoch.batch(number)?;
        let run = || module.run(&batch.images, Phase::Evaluate).to_kind(Kind::Float);
        let logits = tch::no_grad(|| autocast(device, precision, run))?;
        loss += logits.cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::Sum, -100, 0.0);
        hit += hits(&logits, &batch.labels);
    }
    let images = i64::try_from(split.len()).unwrap_or(i64::MAX);
    Ok(Evaluation { loss: loss.double_value(&[]) / to_f64(split.len()), accuracy: ratio(hit.int64_value(&[]), images) })
}

#[expect(clippy::cast_precision_loss, reason = "numbers of images and steps are far below 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "numbers of images are far below 2^52")]
fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests;
