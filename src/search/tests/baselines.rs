//! Other methods on tasks whose best architecture is known.

use std::collections::{HashMap, HashSet};

use super::super::methods::{
    Budget, Costs, Evolution, Judged, Listing, Method, SinglePaths, Verdict, derived, mutated, reaches, uniform,
};
use super::*;

/// No price on the hardware.
const FREE: Objective =
    Objective { form: Form::Linear, lambda: 0.0, beta: 0.0, unit_ms: 1.0, unit_utilization: 1.0, prices: Vec::new() };

fn proposals(number: u32) -> ChaCha8Rng {
    stream(5, Purpose::Proposal, At { stage: 9, epoch: 0, step: number })
}

/// All choices of `small()`, whether or not they reach the output: 3^3 operators, 3 * 2 widths.
fn all() -> Vec<Architecture> {
    (0..27 * 6)
        .map(|n| Architecture { operators: vec![n % 3, n / 3 % 3, n / 9 % 3], widths: vec![0, n / 27 % 3, n / 81] })
        .collect()
}

/// A known best: the number of choices that differ from it is the loss.
fn distance(architecture: &Architecture, best: &Architecture) -> f64 {
    let differ = |a: &[usize], b: &[usize]| a.iter().zip(b).filter(|(a, b)| a != b).count() as f64;
    differ(&architecture.operators, &best.operators) + differ(&architecture.widths, &best.widths)
}

fn judged(architecture: Architecture, loss: f64) -> Judged {
    Judged {
        architecture,
        parent: None,
        verdict: Verdict { loss: Some(loss), accuracy: None, score: None },
        costs: Costs { latency_ms: 1.0, utilization: 0.5, prices: Vec::new(), violation: 0.0 },
        seconds: 2.0,
    }
}

/// Asks and tells until the list is over.
fn finish(listing: &mut Listing<'_>, loss: impl Fn(&Architecture) -> f64) {
    while let Some(proposal) = listing.next(0.0) {
        let entry = judged(proposal.architecture.clone(), loss(&proposal.architecture));
        listing.push(Judged { parent: proposal.parent, ..entry });
    }
}

#[test]
fn draws_are_uniform_over_the_choices_that_reach_the_output() {
    let space = small();
    let reached: Vec<Architecture> = all().into_iter().filter(|a| reaches(&space, a)).collect();
    for architecture in all() {
        assert_eq!(reaches(&space, &architecture), space.derive(&architecture).is_ok(), "{architecture:?}");
    }
    // The edge 0-2 is there (2/3), or it is not and both others are (1/3 * 4/9): 22/27 of 162.
    assert_eq!(reached.len(), 132);
    let mut counts: HashMap<Architecture, u32> = HashMap::new();
    for number in 0..26_400 {
        *counts.entry(uniform(&space, &mut proposals(number)).unwrap()).or_default() += 1;
    }
    assert_eq!(counts.len(), reached.len());
    // 200 of each on average, with a deviation of sqrt(200); the farthest of 132 lies within five.
    for (architecture, count) in counts {
        assert!((f64::from(count) - 200.0).abs() < 5.0 * 200f64.sqrt(), "{architecture:?}: {count}");
    }
}

#[test]
fn a_mutation_changes_one_searched_choice_and_reaches_the_output() {
    let space = small();
    let parent = Architecture { operators: vec![0, 2, 1], widths: vec![0, 1, 0] };
    let mut seen = HashSet::new();
    for number in 0..2_000 {
        let child = mutated(&space, &parent, &mut proposals(number)).unwrap();
        assert_eq!(distance(&child, &parent), 1.0);
        assert!(reaches(&space, &child));
        seen.insert(child);
    }
    // Two others of each operator but `zero` for the first and the third, which are the only way: 1 + 2 + 1; two other
    // widths of the first join and one of the second.
    assert_eq!(seen.len(), 4 + 3);
}

