//! `--set KEY=VALUE`: one key of a job, changed from the command line.

use serde_json::Value;

use super::spec::{JobError, JobFile};
use crate::load;

/// The text of `file` with every `key.key=value` of `changes` applied; a value is YAML.
pub(super) fn apply(file: &JobFile, changes: &[String]) -> Result<String, JobError> {
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
