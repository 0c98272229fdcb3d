//! `--grid KEY=V,V,...`: the values that a key of the job takes in turn.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::load;

/// A key of the job and its values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GridKey {
    /// The key, its parts joined by dots.
    pub key: String,
    /// The values, each once.
    pub values: Vec<Value>,
}

/// What a run changes of the job: keys and their values.
pub type Assignment = BTreeMap<String, Value>;

/// A grid that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--grid {given}: {reason}")]
pub struct GridError {
    /// The key and what stands behind it, as far as it is to blame.
    pub given: String,
    /// The rule, and what was given.
    pub reason: String,
}

impl GridKey {
    /// Reads `KEY=V,V,...`. The values are the items of a YAML list in brackets, which may be left out: a comma inside
    /// quotes, brackets or braces separates nothing. A single item that is itself a list is taken for the whole list.
    ///
    /// # Errors
    /// [`GridError`] where there is no key or value, the text is no such list, or a value stands twice.
    pub fn parse(text: &str) -> Result<Self, GridError> {
        let fail = |reason: String| GridError { given: text.to_owned(), reason };
        let (key, body) = text.split_once('=').ok_or_else(|| fail("must be KEY=V,V,...".to_owned()))?;
        let (key, body) = (key.trim(), body.trim());
        if key.split('.').any(str::is_empty) {
            return Err(fail(format!("must be KEY=V,V,..., got the key `{key}`")));
        }
        if body.ends_with(',') {
            return Err(fail("a value must follow the last comma".to_owned()));
        }
        let values = values(body).map_err(fail)?;
        if values.is_empty() {
            return Err(fail(format!("must have a value at least, as {key}=V,V")));
        }
        let grid = Self { key: key.to_owned(), values };
        grid.check().map_err(fail)?;
        Ok(grid)
    }

    fn check(&self) -> Result<(), String> {
        if self.key == "seed" {
            return Err("seeds are given by --seeds N,N,...".to_owned());
        }
        for (place, value) in self.values.iter().enumerate() {
            if self.values[..place].contains(value) {
                return Err(format!("the value {} stands twice", written(value)));
            }
        }
        Ok(())
    }
}

fn values(body: &str) -> Result<Vec<Value>, String> {
    let why = |error: load::LoadError| match error {
        load::LoadError::Parse { reason, .. } => {
            format!("{reason}; quote what holds a comma, or write a YAML list, as '[full, {{sampled: 1}}]'")
        }
        load::LoadError::Read { .. } => error.to_string(),
    };
    if let Some(word) = doubtful(body) {
        let read = load::parse::<Value>(word, "the value").map_err(why)?;
        return Err(format!("YAML reads `{word}` as {read}: write {read}, or '\"{word}\"' for the text"));
    }
    let mut values: Vec<Value> = load::parse(&format!("[{body}]"), "the values").map_err(why)?;
    match values.as_mut_slice() {
        [Value::Array(items)] => Ok(std::mem::take(items)),
        _ => Ok(values),
    }
}

/// The first word without quotes in `body` that YAML takes for true or false and that is neither.
fn doubtful(body: &str) -> Option<&str> {
    let mut quote = None;
    let between = |c: char| {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(_) | None => {}
        }
        quote.is_none() && matches!(c, ',' | '[' | ']' | '{' | '}' | ':')
    };
    let is_a_flag = |word: &str| load::parse::<Value>(word, "the value").is_ok_and(|value| value.is_boolean());
    let plain = |word: &&str| !word.eq_ignore_ascii_case("true") && !word.eq_ignore_ascii_case("false");
    body.split(between).map(str::trim).filter(plain).find(|word| !word.is_empty() && is_a_flag(word))
}

/// `value` as text that YAML reads back as the same value: plain where it can be, else JSON.
#[must_use]
pub fn written(value: &Value) -> String {
    let plain = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    let same = load::parse::<Value>(&plain, "the value").is_ok_and(|read| read == *value);
    if same { plain } else { value.to_string() }
}

/// `KEY=VALUE`, as `--set` reads it.
#[must_use]
pub(super) fn setting(key: &str, value: &Value) -> String {
    format!("{key}={}", written(value))
}

/// That no key of `grid` stands twice, within another, or in one of the settings `set`.
///
/// # Errors
/// [`GridError`] with the key.
pub(super) fn apart(grid: &[GridKey], set: &[String]) -> Result<(), GridError> {
    let within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}."));
    for (place, GridKey { key, .. }) in grid.iter().enumerate() {
        let fail = |reason: String| Err(GridError { given: key.clone(), reason });
        for GridKey { key: before, .. } in &grid[..place] {
            if key == before {
                return fail("stands twice; put its values into one list".to_owned());
            }
            if within(key, before) || within(before, key) {
                return fail(format!("one of it and `{before}` is part of the other; put both into one value"));
            }
        }
        let given = set.iter().map(|set| set.split_once('=').map_or(set.as_str(), |(key, _)| key.trim()));
        if let Some(given) = given.into_iter().find(|given| within(given, key) || within(key, given)) {
            return fail(format!("is set by --set {given} as well; leave one of them out"));
        }
    }
    Ok(())
}

