//! Hardware cost over distributions of choices: value and gradient.
//!
//! The choices of a search are discrete, so neither a smooth ceiling nor an expected width is needed: with the exact
//! cost of every option in a table, the expectation of the cost under independent distributions is a quotient of two
//! polynomials of the probabilities: it is taken over the choices whose output can be reached, since the others make no
//! network. For an edge with operators `o` at probabilities `r_o`, source widths at `p_i`, target widths at `q_j`
//!
//! ```text
//! E[cost] = P(edge is live | its operator is not zero) / P(output is reached) * sum_o r_o sum_ij p_i T_o[i][j] q_j
//! ```
//!
//! and its gradient is linear algebra. At a one-hot choice it is the estimator's own number.

mod dot;
mod follow;
mod jet;
mod law;
mod layers;
mod liveness;
mod lookup;
mod metric;
mod peak;
mod probabilities;
mod settled;
mod sum;
mod surroundings;
mod table;
mod tape;
mod widths;
mod within;

pub use law::smooth_ceil;
pub use lookup::{Lookup, LookupEntry, LookupError, Uncovered};
pub use metric::{Metric, Valued, exact};
pub use probabilities::{Probabilities, softmax};
pub use table::CostError;
pub use widths::Sums;
pub use within::{EdgeSum, EdgeTerm, Fold, JoinTerm};

use follow::Follows;
use law::Law;
use liveness::{Liveness, Sum};
use peak::Memory;
use sum::Point;
use surroundings::{Beyond, Surroundings};
use table::{EdgeTables, Filler, Quantity, WidthTables};
use widths::{Formula, Scale};

use crate::accel::{Accelerator, Calibration, Engine, Precision};
use crate::estimate::Target;
use crate::space::{Candidate, Edge, OperatorChoice, Space, Width, WidthId, WidthSum};
use crate::units::Megahertz;

/// What stands for the hardware in the objective. All but [`CostKind::Expected`] are there to be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostKind {
    /// The estimator's exact cycles, in expectation.
    Expected,
    /// `MACs / PEs` cycles, every PE always busy: the baseline that knows no array.
    Flops,
    /// Tiles by a [`smooth_ceil`] of expected widths, times the streamed length (U-Boost NAS).
    SmoothCeil,
    /// The longer of `MACs / PEs` and `bytes / bandwidth`, at expected widths.
    Roofline,
    /// A [`Lookup`] table at the likeliest widths.
    Lookup,
}

impl CostKind {
    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Flops => "flops",
            Self::SmoothCeil => "smooth-ceil",
            Self::Roofline => "roofline",
            Self::Lookup => "lookup",
        }
    }
}

/// How the hardware is priced.
#[derive(Debug, Clone, Copy)]
pub struct Pricing<'a> {
    /// What a layer costs.
    pub kind: CostKind,
    /// How costs are put together.
    pub sums: Sums,
    /// The table of [`CostKind::Lookup`].
    pub lookup: Option<&'a Lookup>,
}

impl From<CostKind> for Pricing<'_> {
    fn from(kind: CostKind) -> Self {
        Self { kind, sums: Sums::Network, lookup: None }
    }
}

impl Pricing<'_> {
    /// The formula that prices `space`; nothing for what is priced by the tables.
    fn formula(&self, space: &Space, target: &Target<'_>) -> Result<Option<Formula>, CostError> {
        let Accelerator { array, clock, .. } = target.accelerator;
        let law = match (self.kind, self.sums) {
            (CostKind::Expected, Sums::Paper) => return Err(CostError::PaperSums),
            (CostKind::Expected | CostKind::Flops, Sums::Network) => return Ok(None),
            (CostKind::Flops, Sums::Paper) => Law::Flops,
            (CostKind::SmoothCeil, _) => Law::smooth_ceil(target)?,
            (CostKind::Roofline, _) => Law::roofline(target)?,
            (CostKind::Lookup, _) => {
                let table = self.lookup.ok_or(CostError::NoTable)?.clone();
                Law::Lookup { table, cycles_per_ms: clock.get() * 1e3 }
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "PEs and batches are far below 2^52")]
        let (pes, batch) = (array.pes() as f64, target.batch as f64);
        Formula::new(space, law, self.sums, &Scale { batch, pes, ms_per_cycle: clock.milliseconds_of(1.0) }).map(Some)
    }

    /// That `space` can be priced on `target`, without filling its tables.
    ///
    /// # Errors
    /// [`CostError`] as [`CostModel::new`], as far as the kind of cost is to blame.
    pub fn check(&self, space: &Space, target: &Target<'_>) -> Result<(), CostError> {
        self.formula(space, target).map(|_| ())
    }
}

