//! `estimate`: networks x accelerators.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::accelerator::NamedAccelerator;
use super::kind::FileKind;
use super::strings::{self, Strings, StringsError};
use crate::accel::{Accelerator, CostError, Timing};
use crate::estimate::{self, Estimate, EstimateError, Target};
use crate::import::onnx::{self, Onnx, OnnxError};
use crate::import::scale_sim::{self, Row, ScaleSimError};
use crate::load::{self, LoadError};
use crate::network::Network;

/// What is asked.
#[derive(Debug, Clone)]
pub struct EstimateRequest<'a> {
    /// Files of networks; where there is a space, also architecture strings.
    pub networks: Vec<PathBuf>,
    /// What reads architecture strings: a job, or the name of a skeleton of genotypes.
    pub space: Option<String>,
    /// The accelerators.
    pub accelerators: &'a [NamedAccelerator],
    /// Images at once.
    pub batch: u64,
    /// The timing, where not each accelerator's own.
    pub timing: Option<Timing>,
    /// Whether changes are proposed.
    pub detail: Detail,
    /// What ONNX files leave open.
    pub onnx: onnx::Options,
}

/// What an estimate says besides costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    #[default]
    Costs,
    /// Changes that would help.
    Advice,
}

/// What a file holds that can be estimated.
#[derive(Debug, Clone)]
pub enum Model {
    /// A network.
    Network(Network),
    /// A network out of an ONNX file, with how much of it that is.
    Onnx(Box<Onnx>),
    /// A list of layers without wires.
    Rows {
        /// Name of the file, without its extension.
        name: String,
        /// The layers.
        rows: Vec<Row>,
    },
}

