//! What a job asks of the hardware besides a price on latency: further prices, hard targets, and how hard those press.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lagrangian::Penalty;
use crate::accel::Accelerator;
use crate::cost::Metric;
use crate::load::{LoadError, Place, Ranges, Spanned, unplaced};
use crate::record::{HardTarget, Relation};

/// How prices and the task's loss make one number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A weighted sum (U-Boost NAS).
    #[default]
    Linear,
    /// The task's loss times powers of the costs (MnasNet).
    Multiplicative,
}

/// Weights of further metrics as they are written; latency has `lambda`, utilization `beta`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PricesFile {
    /// Of energy; needs an accelerator with an energy table.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>", range(min = 0.0))]
    pub energy_uj: Option<Spanned<f64>>,
    /// Of multiply-accumulates.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>", range(min = 0.0))]
    pub macs: Option<Spanned<f64>>,
    /// Of learned values.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>", range(min = 0.0))]
    pub params: Option<Spanned<f64>>,
    /// Of the memory that weights take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>", range(min = 0.0))]
    pub weight_kib: Option<Spanned<f64>>,
    /// Of the memory that activations take at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>", range(min = 0.0))]
    pub peak_activation_kib: Option<Spanned<f64>>,
}

/// Hard targets as they are written: `latency-ms: <= 0.05`, `utilization: ">= 0.8"`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TargetsFile {
    /// Most milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = r"^\s*<="))]
    pub latency_ms: Option<Spanned<String>>,
    /// Least utilization, a fraction.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = r"^\s*>="))]
    pub utilization: Option<Spanned<String>>,
    /// Most microjoules; needs an accelerator with an energy table.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = r"^\s*<="))]
    pub energy_uj: Option<Spanned<String>>,
    /// Most multiply-accumulates.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = r"^\s*<="))]
    pub macs: Option<Spanned<String>>,
    /// Most learned values.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = r"^\s*<="))]
    pub params: Option<Spanned<String>>,
    /// Most memory for weights, KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = r"^\s*<="))]
    pub weight_kib: Option<Spanned<String>>,
    /// Most memory for activations, KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = r"^\s*<="))]
    pub peak_activation_kib: Option<Spanned<String>>,
}

/// How hard targets press, as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PenaltyFile {
    /// Penalty factor in the first epoch of a stage.
    #[schemars(with = "f64")]
    pub start: Spanned<f64>,
    /// Factor on it after an epoch that left a target violated.
    #[schemars(with = "f64")]
    pub growth: Spanned<f64>,
    /// Neither the penalty factor nor a multiplier grows beyond.
    #[schemars(with = "f64")]
    pub limit: Spanned<f64>,
}

impl Default for PenaltyFile {
    fn default() -> Self {
        Self { start: unplaced(1.0), growth: unplaced(2.0), limit: unplaced(100.0) }
    }
}

impl PricesFile {
    /// Whether nothing is priced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written().next().is_none()
    }

    fn written(&self) -> impl Iterator<Item = (Metric, &Spanned<f64>)> {
        let Self { energy_uj, macs, params, weight_kib, peak_activation_kib } = self;
        let all = [
            (Metric::EnergyUj, energy_uj),
            (Metric::Macs, macs),
            (Metric::Params, params),
            (Metric::WeightKib, weight_kib),
            (Metric::PeakActivationKib, peak_activation_kib),
        ];
        all.into_iter().filter_map(|(metric, weight)| Some((metric, weight.as_ref()?)))
    }

    /// The weights that are meant, each up to `most`.
    pub(super) fn meant(&self, ranges: &Ranges<'_>, most: f64) -> Result<Vec<(Metric, f64)>, LoadError> {
        self.written().map(|(metric, weight)| Ok((metric, ranges.number(metric.name(), weight, 0.0, most)?))).collect()
    }
}

impl TargetsFile {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written().next().is_none()
    }

    fn written(&self) -> impl Iterator<Item = (Metric, &Spanned<String>)> {
        let Self { latency_ms, utilization, energy_uj, macs, params, weight_kib, peak_activation_kib } = self;
        let all = [
            (Metric::LatencyMs, latency_ms),
            (Metric::Utilization, utilization),
            (Metric::EnergyUj, energy_uj),
            (Metric::Macs, macs),
            (Metric::Params, params),
            (Metric::WeightKib, weight_kib),
            (Metric::PeakActivationKib, peak_activation_kib),
        ];
        all.into_iter().filter_map(|(metric, target)| Some((metric, target.as_ref()?)))
    }

    /// The targets that are meant.
    pub(super) fn meant(&self, origin: &str) -> Result<Vec<HardTarget>, LoadError> {
        let one = |(metric, written): (Metric, &Spanned<String>)| {
            target(metric, &written.value).map_err(|reason| Place::of(written).reject(origin, reason))
        };
        self.written().map(one).collect()
    }
}

impl PenaltyFile {
    /// The penalty that is meant.
    pub(super) fn meant(&self, ranges: &Ranges<'_>) -> Result<Penalty, LoadError> {
        let start = ranges.number("start", &self.start, 1e-6, 1e6)?;
        Ok(Penalty {
            start,
            growth: ranges.number("growth", &self.growth, 1.0, 100.0)?,
            limit: ranges.number("limit", &self.limit, start, 1e9)?,
        })
    }
}

