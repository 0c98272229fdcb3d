//! `sweep`: a grid of keys times seeds over one job. Each run is a process of its own, in a folder of its own below that
//! of the sweep; the folder holds the plan, so that the same call goes on where it was stopped.

mod forecast;
mod grid;
mod names;
mod plan;
mod records;
mod run;

use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub use forecast::{Forecast, Known, Work};
pub use grid::{Assignment, GridError, GridKey, written};
pub use plan::{Means, Plan, PlannedRun, TableMeans};
pub use records::{Failure, PointSummary, Records, RunRecord, RunState, Spread, SweepSummary};
pub use run::{SWEEP_PROCESS, told as told_failure};

use super::pareto::ParetoWriteError;
use super::spec::{Job, JobError, Overrides, PrecisionFile};
use crate::load::{self, LoadError};
use crate::network::Shape;
use crate::pareto::tabular::TabularError;
use crate::record::{ACCELERATOR, RecordError, SWEEP, free_memory, lock, read_json, write, write_json};
use crate::units::Bytes;
use plan::{Axes, Base};

/// The job of a sweep in its folder: every default and `--set` filled in.
const JOB: &str = "job.yaml";
/// What a run is taken to hold at its fullest moment where no run of the sweep tells: a round figure, above that of every
/// shipped job.
const UNKNOWN_PEAK: Bytes = Bytes(2 << 30);

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct SweepRequest {
    /// The job.
    pub job: PathBuf,
    /// `KEY=VALUE` for every run.
    pub set: Vec<String>,
    /// `KEY=V,V,...` for each key of the grid.
    pub grid: Vec<String>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// How runs are run.
    pub means: Means,
    /// Runs at a time; as many as cores and memory allow where absent.
    pub jobs: Option<u32>,
    /// The folder; `results/<job name>-sweep` where absent.
    pub out: Option<PathBuf>,
}

/// Why there is no sweep.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The job.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A file of it.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A grid.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The folder.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The front.
    #[error(transparent)]
    Front(#[from] ParetoWriteError),
    /// Neither a grid nor seeds.
    #[error(
        "a sweep needs --grid KEY=V,V,... or --seeds N,N,..., or the --out of one that has begun; `{}` holds none",
        path.display()
    )]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A seed that is given twice.
    #[error("--seeds: {seed} stands twice")]
    SeedTwice {
        /// The seed.
        seed: u64,
    },
    /// Two points of the grid that are one job.
    #[error("--grid: {first} and {second} are the same job; leave one of them out")]
    SameJob {
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// A grid that is a slip.
    #[error("--grid: makes more than {most} runs; make several sweeps of it")]
    TooMany {
        /// Most runs.
        most: usize,
    },
    /// A space for images of no data set here.
    #[error(
        "the space is made for {input} images of {classes} classes, which no data set here holds: it can be estimated, \
         calibrated and checked, not searched"
    )]
    OtherImages {
        /// Shape of the images.
        input: Shape,
        /// Their classes.
        classes: u64,
    },
    /// CIFAR-10 without a folder.
    #[error(
        "data set cifar10 needs its files: give --data DIR, the folder with `cifar-10-batches-bin` or the archive `cifar-10-binary.tar.gz`"
    )]
    NoData,
    /// A method without the table that it searches.
    #[error(
        "search.method: nsga-2 searches the table of a benchmark alone: give --table FILE.csv --evaluations N, or take evolution"
    )]
    TableAlone,
    /// A search for the whole front on images.
    #[error(
        "objective: preference searches the table of a benchmark alone: give --table FILE.csv --evaluations N, or `lambda` in the \
         place of `preference`"
    )]
    PreferenceAlone,
    /// A method that cannot search a table.
    #[error(transparent)]
    Method(Box<TabularError>),
    /// A table that is not there.
    #[error("--table {}: there is no such file", path.display())]
    NoSuchTable {
        /// As given.
        path: PathBuf,
    },
    /// A data folder that is not there.
    #[error("--data {}: there is no such file or folder", path.display())]
    NoSuchData {
        /// As given.
        path: PathBuf,
    },
    /// Something else lies in the folder.
    #[error("`{}` is not the folder of a sweep: it holds `{found}` and no {SWEEP}; choose another --out", path.display())]
    NotASweep {
        /// The folder.
        path: PathBuf,
        /// The first entry that is not ours.
        found: String,
    },
    /// The folder is of another sweep.
    #[error("`{}` holds another sweep: {difference}; a call may only add runs, so give its own again, or another --out", path.display())]
    Other {
        /// The folder.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// Another process has changed the plan just now.
    #[error("`{}`: another call has changed the plan at this moment; repeat this one", path.display())]
    Changed {
        /// The folder.
        path: PathBuf,
    },
    /// The program of a run.
    #[error("{}: cannot be started: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A sweep that was read and checked; nothing of it is written yet.
#[derive(Debug)]
pub struct Sweep {
    out: PathBuf,
    plan: Plan,
    /// The plan that the folder holds.
    kept: Option<Plan>,
    base: Job,
    work: Vec<Work>,
    jobs: Option<u32>,
    machine: Machine,
}

/// What runs share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Machine {
    cores: u32,
    /// Free memory; nothing where the system does not tell.
    memory: Option<Bytes>,
}

