//! Which widths of a network are one and the same, and the network with other widths.

use num_integer::gcd;
use petgraph::unionfind::UnionFind;

use crate::network::{Conv2d, Linear, Network, NetworkError, NodeId, Op};

/// Channels that follow each other and belong to one width: `times` for each of its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// The width: a place in [`Ties::roots`] while they are tied, the width's own place behind that.
    pub(super) width: usize,
    /// Channels of the segment for each channel of the width.
    pub(super) times: u64,
}

/// A width that several layers share and that may be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Its place among the widths.
    pub(super) width: usize,
    /// Channels.
    pub(super) channels: u64,
    /// Every width of the group is a multiple of this, where grouped convolutions read or write it.
    pub(super) step: u64,
    /// Positions of the nodes that put it out by their own choice.
    pub(super) producers: Vec<usize>,
}

/// The widths of a network.
///
/// A convolution, a linear layer, `fit-channels` and `zero` choose how many channels they put out; every other operator
/// takes them over: a depthwise convolution times its multiplier, `flatten` times the map, `concat` one behind the other.
/// `add` and `multiply` tie what they join. Widths of the image and of the output stay, and so do widths that are joined
/// with another division into segments, and those of tensors that are neither maps nor vectors.
#[derive(Debug, Clone)]
pub(super) struct Ties {
    /// For each node the segments of its output.
    outputs: Vec<Vec<Segment>>,
    /// For each node the width that it chooses, if it does.
    chosen: Vec<Option<usize>>,
    groups: Vec<Group>,
}

/// Widths while they are being tied.
struct Tying {
    ties: UnionFind<usize>,
    channels: Vec<u64>,
    fixed: Vec<bool>,
    step: Vec<u64>,
}

impl Ties {
    pub(super) fn of(network: &Network) -> Self {
        let mut tying =
            Tying { ties: UnionFind::new(network.len()), channels: Vec::new(), fixed: Vec::new(), step: Vec::new() };
        let mut outputs: Vec<Vec<Segment>> = Vec::with_capacity(network.len());
        let mut chosen = vec![None; network.len()];
        for (id, node) in network.nodes() {
            let inputs = network.inputs(id);
            let before: Vec<&[Segment]> = inputs.iter().map(|input| outputs[input.index()].as_slice()).collect();
            let channels = node.shape.channels();
            let segments = match flow(network, id) {
                Flow::Chosen | Flow::Kept => {
                    let width = tying.choose(channels);
                    chosen[id.index()] = Some(width);
                    vec![Segment { width, times: 1 }]
                }
                Flow::Taken { times } => multiplied(before[0], times),
                Flow::Chained => before.concat(),
                Flow::Joined => {
                    let widths = inputs.iter().map(|&input| network.node(input).shape.channels());
                    tying.join(&before, &widths.collect::<Vec<_>>(), channels)
                }
            };
            match (flow(network, id), &node.op) {
                (Flow::Kept, _) => before.iter().copied().chain([&segments[..]]).for_each(|all| tying.fix(all)),
                (Flow::Chosen, Op::Conv2d(conv)) if conv.groups > 1 => {
                    [before[0], &segments].into_iter().for_each(|all| tying.divide(all, conv.groups));
                }
                (Flow::Chosen | Flow::Taken { .. } | Flow::Chained | Flow::Joined, _) => {}
            }
            outputs.push(segments);
        }
        tying.fix(&outputs[network.output().index()]);
        Self::told(outputs, chosen, tying)
    }

    fn told(mut outputs: Vec<Vec<Segment>>, mut chosen: Vec<Option<usize>>, tying: Tying) -> Self {
        let root = |width: usize| tying.ties.find(width);
        outputs.iter_mut().flatten().for_each(|segment| segment.width = root(segment.width));
        chosen.iter_mut().flatten().for_each(|width| *width = root(*width));
        let mut fixed = vec![false; tying.channels.len()];
        let mut step = vec![1; tying.channels.len()];
        for width in 0..tying.channels.len() {
            fixed[root(width)] |= tying.fixed[width];
            step[root(width)] = least_common_multiple(step[root(width)], tying.step[width]);
        }
        let groups = (0..tying.channels.len()).filter(|&width| root(width) == width && !fixed[width]);
        let group = |width: usize| Group {
            width,
            channels: tying.channels[width],
            step: step[width],
            producers: (0..chosen.len()).filter(|&node| chosen[node] == Some(width)).collect(),
        };
        let mut groups: Vec<Group> = groups.map(group).collect();
        groups.sort_by_key(|group| group.producers.first().copied());
        Self { outputs, chosen, groups }
    }

