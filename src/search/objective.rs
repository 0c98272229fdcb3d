//! What a search minimises.

use super::goals::Form;
use super::lagrangian::Multiplier;
use crate::cost::{CostModel, Hardware, Metric, Probabilities, Valued};
use crate::record::HardTarget;

/// The task's loss with prices on the hardware, in one of two forms, and a term for each hard target.
///
/// ```text
/// linear:          task + lambda latency / unit - beta utilization + sum_m w_m E[m] / unit_m         + sum_t psi_t
/// multiplicative:  task (latency / unit)^lambda (unit_u / utilization)^beta prod_m (E[m] / unit_m)^w_m + sum_t psi_t
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// How prices and the task's loss make one number.
    pub form: Form,
    /// Weight of latency.
    pub lambda: f64,
    /// Weight of utilization.
    pub beta: f64,
    /// Milliseconds that count as 1: the latency of the first distributions, so that `lambda` has no unit; 1 where it is
    /// to weigh milliseconds.
    pub unit_ms: f64,
    /// Utilization that counts as 1 in the multiplicative form.
    pub unit_utilization: f64,
    /// Prices of further metrics.
    pub prices: Vec<Price>,
}

/// The price of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// What is priced.
    pub metric: Metric,
    /// Its weight.
    pub weight: f64,
    /// What counts as 1, in the metric's unit.
    pub unit: f64,
}

/// What distributions cost, with every gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Priced {
    /// Latency and utilization.
    pub hardware: Hardware,
    /// The priced metrics, in the objective's order.
    pub prices: Vec<Valued>,
    /// The bounded metrics, in the order of the targets.
    pub targets: Vec<Valued>,
}

/// A hard target with what its term remembers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pressed {
    /// The target.
    pub target: HardTarget,
    /// Its multiplier.
    pub multiplier: Multiplier,
}

/// The objective with its parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// The task's loss.
    pub task: f64,
    /// Expected latency in ms.
    pub latency_ms: f64,
    /// Utilization of the expectations.
    pub utilization: f64,
    /// What is minimised.
    pub total: f64,
}

/// Slopes of the objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Slopes {
    /// `d objective / d task loss`.
    pub task: f64,
    /// `d objective / d probability` through the hardware.
    pub hardware: Probabilities,
}

impl Priced {
    /// The priced metrics, in the objective's order.
    fn values(&self) -> Vec<f64> {
        self.prices.iter().map(|valued| valued.value).collect()
    }
}

impl Objective {
    /// What `probabilities` cost under `cost`; of `targets` as well.
    #[must_use]
    pub fn price(&self, cost: &CostModel, probabilities: &Probabilities, targets: &[HardTarget]) -> Priced {
        let hardware = cost.hardware(probabilities);
        let metric = |metric: Metric| match metric {
            Metric::LatencyMs => Valued { value: hardware.latency_ms, gradient: hardware.latency_gradient.clone() },
            Metric::Utilization => {
                Valued { value: hardware.utilization, gradient: hardware.utilization_gradient.clone() }
            }
            Metric::EnergyUj | Metric::Macs | Metric::Params | Metric::WeightKib | Metric::PeakActivationKib => {
                cost.metric(metric, probabilities)
            }
        };
        let prices = self.prices.iter().map(|price| metric(price.metric)).collect();
        let targets = targets.iter().map(|target| metric(target.metric)).collect();
        Priced { hardware, prices, targets }
    }

    /// The objective where the task's loss is `task`.
    #[must_use]
    pub fn loss(&self, task: f64, priced: &Priced, pressed: &[Pressed]) -> Loss {
        let Hardware { latency_ms, utilization, .. } = priced.hardware;
        let mut total = self.exact(task, latency_ms, utilization, &priced.values());
        for (Pressed { target, multiplier }, valued) in pressed.iter().zip(&priced.targets) {
            total += multiplier.term(target.violation(valued.value));
        }
        Loss { task, latency_ms, utilization, total }
    }

