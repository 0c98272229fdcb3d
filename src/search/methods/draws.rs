//! Architectures drawn at random.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::space::{Architecture, Edge, Space};

/// Draws after which a space counts as one in which hardly any choice reaches the output.
const MOST_DRAWS: u32 = 1_000_000;

/// A whole number below `count`, each equally likely.
pub(crate) fn below(stream: &mut ChaCha8Rng, count: usize) -> usize {
    let count = count as u64;
    // The numbers up to the last multiple of `count` fall into equal classes; those beyond are drawn again.
    let excess = (u64::MAX % count + 1) % count;
    loop {
        let number = stream.next_u64();
        if number <= u64::MAX - excess {
            return usize::try_from(number % count).expect("it is below a length");
        }
    }
}

/// Whether the output of `architecture` can be reached.
#[must_use]
pub fn reaches(space: &Space, architecture: &Architecture) -> bool {
    let cut = |edge: &Edge| space.operators[edge.operator.0].zero() == Some(architecture.operators[edge.operator.0]);
    space.live(cut).contains(&true)
}

/// An architecture drawn uniformly from the choices whose output can be reached.
///
/// Every choice takes each of its options with the same probability, a shared choice once for all that share it, `zero`
/// like any other candidate; choices that cut the output off are drawn again. Two choices that differ in an edge that is
/// dead are two, though they make one network. Nothing where a million draws reach no output.
#[must_use]
pub fn uniform(space: &Space, stream: &mut ChaCha8Rng) -> Option<Architecture> {
    (0..MOST_DRAWS).find_map(|_| {
        let mut architecture = space.first();
        for (slot, choice) in architecture.operators.iter_mut().zip(&space.operators) {
            *slot = below(stream, choice.candidates.len());
        }
        for (slot, choice) in architecture.widths.iter_mut().zip(&space.widths) {
            *slot = below(stream, choice.options.len());
        }
        Some(architecture).filter(|architecture| reaches(space, architecture))
    })
}

/// `parent` with one choice changed: a searched choice, each equally likely, takes one of its other options, each
/// equally likely; a change that cuts the output off is drawn again. Nothing where no change is possible.
#[must_use]
pub fn mutated(space: &Space, parent: &Architecture, stream: &mut ChaCha8Rng) -> Option<Architecture> {
    let operators = space.operators.iter().map(|choice| choice.candidates.len());
    let options: Vec<usize> = operators.chain(space.widths.iter().map(|choice| choice.options.len())).collect();
    let searched: Vec<usize> = (0..options.len()).filter(|&choice| options[choice] > 1).collect();
    if searched.is_empty() {
        return None;
    }
    (0..MOST_DRAWS).find_map(|_| {
        let choice = searched[below(stream, searched.len())];
        let mut child = parent.clone();
        let slot = match choice.checked_sub(space.operators.len()) {
            None => &mut child.operators[choice],
            Some(width) => &mut child.widths[width],
        };
        // One of the options but the present one.
        let other = below(stream, options[choice] - 1);
        *slot = if other < *slot { other } else { other + 1 };
        Some(child).filter(|child| reaches(space, child))
    })
}
