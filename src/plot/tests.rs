//! Made-up records through every picture. `SYSTOLE_PLOTS=DIR` keeps what is drawn, to be looked at.

use std::collections::{BTreeMap, BTreeSet};

use resvg::usvg;

use super::*;
use crate::accel::{Accelerator, Timing};
use crate::estimate::{Bound, Breakdown, Estimate, Target};
use crate::network::{Conv2d, Network, NodeId, Op, Shape as NetworkShape};
use crate::pareto::{Front, Point, Reference, fronts};
use crate::record::{
    AllocatedWidth, AllocationDecision, AllocationEpoch, AllocationKind, Ended, HistoryRecord, SearchEpoch,
    SearchStage, TrainEpoch, WidthChoice, WindowOption,
};
use crate::units::Cycles;

/// Checks what every picture has, keeps it where that is asked for, and returns it.
fn drawn(name: &str, svg: String) -> String {
    if let Some(folder) = std::env::var_os("SYSTOLE_PLOTS") {
        for extension in ["svg", "png"] {
            write(&Path::new(&folder).join(format!("{name}.{extension}")), &svg).unwrap();
        }
    }
    assert!(svg.contains("font-family=\"DejaVu Sans, "), "{name}");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    svg
}

/// Every text of an SVG with its left upper and right lower corner, pixels.
fn texts(svg: &str) -> Vec<(String, [f64; 4])> {
    fn collect(group: &usvg::Group, found: &mut Vec<(String, [f64; 4])>) {
        for node in group.children() {
            match node {
                usvg::Node::Group(group) => collect(group, found),
                usvg::Node::Text(text) => {
                    let place = text.abs_bounding_box();
                    let corners = [place.left(), place.top(), place.right(), place.bottom()].map(f64::from);
                    found.push((text.chunks().iter().map(usvg::TextChunk::text).collect(), corners));
                }
                usvg::Node::Path(_) | usvg::Node::Image(_) => {}
            }
        }
    }
    let mut options = usvg::Options::default();
    options.fontdb_mut().load_font_data(canvas::FONT.to_vec());
    let mut found = Vec::new();
    collect(usvg::Tree::from_str(svg, &options).unwrap().root(), &mut found);
    found
}

/// That no text of an SVG covers another or leaves the sheet of `width` pixels.
fn no_text_covers_another(svg: &str, width: f64) {
    let texts = texts(svg);
    assert!(texts.len() > 5);
    for (place, (text, a)) in texts.iter().enumerate() {
        assert!(a[0] >= 0.0 && a[2] <= width, "`{text}` leaves the sheet: {a:?}");
        for (other, b) in &texts[..place] {
            let covers = a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
            assert!(!covers, "`{text}` {a:?} covers `{other}` {b:?}");
        }
    }
}