    /// The widths that may be changed, in the order of their first layers.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// How the output of the node at `index` is made of widths.
    pub(super) fn output(&self, index: usize) -> &[Segment] {
        &self.outputs[index]
    }

    /// `network` with the width of each group as given; what is tied and what reads it changes with it.
    ///
    /// # Errors
    /// [`NetworkError`] where a layer does not take the widths.
    pub(super) fn resized(&self, network: &Network, changes: &[(&Group, u64)]) -> Result<Network, NetworkError> {
        let input = network.node(network.input());
        let mut resized = Network::new(network.name(), input.shape.clone());
        let mut moved: Vec<NodeId> = vec![resized.input()];
        for (id, node) in network.nodes().skip(1) {
            let inputs = network.inputs(id);
            let moved_inputs: Vec<NodeId> = inputs.iter().map(|input| moved[input.index()]).collect();
            let width = self.chosen[id.index()];
            let changed = changes.iter().find(|(group, _)| Some(group.width) == width).map(|&(_, channels)| channels);
            let channels = changed.unwrap_or(node.shape.channels());
            let given = moved_inputs.first().map(|&input| resized.node(input).shape.channels());
            let before = inputs.first().map(|&input| network.node(input).shape.channels());
            let same = given == before && channels == node.shape.channels();
            let op = if same { node.op.clone() } else { with_widths(&node.op, given.unwrap_or(0), channels) };
            moved.push(resized.wire(&node.name, op, &moved_inputs)?);
        }
        resized.set_output(moved[network.output().index()]);
        Ok(resized)
    }
}

impl Tying {
    fn choose(&mut self, channels: u64) -> usize {
        self.channels.push(channels);
        self.fixed.push(false);
        self.step.push(1);
        self.channels.len() - 1
    }

    /// Ties the inputs of a sum or a product of `channels` channels; inputs of one channel that is broadcast keep it.
    fn join(&mut self, inputs: &[&[Segment]], widths: &[u64], channels: u64) -> Vec<Segment> {
        let mut whole = Vec::new();
        for (segments, &width) in inputs.iter().zip(widths) {
            if width == channels { whole.push(*segments) } else { self.fix(segments) }
        }
        let Some((first, others)) = whole.split_first() else { return Vec::new() };
        if others.iter().all(|other| self.alike(first, other)) {
            for (a, b) in others.iter().flat_map(|other| first.iter().zip(*other)) {
                self.ties.union(a.width, b.width);
            }
        } else {
            whole.iter().for_each(|segments| self.fix(segments));
        }
        first.to_vec()
    }

    fn alike(&self, a: &[Segment], b: &[Segment]) -> bool {
        let same =
            |(a, b): (&Segment, &Segment)| a.times == b.times && self.channels[a.width] == self.channels[b.width];
        a.len() == b.len() && a.iter().zip(b).all(same)
    }

    fn fix(&mut self, segments: &[Segment]) {
        segments.iter().for_each(|segment| self.fixed[segment.width] = true);
    }

    /// Widths of `segments` stay multiples of `groups`, which they need not all be at first: then the whole is refused
    /// when it is wired.
    fn divide(&mut self, segments: &[Segment], groups: u64) {
        for segment in segments {
            let step = groups / gcd(groups, segment.times);
            self.step[segment.width] = least_common_multiple(self.step[segment.width], step);
        }
    }
}