#[test]
fn random_search_tries_every_architecture_once_and_finds_the_best() {
    let space = small();
    let best = Architecture { operators: vec![2, 1, 0], widths: vec![0, 2, 1] };
    let method = Method::Random { budget: Budget::Networks(1_000), epochs: 1 };
    let mut listing = Listing::new(&space, method, 3, FREE);
    finish(&mut listing, |architecture| distance(architecture, &best));
    let tried: HashSet<&Architecture> = listing.judged().iter().map(|judged| &judged.architecture).collect();
    assert_eq!((tried.len(), listing.judged().len()), (132, 132));
    assert_eq!(listing.best().unwrap().architecture, best);
}

#[test]
fn the_best_is_that_of_the_objective_and_a_failed_training_never_is() {
    let space = small();
    let objective = Objective { lambda: 0.5, beta: 2.0, unit_ms: 4.0, ..FREE };
    let listing = |entries: &[(f64, f64, f64)]| {
        let entry = |(place, &(loss, latency_ms, utilization)): (usize, &(f64, f64, f64))| Judged {
            costs: Costs { latency_ms, utilization, prices: Vec::new(), violation: 0.0 },
            ..judged(all()[place].clone(), loss)
        };
        let method = Method::Random { budget: Budget::Networks(9), epochs: 1 };
        let listing = Listing::new(&space, method, 0, objective.clone());
        listing.resumed(entries.iter().enumerate().map(entry).collect())
    };
    // 1 + 0.5 * 8 / 4 - 2 * 0.5 = 1; 1.1 + 0.5 * 4 / 4 - 2 * 0.5 = 0.6; 0.5 + 0.5 * 8 / 4 - 2 * 0.25 = 1.
    let list = listing(&[(1.0, 8.0, 0.5), (1.1, 4.0, 0.5), (0.5, 8.0, 0.25), (f64::NAN, 0.0, 1.0)]);
    let values: Vec<f64> = list.judged().iter().map(|judged| list.objective_of(judged)).collect();
    assert!(values.iter().zip([1.0, 0.6, 1.0, f64::INFINITY]).all(|(a, b)| a == &b || (a - b).abs() < 1e-12));
    assert_eq!(list.best().unwrap().verdict.loss, Some(1.1));
    assert!(listing(&[(f64::NAN, 1.0, 0.5)]).best().is_none());
}

#[test]
fn hard_targets_come_before_the_objective() {
    let space = small();
    let method = Method::Random { budget: Budget::Networks(9), epochs: 1 };
    let best = |violations: [f64; 3]| {
        let entry = |(place, (loss, violation)): (usize, (f64, f64))| {
            let costs = Costs { latency_ms: 1.0, utilization: 0.5, prices: Vec::new(), violation };
            Judged { costs, ..judged(all()[place].clone(), loss) }
        };
        let entries = [1.0, 2.0, 3.0].into_iter().zip(violations).enumerate().map(entry).collect();
        Listing::new(&space, method, 0, FREE).resumed(entries).best().unwrap().verdict.loss
    };
    assert_eq!(best([0.0, 0.0, 0.0]), Some(1.0));
    assert_eq!(best([0.1, 0.0, 0.0]), Some(2.0));
    assert_eq!(best([0.3, 0.2, 0.1]), Some(3.0));
    assert_eq!(best([0.1, 0.2, 0.1]), Some(1.0));
}

#[test]
fn further_prices_and_the_multiplicative_form_count_for_one_architecture_as_for_many() {
    let price = Price { metric: crate::cost::Metric::Params, weight: 2.0, unit: 8.0 };
    let objective = Objective { lambda: 0.5, beta: 1.0, unit_ms: 4.0, prices: vec![price], ..FREE };
    // 1 + 0.5 * 16 / 4 - 0.25 + 2 * 4 / 8 = 3.75
    assert!((objective.exact(1.0, 16.0, 0.25, &[4.0]) - 3.75).abs() < 1e-12);
    // 3 * (16 / 4)^0.5 * (1 / 0.25)^1 * (4 / 8)^2 = 3 * 2 * 4 / 4 = 6
    let power = Objective { form: Form::Multiplicative, ..objective };
    assert!((power.exact(3.0, 16.0, 0.25, &[4.0]) - 6.0).abs() < 1e-12);
}

