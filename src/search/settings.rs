//! Settings of a search: as written, and as meant.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::adam::AdamConfig;
use super::allocation::{AllocationSettings, DynamicFile, Masks, PolicyFile};
use super::goals::{self, Form, PenaltyFile, PricesFile, TargetsFile};
use super::lagrangian::Penalty;
use super::methods::{DartsFile, EvolutionFile, Method, MethodFile, Nsga2File, RandomFile, SynflowFile};
use super::paths::{Paths, PathsFile};
use super::preference::{PreferenceFile, PreferenceSettings};
use super::sample::Temperature;
use crate::accel::Accelerator;
use crate::cost::{CostKind, Metric, Sums};
use crate::load::{LoadError, Place, Ranges, Spanned, unplaced};
use crate::record::HardTarget;
use crate::units::Bytes;

/// A setting that a rule rejects.
pub type SettingsError = LoadError;

/// The objective as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ObjectiveFile {
    /// Weight of latency, 0 or more; needed unless `preference` is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>", range(min = 0.0))]
    pub lambda: Option<Spanned<f64>>,
    /// One search for the whole front of error and latency, in the place of weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PreferenceFile>")]
    pub preference: Option<Spanned<PreferenceFile>>,
    /// Weight of utilization, 0 or more.
    #[serde(default = "nought")]
    #[schemars(with = "f64", range(min = 0.0))]
    pub beta: Spanned<f64>,
    /// What stands for the hardware.
    #[serde(default)]
    pub cost: CostFile,
    /// How the costs of layers are put together.
    #[serde(default)]
    pub sums: SumsFile,
    /// Table of `cost: lookup`, JSON; a relative path starts at the job's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub lookup_table: Option<Spanned<String>>,
    /// What `lambda` multiplies: latency over that of the first distributions, or milliseconds.
    #[serde(default)]
    pub latency: LatencyUnit,
    /// Images at once in the objective; reported latency is always of one image as well.
    #[serde(default = "one")]
    #[schemars(with = "u64", range(min = 1))]
    pub hardware_batch: Spanned<u64>,
    /// How prices and the task's loss make one number.
    #[serde(default)]
    pub form: Form,
    /// Weights of further metrics, each over its value at the first distributions, 0 or more.
    #[serde(default, skip_serializing_if = "PricesFile::is_empty")]
    pub weights: PricesFile,
    /// Bounds that the network found has to keep, at the hardware batch.
    #[serde(default, skip_serializing_if = "TargetsFile::is_empty")]
    pub targets: TargetsFile,
    /// How hard targets press during the search.
    #[serde(default)]
    pub penalty: PenaltyFile,
}

impl ObjectiveFile {
    /// Where it stands, as far as a key of it is known.
    #[must_use]
    pub fn place(&self) -> Place {
        match (&self.lambda, &self.preference) {
            (Some(lambda), _) => Place::of(lambda),
            (None, Some(preference)) => Place::of(preference),
            (None, None) => Place::of(&self.beta),
        }
    }

    /// The weight of latency, 0 of a preference search; that one of both is there.
    fn lambda(&self, ranges: &Ranges<'_>, most: f64) -> Result<f64, LoadError> {
        match (&self.lambda, &self.preference) {
            (Some(lambda), None) => ranges.number("lambda", lambda, 0.0, most),
            (None, Some(_)) => Ok(0.0),
            (Some(lambda), Some(_)) => {
                let reason = "objective: `preference` searches the front of error and latency for every weight at once: leave \
                              out `lambda`";
                Err(Place::of(lambda).reject(ranges.origin, reason))
            }
            (None, None) => {
                Err(self.place().reject(ranges.origin, "objective: missing field `lambda`, or `preference`"))
            }
        }
    }

    /// The preference search that is meant; that nothing beside it is asked that it has no place for.
    fn preference(&self, ranges: &Ranges<'_>, method: Method) -> Result<Option<PreferenceSettings>, LoadError> {
        let Some(file) = &self.preference else { return Ok(None) };
        let others = [
            ("beta", self.beta.value != 0.0),
            ("cost", self.cost != CostFile::Expected),
            ("sums", self.sums != SumsFile::Network),
            ("form", self.form != Form::Linear),
            ("weights", !self.weights.is_empty()),
            ("targets", !self.targets.is_empty()),
        ];
        if let Some((name, _)) = others.into_iter().find(|(_, given)| *given) {
            let reason = format!("objective: `preference` is of error and latency alone: leave out `{name}`");
            return Err(Place::of(file).reject(ranges.origin, reason));
        }
        if method != Method::Systole {
            let reason =
                format!("objective: `preference` is searched by `search.method: systole`, not `{}`", method.name());
            return Err(Place::of(file).reject(ranges.origin, reason));
        }
        file.value.meant(ranges).map(Some)
    }