/// That `accelerator` says what each metric that is priced or bounded takes.
///
/// # Errors
/// [`LoadError`] with the line of the first that it does not.
pub(super) fn are_known(
    (prices, targets): (&PricesFile, &TargetsFile),
    accelerator: &Accelerator,
    origin: &str,
) -> Result<(), LoadError> {
    let prices = prices.written().map(|(metric, written)| (metric, Place::of(written)));
    let targets = targets.written().map(|(metric, written)| (metric, Place::of(written)));
    match prices.chain(targets).find(|(metric, _)| !metric.is_known(accelerator)) {
        None => Ok(()),
        Some((metric, place)) => {
            let (metric, name) = (metric.name(), &accelerator.name);
            let reason = format!("{metric}: needs an accelerator with an `energy` table, which `{name}` does not have");
            Err(place.reject(origin, reason))
        }
    }
}

/// The target on `metric` that `text` says.
fn target(metric: Metric, text: &str) -> Result<HardTarget, String> {
    let (name, sign) = (metric.name(), Relation::of(metric).sign());
    let other = |given: &str| given.starts_with("<=") || given.starts_with(">=");
    let given = text.trim();
    let Some(number) = given.strip_prefix(sign) else {
        let side = if sign == "<=" { "at most" } else { "at least" };
        let rule = if other(given) { format!("a target on it says {side}, ") } else { String::new() };
        return Err(format!("{name}: {rule}must be `{sign} NUMBER`, got `{text}`"));
    };
    let most = if metric == Metric::Utilization { 1.0 } else { 1e18 };
    match number.trim().parse::<f64>() {
        Ok(bound) if bound > 0.0 && bound <= most => Ok(HardTarget { metric, bound }),
        Ok(_) => Err(format!("{name}: the bound must lie above 0 and in 0..={most}, got `{text}`")),
        Err(_) => Err(format!("{name}: must be `{sign} NUMBER`, got `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    fn targets(text: &str) -> Result<Vec<HardTarget>, String> {
        let file: TargetsFile = load::parse(text, "job.yaml").map_err(|error| error.to_string())?;
        file.meant("job.yaml").map_err(|error| error.to_string())
    }

    #[test]
    fn targets_are_read_as_they_are_written() {
        let wanted = [
            HardTarget { metric: Metric::LatencyMs, bound: 0.05 },
            HardTarget { metric: Metric::Utilization, bound: 0.8 },
            HardTarget { metric: Metric::Params, bound: 2e5 },
        ];
        let block = "params: <=2e5\nlatency-ms: <= 0.05\nutilization: \">= 0.8\"\n";
        let flow = "{ latency-ms: <= 0.05, utilization: '>=0.8', params: \"<= 200000\" }";
        assert_eq!(targets(block).unwrap(), wanted);
        assert_eq!(targets(flow).unwrap(), wanted);
        let file: TargetsFile = load::parse(flow, "job.yaml").unwrap();
        assert_eq!(targets(&load::to_yaml(&file)).unwrap(), wanted);
    }

    #[test]
    fn a_target_that_is_none_is_named_with_its_line() {
        let cases = [
            ("latency-ms: 0.05", "latency-ms: must be `<= NUMBER`, got `0.05`"),
            ("latency-ms: < 0.05", "latency-ms: must be `<= NUMBER`, got `< 0.05`"),
            ("latency-ms: '>= 1'", "latency-ms: a target on it says at most, must be `<= NUMBER`, got `>= 1`"),
            ("utilization: <= 1", "utilization: a target on it says at least, must be `>= NUMBER`, got `<= 1`"),
            ("params: <= many", "params: must be `<= NUMBER`, got `<= many`"),
            ("macs: <= 0", "macs: the bound must lie above 0 and in 0..=1000000000000000000, got `<= 0`"),
            ("macs: <= NaN", "macs: the bound must lie above 0 and in 0..=1000000000000000000, got `<= NaN`"),
            ("utilization: '>= 1.5'", "utilization: the bound must lie above 0 and in 0..=1, got `>= 1.5`"),
        ];
        for (text, wanted) in cases {
            let place = text.find(": ").unwrap() + 3;
            assert_eq!(targets(text).unwrap_err(), format!("job.yaml:1:{place}: {wanted}"));
        }
        let message = targets("latency: <= 1").unwrap_err();
        assert!(message.starts_with("job.yaml:1:1: unknown field `latency`, expected one of "), "{message}");
    }

    #[test]
    fn energy_needs_an_accelerator_that_tells_it() {
        let accelerator = Accelerator::named_or_path("small-32x32").unwrap();
        let unknown = Accelerator { energy: None, name: "mute".to_owned(), ..accelerator };
        let prices: PricesFile = load::parse("macs: 1\nenergy-uj: 0.1", "job.yaml").unwrap();
        let none = TargetsFile::default();
        let message = are_known((&prices, &none), &unknown, "job.yaml").unwrap_err().to_string();
        let wanted =
            "job.yaml:2:12: energy-uj: needs an accelerator with an `energy` table, which `mute` does not have";
        assert_eq!(message, wanted);
        assert!(are_known((&PricesFile::default(), &none), &unknown, "job.yaml").is_ok());
    }
}
