//! The chain: six 3x3 convolutions from 128 channels on maps of side 32, 32, 16, 16, 8, 8; 128 x 128 PEs, batch 64.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::super::super::allocation::{AllocationSettings, EndGame, Resize, Slopes};
use super::super::super::sample::{normals, uniform};
use super::super::super::*;
use super::super::{REPORT, at_start, model, settings};
use crate::cost::{CostKind, CostModel, Probabilities};
use crate::network::Shape;
use crate::record::{AllocationDecision, AllocationKind, SearchEpoch};
use crate::space::{
    Architecture, Candidate, Classifier, Edge, Join, JoinId, Merge, OperatorChoice, OperatorId, Order, Space,
    WidthChoice, WidthId,
};
use crate::units::Bytes;

/// Architecture steps of a run; a tenth as many weight steps come before.
pub(super) const STEPS: u32 = 603;
const EPOCHS: u32 = 10;

/// The chain with these options of every searched width.
pub(super) fn chain(options: &[u64]) -> Space {
    chain_of(options, 2)
}

/// The same with so many convolutions on each of the three maps.
fn chain_of(options: &[u64], each: usize) -> Space {
    let sides: Vec<u64> = [32, 16, 8].into_iter().flat_map(|side| vec![side; each]).collect();
    let sides = [vec![32], sides].concat();
    let joins = sides.iter().enumerate().map(|(place, &side)| Join {
        name: format!("join{place}"),
        width: WidthId(place).into(),
        merge: Merge::Sum,
        side,
    });
    let width = |place: usize| WidthChoice {
        name: format!("width{place}"),
        options: if place == 0 { vec![128] } else { options.to_vec() },
    };
    let edge = |place: usize| Edge {
        name: format!("edge{place}"),
        from: JoinId(place),
        to: JoinId(place + 1),
        operator: OperatorId(0),
        stride: sides[place] / sides[place + 1],
    };
    let conv = Candidate::Conv { kernel: 3, dilation: 1, order: Order::ConvNormRelu };
    Space {
        name: "toy".to_owned(),
        input: Shape::new(&[128, 32, 32]).unwrap(),
        classes: 1,
        sums: Vec::new(),
        branches: Vec::new(),
        maxima: Vec::new(),
        joins: joins.collect(),
        widths: (0..sides.len()).map(width).collect(),
        operators: vec![OperatorChoice { name: "conv".to_owned(), candidates: vec![conv] }],
        edges: (0..sides.len() - 1).map(edge).collect(),
        classifier: Classifier::GlobalPool,
        encoding: None,
    }
}

/// 8, 16, .. 280.
pub(super) fn to_280() -> Vec<u64> {
    (8..=280).step_by(8).collect()
}

/// How far what the chain tells is from the truth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    /// Deviation of the slope that a probe of a width measures.
    pub(super) noise: f64,
    /// Factor on what probes measure.
    pub(super) bias: f64,
    /// Steps in which new channels are worth nothing.
    pub(super) dead: u32,
}

pub(super) const TRUE: Faults = Faults { noise: 0.0, bias: 1.0, dead: 0 };
pub(super) const NOISY: Faults = Faults { noise: 0.03, bias: 1.0, dead: 60 };

/// The task: `loss = 6 - sum a_l ln c_l`, over channels that are no longer new.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) slopes: Vec<f64>,
    faults: Faults,
    options: Vec<Vec<u64>>,
    seed: u64,
    steps: u32,
    /// Weight steps done.
    now: u32,
    /// For each width, the channels there and when each block of them came: `(end, born)`.
    blocks: Vec<Vec<(u64, Option<u32>)>>,
    /// Options that the tensors are sized for.
    pub(super) sizes: Vec<usize>,
    /// Sum of the allocated widths after every weight step.
    pub(super) sums: Vec<u64>,
    /// Architectures that were probed.
    pub(super) probed: usize,
    /// Weight step after which the next probe is no number, once.
    pub(super) breaks: Option<u32>,
}

