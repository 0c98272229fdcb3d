//! The task loss of a search over images: every candidate of every edge with weights of its own.
//!
//! Weights learn on the training split, choices on the selection split. Width masks are prefixes, and stand after batch
//! norm: before it they would have no gradient, since batch norm cancels a channel's scale.

mod masks;
mod net;

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::cost::Probabilities;
use crate::data::{Augment, DataError, Epoch, Layout, Loader, Order, Splits};
use crate::network::NetworkError;
use crate::nn::{NnError, hits};
use crate::record::nullable_number as number;
use crate::search::{At, Choices, EpochReport, Stage, TaskGradient, TaskLoss, WeightSettings};
use crate::space::{DeriveError, Space};
use crate::torch::file::{self, TensorFileError};
use crate::torch::{Precision, Sgd, SgdConfig, TorchError, autocast, make_channels_last, mix};

use net::{Mixing, Net};

/// Images judged at once in a report.
const REPORT_BATCH: usize = 250;

/// Why the supernet fails.
#[derive(Debug, thiserror::Error)]
pub enum SupernetError {
    /// A candidate does not fit its edge.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The classifier does not fit.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// A module cannot be made.
    #[error(transparent)]
    Module(#[from] NnError),
    /// Images cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// libtorch failed.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    File(#[from] TensorFileError),
}

impl From<tch::TchError> for SupernetError {
    fn from(error: tch::TchError) -> Self {
        Self::Torch(error.into())
    }
}

/// What a supernet is made with.
#[derive(Debug, Clone, Copy)]
pub struct SupernetSettings {
    /// Seed of every draw.
    pub seed: u64,
    /// Images in a step.
    pub batch: usize,
    /// Optimizer of the weights.
    pub weights: WeightSettings,
    /// Number format of convolutions.
    pub precision: Precision,
    /// How images and maps lie in memory.
    pub layout: Layout,
    /// Changes of training images.
    pub augment: Augment,
}

/// The supernet of a space, over a data set.
#[derive(Debug)]
pub struct Supernet<'a> {
    space: &'a Space,
    splits: &'a Splits,
    settings: SupernetSettings,
    loader: &'a Loader<'a>,
    now: Option<Now<'a>>,
}

/// The stage that is entered.
#[derive(Debug)]
struct Now<'a> {
    net: Net,
    sgd: Sgd,
    epoch: Option<(u32, Epoch<'a>, Epoch<'a>)>,
    sums: Sums,
}

/// What an epoch under way has summed up, on the host: with the tensors all there is to save of a supernet.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Running {
    /// Sum of the losses, image by image, nats.
    #[serde(deserialize_with = "number")]
    loss: f64,
    /// Images whose likeliest class was right.
    hits: i64,
    /// Images seen.
    images: u64,
}

/// Sums on the device: the host reads them once an epoch, and for a checkpoint.
#[derive(Debug)]
struct Sums {
    loss: Tensor,
    hits: Tensor,
    images: u64,
}

impl Sums {
    fn new(device: tch::Device) -> Self {
        Self {
            loss: Tensor::zeros([], (Kind::Float, device)),
            hits: Tensor::zeros([], (Kind::Int64, device)),
            images: 0,
        }
    }

    /// Adds a batch: its mean loss, hits and number of images.
    fn add(&mut self, loss: &Tensor, logits: &Tensor, labels: &Tensor) {
        let images = labels.size()[0];
        #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52 images")]
        let weight = images as f64;
        self.loss += loss.detach().to_kind(Kind::Float) * weight;
        self.hits += hits(&logits.detach(), labels);
        self.images += images.unsigned_abs();
    }

    /// The sums on the host; waits for the device.
    fn running(&self) -> Running {
        Running { loss: self.loss.double_value(&[]), hits: self.hits.int64_value(&[]), images: self.images }
    }

    /// The sums as they were read by [`Sums::running`], to the bit: f32 goes into f64 and back unchanged.
    fn resumed(running: Running, device: tch::Device) -> Self {
        Self {
            loss: Tensor::from(running.loss).to_kind(Kind::Float).to_device(device),
            hits: Tensor::from(running.hits).to_device(device),
            images: running.images,
        }
    }