    /// As a mapping, or the one word `preference`, which has every default.
    ///
    /// # Errors
    /// What the deserializer says of any other form.
    pub fn or_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MappingOrWord;

        impl<'de> Visitor<'de> for MappingOrWord {
            type Value = ObjectiveFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping, or the word `preference`")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<ObjectiveFile, E> {
                if word == "preference" {
                    Ok(ObjectiveFile::of_preferences())
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(word), &self))
                }
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<ObjectiveFile, M::Error> {
                ObjectiveFile::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_any(MappingOrWord)
    }

    /// That of a preference search with every default.
    fn of_preferences() -> Self {
        Self {
            lambda: None,
            preference: Some(unplaced(PreferenceFile::default())),
            beta: nought(),
            cost: CostFile::default(),
            sums: SumsFile::default(),
            lookup_table: None,
            latency: LatencyUnit::default(),
            hardware_batch: one(),
            form: Form::default(),
            weights: PricesFile::default(),
            targets: TargetsFile::default(),
            penalty: PenaltyFile::default(),
        }
    }

    /// That `accelerator` says what each metric that is priced or bounded takes; `origin` names the text in errors.
    ///
    /// # Errors
    /// [`LoadError`] with the line of the first that it does not.
    pub fn is_known(&self, accelerator: &Accelerator, origin: &str) -> Result<(), LoadError> {
        goals::are_known((&self.weights, &self.targets), accelerator, origin)
    }
}

/// The forms of an objective, for the schema.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum ObjectiveForms {
    /// One search for the whole front, with every default.
    Word(ObjectiveWord),
    /// Keys.
    Mapping(Box<ObjectiveFile>),
}

/// The one word that an objective may be.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum ObjectiveWord {
    /// One search for the whole front.
    Preference,
}

/// Names of the costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CostFile {
    /// Exact cycles in expectation.
    #[default]
    Expected,
    /// MACs over PEs.
    Flops,
    /// A smooth number of tiles at expected widths (U-Boost NAS).
    SmoothCeil,
    /// The longer of computation and traffic at expected widths.
    Roofline,
    /// A table of layers, at the likeliest widths.
    Lookup,
}

/// Names of the ways to put costs together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SumsFile {
    /// The whole network; utilization is the ratio of the sums.
    #[default]
    Network,
    /// As U-Boost NAS: the cells alone; utilization is summed over them.
    Paper,
}

impl From<SumsFile> for Sums {
    fn from(file: SumsFile) -> Self {
        match file {
            SumsFile::Network => Self::Network,
            SumsFile::Paper => Self::Paper,
        }
    }
}

impl From<CostFile> for CostKind {
    fn from(file: CostFile) -> Self {
        match file {
            CostFile::Expected => Self::Expected,
            CostFile::Flops => Self::Flops,
            CostFile::SmoothCeil => Self::SmoothCeil,
            CostFile::Roofline => Self::Roofline,
            CostFile::Lookup => Self::Lookup,
        }
    }
}

/// The unit of latency in the objective.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LatencyUnit {
    /// The latency of the first distributions.
    #[default]
    Relative,
    /// Milliseconds at the hardware batch.
    Milliseconds,
}

/// The search as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SearchFile {
    /// Which method searches.
    #[serde(default)]
    pub method: MethodFile,
    /// The stage that chooses operators; left out where nothing of that kind is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operators: Option<OperatorStageFile>,
    /// The stage that chooses widths; left out where nothing of that kind is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widths: Option<WidthStageFile>,
    /// Images in a step.
    #[serde(default = "batch")]
    #[schemars(with = "u64", range(min = 2))]
    pub batch: Spanned<u64>,
    /// Weight steps for each architecture step.
    #[serde(default = "four")]
    #[schemars(with = "u64", range(min = 1))]
    pub weight_steps: Spanned<u64>,
    /// Step size of the architecture parameters' Adam.
    #[serde(default = "tenth")]
    #[schemars(with = "f64")]
    pub learning_rate: Spanned<f64>,
    /// Temperature of the choices.
    #[serde(default, skip_serializing_if = "TemperatureFile::is_empty")]
    pub temperature: TemperatureFile,
    /// Optimizer of the weights.
    #[serde(default)]
    pub weights: WeightsFile,
    /// Most memory of the process (on a CUDA device: of its tensors) in MiB; what is free where absent. A batch that
    /// does not fit goes through in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>", range(min = 1))]
    pub memory_limit_mib: Option<Spanned<u64>>,
    /// What is the method `darts`' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub darts: Option<DartsFile>,
    /// What is the method `random`'s own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random: Option<RandomFile>,
    /// What is the method `synflow`'s own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synflow: Option<SynflowFile>,
    /// What is the method `evolution`'s own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evolution: Option<EvolutionFile>,
    /// What is the method `nsga-2`'s own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nsga_2: Option<Nsga2File>,
}

