//! How long a step of a search takes and how much memory it holds: JSON lines, one for each mode.
//!
//! `cargo bench --bench step` on an idle machine. The supernet is that of `search-spaces/cifar10-uboost.yaml` in its
//! operator stage: a stem, three cells of nine edges and eight candidates at 128 channels, 32x32 images, batch 16, two
//! threads. Each mode runs in a process of its own, so that its peak of memory is its own. With `PYTHON` naming an
//! interpreter that has PyTorch, `scripts/step-reference.py` runs first, and lines say how many times its step ours takes.

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use serde_json::{Value, json};
use systole::cost::{CostModel, Probabilities};
use systole::data::{Augment, Dataset, Layout, Loader, SplitSizes, Splits, shapes};
use systole::estimate::Target;
use systole::jobs::{Job, Overrides};
use systole::search::{At, Choices, EpochReport, Observer, Search, Stage, TaskGradient, TaskLoss};
use systole::supernet::memory::{Budget, MemoryPlan, Running};
use systole::supernet::{Sizes, Supernet, SupernetError, SupernetSettings, Together};
use systole::torch::{self, Precision, memory};
use tch::Device;

const BATCH: usize = 16;
const THREADS: usize = 2;
/// Hardware costs timed for their share.
const COSTS: u32 = 200;

/// What is measured: name, `paths`, precision, weight steps.
const MODES: [(&str, &str, Precision, u32); 6] = [
    ("full f32", "full", Precision::Float32, 5),
    ("full bf16", "full", Precision::Bfloat16, 5),
    ("sampled 1 f32", "sampled", Precision::Float32, 100),
    ("sampled 1 bf16", "sampled", Precision::Bfloat16, 100),
    ("sampled 2 f32", "{ sampled: 2 }", Precision::Float32, 50),
    ("sampled 2 bf16", "{ sampled: 2 }", Precision::Bfloat16, 50),
];

/// Seconds of the wall, and of all threads of this process.
#[derive(Clone, Copy)]
struct Seconds {
    wall: f64,
    processor: f64,
}

/// A supernet whose steps are timed.
struct Timed<'a> {
    task: Supernet<'a>,
    steps: u32,
    weight: Vec<Seconds>,
    architecture: Vec<Seconds>,
}

fn timed<T>(kept: &mut Vec<Seconds>, body: impl FnOnce() -> T) -> T {
    let (began, before) = (Instant::now(), processor_seconds());
    let answer = body();
    kept.push(Seconds { wall: began.elapsed().as_secs_f64(), processor: processor_seconds() - before });
    answer
}

/// Seconds that all threads of this process have run, in ticks of 10 ms (`/proc/self/stat`, fields 14 and 15).
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u32>().ok());
    f64::from(ticks.sum::<u32>()) / 100.0
}

impl TaskLoss for Timed<'_> {
    type Error = SupernetError;

    fn enter(&mut self, stage: &Stage) -> Result<(), SupernetError> {
        self.task.enter(stage)
    }

    /// One more than are counted: the first step fills caches.
    fn steps(&self) -> u32 {
        self.steps + 1
    }

    fn weight_step(&mut self, choices: &Choices, at: At, rate: f64) -> Result<(), SupernetError> {
        timed(&mut self.weight, || self.task.weight_step(choices, at, rate))
    }

    fn evaluate(&mut self, choices: &Choices, at: At) -> Result<TaskGradient, SupernetError> {
        timed(&mut self.architecture, || self.task.evaluate(choices, at))
    }

    fn report(&mut self, _likeliest: &Choices) -> Result<EpochReport, SupernetError> {
        let nought = 0.0;
        Ok(EpochReport {
            train_loss: None,
            train_accuracy: nought,
            validation_loss: nought,
            validation_accuracy: nought,
        })
    }
}

struct Nobody(Instant);

impl Observer for Nobody {
    fn step(&mut self, _at: At, _steps: u32) {}

