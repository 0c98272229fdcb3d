use proptest::prelude::*;

use super::ties::{Group, Ties};
use super::*;
use crate::accel::{Accelerator, Dataflow, Depthwise, Timing};
use crate::estimate::{network, rows};
use crate::import::scale_sim;
use crate::network::{Activation, Conv2d, Linear, NodeId, Op, Shape};

fn parse(nodes: &str) -> Network {
    Network::parse(&format!("version: 1\nname: n\ninput: [3, 16, 16]\nnodes:\n{nodes}"), "n.yaml").unwrap()
}

fn accelerator(text: &str) -> Accelerator {
    Accelerator::parse(&format!("name: a\nclock-mhz: 1000\n{text}"), "a.yaml").unwrap()
}

fn square(side: u64, timing: &str) -> Accelerator {
    let array = format!("array: {{ rows: {side}, cols: {side} }}\n");
    accelerator(&format!("{array}dataflow: weight-stationary\ntiming: {timing}\n"))
}

/// The groups of a network: channels, and the names of the layers that put them out.
fn groups(network: &Network) -> Vec<(u64, Vec<&str>)> {
    let names: Vec<&str> = network.nodes().map(|(_, node)| node.name.as_str()).collect();
    let told = |group: &Group| (group.channels, group.producers.iter().map(|&node| names[node]).collect());
    Ties::of(network).groups().iter().map(told).collect()
}

fn channels(network: &Network, name: &str) -> u64 {
    network.nodes().find(|(_, node)| node.name == name).unwrap().1.shape.channels()
}

/// The group that `name` is in, with `channels` channels.
fn resize(network: &Network, name: &str, channels: u64) -> Network {
    let place = network.nodes().position(|(_, node)| node.name == name).unwrap();
    let ties = Ties::of(network);
    let group = ties.groups().iter().find(|group| group.producers.contains(&place)).unwrap();
    ties.resized(network, &[(group, channels)]).unwrap()
}

/// 144 filters, read by a 3 x 3 convolution.
const WORKED: &str = "  - { name: first, op: { conv2d: { out-channels: 144, kernel: 3 } } }
  - { name: second, op: { conv2d: { out-channels: 128, kernel: 3 } } }
  - { name: classifier, op: { conv2d: { out-channels: 10, kernel: 1 } } }
";

#[test]
fn filters_from_144_to_256_on_128_columns_cost_64_percent_in_a_3_by_3_consumer() {
    let (worked, accelerator) = (parse(WORKED), square(128, "ideal"));
    let target = Target::of(&accelerator);
    let advice = network_with_advice(&worked, &target).unwrap().total.advice;
    let wider = advice.iter().find(|advice| advice.kind == AdviceKind::Wider && advice.widths[0].after == 256).unwrap();
    assert_eq!(wider.change, "first: 144 -> 256 channels");
    // 256 pixels stream through each tile. First: k = 27 in one row tile, 144 and 256 filters in two column tiles: 512.
    // Second: k = 9 * 144 = 1,296 in 11 row tiles, 9 * 256 = 2,304 in 18, one column tile.
    let change = |layer: &str, before: u64, after: u64| LayerChange {
        layer: layer.to_owned(),
        before: Cycles(256 * before),
        after: Cycles(256 * after),
    };
    assert_eq!(wider.layers, [change("first", 2, 2), change("second", 11, 18)]);
    assert_eq!((18 - 11) * 100 / 11, 63, "64 % rounded");
    // The last: one tile.
    assert_eq!((wider.before.cycles, wider.after.cycles), (Cycles(256 * 14), Cycles(256 * 21)));
    assert_eq!(wider.saved, 1.0 - 21.0 / 14.0);
    // 27 * 112 filters and 9 * 112 * 128 inputs more
    assert_eq!(wider.after.params - wider.before.params, 27 * 112 + 9 * 112 * 128);

    let of = |kind| -> Vec<(u64, u64)> {
        let of_first = advice.iter().filter(|advice| advice.kind == kind && advice.widths[0].layer == "first");
        of_first.map(|advice| (advice.widths[0].after, advice.after.cycles.0 / 256)).collect()
    };
    // Below: floor(1,280 / 9) = 142 fills ten row tiles, 128 fills the columns (and takes 9 row tiles).
    assert_eq!(of(AdviceKind::Width), [(128, 1 + 9 + 1), (142, 2 + 10 + 1)]);
    // Above: floor(1,408 / 9) = 156 fills the eleven row tiles that 144 takes.
    assert_eq!(of(AdviceKind::Slack), [(156, 14)]);
}

