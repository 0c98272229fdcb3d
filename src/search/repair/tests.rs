use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::problem::choices;
use super::*;
use crate::accel::{Accelerator, EnergyTable, Timing, VectorUnit};
use crate::cost::{CostKind, CostModel, Metric, Probabilities, exact};
use crate::estimate::{self, Target};
use crate::load;
use crate::network::Shape;
use crate::space::Space;
use crate::space::file::{Setting, SpaceFile};
use crate::units::Bytes;

/// Two cells of three edges whose choices are `SHARING`; each cell has two widths of three options.
const CELLS: &str = "stem:
  - conv: { kernel: 3, width: 5 }
body:
  cells:
    inputs: [a]
    nodes:
      - { name: t1, from: [a] }
      - { name: t2, from: [t1, a] }
    candidates: CANDIDATES
    choices: SHARING
    width: { min: 6, max: 14, step: 4 }
    stack:
      - cells: { count: 2 }
classifier: flatten
";

const CHAIN: &str = "body:
  chain:
    candidates: [identity, inverted-bottleneck: { kernel: 3, expansion: [1, 3] }]
    stages:
      - { layers: 2, width: { min: 8, max: 24, step: 8 } }
      - { layers: 2, stride: 2, width: { min: 12, max: 60, step: 24 }, width-per: layer }
classifier: global-pool
";

fn space(text: &str) -> Space {
    let file: SpaceFile = load::parse(text, "space.yaml").unwrap();
    let input = Shape::new(&[3, 8, 8]).unwrap();
    file.into_space(&Setting { name: "small", origin: "space.yaml", input, classes: 10 }).unwrap()
}

fn cells(sharing: &str, candidates: &str) -> Space {
    space(&CELLS.replace("SHARING", sharing).replace("CANDIDATES", candidates))
}

/// 64 * 81, 64 * 81, 81 * 27 and 64 * 81 architectures.
fn spaces() -> [Space; 4] {
    let shared = cells("shared", "[conv: { kernel: [1, 3] }, identity, zero]");
    let text = CELLS.replace("    candidates", "    output: [t1, t2]\n    candidates").replace("SHARING", "own");
    let concatenated = space(&text.replace("CANDIDATES", "[separable: { kernel: 3 }, zero]"));
    [shared, cells("own", "[separable: { kernel: 3 }, zero]"), space(CHAIN), concatenated]
}

/// An array of 4 x 4, so that small widths take several tiles.
fn accelerator(name: &str) -> Accelerator {
    let mut accelerator = Accelerator::named_or_path(name).unwrap();
    accelerator.array.rows = 4;
    accelerator.array.cols = 4;
    accelerator
}

/// A space on an accelerator, with every network that it holds.
struct Field {
    space: Space,
    accelerator: Accelerator,
    timing: Timing,
    cost: CostModel,
    /// Choices with every metric in the order of `Metric::ALL`, of what can be reached.
    all: Vec<(Choices, Vec<f64>)>,
}

impl Field {
    fn new(space: Space, accelerator: Accelerator, timing: Timing) -> Self {
        let target = Target { accelerator: &accelerator, timing, batch: 2 };
        let cost = CostModel::new(&space, &target, CostKind::Expected).unwrap();
        let lengths: Vec<usize> = Probabilities::zeros(&space).choices().map(Vec::len).collect();
        let mut all = Vec::new();
        for mut number in 0..lengths.iter().product() {
            let mut digit = |length: &usize| {
                let digit = number % length;
                number /= length;
                digit
            };
            let choices: Choices = lengths.iter().map(&mut digit).collect();
            let (operators, widths) = choices.split_at(space.operators.len());
            let architecture = Architecture { operators: operators.to_vec(), widths: widths.to_vec() };
            if let Ok(network) = space.derive(&architecture) {
                let estimate = estimate::network(&network, &target).unwrap();
                all.push((choices, Metric::ALL.iter().map(|&metric| exact(metric, &estimate)).collect()));
            }
        }
        Self { space, accelerator, timing, cost, all }
    }

    fn values(&self, place: usize, targets: &[HardTarget]) -> Vec<f64> {
        let of = |target: &HardTarget| Metric::ALL.iter().position(|&metric| metric == target.metric).unwrap();
        targets.iter().map(|target| self.all[place].1[of(target)]).collect()
    }

    fn problem<'a>(&'a self, targets: &'a [HardTarget], scores: Probabilities) -> Problem<'a> {
        let judge = Target { accelerator: &self.accelerator, timing: self.timing, batch: 2 };
        Problem { space: &self.space, cost: &self.cost, judge, targets, scores }
    }

