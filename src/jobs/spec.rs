//! A job: data, space, accelerator, objective, search, training, in one YAML file.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accel::{AccelError, Accelerator, Timing, looks_like_a_path};
use crate::cost::{CostKind, Lookup, Pricing};
use crate::estimate::Target;
use crate::load::{self, LoadError, Place, Ranges, Spanned, unplaced};
use crate::network::Shape;
use crate::record::ACCELERATOR;
use crate::search::methods::Method;
use crate::search::{CostFile, ObjectiveFile, ObjectiveForms, SearchFile, Settings};
use crate::space::Space;
use crate::space::file::{Setting, SpaceFile};

/// A job as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct JobFile {
    /// Version of this form: 1.
    #[schemars(with = "u32", range(min = 1, max = 1))]
    pub version: Spanned<u32>,
    /// Name of the job and of its run folders: letters, digits, `-`, `_`, `.`.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Images.
    pub data: DataFile,
    /// Name of a shipped accelerator, or the path of a file; a relative path starts at the job's folder.
    #[schemars(with = "String")]
    pub accelerator: Spanned<String>,
    /// Timing of the objective and of what is reported, where not the accelerator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timing: Option<Spanned<String>>,
    /// What is searched.
    pub space: SpaceFile,
    /// What is minimised: a mapping, or the word `preference`.
    #[serde(deserialize_with = "ObjectiveFile::or_word")]
    #[schemars(with = "ObjectiveForms")]
    pub objective: ObjectiveFile,
    /// How it is searched.
    pub search: SearchFile,
    /// How the network found is trained.
    #[serde(default)]
    pub training: TrainingFile,
    /// Number format of convolutions and products.
    #[serde(default)]
    pub precision: PrecisionFile,
    /// Seed of every draw, where the command does not give one.
    #[serde(default)]
    pub seed: u64,
}

/// The images of a job as they are written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DataFile {
    /// The data set.
    pub set: DataSet,
    /// Images that weights learn from.
    #[schemars(with = "u64", range(min = 1))]
    pub training: Spanned<u64>,
    /// Images that architecture parameters learn from.
    #[schemars(with = "u64", range(min = 1))]
    pub selection: Spanned<u64>,
    /// Seed of the split, and of the images of `shapes`.
    #[serde(default)]
    pub seed: u64,
    /// Changes of training images.
    #[serde(default)]
    pub augment: AugmentFile,
}

/// The data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DataSet {
    /// Procedural 32x32 images of ten shapes: embedded, needs no files.
    Shapes,
    /// CIFAR-10: needs `--data DIR`.
    Cifar10,
}

impl DataSet {
    /// Images to learn from that the set has.
    #[must_use]
    pub fn pool(self) -> u64 {
        match self {
            Self::Shapes => SHAPES_TRAINING,
            Self::Cifar10 => 50_000,
        }
    }
}

/// Shape of the images of every data set here.
pub const IMAGE: [u64; 3] = [3, 32, 32];
/// Classes of every data set here.
pub const CLASSES: u64 = 10;
/// Images of `shapes` to learn from.
pub const SHAPES_TRAINING: u64 = 8_000;
/// Images of `shapes` to judge by.
pub const SHAPES_TEST: u64 = 2_000;

/// Changes of training images as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AugmentFile {
    /// Pixels of padding that a random crop may shift by; 0 for none.
    #[schemars(range(max = 16))]
    pub crop: u8,
    /// Left and right changed places in half of the images.
    pub flip: bool,
    /// Side of a square that is blanked, in pixels; 0 for none.
    #[schemars(range(max = 32))]
    pub cutout: u8,
}

impl Default for AugmentFile {
    fn default() -> Self {
        Self { crop: 4, flip: true, cutout: 0 }
    }
}

