//! A network as a module: its tensors, and the one match from operator to arithmetic.
//!
//! Supernet candidates and final networks are the same thing here: a [`Network`] with tensors.

mod init;
mod resize;

pub use resize::Block;

use tch::{Device, Kind, Tensor};

use crate::network::weights::{Role, tensor_name, tensors};
use crate::network::{
    Activation, LastWindow, Network, NodeId, Norm, NormKind, Op, Origin, Pool, PoolKind, Reduce, Reduction, Slice,
};

/// Share of the new batch in the running statistics of a batch norm.
const NORM_MOMENTUM: f64 = 0.1;
/// Added to the variance in a batch norm.
const NORM_EPSILON: f64 = 1e-5;

/// What batch norms normalise by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The batch, and running statistics learn from it.
    Train,
    /// The batch; running statistics stay.
    Batch,
    /// The running statistics.
    Evaluate,
}

/// Why a module fails.
#[derive(Debug, thiserror::Error)]
pub enum NnError {
    /// A dimension that libtorch cannot count.
    #[error("node `{node}`: {value} is too large for a tensor")]
    TooLarge {
        /// The node.
        node: String,
        /// The dimension.
        value: u64,
    },
    /// An operator that an estimate knows and a module does not.
    #[error("node `{node}`: {op} cannot be run or trained, only estimated")]
    Unsupported {
        /// The node.
        node: String,
        /// Its operator.
        op: &'static str,
    },
    /// libtorch failed.
    #[error(transparent)]
    Torch(#[from] crate::torch::TorchError),
    /// A tensor of a file that is missing, or has another shape.
    #[error("tensor `{name}`: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl From<tch::TchError> for NnError {
    fn from(error: tch::TchError) -> Self {
        Self::Torch(error.into())
    }
}

/// One named tensor.
#[derive(Debug)]
struct Named {
    name: String,
    role: Role,
    value: Tensor,
}

/// A network with tensors.
#[derive(Debug)]
pub struct Module {
    network: Network,
    /// All tensors in the order of the nodes.
    tensors: Vec<Named>,
    /// For each node, where its tensors start.
    first: Vec<usize>,
    /// For each node, its inputs.
    inputs: Vec<Vec<usize>>,
    /// For each node, after which node its output is not needed any more.
    last_use: Vec<usize>,
    /// For each node, whether it is a batch norm that one node reads.
    passing: Vec<bool>,
}

impl Module {
    /// `network` with fresh tensors on `device`, drawn from `seed` on the host, so that every device starts alike.
    ///
    /// # Errors
    /// [`NnError`] for dimensions beyond libtorch's, operators that cannot be run, or where the device has no room.
    pub fn new(network: &Network, device: Device, seed: u64) -> Result<Self, NnError> {
        let mut module = Self::bare(network);
        let mut draws = init::Draws::new(seed);
        for (_, node) in network.nodes() {
            if !is_runnable(&node.op) {
                return Err(NnError::Unsupported { node: node.name.clone(), op: node.op.name() });
            }
            module.first.push(module.tensors.len());
            for spec in tensors(&node.op) {
                let shape: Result<Vec<i64>, NnError> = spec
                    .shape
                    .iter()
                    .map(|&value| {
                        i64::try_from(value).map_err(|_| NnError::TooLarge { node: node.name.clone(), value })
                    })
                    .collect();
                let value = draws.tensor(&node.op, spec.name, &shape?)?.f_to_device(device)?;
                let value = if spec.role == Role::Parameter { value.f_set_requires_grad(true)? } else { value };
                module.tensors.push(Named { name: tensor_name(&node.name, spec.name), role: spec.role, value });
            }
        }
        Ok(module)
    }

