//! Widths of joins: what is chosen, and what follows from choices.
//!
//! A width **choice** is free: it has logits, stands in architecture files and histories. A **sum** of choices is the
//! width of a concatenation: it has options and a distribution, but none of its own to choose. So have a **branch** and a
//! **maximum**, which follow from operators as well: the widths of joins that project.

use super::{BranchId, MaxId, Space};

/// Place of a width choice in [`Space::widths`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WidthId(pub usize);

/// Place of a sum of widths in [`Space::sums`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SumId(pub usize);

/// The width of a join: joins of equal `Width` have one number of channels by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Width {
    /// It is chosen.
    Choice(WidthId),
    /// It follows from what is chosen.
    Sum(SumId),
    /// It follows from the operator of an edge: what that chooses, or copies.
    Branch(BranchId),
    /// It is the widest of several live branches.
    Max(MaxId),
}

impl From<WidthId> for Width {
    fn from(id: WidthId) -> Self {
        Self::Choice(id)
    }
}

/// Numbers of channels that a join may have, narrowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WidthChoice {
    /// Name in architecture files.
    pub name: String,
    /// Channels, strictly increasing, at least one option.
    pub options: Vec<u64>,
}

/// The channels of a concatenation: those of its parts, one behind the other.
///
/// With parts of independent choices its distribution is the convolution of theirs; `n` parts of one choice are `n` times
/// that choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WidthSum {
    parts: Vec<WidthId>,
    options: Vec<u64>,
    folds: Vec<Fold>,
}

/// A choice that is added to the sum of those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fold {
    choice: WidthId,
    /// Options of the choice.
    row: usize,
    /// Option of the sum so far, by `[option of the sum before][option of the choice]`.
    places: Vec<usize>,
    /// Options of the sum so far.
    options: usize,
}

impl WidthSum {
    /// The sum of `parts`, choices among `widths`, in the order of their channels.
    ///
    /// # Panics
    /// Where `parts` is empty.
    #[must_use]
    pub fn new(parts: Vec<WidthId>, widths: &[WidthChoice]) -> Self {
        assert!(!parts.is_empty(), "a concatenation has a part");
        let mut choices: Vec<(WidthId, u64)> = Vec::new();
        for &part in &parts {
            match choices.iter_mut().find(|(choice, _)| *choice == part) {
                Some((_, times)) => *times += 1,
                None => choices.push((part, 1)),
            }
        }
        let mut options = vec![0];
        let mut folds = Vec::with_capacity(choices.len());
        for (choice, times) in choices {
            let added = &widths[choice.0].options;
            let sums: Vec<u64> = options.iter().flat_map(|sum| added.iter().map(move |c| sum + times * c)).collect();
            options = sums.clone();
            options.sort_unstable();
            options.dedup();
            let place = |sum: &u64| options.binary_search(sum).expect("every sum is an option");
            let places = sums.iter().map(place).collect();
            folds.push(Fold { choice, row: added.len(), places, options: options.len() });
        }
        Self { parts, options, folds }
    }

    /// The choices of the parts, in the order of their channels.
    #[must_use]
    pub fn parts(&self) -> &[WidthId] {
        &self.parts
    }

    /// Channels, strictly increasing.
    #[must_use]
    pub fn options(&self) -> &[u64] {
        &self.options
    }

    /// Every choice in it once, with what turns an option of the sum before and one of the choice, row by row, into an
    /// option of the sum so far, and how many of those there are.
    pub fn folds(&self) -> impl Iterator<Item = (WidthId, &[usize], usize)> {
        self.folds.iter().map(|fold| (fold.choice, fold.places.as_slice(), fold.options))
    }

    /// The option that the sum has where the choices have the options `chosen`.
    #[must_use]
    pub fn option(&self, chosen: &[usize]) -> usize {
        self.folds.iter().fold(0, |before, fold| fold.places[before * fold.row + chosen[fold.choice.0]])
    }

    /// `P(sum = option)` where the choices follow `widths`, independently.
    #[must_use]
    pub fn distribution(&self, widths: &[Vec<f64>]) -> Vec<f64> {
        self.distributions(widths).pop().unwrap_or_else(|| vec![1.0])
    }

    /// The distribution before every fold and after the last.
    fn distributions(&self, widths: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut all = vec![vec![1.0]];
        for fold in &self.folds {
            let mut after = vec![0.0; fold.options];
            for (before, row) in all[all.len() - 1].iter().zip(fold.places.chunks_exact(fold.row)) {
                for (&place, p) in row.iter().zip(&widths[fold.choice.0]) {
                    after[place] += before * p;
                }
            }
            all.push(after);
        }
        all
    }

