//! Fits an accelerator's latency to measured times.
//!
//! Counts of every row ([`crate::accel::calibration`]), a non-negative fit in relative error, the capacity by a grid
//! inside what is fitted, the form by five-fold error. What is reported as held out is the error of the whole procedure:
//! inside each of the outer folds the form is chosen anew, from its training rows alone.

mod fit;
mod folds;
mod networks;
mod products;
mod report;
mod statistics;

use std::collections::BTreeMap;

use rayon::prelude::*;

pub use fit::Host;
pub use folds::{FOLDS, folds, shuffled};
pub use report::{FormError, Number, Point, Report, Sense};
pub use statistics::{Errors, kendall, mean_relative_error, spearman};

use crate::accel::calibration::{Calibration, Measured, Work};
use crate::accel::{Accelerator, Gemm};
use fit::{Data, Fitted, Form};

/// Rows below which nothing is fitted.
pub const LEAST_ROWS: usize = 25;
/// Rows below which the array term of networks is pinned to the clock.
pub const PINNED_ROWS: usize = 100;
/// An exception must be better by this factor in five-fold error to be taken in the place of the rule.
const CLEARLY_BETTER: f64 = 0.9;
/// Nanoseconds in a millisecond.
const NS_PER_MS: f64 = 1e6;

/// What was run.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// A network: the work of its layers for one image.
    Network(Vec<Work>),
    /// One matrix product.
    Product(Gemm),
}

/// One measured time.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// What it is called in plots and reports.
    pub name: String,
    /// What was run.
    pub observed: Observed,
    /// Milliseconds of one image, or of the product.
    pub ms: f64,
}

/// How it is fitted.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seed of the folds.
    pub seed: u64,
    /// Whether fast rows may be those of a host.
    pub host: Host,
    /// Where the measurements are from.
    pub sources: BTreeMap<String, String>,
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// To be written into the accelerator's file.
    pub calibration: Calibration,
    /// To be read.
    pub report: Report,
}

/// Why rows cannot be fitted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CalibrateError {
    /// Too few rows.
    #[error("a calibration needs at least {LEAST_ROWS} measured rows, for up to 16 numbers; got {0}")]
    TooFew(usize),
    /// A time that no run takes.
    #[error("`{name}`: a measured time must be finite and above 0 ms, got {ms}")]
    Time {
        /// The row.
        name: String,
        /// Its time, ms.
        ms: f64,
    },
    /// Networks and products.
    #[error("rows must be all networks or all products, but `{0}` is of the other kind than the first")]
    Mixed(String),
    /// Every time is the same.
    #[error("every measured time is {0} ms: a constant says nothing of the accelerator")]
    Constant(f64),
    /// Every row counts the same.
    #[error(
        "every row runs the same work, so differences of its times are noise; measure different networks or products"
    )]
    Same,
}

/// Whether the array term is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArrayTerm {
    Free,
    Pinned,
}

/// Nanoseconds in which each array takes in one row, over all arrays: `1000 / (MHz * count)`.
#[expect(clippy::cast_precision_loss, reason = "arrays are few")]
fn clock_row_ns(accelerator: &Accelerator) -> f64 {
    1e3 / (accelerator.clock.get() * accelerator.array.count as f64)
}

/// No threshold, and `steps` from `least` to below `most`, each the same factor above the one before.
fn grid(least: f64, most: f64, steps: i32) -> Vec<Option<f64>> {
    let mut thresholds = vec![None];
    if least > 0.0 && most > least {
        let step = (most / least).powf(1.0 / f64::from(steps));
        thresholds.extend((0..steps).map(|place| Some(least * step.powi(place))));
    }
    thresholds
}

/// The time of `observed` on a calibrated accelerator, for one image, ms; nothing where it is not calibrated.
#[must_use]
pub fn predict_ms(accelerator: &Accelerator, observed: &Observed) -> Option<f64> {
    let calibration = accelerator.calibration.as_ref()?;
    let ms = |work: &Work| calibration.work_ms(accelerator, work);
    let sum = match observed {
        Observed::Network(works) => works.iter().map(ms).sum(),
        Observed::Product(gemm) => ms(&Work::Product(*gemm)),
    };
    Some(calibration.image(sum).ms)
}

/// Errors of a calibrated accelerator on `observations`; nothing where it is not calibrated.
#[must_use]
pub fn judge(accelerator: &Accelerator, observations: &[Observation]) -> Option<Errors> {
    let predicted: Option<Vec<f64>> = observations.iter().map(|row| predict_ms(accelerator, &row.observed)).collect();
    let measured: Vec<f64> = observations.iter().map(|row| row.ms).collect();
    Some(Errors::of(&measured, &predicted?))
}

