//! Network x accelerator: what every layer costs, and the whole.

mod advice;
pub mod calibrate;
mod calibrated;
mod compare;
mod lower;
mod peak;
mod plan;
mod reports;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use advice::{
    Advice, AdviceKind, Consumers, Figures, LayerChange, Resized, Setting, network_with_advice, rows_with_advice,
};
pub use calibrated::measured_work;
pub use compare::{Compared, Comparison, Difference, LayerDifference, compare};
pub use lower::{EstimateError, FragmentCost, Priced, Target, gemm};
pub use peak::Alive;
pub use reports::{ReportError, Reports, reports};

pub use crate::accel::{Bound, Breakdown, Part, Shares, Traffic};

use lower::layer_cost;
use plan::{Ends, Engines, Plan};

use crate::accel::{Accelerator, Cost, Engine, Gemm, LayerCost, Operand, Operands, Work, Workload};
use crate::import::onnx::Coverage;
use crate::import::scale_sim::{Row, RowKind};
use crate::network::Network;
use crate::units::{Bytes, Cycles, Macs};

/// One layer on an accelerator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LayerEstimate {
    /// The node's name, or the row's.
    pub name: String,
    /// The operator.
    pub op: String,
    /// Multiply-accumulates of the whole batch.
    pub macs: Macs,
    /// Learned values.
    pub params: u64,
    /// Clock cycles for the whole batch.
    pub cycles: Cycles,
    /// Milliseconds for the whole batch.
    pub latency_ms: f64,
    /// `array MACs / (PEs * cycles in which operands stream)`: what tiling leaves; nothing without MACs of the array.
    pub mapping_utilization: Option<f64>,
    /// `array MACs / (PEs * cycles of the array)`: with load, fill and drain.
    pub overall_utilization: Option<f64>,
    /// `all MACs / (PEs * cycles)`: with memory, vector work and stalls.
    pub end_to_end_utilization: Option<f64>,
    /// Read from DRAM: weights and inputs. What is done on the way by another layer, or free, has no bytes.
    pub bytes_read: Bytes,
    /// Written to DRAM: outputs.
    pub bytes_written: Bytes,
    /// Microjoules, where the accelerator has an energy table.
    pub energy_uj: Option<f64>,
    /// What limits the layer: the longest of array, memory and vector unit.
    pub bound: Bound,
    /// Changes of this layer alone that would help, where advice was asked for.
    pub advice: Vec<Advice>,
    /// Cycles of each unit, hidden or not.
    pub units: UnitCycles,
    /// What the cycles go to; the parts sum to them.
    pub breakdown: Breakdown,
    /// The largest part that is not useful.
    pub largest_loss: Option<Part>,
    /// The bytes, by operand.
    pub traffic: Traffic,
    /// How several arrays share the layer.
    pub split: Shares,
    #[serde(skip)]
    #[schemars(skip)]
    cost: Cost,
}

/// How long each unit works, hidden behind another or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnitCycles {
    /// The busiest array.
    pub array: Cycles,
    /// The traffic to and from DRAM.
    pub memory: Cycles,
    /// The vector unit.
    pub vector: Cycles,
}

impl UnitCycles {
    fn of(cost: &Cost) -> Self {
        Self { array: cost.array.cycles, memory: cost.memory, vector: cost.vector }
    }
}

/// The whole network on an accelerator. Utilizations are ratios of sums, never means over layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Total {
    /// Multiply-accumulates of the whole batch.
    pub macs: Macs,
    /// Learned values.
    pub params: u64,
    /// Clock cycles for the whole batch.
    pub cycles: Cycles,
    /// Milliseconds for the whole batch.
    pub latency_ms: f64,
    /// As of a layer.
    pub mapping_utilization: Option<f64>,
    /// As of a layer.
    pub overall_utilization: Option<f64>,
    /// `all MACs / (PEs * all cycles)`: with memory, vector work and stalls.
    pub end_to_end_utilization: Option<f64>,
    /// Microjoules, where the accelerator has an energy table.
    pub energy_uj: Option<f64>,
    /// Sum over the layers.
    pub bytes_read: Bytes,
    /// Sum over the layers.
    pub bytes_written: Bytes,
    /// Weights of the network.
    pub weight_bytes: Bytes,
    /// Most bytes of activations that are alive at once, over the network's own order, for the whole batch; nothing
    /// for a list of layers without wires.
    pub peak_activation_bytes: Option<Bytes>,
    /// Batch over latency.
    pub images_per_second: Option<f64>,
    /// Sum over the layers.
    pub units: UnitCycles,
    /// Sum over the layers; the parts sum to the cycles.
    pub breakdown: Breakdown,
    /// The largest part that is not useful.
    pub largest_loss: Option<Part>,
    /// Sum over the layers.
    pub traffic: Traffic,
    /// Changes that would help, where advice was asked for: those that save cycles first, most first, then those that
    /// are free, then those that cost some.
    #[serde(default)]
    pub advice: Vec<Advice>,
}

