use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::accel::{Bandwidth, Dataflow, Dram, Timing, VectorUnit, WeightHome};
use crate::estimate;
use crate::load;
use crate::network::Shape;
use crate::space::Architecture;
use crate::space::file::{Setting, SpaceFile};
use crate::units::Bytes;

mod project;

/// Two cells of three edges on a map of side 8; `SHARING` and `OPERATORS` are put in, widths are 6, 10 and 14.
const CELLS: &str = "stem:
  - conv: { kernel: 3, width: 5 }
body:
  cells:
    inputs: [a]
    nodes:
      - { name: t1, from: [a] }
      - { name: t2, from: [t1, a] }
    candidates: OPERATORS
    choices: SHARING
    width: { min: 6, max: 14, step: 4 }
    stack:
      - cells: { count: COUNT }
classifier: flatten
";

const CHAIN: &str = "stem:
  - conv: { kernel: 3, width: 16, stride: 2 }
body:
  chain:
    candidates:
      - identity
      - inverted-bottleneck: { kernel: [3, 5], expansion: [1, 3], squeeze-excitation: [0, 0.25] }
    stages:
      - { layers: 3, width: { min: 8, max: 40, step: 8 } }
      - { layers: 2, stride: 2, width: { min: 12, max: 60, step: 24 }, width-per: layer }
head:
  - conv: { kernel: 1, width: { min: 30, max: 70, step: 20 } }
classifier: global-pool
";

/// Two cells that put out the concatenation of their nodes, which the second reads, behind a pool, as it is.
const CONCATENATION: &str = "stem:
  - conv: { kernel: 3, width: 5 }
body:
  cells:
    inputs: [a]
    nodes:
      - { name: t1, from: [a] }
      - { name: t2, from: [t1, a] }
    output: [t2, t1]
    candidates: OPERATORS
    choices: SHARING
    width: { min: 6, max: 14, step: 4 }
    stack:
      - cells: { count: 1 }
      - average-pool: { kernel: 2 }
      - cells: { count: 1 }
classifier: flatten
";

/// With a convolution before the nodes, and all that keeps its input's memory among the candidates.
fn preprocessed_concatenation() -> Space {
    let text = CONCATENATION.replace("    nodes:", "    preprocess: { kernel: 1 }\n    nodes:");
    space(&text.replace("OPERATORS", MANY).replace("SHARING", "own"))
}

fn concatenation(operators: &str, sharing: &str) -> Space {
    space(&CONCATENATION.replace("OPERATORS", operators).replace("SHARING", sharing))
}

fn space(text: &str) -> Space {
    let file: SpaceFile = load::parse(text, "space.yaml").unwrap();
    let input = Shape::new(&[3, 8, 8]).unwrap();
    file.into_space(&Setting { name: "small", origin: "space.yaml", input, classes: 10 }).unwrap()
}

fn cells(operators: &str, sharing: &str, count: usize) -> Space {
    let text = CELLS.replace("OPERATORS", operators).replace("SHARING", sharing);
    space(&text.replace("COUNT", &count.to_string()))
}

/// An array of 4 x 4, so that small widths take several tiles.
fn accelerator() -> Accelerator {
    let mut accelerator = Accelerator::named_or_path("small-32x32").unwrap();
    accelerator.array.rows = 4;
    accelerator.array.cols = 4;
    accelerator
}

fn model(space: &Space, kind: CostKind) -> CostModel {
    let accelerator = accelerator();
    CostModel::new(space, &Target { batch: 2, ..Target::of(&accelerator) }, kind).unwrap()
}

/// Distributions with every option between a few hundredths and nearly one.
fn interior(space: &Space, seed: u64) -> Probabilities {
    let mut stream = ChaCha8Rng::seed_from_u64(seed);
    let mut logits = Probabilities::zeros(space);
    for logit in logits.choices_mut().flatten() {
        *logit = 3.0 * (f64::from(stream.next_u32()) / f64::from(u32::MAX) - 0.5);
    }
    logits.softmax()
}

fn random_architecture(space: &Space, stream: &mut ChaCha8Rng) -> Architecture {
    let mut below = |options: usize| usize::try_from(stream.next_u64() % options as u64).unwrap();
    Architecture {
        operators: space.operators.iter().map(|choice| below(choice.candidates.len())).collect(),
        widths: space.widths.iter().map(|choice| below(choice.options.len())).collect(),
    }
}

/// Holds `gradient` against central differences of `value`, each probability for itself.
fn check_gradient(at: &Probabilities, gradient: &Probabilities, value: impl Fn(&Probabilities) -> f64) {
    check_gradient_by(1e-4, at, gradient, value);
}

/// As [`check_gradient`], at another distance.
fn check_gradient_by(step: f64, at: &Probabilities, gradient: &Probabilities, value: impl Fn(&Probabilities) -> f64) {
    let scale = gradient.choices().flatten().fold(0.0f64, |most, slope| most.max(slope.abs()));
    for choice in 0..at.choices().count() {
        for option in 0..at.choices().nth(choice).unwrap().len() {
            let moved = |by: f64| {
                let mut moved = at.clone();
                moved.choices_mut().nth(choice).unwrap()[option] += by;
                value(&moved)
            };
            let difference = (moved(step) - moved(-step)) / (2.0 * step);
            let given = gradient.choices().nth(choice).unwrap()[option];
            let close = (given - difference).abs() <= 1e-6 * scale + 1e-6 * difference.abs();
            assert!(close, "choice {choice}, option {option}: {given} is not {difference}");
        }
    }
}