/// Fits `accelerator` to `observations`.
///
/// # Errors
/// [`CalibrateError`] where they are too few, not of one kind, or say nothing.
pub fn calibrate(
    accelerator: &Accelerator,
    observations: &[Observation],
    settings: &Settings,
) -> Result<Calibrated, CalibrateError> {
    check(observations)?;
    let (data, forms) = data_and_forms(accelerator, observations)?;
    let all: Vec<usize> = (0..observations.len()).collect();
    if all.iter().all(|&row| data.counts_equal(0, row)) {
        return Err(CalibrateError::Same);
    }
    let held_out = held_out(&data, &forms, &all, settings);
    let choice = choose(&data, &forms, &all, settings);
    let form = &choice.form;
    let fitted = data.fit(form, &all, settings.host);
    let law = match observations[0].observed {
        Observed::Network(_) => networks::law(&data, form, &fitted),
        Observed::Product(_) => products::law(&data, form, &fitted),
    };
    let predicted = data.predict(form, &fitted, &all);
    let errors = Errors::of(&data.times, &held_out);
    let [least, most] = [f64::min, f64::max].map(|of| data.times.iter().copied().fold(data.times[0], of) / NS_PER_MS);
    let calibration = Calibration {
        law,
        ceiling_ms: fitted.ceiling.map(|ceiling| ceiling / NS_PER_MS),
        measured: Measured {
            rows: observations.len(),
            from_ms: least,
            to_ms: most,
            form: form.name.clone(),
            folds: FOLDS,
            seed: settings.seed,
            mape_percent: errors.mape_percent,
            spearman: errors.spearman,
            kendall: errors.kendall,
        },
        sources: settings.sources.clone(),
    };
    let fit = Errors::of(&data.times, &predicted);
    let seen = report::seen(&data, form, &fitted);
    let report = report::report(accelerator, &calibration, &report::Found { fit, held_out: errors, seen: &seen })
        .with_forms(&choice.errors)
        .with_points(observations, &held_out);
    Ok(Calibrated { calibration, report })
}

fn check(observations: &[Observation]) -> Result<(), CalibrateError> {
    if let Some(bad) = observations.iter().find(|row| !(row.ms.is_finite() && row.ms > 0.0)) {
        return Err(CalibrateError::Time { name: bad.name.clone(), ms: bad.ms });
    }
    if observations.len() < LEAST_ROWS {
        return Err(CalibrateError::TooFew(observations.len()));
    }
    let first = &observations[0];
    let kind = |row: &Observation| std::mem::discriminant(&row.observed);
    if let Some(other) = observations.iter().find(|row| kind(row) != kind(first)) {
        return Err(CalibrateError::Mixed(other.name.clone()));
    }
    if observations.iter().all(|row| row.ms == first.ms) {
        return Err(CalibrateError::Constant(first.ms));
    }
    Ok(())
}

fn data_and_forms(
    accelerator: &Accelerator,
    observations: &[Observation],
) -> Result<(Data, Vec<Form>), CalibrateError> {
    let times: Vec<f64> = observations.iter().map(|row| row.ms * NS_PER_MS).collect();
    let mut networks: Vec<&[Work]> = Vec::new();
    let mut products: Vec<Gemm> = Vec::new();
    for row in observations {
        match &row.observed {
            Observed::Network(works) => networks.push(works),
            Observed::Product(gemm) => products.push(*gemm),
        }
    }
    if networks.is_empty() {
        return Ok((products::data(accelerator, &products, times), products::forms(accelerator)));
    }
    let array = if networks.len() < PINNED_ROWS { ArrayTerm::Pinned } else { ArrayTerm::Free };
    Ok((networks::data(accelerator, &networks, times), networks::forms(accelerator, array)))
}

impl Data {
    fn counts_equal(&self, a: usize, b: usize) -> bool {
        self.base.row(a) == self.base.row(b) && self.at.iter().all(|(_, counts)| counts.row(a) == counts.row(b))
    }
}

/// The form to take, and the five-fold error of each that was tried.
struct Choice {
    form: Form,
    errors: Vec<(String, f64)>,
}

/// The form with the least five-fold error on `rows`, or its exception where that is clearly better.
fn choose(data: &Data, forms: &[Form], rows: &[usize], settings: &Settings) -> Choice {
    let parts = folds(rows, settings.seed);
    let error = |form: &Form| {
        let one = |(kept, held): &(Vec<usize>, Vec<usize>)| {
            let fitted: Fitted = data.fit(form, kept, settings.host);
            data.error(form, &fitted, held) * statistics::count(held.len())
        };
        parts.iter().map(one).sum::<f64>() / statistics::count(rows.len())
    };
    let least: Vec<f64> = forms.par_iter().map(error).collect();
    let mut errors: Vec<(String, f64)> = forms.iter().map(|form| form.name.clone()).zip(least.clone()).collect();
    let best = (0..forms.len()).min_by(|&a, &b| least[a].total_cmp(&least[b])).expect("there is a form");
    let (mut form, mut reached) = (&forms[best], least[best]);
    while let Some(exception) = &form.exception {
        let found = error(exception);
        errors.push((exception.name.clone(), found));
        if found >= CLEARLY_BETTER * reached {
            break;
        }
        (form, reached) = (exception, found);
    }
    Choice { form: form.clone(), errors }
}

/// Each row as it is predicted by a fit to the rows of the other folds, ns.
fn held_out(data: &Data, forms: &[Form], rows: &[usize], settings: &Settings) -> Vec<f64> {
    let mut predicted = vec![0.0; rows.len()];
    for (kept, held) in folds(rows, settings.seed) {
        let form = choose(data, forms, &kept, settings).form;
        let fitted = data.fit(&form, &kept, settings.host);
        for (&row, time) in held.iter().zip(data.predict(&form, &fitted, &held)) {
            predicted[row] = time;
        }
    }
    predicted
}

#[cfg(test)]
mod tests;
