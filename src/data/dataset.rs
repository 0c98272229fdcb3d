//! Images and labels on a device.

use tch::{Device, Kind, Tensor};

use super::DataError;

/// Images as bytes on the host, as a source gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Name of the data set.
    pub name: String,
    /// `[images, 3, side, side]`, row by row.
    pub images: Vec<u8>,
    /// Class of each image, from 0.
    pub labels: Vec<u8>,
    /// Number of classes.
    pub classes: usize,
    /// How many images, from the first, are to learn from; the others are to judge by.
    pub training: usize,
    /// Height and width of an image.
    pub side: usize,
}

/// A data set on the device where it is used.
#[derive(Debug)]
pub struct Dataset {
    /// Name of the data set.
    pub name: String,
    /// Bytes, `[images, 3, height, width]`.
    pub images: Tensor,
    /// Class of each image, from 0: i64 `[images]`.
    pub labels: Tensor,
    /// Number of classes.
    pub classes: usize,
    /// How many images, from the first, are to learn from; the others are to judge by.
    pub training: usize,
    /// Mean and deviation of the images to learn from.
    pub statistics: Statistics,
}

/// Mean and standard deviation of each channel, where a byte of 255 counts as 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// Mean of red, green, blue.
    pub mean: [f64; 3],
    /// Standard deviation of red, green, blue; above 0.
    pub deviation: [f64; 3],
}

impl Dataset {
    /// Brings `pixels` to `device`.
    ///
    /// # Errors
    /// Where the device has no room.
    pub fn new(pixels: &Pixels, device: Device) -> Result<Self, DataError> {
        let count = i64::try_from(pixels.labels.len()).expect("images in memory are fewer than 2^63");
        let side = i64::try_from(pixels.side).expect("an image in memory is smaller than 2^63");
        let images = Tensor::f_from_data_size(&pixels.images, &[count, 3, side, side], Kind::Uint8)?;
        let labels = Tensor::f_from_slice(&pixels.labels)?.f_to_kind(Kind::Int64)?;
        Ok(Self {
            name: pixels.name.clone(),
            images: images.f_to_device(device)?,
            labels: labels.f_to_device(device)?,
            classes: pixels.classes,
            training: pixels.training,
            statistics: Statistics::of(pixels),
        })
    }

    /// Number of images, of both parts.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.labels.size()[0]).expect("a size is not negative")
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The device that holds the data.
    #[must_use]
    pub fn device(&self) -> Device {
        self.images.device()
    }
}

impl Statistics {
    /// Over the images to learn from, in exact integer sums; those to judge by have no say.
    #[must_use]
    pub fn of(pixels: &Pixels) -> Self {
        let plane = pixels.side * pixels.side;
        let mut sums = [(0_u64, 0_u64); 3];
        for (index, values) in pixels.images.chunks_exact(plane).take(3 * pixels.training).enumerate() {
            let (sum, squares) = &mut sums[index % 3];
            *sum += values.iter().map(|&value| u64::from(value)).sum::<u64>();
            *squares += values.iter().map(|&value| u64::from(value) * u64::from(value)).sum::<u64>();
        }
        let count = (pixels.training * plane).max(1) as f64;
        let mean = sums.map(|(sum, _)| sum as f64 / count);
        let deviation = std::array::from_fn(|channel| {
            let variance = sums[channel].1 as f64 / count - mean[channel] * mean[channel];
            // a channel of one value everywhere is left as it is
            if variance > 0.0 { variance.sqrt() / 255.0 } else { 1.0 }
        });
        Self { mean: mean.map(|mean| mean / 255.0), deviation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images of 1 x 1 to learn from, and one to judge by.
    fn tiny() -> Pixels {
        Pixels {
            name: "tiny".to_owned(),
            images: vec![0, 51, 255, 102, 51, 0, 9, 9, 9],
            labels: vec![1, 0, 1],
            classes: 2,
            training: 2,
            side: 1,
        }
    }

    #[test]
    fn statistics_come_from_the_images_to_learn_from() {
        let Statistics { mean, deviation } = Statistics::of(&tiny());
        // red 0 and 102: mean 51 = 0.2 x 255, deviation 51; green 51 twice; blue 255 and 0: mean and deviation 127.5
        assert_eq!(mean, [0.2, 0.2, 0.5]);
        assert_eq!(deviation, [0.2, 1.0, 0.5]);
    }

    #[test]
    fn a_data_set_holds_the_bytes_and_labels_of_its_source() {
        let data = Dataset::new(&tiny(), Device::Cpu).unwrap();
        assert_eq!((data.len(), data.training, data.classes), (3, 2, 2));
        assert_eq!(data.images.size(), [3, 3, 1, 1]);
        assert_eq!(Vec::<u8>::try_from(data.images.view(-1)).unwrap(), tiny().images);
        assert_eq!(Vec::<i64>::try_from(&data.labels).unwrap(), [1, 0, 1]);
    }
}
