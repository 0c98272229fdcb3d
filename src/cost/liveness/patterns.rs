//! Every pattern of cuts: the weight of a term is a polynomial of the probabilities of `zero`, folded choice by choice.

use std::collections::HashMap;

use super::Sum;
use crate::space::Space;

/// For each class of terms whether it is paid, in every pattern of cuts.
///
/// ```text
/// weight = sum_s paid(s) prod_(d not own) phi_d(s) / sum_(s reached) prod_d phi_d(s)
/// ```
///
/// with patterns `s` and `phi_d` the probability that choice `d` is cut or not as `s` says; the own choice of an edge is
/// left out, since its cost is that of an edge which is there. A pattern lets the output be reached where any edge is
/// live.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    choices: usize,
    classes: Vec<Class>,
    /// Class of each term.
    class_of: Vec<usize>,
    /// 1 where the output is reached, for each pattern.
    reached: Vec<f64>,
}

#[derive(Debug, Clone)]
struct Class {
    own: Option<usize>,
    /// 1 where the terms are paid, for each pattern.
    paid: Vec<f64>,
}

/// Derivatives of weights.
#[derive(Debug, Clone)]
pub(super) struct Slopes {
    choices: usize,
    /// For each term `d weight / d P(zero)` of every choice.
    of_terms: Vec<Vec<f64>>,
}

impl Slopes {
    pub(super) fn by_cut(&self, costs: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.choices];
        for (slopes, cost) in self.of_terms.iter().zip(costs).filter(|(_, cost)| **cost != 0.0) {
            sum.iter_mut().zip(slopes).for_each(|(slot, slope)| *slot += cost * slope);
        }
        sum
    }
}

impl Patterns {
    pub(super) fn new(space: &Space, cuttable: &[usize], sums: &[Sum]) -> Self {
        let bits: Vec<Option<usize>> =
            space.edges.iter().map(|edge| cuttable.iter().position(|&operator| operator == edge.operator.0)).collect();
        let patterns = 1usize << cuttable.len();
        let mut paid = vec![vec![false; patterns]; space.edges.len() + sums.len()];
        let mut reached = Vec::with_capacity(patterns);
        for pattern in 0..patterns {
            let cut = |place: usize| bits[place].is_some_and(|bit| pattern >> bit & 1 == 1);
            let live = space.live_places(cut);
            let mut into = vec![0; space.joins.len()];
            for (place, _) in live.iter().enumerate().filter(|(_, live)| **live) {
                paid[place][pattern] = true;
                into[space.edges[place].to.0] += 1;
            }
            for (slot, sum) in paid[space.edges.len()..].iter_mut().zip(sums) {
                slot[pattern] = into[sum.join] == sum.branches;
            }
            reached.push(if live.is_empty() || live.contains(&true) { 1.0 } else { 0.0 });
        }
        let own = bits.into_iter().chain(sums.iter().map(|_| None));
        let (classes, class_of) = classes(own.zip(paid));
        Self { choices: cuttable.len(), classes, class_of, reached }
    }

    /// Weights of the terms with their derivatives, where `cuts` are the probabilities of `zero`.
    pub(super) fn at(&self, cuts: &[f64]) -> (Vec<f64>, Slopes) {
        let reached = Folded::new(&self.reached, cuts);
        let scale = if reached.value > 0.0 { 1.0 / reached.value } else { 0.0 };
        let of_class = |class: &Class| {
            let mut cuts = cuts.to_vec();
            class.own.into_iter().for_each(|own| cuts[own] = 0.0);
            let mut paid = Folded::new(&class.paid, &cuts);
            class.own.into_iter().for_each(|own| paid.slopes[own] = 0.0);
            let weight = paid.value * scale;
            let slopes = paid.slopes.iter().zip(&reached.slopes).map(|(slope, by)| (slope - weight * by) * scale);
            (weight, slopes.collect::<Vec<f64>>())
        };
        let of_classes: Vec<(f64, Vec<f64>)> = self.classes.iter().map(of_class).collect();
        let weights = self.class_of.iter().map(|&class| of_classes[class].0).collect();
        let of_terms = self.class_of.iter().map(|&class| of_classes[class].1.clone()).collect();
        (weights, Slopes { choices: self.choices, of_terms })
    }
}

/// Terms that are paid in the same patterns and leave out the same choice are one.
fn classes(terms: impl Iterator<Item = (Option<usize>, Vec<bool>)>) -> (Vec<Class>, Vec<usize>) {
    let mut seen = HashMap::new();
    let mut classes = Vec::new();
    let mut class_of = Vec::new();
    for (own, paid) in terms {
        let place = *seen.entry((own, paid.clone())).or_insert_with(|| {
            classes.push(Class { own, paid: paid.iter().map(|&paid| f64::from(u8::from(paid))).collect() });
            classes.len() - 1
        });
        class_of.push(place);
    }
    (classes, class_of)
}

/// `sum_s values[s] prod_d phi_d(s)` and its derivative by each cut; bit `d` of `s` says whether `d` is cut.
struct Folded {
    value: f64,
    slopes: Vec<f64>,
}

impl Folded {
    fn new(values: &[f64], cuts: &[f64]) -> Self {
        // Level d, from `starts[d]`: the sum over the patterns of the first d choices, for each pattern of the others.
        let mut levels = Vec::with_capacity(2 * values.len());
        levels.extend_from_slice(values);
        let mut starts = vec![0];
        for cut in cuts {
            let (start, end) = (starts[starts.len() - 1], levels.len());
            for pair in (start..end).step_by(2) {
                levels.push(levels[pair] * (1.0 - cut) + levels[pair + 1] * cut);
            }
            starts.push(end);
        }
        let mut slopes = vec![0.0; cuts.len()];
        // Derivative by each value of the level.
        let mut by = vec![1.0];
        for (choice, cut) in cuts.iter().enumerate().rev() {
            let level = &levels[starts[choice]..starts[choice + 1]];
            slopes[choice] = level.chunks_exact(2).zip(&by).map(|(pair, by)| by * (pair[1] - pair[0])).sum();
            by = by.iter().flat_map(|by| [by * (1.0 - cut), by * cut]).collect();
        }
        Self { value: levels[levels.len() - 1], slopes }
    }
}
