//! How DARTS derives an architecture from its logits.

use crate::cost::Probabilities;
use crate::space::{Architecture, Space};

/// The likeliest candidate of every edge, `zero` left out, and for every join its `inputs` strongest edges: the others
/// are cut, where they may be (Liu, Simonyan, Yang 2019, section 2.4).
///
/// The strength of an edge is `max over o != zero of p_o`, the first of equals. Edges that share a choice stay where one
/// of them does. Every join keeps an edge, so the output can be reached.
pub(in crate::search) fn derived(space: &Space, probabilities: &Probabilities, inputs: usize) -> Architecture {
    let mut architecture = probabilities.argmax();
    let mut strengths = Vec::with_capacity(space.operators.len());
    for (operator, p) in probabilities.operators.iter().enumerate() {
        let zero = space.operators[operator].zero();
        let others = (0..p.len()).filter(|&place| Some(place) != zero);
        let best = others.reduce(|best, place| if p[place] > p[best] { place } else { best });
        architecture.operators[operator] = best.unwrap_or(0);
        strengths.push(best.map_or(0.0, |best| p[best]));
    }
    let kept = kept(space, &strengths, inputs);
    for (operator, _) in kept.into_iter().enumerate().filter(|(_, kept)| !kept) {
        if let Some(zero) = space.operators[operator].zero() {
            architecture.operators[operator] = zero;
        }
    }
    architecture
}

/// Whether an edge of each operator choice is among the `inputs` strongest of its join.
fn kept(space: &Space, strengths: &[f64], inputs: usize) -> Vec<bool> {
    let mut kept = vec![false; strengths.len()];
    for join in 1..space.joins.len() {
        let into = space.edges.iter().filter(|edge| edge.to.0 == join);
        let mut operators: Vec<usize> = into.map(|edge| edge.operator.0).collect();
        // Stable: the first of equals stays first.
        operators.sort_by(|&a, &b| strengths[b].total_cmp(&strengths[a]));
        for operator in operators.into_iter().take(inputs) {
            kept[operator] = true;
        }
    }
    kept
}