/// The operator stage as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OperatorStageFile {
    /// Passes over the training split.
    #[schemars(with = "u64", range(min = 1))]
    pub epochs: Spanned<u64>,
    /// First epochs in which only weights learn.
    #[serde(default = "zero")]
    #[schemars(with = "u64")]
    pub warm_up_epochs: Spanned<u64>,
    /// Channels of every searched width in this stage; the nearest option counts. The middle option where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub width: Option<Spanned<u64>>,
    /// How many candidates of an edge run in a step: one that is drawn, so many that are, or all.
    #[serde(default)]
    pub paths: PathsFile,
    /// Standard deviation of the first logits.
    #[serde(default = "small")]
    #[schemars(with = "f64")]
    pub spread: Spanned<f64>,
    /// Most identities in a cell, of a chain in all, that the stage may choose; no limit where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub most_skips: Option<Spanned<u64>>,
}

/// The width stage as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WidthStageFile {
    /// Passes over the training split.
    #[schemars(with = "u64", range(min = 1))]
    pub epochs: Spanned<u64>,
    /// First epochs in which only weights learn.
    #[serde(default = "zero")]
    #[schemars(with = "u64")]
    pub warm_up_epochs: Spanned<u64>,
    /// Where the logits start.
    #[serde(default)]
    pub initial: Initial,
    /// Which options are held while they are searched; of the method `systole`.
    #[serde(default = "fixed", skip_serializing_if = "is_fixed")]
    #[schemars(with = "PolicyFile")]
    pub policy: Spanned<PolicyFile>,
    /// Widths of a weight step under the policy `fixed`; of the method `systole`.
    #[serde(default, skip_serializing_if = "is_soft")]
    pub masks: Masks,
    /// What is the policy `dynamic`'s own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic: Option<DynamicFile>,
}

impl WidthStageFile {
    /// The allocation that is meant, where it is dynamic.
    fn allocation(
        &self,
        ranges: &Ranges<'_>,
        objective: &ObjectiveFile,
    ) -> Result<Option<AllocationSettings>, LoadError> {
        let meant = self.dynamic.as_ref().map(|file| file.meant(ranges)).transpose()?;
        if self.policy.value == PolicyFile::Fixed {
            return Ok(None);
        }
        let of_distributions = match objective.cost {
            CostFile::Expected => true,
            CostFile::Flops => objective.sums == SumsFile::Network,
            CostFile::SmoothCeil | CostFile::Roofline | CostFile::Lookup => false,
        };
        if !of_distributions {
            let reason = "policy: dynamic needs a cost over distributions: objective.cost expected, or flops with sums \
                          network";
            return Err(Place::of(&self.policy).reject(ranges.origin, reason));
        }
        Ok(Some(meant.unwrap_or(AllocationSettings::DEFAULT)))
    }
}

/// How the logits of widths start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Initial {
    /// All equal.
    #[default]
    Flat,
    /// `exp(-(i - m)^2 / 2) / sqrt(2 pi)` around a random option `m` (U-Boost NAS).
    Bump,
}

/// The temperature as it is written: `max(floor, start * decay^epoch)`; under `gdas` on a line from `start` to `floor`.
///
/// Where absent: 1, 0.95 and 0.001 (U-Boost NAS); under `gdas` 10 and 0.1.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TemperatureFile {
    /// In the first epoch of a stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub start: Option<Spanned<f64>>,
    /// Factor from epoch to epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub decay: Option<Spanned<f64>>,
    /// Never below.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub floor: Option<Spanned<f64>>,
}

impl TemperatureFile {
    fn is_empty(&self) -> bool {
        self.start.is_none() && self.decay.is_none() && self.floor.is_none()
    }

    fn meant(&self, ranges: &Ranges<'_>) -> Result<Temperature, LoadError> {
        let number = |name, value: &Option<Spanned<f64>>, default, least, most| {
            value.as_ref().map_or(Ok(default), |value| ranges.number(name, value, least, most))
        };
        Ok(Temperature {
            start: number("start", &self.start, 1.0, 1e-6, 1e3)?,
            decay: number("decay", &self.decay, 0.95, 1e-3, 1.0)?,
            floor: number("floor", &self.floor, 0.001, 1e-6, 1e3)?,
        })
    }
}

