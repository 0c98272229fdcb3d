use tch::Device;

use super::*;
use crate::data::{Dataset, SplitSizes, shapes};
use crate::load;
use crate::network::Shape;
use crate::nn::{Module, Phase};
use crate::search::{Paths, Schedule};
use crate::space::file::{Setting, SpaceFile};
use crate::space::{Architecture, Merge, Width, WidthId};
use crate::torch::clear_gradients;

mod project;

/// A cell of every kind of candidate with a mask inside, and a layer that ties two widths.
const SPACE: &str = "
stem: [{ conv: { kernel: 3, width: 6, stride: 4 } }]
body:
  cells:
    inputs: [a]
    preprocess: { kernel: 3 }
    nodes:
      - { name: t1, from: [a] }
      - { name: t2, from: [t1, a] }
    candidates:
      - conv: { kernel: 3 }
      - separable: { kernel: 3 }
      - inverted-bottleneck: { kernel: 3, expansion: 2, squeeze-excitation: 0.5, depth: 2 }
      - identity
      - zero
    width: { min: 2, max: 8, step: 3 }
    stack: [{ cells: { count: 2 } }]
classifier: flatten
";

/// Cells that put out the concatenation of their nodes, which the second reads, behind a pool, as it is: at its widest 16
/// channels, with 48 and 8 that follow it inside; a node has 8, with 24 and 4 inside.
const CONCATENATION: &str = "
stem: [{ conv: { kernel: 3, width: 6, stride: 4 } }]
body:
  cells:
    inputs: [a]
    nodes:
      - { name: t1, from: [a] }
      - { name: t2, from: [t1, a] }
    output: [t2, t1]
    candidates:
      - conv: { kernel: 3 }
      - separable: { kernel: 3 }
      - inverted-bottleneck: { kernel: 3, expansion: 3, squeeze-excitation: 0.5, depth: 2 }
      - inverted-bottleneck: { kernel: 3, expansion: 1 }
      - max-pool: { kernel: 3 }
      - identity
      - zero
    width: { min: 2, max: 8, step: 3 }
    stack: [{ cells: { count: 1 } }, { average-pool: { kernel: 2 } }, { cells: { count: 1 } }]
classifier: flatten
";

fn space() -> Space {
    read(SPACE)
}

fn read(text: &str) -> Space {
    let file: SpaceFile = load::parse(text, "space").unwrap();
    let input = Shape::new(&[3, 32, 32]).unwrap();
    file.into_space(&Setting { name: "s", origin: "space", input, classes: 10 }).unwrap()
}

fn settings(seed: u64) -> SupernetSettings {
    SupernetSettings {
        seed,
        batch: 16,
        weights: WeightSettings {
            learning_rate: 0.05,
            schedule: Schedule::Cosine,
            momentum: 0.9,
            weight_decay: 0.0,
            clip: 5.0,
        },
        precision: Precision::Float32,
        layout: Layout::Contiguous,
        augment: Augment::STANDARD,
        together: [Together::WHOLE; 2],
        sizes: Sizes::Widest,
    }
}

fn dataset() -> Dataset {
    Dataset::new(&shapes::generate(0, 96, 10), Device::Cpu).unwrap()
}

fn splits(data: &Dataset) -> Splits {
    Splits::new(data, SplitSizes { training: 64, selection: 32, test: None }, 0).unwrap()
}

/// The choices `operators` for the shared edges t1/a, t2/t1, t2/a, and the option of every searched width.
fn architecture(space: &Space, operators: [usize; 3], width: impl Fn(usize) -> usize) -> Architecture {
    let mut architecture = space.first();
    let searched = (0..space.operators.len()).filter(|&o| space.operators[o].candidates.len() > 1);
    for (place, chosen) in searched.zip(operators) {
        architecture.operators[place] = chosen;
    }
    for (place, choice) in space.widths.iter().enumerate().filter(|(_, choice)| choice.options.len() > 1) {
        architecture.widths[place] = width(place) % choice.options.len();
    }
    architecture
}

fn one_hot(space: &Space, architecture: &Architecture, paths: Paths) -> Choices {
    Choices { weights: Probabilities::one_hot(space, architecture), paths }
}

