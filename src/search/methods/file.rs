//! Which method searches, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::settings::SearchFile;
use super::method::{Budget, Evolution, Method};
use crate::load::{LoadError, Place, Ranges, Spanned, unplaced};

/// Names of the methods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MethodFile {
    /// The search of this project.
    #[default]
    Systole,
    /// DARTS, first order (Liu et al. 2019).
    Darts,
    /// GDAS (Dong and Yang 2019).
    Gdas,
    /// Random search.
    Random,
    /// Random draws scored by synaptic flow, without data (Tanaka et al. 2020).
    Synflow,
    /// Regularised evolution (Real et al. 2019) on a single-path supernet (Guo et al. 2020).
    Evolution,
    /// NSGA-II (Deb et al. 2002), against a table alone.
    #[serde(rename = "nsga-2")]
    Nsga2,
}

/// What is DARTS' own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DartsFile {
    /// Edges that a join keeps where the architecture is derived: those whose likeliest candidate but `zero` is likeliest.
    #[schemars(with = "u64", range(min = 1))]
    pub inputs: Spanned<u64>,
}

impl Default for DartsFile {
    /// DARTS: 2.
    fn default() -> Self {
        Self { inputs: unplaced(2) }
    }
}

/// How long architectures are judged: one of the two.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BudgetFile {
    /// So many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub networks: Option<Spanned<u64>>,
    /// As many as these seconds of search allow, over all sittings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub seconds: Option<Spanned<f64>>,
}

/// What is random search's own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RandomFile {
    /// How many networks are trained.
    #[schemars(with = "BudgetFile")]
    pub budget: Spanned<BudgetFile>,
    /// Passes of each over the training split.
    #[schemars(with = "u64", range(min = 1))]
    pub epochs: Spanned<u64>,
}

impl Default for RandomFile {
    /// Li and Talwalkar 2019 leave both to the compute at hand: 16 networks, 4 epochs each.
    fn default() -> Self {
        Self { budget: networks(16), epochs: unplaced(4) }
    }
}

/// What is the synaptic flow's own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SynflowFile {
    /// How many networks are scored.
    #[schemars(with = "BudgetFile")]
    pub budget: Spanned<BudgetFile>,
}

impl Default for SynflowFile {
    /// Abdelfattah et al. 2021 score up to 3,000 before a search: 1,000.
    fn default() -> Self {
        Self { budget: networks(1000) }
    }
}

/// What is evolution's own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct EvolutionFile {
    /// The last architectures, from which parents are taken.
    #[schemars(with = "u64", range(min = 1))]
    pub population: Spanned<u64>,
    /// Draws from the population, the best of which is the parent.
    #[schemars(with = "u64", range(min = 1))]
    pub sample: Spanned<u64>,
    /// Architectures judged, the first population included.
    #[schemars(with = "u64", range(min = 1))]
    pub evaluations: Spanned<u64>,
}

impl Default for EvolutionFile {
    /// A population of 50 (Guo et al. 2020), a quarter of it as the sample (Real et al. 2019: 25 of 100), ten
    /// generations' worth of evaluations.
    fn default() -> Self {
        Self { population: unplaced(50), sample: unplaced(12), evaluations: unplaced(500) }
    }
}

/// What is NSGA-II's own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Nsga2File {
    /// Networks that live at once, and children of a generation.
    #[schemars(with = "u64", range(min = 2))]
    pub population: Spanned<u64>,
}

impl Default for Nsga2File {
    /// 40: twenty generations in 800 evaluations.
    fn default() -> Self {
        Self { population: unplaced(40) }
    }
}

fn networks(count: u64) -> Spanned<BudgetFile> {
    unplaced(BudgetFile { networks: Some(unplaced(count)), seconds: None })
}

impl SearchFile {
    /// With every default that depends on the method filled in.
    #[must_use]
    pub fn filled(mut self) -> Self {
        let fill = |slot: &mut Option<Spanned<f64>>, value: f64| *slot = Some(slot.take().unwrap_or(unplaced(value)));
        let temperature = &mut self.temperature;
        match self.method {
            MethodFile::Systole => {
                fill(&mut temperature.start, 1.0);
                fill(&mut temperature.decay, 0.95);
                fill(&mut temperature.floor, 0.001);
            }
            MethodFile::Gdas => {
                fill(&mut temperature.start, 10.0);
                fill(&mut temperature.floor, 0.1);
            }
            MethodFile::Darts => self.darts = Some(self.darts.unwrap_or_default()),
            MethodFile::Random => self.random = Some(self.random.unwrap_or_default()),
            MethodFile::Synflow => self.synflow = Some(self.synflow.unwrap_or_default()),
            MethodFile::Evolution => self.evolution = Some(self.evolution.unwrap_or_default()),
            MethodFile::Nsga2 => self.nsga_2 = Some(self.nsga_2.unwrap_or_default()),
        }
        self
    }

    /// The method that is meant.
    pub(in crate::search) fn meant(&self, ranges: &Ranges<'_>) -> Result<Method, LoadError> {
        Ok(match self.method {
            MethodFile::Systole => Method::Systole,
            MethodFile::Gdas => Method::Gdas,
            MethodFile::Darts => {
                let file = self.darts.clone().unwrap_or_default();
                Method::Darts { inputs: ranges.whole("inputs", &file.inputs, 1, 65_536)? as usize }
            }
            MethodFile::Random => {
                let file = self.random.clone().unwrap_or_default();
                let epochs = ranges.whole("epochs", &file.epochs, 1, 1_000_000)?;
                Method::Random { budget: file.budget.value.meant(&file.budget, ranges)?, epochs }
            }
            MethodFile::Synflow => {
                let file = self.synflow.clone().unwrap_or_default();
                Method::Synflow { budget: file.budget.value.meant(&file.budget, ranges)? }
            }
            MethodFile::Evolution => Method::Evolution(self.evolution.clone().unwrap_or_default().meant(ranges)?),
            MethodFile::Nsga2 => {
                let file = self.nsga_2.clone().unwrap_or_default();
                Method::Nsga2 { population: ranges.whole("population", &file.population, 2, 1_000_000)? }
            }
        })
    }
}

impl BudgetFile {
    fn meant(&self, place: &Spanned<Self>, ranges: &Ranges<'_>) -> Result<Budget, LoadError> {
        match (&self.networks, &self.seconds) {
            (Some(networks), None) => Ok(Budget::Networks(ranges.whole("networks", networks, 1, 1_000_000)?)),
            (None, Some(seconds)) => Ok(Budget::Seconds(ranges.number("seconds", seconds, 1e-3, 1e9)?)),
            (given, _) => {
                let given = if given.is_some() { "both" } else { "neither" };
                let reason = format!("budget needs either `networks` or `seconds`, got {given}");
                Err(Place::of(place).reject(ranges.origin, reason))
            }
        }
    }
}

impl EvolutionFile {
    fn meant(&self, ranges: &Ranges<'_>) -> Result<Evolution, LoadError> {
        let evaluations = ranges.whole("evaluations", &self.evaluations, 1, 1_000_000)?;
        let population = ranges.whole("population", &self.population, 1, 1_000_000)?;
        let sample = ranges.whole("sample", &self.sample, 1, 1_000_000)?;
        if population > evaluations {
            let reason = format!("population must be at most the {evaluations} evaluations, got {population}");
            return Err(Place::of(&self.population).reject(ranges.origin, reason));
        }
        Ok(Evolution { population, sample, evaluations })
    }
}
