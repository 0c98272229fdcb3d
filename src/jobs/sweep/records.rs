//! What a sweep writes down: `runs.csv`, `summary.json` and the front of its finished runs.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SweepError;
use super::grid::{Assignment, written};
use super::plan::{Plan, PlannedRun};
use crate::jobs::pareto::write_fronts;
use crate::pareto::{self, Front};
use crate::record::{RunFolder, Summary, holder, read_json, write, write_json};

/// The stop reason of a run whose loss was not finite for the second time.
const NOT_FINITE: &str = "not-finite";

/// How a run of a sweep stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It came to its end.
    Finished,
    /// It ended with an error.
    Failed,
    /// It has begun, and goes on where it stands.
    Interrupted,
    /// A process holds its folder.
    Running,
    /// Nothing is there of it yet.
    Waiting,
}

impl RunState {
    /// Its name in files and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The run.
    pub run: String,
    /// `exit code 2`, or the signal that ended it.
    pub how: String,
    /// What it said, in the sweep's folder.
    pub log: String,
    /// The last line of that.
    pub last_line: String,
}

/// A run as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// What was planned.
    pub run: PlannedRun,
    /// How it stands.
    pub state: RunState,
    /// Its summary, where it is finished.
    pub summary: Option<Summary>,
    /// Whether it is on the front.
    pub on_front: bool,
}

impl RunRecord {
    /// The run in its folder below `out`; a run that is not finished has failed where `failed` says so.
    fn read(out: &Path, run: &PlannedRun, failed: &[Failure]) -> Self {
        let path = out.join(&run.name);
        let summary = RunFolder::open(&path).ok().and_then(|folder| folder.read_summary().ok().flatten());
        let ended = summary.as_ref().filter(|summary| summary.is_finished());
        let state = match ended {
            Some(summary) if summary.stop_reason == NOT_FINITE => RunState::Failed,
            Some(_) => RunState::Finished,
            None if holder(&path).is_some() => RunState::Running,
            None if failed.iter().any(|failure| failure.run == run.name) => RunState::Failed,
            None if path.exists() => RunState::Interrupted,
            None => RunState::Waiting,
        };
        let summary = summary.filter(|_| state == RunState::Finished);
        Self { run: run.clone(), state, summary, on_front: false }
    }

    /// Whether it is finished and misses a target of its job.
    #[must_use]
    pub fn misses_a_target(&self) -> bool {
        self.summary.as_ref().is_some_and(|summary| summary.targets.iter().any(|target| !target.met))
    }
}

/// Mean and sample deviation of a measure over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Sample deviation; nothing of fewer than two.
    pub deviation: Option<f64>,
}

impl Spread {
    #[expect(clippy::cast_precision_loss, reason = "numbers of runs are far below 2^52")]
    fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
        (!values.is_empty()).then_some(Self { mean, deviation })
    }
}

/// The finished runs that differ in their seeds alone.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PointSummary {
    /// What they change of the job.
    pub set: Assignment,
    /// How many are finished.
    pub n: usize,
    /// Test accuracy, a fraction.
    pub test_accuracy: Option<Spread>,
    /// Latency at batch 1, ms.
    pub latency_ms: Option<Spread>,
}

/// `summary.json` of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepSummary {
    /// Version of this form: 1.
    pub version: u32,
    /// Name of the job.
    pub name: String,
    /// How many runs there are.
    pub runs: usize,
    /// How many of them are finished.
    pub finished: usize,
    /// Those that failed.
    pub failed: Vec<Failure>,
    /// Those that have begun and go on where they stand.
    pub interrupted: Vec<String>,
    /// Those whose folder a process holds.
    pub running: Vec<String>,
    /// Those that have not begun.
    pub waiting: Vec<String>,
    /// Finished runs that miss a target of their job.
    pub missed: Vec<String>,
    /// For each combination of values its runs over the seeds.
    pub points: Vec<PointSummary>,
    /// The front of the finished runs, one for each accelerator, as `pareto --json`.
    pub fronts: Vec<Front>,
    /// What should not be compared or casts doubt on a run, a sentence each.
    pub warnings: Vec<String>,
}

/// What of a summary a later call goes on with.
#[derive(Debug, Default, Deserialize)]
struct Before {
    #[serde(default)]
    failed: Vec<Failure>,
}

/// How all runs of a sweep stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    /// A record for each run, in the order of the plan.
    pub runs: Vec<RunRecord>,
    /// The whole.
    pub summary: SweepSummary,
}

/// Failures that the summary in `out` tells of.
pub(super) fn failures_before(out: &Path) -> Vec<Failure> {
    read_json::<Before>(&out.join("summary.json")).unwrap_or_default().failed
}

impl Records {
    /// What the folders of the runs of `plan` below `out` hold.
    #[must_use]
    pub fn read(out: &Path, plan: &Plan, failed: &[Failure]) -> Self {
        let mut runs: Vec<RunRecord> = plan.runs.iter().map(|run| RunRecord::read(out, run, failed)).collect();
        let (fronts, warnings) = fronts(out, &runs);
        for run in &mut runs {
            run.on_front = fronts.iter().any(|front| front.names().contains(&run.run.name));
        }
        let summary = summary(plan, &runs, failed, (fronts, warnings));
        Self { runs, summary }
    }

    /// Writes them into `out`, each file whole or not at all.
    ///
    /// # Errors
    /// [`SweepError`] where the system refuses.
    pub fn write(&self, out: &Path, plan: &Plan) -> Result<(), SweepError> {
        write(&out.join("runs.csv"), csv(plan, &self.runs).as_bytes())?;
        write_json(&out.join("summary.json"), &self.summary)?;
        if !self.summary.fronts.is_empty() {
            write_fronts(out, &self.summary.fronts)?;
        }
        Ok(())
    }
}

