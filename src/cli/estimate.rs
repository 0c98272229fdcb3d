//! `systole estimate`: what networks cost, layer by layer.

use std::path::PathBuf;

use anyhow::{bail, ensure};

use crate::accel::Timing;
use crate::estimate::{Bound, Estimate, LayerEstimate, Total};
use crate::import::onnx::{Coverage, Options, UnknownNode};
use crate::jobs::{self, EstimateRequest};
use crate::plot::{self, Bar};

use super::numbers::{grouped, kib, measure, percent, short};
use super::table::{Columns, list, table};
use super::{End, Notes};

const EXAMPLES: &str = "\
Examples:
  systole estimate network.yaml --accel small-32x32
  systole estimate network.onnx --accel small-32x32 --dim sequence=128
  systole estimate topology.csv --accel my-array.yaml,small-32x32 --timing scale-sim
  systole estimate a.yaml b.yaml --accel small-32x32 --accel uboost-128x128 --batch 8 --json
  systole estimate network.yaml --accel small-32x32 --worst 5 --plot cycles.svg";

/// What `estimate` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Networks: .yaml (network file), .onnx, or .csv (SCALE-Sim topology, either form)
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<PathBuf>,
    /// Accelerator: a shipped name or a path; may stand several times, or hold a comma list
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
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, one line per layer
    #[arg(long)]
    csv: bool,
    /// Draw the cycles of each layer to FILE, .svg or .png
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Only the N layers that lose most cycles to idle PEs, most first; totals stay those of the whole network
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    worst: Option<u64>,
}

pub(super) fn run(args: Args, notes: Notes) -> anyhow::Result<End> {
    if let Some(path) = &args.plot {
        let count = args.networks.len() * args.accel.len();
        ensure!(count == 1, "--plot draws one network on one accelerator, got {count} estimates");
        plot::check_path(path)?;
    }
    let accelerators = args.accel.len();
    let mut estimates = jobs::estimate(&EstimateRequest {
        networks: args.networks,
        accelerators: args.accel,
        batch: args.batch,
        timing: args.timing,
        onnx: Options { dims: args.dims.into_iter().collect() },
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
    let free: Vec<usize> = estimates.iter().map(|estimate| estimate.layers.iter().filter(is_free).count()).collect();
    if let Some(worst) = args.worst {
        let count = usize::try_from(worst).unwrap_or(usize::MAX);
        estimates.iter_mut().for_each(|estimate| jobs::keep_worst(estimate, count));
    }
    if let (Some(path), [estimate]) = (&args.plot, estimates.as_slice()) {
        plot::write(path, &plot::estimate_bars_svg(&bars(estimate), &title(estimate)))?;
        notes.line(&format!("wrote {}", path.display()));
    }
    let text = match (args.json, args.csv) {
        (true, _) => serde_json::to_string_pretty(&estimates)? + "\n",
        (false, true) => csv(&estimates)?,
        (false, false) => {
            let tables = estimates.iter().zip(free).map(|(estimate, free)| text(estimate, free, args.worst));
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

/// Whether the layer multiplies nothing and takes no time.
fn is_free(layer: &&LayerEstimate) -> bool {
    match layer.bound {
        Bound::None => true,
        Bound::Array | Bound::Memory | Bound::Vector => false,
    }
}

fn title(estimate: &Estimate) -> String {
    let Estimate { network, accelerator, timing, batch, .. } = estimate;
    format!("{network} on {accelerator}, timing {timing}, batch {batch}")
}

fn bars(estimate: &Estimate) -> Vec<Bar> {
    let bar = |layer: &LayerEstimate| Bar {
        name: layer.name.clone(),
        cycles: layer.cycles,
        utilization: layer.overall_utilization,
    };
    estimate.layers.iter().filter(|layer| !is_free(layer)).map(bar).collect()
}

fn text(estimate: &Estimate, free: usize, worst: Option<u64>) -> String {
    let header =
        ["layer", "op", "MACs", "params", "cycles", "share", "ms", "mapping\nutil.", "overall\nutil.", "bound"];
    let columns = Columns { header: &header, left: &[0, 1, 9], name: 0 };
    let layers = estimate.layers.iter().filter(|layer| !is_free(layer));
    let rows = layers.map(|layer| row(layer, estimate.total.cycles.0)).collect();
    let mut text = format!("{}\n\n{}", title(estimate), table(&columns, rows));
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
    let unknown = || "unknown: a list of layers has no wires".to_owned();
    vec![
        ("MACs", grouped(total.macs.0)),
        ("parameters", grouped(total.params)),
        ("cycles", grouped(total.cycles.0)),
        ("latency", format!("{} ms", measure(total.latency_ms))),
        ("images/s", total.images_per_second.map_or("-".to_owned(), measure)),
        ("mapping utilization", percent(total.mapping_utilization)),
        ("overall utilization", percent(total.overall_utilization)),
        ("end-to-end utilization", percent(total.end_to_end_utilization)),
        ("weights", kib(total.weight_bytes.0)),
        ("peak activations", total.peak_activation_bytes.map_or_else(unknown, |bytes| kib(bytes.0))),
    ]
}

const CSV_HEADER: [&str; 16] = [
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
    ]
}
