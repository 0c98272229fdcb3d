//! Which images a run learns from, searches with, and is judged by.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{DataError, Dataset};
use crate::torch::mix;

/// How many images each split has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitSizes {
    /// To fit weights.
    pub training: usize,
    /// To fit architecture parameters, or to compare runs by.
    pub selection: usize,
    /// To report the end result: nothing for the whole test part.
    pub test: Option<usize>,
}

/// Numbers of images, each list without repetition; training and selection share none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splits {
    /// To fit weights.
    pub training: Vec<i64>,
    /// To fit architecture parameters, or to compare runs by.
    pub selection: Vec<i64>,
    /// To report the end result, never seen before.
    pub test: Vec<i64>,
}

impl Splits {
    /// Draws the splits: training and selection from the part to learn from, test from the part to judge by.
    ///
    /// # Errors
    /// [`DataError::TooFew`] where a part has fewer images than are asked for.
    pub fn new(data: &Dataset, sizes: SplitSizes, seed: u64) -> Result<Self, DataError> {
        let test_part = data.len() - data.training;
        let test_size = sizes.test.unwrap_or(test_part);
        let too_few = |pool, parts, asked, available| {
            Err(DataError::TooFew { name: data.name.clone(), pool, parts, asked, available })
        };
        let asked = sizes.training.saturating_add(sizes.selection);
        if asked > data.training {
            let parts = format!("training {} and selection {}", sizes.training, sizes.selection);
            return too_few("training", parts, asked, data.training);
        }
        if test_size > test_part {
            return too_few("test", format!("test {test_size}"), test_size, test_part);
        }
        let mut pool = numbers(0, data.training);
        shuffle(&mut pool, seed);
        let selection = pool[sizes.training..asked].to_vec();
        pool.truncate(sizes.training);
        let mut test = numbers(data.training, test_part);
        shuffle(&mut test, mix(&[seed, 1]));
        test.truncate(test_size);
        Ok(Self { training: pool, selection, test })
    }
}

fn numbers(first: usize, count: usize) -> Vec<i64> {
    let number = |index| i64::try_from(index).expect("images in memory are fewer than 2^63");
    (first..first + count).map(number).collect()
}

/// Brings `items` into a random order (Fisher and Yates), the same for the same seed on every machine.
pub(super) fn shuffle(items: &mut [i64], seed: u64) {
    let mut dice = generator(seed);
    for last in (1..items.len()).rev() {
        let count = u32::try_from(last + 1).expect("a data set in memory has fewer than 2^32 images");
        items.swap(last, usize::try_from(below(&mut dice, count)).expect("not negative"));
    }
}

/// The random numbers of this seed.
pub(super) fn generator(seed: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// A number from 0 below `count`, uneven by less than 2^-32: the high half of a 64-bit draw times `count`.
pub(super) fn below(dice: &mut ChaCha8Rng, count: u32) -> i64 {
    let product = u128::from(dice.next_u64()) * u128::from(count);
    i64::try_from(product >> 64).expect("below a 32-bit count")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tch::Device;

    use super::*;
    use crate::data::shapes;

    const SIZES: SplitSizes = SplitSizes { training: 20, selection: 10, test: None };

    fn data() -> Dataset {
        Dataset::new(&shapes::generate(0, 40, 15), Device::Cpu).unwrap()
    }

    #[test]
    fn splits_share_no_image_and_keep_to_their_part() {
        let splits = Splits::new(&data(), SIZES, 3).unwrap();
        assert_eq!((splits.training.len(), splits.selection.len(), splits.test.len()), (20, 10, 15));
        let learned: BTreeSet<i64> = splits.training.iter().chain(&splits.selection).copied().collect();
        assert_eq!(learned.len(), 30);
        assert!(learned.iter().all(|index| (0..40).contains(index)));
        let judged: BTreeSet<i64> = splits.test.iter().copied().collect();
        assert_eq!(judged, (40..55).collect());
    }

    #[test]
    fn equal_seeds_give_equal_splits_and_others_do_not() {
        let of = |seed| Splits::new(&data(), SplitSizes { test: Some(4), ..SIZES }, seed).unwrap();
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
        assert_eq!(of(3).test.len(), 4);
    }

    #[test]
    fn more_images_than_there_are_is_refused_with_both_numbers() {
        let message = |sizes| Splits::new(&data(), sizes, 0).unwrap_err().to_string();
        assert_eq!(
            message(SplitSizes { training: 35, ..SIZES }),
            "data `shapes`: 45 images were asked for (training 35 and selection 10), but its training part has 40"
        );
        assert_eq!(
            message(SplitSizes { test: Some(16), ..SIZES }),
            "data `shapes`: 16 images were asked for (test 16), but its test part has 15"
        );
        assert!(message(SplitSizes { training: usize::MAX, ..SIZES }).contains("but its training part has 40"));
    }
}