/// Expected cost and its gradient with respect to every probability.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedCost {
    /// Expected clock cycles.
    pub cycles: f64,
    /// Expected multiply-accumulates.
    pub macs: f64,
    /// `d cycles / d probability`.
    pub cycles_gradient: Probabilities,
    /// `d macs / d probability`.
    pub macs_gradient: Probabilities,
}

/// The tables of one space on one accelerator.
#[derive(Debug, Clone)]
pub struct CostModel {
    kind: CostKind,
    /// What prices latency and utilization, where not the tables.
    formula: Option<Formula>,
    pes: f64,
    clock: Megahertz,
    precision: Precision,
    batch: f64,
    calibration: Option<Calibration>,
    /// Channels after which a layer takes one more tile.
    tile_channels: u64,
    /// Nought for every option of every choice, and of every width that follows from choices.
    shape: Probabilities,
    width_sums: Vec<WidthSum>,
    /// Widths that follow from operators as well.
    follows: Option<Follows>,
    /// Whether the widths of the two ends of every edge are one, or independent.
    ends_are_independent: bool,
    edges: Vec<EdgeTables>,
    /// For each edge 1 where a candidate is not `zero`.
    there: Vec<Vec<f64>>,
    sums: Vec<WidthTables>,
    /// Where each of the sums stands.
    standing: Vec<Sum>,
    classifier: WidthTables,
    liveness: Liveness,
    memory: Memory,
    /// What is asked where a layer's cost depends on what stands around it.
    surroundings: Option<Surroundings>,
}

/// Latency and utilization with their gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct Hardware {
    /// Expected milliseconds.
    pub latency_ms: f64,
    /// `E[MACs] / (PEs * E[cycles])`: the expected utilization at one-hot choices only.
    pub utilization: f64,
    /// `d latency_ms / d probability`.
    pub latency_gradient: Probabilities,
    /// `d utilization / d probability`.
    pub utilization_gradient: Probabilities,
}