/// The network of `architecture` with the prefixes of the supernet's weights.
fn sliced(space: &Space, net: &Net, architecture: &Architecture) -> Module {
    let network = &space.derive(architecture).unwrap();
    let mut module = Module::new(network, Device::Cpu, 99).unwrap();
    let sizes: Vec<(String, Vec<i64>)> = module.tensors().map(|(name, t)| (name.to_owned(), t.size())).collect();
    let kept = net.tensors();
    module
        .load(|name| {
            let size = &sizes.iter().find(|(n, _)| n == name)?.1;
            let wide = kept.iter().find_map(|(key, tensor)| {
                let (edge, rest) = key.split_once(".candidate")?;
                let edge: usize = edge.strip_prefix("edge")?.parse().ok()?;
                let (candidate, rest) = rest.split_once(".op.")?;
                let chosen = architecture.operators[space.edges[edge].operator.0];
                candidate.parse::<usize>().ok().filter(|candidate| *candidate == chosen)?;
                let own = format!("{}.{rest}", space.edges[edge].name.replace('/', "."));
                (own == name).then_some(tensor)
            });
            let wide =
                wide.or_else(|| kept.iter().find(|(key, _)| *key == format!("classifier.{name}")).map(|(_, t)| t));
            let source = space.edges.iter().find(|edge| name.starts_with(&edge.name.replace('/', ".")));
            let source = source.map_or(space.last(), |edge| edge.from);
            let cut = |t: Tensor, dim: usize| {
                let places = open(space, architecture, space.join(source).width, (t.size()[dim], size[dim]));
                t.index_select(dim as i64, &Tensor::from_slice(&places))
            };
            Some((0..size.len()).fold(wide?.detach(), cut))
        })
        .unwrap();
    module
}

/// Which of the channels of a tensor behind `source` are open, of `wide` channels `kept`: those of the parts where they are
/// whole times the channels of a concatenation, else a prefix.
fn open(space: &Space, architecture: &Architecture, source: Width, (wide, kept): (i64, i64)) -> Vec<i64> {
    let options = |part: &WidthId| &space.widths[part.0].options;
    let parts = space.parts(source);
    let widest: Vec<i64> = parts.iter().map(|part| options(part).last().unwrap().cast_signed()).collect();
    let whole: i64 = widest.iter().sum();
    let follows = matches!(source, Width::Branch(_) | Width::Max(_));
    if parts.len() == 1 || wide % whole != 0 || follows {
        return (0..kept).collect();
    }
    let (times, mut first, mut places) = (wide / whole, 0, Vec::new());
    for (part, widest) in parts.iter().zip(widest) {
        places.extend(first..first + times * options(part)[architecture.widths[part.0]].cast_signed());
        first += times * widest;
    }
    assert_eq!(places.len() as i64, kept);
    places
}

#[test]
fn hard_masks_give_the_logits_of_the_sliced_network() {
    check_slices(&space(), &[[0, 1, 2], [2, 3, 1], [1, 2, 4], [3, 0, 3]]);
}

#[test]
fn hard_masks_of_a_concatenation_leave_gaps_behind_its_parts() {
    // With both nodes, without the first, without the second; then with what copies channels in order.
    check_slices(&read(CONCATENATION), &[[0, 1, 2], [1, 2, 0], [2, 3, 1], [3, 0, 3], [6, 6, 2], [2, 6, 6], [6, 0, 1]]);
    check_slices(&read(CONCATENATION), &[[5, 0, 4], [4, 1, 5], [5, 6, 5], [4, 4, 2], [0, 6, 5], [6, 6, 5]]);
}

fn check_slices(space: &Space, all: &[[usize; 3]]) {
    let images = Tensor::randn([4, 3, 32, 32], (Kind::Float, Device::Cpu));
    for (&operators, offset) in all.iter().zip([0, 1, 2, 1, 0, 2, 1]) {
        let architecture = architecture(space, operators, |place| place + offset);
        for stage in [Stage::Widths { operators: architecture.operators.clone() }, Stage::Whole] {
            let net = Net::new(space, &stage, None, Device::Cpu, 5).unwrap();
            let choices = one_hot(space, &architecture, Paths::ONE);
            let exact = sliced(space, &net, &architecture).run(&images, Phase::Batch);
            // What is differentiated by widths is masked, the other sliced.
            let gradients = [Differentiated::ByWidths, Differentiated::Not].map(|differentiated| {
                let mixing = Mixing::new(space, &net, &choices, differentiated, Device::Cpu).unwrap();
                assert_eq!(mixing.channels.is_some(), differentiated == Differentiated::Not);
                let logits = net.forward(space, &images, &mixing).unwrap().logits;
                let difference = (&logits - &exact).abs().max().double_value(&[]);
                assert!(difference < 1e-4, "{operators:?}, {stage:?}, {differentiated:?}: {difference}");
                logits.square().sum(Kind::Float).backward();
                let gradients: Vec<Tensor> = net.parameters().iter().map(Tensor::grad).collect();
                let gradients: Vec<Option<Tensor>> =
                    gradients.into_iter().map(|g| Some(g).filter(Tensor::defined).map(|g| g.copy())).collect();
                clear_gradients(&net.parameters()).unwrap();
                gradients
            });
            let [masked, of_slices] = &gradients;
            for (masked, of_slice) in masked.iter().zip(of_slices) {
                match (masked, of_slice) {
                    (Some(masked), Some(of_slice)) => assert!(masked.allclose(of_slice, 1e-3, 1e-3, false)),
                    (masked, of_slice) => assert_eq!(masked.is_some(), of_slice.is_some()),
                }
            }
        }
    }
}

#[test]
fn the_gradient_of_a_mixture_is_its_central_difference() {
    check_width_gradient(&space(), [0, 1, 2]);
    check_width_gradient(&read(CONCATENATION), [2, 1, 2]);
    check_width_gradient(&read(CONCATENATION), [6, 6, 1]);
    check_width_gradient(&read(CONCATENATION), [5, 0, 4]);
}

