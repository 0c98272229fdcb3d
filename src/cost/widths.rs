//! Costs of formulas that are fed with expected widths, as U-Boost NAS does: to be compared with.
//!
//! `f = sum_j q_j f_j` channels stand at each join; a candidate's layers are priced between the widths of its ends, the
//! candidates by their probabilities. A search feeds them the draw that the task sees
//! ([`CostModel::is_of_draws`](super::CostModel::is_of_draws)): of a distribution they see the mean alone, which may stand
//! at the edge of a tile while the likeliest width does not. A [`Lookup`](super::Lookup) has no slope by widths: it is asked at the likeliest
//! widths, those of the network that would be derived, and its cost moves operators alone.

use super::CostError;
use super::Hardware;
use super::jet::Jet;
use super::law::{Law, Priced};
use super::layers::{self, Layer};
use super::probabilities::Probabilities;
use super::sum::Point;
use crate::space::Space;

/// How the costs of edges are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sums {
    /// As [`CostModel::expect`](super::CostModel::expect) does: everything counts, dead edges by their probability,
    /// candidates by theirs; utilization is the ratio of the sums.
    #[default]
    Network,
    /// As in U-Boost NAS: the cells alone, without stem, head and classifier; on an edge the mean over the candidates
    /// that take time; latency is the sum over edges, utilization the sum over cells of the mean over the edges that
    /// take time, where a candidate's is the mean over its layers.
    Paper,
}

/// Layers of every candidate, and the law that prices them.
#[derive(Debug, Clone)]
pub(super) struct Formula {
    law: Law,
    sums: Sums,
    edges: Vec<EdgeLayers>,
    classifier: (usize, Vec<Layer>),
    /// Channels of the options of every width, those that follow from others behind the choices.
    channels: Vec<Vec<f64>>,
    cells: usize,
    batch: f64,
    pes: f64,
    ms_per_cycle: f64,
}

#[derive(Debug, Clone)]
struct EdgeLayers {
    operator: usize,
    source: usize,
    target: usize,
    /// Number of the cell that it belongs to.
    cell: Option<usize>,
    candidates: Vec<Vec<Layer>>,
}

/// What a candidate costs.
struct CandidateCost {
    cycles: Jet,
    macs: Jet,
    /// Mean over its layers; nought where it has none.
    utilization: Jet,
}

/// One of them.
type Part = fn(&CandidateCost) -> Jet;

/// A number with its derivatives by everything.
struct Term {
    value: f64,
    gradient: Probabilities,
}

/// Where a formula is asked.
pub(super) struct Scale {
    pub(super) batch: f64,
    pub(super) pes: f64,
    pub(super) ms_per_cycle: f64,
}

impl Formula {
    pub(super) fn new(space: &Space, law: Law, sums: Sums, scale: &Scale) -> Result<Self, CostError> {
        let edge = |edge: &crate::space::Edge| {
            let layers = space.candidates(edge).iter().map(|candidate| layers::of_candidate(space, edge, candidate));
            let [source, target] = space.ends(edge).map(|width| space.slot(width));
            Ok(EdgeLayers {
                operator: edge.operator.0,
                source,
                target,
                cell: space.cell(edge),
                candidates: layers.collect::<Result<_, CostError>>()?,
            })
        };
        let edges: Vec<EdgeLayers> = space.edges.iter().map(edge).collect::<Result<_, CostError>>()?;
        #[expect(clippy::cast_precision_loss, reason = "channels are far below 2^52")]
        let channels = |width| space.options_of(width).iter().map(|&c| c as f64).collect();
        let formula = Self {
            sums,
            cells: edges.iter().filter_map(|edge| edge.cell).max().map_or(0, |last| last + 1),
            edges,
            classifier: (space.slot(space.join(space.last()).width), layers::of_classifier(space)?),
            channels: space.all_widths().map(channels).collect(),
            batch: if matches!(law, Law::Lookup { .. }) { 1.0 } else { scale.batch },
            pes: scale.pes,
            ms_per_cycle: scale.ms_per_cycle,
            law,
        };
        formula.covered()?;
        Ok(formula)
    }

