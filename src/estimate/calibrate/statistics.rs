//! How well predictions fit: errors and rank correlations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Errors of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Errors {
    /// Mean absolute relative error, percent: `100 / n * sum |predicted - measured| / measured`.
    pub mape_percent: f64,
    /// Rank correlation of Spearman, ties at their mean rank.
    pub spearman: f64,
    /// Rank correlation of Kendall, tau-b.
    pub kendall: f64,
}

impl Errors {
    /// Of `predicted` against `measured`, which are as many and not below 0.
    #[must_use]
    pub fn of(measured: &[f64], predicted: &[f64]) -> Self {
        Self {
            mape_percent: 100.0 * mean_relative_error(measured, predicted),
            spearman: spearman(measured, predicted),
            kendall: kendall(measured, predicted),
        }
    }
}

/// `1 / n * sum |predicted - measured| / measured`.
#[must_use]
pub fn mean_relative_error(measured: &[f64], predicted: &[f64]) -> f64 {
    let sum: f64 = measured.iter().zip(predicted).map(|(t, p)| (p - t).abs() / t).sum();
    sum / count(measured.len())
}

/// Pearson's correlation of the ranks; nought where one side is constant.
#[must_use]
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = f64::midpoint(1.0, count(a.len()));
    let sum = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum() };
    ratio(sum(&a, &b), (sum(&a, &a) * sum(&b, &b)).sqrt())
}

/// `(concordant - discordant) / sqrt((pairs - ties of a) * (pairs - ties of b))`; nought where one side is constant.
#[must_use]
pub fn kendall(a: &[f64], b: &[f64]) -> f64 {
    let (mut score, mut untied_a, mut untied_b) = (0.0, 0.0, 0.0);
    let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
    for i in 0..a.len() {
        for j in 0..i {
            let (x, y) = (sign(a[i] - a[j]), sign(b[i] - b[j]));
            score += x * y;
            untied_a += x * x;
            untied_b += y * y;
        }
    }
    ratio(score, (untied_a * untied_b).sqrt())
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Ranks from 1, those of equal values their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for group in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let rank = count(start) + f64::midpoint(1.0, count(group.len()));
        group.iter().for_each(|&place| ranks[place] = rank);
        start += group.len();
    }
    ranks
}

#[expect(clippy::cast_precision_loss, reason = "numbers of rows are far below 2^53")]
pub(super) fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative_to_what_was_measured() {
        // 1/10 and 2/4 off: 0.3 on average.
        assert!((mean_relative_error(&[10.0, 4.0], &[11.0, 2.0]) - 0.3).abs() < 1e-12);
    }

    #[test]
    fn rank_correlations_are_those_worked_by_hand() {
        let a = [1.0, 2.0, 3.0, 4.0];
        assert_eq!((spearman(&a, &[10.0, 20.0, 30.0, 40.0]), kendall(&a, &[1.0, 4.0, 9.0, 16.0])), (1.0, 1.0));
        assert_eq!((spearman(&a, &[4.0, 3.0, 2.0, 1.0]), kendall(&a, &[4.0, 3.0, 2.0, 1.0])), (-1.0, -1.0));
        // Ranks 1 3 2 4: 1 - 6 * 2 / (4 * 15) = 0.8; five of six pairs agree: 4 / 6.
        assert!((spearman(&a, &[1.0, 3.0, 2.0, 4.0]) - 0.8).abs() < 1e-12);
        assert!((kendall(&a, &[1.0, 3.0, 2.0, 4.0]) - 4.0 / 6.0).abs() < 1e-12);
        // A tie in b: 5 untied pairs of 6, all concordant: 5 / sqrt(6 * 5).
        assert!((kendall(&a, &[1.0, 2.0, 2.0, 3.0]) - 5.0 / 30f64.sqrt()).abs() < 1e-12);
        assert_eq!(ranks(&[5.0, 1.0, 5.0]), [2.5, 1.0, 2.5]);
        assert_eq!((spearman(&a, &[1.0; 4]), kendall(&a, &[1.0; 4])), (0.0, 0.0));
    }
}