/// What a network does on an accelerator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The network's name.
    pub network: String,
    /// The accelerator's name.
    pub accelerator: String,
    /// The timing's name.
    pub timing: String,
    /// Images at once.
    pub batch: u64,
    /// Whether latencies are the accelerator's measured times, as fitted, and not its cycles over its clock.
    #[serde(default)]
    pub calibrated: bool,
    /// Every operator of a network, or every row of a list, in order.
    pub layers: Vec<LayerEstimate>,
    /// The whole.
    pub total: Total,
    /// How much of the file it speaks of, where the file may hold what is not covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

impl Estimate {
    /// What is estimated, in one line.
    #[must_use]
    pub fn title(&self) -> String {
        let Self { network, accelerator, timing, batch, .. } = self;
        let latency = if self.calibrated { ", latency as measured" } else { "" };
        format!("{network} on {accelerator}, timing {timing}, batch {batch}{latency}")
    }
}

/// Estimates `network` on `target`.
///
/// # Errors
/// [`EstimateError`] with the layer at which it fails.
pub fn network(network: &Network, target: &Target<'_>) -> Result<Estimate, EstimateError> {
    if target.batch == 0 {
        return Err(EstimateError::Batch);
    }
    network_on(network, target, Engines::One(&target.engine()?))
}

/// As [`network`], the engine of each layer given.
fn network_on(network: &Network, target: &Target<'_>, engines: Engines<'_>) -> Result<Estimate, EstimateError> {
    let plan = Plan::new(network, target, engines, Ends::OffChip)?;
    let asked = network.nodes().zip(plan.layers()).skip(1).enumerate().map(|(place, ((_, node), layer))| {
        let asked = Asked { name: &node.name, op: node.op.name(), params: node.params(), layer: *layer };
        asked.answer(target, engines.of(place))
    });
    let layers: Result<Vec<LayerEstimate>, EstimateError> = asked.collect();
    let mut estimate = summed(network.name(), layers?, target)?;
    let peak = peak::activation_elements(network).checked_mul(target.batch);
    estimate.total.peak_activation_bytes = peak.map(|elements| target.accelerator.precision.activation_bytes(elements));
    calibrated::network(&mut estimate, network, target)?;
    Ok(estimate)
}

/// Estimates the rows of a SCALE-Sim topology on `target`: one layer for each row, in order.
///
/// # Errors
/// [`EstimateError`] with the row at which it fails.
pub fn rows(name: &str, rows: &[Row], target: &Target<'_>) -> Result<Estimate, EstimateError> {
    if target.batch == 0 {
        return Err(EstimateError::Batch);
    }
    rows_on(name, rows, target, Engines::One(&target.engine()?))
}

/// As [`rows`], the engine of each layer given.
fn rows_on(name: &str, rows: &[Row], target: &Target<'_>, engines: Engines<'_>) -> Result<Estimate, EstimateError> {
    let precision = &target.accelerator.precision;
    let gemms = rows.iter().map(|row| row.gemm(target.batch)).collect::<Result<Vec<_>, _>>()?;
    let params = |gemm: &Gemm| gemm.n().saturating_mul(gemm.k()).saturating_mul(gemm.repeats());
    let all = gemms.iter().map(params).fold(0, u64::saturating_add);
    let mut room = target.accelerator.memory.weight_room(precision.weight_bytes(all));
    let asked = rows.iter().zip(&gemms).enumerate().map(|(place, (row, gemm))| {
        let inputs = row_inputs(row).saturating_mul(target.batch);
        let outputs = gemm.m().saturating_mul(gemm.n()).saturating_mul(gemm.repeats());
        let weights = precision.weight_bytes(params(gemm));
        let operands = Operands {
            weights: room.next(weights),
            inputs: Operand::off_chip(precision.activation_bytes(inputs)),
            outputs: Operand::off_chip(precision.activation_bytes(outputs)),
        };
        let layer = Workload { work: Work::Product(*gemm), operands };
        Asked { name: &row.name, op: row_op(row), params: params(gemm), layer }.answer(target, engines.of(place))
    });
    let layers: Result<Vec<LayerEstimate>, EstimateError> = asked.collect();
    let mut estimate = summed(name, layers?, target)?;
    calibrated::rows(&mut estimate, rows, target)?;
    Ok(estimate)
}

