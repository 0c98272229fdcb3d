//! `pareto`: fronts of run folders and of tables, and their files.

mod co_search;
mod table;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::network::Network;
use crate::pareto::{self, ArrayShare, ByMacs, Front, Objectives, ParetoError, Pick, Point, Runs};
use crate::plot::{self, PlotError};
use crate::record::{self, RecordError};

/// What is asked.
#[derive(Debug, Clone)]
pub struct ParetoRequest {
    /// Run folders.
    pub folders: Vec<PathBuf>,
    /// What the fronts are about.
    pub objectives: Objectives,
    /// The corner of the hypervolume, a value for each objective, where not found from the front.
    pub reference: Option<Vec<f64>>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct ParetoOutcome {
    /// One front for each accelerator.
    pub fronts: Vec<Front>,
    /// What was left out and what should not be compared, a sentence each.
    pub warnings: Vec<String>,
    /// Folders without a point.
    pub left_out: usize,
}

pub use co_search::{CoSearch, CoSearchError};
pub use table::{TableJobError, TableOutcome, TableRequest, pareto_table};

/// A front and what else is said of it: the form of `pareto --json`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Answer<'a> {
    /// The front.
    #[serde(flatten)]
    pub front: &'a Front,
    /// What else is said.
    #[serde(flatten)]
    pub said: &'a Said,
}

/// What is said of a front besides its points.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Said {
    /// The table, where the points are of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<TableFacts>,
    /// The front by MACs, of a table on an accelerator as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_macs: Option<ByMacs>,
    /// The arrays of a joint front.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub co_search: Option<Vec<ArrayShare>>,
    /// The point that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<Picked>,
}

/// What the accuracies of a table are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableFacts {
    /// The column that they are of.
    pub column: String,
    /// Architectures with an accuracy.
    pub networks: usize,
    /// What they are of.
    pub note: String,
}

impl TableFacts {
    /// A benchmark lists what its networks reached in the end.
    pub const NOTE: &'static str = "a table's accuracies are test accuracies: its front is chosen on the test images, the \
        bound of what a search can find rather than what one found";
}

/// The point of a front that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picked {
    /// As it was asked.
    pub rule: String,
    /// The point; nothing where none is so.
    pub point: Option<Point>,
}

impl Picked {
    /// What `pick` finds on `front`.
    #[must_use]
    pub fn of(front: &Front, pick: &Pick) -> Self {
        Self { rule: pick.to_string(), point: pick.from(front).cloned() }
    }
}

/// Why fronts could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ParetoWriteError {
    /// A table or the folder.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A picture.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

/// The fronts of run folders, one for each accelerator.
///
/// # Errors
/// [`ParetoError`] where a folder is no run's, nothing is left, or the reference bounds nothing.
pub fn pareto(request: &ParetoRequest) -> Result<ParetoOutcome, ParetoError> {
    let Runs { points, mut warnings, left_out } = pareto::points_of_runs(&request.folders)?;
    let fronts = pareto::fronts_over(points, &request.objectives, request.reference.as_deref())?;
    warnings.extend(unknown(&fronts));
    Ok(ParetoOutcome { fronts, warnings, left_out })
}

/// Which fronts have points that lack an objective.
fn unknown(fronts: &[Front]) -> impl Iterator<Item = String> {
    fronts.iter().filter(|front| front.unknown() > 0).map(|front| {
        let (unknown, all) = (front.unknown(), front.points().len());
        let (accelerator, objectives) = (front.accelerator(), front.objectives());
        format!("{unknown} of {all} points on `{accelerator}` lack one of {objectives}, and are on no front")
    })
}

/// Writes `front.csv` (all points), `front.svg` and `front.png` into the folder `out`, which is made as needed; of runs also
/// `hypervolume.svg` and `.png`.
///
/// # Errors
/// [`ParetoWriteError`] where the system refuses.
pub fn write_fronts(out: &Path, fronts: &[Front]) -> Result<Vec<PathBuf>, ParetoWriteError> {
    let refused = |source| RecordError::Write { path: out.to_owned(), source };
    std::fs::create_dir_all(out).map_err(refused)?;
    let [csv, svg, png] = ["front.csv", "front.svg", "front.png"].map(|name| out.join(name));
    let picture = plot::front_svg(fronts);
    record::write(&csv, pareto::csv(fronts).as_bytes())?;
    plot::write(&svg, &picture)?;
    plot::write(&png, &picture)?;
    let mut written = vec![csv, svg, png];
    if let Some(picture) = plot::hypervolume_svg(fronts) {
        for path in ["hypervolume.svg", "hypervolume.png"].map(|name| out.join(name)) {
            plot::write(&path, &picture)?;
            written.push(path);
        }
    }
    Ok(written)
}

/// Writes `networks` as files of the folder `networks` in `out`, each named as its network as far as a file can be.
///
/// # Errors
/// [`RecordError`] where the system refuses.
pub fn write_networks(out: &Path, networks: &[Network]) -> Result<PathBuf, RecordError> {
    let folder = out.join("networks");
    let mut taken = HashSet::new();
    let named: Vec<(PathBuf, &Network)> =
        networks.iter().map(|network| (folder.join(file_name(network.name(), &mut taken)), network)).collect();
    named.par_iter().try_for_each(|(path, network)| record::write(path, network.to_yaml().as_bytes()))?;
    Ok(folder)
}

/// Copies the networks of run folders, `points` of a front, as [`write_networks`]; nothing of points without a folder.
///
/// # Errors
/// [`RecordError`] where a network is not there or the system refuses.
pub fn copy_networks(out: &Path, points: &[&Point]) -> Result<Vec<PathBuf>, RecordError> {
    let mut taken = HashSet::new();
    let mut written = Vec::new();
    for (point, run) in points.iter().filter_map(|point| Some((point, point.run.as_ref()?))) {
        let from = Path::new(run).join("network.yaml");
        let text = std::fs::read(&from).map_err(|source| RecordError::read(&from, source))?;
        let path = out.join("networks").join(file_name(&point.name, &mut taken));
        record::write(&path, &text)?;
        written.push(path);
    }
    Ok(written)
}

/// `name` with `_` for what not every system takes in the name of a file, a number behind what is taken.
fn file_name(name: &str, taken: &mut HashSet<String>) -> String {
    /// Characters of the name: systems take 255 bytes.
    const LONGEST: usize = 120;
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
    let parts: String = name.chars().take(LONGEST).map(plain).collect();
    let parts: Vec<&str> = parts.split('_').filter(|part| !part.is_empty()).collect();
    let stem = if parts.is_empty() { "network".to_owned() } else { parts.join("_") };
    let numbered = (2..).map(|number: u64| format!("{stem}-{number}.yaml"));
    let mut names = std::iter::once(format!("{stem}.yaml")).chain(numbered);
    names.find(|name| taken.insert(name.to_ascii_lowercase())).expect("numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_networks_have_names_of_their_own() {
        let mut taken = HashSet::new();
        let mut file = |name: &str| file_name(name, &mut taken);
        assert_eq!(file("02012100"), "02012100.yaml");
        assert_eq!(file("|nor_conv_3x3~0|+|none~0|none~1|"), "nor_conv_3x3_0_none_0_none_1.yaml");
        assert_eq!([file("a/b"), file("a|b"), file("A b")], ["a_b.yaml", "a_b-2.yaml", "A_b-3.yaml"]);
        assert_eq!([file("||"), file("")], ["network.yaml", "network-2.yaml"]);
        assert_eq!(file(&"x".repeat(4000)).len(), 125);
    }
}