    /// By a naive loop: the score of the likeliest network that keeps `targets`, and the least greatest violation.
    fn best(&self, targets: &[HardTarget], scores: &Probabilities) -> (Option<f64>, f64) {
        let score =
            |choices: &Choices| scores.choices().zip(choices).map(|(scores, &option)| scores[option]).sum::<f64>();
        let (mut best, mut least) = (None, f64::INFINITY);
        for (place, (choices, _)) in self.all.iter().enumerate() {
            let values = self.values(place, targets);
            if targets.iter().zip(&values).all(|(target, &value)| target.is_met(value)) {
                best = Some(best.map_or(score(choices), |best: f64| best.max(score(choices))));
            }
            let violations = targets.iter().zip(&values).map(|(target, &value)| target.violation(value));
            least = least.min(violations.fold(f64::NEG_INFINITY, f64::max));
        }
        (best, least)
    }

    /// The likeliest network, as the search has it before a repair.
    fn likeliest(&self, scores: &Probabilities) -> Architecture {
        let architecture = scores.argmax();
        if self.space.derive(&architecture).is_ok() {
            return architecture;
        }
        let (choices, _) = &self.all[0];
        let (operators, widths) = choices.split_at(self.space.operators.len());
        Architecture { operators: operators.to_vec(), widths: widths.to_vec() }
    }
}

/// Scores from numbers below one, the greatest of each choice nought.
fn scores(space: &Space, seed: u64, spread: f64) -> Probabilities {
    let mut stream = ChaCha8Rng::seed_from_u64(seed);
    let mut scores = Probabilities::zeros(space);
    for score in scores.choices_mut().flatten() {
        *score = spread * f64::from(stream.next_u32()) / f64::from(u32::MAX);
    }
    scores.map(|choice| {
        let most = choice.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        choice.iter().map(|score| score - most).collect()
    })
}

/// Targets at what networks of the space take, a little above or below.
fn drawn_targets(field: &Field, seed: u64, metrics: &[Metric]) -> Vec<HardTarget> {
    let mut stream = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
    let count = 1 + usize::try_from(stream.next_u64() % 2).unwrap();
    let mut targets: Vec<HardTarget> = Vec::new();
    while targets.len() < count {
        let metric = metrics[usize::try_from(stream.next_u64() % metrics.len() as u64).unwrap()];
        let place = usize::try_from(stream.next_u64() % field.all.len() as u64).unwrap();
        let factor = [0.8, 1.0, 1.0, 1.1][usize::try_from(stream.next_u64() % 4).unwrap()];
        let bound = factor * field.values(place, &[HardTarget { metric, bound: 1.0 }])[0];
        if targets.iter().all(|target| target.metric != metric) && bound > 0.0 {
            targets.push(HardTarget { metric, bound });
        }
    }
    targets
}

/// How far a repair is held against the naive loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Against {
    /// It is the likeliest that keeps the targets; of one target that nothing keeps, the least.
    Best,
    /// It keeps the targets wherever any network does.
    Kept,
}

/// Holds the repair of one drawn problem, judging up to `few` networks one by one, against the naive loop; whether some
/// network kept the targets.
fn check(field: &Field, (seed, metrics): (u64, &[Metric]), few: usize, against: Against) -> bool {
    let targets = drawn_targets(field, seed, metrics);
    let scores = scores(&field.space, seed, 5.0);
    let problem = field.problem(&targets, scores.clone());
    let repaired = repair_within(&problem, &field.likeliest(&scores), None, few);
    let verdict = problem.verdict(&choices(&repaired.architecture));
    assert_eq!(verdict.values, repaired.values);
    assert_eq!(verdict.is_met, repaired.is_met(), "{targets:?}");
    let (best, least) = field.best(&targets, &scores);
    assert_eq!(best.is_some(), repaired.is_met(), "seed {seed}: {targets:?}, {repaired:?}");
    let found = problem.score(&choices(&repaired.architecture));
    let is_best = |best: f64| (found - best).abs() < 1e-9;
    match (best, against) {
        (Some(best), Against::Best) => {
            assert!(repaired.fit == Fit::Likeliest || is_best(best), "seed {seed}: {found}, {best}")
        }
        (None, Against::Best) if targets.len() == 1 => assert_eq!(verdict.violation, least, "seed {seed}: {targets:?}"),
        (Some(best), Against::Kept) => assert!(repaired.fit == Fit::Likeliest || found <= best + 1e-9),
        (None, Against::Best | Against::Kept) => assert!(verdict.violation >= least),
    }
    best.is_some()
}

