//! JSON Schema of our files.

use std::str::FromStr;

use schemars::{Schema, schema_for};

use super::JobFile;
use super::sweep::Plan;
use crate::accel::AcceleratorFile;
use crate::estimate::{Comparison, Estimate};
use crate::network::NetworkFile;
use crate::record::{HistoryRecord, Summary};
use crate::space::ArchitectureFile;

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaKind {
    /// A network file.
    Network,
    /// An accelerator file.
    Accelerator,
    /// A job file.
    Job,
    /// An architecture file.
    Architecture,
    /// An entry of `estimate --json`.
    Estimate,
    /// `estimate --diff --json`.
    Comparison,
    /// A line of `history.jsonl`.
    History,
    /// `summary.json`.
    Summary,
    /// `sweep.json`.
    Sweep,
}

/// A name that no schema has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "schema `{0}`: must be one of network, accelerator, job, architecture, estimate, comparison, history, summary, \
     sweep"
)]
pub struct UnknownSchema(String);

impl SchemaKind {
    /// Every kind, in the order of help texts.
    pub const ALL: [Self; 9] = [
        Self::Network,
        Self::Accelerator,
        Self::Job,
        Self::Architecture,
        Self::Estimate,
        Self::Comparison,
        Self::History,
        Self::Summary,
        Self::Sweep,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Accelerator => "accelerator",
            Self::Job => "job",
            Self::Architecture => "architecture",
            Self::Estimate => "estimate",
            Self::Comparison => "comparison",
            Self::History => "history",
            Self::Summary => "summary",
            Self::Sweep => "sweep",
        }
    }
}

impl FromStr for SchemaKind {
    type Err = UnknownSchema;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| UnknownSchema(name.to_owned()))
    }
}

/// The JSON Schema of `kind`.
#[must_use]
pub fn schema(kind: SchemaKind) -> Schema {
    match kind {
        SchemaKind::Network => schema_for!(NetworkFile),
        SchemaKind::Accelerator => schema_for!(AcceleratorFile),
        SchemaKind::Job => schema_for!(JobFile),
        SchemaKind::Architecture => schema_for!(ArchitectureFile),
        SchemaKind::Estimate => schema_for!(Estimate),
        SchemaKind::Comparison => schema_for!(Comparison),
        SchemaKind::History => schema_for!(HistoryRecord),
        SchemaKind::Summary => schema_for!(Summary),
        SchemaKind::Sweep => schema_for!(Plan),
    }
}
