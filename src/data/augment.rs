//! Random changes of training images, applied on the device to a whole batch at once.
//!
//! The draws of an epoch are made on the host and brought to the device together: the same seed gives the same images on CPU
//! and CUDA, in any order of the batches, whatever else draws from libtorch's generator.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use tch::{Device, Kind, Tensor};

use super::DataError;
use super::split::{below, generator};

/// What is done to each training image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Augment {
    /// Crop of the image's own size from the image with so many black pixels around it; 0 for none.
    pub padding: u32,
    /// Mirroring of images, left to right.
    pub flip: Flip,
    /// Side of a square, centred anywhere in the image, that is set to the mean colour (0 after normalisation); 0 for none.
    pub cutout: u32,
}

/// Whether images are mirrored by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flip {
    /// Never.
    #[default]
    Never,
    /// With probability 1/2.
    Half,
}

/// The changes drawn for a number of images.
#[derive(Debug)]
pub struct Draws {
    augment: Augment,
    /// First row of the crop, first column of the crop, mirrored (0 or 1), row and column of the cutout: i64 `[5, images]`.
    table: Tensor,
}

impl Augment {
    /// The usual for CIFAR-10: padding 4, mirroring, no cutout.
    pub const STANDARD: Self = Self { padding: 4, flip: Flip::Half, cutout: 0 };
    /// The images as they are.
    pub const NONE: Self = Self { padding: 0, flip: Flip::Never, cutout: 0 };

    /// Draws the changes of `count` images that are `side` pixels high and wide.
    ///
    /// # Errors
    /// Where libtorch has no room for them.
    pub fn draw(&self, count: usize, side: u32, seed: u64) -> Result<Draws, DataError> {
        let mut dice = generator(seed);
        let rows: Vec<[i64; 5]> = (0..count).map(|_| self.draw_one(side, &mut dice)).collect();
        let table = Tensor::f_from_slice(rows.as_flattened())?.f_view([-1, 5])?.f_transpose(0, 1)?.f_contiguous()?;
        Ok(Draws { augment: *self, table })
    }

    fn draw_one(&self, side: u32, dice: &mut ChaCha8Rng) -> [i64; 5] {
        let offsets = 2 * self.padding + 1;
        let mirrored = match self.flip {
            Flip::Never => 0,
            Flip::Half => i64::from(dice.next_u32() >> 31),
        };
        [below(dice, offsets), below(dice, offsets), mirrored, below(dice, side), below(dice, side)]
    }
}

impl Draws {
    /// The same draws on `device`.
    ///
    /// # Errors
    /// Where the device has no room.
    pub fn to_device(&self, device: Device) -> Result<Self, DataError> {
        Ok(Self { augment: self.augment, table: self.table.f_to_device(device)? })
    }

    /// The draws of `count` images from image `first`.
    ///
    /// # Errors
    /// Where there are no such images.
    pub fn narrow(&self, first: i64, count: i64) -> Result<Self, DataError> {
        Ok(Self { augment: self.augment, table: self.table.f_narrow(1, first, count)? })
    }

    /// Crops and mirrors `images` `[batch, channels, height, width]` of any type of number.
    pub fn move_pixels(&self, images: &Tensor) -> Tensor {
        if self.augment.padding == 0 && self.augment.flip == Flip::Never {
            return images.shallow_clone();
        }
        gather(images, i64::from(self.augment.padding), &self.table)
    }

    /// Sets the drawn square of each of `images` `[batch, channels, height, width]` to 0, in place; it may stick out.
    pub fn cut_out(&self, images: &mut Tensor) {
        if self.augment.cutout == 0 {
            return;
        }
        let (count, _, height, width) = images.size4().expect("images have four dimensions");
        let size = i64::from(self.augment.cutout);
        let rows = band(&self.table.get(3), height, size).view([count, 1, height, 1]);
        let columns = band(&self.table.get(4), width, size).view([count, 1, 1, width]);
        let _filled = images.masked_fill_(&rows.logical_and(&columns), 0.0);
    }
}

/// One pass over memory for crop and mirroring: each pixel is fetched from its place in the padded image.
///
/// `moves`: first row and first column of the crop in the padded image, and 1 where it is mirrored: i64 `[3 or more, batch]`.
fn gather(images: &Tensor, padding: i64, moves: &Tensor) -> Tensor {
    let (count, channels, height, width) = images.size4().expect("images have four dimensions");
    let stride = width + 2 * padding;
    let padded = images.constant_pad_nd([padding; 4]).reshape([count, channels, -1]);
    let rows = range(height, images.device()).view([1, height, 1]) + moves.get(0).view([count, 1, 1]);
    let column = range(width, images.device()).view([1, 1, width]);
    let mirrored = moves.get(2).view([count, 1, 1]);
    // column, or width - 1 - column where mirrored
    let turned = &column + &mirrored * (width - 1 - &column * 2);
    let columns = turned + moves.get(1).view([count, 1, 1]);
    let places =
        (rows * stride + columns).view([count, 1, height * width]).expand([count, channels, height * width], false);
    padded.gather(2, &places, false).view([count, channels, height, width])
}

fn range(end: i64, device: Device) -> Tensor {
    Tensor::arange(end, (Kind::Int64, device))
}

