//! Random changes of training images, on the device and for a whole batch at once.
//!
//! All draws come from libtorch's generator: seed it for the step ([`crate::torch::seed_step`]) and the batch is the same.

use tch::{Device, Kind, Tensor};

/// What is done to each training image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Augment {
    /// Crop of the image's own size from the image with so many black pixels around it; 0 for none.
    pub padding: u32,
    /// Mirroring of every second image, by chance, left to right.
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

impl Augment {
    /// The usual for CIFAR-10: padding 4, mirroring, no cutout.
    pub const STANDARD: Self = Self { padding: 4, flip: Flip::Half, cutout: 0 };
    /// The images as they are.
    pub const NONE: Self = Self { padding: 0, flip: Flip::Never, cutout: 0 };

    /// Crops and mirrors `images` `[batch, channels, height, width]`, each in its own way; any type of number.
    #[must_use]
    pub fn move_pixels(&self, images: &Tensor) -> Tensor {
        if self.padding == 0 && self.flip == Flip::Never {
            return images.shallow_clone();
        }
        let (count, device) = (images.size()[0], images.device());
        let padding = i64::from(self.padding);
        let offset = || Tensor::randint(2 * padding + 1, [count], (Kind::Int64, device));
        let (down, right) = (offset(), offset());
        let mirrored = match self.flip {
            Flip::Never => Tensor::zeros([count], (Kind::Int64, device)),
            Flip::Half => Tensor::randint(2, [count], (Kind::Int64, device)),
        };
        gather(images, padding, &Moves { down, right, mirrored })
    }

    /// Sets a random square of each of `images` `[batch, channels, height, width]` to 0, in place.
    pub fn cut_out(&self, images: &mut Tensor) {
        if self.cutout == 0 {
            return;
        }
        let (count, _, height, width) = images.size4().expect("images have four dimensions");
        let device = images.device();
        let rows = band(Tensor::randint(height, [count, 1], (Kind::Int64, device)), height, self.cutout);
        let columns = band(Tensor::randint(width, [count, 1], (Kind::Int64, device)), width, self.cutout);
        let square = rows.view([count, 1, height, 1]).logical_and(&columns.view([count, 1, 1, width]));
        let _filled = images.masked_fill_(&square, 0.0);
    }
}

/// How each image of a batch moves: i64 `[batch]` each.
struct Moves {
    /// First row of the crop in the padded image.
    down: Tensor,
    /// First column of the crop in the padded image.
    right: Tensor,
    /// 1 where the crop is mirrored, 0 elsewhere.
    mirrored: Tensor,
}

/// One pass over memory for crop and mirroring: each pixel is fetched from its place in the padded image.
fn gather(images: &Tensor, padding: i64, moves: &Moves) -> Tensor {
    let (count, channels, height, width) = images.size4().expect("images have four dimensions");
    let stride = width + 2 * padding;
    let padded = images.constant_pad_nd([padding; 4]).reshape([count, channels, -1]);
    let rows = range(height, images.device()).view([1, height, 1]) + moves.down.view([count, 1, 1]);
    let column = range(width, images.device()).view([1, 1, width]);
    let mirrored = moves.mirrored.view([count, 1, 1]);
    // column, or width - 1 - column where mirrored
    let turned = &column + &mirrored * (width - 1 - &column * 2);
    let columns = turned + moves.right.view([count, 1, 1]);
    let places =
        (rows * stride + columns).view([count, 1, height * width]).expand([count, channels, height * width], false);
    padded.gather(2, &places, false).view([count, channels, height, width])
}

fn range(end: i64, device: Device) -> Tensor {
    Tensor::arange(end, (Kind::Int64, device))
}