fn check_gradients(space: &Space) {
    let model = model(space, CostKind::Expected);
    for seed in 0..3 {
        let at = interior(space, seed);
        let cost = model.expect(&at);
        check_gradient(&at, &cost.cycles_gradient, |p| model.expect(p).cycles);
        check_gradient(&at, &cost.macs_gradient, |p| model.expect(p).macs);
    }
}

/// Every architecture of `space`, counted up like an odometer.
fn all_architectures(space: &Space) -> Vec<Architecture> {
    let operators = space.operators.iter().map(|choice| choice.candidates.len());
    let lengths: Vec<usize> = operators.chain(space.widths.iter().map(|choice| choice.options.len())).collect();
    let count: usize = lengths.iter().product();
    let one = |mut number: usize| {
        let mut digits = Vec::with_capacity(lengths.len());
        for length in &lengths {
            digits.push(number % length);
            number /= length;
        }
        let widths = digits.split_off(space.operators.len());
        Architecture { operators: digits, widths }
    };
    (0..count).map(one).collect()
}

fn probability(at: &Probabilities, architecture: &Architecture) -> f64 {
    let chosen = architecture.operators.iter().chain(&architecture.widths);
    at.choices().zip(chosen).map(|(choice, &chosen)| choice[chosen]).product()
}

/// Cycles and MACs by deriving and estimating; nothing where the output is cut off.
fn estimated(space: &Space, architecture: &Architecture, accelerator: &Accelerator) -> Option<[u64; 2]> {
    let target = Target { batch: 2, ..Target::of(accelerator) };
    let total = estimate::network(&space.derive(architecture).ok()?, &target).unwrap().total;
    Some([total.cycles.0, total.macs.0])
}

fn check_enumeration(space: &Space, architectures: usize, accelerator: &Accelerator) {
    let target = Target { batch: 2, ..Target::of(accelerator) };
    let model = CostModel::new(space, &target, CostKind::Expected).unwrap();
    assert!(model.is_exact());
    let at = interior(space, 7);
    let all = all_architectures(space);
    assert_eq!(all.len(), architectures);
    let (mut sums, mut reached) = ([0.0; 2], 0.0);
    for architecture in &all {
        let Some(values) = estimated(space, architecture, accelerator) else { continue };
        let probability = probability(&at, architecture);
        reached += probability;
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += probability * value as f64;
        }
    }
    assert!(reached < 0.99, "some architectures must be cut off: {reached}");
    let cost = model.expect(&at);
    for (given, sum) in [cost.cycles, cost.macs].into_iter().zip(sums) {
        let expected = sum / reached;
        assert!((given - expected).abs() <= 1e-9 * expected, "{given} is not {expected}");
    }
}

#[test]
fn the_expectation_over_shared_cells_is_that_of_all_architectures() {
    // 3 shared edges of 4 candidates, 4 joins of 3 widths: 4^3 * 3^4 = 5,184.
    check_enumeration(&cells("[conv: { kernel: [1, 3] }, identity, zero]", "shared", 2), 5_184, &accelerator());
}

#[test]
fn the_expectation_over_cells_of_their_own_is_that_of_all_architectures() {
    // 6 edges of 2 candidates, 4 joins of 3 widths: 2^6 * 3^4 = 5,184.
    check_enumeration(&cells("[separable: { kernel: 3 }, zero]", "own", 2), 5_184, &accelerator());
}

#[test]
fn the_expectation_over_concatenations_is_that_of_all_architectures() {
    // 3 shared edges of 4 candidates, 4 joins of 3 widths: 4^3 * 3^4 = 5,184.
    let operators = "[conv: { kernel: [1, 3] }, separable: { kernel: 3 }, zero]";
    check_enumeration(&concatenation(operators, "shared"), 5_184, &accelerator());
    // 6 edges of 2 candidates, 4 joins of 3 widths: 2^6 * 3^4 = 5,184.
    let block = "[inverted-bottleneck: { kernel: 3, expansion: 2, squeeze-excitation: 0.5 }, zero]";
    check_enumeration(&concatenation(block, "own"), 5_184, &accelerator());
}

#[test]
fn a_concatenation_that_shares_its_choice_with_what_reads_it_is_priced_as_if_it_did_not() {
    let mut space = concatenation("[conv: { kernel: 3 }]", "shared");
    let exact = |space: &Space| model(space, CostKind::Expected).is_exact();
    assert!(exact(&space));
    let join = |name: &str| space.joins.iter().position(|join| join.name == name).unwrap();
    let (part, reader, other) = (join("cell0/t1"), join("cell1/t1"), join("cell1/t2"));
    space.joins[reader].width = space.joins[part].width;
    let parts = [other, reader].iter().flat_map(|&join| space.parts(space.joins[join].width)).collect();
    space.sums[1] = WidthSum::new(parts, &space.widths);
    assert!(!exact(&space));
    // At one choice it is the estimator's number nevertheless.
    let mut stream = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..20 {
        let architecture = random_architecture(&space, &mut stream);
        let [cycles, macs] = estimated(&space, &architecture, &accelerator()).unwrap();
        let cost = model(&space, CostKind::Expected).expect(&Probabilities::one_hot(&space, &architecture));
        assert_eq!([cost.cycles, cost.macs], [cycles as f64, macs as f64]);
    }
}