#[test]
fn what_is_joined_is_tied_and_what_reads_it_changes_with_it() {
    let residual = parse(
        "  - { name: stem, op: { conv2d: { out-channels: 16, kernel: 3 } } }
  - { name: bn, op: batch-norm }
  - { name: expand, op: { conv2d: { out-channels: 96, kernel: 1 } } }
  - { name: dw, op: { conv2d: { out-channels: 96, kernel: 3, groups: 96 } } }
  - { name: mean, op: global-average-pool }
  - { name: squeeze, op: { conv2d: { out-channels: 8, kernel: 1 } } }
  - { name: excite, op: { conv2d: { out-channels: 96, kernel: 1 } } }
  - { name: gate, op: sigmoid }
  - { name: scaled, op: multiply, inputs: [dw, gate] }
  - { name: project, op: { conv2d: { out-channels: 16, kernel: 1 } } }
  - { name: sum, op: add, inputs: [project, bn] }
  - { name: both, op: concat, inputs: [sum, scaled] }
  - { name: flat, op: flatten }
  - { name: fc, op: { linear: { out-features: 10 } } }
",
    );
    let expected = [(16, vec!["stem", "project"]), (96, vec!["expand", "excite"]), (8, vec!["squeeze"])];
    assert_eq!(groups(&residual), expected);
    let wide = resize(&residual, "excite", 100);
    assert_eq!(
        ["expand", "dw", "excite", "scaled", "both"].map(|name| channels(&wide, name)),
        [100, 100, 100, 100, 116]
    );
    let fc = wide.nodes().last().unwrap().1;
    assert_eq!(
        fc.op,
        Op::Linear(Linear { in_features: 116 * 256, out_features: 10, bias: crate::network::Bias::With })
    );
    assert_eq!(resize(&residual, "excite", 96), residual);
}

#[test]
fn widths_that_are_divided_otherwise_stay_as_they_are() {
    let network = parse(
        "  - { name: a, op: { conv2d: { out-channels: 8, kernel: 1 } } }
  - { name: b, op: { conv2d: { out-channels: 8, kernel: 1 } }, inputs: [input] }
  - { name: c, op: concat, inputs: [a, b] }
  - { name: d, op: { conv2d: { out-channels: 16, kernel: 1 } }, inputs: [input] }
  - { name: sum, op: add, inputs: [c, d] }
  - { name: map, op: { conv2d: { out-channels: 1, kernel: 1 } } }
  - { name: product, op: multiply, inputs: [sum, map] }
  - { name: last, op: { conv2d: { out-channels: 4, kernel: 1 } } }
",
    );
    // a and b against d; one channel that is broadcast; the image and the output
    assert_eq!(groups(&network), []);
}

#[test]
fn widths_of_grouped_convolutions_stay_multiples_of_the_groups() {
    let network = parse(
        "  - { name: a, op: { conv2d: { out-channels: 40, kernel: 1 } } }
  - { name: grouped, op: { conv2d: { out-channels: 40, kernel: 3, groups: 4 } } }
  - { name: multiplied, op: { conv2d: { out-channels: 80, kernel: 3, groups: 40 } } }
  - { name: last, op: { conv2d: { out-channels: 3, kernel: 1 } } }
",
    );
    assert_eq!(groups(&network), [(40, vec!["a"]), (40, vec!["grouped"])]);
    assert_eq!(channels(&resize(&network, "grouped", 44), "multiplied"), 88);
    let accelerator = square(32, "ideal");
    let advice = network_with_advice(&network, &Target::of(&accelerator)).unwrap().total.advice;
    let widths: Vec<&Resized> = advice.iter().flat_map(|advice| &advice.widths).collect();
    assert!(!widths.is_empty() && widths.iter().all(|width| width.after % 4 == 0), "{widths:?}");
}

