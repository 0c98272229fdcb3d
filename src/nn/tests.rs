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

mod of_other_widths {
    use proptest::prelude::*;

    use super::*;

    /// A convolution, a separable one, a head: all that counts channels in a tensor.
    fn network(inner: u64, outer: u64) -> Network {
        let text = format!(
            "version: 1
name: n
input: [3, 6, 6]
nodes:
  - {{ name: a, op: {{ conv2d: {{ out-channels: {inner}, kernel: 3, padding: 1 }} }} }}
  - {{ name: b, op: batch-norm }}
  - {{ name: c, op: relu }}
  - {{ name: d, op: {{ conv2d: {{ out-channels: {inner}, kernel: 3, padding: 1, groups: {inner} }} }} }}
  - {{ name: e, op: batch-norm }}
  - {{ name: f, op: {{ conv2d: {{ out-channels: {outer}, kernel: 1, bias: true }} }} }}
  - {{ name: g, op: batch-norm }}
  - {{ name: h, op: flatten }}
  - {{ name: i, op: {{ linear: {{ out-features: 4 }} }} }}
"
        );
        Network::parse(&text, "n").unwrap()
    }

    const IMAGE: [Block; 1] = [Block { from: 0, to: 0, length: 3 }];

    fn images() -> Tensor {
        Tensor::arange(2 * 3 * 36, (Kind::Float, Device::Cpu)).sin().view([2, 3, 6, 6])
    }

    /// Every tensor as it is, by name.
    fn all(module: &Module) -> Vec<(String, Vec<i64>, Vec<f64>)> {
        module.tensors().map(|(name, tensor)| (name.to_owned(), tensor.size(), values(&tensor.detach()))).collect()
    }

    #[test]
    fn a_slice_is_the_network_of_the_first_channels_and_learns_for_the_whole() {
        let wide = Module::new(&network(6, 8), Device::Cpu, 1).unwrap();
        let narrow = network(4, 3);
        let slice = wide.sliced(&narrow, &IMAGE).unwrap();
        let mut own = Module::new(&narrow, Device::Cpu, 2).unwrap();
        let first: Vec<(String, Tensor)> = slice.tensors().map(|(name, t)| (name.to_owned(), t.detach())).collect();
        own.load(|name| first.iter().find(|(n, _)| n == name).map(|(_, t)| t.shallow_clone())).unwrap();
        let output = slice.run(&images(), Phase::Batch);
        assert_eq!(values(&output.detach()), values(&own.run(&images(), Phase::Batch).detach()));

        output.sum(Kind::Float).backward();
        own.run(&images(), Phase::Batch).sum(Kind::Float).backward();
        for (whole, own) in wide.parameters().iter().zip(own.parameters()) {
            let (gradient, wanted) = (whole.grad(), own.grad());
            let mut open = gradient.shallow_clone();
            for (dimension, length) in own.size().into_iter().enumerate() {
                open = open.narrow(dimension as i64, 0, length);
            }
            assert!(open.allclose(&wanted, 1e-4, 1e-5, false));
            let rest = gradient.abs().sum(Kind::Double) - open.abs().sum(Kind::Double);
            assert!(rest.double_value(&[]).abs() < 1e-4, "what is not in the slice has no gradient");
        }
    }

    #[test]
    fn a_slice_is_never_wider_than_the_whole() {
        let wide = Module::new(&network(6, 8), Device::Cpu, 1).unwrap();
        let error = wide.sliced(&network(7, 8), &IMAGE).unwrap_err().to_string();
        assert_eq!(error, "tensor `a.weight`: has 6 along dimension 0, and 7 are asked for");
    }

    #[test]
    fn what_has_grown_does_what_it_did_to_the_bit_on_its_former_channels() {
        let mut before = Module::new(&network(4, 3), Device::Cpu, 1).unwrap();
        let trained = |tensor: &Tensor| {
            tensor + 0.1 * Tensor::arange(tensor.numel() as i64, (Kind::Float, Device::Cpu)).cos().view_as(tensor)
        };
        before.change(trained).unwrap();
        let after = before.resized(&network(7, 5), &IMAGE, 9).unwrap();
        for phase in [Phase::Batch, Phase::Train, Phase::Evaluate] {
            let again = after.sliced(&network(4, 3), &IMAGE).unwrap().run(&images(), phase);
            assert_eq!(values(&before.run(&images(), phase).detach()), values(&again.detach()), "{phase:?}");
        }
        // At its full width nothing that reads the new channels hears of them, but for the order of sums.
        let whole = after.run(&images(), Phase::Batch);
        assert!(whole.allclose(&before.run(&images(), Phase::Batch), 1e-4, 1e-4, false));
        let filters = after.tensors().find(|(name, _)| *name == "a.weight").unwrap().1;
        assert!(filters.narrow(0, 4, 3).abs().min().double_value(&[]) > 0.0, "new filters are drawn");
        assert!(after.parameters().iter().all(|p| p.requires_grad() && p.is_leaf()));
    }

    #[test]
    fn growing_and_shrinking_back_changes_nothing() {
        let before = Module::new(&network(4, 3), Device::Cpu, 1).unwrap();
        let back = before.resized(&network(9, 6), &IMAGE, 9).unwrap().resized(&network(4, 3), &IMAGE, 10).unwrap();
        assert_eq!(all(&before), all(&back));
    }

