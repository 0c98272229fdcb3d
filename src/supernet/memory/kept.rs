//! What the candidates of an edge hold for their backward pass.

use crate::network::weights::{Role, tensors};
use crate::network::{Activation, Network, NodeId, Op, Pool, PoolKind};

/// Bytes of an index that a maximum pool keeps.
const INDEX_BYTES: u64 = 8;

/// What a candidate holds, for one image where it grows with their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// Values of maps that its backward pass needs, besides its input and its output.
    pub(super) inside: u64,
    /// Values of its output where the backward pass needs them.
    pub(super) output: u64,
    /// Bytes of indices.
    pub(super) index_bytes: u64,
    /// Whether the backward pass needs its input.
    pub(super) input: bool,
    /// Values of its largest map.
    pub(super) largest: u64,
    /// Values that learn.
    pub(super) parameters: u64,
    /// Values that do not: statistics.
    pub(super) statistics: u64,
}

/// Which tensors the backward pass of an operator needs.
enum Needs {
    Nothing,
    Inputs,
    Result,
}

fn needs(op: &Op) -> Needs {
    match op {
        Op::Conv2d(_)
        | Op::ConvTranspose2d(_)
        | Op::Linear(_)
        | Op::MatMul { .. }
        | Op::Embedding(_)
        | Op::BatchNorm { .. }
        | Op::Norm(_)
        | Op::LocalResponseNorm { .. }
        | Op::Pool(_)
        | Op::Multiply
        | Op::Elementwise(_)
        | Op::Reduce(_) => Needs::Inputs,
        Op::Activation(activation) => match activation {
            Activation::Relu | Activation::Sigmoid | Activation::Tanh => Needs::Result,
            Activation::Relu6
            | Activation::LeakyRelu { .. }
            | Activation::HardSigmoid
            | Activation::Silu
            | Activation::HardSwish
            | Activation::Gelu
            | Activation::Elu { .. }
            | Activation::Softplus
            | Activation::Clip { .. } => Needs::Inputs,
        },
        Op::Softmax { .. } => Needs::Result,
        Op::Input
        | Op::GlobalAveragePool
        | Op::Add
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
        | Op::Tensor(_) => Needs::Nothing,
    }
}

/// Whether the operator's result is its input's memory; `reads_norm` says whether that is a batch norm's result, which
/// the ReLU behind it overwrites.
fn is_alias(op: &Op, reads_norm: bool) -> bool {
    let relu = matches!(op, Op::Activation(Activation::Relu));
    let view = matches!(
        op,
        Op::Identity | Op::Flatten | Op::Reshape { .. } | Op::Transpose { .. } | Op::Slice(_) | Op::Expand { .. }
    );
    view || (relu && reads_norm)
}

impl Kept {
    /// What `network` holds, where the results of the nodes `masked` are multiplied by a mask.
    pub(super) fn of(network: &Network, masked: &[NodeId]) -> Self {
        let count = network.len();
        // A masked result is a second piece of memory, `count` places further on.
        let mut memory: Vec<usize> = Vec::with_capacity(count);
        let mut needed = vec![false; 2 * count];
        for (id, node) in network.nodes() {
            let inputs: Vec<usize> = network.inputs(id).into_iter().map(NodeId::index).collect();
            let reads_norm = inputs.first().is_some_and(|&i| is_norm(network, i) && memory[i] < count);
            let own = match inputs.first() {
                Some(&first) if is_alias(&node.op, reads_norm) => memory[first],
                _ => id.index(),
            };
            match needs(&node.op) {
                Needs::Nothing => {}
                Needs::Inputs => inputs.iter().for_each(|&input| needed[memory[input]] = true),
                Needs::Result => needed[own] = true,
            }
            memory.push(if masked.contains(&id) { count + id.index() } else { own });
        }
        let shapes: Vec<u64> = network.nodes().map(|(_, node)| node.shape.elements()).collect();
        let (input, output) = (network.input().index(), memory[network.output().index()]);
        let inside =
            (0..2 * count).filter(|&m| needed[m] && m != input && m != output).map(|m| shapes[m % count]).sum();
        Self {
            inside,
            output: if needed[output] && output != input { shapes[output % count] } else { 0 },
            index_bytes: network.nodes().map(|(_, node)| indices(&node.op, node.shape.elements())).sum(),
            input: needed[input],
            largest: shapes.iter().copied().max().unwrap_or(0),
            parameters: elements(network, Role::Parameter),
            statistics: elements(network, Role::Buffer),
        }
    }

