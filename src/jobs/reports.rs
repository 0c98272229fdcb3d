//! SCALE-Sim's report files for a topology.

use std::path::{Path, PathBuf};

use super::accelerator::{NamedAccelerator, NamedAcceleratorError};
use super::estimate::{Model, ModelError};
use crate::accel::Timing;
use crate::estimate::{self, ReportError, Reports};
use crate::import::onnx::Options;
use crate::record::{self, RecordError};
use crate::units::Megahertz;

/// Why there are no report files.
#[derive(Debug, thiserror::Error)]
pub enum ReportJobError {
    /// The topology cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The accelerator cannot be read.
    #[error(transparent)]
    Accelerator(#[from] NamedAcceleratorError),
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
#[derive(Debug, Clone)]
pub struct ReportRequest {
    /// The topology.
    pub topology: PathBuf,
    /// A shipped accelerator, or a path.
    pub accelerator: String,
    /// The timing, where not the accelerator's own.
    pub timing: Option<Timing>,
    /// The clock, where not the accelerator's own.
    pub clock: Option<Megahertz>,
}

/// The reports of a topology on an accelerator.
///
/// # Errors
/// [`ReportJobError`] with the file, and the line or layer.
pub fn reports(request: &ReportRequest) -> Result<Reports, ReportJobError> {
    let NamedAccelerator { accelerator, sram, .. } = NamedAccelerator::load(&request.accelerator, request.clock)?;
    let timing = request.timing.unwrap_or(accelerator.timing);
    if timing != Timing::ScaleSim {
        return Err(ReportJobError::Timing { accelerator: accelerator.name, timing });
    }
    let Model::Rows { rows, .. } = Model::load(&request.topology, &Options::default())? else {
        return Err(ReportJobError::Network(request.topology.clone()));
    };
    estimate::reports(&rows, &accelerator, sram)
        .map_err(|source| ReportJobError::Report { path: request.topology.clone(), source })
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