    /// The objective without targets of what takes this latency and utilization, and of the priced metrics `prices`.
    #[must_use]
    pub fn exact(&self, task: f64, latency_ms: f64, utilization: f64, prices: &[f64]) -> f64 {
        match self.form {
            Form::Linear => {
                let first = task + self.lambda * latency_ms / self.unit_ms - self.beta * utilization;
                let term = |(price, value): (&Price, &f64)| price.weight * value / price.unit;
                self.prices.iter().zip(prices).map(term).fold(first, |sum, term| sum + term)
            }
            Form::Multiplicative => task * self.factor(latency_ms, utilization, prices),
        }
    }

    /// The objective where the task's loss is `task`, for every option of every width choice, with that width at this
    /// option and all other choices at `probabilities`.
    #[must_use]
    pub fn settled(
        &self,
        (cost, probabilities): (&CostModel, &Probabilities),
        task: f64,
        pressed: &[Pressed],
    ) -> Vec<Vec<f64>> {
        let of = |metric: Metric| cost.settled(metric, probabilities);
        let (latency, utilization) = (of(Metric::LatencyMs), of(Metric::Utilization));
        let prices: Vec<Vec<Vec<f64>>> = self.prices.iter().map(|price| of(price.metric)).collect();
        let targets: Vec<Vec<Vec<f64>>> = pressed.iter().map(|pressed| of(pressed.target.metric)).collect();
        let total = |choice: usize, option: usize| {
            let prices: Vec<f64> = prices.iter().map(|price| price[choice][option]).collect();
            let first = self.exact(task, latency[choice][option], utilization[choice][option], &prices);
            let terms = pressed.iter().zip(&targets).map(|(Pressed { target, multiplier }, values)| {
                multiplier.term(target.violation(values[choice][option]))
            });
            terms.fold(first, |sum, term| sum + term)
        };
        let options = latency.iter().map(Vec::len).enumerate();
        options.map(|(choice, options)| (0..options).map(|option| total(choice, option)).collect()).collect()
    }

    /// Slopes of the objective where the task's loss is `task`.
    #[must_use]
    pub fn slopes(&self, task: f64, priced: &Priced, pressed: &[Pressed]) -> Slopes {
        let hardware = &priced.hardware;
        let mut slopes = match self.form {
            Form::Linear => {
                let mut gradient = hardware.latency_gradient.scaled(self.lambda / self.unit_ms);
                gradient.add_scaled(&hardware.utilization_gradient, -self.beta);
                for (price, valued) in self.prices.iter().zip(&priced.prices) {
                    gradient.add_scaled(&valued.gradient, price.weight / price.unit);
                }
                Slopes { task: 1.0, hardware: gradient }
            }
            Form::Multiplicative => self.logarithmic(task, priced),
        };
        for (Pressed { target, multiplier }, valued) in pressed.iter().zip(&priced.targets) {
            let by_value = multiplier.pressure(target.violation(valued.value)) * target.slope();
            slopes.hardware.add_scaled(&valued.gradient, by_value);
        }
        slopes
    }

    /// Product of the powers of the costs.
    fn factor(&self, latency_ms: f64, utilization: f64, prices: &[f64]) -> f64 {
        let latency = (latency_ms / self.unit_ms).powf(self.lambda);
        let idle = (self.unit_utilization / positive(utilization)).powf(self.beta);
        let power = |(price, value): (&Price, &f64)| (value / price.unit).powf(price.weight);
        self.prices.iter().zip(prices).map(power).fold(latency * idle, |product, power| product * power)
    }

    /// Slopes of `task * factor`: `d factor = factor * (lambda d latency / latency - beta d u / u + sum w d m / m)`.
    fn logarithmic(&self, task: f64, priced: &Priced) -> Slopes {
        let hardware = &priced.hardware;
        let factor = self.factor(hardware.latency_ms, hardware.utilization, &priced.values());
        let scale = task * factor;
        let mut gradient = hardware.latency_gradient.scaled(scale * self.lambda / positive(hardware.latency_ms));
        gradient.add_scaled(&hardware.utilization_gradient, -scale * self.beta / positive(hardware.utilization));
        for (price, valued) in self.prices.iter().zip(&priced.prices) {
            gradient.add_scaled(&valued.gradient, scale * price.weight / positive(valued.value));
        }
        Slopes { task: factor, hardware: gradient }
    }
}

/// `value`, or the least number above nought: what costs nothing at all has no relative slope.
fn positive(value: f64) -> f64 {
    value.max(f64::MIN_POSITIVE)
}