impl Machine {
    fn here() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { cores: u32::try_from(cores).unwrap_or(u32::MAX), memory: free_memory(Bytes(0)) }
    }

    /// Threads of each of `runs` runs where `jobs` at a time are asked for: the cores shared among those at a time.
    fn threads(self, jobs: Option<u32>, runs: usize) -> u32 {
        let runs = u32::try_from(runs).unwrap_or(u32::MAX).max(1);
        (self.cores / jobs.unwrap_or(self.cores).min(runs).max(1)).max(1)
    }
}

impl Sweep {
    /// Reads the job, lays out the runs, checks every one of them, and holds them against what the folder holds.
    ///
    /// # Errors
    /// [`SweepError`] with the key and the rule of what is wrong.
    pub fn prepare(request: &SweepRequest) -> Result<Self, SweepError> {
        let overrides = Overrides { set: request.set.clone(), ..Overrides::default() };
        let text = load::text(&request.job)?;
        let origin = request.job.display().to_string();
        let given = request.grid.iter().map(|text| GridKey::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let base = Job::parse(&text, &origin, &overrides)?.settled(PrecisionFile::Auto);
        let out = request.out.clone().unwrap_or_else(|| default_out(&base.name));
        let kept = kept_plan(&out)?;
        let axes = axes(request, given, kept.as_ref(), &base).ok_or_else(|| SweepError::Empty { path: out.clone() })?;
        let before = kept.as_ref().map(|plan| plan.means.clone()).unwrap_or_default();
        let mut means = absolute(request.means.clone())?.or(before);
        let evaluations = means.table.as_ref().map(|table| table.evaluations);
        let base_text = Base { text: &text, origin: &origin, set: &request.set, evaluations };
        let (runs, work) = plan::runs(base_text, &axes, kept.as_ref())?;
        let machine = Machine::here();
        means.threads = means.threads.or_else(|| Some(machine.threads(request.jobs, runs.len())));
        let plan = Plan { version: 1, name: base.name.clone(), grid: axes.grid, seeds: axes.seeds, means, runs };
        let sweep = Self { out, plan, kept, base, work, jobs: request.jobs, machine };
        sweep.fits_the_folder()?;
        let means = &sweep.plan.means;
        if means.data.is_none() && means.table.is_none() && plan::needs_files(&sweep.base) {
            return Err(SweepError::NoData);
        }
        Ok(sweep)
    }

    /// The folder.
    #[must_use]
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What a run has to do, for each.
    #[must_use]
    pub fn work(&self) -> &[Work] {
        &self.work
    }

    /// How the runs stand, and what the folder's last summary says of failures.
    #[must_use]
    pub fn records(&self) -> Records {
        Records::read(&self.out, &self.plan, &records::failures_before(&self.out))
    }

    /// What the folders of the runs tell of the rest.
    #[must_use]
    pub fn forecast(&self) -> Forecast {
        let mut groups: Vec<&Assignment> = Vec::new();
        let runs = self.plan.runs.iter().zip(&self.work).map(|(run, work)| {
            let group = groups.iter().position(|set| **set == run.set).unwrap_or_else(|| {
                groups.push(&run.set);
                groups.len() - 1
            });
            (group, work.clone(), Known::read(&self.out.join(&run.name), work))
        });
        Forecast::new(runs.collect())
    }

    /// Runs at a time: what was asked for, otherwise as many as cores and memory allow, one on a device of its own. Where
    /// no run has told what memory it takes, 2 GiB are taken for it.
    #[must_use]
    pub fn at_once(&self, forecast: &Forecast) -> usize {
        let threads = self.plan.means.threads.unwrap_or(1).max(1);
        let by_cores = (self.machine.cores / threads).max(1);
        let peak = (0..self.plan.runs.len()).filter_map(|run| forecast.peak(run)).max().unwrap_or(UNKNOWN_PEAK);
        let by_memory = self.machine.memory.map_or(u64::MAX, |free| (free.0 / peak.0.max(1)).max(1));
        let by_memory = u32::try_from(by_memory).unwrap_or(u32::MAX);
        let automatic = if self.on_a_device(forecast) { 1 } else { by_cores.min(by_memory) };
        self.jobs.unwrap_or(automatic) as usize
    }

    fn on_a_device(&self, forecast: &Forecast) -> bool {
        let asked = self.plan.means.device.as_ref().is_some_and(|device| device.starts_with("cuda"));
        asked || forecast.on_a_device()
    }

    /// Whether `next` may start beside the runs `going`.
    fn admits(&self, forecast: &Forecast, going: &[usize], next: usize) -> bool {
        if let Some(jobs) = self.jobs {
            return going.len() < jobs as usize;
        }
        if going.is_empty() {
            return true;
        }
        let cores = (self.machine.cores / self.plan.means.threads.unwrap_or(1).max(1)).max(1);
        // What a run takes is told by its folder, as soon as it has begun.
        let told = going.iter().all(|&run| forecast.known(run).has_begun());
        if going.len() >= cores as usize || !told || self.on_a_device(forecast) {
            return false;
        }
        let peak = |run: usize| forecast.peak(run).unwrap_or(UNKNOWN_PEAK).0;
        let needed: u64 = going.iter().map(|&run| peak(run)).sum::<u64>() + peak(next);
        self.machine.memory.is_none_or(|free| needed <= free.0)
    }

    /// The arguments of `run`: it goes on where its folder stands.
    #[must_use]
    pub fn arguments(&self, run: &PlannedRun) -> Vec<String> {
        let path = |path: PathBuf| path.display().to_string();
        let mut arguments = vec!["search".to_owned(), path(self.out.join(JOB))];
        arguments.extend(run.settings().into_iter().flat_map(|set| ["--set".to_owned(), set]));
        arguments.extend(["--seed".to_owned(), run.seed.to_string()]);
        let Means { data, device, threads, table } = &self.plan.means;
        let means = [
            ("--data", data.as_ref().map(|data| path(data.clone()))),
            ("--device", device.clone()),
            ("--threads", threads.map(|threads| threads.to_string())),
        ];
        let given = means
            .into_iter()
            .chain(table.iter().flat_map(TableMeans::flags))
            .filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
        arguments.extend(given.flatten());
        arguments.extend(["--out".to_owned(), path(self.out.join(&run.name)), "--resume".to_owned()]);
        arguments
    }

    /// Takes the folder and writes the plan into it; the folder is ours until what is returned is dropped.
    ///
    /// # Errors
    /// [`SweepError`] where another process has it, or the system refuses.
    pub fn open(&self) -> Result<Opened, SweepError> {
        let refused = |source| RecordError::Write { path: self.out.clone(), source };
        std::fs::create_dir_all(self.out.join("logs")).map_err(refused)?;
        let lock = lock(&self.out)?;
        if kept_plan(&self.out)? != self.kept {
            return Err(SweepError::Changed { path: self.out.clone() });
        }
        if self.kept.is_none() {
            if let Some(text) = &self.base.accelerator_text {
                write(&self.out.join(ACCELERATOR), text.as_bytes())?;
            }
            write(&self.out.join(JOB), self.base.to_yaml().as_bytes())?;
        }
        if self.kept.as_ref() != Some(&self.plan) {
            write_json(&self.out.join(SWEEP), &self.plan)?;
        }
        Ok(Opened { _lock: lock })
    }

    /// That the folder holds nothing, or this sweep with fewer runs or as many.
    fn fits_the_folder(&self) -> Result<(), SweepError> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let other = |difference: String| SweepError::Other { path: self.out.clone(), difference };
        let job = Job::load(&self.out.join(JOB), &Overrides::default())?;
        let value = |job: &Job| load::parse::<Value>(&job.clone().settled(PrecisionFile::Auto).to_yaml(), "the job");
        if let Some(difference) = difference("", &value(&self.base)?, &value(&job)?) {
            return Err(other(difference));
        }
        if job.accelerator != self.base.accelerator {
            return Err(other(format!("the file of accelerator `{}` has changed since", job.accelerator.name)));
        }
        let [ours, theirs] = [&self.plan, kept].map(|plan| &plan.means.table);
        if ours != theirs {
            let told = |table: &Option<TableMeans>| match table {
                Some(table) => {
                    let flags =
                        table.flags().into_iter().filter_map(|(flag, value)| Some(format!("{flag} {}", value?)));
                    flags.collect::<Vec<_>>().join(" ")
                }
                None => "no table".to_owned(),
            };
            return Err(other(format!("it has {}, this call {}", told(theirs), told(ours))));
        }
        self.plan.extends(kept).map_err(other)
    }
}