    /// Adds to `gradient`, one number for every option of every choice, what a number owes to the choices, given its
    /// derivatives `by` the distribution.
    pub fn pull(&self, widths: &[Vec<f64>], by: &[f64], gradient: &mut [Vec<f64>]) {
        let distributions = self.distributions(widths);
        let mut by = by.to_vec();
        for (fold, before) in self.folds.iter().zip(&distributions).rev() {
            let mut by_before = vec![0.0; before.len()];
            let rows = before.iter().zip(&mut by_before).zip(fold.places.chunks_exact(fold.row));
            for ((before, slope), row) in rows {
                let slots = gradient[fold.choice.0].iter_mut().zip(&widths[fold.choice.0]);
                for ((slot, p), &place) in slots.zip(row) {
                    *slot += before * by[place];
                    *slope += p * by[place];
                }
            }
            by = by_before;
        }
    }
}

impl Space {
    /// Place of `width` among all: choices first, then sums, then what follows from operators, too.
    #[must_use]
    pub fn slot(&self, width: Width) -> usize {
        match width {
            Width::Choice(id) => id.0,
            Width::Sum(id) => self.widths.len() + id.0,
            Width::Branch(id) => self.first_follower() + id.0,
            Width::Max(id) => self.first_follower() + self.branches.len() + id.0,
        }
    }

    /// Place of the first width that follows from operators, too.
    #[must_use]
    pub fn first_follower(&self) -> usize {
        self.widths.len() + self.sums.len()
    }

