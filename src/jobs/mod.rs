//! One function for each verb of the command, returning records.

mod set;
pub mod spec;

pub use spec::{Job, JobError, JobFile, Overrides};

#[cfg(test)]
mod tests;
