//! What a calibration found, and whether each number is physical.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fit::{Data, Fitted, Form};
use super::{Errors, NS_PER_MS, Observation, clock_row_ns};
use crate::accel::Accelerator;
use crate::accel::calibration::{Calibration, Law, NetworkTerm, ProductTerm};

/// Whether a number can be what it is named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sense {
    /// It can.
    Physical,
    /// Faster than the accelerator of the file can be.
    TooFast,
    /// It is 0: the rows are explained without it.
    NotNeeded,
    /// No row counts any of it, so nothing is known.
    NotMeasured,
    /// It is no speed of the accelerator: a launch or a constant.
    Overhead,
}

/// One number with what it means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Number {
    /// Its key in the accelerator file.
    pub term: String,
    /// Nanoseconds for one.
    pub ns: f64,
    /// The same as a speed.
    pub implied: String,
    /// Whether it can be that.
    pub sense: Sense,
}

/// The five-fold error of a form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FormError {
    /// The form.
    pub form: String,
    /// Mean absolute relative error on held-out rows, percent.
    pub mape_percent: f64,
}

/// A row as measured, and as predicted by a fit to the rows of the other folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// What was run.
    pub name: String,
    /// Measured, ms.
    pub measured_ms: f64,
    /// Predicted, ms.
    pub predicted_ms: f64,
}

/// What a calibration found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The accelerator.
    pub accelerator: String,
    /// `network` or `products`.
    pub law: String,
    /// Measured rows.
    pub rows: usize,
    /// Seed of the folds.
    pub seed: u64,
    /// Numbers above 0, the threshold and the ceiling among them.
    pub numbers_used: usize,
    /// On rows that were held out, by five folds; the form was chosen without them.
    pub held_out: Errors,
    /// On the rows that the numbers were fitted to.
    pub fitted: Errors,
    /// The form chosen.
    pub form: String,
    /// The five-fold error of every form on all rows.
    pub forms: Vec<FormError>,
    /// The on-chip capacity: values of a tensor for networks, bytes for products; nothing where none was found.
    pub threshold: Option<f64>,
    /// The threshold in words.
    pub threshold_implied: String,
    /// Time of the host, ms.
    pub ceiling_ms: Option<f64>,
    /// Every number.
    pub numbers: Vec<Number>,
    /// Every row, held out.
    pub points: Vec<Point>,
}

/// Errors of a fit, and which of the law's terms any row counts.
pub(super) struct Found<'a> {
    pub(super) fit: Errors,
    pub(super) held_out: Errors,
    pub(super) seen: &'a dyn Fn(usize) -> Seen,
}

/// Whether rows say anything of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Some row counts it.
    Counted,
    /// No row does.
    Never,
}

/// Which columns of `form` any row counts at the threshold; terms outside the form count as seen, and are 0.
pub(super) fn seen(data: &Data, form: &Form, fitted: &Fitted) -> impl Fn(usize) -> Seen + use<> {
    let rows: Vec<usize> = (0..data.times.len()).collect();
    let counted = |column: usize| {
        let one = Form { name: String::new(), columns: vec![column], pinned: None, exception: None };
        let unit = Fitted { numbers: vec![1.0], ceiling: None, ..*fitted };
        data.predict(&one, &unit, &rows).iter().any(|&count| count > 0.0)
    };
    let base = data.base.columns;
    let never: Vec<usize> =
        form.columns.iter().copied().filter(|&column| column < base.max(1) && !counted(column)).collect();
    move |term| if never.contains(&term) { Seen::Never } else { Seen::Counted }
}

/// The report of `calibration`, forms and points not yet among it.
pub(super) fn report(accelerator: &Accelerator, calibration: &Calibration, found: &Found<'_>) -> Report {
    let (law, numbers, threshold, threshold_implied) = match &calibration.law {
        Law::Network(law) => {
            let numbers = NetworkTerm::ALL.iter().map(|&term| {
                let (ns, place) = (law.terms[term as usize], term as usize);
                number(&key(&term), ns, (found.seen)(place), network_sense(accelerator, term, &law.terms))
            });
            let words = law.capacity_elements.map(|v| capacity(accelerator, v));
            ("network", numbers.collect::<Vec<_>>(), law.capacity_elements, words)
        }
        Law::Products(law) => {
            let numbers = ProductTerm::ALL.iter().map(|&term| {
                let ns = law.terms[term as usize];
                number(&key(&term), ns, Seen::Counted, product_sense(accelerator, term, &law.terms))
            });
            let words = law.one_shot_bytes.map(|v| format!("{} MB in one shot", short(v / 1e6)));
            ("products", numbers.collect::<Vec<_>>(), law.one_shot_bytes, words)
        }
    };
    let optional = [threshold, calibration.ceiling_ms].iter().flatten().count();
    Report {
        accelerator: accelerator.name.clone(),
        law: law.to_owned(),
        rows: calibration.measured.rows,
        seed: calibration.measured.seed,
        numbers_used: numbers.iter().filter(|number| number.ns > 0.0).count() + optional,
        held_out: found.held_out,
        fitted: found.fit,
        form: calibration.measured.form.clone(),
        forms: Vec::new(),
        threshold,
        threshold_implied: threshold_implied.unwrap_or_else(|| "none found: no row shows one".to_owned()),
        ceiling_ms: calibration.ceiling_ms,
        numbers,
        points: Vec::new(),
    }
}