/// The final training as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TrainingFile {
    /// Passes over the images; 0 trains nothing.
    #[schemars(with = "u64")]
    pub epochs: Spanned<u64>,
    /// Images in a step.
    #[schemars(with = "u64", range(min = 2))]
    pub batch: Spanned<u64>,
    /// Which images it learns from.
    pub images: TrainingImages,
    /// Largest step size of the one-cycle schedule.
    #[schemars(with = "f64")]
    pub learning_rate: Spanned<f64>,
    /// Share of the steps in which the rate rises.
    #[schemars(with = "f64")]
    pub warm_up: Spanned<f64>,
    /// Share of the former direction.
    #[schemars(with = "f64")]
    pub momentum: Spanned<f64>,
    /// L2 penalty.
    #[schemars(with = "f64")]
    pub weight_decay: Spanned<f64>,
    /// Share of the target that is spread over all classes.
    #[schemars(with = "f64")]
    pub label_smoothing: Spanned<f64>,
    /// Longest norm of all gradients together.
    #[schemars(with = "f64")]
    pub clip: Spanned<f64>,
    /// Epochs of the networks of a rank check; a quarter of `epochs`, at least 1, where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>", range(min = 1))]
    pub rank_check_epochs: Option<Spanned<u64>>,
}

/// Which images the final training learns from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrainingImages {
    /// The training split of the search; validation is on the selection split.
    Training,
    /// The training and the selection split: there is no validation.
    #[default]
    All,
    /// All images of the data set that are not test images: there is no validation.
    Everything,
}

impl Default for TrainingFile {
    /// U-Boost NAS: SGD Nesterov, one cycle to 0.1 with a tenth of warm-up, weight decay 5e-4; fewer epochs, label
    /// smoothing 0.1, clip 5.
    fn default() -> Self {
        Self {
            epochs: unplaced(12),
            batch: unplaced(64),
            images: TrainingImages::All,
            learning_rate: unplaced(0.1),
            warm_up: unplaced(0.1),
            momentum: unplaced(0.9),
            weight_decay: unplaced(5e-4),
            label_smoothing: unplaced(0.1),
            clip: unplaced(5.0),
            rank_check_epochs: None,
        }
    }
}

/// Number formats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PrecisionFile {
    /// `bf16` where the device multiplies it natively, otherwise `f32`.
    #[default]
    Auto,
    /// 32-bit floating point.
    F32,
    /// bfloat16 products, f32 sums and parameters.
    Bf16,
}

/// The final training as it is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingSettings {
    /// Passes over the images; 0 trains nothing.
    pub epochs: u32,
    /// Images in a step.
    pub batch: usize,
    /// Which images it learns from.
    pub images: TrainingImages,
    /// Largest step size.
    pub learning_rate: f64,
    /// Share of the steps in which the rate rises.
    pub warm_up: f64,
    /// Share of the former direction.
    pub momentum: f64,
    /// L2 penalty.
    pub weight_decay: f64,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Longest norm of all gradients together.
    pub clip: f64,
    /// Epochs of the networks of a rank check.
    pub rank_check_epochs: u32,
}

/// A job as it is meant.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// As it is written, every default filled in.
    pub file: JobFile,
    /// What is searched.
    pub space: Space,
    /// What it is to run on.
    pub accelerator: Accelerator,
    /// The text of the accelerator's file; nothing where it is a shipped one.
    pub accelerator_text: Option<String>,
    /// The timing of objective and report.
    pub timing: Timing,
    /// Images at once in the objective.
    pub hardware_batch: u64,
    /// The table of `cost: lookup`.
    pub lookup: Option<Lookup>,
    /// How it is searched.
    pub settings: Settings,
    /// How the network found is trained.
    pub training: TrainingSettings,
}

/// Why a job cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The file is not what it should be.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The accelerator.
    #[error(transparent)]
    Accelerator(#[from] AccelError),
    /// A `--set` that is no `KEY=VALUE`, or names no key of the job.
    #[error("--set {given}: {reason}")]
    Set {
        /// As given.
        given: String,
        /// What is wrong.
        reason: String,
    },
}

/// What the command line changes of a job.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Another accelerator.
    pub accelerator: Option<String>,
    /// Another timing.
    pub timing: Option<Timing>,
    /// Another seed.
    pub seed: Option<u64>,
    /// `key.key=value`, the value in YAML.
    pub set: Vec<String>,
}

