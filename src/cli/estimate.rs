//! `systole estimate`: what networks cost, layer by layer.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};

use crate::accel::Timing;
use crate::estimate::{Bound, Breakdown, Estimate, LayerEstimate, Part, Total};
use crate::import::onnx::{Coverage, Options, UnknownNode};
use crate::jobs::{self, EstimateRequest, NamedAccelerator, ReportRequest};
use crate::plot::{self, Bar, Roof, RoofPoint};
use crate::units::Megahertz;

use super::numbers::{grouped, kib, measure, percent, short};
use super::table::{Columns, list, table};
use super::{End, Notes};

const EXAMPLES: &str = "\
Examples:
  systole estimate network.yaml --accel small-32x32
  systole estimate network.onnx --accel small-32x32 --dim sequence=128
  systole estimate topology.csv --accel my-array.yaml,small-32x32 --timing scale-sim
  systole estimate a.yaml b.yaml --accel small-32x32 --accel uboost-128x128 --batch 8 --json
  systole estimate topology.csv --accel scale.cfg --reports reports
  systole estimate network.yaml --accel small-32x32 --worst 5
  systole estimate network.yaml --accel tpu-v1 --plot cycles.svg --roofline roofline.png
  systole estimate '|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|' \
    --space search-spaces/nas-bench-201.yaml --accel edge-tpu
  systole estimate 'Genotype(normal=[...], normal_concat=...)' --space darts --accel edge-tpu
  systole estimate network.yaml --accel my-array.yaml --breakdown";

/// What `estimate` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Networks: .yaml (network file), .onnx or .csv (SCALE-Sim topology, either form); with --space also architecture strings
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<PathBuf>,
    /// What reads architecture strings: a job whose space has `strings`, or darts or darts-imagenet for genotypes
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
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, one line per layer
    #[arg(long)]
    csv: bool,
    /// In the table, say what the cycles of each layer go to
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    breakdown: bool,
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
    let pictures = Pictures { cycles: args.plot.clone(), roofline: args.roofline.clone() };
    pictures.check(args.networks.len() * args.accel.len())?;
    let reports = args.reports.as_ref().map(|_| report_request(&args)).transpose()?;
    let mut roof = None;
    for name in &args.accel {
        let named = NamedAccelerator::load(name, args.clock_mhz)?;
        named.notes.iter().for_each(|note| notes.line(note));
        roof = Some(Roof::of(&named.accelerator, args.timing.unwrap_or(named.accelerator.timing)));
    }
    let accelerators = args.accel.len();
    let mut estimates = jobs::estimate(&EstimateRequest {
        networks: args.networks,
        space: args.space,
        accelerators: args.accel,
        batch: args.batch,
        timing: args.timing,
        onnx: Options { dims: args.dims.into_iter().collect() },
        clock: args.clock_mhz,
    })?;
    let coverages =
        estimates.iter().step_by(accelerators.max(1)).filter_map(|e| Some((&e.network, e.coverage.as_ref()?)));
    let mut end = End::Done;
    for (network, coverage) in coverages {
        covered(network, coverage).iter().for_each(|line| notes.line(line));
        if !coverage.is_complete() && !args.allow_unknown {
            end = End::Partial;
        }
    }
    if let (Some(folder), Some(request)) = (&args.reports, reports) {
        write_reports(folder, &request, notes)?;
    }
    let free: Vec<usize> = estimates.iter().map(|estimate| estimate.layers.iter().filter(is_free).count()).collect();
    if let Some(worst) = args.worst {
        let count = usize::try_from(worst).unwrap_or(usize::MAX);
        estimates.iter_mut().for_each(|estimate| jobs::keep_worst(estimate, count));
    }
    if let ([estimate], Some(roof)) = (estimates.as_slice(), &roof) {
        pictures.draw(estimate, roof, notes)?;
    }
    let view = if args.breakdown { View::Breakdown } else { View::Utilization };
    let text = match (args.json, args.csv) {
        (true, _) => serde_json::to_string_pretty(&estimates)? + "\n",
        (false, true) => csv(&estimates)?,
        (false, false) => {
            let tables = estimates.iter().zip(free).map(|(estimate, free)| text(estimate, free, args.worst, view));
            tables.collect::<Vec<_>>().join("\n")
        }
    };
    super::output(&text)?;
    Ok(end)
}

