//! Regularised evolution (Real et al., Regularized Evolution for Image Classifier Architecture Search, 2019) towards a
//! front.

use super::random::{Shuffled, draws, walked};
use super::reader::{Reader, Stopped};
use crate::search::methods::{Evolution, below};
use crate::search::unit;
use crate::space::Space;

/// Share of the sum beside the greatest term, so that of equal greatest terms the smaller other one wins.
const RHO: f64 = 0.05;

/// First random rows; then, again and again, one choice changed in the best of `sample` draws from the last `population`.
///
/// The best is that of the least `max_i w_i f_i + 0.05 sum_i w_i f_i` (augmented Chebyshev) at weights drawn anew each time,
/// `w = (1 - z, z)`, `z` uniform, `f` error and latency as shares of the range of the front found so far: a tournament for
/// one number each, for all of the front together. A child that was read before is changed further.
pub(super) fn search(reader: &mut Reader<'_>, space: &Space, seed: u64, evolution: Evolution) -> Result<(), Stopped> {
    let Evolution { population, sample, evaluations: _ } = evolution;
    let draws = &mut draws(seed);
    let mut others = Shuffled::new(reader.table().rows().len());
    let mut alive: Vec<usize> = Vec::new();
    while !reader.is_exhausted() {
        let place = if alive.len() < population as usize {
            others.fresh(reader, draws)
        } else {
            let (scale, z) = (reader.archive().scale(), unit(draws));
            let value = |place: usize| chebyshev(scale.scaled(reader.table().rows()[place].objectives()), z);
            let drawn: Vec<usize> = (0..sample).map(|_| alive[below(draws, alive.len())]).collect();
            let parent = drawn.into_iter().reduce(|best, other| if value(other) < value(best) { other } else { best });
            let parent = parent.expect("a sample has a member");
            let child = walked(reader, space, &reader.table().rows()[parent].architecture, draws);
            child.or_else(|| others.fresh(reader, draws))
        };
        let Some(place) = place else { break };
        reader.read(place)?;
        alive.push(place);
        if alive.len() > population as usize {
            alive.remove(0);
        }
    }
    Ok(())
}

fn chebyshev([error, latency]: [f64; 2], z: f64) -> f64 {
    let terms = [(1.0 - z) * error, z * latency];
    terms[0].max(terms[1]) + RHO * (terms[0] + terms[1])
}
