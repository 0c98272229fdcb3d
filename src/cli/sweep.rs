//! `systole sweep`: a grid of values times seeds over one job.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::jobs::progress::Progress;
use crate::jobs::sweep::{
    Forecast, Means, Plan, PointSummary, Records, RunRecord, RunState, Spread, Sweep, SweepRequest, TableMeans,
    told_failure, written,
};

use super::numbers::{counted, digits, grouped};
use super::progress::Bars;
use super::search::DeviceArg;
use super::shell::word;
use super::table::{Columns, list, table};
use super::{End, Notes, process};

const EXAMPLES: &str = "\
Examples:
  systole sweep search-spaces/demo.yaml --grid objective.lambda=0.02,0.08,0.3 --seeds 0,1
  systole sweep search-spaces/demo.yaml --grid 'search.operators.paths=[full, {sampled: 1}]' --grid search.batch=16,32 --dry-run
  systole sweep search-spaces/cifar10-small.yaml --data DIR --grid objective.lambda=0.02,0.08 --seeds 0,1,2 --jobs 2
  systole sweep search-spaces/demo.yaml --seeds 0,1,2 --out shared/demo --print-commands | xargs -d '\\n' -n 1 -P 4 bash -c
  systole sweep search-spaces/demo.yaml --out shared/demo --collect
  systole sweep search-spaces/nas-bench-macro.yaml --table benchmark.csv --evaluations 400 --grid search.method=evolution,nsga-2 --seeds 0,1,2

The same call again goes on where it was stopped; a call with more values or seeds adds runs.";

/// What `sweep` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The job
    #[arg(value_name = "JOB.yaml")]
    job: PathBuf,
    /// A key of the job and its values, items of a YAML list; several make every combination
    #[arg(long, value_name = "KEY=V,V,...")]
    grid: Vec<String>,
    /// Seeds of every combination; the job's where absent
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Runs at a time; as many as cores and memory allow where absent, one on a CUDA device
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    jobs: Option<u32>,
    /// Show the runs and how long they will take, as far as finished epochs tell; write nothing
    #[arg(long, conflicts_with_all = ["print_commands", "collect"])]
    dry_run: bool,
    /// Write the plan, and print a shell command for each run that is not finished
    #[arg(long, conflicts_with_all = ["collect", "json"])]
    print_commands: bool,
    /// Run nothing; gather the runs that the folder holds, whoever ran them
    #[arg(long)]
    collect: bool,
    /// Folder of the sweep; results/NAME-sweep where absent
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Change a key of the job for every run, as training.epochs=3; may stand several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of the data set, where it has one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where tensors of each run live: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", value_parser = device)]
    device: Option<String>,
    /// Threads of each run; the cores shared among the runs at a time where absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
    /// Let every run search this table of a benchmark instead of training: columns `arch` and an accuracy in percent
    #[arg(long, value_name = "FILE.csv", requires = "evaluations", conflicts_with = "data")]
    table: Option<PathBuf>,
    /// Most look-ups of each run in the table
    #[arg(long, value_name = "N", requires = "table", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    evaluations: Option<u32>,
    /// Column of the table's accuracies, mean_acc where absent
    #[arg(long, value_name = "C", requires = "table")]
    accuracy_column: Option<String>,
    /// Corner of each run's hypervolume share on the table: an error (a fraction) and a latency in ms
    #[arg(long, value_name = "ERROR,MS", requires = "table", value_parser = reference)]
    reference: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn reference(text: &str) -> Result<String, String> {
    super::pareto::reference(text).map(|_| text.to_owned())
}

fn device(text: &str) -> Result<String, String> {
    text.parse::<DeviceArg>().map(|_| text.to_owned())
}

/// The bar of a sweep: each run that ends says a line of its own.
struct Runs(Bars);

impl Progress for Runs {
    fn begin(&mut self, phase: &str, steps: u64, done: u64) {
        self.0.begin(phase, steps, done);
    }

    fn step(&mut self) {
        self.0.advance();
    }

    fn say(&mut self, line: &str) {
        self.0.say(line);
    }

    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }

    fn seconds(&self) -> f64 {
        self.0.seconds()
    }
}