/// The optimizer of the weights as it is written: SGD with momentum.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct WeightsFile {
    /// Step size in the first step of a stage.
    #[schemars(with = "f64")]
    pub learning_rate: Spanned<f64>,
    /// How it goes on.
    pub schedule: Schedule,
    /// Share of the former direction.
    #[schemars(with = "f64")]
    pub momentum: Spanned<f64>,
    /// L2 penalty.
    #[schemars(with = "f64")]
    pub weight_decay: Spanned<f64>,
    /// Longest norm of all gradients together.
    #[schemars(with = "f64")]
    pub clip: Spanned<f64>,
}

impl Default for WeightsFile {
    /// U-Boost NAS: SGD 0.05, momentum 0.9, weight decay 3e-4, clip 0.5 — but cosine, which suits short stages.
    fn default() -> Self {
        Self {
            learning_rate: unplaced(0.05),
            schedule: Schedule::Cosine,
            momentum: unplaced(0.9),
            weight_decay: unplaced(3e-4),
            clip: unplaced(0.5),
        }
    }
}

/// How a learning rate goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Down to nothing over the stage along a half cosine.
    #[default]
    Cosine,
    /// The same all the time.
    Constant,
}

impl Schedule {
    /// Factor on the first rate after the share `done` (0 to 1) of the stage.
    #[must_use]
    pub fn factor(self, done: f64) -> f64 {
        match self {
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Self::Constant => 1.0,
        }
    }
}

/// Settings of a search as they are meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Which method searches.
    pub method: Method,
    /// Seed of every draw.
    pub seed: u64,
    /// The operator stage, with the channels of its widths.
    pub operators: Option<(StageSettings, Option<u64>)>,
    /// How operators are mixed.
    pub paths: Paths,
    /// Standard deviation of the operators' first logits.
    pub spread: f64,
    /// Most identities in a cell, of a chain in all.
    pub most_skips: Option<u32>,
    /// The width stage.
    pub widths: Option<StageSettings>,
    /// How the widths' logits start.
    pub initial: Initial,
    /// Widths of a weight step.
    pub masks: Masks,
    /// How widths are allocated, where that is dynamic.
    pub allocation: Option<AllocationSettings>,
    /// Images in a step.
    pub batch: u64,
    /// Weight steps for each architecture step.
    pub weight_steps: u32,
    /// Optimizer of the architecture parameters.
    pub adam: AdamConfig,
    /// Temperature of the choices.
    pub temperature: Temperature,
    /// Optimizer of the weights.
    pub weights: WeightSettings,
    /// Weight of latency; 0 of a preference search.
    pub lambda: f64,
    /// One search for the whole front.
    pub preference: Option<PreferenceSettings>,
    /// Weight of utilization.
    pub beta: f64,
    /// What latency is measured in.
    pub latency: LatencyUnit,
    /// Most memory to use; what is free where absent.
    pub memory_limit: Option<Bytes>,
    /// How prices and the task's loss make one number.
    pub form: Form,
    /// Weights of further metrics.
    pub prices: Vec<(Metric, f64)>,
    /// Bounds that the network found has to keep.
    pub targets: Vec<HardTarget>,
    /// How hard they press during the search.
    pub penalty: Penalty,
}

/// Length of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageSettings {
    /// Passes over the training split.
    pub epochs: u32,
    /// First epochs in which only weights learn.
    pub warm_up_epochs: u32,
}

/// Optimizer of the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightSettings {
    /// First step size.
    pub learning_rate: f64,
    /// How it goes on.
    pub schedule: Schedule,
    /// Share of the former direction.
    pub momentum: f64,
    /// L2 penalty.
    pub weight_decay: f64,
    /// Longest norm of all gradients together.
    pub clip: f64,
}

