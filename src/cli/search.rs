//! `systole search`: a job, from its file to a trained network.

use std::path::PathBuf;
use std::str::FromStr;

use super::{End, Notes};
use crate::accel::Timing;
use crate::jobs::Overrides;
use crate::pareto::{Reference, Table};
use crate::record::Existing;

const EXAMPLES: &str = "\
Examples:
  systole search search-spaces/demo.yaml
  systole search search-spaces/demo.yaml --seed 1 --out results/second --threads 2
  systole search search-spaces/nas-bench-macro.yaml --table table.csv --evaluations 800 --set search.method=nsga-2
  systole search search-spaces/cifar10-small.yaml --data cifar-10-binary --device cuda
  systole search search-spaces/demo.yaml --set objective.lambda=0.3 --set search.widths.epochs=8
  systole search results/demo-s0/spec.yaml --out results/demo-s0 --resume";

/// What `search` takes.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The job
    #[arg(value_name = "JOB.yaml")]
    pub job: PathBuf,
    /// Accelerator, where not the job's: a shipped name or a path
    #[arg(long, value_name = "A")]
    pub accel: Option<String>,
    /// Folder of the data set, where it has one
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Read this table of a benchmark instead of training: columns `arch` and an accuracy in percent
    #[arg(long, value_name = "FILE.csv", requires = "evaluations", conflicts_with_all = ["data", "rank_check", "checkpoint_seconds"])]
    pub table: Option<PathBuf>,
    /// Most look-ups in the table; one of a row that was read before counts again
    #[arg(long, value_name = "N", requires = "table", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub evaluations: Option<u32>,
    /// Column of the table's accuracies
    #[arg(long, value_name = "C", requires = "table", default_value = Table::ACCURACY)]
    pub accuracy_column: String,
    /// Corner of the hypervolume share on a table: an error (a fraction) and a latency in ms; where absent a twentieth of
    /// the exact front's range beyond its worst values
    #[arg(long, value_name = "ERROR,MS", requires = "table", value_parser = super::pareto::reference)]
    pub reference: Option<Reference>,
    /// Timing, where not the job's: ideal, pipelined, scale-sim or uboost-csim
    #[arg(long, value_name = "T")]
    pub timing: Option<Timing>,
    /// Run folder; results/NAME-sSEED where absent
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where tensors live: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceArg,
    /// Threads of the host; all cores where absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub threads: Option<u32>,
    /// Seconds between checkpoints, whatever they cost; where absent 5, or more so that they take 2 % of the time at most
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub checkpoint_seconds: Option<f64>,
    /// Train N networks of each stage's space by themselves, and tell how well the supernet had ordered them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub rank_check: Option<u32>,
    /// Seed, where not the job's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Change a key of the job, as objective.lambda=0.3; may stand several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Go on with the run in the folder
    #[arg(long, conflicts_with = "force")]
    pub resume: bool,
    /// Start anew in a folder that exists
    #[arg(long)]
    pub force: bool,
}

/// A time in seconds, 0 or more.
fn seconds(text: &str) -> Result<f64, String> {
    let read = text.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0);
    read.ok_or_else(|| "must be a number of seconds, 0 or more".to_owned())
}

/// Where tensors are to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceArg {
    /// The first CUDA device, the CPU where there is none.
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device, by its number.
    Cuda(usize),
}

impl FromStr for DeviceArg {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| text.parse().ok().filter(|_| digits(text)).map(Self::Cuda);
        let choice = match name {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            other => other.strip_prefix("cuda:").and_then(number),
        };
        choice.ok_or_else(|| "must be auto, cpu, cuda or cuda:N".to_owned())
    }
}

#[cfg(feature = "torch")]
impl From<DeviceArg> for crate::torch::DeviceChoice {
    fn from(device: DeviceArg) -> Self {
        match device {
            DeviceArg::Auto => Self::Auto,
            DeviceArg::Cpu => Self::Cpu,
            DeviceArg::Cuda(number) => Self::Cuda(number),
        }
    }
}