#[test]
fn seconds_end_a_list_before_the_network_that_would_not_fit() {
    let space = small();
    let method = Method::Random { budget: Budget::Seconds(7.0), epochs: 1 };
    let mut listing = Listing::new(&space, method, 0, FREE);
    // The first is judged whatever it takes; then two seconds each: 2 + 2 and 4 + 2 fit into 7, 6 + 2 does not.
    assert!(listing.next(100.0).is_some());
    for spent in [0.0, 2.0, 4.0] {
        let proposal = listing.next(spent).unwrap();
        listing.push(judged(proposal.architecture, 1.0));
    }
    assert!(listing.next(6.0).is_none());
}

#[test]
fn scores_stand_for_losses_in_units_of_their_deviation() {
    let space = small();
    let best = |lambda: f64| {
        let objective = Objective { lambda, ..FREE };
        let entry = |(place, (score, latency_ms)): (usize, (f64, f64))| Judged {
            verdict: Verdict { loss: None, accuracy: None, score: Some(score) },
            costs: Costs { latency_ms, utilization: 0.5, prices: Vec::new(), violation: 0.0 },
            ..judged(all()[place].clone(), 0.0)
        };
        let method = Method::Synflow { budget: Budget::Networks(9) };
        let entries = [(10.0, 1.0), (30.0, 3.0)].into_iter().enumerate().map(entry).collect();
        Listing::new(&space, method, 0, objective).resumed(entries).best().unwrap().costs.latency_ms
    };
    // Mean 20, deviation 10: losses 1 and -1. With lambda: 1 + lambda against -1 + 3 lambda, equal at lambda = 1.
    assert_eq!((best(0.0), best(0.9), best(1.1)), (3.0, 3.0, 1.0));
}

#[test]
fn evolution_finds_the_best_and_its_population_improves() {
    let space = small();
    let best = Architecture { operators: vec![1, 0, 1], widths: vec![0, 0, 1] };
    let sizes = Evolution { population: 12, sample: 4, evaluations: 120 };
    let mut gained = Vec::new();
    for seed in 0..8 {
        let mut listing = Listing::new(&space, Method::Evolution(sizes), seed, FREE);
        finish(&mut listing, |architecture| distance(architecture, &best));
        assert_eq!(listing.judged().len(), 120);
        assert_eq!(listing.best().unwrap().architecture, best, "seed {seed}");
        let mean = |part: &[Judged]| {
            part.iter().map(|judged| distance(&judged.architecture, &best)).sum::<f64>() / part.len() as f64
        };
        gained.push(mean(&listing.judged()[..12]) - mean(&listing.judged()[108..]));
    }
    // Every child has one choice changed, so a population hovers at a distance of one or two; uniform draws lie at three.
    assert!(gained.iter().sum::<f64>() / 8.0 > 0.7, "{gained:?}");
}

#[test]
fn a_child_differs_in_one_choice_from_a_parent_that_is_not_too_old() {
    let space = small();
    // 400 draws from 5 miss one of them with a probability of 0.8^400: the parent is the best of the last five.
    let sizes = Evolution { population: 5, sample: 400, evaluations: 60 };
    let mut listing = Listing::new(&space, Method::Evolution(sizes), 1, FREE);
    let loss = |architecture: &Architecture| {
        let Architecture { operators, widths } = architecture;
        (7 * operators[0] + 5 * operators[1] + 3 * operators[2] + 2 * widths[1] + widths[2]) as f64
    };
    finish(&mut listing, loss);
    let judged = listing.judged();
    assert!(judged[..5].iter().all(|judged| judged.parent.is_none()));
    for (place, child) in judged.iter().enumerate().skip(5) {
        let parent = child.parent.unwrap() as usize - 1;
        assert!((place - 5..place).contains(&parent), "{parent} is not among the five before {place}");
        assert_eq!(distance(&child.architecture, &judged[parent].architecture), 1.0);
        let lowest = judged[place - 5..place].iter().map(|judged| loss(&judged.architecture)).fold(f64::MAX, f64::min);
        assert_eq!(loss(&judged[parent].architecture), lowest);
    }
}

