//! The best of the advice of an estimate.

use std::cmp::Reverse;

use crate::cli::numbers::{measure, percent};
use crate::cli::table::{Columns, table};
use crate::estimate::{Advice, AdviceKind, Estimate};

/// Lines of each section.
const SHOWN: usize = 3;

/// The three changes of widths that save most, the three of the accelerator (of each kind the best), and the three
/// widths with most slack.
pub(super) fn advice(estimate: &Estimate) -> String {
    let all = &estimate.total.advice;
    if all.is_empty() {
        return "\nadvice: no change is known that saves cycles or is free\n".to_owned();
    }
    let widths = all.iter().filter(|advice| advice.kind == AdviceKind::Width).take(SHOWN);
    let mut kinds = Vec::new();
    let accelerator = all.iter().filter(|advice| {
        let new = is_of_accelerator(advice.kind) && !kinds.contains(&advice.kind);
        kinds.push(advice.kind);
        new
    });
    let mut slack: Vec<&Advice> = all.iter().filter(|advice| advice.kind == AdviceKind::Slack).collect();
    slack.sort_by_key(|advice| Reverse(gained(advice)));
    let shown: Vec<&Advice> = widths.chain(accelerator.take(SHOWN)).chain(slack.into_iter().take(SHOWN)).collect();
    let header = ["advice", "change", "cycles\nper image", "saved", "params", "MACs\nper image"];
    let count = shown.len();
    let rows = shown.into_iter().map(row).collect();
    let table = table(&Columns { header: &header, left: &[0, 1], name: 1 }, rows);
    let more = match all.len() - count {
        0 => String::new(),
        more => format!("\n{more} more in --json\n"),
    };
    format!("\n{table}{more}")
}

fn is_of_accelerator(kind: AdviceKind) -> bool {
    match kind {
        AdviceKind::Width | AdviceKind::Slack | AdviceKind::Wider => false,
        AdviceKind::Dataflow
        | AdviceKind::LayerDataflow
        | AdviceKind::Array
        | AdviceKind::Count
        | AdviceKind::Depthwise
        | AdviceKind::Memory
        | AdviceKind::Batch => true,
    }
}

/// MACs that a change adds.
fn gained(advice: &Advice) -> u64 {
    advice.after.macs.0.saturating_sub(advice.before.macs.0)
}

fn row(advice: &Advice) -> Vec<String> {
    let Advice { before, after, .. } = advice;
    let per_image = |macs: u64, batch: u64| macs as f64 / batch as f64;
    vec![
        name(advice.kind).to_owned(),
        advice.change.clone(),
        measure(per_image(after.cycles.0, after.batch)),
        percent(Some(advice.saved)),
        change(before.params as f64, after.params as f64),
        change(per_image(before.macs.0, before.batch), per_image(after.macs.0, after.batch)),
    ]
}

fn name(kind: AdviceKind) -> &'static str {
    match kind {
        AdviceKind::Width => "width",
        AdviceKind::Slack => "free slack",
        AdviceKind::Wider => "wider",
        AdviceKind::Dataflow | AdviceKind::LayerDataflow => "dataflow",
        AdviceKind::Array | AdviceKind::Count => "array",
        AdviceKind::Depthwise => "depthwise",
        AdviceKind::Memory => "memory",
        AdviceKind::Batch => "batch",
    }
}

/// A relative change with its sign; `=` for none.
pub(super) fn change(before: f64, after: f64) -> String {
    if before == after {
        return "=".to_owned();
    }
    if before == 0.0 { "new".to_owned() } else { format!("{:+.1}%", 100.0 * (after / before - 1.0)) }
}
