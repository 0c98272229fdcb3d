//! What a metric comes to where one width is settled and all other choices follow their probabilities.

use super::metric::{Metric, Valued};
use super::probabilities::Probabilities;
use super::sum::Point;
use super::table::Quantity;
use super::{CostKind, CostModel};
use crate::accel::{Array, Dataflow};

/// Channels after which a layer takes one more tile: the columns of the array where they hold outputs; 1 where outputs
/// are streamed, so that every channel costs the same.
pub(super) fn tile_channels(array: &Array, dataflow: Dataflow) -> u64 {
    match dataflow {
        Dataflow::WeightStationary | Dataflow::OutputStationary => array.cols,
        Dataflow::InputStationary => 1,
    }
}

impl CostModel {
    /// Channels after which a layer takes one more tile of the array: the distance of the edges in the cost of a width.
    #[must_use]
    pub fn tile_channels(&self) -> u64 {
        self.tile_channels
    }

    /// `metric` for every option of every width, `[width choice][option]`, with that width at this option and all other
    /// choices at `probabilities`.
    ///
    /// A sum over layers is linear in the probabilities of each width, so one gradient holds all of these numbers:
    /// `E[m | c] = E[m] + dm/dp_c - sum_j p_j dm/dp_j`, also of options of probability nought. Latency and utilization
    /// follow from such sums. The peak of activations, costs that are a formula of expected widths, and all that joins that
    /// project make of widths are no such sums: they are found for each option by itself.
    #[must_use]
    pub fn settled(&self, metric: Metric, probabilities: &Probabilities) -> Vec<Vec<f64>> {
        let by_option = || self.settled_one_by_one(metric, probabilities);
        match metric {
            Metric::PeakActivationKib => by_option(),
            // A width may stand in several branches of one maximum.
            _ if self.follows.is_some() => by_option(),
            Metric::LatencyMs | Metric::Utilization if self.formula.is_some() => by_option(),
            Metric::EnergyUj | Metric::Macs | Metric::Params | Metric::WeightKib => {
                sections(&self.metric(metric, probabilities), probabilities)
            }
            Metric::LatencyMs => self.settled_latency(probabilities),
            Metric::Utilization => self.settled_utilization(probabilities),
        }
    }

    fn settled_latency(&self, probabilities: &Probabilities) -> Vec<Vec<f64>> {
        match (self.kind, &self.calibration) {
            (CostKind::Expected, Some(calibration)) => {
                let point = Point::new(self, probabilities);
                let Valued { value, gradient } = point.expect(Quantity::LayersMs);
                let layers = Valued { value, gradient: point.by_choices(gradient) };
                mapped(sections(&layers, probabilities), |ms| self.batch * calibration.image(ms).ms)
            }
            (
                CostKind::Expected | CostKind::Flops | CostKind::SmoothCeil | CostKind::Roofline | CostKind::Lookup,
                _,
            ) => sections(&self.metric(Metric::LatencyMs, probabilities), probabilities),
        }
    }

    fn settled_utilization(&self, probabilities: &Probabilities) -> Vec<Vec<f64>> {
        let cost = self.expect(probabilities);
        let cycles = sections(&Valued { value: cost.cycles, gradient: cost.cycles_gradient }, probabilities);
        let macs = sections(&Valued { value: cost.macs, gradient: cost.macs_gradient }, probabilities);
        match self.kind {
            CostKind::Expected => {
                let ratio = |(macs, cycles): (f64, f64)| if cycles > 0.0 { macs / (self.pes * cycles) } else { 0.0 };
                let choice = |(macs, cycles): (Vec<f64>, Vec<f64>)| macs.into_iter().zip(cycles).map(ratio).collect();
                macs.into_iter().zip(cycles).map(choice).collect()
            }
            CostKind::Flops | CostKind::SmoothCeil | CostKind::Roofline | CostKind::Lookup => mapped(macs, |_| 1.0),
        }
    }

    fn settled_one_by_one(&self, metric: Metric, probabilities: &Probabilities) -> Vec<Vec<f64>> {
        let at = |choice: usize, option: usize| {
            let mut settled = probabilities.clone();
            settled.widths[choice].fill(0.0);
            settled.widths[choice][option] = 1.0;
            self.metric(metric, &settled).value
        };
        let options = probabilities.widths.iter().map(Vec::len).enumerate();
        options.map(|(choice, options)| (0..options).map(|option| at(choice, option)).collect()).collect()
    }
}

/// `value + gradient_c - sum_j p_j gradient_j` for each width.
fn sections(valued: &Valued, probabilities: &Probabilities) -> Vec<Vec<f64>> {
    let choice = |(p, gradient): (&Vec<f64>, &Vec<f64>)| {
        let mean: f64 = p.iter().zip(gradient).map(|(p, d)| p * d).sum();
        gradient.iter().map(|d| valued.value + d - mean).collect()
    };
    probabilities.widths.iter().zip(&valued.gradient.widths).map(choice).collect()
}

fn mapped(choices: Vec<Vec<f64>>, map: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
    choices.into_iter().map(|choice| choice.into_iter().map(&map).collect()).collect()
}