    /// That a table has what it will be asked for.
    fn covered(&self) -> Result<(), CostError> {
        let Law::Lookup { table, .. } = &self.law else { return Ok(()) };
        let counted =
            self.edges.iter().filter(|edge| self.counts(edge)).flat_map(|edge| edge.candidates.iter().flatten());
        let classifier = self.classifier.1.iter().filter(|_| self.sums == Sums::Network);
        for layer in counted.chain(classifier) {
            table.covering(layer)?;
        }
        Ok(())
    }

    fn counts(&self, edge: &EdgeLayers) -> bool {
        match self.sums {
            Sums::Network => true,
            Sums::Paper => edge.cell.is_some(),
        }
    }

    pub(super) fn hardware(&self, point: &Point<'_>) -> Hardware {
        let widths = self.widths(point);
        let (cycles, utilization) = match self.sums {
            Sums::Network => self.network(point, &widths),
            Sums::Paper => self.paper(point, &widths),
        };
        Hardware {
            latency_ms: cycles.value * self.ms_per_cycle,
            latency_gradient: cycles.gradient.scaled(self.ms_per_cycle),
            utilization: utilization.value,
            utilization_gradient: utilization.gradient,
        }
    }

    /// The widths that the law is fed with.
    fn widths(&self, point: &Point<'_>) -> Vec<f64> {
        if let Law::Lookup { .. } = self.law {
            let likeliest = point.choices.argmax().widths;
            let sums = point.model.width_sums.iter().map(|sum| sum.option(&likeliest));
            let options: Vec<usize> = likeliest.iter().copied().chain(sums).collect();
            return self.channels.iter().zip(options).map(|(channels, option)| channels[option]).collect();
        }
        let mean = |(channels, p): (&Vec<f64>, &Vec<f64>)| channels.iter().zip(p).map(|(c, p)| c * p).sum();
        self.channels.iter().zip(&point.probabilities.widths).map(mean).collect()
    }

    fn candidate(&self, layers: &[Layer], source: f64, target: f64) -> CandidateCost {
        let ends = match self.law {
            Law::Lookup { .. } => (Jet::constant(source), Jet::constant(target)),
            Law::SmoothCeil { .. } | Law::Roofline { .. } | Law::Flops => (Jet::source(source), Jet::target(target)),
        };
        let mut sum = CandidateCost { cycles: Jet::default(), macs: Jet::default(), utilization: Jet::default() };
        for layer in layers {
            let Priced { cycles, macs } = self.law.price(layer, ends, (self.batch, self.pes));
            sum.cycles = sum.cycles + cycles;
            sum.macs = sum.macs + macs;
            sum.utilization = sum.utilization + macs.over(cycles) * self.pes.recip();
        }
        #[expect(clippy::cast_precision_loss, reason = "a candidate has a few layers")]
        let mean = 1.0 / layers.len().max(1) as f64;
        sum.utilization = sum.utilization * mean;
        sum
    }

    /// Adds `weight * by` to the gradient by the widths of the ends.
    fn add_widths(&self, gradient: &mut Probabilities, (source, target): (usize, usize), by: Jet, weight: f64) {
        for (choice, slope) in [(source, by.source), (target, by.target)] {
            let slots = gradient.widths[choice].iter_mut().zip(&self.channels[choice]);
            slots.for_each(|(slot, channels)| *slot += weight * slope * channels);
        }
    }

    /// Cycles of the network, and MACs over PEs and cycles.
    fn network(&self, point: &Point<'_>, widths: &[f64]) -> (Term, Term) {
        let costs: Vec<Vec<CandidateCost>> = self.edges.iter().map(|edge| self.candidates(edge, widths)).collect();
        let cycles = self.weighted(point, widths, (&costs, |cost| cost.cycles));
        let macs = self.weighted(point, widths, (&costs, |cost| cost.macs));
        if cycles.value <= 0.0 {
            let none = Term { value: 0.0, gradient: point.model.shape.clone() };
            return (cycles, none);
        }
        let value = macs.value / (self.pes * cycles.value);
        let mut gradient = macs.gradient.scaled(1.0 / (self.pes * cycles.value));
        gradient.add_scaled(&cycles.gradient, -value / cycles.value);
        (cycles, Term { value, gradient })
    }

