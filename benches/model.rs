//! How fast the model is: products, networks and expected costs a second on one core, one JSON line each.
//!
//! `cargo bench --bench model`; median of 5 runs.

use std::time::Instant;

use systole::accel::{Accelerator, Gemm, Timing};
use systole::cost::{CostKind, CostModel, Probabilities};
use systole::estimate::Target;
use systole::jobs::{Job, Overrides};

const RUNS: usize = 5;

/// Median seconds of `work`.
fn median(mut work: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[RUNS / 2]
}

fn job(name: &str) -> Job {
    let path = format!("{}/search-spaces/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    Job::load(path.as_ref(), &Overrides::default()).expect("shipped jobs are right")
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(figure: &str, seconds: f64, count: f64) {
    println!("{{\"figure\": \"{figure}\", \"seconds\": {seconds:.6}, \"per_second\": {:.1}}}", count / seconds);
}

fn main() {
    let accelerator = Accelerator::named_or_path("uboost-128x128").expect("it ships");
    let gemms: Vec<Gemm> =
        (0..100_000u64).map(|i| Gemm::new(1 + i % 3136, 1 + i * 7 % 1024, 1 + i * 13 % 4608).expect("small")).collect();
    for timing in Timing::ALL {
        let all =
            || gemms.iter().map(|gemm| accelerator.array_cost(timing, gemm).expect("small").cycles.0).sum::<u64>();
        say(&format!("products under {timing}"), median(|| assert!(std::hint::black_box(all()) > 0)), 100_000.0);
    }
    let networks = job("nas-bench-macro");
    let target = Target { timing: networks.timing, ..Target::of(&networks.accelerator) };
    let strings: Vec<String> =
        (0..6_561u32).map(|n| (0..8).map(|d| (n / 3u32.pow(d) % 3).to_string()).collect()).collect();
    let all = || {
        for string in &strings {
            let architecture = networks.space.parse_string(string).expect("every string of eight digits below 3");
            let network = networks.space.derive(&architecture).expect("a chain reaches its output");
            std::hint::black_box(target.network_cost(&network).expect("small"));
        }
    };
    say("networks of NAS-Bench-Macro, from string to cycles", median(all), 6_561.0);
    for name in ["demo", "cifar10-small", "cifar10-uboost"] {
        let job = job(name);
        let target = Target { timing: job.timing, ..Target::of(&job.accelerator) };
        let build = || CostModel::new(&job.space, &target, CostKind::Expected).expect("shipped spaces fit");
        say(&format!("tables of {name}"), median(|| drop(std::hint::black_box(build()))), 1.0);
        let (model, uniform) = (build(), Probabilities::uniform(&job.space));
        let hundred = || (0..100).for_each(|_| drop(std::hint::black_box(model.hardware(&uniform))));
        say(&format!("expected costs with gradient of {name}"), median(hundred), 100.0);
    }
}
