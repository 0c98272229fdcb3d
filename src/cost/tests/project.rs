//! Joins that project.

use super::*;

/// Cells of three edges; two of them meet in the second node.
fn projecting(operators: &str, sharing: &str, count: usize) -> Space {
    let text = CELLS.replace("OPERATORS", operators).replace("SHARING", sharing).replace("COUNT", &count.to_string());
    space(&text.replace("    width:", "    join: project\n    width:"))
}

/// One cell of six edges, three of which meet in the third node.
fn of_three() -> Space {
    let text = CELLS.replace("SHARING", "own").replace("COUNT", "1").replace("OPERATORS", "[conv: { kernel: 3 }]");
    let text = text.replace("[t1, a] }\n", "[t1, a] }\n      - { name: t3, from: [t2, t1, a] }\n");
    space(&text.replace("    width:", "    join: project\n    width:"))
}

/// Mean cycles, MACs and parameters over all architectures whose output is reached.
fn enumerated(space: &Space, at: &Probabilities, accelerator: &Accelerator) -> [f64; 3] {
    let target = Target { batch: 2, ..Target::of(accelerator) };
    let (mut sums, mut reached) = ([0.0; 3], 0.0);
    for architecture in all_architectures(space) {
        let Ok(network) = space.derive(&architecture) else { continue };
        let total = estimate::network(&network, &target).unwrap().total;
        let probability = probability(at, &architecture);
        reached += probability;
        let values = [total.cycles.0 as f64, total.macs.0 as f64, total.params as f64];
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += probability * value);
    }
    sums.map(|sum| sum / reached)
}

fn expected(model: &CostModel, at: &Probabilities) -> [f64; 3] {
    [model.expect(at).cycles, model.expect(at).macs, model.metric(Metric::Params, at).value]
}

#[test]
fn where_every_branch_chooses_its_width_the_expectation_is_that_of_all_architectures() {
    // Two candidates on 3 shared edges, 6 edges of 3 widths: 2^3 * 3^6 = 5,832; one on 6 edges: 3^6.
    let operators = "[conv: { kernel: 1 }, separable: { kernel: 3 }]";
    for (space, architectures) in [(projecting(operators, "shared", 2), 5_832), (of_three(), 729)] {
        assert_eq!(all_architectures(&space).len(), architectures);
        for accelerator in [accelerator(), Accelerator { vector: Some(SLOW_VECTOR), ..slow() }] {
            let target = Target { batch: 2, ..Target::of(&accelerator) };
            let model = CostModel::new(&space, &target, CostKind::Expected).unwrap();
            assert!(model.is_exact());
            let at = interior(&space, 7);
            for (given, wanted) in expected(&model, &at).into_iter().zip(enumerated(&space, &at, &accelerator)) {
                assert!((given - wanted).abs() <= 1e-9 * wanted, "{given} is not {wanted}");
            }
        }
    }
}

#[test]
fn a_projection_is_paid_where_another_branch_is_wider() {
    // t2 of 6, 10 and 14 channels out of t1 and out of the stem, each with the probabilities p and q.
    let space = projecting("[conv: { kernel: 1 }]", "own", 1);
    let model = model(&space, CostKind::Expected);
    let mut at = Probabilities::one_hot(&space, &space.first());
    let width = |name: &str| space.widths.iter().position(|choice| choice.name == name).unwrap();
    let (p, q) = ([0.5, 0.25, 0.25], [0.125, 0.25, 0.625]);
    at.widths[width("cell0/t2/t1")] = p.to_vec();
    at.widths[width("cell0/t2/a")] = q.to_vec();
    // Parameters: 1x1 from 6 and from 5, a batch norm each; a projection from a to b with its batch norm; the classifier
    // behind 8 x 8 pixels of the widest.
    let (mut wanted, stem, t1) = (0.0, 3 * 9 * 5 + 2 * 5, 5 * 6 + 2 * 6);
    for (a, p) in [6, 10, 14].into_iter().zip(p) {
        for (b, q) in [6, 10, 14].into_iter().zip(q) {
            let most = a.max(b);
            let project = |from: u64| if from < most { from * most + 2 * most } else { 0 };
            let edges = 6 * a + 2 * a + 5 * b + 2 * b + project(a) + project(b);
            wanted += p * q * (stem + t1 + edges + 64 * most * 10 + 10) as f64;
        }
    }
    let given = model.metric(Metric::Params, &at).value;
    assert!((given - wanted).abs() <= 1e-12 * wanted, "{given} is not {wanted}");
}