/// Which of `length` positions lie in a band of `size` around `centres` `[batch, 1]`: bool `[batch, length]`.
fn band(centres: Tensor, length: i64, size: u32) -> Tensor {
    let size = i64::from(size);
    let from_start = range(length, centres.device()).view([1, length]) - (centres - size / 2);
    from_start.ge(0).logical_and(&from_start.lt(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torch::seed_step;

    const CROP: Augment = Augment { padding: 4, ..Augment::NONE };

    /// Two images `[2, 3, 8, 8]` of different bytes above 0.
    fn images() -> Tensor {
        (Tensor::arange(2 * 3 * 64, (Kind::Int64, Device::Cpu)).remainder(251) + 1)
            .to_kind(Kind::Uint8)
            .view([2, 3, 8, 8])
    }

    fn list(values: &[i64]) -> Tensor {
        Tensor::from_slice(values)
    }

    fn moved(down: &[i64], right: &[i64], mirrored: &[i64]) -> Tensor {
        gather(&images(), 4, &Moves { down: list(down), right: list(right), mirrored: list(mirrored) })
    }

    #[test]
    fn a_crop_only_shifts_and_fills_with_black() {
        // offsets 4 and 4 are the image itself; 6 and 1 show it 2 higher and 3 further right
        let crops = moved(&[4, 6], &[4, 1], &[0, 0]);
        assert!(crops.get(0).equal(&images().get(0)));
        let (second, whole) = (crops.get(1), images().get(1));
        assert!(second.narrow(1, 0, 6).narrow(2, 3, 5).equal(&whole.narrow(1, 2, 6).narrow(2, 0, 5)));
        assert_eq!(second.narrow(1, 6, 2).count_nonzero(None::<i64>).int64_value(&[]), 0);
        assert_eq!(second.narrow(2, 0, 3).count_nonzero(None::<i64>).int64_value(&[]), 0);
    }

    #[test]
    fn every_random_crop_is_one_of_the_shifts() {
        tch::manual_seed(0);
        let source = images();
        let crops = CROP.move_pixels(&source);
        for image in 0..2 {
            let found = (0..81).any(|shift| {
                let (down, right) = (shift / 9, shift % 9);
                let padded = source.get(image).constant_pad_nd([4; 4]);
                crops.get(image).equal(&padded.narrow(1, down, 8).narrow(2, right, 8))
            });
            assert!(found);
        }
    }

    #[test]
    fn a_flip_mirrors_columns_and_undoes_itself() {
        let flipped = moved(&[4, 4], &[4, 4], &[1, 0]);
        assert!(flipped.get(0).equal(&images().get(0).flip([2])));
        assert!(flipped.get(1).equal(&images().get(1)));
        let centre = Moves { down: list(&[4, 4]), right: list(&[4, 4]), mirrored: list(&[1, 0]) };
        assert!(gather(&flipped, 4, &centre).equal(&images()));
    }

    #[test]
    fn about_half_of_the_images_are_flipped() {
        tch::manual_seed(1);
        let rising = Tensor::arange(4, (Kind::Float, Device::Cpu)).view([1, 1, 1, 4]).expand([1000, 1, 1, 4], false);
        let flipped = Augment { flip: Flip::Half, ..Augment::NONE }.move_pixels(&rising);
        let count = flipped.select(3, 0).eq(3).sum(Kind::Int64).int64_value(&[]);
        // binomial: 500 with deviation 16
        assert!((400..600).contains(&count), "{count}");
    }

    #[test]
    fn a_cutout_zeroes_one_square_in_all_channels_and_nothing_else() {
        tch::manual_seed(2);
        let mut cut = Tensor::ones([50, 3, 12, 12], (Kind::Float, Device::Cpu));
        Augment { cutout: 4, ..Augment::NONE }.cut_out(&mut cut);
        for image in 0..50 {
            let hole = cut.get(image).eq(0.0);
            assert!(hole.get(0).equal(&hole.get(1)) && hole.get(0).equal(&hole.get(2)));
            let rows = hole.get(0).any_dim(1, false).sum(Kind::Int64).int64_value(&[]);
            let columns = hole.get(0).any_dim(0, false).sum(Kind::Int64).int64_value(&[]);
            // a centre at the border leaves half of the square or a pixel less inside
            assert!((2..=4).contains(&rows) && (2..=4).contains(&columns), "{rows} x {columns}");
            assert_eq!(hole.get(0).sum(Kind::Int64).int64_value(&[]), rows * columns);
        }
    }

    #[test]
    fn equal_seeds_give_equal_bits() {
        let draw = |step| {
            seed_step(7, 1, 2, step);
            let mut batch = Augment::STANDARD.move_pixels(&images()).to_kind(Kind::Float);
            Augment { cutout: 2, ..Augment::NONE }.cut_out(&mut batch);
            batch
        };
        assert!(draw(0).equal(&draw(0)));
        assert!((1..20).any(|step| !draw(0).equal(&draw(step))));
    }
}
