//! The operators: a closed set.

use super::function::{Function, Reduce};
use super::layout::{Embedding, Gather, Pad, Resize, Slice, Tensor};
use super::norm::Norm;
use super::shape::{Shape, ShapeError, infer};

/// What a node of a network computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The image, `[channels, height, width]`.
    Input,
    /// Two-dimensional convolution, grouped and dilated.
    Conv2d(Conv2d),
    /// The convolution whose gradient a two-dimensional convolution is: it enlarges the map.
    ConvTranspose2d(ConvTranspose2d),
    /// `y = W x + b` along the innermost dimension: of a vector, or of each token.
    Linear(Linear),
    /// Product of two activations, `[.., m, inner]` by `[.., inner, n]`; the dimensions before are broadcast.
    MatMul {
        /// The length that is summed over.
        inner: u64,
    },
    /// A learned row for each value.
    Embedding(Embedding),
    /// Batch normalisation over each channel, with scale and shift.
    BatchNorm {
        /// Channels of its input.
        channels: u64,
    },
    /// Layer, RMS, group or instance normalisation.
    Norm(Norm),
    /// Each value over the root of the sum of squares in `size` channels around it (Krizhevsky et al. 2012).
    LocalResponseNorm {
        /// Channels in the sum.
        size: u64,
    },
    /// An elementwise non-linearity.
    Activation(Activation),
    /// Maximum or mean over windows.
    Pool(Pool),
    /// Mean over the whole map: `[channels, 1, 1]`.
    GlobalAveragePool,
    /// Mean, sum, or the like over axes.
    Reduce(Reduce),
    /// Sum; a side of 1 is broadcast.
    Add,
    /// Product; a side of 1 is broadcast.
    Multiply,
    /// Other arithmetic on each value.
    Elementwise(Function),
    /// One behind the other along an axis: channels along 0.
    Concat {
        /// The axis, from 0 over the dimensions of one image.
        axis: u64,
    },
    /// Its input.
    Identity,
    /// The first `channels` channels of its input, zeros where it has fewer. Moves no data that a consumer would not
    /// read anyway: free.
    FitChannels {
        /// Channels of the output.
        channels: u64,
    },
    /// Zeros of `channels` channels on the map of its input.
    Zero {
        /// Channels of the output.
        channels: u64,
    },
    /// A map as a vector, channels outermost.
    Flatten,
    /// Its values in their order, under other dimensions.
    Reshape {
        /// The dimensions of the output.
        shape: Vec<u64>,
    },
    /// Its dimensions in another order.
    Transpose {
        /// For each dimension of the output, which of the input's it is.
        order: Vec<u64>,
    },
    /// A part along an axis.
    Slice(Slice),
    /// Entries along an axis.
    Gather(Gather),
    /// Values around it.
    Pad(Pad),
    /// Repeated along sides of 1.
    Expand {
        /// The dimensions of the output.
        shape: Vec<u64>,
    },
    /// Sampled anew.
    Resize(Resize),
    /// A tensor that no operator puts out.
    Tensor(Tensor),
    /// `exp(x_i) / sum exp(x_j)` along an axis.
    Softmax {
        /// The axis, from 0 over the dimensions of one image.
        axis: u64,
    },
}

/// Whether a layer adds a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// `+ b`.
    With,
    /// None: a batch norm follows, or none is wanted.
    Without,
}

/// Parameters of a convolution; pairs are `[height, width]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field's own words")]
pub struct Conv2d {
    pub in_channels: u64,
    pub out_channels: u64,
    pub kernel: [u64; 2],
    pub stride: [u64; 2],
    pub padding: [u64; 2],
    pub dilation: [u64; 2],
    pub groups: u64,
    pub bias: Bias,
}