impl Args {
    /// What to do with a folder that exists.
    #[must_use]
    pub fn existing(&self) -> Existing {
        match (self.resume, self.force) {
            (true, _) => Existing::Resume,
            (false, true) => Existing::Force,
            (false, false) => Existing::Refuse,
        }
    }

    /// What the command line changes of the job.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        Overrides { accelerator: self.accel.clone(), timing: self.timing, seed: self.seed, set: self.set.clone() }
    }
}

/// Runs the job where it reads a table; leaves it to the program that trains where it trains.
///
/// # Errors
/// Where that is not installed, else it does not come back; where a table cannot be searched.
#[cfg(not(feature = "torch"))]
pub fn run(args: Args, notes: Notes) -> anyhow::Result<End> {
    match &args.table {
        Some(table) => super::tabular::run(&args, table, notes),
        None => Err(super::process::train()),
    }
}

/// Runs the job.
///
/// # Errors
/// Where the job cannot be read or run.
#[cfg(feature = "torch")]
pub fn run(args: Args, notes: Notes) -> anyhow::Result<End> {
    match &args.table {
        Some(table) => super::tabular::run(&args, table, notes),
        None => with_torch::run(&args, notes),
    }
}

#[cfg(feature = "torch")]
mod with_torch {
    use std::path::Path;

    use super::{Args, DeviceArg};
    use crate::cli::progress::Bars;
    use crate::cli::shell::word;
    use crate::cli::{End, Notes, output};
    use crate::jobs::Job;
    use crate::jobs::search::{self, SearchOptions, SearchRun};
    use crate::jobs::spec::DataSet;
    use crate::record::{RankCorrelation, RankSummary, Skips, StageEnd, Summary, TargetResult, default_path};
    use crate::torch::DeviceChoice;

    pub(super) fn run(args: &Args, notes: Notes) -> anyhow::Result<End> {
        crate::cli::process::spin_shortly();
        // Before anything that takes its time, and not before the process replaces itself: that forgets who listens.
        let mut bars = Bars::new(notes)?;
        let job = Job::load(&args.job, &args.overrides())?;
        let options = options(args, &job);
        if let (Some(data), DataSet::Shapes) = (&args.data, job.file.data.set) {
            notes.line(&format!("warning: --data {} is not used: the data set shapes is built in", data.display()));
        }
        let run = search::run(&job, &options, &mut bars)?;
        bars.finish();
        for warning in &run.summary.warnings {
            notes.line(&format!("warning: {warning}"));
        }
        let mut text = told(&run);
        let finished = run.summary.is_finished();
        if !finished {
            text.push_str(&line("go on with", &go_on(args, &run)));
        }
        output(&text)?;
        let missed = run.summary.targets.iter().any(|target| !target.met);
        Ok(match (finished, missed) {
            (false, _) => End::Interrupted,
            (true, true) => End::Partial,
            (true, false) => End::Done,
        })
    }

    fn options(args: &Args, job: &Job) -> SearchOptions {
        SearchOptions {
            data: args.data.clone(),
            out: args.out.clone().unwrap_or_else(|| default_path(&job.name, job.settings.seed)),
            existing: args.existing(),
            device: args.device.into(),
            threads: args.threads.map(|threads| threads as usize),
            checkpoint_seconds: args.checkpoint_seconds,
            rank_check: args.rank_check,
        }
    }

    /// What was found, and where it lies.
    fn told(run: &SearchRun) -> String {
        let summary = &run.summary;
        let lines = [
            ("test accuracy", percent(summary.accuracy.test)),
            ("latency", format!("{:.6} ms on {} at batch 1", summary.latency_ms, summary.accelerator)),
            ("utilization", percent(summary.end_to_end_utilization)),
            ("MACs, params", format!("{}, {}", summary.macs.0, summary.params)),
            ("seconds", format!("{:.0} searching, {:.0} training", summary.search_seconds, summary.train_seconds)),
            ("checkpoints", checkpoints(summary)),
            ("stopped by", summary.stop_reason.clone()),
            ("run folder", run.folder.display().to_string()),
        ];
        let stages = summary.stages.iter().map(|end| line(&format!("{} ended", end.stage.name()), &ended(end)));
        let skips = summary.skips.iter().map(|skips| line("free operators", &free(skips)));
        let ranks =
            summary.rank_check.iter().map(|check| line(&format!("{} ranked", check.stage.name()), &ranked(check)));
        let guards: String = stages.chain(skips).chain(ranks).collect();
        let (found, run) = lines.split_at(4);
        let targets: String = summary.targets.iter().map(|target| line("target", &told_target(target))).collect();
        let told = |lines: &[(&str, String)]| lines.iter().map(|(name, value)| line(name, value)).collect::<String>();
        guards + &told(found) + &targets + &told(run)
    }

