//! What a sweep runs, and in which order: read, checked and resolved before the first run starts.

use std::collections::HashMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SweepError;
use super::forecast::Work;
use super::grid::{Assignment, GridError, GridKey, apart, points, setting};
use super::names::{Names, folder, point_of};
use crate::jobs::spec::{CLASSES, DataSet, IMAGE, Job, JobError, Overrides};
use crate::pareto::tabular;
use crate::search::methods::Method;

/// Most runs of one sweep: a grid that makes more is a slip.
const MOST_RUNS: usize = 10_000;

/// `sweep.json`: the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this form: 1.
    pub version: u32,
    /// Name of the job.
    pub name: String,
    /// Keys and their values, the last key fastest.
    pub grid: Vec<GridKey>,
    /// Seeds, in order: all runs of one before those of the next.
    pub seeds: Vec<u64>,
    /// How runs are run.
    pub means: Means,
    /// The runs, in the order in which they start.
    pub runs: Vec<PlannedRun>,
}

/// How runs are run, which is no part of what they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Means {
    /// `--data` of each run, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// `--device` of each run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// `--threads` of each run; chosen at the start where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// `--table` of each run and what belongs to it: runs search a benchmark's table instead of training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableMeans>,
}

/// The table that runs search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableMeans {
    /// `--table`, absolute.
    pub file: PathBuf,
    /// `--evaluations`.
    pub evaluations: u32,
    /// `--accuracy-column`; that of `search` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_column: Option<String>,
    /// `--reference`, as `ERROR,MS`; found from the exact front where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl TableMeans {
    /// The flags of a run and their values.
    pub(super) fn flags(&self) -> [(&'static str, Option<String>); 4] {
        [
            ("--table", Some(self.file.display().to_string())),
            ("--evaluations", Some(self.evaluations.to_string())),
            ("--accuracy-column", self.accuracy_column.clone()),
            ("--reference", self.reference.clone()),
        ]
    }
}

impl Means {
    /// These, where absent those `before`.
    #[must_use]
    pub fn or(self, before: Self) -> Self {
        Self {
            data: self.data.or(before.data),
            device: self.device.or(before.device),
            threads: self.threads.or(before.threads),
            table: self.table.or(before.table),
        }
    }
}

/// A run of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedRun {
    /// Name of its folder.
    pub name: String,
    /// What it changes of the job.
    pub set: Assignment,
    /// Its seed.
    pub seed: u64,
}

impl PlannedRun {
    /// Its changes as `--set` takes them.
    #[must_use]
    pub fn settings(&self) -> Vec<String> {
        settings(&self.set)
    }

    /// `objective.lambda=0.3, seed 1`.
    #[must_use]
    pub fn told(&self) -> String {
        let parts = self.settings().into_iter().chain([format!("seed {}", self.seed)]);
        parts.collect::<Vec<_>>().join(", ")
    }
}

fn settings(set: &Assignment) -> Vec<String> {
    set.iter().map(|(key, value)| setting(key, value)).collect()
}

/// The job of a sweep as text, with the place that names it in errors and where its relative paths start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base<'a> {
    /// Its YAML.
    pub(super) text: &'a str,
    /// Its path.
    pub(super) origin: &'a str,
    /// What every run changes of it.
    pub(super) set: &'a [String],
    /// Evaluations of each run, where runs search a table.
    pub(super) evaluations: Option<u32>,
}

/// The axes of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axes {
    /// Keys and their values.
    pub(super) grid: Vec<GridKey>,
    /// Seeds; that of the job where empty.
    pub(super) seeds: Vec<u64>,
}

/// The runs of `axes` over the job `base`, each read as a job, with what it has to do. Runs of the plan `kept` keep
/// their names.
///
/// # Errors
/// [`SweepError`] with the key and the rule of what is wrong.
pub(super) fn runs(
    base: Base<'_>,
    axes: &Axes,
    kept: Option<&Plan>,
) -> Result<(Vec<PlannedRun>, Vec<Work>), SweepError> {
    let Axes { grid, seeds } = axes;
    apart(grid, base.set)?;
    if let Some(place) = (0..seeds.len()).find(|&place| seeds[..place].contains(&seeds[place])) {
        return Err(SweepError::SeedTwice { seed: seeds[place] });
    }
    let count = grid.iter().map(|grid| grid.values.len()).chain([seeds.len()]).try_fold(1usize, usize::checked_mul);
    if count.is_none_or(|count| count > MOST_RUNS) {
        return Err(SweepError::TooMany { most: MOST_RUNS });
    }
    let points = points(grid);
    let work: Vec<Work> = checked(base, &points)?;
    let names = names(grid, &points, kept);
    let planned = |seed: u64| {
        let runs = points.iter().zip(&names);
        runs.map(move |(set, name)| PlannedRun { name: folder(name, seed), set: set.clone(), seed })
    };
    let runs = seeds.iter().flat_map(|&seed| planned(seed)).collect();
    Ok((runs, seeds.iter().flat_map(|_| work.iter().cloned()).collect()))
}