/// Every combination of the values, the last key fastest; one without keys where there are none.
#[must_use]
pub(super) fn points(grid: &[GridKey]) -> Vec<Assignment> {
    let mut points = vec![Assignment::new()];
    for GridKey { key, values } in grid {
        let with = |point: &Assignment, value: &Value| {
            let mut point = point.clone();
            point.insert(key.clone(), value.clone());
            point
        };
        points = points.iter().flat_map(|point| values.iter().map(|value| with(point, value))).collect();
    }
    points
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> Vec<Value> {
        GridKey::parse(text).unwrap().values
    }

    fn refused(text: &str) -> String {
        GridKey::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn values_are_the_items_of_a_yaml_list_with_or_without_brackets() {
        let expected = [json!(0.02), json!(0.08)];
        assert_eq!(parsed("objective.lambda=0.02,0.08"), expected);
        assert_eq!(parsed("objective.lambda=[0.02, 0.08]"), expected);
        assert_eq!(parsed("search.paths=full, {sampled: 1}"), [json!("full"), json!({"sampled": 1})]);
        assert_eq!(parsed("search.paths=[full, {sampled: 1}]"), [json!("full"), json!({"sampled": 1})]);
        assert_eq!(parsed("a=\"x,y\",'z'"), [json!("x,y"), json!("z")]);
        assert_eq!(parsed("a=<= 0.5,<= 0.25"), [json!("<= 0.5"), json!("<= 0.25")]);
        // A list as a value: in a list, or beside another.
        assert_eq!(parsed("a=[[1, 2]]"), [json!([1, 2])]);
        assert_eq!(parsed("a=[1, 2],[3]"), [json!([1, 2]), json!([3])]);
        assert_eq!(parsed("a=b=c"), [json!("b=c")]);
        assert_eq!(parsed("timing=null,ideal"), [Value::Null, json!("ideal")]);
    }

    #[test]
    fn what_is_no_grid_is_named_with_its_rule() {
        assert_eq!(refused("objective.lambda"), "--grid objective.lambda: must be KEY=V,V,...");
        assert_eq!(refused("=1"), "--grid =1: must be KEY=V,V,..., got the key ``");
        assert_eq!(refused("a..b=1"), "--grid a..b=1: must be KEY=V,V,..., got the key `a..b`");
        for empty in ["a=", "a= ", "a=[]", "a=[ ]"] {
            assert_eq!(refused(empty), format!("--grid {empty}: must have a value at least, as a=V,V"));
        }
        assert_eq!(refused("a=1,"), "--grid a=1,: a value must follow the last comma");
        assert_eq!(refused("a=1,2,1"), "--grid a=1,2,1: the value 1 stands twice");
        assert_eq!(refused("a=0.1,0.10"), "--grid a=0.1,0.10: the value 0.1 stands twice");
        assert_eq!(refused("seed=1,2"), "--grid seed=1,2: seeds are given by --seeds N,N,...");
        for broken in ["a=[1", "a=1]", "a={b: 1", "a=\"x", "a=1,,2", "a=1 # 2"] {
            let message = refused(broken);
            assert!(message.starts_with(&format!("--grid {broken}: ")) && message.contains("YAML list"), "{message}");
        }
    }

    #[test]
    fn words_that_yaml_takes_for_flags_are_refused_by_name() {
        let expected = "--grid a=x,y: YAML reads `y` as true: write true, or '\"y\"' for the text";
        assert_eq!(refused("a=x,y"), expected);
        assert!(refused("a=[{b: off}]").contains("reads `off` as false: write false"));
        assert_eq!(parsed("a=\"y\",'n, on',true"), [json!("y"), json!("n, on"), json!(true)]);
        assert_eq!(parsed("a=online,no-one"), [json!("online"), json!("no-one")]);
    }

    #[test]
    fn keys_that_meet_are_refused() {
        let key = |key: &str| GridKey { key: key.to_owned(), values: vec![json!(1)] };
        let refused = |keys: &[&str], set: &[&str]| {
            let grid: Vec<GridKey> = keys.iter().map(|name| key(name)).collect();
            let set: Vec<String> = set.iter().map(|&set| set.to_owned()).collect();
            apart(&grid, &set).map_err(|error| error.to_string())
        };
        assert_eq!(refused(&["a.b", "a.bc", "d"], &["a.x=1", "e"]), Ok(()));
        let twice = refused(&["a", "a"], &[]).unwrap_err();
        assert_eq!(twice, "--grid a: stands twice; put its values into one list");
        for keys in [["a", "a.b"], ["a.b", "a"]] {
            assert!(refused(&keys, &[]).unwrap_err().ends_with("is part of the other; put both into one value"));
        }
        let set = refused(&["a.b"], &["a={ b: 1 }"]).unwrap_err();
        assert_eq!(set, "--grid a.b: is set by --set a as well; leave one of them out");
    }

    #[test]
    fn every_combination_is_a_point_the_last_key_fastest() {
        let grid = [GridKey::parse("b=1,2").unwrap(), GridKey::parse("a=u,v,w").unwrap()];
        let text = |point: &Assignment| format!("{}{}", point["b"], written(&point["a"]));
        let found: Vec<String> = points(&grid).iter().map(text).collect();
        assert_eq!(found, ["1u", "1v", "1w", "2u", "2v", "2w"]);
        assert_eq!(points(&[]), [Assignment::new()]);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9f64..1e9).prop_map(Value::from),
            "[ -~]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,6}", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_is_read_back_as_it_was_written(value in any_value()) {
            prop_assert_eq!(load::parse::<Value>(&written(&value), "text").unwrap(), value);
        }
    }
}