impl Report {
    pub(super) fn with_forms(mut self, errors: &[(String, f64)]) -> Self {
        let one = |(form, error): &(String, f64)| FormError { form: form.clone(), mape_percent: 100.0 * error };
        self.forms = errors.iter().map(one).collect();
        self
    }

    pub(super) fn with_points(mut self, observations: &[Observation], held_out: &[f64]) -> Self {
        let one = |(row, ns): (&Observation, &f64)| Point {
            name: row.name.clone(),
            measured_ms: row.ms,
            predicted_ms: ns / NS_PER_MS,
        };
        self.points = observations.iter().zip(held_out).map(one).collect();
        self
    }
}

fn number(term: &str, ns: f64, seen: Seen, (implied, sense): (String, Sense)) -> Number {
    let (implied, sense) = match (seen, ns > 0.0) {
        (Seen::Never, _) => ("no row counts any".to_owned(), Sense::NotMeasured),
        (Seen::Counted, false) => ("not needed".to_owned(), Sense::NotNeeded),
        (Seen::Counted, true) => (implied, sense),
    };
    Number { term: term.to_owned(), ns, implied, sense }
}

/// The name of a term in files.
fn key<T: Serialize>(term: &T) -> String {
    let value = serde_json::to_value(term).expect("a unit variant is a string");
    value.as_str().unwrap_or_default().to_owned()
}

fn capacity(accelerator: &Accelerator, elements: f64) -> String {
    let bytes = elements * activation_bytes(accelerator);
    format!("{} values of one image's tensor, {} MB", short(elements), short(bytes / 1e6))
}

fn activation_bytes(accelerator: &Accelerator) -> f64 {
    f64::from(accelerator.precision.activation_bits) / 8.0
}

fn network_sense(accelerator: &Accelerator, term: NetworkTerm, terms: &[f64; NetworkTerm::COUNT]) -> (String, Sense) {
    let ns = terms[term as usize];
    match term {
        NetworkTerm::Constant | NetworkTerm::DenseLaunch | NetworkTerm::DepthwiseLaunch | NetworkTerm::GateLaunch => {
            overhead(ns)
        }
        NetworkTerm::TileRow => array_share(clock_row_ns(accelerator) / ns),
        NetworkTerm::Tap => taps(accelerator, ns),
        // Such a tap pays both.
        NetworkTerm::SpilledTap => taps(accelerator, ns + terms[NetworkTerm::Tap as usize]),
        NetworkTerm::GateElement
        | NetworkTerm::WrittenElement
        | NetworkTerm::GateSpilled
        | NetworkTerm::DenseExcess
        | NetworkTerm::DepthwiseExcess
        | NetworkTerm::DenseSpilled
        | NetworkTerm::DepthwiseSpilled => {
            let rate = 2.0 * activation_bytes(accelerator) / ns;
            (format!("{} GB/s, if written and read once", short(rate)), Sense::Physical)
        }
    }
}

fn product_sense(accelerator: &Accelerator, term: ProductTerm, terms: &[f64; ProductTerm::COUNT]) -> (String, Sense) {
    let cycle = 1e3 / accelerator.clock.get();
    let ns = terms[term as usize];
    match term {
        ProductTerm::Launch | ProductTerm::StreamedLaunch => overhead(ns),
        ProductTerm::Fill | ProductTerm::OneShotFill => {
            (format!("{} cycles a fill", short(ns / cycle)), Sense::Physical)
        }
        // An even number of tiles pays both.
        ProductTerm::OneShotTileRow | ProductTerm::OneShotPairedTileRow => {
            let both = [ProductTerm::OneShotTileRow, ProductTerm::OneShotPairedTileRow].map(|row| terms[row as usize]);
            array_share(cycle / both.iter().sum::<f64>())
        }
        ProductTerm::StreamedTileRow => array_share(cycle / ns),
        ProductTerm::OneShotPartialSum | ProductTerm::StreamedTile => {
            (format!("{} cycles", short(ns / cycle)), Sense::Physical)
        }
        ProductTerm::OneShotByte | ProductTerm::StreamedResultByte => {
            (format!("{} GB/s", short(1.0 / ns)), Sense::Physical)
        }
    }
}

/// Taps a cycle: no more than there are processing elements.
fn taps(accelerator: &Accelerator, ns: f64) -> (String, Sense) {
    let rate = 1e3 / accelerator.clock.get() / ns;
    #[expect(clippy::cast_precision_loss, reason = "processing elements are far below 2^53")]
    let sense = if rate <= accelerator.array.pes() as f64 { Sense::Physical } else { Sense::TooFast };
    (format!("{} taps a cycle", short(rate)), sense)
}

fn overhead(ns: f64) -> (String, Sense) {
    (format!("{} us", short(ns / 1e3)), Sense::Overhead)
}

fn array_share(share: f64) -> (String, Sense) {
    /// Rows of clocks and noise of a fit: a share this little above 1 is 1.
    const TOLERANCE: f64 = 1.02;
    let text = format!("{} cycles a row, {} % of peak", short(1.0 / share), short(100.0 * share));
    (text, if share <= TOLERANCE { Sense::Physical } else { Sense::TooFast })
}

/// Three digits that count.
fn short(value: f64) -> String {
    let magnitude = if value > 0.0 { value.log10().floor() } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a few digits")]
    let decimals = (2.0 - magnitude).clamp(0.0, 12.0) as usize;
    format!("{value:.decimals$}")
}
