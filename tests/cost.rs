//! The cost of a search against the estimate of what it would derive, on every shipped space.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use systole::accel::{Accelerator, Timing};
use systole::cost::{CostKind, CostModel, Metric, Probabilities, exact};
use systole::estimate::{self, Target};
use systole::jobs::{Job, Overrides};
use systole::space::{Architecture, Space};

const SPACES: [&str; 8] = [
    "demo",
    "cifar10-small",
    "cifar10-chain",
    "cifar10-uboost",
    "mnasnet",
    "nas-bench-201",
    "nas-bench-macro",
    "cifar10-darts",
];
/// Spaces whose expectation is approximate with a vector unit: candidates of the first begin with a ReLU that the sum before
/// them may do on the way, so do cells of the second, of which more than 12 choices may cut edges, too.
const APPROXIMATE: [&str; 2] = ["nas-bench-201", "cifar10-darts"];
const ARCHITECTURES: usize = 200;

/// A 16 x 16 array whose memories hold some tensors of the shipped spaces, and not others.
const FULL: &str = "name: full
array: { rows: 16, cols: 16, count: 1 }
dataflow: weight-stationary
clock-mhz: 1000
depthwise: diagonal
memory:
  bandwidth-gb-per-s: 4
  weight-capacity-kib: 700
  activation-capacity-kib: 60
  weights: resident
vector: { lanes: 16 }
energy: { mac-pj: 0.5, register-pj-per-byte: 0.25, sram-pj-per-byte: 2, dram-pj-per-byte: 100 }
";

/// A vector unit, and a memory that keeps nothing: sums of joins cost, but every layer stands for itself.
const STREAMED: &str = "name: streamed
array: { rows: 16, cols: 16 }
dataflow: weight-stationary
clock-mhz: 1000
memory: { bandwidth-gb-per-s: 4 }
vector: { lanes: 16 }
";

fn space(name: &str) -> Space {
    let path = format!("{}/search-spaces/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    Job::load(path.as_ref(), &Overrides::default()).expect("shipped jobs are right").space
}

fn random(space: &Space, stream: &mut ChaCha8Rng) -> Architecture {
    let mut below = |options: usize| usize::try_from(stream.next_u64() % options as u64).unwrap();
    Architecture {
        operators: space.operators.iter().map(|choice| below(choice.candidates.len())).collect(),
        widths: space.widths.iter().map(|choice| below(choice.options.len())).collect(),
    }
}

/// Holds every metric at one-hot choices against the estimate: to the last bit, energies to twelve digits.
fn check(space: &Space, target: &Target<'_>, seed: u64) {
    let model = CostModel::new(space, target, CostKind::Expected).unwrap();
    let mut stream = ChaCha8Rng::seed_from_u64(seed);
    let mut reached = 0;
    while reached < ARCHITECTURES {
        let architecture = random(space, &mut stream);
        let Ok(network) = space.derive(&architecture) else { continue };
        reached += 1;
        let estimate = estimate::network(&network, target).unwrap();
        let at = Probabilities::one_hot(space, &architecture);
        for metric in Metric::ALL {
            let (found, expected) = (model.metric(metric, &at).value, exact(metric, &estimate));
            let place = || format!("{} {:?} {metric:?} {architecture:?}", space.name, target.timing);
            match metric {
                Metric::EnergyUj => assert!((found - expected).abs() <= 1e-12 * expected, "{}", place()),
                _ => assert_eq!(found, expected, "{}", place()),
            }
        }
    }
}

fn check_all(accelerator: &Accelerator, timings: &[Timing]) {
    for (seed, name) in SPACES.into_iter().enumerate() {
        let space = space(name);
        for &timing in timings {
            check(&space, &Target { accelerator, timing, batch: 1 }, seed as u64);
        }
    }
}

#[test]
fn metrics_of_shipped_spaces_are_the_estimators_under_every_timing() {
    check_all(&Accelerator::named_or_path("uboost-128x128").unwrap(), &Timing::ALL);
}

#[test]
fn metrics_of_shipped_spaces_are_the_estimators_with_a_vector_unit() {
    let accelerator = Accelerator::parse(STREAMED, "streamed.yaml").unwrap();
    check_all(&accelerator, &[Timing::Pipelined]);
    for name in SPACES {
        let model = CostModel::new(&space(name), &Target::of(&accelerator), CostKind::Expected).unwrap();
        assert_eq!(model.is_exact(), !APPROXIMATE.contains(&name), "{name}");
    }
}

#[test]
fn metrics_of_shipped_spaces_are_the_estimators_with_memories_on_chip() {
    check_all(&Accelerator::parse(FULL, "full.yaml").unwrap(), &Timing::ALL[..2]);
}