impl Job {
    /// Reads the job file at `path`.
    ///
    /// # Errors
    /// [`JobError`] with the line of what is wrong.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, JobError> {
        let text = load::text(path)?;
        Self::parse(&text, &path.display().to_string(), overrides)
    }

    /// Reads a job from YAML text; `origin` is its path, which names it in errors and is where relative paths start.
    ///
    /// Paths of `overrides` start at the present folder.
    ///
    /// # Errors
    /// As [`Job::load`].
    pub fn parse(text: &str, origin: &str, overrides: &Overrides) -> Result<Self, JobError> {
        let file: JobFile = load::parse(text, origin)?;
        let attempt = |count: usize| Self::changed(&file, origin, overrides, &overrides.set[..count]);
        attempt(overrides.set.len()).map_err(|error| super::set::blame(error, &overrides.set, attempt))
    }

    /// The job of `file` with the changes `set`, then those of the other `overrides`.
    fn changed(file: &JobFile, origin: &str, overrides: &Overrides, set: &[String]) -> Result<Self, JobError> {
        let mut file = super::set::changed(file, origin, set)?;
        if let Some(name) = &overrides.accelerator {
            file.accelerator = unplaced(name.clone());
        }
        if let Some(timing) = overrides.timing {
            file.timing = Some(unplaced(timing.name().to_owned()));
        }
        if let Some(seed) = overrides.seed {
            file.seed = seed;
        }
        Self::meant(file, origin)
    }

    fn meant(mut file: JobFile, origin: &str) -> Result<Self, JobError> {
        file.search = file.search.filled();
        let ranges = Ranges { origin };
        let reject = |place: Place, reason: String| JobError::Load(place.reject(origin, reason));
        if file.version.value != 1 {
            return Err(reject(Place::of(&file.version), format!("version must be 1, got {}", file.version.value)));
        }
        let name = file.name.value.clone();
        let plain_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain_name) {
            let reason = format!("name: letters, digits, `-`, `_` and `.` make a folder's name, got `{name}`");
            return Err(reject(Place::of(&file.name), reason));
        }
        file.data.check(origin)?;
        let (accelerator, accelerator_text) = accelerator(&file.accelerator, origin)?;
        let timing = match &file.timing {
            None => accelerator.timing,
            Some(timing) => timing
                .value
                .parse()
                .map_err(|error: crate::accel::UnknownTiming| reject(Place::of(timing), error.to_string()))?,
        };
        if let Err(error) = timing.covers(accelerator.dataflow, accelerator.array.count) {
            let place = file.timing.as_ref().map_or_else(|| Place::of(&file.accelerator), Place::of);
            return Err(reject(place, error.to_string()));
        }
        let input = Shape::new(&IMAGE).expect("a fixed shape");
        let setting = Setting { name: &name, origin, input, classes: CLASSES };
        let (space, open) = file.space.clone().into_space_and_open_width(&setting)?;
        let hardware_batch = ranges.whole("hardware-batch", &file.objective.hardware_batch, 1, 1 << 20)?.into();
        let settings = file.search.settings(&file.objective, file.seed, origin)?;
        file.objective.is_known(&accelerator, origin)?;
        stages_fit(&space, &settings, &file, origin)?;
        if let Some(place) = open.filter(|_| settings.allocation.is_none()) {
            let reason = "width: `max` may be left out where `search.widths.policy: dynamic` allocates widths as the search goes \
                          on; give it here, or take that policy with the method `systole`";
            return Err(place.reject(origin, reason).into());
        }
        allocation_fits(&space, &settings, &file, origin)?;
        let training = file.training.settings(origin)?;
        file.batches_fit(origin)?;
        let lookup = lookup(&mut file.objective, origin)?;
        let job = Self {
            name,
            space,
            accelerator,
            accelerator_text,
            timing,
            hardware_batch,
            lookup,
            settings,
            training,
            file,
        };
        job.is_priced(origin)?;
        Ok(job)
    }

    /// The space of the job file at `path`, whatever else is there.
    ///
    /// # Errors
    /// As [`Job::load`], as far as the space is to blame.
    pub fn space_of(path: &Path) -> Result<Space, JobError> {
        let (text, origin) = (load::text(path)?, path.display().to_string());
        let file: JobFile = load::parse(&text, &origin)?;
        let input = Shape::new(&IMAGE).expect("a fixed shape");
        let setting = Setting { name: &file.name.value, origin: &origin, input, classes: CLASSES };
        Ok(file.space.clone().into_space(&setting)?)
    }

    /// How the objective prices the hardware.
    #[must_use]
    pub fn pricing(&self) -> Pricing<'_> {
        let ObjectiveFile { cost, sums, .. } = self.file.objective;
        Pricing { kind: cost.into(), sums: sums.into(), lookup: self.lookup.as_ref() }
    }

    /// What the objective is measured on.
    #[must_use]
    pub fn objective_target(&self) -> Target<'_> {
        Target { accelerator: &self.accelerator, timing: self.timing, batch: self.hardware_batch }
    }

    /// That the kind of cost speaks of the accelerator and the space.
    fn is_priced(&self, origin: &str) -> Result<(), LoadError> {
        let priced = self.pricing().check(&self.space, &self.objective_target());
        priced.map_err(|error| {
            let objective = &self.file.objective;
            let place = objective.lookup_table.as_ref().map_or_else(|| objective.place(), Place::of);
            place.reject(origin, format!("objective: {error}"))
        })
    }

    /// The job as its run folder keeps it: the accelerator is shipped or the copy beside it, the precision that of the
    /// device.
    #[must_use]
    pub fn settled(mut self, native: PrecisionFile) -> Self {
        if self.accelerator_text.is_some() {
            self.file.accelerator = unplaced(ACCELERATOR.to_owned());
        }
        if self.file.precision == PrecisionFile::Auto {
            self.file.precision = native;
        }
        self
    }

    /// The job as a file that runs again as it is.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        load::to_yaml(&self.file)
    }
}