/// What each point has to do; every one is a job, and no two are the same.
fn checked(base: Base<'_>, points: &[Assignment]) -> Result<Vec<Work>, SweepError> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut work = Vec::new();
    for (place, point) in points.iter().enumerate() {
        let own = settings(point);
        let set: Vec<String> = base.set.iter().chain(&own).cloned().collect();
        let overrides = Overrides { set, ..Overrides::default() };
        let job = Job::parse(base.text, base.origin, &overrides).map_err(|error| match error {
            JobError::Set { given, reason } if own.contains(&given) => GridError { given, reason }.into(),
            other => SweepError::Job(other),
        })?;
        searchable(&job, base.evaluations.is_some())?;
        if let Some(before) = seen.insert(job.to_yaml(), place) {
            let told = |place: usize| settings(&points[place]).join(", ");
            return Err(SweepError::SameJob { first: told(before), second: told(place) });
        }
        work.push(base.evaluations.map_or_else(|| Work::of(&job), Work::of_table));
    }
    Ok(work)
}

/// That the job's method can search a table where there is one, otherwise that it trains and that the job's space is for
/// images of a data set.
fn searchable(job: &Job, table: bool) -> Result<(), SweepError> {
    if table {
        return tabular::takes(job.settings.method).map_err(|error| SweepError::Method(Box::new(error)));
    }
    if let Method::Nsga2 { .. } = job.settings.method {
        return Err(SweepError::TableAlone);
    }
    if job.settings.preference.is_some() {
        return Err(SweepError::PreferenceAlone);
    }
    let space = &job.space;
    if space.input.dims() == IMAGE.as_slice() && space.classes == CLASSES {
        return Ok(());
    }
    Err(SweepError::OtherImages { input: space.input.clone(), classes: space.classes })
}

/// Whether a run of `job` needs files of images.
pub(super) fn needs_files(job: &Job) -> bool {
    match job.file.data.set {
        DataSet::Shapes => false,
        DataSet::Cifar10 => true,
    }
}

/// A name for each point; those of `kept` stay.
fn names(grid: &[GridKey], points: &[Assignment], kept: Option<&Plan>) -> Vec<String> {
    let known: Vec<&PlannedRun> = kept.iter().flat_map(|plan| &plan.runs).collect();
    let mut names = Names::new(grid, known.iter().map(|run| point_of(&run.name)).filter(|name| !name.is_empty()));
    let name = |point: &Assignment| match known.iter().find(|run| run.set == *point) {
        Some(run) => point_of(&run.name).to_owned(),
        None => names.of(point),
    };
    points.iter().map(name).collect()
}

