//! Points of run folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{AccuracyFrom, ParetoError, Point};
use crate::record::{RecordError, RunFolder, Summary, read_json};
use crate::units::Bytes;

/// What was found in run folders.
#[derive(Debug, Clone, PartialEq)]
pub struct Runs {
    /// A point for each run with an accuracy, in the order given.
    pub points: Vec<Point>,
    /// What was left out and what should not be compared, a sentence each.
    pub warnings: Vec<String>,
    /// Folders that have no point: runs that have not ended or have no accuracy.
    pub left_out: usize,
}

/// The points of the runs in `folders`.
///
/// The error is 1 - test accuracy, or 1 - validation accuracy where no test was run. A run that has no summary yet or no
/// accuracy is left out with a warning; so is a folder given twice, and a comparison that is not fair (several data
/// sets, timings, or kinds of accuracy, a run that was interrupted) gives a warning, too. A point is named as its run; where runs share a name it is
/// `<name>-s<seed>`, and the folder's path where that is shared as well.
///
/// # Errors
/// [`ParetoError::Record`] where the one folder is not there, is no run's, or its summary cannot be read;
/// [`ParetoError::Value`] where its accuracy is no fraction; [`ParetoError::Folders`] with all such folders where there
/// are several; [`ParetoError::NoPoints`] where nothing is left.
pub fn points_of_runs(folders: &[PathBuf]) -> Result<Runs, ParetoError> {
    let mut warnings = Vec::new();
    let mut found: Vec<(Vec<Point>, Summary)> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for folder in folders {
        if !seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())) {
            warnings.push(format!("`{}` is given twice and counted once", folder.display()));
            continue;
        }
        match point_of_run(folder) {
            Ok(Ok(run)) => found.push(run),
            Ok(Err(reason)) => warnings.push(format!("`{}` is left out: {reason}", folder.display())),
            Err(error) if folders.len() == 1 => return Err(error),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if !errors.is_empty() {
        return Err(ParetoError::Folders { given: folders.len(), errors });
    }
    if found.is_empty() {
        return Err(ParetoError::NoPoints { given: folders.len(), skipped: warnings });
    }
    let left_out = seen.len() - found.len();
    warnings.extend(unfair(&found));
    if found.iter().filter(|(points, _)| points.len() > 1).count() > 1 {
        found.iter_mut().for_each(|(points, _)| name_by_seed(points));
    }
    let mut points: Vec<Point> = found.into_iter().flat_map(|(points, _)| points).collect();
    tell_apart(&mut points);
    Ok(Runs { points, warnings, left_out })
}

/// The point of one run, or the points of its fan, or why it has none.
fn point_of_run(folder: &Path) -> Result<Result<(Vec<Point>, Summary), &'static str>, ParetoError> {
    let (name, folder) = (folder, RunFolder::open(folder)?);
    let Some(summary) = folder.read_summary()? else {
        return Ok(Err("it has no summary.json, so its run has not ended"));
    };
    let accuracy = summary.accuracy;
    let measured = |value: Option<f64>| value.filter(|value| !value.is_nan());
    // A search against a table repeats what the table says.
    let test_images = if summary.table.is_some() { AccuracyFrom::Table } else { AccuracyFrom::Test };
    let test = measured(accuracy.test).map(|value| (value, test_images));
    let validation = measured(accuracy.validation).map(|value| (value, AccuracyFrom::Validation));
    let Some((accuracy, accuracy_from)) = test.or(validation) else {
        return Ok(Err("its summary.json has neither a test nor a validation accuracy"));
    };
    if summary.latency_ms.is_nan() {
        return Ok(Err("its summary.json has no latency"));
    }
    if !(0.0..=1.0).contains(&accuracy) {
        let rule = "an accuracy is a fraction from 0 to 1";
        return Err(ParetoError::Value { name: name.display().to_string(), rule, given: accuracy });
    }
    let total = total_of(&folder.estimate())?;
    let seconds =
        [summary.search_seconds, summary.train_seconds].into_iter().filter(|part| part.is_finite()).sum::<f64>();
    let point = Point {
        utilization: summary.overall_utilization,
        energy_uj: total.energy_uj,
        params: Some(summary.params),
        weight_kib: total.weight_bytes.map(|bytes| bytes.0 as f64 / 1024.0),
        macs: Some(summary.macs),
        method: summary.method.clone(),
        seed: Some(summary.seed),
        seconds: seconds.is_finite().then_some(seconds),
        accuracy_from,
        run: Some(name.display().to_string()),
        ..Point::new(&summary.name, &summary.accelerator, [1.0 - accuracy, summary.latency_ms])
    };
    point.check()?;
    let is_fan = summary.table.as_ref().is_some_and(|table| table.fan.is_some());
    let points = if is_fan { points_of_fan(&folder, &point)? } else { vec![point] };
    Ok(Ok((points, summary)))
}

