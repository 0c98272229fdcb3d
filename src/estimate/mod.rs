//! Network x accelerator: what every layer costs, and the whole.

mod lower;
mod peak;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use lower::{EstimateError, Target, gemm};

use crate::accel::{Accelerator, ArrayCost, Gemm};
use crate::import::onnx::Coverage;
use crate::import::scale_sim::{Row, RowKind};
use crate::network::{Network, Node, NodeId};
use crate::units::{Bytes, Cycles, Macs};

/// What limits a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The array.
    Array,
    /// Memory traffic.
    Memory,
    /// The vector unit.
    Vector,
    /// Nothing: the layer is free.
    None,
}

/// A change that is proposed, with the cycles of the whole network before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// What to change.
    pub change: String,
    /// Cycles of the network as it is.
    pub cycles_before: Cycles,
    /// Cycles of the network with the change.
    pub cycles_after: Cycles,
}

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
    /// `MACs / (PEs * cycles in which operands stream)`: what tiling leaves; nothing without MACs.
    pub mapping_utilization: Option<f64>,
    /// `MACs / (PEs * cycles of the array)`: with load, fill and drain.
    pub overall_utilization: Option<f64>,
    /// Compulsory traffic in: each weight and each input value once. Layers that multiply nothing count as fused.
    pub bytes_read: Bytes,
    /// Compulsory traffic out: each output value once.
    pub bytes_written: Bytes,
    /// Microjoules, where the accelerator has an energy table.
    pub energy_uj: Option<f64>,
    /// What limits the layer.
    pub bound: Bound,
    /// Changes that would help.
    pub advice: Vec<Advice>,
    #[serde(skip)]
    #[schemars(skip)]
    cost: ArrayCost,
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
    /// Every operator of a network, or every row of a list, in order.
    pub layers: Vec<LayerEstimate>,
    /// The whole.
    pub total: Total,
    /// How much of the file it speaks of, where the file may hold what is not covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

/// Estimates `network` on `target`.
///
/// # Errors
/// [`EstimateError`] with the layer at which it fails.
pub fn network(network: &Network, target: &Target<'_>) -> Result<Estimate, EstimateError> {
    if target.batch == 0 {
        return Err(EstimateError::Batch);
    }
    let elements = |id: NodeId| network.node(id).shape.elements();
    let inputs = |id: NodeId| network.inputs(id).into_iter().map(elements).fold(0, u64::saturating_add);
    let layers: Result<Vec<LayerEstimate>, EstimateError> =
        network.nodes().skip(1).map(|(id, node)| node_layer(node, inputs(id), target)).collect();
    let mut estimate = summed(network.name(), layers?, target)?;
    let peak = peak::activation_elements(network).checked_mul(target.batch);
    estimate.total.peak_activation_bytes =
        peak.map(|elements| bytes(elements, target.accelerator.precision.activation_bits));
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
    let layer = |row: &Row| {
        let gemm = row.gemm(target.batch)?;
        let sizes = Sizes {
            params: gemm.n().saturating_mul(gemm.k()).saturating_mul(gemm.repeats()),
            input: row_inputs(row).saturating_mul(target.batch),
            output: gemm.m().saturating_mul(gemm.n()).saturating_mul(gemm.repeats()),
        };
        product_layer((&row.name, row_op(row)), &gemm, sizes, target)
    };
    let layers: Result<Vec<LayerEstimate>, EstimateError> = rows.iter().map(layer).collect();
    summed(name, layers?, target)
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

/// Values of a layer's operands, for the whole batch.
struct Sizes {
    params: u64,
    input: u64,
    output: u64,
}

fn node_layer(node: &Node, inputs: u64, target: &Target<'_>) -> Result<LayerEstimate, EstimateError> {
    let gemm = gemm(&node.op, &node.shape, target.batch)
        .map_err(|source| EstimateError::Workload { layer: node.name.clone(), source })?;
    let Some(gemm) = gemm else { return Ok(free_layer(node)) };
    let sizes = Sizes {
        params: node.params(),
        input: inputs.saturating_mul(target.batch),
        output: node.shape.elements().saturating_mul(target.batch),
    };
    product_layer((&node.name, node.op.name()), &gemm, sizes, target)
}

fn product_layer(
    (name, op): (&str, &str),
    gemm: &Gemm,
    sizes: Sizes,
    target: &Target<'_>,
) -> Result<LayerEstimate, EstimateError> {
    let cost = target.cost(name, gemm)?;
    let Accelerator { array, clock, precision, .. } = target.accelerator;
    let read =
        bytes(sizes.params, precision.weight_bits).0.saturating_add(bytes(sizes.input, precision.activation_bits).0);
    Ok(LayerEstimate {
        name: name.to_owned(),
        op: op.to_owned(),
        macs: cost.macs,
        params: sizes.params,
        cycles: cost.cycles,
        latency_ms: clock.milliseconds(cost.cycles),
        mapping_utilization: cost.mapping_utilization(array),
        overall_utilization: cost.overall_utilization(array),
        bytes_read: Bytes(read),
        bytes_written: bytes(sizes.output, precision.activation_bits),
        energy_uj: None,
        bound: Bound::Array,
        advice: Vec::new(),
        cost,
    })
}

fn free_layer(node: &Node) -> LayerEstimate {
    LayerEstimate {
        name: node.name.clone(),
        op: node.op.name().to_owned(),
        macs: Macs(0),
        params: node.params(),
        cycles: Cycles(0),
        latency_ms: 0.0,
        mapping_utilization: None,
        overall_utilization: None,
        bytes_read: Bytes(0),
        bytes_written: Bytes(0),
        energy_uj: None,
        bound: Bound::None,
        advice: Vec::new(),
        cost: ArrayCost::default(),
    }
}

fn summed(name: &str, layers: Vec<LayerEstimate>, target: &Target<'_>) -> Result<Estimate, EstimateError> {
    let mut cost = ArrayCost::default();
    for layer in &layers {
        cost = cost.checked_add(layer.cost).ok_or_else(|| EstimateError::Sum { layer: layer.name.clone() })?;
    }
    let Accelerator { name: accelerator, array, clock, precision, .. } = target.accelerator;
    let sum = |value: fn(&LayerEstimate) -> u64| layers.iter().map(value).fold(0, u64::saturating_add);
    let params = sum(|layer| layer.params);
    let latency_ms = clock.milliseconds(cost.cycles);
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
    let images = target.batch as f64;
    let total = Total {
        macs: cost.macs,
        params,
        cycles: cost.cycles,
        latency_ms,
        mapping_utilization: cost.mapping_utilization(array),
        overall_utilization: cost.overall_utilization(array),
        end_to_end_utilization: cost.overall_utilization(array),
        energy_uj: None,
        bytes_read: Bytes(sum(|layer| layer.bytes_read.0)),
        bytes_written: Bytes(sum(|layer| layer.bytes_written.0)),
        weight_bytes: bytes(params, precision.weight_bits),
        peak_activation_bytes: None,
        images_per_second: (latency_ms > 0.0).then(|| images / latency_ms * 1e3),
    };
    Ok(Estimate {
        network: name.to_owned(),
        accelerator: accelerator.clone(),
        timing: target.timing.name().to_owned(),
        batch: target.batch,
        layers,
        total,
        coverage: None,
    })
}

/// Bytes of `values` at `bits` each, rounded up.
fn bytes(values: u64, bits: u32) -> Bytes {
    let bits = u128::from(values) * u128::from(bits);
    Bytes(u64::try_from(bits.div_ceil(8)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