    /// Number of widths: choices, sums, branches and maxima. Behind their slots each [`Projection`](super::Projection) has
    /// one, for the pair of widths at its ends.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.first_follower() + self.branches.len() + self.maxima.len()
    }

    /// Every width, in the order of [`Space::slot`].
    pub fn all_widths(&self) -> impl Iterator<Item = Width> {
        let choices = (0..self.widths.len()).map(|choice| Width::Choice(WidthId(choice)));
        let sums = (0..self.sums.len()).map(|sum| Width::Sum(SumId(sum)));
        let branches = (0..self.branches.len()).map(|branch| Width::Branch(BranchId(branch)));
        let maxima = (0..self.maxima.len()).map(|most| Width::Max(MaxId(most)));
        choices.chain(sums).chain(branches).chain(maxima)
    }

    /// Numbers of channels that `width` may be, strictly increasing.
    #[must_use]
    pub fn options_of(&self, width: Width) -> &[u64] {
        match width {
            Width::Choice(id) => &self.widths[id.0].options,
            Width::Sum(id) => self.sums[id.0].options(),
            Width::Branch(id) => &self.branches[id.0].options,
            Width::Max(id) => &self.maxima[id.0].options,
        }
    }

    /// Channels of `width` where the choices have the options `chosen`; of branches and maxima, which follow from operators
    /// as well, the most that it may then be ([`Space::channels_of`] knows the operators).
    #[must_use]
    pub fn channels(&self, width: Width, chosen: &[usize]) -> u64 {
        match width {
            Width::Choice(id) => self.widths[id.0].options[chosen[id.0]],
            Width::Sum(id) => self.sums[id.0].options()[self.sums[id.0].option(chosen)],
            Width::Branch(_) | Width::Max(_) => self.most_channels(width, chosen),
        }
    }

    /// The choices that `width` follows from: of a sum in the order of their channels, of what follows from operators as
    /// well all that it may follow from.
    #[must_use]
    pub fn parts(&self, width: Width) -> Vec<WidthId> {
        match width {
            Width::Choice(id) => vec![id],
            Width::Sum(id) => self.sums[id.0].parts().to_vec(),
            Width::Branch(_) | Width::Max(_) => self.followed_parts(width),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn choice(options: &[u64]) -> WidthChoice {
        WidthChoice { name: "w".to_owned(), options: options.to_vec() }
    }

    #[test]
    fn options_are_the_distinct_sums() {
        let widths = [choice(&[2, 4]), choice(&[3]), choice(&[2, 6])];
        // 2 or 4, and 3, and 2 or 6: 7, 9, 11, 13.
        let sum = WidthSum::new(vec![WidthId(0), WidthId(1), WidthId(2)], &widths);
        assert_eq!(sum.options(), [7, 9, 11, 13]);
        assert_eq!(sum.option(&[1, 0, 1]), 3);
        // 2 + 2, 2 + 4 or 4 + 2, 4 + 4: two ways to 6.
        let equal = WidthSum::new(vec![WidthId(0), WidthId(1)], &[choice(&[2, 4]), choice(&[2, 4])]);
        assert_eq!(equal.options(), [4, 6, 8]);
        assert_eq!(equal.distribution(&[vec![0.5, 0.5], vec![0.25, 0.75]]), [0.125, 0.5, 0.375]);
    }

    #[test]
    fn parts_of_one_choice_are_a_multiple_of_it_and_no_convolution() {
        let sum = WidthSum::new(vec![WidthId(0), WidthId(0), WidthId(0)], &[choice(&[2, 4])]);
        assert_eq!(sum.options(), [6, 12]);
        assert_eq!(sum.distribution(&[vec![0.25, 0.75]]), [0.25, 0.75]);
    }

    /// Up to three choices of up to four options, and parts that may repeat.
    fn problems() -> impl Strategy<Value = (Vec<Vec<u64>>, Vec<usize>, Vec<Vec<f64>>)> {
        let options = prop::collection::btree_set(1u64..40, 1..5).prop_map(|set| set.into_iter().collect::<Vec<_>>());
        (prop::collection::vec(options, 1..4), prop::collection::vec(0usize..3, 1..5)).prop_flat_map(
            |(widths, parts)| {
                let numbers: Vec<_> =
                    widths.iter().map(|options| prop::collection::vec(0.0..1.0, options.len())).collect();
                let parts = parts.into_iter().map(|part| part % widths.len()).collect::<Vec<_>>();
                (Just(widths), Just(parts), numbers)
            },
        )
    }

    /// Every option of every choice with its sum and the product of its numbers over the choices in the sum.
    fn naive(widths: &[Vec<u64>], parts: &[usize], numbers: &[Vec<f64>]) -> Vec<(Vec<usize>, u64, f64)> {
        let mut all = vec![Vec::new()];
        for options in widths {
            let longer = |chosen: &Vec<usize>| {
                let chosen = chosen.clone();
                (0..options.len()).map(move |option| chosen.iter().copied().chain([option]).collect::<Vec<usize>>())
            };
            all = all.iter().flat_map(longer).collect();
        }
        let in_sum = |choice: &usize| parts.contains(choice);
        let one = |chosen: Vec<usize>| {
            let sum = parts.iter().map(|&part| widths[part][chosen[part]]).sum();
            let product = (0..widths.len()).filter(in_sum).map(|choice| numbers[choice][chosen[choice]]).product();
            (chosen, sum, product)
        };
        all.into_iter().map(one).collect()
    }

    proptest! {
        #[test]
        fn the_distribution_is_that_of_all_ways_to_choose((widths, parts, numbers) in problems()) {
            let choices: Vec<WidthChoice> = widths.iter().map(|options| choice(options)).collect();
            let sum = WidthSum::new(parts.iter().map(|&part| WidthId(part)).collect(), &choices);
            let all = naive(&widths, &parts, &numbers);
            let free: usize = (0..widths.len()).filter(|choice| !parts.contains(choice)).map(|c| widths[c].len()).product();
            let found = sum.distribution(&numbers);
            let mut wanted = vec![0.0; sum.options().len()];
            for (chosen, channels, product) in all {
                prop_assert_eq!(sum.options()[sum.option(&chosen)], channels);
                wanted[sum.option(&chosen)] += product / free as f64;
            }
            prop_assert!(sum.options().is_sorted_by(|a, b| a < b));
            for (found, wanted) in found.iter().zip(wanted) {
                prop_assert!((found - wanted).abs() < 1e-12, "{} {}", found, wanted);
            }
        }

        #[test]
        fn what_is_pulled_back_agrees_with_central_differences((widths, parts, numbers) in problems()) {
            let choices: Vec<WidthChoice> = widths.iter().map(|options| choice(options)).collect();
            let sum = WidthSum::new(parts.iter().map(|&part| WidthId(part)).collect(), &choices);
            let by: Vec<f64> = (0..sum.options().len()).map(|option| (option * option % 7) as f64 - 2.0).collect();
            let value = |numbers: &[Vec<f64>]| -> f64 {
                sum.distribution(numbers).iter().zip(&by).map(|(p, by)| p * by).sum()
            };
            let mut gradient: Vec<Vec<f64>> = numbers.iter().map(|numbers| vec![0.0; numbers.len()]).collect();
            sum.pull(&numbers, &by, &mut gradient);
            for choice in 0..numbers.len() {
                for option in 0..numbers[choice].len() {
                    // The value is linear in each number.
                    let moved = |step: f64| {
                        let mut moved = numbers.clone();
                        moved[choice][option] += step;
                        value(&moved)
                    };
                    let difference = (moved(0.5) - moved(-0.5)) / 1.0;
                    prop_assert!((gradient[choice][option] - difference).abs() < 1e-9);
                }
            }
        }
    }
}
