//! The accelerator file: as written in YAML, and the one conversion to what is meant.

mod energy;
mod memory;
mod vector;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::accelerator::{Accelerator, Array, Dataflow, Depthwise, Precision};
use super::calibration::CalibrationFile;
use super::timing::Timing;
use super::vector::VectorUnit;
use crate::load::{self, LoadError, Place, Spanned};
use crate::units::Megahertz;

pub use energy::EnergyFile;
pub use memory::MemoryFile;
pub use vector::{VectorFile, VectorUnitFile};

/// The version of the format.
const VERSION: i64 = 1;

/// An accelerator as written. The least that is valid:
/// ```yaml
/// name: my-array
/// array: { rows: 128, cols: 128 }
/// dataflow: weight-stationary
/// clock-mhz: 1000
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AcceleratorFile {
    /// Version of the format, 1.
    #[schemars(with = "Option<u64>")]
    pub version: Option<Spanned<i64>>,
    /// What the accelerator is called in reports.
    #[schemars(with = "String", length(min = 1))]
    pub name: Spanned<String>,
    /// The processing elements.
    pub array: ArrayFile,
    /// Which operand stays in the array.
    #[schemars(with = "Dataflow")]
    pub dataflow: Spanned<Dataflow>,
    /// Clock in MHz, above 0.
    #[schemars(with = "f64")]
    pub clock_mhz: Spanned<f64>,
    /// Which cycles are counted unless the caller says otherwise; default `pipelined`.
    #[schemars(with = "Option<Timing>")]
    pub timing: Option<Spanned<Timing>>,
    /// How depthwise and grouped products are mapped; default `per-channel`. `vector` needs a vector unit.
    #[schemars(with = "Option<Depthwise>")]
    pub depthwise: Option<Spanned<Depthwise>>,
    /// Memories and their bandwidths.
    #[serde(default)]
    pub memory: MemoryFile,
    /// The unit for what is no matrix product; default `none`: such work is free.
    #[serde(default)]
    pub vector: VectorFile,
    /// Bits of the numbers; default int8.
    #[serde(default)]
    pub precision: PrecisionFile,
    /// What an operation and an access cost; default none, and no energy is given.
    pub energy: Option<EnergyFile>,
    /// Latency fitted to measured times, as `systole calibrate` writes it.
    pub calibration: Option<CalibrationFile>,
    /// Where each number is from, by its key: `array.rows`, `clock-mhz`.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
}

/// The processing elements as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ArrayFile {
    /// Rows of one array.
    #[schemars(with = "u64", range(min = 1, max = 65_536))]
    pub rows: Spanned<i64>,
    /// Columns of one array.
    #[schemars(with = "u64", range(min = 1, max = 65_536))]
    pub cols: Spanned<i64>,
    /// Arrays; default 1.
    #[schemars(with = "Option<u64>", range(min = 1, max = 1024))]
    pub count: Option<Spanned<i64>>,
}

/// Bits of the numbers as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PrecisionFile {
    /// Bits of a weight; default 8.
    #[schemars(with = "Option<u32>", range(min = 1, max = 64))]
    pub weight_bits: Option<Spanned<i64>>,
    /// Bits of an activation; default 8.
    #[schemars(with = "Option<u32>", range(min = 1, max = 64))]
    pub activation_bits: Option<Spanned<i64>>,
    /// Bits of a partial sum; default 32.
    #[schemars(with = "Option<u32>", range(min = 1, max = 64))]
    pub accumulator_bits: Option<Spanned<i64>>,
}

impl AcceleratorFile {
    /// The accelerator that is meant; `origin` names the file in errors.
    ///
    /// # Errors
    /// [`LoadError::Parse`] with the place of the first value that breaks a rule.
    pub fn resolve(self, origin: &str) -> Result<Accelerator, LoadError> {
        if let Some(version) = self.version.as_ref().filter(|version| version.value != VERSION) {
            return Err(reject(version, origin, format!("version: must be {VERSION}, got {}", version.value)));
        }
        if self.name.value.trim().is_empty() {
            return Err(reject(&self.name, origin, "name: must not be empty"));
        }
        let array = self.array.resolve(origin)?;
        let timing = timing(self.timing.as_ref(), self.dataflow.value, array.count)
            .map_err(|(place, reason)| place.reject(origin, reason))?;
        let clock = Megahertz::new(self.clock_mhz.value)
            .map_err(|error| reject(&self.clock_mhz, origin, format!("clock-mhz: {error}")))?;
        let vector = self.vector.resolve(origin)?;
        let depthwise = depthwise(self.depthwise.as_ref(), vector, origin)?;
        Ok(Accelerator {
            name: self.name.value,
            array,
            dataflow: self.dataflow.value,
            clock,
            timing,
            depthwise,
            memory: self.memory.resolve(origin)?,
            vector,
            precision: self.precision.resolve(origin)?,
            energy: self.energy.map(|energy| energy.resolve(origin)).transpose()?,
            calibration: self.calibration.map(|calibration| calibration.resolve(origin)).transpose()?,
            sources: self.sources,
        })
    }
}

