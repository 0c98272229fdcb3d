//! The task loss of a search over images: every candidate of every edge with weights of its own.
//!
//! Weights learn on the training split, choices on the selection split. Width masks are prefixes, and stand after batch
//! norm: before it they would have no gradient, since batch norm cancels a channel's scale.

mod elastic;
mod gradient;
mod masks;
pub mod memory;
mod mixing;
mod net;
mod packing;
mod slices;

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::cost::Probabilities;
use crate::data::{Augment, Batch, DataError, Epoch, Layout, Loader, Order, Splits};
use crate::network::NetworkError;
use crate::nn::{NnError, hits};
use crate::record::nullable_number as number;
use crate::search::{At, Choices, Elastic, EpochReport, Stage, TaskGradient, TaskLoss, WeightSettings};
use crate::space::{DeriveError, Space};
use crate::torch::file::{self, TensorFileError};
use crate::torch::memory::trim;
use crate::torch::{Precision, Sgd, SgdConfig, TorchError, autocast, make_channels_last, mix};

use gradient::Judged;
use mixing::{Differentiated, Mixing};
use net::{Net, Pass};

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
    /// How many images go through together in the stage of each number.
    pub together: [Together; 2],
    /// Which tensors a width stage holds.
    pub sizes: Sizes,
}

/// Which tensors a width stage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// Those of the widest options; what is differentiated by widths, or mixes several, runs under masks.
    Widest,
    /// Those that [`Elastic`] asks for; every pass runs at one option of each width.
    Allocated,
}

/// How many images go through the supernet together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Together {
    /// In a step; those of a batch that are left follow, and gradients add up. Batch norms see these images alone.
    pub step: usize,
    /// In a report.
    pub report: usize,
}

impl Together {
    /// A whole batch at once, however large, and reports of 250 images.
    pub const WHOLE: Self = Self { step: usize::MAX, report: 250 };
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
    /// The stage.
    entered: Stage,
    /// Its number.
    stage: u64,
    /// What its architecture steps ask for.
    asked: Differentiated,
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

    /// Reads back what [`Supernet::save`] wrote before the step `at` of the same stage, and goes on with the sums of its
    /// epoch.
    ///
    /// # Errors
    /// [`SupernetError`] where the file is missing, broken or of another stage.
    ///
    /// # Panics
    /// Before a stage is entered.
    pub fn load(&mut self, path: &Path, at: At, running: Running) -> Result<(), SupernetError> {
        let mut now = self.enter_epoch(at)?;
        let read = file::restore(path, self.loader.device(), now.tensors());
        // Between two epochs the sums are still those of the one before, and the next begins with none.
        if at.step > 0 {
            now.sums = Sums::resumed(running, self.device());
        }
        self.now = Some(now);
        Ok(read?)
    }