impl Chain {
    pub(super) fn new(space: &Space, a: f64, seed: u64, faults: Faults) -> Self {
        let mut random = at_start(1_000 + seed);
        let options: Vec<Vec<u64>> = space.widths.iter().map(|choice| choice.options.clone()).collect();
        let mut slopes: Vec<f64> = options.iter().map(|_| a * (0.5 * normals(&mut random)[0]).exp()).collect();
        slopes[0] = 0.0;
        Self {
            slopes,
            faults,
            seed,
            steps: (STEPS + STEPS / 9) / EPOCHS,
            now: 0,
            blocks: vec![Vec::new(); options.len()],
            sizes: vec![0; options.len()],
            options,
            sums: Vec::new(),
            probed: 0,
            breaks: None,
        }
    }

    /// Channels up to `width` of the choice `place` that have learned.
    fn learned(&self, place: usize, width: u64) -> u64 {
        let old = |born: &Option<u32>| born.is_none_or(|born| self.now - born >= self.faults.dead);
        let old = self.blocks[place].iter().take_while(|(_, born)| old(born)).last();
        old.map_or(1, |(end, _)| *end).min(width)
    }

    pub(super) fn loss(&self, widths: &[usize]) -> f64 {
        let worth = |(place, slope): (usize, &f64)| slope * (self.options[place][widths[place]] as f64).ln();
        6.0 - self.slopes.iter().enumerate().map(worth).sum::<f64>()
    }

    /// Weights, gradients and moments of 3x3 convolutions, f32.
    fn bytes(&self, widths: &[usize]) -> Bytes {
        let channels: Vec<u64> = widths.iter().zip(&self.options).map(|(&width, options)| options[width]).collect();
        Bytes(channels.windows(2).map(|pair| 9 * pair[0] * pair[1] * 12).sum())
    }

    fn probed_loss(&self, widths: &[usize], noise: &[f64]) -> f64 {
        let worth = |place: usize| {
            let slope = self.faults.bias * self.slopes[place] + noise[place];
            slope * (self.learned(place, self.options[place][widths[place]]) as f64).ln()
        };
        6.0 - (0..widths.len()).map(worth).sum::<f64>()
    }
}

impl TaskLoss for Chain {
    type Error = std::convert::Infallible;

    fn enter(&mut self, _: &Stage) -> Result<(), Self::Error> {
        Ok(())
    }

    fn steps(&self) -> u32 {
        self.steps
    }

    fn weight_step(&mut self, choices: &Choices, at: At, _: f64) -> Result<(), Self::Error> {
        for (place, weights) in choices.weights.widths.iter().enumerate() {
            let option = weights.iter().position(|&weight| weight == 1.0).expect("the weights are one-hot");
            assert!(option <= self.sizes[place], "no tensor is that wide");
        }
        self.now = at.epoch * self.steps + at.step + 1;
        self.sums.push(self.sizes.iter().zip(&self.options).skip(1).map(|(&size, options)| options[size]).sum());
        Ok(())
    }

    fn evaluate(&mut self, _: &Choices, _: At) -> Result<TaskGradient, Self::Error> {
        panic!("a dynamic allocation asks for no gradient")
    }

    fn report(&mut self, _: &Choices) -> Result<EpochReport, Self::Error> {
        Ok(REPORT)
    }

    fn elastic(&mut self) -> Option<&mut dyn Elastic<Error = Self::Error>> {
        Some(self)
    }
}

impl Elastic for Chain {
    type Error = std::convert::Infallible;

    fn allocate(&mut self, widths: &[usize]) -> Result<(), Self::Error> {
        self.sizes = widths.to_vec();
        let block = |(&option, options): (&usize, &Vec<u64>)| vec![(options[option], None)];
        self.blocks = widths.iter().zip(&self.options).map(block).collect();
        Ok(())
    }

    fn resize(&mut self, Resize { width, from, to }: Resize, _: At) -> Result<(), Self::Error> {
        assert_eq!(self.sizes[width], from);
        assert_ne!(from, to);
        let channels = self.options[width][to];
        let blocks = &mut self.blocks[width];
        if to > from {
            blocks.push((channels, Some(self.now)));
        } else {
            let whole = blocks.iter().take_while(|(end, _)| *end < channels).count();
            blocks.truncate(whole + 1);
            blocks[whole].0 = channels;
        }
        self.sizes[width] = to;
        Ok(())
    }

