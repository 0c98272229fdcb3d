//! `systole estimate`: what networks cost, layer by layer.

mod advice;
mod coverage;
mod csv;
mod diff;
mod matrix;
mod pictures;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};

use super::{End, Notes};
use crate::accel::Timing;
use crate::estimate::{self, Estimate};
use crate::import::onnx::Options;
use crate::jobs::{self, Detail, EstimateRequest, LookupRequest, NamedAccelerator, ReportRequest};
use crate::plot::Roof;
use crate::record;
use crate::units::Megahertz;
use pictures::Pictures;
use tables::{Shown, View};

const EXAMPLES: &str = "\
Examples:
  systole estimate network.yaml --accel small-32x32
  systole estimate network.onnx --accel small-32x32 --dim sequence=128
  systole estimate topology.csv --accel my-array.yaml,small-32x32 --timing scale-sim
  systole estimate a.yaml b.yaml --accel small-32x32 --accel uboost-128x128 --batch 8 --json
  systole estimate topology.csv --accel scale.cfg --reports reports
  systole estimate network.onnx --accel small-32x32 --scale-sim topology.csv --shapes shapes.csv
  systole estimate network.yaml --accel small-32x32 --worst 5
  systole estimate network.yaml --accel tpu-v1 --plot cycles.svg --roofline roofline.png
  systole estimate '|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|' \
    --space nas-bench-201 --accel edge-tpu
  systole estimate 'Genotype(normal=[...], normal_concat=...)' --space darts --accel edge-tpu
  systole estimate network.yaml --accel my-array.yaml --breakdown
  systole estimate network.yaml --accel my-array.yaml --advice
  systole estimate before.yaml after.yaml --accel my-array.yaml --diff
  systole estimate --lookup-table layers.json --space search-spaces/cifar10-uboost.yaml --accel uboost-128x128";

/// What `estimate` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Networks: .yaml (network file), .onnx or .csv (SCALE-Sim topology, either form); with --space also architecture strings
    #[arg(required_unless_present = "lookup_table", value_name = "NETWORK")]
    networks: Vec<PathBuf>,
    /// What reads architecture strings: nas-bench-201, nas-bench-macro, mnasnet, a job whose space has `strings`, or darts
    /// or darts-imagenet for genotypes
    #[arg(long, value_name = "SPACE")]
    space: Option<String>,
    /// Accelerator: a shipped name or a path (.yaml, or .cfg of SCALE-Sim); may stand several times, or hold a comma list
    #[arg(long, required = true, value_name = "A", value_delimiter = ',')]
    accel: Vec<String>,
    /// Images at once
    #[arg(long, default_value_t = 1, value_name = "N")]
    batch: u64,
    /// Size of an open dimension of an ONNX file's inputs; the first one is the batch
    #[arg(long = "dim", value_name = "NAME=N", value_parser = dimension)]
    dims: Vec<(String, u64)>,
    /// Exit with 0 also where an ONNX file has operators that are not covered
    #[arg(long)]
    allow_unknown: bool,
    /// Timing, where not the accelerator's own: ideal, pipelined, scale-sim or uboost-csim
    #[arg(long, value_name = "T")]
    timing: Option<Timing>,
    /// Clock in MHz, where not the accelerator's own; a SCALE-Sim .cfg has none and gets 1000
    #[arg(long, value_name = "MHZ", value_parser = clock)]
    clock_mhz: Option<Megahertz>,
    /// Write SCALE-Sim's three report files for one topology on one accelerator into FOLDER
    #[arg(long, value_name = "FOLDER")]
    reports: Option<PathBuf>,
    /// Write the layers of one network as a SCALE-Sim topology to FILE
    #[arg(long, value_name = "FILE")]
    scale_sim: Option<PathBuf>,
    /// Write the shape of what every node of one network puts out to FILE, as CSV
    #[arg(long, value_name = "FILE")]
    shapes: Option<PathBuf>,
    /// Write what every layer of --space takes for one image to FILE, in the form of U-Boost NAS, instead of an estimate
    #[arg(long, value_name = "FILE.json", requires = "space", conflicts_with_all = ["networks", "batch", "dims", "reports", "scale_sim", "shapes",
        "json", "csv", "breakdown", "advice", "diff", "layers", "plot", "roofline", "worst", "allow_unknown"])]
    lookup_table: Option<PathBuf>,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, one line per layer
    #[arg(long)]
    csv: bool,
    /// In the table, say what the cycles of each layer go to
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    breakdown: bool,
    /// Propose other widths, dataflows, arrays and batches, each with the exact cycles of the whole network
    #[arg(long, conflicts_with = "csv")]
    advice: bool,
    /// Compare two networks on one accelerator, or one network on two, layer by layer
    #[arg(long, conflicts_with_all = ["csv", "breakdown", "advice", "plot", "roofline", "reports", "worst", "layers"])]
    diff: bool,
    /// Of several networks or accelerators, print the layers of each as well
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    layers: bool,
    /// Draw the cycles of each layer, and what they go to, to FILE, .svg or .png
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Draw the roofline, MACs a second against MACs for each byte of DRAM traffic, to FILE, .svg or .png
    #[arg(long, value_name = "FILE")]
    roofline: Option<PathBuf>,
    /// Only the N layers that lose most cycles to idle PEs, most first; totals stay those of the whole network
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    worst: Option<u64>,
}