#[test]
fn each_layer_may_have_its_own_dataflow() {
    let accelerator = square(32, "ideal");
    // WS: two row tiles and 64 column tiles of one row each: 128. IS: 2 * 1 tiles of 2,048. OS: 1 * 64 tiles of k = 64.
    let list = "Layer, M, N, K,\nthin, 1, 2048, 64,\nlong, 4096, 32, 32,\n";
    let list = scale_sim::read_topology(list, "t.csv").unwrap();
    let accelerator = Accelerator { dataflow: Dataflow::InputStationary, ..accelerator };
    let estimate = rows_with_advice("t", &list, &Target::of(&accelerator)).unwrap();
    // long: IS 1 * 128 tiles of 32: 4,096; WS one tile of 4,096, OS 128 tiles of 32: all the same.
    assert_eq!(estimate.total.cycles, Cycles(4096 + 4096));
    let of_layer = |place: usize| -> Vec<(&str, u64)> {
        let advice = &estimate.layers[place].advice;
        advice.iter().map(|advice| (advice.change.as_str(), advice.after.cycles.0)).collect()
    };
    assert_eq!(of_layer(0), [("thin: weight-stationary", 128 + 4096)]);
    assert_eq!(of_layer(1), []);
    let dataflows = estimate
        .total
        .advice
        .iter()
        .filter(|advice| matches!(advice.kind, AdviceKind::Dataflow | AdviceKind::LayerDataflow));
    let dataflows: Vec<(&str, u64)> = dataflows.map(|advice| (advice.change.as_str(), advice.after.cycles.0)).collect();
    let expected = [("dataflow weight-stationary", 4224), ("a dataflow for each layer: another for 1 of them", 4224)];
    assert_eq!(dataflows, expected);
}

