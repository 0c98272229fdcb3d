//! `search`: a job from its file to a trained network in a run folder.

mod checkpoint;
mod finish;
mod keep;
mod lines;
mod listed;
mod memory;
mod pace;
mod pictures;
mod rank;
mod training;

use std::path::{Path, PathBuf};

use tch::Device;

use super::progress::Progress;
use super::spec::{
    AugmentFile, CLASSES, DataSet, IMAGE, Job, JobError, Overrides, PrecisionFile, SHAPES_TEST, SHAPES_TRAINING,
    TrainingImages,
};
use crate::cost::{CostError, CostModel};
use crate::data::{Augment, DataError, Dataset, Flip, Layout, Loader, Pixels, SplitSizes, Splits, cifar, shapes};
use crate::estimate::{EstimateError, Target};
use crate::network::Shape;
use crate::record::{
    Environment, Existing, Position, RecordError, RunFolder, Stage, Summary, read_json, write, write_json,
};
use crate::search::methods::Method;
use crate::search::repair::Repaired;
use crate::search::{self, Driven, Search, SearchError, Settings};
use crate::space::{DeriveError, Space};
use crate::supernet::memory::PlanError;
use crate::supernet::{Sizes, Supernet, SupernetError, SupernetSettings};
use crate::torch::file::TensorFileError;
use crate::torch::{self, DeviceChoice, Precision, TorchError};
use crate::train::{Recipe, TrainError};

use checkpoint::Checkpoint;
use finish::{Ending, Finish, NOT_FINITE};
use keep::Keep;
use listed::Kept;
use memory::Plans;

/// Where and how a search runs.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// Folder of the data set, or its archive.
    pub data: Option<PathBuf>,
    /// The run folder.
    pub out: PathBuf,
    /// What to do where it exists.
    pub existing: Existing,
    /// The device.
    pub device: DeviceChoice,
    /// Threads of the host; as many as libtorch takes by itself where absent.
    pub threads: Option<usize>,
    /// Seconds between two checkpoints, whatever they cost; where absent 5, or more if they would take more than a
    /// fiftieth of the time.
    pub checkpoint_seconds: Option<f64>,
    /// Networks of each stage that are judged with the supernet's weights and trained by themselves; none where absent.
    pub rank_check: Option<u32>,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct SearchRun {
    /// The run folder.
    pub folder: PathBuf,
    /// The summary that lies there.
    pub summary: Summary,
}

/// Why a search job fails.
#[derive(Debug, thiserror::Error)]
pub enum SearchJobError {
    /// The run folder.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The job that the folder keeps.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// The cost tables.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// The search.
    #[error(transparent)]
    Search(#[from] SearchError<SupernetError>),
    /// More memory than there is.
    #[error(transparent)]
    Memory(#[from] PlanError),
    /// The supernet's checkpoint.
    #[error(transparent)]
    Supernet(#[from] SupernetError),
    /// The network found.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// Its estimate.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
    /// Its training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Its weights.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// A picture.
    #[error(transparent)]
    Plot(#[from] crate::plot::PlotError),
    /// A checkpoint or history that is no whole one.
    #[error("{reason}; what the run left is damaged: start anew with --force, or use another --out")]
    Checkpoint {
        /// What is wrong.
        reason: String,
    },
    /// A run that ended, since its loss was not finite.
    #[error(
        "{}: the run ended since its loss was not finite, also with half the learning rates; start anew with --force and lower \
         ones, or use another --out", path.display()
    )]
    NotFinite {
        /// The folder.
        path: PathBuf,
    },
    /// A list of architectures that all have failed.
    #[error(
        "none of the {judged} architectures judged has a finite objective; try a lower learning rate, or another seed"
    )]
    NoCandidate {
        /// How many were judged.
        judged: usize,
    },
    /// CIFAR-10 without a folder.
    #[error(
        "data set cifar10 needs its files: give --data DIR, the folder with `cifar-10-batches-bin` or the archive `cifar-10-binary.tar.gz`"
    )]
    NoData,
    /// A method that trains nothing.
    #[error("search.method: nsga-2 searches the table of a benchmark alone: give --table FILE.csv, or take evolution")]
    TableAlone,
    /// A search for the whole front on images.
    #[error(
        "objective: preference searches the table of a benchmark alone: give --table FILE.csv --evaluations N, or `lambda` in the \
         place of `preference`"
    )]
    PreferenceAlone,
    /// A folder whose accelerator is another than the one of this name now.
    #[error(
        "{}: the accelerator's file has changed since the run began; to go on with the one it began with, give `{}` as the job \
         without --accel, or use another --out", path.display(), path.join("spec.yaml").display()
    )]
    OtherAccelerator {
        /// The folder.
        path: PathBuf,
    },
    /// A space for images of another data set.
    #[error(
        "the space is made for {input} images of {classes} classes, which no data set here holds: it can be estimated, \
          calibrated and checked, not searched"
    )]
    OtherImages {
        /// Shape of the images that it is made for.
        input: Shape,
        /// Classes that it tells apart.
        classes: u64,
    },
    /// A folder of another job.
    #[error("{}: the folder was made by another job than this one; compare its spec.yaml, or use another --out", path.display())]
    OtherJob {
        /// The folder.
        path: PathBuf,
    },
}

