//! Two estimates, layer by layer.

use std::collections::{HashMap, VecDeque};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Breakdown, Estimate, LayerEstimate, Part, Total};
use crate::units::{Bytes, Cycles, Macs};

/// What differs between two estimates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The estimate that is compared with.
    pub before: Compared,
    /// The estimate that is compared.
    pub after: Compared,
    /// Layers of both, in the order of the first; layers of the second alone stand behind the one before them.
    pub layers: Vec<LayerDifference>,
    /// The whole.
    pub total: Difference,
}

/// Which estimate is compared, and its totals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// The network's name.
    pub network: String,
    /// The accelerator's name.
    pub accelerator: String,
    /// The timing's name.
    pub timing: String,
    /// Images at once.
    pub batch: u64,
    /// Multiply-accumulates of the whole batch.
    pub macs: Macs,
    /// Learned values.
    pub params: u64,
    /// As of the estimate's total.
    pub end_to_end_utilization: Option<f64>,
    /// Bytes read from and written to DRAM.
    pub traffic: Bytes,
    /// Microjoules, where the accelerator has an energy table.
    pub energy_uj: Option<f64>,
}

/// A layer of one estimate or of both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LayerDifference {
    /// Its name before; nothing where it is new.
    pub before: Option<String>,
    /// Its name after; nothing where it is gone.
    pub after: Option<String>,
    /// What differs.
    pub difference: Difference,
}

/// What differs; a layer that one estimate lacks takes no cycles there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Cycles before.
    pub cycles_before: Cycles,
    /// Cycles after.
    pub cycles_after: Cycles,
    /// After less before.
    pub cycles: i64,
    /// Milliseconds before.
    pub latency_ms_before: f64,
    /// Milliseconds after.
    pub latency_ms_after: f64,
    /// The part of the cycles that differs most, the first of equal ones; nothing where none does.
    pub part: Option<Part>,
    /// Cycles of that part, after less before.
    pub part_cycles: i64,
}

/// Compares `after` with `before`: layers of one name belong together, the first of that name with the first; of those
/// left over, layers of one operator do in their order.
#[must_use]
pub fn compare(before: &Estimate, after: &Estimate) -> Comparison {
    let partners = partners(&before.layers, &after.layers);
    let mut layers = Vec::with_capacity(before.layers.len());
    let mut new = lone(&partners, after.layers.len());
    layers.extend(new.remove(&None).unwrap_or_default().into_iter().map(|place| added(&after.layers[place])));
    for (layer, partner) in before.layers.iter().zip(&partners) {
        let other = partner.map(|place| &after.layers[place]);
        layers.push(LayerDifference {
            before: Some(layer.name.clone()),
            after: other.map(|other| other.name.clone()),
            difference: difference(Some(Times::of(layer)), other.map(Times::of)),
        });
        let behind = partner.and_then(|place| new.remove(&Some(place))).unwrap_or_default();
        layers.extend(behind.into_iter().map(|place| added(&after.layers[place])));
    }
    let total = difference(Some(Times::of_all(&before.total)), Some(Times::of_all(&after.total)));
    Comparison { before: Compared::of(before), after: Compared::of(after), layers, total }
}

impl Compared {
    fn of(estimate: &Estimate) -> Self {
        let Estimate { network, accelerator, timing, batch, total, .. } = estimate;
        Self {
            network: network.clone(),
            accelerator: accelerator.clone(),
            timing: timing.clone(),
            batch: *batch,
            macs: total.macs,
            params: total.params,
            end_to_end_utilization: total.end_to_end_utilization,
            traffic: Bytes(total.bytes_read.0.saturating_add(total.bytes_written.0)),
            energy_uj: total.energy_uj,
        }
    }
}

/// For each layer of `before` the place of its partner.
fn partners(before: &[LayerEstimate], after: &[LayerEstimate]) -> Vec<Option<usize>> {
    let mut partners = vec![None; before.len()];
    let mut free = vec![true; after.len()];
    pair(before, after, &mut partners, &mut free, |layer| &layer.name);
    pair(before, after, &mut partners, &mut free, |layer| &layer.op);
    partners
}

