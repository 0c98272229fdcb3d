//! How much the task's loss falls as a width grows, measured by probes.

use serde::{Deserialize, Serialize};

/// The slope of one width, `a = -d loss / d ln c` in nats: a weighted mean of its probes.
///
/// Probe `n` counts `max(1 - memory, 1 / n)` and all before it the rest, so the first few are averaged alike.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Slope {
    mean: f64,
    /// Weighted mean square of the deviations from the mean.
    spread: f64,
    /// Sum of the squared weights: the noise of the mean over that of a probe.
    squares: f64,
    probes: u32,
}

/// How the slopes of widths are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Slopes {
    /// Each moved towards the mean of all as far as the noise of the probes explains that it lies apart.
    #[default]
    Shrunk,
    /// The mean of all.
    Pooled,
    /// Each by itself.
    Own,
}

impl Slope {
    /// Takes a probe in.
    pub(super) fn measure(&mut self, probe: f64, memory: f64) {
        self.probes = self.probes.saturating_add(1);
        let rate = (1.0 - memory).max(1.0 / f64::from(self.probes));
        let apart = probe - self.mean;
        self.mean += rate * apart;
        self.spread = (1.0 - rate) * (self.spread + rate * apart * apart);
        self.squares = (1.0 - rate).powi(2) * self.squares + rate * rate;
    }

    /// The mean of its probes, where there are any.
    #[must_use]
    pub fn measured(&self) -> Option<f64> {
        (self.probes > 0).then_some(self.mean)
    }

    /// Variance of the mean by the scatter of its probes; nothing for fewer than two.
    fn noise(&self) -> Option<f64> {
        (self.probes > 1).then(|| self.spread * self.squares / (1.0 - self.squares))
    }
}

/// The slopes to be used in place of `measured`, at least `least`; a width that was never probed takes the mean.
///
/// Shrunk: `a_l = m + w (m_l - m)`, `w = max(0, 1 - N / S^2)` with `m` the mean of the means `m_l`, `S^2` their variance
/// and `N` the mean of the variances that their probes' scatter gives them (empirical Bayes: Efron and Morris 1973). Until
/// there is a second probe of some width, `w` is 0.
#[must_use]
pub(super) fn together(measured: &[Slope], how: Slopes, least: f64) -> Vec<f64> {
    let known: Vec<f64> = measured.iter().filter_map(Slope::measured).collect();
    let Some(mean) = mean_of(&known) else { return vec![least; measured.len()] };
    let weight = match how {
        Slopes::Pooled => 0.0,
        Slopes::Own => 1.0,
        Slopes::Shrunk => {
            let noises: Vec<f64> = measured.iter().filter_map(Slope::noise).collect();
            mean_of(&noises).map_or(0.0, |noise| certain(&known, mean, noise))
        }
    };
    let slope = |slope: &Slope| slope.measured().map_or(mean, |own| mean + weight * (own - mean));
    measured.iter().map(|measured| slope(measured).max(least)).collect()
}

/// Share of the variance of `known` that `noise` does not explain.
fn certain(known: &[f64], mean: f64, noise: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few widths")]
    let freedom = known.len().saturating_sub(1) as f64;
    let apart: f64 = known.iter().map(|own| (own - mean).powi(2)).sum();
    if apart > noise * freedom { 1.0 - noise * freedom / apart } else { 0.0 }
}

fn mean_of(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a few widths")]
    let count = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count)
}
