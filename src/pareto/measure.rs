//! What of a point a front can be about.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::Point;
use crate::front::{Objective, hypervolume, hypervolume_2, hypervolume_3, nadir_reference, non_dominated};

/// A figure of a [`Point`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// 1 - accuracy, a fraction.
    Error,
    /// Latency at batch 1, ms.
    LatencyMs,
    /// Overall utilization, a fraction; more is better.
    Utilization,
    /// Energy of one image, uJ.
    EnergyUj,
    /// Multiply-accumulates for one image.
    Macs,
    /// Trained parameters.
    Params,
    /// Trained parameters at the accelerator's precision of weights, KiB of 1024 bytes.
    WeightKib,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Error, Self::LatencyMs, Self::Utilization, Self::EnergyUj, Self::Macs, Self::Params, Self::WeightKib];

    /// The name on the command line and in `objectives` of JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::LatencyMs => "latency-ms",
            Self::Utilization => "utilization",
            Self::EnergyUj => "energy-uj",
            Self::Macs => "macs",
            Self::Params => "params",
            Self::WeightKib => "weight-kib",
        }
    }

    /// The name of the column or field that holds it.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::LatencyMs => "latency_ms",
            Self::EnergyUj => "energy_uj",
            Self::WeightKib => "weight_kib",
            Self::Error | Self::Utilization | Self::Macs | Self::Params => self.name(),
        }
    }

    /// The name in a sentence.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::LatencyMs => "latency",
            Self::EnergyUj => "energy",
            Self::Macs => "MACs",
            Self::WeightKib => "weights",
            Self::Error | Self::Utilization | Self::Params => self.name(),
        }
    }

    /// The unit; empty of fractions and counts.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::LatencyMs => "ms",
            Self::EnergyUj => "uJ",
            Self::WeightKib => "KiB",
            Self::Error | Self::Utilization | Self::Macs | Self::Params => "",
        }
    }

    /// Which way it is better.
    #[must_use]
    pub fn objective(self) -> Objective {
        match self {
            Self::Utilization => Objective::Maximise,
            Self::Error | Self::LatencyMs | Self::EnergyUj | Self::Macs | Self::Params | Self::WeightKib => {
                Objective::Minimise
            }
        }
    }

    /// The figure of `point`, where it is known.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "of counts that 53 bits do not tell apart the first counts")]
    pub fn of(self, point: &Point) -> Option<f64> {
        match self {
            Self::Error => Some(point.error),
            Self::LatencyMs => Some(point.latency_ms),
            Self::Utilization => point.utilization,
            Self::EnergyUj => point.energy_uj,
            Self::Macs => point.macs.map(|macs| macs.0 as f64),
            Self::Params => point.params.map(|params| params as f64),
            Self::WeightKib => point.weight_kib,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a front is about: two to four different measures, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Objectives(Vec<Measure>);

/// Why a text names no objectives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be two to four different ones of {}, as error,latency-ms, got `{given}`", Measure::ALL.map(Measure::name).join(", "))]
pub struct BadObjectives {
    given: String,
}

impl Default for Objectives {
    /// Error and latency.
    fn default() -> Self {
        Self(vec![Measure::Error, Measure::LatencyMs])
    }
}

impl FromStr for Objectives {
    type Err = BadObjectives;

    fn from_str(text: &str) -> Result<Self, BadObjectives> {
        let measure = |name: &str| Measure::ALL.into_iter().find(|measure| measure.name() == name.trim());
        let measures: Option<Vec<Measure>> = text.split(',').map(measure).collect();
        let fits = |measures: &Vec<Measure>| {
            let repeated = |place: usize| measures[..place].contains(&measures[place]);
            (2..=4).contains(&measures.len()) && !(0..measures.len()).any(repeated)
        };
        measures.filter(fits).map(Self).ok_or_else(|| BadObjectives { given: text.to_owned() })
    }
}

impl fmt::Display for Objectives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|measure| measure.name()).collect::<Vec<_>>().join(", "))
    }
}

impl Objectives {
    /// The measures, in order.
    #[must_use]
    pub fn measures(&self) -> &[Measure] {
        &self.0
    }

