//! Joins that project: masks behind candidates, and no projections.

use super::*;
use crate::nn::fit_channels;

/// The space of these tests with joins that project: in a cell each edge has a width of its own.
fn projecting() -> Space {
    read(&SPACE.replace("    width:", "    join: project\n    width:"))
}

fn width(space: &Space, name: &str) -> usize {
    space.widths.iter().position(|choice| choice.name == name).unwrap()
}

/// The choices for the shared edges, and 2, 5 or 8 channels of every width by its place.
fn chosen(space: &Space, operators: [usize; 3], offset: usize) -> Architecture {
    architecture(space, operators, |place| place + offset)
}

#[test]
fn hard_masks_give_the_logits_of_the_sliced_network_where_nothing_is_projected() {
    let space = projecting();
    let images = Tensor::randn([4, 3, 32, 32], (Kind::Float, Device::Cpu));
    for (operators, offset) in [([0, 1, 2], 0), ([2, 3, 1], 1), ([1, 2, 4], 2), ([3, 0, 3], 0), ([1, 1, 1], 1)] {
        let mut architecture = chosen(&space, operators, 0);
        // One width for all: no branch is narrower than another.
        architecture.widths.iter_mut().zip(&space.widths).for_each(|(w, c)| *w = offset % c.options.len());
        let network = space.derive(&architecture).unwrap();
        assert!(!network.nodes().any(|(_, node)| node.name.contains("/project/")));
        for stage in [Stage::Widths { operators: architecture.operators.clone() }, Stage::Whole] {
            let net = Net::new(&space, &stage, None, Device::Cpu, 5).unwrap();
            let exact = sliced(&space, &net, &architecture).run(&images, Phase::Batch);
            for differentiated in [Differentiated::ByWidths, Differentiated::Not] {
                let choices = one_hot(&space, &architecture, Paths::ONE);
                let mixing = Mixing::new(&space, &net, &choices, differentiated, Device::Cpu).unwrap();
                assert!(mixing.channels.is_none());
                let logits = net.forward(&space, &images, &mixing).unwrap().logits;
                let difference = (&logits - &exact).abs().max().double_value(&[]);
                assert!(difference < 1e-4, "{operators:?}, {stage:?}, {differentiated:?}: {difference}");
            }
        }
    }
}

#[test]
fn a_join_is_open_as_far_as_its_widest_live_branch() {
    let space = projecting();
    // t1 is a convolution; into t2 come an identity of it and a convolution, then nothing and a convolution.
    for (operators, live) in [([0, 3, 0], ["t1/a", "t2/a"].as_slice()), ([0, 4, 0], &["t2/a"]), ([0, 3, 4], &["t1/a"])]
    {
        for offset in 0..3 {
            let architecture = chosen(&space, operators, offset);
            let channels = space.channels_of(&architecture);
            let stage = Stage::Widths { operators: architecture.operators.clone() };
            let net = Net::new(&space, &stage, None, Device::Cpu, 5).unwrap();
            let choices = one_hot(&space, &architecture, Paths::ONE);
            let mixing = Mixing::new(&space, &net, &choices, Differentiated::ByWidths, Device::Cpu).unwrap();
            let join = space.joins.iter().find(|join| join.name == "cell0/t2").unwrap();
            let slot = space.slot(join.width);
            let own = live.iter().map(|name| width(&space, &format!("cell0/{name}")));
            let widest = own.map(|place| space.widths[place].options[architecture.widths[place]]).max().unwrap();
            assert_eq!(channels[slot], widest);
            let mask = Vec::<f32>::try_from(mixing.masks[slot].as_ref().unwrap()).unwrap();
            let wanted: Vec<f32> = (0..8).map(|channel| f32::from(u8::from(channel < widest))).collect();
            assert_eq!(mask, wanted, "{operators:?} {offset}");
        }
    }
}

#[test]
fn a_mixture_of_widths_opens_a_channel_as_far_as_any_branch_does() {
    let space = projecting();
    let architecture = chosen(&space, [0, 0, 0], 0);
    let net =
        Net::new(&space, &Stage::Widths { operators: architecture.operators.clone() }, None, Device::Cpu, 5).unwrap();
    let mut choices = one_hot(&space, &architecture, Paths::Full);
    choices.weights.widths[width(&space, "cell0/t2/t1")] = vec![0.5, 0.25, 0.25];
    choices.weights.widths[width(&space, "cell0/t2/a")] = vec![0.2, 0.6, 0.2];
    let mixing = Mixing::new(&space, &net, &choices, Differentiated::ByWidths, Device::Cpu).unwrap();
    let join = space.joins.iter().find(|join| join.name == "cell0/t2").unwrap();
    let mask = Vec::<f32>::try_from(mixing.masks[space.slot(join.width)].as_ref().unwrap()).unwrap();
    // Channels 0 and 1 of both; 2 to 4: 1 - (1 - 0.5) (1 - 0.8); 5 to 7: 1 - (1 - 0.25) (1 - 0.2).
    for (found, wanted) in mask.iter().zip([1.0, 1.0, 0.9, 0.9, 0.9, 0.4, 0.4, 0.4]) {
        assert!((found - wanted).abs() < 1e-6, "{mask:?}");
    }
}