/// Input values of a row for one image, each once: a product does not say which of its rows overlap.
fn row_inputs(row: &Row) -> u64 {
    match row.kind {
        RowKind::Conv(conv) => conv.ifmap_h.saturating_mul(conv.ifmap_w).saturating_mul(conv.channels),
        RowKind::Gemm { m, k, .. } => m.saturating_mul(k),
    }
}

/// The operator of a row, as far as its format tells.
fn row_op(row: &Row) -> &'static str {
    match row.kind {
        RowKind::Conv(_) => "conv2d",
        RowKind::Gemm { .. } => "gemm",
    }
}

/// A layer with its name.
struct Asked<'a> {
    name: &'a str,
    op: &'static str,
    params: u64,
    layer: Workload,
}

impl Asked<'_> {
    fn answer(self, target: &Target<'_>, engine: &Engine) -> Result<LayerEstimate, EstimateError> {
        let LayerCost { cost, bound, shares } = layer_cost(engine, self.name, &self.layer)?;
        let Accelerator { array, clock, .. } = target.accelerator;
        let read = cost.traffic.read().ok_or_else(|| EstimateError::Sum { layer: self.name.to_owned() })?;
        Ok(LayerEstimate {
            name: self.name.to_owned(),
            op: self.op.to_owned(),
            macs: cost.macs,
            params: self.params,
            cycles: cost.cycles,
            latency_ms: clock.milliseconds(cost.cycles),
            mapping_utilization: cost.array.mapping_utilization(array),
            overall_utilization: cost.array.overall_utilization(array),
            end_to_end_utilization: cost.end_to_end_utilization(array),
            bytes_read: read,
            bytes_written: cost.traffic.outputs,
            energy_uj: target.accelerator.energy.map(|_| cost.energy.microjoules()),
            bound,
            advice: Vec::new(),
            units: UnitCycles::of(&cost),
            breakdown: cost.breakdown,
            largest_loss: cost.breakdown.largest_loss(),
            traffic: cost.traffic,
            split: shares,
            cost,
        })
    }
}

fn summed(name: &str, layers: Vec<LayerEstimate>, target: &Target<'_>) -> Result<Estimate, EstimateError> {
    let mut cost = Cost::default();
    let mut read = Bytes(0);
    for layer in &layers {
        let beyond = || EstimateError::Sum { layer: layer.name.clone() };
        cost = cost.checked_add(layer.cost).ok_or_else(beyond)?;
        read = read.checked_add(layer.bytes_read).ok_or_else(beyond)?;
    }
    let Accelerator { name: accelerator, array, clock, precision, .. } = target.accelerator;
    let params = layers.iter().map(|layer| layer.params).fold(0, u64::saturating_add);
    let latency_ms = clock.milliseconds(cost.cycles);
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
    let images = target.batch as f64;
    let total = Total {
        macs: cost.macs,
        params,
        cycles: cost.cycles,
        latency_ms,
        mapping_utilization: cost.array.mapping_utilization(array),
        overall_utilization: cost.array.overall_utilization(array),
        end_to_end_utilization: cost.end_to_end_utilization(array),
        energy_uj: target.accelerator.energy.map(|_| cost.energy.microjoules()),
        bytes_read: read,
        bytes_written: cost.traffic.outputs,
        weight_bytes: precision.weight_bytes(params),
        peak_activation_bytes: None,
        images_per_second: (latency_ms > 0.0).then(|| images / latency_ms * 1e3),
        units: UnitCycles::of(&cost),
        breakdown: cost.breakdown,
        largest_loss: cost.breakdown.largest_loss(),
        traffic: cost.traffic,
        advice: Vec::new(),
    };
    Ok(Estimate {
        network: name.to_owned(),
        accelerator: accelerator.clone(),
        timing: target.timing.name().to_owned(),
        batch: target.batch,
        calibrated: target.accelerator.calibration.is_some(),
        layers,
        total,
        coverage: None,
    })
}

#[cfg(test)]
mod tests;
