//! An operator and its shapes as work for an accelerator.

use super::peak::{self, Alive};
use super::plan::{Ends, Engines, Plan};
use crate::accel::{
    Accelerator, Cost, CostError, Engine, Gemm, GemmKind, LayerCost, Timing, VectorWork, Work, Workload, WorkloadError,
};
use crate::network::{Activation, Network, Op, Pool, ResizeMode, Shape};
use crate::units::{Bytes, Macs};

/// Why a layer has no estimate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EstimateError {
    /// Its product is too large to count.
    #[error("layer `{layer}`: {source}")]
    Workload {
        /// The layer.
        layer: String,
        /// What is too large.
        source: WorkloadError,
    },
    /// Its cycles cannot be given.
    #[error("layer `{layer}`: {source}")]
    Cost {
        /// The layer.
        layer: String,
        /// Why.
        source: CostError,
    },
    /// A row of a SCALE-Sim file is no product.
    #[error(transparent)]
    Row(#[from] crate::import::scale_sim::RowError),
    /// The accelerator and the timing do not go together.
    #[error(transparent)]
    Accelerator(#[from] CostError),
    /// A sum over the layers is beyond what is counted.
    #[error("the sums over the layers up to `{layer}` must be below 2^63 cycles and below 2^64 of anything else")]
    Sum {
        /// The layer at which it does.
        layer: String,
    },
    /// A batch of none.
    #[error("the batch must be at least 1, got 0")]
    Batch,
}

/// The accelerator with the timing and the batch that an estimate is made under.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The accelerator.
    pub accelerator: &'a Accelerator,
    /// The timing: the accelerator's own, or another that is asked for.
    pub timing: Timing,
    /// Images at once, at least 1.
    pub batch: u64,
}

impl<'a> Target<'a> {
    /// One image under the accelerator's own timing.
    #[must_use]
    pub fn of(accelerator: &'a Accelerator) -> Self {
        Self { accelerator, timing: accelerator.timing, batch: 1 }
    }

    /// The accelerator under the timing.
    ///
    /// # Errors
    /// [`EstimateError::Accelerator`] where the timing does not cover it.
    pub fn engine(&self) -> Result<Engine, EstimateError> {
        Ok(self.accelerator.engine(self.timing)?)
    }

    /// What `network` costs, from image to output.
    ///
    /// # Errors
    /// [`EstimateError`] with the layer at which it fails.
    pub fn network_cost(&self, network: &Network) -> Result<Cost, EstimateError> {
        self.cost_between(&self.engine()?, network, Ends::OffChip)
    }

    /// What of an estimate of `network` a front needs, to the last bit the same numbers; `engine` is that of
    /// [`Target::engine`], made once for many.
    ///
    /// # Errors
    /// As [`Target::network_cost`].
    pub fn priced(&self, engine: &Engine, network: &Network) -> Result<Priced, EstimateError> {
        let Accelerator { array, clock, calibration, .. } = self.accelerator;
        let cost = self.cost_between(engine, network, Ends::OffChip)?;
        let latency_ms = match calibration {
            None => clock.milliseconds(cost.cycles),
            #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^53")]
            Some(calibration) => self.batch as f64 * calibration.image(self.network_layers_ms(network)?).ms,
        };
        let overall_utilization = cost.array.overall_utilization(array);
        let params = network.params();
        Ok(Priced {
            latency_ms,
            overall_utilization,
            energy_uj: self.accelerator.energy.map(|_| cost.energy.microjoules()),
            macs: cost.macs,
            params,
            weight_bytes: self.accelerator.precision.weight_bytes(params),
        })
    }

    /// What `network` costs as a part of a larger one: its input and its output may stay on chip, as far as its own
    /// layers let them. `engine` is that of [`Target::engine`], made once for many.
    ///
    /// # Errors
    /// As [`Target::network_cost`].
    pub fn fragment_cost(&self, engine: &Engine, network: &Network) -> Result<FragmentCost, EstimateError> {
        Ok(FragmentCost {
            whole: self.cost_between(engine, network, Ends::OnChip)?,
            layers_ms: self.network_layers_ms(network)?,
            params: network.params(),
            alive: peak::alive(network),
            takes_fusion: takes_fusion(network),
        })
    }

