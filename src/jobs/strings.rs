//! Networks from architecture strings: what reads them, and what they name.

use std::path::Path;

use super::spec::{Job, JobError, Overrides};
use crate::network::{Network, NetworkError};
use crate::space::{DeriveError, Genotype, GenotypeError, Skeleton, Space, StringError};

/// What reads architecture strings.
#[derive(Debug, Clone)]
pub enum Strings {
    /// A space with an encoding.
    Space(Box<Space>),
    /// A skeleton around the cells of genotypes.
    Genotypes(Skeleton),
}

/// The jobs that come with the program whose spaces read the strings of benchmarks.
const SHIPPED: [(&str, &str); 3] = [
    ("mnasnet", include_str!("../../search-spaces/mnasnet.yaml")),
    ("nas-bench-201", include_str!("../../search-spaces/nas-bench-201.yaml")),
    ("nas-bench-macro", include_str!("../../search-spaces/nas-bench-macro.yaml")),
];

/// The names that [`Strings::load`] knows.
fn names() -> String {
    let shipped = SHIPPED.iter().map(|(name, _)| *name);
    shipped.chain(Skeleton::NAMES).collect::<Vec<_>>().join(", ")
}

/// Why a string is no network.
#[derive(Debug, thiserror::Error)]
pub enum StringsError {
    /// The job of the space cannot be read.
    #[error(transparent)]
    Job(#[from] JobError),
    /// Neither a file, nor the name of a shipped space or a skeleton.
    #[error("space `{name}`: must be the path of a job, or one of {}", names())]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A genotype without a space.
    #[error("a genotype needs --space {}", Skeleton::NAMES.join(" or --space "))]
    NoSpace,
    /// No string of the space.
    #[error(transparent)]
    String(#[from] StringError),
    /// No genotype.
    #[error(transparent)]
    Genotype(#[from] GenotypeError),
    /// The architecture is no network.
    #[error("`{given}`: {source}")]
    Derive {
        /// The string.
        given: String,
        /// Why.
        source: DeriveError,
    },
    /// The cells are no network.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Whether `given` is an architecture string rather than a file: it has none of the extensions of network files.
#[must_use]
pub fn is_string(given: &str) -> bool {
    let extension = Path::new(given).extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    !matches!(extension.as_deref(), Some("yaml" | "yml" | "csv" | "onnx"))
}

impl Strings {
    /// The skeleton or the shipped space of this name, else the space of the job at this path.
    ///
    /// # Errors
    /// [`StringsError::Unknown`] for what is neither, [`StringsError::Job`] for a job that cannot be read.
    pub fn load(name: &str) -> Result<Self, StringsError> {
        if let Some(skeleton) = Skeleton::named(name) {
            return Ok(Self::Genotypes(skeleton));
        }
        if let Some((_, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            let job = Job::parse(text, &format!("search-spaces/{name}.yaml"), &Overrides::default())?;
            return Ok(Self::Space(Box::new(job.space)));
        }
        let path = Path::new(name);
        if path.extension().is_none() && !path.exists() {
            return Err(StringsError::Unknown { name: name.to_owned() });
        }
        Ok(Self::Space(Box::new(Job::load(path, &Overrides::default())?.space)))
    }

    /// The network that `given` names; it has the string for a name, or the name that a genotype gives itself.
    ///
    /// # Errors
    /// [`StringsError`] with the part that is wrong.
    pub fn network(&self, given: &str) -> Result<Network, StringsError> {
        match self {
            Self::Genotypes(skeleton) => Ok(skeleton.network(&given.parse::<Genotype>()?)?),
            Self::Space(space) => {
                let architecture = space.parse_string(given)?;
                let network = space.derive_benchmark(&architecture);
                let network = network.map_err(|source| StringsError::Derive { given: given.to_owned(), source })?;
                Ok(network.named(given))
            }
        }
    }
}