impl SearchJobError {
    /// This error where a checkpoint was read: what is broken there has a cure.
    fn of_checkpoint(self) -> Self {
        let damaged = matches!(
            &self,
            Self::Record(RecordError::Json { .. })
                | Self::Supernet(SupernetError::File(TensorFileError::Read { .. } | TensorFileError::Form { .. }))
                | Self::Train(TrainError::File(TensorFileError::Read { .. } | TensorFileError::Form { .. }))
        );
        if damaged { Self::Checkpoint { reason: self.to_string() } } else { self }
    }

    /// Whether a loss was not finite for the second time.
    fn is_not_finite(&self) -> bool {
        matches!(
            self,
            Self::Search(SearchError::NotFiniteAgain { .. }) | Self::Train(TrainError::NotFiniteAgain { .. })
        )
    }
}

/// Everything that stays the same during a run.
struct Run<'a> {
    job: &'a Job,
    folder: &'a RunFolder,
    device: Device,
    splits: &'a Splits,
    loader: &'a Loader<'a>,
    /// What the objective is measured on.
    target: Target<'a>,
    cost: &'a CostModel,
    plans: &'a Plans,
    environment: &'a Environment,
    checkpoint_seconds: Option<f64>,
    rank_check: Option<u32>,
}

/// Runs `job` from where its folder stands to the end, or until it is told to stop.
///
/// # Errors
/// [`SearchJobError`]; what was computed until then stays in the folder.
pub fn run(job: &Job, options: &SearchOptions, progress: &mut dyn Progress) -> Result<SearchRun, SearchJobError> {
    if let Method::Nsga2 { .. } = job.settings.method {
        return Err(SearchJobError::TableAlone);
    }
    if job.settings.preference.is_some() {
        return Err(SearchJobError::PreferenceAlone);
    }
    let device = torch::open(options.device)?;
    if let Some(threads) = options.threads {
        torch::set_threads(threads);
    }
    let job = &job.clone().settled(native(device));
    let finished = finished_before(job, options)?;
    if let Some(summary) = finished {
        progress.say("the run is finished; its pictures are drawn anew");
        if options.rank_check.is_some() && !RunFolder::open(&options.out)?.rank_check().exists() {
            progress
                .say("warning: a rank check needs the supernets of the search: give --rank-check when a run begins");
        }
        pictures::draw_again(job, &RunFolder::open(&options.out)?)?;
        return Ok(SearchRun { folder: options.out.clone(), summary });
    }
    let Space { input, classes, .. } = &job.space;
    if input.dims() != IMAGE.as_slice() || *classes != CLASSES {
        return Err(SearchJobError::OtherImages { input: input.clone(), classes: *classes });
    }
    let pixels = pixels(job, options.data.as_deref())?;
    let dataset = Dataset::new(&pixels, device)?;
    drop(pixels);
    let splits = Splits::new(&dataset, split_sizes(job), job.file.data.seed)?;
    let loader = Loader::new(&dataset, augment(job.file.data.augment), Layout::ChannelsLast)?;
    let target = Target { accelerator: &job.accelerator, timing: job.timing, batch: job.hardware_batch };
    let cost = CostModel::new(&job.space, &target, job.pricing())?;
    let search = Search::new(&job.space, &cost, job.settings.clone());
    let plans = Plans::new(job, &search, device, precision(job, device))?;
    plans.lines().iter().for_each(|line| progress.say(line));
    let folder = open_folder(job, options)?;
    let environment = environment_kept(&folder, Environment { memory: plans.record(), ..environment(job, device) })?;
    for change in environment.changes() {
        progress.say(&format!("warning: {change}"));
    }
    let run = Run {
        job,
        folder: &folder,
        device,
        splits: &splits,
        loader: &loader,
        target,
        cost: &cost,
        plans: &plans,
        environment: &environment,
        checkpoint_seconds: options.checkpoint_seconds,
        rank_check: options.rank_check,
    };
    let summary = run.all(progress)?;
    Ok(SearchRun { folder: options.out.clone(), summary })
}