/// A row of `front.csv`, as far as it is read.
#[derive(Debug, Deserialize)]
struct Swept {
    arch: String,
    error: f64,
    latency_ms: f64,
}

/// Every network of a search for a whole front, on the accelerator and of the run of `most_accurate`.
fn points_of_fan(folder: &RunFolder, most_accurate: &Point) -> Result<Vec<Point>, ParetoError> {
    let path = folder.front();
    let bytes = std::fs::read(&path).map_err(|source| RecordError::read(&path, source))?;
    let mut reader = ::csv::Reader::from_reader(&bytes[..]);
    let mut points = Vec::new();
    for row in reader.deserialize() {
        let Swept { arch, error, latency_ms } = row.map_err(|source| RecordError::read(&path, source.into()))?;
        let objectives = [error, latency_ms];
        let is_same = objectives == [most_accurate.error, most_accurate.latency_ms];
        let known =
            if is_same { most_accurate.clone() } else { Point::new("", &most_accurate.accelerator, objectives) };
        let Point { method, seed, accuracy_from, .. } = most_accurate.clone();
        // The folder is that of one network among many.
        points.push(Point { name: arch, error, method, seed, accuracy_from, run: None, seconds: None, ..known });
    }
    points.iter().try_for_each(Point::check)?;
    Ok(points)
}

/// Fans of several runs may have networks in common: their names end with the seed then.
fn name_by_seed(points: &mut [Point]) {
    if let [_, _, ..] = points {
        for point in points {
            if let Some(seed) = point.seed {
                point.name = format!("{}-s{seed}", point.name);
            }
        }
    }
}

/// What of `estimate.json` the summary does not hold.
#[derive(Debug, Default, Deserialize)]
struct Total {
    #[serde(default)]
    energy_uj: Option<f64>,
    #[serde(default)]
    weight_bytes: Option<Bytes>,
}

/// The totals of the one estimate at `path`; nothing known where there is none.
fn total_of(path: &Path) -> Result<Total, ParetoError> {
    #[derive(Debug, Deserialize)]
    struct Estimate {
        total: Total,
    }
    if !path.exists() {
        return Ok(Total::default());
    }
    let estimates: Vec<Estimate> = read_json(path)?;
    Ok(estimates.into_iter().next().map_or_else(Total::default, |estimate| estimate.total))
}

/// Names that several points share become longer, until they differ or the path says it all.
fn tell_apart(points: &mut [Point]) {
    lengthen_shared(points, |point| point.seed.map(|seed| format!("{}-s{seed}", point.name)));
    lengthen_shared(points, |point| point.run.clone());
}

fn lengthen_shared(points: &mut [Point], longer: impl Fn(&Point) -> Option<String>) {
    let names: Vec<String> = points.iter().map(|point| point.name.clone()).collect();
    for point in points {
        let shared = names.iter().filter(|name| **name == point.name).count() > 1;
        if let Some(name) = longer(point).filter(|_| shared) {
            point.name = name;
        }
    }
}

