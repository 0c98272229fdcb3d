//! Hard targets kept in the shipped spaces, which are too large to try every network.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use systole::cost::{CostKind, CostModel, Metric, Probabilities, exact};
use systole::estimate::{self, Target};
use systole::jobs::{Job, Overrides};
use systole::record::HardTarget;
use systole::search::repair::{Problem, repair};
use systole::space::{Architecture, Space};

/// Log-likelihoods below nought, as after a search: the likeliest of a choice is a few nats ahead.
fn scores(space: &Space, stream: &mut ChaCha8Rng) -> Probabilities {
    let mut scores = Probabilities::zeros(space);
    for choice in scores.choices_mut() {
        choice.iter_mut().for_each(|score| *score = -6.0 * f64::from(stream.next_u32()) / f64::from(u32::MAX));
        let likeliest = usize::try_from(stream.next_u64() % choice.len() as u64).unwrap();
        choice[likeliest] = 0.0;
    }
    scores
}

/// The likeliest network that a random distribution of `space` has, of some draws.
fn drawn(space: &Space, stream: &mut ChaCha8Rng) -> (Probabilities, Architecture) {
    loop {
        let scores = scores(space, stream);
        let likeliest = scores.argmax();
        if space.derive(&likeliest).is_ok() {
            return (scores, likeliest);
        }
    }
}

#[test]
fn half_the_cost_of_the_likeliest_network_is_kept_in_shipped_spaces() {
    for (name, draws) in [("demo", 2), ("cifar10-small", 1), ("nas-bench-macro", 1)] {
        let path = format!("{}/search-spaces/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let job = Job::load(path.as_ref(), &Overrides::default()).unwrap();
        let judge = Target { accelerator: &job.accelerator, timing: job.timing, batch: 1 };
        let cost = CostModel::new(&job.space, &judge, CostKind::Expected).unwrap();
        let mut stream = ChaCha8Rng::seed_from_u64(7);
        for _ in 0..draws {
            let (scores, likeliest) = drawn(&job.space, &mut stream);
            let before = estimate::network(&job.space.derive(&likeliest).unwrap(), &judge).unwrap();
            let half = |metric| HardTarget { metric, bound: 0.6 * exact(metric, &before) };
            let targets = [half(Metric::LatencyMs), half(Metric::Params)];
            let problem = Problem { space: &job.space, cost: &cost, judge, targets: &targets, scores };
            let repaired = repair(&problem, &likeliest, None);
            assert!(repaired.is_met(), "{name}: {targets:?}, {repaired:?}");
            let network = job.space.derive(&repaired.architecture).unwrap();
            let after = estimate::network(&network, &judge).unwrap();
            assert!(targets.iter().all(|target| target.is_met(exact(target.metric, &after))));
        }
    }
}
