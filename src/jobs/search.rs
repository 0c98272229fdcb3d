//! `search`: a job from its file to a trained network in a run folder.

mod checkpoint;
mod finish;
mod listed;
mod pictures;
mod watch;

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
use crate::network::{Network, Shape};
use crate::record::{
    Environment, Existing, HistoryRecord, HistoryWriter, Position, RecordError, RunFolder, Stage, Summary, write,
    write_json,
};
use crate::search::repair::Repaired;
use crate::search::{self, Outcome, Search, SearchError};
use crate::space::{DeriveError, Space};
use crate::supernet::{Supernet, SupernetError, SupernetSettings};
use crate::torch::file::TensorFileError;
use crate::torch::{self, DeviceChoice, Precision, TorchError};
use crate::train::{self, Recipe, TrainError, Trainer};

use checkpoint::Checkpoint;
use finish::Finish;
use listed::Kept;
use watch::Watch;

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
}

/// Runs `job` from where its folder stands to the end, or until it is told to stop.
///
/// # Errors
/// [`SearchJobError`]; what was computed until then stays in the folder.
pub fn run(job: &Job, options: &SearchOptions, progress: &mut dyn Progress) -> Result<SearchRun, SearchJobError> {
    let device = torch::open(options.device)?;
    if let Some(threads) = options.threads {
        torch::set_threads(threads);
    }
    let job = &job.clone().settled(native(device));
    let finished = finished_before(job, options)?;
    if let Some(summary) = finished {
        progress.say("the run is finished; its pictures are drawn anew");
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
    let folder = open_folder(job, options)?;
    write_json(&folder.environment(), &environment(job, device))?;
    let splits = Splits::new(&dataset, split_sizes(job), job.file.data.seed)?;
    let loader = Loader::new(&dataset, augment(job.file.data.augment), Layout::ChannelsLast)?;
    let target = Target { accelerator: &job.accelerator, timing: job.timing, batch: job.hardware_batch };
    let cost = CostModel::new(&job.space, &target, job.pricing())?;
    let run = Run { job, folder: &folder, device, splits: &splits, loader: &loader, target, cost: &cost };
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
    Ok(summary.filter(Summary::is_finished))
}

/// That `job`, which is settled, is the one that the folder was made by.
fn same_job(job: &Job, folder: &RunFolder) -> Result<(), SearchJobError> {
    // A folder that was stopped before its job was written has nothing of it yet.
    if !folder.spec().exists() && !folder.checkpoint().exists() {
        return Ok(());
    }
    let path = || folder.path().to_owned();
    let kept = Job::load(&folder.spec(), &Overrides::default())?;
    let accelerator = kept.accelerator.clone();
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
        libtorch: Some("2.11.0".to_owned()),
        os: Some(format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
    }
}

impl Run<'_> {
    fn all(&self, progress: &mut dyn Progress) -> Result<Summary, SearchJobError> {
        let damaged = SearchJobError::of_checkpoint;
        let mut checkpoint = Checkpoint::read(self.folder, &self.job.space).map_err(damaged)?;
        let mut kept = Kept::read(self.folder, &self.job.space).map_err(damaged)?;
        let search = Search::new(&self.job.space, self.cost, self.job.settings.clone()).judged_by(self.target);
        let lists = self.job.settings.method.lists();
        let next = match checkpoint.position(search.stages()) {
            begun if begun.stage == Stage::Train => begun,
            _ if lists => kept.position(),
            next => next,
        };
        let mut history = HistoryWriter::resume(&self.folder.history(), next).map_err(|error| damaged(error.into()))?;
        let (architecture, finished) = if lists {
            self.list(&mut kept, &mut checkpoint, &mut history, progress)?
        } else {
            let (found, finished) = self.search(search, &mut checkpoint, &mut history, progress)?;
            (found.architecture, finished)
        };
        let network = self.job.space.derive(&architecture)?.named(&self.job.name);
        let finish = Finish { run: self, architecture: &architecture, network: &network };
        finish.write_network()?;
        if !finished {
            return finish.end(&mut checkpoint, None, &mut history);
        }
        let trained = self.train(&network, &mut checkpoint, &mut history, progress)?;
        finish.end(&mut checkpoint, Some(&trained), &mut history)
    }

    /// What was found, and whether the search came to its end.
    fn search(
        &self,
        mut search: Search<'_>,
        checkpoint: &mut Checkpoint,
        history: &mut HistoryWriter,
        progress: &mut dyn Progress,
    ) -> Result<(Repaired, bool), SearchJobError> {
        match checkpoint.search.clone() {
            Some(state) => search = search.resumed(state),
            None => self.say_unmet(&search.found(), progress),
        }
        let mut supernet = Supernet::new(&self.job.space, self.splits, self.loader, self.supernet_settings());
        let steps = u64::from(search::TaskLoss::steps(&supernet));
        progress.begin("search", steps * u64::from(search.epochs()), steps * u64::from(search.epochs_done()));
        let mut entered = None;
        while let Some(stage) = search.stage() {
            if entered.as_ref() != Some(&stage) {
                search::TaskLoss::enter(&mut supernet, &stage)?;
                if let Some(path) = checkpoint.supernet(self.folder, search.state()) {
                    supernet.load(&path).map_err(|error| SearchJobError::from(error).of_checkpoint())?;
                }
                entered = Some(stage);
            }
            let began = progress.seconds();
            let outcome = search.epoch(&mut supernet, &mut Watch::new(progress))?;
            checkpoint.search_seconds += progress.seconds() - began;
            match outcome {
                Outcome::Interrupted => {
                    checkpoint.keep_measures(self)?;
                    return Ok((search.found(), false));
                }
                Outcome::Epoch(record) => {
                    progress.say(&watch::search_line(&record));
                    history.append(&HistoryRecord::Epoch(*record))?;
                    checkpoint.after_search_epoch(self, &search, &supernet)?;
                }
            }
        }
        let found = search.found();
        self.say_unmet(&found, progress);
        Ok((found, true))
    }

    /// Says so where no network keeps the targets.
    fn say_unmet(&self, found: &Repaired, progress: &mut dyn Progress) {
        if let Some(line) = watch::unmet_line(&self.job.settings.targets, found) {
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

    fn train(
        &self,
        network: &Network,
        checkpoint: &mut Checkpoint,
        history: &mut HistoryWriter,
        progress: &mut dyn Progress,
    ) -> Result<Trained, SearchJobError> {
        let split = self.training_split();
        let recipe = self.recipe();
        let mut trainer = Trainer::new(network, self.loader, &split, recipe)?;
        if let Some((path, done)) = checkpoint.trainer(self.folder) {
            trainer.load(&path, done).map_err(|error| SearchJobError::from(error).of_checkpoint())?;
        }
        let steps = (split.len() / recipe.batch.min(split.len())) as u64;
        progress.begin("training", steps * u64::from(recipe.epochs), steps * u64::from(trainer.done()));
        while !trainer.is_finished() {
            let began = progress.seconds();
            let outcome = trainer.epoch(&mut Watch::new(progress))?;
            checkpoint.train_seconds += progress.seconds() - began;
            match outcome {
                train::Outcome::Interrupted => {
                    checkpoint.keep_measures(self)?;
                    return Trained::interrupted(&trainer);
                }
                train::Outcome::Epoch(mut record) => {
                    if self.job.training.images == TrainingImages::Training {
                        record.validation_accuracy = Some(trainer.evaluate(&self.splits.selection)?.accuracy);
                    }
                    progress.say(&watch::train_line(&record));
                    history.append(&HistoryRecord::Train(record))?;
                    checkpoint.after_train_epoch(self, &trainer)?;
                }
            }
        }
        let validation = match self.job.training.images {
            TrainingImages::Training => Some(trainer.evaluate(&self.splits.selection)?.accuracy),
            TrainingImages::All | TrainingImages::Everything => None,
        };
        let test = (recipe.epochs > 0).then(|| trainer.evaluate(&self.splits.test)).transpose()?;
        Ok(Trained {
            finished: true,
            validation: validation.filter(|_| recipe.epochs > 0),
            test: test.map(|test| test.accuracy),
            weights: trainer.weights(),
        })
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

/// A network after training.
struct Trained {
    finished: bool,
    validation: Option<f64>,
    test: Option<f64>,
    weights: Vec<(String, tch::Tensor)>,
}

impl Trained {
    fn interrupted(trainer: &Trainer<'_>) -> Result<Self, SearchJobError> {
        Ok(Self { finished: false, validation: None, test: None, weights: trainer.weights() })
    }
}

/// Where a run stands, before its next epoch.
fn first_position() -> Position {
    Position { stage: crate::record::Stage::Operators, epoch: 1 }
}