/// What makes the points of one front differ in more than their networks.
fn unfair(runs: &[(Vec<Point>, Summary)]) -> Vec<String> {
    let runs: Vec<(&Point, &Summary)> =
        runs.iter().filter_map(|(points, summary)| Some((points.first()?, summary))).collect();
    let kinds: BTreeSet<String> = runs.iter().map(|(point, _)| point.accuracy_from.to_string()).collect();
    let data: BTreeSet<String> = runs.iter().filter_map(|(_, summary)| summary.data.clone()).collect();
    let timing: BTreeSet<String> = runs.iter().filter_map(|(_, summary)| summary.timing.clone()).collect();
    let stopped = runs.iter().filter(|(_, summary)| !summary.is_finished());
    let stopped = stopped.filter_map(|(point, _)| point.run.as_ref()).map(|run| format!("`{run}` was interrupted"));
    let doubtful = runs.iter().flat_map(|(point, summary)| {
        let run = point.run.clone().unwrap_or_default();
        summary.warnings.iter().map(move |warning| format!("`{run}`: {warning}"))
    });
    [("kinds of accuracy", kinds), ("data sets", data), ("timings", timing)]
        .into_iter()
        .filter(|(_, values)| values.len() > 1)
        .map(|(what, values)| format!("the runs are of different {what}: {}", Vec::from_iter(values).join(", ")))
        .chain(stopped)
        .chain(doubtful)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Run<'a> {
        folder: &'a str,
        seed: u64,
        accuracy: &'a str,
    }

    fn make(above: &Path, run: &Run) -> PathBuf {
        let folder = above.join(run.folder);
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!(
            r#"{{"name":"demo","seed":{},"stop_reason":"epoch-limit","search_seconds":0.0,"train_seconds":0.0,
            "peak_memory_bytes":0,"accuracy":{},"accelerator":"tpu-v1","latency_ms":1.0,"mapping_utilization":null,
            "overall_utilization":0.5,"macs":7,"params":3}}"#,
            run.seed, run.accuracy
        );
        std::fs::write(folder.join("summary.json"), text).unwrap();
        folder
    }

    #[test]
    fn test_accuracy_goes_before_validation_accuracy() {
        let above = tempfile::tempdir().unwrap();
        let both = r#"{"validation":0.5,"test":0.75}"#;
        let one = r#"{"validation":0.5,"test":null}"#;
        let folders = [
            make(above.path(), &Run { folder: "a", seed: 0, accuracy: both }),
            make(above.path(), &Run { folder: "b", seed: 1, accuracy: one }),
        ];
        let runs = points_of_runs(&folders).unwrap();
        let errors: Vec<_> = runs.points.iter().map(|p| (p.name.as_str(), p.error, p.accuracy_from)).collect();
        assert_eq!(errors, [("demo-s0", 0.25, AccuracyFrom::Test), ("demo-s1", 0.5, AccuracyFrom::Validation)]);
        assert_eq!(runs.warnings, ["the runs are of different kinds of accuracy: test, validation"]);
    }

    #[test]
    fn energy_and_weights_are_those_of_the_estimate_and_seconds_those_of_both_parts() {
        let above = tempfile::tempdir().unwrap();
        let accuracy = r#"{"validation":null,"test":0.75}"#;
        let folder = make(above.path(), &Run { folder: "a", seed: 0, accuracy });
        let point = |folder: &PathBuf| points_of_runs(std::slice::from_ref(folder)).map(|runs| runs.points[0].clone());
        let blind = point(&folder).unwrap();
        assert_eq!((blind.energy_uj, blind.weight_kib, blind.seconds), (None, None, Some(0.0)));
        let file = folder.join("estimate.json");
        std::fs::write(&file, r#"[{"total":{"energy_uj":2.5,"weight_bytes":3072}}]"#).unwrap();
        let known = point(&folder).unwrap();
        assert_eq!((known.energy_uj, known.weight_kib), (Some(2.5), Some(3.0)));
        std::fs::write(&file, "[{\"total\":3}]").unwrap();
        let message = point(&folder).unwrap_err().to_string();
        assert!(message.contains("estimate.json:1:"), "{message}");
    }

    #[test]
    fn the_accuracy_of_a_search_against_a_table_is_the_table_s() {
        let above = tempfile::tempdir().unwrap();
        let accuracy = r#"{"validation":null,"test":0.75},"table":{"file":"t.csv","column":"mean_acc","rows":9,
            "fingerprint":"0","limit":4,"evaluations":4,"rows_read":4,"front":2,"reference_error":0.5,
            "reference_latency_ms":2.0,"reference_margin":0.05,"hypervolume":0.1,"hypervolume_share":0.5}"#;
        let folder = make(above.path(), &Run { folder: "a", seed: 0, accuracy });
        let runs = points_of_runs(&[folder]).unwrap();
        assert_eq!(runs.points[0].accuracy_from, AccuracyFrom::Table);
    }

    #[test]
    fn runs_of_one_name_and_seed_are_told_apart_by_their_folders() {
        let above = tempfile::tempdir().unwrap();
        let accuracy = r#"{"validation":null,"test":0.75}"#;
        let [a, b, c] =
            [("a", 0), ("b", 0), ("c", 1)].map(|(folder, seed)| make(above.path(), &Run { folder, seed, accuracy }));
        let one = points_of_runs(std::slice::from_ref(&a)).unwrap();
        assert_eq!(one.points[0].name, "demo");
        let runs = points_of_runs(&[a.clone(), b.clone(), c, a.clone()]).unwrap();
        let names: Vec<_> = runs.points.iter().map(|point| point.name.clone()).collect();
        assert_eq!(names, [a.display().to_string(), b.display().to_string(), "demo-s1".to_owned()]);
        assert_eq!(runs.warnings, [format!("`{}` is given twice and counted once", a.display())]);
    }

    #[test]
    fn runs_without_a_result_are_left_out_by_name() {
        let above = tempfile::tempdir().unwrap();
        let accuracy = r#"{"validation":null,"test":0.75}"#;
        let whole = make(above.path(), &Run { folder: "whole", seed: 0, accuracy });
        let blind =
            make(above.path(), &Run { folder: "blind", seed: 0, accuracy: r#"{"validation":null,"test":null}"# });
        let begun = above.path().join("begun");
        std::fs::create_dir(&begun).unwrap();
        std::fs::write(begun.join("spec.yaml"), "").unwrap();
        let runs = points_of_runs(&[blind.clone(), whole, begun.clone()]).unwrap();
        assert_eq!(runs.points.len(), 1);
        assert!(runs.warnings[0].contains("blind` is left out: its summary.json has neither"), "{:?}", runs.warnings);
        assert!(runs.warnings[1].contains("begun` is left out: it has no summary.json"), "{:?}", runs.warnings);
        let message = points_of_runs(&[blind, begun]).unwrap_err().to_string();
        assert!(message.starts_with("none of 2 run folders has an accuracy and a latency\n"), "{message}");
    }

    #[test]
    fn what_is_no_run_is_an_error() {
        let above = tempfile::tempdir().unwrap();
        std::fs::write(above.path().join("thesis.tex"), "").unwrap();
        let message = points_of_runs(&[above.path().to_owned()]).unwrap_err().to_string();
        assert!(message.contains("is not a run folder"), "{message}");
        let message = points_of_runs(&[above.path().join("none")]).unwrap_err().to_string();
        assert!(message.contains("none cannot be read"), "{message}");
        let percent = make(above.path(), &Run { folder: "p", seed: 0, accuracy: r#"{"validation":null,"test":75.0}"# });
        let absent = above.path().join("none");
        let both = points_of_runs(&[absent.clone(), percent.clone()]).unwrap_err().to_string();
        assert!(both.starts_with("2 of 2 run folders cannot be used; nothing was drawn\n"), "{both}");
        assert!(
            both.contains(&format!("\n  {} cannot be read", absent.display())) && both.contains("got 75"),
            "{both}"
        );
        let message = points_of_runs(&[percent]).unwrap_err().to_string();
        assert!(message.contains("an accuracy is a fraction from 0 to 1, got 75"), "{message}");
    }
}
