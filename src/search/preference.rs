//! One search conditioned on the preference, whose sweep is a front.
//!
//! The logits of every choice are functions of a preference `z` from 0 to 1: how much of a network's judgement is its
//! second objective (latency) rather than its first (error). Networks are drawn at a few preferences in each step and
//! judged by one augmented Chebyshev scalar for each preference; at the end the likeliest networks over a sweep of
//! preferences are the fan.
//!
//! ```text
//! logits(z)   = alpha + sum_q hat_q(z) D_q                    hats over an even grid of knots
//! f_i         = (log o_i - least_i) / range_i                 least and range over the front of what was judged
//! R_z         = max_i a_i f_i + rho sum_i a_i f_i             a = (1 - z, z)
//! gradient    = (R - b(z)) (onehot(x) - p)                    score function, b a running mean in bins of z
//!             + imitation (p - mean onehot of the best judged for z)
//!             + entropy (1 - progress) p (log p - sum p log p)
//! z_j         = (j + frac(0.618 k)) / P, j = 0 .. P - 1       the grid of step k, which shifts
//! ```
//!
//! The conditioning follows Pareto Manifold Learning (Dimitriadis et al. 2023) and PaLoRA (Dimitriadis et al. 2024), which
//! put it on weights; latency has no gradient to weights, so here it is on logits. Affine functions cannot hold a front that
//! returns to options it has left, piecewise linear ones can.

mod file;

use rand_chacha::ChaCha8Rng;

use super::adam::{Adam, AdamConfig};
use super::sample::{normals, uniform};
use crate::cost::Probabilities;
use crate::space::{Architecture, Space};

pub use file::{PreferenceFile, PreferenceSettings};

/// Preferences of the sweep at the end.
pub const SWEEP: u32 = 101;
/// Fewest networks of a fan that has not collapsed.
pub const LEAST_FAN: usize = 4;
/// Standard deviation of the first logits.
const SPREAD: f64 = 0.01;
/// Bins of preferences that have a mean reward of their own.
const BINS: usize = 11;
/// Part of the running mean that stays.
const KEPT: f64 = 0.9;
/// How the grid shifts from step to step: the fraction of the golden ratio.
const SHIFT: f64 = 0.618_033_988_749_894_8;
/// Least objective whose logarithm is taken: an error of none has none.
const LEAST: f64 = 1e-9;
/// Logit of the best networks' options where a fan is restarted.
const RESTART: f64 = 3.0;

/// Error and latency, or any other two objectives to be minimised, above 0.
pub type Objectives = [f64; 2];

/// Where a front begins and how far it goes, in logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogScale {
    least: [f64; 2],
    range: [f64; 2],
}

impl LogScale {
    /// The scale of the points of a front.
    #[must_use]
    pub fn of(front: impl Iterator<Item = Objectives> + Clone) -> Self {
        let logs = |i: usize| front.clone().map(move |point| point[i].max(LEAST).ln());
        let least = [0, 1].map(|i| logs(i).fold(f64::INFINITY, f64::min));
        let range = [0, 1].map(|i| logs(i).fold(f64::NEG_INFINITY, f64::max) - least[i]);
        Self { least, range: range.map(|range| if range > LEAST { range } else { 1.0 }) }
    }

    /// Shares of the front's range.
    fn scaled(&self, objectives: Objectives) -> [f64; 2] {
        [0, 1].map(|i| (objectives[i].max(LEAST).ln() - self.least[i]) / self.range[i])
    }

    /// The augmented Chebyshev scalar at the preference `z`; less is better.
    #[must_use]
    pub fn scalar(&self, z: f64, rho: f64, objectives: Objectives) -> f64 {
        let [a, b] = self.scaled(objectives);
        let (a, b) = ((1.0 - z) * a, z * b);
        a.max(b) + rho * (a + b)
    }
}

/// A network that was judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// 1 at each choice that it makes.
    pub one_hot: Probabilities,
    /// What it has.
    pub objectives: Objectives,
}

/// A draw of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The preference.
    pub z: f64,
    /// 1 at each choice that was drawn.
    pub one_hot: Probabilities,
}