/// Largest relative error of cycles, MACs and parameters at eight points, against all architectures.
fn largest_error(operators: &str, sharing: &str, count: usize) -> f64 {
    // Widths of 6 and 10.
    let text = CELLS.replace("OPERATORS", operators).replace("max: 14", "max: 10");
    let text = text.replace("SHARING", sharing).replace("COUNT", &count.to_string());
    let space = space(&text.replace("    width:", "    join: project\n    width:"));
    let model = model(&space, CostKind::Expected);
    assert!(!model.is_exact());
    let mut most: f64 = 0.0;
    for seed in 0..8 {
        let at = interior(&space, seed);
        let exact = enumerated(&space, &at, &accelerator());
        for (given, wanted) in expected(&model, &at).into_iter().zip(exact) {
            most = most.max((given - wanted).abs() / wanted);
        }
    }
    most
}

#[test]
fn between_one_hot_choices_cuts_and_copies_are_approximate() {
    let all = "[conv: { kernel: 3 }, identity, zero]";
    // In one cell of these edges no two branches have anything in common.
    assert!(largest_error(all, "own", 1) < 1e-9);
    // Where cells share their choices, 3^3 * 2^6 architectures.
    let cuts = largest_error("[conv: { kernel: 3 }, zero]", "shared", 2);
    let copies = largest_error("[conv: { kernel: 3 }, identity]", "shared", 2);
    let both = largest_error(all, "shared", 2);
    assert!(cuts > 1e-6 && copies > 1e-6 && cuts.max(copies).max(both) < 0.1, "{cuts} {copies} {both}");
}

#[test]
fn gradients_of_projections_agree_with_central_differences() {
    check_gradients(&projecting("[conv: { kernel: 3 }, separable: { kernel: 3 }]", "shared", 2));
    check_gradients(&projecting("[conv: { kernel: 3 }, average-pool: { kernel: 3 }, identity, zero]", "shared", 2));
    check_gradients(&projecting("[conv: { kernel: 3 }, identity, zero]", "own", 1));
    check_gradients(&of_three());
}

#[test]
fn every_metric_and_formula_of_projections_has_its_gradient() {
    let space = projecting("[conv: { kernel: 3 }, identity, zero]", "own", 1);
    let mut accelerator = slow();
    accelerator.vector = Some(SLOW_VECTOR);
    let target = Target { batch: 2, ..Target::of(&accelerator) };
    let at = interior(&space, 3);
    let model = CostModel::new(&space, &target, CostKind::Expected).unwrap();
    for metric in [Metric::Utilization, Metric::Params, Metric::PeakActivationKib] {
        let valued = model.metric(metric, &at);
        check_gradient(&at, &valued.gradient, |p| model.metric(metric, p).value);
    }
    for sums in [Sums::Network, Sums::Paper] {
        for kind in [CostKind::SmoothCeil, CostKind::Roofline] {
            let model = CostModel::new(&space, &target, Pricing { kind, sums, lookup: None }).unwrap();
            let hardware = model.hardware(&at);
            // The smooth ceiling bends sharply: a small step.
            let latency = |p: &Probabilities| model.hardware(p).latency_ms;
            check_gradient_by(1e-6, &at, &hardware.latency_gradient, latency);
            check_gradient_by(1e-6, &at, &hardware.utilization_gradient, |p| model.hardware(p).utilization);
        }
    }
}