pub(super) fn run(args: &Args, notes: Notes) -> anyhow::Result<End> {
    let sweep = Sweep::prepare(&request(args))?;
    if args.dry_run {
        super::output(&foretold(&sweep, args)?)?;
        return Ok(End::Done);
    }
    if args.print_commands {
        let _opened = sweep.open()?;
        super::output(&commands(&sweep)?)?;
        return Ok(End::Done);
    }
    if args.collect {
        let _opened = sweep.open()?;
        let records = sweep.records();
        records.write(sweep.out(), sweep.plan())?;
        return ended(&sweep, &records, (args, notes));
    }
    // Tables are searched without training.
    let table = sweep.plan().means.table.is_some();
    let program = if table { std::env::current_exe()? } else { process::searcher()? };
    let mut progress = Runs(Bars::new(notes)?);
    let records = sweep.run(&program, &mut progress)?;
    progress.0.finish();
    let end = ended(&sweep, &records, (args, notes))?;
    let unfinished = records.summary.finished < records.summary.runs;
    Ok(if progress.interrupted() && unfinished { End::Interrupted } else { end })
}

fn request(args: &Args) -> SweepRequest {
    SweepRequest {
        job: args.job.clone(),
        set: args.set.clone(),
        grid: args.grid.clone(),
        seeds: args.seeds.clone(),
        means: means(args),
        jobs: args.jobs,
        out: args.out.clone(),
    }
}

fn means(args: &Args) -> Means {
    let Args { data, device, threads, table, evaluations, accuracy_column, reference, .. } = args;
    let table = table.clone().zip(*evaluations).map(|(file, evaluations)| TableMeans {
        file,
        evaluations,
        accuracy_column: accuracy_column.clone(),
        reference: reference.clone(),
    });
    Means { data: data.clone(), device: device.clone(), threads: *threads, table }
}

/// Prints how the sweep stands.
fn ended(sweep: &Sweep, records: &Records, (args, notes): (&Args, Notes)) -> anyhow::Result<End> {
    let summary = &records.summary;
    for warning in &summary.warnings {
        notes.line(&format!("warning: {warning}"));
    }
    let text = if args.json { serde_json::to_string_pretty(summary)? + "\n" } else { text(sweep, records) };
    super::output(&text)?;
    let whole = summary.finished == summary.runs && summary.missed.is_empty();
    Ok(if whole { End::Done } else { End::Partial })
}

