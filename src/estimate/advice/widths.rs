//! Other widths: the nearest tile edges on both sides.

use std::collections::{BTreeMap, BTreeSet};

use super::edges::{Edges, Owner};
use super::ties::{Group, Ties};
use super::{Advice, AdviceKind, Consumers, Resized, each, layer_changes};
use crate::estimate::{Estimate, Target, network, rows};
use crate::import::scale_sim::{Row, RowKind};
use crate::network::{Network, Op};

/// Slack may cost one part in so many of the cycles of the layers concerned.
const NEARLY_FREE: u128 = 100;

/// Widths of `model`, tied ones together.
pub(super) fn of_network(model: &Network, target: &Target<'_>, before: &Estimate) -> Vec<Advice> {
    let ties = Ties::of(model);
    each(ties.groups(), |group| {
        let edges = Edges::of_group(model, &ties, group, target.accelerator);
        let width = Width { channels: group.channels, step: group.step, edges };
        width.advice(|channels| resized(model, &ties, (group, channels), target, before))
    })
}

/// Widths of each row by itself.
pub(super) fn of_rows(name: &str, all: &[Row], target: &Target<'_>, before: &Estimate) -> Vec<Advice> {
    let places: Vec<usize> = (0..all.len()).collect();
    each(&places, |&place| {
        let Some(channels) = outputs(&all[place]) else { return Vec::new() };
        let edges = Edges::of_outputs(target.accelerator, 1).into_iter().collect();
        let width = Width { channels, step: 1, edges };
        width.advice(|channels| {
            let mut changed = all.to_vec();
            set_outputs(&mut changed[place], channels);
            let after = rows(name, &changed, target).ok()?;
            let widths =
                vec![Resized { layer: all[place].name.clone(), before: outputs(&all[place])?, after: channels }];
            let change = format!("{}, consumers unknown", words(&widths));
            let layers = layer_changes(before, &after, |index| index == place);
            let advice = Advice::new(AdviceKind::Width, change, before, &after);
            Some(Advice { widths, layers, consumers: Consumers::Unknown, ..advice })
        })
    })
}

/// A width and where its tiles are full.
struct Width {
    channels: u64,
    step: u64,
    edges: BTreeSet<Edges>,
}

impl Width {
    /// The edges that are worth telling; `change` estimates another number of channels.
    fn advice(&self, change: impl Fn(u64) -> Option<Advice>) -> Vec<Advice> {
        let below = self.edges.iter().map(|edges| edges.below(self.channels, self.step)).collect::<Vec<_>>();
        let above = self.edges.iter().map(|edges| edges.above(self.channels, self.step)).collect::<Vec<_>>();
        let wanted: BTreeSet<u64> = below.iter().chain(&above).flatten().copied().collect();
        let tried = wanted.into_iter().filter_map(|channels| Some((channels, change(channels)?)));
        let tried: BTreeMap<u64, Advice> = tried.collect();
        let narrower = below.iter().filter_map(|edges| edges.iter().copied().find(|edge| self.pays(*edge, &tried)));
        let narrower: BTreeSet<u64> = narrower.collect();
        let slack = tried.iter().rev().find(|(channels, advice)| **channels > self.channels && is_free(advice));
        let slack = slack.map(|(&channels, _)| channels);
        let own = self.edges.iter().zip(&above).filter(|(edges, _)| edges.of == Owner::Producer);
        let wider = own.filter_map(|(_, edges)| edges.first().copied()).min();
        let wider = wider.filter(|&wider| slack.is_none_or(|slack| wider > slack));
        let told = narrower.into_iter().map(|channels| (channels, AdviceKind::Width));
        let told = told.chain(slack.map(|channels| (channels, AdviceKind::Slack)));
        let told = told.chain(wider.map(|channels| (channels, AdviceKind::Wider)));
        told.filter_map(|(channels, kind)| Some(Advice { kind, ..tried.get(&channels)?.clone() })).collect()
    }

    /// Whether the layers concerned lose a larger share of their cycles than of their channels.
    fn pays(&self, channels: u64, tried: &BTreeMap<u64, Advice>) -> bool {
        let Some(advice) = tried.get(&channels) else { return false };
        let [before, after] = [advice.before, advice.after].map(|figures| u128::from(figures.cycles.0));
        let saved = before.saturating_sub(after);
        saved > 0 && saved * u128::from(self.channels) > u128::from(self.channels - channels) * concerned(advice)
    }
}

/// Whether a change costs no cycles, or nearly none.
fn is_free(advice: &Advice) -> bool {
    let [before, after] = [advice.before, advice.after].map(|figures| u128::from(figures.cycles.0));
    after.saturating_sub(before) * NEARLY_FREE <= concerned(advice)
}

/// Cycles of the layers that change, as they are.
fn concerned(advice: &Advice) -> u128 {
    advice.layers.iter().map(|layer| u128::from(layer.before.0)).sum()
}

fn resized(
    model: &Network,
    ties: &Ties,
    change: (&Group, u64),
    target: &Target<'_>,
    before: &Estimate,
) -> Option<Advice> {
    let changed = ties.resized(model, &[change]).ok()?;
    let after = network(&changed, target).ok()?;
    let widths = resized_layers(model, &changed);
    let words = words(&widths);
    let asked: Vec<bool> = model.nodes().zip(changed.nodes()).skip(1).map(|((_, a), (_, b))| a.op != b.op).collect();
    let layers = layer_changes(before, &after, |place| asked[place]);
    Some(Advice { widths, layers, ..Advice::new(AdviceKind::Width, words, before, &after) })
}

fn resized_layers(before: &Network, after: &Network) -> Vec<Resized> {
    let pairs = before.nodes().zip(after.nodes());
    let chosen = pairs.filter(|((_, node), _)| {
        matches!(node.op, Op::Conv2d(_) | Op::Linear(_) | Op::FitChannels { .. } | Op::Zero { .. })
    });
    let resized = chosen.map(|((_, a), (_, b))| Resized {
        layer: a.name.clone(),
        before: a.shape.channels(),
        after: b.shape.channels(),
    });
    resized.filter(|resized| resized.before != resized.after).collect()
}

fn words(widths: &[Resized]) -> String {
    let Some((Resized { layer, before, after }, tied)) = widths.split_first() else { return String::new() };
    let tied = match tied.len() {
        0 => String::new(),
        count => format!(", {count} tied"),
    };
    format!("{layer}: {before} -> {after} channels{tied}")
}

/// Filters of a dense row; those of a depthwise one are not its own to choose.
fn outputs(row: &Row) -> Option<u64> {
    match row.kind {
        RowKind::Conv(conv) => (!conv.depthwise).then_some(conv.filters),
        RowKind::Gemm { n, .. } => Some(n),
    }
}

fn set_outputs(row: &mut Row, channels: u64) {
    match &mut row.kind {
        RowKind::Conv(conv) => conv.filters = channels,
        RowKind::Gemm { n, .. } => *n = channels,
    }
}
