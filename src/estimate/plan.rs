//! A network as layers for an accelerator: what is fused, which tensors stay on chip, what each layer reads and writes.

use super::lower::{EstimateError, Target, work};
use crate::accel::{Engine, Operand, Operands, Precision, Work, Workload};
use crate::network::{Network, NodeId, Op};
use crate::units::Bytes;

/// Where the image and the result of a network are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// In DRAM: it is a network of its own.
    OffChip,
    /// Where its own layers leave them: it is a part of a larger one.
    OnChip,
}

/// The engines that do the layers of an estimate.
#[derive(Debug, Clone, Copy)]
pub(super) enum Engines<'a> {
    /// One does them all.
    One(&'a Engine),
    /// Each has its own, in the order of the layers; the network's input is none of them.
    Each(&'a [&'a Engine]),
}

impl<'a> Engines<'a> {
    /// That of the layer at `place`.
    pub(super) fn of(&self, place: usize) -> &'a Engine {
        match self {
            Self::One(engine) => engine,
            Self::Each(engines) => engines[place],
        }
    }
}

/// The layers of a network, one for each node.
pub(super) struct Plan {
    layers: Vec<Workload>,
}

impl Plan {
    /// The layers of `network`.
    ///
    /// A batch norm or activation directly behind a product, a sum or another one of its kind is fused: it is free, and
    /// its output is the tensor that the layer writes; so are `identity` and `flatten`, which only name a tensor anew.
    /// Directly means that nothing else reads what stands between. A tensor stays on chip where the layer that writes
    /// it and all that read it keep their activations there ([`Engine::keeps_activations`]).
    ///
    /// # Errors
    /// [`EstimateError`] with the layer whose work is too large to count.
    pub(super) fn new(
        network: &Network,
        target: &Target<'_>,
        engines: Engines<'_>,
        ends: Ends,
    ) -> Result<Self, EstimateError> {
        let precision = &target.accelerator.precision;
        let tensors = Tensors::new(network, precision, target.batch);
        let memory = &target.accelerator.memory;
        let mut room = memory.weight_room(precision.weight_bytes(network.params()));
        let mut layers = Vec::with_capacity(network.len());
        let mut inputs = Vec::new();
        for (id, node) in network.nodes() {
            inputs.clear();
            inputs.extend(network.sources(id).map(|input| network.node(input).shape.elements()));
            let own = tensors.owner[id.index()] == id.index();
            let work = if own {
                work(&node.op, &node.shape, &inputs, target.batch).map_err(|error| error.of(&node.name))?
            } else {
                Work::Free
            };
            let params = match work {
                Work::Product(_) => node.params(),
                Work::Vector(_) | Work::Free => 0,
            };
            let weights = precision.weight_bytes(params);
            let operands = Operands {
                weights: room.next(weights),
                inputs: Operand::off_chip(tensors.read(network, id, |_| true)),
                outputs: Operand::off_chip(tensors.bytes[id.index()]),
            };
            layers.push(Workload { work, operands });
        }
        let mut plan = Self { layers };
        if memory.activation_capacity.is_some() {
            plan.place(network, &tensors, engines, ends);
        }
        Ok(plan)
    }

    /// The layers, in the order of the network's nodes, its input among them.
    pub(super) fn layers(&self) -> impl Iterator<Item = &Workload> {
        self.layers.iter()
    }

    /// Takes from the operands what stays on chip.
    fn place(&mut self, network: &Network, tensors: &Tensors, engines: Engines<'_>, ends: Ends) {
        let mut kept = vec![true; self.layers.len()];
        if ends == Ends::OffChip {
            kept[network.input().index()] = false;
            kept[tensors.owner[network.output().index()]] = false;
        }
        let owners = |id: NodeId| network.sources(id).map(|input| tensors.owner[input.index()]);
        for (id, node) in network.nodes() {
            let own = tensors.owner[id.index()] == id.index();
            let keeps = |layer: &Workload| engines.of(id.index() - 1).keeps_activations(layer);
            if own && node.op != Op::Input && !keeps(&self.layers[id.index()]) {
                kept[id.index()] = false;
                owners(id).for_each(|owner| kept[owner] = false);
            }
        }
        for (id, _) in network.nodes() {
            let operands = &mut self.layers[id.index()].operands;
            operands.inputs.off_chip = tensors.read(network, id, |owner| !kept[owner]);
            if kept[tensors.owner[id.index()]] {
                operands.outputs.off_chip = Bytes(0);
            }
        }
    }
}

/// The tensors of a network.
struct Tensors {
    /// For each node, the one whose tensor its output is: itself, or the layer that does its work on the way.
    owner: Vec<usize>,
    /// Bytes of each node's output, for the whole batch.
    bytes: Vec<Bytes>,
}

impl Tensors {
    fn new(network: &Network, precision: &Precision, batch: u64) -> Self {
        let mut readers = vec![0_usize; network.len()];
        for (id, _) in network.nodes() {
            network.sources(id).for_each(|input| readers[input.index()] += 1);
        }
        let mut owner: Vec<usize> = (0..network.len()).collect();
        // Whether a batch norm or activation behind the node, its only reader, is fused into it.
        let mut open = vec![false; network.len()];
        for (id, node) in network.nodes() {
            let mut before = network.sources(id);
            let only = before.next().filter(|_| before.next().is_none()).map(NodeId::index);
            let behind = only.filter(|&input| open[input] && readers[input] == 1);
            match node.op {
                Op::Elementwise(_) if only.is_none() => open[id.index()] = true,
                Op::Conv2d(_) | Op::ConvTranspose2d(_) | Op::Linear(_) | Op::MatMul { .. } | Op::Add | Op::Multiply => {
                    open[id.index()] = true
                }
                Op::BatchNorm { .. } | Op::Activation(_) | Op::Elementwise(_) => {
                    open[id.index()] = behind.is_some();
                    owner[id.index()] = behind.map_or(id.index(), |input| owner[input]);
                }
                Op::Identity | Op::Flatten | Op::Reshape { .. } => {
                    open[id.index()] = behind.is_some();
                    owner[id.index()] = only.map_or(id.index(), |input| owner[input]);
                }
                Op::Input
                | Op::Pool(_)
                | Op::GlobalAveragePool
                | Op::Embedding(_)
                | Op::Norm(_)
                | Op::LocalResponseNorm { .. }
                | Op::Reduce(_)
                | Op::Transpose { .. }
                | Op::Slice(_)
                | Op::Gather(_)
                | Op::Pad(_)
                | Op::Expand { .. }
                | Op::Resize(_)
                | Op::Tensor(_)
                | Op::Concat { .. }
                | Op::FitChannels { .. }
                | Op::Zero { .. }
                | Op::Softmax { .. } => {}
            }
        }
        let size = |elements: u64| precision.activation_bytes(elements.saturating_mul(batch));
        Self { owner, bytes: network.nodes().map(|(_, node)| size(node.shape.elements())).collect() }
    }

    /// Bytes that a node reads of the tensors, named by their owner, that `counts` says.
    fn read(&self, network: &Network, id: NodeId, counts: impl Fn(usize) -> bool) -> Bytes {
        let inputs = network.sources(id).filter(|input| counts(self.owner[input.index()]));
        Bytes(inputs.map(|input| self.bytes[input.index()].0).fold(0, u64::saturating_add))
    }
}
