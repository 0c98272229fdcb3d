//! How fast the model is: products, networks and expected costs a second, one JSON line each.
//!
//! `cargo bench --no-default-features --features cli`; `--bench model` for these figures alone. Products on one core,
//! networks on all; `seconds` is the median of `runs`, with the least and the most beside it. The products are the
//! layers of three networks, the same in plain Python for comparison where there is a `python3`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use rayon::prelude::*;
use systole::accel::{Accelerator, Engine, Gemm, GemmKind, Operand, Operands, Timing, Work, Workload};
use systole::cost::{CostKind, CostModel, Probabilities};
use systole::estimate::Target;
use systole::jobs::{Job, Overrides};
use systole::units::Bytes;

const RUNS: usize = 9;
/// Times that the mix of products is estimated in a run.
const ROUNDS: usize = 20_000;

/// A layer as `[m, n, k, repeats]`, and how often its network has it.
type Shape = ([u64; 4], usize);

/// ResNet-18 on 224 x 224 (He et al. 2016, table 1).
const RESNET18: [Shape; 12] = [
    ([12_544, 64, 147, 1], 1),
    ([3136, 64, 576, 1], 4),
    ([784, 128, 576, 1], 1),
    ([784, 128, 64, 1], 1),
    ([784, 128, 1152, 1], 3),
    ([196, 256, 1152, 1], 1),
    ([196, 256, 128, 1], 1),
    ([196, 256, 2304, 1], 3),
    ([49, 512, 2304, 1], 1),
    ([49, 512, 256, 1], 1),
    ([49, 512, 4608, 1], 3),
    ([1, 1000, 512, 1], 1),
];

/// MobileNetV2 on 224 x 224 (Sandler et al. 2018, table 2); repeats above 1 are depthwise.
const MOBILENET_V2: [Shape; 31] = [
    ([12_544, 32, 27, 1], 1),
    ([12_544, 1, 9, 32], 1),
    ([12_544, 16, 32, 1], 1),
    ([12_544, 96, 16, 1], 1),
    ([3136, 1, 9, 96], 1),
    ([3136, 24, 96, 1], 1),
    ([3136, 144, 24, 1], 2),
    ([3136, 1, 9, 144], 1),
    ([3136, 24, 144, 1], 1),
    ([784, 1, 9, 144], 1),
    ([784, 32, 144, 1], 1),
    ([784, 192, 32, 1], 3),
    ([784, 1, 9, 192], 2),
    ([784, 32, 192, 1], 2),
    ([196, 1, 9, 192], 1),
    ([196, 64, 192, 1], 1),
    ([196, 384, 64, 1], 4),
    ([196, 1, 9, 384], 4),
    ([196, 64, 384, 1], 3),
    ([196, 96, 384, 1], 1),
    ([196, 576, 96, 1], 3),
    ([196, 1, 9, 576], 2),
    ([196, 96, 576, 1], 2),
    ([49, 1, 9, 576], 1),
    ([49, 160, 576, 1], 1),
    ([49, 960, 160, 1], 3),
    ([49, 1, 9, 960], 3),
    ([49, 160, 960, 1], 2),
    ([49, 320, 960, 1], 1),
    ([49, 1280, 320, 1], 1),
    ([1, 1000, 1280, 1], 1),
];

/// ViT-B/16 on 224 x 224 (Dosovitskiy et al. 2021, table 1); repeats above 1 are the heads of attention.
const VIT_B16: [Shape; 8] = [
    ([196, 768, 768, 1], 1),
    ([197, 2304, 768, 1], 12),
    ([197, 197, 64, 12], 12),
    ([197, 64, 197, 12], 12),
    ([197, 768, 768, 1], 12),
    ([197, 3072, 768, 1], 12),
    ([197, 768, 3072, 1], 12),
    ([1, 1000, 768, 1], 1),
];

/// The closed form of `scale-sim` for a weight-stationary array, as one would write it in Python.
const PYTHON: &str = "
import sys, time

