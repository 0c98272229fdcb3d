//! NSGA-II (Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, 2002).

use rand_chacha::ChaCha8Rng;

use super::super::OBJECTIVES;
use super::random::{Shuffled, draws, walked};
use super::reader::{Reader, Stopped};
use crate::front::{crowding, layers};
use crate::search::methods::below;
use crate::search::unit;
use crate::space::{Architecture, Space};

/// A row that lives, with its rank: the lower layer wins, in it the less crowded.
#[derive(Debug, Clone, Copy)]
struct Member {
    place: usize,
    layer: usize,
    crowding: f64,
}

/// Generations of `population` children: of two binary tournaments each, every choice from either parent alike, one in
/// as many as there are changed. A child that was read before is changed further.
pub(super) fn search(reader: &mut Reader<'_>, space: &Space, seed: u64, population: usize) -> Result<(), Stopped> {
    let draws = &mut draws(seed);
    let mut others = Shuffled::new(reader.table().rows().len());
    let mut places = Vec::new();
    while places.len() < population {
        let Some(place) = others.fresh(reader, draws) else { return Ok(()) };
        reader.read(place)?;
        places.push(place);
    }
    let mut alive = survivors(reader, &places, population);
    while !reader.is_exhausted() {
        let mut places: Vec<usize> = alive.iter().map(|member| member.place).collect();
        for _ in 0..population {
            let parents = [0, 1].map(|_| &reader.table().rows()[tournament(&alive, draws)].architecture);
            let child = mixed(space, parents, draws);
            let place = reader.fresh(&child).or_else(|| walked(reader, space, &child, draws));
            let Some(place) = place.or_else(|| others.fresh(reader, draws)) else { break };
            reader.read(place)?;
            places.push(place);
        }
        alive = survivors(reader, &places, population);
    }
    Ok(())
}

/// The best `count` of `places`: layer by layer, of the last the least crowded.
fn survivors(reader: &Reader<'_>, places: &[usize], count: usize) -> Vec<Member> {
    let points: Vec<[f64; 2]> = places.iter().map(|&place| reader.table().rows()[place].objectives()).collect();
    let mut alive = Vec::with_capacity(count);
    for (layer, members) in layers(&points, &OBJECTIVES).into_iter().enumerate() {
        let room = crowding(&points, &members);
        let member = |(&member, crowding)| Member { place: places[member], layer, crowding };
        let mut ranked: Vec<Member> = members.iter().zip(room).map(member).collect();
        if alive.len() + ranked.len() > count {
            // Stable: of equally crowded ones the first stays.
            ranked.sort_by(|a, b| b.crowding.total_cmp(&a.crowding));
            ranked.truncate(count - alive.len());
        }
        alive.extend(ranked);
    }
    alive
}

/// The better of two draws.
fn tournament(alive: &[Member], draws: &mut ChaCha8Rng) -> usize {
    let [one, other] = [0, 1].map(|_| alive[below(draws, alive.len())]);
    let better = other.layer < one.layer || (other.layer == one.layer && other.crowding > one.crowding);
    if better { other.place } else { one.place }
}

/// Every choice from either parent, then of each searched one with the probability `1 / their number` another option.
fn mixed(space: &Space, [one, other]: [&Architecture; 2], draws: &mut ChaCha8Rng) -> Architecture {
    let mut child = one.clone();
    let operators = child.operators.iter_mut().zip(&other.operators);
    let pairs = operators.chain(child.widths.iter_mut().zip(&other.widths));
    let counts = space.operators.iter().map(|choice| choice.candidates.len());
    let counts: Vec<usize> = counts.chain(space.widths.iter().map(|choice| choice.options.len())).collect();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred choices")]
    let rate = 1.0 / counts.iter().filter(|&&count| count > 1).count().max(1) as f64;
    for ((slot, &other), &count) in pairs.zip(&counts).filter(|(_, count)| **count > 1) {
        if unit(draws) < 0.5 {
            *slot = other;
        }
        if unit(draws) < rate {
            let drawn = below(draws, count - 1);
            *slot = if drawn < *slot { drawn } else { drawn + 1 };
        }
    }
    child
}