#[test]
fn gradients_of_concatenations_agree_with_central_differences() {
    check_gradients(&concatenation("[conv: { kernel: 3 }, separable: { kernel: 3 }, zero]", "shared"));
    check_gradients(&concatenation("[conv: { kernel: 3 }, zero]", "own"));
}

#[test]
fn the_expectation_holds_the_sums_that_a_vector_unit_does() {
    let accelerator = Accelerator { vector: Some(SLOW_VECTOR), ..slow() };
    let operators = "[conv: { kernel: [1, 3] }, separable: { kernel: 3 }, zero]";
    check_enumeration(&concatenation(operators, "shared"), 5_184, &accelerator);
    check_enumeration(&cells("[conv: { kernel: [1, 3] }, identity, zero]", "shared", 2), 5_184, &accelerator);
    check_enumeration(&cells("[separable: { kernel: 3 }, zero]", "own", 2), 5_184, &accelerator);
}

#[test]
fn cutting_the_only_way_to_the_output_is_not_rewarded() {
    // One edge, one way: given that the output can be reached the edge is its convolution, however likely the cut is.
    let text = CELLS.replace("      - { name: t2, from: [t1, a] }\n", "");
    let text = text.replace("OPERATORS", "[conv: { kernel: 3 }, zero]").replace("SHARING", "own");
    for (cells, exact) in [(2, true), (13, false)] {
        let space = space(&text.replace("COUNT", &cells.to_string()));
        let model = model(&space, CostKind::Expected);
        assert_eq!(model.is_exact(), exact);
        let whole = Probabilities::one_hot(&space, &space.first());
        let expected = model.expect(&whole).cycles;
        for zero in [0.1, 0.5, 0.999] {
            let mut at = whole.clone();
            for choice in at.operators.iter_mut().filter(|choice| choice.len() == 2) {
                *choice = vec![1.0 - zero, zero];
            }
            let given = model.expect(&at).cycles;
            assert!(
                (given - expected).abs() <= 1e-9 * expected,
                "{cells} cells, zero {zero}: {given} is not {expected}"
            );
        }
    }
}

#[test]
fn an_output_that_is_cut_off_for_certain_costs_the_classifier() {
    let space = cells("[conv: { kernel: 3 }, zero]", "own", 2);
    let mut architecture = space.first();
    for (chosen, choice) in architecture.operators.iter_mut().zip(&space.operators) {
        *chosen = choice.candidates.len() - 1;
    }
    let cost = model(&space, CostKind::Expected).expect(&Probabilities::one_hot(&space, &architecture));
    assert!(cost.cycles > 0.0 && cost.cycles_gradient.is_finite());
}

/// An array of 8 x 8 behind a slow DRAM.
fn slow() -> Accelerator {
    Accelerator::parse(
        "name: a\narray: { rows: 8, cols: 8 }\ndataflow: weight-stationary\nclock-mhz: 1000\n\
         memory: { bandwidth-gb-per-s: 1, accumulator-rows: 7 }\n",
        "a.yaml",
    )
    .unwrap()
}

const SLOW_VECTOR: VectorUnit = VectorUnit { lanes: 1, ops_per_cycle: 1, exponential_factor: 1 };

/// Whether the model calls itself exact, and in how many of all architectures cycles differ at one-hot choices.
fn differing(space: &Space, accelerator: &Accelerator) -> (bool, usize) {
    let target = Target::of(accelerator);
    let model = CostModel::new(space, &target, CostKind::Expected).unwrap();
    let differs = all_architectures(space).into_iter().filter(|architecture| {
        let Ok(network) = space.derive(architecture) else { return false };
        let cycles = target.network_cost(&network).unwrap().cycles.0 as f64;
        model.expect(&Probabilities::one_hot(space, architecture)).cycles != cycles
    });
    (model.is_exact(), differs.count())
}

#[test]
fn sums_of_joins_and_what_stands_around_a_layer_are_in_the_cycles_of_every_architecture() {
    let space = cells("[conv: { kernel: [1, 3] }, zero]", "shared", 1);
    let mut accelerator = slow();
    assert_eq!(differing(&space, &accelerator), (true, 0));
    accelerator.vector = Some(SLOW_VECTOR);
    assert_eq!(differing(&space, &accelerator), (true, 0));
    accelerator.memory.activation_capacity = Some(Bytes(2000));
    assert_eq!(differing(&space, &accelerator), (false, 0));
    // Whether the first ReLU of a candidate is free depends on the layer before.
    let before = cells("[conv: { kernel: [1, 3], order: relu-conv-norm }, zero]", "shared", 1);
    accelerator.memory.activation_capacity = None;
    assert_eq!(differing(&before, &accelerator), (false, 0));
}