/// What adds up over edges wherever it stands.
const SUMS: [Metric; 5] = [Metric::LatencyMs, Metric::Utilization, Metric::Macs, Metric::Params, Metric::WeightKib];

#[test]
fn a_repair_is_the_likeliest_network_that_keeps_the_targets_by_enumeration() {
    let [shared, own, chain, concatenated] = spaces();
    let plain = || accelerator("small-32x32");
    // A vector unit makes sums of branches cost, by how many there are.
    let vectors =
        Accelerator { vector: Some(VectorUnit { lanes: 2, ops_per_cycle: 1, exponential_factor: 1 }), ..plain() };
    let fields = [
        Field::new(shared, vectors, Timing::Pipelined),
        Field::new(own, plain(), Timing::Ideal),
        Field::new(chain, plain(), Timing::Ideal),
        Field::new(concatenated, plain(), Timing::Ideal),
    ];
    assert!(!fields[0].cost.within(Metric::LatencyMs, 1.0).joins.is_empty());
    let mut kept = 0;
    for (place, field) in fields.iter().enumerate() {
        for seed in 0..16 {
            kept += u32::from(check(field, (seed + 100 * place as u64, &SUMS), 0, Against::Best));
        }
    }
    // Neither always nor never.
    assert!((16..64).contains(&kept), "{kept} of 64");
}

#[test]
fn few_networks_are_judged_one_by_one_whatever_the_metric() {
    let field = Field::new(space(CHAIN), on_chip(), Timing::Pipelined);
    for seed in 0..8 {
        check(&field, (seed, &Metric::ALL), usize::MAX, Against::Best);
    }
}

/// A vector unit, tensors that stay on chip where they fit, and energies: no cost of an edge is its own.
fn on_chip() -> Accelerator {
    let mut accelerator = accelerator("edge-tpu");
    accelerator.memory.activation_capacity = Some(Bytes(3000));
    accelerator.memory.weight_capacity = Some(Bytes(9000));
    accelerator.energy =
        Some(EnergyTable { mac_pj: 0.2, register_pj_per_byte: 0.03, sram_pj_per_byte: 1.5, dram_pj_per_byte: 60.0 });
    accelerator
}

#[test]
fn a_repair_keeps_the_targets_wherever_a_network_does_also_where_tables_approximate() {
    let fields = spaces().map(|space| Field::new(space, on_chip(), Timing::Pipelined));
    for (place, field) in fields.iter().enumerate() {
        for seed in 0..8 {
            check(field, (seed + 100 * place as u64, &Metric::ALL), 0, Against::Kept);
        }
    }
}

#[test]
fn a_witness_is_the_answer_where_nothing_likelier_is_found() {
    let field = Field::new(space(CHAIN), accelerator("small-32x32"), Timing::Ideal);
    // The one network of fewest parameters, by the naive loop.
    let targets = [HardTarget { metric: Metric::Params, bound: 1.0 }];
    let place =
        (0..field.all.len()).min_by(|&a, &b| field.values(a, &targets)[0].total_cmp(&field.values(b, &targets)[0]));
    let place = place.unwrap();
    let targets = [HardTarget { metric: Metric::Params, bound: field.values(place, &targets)[0] }];
    let scores = scores(&field.space, 3, 5.0);
    let problem = field.problem(&targets, scores.clone());
    let witness = problem.architecture(&field.all[place].0);
    let repaired = repair_within(&problem, &field.likeliest(&scores), Some(&witness), 0);
    assert_eq!((repaired.architecture, repaired.fit), (witness, Fit::Repaired));
}

#[test]
fn a_target_below_everything_is_answered_by_the_cheapest_network() {
    let field = Field::new(space(CHAIN), accelerator("small-32x32"), Timing::Ideal);
    let targets = [HardTarget { metric: Metric::LatencyMs, bound: 1e-9 }];
    let scores = scores(&field.space, 5, 5.0);
    let problem = field.problem(&targets, scores.clone());
    let least = (0..field.all.len()).map(|place| field.values(place, &targets)[0]).fold(f64::INFINITY, f64::min);
    for few in [0, usize::MAX] {
        let repaired = repair_within(&problem, &field.likeliest(&scores), None, few);
        assert_eq!((repaired.values, repaired.fit), (vec![least], Fit::Unmet(Effort::Whole)));
    }
}
