//! Folds of a cross-validation, drawn from a seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Folds of every cross-validation.
pub const FOLDS: usize = 5;

/// The places of `rows` in an order drawn from `seed` (Fisher and Yates).
#[must_use]
pub fn shuffled(rows: usize, seed: u64) -> Vec<usize> {
    let mut stream = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..rows).collect();
    for last in (1..rows).rev() {
        let below = u64::try_from(last).expect("a place fits 64 bits") + 1;
        let place = usize::try_from(stream.next_u64() % below).expect("it is a place");
        order.swap(last, place);
    }
    order
}

/// `rows` in [`FOLDS`] parts of equal size, one more at most, drawn from `seed`: for each part what it leaves, and it.
#[must_use]
pub fn folds(rows: &[usize], seed: u64) -> Vec<(Vec<usize>, Vec<usize>)> {
    let order = shuffled(rows.len(), seed);
    let part = |fold: usize| {
        let (held, kept): (Vec<_>, Vec<_>) = order.iter().enumerate().partition(|(place, _)| place % FOLDS == fold);
        let places = |part: Vec<(usize, &usize)>| part.into_iter().map(|(_, &place)| rows[place]).collect();
        (places(kept), places(held))
    };
    (0..FOLDS).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_held_out_once() {
        let rows: Vec<usize> = (100..123).collect();
        let parts = folds(&rows, 7);
        let mut held: Vec<usize> = parts.iter().flat_map(|(_, held)| held.clone()).collect();
        held.sort_unstable();
        assert_eq!(held, rows);
        for (kept, held) in &parts {
            assert!((4..=5).contains(&held.len()) && kept.len() + held.len() == 23);
            assert!(held.iter().all(|row| !kept.contains(row)));
        }
        assert_eq!(parts, folds(&rows, 7));
        assert_ne!(parts, folds(&rows, 8));
    }
}
