//! Widths at which tiles are full.

use std::collections::BTreeSet;

use super::ties::{Group, Ties};
use crate::accel::{Accelerator, Dataflow, Depthwise};
use crate::network::{Conv2d, Network, Op};

/// Edges that are tried on each side of a width, for each reason.
const TRIED: u64 = 4;

/// Why a width has edges: `floor(j * side / each) * groups` channels, j = 1, 2, .., fill j tiles; of these channels
/// `times` for each of the width's are its own, and `rest` belong to other widths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edges {
    /// Whose tiles.
    pub(super) of: Owner,
    side: u64,
    each: u64,
    groups: u64,
    times: u64,
    rest: u64,
}

/// Whose tiles are full at an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// Those of the layers that put the width out.
    Producer,
    /// Those of a layer that reads it.
    Consumer,
}

/// What the sides of an array hold that depends on widths.
struct Sides {
    /// Output channels, n.
    columns: Option<u64>,
    /// The length that is summed over, k.
    rows: Option<u64>,
}

impl Sides {
    fn of(accelerator: &Accelerator) -> Self {
        let (rows, columns) = (Some(accelerator.array.rows), Some(accelerator.array.cols));
        match accelerator.dataflow {
            Dataflow::WeightStationary => Self { columns, rows },
            Dataflow::InputStationary => Self { columns: None, rows },
            Dataflow::OutputStationary => Self { columns, rows: None },
        }
    }
}

impl Edges {
    /// Those of the output channels of a layer with `groups` groups.
    pub(super) fn of_outputs(accelerator: &Accelerator, groups: u64) -> Vec<Self> {
        let Some(columns) = Sides::of(accelerator).columns else { return Vec::new() };
        let own = Self { of: Owner::Producer, side: columns, each: 1, groups, times: 1, rest: 0 };
        let shared = Self { side: columns.saturating_mul(accelerator.array.count), ..own };
        if shared == own { vec![own] } else { vec![own, shared] }
    }

    /// Those of the width `group`, each reason once.
    pub(super) fn of_group(network: &Network, ties: &Ties, group: &Group, accelerator: &Accelerator) -> BTreeSet<Self> {
        let mut all = BTreeSet::new();
        for (id, node) in network.nodes() {
            match &node.op {
                Op::Conv2d(conv) if !conv.is_depthwise() && group.producers.contains(&id.index()) => {
                    all.extend(Self::of_outputs(accelerator, conv.groups));
                }
                Op::Linear(_) if group.producers.contains(&id.index()) => {
                    all.extend(Self::of_outputs(accelerator, 1));
                }
                _ => {}
            }
            let Some(input) = network.sources(id).next() else { continue };
            let segments = ties.output(input.index()).iter().filter(|segment| segment.width == group.width);
            let times = segments.map(|segment| segment.times).fold(0, u64::saturating_add);
            let own = times.saturating_mul(group.channels);
            if times == 0 {
                continue;
            }
            let rest = network.node(input).shape.channels().saturating_sub(own);
            if let Some((side, each, groups)) = Self::of_inputs(&node.op, accelerator) {
                all.insert(Self { of: Owner::Consumer, side, each, groups, times, rest });
            }
        }
        all
    }

    /// Side, length for each channel and groups of what a layer sums over.
    fn of_inputs(op: &Op, accelerator: &Accelerator) -> Option<(u64, u64, u64)> {
        let rows = Sides::of(accelerator).rows;
        match op {
            Op::Conv2d(conv) if conv.is_depthwise() => match accelerator.depthwise {
                Depthwise::Diagonal => Some((sharing(conv, accelerator)?, 1, 1)),
                Depthwise::PerChannel | Depthwise::Vector => None,
            },
            Op::Conv2d(conv) => Some((rows?, conv.kernel[0].saturating_mul(conv.kernel[1]), conv.groups)),
            Op::Linear(_) => Some((rows?, 1, 1)),
            Op::Input
            | Op::BatchNorm { .. }
            | Op::Activation(_)
            | Op::Pool(_)
            | Op::GlobalAveragePool
            | Op::Add
            | Op::Multiply
            | Op::Concat { .. }
            | Op::Identity
            | Op::FitChannels { .. }
            | Op::Zero { .. }
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
            | Op::Tensor(_) => None,
        }
    }

    /// Edges below `channels`, the nearest first, none below half of it; multiples of `step`.
    pub(super) fn below(&self, channels: u64, step: u64) -> Vec<u64> {
        let at = self.tiles(channels);
        let edges = (1..=TRIED).filter_map(|back| self.edge(at.checked_sub(back).filter(|&tiles| tiles > 0)?));
        let mut edges: Vec<u64> = edges.map(|edge| edge / step * step).collect();
        edges.retain(|&edge| edge < channels && edge > 0 && edge >= channels.div_ceil(2));
        edges.dedup();
        edges
    }

    /// Edges above `channels`, the nearest first, none above twice that; multiples of `step`.
    pub(super) fn above(&self, channels: u64, step: u64) -> Vec<u64> {
        let at = self.tiles(channels);
        let edges = (0..=TRIED).filter_map(|on| self.edge(at.checked_add(on)?));
        let mut edges: Vec<u64> = edges.map(|edge| edge / step * step).collect();
        edges.retain(|&edge| edge > channels && edge <= channels.saturating_mul(2));
        edges.dedup();
        edges
    }

    /// Tiles that a width of `channels` takes.
    fn tiles(&self, channels: u64) -> u64 {
        let all = u128::from(self.times) * u128::from(channels) + u128::from(self.rest);
        let length = all.div_ceil(u128::from(self.groups)) * u128::from(self.each);
        u64::try_from(length.div_ceil(u128::from(self.side))).unwrap_or(u64::MAX)
    }

    /// The widest width of `tiles` tiles.
    fn edge(&self, tiles: u64) -> Option<u64> {
        let all = u128::from(tiles) * u128::from(self.side) / u128::from(self.each) * u128::from(self.groups);
        u64::try_from(all.checked_sub(u128::from(self.rest))? / u128::from(self.times)).ok()
    }
}

/// Channels of a depthwise convolution that share a pass along the diagonal.
fn sharing(conv: &Conv2d, accelerator: &Accelerator) -> Option<u64> {
    let (area, multiplier) = (conv.kernel[0].checked_mul(conv.kernel[1])?, conv.out_channels / conv.in_channels);
    let Sides { columns, rows } = Sides::of(accelerator);
    let fit = [rows.map(|rows| rows / area), columns.map(|columns| columns / multiplier)];
    Some(fit.into_iter().flatten().min()?.max(1))
}