fn check_width_gradient(space: &Space, operators: [usize; 3]) {
    let (data, seed) = (dataset(), 3);
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
    let mut supernet = Supernet::new(space, &splits, &loader, settings(seed));
    let at = At { stage: 1, epoch: 0, step: 0 };
    let chosen = architecture(space, operators, |place| place);
    supernet.enter(&Stage::Widths { operators: chosen.operators.clone() }).unwrap();
    let mut choices = Choices { weights: Probabilities::uniform(space), paths: Paths::Full };
    choices.weights.operators = Probabilities::one_hot(space, &chosen).operators;
    let answer = supernet.evaluate(&choices, at).unwrap();
    for width in (0..space.widths.len()).filter(|&w| space.widths[w].options.len() > 1).step_by(2) {
        let mut at_offset = |offset: f64| {
            let mut moved = choices.clone();
            moved.weights.widths[width][1] += offset;
            supernet.evaluate(&moved, at).unwrap().loss
        };
        // The kinks of ReLU behind batch norms of a small batch bend the loss within a thousandth, and rounding hides what
        // is less than a ten-thousandth: one of the steps between agrees.
        let differences = [1e-3, 3e-4, 1e-4].map(|step| (at_offset(step) - at_offset(-step)) / (2.0 * step));
        let gradient = answer.gradient.widths[width][1];
        let agrees = |difference: &f64| (difference - gradient).abs() < 2e-3 + 0.05 * gradient.abs();
        assert!(differences.iter().any(agrees), "{operators:?} {width}: {differences:?} {gradient}");
    }
}

/// Sums over the channels of every searched width of its mask times the loss's gradient by it, each beside the sum of what
/// is summed, under even mixtures.
///
/// A mask is `m = sum_o p_o prefix_o`, so `sum_k m_k dL/dm_k = sum_o p_o dL/dp_o`.
fn scales(space: &Space) -> Vec<[f64; 2]> {
    let data = dataset();
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
    let mut supernet = Supernet::new(space, &splits, &loader, settings(5));
    supernet.enter(&Stage::Widths { operators: space.first().operators }).unwrap();
    let choices = Choices { weights: Probabilities::uniform(space), paths: Paths::Full };
    let answer = supernet.evaluate(&choices, At { stage: 1, epoch: 0, step: 0 }).unwrap();
    let searched = (0..space.widths.len()).filter(|&width| space.widths[width].options.len() > 1);
    let sums = |width: usize| {
        let parts = choices.weights.widths[width].iter().zip(&answer.gradient.widths[width]).map(|(p, g)| p * g);
        [parts.clone().sum::<f64>().abs(), parts.map(f64::abs).sum()]
    };
    searched.map(sums).collect()
}

#[test]
fn the_scale_of_a_mask_before_a_batch_norm_has_no_gradient_and_before_the_classifier_it_has() {
    let chain = read(
        "
stem: [{ conv: { kernel: 3, width: 6, stride: 4 } }]
body:
  chain:
    candidates: [{ conv: { kernel: 3 } }]
    stages: [{ layers: 3, width: { min: 2, max: 8, step: 2 }, width-per: layer }]
classifier: global-pool
",
    );
    let scales = scales(&chain);
    let [[first, of_first], [second, of_second], [last, of_last]] = scales[..] else { panic!("{scales:?}") };
    assert!(of_first > 1e-4 && of_second > 1e-4, "{scales:?}");
    // Not to the last bit, since a batch norm adds 1e-5 to the variance.
    assert!(first < 1e-2 * of_first && second < 1e-2 * of_second, "{scales:?}");
    assert!(last > 0.1 * of_last, "{scales:?}");
}

/// Mixing weights of which every operator choice has `count` above nought.
fn several(space: &Space, count: usize) -> Choices {
    let mut weights = Probabilities::uniform(space);
    for (number, choice) in weights.operators.iter_mut().enumerate() {
        let length = choice.len();
        let chosen: Vec<usize> = match count.min(length) {
            // Not `zero`, the last: every join is to be reached.
            1 => vec![number % (length - 1).max(1)],
            count => (0..count).map(|place| (number + 2 * place) % length).collect(),
        };
        choice.fill(0.0);
        for (place, &chosen) in chosen.iter().enumerate() {
            // 1/3 and 2/3 of two, 1/6, 2/6 and 3/6 of three.
            choice[chosen] = (place + 1) as f64 / (chosen_sum(count.min(length)) as f64);
        }
    }
    Choices { weights, paths: Paths::Full }
}

/// `1 + 2 + .. + count`.
fn chosen_sum(count: usize) -> usize {
    count * (count + 1) / 2
}