    fn candidates(&self, edge: &EdgeLayers, widths: &[f64]) -> Vec<CandidateCost> {
        edge.candidates.iter().map(|layers| self.candidate(layers, widths[edge.source], widths[edge.target])).collect()
    }

    /// The sum of one cost over everything, dead edges by their probability.
    fn weighted(&self, point: &Point<'_>, widths: &[f64], (costs, of): (&[Vec<CandidateCost>], Part)) -> Term {
        let mut gradient = point.model.shape.clone();
        let mut terms = vec![0.0; point.live.weights.len()];
        let mut value = 0.0;
        for (place, (edge, costs)) in self.edges.iter().zip(costs).enumerate() {
            let weight = point.live.weights[place];
            let chosen = &point.probabilities.operators[edge.operator];
            for ((slot, cost), r) in gradient.operators[edge.operator].iter_mut().zip(costs).zip(chosen) {
                *slot += weight * of(cost).value;
                terms[place] += r * of(cost).value;
            }
            for (cost, r) in costs.iter().zip(chosen) {
                self.add_widths(&mut gradient, (edge.source, edge.target), of(cost), weight * r);
            }
            value += weight * terms[place];
        }
        let (last, layers) = &self.classifier;
        let classifier = of(&self.candidate(layers, widths[*last], widths[*last]));
        // The classifier's end is the class scores, no width.
        self.add_widths(&mut gradient, (*last, *last), Jet { target: 0.0, ..classifier }, 1.0);
        value += classifier.value;
        point.model.liveness.pull(&point.live, &terms, &mut gradient);
        Term { value, gradient }
    }

    /// The sums of the paper. An edge counts where it can be live at all.
    fn paper(&self, point: &Point<'_>, widths: &[f64]) -> (Term, Term) {
        let shape = &point.model.shape;
        let mut cycles = Term { value: 0.0, gradient: shape.clone() };
        let mut of_cells: Vec<(u32, Term)> =
            (0..self.cells).map(|_| (0, Term { value: 0.0, gradient: shape.clone() })).collect();
        for (place, edge) in self.edges.iter().enumerate() {
            let (Some(cell), true) = (edge.cell, point.live.weights[place] > 0.0) else { continue };
            let costs = self.candidates(edge, widths);
            let chosen = &point.probabilities.operators[edge.operator];
            let timed: f64 = costs.iter().zip(chosen).filter(|(cost, _)| cost.cycles.value > 0.0).map(|(_, r)| r).sum();
            if timed <= 0.0 {
                continue;
            }
            self.mean(edge, (&costs, |cost| cost.cycles), (chosen, timed), &mut cycles);
            of_cells[cell].0 += 1;
            self.mean(edge, (&costs, |cost| cost.utilization), (chosen, timed), &mut of_cells[cell].1);
        }
        let mut utilization = Term { value: 0.0, gradient: shape.clone() };
        for (blocks, cell) in of_cells.iter().filter(|(blocks, _)| *blocks > 0) {
            utilization.value += cell.value / f64::from(*blocks);
            utilization.gradient.add_scaled(&cell.gradient, 1.0 / f64::from(*blocks));
        }
        (cycles, utilization)
    }

    /// Adds the mean of one cost over the candidates that take time.
    fn mean(
        &self,
        edge: &EdgeLayers,
        (costs, of): (&[CandidateCost], Part),
        (chosen, timed): (&[f64], f64),
        to: &mut Term,
    ) {
        let takes_time = |cost: &CandidateCost| cost.cycles.value > 0.0;
        let costly = costs.iter().zip(chosen).filter(|(cost, _)| takes_time(cost));
        let mean = costly.clone().map(|(cost, r)| r * of(cost).value).sum::<f64>() / timed;
        to.value += mean;
        for (cost, r) in costly {
            self.add_widths(&mut to.gradient, (edge.source, edge.target), of(cost), r / timed);
        }
        for (slot, cost) in to.gradient.operators[edge.operator].iter_mut().zip(costs).filter(|(_, c)| takes_time(c)) {
            *slot += (of(cost).value - mean) / timed;
        }
    }
}