/// The folder of a sweep, held.
#[derive(Debug)]
pub struct Opened {
    /// Locked as long as it is open.
    _lock: File,
}

fn default_out(name: &str) -> PathBuf {
    Path::new("results").join(format!("{name}-sweep"))
}

/// The plan in the folder `out`; nothing where it is empty or not there.
fn kept_plan(out: &Path) -> Result<Option<Plan>, SweepError> {
    let path = out.join(SWEEP);
    if path.exists() {
        return Ok(Some(read_json(&path)?));
    }
    if out.is_file() {
        return Err(RecordError::NotAFolder { path: out.to_owned() }.into());
    }
    let Ok(entries) = std::fs::read_dir(out) else { return Ok(None) };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    // Of a call that was killed before it had written its plan.
    let ours = |name: &String| [JOB, ACCELERATOR, "logs"].contains(&name.as_str()) || name.starts_with('.');
    match names.filter(|name| !ours(name)).min() {
        Some(found) => Err(SweepError::NotASweep { path: out.to_owned(), found }),
        None => Ok(None),
    }
}

/// What is swept: what was given, otherwise what the folder holds; nothing where there is neither.
fn axes(request: &SweepRequest, given: Vec<GridKey>, kept: Option<&Plan>, base: &Job) -> Option<Axes> {
    match kept {
        Some(plan) if given.is_empty() && request.seeds.is_empty() => {
            Some(Axes { grid: plan.grid.clone(), seeds: plan.seeds.clone() })
        }
        None if given.is_empty() && request.seeds.is_empty() => None,
        Some(_) | None if request.seeds.is_empty() => Some(Axes { grid: given, seeds: vec![base.settings.seed] }),
        Some(_) | None => Some(Axes { grid: given, seeds: request.seeds.clone() }),
    }
}