#[test]
fn a_join_is_the_weighted_sum_of_the_candidates_that_run() {
    let space = space();
    let stage = Stage::Operators { widths: space.first().widths };
    let net = Net::new(&space, &stage, None, Device::Cpu, 5).unwrap();
    let images = Tensor::randn([4, 3, 32, 32], (Kind::Float, Device::Cpu));
    for count in [1, 2, 3, 5] {
        let choices = several(&space, count);
        let mixing = Mixing::new(&space, &net, &choices, Differentiated::ByOperators, Device::Cpu).unwrap();
        let pass = net.forward(&space, &images, &mixing).unwrap();
        // Naively: every join a sum from zeros over all edges into it and all candidates.
        let mut values: Vec<Tensor> = vec![images.shallow_clone()];
        for join in 1..space.joins.len() {
            let mut sum: Option<Tensor> = None;
            for (number, edge) in space.edges.iter().enumerate().filter(|(_, edge)| edge.to.0 == join) {
                for (candidate, &weight) in choices.weights.operators[edge.operator.0].iter().enumerate() {
                    let Some(branch) = net.branch_of(number, candidate) else { continue };
                    let y = branch.run(&values[edge.from.0], &mixing) * weight;
                    sum = Some(sum.map_or_else(|| y.shallow_clone(), |sum| sum + &y));
                }
            }
            values.push(sum.unwrap());
            let Some(found) = &pass.sums[join] else { continue };
            let difference = (found - &values[join]).abs().max().double_value(&[]);
            assert!(difference < 1e-5, "{count} candidates, join {join}: {difference}");
        }
        assert!(pass.sums[space.last().0].is_some());
    }
}

/// Cross-entropy with every candidate run and multiplied by its weight, a tensor for each choice.
fn naive_loss(space: &Space, net: &Net, batch: &Batch, weights: &[Tensor], mixing: &Mixing<'_>) -> Tensor {
    let mut values: Vec<Tensor> = vec![batch.images.shallow_clone()];
    for join in 1..space.joins.len() {
        if space.joins[join].merge == Merge::Concatenate {
            let parts = space.edges.iter().filter(|edge| edge.to.0 == join).map(|edge| &values[edge.from.0]);
            values.push(Tensor::cat(&parts.collect::<Vec<_>>(), 1));
            continue;
        }
        let mut terms = Vec::new();
        for (number, edge) in space.edges.iter().enumerate().filter(|(_, edge)| edge.to.0 == join) {
            for candidate in 0..space.operators[edge.operator.0].candidates.len() {
                let Some(branch) = net.branch_of(number, candidate) else { continue };
                let weight = weights[edge.operator.0].narrow(0, candidate as i64, 1).view([1, 1, 1, 1]);
                terms.push(branch.run(&values[edge.from.0], mixing) * weight);
            }
        }
        values.push(Tensor::stack(&terms, 0).sum_dim_intlist([0].as_slice(), false, Kind::Float));
    }
    net.classify(&values[space.last().0]).cross_entropy_for_logits(&batch.labels)
}

#[test]
fn the_gradient_by_an_operator_is_that_of_the_naive_sum_whether_it_ran_or_not() {
    for space in [space(), read(CONCATENATION)] {
        check_operator_gradient(&space, [1, 2, 5].map(|count| several(&space, count)));
    }
}

#[test]
fn what_would_bring_a_part_of_a_concatenation_back_has_a_gradient() {
    let space = read(CONCATENATION);
    // Nothing goes into t1, and nothing from it to t2: the concatenation alone reads it.
    let chosen = architecture(&space, [6, 6, 0], |_| 0);
    let choices = one_hot(&space, &chosen, Paths::ONE);
    let gradient = check_operator_gradient(&space, [choices]);
    let into_t1 = space.operators.iter().position(|choice| choice.name == "t1/a").unwrap();
    assert!(gradient[0].operators[into_t1][..6].iter().all(|&slope| slope != 0.0), "{gradient:?}");
}

/// Holds the gradient by the operators at `all` against the naive one; gives it.
fn check_operator_gradient<const N: usize>(space: &Space, all: [Choices; N]) -> [Probabilities; N] {
    let data = dataset();
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
    let mut supernet = Supernet::new(space, &splits, &loader, settings(3));
    let at = At { stage: 0, epoch: 0, step: 0 };
    supernet.enter(&Stage::Operators { widths: space.first().widths }).unwrap();
    all.map(|choices| {
        let answer = supernet.evaluate(&choices, at).unwrap();
        let now = supernet.now.as_ref().unwrap();
        let selection = &now.epoch.as_ref().unwrap().2;
        let weights: Vec<Tensor> = choices
            .weights
            .operators
            .iter()
            .map(|choice| Tensor::from_slice(choice).to_kind(Kind::Float).set_requires_grad(true))
            .collect();
        let mixing = Mixing::new(space, &now.net, &choices, Differentiated::Not, Device::Cpu).unwrap();
        let place = mix(&[3, 0, 0, 0]) % selection.batches() as u64;
        let batch = selection.batch(usize::try_from(place).unwrap()).unwrap();
        let loss = naive_loss(space, &now.net, &batch, &weights, &mixing);
        assert!((loss.double_value(&[]) - answer.loss).abs() < 1e-5);
        loss.backward();
        for (operator, weights) in weights.iter().enumerate().filter(|(_, weights)| weights.size()[0] > 1) {
            let wanted: Vec<f64> = Vec::try_from(weights.grad().to_kind(Kind::Double)).unwrap();
            for (found, wanted) in answer.gradient.operators[operator].iter().zip(wanted) {
                let near = (found - wanted).abs() < 1e-4 + 1e-3 * wanted.abs();
                assert!(near, "choice {operator}: {found} is not {wanted}");
            }
        }
        answer.gradient
    })
}