    /// Whether these are error and latency.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == [Measure::Error, Measure::LatencyMs]
    }

    /// The unit of a hypervolume: the product of all units.
    #[must_use]
    pub fn unit(&self) -> String {
        self.0.iter().map(|measure| measure.unit()).filter(|unit| !unit.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The places of the non-dominated ones of `points`, ascending; a point without one of the measures is not.
    pub(super) fn members(&self, points: &[Point]) -> Vec<usize> {
        match self.0.len() {
            2 => non_dominated(&self.vectors::<2>(points), &self.ways()),
            3 => non_dominated(&self.vectors::<3>(points), &self.ways()),
            _ => non_dominated(&self.vectors::<4>(points), &self.ways()),
        }
    }

    /// As [`nadir_reference`].
    pub(super) fn nadir(&self, points: &[Point]) -> Option<Vec<f64>> {
        match self.0.len() {
            2 => nadir_reference(&self.vectors::<2>(points), &self.ways()).map(Vec::from),
            3 => nadir_reference(&self.vectors::<3>(points), &self.ways()).map(Vec::from),
            _ => nadir_reference(&self.vectors::<4>(points), &self.ways()).map(Vec::from),
        }
    }

    /// Volume that `points` dominate up to `corner`, a value for each measure.
    pub(super) fn volume(&self, points: &[Point], corner: &[f64]) -> f64 {
        match *corner {
            [a, b] => hypervolume_2(&self.vectors(points), &self.ways(), [a, b]),
            [a, b, c] => hypervolume_3(&self.vectors(points), &self.ways(), [a, b, c]),
            [a, b, c, d] => hypervolume(&self.vectors(points), &self.ways(), [a, b, c, d]),
            _ => 0.0,
        }
    }

    fn ways<const N: usize>(&self) -> [Objective; N] {
        std::array::from_fn(|place| self.0[place].objective())
    }

    fn vectors<const N: usize>(&self, points: &[Point]) -> Vec<[f64; N]> {
        let vector = |point: &Point| std::array::from_fn(|place| self.0[place].of(point).unwrap_or(f64::NAN));
        points.iter().map(vector).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_two_to_four_different_measures() {
        let objectives: Objectives = "error, energy-uj,utilization".parse().unwrap();
        assert_eq!(objectives.measures(), [Measure::Error, Measure::EnergyUj, Measure::Utilization]);
        assert_eq!(objectives.to_string(), "error, energy-uj, utilization");
        assert!(!objectives.is_default() && Objectives::default().is_default());
        for text in ["", "error", "error,error", "error,latency", "error,latency-ms,macs,params,energy-uj"] {
            let message = text.parse::<Objectives>().unwrap_err().to_string();
            assert!(message.starts_with("must be two to four") && message.ends_with(&format!("got `{text}`")));
        }
    }

    #[test]
    fn a_measure_reads_its_own_field() {
        let point = Point {
            utilization: Some(0.25),
            energy_uj: Some(3.0),
            weight_kib: Some(4.0),
            params: Some(5),
            macs: Some(crate::units::Macs(6)),
            ..Point::new("a", "tpu-v1", [1.0, 2.0])
        };
        let values = Measure::ALL.map(|measure| measure.of(&point));
        assert_eq!(values, [1.0, 2.0, 0.25, 3.0, 6.0, 5.0, 4.0].map(Some));
        let value = serde_json::to_value(&point).unwrap();
        for measure in Measure::ALL {
            assert_eq!(value[measure.field()].as_f64(), measure.of(&point), "{measure}");
        }
    }

    #[test]
    fn volumes_are_those_of_the_front_module_in_each_dimension() {
        let point = |energy, utilization| Point {
            energy_uj: Some(energy),
            utilization: Some(utilization),
            params: Some(1),
            ..Point::new("a", "tpu-v1", [0.5, 1.0])
        };
        let points = [point(1.0, 0.25), point(2.0, 0.75), Point::new("b", "tpu-v1", [0.1, 0.1])];
        let volume = |text: &str, corner: &[f64]| {
            let objectives: Objectives = text.parse().unwrap();
            (objectives.members(&points), objectives.volume(&points, corner))
        };
        // Boxes (3 - 1) * 0.25 and (3 - 2) * 0.75, (3 - 2) * 0.25 of them shared; the third point has no energy.
        assert_eq!(volume("energy-uj,utilization", &[3.0, 0.0]), (vec![0, 1], 1.0));
        assert_eq!(volume("error,energy-uj,utilization", &[1.0, 3.0, 0.0]), (vec![0, 1], 0.5));
        assert_eq!(volume("error,energy-uj,utilization,params", &[1.0, 3.0, 0.0, 3.0]), (vec![0, 1], 1.0));
    }
}
