//! Hard targets of a search: bounds on what a network may cost, and how a network stands to them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::nullable;
use crate::cost::Metric;

/// On which side of its bound a metric has to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Relation {
    /// At most the bound.
    #[serde(rename = "<=")]
    AtMost,
    /// At least the bound.
    #[serde(rename = ">=")]
    AtLeast,
}

impl Relation {
    /// The side on which `metric` is better: utilization is to be high, everything else low.
    #[must_use]
    pub fn of(metric: Metric) -> Self {
        match metric {
            Metric::Utilization => Self::AtLeast,
            Metric::LatencyMs
            | Metric::EnergyUj
            | Metric::Macs
            | Metric::Params
            | Metric::WeightKib
            | Metric::PeakActivationKib => Self::AtMost,
        }
    }

    /// As it is written.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::AtMost => "<=",
            Self::AtLeast => ">=",
        }
    }
}

/// A bound that a metric has to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HardTarget {
    /// What is bounded; the side follows from it ([`Relation::of`]).
    pub metric: Metric,
    /// The bound, above 0, in the metric's unit.
    pub bound: f64,
}

impl HardTarget {
    /// The side of the bound.
    #[must_use]
    pub fn relation(&self) -> Relation {
        Relation::of(self.metric)
    }

    /// Whether `value` keeps the bound; not a number does not.
    #[must_use]
    pub fn is_met(&self, value: f64) -> bool {
        match self.relation() {
            Relation::AtMost => value <= self.bound,
            Relation::AtLeast => value >= self.bound,
        }
    }

    /// Room between `value` and the bound, in the metric's unit; negative where it is not kept.
    #[must_use]
    pub fn slack(&self, value: f64) -> f64 {
        match self.relation() {
            Relation::AtMost => self.bound - value,
            Relation::AtLeast => value - self.bound,
        }
    }

    /// `value / bound - 1` of an upper bound, `1 - value / bound` of a lower one: above 0 where it is not kept.
    #[must_use]
    pub fn violation(&self, value: f64) -> f64 {
        match self.relation() {
            Relation::AtMost => value / self.bound - 1.0,
            Relation::AtLeast => 1.0 - value / self.bound,
        }
    }

    /// `d violation / d value`: `1 / bound`, negative of a lower bound.
    #[must_use]
    pub fn slope(&self) -> f64 {
        match self.relation() {
            Relation::AtMost => 1.0 / self.bound,
            Relation::AtLeast => -1.0 / self.bound,
        }
    }
}

/// `latency-ms <= 0.05`.
impl std::fmt::Display for HardTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.metric.name(), self.relation().sign(), self.bound)
    }
}

/// How an epoch of the search stands to a target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetEpoch {
    /// What is bounded.
    pub metric: Metric,
    /// The side of the bound.
    pub relation: Relation,
    /// The bound that the stage works towards, in the metric's unit.
    pub target: f64,
    /// The metric in expectation over the choices, in its unit.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub value: f64,
    /// Room between both, in the metric's unit; negative where the bound is not kept.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub slack: f64,
    /// Price of the relative violation in the loss, nats.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub multiplier: f64,
}

impl TargetEpoch {
    /// Where `target` stands at `value`, priced at `multiplier`.
    #[must_use]
    pub fn new(target: &HardTarget, value: f64, multiplier: f64) -> Self {
        let HardTarget { metric, bound } = *target;
        let slack = target.slack(value);
        Self { metric, relation: target.relation(), target: bound, value, slack, multiplier }
    }
}

/// How the network found stands to a target, by its estimate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetResult {
    /// What is bounded.
    pub metric: Metric,
    /// The side of the bound.
    pub relation: Relation,
    /// The bound, in the metric's unit.
    pub target: f64,
    /// The network's own number at the job's hardware batch.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub value: f64,
    /// Room between both, in the metric's unit; negative where the bound is not kept.
    #[serde(deserialize_with = "nullable::number")]
    #[schemars(with = "Option<f64>")]
    pub slack: f64,
    /// Whether the bound is kept.
    pub met: bool,
}

impl TargetResult {
    /// Where a network of `value` stands to `target`.
    #[must_use]
    pub fn new(target: &HardTarget, value: f64) -> Self {
        let HardTarget { metric, bound } = *target;
        let (slack, met) = (target.slack(value), target.is_met(value));
        Self { metric, relation: target.relation(), target: bound, value, slack, met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upper_and_a_lower_bound_are_worked_by_hand() {
        let latency = HardTarget { metric: Metric::LatencyMs, bound: 0.5 };
        // 0.75 / 0.5 - 1
        assert_eq!((latency.violation(0.75), latency.slack(0.75), latency.is_met(0.75)), (0.5, -0.25, false));
        assert_eq!((latency.violation(0.5), latency.slack(0.5), latency.is_met(0.5)), (0.0, 0.0, true));
        let utilization = HardTarget { metric: Metric::Utilization, bound: 0.5 };
        // 1 - 0.25 / 0.5
        assert_eq!(
            (utilization.violation(0.25), utilization.slack(0.25), utilization.is_met(0.25)),
            (0.5, -0.25, false)
        );
        assert_eq!(
            (utilization.violation(0.75), utilization.slack(0.75), utilization.is_met(0.75)),
            (-0.5, 0.25, true)
        );
        assert!(!latency.is_met(f64::NAN) && !utilization.is_met(f64::NAN));
        assert_eq!(format!("{latency}, {utilization}"), "latency-ms <= 0.5, utilization >= 0.5");
    }

    #[test]
    fn a_record_names_the_side_as_it_is_written() {
        let target = HardTarget { metric: Metric::PeakActivationKib, bound: 64.0 };
        let wanted =
            r#"{"metric":"peak-activation-kib","relation":"<=","target":64.0,"value":32.0,"slack":32.0,"met":true}"#;
        assert_eq!(serde_json::to_string(&TargetResult::new(&target, 32.0)).unwrap(), wanted);
    }
}