/// Why a file is no model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A YAML file that is no network.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A YAML file of another kind.
    #[error("{}: this is {kind}, and a network is needed", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
    /// A CSV file that is no topology.
    #[error(transparent)]
    ScaleSim(#[from] ScaleSimError),
    /// An ONNX file that is no network.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A format that is not read.
    #[error(
        "{}: {what}; what is read is .yaml or .yml (network file), .onnx and .csv (SCALE-Sim topology)", path.display()
    )]
    Extension {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
pub enum EstimateJobError {
    /// A network that cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A space that cannot be read, or a string that names none of its architectures.
    #[error(transparent)]
    Strings(#[from] StringsError),
    /// A timing that an accelerator refuses.
    #[error("accelerator `{accelerator}`: {source}")]
    Timing {
        /// The accelerator.
        accelerator: String,
        /// The rule that is broken.
        source: CostError,
    },
    /// A network that cannot be estimated on an accelerator.
    #[error("{} on `{accelerator}`: {source}", path.display())]
    Estimate {
        /// The network's file.
        path: PathBuf,
        /// The accelerator.
        accelerator: String,
        /// Why.
        source: Box<EstimateError>,
    },
}

impl Model {
    /// Reads the file at `path`, by its extension; `options` are for ONNX.
    ///
    /// # Errors
    /// [`ModelError`] with the line or the node of what is wrong.
    pub fn load(path: &Path, options: &onnx::Options) -> Result<Self, ModelError> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        let refuse = |what| Err(ModelError::Extension { path: path.to_owned(), what });
        match extension.as_deref() {
            Some("yaml" | "yml") => network(path).map(Self::Network),
            Some("csv") => {
                let rows = scale_sim::read_topology(&load::text(path)?, &path.display().to_string())?;
                let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
                Ok(Self::Rows { name, rows })
            }
            Some("onnx") => Ok(Self::Onnx(Box::new(Onnx::load(path, options)?))),
            Some(_) | None => refuse("the extension is of no format that is read"),
        }
    }

    /// What it costs on `target`.
    ///
    /// # Errors
    /// [`EstimateError`] with the layer at which it fails.
    pub fn estimate(&self, target: &Target<'_>) -> Result<Estimate, EstimateError> {
        match self {
            Self::Network(network) => estimate::network(network, target),
            Self::Onnx(onnx) => {
                let estimate = estimate::network(&onnx.network, target)?;
                Ok(Estimate { coverage: Some(onnx.coverage.clone()), ..estimate })
            }
            Self::Rows { name, rows } => estimate::rows(name, rows, target),
        }
    }

    /// As [`Model::estimate`], with changes that would help.
    ///
    /// # Errors
    /// As [`Model::estimate`].
    pub fn estimate_with_advice(&self, target: &Target<'_>) -> Result<Estimate, EstimateError> {
        match self {
            Self::Network(network) => estimate::network_with_advice(network, target),
            Self::Onnx(onnx) => {
                let estimate = estimate::network_with_advice(&onnx.network, target)?;
                Ok(Estimate { coverage: Some(onnx.coverage.clone()), ..estimate })
            }
            Self::Rows { name, rows } => estimate::rows_with_advice(name, rows, target),
        }
    }
}

fn network(path: &Path) -> Result<Network, ModelError> {
    let origin = path.display().to_string();
    let text = load::text(path)?;
    Network::parse(&text, &origin).map_err(|error| match FileKind::of(&text, &origin) {
        Ok(FileKind::Network) | Err(_) => error.into(),
        Ok(kind @ (FileKind::Accelerator | FileKind::Job | FileKind::Architecture)) => {
            ModelError::Kind { path: path.to_owned(), kind }
        }
    })
}

/// Estimates every network on every accelerator, in parallel; networks outside, accelerators inside, in the order given.
///
/// # Errors
/// The first [`EstimateJobError`] in that order.
pub fn estimate(request: &EstimateRequest<'_>) -> Result<Vec<Estimate>, EstimateJobError> {
    let accelerators = request.accelerators.iter().map(|named| timed(&named.accelerator, request.timing));
    let accelerators: Vec<(&Accelerator, Timing)> = accelerators.collect::<Result<_, _>>()?;
    let strings = request.space.as_deref().map(Strings::load).transpose()?;
    let models = request.networks.iter().map(|path| Ok((path, model(path, strings.as_ref(), &request.onnx)?)));
    let models: Vec<(&PathBuf, Model)> = models.collect::<Result<_, EstimateJobError>>()?;
    let pairs: Vec<_> = models.iter().flat_map(|model| accelerators.iter().map(move |accel| (model, accel))).collect();
    let one = |((path, model), (accelerator, timing)): (&(&PathBuf, Model), &(&Accelerator, Timing))| {
        let target = Target { accelerator, timing: *timing, batch: request.batch };
        let estimate = match request.detail {
            Detail::Costs => model.estimate(&target),
            Detail::Advice => model.estimate_with_advice(&target),
        };
        estimate.map_err(|source| EstimateJobError::Estimate {
            path: path.to_path_buf(),
            accelerator: accelerator.name.clone(),
            source: Box::new(source),
        })
    };
    // Collected before errors are looked at, so that the first in order is the one reported.
    let estimates: Vec<Result<Estimate, EstimateJobError>> = pairs.into_par_iter().map(one).collect();
    estimates.into_iter().collect()
}

/// The network of a file, or of an architecture string where something reads those.
pub(super) fn model(
    given: &Path,
    strings: Option<&Strings>,
    options: &onnx::Options,
) -> Result<Model, EstimateJobError> {
    let text = given.to_string_lossy();
    match strings {
        Some(strings) if strings::is_string(&text) => Ok(Model::Network(strings.network(&text)?)),
        None if text.contains("Genotype(") => Err(StringsError::NoSpace.into()),
        Some(_) | None => Ok(Model::load(given, options)?),
    }
}

/// An accelerator with the timing asked for, else its own.
pub(super) fn timed(
    accelerator: &Accelerator,
    asked: Option<Timing>,
) -> Result<(&Accelerator, Timing), EstimateJobError> {
    let timing = asked.unwrap_or(accelerator.timing);
    let covered = timing.covers(accelerator.dataflow, accelerator.array.count);
    covered.map_err(|source| EstimateJobError::Timing { accelerator: accelerator.name.clone(), source })?;
    Ok((accelerator, timing))
}

/// Leaves the `count` layers that lose most cycles to idle PEs, all but the useful ones, most first; the totals stay
/// those of the whole network.
pub fn keep_worst(estimate: &mut Estimate, count: usize) {
    estimate.layers.retain(|layer| layer.cycles.0 > 0);
    estimate.layers.sort_by_key(|layer| std::cmp::Reverse(layer.cycles.0 - layer.breakdown.useful.0));
    estimate.layers.truncate(count);
}