#[test]
fn a_list_resumed_anywhere_ends_as_if_nothing_was() {
    let space = small();
    let best = Architecture { operators: vec![1, 0, 1], widths: vec![0, 0, 1] };
    let methods = [
        Method::Random { budget: Budget::Networks(20), epochs: 1 },
        Method::Evolution(Evolution { population: 4, sample: 2, evaluations: 20 }),
    ];
    for method in methods {
        let mut whole = Listing::new(&space, method, 8, FREE);
        finish(&mut whole, |architecture| distance(architecture, &best));
        for done in [0, 3, 4, 11, 20] {
            let text = serde_json::to_string(&whole.judged()[..done]).unwrap();
            let kept = serde_json::from_str(&text).unwrap();
            let mut resumed = Listing::new(&space, method, 8, FREE).resumed(kept);
            finish(&mut resumed, |architecture| distance(architecture, &best));
            assert_eq!(resumed.judged(), whole.judged());
        }
        let mut other = Listing::new(&space, method, 9, FREE);
        finish(&mut other, |architecture| distance(architecture, &best));
        assert_ne!(other.judged(), whole.judged());
    }
}

/// Slopes by which the best candidates are convolution, identity, convolution.
fn slopes(space: &Space) -> Probabilities {
    let mut slopes = Probabilities::zeros(space);
    slopes.operators = vec![vec![-2.0, 0.0, 0.0], vec![0.0, -2.0, 0.0], vec![-2.0, 0.0, 0.0]];
    slopes
}

fn free(method: Method, epochs: u32) -> Settings {
    let stage = StageSettings { epochs, warm_up_epochs: 0 };
    let paths = method.paths(Paths::ONE);
    Settings { method, paths, operators: Some((stage, None)), lambda: 0.0, beta: 0.0, ..settings(6) }
}

#[test]
fn darts_mixes_by_the_softmax_alone_and_finds_the_best() {
    let space = small();
    let model = model(&space, "small-32x32", 1, CostKind::Expected);
    let mut search = Search::new(&space, &model, free(Method::Darts { inputs: 2 }, 3));
    let mut task = Linear::new(slopes(&space), 10);
    let (_, records) = run(&mut search, &mut task);
    // All logits start at 0, and no noise is added: the first mixture is even.
    let third = 1.0 / 3.0;
    assert!(task.asked[0].weights.operators.iter().flatten().all(|&weight| (weight - third).abs() < 1e-15));
    assert!(task.asked.iter().all(|choices| choices.paths == Paths::Full));
    assert!(records.iter().all(|record| record.temperature == 1.0));
    // The second step's mixture is the softmax of logits after one step of Adam, 0.1 for each: +, -, -.
    let wanted = crate::cost::softmax(&[0.1, -0.1, -0.1]);
    assert!(task.asked[1].weights.operators[0].iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-6));
    assert_eq!(search.likeliest().operators, [0, 1, 0]);
}

