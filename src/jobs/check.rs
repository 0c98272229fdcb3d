//! `check`: what a file is and what it holds, or what is wrong with it.

mod records;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::accelerator::{NamedAccelerator, NamedAcceleratorError, is_scale_sim_config};
use super::estimate::{Model, ModelError};
use super::kind::{FileKind, KindError};
use super::spec::{Job, JobError, Overrides};
use crate::accel::{Accelerator, Timing};
use crate::estimate::{EstimateError, Target};
use crate::import::onnx::Options;
use crate::load::{self, LoadError};
use crate::network::Network;
use crate::record::RecordError;
use crate::space::{Architecture, ArchitectureFile, DeriveError, Extent, ExtentError, Space};

pub use records::RecordFacts;

/// A file that was checked.
#[derive(Debug)]
pub struct Checked {
    /// The file.
    pub path: PathBuf,
    /// What it is, or what is wrong.
    pub outcome: Result<Verdict, CheckError>,
}

/// What a file is.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// A network.
    Network(NetworkFacts),
    /// An accelerator.
    Accelerator(Box<AcceleratorFacts>),
    /// A job.
    Job(Box<JobFacts>),
    /// An architecture.
    Architecture(ArchitectureFacts),
    /// A SCALE-Sim topology.
    Topology(TopologyFacts),
    /// What a run or a sweep wrote.
    Record(RecordFacts),
}

/// What is worth knowing of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFacts {
    /// Its name.
    pub name: String,
    /// Operators, the input not among them.
    pub nodes: usize,
    /// Shape of its input, without the batch.
    pub input: String,
    /// Shape of its output, without the batch.
    pub output: String,
    /// Multiply-accumulates on one image.
    pub macs: u64,
    /// Learned values.
    pub params: u64,
}

/// What is worth knowing of an accelerator.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceleratorFacts {
    /// The accelerator.
    pub accelerator: Accelerator,
}

/// What is worth knowing of a job.
#[derive(Debug, Clone)]
pub struct JobFacts {
    /// The job.
    pub job: Job,
    /// What its space holds, on its accelerator and timing, for one image.
    pub extent: Extent,
    /// Number of architectures, where 64 bits hold it.
    pub architectures: Option<u64>,
}

/// What is worth knowing of an architecture.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchitectureFacts {
    /// Name of its space.
    pub space: String,
    /// The network that it stands for; nothing where no job of its space was given.
    pub derived: Option<Derived>,
}

/// The network of an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// Multiply-accumulates on one image.
    pub macs: u64,
    /// Learned values.
    pub params: u64,
    /// Cycles for one image.
    pub cycles: u64,
    /// The accelerator of the job.
    pub accelerator: String,
    /// The timing of the job.
    pub timing: Timing,
}

/// What is worth knowing of a topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopologyFacts {
    /// Its layers.
    pub layers: usize,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are those of the rules that are broken")]
pub enum CheckError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Kind(#[from] KindError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Accelerator(#[from] NamedAcceleratorError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{origin}: {source}")]
    Extent { origin: String, source: Box<ExtentError> },
    #[error("{origin}: {source}")]
    Derive { origin: String, source: DeriveError },
    #[error("{origin}: {source}")]
    Estimate { origin: String, source: Box<EstimateError> },
    #[error(
        "{}: of JSON files `check` takes estimate.json, a run's summary.json, history.jsonl and sweep.json; this one has the keys \
         of none of them", path.display()
    )]
    Json { path: PathBuf },
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("{}: {reason}", path.display())]
    Plan { path: PathBuf, reason: String },
}

/// Checks every file, in the order given. Architectures are held against the job of their space among the files.
#[must_use]
pub fn check(paths: &[PathBuf]) -> Vec<Checked> {
    let first: Vec<Result<Verdict, CheckError>> = paths.par_iter().map(|path| one(path)).collect();
    let is_architecture = |outcome: &Result<Verdict, CheckError>| matches!(outcome, Ok(Verdict::Architecture(_)));
    let again: Vec<usize> = (0..paths.len()).filter(|&place| is_architecture(&first[place])).collect();
    let jobs: Vec<&Job> = first.iter().filter_map(|outcome| job_of(outcome.as_ref().ok()?)).collect();
    let second: Vec<_> = again.iter().map(|&place| architecture(&paths[place], &jobs)).collect();
    let mut outcomes = first;
    for (place, outcome) in again.into_iter().zip(second) {
        outcomes[place] = outcome;
    }
    paths.iter().zip(outcomes).map(|(path, outcome)| Checked { path: path.clone(), outcome }).collect()
}