    fn bare(network: &Network) -> Self {
        let inputs: Vec<Vec<usize>> =
            network.nodes().map(|(id, _)| network.inputs(id).into_iter().map(NodeId::index).collect()).collect();
        let mut last_use: Vec<usize> = (0..inputs.len()).collect();
        for (place, inputs) in inputs.iter().enumerate() {
            for &input in inputs {
                last_use[input] = place;
            }
        }
        last_use[network.output().index()] = usize::MAX;
        let readers = |place: usize| inputs.iter().flatten().filter(|&&input| input == place).count();
        let passing =
            network.nodes().map(|(id, node)| matches!(node.op, Op::BatchNorm { .. }) && readers(id.index()) == 1);
        let passing = passing.collect();
        Self { network: network.clone(), tensors: Vec::new(), first: Vec::new(), inputs, last_use, passing }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// All tensors with their names on disk, in order; they share memory with the module's.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, Tensor)> {
        self.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.value.shallow_clone()))
    }

    /// The learned tensors in order; they share memory with the module's.
    #[must_use]
    pub fn parameters(&self) -> Vec<Tensor> {
        let learned = self.tensors.iter().filter(|tensor| tensor.role == Role::Parameter);
        learned.map(|tensor| tensor.value.shallow_clone()).collect()
    }

    /// Puts `change` of every tensor in its place; what learned before learns after.
    ///
    /// # Errors
    /// [`NnError`] where libtorch fails.
    pub fn change(&mut self, change: impl Fn(&Tensor) -> Tensor) -> Result<(), NnError> {
        for Named { role, value, .. } in &mut self.tensors {
            let changed = tch::no_grad(|| change(value)).f_detach()?;
            *value = if *role == Role::Parameter { changed.f_set_requires_grad(true)? } else { changed };
        }
        Ok(())
    }

    /// Copies the values that `find` has for each name.
    ///
    /// # Errors
    /// [`NnError::Tensor`] for a tensor that is missing or has another shape.
    pub fn load(&mut self, mut find: impl FnMut(&str) -> Option<Tensor>) -> Result<(), NnError> {
        for Named { name, value, .. } in &mut self.tensors {
            let fail = |reason: String| NnError::Tensor { name: name.clone(), reason };
            let given = find(name).ok_or_else(|| fail("missing".to_owned()))?;
            if given.size() != value.size() {
                return Err(fail(format!("needs shape {:?}, got {:?}", value.size(), given.size())));
            }
            tch::no_grad(|| value.f_copy_(&given))?;
        }
        Ok(())
    }

    /// Output on `input` (`[batch, channels, height, width]` or `[batch, features]`), with `hook` applied to what each
    /// node puts out.
    ///
    /// What a batch norm puts out may be overwritten by the ReLU behind it: a hook must not keep it.
    pub fn forward(&self, input: &Tensor, phase: Phase, mut hook: impl FnMut(NodeId, Tensor) -> Tensor) -> Tensor {
        let mut values: Vec<Option<Tensor>> = Vec::with_capacity(self.inputs.len());
        for (id, node) in self.network.nodes() {
            let place = id.index();
            let value = if node.op == Op::Input {
                input.shallow_clone()
            } else if let Op::Tensor(tensor) = &node.op {
                let shape: Vec<i64> = tensor.shape.iter().map(|&side| side.cast_signed()).collect();
                self.tensor(place, 0).unsqueeze(0).expand([&input.size()[..1], &shape].concat(), false)
            } else if let Some(mut normed) = self.last_of_norm(place, &node.op, &mut values) {
                normed.relu_()
            } else {
                let inputs: Vec<&Tensor> = self.inputs[place]
                    .iter()
                    .map(|&input| values[input].as_ref().expect("a value lives until its last use"))
                    .collect();
                self.apply(place, &node.op, &inputs, phase)
            };
            values.push(Some(hook(id, value)));
            for &input in &self.inputs[place] {
                if self.last_use[input] == place {
                    values[input] = None;
                }
            }
        }
        values[self.network.output().index()].take().expect("the output is kept")
    }

    /// The output without a hook.
    pub fn run(&self, input: &Tensor, phase: Phase) -> Tensor {
        self.forward(input, phase, |_, value| value)
    }

    /// The value that the ReLU at `place` may overwrite: that of a batch norm which nothing else reads.
    ///
    /// A batch norm's backward pass needs its input, not its output.
    fn last_of_norm(&self, place: usize, op: &Op, values: &mut [Option<Tensor>]) -> Option<Tensor> {
        let Op::Activation(Activation::Relu) = op else { return None };
        let [input] = self.inputs[place][..] else { return None };
        self.passing[input].then(|| values[input].take()).flatten()
    }

    fn tensor(&self, node: usize, offset: usize) -> &Tensor {
        &self.tensors[self.first[node] + offset].value
    }

    /// The tensor `offset` of `node` where it has one.
    fn optional(&self, node: usize, offset: usize) -> Option<&Tensor> {
        let end = self.first.get(node + 1).copied().unwrap_or(self.tensors.len());
        (self.first[node] + offset < end).then(|| self.tensor(node, offset))
    }

    fn apply(&self, node: usize, op: &Op, inputs: &[&Tensor], phase: Phase) -> Tensor {
        let x = inputs[0];
        match op {
            Op::Input | Op::Identity => x.shallow_clone(),
            Op::Conv2d(conv) => x.conv2d(
                self.tensor(node, 0),
                self.optional(node, 1),
                conv.stride.map(u64::cast_signed),
                conv.padding.map(u64::cast_signed),
                conv.dilation.map(u64::cast_signed),
                conv.groups.cast_signed(),
            ),
            Op::ConvTranspose2d(conv) => x.conv_transpose2d(
                self.tensor(node, 0),
                self.optional(node, 1),
                conv.stride.map(u64::cast_signed),
                conv.padding.map(u64::cast_signed),
                conv.output_padding.map(u64::cast_signed),
                conv.groups.cast_signed(),
                conv.dilation.map(u64::cast_signed),
            ),
            Op::MatMul { .. } => x.matmul(inputs[1]),
            Op::Embedding(_) => Tensor::embedding(self.tensor(node, 0), &x.to_kind(Kind::Int64), -1, false, false),
            Op::Norm(norm) => self.norm(node, norm, x),
            Op::Reduce(reduce) => reduced(reduce, x),
            Op::Linear(_) => x.linear(self.tensor(node, 0), self.optional(node, 1)),
            Op::BatchNorm { .. } => self.batch_norm(node, x, phase),
            Op::Activation(activation) => activate(*activation, x),
            Op::Pool(pool) => pooled(pool, x),
            Op::GlobalAveragePool => x.adaptive_avg_pool2d([1, 1]),
            Op::Add => inputs[1..].iter().fold(x.shallow_clone(), |sum, other| sum + *other),
            Op::Multiply => inputs[1..].iter().fold(x.shallow_clone(), |product, other| product * *other),
            Op::Concat { axis } => Tensor::cat(inputs, axis.cast_signed() + 1),
            Op::FitChannels { channels } => fit_channels(x, channels.cast_signed()),
            Op::Zero { channels } => {
                let size = x.size();
                Tensor::zeros([size[0], channels.cast_signed(), size[2], size[3]], (x.kind(), x.device()))
            }
            Op::Flatten => x.flatten(1, -1),
            Op::Reshape { shape } => x.reshape(batched(shape)),
            Op::Transpose { order } => {
                let order: Vec<i64> = order.iter().map(|axis| axis.cast_signed() + 1).collect();
                x.permute([&[0], order.as_slice()].concat())
            }
            Op::Slice(Slice { axis, start, stop, step }) => {
                x.slice(axis.cast_signed() + 1, start.cast_signed(), stop.cast_signed(), step.cast_signed())
            }
            Op::Pad(pad) => {
                // libtorch counts from the last dimension.
                let pairs = pad.before.iter().zip(&pad.after).rev();
                x.constant_pad_nd(pairs.flat_map(|(&a, &b)| [a.cast_signed(), b.cast_signed()]).collect::<Vec<i64>>())
            }
            Op::Expand { shape } => x.expand(batched(shape), false),
            Op::Softmax { axis } => x.softmax(axis.cast_signed() + 1, x.kind()),
            Op::Elementwise(_) | Op::Gather(_) | Op::Resize(_) | Op::LocalResponseNorm { .. } | Op::Tensor(_) => {
                unreachable!("a module is made of operators that can be run")
            }
        }
    }

    fn norm(&self, node: usize, norm: &Norm, x: &Tensor) -> Tensor {
        let (weight, bias) = (self.optional(node, 0), self.optional(node, 1));
        let size = x.size();
        // The innermost dimensions that hold all features together.
        let from = (1..size.len()).find(|&from| size[from..].iter().product::<i64>() == norm.features.cast_signed());
        let innermost = &size[from.unwrap_or(1)..];
        match norm.kind {
            NormKind::Layer => {
                let shaped = |tensor: &Tensor| tensor.view(innermost);
                x.layer_norm(innermost, weight.map(shaped), bias.map(shaped), NORM_EPSILON, true)
            }
            NormKind::Rms => {
                let axes: Vec<i64> = (1..=innermost.len()).map(|axis| -(axis as i64)).collect();
                let scaled = x * (x.square().mean_dim(axes, true, x.kind()) + NORM_EPSILON).rsqrt();
                weight.map_or_else(|| scaled.shallow_clone(), |weight| &scaled * weight.view(innermost))
            }
            NormKind::Group { groups } => x.group_norm(groups.cast_signed(), weight, bias, NORM_EPSILON, true),
        }
    }

    fn batch_norm(&self, node: usize, x: &Tensor, phase: Phase) -> Tensor {
        let [weight, bias, mean, variance] = [0, 1, 2, 3].map(|offset| self.tensor(node, offset));
        let running = match phase {
            Phase::Train | Phase::Evaluate => Some((mean, variance)),
            Phase::Batch => None,
        };
        let learns = match phase {
            Phase::Train | Phase::Batch => true,
            Phase::Evaluate => false,
        };
        let (mean, variance) = running.unzip();
        x.batch_norm(Some(weight), Some(bias), mean, variance, learns, NORM_MOMENTUM, NORM_EPSILON, true)
    }
}

