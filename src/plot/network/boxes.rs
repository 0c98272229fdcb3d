//! A network as boxes and wires: what only follows a layer stands in the layer's box.

use crate::estimate::{Estimate, LayerEstimate};
use crate::network::{Network, Node, NodeId, Op};

/// A node with those that only follow it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unit {
    /// Name of the first node.
    pub(super) name: String,
    /// What it computes, in a few letters.
    pub(super) what: String,
    /// The operators behind it, in order.
    pub(super) then: Vec<&'static str>,
    /// Dimensions of what comes out.
    pub(super) shape: Vec<u64>,
    /// Overall utilization of the first node, a fraction, where it is known and has one.
    pub(super) utilization: Option<f64>,
    /// Cycles of all of them, part of the network's.
    pub(super) share: f64,
}

/// Boxes in topological order, and from which to which wires run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Boxes {
    pub(super) units: Vec<Unit>,
    /// Ascending, each once.
    pub(super) wires: Vec<(usize, usize)>,
}

impl Boxes {
    /// The part of `network` that its output depends on, with the costs of `estimate`, whose layers are its nodes.
    pub(super) fn new(network: &Network, estimate: &Estimate) -> Self {
        let used = network.used();
        let mut consumers = vec![0_usize; network.len()];
        for (id, _) in network.nodes().filter(|(id, _)| used[id.index()]) {
            network.sources(id).for_each(|source| consumers[source.index()] += 1);
        }
        let mut boxes = Self { units: Vec::new(), wires: Vec::new() };
        let mut place = vec![usize::MAX; network.len()];
        for (id, node) in network.nodes().filter(|(id, _)| used[id.index()]) {
            let inputs = network.inputs(id);
            let layer = estimate.layers.iter().find(|layer| layer.name == node.name);
            let share = share(layer, estimate);
            place[id.index()] = match inputs[..] {
                [only] if follows(&node.op) && consumers[only.index()] == 1 && only != network.input() => {
                    let at = place[only.index()];
                    boxes.units[at].then.push(node.op.name());
                    boxes.units[at].shape = node.shape.dims().to_vec();
                    boxes.units[at].share += share;
                    at
                }
                _ => boxes.add(unit(node, layer, share), &inputs, &place),
            };
        }
        boxes
    }

    fn add(&mut self, unit: Unit, inputs: &[NodeId], place: &[usize]) -> usize {
        let at = self.units.len();
        let mut sources: Vec<usize> = inputs.iter().map(|input| place[input.index()]).collect();
        sources.sort_unstable();
        sources.dedup();
        self.wires.extend(sources.into_iter().map(|source| (source, at)));
        self.units.push(unit);
        at
    }
}

fn unit(node: &Node, layer: Option<&LayerEstimate>, share: f64) -> Unit {
    Unit {
        name: node.name.clone(),
        what: what(&node.op),
        then: Vec::new(),
        shape: node.shape.dims().to_vec(),
        utilization: layer.and_then(|layer| layer.overall_utilization),
        share,
    }
}

fn share(layer: Option<&LayerEstimate>, estimate: &Estimate) -> f64 {
    let cycles = layer.map_or(0, |layer| layer.cycles.0);
    cycles as f64 / estimate.total.cycles.0.max(1) as f64
}

/// Whether the operator changes each value by itself, or the form alone.
fn follows(op: &Op) -> bool {
    matches!(
        op,
        Op::BatchNorm { .. }
            | Op::Activation(_)
            | Op::Identity
            | Op::FitChannels { .. }
            | Op::Flatten
            | Op::Reshape { .. }
    )
}

/// The operator with its kernel, stride, dilation and groups: `conv 3×3 /2, d2, g8`.
pub(super) fn what(op: &Op) -> String {
    let by = |[height, width]: [u64; 2]| format!("{height}×{width}");
    let step = |[height, width]: [u64; 2]| match (height, width) {
        (1, 1) => String::new(),
        (height, width) if height == width => format!(" /{height}"),
        (height, width) => format!(" /{height}×{width}"),
    };
    match op {
        Op::Conv2d(conv) => {
            let name = if conv.is_depthwise() { "depthwise" } else { "conv" };
            let groups = match conv.groups {
                groups if groups > 1 && !conv.is_depthwise() => format!(", g{groups}"),
                _ => String::new(),
            };
            let dilation = if conv.dilation == [1, 1] { String::new() } else { format!(", d{}", conv.dilation[0]) };
            format!("{name} {}{}{dilation}{groups}", by(conv.kernel), step(conv.stride))
        }
        Op::ConvTranspose2d(conv) => format!("conv-transpose {}{}", by(conv.kernel), step(conv.stride)),
        Op::Pool(pool) => format!("{} {}{}", pool.kind.name(), by(pool.kernel), step(pool.stride)),
        other => other.name().to_owned(),
    }
}
