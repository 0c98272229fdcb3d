//! Where the channels of a narrower candidate stand in the tensors of a wider one.
//!
//! The channels of a plain width are the first ones. Those of a concatenation are the first ones of each of its parts, and
//! what is inside a candidate, some channels to each of a concatenated source, stands as its source does.

use super::SupernetError;
use crate::network::{Network, Op};
use crate::nn::{Block, Module};
use crate::space::{Candidate, Edge, End, Inner, MaskPoint, Space, Width};

/// Channels of every width, by slot, in a wider or former size and in the narrower or other one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes<'a> {
    pub(super) from: &'a [u64],
    pub(super) to: &'a [u64],
}

/// A network of another width, and by node where its channels stand in the tensors of the former one; the first ones where
/// that says nothing.
#[derive(Debug)]
pub(super) struct Fitted {
    network: Network,
    channels: Vec<Option<Vec<Block>>>,
}

impl Fitted {
    /// `candidate` of `edge` in its other size.
    pub(super) fn candidate(
        space: &Space,
        edge: &Edge,
        candidate: &Candidate,
        sizes: Sizes<'_>,
    ) -> Result<Self, SupernetError> {
        let ends = space.ends_of(edge, candidate);
        let [in_width, out_width] = ends.map(|width| sizes.to[space.slot(width)]);
        let (network, points) = space.fragment_with_masks(edge, candidate, in_width, out_width)?;
        let is_plain = |width: &Width| matches!(width, Width::Choice(_));
        if ends.iter().all(is_plain) {
            return Ok(Self { network, channels: Vec::new() });
        }
        let blocks = |(end, inner)| {
            let [from, to] = ends;
            blocks(space, if end == End::Source { from } else { to }, inner, sizes)
        };
        let channels = rules(&network, &points).into_iter().map(|rule| rule.and_then(blocks)).collect();
        Ok(Self { network, channels })
    }

    /// The classifier in its other size.
    pub(super) fn classifier(space: &Space, sizes: Sizes<'_>) -> Result<Self, SupernetError> {
        let width = space.join(space.last()).width;
        let network = space.classifier_fragment(sizes.to[space.slot(width)])?;
        let mut rules = vec![None; network.len()];
        rules[network.input().index()] = Some((End::Source, Inner::Times(1)));
        let rules = spread(&network, rules);
        let blocks = |(_, inner)| blocks(space, width, inner, sizes);
        let channels = rules.into_iter().map(|rule| rule.and_then(blocks)).collect();
        Ok(Self { network, channels })
    }

    /// The part of `module`'s tensors that this is.
    pub(super) fn slice(&self, module: &Module) -> Result<Module, SupernetError> {
        Ok(module.sliced(&self.network, &self.channels)?)
    }

    /// `module` in this size, with the `moments` of its parameters.
    pub(super) fn resize(
        &self,
        module: &Module,
        moments: &[tch::Tensor],
        seed: u64,
    ) -> Result<(Module, Vec<tch::Tensor>), SupernetError> {
        let moments = module.resized_moments(moments, &self.network, &self.channels)?;
        Ok((module.resized(&self.network, &self.channels, seed)?, moments))
    }
}

/// Which end the channels of a node follow, and how.
type Rule = (End, Inner);

/// The rule of each node of a candidate, where it has one.
fn rules(network: &Network, points: &[MaskPoint]) -> Vec<Option<Rule>> {
    let mut rules = vec![None; network.len()];
    rules[network.output().index()] = Some((End::Target, Inner::Times(1)));
    rules[network.input().index()] = Some((End::Source, Inner::Times(1)));
    for point in points {
        rules[point.node.index()] = Some((point.end, point.inner));
    }
    spread(network, rules)
}

/// Rules also for the nodes that have as many channels as their inputs, one for one, until nothing is new.
fn spread(network: &Network, mut rules: Vec<Option<Rule>>) -> Vec<Option<Rule>> {
    loop {
        let before = rules.iter().flatten().count();
        for (id, _) in network.nodes().filter(|(_, node)| keeps_channels(&node.op)) {
            let known = network.inputs(id).into_iter().chain([id]).find_map(|node| rules[node.index()]);
            for node in network.inputs(id).into_iter().chain([id]) {
                rules[node.index()] = rules[node.index()].or(known);
            }
        }
        if rules.iter().flatten().count() == before {
            return rules;
        }
    }
}

fn keeps_channels(op: &Op) -> bool {
    match op {
        Op::BatchNorm { .. }
        | Op::Activation(_)
        | Op::Pool(_)
        | Op::GlobalAveragePool
        | Op::Identity
        | Op::Add
        | Op::Multiply => true,
        Op::Conv2d(conv) => conv.is_depthwise(),
        _ => false,
    }
}

/// Where the channels that follow `width` by the rule `inner` stand; nothing where they are the first ones.
fn blocks(space: &Space, width: Width, inner: Inner, sizes: Sizes<'_>) -> Option<Vec<Block>> {
    let (Width::Sum(sum), Inner::Times(times)) = (width, inner) else { return None };
    let (mut from, mut to) = (0, 0);
    let part = |part: &crate::space::WidthId| {
        let [before, after] = [sizes.from, sizes.to].map(|channels| times * channels[part.0]);
        let block = Block { from, to, length: before.min(after) };
        (from, to) = (from + before, to + after);
        block
    };
    Some(space.sums[sum.0].parts().iter().map(part).collect())
}
