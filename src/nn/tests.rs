use super::*;

fn module(nodes: &str, input: &str) -> Module {
    let text = format!("version: 1\nname: n\ninput: {input}\nnodes:\n{nodes}");
    Module::new(&Network::parse(&text, "n").unwrap(), Device::Cpu, 7).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.flatten(0, -1).to_kind(Kind::Double)).unwrap()
}

#[test]
fn every_operator_gives_the_shape_that_the_network_says() {
    let network = Network::parse(crate::network::EVERY_OPERATOR, "n").unwrap();
    let module = Module::new(&network, Device::Cpu, 7).unwrap();
    let input = Tensor::ones([2, 3, 32, 32], (Kind::Float, Device::Cpu));
    for phase in [Phase::Train, Phase::Batch, Phase::Evaluate] {
        let mut seen = 0;
        let output = module.forward(&input, phase, |id, value| {
            let wanted: Vec<i64> = module.network().node(id).shape.dims().iter().map(|&d| d.cast_signed()).collect();
            assert_eq!(value.size()[1..], wanted, "{}", module.network().node(id).name);
            seen += 1;
            value
        });
        assert_eq!(seen, module.network().len());
        assert!((output.sum(Kind::Double).double_value(&[]) - 2.0).abs() < 1e-5);
    }
}

#[test]
fn operators_that_are_only_estimated_are_refused_with_their_node() {
    for nodes in crate::network::ONLY_ESTIMATED {
        let text = format!("version: 1\nname: n\ninput: [6, 8, 8]\nnodes:\n{nodes}");
        let error = Module::new(&Network::parse(&text, "n").unwrap(), Device::Cpu, 7).unwrap_err().to_string();
        assert!(error.ends_with("cannot be run or trained, only estimated"), "{error}");
    }
}

#[test]
fn normalisations_leave_no_mean_and_a_deviation_of_1() {
    let x = Tensor::from_slice(&[1.0f32, 3.0, 5.0, 9.0]).view([1, 2, 2]);
    let norm = |op: &str| {
        let nodes = format!("  - {{ name: n, op: {op} }}\n");
        values(&module(&nodes, "[2, 2]").run(&x, Phase::Evaluate))
    };
    let near = |found: Vec<f64>, wanted: [f64; 4]| {
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-3), "{found:?}, not {wanted:?}");
    };
    near(norm("{ layer-norm: { features: 2, affine: scale-and-shift } }"), [-1.0, 1.0, -1.0, 1.0]);
    // Mean 4.5, deviation sqrt((12.25 + 2.25 + 0.25 + 20.25) / 4) = 2.9580
    near(norm("{ layer-norm: { features: 4, affine: none } }"), [-1.1832, -0.5071, 0.1690, 1.5213]);
    // Roots of the mean squares: sqrt(5) and sqrt(53)
    near(norm("{ rms-norm: { features: 2, affine: scale } }"), [0.4472, 1.3416, 0.6868, 1.2362]);
}

#[test]
fn channels_are_cut_or_filled_with_zeros() {
    let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0]).view([1, 3, 1, 1]);
    assert_eq!(values(&fit_channels(&x, 2)), [1.0, 2.0]);
    assert_eq!(values(&fit_channels(&x, 5)), [1.0, 2.0, 3.0, 0.0, 0.0]);
}

#[test]
fn an_average_leaves_padding_out() {
    let module = module("  - { name: p, op: { average-pool: { kernel: 3, stride: 1, padding: 1 } } }\n", "[1, 2, 2]");
    let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 6.0]).view([1, 1, 2, 2]);
    // Every window holds all four values: (1 + 2 + 3 + 6) / 4.
    assert_eq!(values(&module.run(&x, Phase::Evaluate)), [3.0; 4]);
}

#[test]
fn running_statistics_learn_in_training_only() {
    let module = module("  - { name: b, op: batch-norm }\n", "[1, 1, 2]");
    let x = Tensor::from_slice(&[1.0f32, 3.0]).view([1, 1, 1, 2]);
    let mean = || values(&module.tensors().find(|(name, _)| *name == "b.running_mean").unwrap().1)[0];
    let _ = module.run(&x, Phase::Batch);
    let _ = module.run(&x, Phase::Evaluate);
    assert_eq!(mean(), 0.0);
    let _ = module.run(&x, Phase::Train);
    assert!((mean() - 0.2).abs() < 1e-7); // 0.9 * 0 + 0.1 * 2
}

#[test]
fn equal_seeds_give_equal_tensors_and_loading_copies_them() {
    let text = "  - { name: c, op: { conv2d: { out-channels: 4, kernel: 3 } } }\n  - { name: b, op: batch-norm }\n";
    let (a, b) = (module(text, "[3, 8, 8]"), module(text, "[3, 8, 8]"));
    for ((name, x), (_, y)) in a.tensors().zip(b.tensors()) {
        assert!(x.equal(&y), "{name}");
    }
    let mut other = Module::new(a.network(), Device::Cpu, 8).unwrap();
    let kept: Vec<(String, Tensor)> = a.tensors().map(|(name, t)| (name.to_owned(), t)).collect();
    let find = |name: &str| kept.iter().find(|(n, _)| n == name).map(|(_, t)| t.shallow_clone());
    assert!(!other.tensors().next().unwrap().1.equal(&kept[0].1));
    other.load(find).unwrap();
    assert!(other.tensors().next().unwrap().1.equal(&kept[0].1));
    assert_eq!(other.load(|_| None).unwrap_err().to_string(), "tensor `c.weight`: missing");
}