/// Gives each layer without a partner the first free one of equal key.
fn pair<'a>(
    before: &'a [LayerEstimate],
    after: &'a [LayerEstimate],
    partners: &mut [Option<usize>],
    free: &mut [bool],
    key: impl Fn(&'a LayerEstimate) -> &'a str,
) {
    let mut waiting: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for place in (0..after.len()).filter(|&place| free[place]) {
        waiting.entry(key(&after[place])).or_default().push_back(place);
    }
    for (layer, partner) in before.iter().zip(partners).filter(|(_, partner)| partner.is_none()) {
        *partner = waiting.get_mut(key(layer)).and_then(VecDeque::pop_front);
        if let Some(place) = *partner {
            free[place] = false;
        }
    }
}

/// Layers without a partner, by the partner behind which they stand.
fn lone(partners: &[Option<usize>], count: usize) -> HashMap<Option<usize>, Vec<usize>> {
    let mut taken = vec![false; count];
    partners.iter().flatten().for_each(|&place| taken[place] = true);
    let mut lone: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    let mut behind = None;
    for (place, taken) in taken.into_iter().enumerate() {
        if taken {
            behind = Some(place);
        } else {
            lone.entry(behind).or_default().push(place);
        }
    }
    lone
}

fn added(layer: &LayerEstimate) -> LayerDifference {
    let difference = difference(None, Some(Times::of(layer)));
    LayerDifference { before: None, after: Some(layer.name.clone()), difference }
}

/// The cycles of a layer or of a whole network, and what they go to.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    cycles: Cycles,
    latency_ms: f64,
    breakdown: Breakdown,
}

impl Times {
    fn of(layer: &LayerEstimate) -> Self {
        Self { cycles: layer.cycles, latency_ms: layer.latency_ms, breakdown: layer.breakdown }
    }

    fn of_all(total: &Total) -> Self {
        Self { cycles: total.cycles, latency_ms: total.latency_ms, breakdown: total.breakdown }
    }
}

fn difference(before: Option<Times>, after: Option<Times>) -> Difference {
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let change = |part: Part| less(after.breakdown.part(part), before.breakdown.part(part));
    let changed = Part::ALL.into_iter().rev().filter(|&part| change(part) != 0);
    let part = changed.max_by_key(|&part| change(part).unsigned_abs());
    Difference {
        cycles_before: before.cycles,
        cycles_after: after.cycles,
        cycles: less(after.cycles, before.cycles),
        latency_ms_before: before.latency_ms,
        latency_ms_after: after.latency_ms,
        part,
        part_cycles: part.map_or(0, change),
    }
}