#[test]
fn weights_of_the_whole_network_stay_on_chip_or_none_do() {
    let space = cells("[conv: { kernel: [1, 3] }, zero]", "shared", 1);
    let mut accelerator = slow();
    accelerator.memory.weights = WeightHome::Resident;
    accelerator.memory.weight_capacity = Some(Bytes(9000));
    let resident = |architecture: &Architecture| Some(space.derive(architecture).ok()?.params() <= 9000);
    let kept: Vec<bool> = all_architectures(&space).iter().filter_map(resident).collect();
    assert!(kept.contains(&true) && kept.contains(&false));
    assert_eq!(differing(&space, &accelerator), (false, 0));
}

#[test]
fn gradients_of_shared_cells_agree_with_central_differences() {
    let space = cells("[conv: { kernel: [1, 3] }, separable: { kernel: 5 }, identity, zero]", "shared", 2);
    assert!(model(&space, CostKind::Expected).is_exact());
    check_gradients(&space);
}

#[test]
fn gradients_of_the_product_form_agree_with_central_differences() {
    // 5 cells of 3 edges: 15 choices that may cut, more than the 12 whose patterns are summed.
    let space = cells("[conv: { kernel: 3 }, identity, zero]", "own", 5);
    assert!(!model(&space, CostKind::Expected).is_exact());
    check_gradients(&space);
}

#[test]
fn the_product_form_is_exact_at_one_hot_choices() {
    let space = cells("[conv: { kernel: 3 }, identity, zero]", "own", 5);
    let model = model(&space, CostKind::Expected);
    let mut stream = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..100 {
        let architecture = random_architecture(&space, &mut stream);
        let cost = model.expect(&Probabilities::one_hot(&space, &architecture));
        if let Some(values) = estimated(&space, &architecture, &accelerator()) {
            let [cycles, macs] = values.map(|value| value as f64);
            assert_eq!([cost.cycles, cost.macs], [cycles, macs], "{architecture:?}");
        }
    }
}

#[test]
fn gradients_of_a_chain_with_tied_widths_agree_with_central_differences() {
    check_gradients(&space(CHAIN));
}

#[test]
fn tied_widths_cost_the_mean_of_the_diagonal() {
    // One stage of two layers, widths 4 and 8 at 1/4 and 3/4, a 1x1 convolution each, batch 2 on 8x8 pixels: the second
    // layer costs m * ceil(w / 4)^2 with m = 128, so 128 * (1/4 * 1 + 3/4 * 4) = 416; independent ends would cost
    // 128 * (1/16 + 2 * 3/16 * 2 + 9/16 * 4) = 392. The first has k = 3: 128 * (1/4 + 3/4 * 2) = 224.
    // The classifier has one tile of 4 channels for each 4 of 10 classes: 2 * 3 * (1/4 + 3/4 * 2) = 10.5.
    let text = "body:
  chain:
    candidates: [conv: { kernel: 1 }]
    stages:
      - { layers: 2, width: { min: 4, max: 8, step: 4 } }
classifier: global-pool
";
    let space = space(text);
    let mut at = Probabilities::one_hot(&space, &space.first());
    at.widths[1] = vec![0.25, 0.75];
    assert_eq!(model(&space, CostKind::Expected).expect(&at).cycles, 416.0 + 224.0 + 10.5);
}

#[test]
fn flops_are_macs_over_pes_at_full_utilization() {
    let space = space(CHAIN);
    let at = interior(&space, 3);
    let (flops, expected) = (model(&space, CostKind::Flops), model(&space, CostKind::Expected));
    let hardware = flops.hardware(&at);
    // 16 PEs at 1 GHz: 10^6 cycles a millisecond.
    let milliseconds = expected.expect(&at).macs / 16.0 / 1e6;
    assert!((hardware.latency_ms - milliseconds).abs() <= 1e-12 * milliseconds);
    assert_eq!(hardware.utilization, 1.0);
    assert_eq!(hardware.utilization_gradient, Probabilities::zeros(&space));
    assert!(hardware.latency_ms < expected.hardware(&at).latency_ms);
}

#[test]
fn gradients_of_latency_and_utilization_agree_with_central_differences() {
    for space in [space(CHAIN), cells("[conv: { kernel: 3 }, identity, zero]", "shared", 2)] {
        for kind in [CostKind::Expected, CostKind::Flops] {
            let model = model(&space, kind);
            let at = interior(&space, 5);
            let hardware = model.hardware(&at);
            check_gradient(&at, &hardware.latency_gradient, |p| model.hardware(p).latency_ms);
            check_gradient(&at, &hardware.utilization_gradient, |p| model.hardware(p).utilization);
        }
    }
}

#[test]
fn utilization_at_one_hot_choices_is_that_of_the_estimate() {
    let space = space(CHAIN);
    let accelerator = accelerator();
    for timing in Timing::ALL {
        let target = Target { timing, ..Target::of(&accelerator) };
        let model = CostModel::new(&space, &target, CostKind::Expected).unwrap();
        let architecture = random_architecture(&space, &mut ChaCha8Rng::seed_from_u64(2));
        let hardware = model.hardware(&Probabilities::one_hot(&space, &architecture));
        let total = estimate::network(&space.derive(&architecture).unwrap(), &target).unwrap().total;
        assert_eq!(hardware.latency_ms, total.latency_ms, "{timing:?}");
        assert_eq!(Some(hardware.utilization), total.overall_utilization, "{timing:?}");
    }
}