#[test]
fn rows_say_that_their_consumers_are_unknown() {
    let accelerator = square(128, "ideal");
    let list = scale_sim::read_topology("Layer, M, N, K,\na, 100, 129, 64,\n", "t.csv").unwrap();
    let advice = rows_with_advice("t", &list, &Target::of(&accelerator)).unwrap().total.advice;
    let widths: Vec<_> = advice.iter().filter(|advice| !advice.widths.is_empty()).collect();
    let told = |advice: &&Advice| (advice.change.clone(), advice.after.cycles.0, advice.consumers);
    // 129 filters take two tiles of 100 pixels; 128 take one, 256 no more than two.
    let expected = [
        ("a: 129 -> 128 channels, consumers unknown".to_owned(), 100, Consumers::Unknown),
        ("a: 129 -> 256 channels, consumers unknown".to_owned(), 200, Consumers::Unknown),
    ];
    assert_eq!(widths.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!([widths[0].kind, widths[1].kind], [AdviceKind::Width, AdviceKind::Slack]);
}

#[test]
fn arrays_of_equal_pes_and_larger_batches_are_proposed() {
    let accelerator = square(32, "pipelined");
    let list = scale_sim::read_topology("Layer, M, N, K,\na, 1, 64, 16,\n", "t.csv").unwrap();
    let advice = rows_with_advice("t", &list, &Target::of(&accelerator)).unwrap().total.advice;
    let of = |kind| -> Vec<&Advice> { advice.iter().filter(|advice| advice.kind == kind).collect() };
    // One row through two tiles of 16 x 32: 16 + max(1, 16) + 1 + 31 + 31 = 95.
    // 16 x 64: one tile, 16 + 1 + 15 + 63 = 95, no better.
    assert_eq!(of(AdviceKind::Array), Vec::<&Advice>::new());
    let batches = of(AdviceKind::Batch);
    // Batch 2: 16 + 16 + 2 + 62 = 96 for two; at 256: 16 + 256 + 256 + 62 = 590, 2.3 each.
    let last = batches.first().unwrap();
    assert_eq!((last.settings[0].after.as_str(), last.after.cycles), ("64", Cycles(16 + 64 + 64 + 62)));
    assert!(batches.iter().any(|advice| (advice.after.batch, advice.after.cycles) == (2, Cycles(96))));
}

#[test]
fn of_a_calibrated_accelerator_only_widths_are_proposed() {
    let text = "array: { rows: 128, cols: 128 }
dataflow: weight-stationary
timing: ideal
";
    let calibration = "calibration:
  law: { network: { terms: { constant-ns: 900, tile-row-ns: 1000 } } }
  measured: { rows: 30, from-ms: 1, to-ms: 2, form: a, folds: 5, seed: 0, mape-percent: 2, spearman: 1, kendall: 1 }
";
    let worked = parse(WORKED);
    let advice = |text: &str| {
        let accelerator = accelerator(text);
        network_with_advice(&worked, &Target { batch: 2, ..Target::of(&accelerator) }).unwrap().total.advice
    };
    let (plain, calibrated) = (advice(text), advice(&format!("{text}{calibration}")));
    let widths: Vec<&Advice> = plain.iter().filter(|advice| !advice.widths.is_empty()).collect();
    assert!(!widths.is_empty() && widths.len() < plain.len());
    assert_eq!(calibrated.len(), widths.len());
    for (one, other) in calibrated.iter().zip(widths) {
        assert_eq!((&one.change, one.after.cycles, one.saved), (&other.change, other.after.cycles, other.saved));
        // 900 ns, and what is counted of each image: not the cycles over the clock
        assert!(one.after.latency_ms > 2.0 * 0.0009 && one.after.latency_ms != other.after.latency_ms);
    }
}

#[test]
fn nothing_is_said_of_a_network_that_takes_no_cycles() {
    let network = parse("  - { name: a, op: relu }\n");
    let accelerator = square(8, "ideal");
    let estimate = network_with_advice(&network, &Target::of(&accelerator)).unwrap();
    assert_eq!(estimate.total.advice, []);
}

/// A layer of a random network.
#[derive(Debug, Clone)]
enum Step {
    Conv { channels: u64, kernel: u64, groups: u64 },
    Depthwise { multiplier: u64 },
    Residual { kernel: u64 },
    Concat { channels: u64 },
    Gate { squeeze: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kernel = prop_oneof![Just(1_u64), Just(3)];
    let step = prop_oneof![
        (1..40_u64, kernel.clone(), 1..4_u64).prop_map(|(channels, kernel, groups)| Step::Conv {
            channels,
            kernel,
            groups
        }),
        (1..3_u64).prop_map(|multiplier| Step::Depthwise { multiplier }),
        kernel.prop_map(|kernel| Step::Residual { kernel }),
        (1..20_u64).prop_map(|channels| Step::Concat { channels }),
        (1..9_u64).prop_map(|squeeze| Step::Gate { squeeze }),
    ];
    proptest::collection::vec(step, 1..7)
}

struct Builder {
    network: Network,
    last: NodeId,
}

impl Builder {
    fn put(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        let name = format!("n{}", self.network.len());
        self.last = self.network.wire(&name, op, inputs).unwrap();
        self.last
    }

    fn conv(&mut self, channels: u64, kernel: u64, groups: u64) -> NodeId {
        let given = self.network.node(self.last).shape.channels();
        let conv = Conv2d::same(given, channels, kernel).grouped(groups);
        let conv = self.put(Op::Conv2d(conv), &[self.last]);
        let norm = self.put(Op::BatchNorm { channels: self.network.node(conv).shape.channels() }, &[conv]);
        self.put(Op::Activation(Activation::Relu), &[norm])
    }

    fn step(&mut self, step: &Step) {
        let before = self.last;
        let given = self.network.node(before).shape.channels();
        match *step {
            Step::Conv { channels, kernel, groups } => {
                let groups = if given.is_multiple_of(groups) { groups } else { 1 };
                self.conv(channels * groups, kernel, groups);
            }
            Step::Depthwise { multiplier } => {
                self.conv(given * multiplier, 3, given);
            }
            Step::Residual { kernel } => {
                let other = self.conv(given, kernel, 1);
                self.put(Op::Add, &[before, other]);
            }
            Step::Concat { channels } => {
                let other = self.conv(channels, 1, 1);
                self.put(Op::Concat { axis: 0 }, &[other, before]);
            }
            Step::Gate { squeeze } => {
                self.put(Op::GlobalAveragePool, &[before]);
                self.conv(squeeze, 1, 1);
                let gate = self.conv(given, 1, 1);
                self.put(Op::Multiply, &[gate, before]);
            }
        }
    }
}

fn random_network(steps: &[Step]) -> Network {
    let network = Network::new("random", Shape::new(&[3, 6, 5]).unwrap());
    let mut builder = Builder { last: network.input(), network };
    builder.conv(12, 3, 1);
    steps.iter().for_each(|step| builder.step(step));
    builder.put(Op::GlobalAveragePool, &[builder.last]);
    let flat = builder.put(Op::Flatten, &[builder.last]);
    let in_features = builder.network.node(flat).shape.channels();
    let linear = Linear { in_features, out_features: 10, bias: crate::network::Bias::With };
    builder.put(Op::Linear(linear), &[flat]);
    builder.network
}

/// The file of `network` with other output channels of the layers that `widths` names: another way to a changed network,
/// which infers all other channels when it is read.
fn rewritten(network: &Network, widths: &[Resized]) -> Network {
    let lines: Vec<String> = network.to_yaml().lines().map(ToOwned::to_owned).collect();
    let mut text = String::new();
    let mut current: Option<(String, u64)> = None;
    for line in lines {
        let trimmed = line.trim().trim_start_matches("- ");
        if let Some(name) = trimmed.strip_prefix("name: ") {
            let depthwise = |node: &crate::network::Node| match &node.op {
                Op::Conv2d(conv) if conv.is_depthwise() => conv.groups,
                _ => 0,
            };
            let groups = network.nodes().find(|(_, node)| node.name == name).map_or(0, |(_, node)| depthwise(node));
            current = Some((name.to_owned(), groups));
        }
        let resized = current.as_ref().and_then(|(name, _)| widths.iter().find(|width| width.layer == *name));
        let groups = current.as_ref().map_or(0, |(_, groups)| *groups);
        match (trimmed.split_once(": "), resized) {
            (Some((key @ ("out-channels" | "out-features"), _)), Some(width)) => {
                let (indent, _) = line.split_once(key).unwrap();
                text.push_str(&format!("{indent}{key}: {}\n", width.after));
            }
            (Some(("groups", _)), Some(width)) if groups > 0 => {
                let (indent, _) = line.split_once("groups").unwrap();
                text.push_str(&format!("{indent}groups: {}\n", groups * width.after / width.before));
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    Network::parse(&text, "rewritten.yaml").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What `advice` says of the whole, from a network and an accelerator that are changed by hand.
fn again(model: &Network, target: &Target<'_>, advice: &Advice) -> Figures {
    let network_then = if advice.widths.is_empty() { model.clone() } else { rewritten(model, &advice.widths) };
    let mut accelerator = target.accelerator.clone();
    let mut batch = target.batch;
    for Setting { key, after, .. } in &advice.settings {
        match key.as_str() {
            "array.rows" => accelerator.array.rows = after.parse().unwrap(),
            "array.cols" => accelerator.array.cols = after.parse().unwrap(),
            "array.count" => accelerator.array.count = after.parse().unwrap(),
            "dataflow" => accelerator.dataflow = serde_json::from_value(after.as_str().into()).unwrap(),
            "depthwise" => accelerator.depthwise = serde_json::from_value(after.as_str().into()).unwrap(),
            "memory.weights" => accelerator.memory.weights = crate::accel::WeightHome::Resident,
            "memory.overlap" => accelerator.memory.overlap = crate::accel::Overlap::Hidden,
            "batch" => batch = after.parse().unwrap(),
            _ => panic!("{key}"),
        }
    }
    Figures::of(&network(&network_then, &Target { accelerator: &accelerator, batch, ..*target }).unwrap())
}

fn accelerators() -> impl Strategy<Value = Accelerator> {
    let dataflow = prop_oneof![
        Just(Dataflow::WeightStationary),
        Just(Dataflow::InputStationary),
        Just(Dataflow::OutputStationary)
    ];
    let depthwise = prop_oneof![Just(Depthwise::PerChannel), Just(Depthwise::Diagonal), Just(Depthwise::Vector)];
    let timing = prop_oneof![Just(Timing::Ideal), Just(Timing::Pipelined), Just(Timing::ScaleSim)];
    let array = (1..20_u64, 1..20_u64, 1..5_u64);
    (dataflow, depthwise, timing, array, 1..9_u64, proptest::bool::ANY).prop_map(
        |(dataflow, depthwise, timing, (rows, cols, count), kib, overlap)| {
            let text = format!(
                "array: {{ rows: {rows}, cols: {cols}, count: {count} }}
dataflow: weight-stationary
vector: {{ lanes: 4 }}
memory: {{ bandwidth-gb-per-s: 2, weight-capacity-kib: 64, activation-capacity-kib: {kib}, overlap: {overlap} }}
"
            );
            Accelerator { dataflow, depthwise, timing, ..accelerator(&text) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_proposed_costs_what_the_changed_network_costs(
        steps in steps(), accelerator in accelerators(), batch in 1..3_u64,
    ) {
        let model = random_network(&steps);
        let target = Target { batch, ..Target::of(&accelerator) };
        let plain = network(&model, &target).unwrap();
        let advised = network_with_advice(&model, &target).unwrap();
        for advice in &advised.total.advice {
            prop_assert_eq!(advice.before, Figures::of(&plain));
            if advice.kind != AdviceKind::LayerDataflow {
                prop_assert_eq!(advice.after, again(&model, &target, advice), "{:?}", advice);
            }
            let change = |layers: fn(&LayerChange) -> Cycles| advice.layers.iter().map(layers).sum::<Cycles>().0 as i64;
            if !advice.layers.is_empty() {
                let difference = advice.after.cycles.0 as i64 - advice.before.cycles.0 as i64;
                prop_assert_eq!(change(|layer| layer.after) - change(|layer| layer.before), difference);
            }
            let saves = advice.after.cycles_per_image() < advice.before.cycles_per_image();
            prop_assert!(saves || matches!(advice.kind, AdviceKind::Slack | AdviceKind::Wider), "{:?}", advice);
        }
        let mut cleared = advised.clone();
        cleared.total.advice.clear();
        cleared.layers.iter_mut().for_each(|layer| layer.advice.clear());
        prop_assert_eq!(cleared, plain);
    }

    #[test]
    fn tied_widths_make_valid_networks_at_every_multiple_of_their_step(
        steps in steps(), factors in proptest::collection::vec(1..5_u64, 12),
    ) {
        let model = random_network(&steps);
        let ties = Ties::of(&model);
        let input = model.node(model.input()).shape.clone();
        let output = model.node(model.output()).shape.clone();
        let changes: Vec<(&Group, u64)> =
            ties.groups().iter().zip(factors).map(|(group, factor)| (group, group.step * factor)).collect();
        let divided = |group: &Group| group.channels.is_multiple_of(group.step);
        if ties.groups().iter().all(divided) {
            let resized = ties.resized(&model, &changes).unwrap();
            prop_assert_eq!(&resized.node(resized.input()).shape, &input);
            prop_assert_eq!(&resized.node(resized.output()).shape, &output);
            prop_assert_eq!(resized.len(), model.len());
            for (group, channels) in changes {
                for &producer in &group.producers {
                    prop_assert_eq!(resized.nodes().nth(producer).unwrap().1.shape.channels(), channels);
                }
            }
        }
        prop_assert_eq!(ties.resized(&model, &[]).unwrap(), model);
    }

    #[test]
    fn a_dataflow_for_each_layer_costs_what_the_layers_cost_where_nothing_stays_on_chip(
        list in proptest::collection::vec((1..90_u64, 1..90_u64, 1..90_u64), 1..6), accelerator in accelerators(),
    ) {
        let text: String = list.iter().map(|(m, n, k)| format!("a, {m}, {n}, {k},\n")).collect();
        let list = scale_sim::read_topology(&format!("Layer, M, N, K,\n{text}"), "t.csv").unwrap();
        let estimate = rows_with_advice("t", &list, &Target::of(&accelerator)).unwrap();
        let all = [Dataflow::WeightStationary, Dataflow::InputStationary, Dataflow::OutputStationary];
        let each: Vec<Estimate> = all
            .into_iter()
            .map(|dataflow| {
                let accelerator = Accelerator { dataflow, ..accelerator.clone() };
                rows("t", &list, &Target::of(&accelerator)).unwrap()
            })
            .collect();
        let least = |place: usize| each.iter().map(|estimate| estimate.layers[place].cycles).min().unwrap();
        let best: Cycles = (0..list.len()).map(least).sum();
        let told = estimate.total.advice.iter().find(|advice| advice.kind == AdviceKind::LayerDataflow);
        prop_assert_eq!(told.map_or(estimate.total.cycles, |advice| advice.after.cycles), best);
        for (place, layer) in estimate.layers.iter().enumerate() {
            let saved = layer.advice.first().map_or(0, |advice| advice.before.cycles.0 - advice.after.cycles.0);
            prop_assert_eq!(layer.cycles.0 - saved, least(place).0);
        }
    }
}