/// The summary of a folder that is to be resumed and has nothing left to do.
fn finished_before(job: &Job, options: &SearchOptions) -> Result<Option<Summary>, SearchJobError> {
    if options.existing != Existing::Resume || !options.out.exists() {
        return Ok(None);
    }
    let folder = RunFolder::open(&options.out)?;
    same_job(job, &folder)?;
    let summary = folder.read_summary().map_err(|error| SearchJobError::from(error).of_checkpoint())?;
    if summary.as_ref().is_some_and(|summary| summary.stop_reason == NOT_FINITE) {
        return Err(SearchJobError::NotFinite { path: options.out.clone() });
    }
    Ok(summary.filter(Summary::is_finished))
}

/// That `job`, which is settled, is the one that the folder was made by.
fn same_job(job: &Job, folder: &RunFolder) -> Result<(), SearchJobError> {
    // A folder that was stopped before its job was written has nothing of it yet.
    if !folder.spec().exists() && !folder.checkpoint().exists() {
        return Ok(());
    }
    let path = || folder.path().to_owned();
    let mut kept = Job::load(&folder.spec(), &Overrides::default())?;
    let accelerator = kept.accelerator.clone();
    // As device and threads, the number format is how a job runs, not what it is: the environment tells of its change.
    kept.file.precision = job.file.precision;
    if kept.settled(job.file.precision).to_yaml() != job.to_yaml() {
        return Err(SearchJobError::OtherJob { path: path() });
    }
    if accelerator != job.accelerator {
        return Err(SearchJobError::OtherAccelerator { path: path() });
    }
    Ok(())
}

fn open_folder(job: &Job, options: &SearchOptions) -> Result<RunFolder, SearchJobError> {
    let folder = RunFolder::create(&options.out, options.existing)?;
    same_job(job, &folder)?;
    if let Some(text) = job.accelerator_text.as_ref().filter(|_| !folder.accelerator().exists()) {
        write(&folder.accelerator(), text.as_bytes())?;
    }
    write(&folder.spec(), job.to_yaml().as_bytes())?;
    Ok(folder)
}

/// The images of the job's data set; `data` is their folder or archive where it has files.
///
/// # Errors
/// [`SearchJobError`] where they are missing or broken.
pub fn pixels(job: &Job, data: Option<&Path>) -> Result<Pixels, SearchJobError> {
    match job.file.data.set {
        DataSet::Shapes => {
            let count = |images: u64| usize::try_from(images).expect("a few thousand images");
            Ok(shapes::generate(job.file.data.seed, count(SHAPES_TRAINING), count(SHAPES_TEST)))
        }
        DataSet::Cifar10 => Ok(cifar::read(data.ok_or(SearchJobError::NoData)?)?),
    }
}

fn split_sizes(job: &Job) -> SplitSizes {
    let count = |images: u64| usize::try_from(images).unwrap_or(usize::MAX);
    let data = &job.file.data;
    SplitSizes { training: count(data.training.value), selection: count(data.selection.value), test: None }
}

fn augment(file: AugmentFile) -> Augment {
    let flip = if file.flip { Flip::Half } else { Flip::Never };
    Augment { padding: file.crop.into(), flip, cutout: file.cutout.into() }
}

/// The format of a job that leaves it to the device.
fn native(device: Device) -> PrecisionFile {
    match Precision::native(device) {
        Precision::Float32 => PrecisionFile::F32,
        Precision::Bfloat16 => PrecisionFile::Bf16,
    }
}

fn precision(job: &Job, device: Device) -> Precision {
    match job.file.precision {
        PrecisionFile::Auto => Precision::native(device),
        PrecisionFile::F32 => Precision::Float32,
        PrecisionFile::Bf16 => Precision::Bfloat16,
    }
}