impl Conv2d {
    /// A dense convolution with a square odd kernel, stride 1, "same" padding and no bias.
    #[must_use]
    pub fn same(in_channels: u64, out_channels: u64, kernel: u64) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: [kernel / 2; 2],
            dilation: [1; 2],
            groups: 1,
            bias: Bias::Without,
        }
    }

    /// The same with this stride on both axes.
    #[must_use]
    pub fn strided(self, stride: u64) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// The same with this dilation on both axes, padded to keep the map.
    #[must_use]
    pub fn dilated(self, dilation: u64) -> Self {
        let padding = self.kernel.map(|k| dilation * (k.saturating_sub(1)) / 2);
        Self { dilation: [dilation; 2], padding, ..self }
    }

    /// The same in this many groups.
    #[must_use]
    pub fn grouped(self, groups: u64) -> Self {
        Self { groups, ..self }
    }

    /// Extent of the dilated kernel: `dilation * (kernel - 1) + 1` on each axis.
    #[must_use]
    pub fn window(&self) -> [u64; 2] {
        window(self.kernel, self.dilation)
    }

    /// Values that one output value sums over: `kernel area * in_channels / groups`.
    #[must_use]
    pub fn fan_in(&self) -> u64 {
        self.kernel[0].saturating_mul(self.kernel[1]).saturating_mul(self.in_channels / self.groups.max(1))
    }

    /// Whether each of several input channels is convolved by itself.
    #[must_use]
    pub fn is_depthwise(&self) -> bool {
        is_depthwise(self.groups, self.in_channels)
    }
}

fn window(kernel: [u64; 2], dilation: [u64; 2]) -> [u64; 2] {
    [0, 1].map(|axis| dilation[axis].saturating_mul(kernel[axis].saturating_sub(1)).saturating_add(1))
}

/// The rule of both convolutions; of one channel in one group it says no, since that is a dense convolution as well.
fn is_depthwise(groups: u64, in_channels: u64) -> bool {
    groups > 1 && groups == in_channels
}

/// Parameters of a transposed convolution; pairs are `[height, width]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field's own words")]
pub struct ConvTranspose2d {
    pub in_channels: u64,
    pub out_channels: u64,
    pub kernel: [u64; 2],
    pub stride: [u64; 2],
    /// What is cut from each end of the output.
    pub padding: [u64; 2],
    /// What is added to the far end of the output.
    pub output_padding: [u64; 2],
    pub dilation: [u64; 2],
    pub groups: u64,
    pub bias: Bias,
}

impl ConvTranspose2d {
    /// Extent of the dilated kernel: `dilation * (kernel - 1) + 1` on each axis.
    #[must_use]
    pub fn window(&self) -> [u64; 2] {
        window(self.kernel, self.dilation)
    }

    /// Side of the output: `stride * (side - 1) + window + output padding - 2 * padding`; nothing where that is none.
    pub(super) fn out(&self, side: u64, axis: usize) -> Option<u64> {
        let spread = self.stride[axis].checked_mul(side.checked_sub(1)?)?;
        let full = spread.checked_add(self.window()[axis])?.checked_add(self.output_padding[axis])?;
        full.checked_sub(self.padding[axis].checked_mul(2)?).filter(|&side| side > 0)
    }

    /// Pixels of the input that belong to an output of `[channels, height, width]`.
    #[must_use]
    pub fn in_pixels(&self, out: &Shape) -> u64 {
        let side = |axis: usize| {
            let side = out.dims().get(axis + 1).copied().unwrap_or(0);
            let spread = side.saturating_add(self.padding[axis].saturating_mul(2));
            let spread = spread.saturating_sub(self.window()[axis]).saturating_sub(self.output_padding[axis]);
            spread / self.stride[axis].max(1) + 1
        };
        side(0).saturating_mul(side(1))
    }

    /// Products of one input pixel in a group: `kernel area * out_channels / groups`.
    #[must_use]
    pub fn fan_out(&self) -> u64 {
        self.kernel[0].saturating_mul(self.kernel[1]).saturating_mul(self.out_channels / self.groups.max(1))
    }

    /// Whether each of several input channels is convolved by itself.
    #[must_use]
    pub fn is_depthwise(&self) -> bool {
        is_depthwise(self.groups, self.in_channels)
    }
}

/// Parameters of a linear layer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field's own words")]
pub struct Linear {
    pub in_features: u64,
    pub out_features: u64,
    pub bias: Bias,
}

