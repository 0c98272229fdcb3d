//! SCALE-Sim's report files for a topology.

use std::path::{Path, PathBuf};

use super::accelerator::NamedAccelerator;
use super::estimate::{Model, ModelError};
use crate::accel::Timing;
use crate::estimate::{self, ReportError, Reports};
use crate::import::onnx::Options;
use crate::record::{self, RecordError};

/// Why there are no report files.
#[derive(Debug, thiserror::Error)]
pub enum ReportJobError {
    /// The topology cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A network is no topology.
    #[error("{}: SCALE-Sim's reports are of a topology (.csv), got a network", .0.display())]
    Network(PathBuf),
    /// The accelerator has another timing.
    #[error("accelerator `{accelerator}`: SCALE-Sim's reports need timing scale-sim, got {timing} (--timing)")]
    Timing {
        /// The accelerator.
        accelerator: String,
        /// Its timing.
        timing: Timing,
    },
    /// A layer that cannot be reported.
    #[error("{}: {source}", path.display())]
    Report {
        /// The topology.
        path: PathBuf,
        /// Why.
        source: ReportError,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    Write(#[from] RecordError),
}

/// What is reported.
#[derive(Debug, Clone, Copy)]
pub struct ReportRequest<'a> {
    /// The topology.
    pub topology: &'a Path,
    /// The accelerator, and SCALE-Sim's memories where its source gives them.
    pub accelerator: &'a NamedAccelerator,
    /// The timing, where not the accelerator's own.
    pub timing: Option<Timing>,
}

/// The reports of a topology on an accelerator.
///
/// # Errors
/// [`ReportJobError`] with the file, and the line or layer.
pub fn reports(request: &ReportRequest<'_>) -> Result<Reports, ReportJobError> {
    let NamedAccelerator { accelerator, sram, .. } = request.accelerator;
    let timing = request.timing.unwrap_or(accelerator.timing);
    if timing != Timing::ScaleSim {
        return Err(ReportJobError::Timing { accelerator: accelerator.name.clone(), timing });
    }
    let Model::Rows { rows, .. } = Model::load(request.topology, &Options::default())? else {
        return Err(ReportJobError::Network(request.topology.to_owned()));
    };
    estimate::reports(&rows, accelerator, *sram)
        .map_err(|source| ReportJobError::Report { path: request.topology.to_owned(), source })
}

/// Writes the three files into `folder`, each whole or not at all; returns their paths.
///
/// # Errors
/// [`RecordError`] of the first that cannot be written.
pub fn write_reports(reports: &Reports, folder: &Path) -> Result<[PathBuf; 3], RecordError> {
    let files = [
        ("COMPUTE_REPORT.csv", &reports.compute),
        ("BANDWIDTH_REPORT.csv", &reports.bandwidth),
        ("DETAILED_ACCESS_REPORT.csv", &reports.access),
    ];
    for (name, text) in files {
        record::write(&folder.join(name), text.as_bytes())?;
    }
    Ok(files.map(|(name, _)| folder.join(name)))
}
