//! Batches of a split: chosen, augmented and normalised on the device.

use tch::{Kind, Tensor};

use super::split::shuffle;
use super::{Augment, DataError, Dataset, Draws};
use crate::torch::{channels_last, mix};

/// Images and labels that go through a network together.
#[derive(Debug)]
pub struct Batch {
    /// Normalised to mean 0 and deviation 1 in each channel: f32 `[batch, 3, height, width]`.
    pub images: Tensor,
    /// Classes: i64 `[batch]`.
    pub labels: Tensor,
}

/// In which order an epoch goes through a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As given, every image once, not augmented, the last batch smaller where need be: to evaluate.
    Sequential,
    /// In a random order that these counters settle, augmented, in full batches only: to train.
    Shuffled {
        /// Seed of the run.
        seed: u64,
        /// Number of the stage.
        stage: u64,
        /// Number of the epoch.
        epoch: u64,
    },
}

/// How images lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Channel by channel.
    #[default]
    Contiguous,
    /// All channels of a pixel together.
    ChannelsLast,
}

/// Makes batches from a data set.
#[derive(Debug)]
pub struct Loader<'data> {
    data: &'data Dataset,
    augment: Augment,
    layout: Layout,
    /// `1 / (255 deviation)`, `[1, 3, 1, 1]`.
    scale: Tensor,
    /// `-mean / deviation`, `[1, 3, 1, 1]`.
    shift: Tensor,
}

impl<'data> Loader<'data> {
    /// A loader of `data` that changes shuffled images as `augment` says.
    ///
    /// # Errors
    /// Where the device has no room.
    pub fn new(data: &'data Dataset, augment: Augment, layout: Layout) -> Result<Self, DataError> {
        let statistics = data.statistics;
        let channels = |value: [f64; 3]| -> Result<Tensor, DataError> {
            Ok(Tensor::f_from_slice(&value)?
                .f_to_kind(Kind::Float)?
                .f_view([1, 3, 1, 1])?
                .f_to_device(data.device())?)
        };
        let scale = channels(statistics.deviation.map(|deviation| 1.0 / (255.0 * deviation)))?;
        let shift = channels(std::array::from_fn(|i| -statistics.mean[i] / statistics.deviation[i]))?;
        Ok(Self { data, augment, layout, scale, shift })
    }

    /// Where batches are made.
    #[must_use]
    pub fn device(&self) -> tch::Device {
        self.data.device()
    }

    /// One pass over the images of a split, `batch_size` (at least 1) at a time.
    ///
    /// # Errors
    /// [`DataError::BatchTooLarge`] where a shuffled pass would have no batch.
    pub fn epoch<'l>(&'l self, split: &[i64], batch_size: usize, order: Order) -> Result<Epoch<'l>, DataError> {
        let batch_size = batch_size.max(1);
        let mut indices = split.to_vec();
        let (batches, draws) = match order {
            Order::Sequential => (split.len().div_ceil(batch_size), None),
            Order::Shuffled { seed, stage, epoch } => {
                shuffle(&mut indices, mix(&[seed, stage, epoch, 0]));
                (split.len() / batch_size, Some(self.draws(split.len(), mix(&[seed, stage, epoch, 1]))?))
            }
        };
        if batches == 0 && draws.is_some() {
            return Err(DataError::BatchTooLarge { batch: batch_size, images: split.len() });
        }
        let indices = Tensor::f_from_slice(&indices)?.f_to_device(self.data.device())?;
        Ok(Epoch { loader: self, indices, draws, batch_size, batches })
    }

    fn draws(&self, images: usize, seed: u64) -> Result<Draws, DataError> {
        let side = self.data.images.size()[3];
        let side = u32::try_from(side).expect("an image is narrower than 2^32");
        self.augment.draw(images, side, seed)?.to_device(self.data.device())
    }

    fn normalised(&self, bytes: &Tensor) -> Result<Tensor, DataError> {
        let bytes = match self.layout {
            Layout::Contiguous => bytes.shallow_clone(),
            Layout::ChannelsLast => channels_last(bytes)?,
        };
        Ok(bytes.f_to_kind(Kind::Float)?.f_mul_(&self.scale)?.f_add_(&self.shift)?)
    }
}

/// One pass over a split.
#[derive(Debug)]
pub struct Epoch<'loader> {
    loader: &'loader Loader<'loader>,
    /// Numbers of the images in order: i64 `[images]`.
    indices: Tensor,
    /// How each of them is changed, where they are.
    draws: Option<Draws>,
    batch_size: usize,
    batches: usize,
}

