//! How many activations are alive at once.

use crate::network::{Network, NodeId, Op};

/// Most values alive at once where the nodes run in their order, for one image: at each node the outputs that are
/// still to be read, and its own. Operators that work in place, or only name values anew, hold nothing of their own.
pub(super) fn activation_elements(network: &Network) -> u64 {
    let order: Vec<NodeId> = network.nodes().map(|(id, _)| id).collect();
    // What an in-place operator names: the node whose memory it is.
    let mut owner: Vec<usize> = (0..order.len()).collect();
    let mut last_use: Vec<usize> = (0..order.len()).collect();
    for &id in &order {
        let inputs = network.inputs(id);
        if in_place(&network.node(id).op)
            && let [only] = inputs.as_slice()
        {
            owner[id.index()] = owner[only.index()];
        }
        for input in inputs {
            let owned = owner[input.index()];
            last_use[owned] = last_use[owned].max(id.index());
        }
        let owned = owner[id.index()];
        last_use[owned] = last_use[owned].max(id.index());
    }
    let mut peak = 0u64;
    let mut alive = 0u64;
    let mut ending: Vec<Vec<u64>> = vec![Vec::new(); order.len()];
    for &id in &order {
        if owner[id.index()] == id.index() {
            let elements = network.node(id).shape.elements();
            alive = alive.saturating_add(elements);
            ending[last_use[id.index()]].push(elements);
        }
        peak = peak.max(alive);
        for elements in &ending[id.index()] {
            alive = alive.saturating_sub(*elements);
        }
    }
    peak
}

fn in_place(op: &Op) -> bool {
    match op {
        Op::BatchNorm { .. }
        | Op::Norm(_)
        | Op::LocalResponseNorm { .. }
        | Op::Activation(_)
        | Op::Elementwise(_)
        | Op::Identity
        | Op::Flatten
        | Op::Reshape { .. }
        | Op::Softmax { .. } => true,
        Op::Input
        | Op::Conv2d(_)
        | Op::ConvTranspose2d(_)
        | Op::Linear(_)
        | Op::MatMul { .. }
        | Op::Embedding(_)
        | Op::Pool(_)
        | Op::GlobalAveragePool
        | Op::Add
        | Op::Multiply
        | Op::Concat { .. }
        | Op::Reduce(_)
        | Op::Transpose { .. }
        | Op::Slice(_)
        | Op::Gather(_)
        | Op::Pad(_)
        | Op::Expand { .. }
        | Op::Resize(_)
        | Op::Tensor(_)
        | Op::FitChannels { .. }
        | Op::Zero { .. } => false,
    }
}
