//! `estimate --lookup-table`: every layer of a space on an accelerator.

use std::path::PathBuf;

use super::accelerator::{NamedAccelerator, NamedAcceleratorError};
use super::spec::{Job, JobError};
use crate::accel::Timing;
use crate::cost::{CostError, Lookup};
use crate::estimate::Target;
use crate::units::Megahertz;

/// What is asked.
#[derive(Debug, Clone)]
pub struct LookupRequest {
    /// The job whose space it is.
    pub space: PathBuf,
    /// Name of a shipped accelerator, or a path.
    pub accelerator: String,
    /// The timing, where not the accelerator's own.
    pub timing: Option<Timing>,
    /// The clock, where not the accelerator's own.
    pub clock: Option<Megahertz>,
}

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum LookupJobError {
    /// The job cannot be read.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The accelerator cannot be read.
    #[error(transparent)]
    Accelerator(#[from] NamedAcceleratorError),
    /// A layer has no estimate.
    #[error("{} on `{accelerator}`: {source}", space.display())]
    Cost {
        /// The job.
        space: PathBuf,
        /// The accelerator.
        accelerator: String,
        /// Why.
        source: Box<CostError>,
    },
}

/// The table of every layer of the space, for one image.
///
/// # Errors
/// [`LookupJobError`] with the edge or the layer of what is wrong.
pub fn lookup_table(request: &LookupRequest) -> Result<Lookup, LookupJobError> {
    let space = Job::space_of(&request.space)?;
    let accelerator = NamedAccelerator::load(&request.accelerator, request.clock)?.accelerator;
    let timing = request.timing.unwrap_or(accelerator.timing);
    let target = Target { accelerator: &accelerator, timing, batch: 1 };
    Lookup::of(&space, &target).map_err(|source| LookupJobError::Cost {
        space: request.space.clone(),
        accelerator: accelerator.name.clone(),
        source: Box::new(source),
    })
}