/// `NAME=N`.
fn dimension(text: &str) -> Result<(String, u64), String> {
    let (name, size) = text.rsplit_once('=').ok_or("must be NAME=N")?;
    let size = size.parse().ok().filter(|&size| size > 0);
    let size = size.ok_or_else(|| "N must be a whole number of at least 1".to_owned())?;
    Ok((name.to_owned(), size))
}

/// Unknown nodes that are named one by one.
const SHOWN: usize = 10;

/// How much of an ONNX file is covered, and what is not.
fn covered(network: &str, coverage: &Coverage) -> Vec<String> {
    let Coverage { nodes, unknown, behind, macs, assumed, .. } = coverage;
    let unknown_count = unknown.len();
    let rest = match (unknown_count, behind) {
        (0, 0) => String::new(),
        (count, 0) => format!("; {count} unknown, whose MACs are not counted"),
        (count, behind) => format!("; {count} unknown and {behind} behind them, whose MACs are not counted"),
    };
    let share = format!("{} of {nodes} nodes covered, {} MACs an image{rest}", coverage.covered(), grouped(macs.0));
    let mut lines = vec![format!("{network}: {share}")];
    lines.extend(assumed.iter().map(|assumption| format!("{network}: {assumption}")));
    let name = |node: &UnknownNode| format!("{network}: node `{}` ({}): {}", node.node, node.operator, node.reason);
    lines.extend(unknown.iter().take(SHOWN).map(name));
    if unknown_count > SHOWN {
        lines.push(format!("{network}: and {} more; --json names all", unknown_count - SHOWN));
    }
    lines
}

fn clock(text: &str) -> Result<Megahertz, String> {
    let number: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    Megahertz::new(number).map_err(|error| error.to_string())
}

fn report_request(args: &Args) -> anyhow::Result<ReportRequest> {
    let ([topology], [accelerator]) = (args.networks.as_slice(), args.accel.as_slice()) else {
        let count = args.networks.len() * args.accel.len();
        bail!("--reports takes one topology on one accelerator, got {count} estimates");
    };
    ensure!(args.batch == 1, "--reports: SCALE-Sim knows one image, got batch {}", args.batch);
    let (topology, accelerator) = (topology.clone(), accelerator.clone());
    Ok(ReportRequest { topology, accelerator, timing: args.timing, clock: args.clock_mhz })
}

fn write_reports(folder: &Path, request: &ReportRequest, notes: Notes) -> anyhow::Result<()> {
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

/// Whether the layer multiplies nothing and takes no time.
fn is_free(layer: &&LayerEstimate) -> bool {
    match layer.bound {
        Bound::None => layer.macs.0 == 0,
        Bound::Array | Bound::Memory | Bound::Vector => false,
    }
}

/// Pictures that are asked for.
struct Pictures {
    cycles: Option<PathBuf>,
    roofline: Option<PathBuf>,
}

impl Pictures {
    /// That what is asked for can be drawn, before the work.
    fn check(&self, estimates: usize) -> anyhow::Result<()> {
        for (flag, path) in [("--plot", &self.cycles), ("--roofline", &self.roofline)] {
            let Some(path) = path else { continue };
            ensure!(estimates == 1, "{flag} draws one network on one accelerator, got {estimates} estimates");
            plot::check_path(path)?;
        }
        Ok(())
    }

    /// Draws the layers that take cycles.
    fn draw(&self, estimate: &Estimate, roof: &Roof, notes: Notes) -> anyhow::Result<()> {
        let layers = || estimate.layers.iter().filter(|layer| !is_free(layer));
        if let Some(path) = &self.cycles {
            let bars: Vec<Bar> = layers().map(Bar::of).collect();
            plot::write(path, &plot::cycles_svg(&bars, &estimate.total.breakdown, &estimate.title()))?;
            notes.line(&format!("wrote {}", path.display()));
        }
        if let Some(path) = &self.roofline {
            let points: Vec<RoofPoint> = layers().map(RoofPoint::of).collect();
            plot::write(path, &plot::roofline_svg(&points, &RoofPoint::whole(estimate), roof, &estimate.title()))?;
            notes.line(&format!("wrote {}", path.display()));
        }
        Ok(())
    }
}

/// What a table says of each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// Size, time and utilizations.
    Utilization,
    /// What the cycles go to.
    Breakdown,
}

