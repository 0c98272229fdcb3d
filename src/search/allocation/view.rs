//! What a check sees of one width.

use super::settings::{MATURITY, PATIENCE, UNLIKELY};
use super::{Change, Curve, Move, Window};

/// One width in a check.
pub(super) struct View<'a> {
    pub(super) window: &'a Window,
    /// Options that were there before.
    pub(super) left: &'a [usize],
    pub(super) curve: Curve<'a>,
    /// The likeliest option.
    pub(super) current: usize,
    /// The widest option that it may go to.
    pub(super) limit: usize,
    /// The slope, in the objective's unit.
    pub(super) slope: f64,
}

impl View<'_> {
    /// The options to be held: the plausible ones, the present one, and the best below it.
    pub(super) fn wanted(&self, band: f64) -> Vec<usize> {
        let mut wanted = self.curve.plausible([self.slope / band, self.slope * band], self.limit);
        wanted.push(self.current);
        wanted.extend(self.curve.best_below(self.current, self.slope, self.limit));
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// The options that could go: unlikely and, as long as options are added, neither `wanted` nor back again.
    pub(super) fn could_go(&self, wanted: &[usize], stopped: bool) -> Vec<usize> {
        let slots = self.window.slots().iter().zip(self.window.probabilities());
        slots
            .filter(|(slot, p)| *p < UNLIKELY && slot.option != self.current)
            .map(|(slot, _)| slot.option)
            .filter(|option| stopped || !(wanted.contains(option) || self.left.contains(option)))
            .collect()
    }

    /// Those of `could_go` that could in enough checks in a row.
    pub(super) fn ripe(&self, could_go: &[usize]) -> Vec<usize> {
        let slots = self.window.slots().iter().filter(|slot| slot.idle + 1 >= PATIENCE);
        slots.map(|slot| slot.option).filter(|option| could_go.contains(option)).collect()
    }

    /// `gone` without the top and what lies above the new one, where the old top dominates that.
    pub(super) fn without_dominated_top(&self, mut gone: Vec<usize>) -> Vec<usize> {
        let mut kept = self.window.slots().iter().map(|slot| slot.option).filter(|option| !gone.contains(option));
        let top = kept.next_back().unwrap_or(self.current);
        if self.curve.is_dominated(top, self.window.top()) {
            gone.retain(|&option| option < top);
        }
        gone
    }

    /// Whether it holds a wider option than the present one that has not had its time.
    pub(super) fn tries(&self) -> bool {
        self.window.slots().iter().any(|slot| slot.option > self.current && slot.age < MATURITY)
    }

    /// What the best of `options` is better than the present one.
    pub(super) fn gain(&self, options: &[usize]) -> f64 {
        let worth = |option: usize| self.curve.worth(option, self.slope);
        worth(self.current) - options.iter().map(|&option| worth(option)).fold(f64::INFINITY, f64::min)
    }

    pub(super) fn change(&self, group: usize, option: usize, kind: Move) -> Change {
        let mut slots = self.window.slots().iter().zip(self.window.probabilities());
        let probability = slots.find(|(slot, _)| slot.option == option).map(|(_, p)| p);
        let [narrow, wide] = [option.min(self.current), option.max(self.current)];
        let break_even = (narrow < wide).then(|| self.curve.break_even(narrow, wide));
        Change { group, option, kind, slope: self.slope, break_even, probability }
    }
}

/// Of the options above their tops those whose widths try one already, and the ones of greatest gain as long as no more
/// than `growing` widths try one.
pub(super) fn admitted(above: Vec<(bool, f64, Vec<Change>)>, growing: usize) -> Vec<Change> {
    let tried = above.iter().filter(|(tries, ..)| *tries).count();
    let places = growing.saturating_sub(tried);
    let wanted = above.into_iter().filter(|(.., changes)| !changes.is_empty());
    let (trying, mut waiting): (Vec<_>, Vec<_>) = wanted.partition(|(tries, ..)| *tries);
    waiting.sort_by(|a, b| b.1.total_cmp(&a.1));
    trying.into_iter().chain(waiting.into_iter().take(places)).flat_map(|(.., changes)| changes).collect()
}