/// Numbers from 0 to 1 that look random: the finisher of splitmix64.
fn noise(seed: u32) -> f64 {
    let mut bits = u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// A point whose utilization is made up from its name.
fn point(name: &str, accelerator: &str, objectives: [f64; 2]) -> Point {
    Point {
        utilization: Some(
            0.35 + 0.6 * noise(u32::try_from(name.len()).unwrap() * 7 + name.bytes().map(u32::from).sum::<u32>()),
        ),
        ..Point::new(name, accelerator, objectives)
    }
}

fn cloud(accelerator: &str, count: u32, slowness: f64) -> Vec<Point> {
    let one = |i: u32| {
        let x = noise(i + 1);
        let latency = slowness * 0.03 * 60f64.powf(x);
        let error = 0.04 + 0.15 * (1.0 - x).powi(2) + 0.08 * noise(i + 1000);
        point(&format!("uboost-c{i}"), accelerator, [error, latency])
    };
    (0..count).map(one).collect()
}

#[test]
fn fronts_of_two_accelerators() {
    let mut points = cloud("tpu-v1", 14, 1.0);
    points.extend(cloud("small-32x32", 10, 4.0));
    let svg = drawn("front-two", front_svg(&fronts(points, None).unwrap()));
    for text in ["latency (ms)", "accuracy (%)", "utilization (%)", "tpu-v1", "small-32x32", "hypervolume"] {
        assert!(svg.contains(text), "{text}");
    }
}

/// Runs of three methods under four seeds each.
fn runs_of_methods(methods: &[&str]) -> Vec<Point> {
    let one = |(number, seed): (u32, u32)| {
        let method = methods[number as usize];
        let at = [1.0, 1.3, 2.0][number as usize % 3];
        let objectives =
            [0.1 / at + 0.02 * noise(seed + 9 * number), 0.05 * at * (1.0 + 0.2 * noise(77 * seed + number))];
        Point {
            method: Some(method.to_owned()),
            seed: Some(u64::from(seed)),
            ..point(&format!("job-{number}-s{seed}"), "small-32x32", objectives)
        }
    };
    (0..u32::try_from(methods.len()).unwrap())
        .flat_map(|number| (0..4).map(move |seed| (number, seed)))
        .map(one)
        .collect()
}

#[test]
fn methods_on_one_accelerator_are_series_with_the_spread_of_their_seeds() {
    let svg = drawn("front-methods", front_svg(&fronts(runs_of_methods(&["darts", "gdas", "a<b"]), None).unwrap()));
    for text in ["darts", "gdas", "a&lt;b", "crosses: mean and standard deviation"] {
        assert!(svg.contains(text), "{text}");
    }
    let svg = drawn("front-seeds", front_svg(&fronts(runs_of_methods(&["darts", "darts"]), None).unwrap()));
    assert!(svg.contains("seed 3") && !svg.contains("darts"));
    let many =
        ["darts"; 9].map(str::to_owned).iter().enumerate().map(|(i, name)| format!("{name} {i}")).collect::<Vec<_>>();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    no_text_covers_another(
        &drawn("front-many-methods", front_svg(&fronts(runs_of_methods(&many), None).unwrap())),
        900.0,
    );
}

#[test]
fn a_front_of_a_large_table_names_only_its_front() {
    let svg = drawn("front-table", front_svg(&fronts(cloud("edge-tpu", 1500, 0.2), None).unwrap()));
    assert!(svg.matches("uboost-c").count() < 60);
}

/// Twenty points whose energy and utilization go against each other; one has neither.
fn measured_cloud() -> Vec<Point> {
    let mut points = cloud("edge-tpu", 20, 1.0);
    for (point, number) in points.iter_mut().zip(0u32..) {
        let x = noise(number + 3);
        point.energy_uj = Some(3.0 + 40.0 * x * x);
        point.utilization = Some(0.2 + 0.5 * x + 0.1 * noise(number + 500));
        point.weight_kib = Some(20.0 + 300.0 * noise(number + 90));
    }
    (points[4].energy_uj, points[4].utilization, points[4].weight_kib) = (None, None, None);
    points
}

#[test]
fn fronts_of_other_objectives_have_their_own_axes() {
    let drawn_over = |name: &str, objectives: &str| {
        let front = Front::over("edge-tpu", measured_cloud(), &objectives.parse().unwrap(), None).unwrap();
        assert_eq!(front.unknown(), 1);
        drawn(name, front_svg(&[front]))
    };
    let svg = drawn_over("front-energy", "error,energy-uj");
    assert!(svg.contains("Accuracy and energy") && svg.contains("energy (uJ)") && svg.contains("(error, energy-uj)"));
    let svg = drawn_over("front-utilization", "energy-uj,utilization");
    assert!(svg.contains("Energy and utilization") && svg.contains("energy (uJ)"));
    let svg = drawn_over("front-three", "error,energy-uj,weight-kib");
    assert!(svg.contains("(error, energy-uj, weight-kib)") && svg.contains("KiB"));
}

#[test]
fn the_hypervolume_grows_with_the_time_of_the_runs() {
    assert_eq!(hypervolume_svg(&fronts(cloud("tpu-v1", 5, 1.0), None).unwrap()), None, "no point has a time");
    let mut points = runs_of_methods(&["darts", "gdas", "random"]);
    for (point, number) in points.iter_mut().zip(0u32..) {
        point.seconds = Some(40.0 + 200.0 * noise(number + 7));
    }
    let svg = drawn("hypervolume", hypervolume_svg(&fronts(points.clone(), None).unwrap()).unwrap());
    for text in ["search and training (minutes)", "share of the hypervolume (%)", "darts", "gdas", "4 runs"] {
        assert!(svg.contains(text), "{text}");
    }
    // All runs of the one series have the whole hypervolume.
    points.iter_mut().for_each(|point| point.method = None);
    let svg = hypervolume_svg(&fronts(points, None).unwrap()).unwrap();
    assert!(svg.contains("12 runs, 100.0 % of the hypervolume of all"));
}

#[test]
fn a_fan_is_drawn_beside_what_was_read() {
    let curve = |scale: f64| (1..40).map(|i| [f64::from(i), scale * (1.0 - 0.9f64.powi(i))]).collect::<Vec<_>>();
    let svg = drawn("fan", fan_svg(&curve(0.9), &curve(1.0)));
    assert!(svg.contains("different rows read") && svg.contains("everything read, 98.36 % at the end"));
    drawn("fan-none", fan_svg(&[], &[]));
}

#[test]
fn one_point_and_equal_points_are_drawn() {
    let one = vec![point("demo", "tpu-v1", [0.08, 0.012])];
    let reference = Some(Reference { error: 0.5, latency_ms: 1.0 });
    drawn("front-one", front_svg(&fronts(one, reference).unwrap()));
    let equal = ["a", "b", "c"].map(|name| Point::new(name, "tpu-v1", [0.08, 0.5]));
    let svg = drawn("front-equal", front_svg(&[Front::new("tpu-v1", equal.to_vec(), None).unwrap()]));
    assert!(!svg.contains("utilization"), "without utilizations there is no bar");
    assert!(svg.contains("a, b, c"), "points in one place are named together");
    let five = ["a", "b", "c", "d", "e"].map(|name| Point::new(name, "tpu-v1", [0.08, 0.5]));
    let svg = drawn("front-five-equal", front_svg(&[Front::new("tpu-v1", five.to_vec(), None).unwrap()]));
    assert!(svg.contains("a, b, c and 2 more"));
    drawn("front-none", front_svg(&[]));
    drawn("front-zero", front_svg(&[Front::new("x", vec![Point::new("perfect", "x", [0.0, 0.0])], None).unwrap()]));
}

fn search(stage: SearchStage, epoch: u32) -> HistoryRecord {
    let run = f64::from(epoch) + if stage == SearchStage::Widths { 20.0 } else { 0.0 };
    let width = |i: u32| {
        let target = 128.0 * f64::from(1 + i % 4) - if i.is_multiple_of(3) { 20.0 } else { 0.0 };
        let start = 60.0 + 45.0 * f64::from(i);
        let expected = target + (start - target) * (-f64::from(epoch) / 6.0).exp() + 4.0 * noise(epoch * 31 + i);
        (
            format!("stage{}/block{}/conv{}", i / 4, i / 2 % 2, i % 2),
            WidthChoice { expected, most_likely: 128 * u64::from(1 + i % 4) },
        )
    };
    let widths = (0..9).map(width).collect::<BTreeMap<_, _>>();
    HistoryRecord::Epoch(SearchEpoch {
        stage,
        epoch,
        of: 20,
        temperature: 5.0 - 0.1 * run,
        train_loss: 0.4 + 2.0 * (-run / 9.0).exp() + 0.1 * noise(epoch),
        train_accuracy: 0.9 - 0.7 * (-run / 9.0).exp(),
        validation_loss: if epoch == 7 { f64::NAN } else { 0.6 + 1.8 * (-run / 9.0).exp() + 0.1 * noise(epoch + 77) },
        validation_accuracy: 0.85 - 0.7 * (-run / 9.0).exp(),
        latency_ms: 0.05 + 0.2 * (-run / 12.0).exp(),
        utilization: 0.9 - 0.6 * (-run / 12.0).exp(),
        objective: 1.0,
        seconds: 2.0,
        entropy: Some(0.98 * (-f64::from(epoch) / 8.0).exp()),
        skips: None,
        mixed_accuracy: None,
        operators: BTreeMap::new(),
        widths: if stage == SearchStage::Widths { widths } else { BTreeMap::new() },
        targets: Vec::new(),
        allocation: None,
    })
}

fn train(epoch: u32, of: u32) -> HistoryRecord {
    HistoryRecord::Train(TrainEpoch {
        epoch,
        of,
        learning_rate: 0.1,
        loss: 0.1 + 1.5 * (-f64::from(epoch) / 20.0).exp(),
        accuracy: 0.98 - 0.5 * (-f64::from(epoch) / 20.0).exp(),
        validation_accuracy: epoch.is_multiple_of(2).then_some(0.93 - 0.5 * (-f64::from(epoch) / 20.0).exp()),
        seconds: 3.0,
    })
}

fn history() -> Vec<HistoryRecord> {
    let operators = (1..=20).map(|epoch| search(SearchStage::Operators, epoch));
    let widths = (1..=15).map(|epoch| search(SearchStage::Widths, epoch));
    let end = HistoryRecord::End(Ended { stop_reason: "epoch-limit".to_owned() });
    operators.chain(widths).chain((1..=100).map(|epoch| train(epoch, 100))).chain([end]).collect()
}

#[test]
fn a_history_of_all_stages() {
    let svg = drawn("history", history_svg(&history()));
    for text in [
        "search: operators",
        "search: widths",
        "training",
        "loss (nats)",
        "exp. latency (ms)",
        "choice entropy (%)",
        "epoch",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    drawn("history-train", history_svg(&[train(1, 1)]));
    drawn("history-none", history_svg(&[]));
}

/// The widths of the made-up history, all in use.
fn widths(records: &[HistoryRecord], columns: u64) -> String {
    widths_svg(records, columns, &BTreeSet::new()).unwrap()
}

/// An epoch of a width stage in which `decisions` were taken, and at whose end `window` is held.
fn allocating(epoch: u32, bytes: u64, window: &[(u64, f64)], decisions: Vec<AllocationDecision>) -> HistoryRecord {
    let HistoryRecord::Epoch(mut record) = search(SearchStage::Widths, epoch) else { unreachable!() };
    let option = |&(channels, probability): &(u64, f64)| WindowOption { channels, probability, age: 9 };
    let width = |shift: u64| AllocatedWidth {
        window: window.iter().map(|&(channels, p)| option(&(channels + shift, p))).collect(),
        slope: 0.1,
        measured: None,
    };
    record.allocation = Some(AllocationEpoch {
        steps: 100,
        allocated_bytes: bytes,
        widths: BTreeMap::from([("cell0/t1".to_owned(), width(0)), ("cell1/<t2>".to_owned(), width(7))]),
        decisions,
    });
    HistoryRecord::Epoch(record)
}

fn decision(step: u32, kind: AllocationKind, channels: u64, window: &[u64]) -> AllocationDecision {
    AllocationDecision {
        step,
        kind,
        width: Some("cell0/t1".to_owned()),
        channels: Some(channels),
        slope: Some(0.1),
        break_even: None,
        probability: None,
        window: window.to_vec(),
        ages: vec![1; window.len()],
        allocated_bytes: u64::from(step) * 40_000,
    }
}

#[test]
fn an_allocation_shows_what_was_held_its_top_and_what_it_takes() {
    use AllocationKind::{Drop, Grow, Shrink};
    let history = [
        search(SearchStage::Operators, 1),
        allocating(1, 3_000_000, &[(24, 0.3), (32, 0.5), (64, 0.2)], vec![decision(50, Grow, 64, &[24, 32, 64])]),
        allocating(
            2,
            2_000_000,
            &[(32, 1.0)],
            vec![decision(20, Drop, 24, &[32, 64]), decision(80, Shrink, 64, &[32])],
        ),
    ];
    let svg = drawn("allocation", allocation_svg(&history, 32).unwrap());
    for text in ["Allocated widths", "cell0/t1: 32", "cell1/&lt;t2&gt;: 39", "tile edges, 32 columns", "MiB"] {
        assert!(svg.contains(text), "{text}");
    }
    // One that decided nothing, and none at all.
    drawn(
        "allocation-still",
        allocation_svg(
            &history[..1].iter().cloned().chain([allocating(1, 9, &[(8, 1.0)], vec![])]).collect::<Vec<_>>(),
            128,
        )
        .unwrap(),
    );
    assert_eq!(allocation_svg(&[search(SearchStage::Widths, 1), train(1, 1)], 32), None);
}

/// A history of the choice among `candidates` at `places`; the first epoch measured nothing of the first place.
fn choosing(places: u32, epochs: u32) -> Vec<HistoryRecord> {
    let probability = |place: u32, epoch: u32, candidate: u32| {
        let logit = |c: u32| f64::from(epoch) * noise(31 * place + c);
        logit(candidate).exp() / (0..8).map(|c| logit(c).exp()).sum::<f64>()
    };
    let epoch = |epoch: u32| {
        let HistoryRecord::Epoch(mut record) = search(SearchStage::Operators, epoch) else { unreachable!() };
        let place = |place: u32| {
            let of = |c: u32| if place + epoch == 1 { f64::NAN } else { probability(place, epoch, c) };
            (format!("cell{}/edge{}", place % 2, place / 2), (0..8).map(|c| (format!("conv{c}<"), of(c))).collect())
        };
        record.operators = (0..places).map(place).collect();
        HistoryRecord::Epoch(record)
    };
    (1..=epochs).map(epoch).collect()
}

#[test]
fn choices_of_operators_are_told_at_every_place_and_epoch() {
    let svg = drawn("operators", operators_svg(&choosing(14, 50)).unwrap());
    for text in ["Choice of operators", "cell0/edge0", "cell1/edge6", "conv7&lt;", "probability (%)", "epoch"] {
        assert!(svg.contains(text), "{text}");
    }
    // 14 places of 8 candidates, each with its last probability
    assert_eq!(texts(&svg).iter().filter(|(text, _)| text.ends_with(" %")).count(), 14 * 8);
    no_text_covers_another(&svg, 1000.0);
    let one = drawn("operators-one", operators_svg(&choosing(1, 1)).unwrap());
    assert!(!one.contains("cell1"));
    assert_eq!(operators_svg(&[search(SearchStage::Widths, 1), train(1, 1)]), None);
}

#[test]
fn a_long_choice_of_operators_is_a_picture_of_bounded_size() {
    let svg = drawn("operators-long", operators_svg(&choosing(22, 900)).unwrap());
    assert!(svg.len() < 22 * 8 * 165 * 110, "{}", svg.len());
    assert!(texts(&svg).iter().any(|(text, _)| text == "800"), "the axis counts all epochs");
}

/// A chain of `cells` cells, each of a sum of two branches of `deep` convolutions behind the two cells before it.
fn cells(cells: u32, deep: u32) -> Network {
    let mut network = Network::new("cells <of> two branches", NetworkShape::new(&[3, 32, 32]).unwrap());
    let stem = network.wire("stem/conv", Op::Conv2d(Conv2d::same(3, 16, 3)), &[network.input()]).unwrap();
    let mut last = [stem, stem];
    for cell in 0..cells {
        let mut branch = |name: &str, mut at: NodeId| {
            for layer in 0..deep {
                let name = format!("cell{cell}/{name}{layer}");
                let id = network.wire(&format!("{name}/conv"), Op::Conv2d(Conv2d::same(16, 16, 3)), &[at]).unwrap();
                at = network.wire(&format!("{name}/bn"), Op::BatchNorm { channels: 16 }, &[id]).unwrap();
            }
            at
        };
        let ends = [branch("before", last[0]), branch("last", last[1])];
        let sum = network.wire(&format!("cell{cell}/sum"), Op::Add, &ends).unwrap();
        last = [last[1], sum];
    }
    network
}

fn estimated(network: &Network) -> Estimate {
    let accelerator = Accelerator::named_or_path("small-32x32").unwrap();
    let target = Target { accelerator: &accelerator, timing: Timing::Pipelined, batch: 1 };
    crate::estimate::network(network, &target).unwrap()
}

#[test]
fn a_network_is_drawn_with_a_box_for_each_layer() {
    let network = cells(4, 2);
    let svg = drawn("network-cells", network_svg(&network, &estimated(&network)).unwrap());
    for text in ["cells &lt;of&gt; two", "cell3/before1/conv", "conv 3×3", "batch-norm", "16×32×32", "small-32x32"] {
        assert!(svg.contains(text), "{text}");
    }
    // input, stem, and for each of four cells two branches of two layers and a sum
    assert_eq!(texts(&svg).iter().filter(|(text, _)| text.ends_with("×32×32")).count(), 2 + 4 * 5);
    no_text_covers_another(&svg, 1e4);
    let chain = cells(1, 20);
    drawn("network-chain", network_svg(&chain, &estimated(&chain)).unwrap());
    assert_eq!(svg, network_svg(&network, &estimated(&network)).unwrap());
}

#[test]
fn the_least_network_is_drawn_and_a_very_large_one_is_not() {
    let least = Network::new("nothing", NetworkShape::new(&[3, 8, 8]).unwrap());
    assert!(drawn("network-least", network_svg(&least, &estimated(&least)).unwrap()).contains("input"));
    let large = cells(101, 2);
    assert_eq!(network_svg(&large, &estimated(&large)), None);
}

#[test]
fn widths_and_tile_edges() {
    let svg = drawn("widths", widths(&history(), 128));
    assert!(svg.contains("multiples of 128 columns") && svg.contains("width (channels)"));
    assert!(svg.contains("search: widths") && !svg.contains("search: operators"));
    drawn("widths-small", widths(&history(), 16));
    drawn("widths-large", widths(&history(), 512));
}

#[test]
fn without_a_search_of_widths_there_is_no_picture_of_them() {
    assert_eq!(widths_svg(&[], 32, &BTreeSet::new()), None);
    assert_eq!(widths_svg(&[search(SearchStage::Operators, 1), train(1, 1)], 32, &BTreeSet::new()), None);
}

#[test]
fn widths_that_the_network_does_not_use_are_left_out_and_counted() {
    let unused = BTreeSet::from(["stage0/block0/conv0".to_owned(), "stage1/block1/conv1".to_owned()]);
    let svg = drawn("widths-unused", widths_svg(&history(), 128, &unused).unwrap());
    assert!(svg.contains("; 2 unused widths are left out"));
    assert!(unused.iter().all(|name| !svg.contains(name.as_str())) && svg.contains("stage0/block0/conv1"));
    no_text_covers_another(&svg, 900.0);
    let all = (0..9).map(|i| format!("stage{}/block{}/conv{}", i / 4, i / 2 % 2, i % 2)).collect();
    let svg = drawn("widths-all-unused", widths_svg(&history(), 128, &all).unwrap());
    assert!(svg.contains("the network found has none of the widths searched"));
}

#[test]
fn a_line_stands_between_two_stages_of_widths() {
    let mut records = history();
    for record in &mut records {
        let HistoryRecord::Epoch(epoch) = record else { continue };
        epoch.widths = BTreeMap::from([("cell0".to_owned(), WidthChoice { expected: 30.0, most_likely: 32 })]);
    }
    let svg = drawn("widths-two-stages", widths(&records, 32));
    assert!(svg.contains("search: operators") && svg.contains("search: widths"));
    no_text_covers_another(&svg, 900.0);
}

#[test]
fn numbers_of_any_length_keep_clear_of_the_name_beside_them() {
    for scale in [1e-9, 1.0, 1e3, 1e5, 1e12] {
        let mut records = history();
        for record in &mut records {
            match record {
                HistoryRecord::Epoch(epoch) => {
                    epoch.train_loss *= scale;
                    epoch.validation_loss *= scale;
                    epoch.latency_ms *= scale;
                }
                HistoryRecord::Train(epoch) => epoch.loss *= scale,
                HistoryRecord::Candidate(_) | HistoryRecord::Rollback(_) | HistoryRecord::End(_) => {}
            }
        }
        let svg = drawn(&format!("history-times-{scale:e}"), history_svg(&records));
        no_text_covers_another(&svg, 1000.0);
    }
}

fn breakdown(i: u32) -> Breakdown {
    let size = f64::from(i.wrapping_mul(2_654_435_761) >> 12) * f64::from(1 + i % 3);
    let part = |seed: u32, share: f64| {
        let cycles = size * share * noise(i * 8 + seed);
        Cycles(if cycles < 0.02 * size { 0 } else { format!("{cycles:.0}").parse().unwrap() })
    };
    Breakdown {
        useful: part(1, 1.0),
        imbalance: part(2, 0.2),
        columns: part(3, 0.4),
        rows: part(4, 0.3),
        load: part(5, 0.1),
        fill_and_drain: part(6, 0.2),
        stall: part(7, 0.5),
        vector: part(8, 0.1),
    }
}

fn layers(count: u32) -> Vec<Bar> {
    let name = |i: u32| format!("stage{}/block{}/conv{}", i / 20, i / 4 % 5, i % 4);
    (0..count).map(|i| Bar { name: name(i), breakdown: breakdown(i) }).collect()
}

fn whole(bars: &[Bar]) -> Breakdown {
    bars.iter().fold(Breakdown::default(), |sum, bar| sum.checked_add(bar.breakdown).unwrap())
}

const CAPTION: &str = "resnet on tpu-v1, timing pipelined, batch 1";

#[test]
fn cycles_of_few_layers_are_rows_with_names_and_numbers() {
    for count in [0, 1, 5, 25, 40] {
        let bars = layers(count);
        let svg = drawn(&format!("bars-{count}"), cycles_svg(&bars, &whole(&bars), CAPTION));
        assert!(bars.iter().all(|bar| svg.contains(&bar.name)));
        if count > 0 {
            no_text_covers_another(&svg, 980.0);
            assert!(bars.iter().all(|bar| svg.contains(&axis::grouped(bar.breakdown.total().0))));
        }
    }
}

#[test]
fn cycles_of_many_layers_are_columns_and_the_largest_are_named() {
    for count in [41, 200, 1000] {
        let bars = layers(count);
        let svg = drawn(&format!("bars-{count}"), cycles_svg(&bars, &whole(&bars), CAPTION));
        no_text_covers_another(&svg, 980.0);
        let largest = bars.iter().max_by_key(|bar| bar.breakdown.total()).unwrap();
        assert!(svg.contains(&largest.name) && svg.contains("largest layers"));
        let named = bars.iter().filter(|bar| svg.contains(&format!("\n{}\n", bar.name))).count();
        assert!((2..=10).contains(&named), "{named}");
    }
}

#[test]
fn every_part_of_the_cycles_has_its_length_and_its_share() {
    let breakdown = Breakdown { useful: Cycles(600), columns: Cycles(300), stall: Cycles(100), ..Breakdown::default() };
    let bars = [Bar { name: "conv".to_owned(), breakdown }];
    let svg = drawn("bars-parts", cycles_svg(&bars, &breakdown, CAPTION));
    for text in
        ["useful: every PE at work (60.0 %)", "columns: empty columns (30.0 %)", "stall: waits for memory (10.0 %)"]
    {
        assert!(svg.contains(text), "{text}");
    }
    assert!(!svg.contains("imbalance"), "a part that is not there is not in the legend");
    let width = |colour: &str| {
        let bar = svg.lines().filter(|line| line.contains(colour)).filter_map(rectangle_width).fold(0.0, f64::max);
        assert!(bar > 0.0, "{colour}");
        bar
    };
    let [useful, columns, stall] = ["#0072B2", "#E69F00", "#D55E00"].map(width);
    assert!(
        (useful / columns - 2.0).abs() < 0.01 && (columns / stall - 3.0).abs() < 0.02,
        "{useful} {columns} {stall}"
    );
}

/// Width of the rectangle that a line of SVG draws.
fn rectangle_width(line: &str) -> Option<f64> {
    let (_, rest) = line.strip_prefix("<rect ")?.split_once(" width=\"")?;
    rest.split_once('"')?.0.parse().ok()
}

#[test]
fn a_picture_of_some_layers_says_how_much_they_are() {
    let bars = layers(8);
    let svg = cycles_svg(&bars[..4], &whole(&bars), CAPTION);
    assert!(svg.contains("% of all cycles"));
    assert!(!cycles_svg(&bars, &whole(&bars), CAPTION).contains("% of all cycles"));
}

/// A roof of 1 TMACs/s and 100 GB/s: they meet at 10 MACs a byte.
fn roof(bandwidth: Option<f64>) -> Roof {
    Roof { peak: 1e12, bandwidth, notes: Vec::new() }
}

/// Layers below the roof of 1 TMACs/s and 100 GB/s, every seventh without traffic, every ninth without MACs.
fn roof_points(count: u32) -> Vec<RoofPoint> {
    let one = |i: u32| {
        let macs = 1_000_000 + 100_000 * u64::from(i % 12);
        let intensity = 10f64.powf(4.0 * noise(i % 40) - 1.0);
        let bytes = if i.is_multiple_of(7) { 0 } else { format!("{:.0}", macs as f64 / intensity).parse().unwrap() };
        let rate = (1e11 * intensity).min(1e12) * (0.1 + 0.9 * noise(i % 40 + 90));
        let seconds = macs as f64 / rate;
        RoofPoint {
            name: format!("stage{}/block{}/conv{}", i / 20, i / 4 % 5, i % 4),
            macs: if i.is_multiple_of(9) { 0 } else { macs },
            bytes,
            cycles: format!("{:.0}", seconds * 1e9).parse().unwrap(),
            seconds,
            bound: [Bound::Array, Bound::Memory, Bound::Vector][i as usize % 3],
        }
    };
    (0..count).map(one).collect()
}

fn whole_point(points: &[RoofPoint]) -> RoofPoint {
    RoofPoint {
        name: "network".to_owned(),
        macs: points.iter().map(|point| point.macs).sum(),
        bytes: points.iter().map(|point| point.bytes).sum(),
        cycles: points.iter().map(|point| point.cycles).sum(),
        seconds: points.iter().map(|point| point.seconds).sum(),
        bound: Bound::None,
    }
}

#[test]
fn rooflines_of_no_few_and_many_layers() {
    for count in [0, 1, 2, 12, 200] {
        let points = roof_points(count);
        for bandwidth in [Some(1e11), None] {
            let name = format!("roofline-{count}{}", if bandwidth.is_some() { "" } else { "-peak" });
            let svg = drawn(&name, roofline_svg(&points, &whole_point(&points), &roof(bandwidth), CAPTION));
            no_text_covers_another(&svg, 980.0);
            assert!(svg.contains("peak 1 TMACs/s") && svg.contains("operational intensity"));
            assert_eq!(svg.contains("memory 100 GB/s; they meet at 10 MACs/byte"), bandwidth.is_some());
            assert_eq!(svg.contains("bound by memory"), count >= 2);
        }
    }
}

#[test]
fn the_roof_bends_where_bandwidth_meets_the_peak_and_layers_stand_at_their_values() {
    let point = |name: &str, macs: u64, bytes: u64, seconds: f64| RoofPoint {
        name: name.to_owned(),
        macs,
        bytes,
        cycles: 100,
        seconds,
        bound: Bound::Memory,
    };
    // 1 MAC a byte at 100 GB/s is 100 GMACs/s: on the roof. 100 MACs a byte at 1 TMACs/s: on the peak.
    let points = [point("slope", 1_000, 1_000, 1e-8), point("flat", 100_000, 1_000, 1e-7)];
    let svg = drawn(
        "roofline-bend",
        roofline_svg(&points, &point("network", 101_000, 2_000, 1.1e-7), &roof(Some(1e11)), CAPTION),
    );
    let line: Vec<[f64; 2]> = svg.lines().filter_map(polyline).max_by_key(Vec::len).unwrap();
    assert!(line.len() > 3, "shapes have more corners than the roof");
    let roof: Vec<[f64; 2]> = svg.lines().filter_map(polyline).find(|line| line.len() == 3).unwrap();
    let rise = |a: [f64; 2], b: [f64; 2]| (a[1] - b[1]) / (b[0] - a[0]);
    assert!(rise(roof[0], roof[1]) > 0.1 && rise(roof[1], roof[2]).abs() < 1e-9, "{roof:?}");
    let squares: Vec<[f64; 2]> = svg.lines().filter_map(polygon_centre).take(2).collect();
    let slope_at = roof[0][1] - rise(roof[0], roof[1]) * (squares[0][0] - roof[0][0]);
    assert!((squares[0][1] - slope_at).abs() < 8.0, "on the slope, to a pixel: {squares:?} {roof:?}");
    assert!((squares[1][1] - roof[1][1]).abs() < 8.0, "on the peak: {squares:?} {roof:?}");
}

#[test]
fn numbers_of_layers_without_traffic_stand_off_the_roof() {
    let point = |bytes: u64, seconds: f64| RoofPoint {
        name: "layer".to_owned(),
        macs: 100_000,
        bytes,
        cycles: 100,
        seconds,
        bound: Bound::Array,
    };
    // 1e5 MACs in 1e-7 s are the peak of 1e12 a second.
    let points = [point(0, 1e-7), point(100_000, 1e-6)];
    let svg = drawn("roofline-strip", roofline_svg(&points, &whole_point(&points), &roof(Some(1e11)), CAPTION));
    let pixels = |line: Vec<[f64; 2]>| line.iter().map(|at| at.map(|fine| fine / canvas::FINE)).collect();
    let lines: Vec<Vec<[f64; 2]>> = svg.lines().filter_map(polyline).map(pixels).collect();
    let [_, [_, peak], _] = lines.iter().find(|line| line.len() == 3).unwrap()[..] else { panic!("{lines:?}") };
    let at_peak = |line: &&Vec<[f64; 2]>| line.len() == 2 && line.iter().all(|at| (at[1] - peak).abs() < 1.5);
    let strip = lines.iter().filter(at_peak).max_by(|a, b| a[1][0].total_cmp(&b[1][0])).unwrap();
    let texts = texts(&svg);
    let inside: Vec<_> = texts.iter().filter(|(_, at)| at[0] > strip[0][0] && at[2] < strip[1][0]).collect();
    assert!(inside.iter().any(|(text, _)| text == "1"), "{texts:?} {strip:?}");
    for (text, [_, top, _, bottom]) in inside {
        assert!(*top >= peak || *bottom <= peak, "`{text}` lies on the roof at {peak}: {top} to {bottom}");
    }
}

fn corners(line: &str, element: &str) -> Option<Vec<[f64; 2]>> {
    let (_, rest) = line.strip_prefix(element)?.split_once("points=\"")?;
    let pairs = rest.split_once('"')?.0.split_whitespace().map(|pair| pair.split_once(','));
    pairs.map(|pair| Some([pair?.0.parse().ok()?, pair?.1.parse().ok()?])).collect()
}

fn polyline(line: &str) -> Option<Vec<[f64; 2]>> {
    corners(line, "<polyline ")
}

fn polygon_centre(line: &str) -> Option<[f64; 2]> {
    let corners = corners(line, "<polygon ")?;
    Some([0, 1].map(|i| corners.iter().map(|corner| corner[i]).sum::<f64>() / corners.len() as f64))
}

#[test]
fn a_roof_says_what_it_rests_on() {
    let roof = |memory: &str, timing| {
        let text =
            format!("name: a\narray: {{ rows: 10, cols: 20 }}\ndataflow: weight-stationary\nclock-mhz: 500\n{memory}");
        Roof::of(&Accelerator::parse(&text, "a.yaml").unwrap(), timing)
    };
    let none = roof("", Timing::Pipelined);
    // 200 PEs at 500 MHz
    assert_eq!((none.peak, none.bandwidth), (1e11, None));
    assert_eq!(none.notes, ["the accelerator names no bandwidth: the roof is the peak of the array alone"]);
    let shared = roof("memory: { bandwidth-gb-per-s: 2 }", Timing::Pipelined);
    assert_eq!((shared.bandwidth, shared.notes.len()), (Some(2e9), 0));
    let ideal = roof("memory: { bandwidth-gb-per-s: 2 }", Timing::Ideal);
    assert!(ideal.notes[0].contains("under timing ideal this traffic takes no time"));
    let ports = "memory: { weight-bandwidth-gb-per-s: 1, input-bandwidth-gb-per-s: 2, output-bandwidth-gb-per-s: 4 }";
    assert_eq!(roof(ports, Timing::Pipelined).bandwidth, Some(7e9));
}

#[test]
fn equal_records_give_equal_bytes() {
    assert_eq!(history_svg(&history()), history_svg(&history()));
    let fronts = fronts(cloud("tpu-v1", 20, 1.0), None).unwrap();
    let svg = front_svg(&fronts);
    assert_eq!(svg, front_svg(&fronts));
    assert_eq!(png::render(&svg).unwrap(), png::render(&svg).unwrap());
}

#[test]
fn names_with_marks_of_xml_are_escaped() {
    let svg = front_svg(&fronts(vec![point("a<b>&\"c\"", "x & y", [0.1, 1.0])], None).unwrap());
    png::render(&svg).unwrap();
    assert!(svg.contains("a&lt;b&gt;&amp;"));
}

#[test]
fn a_picture_is_written_as_its_extension_says() {
    let folder = tempfile::tempdir().unwrap();
    let svg = widths(&history(), 128);
    let (vector, pixels) = (folder.path().join("widths.svg"), folder.path().join("widths.PNG"));
    write(&vector, &svg).unwrap();
    write(&pixels, &svg).unwrap();
    assert_eq!(std::fs::read_to_string(vector).unwrap(), svg);
    assert!(std::fs::read(pixels).unwrap().starts_with(b"\x89PNG"));
    assert!(matches!(write(Path::new("x.png"), "no picture"), Err(PlotError::Png { .. })));
}

#[test]
fn text_in_pixels_needs_no_font_of_the_system() {
    let with = png::render(&widths(&history(), 128)).unwrap();
    let without = png::render(&widths(&history(), 128).replace("multiples of 128 columns", "")).unwrap();
    assert_ne!(with, without, "text leaves a trace");
}

#[test]
fn another_extension_is_refused_with_the_two_that_work() {
    for path in ["front.pdf", "front"] {
        let message = write(Path::new(path), "<svg/>").unwrap_err().to_string();
        assert_eq!(message, format!("`{path}`: a plot is written as .svg or .png, by the file's extension"));
    }
    assert!(check_path(Path::new("FRONT.PNG")).is_ok());
}