/// An array of 4 x 4 with energies, so that every metric is known.
fn energetic() -> Accelerator {
    Accelerator::parse(
        "name: e\narray: { rows: 4, cols: 4 }\ndataflow: weight-stationary\nclock-mhz: 1000\n\
         energy: { mac-pj: 0.5, register-pj-per-byte: 0.25, sram-pj-per-byte: 2, dram-pj-per-byte: 100 }\n\
         precision: { weight-bits: 16, activation-bits: 8, accumulator-bits: 32 }\n",
        "e.yaml",
    )
    .unwrap()
}

#[test]
fn metrics_at_one_hot_choices_are_those_of_the_estimate() {
    let accelerator = Accelerator { vector: Some(SLOW_VECTOR), timing: Timing::Pipelined, ..energetic() };
    let target = Target { batch: 3, ..Target::of(&accelerator) };
    let many_cuts = "[conv: { kernel: 3 }, identity, zero]";
    let first_relu = "[conv: { kernel: 3, order: relu-conv-norm }, max-pool: { kernel: 3 }, identity, zero]";
    let spaces = [(MANY, "shared", 2), (MANY, "own", 2), (many_cuts, "own", 5), (first_relu, "shared", 2)];
    for space in spaces.map(|(operators, sharing, count)| cells(operators, sharing, count)).into_iter().chain([
        space(CHAIN),
        concatenation("[conv: { kernel: 3 }, separable: { kernel: 3 }, zero]", "own"),
        preprocessed_concatenation(),
    ]) {
        let model = CostModel::new(&space, &target, CostKind::Expected).unwrap();
        let mut stream = ChaCha8Rng::seed_from_u64(11);
        let mut reached = 0;
        for _ in 0..60 {
            let architecture = random_architecture(&space, &mut stream);
            let Ok(network) = space.derive(&architecture) else { continue };
            let estimate = estimate::network(&network, &target).unwrap();
            let at = Probabilities::one_hot(&space, &architecture);
            for metric in Metric::ALL {
                let (found, expected) = (model.metric(metric, &at).value, exact(metric, &estimate));
                assert!((found - expected).abs() <= 1e-12 * expected, "{metric:?}: {found} is not {expected}");
            }
            reached += 1;
        }
        assert!(reached >= 20, "{reached}");
    }
}

#[test]
fn gradients_of_every_metric_agree_with_central_differences() {
    let accelerator = Accelerator { vector: Some(SLOW_VECTOR), timing: Timing::Pipelined, ..energetic() };
    let many_cuts = cells("[conv: { kernel: 3 }, identity, zero]", "own", 5);
    for space in [space(CHAIN), cells(MANY, "shared", 2), many_cuts, preprocessed_concatenation()] {
        let model = CostModel::new(&space, &Target::of(&accelerator), CostKind::Expected).unwrap();
        let at = interior(&space, 9);
        for metric in Metric::ALL {
            check_gradient(&at, &model.metric(metric, &at).gradient, |p| model.metric(metric, p).value);
        }
    }
}

#[test]
fn the_names_of_metrics_are_those_of_their_yaml_form() {
    for metric in Metric::ALL {
        assert_eq!(load::parse::<Metric>(metric.name(), "a.yaml").unwrap(), metric);
    }
}

#[test]
fn a_softmax_of_large_logits_is_finite() {
    // exp(1000) is infinite; differences of 0 and -1: 1 / (1 + e^-1) and the rest.
    let p = softmax(&[1000.0, 999.0]);
    assert!((p[0] - 1.0 / (1.0 + (-1.0f64).exp())).abs() < 1e-15);
    assert!((p[0] + p[1] - 1.0).abs() < 1e-15);
}

#[test]
fn the_likeliest_of_equals_is_the_first() {
    let space = space(CHAIN);
    let flat = Probabilities::uniform(&space).argmax();
    assert_eq!(flat, space.first());
}

/// The array of [`accelerator`] with a calibration: spills, gates, launches, and a ceiling if there is one.
fn calibrated(ceiling_ms: Option<f64>) -> Accelerator {
    let ceiling = ceiling_ms.map_or(String::new(), |ms| format!("  ceiling-ms: {ms}\n"));
    let text = format!(
        "name: c\narray: {{ rows: 4, cols: 4 }}\ndataflow: weight-stationary\nclock-mhz: 1000\ntiming: ideal\n\
         calibration:\n  law:\n    network:\n      capacity-elements: 700\n      spilled-lanes: padded\n      \
         terms: {{ constant-ns: 900, dense-launch-ns: 70, depthwise-launch-ns: 110, gate-launch-ns: 130, \
         tile-row-ns: 1.3, depthwise-tap-ns: 0.2, gate-element-ns: 0.7, dense-excess-element-ns: 0.9, \
         depthwise-spilled-element-ns: 0.4 }}\n{ceiling}  measured: {{ rows: 30, from-ms: 1, to-ms: 2, form: a, \
         folds: 5, seed: 0, mape-percent: 2, spearman: 1, kendall: 1 }}\n"
    );
    Accelerator::parse(&text, "c.yaml").unwrap()
}

const MANY: &str = "[conv: { kernel: [1, 3] }, separable: { kernel: 5 }, identity, zero]";