#[test]
fn a_step_in_parts_is_the_mean_of_its_parts() {
    let space = space();
    let data = dataset();
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
    let chosen = architecture(&space, [0, 1, 2], |_| 1);
    let stage = Stage::Operators { widths: chosen.widths.clone() };
    let choices = several(&space, 2);
    let at = At { stage: 0, epoch: 0, step: 0 };
    let plain = WeightSettings { momentum: 0.0, clip: 1e9, ..settings(1).weights };
    let entered = |together| {
        let together = [Together { step: together, report: 32 }; 2];
        let mut supernet =
            Supernet::new(&space, &splits, &loader, SupernetSettings { weights: plain, together, ..settings(1) });
        supernet.enter(&stage).unwrap();
        supernet
    };
    // 16 images, at most 7 together: parts of 5, 5 and 6.
    let mut parted = entered(7);
    let answer = parted.evaluate(&choices, at).unwrap();
    parted.weight_step(&choices, at, 0.5).unwrap();
    let whole = entered(usize::MAX);
    let mut whole = whole;
    let now = whole.enter_epoch(at).unwrap();
    let batch = now.epoch.as_ref().unwrap().1.batch(0).unwrap();
    let mixing = Mixing::new(&space, &now.net, &choices, Differentiated::Not, Device::Cpu).unwrap();
    let mut loss = Tensor::zeros([], (Kind::Float, Device::Cpu));
    for (first, length) in [(0, 5), (5, 5), (10, 6)] {
        let part =
            Batch { images: batch.images.narrow(0, first, length), labels: batch.labels.narrow(0, first, length) };
        loss += whole.loss(&now.net, &part, &mixing).unwrap().0 * (length as f64 / 16.0);
    }
    loss.backward();
    for (found, start) in parted.now.as_ref().unwrap().net.parameters().iter().zip(now.net.parameters()) {
        let wanted = if start.grad().defined() { start.detach() - start.grad() * 0.5 } else { start.detach() };
        assert!((found.detach() - wanted).abs().max().double_value(&[]) < 1e-6);
    }
    whole.now = Some(now);
    // Batch norms of all images together give another loss.
    assert_ne!(whole.evaluate(&choices, at).unwrap().loss, answer.loss);
    // The report of the training loss counts every image once.
    assert_eq!(parted.now.as_ref().unwrap().sums.images, 16);
}

#[test]
fn a_drawn_path_has_a_gradient_by_every_candidate_of_its_edges() {
    let space = space();
    let data = dataset();
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
    let mut supernet = Supernet::new(&space, &splits, &loader, settings(1));
    let chosen = architecture(&space, [0, 1, 3], |_| 1);
    supernet.enter(&Stage::Operators { widths: chosen.widths.clone() }).unwrap();
    let choices = one_hot(&space, &chosen, Paths::ONE);
    let answer = supernet.evaluate(&choices, At { stage: 0, epoch: 0, step: 0 }).unwrap();
    let searched = answer.gradient.operators.iter().filter(|choice| choice.len() == 5);
    for choice in searched {
        assert!(choice[..4].iter().all(|&g| g != 0.0 && g.is_finite()), "{choice:?}");
        assert_eq!(choice[4], 0.0); // nothing flows over `zero`
    }
    assert!(answer.gradient.widths.iter().flatten().all(|&g| g == 0.0));
}

#[test]
fn one_path_alone_has_the_gradient_of_its_own_candidates_and_no_other() {
    let space = space();
    let data = dataset();
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
    let mut supernet = Supernet::new(&space, &splits, &loader, settings(1));
    let chosen = architecture(&space, [0, 1, 3], |_| 1);
    supernet.enter(&Stage::Operators { widths: chosen.widths.clone() }).unwrap();
    let mut ask =
        |paths| supernet.evaluate(&one_hot(&space, &chosen, paths), At { stage: 0, epoch: 0, step: 0 }).unwrap();
    let (alone, all) = (ask(Paths::Alone), ask(Paths::ONE));
    assert!((alone.loss - all.loss).abs() < 1e-6);
    for ((alone, all), &chosen) in alone.gradient.operators.iter().zip(&all.gradient.operators).zip(&chosen.operators) {
        for (place, (alone, all)) in alone.iter().zip(all).enumerate() {
            let wanted = if place == chosen { *all } else { 0.0 };
            assert!((alone - wanted).abs() < 1e-6, "{place}: {alone} is not {wanted}");
        }
    }
}