pub(super) fn run(args: Args, notes: Notes) -> anyhow::Result<End> {
    if let (Some(file), Some(space)) = (&args.lookup_table, &args.space) {
        return write_lookup_table(file, space, &args, notes);
    }
    let count = args.networks.len() * args.accel.len();
    let pictures = Pictures { cycles: args.plot.clone(), roofline: args.roofline.clone() };
    pictures.check(count)?;
    ensure!(!args.diff || count == 2, "{}", diff_rule(count));
    if args.reports.is_some() {
        reportable(&args)?;
    }
    let mut accelerators = Vec::new();
    for name in &args.accel {
        let named = NamedAccelerator::load(name, args.clock_mhz)?;
        named.notes.iter().for_each(|note| notes.line(note));
        accelerators.push(named);
    }
    let request = EstimateRequest {
        networks: args.networks.clone(),
        space: args.space.clone(),
        accelerators: &accelerators,
        batch: args.batch,
        timing: args.timing,
        detail: if args.advice { Detail::Advice } else { Detail::Costs },
        onnx: Options { dims: args.dims.iter().cloned().collect() },
    };
    let mut estimates = jobs::estimate(&request)?;
    let end = coverage(&args, &estimates, notes);
    if let (Some(folder), [topology], [accelerator]) = (&args.reports, &args.networks[..], &accelerators[..]) {
        write_reports(folder, &ReportRequest { topology, accelerator, timing: args.timing }, notes)?;
    }
    write_files(&args, &request, notes)?;
    let text = if args.diff { diff_text(&args, &estimates)? } else { text(&args, &mut estimates)? };
    if let ([estimate], [NamedAccelerator { accelerator, .. }]) = (&estimates[..], &accelerators[..]) {
        pictures.draw(estimate, &Roof::of(accelerator, args.timing.unwrap_or(accelerator.timing)), notes)?;
    }
    super::output(&text)?;
    Ok(end)
}

fn write_lookup_table(file: &Path, space: &str, args: &Args, notes: Notes) -> anyhow::Result<End> {
    let [accelerator] = args.accel.as_slice() else {
        bail!("--lookup-table is of one accelerator, got {}", args.accel.len());
    };
    let (space, accelerator) = (PathBuf::from(space), accelerator.clone());
    let table = jobs::lookup_table(&LookupRequest { space, accelerator, timing: args.timing, clock: args.clock_mhz })?;
    record::write(file, table.to_json().as_bytes())?;
    notes.line(&format!("wrote {}: {} layers", file.display(), table.entries().count()));
    Ok(End::Done)
}

/// Says how much of each ONNX file is covered.
fn coverage(args: &Args, estimates: &[Estimate], notes: Notes) -> End {
    let mut end = End::Done;
    for estimate in estimates.iter().step_by(args.accel.len().max(1)) {
        let Some(coverage) = &estimate.coverage else { continue };
        coverage::covered(&estimate.network, coverage).iter().for_each(|line| notes.line(line));
        if !coverage.is_complete() && !args.allow_unknown {
            end = End::Partial;
        }
    }
    end
}

