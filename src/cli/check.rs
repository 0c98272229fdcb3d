//! `systole check`: what files hold, or what is wrong with them.

use std::path::PathBuf;

use crate::jobs::{
    self, AcceleratorFacts, ArchitectureFacts, Checked, Derived, JobFacts, NetworkFacts, RecordFacts, SchemaKind,
    TopologyFacts, Verdict,
};
use crate::space::{Extent, Extremes};

use super::End;
use super::accel::array;
use super::numbers::{digits, grouped, power_of_ten, short};

/// Numbers of architectures above are rounded.
const EXACT: u64 = 10_000_000;

const EXAMPLES: &str = "\
Examples:
  systole check search-spaces/*.yaml accel-models/*.yaml
  systole check job.yaml architecture.yaml
  systole check --schema job > job.schema.json";

/// What `check` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Files: a network, an accelerator, a job, an architecture (held against the job of its space, if that is given
    /// as well), what runs and sweeps write (estimate.json, summary.json, history.jsonl, sweep.json), or SCALE-Sim's: a
    /// topology (.csv) or a configuration (.cfg)
    #[arg(required_unless_present = "schema", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print the JSON Schema of a kind instead: network, accelerator, job, architecture, estimate, comparison,
    /// history, summary or sweep
    #[arg(long, value_name = "KIND", conflicts_with = "files")]
    schema: Option<SchemaKind>,
}

pub(super) fn run(args: Args) -> anyhow::Result<End> {
    if let Some(kind) = args.schema {
        super::output(&(serde_json::to_string_pretty(&jobs::schema(kind))? + "\n"))?;
        return Ok(End::Done);
    }
    let mut end = End::Done;
    for Checked { path, outcome } in jobs::check(&args.files) {
        match outcome {
            Ok(verdict) => super::output(&format!("{}: {}\n", path.display(), text(&verdict)))?,
            Err(error) => {
                super::error_line(&format!("error: {error}"));
                end = End::Failed;
            }
        }
    }
    Ok(end)
}

fn text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Network(facts) => network(facts),
        Verdict::Accelerator(facts) => accelerator(facts),
        Verdict::Job(facts) => job(facts),
        Verdict::Architecture(facts) => architecture(facts),
        Verdict::Topology(TopologyFacts { layers }) => format!("SCALE-Sim topology of {layers} layers"),
        Verdict::Record(RecordFacts { kind, told }) => format!("{}\n  {told}", kind.name()),
    }
}

fn network(facts: &NetworkFacts) -> String {
    let NetworkFacts { name, nodes, input, output, macs, params } = facts;
    format!(
        "network `{name}`\n  {nodes} nodes, {input} to {output}, {} MACs, {} parameters",
        grouped(*macs),
        grouped(*params)
    )
}

fn accelerator(AcceleratorFacts { accelerator }: &AcceleratorFacts) -> String {
    format!(
        "accelerator `{}`\n  {} PEs, {}, {} MHz, timing {}",
        accelerator.name,
        array(&accelerator.array),
        accelerator.dataflow,
        digits(accelerator.clock.get(), 6),
        accelerator.timing
    )
}

fn job(JobFacts { job, extent, architectures }: &JobFacts) -> String {
    let Extent { log10_architectures, operator_choices, width_choices, params, cycles } = extent;
    let number = match architectures {
        Some(number) if *number < EXACT => grouped(*number),
        Some(_) | None => power_of_ten(*log10_architectures),
    };
    format!(
        "job `{}`\n  {number} architectures: {operator_choices} searched operators, {width_choices} searched widths\n  \
         parameters {}\n  cycles {} on {}, timing {}, batch 1",
        job.name,
        range(params),
        range(cycles),
        job.accelerator.name,
        job.timing
    )
}

fn range(Extremes { smallest, largest }: &Extremes) -> String {
    format!("{} to {}", short(*smallest), short(*largest))
}

fn architecture(ArchitectureFacts { space, derived }: &ArchitectureFacts) -> String {
    match derived {
        None => format!(
            "architecture of space `{space}`\n  its form is right; to check its choices give the job of `{space}` as well"
        ),
        Some(Derived { macs, params, cycles, accelerator, timing }) => format!(
            "architecture of space `{space}`\n  {} MACs, {} parameters, {} cycles on {accelerator}, timing {timing}, \
             batch 1",
            grouped(*macs),
            grouped(*params),
            grouped(*cycles)
        ),
    }
}