impl CostModel {
    /// Fills the tables of `space` by the estimator, once.
    ///
    /// # Errors
    /// [`CostError`] where a candidate does not fit its edge, a number overflows, or the kind of cost does not speak of the
    /// accelerator or the space.
    pub fn new<'a>(space: &Space, target: &Target<'_>, pricing: impl Into<Pricing<'a>>) -> Result<Self, CostError> {
        let pricing: Pricing<'a> = pricing.into();
        let Accelerator { array, clock, calibration, precision, dataflow, .. } = target.accelerator;
        #[expect(clippy::cast_precision_loss, reason = "PEs and batches are far below 2^52")]
        let (pes, batch) = (array.pes() as f64, target.batch as f64);
        let engine = target.engine()?;
        let filler = Filler { space, target, engine: &engine };
        let (edges, sums) = (filler.edges()?, filler.sums()?);
        let (standing, sums): (Vec<Sum>, Vec<WidthTables>) = sums.into_iter().unzip();
        let is_there = |choice: &OperatorChoice| {
            choice.candidates.iter().map(|candidate| f64::from(u8::from(*candidate != Candidate::Zero))).collect()
        };
        let surroundings = (!is_local(target, &engine, &edges)).then(|| Surroundings {
            space: space.clone(),
            accelerator: target.accelerator.clone(),
            timing: target.timing,
            batch: target.batch,
        });
        Ok(Self {
            kind: pricing.kind,
            formula: pricing.formula(space, target)?,
            pes,
            clock: *clock,
            precision: *precision,
            batch,
            calibration: calibration.clone(),
            tile_channels: settled::tile_channels(array, *dataflow),
            shape: slots(space),
            width_sums: space.sums.clone(),
            follows: Follows::new(space),
            ends_are_independent: space.edges.iter().all(|edge| are_independent(space, edge)),
            there: space.edges.iter().map(|edge| is_there(&space.operators[edge.operator.0])).collect(),
            memory: Memory::new(space, &edges),
            edges,
            sums,
            classifier: filler.classifier()?,
            liveness: Liveness::new(space, &standing),
            standing,
            surroundings,
        })
    }

    /// Whether the expectation of cycles and energy of [`CostModel::expect`] is exact: the mean over all architectures whose output is reached.
    ///
    /// At a one-hot choice every number is the estimator's own, whatever this says. Between them it is approximate
    ///
    /// - where a concatenation and what reads it share a width choice, which no space that is read from a file has: the
    ///   two are taken as independent;
    /// - where a join projects whose branches may be cut, or copy the width of their source: what such branches have in
    ///   common, a source, an operator choice that cells share, is left out of the distribution of their maximum;
    /// - where more than 12 choices may cut edges: `P(live)` is the product of two recursions over ways, as if ways were
    ///   independent;
    /// - where a layer's cost depends on what stands around it: tensors stay on chip where all layers at them agree,
    ///   weights where those of the whole network fit, and an activation at the beginning of a candidate is free where
    ///   the layer before can do it on the way. The tables then price each part as far as its own layers tell, and the
    ///   sum moves by what the likeliest network costs beyond its parts; the gradient is that of the tables.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        let follows = self.follows.as_ref().is_none_or(Follows::is_exact);
        let tables = self.surroundings.is_none() && self.ends_are_independent && follows;
        self.formula.is_none() && tables && self.liveness.is_exact()
    }

    /// Whether a search is to ask it for the weights of a draw, as U-Boost NAS does, and not for the distributions: what
    /// is fed with one width for each join.
    #[must_use]
    pub fn is_of_draws(&self) -> bool {
        self.formula.is_some()
    }

    /// Expected cycles and MACs where the choices follow `probabilities`.
    #[must_use]
    pub fn expect(&self, probabilities: &Probabilities) -> ExpectedCost {
        let point = Point::new(self, probabilities);
        let cost = self.expect_at(&point);
        ExpectedCost {
            cycles_gradient: point.by_choices(cost.cycles_gradient),
            macs_gradient: point.by_choices(cost.macs_gradient),
            ..cost
        }
    }

    /// As [`CostModel::expect`], by every slot.
    fn expect_at(&self, point: &Point<'_>) -> ExpectedCost {
        let [cycles, macs] = [Quantity::Cycles, Quantity::Macs].map(|quantity| point.expect(quantity));
        let beyond = self.beyond(point).cycles;
        ExpectedCost {
            cycles: cycles.value + beyond,
            cycles_gradient: cycles.gradient,
            macs: macs.value,
            macs_gradient: macs.gradient,
        }
    }

    fn beyond(&self, point: &Point<'_>) -> Beyond {
        self.surroundings.as_ref().map_or(Beyond::default(), |surroundings| surroundings.beyond(point))
    }

    /// Latency and utilization as the objective sees them.
    #[must_use]
    pub fn hardware(&self, probabilities: &Probabilities) -> Hardware {
        let point = Point::new(self, probabilities);
        let hardware = self.hardware_at(&point);
        Hardware {
            latency_gradient: point.by_choices(hardware.latency_gradient),
            utilization_gradient: point.by_choices(hardware.utilization_gradient),
            ..hardware
        }
    }

    /// As [`CostModel::hardware`], by every slot.
    fn hardware_at(&self, point: &Point<'_>) -> Hardware {
        if let Some(formula) = &self.formula {
            return formula.hardware(point);
        }
        let cost = self.expect_at(point);
        let scale = self.clock.milliseconds_of(1.0);
        match self.kind {
            CostKind::Expected => {
                let utilization = if cost.cycles > 0.0 { cost.macs / (self.pes * cost.cycles) } else { 0.0 };
                // d(M / (P C)) = dM / (P C) - M dC / (P C^2)
                let (by_macs, by_cycles) = if cost.cycles > 0.0 {
                    (1.0 / (self.pes * cost.cycles), -utilization / cost.cycles)
                } else {
                    (0.0, 0.0)
                };
                let mut utilization_gradient = cost.macs_gradient.scaled(by_macs);
                utilization_gradient.add_scaled(&cost.cycles_gradient, by_cycles);
                let (latency_ms, latency_gradient) = match &self.calibration {
                    None => (self.clock.milliseconds_of(cost.cycles), cost.cycles_gradient.scaled(scale)),
                    Some(calibration) => self.calibrated(point, calibration),
                };
                Hardware { latency_ms, utilization, latency_gradient, utilization_gradient }
            }
            CostKind::Flops | CostKind::SmoothCeil | CostKind::Roofline | CostKind::Lookup => Hardware {
                latency_ms: cost.macs / self.pes * scale,
                utilization: 1.0,
                latency_gradient: cost.macs_gradient.scaled(scale / self.pes),
                utilization_gradient: self.shape.clone(),
            },
        }
    }

    /// `metric` where the choices follow `probabilities`; at a one-hot choice what [`exact`] reads off the estimate of
    /// the network.
    ///
    /// Weights are parameters at the precision of a weight, not rounded up to whole bytes. The peak of activations is
    /// approximate between one-hot choices: the largest of the expected values alive at each edge and sum, ways by which
    /// a tensor is held on taken as independent.
    #[must_use]
    pub fn metric(&self, metric: Metric, probabilities: &Probabilities) -> Valued {
        let kib = |bits: u32| f64::from(bits) / 8.0 / 1024.0;
        let point = Point::new(self, probabilities);
        let Valued { value, gradient } = match metric {
            Metric::LatencyMs => {
                let Hardware { latency_ms: value, latency_gradient: gradient, .. } = self.hardware_at(&point);
                Valued { value, gradient }
            }
            Metric::Utilization => {
                let Hardware { utilization: value, utilization_gradient: gradient, .. } = self.hardware_at(&point);
                Valued { value, gradient }
            }
            Metric::EnergyUj => {
                let Valued { value, gradient } = point.expect(Quantity::EnergyPj);
                Valued { value: value + self.beyond(&point).energy_pj, gradient }.scaled(1e-6)
            }
            Metric::Macs => point.expect(Quantity::Macs),
            Metric::Params => point.expect(Quantity::Params),
            Metric::WeightKib => point.expect(Quantity::Params).scaled(kib(self.precision.weight_bits)),
            Metric::PeakActivationKib => {
                self.memory.peak(&point).scaled(self.batch * kib(self.precision.activation_bits))
            }
        };
        Valued { value, gradient: point.by_choices(gradient) }
    }

    /// Calibrated time of the expected sum over layers, with the constant and under the ceiling, and its gradient.
    fn calibrated(&self, point: &Point<'_>, calibration: &Calibration) -> (f64, Probabilities) {
        let Valued { value, gradient } = point.expect(Quantity::LayersMs);
        let image = calibration.image(value);
        (self.batch * image.ms, gradient.scaled(self.batch * image.slope))
    }
}