/// Which of `length` positions lie in a band of `size` around `centres` `[batch]`: bool `[batch, length]`.
fn band(centres: &Tensor, length: i64, size: i64) -> Tensor {
    let from_start = range(length, centres.device()).view([1, length]) - (centres.view([-1, 1]) - size / 2);
    from_start.ge(0).logical_and(&from_start.lt(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images `[2, 3, 8, 8]` of different bytes above 0.
    fn images() -> Tensor {
        (Tensor::arange(2 * 3 * 64, (Kind::Int64, Device::Cpu)).remainder(251) + 1)
            .to_kind(Kind::Uint8)
            .view([2, 3, 8, 8])
    }

    fn moved(images: &Tensor, down: [i64; 2], right: [i64; 2], mirrored: [i64; 2]) -> Tensor {
        gather(images, 4, &Tensor::from_slice(&[down, right, mirrored].concat()).view([3, 2]))
    }

    fn is_black(pixels: &Tensor) -> bool {
        pixels.count_nonzero(None::<i64>).int64_value(&[]) == 0
    }

    #[test]
    fn a_crop_only_shifts_and_fills_with_black() {
        // offsets 4 and 4 are the image itself; 6 and 1 show it 2 higher and 3 further right
        let crops = moved(&images(), [4, 6], [4, 1], [0, 0]);
        assert!(crops.get(0).equal(&images().get(0)));
        let (second, whole) = (crops.get(1), images().get(1));
        assert!(second.narrow(1, 0, 6).narrow(2, 3, 5).equal(&whole.narrow(1, 2, 6).narrow(2, 0, 5)));
        assert!(is_black(&second.narrow(1, 6, 2)) && is_black(&second.narrow(2, 0, 3)));
    }

    #[test]
    fn every_random_crop_is_one_of_the_shifts() {
        let source = images();
        for seed in 0..20 {
            let crops = Augment { padding: 4, ..Augment::NONE }.draw(2, 8, seed).unwrap().move_pixels(&source);
            for image in 0..2 {
                let padded = source.get(image).constant_pad_nd([4; 4]);
                let is_shift = |n: i64| crops.get(image).equal(&padded.narrow(1, n / 9, 8).narrow(2, n % 9, 8));
                assert!((0..81).any(is_shift));
            }
        }
    }

    #[test]
    fn a_flip_mirrors_columns_and_undoes_itself() {
        let flipped = moved(&images(), [4, 4], [4, 4], [1, 0]);
        assert!(flipped.get(0).equal(&images().get(0).flip([2])));
        assert!(flipped.get(1).equal(&images().get(1)));
        assert!(moved(&flipped, [4, 4], [4, 4], [1, 0]).equal(&images()));
    }

    #[test]
    fn a_mirrored_crop_is_the_mirror_image_of_the_crop() {
        let plain = moved(&images(), [0, 7], [8, 3], [0, 0]);
        assert!(moved(&images(), [0, 7], [8, 3], [1, 1]).equal(&plain.flip([3])));
    }

    #[test]
    fn draws_reach_every_offset_and_flip_about_half() {
        let draws = Augment::STANDARD.draw(2000, 32, 1).unwrap();
        for row in 0..2 {
            let offsets = draws.table.get(row);
            assert_eq!((offsets.min().int64_value(&[]), offsets.max().int64_value(&[])), (0, 8));
        }
        // binomial: 1000 with deviation 22
        let flips = draws.table.get(2).sum(Kind::Int64).int64_value(&[]);
        assert!((850..1150).contains(&flips), "{flips}");
    }

    #[test]
    fn a_cutout_zeroes_one_square_in_all_channels_and_nothing_else() {
        let mut cut = Tensor::ones([50, 3, 12, 12], (Kind::Float, Device::Cpu));
        let draws = Augment { cutout: 4, ..Augment::NONE }.draw(50, 12, 2).unwrap();
        draws.cut_out(&mut cut);
        for image in 0..50 {
            let hole = cut.get(image).eq(0.0);
            assert!(hole.get(0).equal(&hole.get(1)) && hole.get(0).equal(&hole.get(2)));
            // from two before the centre to one behind it, as far as the image goes
            let expected = Tensor::zeros([12, 12], (Kind::Bool, Device::Cpu));
            let edges = |row| {
                let centre = draws.table.int64_value(&[row, image]);
                ((centre - 2).max(0), (centre + 2).min(12))
            };
            let ((top, bottom), (left, right)) = (edges(3), edges(4));
            let _filled = expected.narrow(0, top, bottom - top).narrow(1, left, right - left).fill_(1);
            assert!(hole.get(0).equal(&expected));
        }
    }

    #[test]
    fn equal_seeds_give_equal_bits() {
        let augment = Augment { padding: 4, flip: Flip::Half, cutout: 2 };
        let batch = |seed| {
            let draws = augment.draw(2, 8, seed).unwrap();
            let mut batch = draws.move_pixels(&images()).to_kind(Kind::Float);
            draws.cut_out(&mut batch);
            batch
        };
        assert!(batch(0).equal(&batch(0)));
        assert!(!batch(0).equal(&batch(1)));
    }
}