/// Whether a module can be made of the operator; the others hold numbers that a network does not state.
fn is_runnable(op: &Op) -> bool {
    match op {
        Op::Elementwise(_) | Op::Gather(_) | Op::Resize(_) | Op::LocalResponseNorm { .. } => false,
        Op::Tensor(tensor) => tensor.origin == Origin::Learned,
        Op::Input
        | Op::Conv2d(_)
        | Op::ConvTranspose2d(_)
        | Op::Linear(_)
        | Op::MatMul { .. }
        | Op::Embedding(_)
        | Op::BatchNorm { .. }
        | Op::Norm(_)
        | Op::Activation(_)
        | Op::Pool(_)
        | Op::GlobalAveragePool
        | Op::Reduce(_)
        | Op::Add
        | Op::Multiply
        | Op::Concat { .. }
        | Op::Identity
        | Op::FitChannels { .. }
        | Op::Zero { .. }
        | Op::Flatten
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Slice(_)
        | Op::Pad(_)
        | Op::Expand { .. }
        | Op::Softmax { .. } => true,
    }
}

/// The dimensions of a batch of images of `shape`.
fn batched(shape: &[u64]) -> Vec<i64> {
    std::iter::once(-1).chain(shape.iter().map(|side| side.cast_signed())).collect()
}