/// The fronts of the finished runs, their points named as the runs.
fn fronts(out: &Path, runs: &[RunRecord]) -> (Vec<Front>, Vec<String>) {
    let finished = runs.iter().filter(|run| run.state == RunState::Finished);
    let folders: Vec<_> = finished.map(|run| out.join(&run.run.name)).collect();
    if folders.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let found = pareto::points_of_runs(&folders).and_then(|found| {
        let mut points = found.points;
        for point in &mut points {
            let run = runs.iter().find(|run| point.run == Some(out.join(&run.run.name).display().to_string()));
            if let Some(run) = run {
                point.name.clone_from(&run.run.name);
            }
        }
        Ok((pareto::fronts(points, None)?, found.warnings))
    });
    found.unwrap_or_else(|error| (Vec::new(), vec![format!("there is no front: {error}")]))
}

fn summary(
    plan: &Plan,
    runs: &[RunRecord],
    failed: &[Failure],
    (fronts, warnings): (Vec<Front>, Vec<String>),
) -> SweepSummary {
    let names = |state: RunState| {
        runs.iter().filter(|run| run.state == state).map(|run| run.run.name.clone()).collect::<Vec<_>>()
    };
    let failure = |name: String| {
        let known = failed.iter().find(|failure| failure.run == name).cloned();
        known.unwrap_or_else(|| Failure {
            how: "its loss was not finite".to_owned(),
            log: log(&name),
            last_line: String::new(),
            run: name,
        })
    };
    let missed = runs.iter().filter(|run| run.misses_a_target()).map(|run| run.run.name.clone());
    SweepSummary {
        version: 1,
        name: plan.name.clone(),
        runs: runs.len(),
        finished: names(RunState::Finished).len(),
        failed: names(RunState::Failed).into_iter().map(failure).collect(),
        interrupted: names(RunState::Interrupted),
        running: names(RunState::Running),
        waiting: names(RunState::Waiting),
        missed: missed.collect(),
        points: points(runs),
        fronts,
        warnings,
    }
}

/// The log of a run, in the sweep's folder.
pub(super) fn log(run: &str) -> String {
    format!("logs/{run}.log")
}

fn points(runs: &[RunRecord]) -> Vec<PointSummary> {
    let mut sets: Vec<&Assignment> = Vec::new();
    for run in runs {
        if !sets.contains(&&run.run.set) {
            sets.push(&run.run.set);
        }
    }
    let point = |set: &Assignment| {
        let finished = runs.iter().filter(|run| run.run.set == *set).filter_map(|run| run.summary.as_ref());
        let finished: Vec<&Summary> = finished.collect();
        let accuracies: Vec<f64> = finished.iter().filter_map(|summary| summary.accuracy.test).collect();
        let latencies: Vec<f64> = finished.iter().map(|summary| summary.latency_ms).collect();
        PointSummary {
            set: set.clone(),
            n: finished.len(),
            test_accuracy: Spread::of(&accuracies),
            latency_ms: Spread::of(&latencies),
        }
    };
    sets.into_iter().map(point).collect()
}

/// Columns of `runs.csv` behind those of the keys.
const MEASURES: [&str; 17] = [
    "seed",
    "state",
    "on_front",
    "test_accuracy",
    "validation_accuracy",
    "latency_ms",
    "mapping_utilization",
    "overall_utilization",
    "end_to_end_utilization",
    "cycles",
    "macs",
    "params",
    "search_seconds",
    "train_seconds",
    "peak_memory_bytes",
    "accelerator",
    "targets_met",
];

fn csv(plan: &Plan, runs: &[RunRecord]) -> String {
    let keys: Vec<&str> = plan.grid.iter().map(|grid| grid.key.as_str()).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["run"].into_iter().chain(keys.iter().copied()).chain(MEASURES);
    writer.write_record(header).expect("memory is always written to");
    for record in runs {
        let values = keys.iter().map(|key| record.run.set.get(*key).map_or_else(String::new, written));
        let row = [record.run.name.clone()].into_iter().chain(values).chain(measures(record));
        writer.write_record(row).expect("memory is always written to");
    }
    String::from_utf8(writer.into_inner().expect("memory is always written to")).expect("strings went in")
}

/// Cells of the columns [`MEASURES`]; what is not known is empty.
fn measures(record: &RunRecord) -> [String; MEASURES.len()] {
    let summary = record.summary.as_ref();
    let cell = |of: &dyn Fn(&Summary) -> Option<String>| summary.and_then(of).unwrap_or_default();
    let number = |of: &dyn Fn(&Summary) -> Option<f64>| cell(&|summary| of(summary).map(|value| value.to_string()));
    let on_front = summary.map_or_else(String::new, |_| record.on_front.to_string());
    [
        record.run.seed.to_string(),
        record.state.name().to_owned(),
        on_front,
        number(&|summary| summary.accuracy.test),
        number(&|summary| summary.accuracy.validation),
        number(&|summary| Some(summary.latency_ms)),
        number(&|summary| summary.mapping_utilization),
        number(&|summary| summary.overall_utilization),
        number(&|summary| summary.end_to_end_utilization),
        cell(&|summary| summary.cycles.map(|cycles| cycles.0.to_string())),
        cell(&|summary| Some(summary.macs.0.to_string())),
        cell(&|summary| Some(summary.params.to_string())),
        number(&|summary| Some(summary.search_seconds)),
        number(&|summary| Some(summary.train_seconds)),
        cell(&|summary| Some(summary.peak_memory_bytes.0.to_string())),
        cell(&|summary| Some(summary.accelerator.clone())),
        cell(&|summary| {
            let targets = &summary.targets;
            (!targets.is_empty()).then(|| targets.iter().all(|target| target.met).to_string())
        }),
    ]
}
