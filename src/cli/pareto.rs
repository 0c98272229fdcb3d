//! `systole pareto`: the front of accuracy and latency.

mod answer;

use std::path::{Path, PathBuf};

use crate::accel::Timing;
use crate::jobs::{
    self, Answer, CoSearch, NamedAccelerator, ParetoOutcome, ParetoRequest, Picked, Said, TableOutcome, TableRequest,
};
use crate::network::Network;
use crate::pareto::{self, Front, Objectives, Pick, Point, Reference, Table};
use crate::report::Networks;

use super::numbers::counted;
use super::{End, Notes};

const EXAMPLES: &str = "\
Examples:
  systole pareto results/*-s0
  systole pareto results/a-s0 results/b-s0 --reference 0.4,0.05 --out front
  systole pareto results/*-s0 --report front.html
  systole pareto results/*-s0 --objectives error,latency-ms,energy-uj
  systole pareto results/*-s0 --json
  systole pareto results/*-s0 --pick 'latency-ms<=0.05'
  systole pareto --table benchmark.csv --space nas-bench-macro --accel tpu-v2,edge-tpu --out front
  systole pareto --table benchmark.csv --space nas-bench-macro --accel small-32x32 --co-search 16x64,32x32,64x16
  systole pareto --table benchmark.csv --space nas-bench-201 --accel tpu-v1 --pick knee --json";

/// What `pareto` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Run folders
    #[arg(required_unless_present = "table", conflicts_with = "table", value_name = "RUN_DIR")]
    folders: Vec<PathBuf>,
    /// A benchmark's table: CSV with the columns `arch` and an accuracy in percent, every network of which is estimated
    #[arg(long, value_name = "FILE.csv", requires_all = ["space", "accel"])]
    table: Option<PathBuf>,
    /// What reads the table's architecture strings: nas-bench-201, nas-bench-macro, mnasnet, a job whose space has
    /// `strings`, or darts or darts-imagenet for genotypes
    #[arg(long, value_name = "SPACE", requires = "table")]
    space: Option<String>,
    /// Accelerator: a shipped name or a path (.yaml, or .cfg of SCALE-Sim); may stand several times, or hold a comma list
    #[arg(long, value_name = "A", value_delimiter = ',', requires = "table")]
    accel: Vec<String>,
    /// Timing, where not the accelerator's own: ideal, pipelined, scale-sim or uboost-csim
    #[arg(long, value_name = "T", requires = "table")]
    timing: Option<Timing>,
    /// The table's column of accuracies, mean_acc where absent
    #[arg(long, value_name = "C", requires = "table")]
    accuracy_column: Option<String>,
    /// The joint front of network and array: arrays in the place of the accelerator's own, ROWSxCOLS,ROWSxCOLS,...; or a
    /// number of PEs, or `same` for as many as its own, for all arrays whose sides are powers of two
    #[arg(long, value_name = "ARRAYS", requires = "table")]
    co_search: Option<CoSearch>,
    /// What the front is about, two to four of error, latency-ms, utilization, energy-uj, macs, params, weight-kib; of
    /// utilization more is better, of the others less
    #[arg(long, value_name = "LIST", default_value = "error,latency-ms")]
    objectives: Objectives,
    /// Corner that bounds the hypervolume: an error (a fraction) and a latency in ms, or a value for each of the
    /// objectives; a tenth beyond the front's worst values where absent
    #[arg(long, value_name = "ERROR,MS", value_parser = corner)]
    reference: Option<Corner>,
    /// Print one point of the front: the most accurate with 'latency-ms<=MS', the fastest with 'error<=FRACTION' or
    /// 'accuracy>=FRACTION', or `knee`, the farthest from the line between the front's ends
    #[arg(long, value_name = "RULE")]
    pick: Option<Pick>,
    /// Write front.csv (all points), front.svg and front.png into this folder; of a table also the networks of the front
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write one HTML file to look through, which needs no network
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A value for each objective.
#[derive(Debug, Clone)]
struct Corner(Vec<f64>);

fn corner(text: &str) -> Result<Corner, String> {
    let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    let values: Option<Vec<f64>> = text.split(',').map(number).collect();
    let rule =
        "must be a value for each objective, none below 0, as 0.4,0.05: an error as a fraction and a latency in ms";
    values.filter(|values| values.len() > 1).map(Corner).ok_or_else(|| rule.to_owned())
}

pub(super) fn reference(text: &str) -> Result<Reference, String> {
    let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    let parts = text.split_once(',').and_then(|(error, latency)| Some([number(error)?, number(latency)?]));
    match parts {
        Some([error, latency_ms]) => Ok(Reference { error, latency_ms }),
        None => Err("must be an error as a fraction and a latency in ms, both above 0, as 0.4,0.05".to_owned()),
    }
}

/// Fronts, whatever their points are of.
struct Found {
    fronts: Vec<Front>,
    said: Vec<Said>,
    /// The networks of a table's fronts.
    networks: Option<Vec<Network>>,
    /// Networks and layers of a table's points, for a report.
    shown: Option<Networks>,
    warnings: Vec<String>,
    left_out: usize,
}

pub(super) fn run(args: Args, notes: Notes) -> anyhow::Result<End> {
    let mut found = match (&args.table, &args.space) {
        (Some(table), Some(space)) => of_table(table, space, &args, notes)?,
        (Some(_) | None, _) => of_runs(&args)?,
    };
    if let Some(path) = &args.report {
        jobs::write_report(path, &found.fronts, found.shown.take(), &found.warnings)?;
        notes.line(&format!("wrote {}", path.display()));
    }
    for warning in &found.warnings {
        notes.line(&format!("warning: {warning}"));
    }
    if let Some(pick) = &args.pick {
        for (front, said) in found.fronts.iter().zip(&mut found.said) {
            said.pick = Some(Picked::of(front, pick));
        }
    }
    if let Some(out) = &args.out {
        write(out, &found, notes)?;
    }
    let answers = || found.fronts.iter().zip(&found.said).map(|(front, said)| Answer { front, said });
    let text = if args.json {
        pareto::json(&answers().collect::<Vec<_>>())
    } else {
        answers().map(|answer| answer::text(&answer)).collect::<Vec<_>>().join("\n")
    };
    super::output(&text)?;
    let unmet = answers().filter_map(|answer| answer::unmet(&answer)).collect::<Vec<_>>();
    unmet.iter().for_each(|line| notes.line(&format!("warning: {line}")));
    Ok(if found.left_out == 0 && unmet.is_empty() { End::Done } else { End::Partial })
}

fn of_runs(args: &Args) -> anyhow::Result<Found> {
    let request = ParetoRequest {
        folders: args.folders.clone(),
        objectives: args.objectives.clone(),
        reference: args.reference.clone().map(|Corner(values)| values),
    };
    let ParetoOutcome { fronts, warnings, left_out } = jobs::pareto(&request)?;
    let said = vec![Said::default(); fronts.len()];
    Ok(Found { fronts, said, networks: None, shown: None, warnings, left_out })
}

fn of_table(table: &Path, space: &str, args: &Args, notes: Notes) -> anyhow::Result<Found> {
    let mut accelerators = Vec::new();
    for name in &args.accel {
        let named = NamedAccelerator::load(name, None)?;
        named.notes.iter().for_each(|note| notes.line(note));
        accelerators.push(named);
    }
    let request = TableRequest {
        table: table.to_owned(),
        column: args.accuracy_column.clone().unwrap_or_else(|| Table::ACCURACY.to_owned()),
        space: space.to_owned(),
        accelerators: &accelerators,
        timing: args.timing,
        objectives: args.objectives.clone(),
        reference: args.reference.clone().map(|Corner(values)| values),
        co_search: args.co_search.clone(),
        shown: args.report.is_some(),
    };
    let TableOutcome { fronts, said, networks, shown, warnings, left_out } = jobs::pareto_table(&request)?;
    Ok(Found { fronts, said, networks: Some(networks), shown, warnings, left_out })
}

fn write(out: &Path, found: &Found, notes: Notes) -> anyhow::Result<()> {
    let wrote = |path: &Path| notes.line(&format!("wrote {}", path.display()));
    jobs::write_fronts(out, &found.fronts)?.iter().for_each(|path| wrote(path));
    if let Some(networks) = &found.networks {
        let folder = jobs::write_networks(out, networks)?;
        notes.line(&format!("wrote {}: {}", folder.display(), counted(networks.len(), "network")));
        return Ok(());
    }
    let picked: Vec<&Point> = found.said.iter().filter_map(|said| said.pick.as_ref()?.point.as_ref()).collect();
    jobs::copy_networks(out, &picked)?.iter().for_each(|path| wrote(path));
    Ok(())
}