    fn cost_between(&self, engine: &Engine, network: &Network, ends: Ends) -> Result<Cost, EstimateError> {
        let plan = Plan::new(network, self, Engines::One(engine), ends)?;
        let mut total = Cost::default();
        for ((_, node), layer) in network.nodes().zip(plan.layers()) {
            let cost = layer_cost(engine, &node.name, layer)?.cost;
            total = total.checked_add(cost).ok_or_else(|| EstimateError::Sum { layer: node.name.clone() })?;
        }
        Ok(total)
    }
}

/// What of an estimate a front needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Priced {
    /// Milliseconds for the whole batch, calibrated where the accelerator is.
    pub latency_ms: f64,
    /// `array MACs / (PEs * cycles of the arrays)`.
    pub overall_utilization: Option<f64>,
    /// Microjoules for the whole batch, where the accelerator has an energy table.
    pub energy_uj: Option<f64>,
    /// Multiply-accumulates of the whole batch.
    pub macs: Macs,
    /// Learned values.
    pub params: u64,
    /// Learned values at the precision of weights.
    pub weight_bytes: Bytes,
}

/// What a part of a network costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FragmentCost {
    /// What adds up over layers, for the whole batch.
    pub whole: Cost,
    /// Calibrated milliseconds of its layers for one image, nought where the accelerator is not calibrated.
    pub layers_ms: f64,
    /// Learned values.
    pub params: u64,
    /// Values alive at once, for one image.
    pub alive: Alive,
    /// Whether it begins with what the layer before it may do on the way: a batch norm or an activation.
    pub takes_fusion: bool,
}

fn takes_fusion(fragment: &Network) -> bool {
    let fused = |op: &Op| matches!(op, Op::BatchNorm { .. } | Op::Activation(_) | Op::Elementwise(_));
    fragment.nodes().any(|(id, node)| fused(&node.op) && fragment.sources(id).any(|source| source == fragment.input()))
}

/// What `layer` costs; its name stands in the error.
pub(super) fn layer_cost(engine: &Engine, name: &str, layer: &Workload) -> Result<LayerCost, EstimateError> {
    engine.cost(layer).map_err(|source| EstimateError::Cost { layer: name.to_owned(), source })
}

/// What `op` with output `out` on `batch` images asks of an accelerator, where it is not done on the way by the layer
/// before it; `inputs` are the values of each input for one image.
///
/// # Errors
/// [`WorkloadError`] for a product as [`gemm`], [`CostError::Vector`] where operations pass 64 bits.
pub(super) fn work(op: &Op, out: &Shape, inputs: &[u64], batch: u64) -> Result<Work, Uncountable> {
    if let Some(gemm) = gemm(op, out, batch)? {
        return Ok(Work::Product(gemm));
    }
    let [values, read] = [out.elements(), inputs.first().copied().unwrap_or(0)];
    let times = |factor: Option<u64>, values: u64| factor?.checked_mul(values)?.checked_mul(batch);
    let operations = |count: Option<u64>| {
        let operations = count.ok_or(CostError::Vector)?;
        Ok(Work::Vector(VectorWork { operations, exponentials: 0 }))
    };
    let exponentials = || {
        let exponentials = times(Some(1), values).ok_or(CostError::Vector)?;
        Ok(Work::Vector(VectorWork { operations: 0, exponentials }))
    };
    match op {
        Op::Pool(Pool { kernel: [height, width], .. }) => {
            operations(times(height.checked_mul(*width).and_then(|area| area.checked_mul(2)), values))
        }
        Op::GlobalAveragePool => operations(times(Some(2), read)),
        Op::Add | Op::Multiply => operations(times(Some(inputs.len().saturating_sub(1) as u64), values)),
        Op::BatchNorm { .. } => operations(times(Some(1), values)),
        Op::Activation(activation) => match activation {
            Activation::Sigmoid
            | Activation::Silu
            | Activation::Gelu
            | Activation::Tanh
            | Activation::Elu { .. }
            | Activation::Softplus => exponentials(),
            Activation::Relu
            | Activation::Relu6
            | Activation::LeakyRelu { .. }
            | Activation::HardSigmoid
            | Activation::HardSwish
            | Activation::Clip { .. } => operations(times(Some(1), values)),
        },
        // The sum, the sum of squares, the mean taken off, the factor.
        Op::Norm(_) => operations(times(Some(4), values)),
        Op::LocalResponseNorm { size } => operations(times(size.checked_add(2), values)),
        Op::Reduce(_) => operations(times(Some(1), read)),
        Op::Elementwise(function) if function.is_transcendental() => exponentials(),
        Op::Elementwise(_) => operations(times(Some((inputs.len() as u64).saturating_sub(1).max(1)), values)),
        // A multiplication and an addition for each of 4 or 16 samples around.
        Op::Resize(resize) => match resize.mode {
            ResizeMode::Nearest => Ok(Work::Free),
            ResizeMode::Linear => operations(times(Some(2 * 4), values)),
            ResizeMode::Cubic => operations(times(Some(2 * 16), values)),
        },
        Op::Softmax { .. } => exponentials(),
        Op::Conv2d(_)
        | Op::ConvTranspose2d(_)
        | Op::Linear(_)
        | Op::MatMul { .. }
        | Op::Input
        | Op::Embedding(_)
        | Op::Concat { .. }
        | Op::Identity
        | Op::FitChannels { .. }
        | Op::Zero { .. }
        | Op::Flatten
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Slice(_)
        | Op::Gather(_)
        | Op::Pad(_)
        | Op::Expand { .. }
        | Op::Tensor(_) => Ok(Work::Free),
    }
}

