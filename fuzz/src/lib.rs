//! What every target asks of what a reader accepted: that it can be estimated, without a panic and in no time.

use systole::accel::{Accelerator, Dataflow, Timing};
use systole::estimate::{self, Target};
use systole::import::scale_sim::{self, Row, SramKib};
use systole::jobs::{Job, Overrides};
use systole::network::Network;
use systole::space::Architecture;

/// The name that every input has in errors.
pub const ORIGIN: &str = "fuzz";

/// Batches that are estimated: one image, a usual batch, and one at the end of the range.
const BATCHES: [u64; 3] = [1, 64, u64::MAX];

/// The shipped accelerators, and one of an extreme shape with each dataflow.
#[must_use]
pub fn accelerators() -> Vec<Accelerator> {
    let shipped: Vec<Accelerator> =
        Accelerator::shipped().iter().map(|shipped| shipped.accelerator().expect("shipped files read")).collect();
    let mut all = shipped.clone();
    for dataflow in [Dataflow::WeightStationary, Dataflow::InputStationary, Dataflow::OutputStationary] {
        let mut odd = shipped[0].clone();
        odd.dataflow = dataflow;
        (odd.array.rows, odd.array.cols, odd.array.count) = (3, 65_536, 5);
        all.push(odd);
    }
    all
}

/// Estimates `network` on `accelerators` under every timing and batch; errors are answers as well.
pub fn estimate_network(network: &Network, accelerators: &[Accelerator]) {
    each(accelerators, |target| drop(estimate::network(network, target)));
}

/// As [`estimate_network`], for the rows of a topology.
pub fn estimate_rows(rows: &[Row], accelerators: &[Accelerator]) {
    each(accelerators, |target| drop(estimate::rows("rows", rows, target)));
}

fn each(accelerators: &[Accelerator], one: impl Fn(&Target<'_>)) {
    for accelerator in accelerators {
        for timing in Timing::ALL {
            for batch in BATCHES {
                one(&Target { accelerator, timing, batch });
            }
        }
    }
}

/// Reads `text` as a topology, estimates what it holds and writes SCALE-Sim's reports of it.
pub fn topology(text: &str, accelerators: &[Accelerator]) {
    if let Ok(rows) = scale_sim::read_topology(text, ORIGIN) {
        estimate_rows(&rows, accelerators);
        for accelerator in accelerators {
            report(&rows, accelerator, Some(SramKib { ifmap: 16, filter: 1 << 32, ofmap: 64 }));
        }
    }
}

/// SCALE-Sim's reports, unless they have a line for each of very many channels.
pub fn report(rows: &[Row], accelerator: &Accelerator, sram: Option<SramKib>) {
    let lines = rows.iter().filter_map(|row| row.gemm(1).ok()).map(|gemm| gemm.repeats()).fold(0, u64::saturating_add);
    let mut accelerator = accelerator.clone();
    accelerator.array.count = 1;
    if lines <= 1000 {
        drop(estimate::reports(rows, &accelerator, sram));
    }
}

/// A few convolutions and a product: what an accelerator file is tried on.
#[must_use]
pub fn probe() -> Vec<Row> {
    let conv = "Layer name, H, W, FH, FW, C, N, S,\na, 226, 226, 7, 7, 3, 64, 2,\nDPb, 58, 58, 3, 3, 128, 1, 1,\n";
    let gemm = "Layer, M, N, K,\nc, 1, 1000, 4096,\nd, 4294967295, 65536, 65536,\n";
    let read = |text| scale_sim::read_topology(text, ORIGIN).expect("a fixed text");
    [read(conv), read(gemm)].concat()
}

/// A job whose space comes with the project.
///
/// # Panics
/// Where the job is none: that of a shipped space must read.
#[must_use]
pub fn job(text: &str) -> Job {
    Job::parse(text, ORIGIN, &Overrides::default()).expect("a shipped job reads")
}

/// The network of an architecture of `job`, estimated on the job's own accelerator.
pub fn derive(job: &Job, architecture: &Architecture) {
    let accelerators = std::slice::from_ref(&job.accelerator);
    if let Ok(network) = job.space.derive(architecture) {
        estimate_network(&network, accelerators);
    }
}