/// The search: logits over preferences, and what moves them.
#[derive(Debug, Clone)]
pub struct PreferenceSearch {
    settings: PreferenceSettings,
    /// `alpha`, then `D_q` for each knot.
    parameters: Vec<Probabilities>,
    adams: Vec<Adam>,
    means: [Option<f64>; BINS],
    step: u32,
}

impl PreferenceSearch {
    /// Logits near 0.
    #[must_use]
    pub fn new(space: &Space, settings: PreferenceSettings, draws: &mut ChaCha8Rng) -> Self {
        let zeros = Probabilities::zeros(space);
        let mut parameters = vec![zeros.clone(); settings.knots as usize + 1];
        for logit in parameters.iter_mut().flat_map(|parameters| parameters.choices_mut().flatten()) {
            *logit = SPREAD * normals(draws)[0];
        }
        let adams = vec![Adam::new(zeros); parameters.len()];
        Self { settings, parameters, adams, means: [None; BINS], step: 0 }
    }

    /// The preferences of the next step.
    #[must_use]
    pub fn grid(&self) -> Vec<f64> {
        let shift = (SHIFT * f64::from(self.step)).fract();
        let count = f64::from(self.settings.preferences);
        (0..self.settings.preferences).map(|j| (f64::from(j) + shift) / count).collect()
    }

    /// The two knots beside `z`, with their weights.
    fn hats(&self, z: f64) -> [(usize, f64); 2] {
        let last = self.settings.knots as usize - 1;
        let at = z.clamp(0.0, 1.0) * last as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the number of knots")]
        let low = (at.floor() as usize).min(last - 1);
        let part = at - low as f64;
        [(low, 1.0 - part), (low + 1, part)]
    }

    /// Logits at the preference `z`.
    fn logits(&self, z: f64) -> Probabilities {
        let mut logits = self.parameters[0].clone();
        for (knot, weight) in self.hats(z) {
            logits.add_scaled(&self.parameters[knot + 1], weight);
        }
        logits
    }

    /// A network drawn at the preference `z`.
    #[must_use]
    pub fn draw(&self, z: f64, draws: &mut ChaCha8Rng) -> Drawn {
        let mut one_hot = self.logits(z).softmax();
        for choice in one_hot.choices_mut() {
            let mut left = uniform(draws);
            let drawn = choice.iter().position(|part| {
                left -= part;
                left < 0.0
            });
            // Rounding may leave a rest.
            let drawn = drawn.unwrap_or(choice.len() - 1);
            choice.iter_mut().enumerate().for_each(|(option, part)| *part = f64::from(u8::from(option == drawn)));
        }
        Drawn { z, one_hot }
    }

    /// One step on the draws of its grid, each with its objectives; `judged` is all that was judged so far, `scale` that of
    /// its front, `progress` the part of the search that is done, from 0 to 1.
    pub fn learn(&mut self, drawn: &[(Drawn, Objectives)], judged: &[Judged], (scale, progress): (&LogScale, f64)) {
        let PreferenceSettings { imitation, entropy, rho, .. } = self.settings;
        let mut gradients: Vec<Option<Probabilities>> = vec![None; self.parameters.len()];
        for (Drawn { z, one_hot }, objectives) in drawn {
            let p = self.logits(*z).softmax();
            let reward = scale.scalar(*z, rho, *objectives);
            let mut gradient = one_hot.clone();
            gradient.add_scaled(&p, -1.0);
            let mut gradient = gradient.scaled(self.advantage(*z, reward));
            gradient.add_scaled(&p, imitation);
            gradient.add_scaled(&self.best(*z, judged, scale), -imitation);
            gradient.add_scaled(&entropy_slope(&p), entropy * (1.0 - progress));
            let part = 1.0 / drawn.len() as f64;
            let mut add = |place: usize, weight: f64| match &mut gradients[place] {
                Some(sum) => sum.add_scaled(&gradient, weight),
                empty => *empty = Some(gradient.scaled(weight)),
            };
            add(0, part);
            self.hats(*z).into_iter().for_each(|(knot, weight)| add(knot + 1, part * weight));
        }
        let config = AdamConfig { learning_rate: self.settings.learning_rate, beta1: 0.9, beta2: 0.99 };
        for ((parameters, adam), gradient) in self.parameters.iter_mut().zip(&mut self.adams).zip(gradients) {
            let gradient = gradient.unwrap_or_else(|| parameters.scaled(0.0));
            adam.step(config, parameters, &gradient);
        }
        self.step += 1;
    }

