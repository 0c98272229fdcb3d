//! `systole search`: a job, from its file to a trained network.

use std::path::PathBuf;
use std::str::FromStr;

use super::{End, Notes};
use crate::accel::Timing;
use crate::jobs::Overrides;

const EXAMPLES: &str = "\
Examples:
  systole search search-spaces/demo.yaml
  systole search search-spaces/demo.yaml --seed 1 --out results/second --threads 2
  systole search search-spaces/cifar10-small.yaml --data cifar-10-binary --device cuda
  systole search search-spaces/demo.yaml --set objective.lambda=0.3 --set search.widths.epochs=8
  systole search results/demo-s0/spec.yaml --out results/demo-s0 --resume";

/// What `search` takes.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The job
    #[arg(value_name = "JOB.yaml")]
    pub job: PathBuf,
    /// Accelerator, where not the job's: a shipped name or a path
    #[arg(long, value_name = "A")]
    pub accel: Option<String>,
    /// Folder of the data set, where it has one
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Timing, where not the job's: ideal, pipelined, scale-sim or uboost-csim
    #[arg(long, value_name = "T")]
    pub timing: Option<Timing>,
    /// Run folder; results/NAME-sSEED where absent
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where tensors live: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceArg,
    /// Threads of the host; all cores where absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub threads: Option<u32>,
    /// Seed, where not the job's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Change a key of the job, as objective.lambda=0.3; may stand several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Go on with the run in the folder
    #[arg(long, conflicts_with = "force")]
    pub resume: bool,
    /// Start anew in a folder that exists
    #[arg(long)]
    pub force: bool,
}

/// Where tensors are to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceArg {
    /// The first CUDA device, the CPU where there is none.
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device, by its number.
    Cuda(usize),
}

impl FromStr for DeviceArg {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| text.parse().ok().filter(|_| digits(text)).map(Self::Cuda);
        let choice = match name {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            other => other.strip_prefix("cuda:").and_then(number),
        };
        choice.ok_or_else(|| "must be auto, cpu, cuda or cuda:N".to_owned())
    }
}

#[cfg(feature = "torch")]
impl From<DeviceArg> for crate::torch::DeviceChoice {
    fn from(device: DeviceArg) -> Self {
        match device {
            DeviceArg::Auto => Self::Auto,
            DeviceArg::Cpu => Self::Cpu,
            DeviceArg::Cuda(number) => Self::Cuda(number),
        }
    }
}

impl Args {
    /// What the command line changes of the job.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        Overrides { accelerator: self.accel.clone(), timing: self.timing, seed: self.seed, set: self.set.clone() }
    }
}

/// Runs the job.
///
/// # Errors
/// Always: this program was built without training.
#[cfg(not(feature = "torch"))]
pub fn run(_: Args, _: Notes) -> anyhow::Result<End> {
    anyhow::bail!(
        "this `systole` was installed without training; in a clone run `make install PREFIX=DIR`, or `make search` to \
         try it"
    )
}

/// Runs the job.
///
/// # Errors
/// Where the job cannot be read or run.
#[cfg(feature = "torch")]
pub fn run(args: Args, notes: Notes) -> anyhow::Result<End> {
    // PLACE OF THE SEARCH: load the job with `args.overrides()`, call `crate::jobs::search::run`, print what it returns.
    let _ = (args.overrides(), notes);
    anyhow::bail!("search is not wired up yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_the_help_says() {
        let read = |name: &str| name.parse::<DeviceArg>();
        assert_eq!(read("auto"), Ok(DeviceArg::Auto));
        assert_eq!(read("cuda"), Ok(DeviceArg::Cuda(0)));
        assert_eq!(read("cuda:3"), Ok(DeviceArg::Cuda(3)));
        for bad in ["gpu", "cuda:", "cuda:+1", "cuda:-1", "CPU", "cuda:x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