    /// The same behind a 1x1 convolution without weights that learn, from and to maps of `values`.
    pub(super) fn packed(self, values: u64) -> Self {
        let inside = self.inside + if self.input { values } else { 0 };
        Self { inside, input: true, largest: self.largest.max(values), ..self }
    }
}

fn is_norm(network: &Network, place: usize) -> bool {
    network.nodes().nth(place).is_some_and(|(_, node)| matches!(node.op, Op::BatchNorm { .. }))
}

fn indices(op: &Op, elements: u64) -> u64 {
    match op {
        Op::Pool(Pool { kind: PoolKind::Max, .. }) => elements * INDEX_BYTES,
        _ => 0,
    }
}

/// Values of the tensors of one role.
fn elements(network: &Network, role: Role) -> u64 {
    let specs = network.nodes().flat_map(|(_, node)| tensors(&node.op));
    specs.filter(|spec| spec.role == role).filter_map(|spec| spec.elements()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(nodes: &str, masked: &[&str]) -> Kept {
        let text = format!("version: 1\nname: n\ninput: [4, 8, 8]\nnodes:\n{nodes}");
        let network = Network::parse(&text, "n").unwrap();
        let masked: Vec<NodeId> =
            network.nodes().filter(|(_, node)| masked.contains(&node.name.as_str())).map(|(id, _)| id).collect();
        Kept::of(&network, &masked)
    }

    const CONV: &str = "  - { name: c, op: { conv2d: { out-channels: 6, kernel: 3, padding: 1 } } }
  - { name: b, op: batch-norm }
  - { name: r, op: relu }
";

    #[test]
    fn a_convolution_keeps_its_input_its_result_and_the_relu() {
        // A map of 6 x 8 x 8 = 384: the batch norm's input inside, the ReLU's result, which is the batch norm's.
        let found = kept(CONV, &[]);
        assert_eq!((found.inside, found.output, found.input, found.largest), (384, 384, true, 384));
        // 6 x 4 x 9 weights, 6 scales and 6 shifts; 6 means and 6 variances.
        assert_eq!((found.parameters, found.statistics), (216 + 12, 12));
    }

    #[test]
    fn a_mask_is_one_map_more_where_what_follows_needs_it() {
        let two = format!("{CONV}  - {{ name: d, op: {{ conv2d: {{ out-channels: 6, kernel: 1 }} }} }}\n");
        // c and r inside; the convolution d puts out what nothing needs.
        assert_eq!((kept(&two, &[]).inside, kept(&two, &[]).output), (768, 0));
        // c, r and the masked r.
        assert_eq!(kept(&two, &["r"]).inside, 3 * 384);
    }

    #[test]
    fn what_packs_its_input_keeps_it_and_the_packed_one_where_that_is_needed() {
        let identity = kept("  - { name: i, op: identity }\n", &[]).packed(256);
        assert_eq!((identity.inside, identity.input, identity.largest), (0, true, 256));
        let pool = kept("  - { name: p, op: { max-pool: { kernel: 2, stride: 2 } } }\n", &[]).packed(256);
        assert_eq!((pool.inside, pool.input, pool.index_bytes), (256, true, 512));
    }

    #[test]
    fn an_identity_keeps_nothing_and_a_maximum_pool_its_indices() {
        let identity = kept("  - { name: i, op: identity }\n", &[]);
        assert_eq!((identity.inside, identity.output, identity.input, identity.index_bytes), (0, 0, false, 0));
        let pool = kept("  - { name: p, op: { max-pool: { kernel: 2, stride: 2 } } }\n", &[]);
        // 4 x 4 x 4 indices of 8 bytes.
        assert_eq!((pool.inside, pool.output, pool.input, pool.index_bytes), (0, 0, true, 512));
    }
}