#[test]
fn every_branch_is_masked_behind_its_candidate_and_added_without_a_projection() {
    let space = projecting();
    let architecture = chosen(&space, [0, 0, 3], 1);
    let net =
        Net::new(&space, &Stage::Widths { operators: architecture.operators.clone() }, None, Device::Cpu, 5).unwrap();
    let choices = one_hot(&space, &architecture, Paths::ONE);
    // A pass that keeps its joins' values.
    let mixing = Mixing::new(&space, &net, &choices, Differentiated::ByOperators, Device::Cpu).unwrap();
    let images = Tensor::randn([2, 3, 32, 32], (Kind::Float, Device::Cpu));
    let pass = net.forward(&space, &images, &mixing).unwrap();
    let value =
        |name: &str| pass.values[space.joins.iter().position(|join| join.name == name).unwrap()].as_ref().unwrap();
    let own = space.widths[width(&space, "cell0/t2/t1")].options[architecture.widths[width(&space, "cell0/t2/t1")]];
    let branch = value("cell0/t2/t1");
    assert_eq!(branch.size()[1], 8);
    let closed = branch.narrow(1, own.cast_signed(), 8 - own.cast_signed());
    assert_eq!(closed.abs().sum(Kind::Float).double_value(&[]), 0.0);
    // The identity is its source, however wide.
    assert!(value("cell0/t2/a").equal(value("cell0/a")));
    assert!(value("cell0/t2").equal(&(branch + value("cell0/t2/a"))));
    assert!(!net.tensors().iter().any(|(name, _)| name.contains("project")));
}

#[test]
fn narrower_tensors_stand_in_the_first_channels_of_a_join() {
    // The stem has 6 channels, what is chosen 8 and more: an identity of it fills 6 of 14.
    let text = SPACE.replace(
        "    width: { min: 2, max: 8, step: 3 }",
        "    join: project\n    width: { min: 8, max: 14, step: 6 }",
    );
    let space = read(&text.replace("    preprocess: { kernel: 3 }\n", ""));
    let architecture = chosen(&space, [3, 0, 3], 1);
    let net = Net::new(&space, &Stage::Whole, None, Device::Cpu, 5).unwrap();
    let choices = one_hot(&space, &architecture, Paths::ONE);
    let mixing = Mixing::new(&space, &net, &choices, Differentiated::ByOperators, Device::Cpu).unwrap();
    let images = Tensor::randn([2, 3, 32, 32], (Kind::Float, Device::Cpu));
    let pass = net.forward(&space, &images, &mixing).unwrap();
    let place = |name: &str| space.joins.iter().position(|join| join.name == name).unwrap();
    let stem = pass.values[place("layer0")].as_ref().unwrap();
    let branch = pass.values[place("cell0/t2/a")].as_ref().unwrap();
    assert!(branch.equal(&fit_channels(stem, 14)));
}

#[test]
fn the_gradient_of_a_mixture_of_branches_is_its_central_difference() {
    for operators in [[0, 1, 2], [2, 3, 1], [1, 2, 4], [0, 3, 3]] {
        check_width_gradient(&projecting(), operators);
    }
}

#[test]
fn the_gradient_by_an_operator_of_a_branch_is_that_of_the_naive_sum_whether_it_ran_or_not() {
    let space = projecting();
    check_operator_gradient(&space, [1, 2, 5].map(|count| several(&space, count)));
    // Nothing comes out of the input into t2: what would bring that branch back has the gradient of t2.
    let cut = one_hot(&space, &chosen(&space, [0, 1, 4], 0), Paths::ONE);
    let [gradient] = check_operator_gradient(&space, [cut]);
    let back = space.operators.iter().position(|choice| choice.name == "t2/a").unwrap();
    assert!(gradient.operators[back][..4].iter().all(|&slope| slope != 0.0), "{:?}", gradient.operators[back]);
}