    fn interrupted(&self) -> bool {
        false
    }

    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

fn job(paths: &str, images: usize) -> Job {
    let path = format!("{}/search-spaces/cifar10-uboost.yaml", env!("CARGO_MANIFEST_DIR"));
    let set = [
        format!("search.operators.paths={paths}"),
        format!("search.batch={BATCH}"),
        format!("training.batch={BATCH}"),
        "data.set=shapes".to_owned(),
        format!("data.training={images}"),
        format!("data.selection={}", 4 * BATCH),
    ];
    let overrides = Overrides { set: set.to_vec(), ..Overrides::default() };
    Job::load(path.as_ref(), &overrides).expect("the shipped job takes these changes")
}

/// One mode, in this process.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn measure(name: &str) {
    let (_, paths, precision, steps) = *MODES.iter().find(|mode| mode.0 == name).expect("the parent knows the modes");
    let threads = std::env::var("THREADS").ok().and_then(|count| count.parse().ok()).unwrap_or(THREADS);
    torch::set_threads(threads);
    let images = BATCH * (steps as usize + 1);
    let job = job(paths, images);
    let data = Dataset::new(&shapes::generate(0, images + 4 * BATCH, 1), Device::Cpu).expect("a small data set");
    let sizes = SplitSizes { training: images, selection: 4 * BATCH, test: None };
    let splits = Splits::new(&data, sizes, 0).expect("as many images as were made");
    let loader = Loader::new(&data, Augment::STANDARD, Layout::ChannelsLast).expect("a small data set");
    let settings = SupernetSettings {
        seed: 0,
        batch: BATCH,
        weights: job.settings.weights,
        precision,
        layout: Layout::ChannelsLast,
        augment: Augment::STANDARD,
        together: [Together::WHOLE; 2],
        sizes: Sizes::Widest,
    };
    let target = Target { timing: job.timing, ..Target::of(&job.accelerator) };
    let cost = CostModel::new(&job.space, &target, job.pricing()).expect("the shipped space fits");
    let mut search = Search::new(&job.space, &cost, job.settings.clone());
    let task = Supernet::new(&job.space, &splits, &loader, settings);
    let mut timed = Timed { task, steps, weight: Vec::new(), architecture: Vec::new() };
    let stage = search.stage().expect("the job searches operators");
    let present = memory::present(Device::Cpu).ok().flatten().unwrap_or_default();
    let running = Running::of(&stage, job.settings.paths);
    let budget = Budget { limit: None, present };
    let plan = MemoryPlan::new(&job.space, running, precision, BATCH as u64, budget).expect("the space fits");
    timed.enter(&stage).expect("the supernet fits");
    search.epoch(&mut timed, &mut Nobody(Instant::now())).expect("the steps run");
    let hardware = hardware_seconds(&cost, &job);
    let line = json!({
        "mode": name,
        "batch": BATCH,
        "threads": threads,
        "weight_step": figures(&timed.weight[1..]),
        "architecture_step": figures(&timed.architecture),
        "hardware_cost_seconds": round(hardware),
        "peak_bytes": memory::peak(Device::Cpu).ok().flatten(),
        "predicted_peak_bytes": plan.predicted(),
        "present_bytes": present,
    });
    println!("{line}");
}

/// Seconds of one expected cost with its gradient.
fn hardware_seconds(cost: &CostModel, job: &Job) -> f64 {
    let uniform = Probabilities::uniform(&job.space);
    let began = Instant::now();
    (0..COSTS).for_each(|_| drop(std::hint::black_box(cost.hardware(&uniform))));
    began.elapsed().as_secs_f64() / f64::from(COSTS)
}

/// Mean, median and ends of steps.
fn figures(steps: &[Seconds]) -> Value {
    let mut wall: Vec<f64> = steps.iter().map(|step| step.wall).collect();
    wall.sort_by(f64::total_cmp);
    let mean = |value: fn(&Seconds) -> f64| steps.iter().map(value).sum::<f64>() / steps.len() as f64;
    json!({
        "steps": steps.len(),
        "mean": round(mean(|step| step.wall)),
        "median": round(wall[wall.len() / 2]),
        "least": round(wall[0]),
        "most": round(wall[wall.len() - 1]),
        "processor_mean": round(mean(|step| step.processor)),
    })
}

/// Four significant digits.
fn round(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// What `command` prints on its one line of JSON.
fn answer(command: &mut Command) -> Result<Value, String> {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// Shares of a step that the host pays for hardware, and how many times the reference's step ours is.
fn compared(mut line: Value, reference: Option<f64>) -> Value {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let (weight, architecture) = (&line["weight_step"], &line["architecture_step"]);
    // Full steps are alike; of sampled ones the mean over draws counts.
    let which = if number(&weight["steps"]) > 10.0 { "mean" } else { "median" };
    let weight_seconds = number(&weight[which]);
    let share = number(&line["hardware_cost_seconds"]) / number(&architecture[which]);
    let times = reference.map(|reference| round(weight_seconds / reference));
    line["hardware_share_of_an_architecture_step"] = json!(round(share));
    if let Some(times) = times {
        line["times_the_reference"] = json!(times);
    }
    line
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]
fn all(wanted: &[String]) -> Result<(), String> {
    let script = format!("{}/scripts/step-reference.py", env!("CARGO_MANIFEST_DIR"));
    let mut reference = None;
    match std::env::var("PYTHON") {
        Ok(python) => {
            let mut command = Command::new(python);
            let line = answer(command.arg(script).args(["--batch", &BATCH.to_string()]))?;
            reference = line["seconds"].as_f64();
            println!("{line}");
        }
        Err(_) => eprintln!("PYTHON names no interpreter with PyTorch: nothing to compare with"),
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    for (name, ..) in MODES.iter().filter(|mode| wanted.is_empty() || wanted.iter().any(|one| one == mode.0)) {
        let line = answer(Command::new(&program).args(["--one", name]))?;
        println!("{}", compared(line, reference));
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a benchmark that cannot run says why")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [flag, name] if flag == "--one" => measure(name),
        _ => {
            let wanted: Vec<String> = arguments.into_iter().filter(|one| !one.starts_with("--")).collect();
            if let Err(error) = all(&wanted) {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