#[test]
fn darts_chooses_no_zero_and_keeps_the_strongest_edges_of_each_join() {
    let candidates = vec![CONV, Candidate::Identity, Candidate::Zero];
    let edges = [[0, 1, 0], [0, 2, 1], [1, 2, 2], [0, 3, 3], [1, 3, 4], [2, 3, 5]];
    let space = space([3, 8, 8], vec![vec![3], vec![4], vec![4], vec![4]], vec![candidates; 6], &edges);
    let mut p = Probabilities::uniform(&space);
    p.operators = vec![
        vec![0.1, 0.0, 0.9],   // 0-1: convolution, though zero is likelier
        vec![0.2, 0.3, 0.5],   // 0-2
        vec![0.5, 0.4, 0.1],   // 1-2
        vec![0.3, 0.2, 0.5],   // 0-3: strength 0.3
        vec![0.1, 0.2, 0.7],   // 1-3: strength 0.2, the weakest of three
        vec![0.0, 0.25, 0.75], // 2-3: strength 0.25
    ];
    assert_eq!(derived(&space, &p, 2).operators, [0, 1, 0, 0, 2, 1]);
    assert_eq!(derived(&space, &p, 3).operators, [0, 1, 0, 0, 1, 1]);
    assert_eq!(derived(&space, &p, 1).operators, [0, 2, 0, 0, 2, 2]);
    // Two joins that share their choices: an edge that either keeps stays.
    let shared = [[0, 1, 0], [0, 1, 1], [0, 1, 2], [0, 2, 2]];
    let space = self::space([3, 8, 8], vec![vec![3], vec![4], vec![4]], vec![vec![CONV, Candidate::Zero]; 3], &shared);
    let mut p = Probabilities::uniform(&space);
    p.operators = vec![vec![0.9, 0.1], vec![0.8, 0.2], vec![0.1, 0.9]];
    assert_eq!(derived(&space, &p, 2).operators, [0, 0, 0]);
}

#[test]
fn gdas_runs_one_path_learns_through_it_alone_and_finds_the_best() {
    let space = small();
    let model = model(&space, "small-32x32", 1, CostKind::Expected);
    let temperature = Temperature { start: 10.0, decay: 0.5, floor: 0.1 };
    let settings = Settings { temperature, ..free(Method::Gdas, 12) };
    let mut search = Search::new(&space, &model, settings.clone());
    let mut task = Linear::new(slopes(&space), 40);
    let (_, records) = run(&mut search, &mut task);
    for choices in &task.asked {
        assert_eq!(choices.weights, Probabilities::one_hot(&space, &choices.weights.argmax()));
        assert_eq!(choices.paths, Paths::Alone);
    }
    // A line over 12 epochs: 10 - 9.9 * e / 11.
    for (epoch, record) in records.iter().enumerate() {
        assert!((record.temperature - (10.0 - 9.9 * epoch as f64 / 11.0)).abs() < 1e-12);
    }
    assert_eq!(search.likeliest().operators, [0, 1, 0]);
}

#[test]
fn the_gradient_of_gdas_is_that_of_the_drawn_option_through_the_softmax() {
    let alpha = Probabilities { operators: vec![vec![0.3, -0.2, 0.1]], widths: vec![vec![0.0, 0.5]] };
    let by = Probabilities { operators: vec![vec![3.0, -4.0, 7.0]], widths: vec![vec![2.0, 5.0]] };
    let tau = 2.5;
    for step in 0..20 {
        let at = At { stage: 0, epoch: 0, step };
        let draw = Method::Gdas.draw(&alpha, tau, &mut stream(2, Purpose::Architecture, at));
        let (drawn, gradient) = (draw.soft.argmax(), draw.backward_of_task(&by));
        let chosen = [drawn.operators[0], drawn.widths[0]];
        for (place, ((g, d), found)) in draw.soft.choices().zip(by.choices()).zip(gradient.choices()).enumerate() {
            let s = chosen[place];
            for i in 0..g.len() {
                // The hard weights are h = onehot - stop(g) + g, so dL/dg_i = d_s for i = s and 0 else.
                let wanted = g[i] * (if i == s { d[s] } else { 0.0 } - g[s] * d[s]) / tau;
                assert!((found[i] - wanted).abs() < 1e-12, "{step}: {} is not {wanted}", found[i]);
            }
        }
    }
}