fn text(estimate: &Estimate, free: usize, worst: Option<u64>, view: View) -> String {
    let layers = estimate.layers.iter().filter(|layer| !is_free(layer));
    let table = match view {
        View::Utilization => {
            let header =
                ["layer", "op", "MACs", "params", "cycles", "share", "ms", "mapping\nutil.", "overall\nutil.", "bound"];
            let rows = layers.map(|layer| row(layer, estimate.total.cycles.0)).collect();
            table(&Columns { header: &header, left: &[0, 1, 9], name: 0 }, rows)
        }
        View::Breakdown => {
            let parts = ["useful", "imba-\nlance", "columns", "rows", "load", "fill +\ndrain", "stall", "vector"];
            let header = [&["layer", "cycles"], &parts[..], &["bound"]].concat();
            table(&Columns { header: &header, left: &[0, 10], name: 0 }, layers.map(parts_row).collect())
        }
    };
    let mut text = format!("{}\n\n{table}", estimate.title());
    if let Some(worst) = worst {
        text.push_str(&format!("\nshown are the layers that lose most cycles to idle PEs, at most {worst}\n"));
    }
    match free {
        0 => {}
        1 => text.push_str("\n1 layer that multiplies nothing is left out: it takes no cycles\n"),
        _ => text.push_str(&format!("\n{free} layers that multiply nothing are left out: they take no cycles\n")),
    }
    if passes_mapping(estimate) {
        text.push_str(
            "\noverall above mapping utilization: uboost-csim counts no cycles for the last chunk of pixels\n",
        );
    }
    text + "\n" + &list("total", &totals(&estimate.total))
}

/// Whether an overall utilization, which is a part of the mapping's under every timing that counts all cycles, is above
/// it.
fn passes_mapping(estimate: &Estimate) -> bool {
    let above = |overall: Option<f64>, mapping: Option<f64>| matches!((overall, mapping), (Some(o), Some(m)) if o > m);
    let Total { overall_utilization, mapping_utilization, .. } = estimate.total;
    estimate.timing == Timing::UboostCsim.name()
        && (above(overall_utilization, mapping_utilization)
            || estimate.layers.iter().any(|layer| above(layer.overall_utilization, layer.mapping_utilization)))
}

/// A layer and the shares of its cycles; `-` for what takes none.
fn parts_row(layer: &LayerEstimate) -> Vec<String> {
    let share = |part| {
        let cycles = layer.breakdown.part(part);
        percent((cycles.0 > 0).then(|| cycles.0 as f64 / layer.cycles.0 as f64))
    };
    let mut row = vec![layer.name.clone(), grouped(layer.cycles.0)];
    row.extend(Part::ALL.map(share));
    row.push(bound(layer.bound).to_owned());
    row
}

/// The parts of at least a thousandth, largest first.
fn spent(breakdown: &Breakdown) -> String {
    let all = breakdown.total().0 as f64;
    let share = |part: Part| breakdown.part(part).0 as f64 / all;
    let mut parts: Vec<Part> = Part::ALL.into_iter().filter(|&part| share(part) >= 1e-3).collect();
    parts.sort_by(|&a, &b| share(b).total_cmp(&share(a)));
    let parts: Vec<String> =
        parts.into_iter().map(|part| format!("{} {}", part.name(), percent(Some(share(part))))).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

fn row(layer: &LayerEstimate, all_cycles: u64) -> Vec<String> {
    let share = (all_cycles > 0).then(|| layer.cycles.0 as f64 / all_cycles as f64);
    vec![
        layer.name.clone(),
        layer.op.clone(),
        short(layer.macs.0),
        short(layer.params),
        grouped(layer.cycles.0),
        percent(share),
        measure(layer.latency_ms),
        percent(layer.mapping_utilization),
        percent(layer.overall_utilization),
        bound(layer.bound).to_owned(),
    ]
}

fn bound(bound: Bound) -> &'static str {
    match bound {
        Bound::Array => "array",
        Bound::Memory => "memory",
        Bound::Vector => "vector",
        Bound::None => "none",
    }
}