impl Epoch<'_> {
    /// Number of batches.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// Batch `number` of the pass, from 0, the same however often and in whatever order batches are asked for.
    ///
    /// # Errors
    /// Where the device has no room.
    ///
    /// # Panics
    /// Where there is no such batch.
    pub fn batch(&self, number: usize) -> Result<Batch, DataError> {
        assert!(number < self.batches, "batch {number} of {}", self.batches);
        let size = |value| i64::try_from(value).expect("images in memory are fewer than 2^63");
        let first = size(number * self.batch_size);
        let count = size(self.batch_size).min(self.indices.size()[0] - first);
        let chosen = self.indices.f_narrow(0, first, count)?;
        let bytes = self.loader.data.images.f_index_select(0, &chosen)?;
        let labels = self.loader.data.labels.f_index_select(0, &chosen)?;
        let Some(draws) = &self.draws else { return Ok(Batch { images: self.loader.normalised(&bytes)?, labels }) };
        let draws = draws.narrow(first, count)?;
        let mut images = self.loader.normalised(&draws.move_pixels(&bytes))?;
        draws.cut_out(&mut images);
        Ok(Batch { images, labels })
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::data::{Flip, shapes};
    use crate::torch::is_channels_last;

    const SHUFFLED: Order = Order::Shuffled { seed: 5, stage: 1, epoch: 2 };

    fn data() -> Dataset {
        Dataset::new(&shapes::generate(0, 20, 5), Device::Cpu).unwrap()
    }

    fn split() -> Vec<i64> {
        (0..20).collect()
    }

    #[test]
    fn evaluation_sees_every_image_once_in_order() {
        let data = data();
        let loader = Loader::new(&data, Augment::STANDARD, Layout::Contiguous).unwrap();
        let epoch = loader.epoch(&split(), 8, Order::Sequential).unwrap();
        let batches: Vec<Batch> = (0..epoch.batches()).map(|number| epoch.batch(number).unwrap()).collect();
        assert_eq!(batches.iter().map(|batch| batch.labels.size()[0]).collect::<Vec<_>>(), [8, 8, 4]);
        let labels = Tensor::cat(&batches.iter().map(|batch| &batch.labels).collect::<Vec<_>>(), 0);
        assert!(labels.equal(&data.labels.narrow(0, 0, 20)));
    }

    #[test]
    fn normalised_training_images_have_mean_zero_and_deviation_one() {
        let data = data();
        let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
        let images = loader.epoch(&split(), 20, Order::Sequential).unwrap().batch(0).unwrap().images;
        assert_eq!(images.kind(), Kind::Float);
        for channel in 0..3 {
            let values = images.select(1, channel);
            assert!(values.mean(Kind::Float).abs().double_value(&[]) < 1e-5);
            assert!((values.std(false).double_value(&[]) - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn training_drops_the_partial_batch_and_repeats_no_image() {
        let data = data();
        let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
        let epoch = loader.epoch(&split(), 8, SHUFFLED).unwrap();
        assert_eq!(epoch.batches(), 2);
        let mut indices: Vec<i64> = Vec::try_from(&epoch.indices).unwrap();
        assert_ne!(indices, split());
        indices.sort_unstable();
        assert_eq!(indices, split());
    }

    #[test]
    fn the_same_counters_give_the_same_bits_and_other_epochs_another_order() {
        let data = data();
        let augment = Augment { padding: 4, flip: Flip::Half, cutout: 8 };
        let loader = Loader::new(&data, augment, Layout::Contiguous).unwrap();
        let first = |order| loader.epoch(&split(), 8, order).unwrap().batch(0).unwrap();
        let (one, two) = (first(SHUFFLED), first(SHUFFLED));
        assert!(one.images.equal(&two.images) && one.labels.equal(&two.labels));
        let other = first(Order::Shuffled { seed: 5, stage: 1, epoch: 3 });
        assert!(!one.images.equal(&other.images));
    }

    #[test]
    fn the_layout_is_as_asked_and_changes_no_value() {
        let data = data();
        let batch = |layout| {
            let loader = Loader::new(&data, Augment::NONE, layout).unwrap();
            loader.epoch(&split(), 8, Order::Sequential).unwrap().batch(1).unwrap().images
        };
        assert!(is_channels_last(&batch(Layout::ChannelsLast)));
        assert!(!is_channels_last(&batch(Layout::Contiguous)));
        assert!(batch(Layout::ChannelsLast).equal(&batch(Layout::Contiguous)));
    }

    #[test]
    fn a_batch_larger_than_its_split_is_refused_with_both_numbers() {
        let data = data();
        let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
        assert_eq!(
            loader.epoch(&split(), 21, SHUFFLED).unwrap_err().to_string(),
            "a batch of 21 images does not fit into a split of 20: lower the batch size or enlarge the split"
        );
        assert_eq!(loader.epoch(&split(), 21, Order::Sequential).unwrap().batches(), 1);
    }
}
