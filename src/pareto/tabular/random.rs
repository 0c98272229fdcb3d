//! Rows in random order.

use rand_chacha::ChaCha8Rng;

use super::reader::{Reader, Stopped};
use crate::search::methods::{below, mutated};
use crate::search::{At, Purpose, stream};
use crate::space::{Architecture, Space};

/// Changes of one choice in a row that lead to rows read before, after which any row will do.
const MOST_STEPS: u32 = 64;

/// The random stream of a search of a table.
pub(super) fn draws(seed: u64) -> ChaCha8Rng {
    stream(seed, Purpose::Reading, At { stage: 0, epoch: 0, step: 0 })
}

/// All rows, each order alike.
pub(super) fn search(reader: &mut Reader<'_>, seed: u64) -> Result<(), Stopped> {
    let draws = &mut draws(seed);
    let mut order = Shuffled::new(reader.table().rows().len());
    while let Some(place) = order.next(draws) {
        reader.read(place)?;
    }
    Ok(())
}

/// Places in random order, as far as they are asked for (Fisher and Yates).
#[derive(Debug)]
pub(super) struct Shuffled {
    places: Vec<usize>,
}

impl Shuffled {
    pub(super) fn new(count: usize) -> Self {
        Self { places: (0..count).collect() }
    }

    pub(super) fn next(&mut self, draws: &mut ChaCha8Rng) -> Option<usize> {
        (!self.places.is_empty()).then(|| {
            let drawn = below(draws, self.places.len());
            self.places.swap_remove(drawn)
        })
    }

    /// The next that was not read; nothing where all were.
    pub(super) fn fresh(&mut self, reader: &Reader<'_>, draws: &mut ChaCha8Rng) -> Option<usize> {
        while let Some(place) = self.next(draws) {
            if reader.is_fresh(place) {
                return Some(place);
            }
        }
        None
    }
}

/// A row not read before, on a walk from `start` that changes one choice a step; `start` itself is not taken.
///
/// Nothing where the walk finds none.
pub(super) fn walked(
    reader: &Reader<'_>,
    space: &Space,
    start: &Architecture,
    draws: &mut ChaCha8Rng,
) -> Option<usize> {
    let mut present = start.clone();
    for _ in 0..MOST_STEPS {
        present = mutated(space, &present, draws)?;
        if let Some(place) = reader.fresh(&present) {
            return Some(place);
        }
    }
    None
}