#[test]
fn a_weight_step_moves_the_drawn_paths_alone() {
    let space = space();
    let data = dataset();
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::STANDARD, Layout::ChannelsLast).unwrap();
    let mut supernet = Supernet::new(&space, &splits, &loader, settings(1));
    let chosen = architecture(&space, [0, 1, 3], |_| 1);
    supernet.enter(&Stage::Operators { widths: chosen.widths.clone() }).unwrap();
    let before: Vec<(String, Tensor)> =
        supernet.now.as_ref().unwrap().net.tensors().into_iter().map(|(n, t)| (n, t.detach().copy())).collect();
    let mut choices = one_hot(&space, &chosen, Paths::ONE);
    // Two of the first searched choice, one of the others.
    let two = (0..space.operators.len()).find(|&o| space.operators[o].candidates.len() > 1).unwrap();
    choices.weights.operators[two] = vec![0.25, 0.75, 0.0, 0.0, 0.0];
    supernet.weight_step(&choices, At { stage: 0, epoch: 0, step: 0 }, 0.1).unwrap();
    let after = supernet.now.as_ref().unwrap().net.tensors();
    for ((name, old), (_, new)) in before.iter().zip(&after) {
        let edge =
            name.strip_prefix("edge").and_then(|rest| rest.split('.').next()).and_then(|n| n.parse::<usize>().ok());
        let drawn = edge.is_none_or(|edge| {
            let weights = &choices.weights.operators[space.edges[edge].operator.0];
            weights.iter().enumerate().any(|(c, &weight)| weight > 0.0 && name.contains(&format!("candidate{c:03}")))
        });
        let statistic = name.contains("running");
        assert_eq!(old.equal(new), !drawn || statistic, "{name}");
    }
}

#[test]
fn a_draw_that_cuts_the_output_off_is_no_end() {
    let space = space();
    let data = dataset();
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
    let mut supernet = Supernet::new(&space, &splits, &loader, settings(1));
    let cut = architecture(&space, [4, 4, 4], |_| 1);
    supernet.enter(&Stage::Operators { widths: cut.widths.clone() }).unwrap();
    let at = At { stage: 0, epoch: 0, step: 0 };
    let choices = one_hot(&space, &cut, Paths::ONE);
    supernet.weight_step(&choices, at, 0.1).unwrap();
    let answer = supernet.evaluate(&choices, at).unwrap();
    assert!(answer.loss.is_finite());
    assert!(answer.gradient.choices().flatten().all(|&g| g == 0.0));
}

#[test]
fn equal_seeds_give_equal_bits_and_a_checkpoint_goes_on_as_if_nothing_was() {
    let space = space();
    let data = dataset();
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::STANDARD, Layout::ChannelsLast).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.safetensors");
    let chosen = architecture(&space, [0, 1, 2], |_| 1);
    let stage = Stage::Operators { widths: chosen.widths.clone() };
    let choices = one_hot(&space, &chosen, Paths::ONE);
    let step = |supernet: &mut Supernet<'_>, step| {
        supernet.weight_step(&choices, At { stage: 0, epoch: 0, step }, 0.1).unwrap();
    };
    let tensors = |supernet: &Supernet<'_>| supernet.now.as_ref().unwrap().tensors();
    let mut whole = Supernet::new(&space, &splits, &loader, settings(1));
    whole.enter(&stage).unwrap();
    let at = |step| At { stage: 0, epoch: 0, step };
    step(&mut whole, 0);
    // Saved in the middle of an epoch, and through JSON, as a checkpoint keeps it.
    let running = serde_json::to_string(&whole.save(&path).unwrap()).unwrap();
    step(&mut whole, 1);
    let mut resumed = Supernet::new(&space, &splits, &loader, settings(1));
    resumed.enter(&stage).unwrap();
    resumed.load(&path, at(1), serde_json::from_str(&running).unwrap()).unwrap();
    step(&mut resumed, 1);
    // The means are over both steps, also of the one before.
    let (a, b) = (whole.report(&choices).unwrap(), resumed.report(&choices).unwrap());
    assert_eq!(a, b);
    assert_eq!(whole.now.as_ref().unwrap().sums.images, 32);
    // An epoch that begins after what was saved begins with no sums.
    let mut next = Supernet::new(&space, &splits, &loader, settings(1));
    next.enter(&stage).unwrap();
    next.load(&path, At { epoch: 1, ..at(0) }, serde_json::from_str(&running).unwrap()).unwrap();
    assert_eq!(next.now.as_ref().unwrap().sums.images, 0);
    for ((name, a), (_, b)) in tensors(&whole).iter().zip(&tensors(&resumed)) {
        assert!(a.equal(b), "{name}");
    }
}

#[test]
fn weights_that_are_not_finite_are_not_kept() {
    let space = space();
    let data = dataset();
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.safetensors");
    let mut supernet = Supernet::new(&space, &splits, &loader, settings(1));
    supernet.enter(&Stage::Operators { widths: space.first().widths }).unwrap();
    let weight = supernet.now.as_ref().unwrap().net.parameters().pop().unwrap();
    let _ = tch::no_grad(|| weight.shallow_clone().fill_(f64::INFINITY));
    let message = supernet.save(&path).unwrap_err().to_string();
    assert!(message.starts_with("tensor `classifier.") && message.ends_with("` is not finite"), "{message}");
    assert!(!path.exists());
}