    fn probe(&mut self, choices: &[Choices], _: u32, at: At) -> Result<Vec<f64>, Self::Error> {
        let draw = u64::from(at.epoch * self.steps + at.step);
        let mut random = at_start(7_919 * (self.seed + 1) + 1_000_003 * draw);
        let noise: Vec<f64> = self.slopes.iter().map(|_| self.faults.noise * normals(&mut random)[0]).collect();
        self.probed += choices.len();
        if self.breaks.take_if(|step| self.now >= *step).is_some() {
            return Ok(vec![f64::NAN; choices.len()]);
        }
        Ok(choices.iter().map(|choices| self.probed_loss(&choices.weights.argmax().widths, &noise)).collect())
    }

    fn needed(&self, widths: &[usize]) -> Result<Bytes, Self::Error> {
        Ok(self.bytes(widths))
    }

    fn allocated(&self) -> Bytes {
        self.bytes(&self.sizes)
    }
}

pub(super) fn dynamic(seed: u64, lambda: f64, allocation: AllocationSettings) -> Settings {
    let widths = Some(StageSettings { epochs: EPOCHS, warm_up_epochs: 0 });
    Settings { lambda, beta: 1.0, widths, allocation: Some(allocation), ..settings(seed) }
}

/// From 32 channels, as the page on the method has it.
pub(super) const FROM_32: AllocationSettings = AllocationSettings { start: Some(32), ..AllocationSettings::DEFAULT };

/// What came of a run.
pub(super) struct Ran {
    pub(super) widths: Vec<u64>,
    /// Loss of the final widths above the best.
    pub(super) gap: f64,
    pub(super) mean: f64,
    pub(super) peak: u64,
    pub(super) probed: usize,
    pub(super) decisions: Vec<AllocationDecision>,
}

/// The exact objective of an architecture, and that of every option beside it.
fn exact(search: &Search<'_>, model: &CostModel, task: &Chain, widths: &[usize]) -> (f64, Vec<Vec<f64>>) {
    let one_hot = |options: &Vec<f64>, &chosen: &usize| {
        let mut hot = vec![0.0; options.len()];
        hot[chosen] = 1.0;
        hot
    };
    let shape = search.distributions();
    let widths_hot = shape.widths.iter().zip(widths).map(|(options, chosen)| one_hot(options, chosen)).collect();
    let at = Probabilities { operators: shape.operators, widths: widths_hot };
    let settled = search.objective().settled((model, &at), 0.0, &[]);
    (settled[1][widths[1]] + task.loss(widths), settled)
}

/// The best widths that coordinate descent finds from 12 random starts.
fn best(search: &Search<'_>, model: &CostModel, task: &Chain) -> f64 {
    let mut random = at_start(77);
    let mut found = f64::INFINITY;
    for _ in 0..12 {
        let start = |options: &Vec<u64>| {
            let draw = uniform(&mut random);
            (0..options.len()).rfind(|&place| place as f64 <= draw * options.len() as f64).unwrap_or(0)
        };
        let mut widths: Vec<usize> = task.options.iter().map(start).collect();
        loop {
            let before = widths.clone();
            for place in 1..widths.len() {
                let (_, settled) = exact(search, model, task, &widths);
                let worth = |option: usize| {
                    settled[place][option] - task.slopes[place] * (task.options[place][option] as f64).ln()
                };
                let options = 0..task.options[place].len();
                widths[place] = options.reduce(|a, b| if worth(b) < worth(a) { b } else { a }).unwrap();
            }
            if widths == before {
                break;
            }
        }
        found = found.min(exact(search, model, task, &widths).0);
    }
    found
}

/// Runs a search on the chain, and compares it with the best.
pub(super) fn ran(options: &[u64], a: f64, faults: Faults, settings: Settings) -> Ran {
    ran_on(&chain(options), a, faults, settings)
}

fn ran_on(space: &Space, a: f64, faults: Faults, settings: Settings) -> Ran {
    let model = model(space, "uboost-128x128", 64, CostKind::Expected);
    let mut task = Chain::new(space, a, settings.seed, faults);
    let mut search = Search::new(space, &model, settings);
    task.enter(&search.stage().unwrap()).unwrap();
    search.allocate(&mut task).unwrap();
    let (_, records) = super::super::run(&mut search, &mut task);
    let Architecture { widths, .. } = search.likeliest();
    let gap = exact(&search, &model, &task, &widths).0 - best(&search, &model, &task);
    let epochs = records.into_iter().filter_map(|record: SearchEpoch| record.allocation);
    Ran {
        widths: widths.iter().zip(&task.options).skip(1).map(|(&option, options)| options[option]).collect(),
        gap,
        mean: task.sums.iter().sum::<u64>() as f64 / task.sums.len() as f64,
        peak: *task.sums.iter().max().unwrap(),
        probed: task.probed,
        decisions: epochs.flat_map(|epoch| epoch.decisions).collect(),
    }
}

