//! What a run folder holds besides its point.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::estimate::{Bound, Estimate, LayerEstimate};
use crate::record::{RecordError, RunFolder, Summary, read_json};
use crate::units::{Cycles, Macs};

/// The one picture of a run that a page of several shows.
const NETWORK: &str = "network";

/// What is known of a network on an accelerator.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Details {
    /// The run folder of its point, or the point's name where it has none.
    pub key: String,
    /// Name of the accelerator.
    pub accelerator: String,
    /// What the run says of itself, with names.
    pub facts: Vec<(&'static str, String)>,
    /// Its layers, in order.
    pub layers: Vec<Layer>,
    /// Pictures of the run.
    pub pictures: Vec<Picture>,
    /// Text of its `network.yaml`.
    pub network: Option<String>,
    /// What could not be read, a sentence each.
    pub problems: Vec<String>,
}

/// A layer of an estimate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// The operator.
    pub op: String,
    /// Multiply-accumulates.
    pub macs: Macs,
    /// Clock cycles.
    pub cycles: Cycles,
    /// Overall utilization, a fraction, where it has MACs.
    pub utilization: Option<f64>,
    /// What limits it.
    pub bound: Bound,
}

/// A picture of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picture {
    /// Name of its file, without the extension.
    pub title: String,
    /// The SVG.
    pub svg: String,
}

/// Which pictures a page shows of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pictured {
    /// All in `plots/`.
    All,
    /// That of its network.
    Network,
}

impl Details {
    /// What lies in the run folder at `path`, as far as it is there; what is there and cannot be read is a problem named.
    ///
    /// # Errors
    /// [`RecordError`] where it is no run's folder.
    pub fn of_run(path: &Path, pictured: Pictured) -> Result<Self, RecordError> {
        let folder = RunFolder::open(path)?;
        let mut details = Self { key: path.display().to_string(), ..Self::default() };
        match folder.read_summary() {
            Ok(Some(summary)) => {
                details.facts = facts(&summary);
                details.accelerator = summary.accelerator;
            }
            Ok(None) => details.problems.push("there is no summary.json: the run has not ended".to_owned()),
            Err(error) => details.problems.push(error.to_string()),
        }
        details.read_layers(&folder.estimate());
        details.network = details.read(&folder.network());
        for file in pictures(&folder.plots(), pictured) {
            let title = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let svg = details.read(&file);
            details.pictures.extend(svg.map(|svg| Picture { title, svg }));
        }
        Ok(details)
    }

    fn read_layers(&mut self, path: &Path) {
        if !path.exists() {
            return;
        }
        match read_json::<Vec<Estimate>>(path) {
            Ok(estimates) => {
                self.layers = estimates.iter().flat_map(|estimate| &estimate.layers).map(Layer::of).collect();
            }
            Err(error) => self.problems.push(error.to_string()),
        }
    }

    /// The text of a file, where it is there.
    fn read(&mut self, path: &Path) -> Option<String> {
        if !path.exists() {
            return None;
        }
        match std::fs::read(path) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                self.problems.push(format!("{} cannot be read: {error}", path.display()));
                None
            }
        }
    }
}

impl Layer {
    /// Of an estimate.
    #[must_use]
    pub fn of(layer: &LayerEstimate) -> Self {
        Self {
            name: layer.name.clone(),
            op: layer.op.clone(),
            macs: layer.macs,
            cycles: layer.cycles,
            utilization: layer.overall_utilization,
            bound: layer.bound,
        }
    }
}

/// The pictures of a run by name, that of the network first.
fn pictures(folder: &Path, pictured: Pictured) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_network = |path: &PathBuf| path.file_stem().is_some_and(|name| name == NETWORK);
    let wanted = |path: &PathBuf| pictured == Pictured::All || is_network(path);
    let svg = entries.filter(|path| path.extension().is_some_and(|extension| extension == "svg"));
    let mut pictures: Vec<PathBuf> = svg.filter(wanted).collect();
    pictures.sort_by_key(|path| (!is_network(path), path.clone()));
    pictures
}

fn facts(summary: &Summary) -> Vec<(&'static str, String)> {
    let seconds = |seconds: f64| if seconds.is_nan() { "not known".to_owned() } else { format!("{seconds:.0} s") };
    let percent = |part: f64| format!("{:.2} %", 100.0 * part);
    let mut facts = vec![("job", summary.name.clone()), ("seed", summary.seed.to_string())];
    let mut known = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    known("ended", Some(summary.stop_reason.clone()));
    known("data", summary.data.clone());
    known("method", summary.method.clone());
    known("cost", summary.cost.clone());
    known("lambda", summary.lambda.map(|weight| weight.to_string()));
    known("beta", summary.beta.map(|weight| weight.to_string()));
    known("test accuracy", summary.accuracy.test.map(percent));
    known("validation accuracy", summary.accuracy.validation.map(percent));
    known("accelerator", Some(summary.accelerator.clone()));
    known("timing", summary.timing.clone());
    known("latency", Some(summary.latency_ms).filter(|ms| !ms.is_nan()).map(|ms| format!("{ms} ms")));
    known("cycles", summary.cycles.map(|cycles| cycles.0.to_string()));
    known("mapping utilization", summary.mapping_utilization.map(percent));
    known("overall utilization", summary.overall_utilization.map(percent));
    known("end-to-end utilization", summary.end_to_end_utilization.map(percent));
    known("MACs", Some(summary.macs.0.to_string()));
    known("parameters", Some(summary.params.to_string()));
    known("search", Some(seconds(summary.search_seconds)));
    known("training", Some(seconds(summary.train_seconds)));
    facts.extend(summary.warnings.iter().map(|warning| ("warning", warning.clone())));
    facts
}
