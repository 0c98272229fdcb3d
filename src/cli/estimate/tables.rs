//! Estimates as tables.

use crate::accel::Timing;
use crate::cli::numbers::{grouped, kib, measure, percent, short};
use crate::cli::table::{Columns, list, table};
use crate::estimate::{Bound, Breakdown, Estimate, LayerEstimate, Part, Total};

/// How many layers multiply nothing and take no time.
pub(super) fn free_layers(estimate: &Estimate) -> usize {
    estimate.layers.iter().filter(is_free).count()
}

/// Whether the layer multiplies nothing and takes no time.
pub(super) fn is_free(layer: &&LayerEstimate) -> bool {
    match layer.bound {
        Bound::None => layer.macs.0 == 0,
        Bound::Array | Bound::Memory | Bound::Vector => false,
    }
}

/// What a table says of each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// Size, time and utilizations.
    Utilization,
    /// What the cycles go to.
    Breakdown,
}

/// What of an estimate is shown.
pub(super) struct Shown {
    /// Layers that take no time, left out.
    pub(super) free: usize,
    /// How many layers there are at most, where only the worst are shown.
    pub(super) worst: Option<u64>,
    /// What is said of each.
    pub(super) view: View,
}

pub(super) fn text(estimate: &Estimate, shown: &Shown) -> String {
    let Shown { free, worst, view } = *shown;
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

pub(super) fn bound(bound: Bound) -> &'static str {
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