    /// Mean loss and accuracy; waits for the device.
    #[expect(clippy::cast_precision_loss, reason = "numbers of images are far below 2^52")]
    fn means(&self) -> Option<(f64, f64)> {
        (self.images > 0).then(|| {
            let images = self.images as f64;
            (self.loss.double_value(&[]) / images, self.hits.int64_value(&[]) as f64 / images)
        })
    }
}

impl<'a> Supernet<'a> {
    /// A supernet of `space` on the images of `splits` that `loader` serves.
    #[must_use]
    pub fn new(space: &'a Space, splits: &'a Splits, loader: &'a Loader<'a>, settings: SupernetSettings) -> Self {
        Self { space, splits, settings, loader, now: None }
    }

    /// Writes the weights and moments of the present stage; gives the sums of the epoch under way.
    ///
    /// # Errors
    /// [`SupernetError`] where the file cannot be written; [`TensorFileError::NotFinite`] where a number is not finite,
    /// and then nothing is written.
    ///
    /// # Panics
    /// Before a stage is entered.
    pub fn save(&self, path: &Path) -> Result<Running, SupernetError> {
        let now = self.now.as_ref().expect("a stage is entered");
        let running = now.sums.running();
        if !running.loss.is_finite() {
            return Err(TensorFileError::NotFinite { name: "sum of losses".to_owned() }.into());
        }
        file::save_finite(path, &now.tensors())?;
        Ok(running)
    }

    /// Reads back what [`Supernet::save`] wrote in the epoch `at` of the same stage, and goes on with its sums.
    ///
    /// # Errors
    /// [`SupernetError`] where the file is missing, broken or of another stage.
    ///
    /// # Panics
    /// Before a stage is entered.
    pub fn load(&mut self, path: &Path, at: At, running: Running) -> Result<(), SupernetError> {
        let mut now = self.enter_epoch(at)?;
        let read = file::restore(path, self.loader.device(), now.tensors());
        now.sums = Sums::resumed(running, self.device());
        self.now = Some(now);
        Ok(read?)
    }

    fn device(&self) -> tch::Device {
        self.loader.device()
    }

    /// Cross-entropy and logits of one batch.
    fn loss(
        &self,
        net: &Net,
        batch: &crate::data::Batch,
        mixing: &Mixing<'_>,
    ) -> Result<(Tensor, Tensor), SupernetError> {
        Ok(autocast(self.device(), self.settings.precision, || {
            let logits = net.forward(self.space, &batch.images, mixing);
            (logits.to_kind(Kind::Float).cross_entropy_for_logits(&batch.labels), logits)
        })?)
    }

    /// The batches of an epoch: training and selection, each in the order that its place in the search settles.
    fn epochs(&self, at: At) -> Result<(Epoch<'a>, Epoch<'a>), SupernetError> {
        let order = |split: u64| Order::Shuffled {
            seed: self.settings.seed,
            stage: 2 * at.stage + split,
            epoch: u64::from(at.epoch),
        };
        let batch = self.settings.batch;
        let training = self.loader.epoch(&self.splits.training, batch.min(self.splits.training.len()), order(0))?;
        let selection = self.loader.epoch(&self.splits.selection, batch.min(self.splits.selection.len()), order(1))?;
        Ok((training, selection))
    }

