//! Two estimates against each other.

use super::advice::change;
use crate::cli::numbers::{grouped, kib, measure, percent};
use crate::cli::table::{Columns, list, table};
use crate::estimate::{Compared, Comparison, LayerDifference};

/// A table of the layers that take cycles in either, and the totals.
pub(super) fn text(comparison: &Comparison) -> String {
    let header = ["layer", "cycles\nbefore", "cycles\nafter", "difference", "", "most in", "by"];
    let takes = |layer: &&LayerDifference| {
        let difference = &layer.difference;
        difference.cycles_before.0 > 0 || difference.cycles_after.0 > 0
    };
    let rows: Vec<Vec<String>> = comparison.layers.iter().filter(takes).map(row).collect();
    let free = comparison.layers.len() - rows.len();
    let table = table(&Columns { header: &header, left: &[0, 5], name: 0 }, rows);
    let left_out = match free {
        0 => String::new(),
        1 => "\n1 layer that takes no cycles in either is left out\n".to_owned(),
        _ => format!("\n{free} layers that take no cycles in either are left out\n"),
    };
    let (before, after) = (title(&comparison.before), title(&comparison.after));
    let totals = list("total", &totals(comparison));
    format!("before  {before}\nafter   {after}\n\n{table}{left_out}\n{totals}")
}

fn title(compared: &Compared) -> String {
    let Compared { network, accelerator, timing, batch, .. } = compared;
    format!("{network} on {accelerator}, timing {timing}, batch {batch}")
}

fn row(layer: &LayerDifference) -> Vec<String> {
    let name = match (&layer.before, &layer.after) {
        (Some(before), Some(after)) if before == after => before.clone(),
        (Some(before), Some(after)) => format!("{before} / {after}"),
        (Some(before), None) => format!("{before} (gone)"),
        (None, Some(after)) => format!("{after} (new)"),
        (None, None) => String::new(),
    };
    let difference = &layer.difference;
    let (before, after) = (difference.cycles_before.0, difference.cycles_after.0);
    vec![
        name,
        if layer.before.is_some() { grouped(before) } else { "-".to_owned() },
        if layer.after.is_some() { grouped(after) } else { "-".to_owned() },
        signed(difference.cycles),
        change(before as f64, after as f64),
        difference.part.map_or("-", |part| part.name()).to_owned(),
        if difference.part.is_some() { signed(difference.part_cycles) } else { "-".to_owned() },
    ]
}

fn totals(comparison: &Comparison) -> Vec<(&'static str, String)> {
    let Comparison { before, after, total, .. } = comparison;
    let numbers = |from: u64, to: u64| both(grouped(from), grouped(to), &change(from as f64, to as f64));
    let times = (total.latency_ms_before, total.latency_ms_after);
    let (from, to) = (before.end_to_end_utilization, after.end_to_end_utilization);
    let mut totals = vec![
        ("cycles", numbers(total.cycles_before.0, total.cycles_after.0)),
        ("latency", format!("{} ms", both(measure(times.0), measure(times.1), &change(times.0, times.1)))),
        ("most in", total.part.map_or("-".to_owned(), |part| format!("{} {}", part.name(), signed(total.part_cycles)))),
        ("end-to-end utilization", format!("{} -> {}", percent(from), percent(to))),
        ("MACs", numbers(before.macs.0, after.macs.0)),
        ("parameters", numbers(before.params, after.params)),
        ("DRAM traffic", traffic(before.traffic.0, after.traffic.0)),
    ];
    if let (Some(from), Some(to)) = (before.energy_uj, after.energy_uj) {
        totals.push(("energy", format!("{} uJ", both(measure(from), measure(to), &change(from, to)))));
    }
    totals
}

fn traffic(before: u64, after: u64) -> String {
    both(kib(before), kib(after), &change(before as f64, after as f64))
}

fn both(before: String, after: String, change: &str) -> String {
    format!("{before} -> {after} ({change})")
}

/// A difference, grouped, with its sign; `=` for none.
fn signed(difference: i64) -> String {
    match difference {
        0 => "=".to_owned(),
        below if below < 0 => format!("-{}", grouped(below.unsigned_abs())),
        above => format!("+{}", grouped(above.unsigned_abs())),
    }
}
