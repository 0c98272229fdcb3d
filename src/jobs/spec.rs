//! A job: data, space, accelerator, objective, search, training, in one YAML file.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accel::{AccelError, Accelerator, Timing};
use crate::load::{self, LoadError, Place, Spanned, unplaced};
use crate::network::Shape;
use crate::search::{ObjectiveFile, SearchFile, Settings};
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
    /// Name of a shipped accelerator, or the path of a file.
    #[schemars(with = "String")]
    pub accelerator: Spanned<String>,
    /// Timing of the objective and of what is reported, where not the accelerator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timing: Option<Spanned<String>>,
    /// What is searched.
    pub space: SpaceFile,
    /// What is minimised.
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
    /// The timing of objective and report.
    pub timing: Timing,
    /// Images at once in the objective.
    pub hardware_batch: u64,
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
    /// The accelerator that `--accel` names.
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

    /// Reads a job from YAML text; `origin` names it in errors.
    ///
    /// # Errors
    /// As [`Job::load`].
    pub fn parse(text: &str, origin: &str, overrides: &Overrides) -> Result<Self, JobError> {
        let mut file: JobFile = load::parse(text, origin)?;
        let mut origin = origin.to_owned();
        if !overrides.set.is_empty() {
            origin.push_str(" with --set");
            let text = super::set::apply(&file, &overrides.set)?;
            file = load::parse(&text, &origin)?;
            // Once more, so that the lines of what is rejected later are those of the text that `to_yaml` writes.
            file = load::parse(&load::to_yaml(&file), &origin)?;
        }
        if let Some(name) = &overrides.accelerator {
            file.accelerator = unplaced(name.clone());
        }
        if let Some(timing) = overrides.timing {
            file.timing = Some(unplaced(timing.name().to_owned()));
        }
        if let Some(seed) = overrides.seed {
            file.seed = seed;
        }
        Self::meant(file, &origin)
    }

    fn meant(file: JobFile, origin: &str) -> Result<Self, JobError> {
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
        let accelerator = accelerator(&file.accelerator, origin)?;
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
        let space = file.space.clone().into_space(&setting)?;
        let hardware_batch = file.objective.hardware_batch.value;
        if hardware_batch == 0 || hardware_batch > 1 << 20 {
            let reason = format!("hardware-batch must lie in 1..={}, got {hardware_batch}", 1 << 20);
            return Err(reject(Place::of(&file.objective.hardware_batch), reason));
        }
        let settings = file.search.settings(&file.objective, file.seed, origin)?;
        stages_fit(&space, &settings, &file, origin)?;
        let training = file.training.settings(origin)?;
        Ok(Self { name, space, accelerator, timing, hardware_batch, settings, training, file })
    }

    /// The job as a file that runs again as it is.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        load::to_yaml(&self.file)
    }
}

/// What is searched needs a stage that searches it.
fn stages_fit(space: &Space, settings: &Settings, file: &JobFile, origin: &str) -> Result<(), LoadError> {
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

fn accelerator(name: &Spanned<String>, origin: &str) -> Result<Accelerator, JobError> {
    Accelerator::named_or_path(&name.value).map_err(|error| {
        let place = Place::of(name);
        match error {
            AccelError::Unknown { .. } if place.line > 0 => JobError::Load(place.reject(origin, error)),
            AccelError::Unknown { .. } | AccelError::Load { .. } => JobError::Accelerator(error),
        }
    })
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
        let whole = |name: &str, value: &Spanned<u64>, least: u32, most: u32| match u32::try_from(value.value) {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => {
                let reason = format!("{name} must lie in {least}..={most}, got {}", value.value);
                Err(Place::of(value).reject(origin, reason))
            }
        };
        let number = |name: &str, value: &Spanned<f64>, least: f64, most: f64| {
            if (least..=most).contains(&value.value) {
                return Ok(value.value);
            }
            let reason = format!("{name} must lie in {least}..={most}, got {}", value.value);
            Err(Place::of(value).reject(origin, reason))
        };
        Ok(TrainingSettings {
            epochs: whole("epochs", &self.epochs, 0, 1_000_000)?,
            batch: whole("batch", &self.batch, 2, 65_536)? as usize,
            images: self.images,
            learning_rate: number("learning-rate", &self.learning_rate, 1e-9, 100.0)?,
            warm_up: number("warm-up", &self.warm_up, 0.0, 0.9)?,
            momentum: number("momentum", &self.momentum, 0.0, 0.9999)?,
            weight_decay: number("weight-decay", &self.weight_decay, 0.0, 1.0)?,
            label_smoothing: number("label-smoothing", &self.label_smoothing, 0.0, 0.9)?,
            clip: number("clip", &self.clip, 1e-6, 1e9)?,
        })
    }
}