#[test]
fn at_one_choice_the_calibrated_latency_is_the_estimators() {
    for (ceiling, space) in [(None, space(CHAIN)), (Some(0.06), space(CHAIN)), (None, cells(MANY, "own", 2))] {
        let accelerator = calibrated(ceiling);
        let target = Target { batch: 2, ..Target::of(&accelerator) };
        let model = CostModel::new(&space, &target, CostKind::Expected).unwrap();
        let mut stream = ChaCha8Rng::seed_from_u64(5);
        let mut reached = 0;
        for _ in 0..40 {
            let architecture = random_architecture(&space, &mut stream);
            let Ok(network) = space.derive(&architecture) else { continue };
            let exact = estimate::network(&network, &target).unwrap().total.latency_ms;
            let found = model.hardware(&Probabilities::one_hot(&space, &architecture)).latency_ms;
            assert!((found - exact).abs() <= 1e-9 * exact, "{found} is not {exact}");
            reached += 1;
        }
        assert!(reached >= 20, "{reached}");
    }
}

#[test]
fn the_gradient_of_calibrated_latency_is_that_of_differences() {
    for ceiling in [None, Some(0.06)] {
        let space = space(CHAIN);
        let accelerator = calibrated(ceiling);
        let model = CostModel::new(&space, &Target::of(&accelerator), CostKind::Expected).unwrap();
        let at = interior(&space, 4);
        check_gradient(&at, &model.hardware(&at).latency_gradient, |p| model.hardware(p).latency_ms);
    }
}

/// Holds what `model` says of a settled width against the same probabilities with that width at one option.
fn check_settled(model: &CostModel, space: &Space, metric: Metric) {
    for seed in 0..3 {
        let mut at = interior(space, seed);
        // Options of probability nought are settled as well.
        at.widths.last_mut().unwrap().fill(0.0);
        at.widths.last_mut().unwrap()[0] = 1.0;
        let settled = model.settled(metric, &at);
        for (choice, options) in settled.iter().enumerate() {
            assert_eq!(options.len(), space.widths[choice].options.len());
            for (option, given) in options.iter().enumerate() {
                let mut hot = at.clone();
                hot.widths[choice].fill(0.0);
                hot.widths[choice][option] = 1.0;
                let wanted = model.metric(metric, &hot).value;
                assert!((given - wanted).abs() <= 1e-9 * wanted.abs(), "{metric:?}: {given} is not {wanted}");
            }
        }
    }
}

#[test]
fn a_gradient_holds_what_every_option_of_a_width_costs() {
    let plain = energetic();
    let ceiling = calibrated(Some(0.06));
    let concatenation = concatenation("[conv: { kernel: 3 }, separable: { kernel: 3 }, zero]", "own");
    for space in [space(CHAIN), cells(MANY, "shared", 2), cells(MANY, "own", 2), concatenation] {
        for (accelerator, kind) in
            [(&plain, CostKind::Expected), (&plain, CostKind::Flops), (&ceiling, CostKind::Expected)]
        {
            let target = Target { batch: 2, ..Target::of(accelerator) };
            let model = CostModel::new(&space, &target, kind).unwrap();
            Metric::ALL.into_iter().for_each(|metric| check_settled(&model, &space, metric));
        }
    }
    // Formulas of expected widths are no sums over options.
    let space = space(CHAIN);
    let model = model(&space, CostKind::SmoothCeil);
    check_settled(&model, &space, Metric::LatencyMs);
    check_settled(&model, &space, Metric::Utilization);
}

#[test]
fn a_tile_ends_after_the_columns_where_they_hold_outputs() {
    let space = space(CHAIN);
    for (dataflow, tile) in
        [(Dataflow::WeightStationary, 6), (Dataflow::OutputStationary, 6), (Dataflow::InputStationary, 1)]
    {
        let mut accelerator = accelerator();
        (accelerator.array.cols, accelerator.dataflow) = (6, dataflow);
        let model = CostModel::new(&space, &Target::of(&accelerator), CostKind::Expected).unwrap();
        assert_eq!(model.tile_channels(), tile, "{dataflow}");
    }
}

const FORMULAS: [(CostKind, Sums); 5] = [
    (CostKind::SmoothCeil, Sums::Network),
    (CostKind::SmoothCeil, Sums::Paper),
    (CostKind::Roofline, Sums::Network),
    (CostKind::Roofline, Sums::Paper),
    (CostKind::Flops, Sums::Paper),
];

#[test]
fn gradients_of_formulas_agree_with_central_differences() {
    for space in [space(CHAIN), cells(MANY, "shared", 2), preprocessed_concatenation()] {
        for (kind, sums) in FORMULAS {
            let pricing = Pricing { kind, sums, lookup: None };
            let model = CostModel::new(&space, &Target { batch: 3, ..Target::of(&slow()) }, pricing).unwrap();
            let at = interior(&space, 5);
            let hardware = model.hardware(&at);
            // Steps of the smooth ceiling are steep: within 1e-4 of a probability its slope changes.
            check_gradient_by(1e-6, &at, &hardware.latency_gradient, |p| model.hardware(p).latency_ms);
            if kind == CostKind::Flops {
                // One in each cell, whatever is chosen.
                assert!(hardware.utilization_gradient.choices().flatten().all(|slope| slope.abs() < 1e-12));
            } else {
                check_gradient_by(1e-6, &at, &hardware.utilization_gradient, |p| model.hardware(p).utilization);
            }
            assert!(!model.is_exact() && model.is_of_draws());
        }
    }
}