/// Means whose paths hold wherever a run starts.
fn absolute(means: Means) -> Result<Means, SweepError> {
    let mut means = means;
    let whole = |path: &mut PathBuf| *path = std::path::absolute(&*path).unwrap_or_else(|_| path.clone());
    if let Some(data) = &mut means.data {
        if !data.exists() {
            return Err(SweepError::NoSuchData { path: data.clone() });
        }
        whole(data);
    }
    if let Some(TableMeans { file, .. }) = &mut means.table {
        if !file.is_file() {
            return Err(SweepError::NoSuchTable { path: file.clone() });
        }
        whole(file);
    }
    Ok(means)
}

/// The first key in which the job of this call and that of the folder differ.
fn difference(key: &str, ours: &Value, theirs: &Value) -> Option<String> {
    if let (Value::Object(ours), Value::Object(theirs)) = (ours, theirs) {
        let keys: BTreeMap<&String, ()> = ours.keys().chain(theirs.keys()).map(|key| (key, ())).collect();
        return keys.into_keys().find_map(|name| {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            difference(&key, ours.get(name).unwrap_or(&Value::Null), theirs.get(name).unwrap_or(&Value::Null))
        });
    }
    (ours != theirs).then(|| format!("its job has `{}`, that of this call `{}`", told(key, theirs), told(key, ours)))
}

fn told(key: &str, value: &Value) -> String {
    format!("{key}: {}", written(value))
}

#[cfg(test)]
mod tests;