impl SearchFile {
    /// The settings that are meant; `origin` names the text in errors.
    ///
    /// # Errors
    /// The first value out of its range, with its line.
    pub fn settings(&self, objective: &ObjectiveFile, seed: u64, origin: &str) -> Result<Settings, LoadError> {
        let ranges = Ranges { origin };
        let method = self.meant(&ranges)?;
        // Weights are exponents in the multiplicative form: what passes these leaves the numbers of a machine.
        let most = match objective.form {
            Form::Linear => 1e9,
            Form::Multiplicative => 100.0,
        };
        Ok(Settings {
            method,
            seed,
            operators: self.operators.as_ref().map(|file| operators(&ranges, file)).transpose()?,
            paths: method.paths(self.operators.as_ref().map_or(Ok(Paths::ONE), |stage| stage.paths.meant(&ranges))?),
            spread: match &self.operators {
                Some(stage) => ranges.number("spread", &stage.spread, 0.0, 10.0)?,
                None => 0.0,
            },
            most_skips: match self.operators.as_ref().and_then(|stage| stage.most_skips.as_ref()) {
                Some(most) => Some(ranges.whole("most-skips", most, 0, 1_000)?),
                None => None,
            },
            widths: self.widths.as_ref().map(|w| stage(&ranges, &w.epochs, &w.warm_up_epochs)).transpose()?,
            initial: self.widths.as_ref().map_or(Initial::Flat, |stage| stage.initial),
            masks: match &self.widths {
                Some(stage) if method == Method::Systole => stage.masks,
                Some(_) | None => Masks::Soft,
            },
            allocation: match (&self.widths, method == Method::Systole) {
                (Some(stage), true) => stage.allocation(&ranges, objective)?,
                (Some(_), false) | (None, _) => None,
            },
            batch: ranges.whole("batch", &self.batch, 2, 65_536)?.into(),
            weight_steps: ranges.whole("weight-steps", &self.weight_steps, 1, 1_000_000)?,
            adam: AdamConfig::new(ranges.number("learning-rate", &self.learning_rate, 1e-9, 10.0)?),
            temperature: self.temperature.meant(&ranges)?,
            weights: self.weights.meant(&ranges)?,
            lambda: objective.lambda(&ranges, most)?,
            preference: objective.preference(&ranges, method)?,
            beta: ranges.number("beta", &objective.beta, 0.0, most)?,
            latency: objective.latency,
            memory_limit: self.memory_limit_mib.as_ref().map(|limit| memory_limit(&ranges, limit)).transpose()?,
            form: objective.form,
            prices: objective.weights.meant(&ranges, most)?,
            targets: objective.targets.meant(origin)?,
            penalty: objective.penalty.meant(&ranges)?,
        })
    }
}

impl WeightsFile {
    fn meant(&self, ranges: &Ranges<'_>) -> Result<WeightSettings, LoadError> {
        Ok(WeightSettings {
            learning_rate: ranges.number("learning-rate", &self.learning_rate, 1e-9, 100.0)?,
            schedule: self.schedule,
            momentum: ranges.number("momentum", &self.momentum, 0.0, 0.9999)?,
            weight_decay: ranges.number("weight-decay", &self.weight_decay, 0.0, 1.0)?,
            clip: ranges.number("clip", &self.clip, 1e-6, 1e9)?,
        })
    }
}

fn stage(ranges: &Ranges<'_>, epochs: &Spanned<u64>, warm_up: &Spanned<u64>) -> Result<StageSettings, LoadError> {
    let epochs = ranges.whole("epochs", epochs, 1, 1_000_000)?;
    let warm_up_epochs = ranges.whole("warm-up-epochs", warm_up, 0, epochs - 1)?;
    Ok(StageSettings { epochs, warm_up_epochs })
}

fn operators(ranges: &Ranges<'_>, file: &OperatorStageFile) -> Result<(StageSettings, Option<u64>), LoadError> {
    let width = file.width.as_ref().map(|width| ranges.whole("width", width, 1, 65_536)).transpose()?;
    Ok((stage(ranges, &file.epochs, &file.warm_up_epochs)?, width.map(u64::from)))
}

fn memory_limit(ranges: &Ranges<'_>, limit: &Spanned<u64>) -> Result<Bytes, LoadError> {
    Ok(Bytes(u64::from(ranges.whole("memory-limit-mib", limit, 1, u32::MAX)?) << 20))
}

fn fixed() -> Spanned<PolicyFile> {
    unplaced(PolicyFile::Fixed)
}

fn is_fixed(policy: &Spanned<PolicyFile>) -> bool {
    policy.value == PolicyFile::Fixed
}

fn is_soft(masks: &Masks) -> bool {
    *masks == Masks::Soft
}

fn nought() -> Spanned<f64> {
    unplaced(0.0)
}

fn tenth() -> Spanned<f64> {
    unplaced(0.1)
}

fn small() -> Spanned<f64> {
    unplaced(0.01)
}

fn zero() -> Spanned<u64> {
    unplaced(0)
}

fn one() -> Spanned<u64> {
    unplaced(1)
}

fn four() -> Spanned<u64> {
    unplaced(4)
}

fn batch() -> Spanned<u64> {
    unplaced(64)
}
