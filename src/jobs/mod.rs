//! One function for each verb of the command, returning records.

mod accelerator;
mod calibrate;
mod check;
mod estimate;
mod files;
mod kind;
mod lookup;
mod page;
mod pareto;
pub mod progress;
mod reports;
mod schema;
#[cfg(feature = "torch")]
pub mod search;
mod set;
pub mod spec;
mod strings;
pub mod sweep;
mod tabular;

pub use accelerator::{NamedAccelerator, NamedAcceleratorError, is_scale_sim_config};
pub use calibrate::{
    CalibrateJobError, CalibrateOutcome, CalibrateRequest, Judged, RowsError, WriteError, calibrate, parse_rows,
    read_rows, write_calibrated,
};
pub use check::{
    AcceleratorFacts, ArchitectureFacts, CheckError, Checked, Derived, JobFacts, NetworkFacts, RecordFacts,
    TopologyFacts, Verdict, check,
};
pub use estimate::{Detail, EstimateJobError, EstimateRequest, Model, ModelError, estimate, keep_worst};
pub use files::{FilesError, Written, shapes, topology};
pub use kind::{FileKind, KindError};
pub use lookup::{LookupJobError, LookupRequest, lookup_table};
pub use page::{write_report, write_run_report};
pub use pareto::{
    Answer, CoSearch, CoSearchError, ParetoOutcome, ParetoRequest, ParetoWriteError, Picked, Said, TableFacts,
    TableJobError, TableOutcome, TableRequest, copy_networks, pareto, pareto_table, write_fronts, write_networks,
};
pub use reports::{ReportJobError, ReportRequest, reports, write_reports};
pub use schema::{SchemaKind, UnknownSchema, schema};
pub use spec::{Job, JobError, JobFile, Overrides};
pub use strings::{Strings, StringsError, is_string};
pub use tabular::{TabularJobError, TabularRequest, TabularRun, tabular};

#[cfg(test)]
mod tests;
