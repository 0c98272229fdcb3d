//! Draws of choices: Gumbel-softmax over architecture parameters.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::paths::Paths;
use super::task::At;
use crate::cost::{Probabilities, softmax};

/// `max(floor, start * decay^epoch)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature {
    /// In the first epoch of a stage.
    pub start: f64,
    /// Factor from epoch to epoch.
    pub decay: f64,
    /// Never below.
    pub floor: f64,
}

impl Temperature {
    /// The temperature in `epoch` of a stage, from 0.
    #[must_use]
    pub fn at(&self, epoch: u32) -> f64 {
        (self.start * self.decay.powf(f64::from(epoch))).max(self.floor)
    }

    /// On the line from `start` in the first of `epochs` epochs to `floor` in the last, in `epoch`, from 0.
    #[must_use]
    pub fn linear(&self, epoch: u32, epochs: u32) -> f64 {
        let share = f64::from(epoch) / f64::from(epochs.saturating_sub(1).max(1));
        self.start + (self.floor - self.start) * share
    }
}

/// One draw of every choice: `softmax((alpha + gumbel) / tau)`, and the strongest of `alpha + gumbel`.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// The soft weights.
    pub soft: Probabilities,
    /// `alpha + gumbel`.
    perturbed: Probabilities,
    tau: f64,
    /// 1 for the options that the task's gradient passes through; nothing where that is all of them.
    through: Option<Probabilities>,
}

/// Streams of random numbers: what is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A weight step.
    Weights,
    /// An architecture step.
    Architecture,
    /// The first parameters.
    Initial,
    /// An architecture that is to be judged.
    Proposal,
    /// Architectures to be judged.
    Judged,
    /// Networks to be read from a table.
    Reading,
}