#[test]
fn formulas_count_a_projection_and_the_sums_of_the_paper_none() {
    let space = projecting("[conv: { kernel: 1 }]", "own", 1);
    let width = |name: &str| space.widths.iter().position(|choice| choice.name == name).unwrap();
    let at = |option: usize| {
        let mut chosen = space.first();
        (chosen.widths[width("cell0/t2/t1")], chosen.widths[width("cell0/t2/a")]) = (option, 2);
        Probabilities::one_hot(&space, &chosen)
    };
    let accelerator = accelerator();
    let target = Target { batch: 1, ..Target::of(&accelerator) };
    let table = Lookup::of(&space, &target).unwrap();
    for (kind, sums) in
        [(CostKind::SmoothCeil, Sums::Network), (CostKind::Lookup, Sums::Network), (CostKind::SmoothCeil, Sums::Paper)]
    {
        let model = CostModel::new(&space, &target, Pricing { kind, sums, lookup: Some(&table) }).unwrap();
        let cycles = |option: usize| model.hardware(&at(option)).latency_ms / accelerator.clock.milliseconds_of(1.0);
        // From 6 channels in 2 column tiles of 4, then to 14 in 4: 2 row tiles each; at 14 no projection. On 64 pixels: 2 x 2
        // tiles and a projection of 2 x 4 against 2 x 4.
        let (narrow, wide) = (cycles(0), cycles(2));
        match (kind, sums) {
            (CostKind::SmoothCeil, Sums::Paper) => assert!(narrow < wide, "{narrow} {wide}"),
            _ => assert!(narrow > 1.05 * wide, "{kind:?} {narrow} {wide}"),
        }
    }
}

#[test]
fn at_one_hot_choices_every_metric_is_the_estimators() {
    let all = "[conv: { kernel: [1, 3] }, separable: { kernel: 3 }, average-pool: { kernel: 3 }, identity, zero]";
    for sharing in ["shared", "own"] {
        let space = projecting(all, sharing, 2);
        let mut with_memory = Accelerator { vector: Some(SLOW_VECTOR), ..slow() };
        with_memory.memory.activation_capacity = Some(Bytes(2000));
        for accelerator in [accelerator(), Accelerator { vector: Some(SLOW_VECTOR), ..slow() }, with_memory] {
            let target = Target { batch: 2, ..Target::of(&accelerator) };
            let model = CostModel::new(&space, &target, CostKind::Expected).unwrap();
            let mut stream = ChaCha8Rng::seed_from_u64(9);
            let mut reached = 0;
            while reached < 200 {
                let architecture = random_architecture(&space, &mut stream);
                let Ok(network) = space.derive(&architecture) else { continue };
                reached += 1;
                let estimate = estimate::network(&network, &target).unwrap();
                let at = Probabilities::one_hot(&space, &architecture);
                for metric in Metric::ALL {
                    let (found, wanted) = (model.metric(metric, &at).value, exact(metric, &estimate));
                    assert_eq!(found, wanted, "{metric:?} {architecture:?}");
                }
            }
        }
    }
}

#[test]
fn a_bound_on_a_metric_holds_over_projections() {
    check_bounds(&projecting("[conv: { kernel: 3 }, average-pool: { kernel: 3 }, identity, zero]", "shared", 2));
    check_bounds(&of_three());
}

#[test]
fn what_a_width_settles_is_the_metric_with_that_width() {
    let space = projecting("[conv: { kernel: 3 }, identity, zero]", "shared", 2);
    let model = model(&space, CostKind::Expected);
    let at = interior(&space, 2);
    let settled = model.settled(Metric::LatencyMs, &at);
    let width = space.widths.iter().position(|choice| choice.name == "cell0/t1/a").unwrap();
    let mut here = at.clone();
    here.widths[width] = vec![0.0, 1.0, 0.0];
    assert_eq!(settled[width][1], model.metric(Metric::LatencyMs, &here).value);
}

#[test]
fn the_extremes_hold_every_architecture() {
    let space = projecting("[conv: { kernel: 1 }, separable: { kernel: 3 }, identity, zero]", "own", 1);
    let accelerator = accelerator();
    let target = Target::of(&accelerator);
    let extent = space.extent(&target).unwrap();
    for architecture in all_architectures(&space) {
        let Ok(network) = space.derive(&architecture) else { continue };
        let cycles = target.network_cost(&network).unwrap().cycles.0;
        assert!((extent.params.smallest..=extent.params.largest).contains(&network.params()), "{architecture:?}");
        assert!((extent.cycles.smallest..=extent.cycles.largest).contains(&cycles), "{architecture:?}");
    }
}