    #[test]
    fn moments_grow_by_zeros_and_keep_what_they_had() {
        let before = Module::new(&network(4, 3), Device::Cpu, 1).unwrap();
        let moments: Vec<Tensor> = before.parameters().iter().map(|p| p.detach() + 1.0).collect();
        let grown = before.resized_moments(&moments, &network(7, 5), &IMAGE).unwrap();
        let parameters = before.resized(&network(7, 5), &IMAGE, 3).unwrap().parameters();
        for ((moment, old), parameter) in grown.iter().zip(&moments).zip(&parameters) {
            assert_eq!(moment.size(), parameter.size());
            // All that is there is what was there.
            assert_eq!(moment.abs().sum(Kind::Double), old.abs().sum(Kind::Double));
            assert!(!moment.requires_grad());
        }
        let back = before.resized(&network(7, 5), &IMAGE, 3).unwrap().resized_moments(&grown, &network(4, 3), &IMAGE);
        for (moment, old) in back.unwrap().iter().zip(&moments) {
            assert_eq!(values(moment), values(old));
        }
    }

    /// A reader of a concatenation: depthwise, then 1x1, then flat.
    fn reader(channels: u64) -> Network {
        let text = format!(
            "version: 1
name: n
input: [{channels}, 4, 4]
nodes:
  - {{ name: a, op: {{ conv2d: {{ out-channels: {channels}, kernel: 3, padding: 1, groups: {channels} }} }} }}
  - {{ name: b, op: batch-norm }}
  - {{ name: c, op: {{ conv2d: {{ out-channels: 5, kernel: 1 }} }}, inputs: [b] }}
  - {{ name: d, op: flatten, inputs: [b] }}
  - {{ name: e, op: {{ linear: {{ out-features: 4 }} }} }}
  - {{ name: f, op: flatten, inputs: [c] }}
  - {{ name: g, op: {{ linear: {{ out-features: 4 }} }} }}
  - {{ name: h, op: add, inputs: [e, g] }}
"
        );
        Network::parse(&text, "n").unwrap()
    }

    #[test]
    fn a_part_of_a_concatenation_grows_at_its_place() {
        // Two parts of 2 and 3 channels, of which the first grows to 4.
        let mut before = Module::new(&reader(5), Device::Cpu, 1).unwrap();
        before.change(|tensor| tensor + 0.3 * tensor.cos()).unwrap();
        let moved = [Block { from: 0, to: 0, length: 2 }, Block { from: 2, to: 4, length: 3 }];
        let after = before.resized(&reader(7), &moved, 2).unwrap();
        let images = Tensor::arange(2 * 7 * 16, (Kind::Float, Device::Cpu)).sin().view([2, 7, 4, 4]);
        let former = Tensor::cat(&[images.narrow(1, 0, 2), images.narrow(1, 4, 3)], 1);
        let wanted = before.run(&former, Phase::Batch);
        // Nothing reads the new channels, whatever they hold.
        assert!(after.run(&images, Phase::Batch).allclose(&wanted, 1e-4, 1e-5, false));
        // The slice without them is the former module, to the bit.
        let back = moved.map(|Block { from, to, length }| Block { from: to, to: from, length });
        let slice = after.sliced(&reader(5), &back).unwrap();
        assert_eq!(values(&slice.run(&former, Phase::Batch).detach()), values(&wanted.detach()));
        assert_eq!(all(&after.resized(&reader(5), &back, 3).unwrap()), all(&before));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        /// 20 x 50 resizes.
        #[test]
        fn random_resizes_keep_every_shape_and_what_was_never_cut(
            sizes in prop::collection::vec((1u64..12, 1u64..12), 50),
            layout in any::<bool>(),
        ) {
            let mut module = Module::new(&network(5, 5), Device::Cpu, 1).unwrap();
            if layout {
                crate::torch::make_channels_last(&module.parameters()).unwrap();
            }
            let first = module.tensors().find(|(name, _)| *name == "f.weight").unwrap().1.copy();
            let (mut least_in, mut least_out) = (5, 5);
            for (seed, &(inner, outer)) in sizes.iter().enumerate() {
                let network = network(inner, outer);
                module = module.resized(&network, &IMAGE, seed as u64).unwrap();
                (least_in, least_out) = (least_in.min(inner), least_out.min(outer));
                let wanted = Module::new(&network, Device::Cpu, 0).unwrap();
                let shapes = |module: &Module| -> Vec<_> { module.tensors().map(|(n, t)| (n.to_owned(), t.size())).collect() };
                prop_assert_eq!(shapes(&module), shapes(&wanted));
                let block = |t: &Tensor| values(&t.detach().narrow(0, 0, least_out as i64).narrow(1, 0, least_in as i64).contiguous());
                let now = module.tensors().find(|(name, _)| *name == "f.weight").unwrap().1;
                prop_assert_eq!(block(&first), block(&now));
                prop_assert!(module.run(&images(), Phase::Batch).isfinite().all().int64_value(&[]) == 1);
            }
        }
    }
}
