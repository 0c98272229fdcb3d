use tch::Device;

use super::*;
use crate::data::{Dataset, SplitSizes, shapes};
use crate::load;
use crate::network::Shape;
use crate::nn::{Module, Phase};
use crate::search::{Paths, Schedule};
use crate::space::Architecture;
use crate::space::file::{Setting, SpaceFile};

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

fn space() -> Space {
    let file: SpaceFile = load::parse(SPACE, "space").unwrap();
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
            Some(size.iter().enumerate().fold(wide?.detach(), |t, (dim, &n)| t.narrow(dim as i64, 0, n)))
        })
        .unwrap();
    module
}

#[test]
fn hard_masks_give_the_logits_of_the_sliced_network() {
    let space = space();
    let images = Tensor::randn([4, 3, 32, 32], (Kind::Float, Device::Cpu));
    for (operators, offset) in [([0, 1, 2], 0), ([2, 3, 1], 1), ([1, 2, 4], 2), ([3, 0, 3], 1)] {
        let architecture = architecture(&space, operators, |place| place + offset);
        for stage in [Stage::Widths { operators: architecture.operators.clone() }, Stage::Whole] {
            let net = Net::new(&space, &stage, Device::Cpu, 5).unwrap();
            let choices = one_hot(&space, &architecture, Paths::Sampled);
            let mixing = Mixing::constant(&space, &net, &choices, Device::Cpu).unwrap();
            let masked = net.forward(&space, &images, &mixing);
            let exact = sliced(&space, &net, &architecture).run(&images, Phase::Batch);
            let difference = (masked - exact).abs().max().double_value(&[]);
            assert!(difference < 1e-4, "{operators:?}, {stage:?}: {difference}");
        }
    }
}

#[test]
fn the_gradient_of_a_mixture_is_its_central_difference() {
    let space = space();
    let (data, seed) = (dataset(), 3);
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::NONE, Layout::Contiguous).unwrap();
    let mut supernet = Supernet::new(&space, &splits, &loader, settings(seed));
    let at = At { stage: 1, epoch: 0, step: 0 };
    let chosen = architecture(&space, [0, 1, 2], |place| place);
    supernet.enter(&Stage::Widths { operators: chosen.operators.clone() }).unwrap();
    let mut choices = Choices { weights: Probabilities::uniform(&space), paths: Paths::Full };
    choices.weights.operators = Probabilities::one_hot(&space, &chosen).operators;
    let answer = supernet.evaluate(&choices, at).unwrap();
    for width in (0..space.widths.len()).filter(|&w| space.widths[w].options.len() > 1).step_by(2) {
        let mut at_offset = |offset: f64| {
            let mut moved = choices.clone();
            moved.weights.widths[width][1] += offset;
            supernet.evaluate(&moved, at).unwrap().loss
        };
        // A small step: the kinks of ReLU behind batch norms of a small batch bend the loss within a hundredth.
        let difference = (at_offset(1e-3) - at_offset(-1e-3)) / 2e-3;
        let gradient = answer.gradient.widths[width][1];
        assert!((difference - gradient).abs() < 2e-3 + 0.05 * gradient.abs(), "{width}: {difference} {gradient}");
    }
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
    let choices = one_hot(&space, &chosen, Paths::Sampled);
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
    let (alone, all) = (ask(Paths::One), ask(Paths::Sampled));
    assert!((alone.loss - all.loss).abs() < 1e-6);
    for ((alone, all), &chosen) in alone.gradient.operators.iter().zip(&all.gradient.operators).zip(&chosen.operators) {
        for (place, (alone, all)) in alone.iter().zip(all).enumerate() {
            let wanted = if place == chosen { *all } else { 0.0 };
            assert!((alone - wanted).abs() < 1e-6, "{place}: {alone} is not {wanted}");
        }
    }
}

#[test]
fn a_weight_step_moves_the_drawn_path_alone() {
    let space = space();
    let data = dataset();
    let splits = splits(&data);
    let loader = Loader::new(&data, Augment::STANDARD, Layout::ChannelsLast).unwrap();
    let mut supernet = Supernet::new(&space, &splits, &loader, settings(1));
    let chosen = architecture(&space, [0, 1, 3], |_| 1);
    supernet.enter(&Stage::Operators { widths: chosen.widths.clone() }).unwrap();
    let before: Vec<(String, Tensor)> =
        supernet.now.as_ref().unwrap().net.tensors().into_iter().map(|(n, t)| (n, t.detach().copy())).collect();
    let choices = one_hot(&space, &chosen, Paths::Sampled);
    supernet.weight_step(&choices, At { stage: 0, epoch: 0, step: 0 }, 0.1).unwrap();
    let after = supernet.now.as_ref().unwrap().net.tensors();
    for ((name, old), (_, new)) in before.iter().zip(&after) {
        let edge =
            name.strip_prefix("edge").and_then(|rest| rest.split('.').next()).and_then(|n| n.parse::<usize>().ok());
        let drawn = edge.is_none_or(|edge| {
            let operator = space.edges[edge].operator.0;
            name.contains(&format!("candidate{:03}", chosen.operators[operator]))
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
    let choices = one_hot(&space, &cut, Paths::Sampled);
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
    let choices = one_hot(&space, &chosen, Paths::Sampled);
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