/// Work that is too large to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uncountable {
    /// A product.
    Product(WorkloadError),
    /// Vector work.
    Vector(CostError),
}

impl From<WorkloadError> for Uncountable {
    fn from(error: WorkloadError) -> Self {
        Self::Product(error)
    }
}

impl From<CostError> for Uncountable {
    fn from(error: CostError) -> Self {
        Self::Vector(error)
    }
}

impl Uncountable {
    /// The error of the layer that asks for it.
    pub(super) fn of(self, layer: &str) -> EstimateError {
        let layer = layer.to_owned();
        match self {
            Self::Product(source) => EstimateError::Workload { layer, source },
            Self::Vector(source) => EstimateError::Cost { layer, source },
        }
    }
}

/// The matrix product of `op` with output `out` on `batch` images; nothing for operators that multiply no weights.
///
/// A convolution is `groups` products with m = output pixels x batch, n = output channels / groups, k = kernel area x
/// input channels / groups; a transposed one `groups` products with m = input pixels x batch, n = kernel area x output
/// channels / groups, k = input channels / groups; a linear layer one with m = tokens x batch; a product of activations
/// one for each matrix of each image.
///
/// # Errors
/// [`WorkloadError`] where a dimension is zero or the MACs pass 64 bits.
pub fn gemm(op: &Op, out: &Shape, batch: u64) -> Result<Option<Gemm>, WorkloadError> {
    match op {
        Op::Conv2d(conv) => {
            let pixels: u64 = out.dims()[1..].iter().product();
            let m = pixels.saturating_mul(batch);
            let gemm = Gemm::new(m, conv.out_channels / conv.groups, conv.fan_in())?;
            let kind = if conv.is_depthwise() { GemmKind::Depthwise } else { GemmKind::Weights };
            gemm.repeated(conv.groups, kind).map(Some)
        }
        Op::ConvTranspose2d(conv) => {
            let m = conv.in_pixels(out).saturating_mul(batch);
            let gemm = Gemm::new(m, conv.fan_out(), conv.in_channels / conv.groups)?;
            let kind = if conv.is_depthwise() { GemmKind::Depthwise } else { GemmKind::Weights };
            gemm.repeated(conv.groups, kind).map(Some)
        }
        Op::Linear(linear) => {
            let tokens = out.elements() / linear.out_features;
            Gemm::new(tokens.saturating_mul(batch), linear.out_features, linear.in_features).map(Some)
        }
        Op::MatMul { inner } => {
            let [matrices @ .., m, n] = out.dims() else {
                return Err(WorkloadError::Empty { dimension: "n" });
            };
            let matrices = matrices.iter().product::<u64>().saturating_mul(batch);
            Gemm::new(*m, *n, *inner)?.repeated(matrices, GemmKind::Activations).map(Some)
        }
        Op::Input
        | Op::Embedding(_)
        | Op::Norm(_)
        | Op::LocalResponseNorm { .. }
        | Op::BatchNorm { .. }
        | Op::Activation(_)
        | Op::Pool(_)
        | Op::GlobalAveragePool
        | Op::Reduce(_)
        | Op::Add
        | Op::Multiply
        | Op::Elementwise(_)
        | Op::Concat { .. }
        | Op::Identity
        | Op::FitChannels { .. }
        | Op::Zero { .. }
        | Op::Flatten
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Slice(_)
        | Op::Gather(_)
        | Op::Pad(_)
        | Op::Expand { .. }
        | Op::Resize(_)
        | Op::Tensor(_)
        | Op::Softmax { .. } => Ok(None),
    }
}