    /// `reward` over the mean of its bin until then; 0 at the first visit.
    fn advantage(&mut self, z: f64, reward: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the number of bins")]
        let bin = ((z * BINS as f64) as usize).min(BINS - 1);
        let mean = self.means[bin].unwrap_or(reward);
        self.means[bin] = Some(KEPT * mean + (1.0 - KEPT) * reward);
        reward - mean
    }

    /// The mean of the judged networks that are best at `z`.
    fn best(&self, z: f64, judged: &[Judged], scale: &LogScale) -> Probabilities {
        let scalar = |one: &Judged| scale.scalar(z, self.settings.rho, one.objectives);
        let mut order: Vec<(f64, &Judged)> = judged.iter().map(|one| (scalar(one), one)).collect();
        let count = (self.settings.top as usize).min(order.len());
        let mut mean = self.parameters[0].scaled(0.0);
        if count == 0 {
            return mean;
        }
        order.select_nth_unstable_by(count - 1, |(a, _), (b, _)| a.total_cmp(b));
        order[..count].iter().for_each(|(_, one)| mean.add_scaled(&one.one_hot, 1.0 / count as f64));
        mean
    }

    /// The likeliest network at each preference of a sweep of [`SWEEP`], each once with its first preference.
    #[must_use]
    pub fn fan(&self) -> Vec<(f64, Architecture)> {
        let mut fan: Vec<(f64, Architecture)> = Vec::new();
        for number in 0..SWEEP {
            let z = f64::from(number) / f64::from(SWEEP - 1);
            let network = self.logits(z).argmax();
            if !fan.iter().any(|(_, other)| *other == network) {
                fan.push((z, network));
            }
        }
        fan
    }

    /// Whether the fan has collapsed: it has fewer than [`LEAST_FAN`] networks, and the best of `judged` over the same
    /// preferences are more.
    #[must_use]
    pub fn has_collapsed(&self, judged: &[Judged], scale: &LogScale) -> bool {
        if self.fan().len() >= LEAST_FAN {
            return false;
        }
        let mut best: Vec<usize> = Vec::new();
        for number in 0..SWEEP {
            let z = f64::from(number) / f64::from(SWEEP - 1);
            let scalar = |one: &Judged| scale.scalar(z, self.settings.rho, one.objectives);
            let least = (0..judged.len()).min_by(|&a, &b| scalar(&judged[a]).total_cmp(&scalar(&judged[b])));
            best.extend(least.filter(|place| !best.contains(place)));
        }
        best.len() >= LEAST_FAN
    }

    /// Puts the logits of each knot to the best of `judged` at its preference, and forgets all moments.
    pub fn restart(&mut self, judged: &[Judged], scale: &LogScale) {
        let last = f64::from(self.settings.knots - 1);
        let zeros = self.parameters[0].scaled(0.0);
        let at_knots: Vec<Probabilities> = (0..self.settings.knots)
            .map(|knot| self.best(f64::from(knot) / last, judged, scale).scaled(RESTART))
            .collect();
        self.adams = vec![Adam::new(zeros.clone()); self.parameters.len()];
        self.parameters = std::iter::once(zeros).chain(at_knots).collect();
        self.means = [None; BINS];
    }
}

/// `p (log p - sum p log p)`, the slope of the negative entropy to the logits.
fn entropy_slope(p: &Probabilities) -> Probabilities {
    p.map(|choice| {
        let log = |part: f64| part.max(f64::MIN_POSITIVE).ln();
        let mean: f64 = choice.iter().map(|part| part * log(*part)).sum();
        choice.iter().map(|part| part * (log(*part) - mean)).collect()
    })
}

#[cfg(test)]
mod tests;