fn job_of(verdict: &Verdict) -> Option<&Job> {
    match verdict {
        Verdict::Job(facts) => Some(&facts.job),
        Verdict::Network(_)
        | Verdict::Accelerator(_)
        | Verdict::Architecture(_)
        | Verdict::Topology(_)
        | Verdict::Record(_) => None,
    }
}

fn one(path: &Path) -> Result<Verdict, CheckError> {
    let has = |wanted: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted));
    if has("csv") || has("onnx") {
        return foreign(path);
    }
    if has("json") || has("jsonl") {
        return records::record(path).map(Verdict::Record);
    }
    if is_scale_sim_config(&path.to_string_lossy()) {
        let NamedAccelerator { accelerator, .. } = NamedAccelerator::load(&path.to_string_lossy(), None)?;
        return Ok(Verdict::Accelerator(Box::new(AcceleratorFacts { accelerator })));
    }
    let origin = path.display().to_string();
    let text = load::text(path)?;
    match FileKind::of(&text, &origin)? {
        FileKind::Network => Ok(Verdict::Network(network_facts(&Network::parse(&text, &origin)?))),
        FileKind::Accelerator => {
            let accelerator = Accelerator::parse(&text, &origin)?;
            Ok(Verdict::Accelerator(Box::new(AcceleratorFacts { accelerator })))
        }
        FileKind::Job => {
            let job = Job::parse(&text, &origin, &Overrides::default())?;
            job_facts(job, origin).map(|facts| Verdict::Job(Box::new(facts)))
        }
        FileKind::Architecture => architecture(path, &[]),
    }
}

fn foreign(path: &Path) -> Result<Verdict, CheckError> {
    match Model::load(path, &Options::default())? {
        Model::Network(network) => Ok(Verdict::Network(network_facts(&network))),
        Model::Onnx(onnx) => Ok(Verdict::Network(network_facts(&onnx.network))),
        Model::Rows { rows, .. } => Ok(Verdict::Topology(TopologyFacts { layers: rows.len() })),
    }
}

fn network_facts(network: &Network) -> NetworkFacts {
    NetworkFacts {
        name: network.name().to_owned(),
        nodes: network.len() - 1,
        input: network.node(network.input()).shape.to_string(),
        output: network.node(network.output()).shape.to_string(),
        macs: network.macs().0,
        params: network.params(),
    }
}

fn job_facts(job: Job, origin: String) -> Result<JobFacts, CheckError> {
    let extent =
        job.space.extent(&target(&job)).map_err(|source| CheckError::Extent { origin, source: Box::new(source) })?;
    let architectures = architectures(&job.space);
    Ok(JobFacts { job, extent, architectures })
}

fn target(job: &Job) -> Target<'_> {
    Target { accelerator: &job.accelerator, timing: job.timing, batch: 1 }
}

fn architectures(space: &Space) -> Option<u64> {
    let operators = space.operators.iter().map(|choice| choice.candidates.len());
    let widths = space.widths.iter().map(|choice| choice.options.len());
    operators.chain(widths).try_fold(1u64, |product, options| product.checked_mul(u64::try_from(options).ok()?))
}

fn architecture(path: &Path, jobs: &[&Job]) -> Result<Verdict, CheckError> {
    let origin = path.display().to_string();
    let text = load::text(path)?;
    let space = ArchitectureFile::parse(&text, &origin)?.space().to_owned();
    let derived = match jobs.iter().find(|job| job.space.name == space) {
        Some(job) => Some(derived(job, &job.space.parse_architecture(&text, &origin)?, &origin)?),
        None => None,
    };
    Ok(Verdict::Architecture(ArchitectureFacts { space, derived }))
}

fn derived(job: &Job, architecture: &Architecture, origin: &str) -> Result<Derived, CheckError> {
    let origin = || origin.to_owned();
    let network = job.space.derive(architecture).map_err(|source| CheckError::Derive { origin: origin(), source })?;
    let cost = target(job).network_cost(&network);
    let cost = cost.map_err(|source| CheckError::Estimate { origin: origin(), source: Box::new(source) })?;
    Ok(Derived {
        macs: network.macs().0,
        params: network.params(),
        cycles: cost.cycles.0,
        accelerator: job.accelerator.name.clone(),
        timing: job.timing,
    })
}
