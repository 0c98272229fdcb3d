//! `systole pareto`: the front of accuracy and latency.

use std::path::PathBuf;

use crate::jobs::{self, ParetoOutcome, ParetoRequest};
use crate::pareto::{self, Front, Point, Reference};

use super::numbers::{digits, percent, short};
use super::table::{Columns, list, table};
use super::{End, Notes};

const EXAMPLES: &str = "\
Examples:
  systole pareto results/*-s0
  systole pareto results/a-s0 results/b-s0 --reference 0.4,0.05 --out front
  systole pareto results/*-s0 --json";

/// What `pareto` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Run folders
    #[arg(required = true, value_name = "RUN_DIR")]
    folders: Vec<PathBuf>,
    /// Corner that bounds the hypervolume: an error (a fraction) and a latency in ms; a tenth beyond the front's worst
    /// values where absent
    #[arg(long, value_name = "ERROR,MS", value_parser = reference)]
    reference: Option<Reference>,
    /// Write front.csv, front.svg and front.png into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn reference(text: &str) -> Result<Reference, String> {
    let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    let parts = text.split_once(',').and_then(|(error, latency)| Some([number(error)?, number(latency)?]));
    match parts {
        Some([error, latency_ms]) => Ok(Reference { error, latency_ms }),
        None => Err("must be an error as a fraction and a latency in ms, both above 0, as 0.4,0.05".to_owned()),
    }
}

pub(super) fn run(args: Args, notes: Notes) -> anyhow::Result<End> {
    let request = ParetoRequest { folders: args.folders, reference: args.reference };
    let ParetoOutcome { fronts, warnings, left_out } = jobs::pareto(&request)?;
    for warning in warnings {
        notes.line(&format!("warning: {warning}"));
    }
    if let Some(out) = &args.out {
        for path in jobs::write_fronts(out, &fronts)? {
            notes.line(&format!("wrote {}", path.display()));
        }
    }
    let text = if args.json { pareto::json(&fronts) } else { fronts.iter().map(text).collect::<Vec<_>>().join("\n") };
    super::output(&text)?;
    Ok(if left_out == 0 { End::Done } else { End::Partial })
}

fn text(front: &Front) -> String {
    let header = ["front", "name", "accuracy", "error", "latency ms", "utilization", "params", "MACs"];
    let columns = Columns { header: &header, left: &[0, 1], name: 1 };
    let mut order: Vec<usize> = (0..front.points().len()).collect();
    order.sort_by(|&a, &b| front.points()[a].latency_ms.total_cmp(&front.points()[b].latency_ms));
    let rows = order.into_iter().map(|place| row(&front.points()[place], front.members().contains(&place))).collect();
    let Reference { error, latency_ms } = front.reference();
    let mut volume = vec![
        ("hypervolume", format!("{} ms", digits(front.hypervolume(), 6))),
        ("reference", format!("error {}, latency {} ms", digits(error, 6), digits(latency_ms, 6))),
    ];
    if let Some(names) = some_of(&front.outside()) {
        volume.push(("outside", format!("{names}: beyond the reference, no part of the hypervolume")));
    }
    let title =
        format!("front on {}: {} of {} points", front.accelerator(), front.members().len(), front.points().len());
    format!("{title}\n\n{}\n{}", table(&columns, rows), list("area below the reference", &volume))
}

/// The first few names, and how many more there are; nothing of none.
fn some_of(names: &[&str]) -> Option<String> {
    const FEW: usize = 4;
    match names.len() {
        0 => None,
        1..=FEW => Some(names.join(", ")),
        all => Some(format!("{} and {} more", names[..FEW].join(", "), all - FEW)),
    }
}

fn row(point: &Point, on_front: bool) -> Vec<String> {
    let count = |value: Option<u64>| value.map_or("-".to_owned(), short);
    vec![
        if on_front { "*" } else { "" }.to_owned(),
        point.name.clone(),
        format!("{:.2}%", 100.0 * (1.0 - point.error)),
        digits(point.error, 4),
        digits(point.latency_ms, 4),
        percent(point.utilization),
        count(point.params),
        count(point.macs.map(|macs| macs.0)),
    ]
}
