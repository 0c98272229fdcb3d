//! Name, shape and order of every operator's tensors: the one place that modules, exports and checkpoints ask.

use super::layout::{Embedding, Origin, Tensor};
use super::norm::Affine;
use super::op::{Bias, Conv2d, ConvTranspose2d, Linear, Op};

/// Whether a tensor is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Learned by gradient descent.
    Parameter,
    /// A running statistic.
    Buffer,
}

/// One tensor of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name within the operator, as PyTorch has it: `weight`, `bias`, `running_mean`, `running_var`.
    pub name: &'static str,
    /// Convolution: `[out_channels, in_channels / groups, kernel height, kernel width]`, transposed:
    /// `[in_channels, out_channels / groups, kernel height, kernel width]`; linear: `[out, in]`; embedding:
    /// `[entries, features]`; a tensor: its own; the others: `[channels]` or `[features]`.
    pub shape: Vec<u64>,
    /// Learned or not.
    pub role: Role,
}

impl TensorSpec {
    fn parameter(name: &'static str, shape: Vec<u64>) -> Self {
        Self { name, shape, role: Role::Parameter }
    }

    fn buffer(name: &'static str, shape: Vec<u64>) -> Self {
        Self { name, shape, role: Role::Buffer }
    }

    /// Number of values, or nothing where it passes `u64`.
    #[must_use]
    pub fn elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |product, &d| product.checked_mul(d))
    }
}

/// The tensors of `op`, in the order in which they are stored.
#[must_use]
pub fn tensors(op: &Op) -> Vec<TensorSpec> {
    match op {
        Op::Conv2d(conv) => with_bias(conv_weight(conv), conv.out_channels, conv.bias),
        Op::Linear(Linear { in_features, out_features, bias }) => {
            with_bias(vec![*out_features, *in_features], *out_features, *bias)
        }
        Op::ConvTranspose2d(conv) => with_bias(transposed_weight(conv), conv.out_channels, conv.bias),
        Op::Embedding(Embedding { entries, features }) => {
            vec![TensorSpec::parameter("weight", vec![*entries, *features])]
        }
        Op::Norm(norm) => {
            let all = [
                TensorSpec::parameter("weight", vec![norm.features]),
                TensorSpec::parameter("bias", vec![norm.features]),
            ];
            let learned = match norm.affine {
                Affine::None => 0,
                Affine::Scale => 1,
                Affine::ScaleAndShift => 2,
            };
            all.into_iter().take(learned).collect()
        }
        Op::Tensor(Tensor { shape, origin: Origin::Learned }) => vec![TensorSpec::parameter("value", shape.clone())],
        Op::BatchNorm { channels } => vec![
            TensorSpec::parameter("weight", vec![*channels]),
            TensorSpec::parameter("bias", vec![*channels]),
            TensorSpec::buffer("running_mean", vec![*channels]),
            TensorSpec::buffer("running_var", vec![*channels]),
        ],
        Op::Input
        | Op::MatMul { .. }
        | Op::LocalResponseNorm { .. }
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
        | Op::Tensor(Tensor { origin: Origin::Given, .. })
        | Op::Softmax { .. } => Vec::new(),
    }
}

/// The name of a tensor on disk: the node's name with `.` for `/`, then the tensor's.
#[must_use]
pub fn tensor_name(node: &str, tensor: &str) -> String {
    format!("{}.{tensor}", node.replace('/', "."))
}

/// Number of learned values of `op`, or nothing where it passes `u64`.
#[must_use]
pub fn parameters(op: &Op) -> Option<u64> {
    tensors(op)
        .iter()
        .filter(|tensor| tensor.role == Role::Parameter)
        .try_fold(0u64, |sum, tensor| sum.checked_add(tensor.elements()?))
}

fn conv_weight(conv: &Conv2d) -> Vec<u64> {
    vec![conv.out_channels, conv.in_channels / conv.groups.max(1), conv.kernel[0], conv.kernel[1]]
}

fn transposed_weight(conv: &ConvTranspose2d) -> Vec<u64> {
    vec![conv.in_channels, conv.out_channels / conv.groups.max(1), conv.kernel[0], conv.kernel[1]]
}

fn with_bias(weight: Vec<u64>, out: u64, bias: Bias) -> Vec<TensorSpec> {
    let mut tensors = vec![TensorSpec::parameter("weight", weight)];
    if bias == Bias::With {
        tensors.push(TensorSpec::parameter("bias", vec![out]));
    }
    tensors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grouped_convolution_stores_only_its_own_inputs() {
        // 8 channels in 4 groups: each of the 16 filters sees 2 channels, 16 * 2 * 3 * 3 = 288.
        let op = Op::Conv2d(Conv2d::same(8, 16, 3).grouped(4));
        assert_eq!(tensors(&op)[0].shape, [16, 2, 3, 3]);
        assert_eq!(parameters(&op), Some(288));
    }

    #[test]
    fn running_statistics_are_no_parameters() {
        assert_eq!(parameters(&Op::BatchNorm { channels: 5 }), Some(10));
    }

    #[test]
    fn a_slash_becomes_a_dot_on_disk() {
        assert_eq!(tensor_name("cell0/t1/conv", "weight"), "cell0.t1.conv.weight");
    }
}
