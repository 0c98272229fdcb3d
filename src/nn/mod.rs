//! A network as a module: its tensors, and the one match from operator to arithmetic.
//!
//! Supernet candidates and final networks are the same thing here: a [`Network`] with tensors.

mod init;

use tch::{Device, Kind, Tensor};

use crate::network::weights::{Role, tensor_name, tensors};
use crate::network::{Activation, Network, NodeId, Op, Pool, PoolKind};

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
}

impl Module {
    /// `network` with fresh tensors on `device`, drawn from `seed` on the host, so that every device starts alike.
    ///
    /// # Errors
    /// [`NnError`] for dimensions beyond libtorch's, or where the device has no room.
    pub fn new(network: &Network, device: Device, seed: u64) -> Result<Self, NnError> {
        let mut module = Self::bare(network);
        let mut draws = init::Draws::new(seed);
        for (_, node) in network.nodes() {
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
        Self { network: network.clone(), tensors: Vec::new(), first: Vec::new(), inputs, last_use }
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
    pub fn forward(&self, input: &Tensor, phase: Phase, mut hook: impl FnMut(NodeId, Tensor) -> Tensor) -> Tensor {
        let mut values: Vec<Option<Tensor>> = Vec::with_capacity(self.inputs.len());
        for (id, node) in self.network.nodes() {
            let place = id.index();
            let value = if node.op == Op::Input {
                input.shallow_clone()
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
            Op::Linear(_) => x.linear(self.tensor(node, 0), self.optional(node, 1)),
            Op::BatchNorm { .. } => self.batch_norm(node, x, phase),
            Op::Activation(activation) => activate(*activation, x),
            Op::Pool(pool) => pooled(pool, x),
            Op::GlobalAveragePool => x.adaptive_avg_pool2d([1, 1]),
            Op::Add => inputs[1..].iter().fold(x.shallow_clone(), |sum, other| sum + *other),
            Op::Multiply => inputs[1..].iter().fold(x.shallow_clone(), |product, other| product * *other),
            Op::Concat => Tensor::cat(inputs, 1),
            Op::FitChannels { channels } => fit_channels(x, channels.cast_signed()),
            Op::Zero { channels } => {
                let size = x.size();
                Tensor::zeros([size[0], channels.cast_signed(), size[2], size[3]], (x.kind(), x.device()))
            }
            Op::Flatten => x.flatten(1, -1),
            Op::Softmax => x.softmax(1, x.kind()),
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
    }
}

fn pooled(pool: &Pool, x: &Tensor) -> Tensor {
    let [kernel, stride, padding] = [pool.kernel, pool.stride, pool.padding].map(|pair| pair.map(u64::cast_signed));
    match pool.kind {
        PoolKind::Max => x.max_pool2d(kernel, stride, padding, [1, 1], false),
        PoolKind::Average => x.avg_pool2d(kernel, stride, padding, false, false, None::<i64>),
    }
}

/// Accuracy in the batch as a number of hits: i64 scalar on the device.
pub fn hits(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.argmax(1, false).eq_tensor(labels).sum(Kind::Int64)
}

#[cfg(test)]
mod tests;
