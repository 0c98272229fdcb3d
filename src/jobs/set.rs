//! `--set KEY=VALUE`: one key of a job, changed from the command line.

use serde_json::Value;

use super::spec::{Job, JobError, JobFile};
use crate::load::{self, LoadError, unplaced};

/// `file` with every `key.key=value` of `changes` applied; a value is YAML.
pub(super) fn changed(file: &JobFile, origin: &str, changes: &[String]) -> Result<JobFile, JobError> {
    if changes.is_empty() {
        return Ok(file.clone());
    }
    let accelerator = file.accelerator.value.clone();
    let mut file: JobFile = load::parse(&text(file, changes)?, origin)?;
    if file.accelerator.value != accelerator {
        file.accelerator = unplaced(file.accelerator.value);
    }
    Ok(file)
}

/// The error of a job with `changes` laid to the one that it comes from: the last before which `attempt`, the job with
/// the first so many, does not fail in the same way. Where that is none of them, the file is at fault.
pub(super) fn blame(error: JobError, changes: &[String], attempt: impl Fn(usize) -> Result<Job, JobError>) -> JobError {
    let reason = match &error {
        JobError::Set { .. } => return error,
        JobError::Load(_) | JobError::Accelerator(_) => reason(&error),
    };
    let mut error = error;
    for count in (0..changes.len()).rev() {
        match attempt(count) {
            Err(same) if self::reason(&same) == reason => error = same,
            Ok(_) | Err(_) => return JobError::Set { given: changes[count].clone(), reason },
        }
    }
    error
}

/// The message without its place, which is one in a text that nobody has seen.
fn reason(error: &JobError) -> String {
    match error {
        JobError::Load(LoadError::Parse { reason, .. }) => reason.clone(),
        JobError::Load(LoadError::Read { .. }) | JobError::Accelerator(_) | JobError::Set { .. } => error.to_string(),
    }
}

/// The text of `file` with `changes` applied.
fn text(file: &JobFile, changes: &[String]) -> Result<String, JobError> {
    let mut value: Value = load::parse(&load::to_yaml(file), "the job")?;
    for change in changes {
        let fail = |reason: String| JobError::Set { given: change.clone(), reason };
        let (key, text) = change.split_once('=').ok_or_else(|| fail("must be KEY=VALUE".to_owned()))?;
        let new: Value = load::parse(text, "--set").map_err(|error| fail(error.to_string()))?;
        let mut slot = &mut value;
        for part in key.split('.') {
            if slot.is_null() {
                *slot = Value::Object(serde_json::Map::new());
            }
            slot = match slot {
                Value::Object(map) => map.entry(part).or_insert(Value::Null),
                Value::Array(list) => {
                    let length = list.len();
                    let place = part.parse::<usize>().ok().and_then(|place| list.get_mut(place));
                    place.ok_or_else(|| fail(format!("`{part}` is no place in a list of {length}")))?
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    return Err(fail(format!("the job has nothing below the key before `{part}`")));
                }
            };
        }
        *slot = new;
    }
    Ok(load::to_yaml(&value))
}