fn reduced(reduce: &Reduce, x: &Tensor) -> Tensor {
    let axes: Vec<i64> = reduce.axes.iter().map(|axis| axis.cast_signed() + 1).collect();
    match reduce.function {
        Reduction::Mean => x.mean_dim(axes, true, x.kind()),
        Reduction::Sum => x.sum_dim_intlist(axes, true, x.kind()),
        Reduction::Product => axes.iter().fold(x.shallow_clone(), |x, &axis| x.prod_dim_int(axis, true, x.kind())),
        Reduction::Maximum => x.amax(axes, true),
        Reduction::Minimum => x.amin(axes, true),
    }
}

/// The first `channels` channels of `x` (`[batch, c, height, width]`), zeros where it has fewer.
pub fn fit_channels(x: &Tensor, channels: i64) -> Tensor {
    let given = x.size()[1];
    if given >= channels {
        return x.narrow(1, 0, channels);
    }
    x.constant_pad_nd([0, 0, 0, 0, 0, channels - given])
}

fn activate(activation: Activation, x: &Tensor) -> Tensor {
    match activation {
        Activation::Relu => x.relu(),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope } => x.maximum(&(x * slope)),
        Activation::Sigmoid => x.sigmoid(),
        Activation::HardSigmoid => x.hardsigmoid(),
        Activation::Silu => x.silu(),
        Activation::HardSwish => x.hardswish(),
        Activation::Gelu => x.gelu("none"),
        Activation::Tanh => x.tanh(),
        Activation::Elu { alpha } => x.maximum(&((x.clamp_max(0.0).exp() - 1.0) * alpha)),
        Activation::Softplus => x.softplus(),
        Activation::Clip { low, high } => x.clamp(low, high),
    }
}

fn pooled(pool: &Pool, x: &Tensor) -> Tensor {
    let [kernel, stride, padding] = [pool.kernel, pool.stride, pool.padding].map(|pair| pair.map(u64::cast_signed));
    let ceil = match pool.last {
        LastWindow::Whole => false,
        LastWindow::Partial => true,
    };
    match pool.kind {
        PoolKind::Max => x.max_pool2d(kernel, stride, padding, [1, 1], ceil),
        PoolKind::Average => x.avg_pool2d(kernel, stride, padding, ceil, false, None::<i64>),
    }
}

/// Accuracy in the batch as a number of hits: i64 scalar on the device.
pub fn hits(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.argmax(1, false).eq_tensor(labels).sum(Kind::Int64)
}

#[cfg(test)]
mod tests;
