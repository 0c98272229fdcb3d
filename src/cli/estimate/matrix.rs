//! Several networks on several accelerators at a glance.

use crate::cli::numbers::{measure, percent};
use crate::cli::table::{Columns, table, width};
use crate::estimate::Estimate;

/// Blanks between columns.
const GAP: usize = 2;

/// Latency and end-to-end utilization, a line for each network and a column for each accelerator; `networks` and
/// `accelerators` are what they were asked for by, for those of one name.
pub(super) fn matrix(estimates: &[Estimate], networks: &[String], accelerators: &[String]) -> String {
    let lines: Vec<&[Estimate]> = estimates.chunks(accelerators.len().max(1)).collect();
    let heads = unique(lines.iter().filter_map(|line| Some(line.first()?.network.as_str())), networks);
    let columns =
        unique(lines.iter().take(1).flat_map(|line| line.iter()).map(|e| e.accelerator.as_str()), accelerators);
    let cells = |cell: fn(&Estimate) -> String| -> Vec<Vec<String>> {
        lines.iter().map(|line| line.iter().map(cell).collect()).collect()
    };
    let latency = cells(|estimate| measure(estimate.total.latency_ms));
    let utilization = cells(|estimate| percent(estimate.total.end_to_end_utilization));
    let grid = |title: &str, cells: &[Vec<String>]| format!("{title}\n\n{}", grid(&heads, &columns, cells));
    let (latency, utilization) = (grid("latency in ms", &latency), grid("end-to-end utilization", &utilization));
    format!("{}{latency}\n{utilization}", conditions(estimates))
}

/// Timing and batch, where they are the same for all.
fn conditions(estimates: &[Estimate]) -> String {
    let Some(first) = estimates.first() else { return String::new() };
    if estimates.iter().all(|estimate| estimate.timing == first.timing) {
        format!("timing {}, batch {}\n\n", first.timing, first.batch)
    } else {
        format!("timing of each accelerator, batch {}\n\n", first.batch)
    }
}

/// The names, or how each was asked for where two are equal.
fn unique<'a>(names: impl Iterator<Item = &'a str>, asked: &[String]) -> Vec<String> {
    let names: Vec<&str> = names.collect();
    let single = |name: &str| names.iter().filter(|&&other| other == name).count() == 1;
    names.iter().zip(asked).map(|(name, asked)| if single(name) { (*name).to_owned() } else { asked.clone() }).collect()
}

/// A table, its columns in as many blocks as the width needs.
fn grid(heads: &[String], columns: &[String], cells: &[Vec<String>]) -> String {
    let wide = |place: usize| {
        let cells = cells.iter().map(|line| line[place].chars().count());
        cells.chain([columns[place].chars().count()]).max().unwrap_or(0) + GAP
    };
    let head = heads.iter().map(|head| head.chars().count()).max().unwrap_or(0).max("network".len()) + GAP;
    let room = usize::from(width()).saturating_sub(head);
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    let mut left = 0;
    for place in 0..columns.len() {
        match blocks.last_mut() {
            Some(block) if wide(place) <= left => block.push(place),
            Some(_) | None => {
                blocks.push(vec![place]);
                left = room;
            }
        }
        left = left.saturating_sub(wide(place));
    }
    let block = |places: &Vec<usize>| {
        let header: Vec<&str> =
            std::iter::once("network").chain(places.iter().map(|&place| columns[place].as_str())).collect();
        let line = |(head, cells): (&String, &Vec<String>)| {
            std::iter::once(head.clone()).chain(places.iter().map(|&place| cells[place].clone())).collect()
        };
        table(&Columns { header: &header, left: &[0], name: 0 }, heads.iter().zip(cells).map(line).collect())
    };
    blocks.iter().map(block).collect::<Vec<_>>().join("\n")
}