fn totals(total: &Total) -> Vec<(&'static str, String)> {
    let mut totals = totals_known(total);
    if let Some(energy) = total.energy_uj {
        totals.push(("energy", format!("{} uJ", measure(energy))));
    }
    totals
}

fn totals_known(total: &Total) -> Vec<(&'static str, String)> {
    let unknown = || "unknown: a list of layers has no wires".to_owned();
    vec![
        ("MACs", grouped(total.macs.0)),
        ("parameters", grouped(total.params)),
        ("cycles", grouped(total.cycles.0)),
        ("spent on", spent(&total.breakdown)),
        ("latency", format!("{} ms", measure(total.latency_ms))),
        ("images/s", total.images_per_second.map_or("-".to_owned(), measure)),
        ("mapping utilization", percent(total.mapping_utilization)),
        ("overall utilization", percent(total.overall_utilization)),
        ("end-to-end utilization", percent(total.end_to_end_utilization)),
        ("DRAM traffic", format!("{} read, {} written", kib(total.bytes_read.0), kib(total.bytes_written.0))),
        ("weights", kib(total.weight_bytes.0)),
        ("peak activations", total.peak_activation_bytes.map_or_else(unknown, |bytes| kib(bytes.0))),
    ]
}

const CSV_HEADER: [&str; 34] = [
    "network",
    "accelerator",
    "timing",
    "batch",
    "name",
    "op",
    "macs",
    "params",
    "cycles",
    "latency_ms",
    "mapping_utilization",
    "overall_utilization",
    "bytes_read",
    "bytes_written",
    "energy_uj",
    "bound",
    "end_to_end_utilization",
    "units_array",
    "units_memory",
    "units_vector",
    "breakdown_useful",
    "breakdown_imbalance",
    "breakdown_columns",
    "breakdown_rows",
    "breakdown_load",
    "breakdown_fill_and_drain",
    "breakdown_stall",
    "breakdown_vector",
    "largest_loss",
    "traffic_weights",
    "traffic_inputs",
    "traffic_outputs",
    "split_n",
    "split_m",
];

/// One line per layer; what is not known is empty.
fn csv(estimates: &[Estimate]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(CSV_HEADER)?;
    for estimate in estimates {
        for layer in &estimate.layers {
            writer.write_record(csv_row(estimate, layer))?;
        }
    }
    match writer.into_inner() {
        Ok(bytes) => Ok(String::from_utf8(bytes)?),
        Err(error) => bail!("the CSV cannot be finished: {error}"),
    }
}

fn csv_row(estimate: &Estimate, layer: &LayerEstimate) -> [String; CSV_HEADER.len()] {
    let optional = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let [useful, imbalance, columns, rows, load, fill_and_drain, stall, vector] =
        Part::ALL.map(|part| layer.breakdown.part(part).to_string());
    [
        estimate.network.clone(),
        estimate.accelerator.clone(),
        estimate.timing.clone(),
        estimate.batch.to_string(),
        layer.name.clone(),
        layer.op.clone(),
        layer.macs.to_string(),
        layer.params.to_string(),
        layer.cycles.to_string(),
        layer.latency_ms.to_string(),
        optional(layer.mapping_utilization),
        optional(layer.overall_utilization),
        layer.bytes_read.0.to_string(),
        layer.bytes_written.0.to_string(),
        optional(layer.energy_uj),
        bound(layer.bound).to_owned(),
        optional(layer.end_to_end_utilization),
        layer.units.array.to_string(),
        layer.units.memory.to_string(),
        layer.units.vector.to_string(),
        useful,
        imbalance,
        columns,
        rows,
        load,
        fill_and_drain,
        stall,
        vector,
        layer.largest_loss.map_or_else(String::new, |part| part.name().to_owned()),
        layer.traffic.weights.0.to_string(),
        layer.traffic.inputs.0.to_string(),
        layer.traffic.outputs.0.to_string(),
        layer.split.n.to_string(),
        layer.split.m.to_string(),
    ]
}