fn environment(job: &Job, device: Device) -> Environment {
    Environment {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("SYSTOLE_COMMIT").map(str::to_owned),
        device: torch::device_name(device),
        threads: torch::threads(),
        precision: Some(precision(job, device).to_string()),
        libtorch: Some(torch::version()),
        os: Some(format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        memory: None,
        earlier: Vec::new(),
    }
}

/// Writes `now` down with what the run ran on before.
fn environment_kept(folder: &RunFolder, now: Environment) -> Result<Environment, SearchJobError> {
    let path = folder.environment();
    // A run without a checkpoint has nothing of its former sittings.
    let began = folder.checkpoint().exists() && path.exists();
    let environment = if began { now.after(read_json(&path)?) } else { now };
    write_json(&path, &environment)?;
    Ok(environment)
}

impl Run<'_> {
    /// The job's, with what memory there is to grow into.
    fn settings(&self) -> Settings {
        let mut settings = self.job.settings.clone();
        if let Some(allocation) = &mut settings.allocation {
            allocation.ceiling = self.plans.ceiling();
        }
        settings
    }

    fn all(&self, progress: &mut dyn Progress) -> Result<Summary, SearchJobError> {
        let damaged = SearchJobError::of_checkpoint;
        let mut kept = Kept::read(self.folder, &self.job.space).map_err(damaged)?;
        let checkpoint = Checkpoint::read(self.folder, &self.job.space).map_err(damaged)?;
        let mut search = Search::new(&self.job.space, self.cost, self.settings()).judged_by(self.target);
        let (stages, lists) = (search.stages(), self.job.settings.method.lists());
        let next = match checkpoint.position(stages) {
            next if lists && next.stage != Stage::Train => kept.position(),
            next => next,
        };
        let history =
            keep::mended_history(self, next, &checkpoint.rollbacks()).map_err(|error| damaged(error.into()))?;
        let mut keep = Keep::new(self, checkpoint, history, progress);
        let (searched, architecture) = if lists {
            if self.rank_check.is_some() {
                keep.progress
                    .say("warning: --rank-check judges by the supernets of a search by gradients: none is made");
            }
            let (architecture, driven) = self.list(&mut kept, &mut keep)?;
            (Ok(driven), architecture)
        } else {
            let searched = match self.search(&mut search, &mut keep) {
                Ok(Driven::Done) if self.rank_check.is_some() && !rank::check(self, &mut keep, stages)? => {
                    Ok(Driven::Stopped)
                }
                other => other,
            };
            (searched, search.found().architecture)
        };
        let network = self.job.space.derive(&architecture)?.named(&self.job.name);
        let finish = Finish { run: self, architecture: &architecture, network: &network };
        finish.write_network()?;
        let trained = match searched {
            Ok(Driven::Done) => training::train(self, &network, &mut keep),
            Ok(Driven::Stopped) => return finish.end(&mut keep, Ending::Stopped),
            Err(error) => Err(error),
        };
        match trained {
            Ok(trained) => finish.end(&mut keep, Ending::Trained(&trained)),
            Err(error) => {
                if error.is_not_finite() {
                    finish.end(&mut keep, Ending::NotFinite)?;
                }
                Err(error)
            }
        }
    }

    /// Searches from where the checkpoint stands.
    fn search(&self, search: &mut Search<'_>, keep: &mut Keep<'_>) -> Result<Driven, SearchJobError> {
        match keep.checkpoint.search.clone() {
            Some(state) => search.go_back(state),
            None => self.say_unmet(&search.found(), keep.progress),
        }
        let mut supernet = Supernet::new(&self.job.space, self.splits, self.loader, self.supernet_settings());
        let steps = u64::from(search::TaskLoss::steps(&supernet));
        let done = steps * u64::from(search.epochs_done()) + u64::from(search.state().step);
        keep.progress.begin("search", steps * u64::from(search.epochs()), done);
        let driven = search::drive(search, &mut supernet, keep);
        keep.count();
        if matches!(driven, Ok(Driven::Done)) {
            self.say_unmet(&search.found(), keep.progress);
        }
        driven
    }

    /// Says so where no network keeps the targets.
    fn say_unmet(&self, found: &Repaired, progress: &mut dyn Progress) {
        if let Some(line) = lines::unmet(&self.job.settings.targets, found) {
            progress.say(&line);
        }
    }

    fn supernet_settings(&self) -> SupernetSettings {
        SupernetSettings {
            seed: self.job.settings.seed,
            batch: usize::try_from(self.job.settings.batch).unwrap_or(usize::MAX),
            weights: self.job.settings.weights,
            precision: precision(self.job, self.device),
            layout: Layout::ChannelsLast,
            augment: augment(self.job.file.data.augment),
            together: self.plans.together(),
            sizes: if self.job.settings.allocation.is_some() { Sizes::Allocated } else { Sizes::Widest },
        }
    }

    /// The images of the final training.
    fn training_split(&self) -> Vec<i64> {
        match self.job.training.images {
            TrainingImages::Training => self.splits.training.clone(),
            TrainingImages::All => self.splits.training.iter().chain(&self.splits.selection).copied().collect(),
            TrainingImages::Everything => {
                (0..i64::try_from(self.job.file.data.set.pool()).unwrap_or(i64::MAX)).collect()
            }
        }
    }

    fn recipe(&self) -> Recipe {
        let training = &self.job.training;
        Recipe {
            seed: self.job.settings.seed,
            epochs: training.epochs,
            batch: training.batch,
            learning_rate: training.learning_rate,
            warm_up: training.warm_up,
            momentum: training.momentum,
            weight_decay: training.weight_decay,
            label_smoothing: training.label_smoothing,
            clip: training.clip,
            precision: precision(self.job, self.device),
        }
    }
}

/// Where a run stands, before its next epoch.
fn first_position() -> Position {
    Position { stage: crate::record::Stage::Operators, epoch: 1 }
}
