//! The pictures of a run folder.

use super::SearchJobError;
use crate::estimate::{self, Target};
use crate::jobs::spec::Job;
use crate::jobs::write_run_report;
use crate::load;
use crate::plot::{self, Bar};
use crate::record::{RunFolder, read_history, write};
use crate::space::Architecture;

/// Draws `plots/` and `report.html` anew from what the folder of a run that is finished holds.
pub(super) fn draw_again(job: &Job, folder: &RunFolder) -> Result<(), SearchJobError> {
    let path = folder.architecture();
    let origin = path.display().to_string();
    let architecture = load::text(&path).and_then(|text| job.space.parse_architecture(&text, &origin));
    draw(job, folder, &architecture.map_err(|error| SearchJobError::Checkpoint { reason: error.to_string() })?)?;
    Ok(write_run_report(folder)?)
}

/// `plots/`: the history, the operators and widths with their allocation, the network that `architecture` is, and its
/// cycles.
pub(super) fn draw(job: &Job, folder: &RunFolder, architecture: &Architecture) -> Result<(), SearchJobError> {
    let records = read_history(&folder.history())?;
    let target = Target { accelerator: &job.accelerator, timing: job.timing, batch: 1 };
    let network = job.space.derive(architecture)?.named(&job.name);
    let estimate = estimate::network(&network, &target)?;
    let layers = estimate.layers.iter().filter(|layer| layer.cycles.0 > 0);
    let bars: Vec<Bar> = layers.map(Bar::of).collect();
    let unused = job.space.unused_widths(architecture);
    let pictures = [
        ("history", Some(plot::history_svg(&records))),
        ("operators", plot::operators_svg(&records)),
        ("network", plot::network_svg(&network, &estimate)),
        ("widths", plot::widths_svg(&records, job.accelerator.array.cols, &unused)),
        ("allocation", plot::allocation_svg(&records, job.accelerator.array.cols)),
        ("candidates", plot::candidates_svg(&records)),
        ("cycles", Some(plot::cycles_svg(&bars, &estimate.total.breakdown, &estimate.title()))),
    ];
    for (name, svg) in pictures.into_iter().filter_map(|(name, svg)| Some((name, svg?))) {
        for extension in ["svg", "png"] {
            plot::write(&folder.plots().join(format!("{name}.{extension}")), &svg)?;
        }
    }
    Ok(write(&folder.plots().join("network.dot"), plot::network_dot(&network).as_bytes())?)
}