impl JobFile {
    /// How many images the final training learns from, and which those are.
    pub(super) fn learned(&self) -> (u64, &'static str) {
        let (training, selection) = (self.data.training.value, self.data.selection.value);
        match self.training.images {
            TrainingImages::Training => (training, "of data.training"),
            TrainingImages::All => (training + selection, "of data.training and data.selection"),
            TrainingImages::Everything => (self.data.set.pool(), "of the data set"),
        }
    }

    /// A step takes a whole batch, so no batch may hold more images than there are.
    fn batches_fit(&self, origin: &str) -> Result<(), LoadError> {
        let (training, selection) = (self.data.training.value, self.data.selection.value);
        let (learned, from) = self.learned();
        let batches = [
            ("search.batch", &self.search.batch, training, "of data.training"),
            ("search.batch", &self.search.batch, selection, "of data.selection"),
            ("training.batch", &self.training.batch, learned, from),
        ];
        match batches.into_iter().find(|(_, batch, images, _)| batch.value > *images) {
            None => Ok(()),
            Some((name, batch, images, from)) => {
                let reason = format!("{name} must be at most the {images} images {from}, got {}", batch.value);
                let place = Place::of(batch);
                let place = if place.line == 0 { Place::of(&self.data.training) } else { place };
                Err(place.reject(origin, reason))
            }
        }
    }
}

/// What is searched needs a stage that searches it, where a method has stages.
fn stages_fit(space: &Space, settings: &Settings, file: &JobFile, origin: &str) -> Result<(), LoadError> {
    match settings.method {
        Method::Systole | Method::Darts { .. } | Method::Gdas | Method::Evolution(_) => {}
        Method::Random { .. } | Method::Synflow { .. } | Method::Nsga2 { .. } => return Ok(()),
    }
    let place = Place::of(&file.search.batch);
    let place = if place.line == 0 { Place::of(&file.version) } else { place };
    let operators = space.operators.iter().any(|choice| choice.candidates.len() > 1);
    let widths = space.widths.iter().any(|choice| choice.options.len() > 1);
    if operators && settings.operators.is_none() {
        return Err(
            place.reject(origin, "search: the space has candidate operators, so it needs `operators: { epochs }`")
        );
    }
    if widths && settings.widths.is_none() {
        return Err(place.reject(origin, "search: the space has ranges of widths, so it needs `widths: { epochs }`"));
    }
    Ok(())
}

/// A dynamic allocation needs passes on slices, and a supernet has no projections that would bring those to one width.
fn allocation_fits(space: &Space, settings: &Settings, file: &JobFile, origin: &str) -> Result<(), LoadError> {
    match (&settings.allocation, &file.search.widths) {
        (Some(_), Some(widths)) if space.projects() => {
            let reason = "search.widths.policy: dynamic needs a space whose joins have one width, and these cells have \
                          join: project: take policy: fixed";
            Err(Place::of(&widths.policy).reject(origin, reason))
        }
        (Some(_) | None, _) => Ok(()),
    }
}

