//! The operators: a closed set.

use super::shape::Shape;

/// What a node of a network computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The image, `[channels, height, width]`.
    Input,
    /// Two-dimensional convolution, grouped and dilated.
    Conv2d(Conv2d),
    /// `y = W x + b` on a vector.
    Linear(Linear),
    /// Batch normalisation over each channel, with scale and shift.
    BatchNorm {
        /// Channels of its input.
        channels: u64,
    },
    /// An elementwise non-linearity.
    Activation(Activation),
    /// Maximum or mean over windows.
    Pool(Pool),
    /// Mean over the whole map: `[channels, 1, 1]`.
    GlobalAveragePool,
    /// Sum of equal shapes.
    Add,
    /// Product; a side of 1 is broadcast.
    Multiply,
    /// Channels one behind the other.
    Concat,
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
    /// `exp(x_i) / sum exp(x_j)` over the outermost dimension.
    Softmax,
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
        [0, 1].map(|axis| self.dilation[axis].saturating_mul(self.kernel[axis].saturating_sub(1)).saturating_add(1))
    }

    /// Values that one output value sums over: `kernel area * in_channels / groups`.
    #[must_use]
    pub fn fan_in(&self) -> u64 {
        self.kernel[0].saturating_mul(self.kernel[1]).saturating_mul(self.in_channels / self.groups.max(1))
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
}

impl Op {
    /// The operator's name in files and tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Conv2d(_) => "conv2d",
            Self::Linear(_) => "linear",
            Self::BatchNorm { .. } => "batch-norm",
            Self::Activation(activation) => activation.name(),
            Self::Pool(pool) => pool.kind.name(),
            Self::GlobalAveragePool => "global-average-pool",
            Self::Add => "add",
            Self::Multiply => "multiply",
            Self::Concat => "concat",
            Self::Identity => "identity",
            Self::FitChannels { .. } => "fit-channels",
            Self::Zero { .. } => "zero",
            Self::Flatten => "flatten",
            Self::Softmax => "softmax",
        }
    }

    /// Multiply-accumulates on one image with output `out`: `output values * fan-in` for products, none for the rest.
    /// `None` where the number passes `u64`.
    #[must_use]
    pub fn macs(&self, out: &Shape) -> Option<u64> {
        match self {
            Self::Conv2d(conv) => out.elements().checked_mul(conv.fan_in()),
            Self::Linear(linear) => linear.in_features.checked_mul(linear.out_features),
            Self::Input
            | Self::BatchNorm { .. }
            | Self::Activation(_)
            | Self::Pool(_)
            | Self::GlobalAveragePool
            | Self::Add
            | Self::Multiply
            | Self::Concat
            | Self::Identity
            | Self::FitChannels { .. }
            | Self::Zero { .. }
            | Self::Flatten
            | Self::Softmax => Some(0),
        }
    }
}