#[test]
fn formulas_multiply_what_the_derived_network_multiplies() {
    let accelerator = slow();
    let target = Target { batch: 3, ..Target::of(&accelerator) };
    for space in [space(CHAIN), cells(MANY, "shared", 2), preprocessed_concatenation()] {
        let mut stream = ChaCha8Rng::seed_from_u64(21);
        for kind in [CostKind::SmoothCeil, CostKind::Roofline] {
            let model = CostModel::new(&space, &target, kind).unwrap();
            for _ in 0..20 {
                let architecture = random_architecture(&space, &mut stream);
                let Ok(network) = space.derive(&architecture) else { continue };
                let hardware = model.hardware(&Probabilities::one_hot(&space, &architecture));
                // 64 PEs at 10^6 cycles a millisecond
                let macs = hardware.utilization * 64.0 * hardware.latency_ms * 1e6;
                let expected = 3.0 * network.macs().0 as f64;
                assert!((macs - expected).abs() <= 1e-9 * expected, "{kind:?}: {macs} is not {expected}");
            }
        }
    }
}

/// One cell of one 3x3 convolution from 6 to `WIDTHS` channels on a map of side 8, behind a stem.
fn one_cell(widths: &str, operators: &str) -> Space {
    space(&format!(
        "stem:\n  - conv: {{ kernel: 3, width: 6 }}\nbody:\n  cells:\n    inputs: [a]\n    nodes:\n      \
         - {{ name: t1, from: [a] }}\n    candidates: {operators}\n    choices: shared\n    width: {widths}\n    stack:\n      \
         - cells: {{ count: 1 }}\nclassifier: global-pool\n"
    ))
}

#[test]
fn the_paper_counts_cells_alone_and_the_mean_over_what_takes_time() {
    let space =
        one_cell("{ min: 8, max: 16, step: 8 }", "[conv: { kernel: 3 }, separable: { kernel: 3 }, identity, zero]");
    let accelerator = slow();
    let pricing = Pricing { kind: CostKind::SmoothCeil, sums: Sums::Paper, lookup: None };
    let model = CostModel::new(&space, &Target::of(&accelerator), pricing).unwrap();
    let mut at = Probabilities::one_hot(&space, &space.first());
    let searched = at.operators.iter_mut().find(|choice| choice.len() == 4).unwrap();
    *searched = vec![0.3, 0.1, 0.2, 0.4];
    *at.widths.iter_mut().find(|choice| choice.len() == 2).unwrap() = vec![0.5, 0.5];
    // 64 pixels, 12 expected channels, an array of 8 x 8: the convolution has ceil_s(9 * 6 / 8) x ceil_s(12 / 8) tiles.
    let ceil = |x: f64| smooth_ceil(x).0;
    let conv = 64.0 * ceil(6.75) * ceil(1.5);
    // Depthwise 6 * ceil_s(9 / 8), pointwise max(1, ceil_s(6 / 8)) * ceil_s(12 / 8).
    let (depthwise, pointwise) = (64.0 * 6.0 * ceil(1.125), 64.0 * ceil(0.75).max(1.0) * ceil(1.5));
    let cycles = (0.3 * conv + 0.1 * (depthwise + pointwise)) / 0.4;
    let of = |macs: f64, cycles: f64| macs * 64.0 / (64.0 * cycles);
    let separable = 0.5 * (of(6.0 * 9.0, depthwise) + of(6.0 * 12.0, pointwise));
    let utilization = (0.3 * of(9.0 * 6.0 * 12.0, conv) + 0.1 * separable) / 0.4;
    let hardware = model.hardware(&at);
    assert!((hardware.latency_ms * 1e6 - cycles).abs() < 1e-9 * cycles, "{}", hardware.latency_ms * 1e6);
    assert!((hardware.utilization - utilization).abs() < 1e-12, "{}", hardware.utilization);
}

#[test]
fn a_roofline_is_the_longer_of_computation_and_traffic() {
    // 1 GB/s at 1 GHz is a byte a cycle, and every byte is one value. On 8 x 8 PEs the stem, 3 to 6 channels, multiplies
    // 27 * 6 * 64 = 10,368 = 162 cycles and moves 27 * 6 + 64 * (3 + 6) = 738 bytes; the cell, 6 to 12, 648 cycles and
    // 54 * 12 + 64 * (6 + 12) = 1,800 bytes; the classifier, 12 to 10, 142 bytes. With 16 accumulated and 100 GB/s all
    // but the classifier's MACs, 120 / 64, take longer than their bytes.
    let space = one_cell("12", "[conv: { kernel: 3 }]");
    let at = Probabilities::one_hot(&space, &space.first());
    let cycles = |accelerator: &Accelerator| {
        CostModel::new(&space, &Target::of(accelerator), CostKind::Roofline).unwrap().hardware(&at).latency_ms * 1e6
    };
    assert!((cycles(&slow()) - (738.0 + 1800.0 + 142.0)).abs() < 1e-6, "{}", cycles(&slow()));
    let mut fast = slow();
    fast.memory.dram = Dram::Shared(Bandwidth::from_gb_per_second(100.0).unwrap());
    assert!((cycles(&fast) - (162.0 + 648.0 + 120.0 / 64.0)).abs() < 1e-6, "{}", cycles(&fast));
}

