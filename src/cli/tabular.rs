//! `systole search --table`: a search that reads the table of a benchmark.

use std::path::Path;

use super::numbers::digits;
use super::progress::Bars;
use super::search::Args;
use super::{End, Notes};
use crate::jobs::{self, Job, TabularRequest, TabularRun};
use crate::record::{FanFound, TableSearch, default_path};

/// Runs the job of `args` against `table`.
pub(super) fn run(args: &Args, table: &Path, notes: Notes) -> anyhow::Result<End> {
    let mut bars = Bars::new(notes)?;
    let job = Job::load(&args.job, &args.overrides())?;
    let request = TabularRequest {
        table: table.to_owned(),
        column: args.accuracy_column.clone(),
        evaluations: args.evaluations.expect("clap asks for it beside the table"),
        reference: args.reference,
        out: args.out.clone().unwrap_or_else(|| default_path(&job.name, job.settings.seed)),
        existing: args.existing(),
    };
    let run = jobs::tabular(&job, &request, &mut bars)?;
    bars.finish();
    run.summary.warnings.iter().for_each(|warning| notes.line(&format!("warning: {warning}")));
    super::output(&told(&run))?;
    Ok(if run.summary.is_finished() { End::Done } else { End::Interrupted })
}

/// What was read and found, and where it lies.
fn told(TabularRun { folder, summary }: &TabularRun) -> String {
    let mut lines = vec![("method", summary.method.clone().unwrap_or_default())];
    if let Some(table) = &summary.table {
        lines.extend(read(table));
        lines.extend(table.fan.as_ref().map(fan));
    }
    let accuracy = summary.accuracy.test.map_or(f64::NAN, |accuracy| 100.0 * accuracy);
    let (latency, name) = (digits(summary.latency_ms, 6), &summary.accelerator);
    lines.push(("most accurate", format!("{accuracy:.2} % in the table, {latency} ms on {name} at batch 1")));
    lines.push(("stopped by", summary.stop_reason.clone()));
    lines.push(("run folder", folder.display().to_string()));
    lines.iter().map(|(name, value)| format!("{name:<16} {value}\n")).collect()
}

/// A finite set of networks, not a curve.
fn fan(FanFound { preferences, networks, on_front, hypervolume_share, .. }: &FanFound) -> (&'static str, String) {
    let share = 100.0 * hypervolume_share;
    let text = format!(
        "{networks} networks over {preferences} preferences, {on_front} of them on the front; {share:.2} % of the exact front's \
         hypervolume alone"
    );
    ("fan", text)
}

fn read(table: &TableSearch) -> [(&'static str, String); 4] {
    let TableSearch { rows, evaluations, rows_read, front, hypervolume_share, reference_margin, .. } = table;
    let corner = [table.reference_error, table.reference_latency_ms].map(|value| digits(value, 6));
    let origin = reference_margin.map_or("as given".to_owned(), |margin| {
        format!("the exact front's worst and {} % of its range", 100.0 * margin)
    });
    [
        ("evaluations", format!("{evaluations}, of {rows_read} different rows of {rows}")),
        ("front", format!("{front} networks")),
        ("hypervolume", format!("{:.2} % of the exact front's", 100.0 * hypervolume_share)),
        ("reference", format!("error {}, latency {} ms: {origin}", corner[0], corner[1])),
    ]
}