/// `op` behind an input of `given` channels; one that chooses its width puts out `channels`.
fn with_widths(op: &Op, given: u64, channels: u64) -> Op {
    match op {
        Op::Conv2d(conv) if conv.is_depthwise() => {
            let out_channels = given.saturating_mul(conv.out_channels / conv.in_channels);
            Op::Conv2d(Conv2d { in_channels: given, out_channels, groups: given, ..conv.clone() })
        }
        Op::Conv2d(conv) => Op::Conv2d(Conv2d { in_channels: given, out_channels: channels, ..conv.clone() }),
        Op::Linear(linear) => Op::Linear(Linear { in_features: given, out_features: channels, ..linear.clone() }),
        Op::BatchNorm { .. } => Op::BatchNorm { channels: given },
        Op::FitChannels { .. } => Op::FitChannels { channels },
        Op::Zero { .. } => Op::Zero { channels },
        Op::Input
        | Op::Activation(_)
        | Op::Pool(_)
        | Op::GlobalAveragePool
        | Op::Add
        | Op::Multiply
        | Op::Concat { .. }
        | Op::Identity
        | Op::Flatten
        | Op::Softmax { .. }
        | Op::ConvTranspose2d(_)
        | Op::MatMul { .. }
        | Op::Embedding(_)
        | Op::Norm(_)
        | Op::LocalResponseNorm { .. }
        | Op::Reduce(_)
        | Op::Elementwise(_)
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Slice(_)
        | Op::Gather(_)
        | Op::Pad(_)
        | Op::Expand { .. }
        | Op::Resize(_)
        | Op::Tensor(_) => op.clone(),
    }
}

/// How an operator's channels come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// It chooses them.
    Chosen,
    /// They are those of its input, so many times.
    Taken { times: u64 },
    /// They are those of its inputs, one behind the other.
    Chained,
    /// They are those of each of its inputs.
    Joined,
    /// They stay, and so do those of its inputs.
    Kept,
}

/// The flow of the node `id`; widths of other tensors than maps and vectors are kept.
fn flow(network: &Network, id: NodeId) -> Flow {
    let node = network.node(id);
    let rank = |id: NodeId| network.node(id).shape.dims().len();
    let mut ranks = network.sources(id).map(rank).chain([rank(id)]);
    if ranks.any(|rank| rank != 1 && rank != 3) {
        return Flow::Kept;
    }
    match &node.op {
        Op::Conv2d(conv) if conv.is_depthwise() => Flow::Taken { times: conv.out_channels / conv.in_channels },
        Op::Conv2d(_) | Op::Linear(_) | Op::FitChannels { .. } | Op::Zero { .. } => Flow::Chosen,
        Op::BatchNorm { .. }
        | Op::Activation(_)
        | Op::Pool(_)
        | Op::GlobalAveragePool
        | Op::Identity
        | Op::Softmax { .. } => Flow::Taken { times: 1 },
        Op::Flatten => {
            let map = network.sources(id).map(|input| network.node(input).shape.dims()[1..].iter().product::<u64>());
            Flow::Taken { times: map.product() }
        }
        Op::Concat { axis: 0 } => Flow::Chained,
        Op::Add | Op::Multiply if network.sources(id).all(|input| rank(input) == rank(id)) => Flow::Joined,
        Op::Add
        | Op::Multiply
        | Op::Input
        | Op::Concat { .. }
        | Op::ConvTranspose2d(_)
        | Op::MatMul { .. }
        | Op::Embedding(_)
        | Op::Norm(_)
        | Op::LocalResponseNorm { .. }
        | Op::Reduce(_)
        | Op::Elementwise(_)
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Slice(_)
        | Op::Gather(_)
        | Op::Pad(_)
        | Op::Expand { .. }
        | Op::Resize(_)
        | Op::Tensor(_) => Flow::Kept,
    }
}

fn multiplied(segments: &[Segment], factor: u64) -> Vec<Segment> {
    let more = |segment: &Segment| Segment { times: segment.times.saturating_mul(factor), ..*segment };
    segments.iter().map(more).collect()
}

/// 2^64 - 1 where it is more.
fn least_common_multiple(a: u64, b: u64) -> u64 {
    (a / gcd(a, b)).saturating_mul(b)
}
