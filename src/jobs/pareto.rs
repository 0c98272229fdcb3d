//! `pareto`: fronts of run folders, and their files.

use std::path::{Path, PathBuf};

use crate::pareto::{self, Front, ParetoError, Reference, Runs};
use crate::plot::{self, PlotError};
use crate::record::{self, RecordError};

/// What is asked.
#[derive(Debug, Clone)]
pub struct ParetoRequest {
    /// Run folders.
    pub folders: Vec<PathBuf>,
    /// The corner of the hypervolume, where not found from the front.
    pub reference: Option<Reference>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct ParetoOutcome {
    /// One front for each accelerator.
    pub fronts: Vec<Front>,
    /// What was left out and what should not be compared, a sentence each.
    pub warnings: Vec<String>,
    /// Folders without a point.
    pub left_out: usize,
}

/// Why fronts could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ParetoWriteError {
    /// A table or the folder.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A picture.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

/// The fronts of run folders, one for each accelerator.
///
/// # Errors
/// [`ParetoError`] where a folder is no run's, nothing is left, or the reference bounds nothing.
pub fn pareto(request: &ParetoRequest) -> Result<ParetoOutcome, ParetoError> {
    let Runs { points, warnings, left_out } = pareto::points_of_runs(&request.folders)?;
    Ok(ParetoOutcome { fronts: pareto::fronts(points, request.reference)?, warnings, left_out })
}

/// Writes `front.csv` (all points), `front.svg` and `front.png` into the folder `out`, which is made as needed.
///
/// # Errors
/// [`ParetoWriteError`] where the system refuses.
pub fn write_fronts(out: &Path, fronts: &[Front]) -> Result<Vec<PathBuf>, ParetoWriteError> {
    let refused = |source| RecordError::Write { path: out.to_owned(), source };
    std::fs::create_dir_all(out).map_err(refused)?;
    let [csv, svg, png] = ["front.csv", "front.svg", "front.png"].map(|name| out.join(name));
    let picture = plot::front_svg(fronts);
    record::write(&csv, pareto::csv(fronts).as_bytes())?;
    plot::write(&svg, &picture)?;
    plot::write(&png, &picture)?;
    Ok(vec![csv, svg, png])
}