/// The random stream of one purpose at one place of the search: a function of its arguments alone.
pub(crate) fn stream(seed: u64, purpose: Purpose, at: At) -> ChaCha8Rng {
    let purpose = match purpose {
        Purpose::Weights => 1u64,
        Purpose::Architecture => 2,
        Purpose::Initial => 3,
        Purpose::Proposal => 4,
        Purpose::Judged => 5,
        Purpose::Reading => 6,
    };
    let mut key = [0u8; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip([seed, purpose, at.stage, u64::from(at.epoch)]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    let mut stream = ChaCha8Rng::from_seed(key);
    stream.set_stream(u64::from(at.step));
    stream
}

/// A number in (0, 1): the middle of one of 2^53 equal parts.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact in f64")]
pub(crate) fn uniform(stream: &mut ChaCha8Rng) -> f64 {
    ((stream.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// One option of each of `choices`, one-hot: with the probability `explore` any that has a probability above nought, each
/// alike, else one by its probability.
///
/// Two numbers of the stream a choice, whatever its probabilities are.
pub(super) fn hard(choices: &[Vec<f64>], explore: f64, stream: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let one_hot = |p: &Vec<f64>| {
        let (explores, place) = (uniform(stream) < explore, uniform(stream));
        let open = p.iter().filter(|&&p| p > 0.0);
        let share = if explores { Some(1.0 / open.map(|_| 1.0).sum::<f64>()) } else { None };
        let mut left = place;
        let weights = p.iter().enumerate().filter(|(_, p)| **p > 0.0);
        let mut drawn = 0;
        for (option, &p) in weights {
            drawn = option;
            left -= share.unwrap_or(p);
            if left < 0.0 {
                break;
            }
        }
        let mut hot = vec![0.0; p.len()];
        hot[drawn] = 1.0;
        hot
    };
    choices.iter().map(one_hot).collect()
}

/// Two independent standard normal numbers (Box and Muller 1958).
pub(super) fn normals(stream: &mut ChaCha8Rng) -> [f64; 2] {
    let radius = (-2.0 * uniform(stream).ln()).sqrt();
    let angle = std::f64::consts::TAU * uniform(stream);
    [radius * angle.cos(), radius * angle.sin()]
}

impl Draw {
    /// Draws from the parameters `alpha` at temperature `tau`.
    #[must_use]
    pub(super) fn new(alpha: &Probabilities, tau: f64, stream: &mut ChaCha8Rng) -> Self {
        let mut noisy = alpha.clone();
        for logit in noisy.choices_mut().flatten() {
            *logit -= (-uniform(stream).ln()).ln();
        }
        Self { soft: noisy.scaled(1.0 / tau).softmax(), perturbed: noisy, tau, through: None }
    }

    /// The softmax of the parameters `alpha`: nothing is drawn.
    #[must_use]
    pub(super) fn plain(alpha: &Probabilities) -> Self {
        Self { soft: alpha.softmax(), perturbed: alpha.clone(), tau: 1.0, through: None }
    }

    /// The same draw with the task's gradient by the weights of the drawn options alone.
    #[must_use]
    pub(super) fn through_the_drawn_alone(self) -> Self {
        Self { through: Some(self.hard()), ..self }
    }

    /// 1 for the drawn options, 0 for the others.
    #[must_use]
    pub(super) fn hard(&self) -> Probabilities {
        let drawn = self.perturbed.argmax();
        let mut hard = self.soft.scaled(0.0);
        for (choice, option) in hard.choices_mut().zip(drawn.operators.into_iter().chain(drawn.widths)) {
            choice[option] = 1.0;
        }
        hard
    }

    /// Mixing weights of the operators: the soft ones, or those of the `k` strongest among themselves, nought elsewhere.
    ///
    /// With `z = alpha + gumbel` and `S` the places of its `k` largest, `w_i = exp(z_i / tau) / sum_{j in S} exp(z_j / tau)`
    /// in `S`. The places are `k` draws without replacement in proportion to `softmax(alpha)` (Gumbel top-k, Vieira 2014,
    /// Kool et al. 2019); one is one-hot, all are the soft weights.
    #[must_use]
    pub(super) fn mixing(&self, paths: Paths) -> Vec<Vec<f64>> {
        match paths {
            Paths::Full => self.soft.operators.clone(),
            Paths::Alone => self.hard().operators,
            Paths::Sampled(count) => {
                let choices = self.perturbed.operators.iter().zip(&self.soft.operators);
                let weights = |(perturbed, soft): (&Vec<f64>, &Vec<f64>)| match count.get() {
                    count if count < soft.len() => among_strongest(perturbed, count, self.tau),
                    _ => soft.clone(),
                };
                choices.map(weights).collect()
            }
        }
    }

    /// Gradient by the parameters, given that by the weights: `g_i (d_i - sum_j g_j d_j) / tau`.
    #[must_use]
    pub(super) fn backward(&self, by_weights: &Probabilities) -> Probabilities {
        jacobian(&self.soft, by_weights).scaled(1.0 / self.tau)
    }

    /// The same of the task's gradient, which passes through the drawn options alone where the draw is one of those.
    #[must_use]
    pub(super) fn backward_of_task(&self, by_weights: &Probabilities) -> Probabilities {
        let mut by_weights = by_weights.clone();
        if let Some(through) = &self.through {
            for (slot, through) in by_weights.choices_mut().flatten().zip(through.choices().flatten()) {
                *slot *= through;
            }
        }
        self.backward(&by_weights)
    }
}

/// Softmax at temperature `tau` over the `count` largest logits, the first of equals; nought for the others.
fn among_strongest(logits: &[f64], count: usize, tau: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    order.truncate(count);
    let chosen: Vec<f64> = order.iter().map(|&place| logits[place] / tau).collect();
    let mut weights = vec![0.0; logits.len()];
    for (place, weight) in order.into_iter().zip(softmax(&chosen)) {
        weights[place] = weight;
    }
    weights
}

/// The softmax's Jacobian, transposed, on a gradient: `p_i (d_i - sum_j p_j d_j)` in each choice.
pub(super) fn jacobian(probabilities: &Probabilities, by: &Probabilities) -> Probabilities {
    let mut result = probabilities.clone();
    for (p, d) in result.choices_mut().zip(by.choices()) {
        let mean: f64 = p.iter().zip(d).map(|(p, d)| p * d).sum();
        for (p, d) in p.iter_mut().zip(d) {
            *p *= d - mean;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;

    fn at(step: u32) -> At {
        At { stage: 0, epoch: 0, step }
    }

    fn one_choice(alpha: Vec<f64>) -> Probabilities {
        Probabilities { operators: vec![alpha], widths: Vec::new() }
    }

    fn sampled(count: usize) -> Paths {
        Paths::Sampled(NonZeroUsize::new(count).unwrap())
    }

    proptest! {
        #[test]
        fn the_strongest_share_the_weight_as_the_soft_draw_has_it(
            logits in prop::collection::vec(-4.0..4.0f64, 1..7), count in 1..8usize, tau in 0.1..3.0f64, step in 0..1000u32,
        ) {
            let draw = Draw::new(&one_choice(logits.clone()), tau, &mut stream(3, Purpose::Weights, at(step)));
            let weights = &draw.mixing(sampled(count))[0];
            let (perturbed, soft) = (&draw.perturbed.operators[0], &draw.soft.operators[0]);
            // Naively: a place is drawn where fewer than `count` others are above it.
            let drawn = |i: usize| perturbed.iter().filter(|&&z| z > perturbed[i]).count() < count;
            let share: f64 = (0..logits.len()).filter(|&i| drawn(i)).map(|i| soft[i]).sum();
            for (i, &weight) in weights.iter().enumerate() {
                let wanted = if drawn(i) { soft[i] / share } else { 0.0 };
                prop_assert!((weight - wanted).abs() < 1e-12, "{weight} is not {wanted}");
            }
            prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn one_path_is_one_hot_and_as_many_as_there_are_is_the_mixture() {
        let alpha = one_choice(vec![0.3, -1.0, 2.0]);
        for step in 0..50 {
            let draw = Draw::new(&alpha, 0.01, &mut stream(1, Purpose::Weights, at(step)));
            let mut wanted = vec![0.0; 3];
            wanted[draw.perturbed.argmax().operators[0]] = 1.0;
            assert_eq!(draw.mixing(Paths::ONE), [wanted]);
            for all in [Paths::Full, sampled(3), sampled(9)] {
                assert_eq!(draw.mixing(all), draw.soft.operators);
            }
        }
    }

    #[test]
    fn a_hard_draw_takes_any_open_option_alike_or_one_by_its_probability() {
        let choices = [vec![0.0, 0.2, 0.8], vec![1.0]];
        let shares = |explore| {
            let mut counts = [0.0; 3];
            for step in 0..20_000 {
                let drawn = hard(&choices, explore, &mut stream(3, Purpose::Weights, at(step)));
                assert_eq!((drawn[0].iter().sum::<f64>(), &drawn[1]), (1.0, &vec![1.0]));
                counts[drawn[0].iter().position(|&weight| weight == 1.0).unwrap()] += 1.0 / 20_000.0;
            }
            counts
        };
        // 1/2 of 1/2 and 1/2 of 0.2 are 0.35; the deviation of a share of 20,000 draws is below 0.0036.
        for (explore, wanted) in [(0.0, [0.0, 0.2, 0.8]), (0.5, [0.0, 0.35, 0.65]), (1.0, [0.0, 0.5, 0.5])] {
            let found = shares(explore);
            assert_eq!(found[0], 0.0);
            assert!(
                found.iter().zip(wanted).all(|(found, wanted): (&f64, f64)| (found - wanted).abs() < 0.018),
                "{found:?}"
            );
        }
    }

    #[test]
    fn two_of_three_are_drawn_as_often_as_without_replacement() {
        // p = (0.6, 0.3, 0.1): in both draws or one, P(0) = 0.6 + 0.3 * 0.6/0.7 + 0.1 * 0.6/0.9 = 0.92381,
        // P(1) = 0.3 + 0.6 * 0.3/0.4 + 0.1 * 0.3/0.9 = 0.78333, P(2) = 2 - P(0) - P(1) = 0.29286.
        let alpha = one_choice([0.6f64, 0.3, 0.1].map(f64::ln).to_vec());
        let draws = 20_000;
        let mut drawn = [0.0; 3];
        for step in 0..draws {
            let weights = &Draw::new(&alpha, 0.5, &mut stream(2, Purpose::Weights, at(step))).mixing(sampled(2))[0];
            assert_eq!(weights.iter().filter(|&&weight| weight > 0.0).count(), 2);
            for (sum, &weight) in drawn.iter_mut().zip(weights) {
                *sum += f64::from(u8::from(weight > 0.0)) / f64::from(draws);
            }
        }
        for (found, wanted) in drawn.into_iter().zip([0.923_81, 0.783_33, 0.292_86]) {
            // The deviation of a share of 20,000 draws is below 0.0033.
            assert!((found - wanted).abs() < 0.015, "{drawn:?}");
        }
    }
}