impl ArrayFile {
    fn resolve(self, origin: &str) -> Result<Array, LoadError> {
        Ok(Array {
            rows: within("array.rows", &self.rows, Array::MAX_SIDE, origin)?,
            cols: within("array.cols", &self.cols, Array::MAX_SIDE, origin)?,
            count: self.count.map_or(Ok(1), |count| within("array.count", &count, Array::MAX_COUNT, origin))?,
        })
    }
}

impl PrecisionFile {
    fn resolve(self, origin: &str) -> Result<Precision, LoadError> {
        let bits = |key: &str, given: Option<Spanned<i64>>, default: u32| {
            given.map_or(Ok(default), |bits| within(key, &bits, Precision::MAX_BITS, origin))
        };
        let default = Precision::default();
        Ok(Precision {
            weight_bits: bits("precision.weight-bits", self.weight_bits, default.weight_bits)?,
            activation_bits: bits("precision.activation-bits", self.activation_bits, default.activation_bits)?,
            accumulator_bits: bits("precision.accumulator-bits", self.accumulator_bits, default.accumulator_bits)?,
        })
    }
}

/// The timing that is meant, held against what it covers.
fn timing(given: Option<&Spanned<Timing>>, dataflow: Dataflow, count: u64) -> Result<Timing, (Place, String)> {
    let (timing, place) = given.map_or_else(Default::default, |timing| (timing.value, Place::of(timing)));
    timing.covers(dataflow, count).map_err(|error| (place, error.to_string()))?;
    Ok(timing)
}

/// The rule that is meant, held against the units that are there.
fn depthwise(
    given: Option<&Spanned<Depthwise>>,
    vector: Option<VectorUnit>,
    origin: &str,
) -> Result<Depthwise, LoadError> {
    match given {
        None => Ok(Depthwise::default()),
        Some(rule) if rule.value == Depthwise::Vector && vector.is_none() => {
            Err(reject(rule, origin, "depthwise: `vector` needs a vector unit, got none"))
        }
        Some(rule) => Ok(rule.value),
    }
}

/// A whole number from 1 to `most`; files are read with a sign, so that -1 gets the same message as 0.
fn within<T>(key: &str, given: &Spanned<i64>, most: T, origin: &str) -> Result<T, LoadError>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    let number = T::try_from(given.value).ok().filter(|number| given.value >= 1 && *number <= most);
    number.ok_or_else(|| reject(given, origin, format!("{key}: must be from 1 to {most}, got {}", given.value)))
}

fn reject<T>(value: &Spanned<T>, origin: &str, reason: impl Display) -> LoadError {
    Place::of(value).reject(origin, reason)
}

