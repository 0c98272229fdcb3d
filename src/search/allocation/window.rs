//! The options of one width that a search holds at present, with their logits.

use serde::{Deserialize, Serialize};

use crate::cost::softmax;
use crate::search::adam::AdamConfig;

/// An option in a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// Place in the grid, the options of the width choice.
    pub option: usize,
    /// Its logit.
    pub logit: f64,
    /// Architecture steps since it was added; those of the first window begin as mature.
    pub age: u32,
    /// Checks in a row in which it could have gone.
    pub idle: u32,
    mean: f64,
    square: f64,
    /// Steps of `mean`, from when the option was added.
    steps: i32,
    /// Steps of `square`, which a new option takes over from the others.
    square_steps: i32,
}

impl Slot {
    fn new(option: usize, age: u32) -> Self {
        Self { option, logit: 0.0, age, idle: 0, mean: 0.0, square: 0.0, steps: 0, square_steps: 0 }
    }
}

/// Options in the order of the grid: never none, each once. The widest is what is allocated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    slots: Vec<Slot>,
}

impl Window {
    /// Up to three options up to `start`, all as old as `age`, with equal logits; where nothing lies below `start`, the
    /// next above it as well, since a slope is measured between two.
    #[must_use]
    pub fn new(start: usize, options: usize, age: u32) -> Self {
        let top = if start == 0 { 1.min(options - 1) } else { start };
        Self { slots: (start.saturating_sub(2)..=top).map(|option| Slot::new(option, age)).collect() }
    }

    /// The options in the order of the grid.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The widest option.
    ///
    /// # Panics
    /// Never: a window is never empty.
    #[must_use]
    pub fn top(&self) -> usize {
        self.slots.last().expect("a window is never empty").option
    }

    /// Probability of each of the slots.
    #[must_use]
    pub fn probabilities(&self) -> Vec<f64> {
        softmax(&self.slots.iter().map(|slot| slot.logit).collect::<Vec<f64>>())
    }

    /// The option of the greatest logit, the widest of equals: a first window stands at its edge.
    #[must_use]
    pub fn likeliest(&self) -> usize {
        self.slots.iter().fold(self.slots[0], |best, slot| if slot.logit >= best.logit { *slot } else { best }).option
    }

    /// Whether `option` is in it.
    #[must_use]
    pub fn holds(&self, option: usize) -> bool {
        self.slots.iter().any(|slot| slot.option == option)
    }

    /// The narrowest and the widest option that are as old as `maturity`, where they are two.
    #[must_use]
    pub fn mature(&self, maturity: u32) -> Option<[usize; 2]> {
        let mut mature = self.slots.iter().filter(|slot| slot.age >= maturity).map(|slot| slot.option);
        let first = mature.next()?;
        mature.next_back().map(|last| [first, last])
    }

    /// Adds `option`, unless it is there, with a logit of the greatest plus `lead`. Its moments are nought and the mean of
    /// the others' squares.
    pub(super) fn add(&mut self, option: usize, lead: f64) {
        let Err(place) = self.slots.binary_search_by_key(&option, |slot| slot.option) else { return };
        let most = self.slots.iter().map(|slot| slot.logit).fold(f64::NEG_INFINITY, f64::max);
        #[expect(clippy::cast_precision_loss, reason = "a window holds a few options")]
        let count = self.slots.len() as f64;
        let square = self.slots.iter().map(|slot| slot.square).sum::<f64>() / count;
        let square_steps = self.slots.iter().map(|slot| slot.square_steps).max().unwrap_or(0);
        self.slots.insert(place, Slot { logit: most + lead, square, square_steps, ..Slot::new(option, 0) });
    }

    /// Drops `option`, unless it is the last.
    pub(super) fn drop_option(&mut self, option: usize) {
        if self.slots.len() > 1 {
            self.slots.retain(|slot| slot.option != option);
        }
    }

    /// Counts a check in which the options `could_go` could have gone, and the others not.
    pub(super) fn count_idle(&mut self, could_go: &[usize]) {
        for slot in &mut self.slots {
            slot.idle = if could_go.contains(&slot.option) { slot.idle + 1 } else { 0 };
        }
    }

    /// One step of Adam (Kingma and Ba 2015) against `by_option`, the objective's derivative by the probability of each
    /// slot, through the softmax; means and squares are corrected each by their own number of steps.
    pub(super) fn step(&mut self, config: AdamConfig, by_option: &[f64]) {
        let AdamConfig { learning_rate, beta1, beta2 } = config;
        let p = self.probabilities();
        let mean: f64 = p.iter().zip(by_option).map(|(p, d)| p * d).sum();
        for ((slot, p), d) in self.slots.iter_mut().zip(p).zip(by_option) {
            let gradient = p * (d - mean);
            (slot.steps, slot.square_steps) = (slot.steps + 1, slot.square_steps + 1);
            slot.mean = beta1 * slot.mean + (1.0 - beta1) * gradient;
            slot.square = beta2 * slot.square + (1.0 - beta2) * gradient * gradient;
            let (bias1, bias2) = (1.0 - beta1.powi(slot.steps), 1.0 - beta2.powi(slot.square_steps));
            slot.logit -= learning_rate * (slot.mean / bias1) / ((slot.square / bias2).sqrt() + 1e-8);
        }
    }

    /// One architecture step more for every option.
    pub(super) fn grow_older(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.age = slot.age.saturating_add(1));
    }

    /// Makes `option` the likeliest by far.
    pub(super) fn prefer(&mut self, option: usize, lead: f64) {
        self.add(option, 0.0);
        let most = self.slots.iter().map(|slot| slot.logit).fold(f64::NEG_INFINITY, f64::max);
        self.slots.iter_mut().filter(|slot| slot.option == option).for_each(|slot| slot.logit = most + lead);
    }
}