    /// Takes the present stage out, with the batches of the epoch `at`.
    fn enter_epoch(&mut self, at: At) -> Result<Now<'a>, SupernetError> {
        let mut now = self.now.take().expect("a stage is entered before its first step");
        if now.epoch.as_ref().is_none_or(|(epoch, ..)| *epoch != at.epoch) {
            let (training, selection) = self.epochs(at)?;
            now.epoch = Some((at.epoch, training, selection));
            now.sums = Sums::new(self.device());
        }
        Ok(now)
    }

    fn step(&self, now: &mut Now<'a>, choices: &Choices, at: At, learning_rate: f64) -> Result<(), SupernetError> {
        let (_, training, _) = now.epoch.as_ref().expect("the epoch is entered");
        let batch = training.batch(at.step as usize)?;
        let mixing = Mixing::constant(self.space, &now.net, choices, self.device())?;
        let (loss, logits) = self.loss(&now.net, &batch, &mixing)?;
        // A draw that cuts the output off leaves only the classifier's bias to learn.
        loss.f_backward()?;
        now.sums.add(&loss, &logits, &batch.labels);
        Ok(now.sgd.step(learning_rate)?)
    }

    fn gradient(&self, now: &Now<'a>, choices: &Choices, at: At) -> Result<TaskGradient, SupernetError> {
        let (_, _, selection) = now.epoch.as_ref().expect("the epoch is entered");
        let draw = mix(&[self.settings.seed, at.stage, u64::from(at.epoch), u64::from(at.step)]);
        let place = usize::try_from(draw % selection.batches() as u64).expect("a place among the batches");
        let batch = selection.batch(place)?;
        let mixing = Mixing::learning(self.space, &now.net, choices, self.device())?;
        let (loss, _) = self.loss(&now.net, &batch, &mixing)?;
        let gradient = mixing.gradient(&loss)?;
        let mut values = Vec::<f32>::try_from(Tensor::f_cat(&[gradient, loss.detach().f_view(1)?], 0)?)?;
        let loss = f64::from(values.pop().unwrap_or(f32::NAN));
        let mut numbers = values.into_iter().map(f64::from);
        let mut gradient = Probabilities::zeros(self.space);
        for slot in gradient.choices_mut().flatten() {
            *slot = numbers.next().unwrap_or(f64::NAN);
        }
        Ok(TaskGradient { loss, gradient })
    }
}

impl Now<'_> {
    /// Weights, then moments, by name.
    fn tensors(&self) -> Vec<(String, Tensor)> {
        file::with_moments(self.net.tensors(), self.sgd.momentum())
    }
}

impl TaskLoss for Supernet<'_> {
    type Error = SupernetError;

    fn enter(&mut self, stage: &Stage) -> Result<(), SupernetError> {
        self.now = None;
        let net = Net::new(self.space, stage, self.device(), mix(&[self.settings.seed, stage.number()]))?;
        let parameters = net.parameters();
        if self.settings.layout == Layout::ChannelsLast {
            make_channels_last(&parameters)?;
        }
        let WeightSettings { momentum, weight_decay, clip, .. } = self.settings.weights;
        let config = SgdConfig { momentum, weight_decay, nesterov: false, clip: Some(clip) };
        let sgd = Sgd::new(parameters, config)?;
        self.now = Some(Now { net, sgd, epoch: None, sums: Sums::new(self.device()) });
        Ok(())
    }

    fn steps(&self) -> u32 {
        let batch = self.settings.batch.min(self.splits.training.len()).max(1);
        u32::try_from(self.splits.training.len() / batch).unwrap_or(u32::MAX)
    }

    fn weight_step(&mut self, choices: &Choices, at: At, learning_rate: f64) -> Result<(), SupernetError> {
        let mut now = self.enter_epoch(at)?;
        let done = self.step(&mut now, choices, at, learning_rate);
        self.now = Some(now);
        done
    }

    fn evaluate(&mut self, choices: &Choices, at: At) -> Result<TaskGradient, SupernetError> {
        let now = self.enter_epoch(at)?;
        let answer = self.gradient(&now, choices, at);
        self.now = Some(now);
        answer
    }

    fn report(&mut self, likeliest: &Choices) -> Result<EpochReport, SupernetError> {
        let now = self.now.as_ref().expect("a stage is entered");
        let mut sums = Sums::new(self.device());
        let mixing = Mixing::constant(self.space, &now.net, likeliest, self.device())?;
        let epoch = self.loader.epoch(&self.splits.selection, REPORT_BATCH, Order::Sequential)?;
        for number in 0..epoch.batches() {
            let batch = epoch.batch(number)?;
            let (loss, logits) = tch::no_grad(|| self.loss(&now.net, &batch, &mixing))?;
            sums.add(&loss, &logits, &batch.labels);
        }
        let (validation_loss, validation_accuracy) = sums.means().unwrap_or((f64::NAN, f64::NAN));
        let train = now.sums.means();
        Ok(EpochReport {
            train_loss: train.map(|(loss, _)| loss),
            train_accuracy: train.map_or(f64::NAN, |(_, accuracy)| accuracy),
            validation_loss,
            validation_accuracy,
        })
    }
}

#[cfg(test)]
mod tests;