mod allocated {
    use proptest::prelude::*;

    use super::*;
    use crate::search::Elastic;
    use crate::search::allocation::Resize;

    fn allocated(seed: u64) -> SupernetSettings {
        SupernetSettings { sizes: Sizes::Allocated, ..settings(seed) }
    }

    /// A chain of separable and plain convolutions and a bottleneck, a flattened map at its end.
    const CHAIN: &str = "
stem: [{ conv: { kernel: 3, width: 6, stride: 4 } }]
body:
  chain:
    candidates: [{ separable: { kernel: 3 } }, { inverted-bottleneck: { kernel: 3, expansion: 2, squeeze-excitation: 0.5 } }, { conv: { kernel: 3 } }]
    stages:
      - { layers: 2, width: { min: 2, max: 8, step: 3 } }
      - { layers: 2, stride: 2, width: { min: 2, max: 8, step: 3 }, width-per: layer }
classifier: flatten
";

    fn spaces() -> [Space; 3] {
        [SPACE, CONCATENATION, CHAIN].map(read)
    }

    fn operators(space: &Space, offset: usize) -> Architecture {
        let mut architecture = space.first();
        for (place, choice) in space.operators.iter().enumerate().filter(|(_, choice)| choice.candidates.len() > 1) {
            // Never `zero`, the last where there is one.
            architecture.operators[place] = (place + offset) % (choice.candidates.len() - 1);
        }
        architecture
    }

    fn logits(supernet: &Supernet<'_>, widths: &[usize], architecture: &Architecture) -> Vec<f64> {
        let now = supernet.now.as_ref().unwrap();
        let architecture = Architecture { widths: widths.to_vec(), ..architecture.clone() };
        let choices = one_hot(supernet.space, &architecture, Paths::ONE);
        let mixing = Mixing::new(supernet.space, &now.net, &choices, Differentiated::Not, Device::Cpu).unwrap();
        let images = Tensor::arange(4 * 3 * 32 * 32, (Kind::Float, Device::Cpu)).sin().view([4, 3, 32, 32]);
        let logits = now.net.forward(supernet.space, &images, &mixing).unwrap().logits;
        Vec::try_from(logits.detach().flatten(0, -1).to_kind(Kind::Double)).unwrap()
    }

    #[test]
    fn tensors_are_as_large_as_is_said_and_the_logits_those_of_the_network() {
        for space in &spaces() {
            let (data, seed) = (dataset(), 3);
            let splits = splits(&data);
            let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
            let mut supernet = Supernet::new(space, &splits, &loader, allocated(seed));
            let architecture = operators(space, 0);
            supernet.enter(&Stage::Widths { operators: architecture.operators.clone() }).unwrap();
            let tops: Vec<usize> = space.widths.iter().map(|choice| choice.options.len().min(2) - 1).collect();
            let narrowest = supernet.allocated();
            supernet.allocate(&tops).unwrap();
            let bytes = supernet.allocated();
            assert!(narrowest < bytes);
            let network = space.derive(&Architecture { widths: tops.clone(), ..architecture.clone() }).unwrap();
            let module = Module::new(&network, Device::Cpu, 1).unwrap();
            let values: i64 = module.parameters().iter().map(|p| p.numel() as i64).sum();
            assert_eq!(bytes.0, 12 * values.unsigned_abs(), "every edge runs");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        /// 8 x 3 x 42 resizes, weight steps in between.
        #[test]
        fn random_resizes_change_nothing_at_the_former_widths(
            draws in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 42),
            offset in 0usize..3,
            channels_last in any::<bool>(),
        ) {
            let data = dataset();
            let splits = splits(&data);
            let layout = if channels_last { Layout::ChannelsLast } else { Layout::Contiguous };
            let loader = Loader::new(&data, Augment::NONE, layout).unwrap();
            for space in &spaces() {
                let mut supernet = Supernet::new(space, &splits, &loader, SupernetSettings { layout, ..allocated(3) });
                let architecture = operators(space, offset);
                supernet.enter(&Stage::Widths { operators: architecture.operators.clone() }).unwrap();
                let mut sizes = vec![0; space.widths.len()];
                supernet.allocate(&sizes).unwrap();
                let searched: Vec<usize> = (0..sizes.len()).filter(|&w| space.widths[w].options.len() > 1).collect();
                for (step, (width, option)) in (0u32..).zip(&draws) {
                    let width = searched[width.index(searched.len())];
                    let to = option.index(space.widths[width].options.len());
                    let at = At { stage: 1, epoch: 0, step: step % 4 };
                    let mut both = sizes.clone();
                    both[width] = both[width].min(to);
                    let before = logits(&supernet, &both, &architecture);
                    supernet.resize(Resize { width, from: sizes[width], to }, at).unwrap();
                    sizes[width] = to;
                    prop_assert_eq!(&before, &logits(&supernet, &both, &architecture));

                    let now = supernet.now.as_ref().unwrap();
                    let fresh = Net::new(space, &now.entered, Some(sizes.clone()), Device::Cpu, 9).unwrap();
                    let shapes = |tensors: &[Tensor]| tensors.iter().map(Tensor::size).collect::<Vec<_>>();
                    prop_assert_eq!(shapes(&now.net.parameters()), shapes(&fresh.parameters()));
                    prop_assert_eq!(shapes(now.sgd.momentum()), shapes(&fresh.parameters()));
                    if step % 5 == 0 {
                        let whole = Architecture { widths: sizes.clone(), ..architecture.clone() };
                        supernet.weight_step(&one_hot(space, &whole, Paths::ONE), at, 0.05).unwrap();
                    }
                }
            }
        }
    }

