//! One function for each verb of the command, returning records.

pub mod progress;
#[cfg(feature = "torch")]
pub mod search;
mod set;
pub mod spec;

pub use spec::{Job, JobError, JobFile, Overrides};
