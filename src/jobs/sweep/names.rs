//! Names of run folders: the values of a run, as safe file names, each once.

use std::collections::BTreeSet;

use serde_json::Value;

use super::grid::{Assignment, GridKey, written};

/// Most characters of a value in a name.
const LONGEST_VALUE: usize = 32;
/// Most characters of a run's values in a name: with number and seed it stays below the 255 bytes of a file name.
const LONGEST: usize = 180;

/// Gives names to points of a grid.
#[derive(Debug)]
pub(super) struct Names {
    /// Keys with the words that stand for them.
    keys: Vec<(String, String)>,
    /// What is taken, in lower case: file systems exist that do not tell letters' cases apart.
    taken: BTreeSet<String>,
}

impl Names {
    /// Names for points of `grid`, none of them one of `taken`.
    pub(super) fn new<'a>(grid: &[GridKey], taken: impl Iterator<Item = &'a str>) -> Self {
        let keys: Vec<&str> = grid.iter().map(|grid| grid.key.as_str()).collect();
        let words = keys.iter().map(|key| ((*key).to_owned(), word_of(key, &keys)));
        Self { keys: words.collect(), taken: taken.map(str::to_lowercase).collect() }
    }

    /// The name of `point`, without the seed; empty where it changes nothing.
    pub(super) fn of(&mut self, point: &Assignment) -> String {
        let part = |(key, word): &(String, String)| point.get(key).map(|value| format!("{word}-{}", slug(value)));
        let parts: Vec<String> = self.keys.iter().filter_map(part).collect();
        let plain: String = parts.join("_").chars().take(LONGEST).collect();
        let numbered = |number: u32| if number == 1 { plain.clone() } else { format!("{plain}-{number}") };
        let name = (1..).map(numbered).find(|name| !self.taken.contains(&name.to_lowercase()));
        let name = name.unwrap_or(plain);
        self.taken.insert(name.to_lowercase());
        name
    }
}

/// The name of a run's folder.
#[must_use]
pub(super) fn folder(point: &str, seed: u64) -> String {
    if point.is_empty() { format!("s{seed}") } else { format!("{point}_s{seed}") }
}

/// The name of the point of a run's folder.
#[must_use]
pub(super) fn point_of(folder: &str) -> &str {
    folder.rsplit_once("_s").map_or("", |(point, _)| point)
}

/// The last parts of `key`, as few as tell it from the other `keys`.
fn word_of(key: &str, keys: &[&str]) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    let tail = |count: usize| parts[parts.len() - count..].join(".");
    let ends = |other: &&str, tail: &str| *other == tail || other.ends_with(&format!(".{tail}"));
    let alone = |tail: &String| keys.iter().filter(|other| ends(other, tail)).count() == 1;
    safe((1..=parts.len()).map(tail).find(alone).unwrap_or_else(|| key.to_owned()).as_str())
}

fn slug(value: &Value) -> String {
    let text = written(value);
    let short: String = match value {
        // The sign tells it from the number without.
        Value::Number(_) => text,
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => safe(&text),
    };
    short.chars().take(LONGEST_VALUE).collect()
}

/// Letters, digits, `.`, `+` and `-`; anything else is one `-`, and none stands at either end.
fn safe(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-') { c } else { '-' };
        if c != '-' || !out.ends_with('-') {
            out.push(c);
        }
    }
    let out = out.trim_matches(|c| matches!(c, '-' | '.'));
    if out.is_empty() { "other".to_owned() } else { out.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::grid::points;
    use super::*;

    fn named(grid: &[&str]) -> Vec<String> {
        let grid: Vec<GridKey> = grid.iter().map(|text| GridKey::parse(text).unwrap()).collect();
        let mut names = Names::new(&grid, std::iter::empty());
        points(&grid).iter().map(|point| folder(&names.of(point), 0)).collect()
    }

    #[test]
    fn a_run_is_named_by_its_values() {
        assert_eq!(named(&["objective.lambda=0.02,1e-9"]), ["lambda-0.02_s0", "lambda-1e-9_s0"]);
        let found = named(&["search.operators.epochs=1", "search.widths.epochs=2", "search.method=gdas"]);
        assert_eq!(found, ["operators.epochs-1_widths.epochs-2_method-gdas_s0"]);
        let found = named(&["search.operators.paths=[full, {sampled: 1}]", "objective.targets.latency-ms=<= 0.5"]);
        assert_eq!(found, ["paths-full_latency-ms-0.5_s0", "paths-sampled-1_latency-ms-0.5_s0"]);
        assert_eq!(named(&["accelerator=../mine.yaml,'/'"]), ["accelerator-mine.yaml_s0", "accelerator-other_s0"]);
        assert_eq!(named(&[]), ["s0"]);
        assert_eq!(named(&["a=-1,1"]), ["a--1_s0", "a-1_s0"]);
    }

    #[test]
    fn names_that_would_be_equal_are_numbered() {
        assert_eq!(named(&["a=<= 1,'>= 1',X,x"]), ["a-1_s0", "a-1-2_s0", "a-X_s0", "a-x-2_s0"]);
        let long = "y".repeat(300);
        let found = named(&[&format!("a={long}1,{long}2")]);
        assert_eq!(found, [format!("a-{}_s0", "y".repeat(32)), format!("a-{}-2_s0", "y".repeat(32))]);
    }

    #[test]
    fn what_is_taken_stays_another_runs() {
        let grid = [GridKey::parse("a=<= 1").unwrap()];
        let mut names = Names::new(&grid, ["A-1"].into_iter());
        assert_eq!(names.of(&points(&grid)[0]), "a-1-2");
        assert_eq!((point_of("a-1-2_s17"), point_of("s17")), ("a-1-2", ""));
    }

    proptest! {
        #[test]
        fn any_values_make_file_names_that_differ(texts in prop::collection::btree_set("[ -~]{0,40}", 1..6)) {
            let values = texts.into_iter().map(Value::from).collect();
            let grid = [GridKey { key: "objective.any thing/else".to_owned(), values }];
            let mut names = Names::new(&grid, std::iter::empty());
            let found: Vec<String> = points(&grid).iter().map(|point| folder(&names.of(point), 3)).collect();
            let distinct: BTreeSet<String> = found.iter().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(distinct.len(), found.len());
            for name in found {
                let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
                prop_assert!(name.chars().all(plain) && name.len() < 255 && name.starts_with("else-")
                    || name.starts_with("any-thing-else-"), "{}", name);
            }
        }
    }
}