impl Plan {
    /// That this plan, of a call, has every run of the plan `kept`, of the folder.
    ///
    /// # Errors
    /// What the folder has and the call has not.
    pub fn extends(&self, kept: &Self) -> Result<(), String> {
        let has = |run: &&PlannedRun| self.runs.iter().any(|own| (&own.set, own.seed) == (&run.set, run.seed));
        let Some(missing) = kept.runs.iter().find(|run| !has(run)) else { return Ok(()) };
        let [ours, theirs] = [self, kept].map(|plan| {
            let keys: Vec<&str> = plan.grid.iter().map(|grid| grid.key.as_str()).collect();
            if keys.is_empty() { "no key".to_owned() } else { keys.join(", ") }
        });
        let keys =
            if ours == theirs { String::new() } else { format!(", over {theirs} where this call is over {ours}") };
        Err(format!("its run `{}` ({}) is not in this grid{keys}", missing.name, missing.told()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = include_str!("../../../search-spaces/demo.yaml");

    fn base(set: &[String]) -> Base<'_> {
        Base { text: JOB, origin: "search-spaces/demo.yaml", set, evaluations: None }
    }

    fn axes(grid: &[&str], seeds: &[u64]) -> Axes {
        Axes { grid: grid.iter().map(|text| GridKey::parse(text).unwrap()).collect(), seeds: seeds.to_vec() }
    }

    fn plan(grid: &[&str], seeds: &[u64], kept: Option<&Plan>) -> Plan {
        let Axes { grid, seeds } = axes(grid, seeds);
        let (runs, _) = runs(base(&[]), &Axes { grid: grid.clone(), seeds: seeds.clone() }, kept).unwrap();
        Plan { version: 1, name: "demo".to_owned(), grid, seeds, means: Means::default(), runs }
    }

    fn refused(grid: &[&str], seeds: &[u64], set: &[&str]) -> String {
        let set: Vec<String> = set.iter().map(|&set| set.to_owned()).collect();
        runs(base(&set), &axes(grid, seeds), None).unwrap_err().to_string()
    }

    #[test]
    fn runs_are_ordered_seed_by_seed() {
        let plan = plan(&["objective.lambda=0.02,0.08", "search.method=systole,gdas"], &[3, 1], None);
        let names: Vec<&str> = plan.runs.iter().map(|run| run.name.as_str()).collect();
        let of = |seed: u64| {
            ["0.02_method-systole", "0.02_method-gdas", "0.08_method-systole", "0.08_method-gdas"]
                .map(|name| format!("lambda-{name}_s{seed}"))
        };
        assert_eq!(names, [of(3), of(1)].concat());
        assert_eq!(plan.runs[5].told(), "objective.lambda=0.02, search.method=gdas, seed 1");
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }

    #[test]
    fn a_bad_key_or_value_is_one_error_before_any_run() {
        let message = refused(&["objective.lambda=0.1,-1"], &[0], &[]);
        assert!(message.starts_with("--grid objective.lambda=-1: ") && message.contains("got -1"), "{message}");
        let message = refused(&["objective.lambd=0.1"], &[0], &[]);
        assert!(message.starts_with("--grid objective.lambd=0.1: unknown field `lambd`"), "{message}");
        // Two keys of which each is right by itself.
        let message = refused(&["data.training=6000,7000", "data.selection=2000"], &[0], &[]);
        assert!(message.starts_with("--grid data.training=7000: training and selection are drawn from"), "{message}");
        // The user's own setting is not the grid's.
        let message = refused(&["objective.lambda=0.1"], &[0], &["search.batch=1"]);
        assert!(message.starts_with("--set search.batch=1: "), "{message}");
        assert_eq!(refused(&["objective.lambda=0.1"], &[4, 4], &[]), "--seeds: 4 stands twice");
        let message = refused(&["objective.lambda=1,1.0"], &[0], &[]);
        let same = "--grid: objective.lambda=1 and objective.lambda=1.0 are the same job; leave one of them out";
        assert_eq!(message, same);
        let values = |from: usize| (from..from + 101).map(|value| value.to_string()).collect::<Vec<_>>().join(",");
        let message = refused(&[&format!("training.epochs={}", values(0)), &format!("a={}", values(0))], &[0], &[]);
        assert_eq!(message, "--grid: makes more than 10000 runs; make several sweeps of it");
    }

    #[test]
    fn a_method_that_the_runs_cannot_have_is_one_error_before_any_run() {
        let grid = ["search.method=evolution,nsga-2"];
        let message = refused(&grid, &[0], &[]);
        let alone = "search.method: nsga-2 searches the table of a benchmark alone: give --table FILE.csv --evaluations N, or take evolution";
        assert_eq!(message, alone);
        let table = |grid: &[&str]| runs(Base { evaluations: Some(70), ..base(&[]) }, &axes(grid, &[0]), None);
        let (planned, work) = table(&grid).unwrap();
        assert_eq!((planned.len(), work[1].units().values().sum::<u64>()), (2, 70));
        let message = table(&["search.method=random,gdas"]).unwrap_err().to_string();
        assert!(message.contains("gdas") && message.contains("no gradient of a loss"), "{message}");
    }

    #[test]
    fn a_call_that_adds_runs_extends_the_plan_and_keeps_its_names() {
        let kept = plan(&["objective.lambda=0.02"], &[0], None);
        let more = plan(&["objective.lambda=0.08,0.02"], &[0, 1], Some(&kept));
        assert_eq!(more.extends(&kept), Ok(()));
        assert_eq!(more.runs[1].name, kept.runs[0].name);
        assert_eq!(more.extends(&more), Ok(()));
        // Where a name is taken, that of the new run gives way.
        let mut other = kept.clone();
        other.runs[0].name = "lambda-0.08_s0".to_owned();
        let more = plan(&["objective.lambda=0.08,0.02"], &[0], Some(&other));
        let names: Vec<&str> = more.runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names, ["lambda-0.08-2_s0", "lambda-0.08_s0"]);
    }

    #[test]
    fn a_call_without_a_run_of_the_folder_names_it() {
        let kept = plan(&["objective.lambda=0.02,0.08"], &[0, 1], None);
        let fewer = plan(&["objective.lambda=0.02,0.3"], &[0, 1], None).extends(&kept).unwrap_err();
        assert_eq!(fewer, "its run `lambda-0.08_s0` (objective.lambda=0.08, seed 0) is not in this grid");
        let seeds = plan(&["objective.lambda=0.02,0.08"], &[0], None).extends(&kept).unwrap_err();
        assert_eq!(seeds, "its run `lambda-0.02_s1` (objective.lambda=0.02, seed 1) is not in this grid");
        let keys = plan(&["objective.beta=0.1,0.2"], &[0], None).extends(&kept).unwrap_err();
        assert!(keys.ends_with("is not in this grid, over objective.lambda where this call is over objective.beta"));
    }
}
