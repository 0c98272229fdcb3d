//! Every pattern of cuts: the weight of a term is a polynomial of the probabilities of `zero`, folded choice by choice.

use std::collections::HashMap;

use super::Sum;
use crate::cost::dot::dot;
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
        // Levels, one behind the other: the values, then half as many for each choice, the last choice summed first.
        let mut levels = vec![0.0; 2 * values.len()];
        levels[..values.len()].copy_from_slice(values);
        let mut start = 0;
        for (choice, cut) in cuts.iter().enumerate().rev() {
            let half = 1 << choice;
            let (before, after) = levels[start..].split_at_mut(2 * half);
            let (there, gone) = before.split_at(half);
            for ((slot, there), gone) in after.iter_mut().zip(there).zip(gone) {
                *slot = there * (1.0 - cut) + gone * cut;
            }
            start += 2 * half;
        }
        let value = levels[start];
        let mut slopes = vec![0.0; cuts.len()];
        // Derivative by each value of the level.
        let mut by = vec![0.0; values.len()];
        by[0] = 1.0;
        for (choice, cut) in cuts.iter().enumerate() {
            let half = 1 << choice;
            start -= 2 * half;
            let (there, gone) = levels[start..start + 2 * half].split_at(half);
            slopes[choice] = dot(gone, &by[..half]) - dot(there, &by[..half]);
            let (there, gone) = by[..2 * half].split_at_mut(half);
            for (there, gone) in there.iter_mut().zip(gone) {
                *gone = *there * cut;
                *there *= 1.0 - cut;
            }
        }
        Self { value, slopes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_polynomial_is_the_sum_over_its_patterns() {
        let cuts = [0.25, 0.5, 0.0, 1.0, 0.7];
        let values: Vec<f64> = (0..32).map(|s| f64::from(s * s % 7)).collect();
        let phi = |s: usize, d: usize, cuts: &[f64]| if s >> d & 1 == 1 { cuts[d] } else { 1.0 - cuts[d] };
        let sum = |cuts: &[f64]| -> f64 {
            values.iter().enumerate().map(|(s, value)| value * (0..5).map(|d| phi(s, d, cuts)).product::<f64>()).sum()
        };
        let folded = Folded::new(&values, &cuts);
        assert!((folded.value - sum(&cuts)).abs() < 1e-12);
        for choice in 0..5 {
            // The sum is linear in each cut, so its slope is the difference between cut and not cut.
            let at = |cut: f64| {
                let mut moved = cuts;
                moved[choice] = cut;
                sum(&moved)
            };
            assert!((folded.slopes[choice] - (at(1.0) - at(0.0))).abs() < 1e-12, "{choice}");
        }
    }

    #[test]
    fn nothing_to_cut_leaves_the_only_value() {
        let folded = Folded::new(&[3.0], &[]);
        assert_eq!((folded.value, folded.slopes), (3.0, Vec::new()));
    }
}
