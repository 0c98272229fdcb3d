//! What the JSON files hold that runs and sweeps write.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::CheckError;
use crate::estimate::Estimate;
use crate::jobs::schema::SchemaKind;
use crate::jobs::sweep::Plan;
use crate::load;
use crate::record::{HistoryRecord, RecordError, Summary, read_history};

/// What is worth knowing of a file that a run or a sweep wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFacts {
    /// Its kind.
    pub kind: SchemaKind,
    /// What it tells, a line.
    pub told: String,
}

/// The file at `path`, whose kind its keys tell.
///
/// # Errors
/// [`CheckError`] with line and column where it is no JSON, has the keys of no kind, or breaks the form of its kind.
pub(super) fn record(path: &Path) -> Result<RecordFacts, CheckError> {
    let text = load::text(path)?;
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jsonl")) {
        return Ok(history(&read_history(path)?));
    }
    let value: Value = parsed(path, &text)?;
    let first = value.get(0).unwrap_or(&value);
    let has = |keys: [&str; 2]| keys.iter().all(|key| first.get(key).is_some());
    if value.is_array() && has(["layers", "total"]) {
        return Ok(estimates(&parsed::<Vec<Estimate>>(path, &text)?));
    }
    if has(["grid", "runs"]) {
        return plan(path, &parsed(path, &text)?);
    }
    if has(["stop_reason", "accuracy"]) {
        return Ok(summary(&parsed(path, &text)?));
    }
    Err(CheckError::Json { path: path.to_owned() })
}

fn parsed<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, CheckError> {
    serde_json::from_str(text).map_err(|error| RecordError::json(path, &error, 0).into())
}

fn history(records: &[HistoryRecord]) -> RecordFacts {
    let ended = records.iter().any(|record| matches!(record, HistoryRecord::End(_)));
    let end = if ended { "with an end" } else { "without an end" };
    RecordFacts { kind: SchemaKind::History, told: format!("{}, {end}", counted(records.len(), "record")) }
}

fn estimates(estimates: &[Estimate]) -> RecordFacts {
    let one = |estimate: &Estimate| format!("`{}` on {}", estimate.network, estimate.accelerator);
    RecordFacts { kind: SchemaKind::Estimate, told: estimates.iter().map(one).collect::<Vec<_>>().join(", ") }
}

fn plan(path: &Path, plan: &Plan) -> Result<RecordFacts, CheckError> {
    let broken = |reason: String| CheckError::Plan { path: path.to_owned(), reason };
    if plan.version != 1 {
        return Err(broken(format!("version: must be 1, got {}", plan.version)));
    }
    let values = plan.grid.iter().map(|grid| grid.values.len());
    let wanted = values.chain([plan.seeds.len()]).try_fold(1, usize::checked_mul);
    if wanted != Some(plan.runs.len()) {
        let wanted = wanted.map_or("more than there can be".to_owned(), |wanted| wanted.to_string());
        return Err(broken(format!("runs: grid and seeds make {wanted}, got {}", plan.runs.len())));
    }
    let [runs, keys, seeds] = [(plan.runs.len(), "run"), (plan.grid.len(), "key"), (plan.seeds.len(), "seed")]
        .map(|(n, what)| counted(n, what));
    Ok(RecordFacts { kind: SchemaKind::Sweep, told: format!("of job `{}`: {runs} over {keys} and {seeds}", plan.name) })
}

fn summary(summary: &Summary) -> RecordFacts {
    let Summary { name, seed, stop_reason, accelerator, .. } = summary;
    let told = format!("of `{name}` with seed {seed} on {accelerator}: {stop_reason}");
    RecordFacts { kind: SchemaKind::Summary, told }
}

/// `1 run` or `2 runs`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
