//! Architectures by which a supernet's order is compared with that of networks trained by themselves.

use super::sample::{self, Purpose};
use super::task::{At, Stage};
use crate::space::{Architecture, Candidate, Space};

/// Draws for each architecture that is asked for, before a space counts as too small for so many.
const ATTEMPTS: u32 = 100;

/// Up to `count` different architectures, drawn from those that `stage` chooses among: every choice takes each of its
/// options alike, and what cuts the output off is drawn again.
///
/// Fewer where the space has hardly more. Uniform rather than from the final distributions, which are nearly one-hot: few
/// networks would be different, and those alike in accuracy.
#[must_use]
pub fn uniform(space: &Space, stage: &Stage, seed: u64, count: u32) -> Vec<Architecture> {
    let mut found: Vec<Architecture> = Vec::new();
    for step in 0..count.saturating_mul(ATTEMPTS) {
        let drawn = draw(space, stage, seed, step);
        if reaches(space, &drawn) && !found.contains(&drawn) {
            found.push(drawn);
        }
        if found.len() >= count as usize {
            break;
        }
    }
    found
}

fn draw(space: &Space, stage: &Stage, seed: u64, step: u32) -> Architecture {
    // Epochs of a stage never get so far: no other draw has this place.
    let mut stream = sample::stream(seed, Purpose::Judged, At { stage: stage.number(), epoch: u32::MAX, step });
    let mut one_of = |options: usize| {
        #[expect(clippy::cast_precision_loss, reason = "options are a few thousand")]
        let place = sample::uniform(&mut stream) * options as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to below the number of options"
        )]
        let place = place as usize;
        place.min(options - 1)
    };
    let operators: Vec<usize> = space.operators.iter().map(|choice| one_of(choice.candidates.len())).collect();
    let widths: Vec<usize> = space.widths.iter().map(|choice| one_of(choice.options.len())).collect();
    match stage.clone() {
        Stage::Operators { widths } => Architecture { operators, widths },
        Stage::Widths { operators } => Architecture { operators, widths },
        Stage::Whole => Architecture { operators, widths },
    }
}

/// Whether the image reaches the output.
fn reaches(space: &Space, architecture: &Architecture) -> bool {
    let chosen = |operator: usize| &space.operators[operator].candidates[architecture.operators[operator]];
    let live = space.live(|edge| *chosen(edge.operator.0) == Candidate::Zero);
    live.iter().zip(&space.edges).any(|(&live, edge)| live && edge.to == space.last())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::tests::small;

    #[test]
    fn architectures_differ_reach_the_output_and_keep_what_the_stage_fixes() {
        let space = small();
        let stage = Stage::Operators { widths: vec![0, 1, 0] };
        // 27 ways, of which the output is reached over edge 0-2 in 2 * 9 and otherwise over 0-1-2 in 2 * 2: 22.
        let all = uniform(&space, &stage, 3, 30);
        assert_eq!(all.len(), 22);
        assert!(all.iter().all(|drawn| space.derive(drawn).is_ok() && drawn.widths == [0, 1, 0]));
        assert!(all.iter().enumerate().all(|(place, drawn)| !all[..place].contains(drawn)));
        // The same seed draws the same, another one others.
        assert_eq!(uniform(&space, &stage, 3, 5), all[..5]);
        assert_ne!(uniform(&space, &stage, 4, 5), all[..5]);
        // Where the output is cut off whatever is drawn there is none.
        assert!(uniform(&space, &Stage::Widths { operators: vec![0, 2, 2] }, 3, 10).is_empty());
    }

    #[test]
    fn widths_are_drawn_alike() {
        let space = small();
        let all = uniform(&space, &Stage::Widths { operators: vec![0, 0, 0] }, 1, 10);
        // 1 * 3 * 2 widths.
        assert_eq!(all.len(), 6);
    }
}