/// Elementwise non-linearities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `max(0, x)`.
    Relu,
    /// `min(max(0, x), 6)`.
    Relu6,
    /// `x` above 0, `slope * x` below.
    LeakyRelu {
        /// Factor below zero.
        slope: f64,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `min(max(0, x / 6 + 1 / 2), 1)`.
    HardSigmoid,
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * hard-sigmoid(x)`.
    HardSwish,
    /// `x * Phi(x)`, Phi the normal distribution's function, or its approximation by a tanh.
    Gelu,
    /// `tanh x`.
    Tanh,
    /// `x` above 0, `alpha (exp x - 1)` below.
    Elu {
        /// Factor below zero.
        alpha: f64,
    },
    /// `ln(1 + exp x)`.
    Softplus,
    /// `min(max(low, x), high)`.
    Clip {
        /// The least value.
        low: f64,
        /// The largest.
        high: f64,
    },
}

impl Activation {
    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu { .. } => "leaky-relu",
            Self::Sigmoid => "sigmoid",
            Self::HardSigmoid => "hard-sigmoid",
            Self::Silu => "silu",
            Self::HardSwish => "hard-swish",
            Self::Gelu => "gelu",
            Self::Tanh => "tanh",
            Self::Elu { .. } => "elu",
            Self::Softplus => "softplus",
            Self::Clip { .. } => "clip",
        }
    }
}

/// What pooling takes of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// The largest value.
    Max,
    /// The mean over the values inside the map; padding does not count.
    Average,
}

impl PoolKind {
    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Max => "max-pool",
            Self::Average => "average-pool",
        }
    }
}

/// Parameters of pooling; pairs are `[height, width]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field's own words")]
pub struct Pool {
    pub kind: PoolKind,
    pub kernel: [u64; 2],
    pub stride: [u64; 2],
    pub padding: [u64; 2],
    pub last: LastWindow,
}

/// What becomes of a last window that leaves the padded map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastWindow {
    /// It is left out: sides are rounded down.
    Whole,
    /// It is kept where it starts inside the map or the padding before it: sides are rounded up.
    Partial,
}

impl Op {
    /// Shape of its output behind inputs of these shapes.
    ///
    /// # Errors
    /// [`ShapeError`] with the rule that the inputs break.
    pub fn shape(&self, inputs: &[&Shape]) -> Result<Shape, ShapeError> {
        infer(self, inputs)
    }

    /// The operator's name in files and tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Conv2d(_) => "conv2d",
            Self::ConvTranspose2d(_) => "conv-transpose2d",
            Self::Linear(_) => "linear",
            Self::MatMul { .. } => "matmul",
            Self::Embedding(_) => "embedding",
            Self::BatchNorm { .. } => "batch-norm",
            Self::Norm(norm) => norm.name(),
            Self::LocalResponseNorm { .. } => "local-response-norm",
            Self::Activation(activation) => activation.name(),
            Self::Pool(pool) => pool.kind.name(),
            Self::GlobalAveragePool => "global-average-pool",
            Self::Reduce(_) => "reduce",
            Self::Add => "add",
            Self::Multiply => "multiply",
            Self::Elementwise(_) => "elementwise",
            Self::Concat { .. } => "concat",
            Self::Identity => "identity",
            Self::FitChannels { .. } => "fit-channels",
            Self::Zero { .. } => "zero",
            Self::Flatten => "flatten",
            Self::Reshape { .. } => "reshape",
            Self::Transpose { .. } => "transpose",
            Self::Slice(_) => "slice",
            Self::Gather(_) => "gather",
            Self::Pad(_) => "pad",
            Self::Expand { .. } => "expand",
            Self::Resize(_) => "resize",
            Self::Tensor(_) => "tensor",
            Self::Softmax { .. } => "softmax",
        }
    }

    /// Multiply-accumulates on one image with output `out`: `output values * fan-in` for products (of a transposed
    /// convolution `input values * fan-out`), none for the rest. `None` where the number passes `u64`.
    #[must_use]
    pub fn macs(&self, out: &Shape) -> Option<u64> {
        match self {
            Self::Conv2d(conv) => out.elements().checked_mul(conv.fan_in()),
            Self::ConvTranspose2d(conv) => {
                conv.in_pixels(out).checked_mul(conv.in_channels)?.checked_mul(conv.fan_out())
            }
            Self::Linear(linear) => linear.in_features.checked_mul(out.elements()),
            Self::MatMul { inner } => inner.checked_mul(out.elements()),
            Self::Input
            | Self::Embedding(_)
            | Self::BatchNorm { .. }
            | Self::Norm(_)
            | Self::LocalResponseNorm { .. }
            | Self::Activation(_)
            | Self::Pool(_)
            | Self::GlobalAveragePool
            | Self::Reduce(_)
            | Self::Add
            | Self::Multiply
            | Self::Elementwise(_)
            | Self::Concat { .. }
            | Self::Identity
            | Self::FitChannels { .. }
            | Self::Zero { .. }
            | Self::Flatten
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Slice(_)
            | Self::Gather(_)
            | Self::Pad(_)
            | Self::Expand { .. }
            | Self::Resize(_)
            | Self::Tensor(_)
            | Self::Softmax { .. } => Some(0),
        }
    }
}
