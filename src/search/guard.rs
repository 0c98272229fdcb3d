//! Guards of the choices: how decided they are, how many cost nothing, and a limit on those that do.

use std::collections::BTreeMap;

use crate::cost::Probabilities;
use crate::record::Skips;
use crate::space::{Architecture, Candidate, OperatorId, Space};

/// Mean of `H(p) / ln n` over the choices with `n > 1` options, `H(p) = -sum p ln p`; nothing where there are none.
#[must_use]
pub fn mean_entropy<'a>(choices: impl Iterator<Item = &'a Vec<f64>>) -> Option<f64> {
    let (sum, count) = choices.filter(|choice| choice.len() > 1).fold((0.0, 0u32), |(sum, count), choice| {
        let entropy: f64 = choice.iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum();
        #[expect(clippy::cast_precision_loss, reason = "options are a few thousand")]
        let most = (choice.len() as f64).ln();
        (sum + entropy / most, count + 1)
    });
    (count > 0).then(|| sum / f64::from(count))
}

/// How many of the searched operators of `architecture` are free; nothing where no choice has such a candidate.
#[must_use]
pub fn skips(space: &Space, architecture: &Architecture) -> Option<Skips> {
    let free = |candidate: &Candidate| matches!(candidate, Candidate::Identity | Candidate::Zero);
    let searched =
        space.operators.iter().zip(&architecture.operators).filter(|(choice, _)| choice.candidates.len() > 1);
    let (mut identity, mut zero, mut offered) = (0, 0, Vec::new());
    for (choice, &chosen) in searched {
        identity += u32::from(choice.candidates[chosen] == Candidate::Identity);
        zero += u32::from(choice.candidates[chosen] == Candidate::Zero);
        let count = choice.candidates.iter().filter(|candidate| free(candidate)).count();
        #[expect(clippy::cast_precision_loss, reason = "candidates are a few")]
        offered.push(count as f64 / choice.candidates.len() as f64);
    }
    offered.iter().any(|&share| share > 0.0).then(|| Skips::new(identity, zero, &offered))
}

/// `probabilities` without `identity` in all choices of each cell but the `most` in which it is likeliest against the
/// runner-up, `p_identity / max other p`; of a chain in all (P-DARTS, Chen et al. 2019: the likeliest skips stay, the
/// others give way).
#[must_use]
pub(super) fn limited(space: &Space, probabilities: &Probabilities, most: usize) -> Probabilities {
    let mut limited = probabilities.clone();
    for (_, mut choices) in skippable(space) {
        let odds = |&(operator, identity): &(OperatorId, usize)| {
            let p = &probabilities.operators[operator.0];
            let others = p.iter().enumerate().filter(|(place, _)| *place != identity).map(|(_, &p)| p);
            p[identity] / others.fold(f64::MIN_POSITIVE, f64::max)
        };
        // Stable: of equals the first stays.
        choices.sort_by(|a, b| odds(b).total_cmp(&odds(a)));
        for (operator, identity) in choices.into_iter().skip(most) {
            limited.operators[operator.0][identity] = 0.0;
        }
    }
    limited
}

/// For each cell, by name, its searched choices that may be `identity`, with its place; a chain is one cell, and cells that
/// share their choices are one.
fn skippable(space: &Space) -> BTreeMap<&str, Vec<(OperatorId, usize)>> {
    let mut cells: BTreeMap<&str, Vec<(OperatorId, usize)>> = BTreeMap::new();
    for (place, choice) in space.operators.iter().enumerate().filter(|(_, choice)| choice.candidates.len() > 1) {
        let identity = choice.candidates.iter().position(|candidate| *candidate == Candidate::Identity);
        let edge = space.edges.iter().find(|edge| edge.operator.0 == place);
        if let (Some(identity), Some(edge)) = (identity, edge) {
            let cell = edge.name.split_once('/').map_or("", |(cell, _)| cell);
            cells.entry(cell).or_default().push((OperatorId(place), identity));
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::tests::small;

    #[test]
    fn entropy_is_one_where_all_is_open_and_nought_where_all_is_chosen() {
        let entropy = |choices: &[&[f64]]| {
            let choices: Vec<Vec<f64>> = choices.iter().map(|choice| choice.to_vec()).collect();
            mean_entropy(choices.iter())
        };
        assert!((entropy(&[&[0.25; 4], &[1.0]]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(entropy(&[&[0.0, 1.0, 0.0]]), Some(0.0));
        assert_eq!(entropy(&[&[1.0]]), None);
        // 1/2, 1/4, 1/4 has 1.5 bits of log2 3; a one-hot choice beside it halves the mean.
        let one = 1.5 / 3.0f64.log2();
        assert!((entropy(&[&[0.5, 0.25, 0.25], &[1.0, 0.0]]).unwrap() - one / 2.0).abs() < 1e-12);
    }

    #[test]
    fn free_operators_are_counted_among_what_is_offered() {
        // Three choices of convolution, identity, zero.
        let space = small();
        let architecture = Architecture { operators: vec![1, 2, 0], widths: vec![0; 3] };
        let skips = skips(&space, &architecture).unwrap();
        assert_eq!((skips.identity, skips.zero, skips.of), (1, 1, 3));
        assert!((skips.offered - 2.0 / 3.0).abs() < 1e-12);
        // Two or three of three at 2/3 each: 3 * 4/27 * 3/3 .. = 12/27 + 8/27.
        assert!((skips.chance - 20.0 / 27.0).abs() < 1e-12);
        let mut fixed = space.clone();
        fixed.operators.iter_mut().for_each(|choice| choice.candidates.truncate(1));
        assert_eq!(super::skips(&fixed, &Architecture { operators: vec![0; 3], widths: vec![0; 3] }), None);
    }

    #[test]
    fn the_likeliest_identities_of_a_cell_stay() {
        let mut space = small();
        let p = Probabilities {
            operators: vec![vec![0.2, 0.5, 0.3], vec![0.3, 0.6, 0.1], vec![0.1, 0.5, 0.4]],
            widths: vec![],
        };
        // Odds 5/3, 2 and 5/4.
        let chosen = |space: &Space, most| limited(space, &p, most).argmax().operators;
        assert_eq!(chosen(&space, 3), [1, 1, 1]);
        assert_eq!(chosen(&space, 2), [1, 1, 2]);
        assert_eq!(chosen(&space, 1), [2, 1, 2]);
        assert_eq!(chosen(&space, 0), [2, 0, 2]);
        // Each in a cell of its own: the limit is for each of them.
        for (place, edge) in space.edges.iter_mut().enumerate() {
            edge.name = format!("cell{}/{place}", place / 2);
        }
        assert_eq!(chosen(&space, 1), [2, 1, 1]);
    }
}