    /// The beginning of `stage`, with tensors of the options `sizes` where they are allocated.
    fn entered(&self, stage: Stage, sizes: Option<Vec<usize>>) -> Result<Now<'a>, SupernetError> {
        let seed = mix(&[self.settings.seed, stage.number()]);
        let net = Net::new(self.space, &stage, sizes, self.device(), seed)?;
        let parameters = net.parameters();
        if self.settings.layout == Layout::ChannelsLast {
            make_channels_last(&parameters)?;
        }
        trim();
        Ok(Now {
            stage: stage.number(),
            asked: Differentiated::by_choices_of(&stage),
            entered: stage,
            net,
            sgd: Sgd::new(parameters, sgd_config(&self.settings.weights))?,
            epoch: None,
            sums: Sums::new(self.device()),
        })
    }

    fn device(&self) -> tch::Device {
        self.loader.device()
    }

    /// Cross-entropy of one batch, and the pass behind it.
    fn loss(&self, net: &Net, batch: &Batch, mixing: &Mixing<'_>) -> Result<(Tensor, Pass), SupernetError> {
        autocast(self.device(), self.settings.precision, || {
            let pass = net.forward(self.space, &batch.images, mixing)?;
            Ok((pass.logits.to_kind(Kind::Float).cross_entropy_for_logits(&batch.labels), pass))
        })?
    }

    /// `batch` in parts that go through together, equal but for one image, each with its share of the images.
    fn parts(&self, batch: &Batch, at: At) -> Result<Vec<(Batch, f64)>, SupernetError> {
        let images = batch.labels.size()[0];
        let together = i64::try_from(self.together(at.stage).step).unwrap_or(i64::MAX).max(1);
        let count = images.unsigned_abs().div_ceil(together.unsigned_abs()).max(1).cast_signed();
        let mut parts = Vec::new();
        for part in 0..count {
            let (first, end) = (images * part / count, images * (part + 1) / count);
            let narrow = |tensor: &Tensor| tensor.f_narrow(0, first, end - first);
            let batch = Batch { images: narrow(&batch.images)?, labels: narrow(&batch.labels)? };
            #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52 images")]
            parts.push((batch, (end - first) as f64 / images as f64));
        }
        Ok(parts)
    }

    fn together(&self, stage: u64) -> Together {
        self.settings.together[usize::from(stage > 0)]
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
        let mixing = Mixing::new(self.space, &now.net, choices, Differentiated::Not, self.device())?;
        for (part, share) in self.parts(&batch, at)? {
            let (loss, pass) = self.loss(&now.net, &part, &mixing)?;
            // A draw that cuts the output off leaves only the classifier's bias to learn.
            (&loss * share).f_backward()?;
            now.sums.add(&loss, &pass.logits, &part.labels);
        }
        Ok(now.sgd.step(learning_rate)?)
    }

    fn gradient(&self, now: &Now<'a>, choices: &Choices, at: At) -> Result<TaskGradient, SupernetError> {
        let (_, _, selection) = now.epoch.as_ref().expect("the epoch is entered");
        let draw = mix(&[self.settings.seed, at.stage, u64::from(at.epoch), u64::from(at.step)]);
        let place = usize::try_from(draw % selection.batches() as u64).expect("a place among the batches");
        let batch = selection.batch(place)?;
        let mut sum = TaskGradient { loss: 0.0, gradient: Probabilities::zeros(self.space) };
        for (part, share) in self.parts(&batch, at)? {
            let answer = self.part_gradient(now, choices, &part)?;
            sum.loss += share * answer.loss;
            sum.gradient.add_scaled(&answer.gradient, share);
        }
        Ok(sum)
    }

    /// The answer of a part of a batch.
    fn part_gradient(&self, now: &Now<'a>, choices: &Choices, batch: &Batch) -> Result<TaskGradient, SupernetError> {
        let mixing = Mixing::new(self.space, &now.net, choices, now.asked, self.device())?;
        let (loss, pass) = self.loss(&now.net, batch, &mixing)?;
        let judged = Judged {
            space: self.space,
            net: &now.net,
            mixing: &mixing,
            pass: &pass,
            loss: &loss,
            precision: self.settings.precision,
        };
        match now.asked {
            Differentiated::ByOperators => judged.by_operators(),
            Differentiated::ByWidths | Differentiated::Not => judged.by_widths(),
        }
    }
}

impl Now<'_> {
    /// Weights, then moments, by name.
    fn tensors(&self) -> Vec<(String, Tensor)> {
        file::with_moments(self.net.tensors(), self.sgd.momentum())
    }
}

fn sgd_config(settings: &WeightSettings) -> SgdConfig {
    let WeightSettings { momentum, weight_decay, clip, .. } = *settings;
    SgdConfig { momentum, weight_decay, nesterov: false, clip: Some(clip) }
}

impl TaskLoss for Supernet<'_> {
    type Error = SupernetError;

    fn enter(&mut self, stage: &Stage) -> Result<(), SupernetError> {
        self.now = None;
        let allocated = matches!(stage, Stage::Widths { .. }) && self.settings.sizes == Sizes::Allocated;
        // The least, until it is said what is needed.
        let sizes = allocated.then(|| vec![0; self.space.widths.len()]);
        self.now = Some(self.entered(stage.clone(), sizes)?);
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

    fn elastic(&mut self) -> Option<&mut dyn Elastic<Error = SupernetError>> {
        match self.settings.sizes {
            Sizes::Widest => None,
            Sizes::Allocated => Some(self),
        }
    }

    fn report(&mut self, likeliest: &Choices) -> Result<EpochReport, SupernetError> {
        let now = self.now.as_ref().expect("a stage is entered");
        let mut sums = Sums::new(self.device());
        let mixing = Mixing::new(self.space, &now.net, likeliest, Differentiated::Not, self.device())?;
        let together = self.together(now.stage).report;
        let epoch = self.loader.epoch(&self.splits.selection, together, Order::Sequential)?;
        for number in 0..epoch.batches() {
            let batch = epoch.batch(number)?;
            let (loss, pass) = tch::no_grad(|| self.loss(&now.net, &batch, &mixing))?;
            sums.add(&loss, &pass.logits, &batch.labels);
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