/// `after - before`; cycles are below 2^63.
fn less(after: Cycles, before: Cycles) -> i64 {
    after.0.wrapping_sub(before.0).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::super::{Target, network, rows};
    use super::*;
    use crate::accel::Accelerator;
    use crate::import::scale_sim;
    use crate::network::Network;
    use proptest::prelude::*;

    fn list(text: &str) -> Estimate {
        let list = scale_sim::read_topology(&format!("Layer, M, N, K,\n{text}"), "t.csv").unwrap();
        rows("t", &list, &Target::of(&Accelerator::named_or_path("small-32x32").unwrap())).unwrap()
    }

    fn names(comparison: &Comparison) -> Vec<(&str, &str)> {
        let name = |name: &'_ Option<String>| name.as_deref().unwrap_or("-").to_owned().leak() as &str;
        comparison.layers.iter().map(|layer| (name(&layer.before), name(&layer.after))).collect()
    }

    #[test]
    fn layers_of_one_name_belong_together_then_those_left_in_order() {
        let before = list("a, 1, 1, 1,\nb, 1, 1, 1,\nc, 1, 1, 1,\na, 1, 1, 1,\n");
        let after = list("new, 1, 1, 1,\na, 1, 1, 1,\nd, 1, 1, 1,\na, 1, 1, 1,\ne, 1, 1, 1,\nf, 1, 1, 1,\n");
        // b and c have no namesake: they take the first two of those left, `new` and d; e and f stand behind the last a.
        let expected = [("a", "a"), ("b", "new"), ("c", "d"), ("a", "a"), ("-", "e"), ("-", "f")];
        assert_eq!(names(&compare(&before, &after)), expected);
        let fewer = list("x, 1, 1, 1,\n");
        assert_eq!(names(&compare(&before, &fewer)), [("a", "x"), ("b", "-"), ("c", "-"), ("a", "-")]);
    }

    #[test]
    fn the_part_that_changed_most_is_told_with_its_cycles() {
        // 64 rows through one tile of 16 columns: 32 of 64 cycles are lost to columns, none with 32 columns.
        let (before, after) = (list("a, 64, 16, 32,\n"), list("a, 64, 32, 32,\n"));
        let comparison = compare(&before, &after);
        let difference = comparison.layers[0].difference;
        assert_eq!((difference.cycles_before, difference.cycles_after, difference.cycles), (Cycles(64), Cycles(64), 0));
        // useful + 32, columns - 32: of equal ones the first
        assert_eq!((difference.part, difference.part_cycles), (Some(Part::Useful), 32));
        let back = compare(&after, &list("a, 128, 16, 32,\n")).total;
        // useful stays 64, columns 0 -> 64
        assert_eq!((back.cycles, back.part, back.part_cycles), (64, Some(Part::Columns), 64));
    }

    #[test]
    fn an_estimate_does_not_differ_from_itself() {
        let text = crate::network::EVERY_OPERATOR;
        let accelerator = Accelerator::named_or_path("small-32x32").unwrap();
        let estimate = network(&Network::parse(text, "n.yaml").unwrap(), &Target::of(&accelerator)).unwrap();
        let comparison = compare(&estimate, &estimate);
        assert_eq!(comparison.before, comparison.after);
        assert_eq!(comparison.layers.len(), estimate.layers.len());
        for layer in &comparison.layers {
            assert_eq!((layer.difference.cycles, layer.difference.part), (0, None));
            assert_eq!(layer.before, layer.after);
        }
    }

    proptest! {
        #[test]
        fn differences_of_the_layers_sum_to_that_of_the_whole(
            before in proptest::collection::vec(("[abc]", 1..200_u64, 1..80_u64, 1..80_u64), 1..6),
            after in proptest::collection::vec(("[abc]", 1..200_u64, 1..80_u64, 1..80_u64), 1..6),
        ) {
            let text = |rows: &[(String, u64, u64, u64)]| -> String {
                rows.iter().map(|(name, m, n, k)| format!("{name}, {m}, {n}, {k},\n")).collect()
            };
            let (before, after) = (list(&text(&before)), list(&text(&after)));
            let comparison = compare(&before, &after);
            let sum: i64 = comparison.layers.iter().map(|layer| layer.difference.cycles).sum();
            prop_assert_eq!(sum, comparison.total.cycles);
            let with = |name: fn(&LayerDifference) -> bool| comparison.layers.iter().filter(|layer| name(layer)).count();
            prop_assert_eq!(with(|layer| layer.before.is_some()), before.layers.len());
            prop_assert_eq!(with(|layer| layer.after.is_some()), after.layers.len());
            let alone = |name: fn(&LayerDifference) -> (&Option<String>, &Option<String>)| -> Vec<String> {
                let alone = comparison.layers.iter().map(name).filter(|(_, partner)| partner.is_none());
                alone.filter_map(|(name, _)| name.clone()).collect()
            };
            let (gone, new) = (alone(|layer| (&layer.before, &layer.after)), alone(|layer| (&layer.after, &layer.before)));
            prop_assert!(gone.is_empty() || new.is_empty(), "{gone:?} and {new:?} are all products");
        }
    }
}
