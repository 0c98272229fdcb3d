//! Training of a fixed network from scratch, and its evaluation.

mod synflow;

use std::path::Path;

use tch::{Kind, Reduction, Tensor};

use crate::data::{Batch, DataError, Loader, Order};
use crate::network::{Network, NetworkError};
use crate::nn::{Module, NnError, Phase, hits};
use crate::record::TrainEpoch;
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

    /// Whether to stop after this step.
    fn interrupted(&self) -> bool;

    /// Seconds since some fixed moment.
    fn seconds(&self) -> f64;
}

/// What ended an epoch.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Its record; validation is left to the caller.
    Epoch(TrainEpoch),
    /// It was asked to stop in the middle.
    Interrupted,
}

/// A network under training.
#[derive(Debug)]
pub struct Trainer<'a> {
    module: Module,
    sgd: Sgd,
    loader: &'a Loader<'a>,
    split: &'a [i64],
    recipe: Recipe,
    done: u32,
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
        Ok(Self { module, sgd, loader, split, recipe, done: 0 })
    }

    /// Epochs that are done.
    #[must_use]
    pub fn done(&self) -> u32 {
        self.done
    }

    /// Whether all epochs are done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.done >= self.recipe.epochs
    }

    /// One pass over the images.
    ///
    /// # Errors
    /// [`TrainError`] where a step fails or the loss is no number.
    pub fn epoch(&mut self, observer: &mut impl Observer) -> Result<Outcome, TrainError> {
        let began = observer.seconds();
        let order = Order::Shuffled { seed: self.recipe.seed, stage: STREAM, epoch: u64::from(self.done) };
        let epoch = self.loader.epoch(self.split, self.recipe.batch.min(self.split.len()), order)?;
        let (steps, device) = (epoch.batches(), self.loader.device());
        let mut loss_sum = Tensor::f_zeros([], (Kind::Float, device))?;
        let mut hit_sum = Tensor::f_zeros([], (Kind::Int64, device))?;
        let mut rate = 0.0;
        let mut images = 0i64;
        for step in 0..steps {
            let batch = epoch.batch(step)?;
            rate = self.recipe.rate(self.share_done(step, steps));
            let (loss, logits) = self.loss(&batch)?;
            loss.f_backward()?;
            loss_sum += loss.detach();
            hit_sum += hits(&logits.detach(), &batch.labels);
            images += batch.labels.size()[0];
            self.sgd.step(rate)?;
            observer.step(self.done, step + 1, steps);
            if observer.interrupted() {
                return Ok(Outcome::Interrupted);
            }
        }
        self.done += 1;
        let loss = loss_sum.double_value(&[]) / to_f64(steps);
        if !loss.is_finite() {
            return Err(TrainError::NotFinite { epoch: self.done });
        }
        Ok(Outcome::Epoch(TrainEpoch {
            epoch: self.done,
            of: self.recipe.epochs,
            learning_rate: rate,
            loss,
            accuracy: ratio(hit_sum.int64_value(&[]), images),
            validation_accuracy: None,
            seconds: observer.seconds() - began,
        }))
    }

    fn share_done(&self, step: usize, steps: usize) -> f64 {
        (f64::from(self.done) + to_f64(step) / to_f64(steps)) / f64::from(self.recipe.epochs)
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

    /// Writes weights and moments.
    ///
    /// # Errors
    /// [`TrainError`] where the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        Ok(file::save(path, &self.state())?)
    }

    /// Reads back what [`Trainer::save`] wrote after `done` epochs.
    ///
    /// # Errors
    /// [`TrainError`] where the file is missing, broken or of another network.
    pub fn load(&mut self, path: &Path, done: u32) -> Result<(), TrainError> {
        file::restore(path, self.loader.device(), self.state())?;
        self.done = done;
        Ok(())
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