    #[test]
    fn a_probe_is_the_mean_loss_on_batches_and_changes_nothing() {
        let space = space();
        let data = dataset();
        let splits = splits(&data);
        let loader = Loader::new(&data, Augment::STANDARD, Layout::Contiguous).unwrap();
        let mut supernet = Supernet::new(&space, &splits, &loader, allocated(3));
        let architecture = operators(&space, 0);
        supernet.enter(&Stage::Widths { operators: architecture.operators.clone() }).unwrap();
        let tops: Vec<usize> = space.widths.iter().map(|choice| choice.options.len() - 1).collect();
        supernet.allocate(&tops).unwrap();
        let at = At { stage: 1, epoch: 0, step: 3 };
        let choices = |option: usize| {
            let widths = tops.iter().map(|&top| option.min(top)).collect();
            one_hot(&space, &Architecture { widths, ..architecture.clone() }, Paths::ONE)
        };
        let tensors = |supernet: &Supernet<'_>| -> Vec<Vec<f64>> {
            let all = supernet.now.as_ref().unwrap().net.tensors();
            all.iter().map(|(_, t)| Vec::try_from(t.detach().flatten(0, -1).to_kind(Kind::Double)).unwrap()).collect()
        };
        let before = tensors(&supernet);
        let [narrow, wide] = [0, 2].map(choices);
        let losses = supernet.probe(&[narrow.clone(), wide.clone(), narrow], 2, at).unwrap();
        assert_eq!(losses[0], losses[2], "one width on the same batches");
        assert_ne!(losses[0], losses[1]);
        assert_eq!(supernet.probe(std::slice::from_ref(&wide), 2, at).unwrap(), [losses[1]]);
        assert_eq!(before, tensors(&supernet));
        // By hand: the mean over the two batches that the draws name.
        let now = supernet.enter_epoch(at).unwrap();
        let selection = &now.epoch.as_ref().unwrap().2;
        let mixing = Mixing::new(&space, &now.net, &wide, Differentiated::Not, Device::Cpu).unwrap();
        let loss = |number: u64| {
            let place = mix(&[3, 1, 0, 3, number]) % selection.batches() as u64;
            let batch = selection.batch(usize::try_from(place).unwrap()).unwrap();
            tch::no_grad(|| supernet.loss(&now.net, &batch, &mixing)).unwrap().0.double_value(&[])
        };
        assert!((losses[1] - (loss(0) + loss(1)) / 2.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_kept_of_sizes_is_read_back() {
        let space = read(CONCATENATION);
        let data = dataset();
        let splits = splits(&data);
        let loader = Loader::new(&data, Augment::STANDARD, Layout::Contiguous).unwrap();
        let architecture = operators(&space, 1);
        let stage = Stage::Widths { operators: architecture.operators.clone() };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.safetensors");
        let at = |step| At { stage: 1, epoch: 0, step };
        let sizes: Vec<usize> = space.widths.iter().map(|choice| (choice.options.len() - 1).min(1)).collect();
        let step = |supernet: &mut Supernet<'_>, number| {
            let all = Architecture { widths: sizes.clone(), ..architecture.clone() };
            supernet.weight_step(&one_hot(&space, &all, Paths::ONE), at(number), 0.05).unwrap();
        };

        let mut whole = Supernet::new(&space, &splits, &loader, allocated(3));
        whole.enter(&stage).unwrap();
        whole.allocate(&vec![0; sizes.len()]).unwrap();
        for (width, &to) in sizes.iter().enumerate().filter(|(_, to)| **to > 0) {
            whole.resize(Resize { width, from: 0, to }, at(0)).unwrap();
        }
        step(&mut whole, 0);
        let sums = whole.save(&path).unwrap();
        step(&mut whole, 1);

        let mut resumed = Supernet::new(&space, &splits, &loader, allocated(3));
        resumed.enter(&stage).unwrap();
        resumed.allocate(&sizes).unwrap();
        resumed.load(&path, at(1), sums).unwrap();
        step(&mut resumed, 1);
        assert_eq!(logits(&whole, &sizes, &architecture), logits(&resumed, &sizes, &architecture));
    }
}
