//! How many activations are alive at once.

use crate::network::{Network, Op};

/// Most values alive at once where the nodes run in their order, for one image: at each node the outputs that are
/// still to be read, and its own. Operators that work in place, or only name values anew, hold nothing of their own.
pub(super) fn activation_elements(network: &Network) -> u64 {
    Lives::of(network).most(network, |_| true)
}

/// Values alive in a part of a network, for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alive {
    /// Most at once where its input is read later on as well, the input not counted.
    pub held: u64,
    /// Most at once where nothing later reads its input, the input counted until its last use.
    pub last: u64,
    /// Values of its output; 0 where that is its input's memory.
    pub output: u64,
}

impl Alive {
    /// Whether the output is the input's memory.
    #[must_use]
    pub fn is_input(&self) -> bool {
        self.output == 0
    }
}

/// What is alive in `fragment`, whose output is read after it.
pub(super) fn alive(fragment: &Network) -> Alive {
    let mut lives = Lives::of(fragment);
    let output = lives.owner[fragment.output().index()];
    lives.last_use[output] = fragment.len() - 1;
    let input = fragment.input().index();
    Alive {
        held: lives.most(fragment, |node| node != input),
        last: lives.most(fragment, |_| true),
        output: if output == input { 0 } else { fragment.node(fragment.output()).shape.elements() },
    }
}

/// Which memory each node's output is, and until when it is read.
struct Lives {
    /// The node whose memory it is: what an in-place operator names.
    owner: Vec<usize>,
    last_use: Vec<usize>,
}

impl Lives {
    fn of(network: &Network) -> Self {
        let mut lives = Self { owner: (0..network.len()).collect(), last_use: (0..network.len()).collect() };
        for (id, node) in network.nodes() {
            let inputs = network.inputs(id);
            if in_place(&node.op)
                && let [only] = inputs.as_slice()
            {
                lives.owner[id.index()] = lives.owner[only.index()];
            }
            for read in inputs.into_iter().chain([id]) {
                let owned = lives.owner[read.index()];
                lives.last_use[owned] = lives.last_use[owned].max(id.index());
            }
        }
        lives
    }

    /// Most values alive at once, of the nodes that count.
    fn most(&self, network: &Network, counts: impl Fn(usize) -> bool) -> u64 {
        let (mut most, mut alive) = (0u64, 0u64);
        let mut ending: Vec<Vec<u64>> = vec![Vec::new(); network.len()];
        for (id, node) in network.nodes() {
            if self.owner[id.index()] == id.index() && counts(id.index()) {
                let elements = node.shape.elements();
                alive = alive.saturating_add(elements);
                ending[self.last_use[id.index()]].push(elements);
            }
            most = most.max(alive);
            for elements in &ending[id.index()] {
                alive = alive.saturating_sub(*elements);
            }
        }
        most
    }
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
