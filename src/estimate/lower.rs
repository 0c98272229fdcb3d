//! An operator and its shapes as work for an accelerator.

use crate::accel::{Accelerator, ArrayCost, CostError, Gemm, GemmKind, Timing, WorkloadError};
use crate::network::{Network, Op, Shape};

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
    /// A sum over the layers passes 64 bits.
    #[error("the sum over the layers up to `{layer}` passes 64 bits")]
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

    /// Cycles, tiles and MACs of `gemm`.
    ///
    /// # Errors
    /// [`EstimateError::Cost`] with the name of the layer.
    pub fn cost(&self, layer: &str, gemm: &Gemm) -> Result<ArrayCost, EstimateError> {
        let cost = self.accelerator.array_cost(self.timing, gemm);
        cost.map_err(|source| EstimateError::Cost { layer: layer.to_owned(), source })
    }

    /// Cycles, tiles and MACs of all products in `network`.
    ///
    /// # Errors
    /// [`EstimateError`] with the layer at which it fails.
    pub fn network_cost(&self, network: &Network) -> Result<ArrayCost, EstimateError> {
        let mut total = ArrayCost::default();
        for (_, node) in network.nodes() {
            let gemm = gemm(&node.op, &node.shape, self.batch)
                .map_err(|source| EstimateError::Workload { layer: node.name.clone(), source })?;
            let Some(gemm) = gemm else { continue };
            let cost = self.cost(&node.name, &gemm)?;
            total = total.checked_add(cost).ok_or_else(|| EstimateError::Sum { layer: node.name.clone() })?;
        }
        Ok(total)
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
            let depthwise = conv.groups > 1 && conv.groups == conv.in_channels;
            let kind = if depthwise { GemmKind::Depthwise } else { GemmKind::Weights };
            gemm.repeated(conv.groups, kind).map(Some)
        }
        Op::ConvTranspose2d(conv) => {
            let m = conv.in_pixels(out).saturating_mul(batch);
            let gemm = Gemm::new(m, conv.fan_out(), conv.in_channels / conv.groups)?;
            let depthwise = conv.groups > 1 && conv.groups == conv.in_channels;
            let kind = if depthwise { GemmKind::Depthwise } else { GemmKind::Weights };
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