/// Remembers what the weight steps were asked.
#[derive(Default)]
struct Steps {
    asked: Vec<Choices>,
    rates: Vec<f64>,
}

impl TaskLoss for Steps {
    type Error = std::convert::Infallible;

    fn enter(&mut self, _: &Stage) -> Result<(), Self::Error> {
        Ok(())
    }

    fn steps(&self) -> u32 {
        30
    }

    fn weight_step(&mut self, choices: &Choices, _: At, learning_rate: f64) -> Result<(), Self::Error> {
        self.asked.push(choices.clone());
        self.rates.push(learning_rate);
        Ok(())
    }

    fn evaluate(&mut self, _: &Choices, _: At) -> Result<TaskGradient, Self::Error> {
        panic!("single paths have no gradient by choices")
    }

    fn report(&mut self, _: &Choices) -> Result<EpochReport, Self::Error> {
        Ok(EpochReport { train_loss: Some(f64::from(u32::try_from(self.asked.len()).unwrap())), ..REPORT })
    }
}

#[test]
fn a_supernet_learns_on_single_paths_that_reach_the_output() {
    let space = small();
    let model = model(&space, "small-32x32", 1, CostKind::Expected);
    let settings = settings(4);
    let paths = SinglePaths::new(&space, &model, &settings, 2, all()[0].clone());
    let run = |from: u32| {
        let mut task = Steps::default();
        for epoch in from..2 {
            let outcome = paths.epoch(epoch, &mut task, &mut Quiet::default()).unwrap();
            let Outcome::Epoch(record) = outcome else { panic!("nobody interrupts") };
            assert_eq!((record.stage, record.epoch, record.of), (SearchStage::Supernet, epoch + 1, 2));
        }
        task
    };
    let task = run(0);
    let chosen: Vec<Architecture> = task.asked.iter().map(|choices| choices.weights.argmax()).collect();
    for (choices, chosen) in task.asked.iter().zip(&chosen) {
        assert_eq!(choices, &SinglePaths::path(&space, chosen));
        assert!(reaches(&space, chosen));
    }
    // 60 draws from 132 that all differ have a probability below 1e-6; one alone repeated is no draw at all.
    assert!(chosen.iter().collect::<HashSet<_>>().len() > 30);
    // A half cosine over 60 steps: half of the first rate after 30.
    assert_eq!((task.rates.len(), task.rates[0]), (60, 0.05));
    assert!((task.rates[30] - 0.025).abs() < 1e-12);
    // The second epoch is the same without the first.
    assert_eq!(run(1).asked, task.asked[30..]);
}

#[test]
fn a_supernet_whose_loss_is_no_number_names_its_epoch() {
    struct Broken;
    impl TaskLoss for Broken {
        type Error = std::convert::Infallible;
        fn enter(&mut self, _: &Stage) -> Result<(), Self::Error> {
            Ok(())
        }
        fn steps(&self) -> u32 {
            3
        }
        fn weight_step(&mut self, _: &Choices, _: At, _: f64) -> Result<(), Self::Error> {
            Ok(())
        }
        fn evaluate(&mut self, _: &Choices, _: At) -> Result<TaskGradient, Self::Error> {
            panic!("single paths have no gradient by choices")
        }
        fn report(&mut self, _: &Choices) -> Result<EpochReport, Self::Error> {
            Ok(EpochReport { train_loss: Some(f64::NAN), ..REPORT })
        }
    }
    let space = small();
    let model = model(&space, "small-32x32", 1, CostKind::Expected);
    let settings = settings(4);
    let paths = SinglePaths::new(&space, &model, &settings, 2, all()[0].clone());
    let error = paths.epoch(1, &mut Broken, &mut Quiet::default()).unwrap_err().to_string();
    assert!(error.starts_with("the loss is not finite in stage `supernet`, epoch 2, step 3"), "{error}");
}