def scale_sim(m, n, k, repeats, rows, cols):
    row_tiles = -(-k // rows)
    col_tiles = -(-n // cols)
    tile = 2 * rows + cols + m - 2
    return repeats * (row_tiles * col_tiles * tile - 1)

layers = [tuple(map(int, line.split())) for line in sys.stdin]
times = []
for _ in range(9):
    began = time.perf_counter()
    total = 0
    for _ in range(500):
        for m, n, k, repeats in layers:
            total += scale_sim(m, n, k, repeats, 128, 128)
    times.append(time.perf_counter() - began)
times.sort()
print(total, times[4] / (500 * len(layers)), times[0] / (500 * len(layers)), times[-1] / (500 * len(layers)))
";

/// Seconds of one run, the median of [`RUNS`] with the least and the most.
#[derive(Clone, Copy)]
struct Seconds {
    median: f64,
    least: f64,
    most: f64,
}

fn measure(mut work: impl FnMut()) -> Seconds {
    work();
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    Seconds { median: seconds[RUNS / 2], least: seconds[0], most: seconds[RUNS - 1] }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(figure: &str, seconds: Seconds, count: f64) {
    let Seconds { median, least, most } = seconds;
    println!(
        "{{\"figure\": \"{figure}\", \"runs\": {RUNS}, \"count\": {count}, \"seconds\": {median:.3e}, \"least\": \
         {least:.3e}, \"most\": {most:.3e}, \"per_second\": {:.1}}}",
        count / median
    );
}

fn job(name: &str) -> Job {
    let path = format!("{}/search-spaces/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    Job::load(path.as_ref(), &Overrides::default()).expect("shipped jobs are right")
}

/// The products of the three networks, layer by layer.
fn mix() -> Vec<Gemm> {
    let all = RESNET18.iter().chain(&MOBILENET_V2).chain(&VIT_B16);
    let layers = all.flat_map(|&(shape, count)| std::iter::repeat_n(shape, count));
    layers.map(|[m, n, k, repeats]| gemm([m, n, k], repeats)).collect()
}

fn gemm([m, n, k]: [u64; 3], repeats: u64) -> Gemm {
    let kind = match (repeats, n) {
        (1, _) => GemmKind::Weights,
        (_, 1) => GemmKind::Depthwise,
        _ => GemmKind::Activations,
    };
    Gemm::new(m, n, k).and_then(|one| one.repeated(repeats, kind)).expect("layers of networks are small")
}

/// A product with operands of a byte a value.
fn layer(gemm: &Gemm) -> Workload {
    let bytes = |a: u64, b: u64| Operand::off_chip(Bytes(a * b * gemm.repeats()));
    let operands = Operands {
        weights: bytes(gemm.k(), gemm.n()),
        inputs: bytes(gemm.m(), gemm.k()),
        outputs: bytes(gemm.m(), gemm.n()),
    };
    Workload { work: Work::Product(*gemm), operands }
}

fn engine(name: &str, memory: &str, timing: Timing) -> Engine {
    let shipped = Accelerator::shipped().iter().find(|shipped| shipped.name == name).expect("it ships");
    let text =
        if memory.is_empty() { shipped.text.to_owned() } else { format!("{}\nmemory: {memory}\n", shipped.text) };
    let accelerator = Accelerator::parse(&text, name).expect("shipped files are right");
    accelerator.engine(timing).expect("the timing covers it")
}

fn products() {
    let gemms = mix();
    let layers: Vec<Workload> = gemms.iter().map(layer).collect();
    let count = (gemms.len() * ROUNDS) as f64;
    let mut fastest = None;
    for timing in Timing::ALL {
        let engine = engine("uboost-128x128", "", timing);
        let cycles = |gemm: &Gemm| engine.array_cost(gemm).expect("small").cycles.0;
        let all = || (0..ROUNDS).map(|_| std::hint::black_box(&gemms).iter().map(cycles).sum::<u64>()).sum::<u64>();
        let seconds = measure(|| assert!(std::hint::black_box(all()) > 0));
        say(&format!("cycles of a product under {timing}, one core"), seconds, count);
        if timing == Timing::ScaleSim {
            fastest = Some((all() / ROUNDS as u64, [seconds.median / count, seconds.least / count]));
        }
    }
    let memory = "{ bandwidth-gb-per-s: 25.6, activation-capacity-kib: 512, accumulator-rows: 2048 }";
    for (figure, name, memory) in [("", "uboost-128x128", ""), (" and memory", "small-32x32", memory)] {
        let engine = engine(name, memory, Timing::Pipelined);
        let one = |layer: &Workload| {
            let found = engine.cost(layer).expect("small");
            found.cost.cycles.0 ^ std::hint::black_box(found).cost.breakdown.rows.0
        };
        let all = || (0..ROUNDS).map(|_| std::hint::black_box(&layers).iter().map(one).sum::<u64>()).sum::<u64>();
        let seconds = measure(|| assert!(std::hint::black_box(all()) > 0));
        say(&format!("pipelined with breakdown{figure}, one core"), seconds, count);
    }
    if let Some((cycles, seconds)) = fastest {
        beside_python(&gemms, cycles, seconds);
    }
}

/// The closed form of `scale-sim` in Python, and how many times as long it takes.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn beside_python(gemms: &[Gemm], cycles: u64, ours: [f64; 2]) {
    let mut lines = String::new();
    for gemm in gemms {
        writeln!(lines, "{} {} {} {}", gemm.m(), gemm.n(), gemm.k(), gemm.repeats()).expect("a string takes it");
    }
    let child = Command::new("python3").args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else { return println!("{{\"figure\": \"no python3 to compare with\"}}") };
    child.stdin.take().expect("it is piped").write_all(lines.as_bytes()).expect("python reads it");
    let output = child.wait_with_output().expect("python ends");
    let text = String::from_utf8(output.stdout).expect("python prints numbers");
    let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let [total, median, least, most] = numbers[..] else { panic!("python prints four numbers, got `{text}`") };
    assert_eq!(total, (cycles * 500) as f64, "python and the engine agree");
    say("scale-sim in plain Python, one product", Seconds { median, least, most }, 1.0);
    println!(
        "{{\"figure\": \"plain Python over scale-sim, times as long\", \"medians\": {:.1}, \"least\": {:.1}}}",
        median / ours[0],
        least / ours[1]
    );
}

fn networks() {
    let job = job("nas-bench-macro");
    let target = Target { timing: job.timing, ..Target::of(&job.accelerator) };
    let strings: Vec<String> =
        (0..6_561u32).map(|n| (0..8).map(|d| (n / 3u32.pow(d) % 3).to_string()).collect()).collect();
    let one = |string: &String| {
        let architecture = job.space.parse_string(string).expect("every string of eight digits below 3");
        let network = job.space.derive(&architecture).expect("a chain reaches its output");
        target.network_cost(&network).expect("small").cycles.0
    };
    let all = || assert!(strings.par_iter().map(one).sum::<u64>() > 0);
    say("networks of NAS-Bench-Macro, from string to cycles, all cores", measure(all), 6_561.0);
}

fn expectations() {
    for name in ["demo", "cifar10-small", "cifar10-uboost"] {
        let job = job(name);
        let target = Target { timing: job.timing, ..Target::of(&job.accelerator) };
        let build = || CostModel::new(&job.space, &target, CostKind::Expected).expect("shipped spaces fit");
        say(&format!("tables of {name}"), measure(|| drop(std::hint::black_box(build()))), 1.0);
        let (model, uniform) = (build(), Probabilities::uniform(&job.space));
        let hundred = || (0..100).for_each(|_| drop(std::hint::black_box(model.hardware(&uniform))));
        say(&format!("expected costs with gradient of {name}"), measure(hundred), 100.0);
    }
}

fn main() {
    products();
    networks();
    expectations();
}