/// `NAME=N`.
fn dimension(text: &str) -> Result<(String, u64), String> {
    let (name, size) = text.rsplit_once('=').ok_or("must be NAME=N")?;
    let size = size.parse().ok().filter(|&size| size > 0);
    let size = size.ok_or_else(|| "N must be a whole number of at least 1".to_owned())?;
    Ok((name.to_owned(), size))
}

fn text(args: &Args, estimates: &mut [Estimate]) -> anyhow::Result<String> {
    let free: Vec<usize> = estimates.iter().map(tables::free_layers).collect();
    if let Some(worst) = args.worst {
        let count = usize::try_from(worst).unwrap_or(usize::MAX);
        estimates.iter_mut().for_each(|estimate| jobs::keep_worst(estimate, count));
    }
    Ok(match (args.json, args.csv) {
        (true, _) => serde_json::to_string_pretty(estimates)? + "\n",
        (false, true) => csv::csv(estimates)?,
        (false, false) => tables(args, estimates, &free),
    })
}

/// The layers of each estimate, and of several the whole in a matrix; of several the layers only where they are asked
/// for.
fn tables(args: &Args, estimates: &[Estimate], free: &[usize]) -> String {
    let view = if args.breakdown { View::Breakdown } else { View::Utilization };
    let one = |(estimate, &free): (&Estimate, &usize)| {
        let text = tables::text(estimate, &Shown { free, worst: args.worst, view });
        if args.advice { text + &advice::advice(estimate) } else { text }
    };
    let mut parts = Vec::new();
    let layers = args.layers || args.advice || args.breakdown || args.worst.is_some();
    if layers || estimates.len() == 1 {
        parts.extend(estimates.iter().zip(free).map(one));
    }
    if estimates.len() > 1 {
        let networks: Vec<String> = args.networks.iter().map(|path| path.display().to_string()).collect();
        parts.push(matrix::matrix(estimates, &networks, &args.accel));
    }
    if estimates.len() > 1 && !layers {
        parts.push("the layers of each: --layers; two of them against each other: --diff\n".to_owned());
    }
    parts.join("\n")
}

fn diff_text(args: &Args, estimates: &[Estimate]) -> anyhow::Result<String> {
    let [before, after] = estimates else {
        bail!("{}", diff_rule(estimates.len()));
    };
    let comparison = estimate::compare(before, after);
    Ok(if args.json { serde_json::to_string_pretty(&comparison)? + "\n" } else { diff::text(&comparison) })
}

fn diff_rule(count: usize) -> String {
    format!("--diff compares two networks on one accelerator, or one network on two, got {count} estimates")
}

fn clock(text: &str) -> Result<Megahertz, String> {
    let number: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    Megahertz::new(number).map_err(|error| error.to_string())
}

/// That SCALE-Sim's reports can be of what is asked, before the work.
fn reportable(args: &Args) -> anyhow::Result<()> {
    let count = args.networks.len() * args.accel.len();
    ensure!(count == 1, "--reports takes one topology on one accelerator, got {count} estimates");
    ensure!(args.batch == 1, "--reports: SCALE-Sim knows one image, got batch {}", args.batch);
    Ok(())
}

/// The files that tell of the network itself.
fn write_files(args: &Args, request: &EstimateRequest<'_>, notes: Notes) -> anyhow::Result<()> {
    if let Some(path) = &args.scale_sim {
        let written = jobs::topology(request)?;
        record::write(path, written.text.as_bytes())?;
        written.notes.iter().for_each(|note| notes.line(&format!("{}: {note}", path.display())));
    }
    if let Some(path) = &args.shapes {
        record::write(path, jobs::shapes(request)?.as_bytes())?;
        notes.line(&format!("wrote {}", path.display()));
    }
    Ok(())
}

fn write_reports(folder: &Path, request: &ReportRequest<'_>, notes: Notes) -> anyhow::Result<()> {
    let reports = jobs::reports(request)?;
    for path in jobs::write_reports(&reports, folder)? {
        notes.line(&format!("wrote {}", path.display()));
    }
    if reports.partial > 0 {
        let (partial, lines) = (reports.partial, reports.lines);
        notes.line(&format!("empty cells in {partial} of {lines} layers: what depends on single addresses"));
    }
    Ok(())
}