#[test]
fn a_table_of_the_estimators_own_layers_gives_its_latency_at_one_hot_choices() {
    let accelerator = accelerator();
    let target = Target::of(&accelerator);
    for space in [space(CHAIN), cells(MANY, "shared", 2), preprocessed_concatenation()] {
        let table = Lookup::of(&space, &target).unwrap();
        let pricing = Pricing { kind: CostKind::Lookup, sums: Sums::Network, lookup: Some(&table) };
        let model = CostModel::new(&space, &target, pricing).unwrap();
        let mut stream = ChaCha8Rng::seed_from_u64(13);
        for _ in 0..40 {
            let architecture = random_architecture(&space, &mut stream);
            let Ok(network) = space.derive(&architecture) else { continue };
            let expected = estimate::network(&network, &target).unwrap().total.latency_ms;
            let found = model.hardware(&Probabilities::one_hot(&space, &architecture)).latency_ms;
            assert!((found - expected).abs() <= 1e-9 * expected, "{found} is not {expected}");
        }
        let hardware = model.hardware(&interior(&space, 3));
        assert!(hardware.latency_gradient.widths.iter().flatten().all(|&slope| slope == 0.0));
        assert!(hardware.latency_gradient.operators.iter().flatten().any(|&slope| slope != 0.0));
    }
}

#[test]
fn costs_that_do_not_speak_of_the_accelerator_or_the_space_say_so() {
    let space = space(CHAIN);
    let message = |pricing: Pricing<'_>, accelerator: &Accelerator| {
        CostModel::new(&space, &Target::of(accelerator), pricing).unwrap_err().to_string()
    };
    let stationary = Accelerator { dataflow: Dataflow::OutputStationary, ..accelerator() };
    assert_eq!(
        message(CostKind::SmoothCeil.into(), &stationary),
        "cost smooth-ceil is of weight-stationary arrays, this one is output-stationary"
    );
    assert!(message(CostKind::Roofline.into(), &accelerator()).contains("bandwidth-gb-per-s"));
    let paper = Pricing { kind: CostKind::Expected, sums: Sums::Paper, lookup: None };
    assert!(message(paper, &accelerator()).starts_with("sums of the paper"));
    let empty = Lookup::default();
    let lacking = Pricing { kind: CostKind::Lookup, sums: Sums::Network, lookup: Some(&empty) };
    assert_eq!(message(lacking, &accelerator()), "the lookup table has no Conv2d, map side 4, kernel 3x3");
}

#[test]
fn a_bound_on_a_metric_is_one_on_the_sum_over_live_edges() {
    check_bounds(&cells("[conv: { kernel: 3 }, identity, zero]", "shared", 2));
    check_bounds(&concatenation("[conv: { kernel: 3 }, zero]", "shared"));
}

fn check_bounds(space: &Space) {
    for ceiling in [None, Some(0.02)] {
        let accelerator = calibrated(ceiling);
        let target = Target { batch: 2, ..Target::of(&accelerator) };
        let model = CostModel::new(space, &target, CostKind::Expected).unwrap();
        let mut stream = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..40 {
            let architecture = random_architecture(space, &mut stream);
            let Ok(network) = space.derive(&architecture) else { continue };
            let estimate = estimate::network(&network, &target).unwrap();
            let zero = |operator: usize| space.operators[operator].zero() == Some(architecture.operators[operator]);
            let live = space.live(|edge| zero(edge.operator.0));
            let sums = space.sums.iter().map(|sum| sum.option(&architecture.widths));
            let follows = space.followers_of(&architecture);
            let widths: Vec<usize> = architecture.widths.iter().copied().chain(sums).chain(follows).collect();
            for metric in [Metric::LatencyMs, Metric::Utilization, Metric::Macs, Metric::Params, Metric::WeightKib] {
                let value = exact(metric, &estimate);
                // A little within the bound, and a little beyond it.
                for (factor, kept) in [(1.0 + 1e-6, true), (1.0 - 1e-6, false)] {
                    let bound = if metric == Metric::Utilization { value / factor } else { value * factor };
                    let sum = model.within(metric, bound);
                    let part = |edge: &EdgeTerm| {
                        let table = &edge.candidates[architecture.operators[edge.operator]];
                        let [from, to] = [edge.source, edge.target].map(|slot| widths[slot]);
                        let place = if edge.source == edge.target { from } else { from * edge.row + to };
                        table.get(place).copied().unwrap_or(0.0)
                    };
                    let parts = sum.edges.iter().zip(&live).filter(|(_, live)| **live).map(|(edge, _)| part(edge));
                    assert!(sum.is_exact && sum.joins.is_empty());
                    let number = parts.sum::<f64>() + sum.classifier.1[widths[sum.classifier.0]];
                    assert_eq!(number <= sum.limit, kept, "{metric:?} {value}: {number}, {}", sum.limit);
                }
            }
        }
    }
}