/// The table of `cost: lookup`, whose path is made absolute.
fn lookup(objective: &mut ObjectiveFile, origin: &str) -> Result<Option<Lookup>, LoadError> {
    let (CostFile::Lookup, Some(file)) = (objective.cost, &mut objective.lookup_table) else {
        return match (objective.cost, &objective.lookup_table) {
            (CostFile::Lookup, _) => {
                let reason = "objective: `cost: lookup` needs `lookup-table: FILE.json`";
                Err(objective.place().reject(origin, reason))
            }
            (cost, Some(file)) => {
                let cost = CostKind::from(cost).name();
                let reason = format!("objective: `lookup-table` is for `cost: lookup`, the cost is `{cost}`");
                Err(Place::of(file).reject(origin, reason))
            }
            (_, None) => Ok(None),
        };
    };
    let place = Place::of(file);
    let path = beside(&file.value, place, origin);
    let text = load::text(&path)?;
    let table = Lookup::parse(&text, &path.display().to_string());
    let table = table.map_err(|error| place.reject(origin, error.to_string()))?;
    let absolute = std::path::absolute(&path).unwrap_or(path);
    file.value = absolute.display().to_string();
    Ok(Some(table))
}

/// The path of a file that a job names: what the command line gives stands in no text, and starts at the present folder.
fn beside(name: &str, place: Place, origin: &str) -> PathBuf {
    match Path::new(origin).parent() {
        Some(folder) if place.line > 0 => folder.join(name),
        Some(_) | None => PathBuf::from(name),
    }
}

/// The accelerator of a job, and its text where it is a file.
fn accelerator(name: &Spanned<String>, origin: &str) -> Result<(Accelerator, Option<String>), JobError> {
    let place = Place::of(name);
    if super::is_scale_sim_config(&name.value) {
        let reason = format!(
            "accelerator `{0}`: a configuration of SCALE-Sim; `systole accel {0} > NAME.yaml` makes an accelerator file of it",
            name.value
        );
        return Err(JobError::Load(place.reject(origin, reason)));
    }
    let path = beside(&name.value, place, origin);
    let shipped = Accelerator::shipped().iter().any(|shipped| shipped.name == name.value);
    if !shipped && (path.exists() || looks_like_a_path(&name.value)) {
        let text = load::text(&path).map_err(AccelError::Load)?;
        let accelerator = Accelerator::parse(&text, &path.display().to_string()).map_err(AccelError::Load)?;
        return Ok((accelerator, Some(text)));
    }
    let accelerator = Accelerator::named_or_path(&name.value).map_err(|error| match error {
        AccelError::Unknown { .. } if place.line > 0 => JobError::Load(place.reject(origin, error)),
        AccelError::Unknown { .. } | AccelError::Load { .. } => JobError::Accelerator(error),
    })?;
    Ok((accelerator, None))
}

impl DataFile {
    fn check(&self, origin: &str) -> Result<(), LoadError> {
        for (name, value) in [("training", &self.training), ("selection", &self.selection)] {
            if value.value == 0 {
                return Err(Place::of(value).reject(origin, format!("{name} must be at least 1, got 0")));
            }
        }
        let (asked, pool) = (self.training.value.saturating_add(self.selection.value), self.set.pool());
        if asked > pool {
            let reason = format!(
                "training and selection are drawn from {pool} images, got {} + {} = {asked}",
                self.training.value, self.selection.value
            );
            return Err(Place::of(&self.selection).reject(origin, reason));
        }
        Ok(())
    }
}

impl TrainingFile {
    fn settings(&self, origin: &str) -> Result<TrainingSettings, LoadError> {
        let ranges = Ranges { origin };
        let epochs = ranges.whole("epochs", &self.epochs, 0, 1_000_000)?;
        Ok(TrainingSettings {
            epochs,
            rank_check_epochs: match &self.rank_check_epochs {
                Some(epochs) => ranges.whole("rank-check-epochs", epochs, 1, 1_000_000)?,
                None => (epochs / 4).max(1),
            },
            batch: ranges.whole("batch", &self.batch, 2, 65_536)? as usize,
            images: self.images,
            learning_rate: ranges.number("learning-rate", &self.learning_rate, 1e-9, 100.0)?,
            warm_up: ranges.number("warm-up", &self.warm_up, 0.0, 0.9)?,
            momentum: ranges.number("momentum", &self.momentum, 0.0, 0.9999)?,
            weight_decay: ranges.number("weight-decay", &self.weight_decay, 0.0, 1.0)?,
            label_smoothing: ranges.number("label-smoothing", &self.label_smoothing, 0.0, 0.9)?,
            clip: ranges.number("clip", &self.clip, 1e-6, 1e9)?,
        })
    }
}