/// How often the option was added or dropped that was most often.
pub(super) fn most_turns(decisions: &[AllocationDecision]) -> [usize; 2] {
    let mut turns: BTreeMap<(Option<String>, Option<u64>), [usize; 2]> = BTreeMap::new();
    for decision in decisions {
        let turn = turns.entry((decision.width.clone(), decision.channels)).or_default();
        match decision.kind {
            AllocationKind::Add | AllocationKind::Grow => turn[0] += 1,
            AllocationKind::Drop | AllocationKind::Shrink => turn[1] += 1,
            AllocationKind::HeldBack | AllocationKind::Stop => {}
        }
    }
    turns.values().fold([0; 2], |most, turn| [most[0].max(turn[0]), most[1].max(turn[1])])
}

/// Prints for each variant of the rule and each (lambda, a): mean and greatest gap; mean over the steps and peak of the
/// sum of widths, greatest peak; how often one option was added at most; decisions, probed architectures.
pub(super) fn study() {
    let prototype = AllocationSettings {
        slopes: Slopes::Pooled,
        memory: 0.7,
        growing: Some(6),
        end: EndGame::Likeliest,
        ..FROM_32
    };
    let shrunk = AllocationSettings { slopes: Slopes::Shrunk, ..prototype };
    let variants = [
        ("pooled", prototype),
        ("own", AllocationSettings { slopes: Slopes::Own, ..prototype }),
        ("shrunk", shrunk),
        ("memory 0.9", AllocationSettings { memory: 0.9, ..shrunk }),
        ("descent", AllocationSettings { memory: 0.9, end: EndGame::Descent, ..shrunk }),
        ("growing 2", FROM_32),
        ("growing 1", AllocationSettings { growing: Some(1), ..FROM_32 }),
        ("2, band 1.2", AllocationSettings { band: 1.2, ..FROM_32 }),
        ("2, probed 2", AllocationSettings { probed: Some(2), ..FROM_32 }),
        ("2, from edge", AllocationSettings::DEFAULT),
    ];
    let rising = [
        ("18, all", AllocationSettings { growing: Some(18), ..FROM_32 }),
        ("18, a third", FROM_32),
        ("18, one", AllocationSettings { growing: Some(1), ..FROM_32 }),
    ];
    for (world, faults) in [("true", TRUE), ("noisy", NOISY)] {
        rising.iter().for_each(|&variant| figures((world, faults), variant, (6, 4)));
        variants.iter().for_each(|&variant| figures((world, faults), variant, (2, 12)));
    }
}

/// Prints a row of the study, over `seeds` chains with `each` convolutions on each map.
#[expect(clippy::print_stderr, reason = "asked for by name, to print")]
fn figures(
    (world, faults): (&str, Faults),
    (name, allocation): (&str, AllocationSettings),
    (each, seeds): (usize, u64),
) {
    let space = chain_of(&to_280(), each);
    let mut line = format!("{world:6} {name:14}");
    for (lambda, a) in [(1.0, 0.1), (1.0, 0.5), (0.1, 0.1), (0.1, 0.5)] {
        let run = |seed| ran_on(&space, a, faults, dynamic(seed, lambda, allocation));
        let runs: Vec<Ran> = (0..seeds).into_par_iter().map(run).collect();
        let mean = |value: &dyn Fn(&Ran) -> f64| runs.iter().map(value).sum::<f64>() / runs.len() as f64;
        let most = |value: &dyn Fn(&Ran) -> f64| runs.iter().map(value).fold(0.0, f64::max);
        line += &format!(
            " | {:.4} {:.4} {:5.0} {:5.0} {:5.0} {} {:3.0} {:4.0}",
            mean(&|run| run.gap),
            most(&|run| run.gap),
            mean(&|run| run.mean),
            mean(&|run| run.peak as f64),
            most(&|run| run.peak as f64),
            runs.iter().map(|run| most_turns(&run.decisions)[0]).max().unwrap(),
            mean(&|run| run.decisions.len() as f64),
            mean(&|run| run.probed as f64),
        );
    }
    eprintln!("{line}");
}
