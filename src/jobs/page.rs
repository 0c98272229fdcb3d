//! The HTML page of fronts and of a run.

use std::path::Path;

use crate::pareto::{self, Front, Point};
use crate::record::{self, RecordError, RunFolder};
use crate::report::{Details, Networks, Pictured, Report};

/// Writes the page of `fronts` to `path`, with the `networks` of a table, and `notes` on what they leave out.
///
/// A page of one run shows all pictures of it, a page of several that of each network.
///
/// # Errors
/// [`RecordError`] where a run folder is gone or the system refuses.
pub fn write_report(
    path: &Path,
    fronts: &[Front],
    networks: Option<Networks>,
    notes: &[String],
) -> Result<(), RecordError> {
    let points = || fronts.iter().flat_map(Front::points);
    let runs: Vec<&String> = points().filter_map(|point| point.run.as_ref()).collect();
    let pictured = if runs.len() == 1 { Pictured::All } else { Pictured::Network };
    let details: Result<Vec<Details>, RecordError> =
        runs.iter().map(|run| Details::of_run(Path::new(run), pictured)).collect();
    let title = match points().collect::<Vec<&Point>>()[..] {
        [only] => only.name.clone(),
        _ => heading(fronts),
    };
    let report = Report { title, lead: lead(fronts), fronts, details: details?, networks, notes: notes.to_vec() };
    record::write(path, report.html().as_bytes())
}

/// Writes `report.html` into the folder of a run that has ended or was interrupted: what it has until then.
///
/// # Errors
/// [`RecordError`] where it is no run's folder or the system refuses.
pub fn write_run_report(folder: &RunFolder) -> Result<(), RecordError> {
    let mut details = Details::of_run(folder.path(), Pictured::All)?;
    // The page lies in the folder: where that lies is nothing of its own.
    let key = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let runs = pareto::points_of_runs(&[folder.path().to_owned()]);
    let mut points = runs.map(|runs| runs.points).unwrap_or_default();
    for point in &mut points {
        point.run = Some(key.clone());
    }
    let fronts = pareto::fronts(points, None).unwrap_or_default();
    details.key.clone_from(&key);
    let lead = lead(&fronts);
    let details = vec![details];
    let report = Report { title: key, lead, fronts: &fronts, details, networks: None, notes: Vec::new() };
    record::write(&folder.report(), report.html().as_bytes())
}

fn heading(fronts: &[Front]) -> String {
    match fronts.first().map(Front::objectives).filter(|objectives| !objectives.is_default()) {
        Some(objectives) => format!("Front of {objectives}"),
        None => "Accuracy and latency".to_owned(),
    }
}

fn lead(fronts: &[Front]) -> String {
    let accelerators: Vec<&str> = fronts.iter().map(Front::accelerator).collect();
    match fronts.iter().map(|front| front.points().len()).sum::<usize>() {
        0 => "no point: the run has no accuracy yet".to_owned(),
        1 => format!("one network on {}", accelerators.join(", ")),
        count => format!("{count} points on {}", accelerators.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::{ParetoRequest, pareto};
    use crate::pareto::Objectives;

    fn run(above: &Path, name: &str, accuracy: &str) -> std::path::PathBuf {
        let folder = above.join(name);
        std::fs::create_dir_all(folder.join("plots")).unwrap();
        let text = format!(
            r#"{{"name":"demo","seed":0,"stop_reason":"epoch-limit","search_seconds":1.5,"train_seconds":null,
            "peak_memory_bytes":0,"accuracy":{{"validation":null,"test":{accuracy}}},"accelerator":"tpu-v1","latency_ms":1.0,
            "mapping_utilization":null,"overall_utilization":0.5,"macs":7,"params":3,"method":"gdas"}}"#
        );
        std::fs::write(folder.join("summary.json"), text).unwrap();
        std::fs::write(folder.join("plots/history.svg"), "<svg/>").unwrap();
        folder
    }

    #[test]
    fn a_run_s_own_page_does_not_tell_where_it_lies() {
        let above = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(&run(above.path(), "one", "0.5")).unwrap();
        write_run_report(&folder).unwrap();
        let page = std::fs::read_to_string(folder.report()).unwrap();
        assert!(!page.contains(&*above.path().to_string_lossy()));
        for part in
            ["\"run\":\"one\"", "\"method\":\"gdas\"", "\"title\":\"history\"", "\"lead\":\"one network on tpu-v1\""]
        {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn a_run_without_an_accuracy_has_a_page_without_a_front() {
        let above = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(&run(above.path(), "one", "null")).unwrap();
        write_run_report(&folder).unwrap();
        let page = std::fs::read_to_string(folder.report()).unwrap();
        assert!(page.contains("\"fronts\":[]") && page.contains("no point: the run has no accuracy yet"));
        assert!(page.contains("\"title\":\"history\""));
    }

    #[test]
    fn a_page_of_several_runs_names_those_left_out() {
        let above = tempfile::tempdir().unwrap();
        let folders = [("a", "0.5"), ("b", "0.75"), ("c", "null")].map(|(name, acc)| run(above.path(), name, acc));
        let outcome =
            pareto(&ParetoRequest { folders: folders.to_vec(), objectives: Objectives::default(), reference: None })
                .unwrap();
        let path = above.path().join("page.html");
        write_report(&path, &outcome.fronts, None, &outcome.warnings).unwrap();
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.contains("c` is left out: its summary.json has neither a test nor a validation accuracy"));
        assert!(page.contains("2 points on tpu-v1") && !page.contains("\"title\":\"history\""));
    }
}
