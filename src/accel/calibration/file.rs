//! The `calibration` block of an accelerator file, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::{Lanes, NetworkLaw, NetworkTerm};
use super::product::{ProductLaw, ProductTerm};
use super::{Calibration, Law, Measured};
use crate::load::{LoadError, Place, Spanned, unplaced};

/// A calibration as written; `systole calibrate` writes it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CalibrationFile {
    /// The numbers, in nanoseconds.
    law: LawFile,
    /// Milliseconds of one image below which the host is what was measured; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    ceiling_ms: Option<Spanned<f64>>,
    /// What the numbers were fitted to, and how well.
    measured: Measured,
    /// Where the measurements are from.
    #[serde(default)]
    sources: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum LawFile {
    /// Of whole networks: a constant and a sum over layers.
    Network(NetworkLawFile),
    /// Of single matrix products.
    Products(ProductLawFile),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NetworkLawFile {
    /// Values of one image's tensor that stay on the chip; all do where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    capacity_elements: Option<Spanned<f64>>,
    /// Whether the excess over the capacity counts padded channels; default `unpadded`.
    #[serde(default)]
    excess_lanes: Lanes,
    /// Whether tensors larger than the capacity count padded channels; default `unpadded`.
    #[serde(default)]
    spilled_lanes: Lanes,
    /// Nanoseconds for one of each term; those left out are 0.
    #[schemars(with = "BTreeMap<NetworkTerm, f64>")]
    terms: BTreeMap<NetworkTerm, Spanned<f64>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProductLawFile {
    /// Bytes of operands and result up to which a product is done in one shot; all are where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    one_shot_bytes: Option<Spanned<f64>>,
    /// Nanoseconds for one of each term; those left out are 0.
    #[schemars(with = "BTreeMap<ProductTerm, f64>")]
    terms: BTreeMap<ProductTerm, Spanned<f64>>,
}

impl CalibrationFile {
    /// The calibration that is meant; `origin` names the file in errors.
    ///
    /// # Errors
    /// [`LoadError::Parse`] with the place of the first number that is negative or not finite.
    pub fn resolve(self, origin: &str) -> Result<Calibration, LoadError> {
        let law = match self.law {
            LawFile::Network(law) => Law::Network(NetworkLaw {
                capacity_elements: positive("capacity-elements", law.capacity_elements.as_ref(), origin)?,
                excess_lanes: law.excess_lanes,
                spilled_lanes: law.spilled_lanes,
                terms: numbers(&law.terms, NetworkTerm::ALL, origin)?,
            }),
            LawFile::Products(law) => Law::Products(ProductLaw {
                one_shot_bytes: positive("one-shot-bytes", law.one_shot_bytes.as_ref(), origin)?,
                terms: numbers(&law.terms, ProductTerm::ALL, origin)?,
            }),
        };
        Ok(Calibration {
            law,
            ceiling_ms: positive("ceiling-ms", self.ceiling_ms.as_ref(), origin)?,
            measured: self.measured,
            sources: self.sources,
        })
    }
}

fn numbers<T: Ord + Copy, const N: usize>(
    given: &BTreeMap<T, Spanned<f64>>,
    terms: [T; N],
    origin: &str,
) -> Result<[f64; N], LoadError> {
    let mut numbers = [0.0; N];
    for (number, term) in numbers.iter_mut().zip(terms) {
        let Some(value) = given.get(&term) else { continue };
        if !(value.value.is_finite() && value.value >= 0.0) {
            let reason = format!("a number of nanoseconds must be finite and not below 0, got {}", value.value);
            return Err(Place::of(value).reject(origin, format!("calibration.law: {reason}")));
        }
        *number = value.value;
    }
    Ok(numbers)
}

fn positive(key: &str, given: Option<&Spanned<f64>>, origin: &str) -> Result<Option<f64>, LoadError> {
    match given {
        None => Ok(None),
        Some(value) if value.value.is_finite() && value.value > 0.0 => Ok(Some(value.value)),
        Some(value) => {
            let reason = format!("calibration.{key}: must be finite and above 0, got {}", value.value);
            Err(Place::of(value).reject(origin, reason))
        }
    }
}

impl From<&Calibration> for CalibrationFile {
    fn from(calibration: &Calibration) -> Self {
        let law = match &calibration.law {
            Law::Network(law) => LawFile::Network(NetworkLawFile {
                capacity_elements: law.capacity_elements.map(unplaced),
                excess_lanes: law.excess_lanes,
                spilled_lanes: law.spilled_lanes,
                terms: named(&law.terms, NetworkTerm::ALL),
            }),
            Law::Products(law) => LawFile::Products(ProductLawFile {
                one_shot_bytes: law.one_shot_bytes.map(unplaced),
                terms: named(&law.terms, ProductTerm::ALL),
            }),
        };
        Self {
            law,
            ceiling_ms: calibration.ceiling_ms.map(unplaced),
            measured: calibration.measured.clone(),
            sources: calibration.sources.clone(),
        }
    }
}

fn named<T: Ord + Copy, const N: usize>(numbers: &[f64; N], terms: [T; N]) -> BTreeMap<T, Spanned<f64>> {
    terms.into_iter().zip(numbers).map(|(term, number)| (term, unplaced(*number))).collect()
}
