//! `systole accel`: the shipped accelerators.

use std::path::Path;

use crate::accel::{Accelerator, Array, Shipped};
use crate::jobs::NamedAccelerator;
use crate::load;

use super::numbers::digits;
use super::table::{Columns, table};
use super::{End, Notes};

const EXAMPLES: &str = "\
Examples:
  systole accel
  systole accel small-32x32
  systole accel small-32x32 > my-array.yaml
  systole accel scale.cfg > my-array.yaml";

/// What `accel` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Print this accelerator's file (a shipped name, or a path; of a SCALE-Sim .cfg what it amounts to) instead of the
    /// list
    name: Option<String>,
}

pub(super) fn run(args: Args, notes: Notes) -> anyhow::Result<End> {
    match args.name {
        Some(name) => super::output(&text(&name, notes)?)?,
        None => super::output(&list()?)?,
    }
    Ok(End::Done)
}

/// The file of an accelerator, after it was read as one.
fn text(name: &str, notes: Notes) -> anyhow::Result<String> {
    let NamedAccelerator { yaml, notes: said, .. } = NamedAccelerator::load(name, None)?;
    said.iter().for_each(|note| notes.line(note));
    if let Some(yaml) = yaml {
        return Ok(yaml);
    }
    match Accelerator::shipped().iter().find(|shipped| shipped.name == name) {
        Some(shipped) => Ok(shipped.text.to_owned()),
        None => Ok(load::text(Path::new(name))?),
    }
}

fn list() -> anyhow::Result<String> {
    let header = ["name", "array", "dataflow", "clock", "timing"];
    let accelerators = Accelerator::shipped().iter().map(Shipped::accelerator);
    let rows = accelerators.map(|accelerator| Ok(row(&accelerator?))).collect::<anyhow::Result<_>>()?;
    Ok(table(&Columns { header: &header, left: &[0, 1, 2, 3, 4], name: 0 }, rows))
}

fn row(accelerator: &Accelerator) -> Vec<String> {
    vec![
        accelerator.name.clone(),
        array(&accelerator.array),
        accelerator.dataflow.to_string(),
        format!("{} MHz", digits(accelerator.clock.get(), 6)),
        accelerator.timing.to_string(),
    ]
}

/// `128x128`, or `4 x 128x128`.
pub(super) fn array(array: &Array) -> String {
    match array.count {
        1 => format!("{}x{}", array.rows, array.cols),
        count => format!("{count} x {}x{}", array.rows, array.cols),
    }
}
