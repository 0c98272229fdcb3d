//! Measures along the axes of a front.

use crate::front::Objective;
use crate::pareto::{Front, Measure, Objectives, Point};

/// What stands along each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axes {
    pub(super) x: Measure,
    pub(super) y: Measure,
}

impl Axes {
    /// Error upwards as accuracy, or the first objective where error is none; the first other objective to the right.
    pub(super) fn of(fronts: &[Front]) -> Self {
        let objectives = fronts.first().map_or_else(Objectives::default, |front| front.objectives().clone());
        let measures = objectives.measures();
        let y = if measures.contains(&Measure::Error) { Measure::Error } else { measures[0] };
        let x = *measures.iter().find(|measure| **measure != y).unwrap_or(&y);
        Self { x, y }
    }

    /// Where `point` is, in the units of the axes; nothing where one of the two is not known.
    pub(super) fn place(self, point: &Point) -> Option<[f64; 2]> {
        Some([shown(self.x, self.x.of(point)?), shown(self.y, self.y.of(point)?)])
    }

    /// As the heading of a picture.
    pub(super) fn heading(self) -> String {
        let [y, x] =
            [self.y, self.x].map(|measure| if measure == Measure::Error { "accuracy" } else { measure.label() });
        let (first, rest) = y.split_at(1);
        format!("{}{rest} and {x}", first.to_uppercase())
    }
}

/// `value` as it stands along an axis: fractions in percent, and accuracy in the place of error.
fn shown(measure: Measure, value: f64) -> f64 {
    match measure {
        Measure::Error => 100.0 * (1.0 - value),
        Measure::Utilization => 100.0 * value,
        Measure::LatencyMs | Measure::EnergyUj | Measure::Macs | Measure::Params | Measure::WeightKib => value,
    }
}

/// Name and unit of an axis.
pub(super) fn title(measure: Measure) -> &'static str {
    match measure {
        Measure::Error => "accuracy (%)",
        Measure::LatencyMs => "latency (ms)",
        Measure::Utilization => "utilization (%)",
        Measure::EnergyUj => "energy (uJ)",
        Measure::Macs => "MACs",
        Measure::Params => "parameters",
        Measure::WeightKib => "weights (KiB)",
    }
}

/// Whether more is better along an axis: of accuracy, though not of error.
pub(super) fn more_is_better(measure: Measure) -> bool {
    measure == Measure::Error || measure.objective() == Objective::Maximise
}