    /// A target with what the network takes: `latency-ms <= 0.05: 0.04, kept with 0.01 to spare`.
    fn told_target(target: &TargetResult) -> String {
        let TargetResult { metric, relation, target, value, slack, met } = target;
        let (name, sign, room) = (metric.name(), relation.sign(), slack.abs());
        let stands = if *met { format!("kept with {room:.6} to spare") } else { format!("missed by {room:.6}") };
        format!("{name} {sign} {target}: {value:.6}, {stands}")
    }

    /// What the end of a stage told.
    fn ended(end: &StageEnd) -> String {
        format!(
            "entropy {}, selection accuracy {} mixed, {} derived",
            percent(end.entropy),
            percent(end.mixed_accuracy),
            percent(end.derived_accuracy)
        )
    }

    fn ranked(check: &RankSummary) -> String {
        let RankCorrelation { n, spearman, kendall } = check.correlation;
        format!("Spearman {spearman:.3}, Kendall {kendall:.3} of supernet and own training, n = {n}")
    }

    fn free(skips: &Skips) -> String {
        format!(
            "{} of {}: {} identity, {} zero, which are {} of the candidates",
            skips.identity + skips.zero,
            skips.of,
            skips.identity,
            skips.zero,
            percent(Some(skips.offered))
        )
    }

    /// How many there were, and what share of the time they took.
    fn checkpoints(summary: &Summary) -> String {
        let seconds = summary.search_seconds + summary.train_seconds;
        let share = summary.checkpoint_seconds.map(|spent| spent / seconds).filter(|share| share.is_finite());
        format!("{}, {} of the time", summary.checkpoints.unwrap_or(0), percent(share))
    }

    fn percent(value: Option<f64>) -> String {
        value.map_or_else(|| "-".to_owned(), |v| format!("{:.2} %", 100.0 * v))
    }

    fn line(name: &str, value: &str) -> String {
        format!("{name:<16} {value}\n")
    }

    /// The command that goes on with an interrupted run.
    fn go_on(args: &Args, run: &SearchRun) -> String {
        let spec = run.folder.join("spec.yaml");
        let mut text = format!("systole search {} --out {} --resume", path_word(&spec), path_word(&run.folder));
        if let Some(data) = &args.data {
            text.push_str(&format!(" --data {}", path_word(data)));
        }
        if args.device != DeviceArg::Auto {
            text.push_str(&format!(" --device {}", DeviceChoice::from(args.device)));
        }
        if let Some(threads) = args.threads {
            text.push_str(&format!(" --threads {threads}"));
        }
        if let Some(networks) = args.rank_check {
            text.push_str(&format!(" --rank-check {networks}"));
        }
        if let Some(seconds) = args.checkpoint_seconds {
            text.push_str(&format!(" --checkpoint-seconds {seconds}"));
        }
        text
    }

    fn path_word(path: &Path) -> String {
        word(&path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_the_help_says() {
        let read = |name: &str| name.parse::<DeviceArg>();
        assert_eq!(read("auto"), Ok(DeviceArg::Auto));
        assert_eq!(read("cuda"), Ok(DeviceArg::Cuda(0)));
        assert_eq!(read("cuda:3"), Ok(DeviceArg::Cuda(3)));
        for bad in ["gpu", "cuda:", "cuda:+1", "cuda:-1", "CPU", "cuda:x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