fn text(sweep: &Sweep, records: &Records) -> String {
    let summary = &records.summary;
    let mut text = runs(sweep.plan(), &records.runs);
    if sweep.plan().seeds.len() > 1 {
        text.push('\n');
        text.push_str(&points(sweep.plan(), &summary.points));
    }
    for front in &summary.fronts {
        let Front { members, volume } = front_of(front);
        let items = [("points", members), ("hypervolume", volume)];
        text.push_str(&format!("\n{}", list(&format!("front on {}", front.accelerator()), &items)));
    }
    let counts: Vec<String> = [
        (summary.finished, "finished"),
        (summary.failed.len(), "failed"),
        (summary.interrupted.len(), "interrupted"),
        (summary.running.len(), "running"),
        (summary.waiting.len(), "waiting"),
        (summary.missed.len(), "with a target missed"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    text.push_str(&format!(
        "\n{}: {}; in {}\n",
        counted(summary.runs, "run"),
        counts.join(", "),
        sweep.out().display()
    ));
    for failure in &summary.failed {
        text.push_str(&format!("{}\n", told_failure(sweep.out(), failure)));
    }
    text
}

/// What is told of a front.
struct Front {
    members: String,
    volume: String,
}

fn front_of(front: &crate::pareto::Front) -> Front {
    let corner = front.corner();
    Front {
        members: front.names().join(", "),
        volume: format!(
            "{} ms below error {}, latency {} ms",
            digits(front.hypervolume(), 6),
            digits(corner[0], 6),
            digits(corner[1], 6)
        ),
    }
}

fn keys(plan: &Plan) -> Vec<&str> {
    plan.grid.iter().map(|grid| grid.key.as_str()).collect()
}

/// The runs, a line each.
fn runs(plan: &Plan, records: &[RunRecord]) -> String {
    let header = [vec!["front", "run"], vec!["state", "accuracy", "latency ms", "seconds"]].concat();
    let row = |record: &RunRecord| {
        let cell = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let summary = record.summary.as_ref();
        let missed = if record.misses_a_target() { ", target missed" } else { "" };
        vec![
            if record.on_front { "*" } else { "" }.to_owned(),
            record.run.name.clone(),
            format!("{}{missed}", record.state.name()),
            cell(summary.and_then(|summary| summary.accuracy.test).map(|test| format!("{:.2}%", 100.0 * test))),
            cell(summary.map(|summary| digits(summary.latency_ms, 4))),
            cell(summary.map(|summary| format!("{:.0}", summary.search_seconds + summary.train_seconds))),
        ]
    };
    let title = format!("sweep of {} over {}\n\n", plan.name, over(plan));
    title + &table(&Columns { header: &header, left: &[0, 1, 2], name: 1 }, records.iter().map(row).collect())
}

/// `objective.lambda (3 values) and 2 seeds`.
fn over(plan: &Plan) -> String {
    let values = plan.grid.iter().map(|grid| format!("{} ({})", grid.key, counted(grid.values.len(), "value")));
    let seeds = counted(plan.seeds.len(), "seed");
    values.chain([seeds]).collect::<Vec<_>>().join(" x ")
}

/// The combinations, means over their seeds.
fn points(plan: &Plan, points: &[PointSummary]) -> String {
    let keys = keys(plan);
    let header = [&["n"], keys.as_slice(), &["accuracy", "sd", "latency ms", "sd"]].concat();
    let row = |point: &PointSummary| {
        let cell = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let percent = |value: f64| format!("{:.2}%", 100.0 * value);
        let millis = |value: f64| digits(value, 4);
        let spread = |spread: Option<Spread>, shown: &dyn Fn(f64) -> String| {
            let deviation = spread.and_then(|spread| spread.deviation);
            [cell(spread.map(|spread| shown(spread.mean))), cell(deviation.map(shown))]
        };
        let values = keys.iter().map(|key| point.set.get(*key).map_or_else(String::new, written));
        let mut row: Vec<String> = [point.n.to_string()].into_iter().chain(values).collect();
        row.extend(spread(point.test_accuracy, &percent));
        row.extend(spread(point.latency_ms, &millis));
        row
    };
    let left: Vec<usize> = (1..=keys.len()).collect();
    let title = "means and sample deviations (sd) over the finished seeds\n\n";
    title.to_owned() + &table(&Columns { header: &header, left: &left, name: 0 }, points.iter().map(row).collect())
}

/// What would run, and for how long.
fn foretold(sweep: &Sweep, args: &Args) -> anyhow::Result<String> {
    let (forecast, records) = (sweep.forecast(), sweep.records());
    let at_once = sweep.at_once(&forecast);
    let left: Vec<usize> =
        (0..records.runs.len()).filter(|&run| records.runs[run].state != RunState::Finished).collect();
    let all = forecast.seconds_of_all(&left, at_once);
    if args.json {
        let runs: Vec<Value> =
            records.runs.iter().enumerate().map(|(place, run)| foretold_run(place, run, &forecast)).collect();
        let value = json!({
            "out": sweep.out(), "at_once": at_once, "threads": sweep.plan().means.threads, "seconds_left": all, "runs": runs,
        });
        return Ok(serde_json::to_string_pretty(&value)? + "\n");
    }
    let header = ["run", "state", "steps", "seconds left"];
    let row = |(place, record): (usize, &RunRecord)| {
        let steps: u64 = sweep.work()[place].units().values().sum();
        let seconds = forecast.seconds_left(place).map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0}"));
        vec![record.run.name.clone(), record.state.name().to_owned(), grouped(steps), seconds]
    };
    let rows = records.runs.iter().enumerate().map(row).collect();
    let mut text = format!("sweep of {} over {}\n\n", sweep.plan().name, over(sweep.plan()));
    text.push_str(&table(&Columns { header: &header, left: &[0, 1], name: 0 }, rows));
    let threads = sweep.plan().means.threads.unwrap_or(1);
    text.push_str(&format!(
        "\n{} in {}, {} left, {at_once} at a time with threads {threads}\n",
        counted(records.runs.len(), "run"),
        sweep.out().display(),
        left.len()
    ));
    text.push_str(&match all {
        Some(seconds) => format!("about {seconds:.0} s left, by the epochs that runs of this folder have done\n"),
        None => {
            "how long they take is not known: no run of this folder has done an epoch of every stage yet\n".to_owned()
        }
    });
    Ok(text)
}

fn foretold_run(place: usize, record: &RunRecord, forecast: &Forecast) -> Value {
    json!({
        "name": record.run.name, "set": record.run.set, "seed": record.run.seed, "state": record.state,
        "seconds_left": forecast.seconds_left(place), "peak_memory_bytes": forecast.peak(place),
    })
}

/// A command for each run that is not finished.
fn commands(sweep: &Sweep) -> anyhow::Result<String> {
    let (here, program) = (std::env::current_dir()?, std::env::current_exe()?);
    let cd = format!("cd {}", word(&here.display().to_string()));
    let records = sweep.records();
    let left = records.runs.iter().filter(|record| record.state != RunState::Finished);
    let command = |record: &RunRecord| {
        let words = [program.display().to_string()].into_iter().chain(sweep.arguments(&record.run));
        format!("{cd} && {}\n", words.map(|text| word(&text)).collect::<Vec<_>>().join(" "))
    };
    Ok(left.map(command).collect())
}