/// Nought for every option of every choice of `space`, and behind the widths of every sum of widths.
fn slots(space: &Space) -> Probabilities {
    let mut all = Probabilities::zeros(space);
    all.widths.extend(space.sums.iter().map(|sum| vec![0.0; sum.options().len()]));
    all.widths.extend(space.follower_options().map(|options| vec![0.0; options]));
    all
}

/// Whether the widths of the ends of `edge` are one, or share no choice that is open.
fn are_independent(space: &Space, edge: &Edge) -> bool {
    let is_open = |choice: &WidthId| space.widths[choice.0].options.len() > 1;
    let independent = |[from, to]: [Width; 2]| {
        let shared = |choice: &WidthId| is_open(choice) && space.parts(to).contains(choice);
        from == to || !space.parts(from).iter().any(shared)
    };
    // The ends of a projection are priced by the distribution of both.
    space.projection(edge).is_some()
        || space.candidates(edge).iter().all(|candidate| independent(space.ends_of(edge, candidate)))
}

/// Whether cycles and energy of every part of a network are its own, wherever it stands.
fn is_local(target: &Target<'_>, engine: &Engine, edges: &[EdgeTables]) -> bool {
    let energy = target.accelerator.energy.is_some();
    let traffic = engine.keeps_nothing() || !(engine.times_traffic() || energy);
    let vectors = engine.times_vectors() || (energy && target.accelerator.vector.is_some());
    traffic && !(vectors && edges.iter().any(EdgeTables::takes_fusion))
}

#[cfg(test)]
mod tests;