impl Accelerator {
    /// Reads the accelerator file at `path`.
    ///
    /// # Errors
    /// [`LoadError`] where it cannot be read, is no accelerator file, or breaks a rule of one.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        load::load::<AcceleratorFile>(path)?.resolve(&path.display().to_string())
    }

    /// Reads `text` as an accelerator file; `origin` is its name in errors.
    ///
    /// # Errors
    /// As [`Accelerator::load`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, LoadError> {
        load::parse::<AcceleratorFile>(text, origin)?.resolve(origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::{Bandwidth, Memory};

    const LEAST: &str =
        "name: my-array\narray: { rows: 128, cols: 64 }\ndataflow: weight-stationary\nclock-mhz: 1000\n";

    fn error(text: &str) -> String {
        Accelerator::parse(text, "a.yaml").unwrap_err().to_string()
    }

    #[test]
    fn the_least_file_has_the_documented_defaults() {
        let accelerator = Accelerator::parse(LEAST, "a.yaml").unwrap();
        assert_eq!(accelerator.array, Array { rows: 128, cols: 64, count: 1 });
        assert_eq!(accelerator.timing, Timing::Pipelined);
        assert_eq!(accelerator.depthwise, Depthwise::PerChannel);
        assert_eq!(accelerator.memory, Memory::default());
        let Precision { weight_bits, activation_bits, accumulator_bits } = accelerator.precision;
        assert_eq!([weight_bits, activation_bits, accumulator_bits], [8, 8, 32]);
    }

    #[test]
    fn a_full_file_is_read_as_written() {
        let text = "version: 1
name: full
array: { rows: 8, cols: 16, count: 4 }
dataflow: output-stationary
clock-mhz: 700.5
timing: scale-sim
depthwise: per-channel
memory: { weight-bandwidth-gb-per-s: 85.89934592 }
precision: { weight-bits: 4, activation-bits: 16, accumulator-bits: 24 }
sources: { array.rows: data sheet, clock-mhz: measured }
";
        let accelerator = Accelerator::parse(text, "a.yaml").unwrap();
        assert_eq!(accelerator.array, Array { rows: 8, cols: 16, count: 4 });
        assert_eq!(accelerator.dataflow, Dataflow::OutputStationary);
        assert_eq!(accelerator.clock.get(), 700.5);
        assert_eq!(accelerator.timing, Timing::ScaleSim);
        assert_eq!(accelerator.memory.weight_bandwidth, Some(Bandwidth::gib_per_second(80)));
        assert_eq!(accelerator.precision, Precision { weight_bits: 4, activation_bits: 16, accumulator_bits: 24 });
        assert_eq!(accelerator.sources["clock-mhz"], "measured");
    }

    #[test]
    fn values_out_of_range_name_their_place() {
        let cases = [
            ("rows: 128", "rows: 0", "a.yaml:2:16: array.rows: must be from 1 to 65536, got 0"),
            ("rows: 128", "rows: -1", "a.yaml:2:16: array.rows: must be from 1 to 65536, got -1"),
            ("cols: 64", "cols: 65537", "a.yaml:2:27: array.cols: must be from 1 to 65536, got 65537"),
            ("cols: 64", "cols: 4, count: 2000", "a.yaml:2:37: array.count: must be from 1 to 1024, got 2000"),
            (
                "mhz: 1000",
                "mhz: -700",
                "a.yaml:4:12: clock-mhz: a clock in MHz must be a finite number above 0, got -700",
            ),
            (
                "mhz: 1000",
                "mhz: .nan",
                "a.yaml:4:12: clock-mhz: a clock in MHz must be a finite number above 0, got NaN",
            ),
            ("name: my-array", "name: ''", "a.yaml:1:7: name: must not be empty"),
        ];
        for (good, bad, expected) in cases {
            assert_eq!(error(&LEAST.replace(good, bad)), expected);
        }
        let cases = [
            ("version: 2\n", "a.yaml:5:10: version: must be 1, got 2"),
            ("precision: { weight-bits: 65 }\n", "a.yaml:5:27: precision.weight-bits: must be from 1 to 64, got 65"),
            (
                "memory: { weight-bandwidth-gb-per-s: 0 }\n",
                "a.yaml:5:38: memory.weight-bandwidth-gb-per-s: a bandwidth in GB/s must be from 1e-9 to 1e9, got 0",
            ),
        ];
        for (more, expected) in cases {
            assert_eq!(error(&format!("{LEAST}{more}")), expected);
        }
    }

    #[test]
    fn a_timing_that_does_not_cover_the_accelerator_names_its_place() {
        let text = format!("{LEAST}timing: uboost-csim\n");
        assert_eq!(Accelerator::parse(&text, "a.yaml").unwrap().timing, Timing::UboostCsim);
        assert_eq!(
            error(&text.replace("weight-stationary", "input-stationary")),
            "a.yaml:5:9: timing `uboost-csim` needs dataflow weight-stationary, got input-stationary"
        );
        assert_eq!(
            error(&text.replace("cols: 64", "cols: 64, count: 2")),
            "a.yaml:5:9: timing `uboost-csim` needs one array, got count 2"
        );
    }

    #[test]
    fn unknown_and_missing_keys_are_refused() {
        for (text, word) in [
            (LEAST.replace("rows", "row"), "row"),
            (format!("{LEAST}sram: 3\n"), "sram"),
            (LEAST.replace("clock-mhz: 1000\n", ""), "clock-mhz"),
            (LEAST.replace("weight-stationary", "row-stationary"), "row-stationary"),
            (LEAST.replace("rows: 128", "rows: 1.5"), "a.yaml:2:16"),
        ] {
            let message = error(&text);
            assert!(message.starts_with("a.yaml:") && message.contains(word), "{message}");
        }
    }

    #[test]
    fn the_schema_has_every_key() {
        let schema = schemars::schema_for!(AcceleratorFile).to_value().to_string();
        for key in ["clock-mhz", "weight-bandwidth-gb-per-s", "accumulator-bits", "uboost-csim", "per-channel", "count"]
        {
            assert!(schema.contains(&format!("\"{key}\"")), "{key}: {schema}");
        }
    }
}
