//! `calibrate`: measured rows to a calibrated accelerator file.

mod rows;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use rows::{RowsError, parse_rows, read_rows};
pub use write::WriteError;

use super::spec::{Job, JobError, Overrides};
use serde::Serialize;

use crate::accel::{AccelError, Accelerator, CalibrationFile, Gemm};
use crate::estimate::calibrate::{self, CalibrateError, Calibrated, Errors, Host, Observation, Observed, Settings};
use crate::load::{self, LoadError};
use crate::plot::Staircase;
use crate::record;

/// Pairs of M and N in a picture of staircases.
const STAIRCASES: usize = 3;
/// Rows of one M and N that make a staircase.
const STAIRCASE_ROWS: usize = 3;

/// What is asked.
#[derive(Debug, Clone)]
pub struct CalibrateRequest {
    /// The CSV file of measured rows.
    pub rows: PathBuf,
    /// Name of a shipped accelerator, or a path.
    pub accelerator: String,
    /// The job whose space reads architecture strings.
    pub space: Option<PathBuf>,
    /// Whether fast rows may be those of a host.
    pub host: Host,
    /// Seed of the folds.
    pub seed: u64,
    /// Further rows, of the same form, that are predicted and not fitted.
    pub judge: Option<PathBuf>,
}

/// Why there is no calibration.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateJobError {
    /// The accelerator cannot be read.
    #[error(transparent)]
    Accelerator(#[from] AccelError),
    /// The job of the space cannot be read.
    #[error(transparent)]
    Space(#[from] JobError),
    /// The rows cannot be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The rows cannot be fitted.
    #[error("{}: {source}", path.display())]
    Fit {
        /// The file of the rows.
        path: PathBuf,
        /// Why.
        source: CalibrateError,
    },
    /// No rows to judge by.
    #[error("{}: there are no rows to judge by", .0.display())]
    NothingToJudge(PathBuf),
    /// The accelerator's file cannot be read again.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The calibrated file cannot be made.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrateOutcome {
    /// The calibration and what is to be said of it.
    pub calibrated: Calibrated,
    /// The text of the accelerator file with the calibration.
    pub file: String,
    /// The accelerator with the calibration.
    pub accelerator: Accelerator,
    /// Errors on the rows that were only to be judged.
    pub judged: Option<Judged>,
    /// Times over K of products, for a picture.
    pub staircases: Vec<Staircase>,
}

/// Errors on rows that were not fitted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// How many they are.
    pub rows: usize,
    /// Their errors.
    #[serde(flatten)]
    pub errors: Errors,
}

/// Fits the accelerator to the rows.
///
/// # Errors
/// [`CalibrateJobError`] with the file, the row and the rule that is broken.
pub fn calibrate(request: &CalibrateRequest) -> Result<CalibrateOutcome, CalibrateJobError> {
    let accelerator = Accelerator { calibration: None, ..Accelerator::named_or_path(&request.accelerator)? };
    let job = request.space.as_ref().map(|path| Job::load(path, &Overrides::default())).transpose()?;
    let observations = read_rows(&request.rows, job.as_ref().map(|job| &job.space))?;
    let file_name = request.rows.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let settings = Settings {
        seed: request.seed,
        host: request.host,
        sources: BTreeMap::from([("times".to_owned(), format!("measured, {file_name}"))]),
    };
    let calibrated = calibrate::calibrate(&accelerator, &observations, &settings)
        .map_err(|source| CalibrateJobError::Fit { path: request.rows.clone(), source })?;
    let text = text_of(&request.accelerator)?;
    let meant = Accelerator { calibration: Some(calibrated.calibration.clone()), ..accelerator };
    let file = write::calibrated(&text, &CalibrationFile::from(&calibrated.calibration), &meant)?;
    let judged = judged(request, job.as_ref(), &meant)?;
    let staircases = staircases(&meant, &observations);
    Ok(CalibrateOutcome { calibrated, file, accelerator: meant, judged, staircases })
}

fn judged(
    request: &CalibrateRequest,
    job: Option<&Job>,
    accelerator: &Accelerator,
) -> Result<Option<Judged>, CalibrateJobError> {
    let Some(path) = &request.judge else { return Ok(None) };
    let rows = read_rows(path, job.map(|job| &job.space))?;
    if rows.is_empty() {
        return Err(CalibrateJobError::NothingToJudge(path.clone()));
    }
    let errors = calibrate::judge(accelerator, &rows);
    Ok(errors.map(|errors| Judged { rows: rows.len(), errors }))
}

/// The sides M and N with most rows, [`STAIRCASES`] at most, each with several K, and what the accelerator makes of every
/// K between them.
fn staircases(accelerator: &Accelerator, observations: &[Observation]) -> Vec<Staircase> {
    let mut groups: BTreeMap<(u64, u64), Vec<(u64, f64)>> = BTreeMap::new();
    for row in observations {
        if let Observed::Product(gemm) = &row.observed {
            groups.entry((gemm.m(), gemm.n())).or_default().push((gemm.k(), row.ms));
        }
    }
    let mut groups: Vec<_> = groups.into_iter().filter(|(_, rows)| rows.len() >= STAIRCASE_ROWS).collect();
    groups.sort_by_key(|(sides, rows)| (std::cmp::Reverse(rows.len()), *sides));
    groups.truncate(STAIRCASES);
    groups.into_iter().map(|(sides, rows)| staircase(accelerator, sides, &rows)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sides are far below 2^53")]
fn staircase(accelerator: &Accelerator, (m, n): (u64, u64), rows: &[(u64, f64)]) -> Staircase {
    let ks = rows.iter().map(|(k, _)| *k);
    let (first, last) = ks.fold((u64::MAX, 0), |(least, most), k| (least.min(k), most.max(k)));
    let modelled = (first..=last).filter_map(|k| {
        let gemm = Gemm::new(m, n, k).ok()?;
        Some([k as f64, 1e3 * calibrate::predict_ms(accelerator, &Observed::Product(gemm))?])
    });
    Staircase {
        name: format!("M {m}, N {n}"),
        measured: rows.iter().map(|(k, ms)| [*k as f64, 1e3 * ms]).collect(),
        modelled: modelled.collect(),
    }
}

/// The text behind an accelerator's name.
fn text_of(name: &str) -> Result<String, LoadError> {
    match Accelerator::shipped().iter().find(|shipped| shipped.name == name) {
        Some(shipped) => Ok(shipped.text.to_owned()),
        None => load::text(Path::new(name)),
    }
}

/// Writes the calibrated accelerator file to `path`.
///
/// # Errors
/// [`record::RecordError`] where the system refuses.
pub fn write_calibrated(path: &Path, outcome: &CalibrateOutcome) -> Result<(), record::RecordError> {
    record::write(path, outcome.file.as_bytes())
}
