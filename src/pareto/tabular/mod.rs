//! The table of a benchmark as the task of a search: its rows are read one by one, and nothing is trained.
//!
//! What a network costs is computed, so its latency is known of every row; its error is known of a row that was read. A
//! [`Reader`] counts: every look-up is an evaluation, also one of a row that was read before. The searchers read until
//! they are told to stop:
//!
//! | method | what it reads |
//! |---|---|
//! | `random` | rows in random order, none twice |
//! | `evolution` | regularised evolution (Real et al. 2019); parents by a random weight of error and latency, none twice |
//! | `nsga-2` | NSGA-II (Deb et al. 2002), none twice |
//! | `systole` | the gradient search of this project, one after the other for several weights of error and latency; under
//! `objective: preference` one search for all weights, which remembers what it read and does not look it up again |
//!
//! Equal seeds read equal rows in equal order, so a search that was stopped is repeated rather than resumed.

mod archive;
mod evolution;
mod nsga2;
mod preference;
mod random;
mod reader;
mod weighted;

use std::collections::HashMap;

use rayon::prelude::*;

use super::{OBJECTIVES, Reference, Table};
use crate::cost::{CostError, CostKind, CostModel};
use crate::estimate::{self, EstimateError, Target};
use crate::front::{hypervolume_2, non_dominated, range_reference};
use crate::search::Settings;
use crate::search::methods::Method;
use crate::space::{Architecture, DeriveError, Space, StringError};

pub use preference::{Fan, FanLook};
pub use reader::{Evaluation, Reader, Stopped, Watch};

/// How far beyond the exact front's worst values the reference of a share lies unless it is given, in its ranges.
pub const REFERENCE_MARGIN: f64 = 0.05;

/// A row of a table, as a search finds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Architecture string.
    pub arch: String,
    /// The choices that it names.
    pub architecture: Architecture,
    /// 1 - accuracy, a fraction.
    pub error: f64,
    /// Latency of one image, ms.
    pub latency_ms: f64,
}

/// The corner of a table's hypervolumes, and that of all its rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exact {
    /// The corner.
    pub reference: Reference,
    /// [`REFERENCE_MARGIN`] where the corner follows from the front.
    pub margin: Option<f64>,
    /// Area that the whole table dominates, ms.
    pub hypervolume: f64,
}

/// Every architecture that may be read.
#[derive(Debug, Clone)]
pub struct Tabular {
    rows: Vec<Row>,
    places: HashMap<Architecture, usize>,
    exact: Exact,
}

/// Why a table cannot be searched.
#[derive(Debug, thiserror::Error)]
pub enum TabularError {
    /// A string that the space does not have.
    #[error("line {line}: {source}")]
    String {
        /// Line of the table.
        line: u64,
        /// Why.
        source: StringError,
    },
    /// An architecture that is no network.
    #[error("line {line}: `{arch}`: {source}")]
    Derive {
        /// Line of the table.
        line: u64,
        /// The string.
        arch: String,
        /// Why.
        source: Box<DeriveError>,
    },
    /// A network without an estimate.
    #[error("line {line}: `{arch}`: {source}")]
    Estimate {
        /// Line of the table.
        line: u64,
        /// The string.
        arch: String,
        /// Why.
        source: Box<EstimateError>,
    },
    /// Nothing to find.
    #[error(
        "the rows of the table leave nothing to search: one of them is at once the most accurate and the fastest; give a \
         --reference beyond it"
    )]
    OnePoint,
    /// A corner that no row betters.
    #[error(
        "no row of the table betters the reference {},{} in error and latency both; the least error is {least_error}, the \
         least latency {least_latency_ms} ms", reference.error, reference.latency_ms
    )]
    Reference {
        /// What was given.
        reference: Reference,
        /// Least error of the rows, a fraction.
        least_error: f64,
        /// Least latency of the rows, ms.
        least_latency_ms: f64,
    },
    /// The cost tables of the search by gradients.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// A method that cannot read a table.
    #[error(
        "search.method: {method} cannot run against a table, which has {lacks}; take systole, random, evolution or nsga-2"
    )]
    Method {
        /// Its name.
        method: &'static str,
        /// What the table lacks.
        lacks: &'static str,
    },
    /// A row that a search by gradients drew is not there.
    #[error(
        "the table has no row `{arch}`: a search by gradients draws any architecture of the space, so it needs them all; take \
         random, evolution or nsga-2"
    )]
    Missing {
        /// The string that was drawn.
        arch: String,
    },
    /// A search by gradients whose numbers are none any more.
    #[error("the search by gradients failed: {reason}; try a lower `search.learning-rate`")]
    Gradient {
        /// What the engine says.
        reason: String,
    },
}

impl Tabular {
    /// The rows of `table`, whose strings `space` reads, with their latencies on `target`.
    ///
    /// # Errors
    /// [`TabularError`] with the line of the first string that is no network of the space; as [`Tabular::of`].
    pub fn new(
        table: &Table,
        space: &Space,
        target: &Target<'_>,
        reference: Option<Reference>,
    ) -> Result<Self, TabularError> {
        let row = |row: &super::TableRow| {
            let (line, arch) = (row.line, row.arch.clone());
            let architecture = space.parse_string(&arch).map_err(|source| TabularError::String { line, source })?;
            let network = space.derive_benchmark(&architecture);
            let network = network.map_err(|source| TabularError::Derive {
                line,
                arch: arch.clone(),
                source: Box::new(source),
            })?;
            let estimate = estimate::network(&network, target);
            let estimate = estimate.map_err(|source| TabularError::Estimate {
                line,
                arch: arch.clone(),
                source: Box::new(source),
            })?;
            Ok(Row { arch, architecture, error: 1.0 - row.accuracy / 100.0, latency_ms: estimate.total.latency_ms })
        };
        let rows: Vec<Result<Row, TabularError>> = table.rows.par_iter().map(row).collect();
        Self::of(rows.into_iter().collect::<Result<_, _>>()?, reference)
    }

    /// A table of these rows, one for each architecture; shares of its hypervolume are taken under `reference`, by default
    /// [`range_reference`] of its front at [`REFERENCE_MARGIN`].
    ///
    /// # Errors
    /// [`TabularError::OnePoint`], [`TabularError::Reference`].
    pub fn of(rows: Vec<Row>, reference: Option<Reference>) -> Result<Self, TabularError> {
        let vectors: Vec<[f64; 2]> = rows.iter().map(Row::objectives).collect();
        let corner = reference.map(|given| [given.error, given.latency_ms]);
        let corner = corner.or_else(|| range_reference(&vectors, &OBJECTIVES, REFERENCE_MARGIN)).unwrap_or([0.0; 2]);
        let hypervolume = hypervolume_2(&vectors, &OBJECTIVES, corner);
        if hypervolume <= 0.0 {
            let least = |i: usize| vectors.iter().map(|vector| vector[i]).fold(f64::INFINITY, f64::min);
            return Err(reference.map_or(TabularError::OnePoint, |reference| TabularError::Reference {
                reference,
                least_error: least(0),
                least_latency_ms: least(1),
            }));
        }
        let places = rows.iter().enumerate().map(|(place, row)| (row.architecture.clone(), place)).collect();
        let margin = reference.is_none().then_some(REFERENCE_MARGIN);
        let reference = Reference { error: corner[0], latency_ms: corner[1] };
        Ok(Self { rows, places, exact: Exact { reference, margin, hypervolume } })
    }

    /// All rows, in the table's order.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of `architecture`.
    #[must_use]
    pub fn place(&self, architecture: &Architecture) -> Option<usize> {
        self.places.get(architecture).copied()
    }

    /// The corner and the hypervolume of all rows.
    #[must_use]
    pub fn exact(&self) -> Exact {
        self.exact
    }

    /// The hypervolume of the rows at `places` over that of all rows.
    #[must_use]
    pub fn share(&self, places: &[usize]) -> f64 {
        let vectors: Vec<[f64; 2]> = places.iter().map(|&place| self.rows[place].objectives()).collect();
        let Reference { error, latency_ms } = self.exact.reference;
        hypervolume_2(&vectors, &OBJECTIVES, [error, latency_ms]) / self.exact.hypervolume
    }

    /// The rows on the front of `places`, from the fastest; of equal ones the first in the table.
    #[must_use]
    pub fn front(&self, places: &[usize]) -> Vec<usize> {
        let mut places = places.to_vec();
        places.sort_unstable();
        places.dedup();
        let vectors: Vec<[f64; 2]> = places.iter().map(|&place| self.rows[place].objectives()).collect();
        let mut front: Vec<usize> =
            non_dominated(&vectors, &OBJECTIVES).into_iter().map(|member| places[member]).collect();
        front.sort_by(|&a, &b| self.rows[a].latency_ms.total_cmp(&self.rows[b].latency_ms));
        front
    }

    /// A number that differs where rows do: FNV-1a over architecture strings and errors.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let bytes = |row: &Row| row.arch.bytes().chain(row.error.to_le_bytes()).collect::<Vec<u8>>();
        self.rows
            .iter()
            .flat_map(bytes)
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

impl Row {
    /// Error and latency.
    #[must_use]
    pub fn objectives(&self) -> [f64; 2] {
        [self.error, self.latency_ms]
    }
}

/// That `method` can read a table.
///
/// # Errors
/// [`TabularError::Method`] where it cannot.
pub fn takes(method: Method) -> Result<(), TabularError> {
    let lacks = match method {
        Method::Systole | Method::Random { .. } | Method::Evolution(_) | Method::Nsga2 { .. } => return Ok(()),
        Method::Darts { .. } => "no loss of a mixture of operators",
        Method::Gdas => "no gradient of a loss",
        Method::Synflow { .. } => "no weights to score",
    };
    Err(TabularError::Method { method: method.name(), lacks })
}

/// Reads rows of the table as `settings.method` says, until the reader has had enough or there is nothing left to read.
///
/// Of `settings`, the method with its own sizes, the seed, and the learning rate of the architecture parameters count; a
/// method's number of evaluations is the reader's. `target` is what the table's latencies are of.
///
/// # Errors
/// [`TabularError::Method`], [`TabularError::Missing`], [`TabularError::Cost`], [`TabularError::Gradient`].
pub fn search(
    reader: &mut Reader<'_>,
    space: &Space,
    target: &Target<'_>,
    settings: &Settings,
) -> Result<Stopped, TabularError> {
    takes(settings.method)?;
    let ended = match (settings.method, settings.preference) {
        (Method::Random { .. }, _) => random::search(reader, settings.seed),
        (Method::Evolution(evolution), _) => evolution::search(reader, space, settings.seed, evolution),
        (Method::Nsga2 { population }, _) => nsga2::search(reader, space, settings.seed, population as usize),
        (Method::Systole, Some(preference)) => preference::search(reader, space, settings, preference),
        (Method::Systole | Method::Darts { .. } | Method::Gdas | Method::Synflow { .. }, _) => {
            let cost = CostModel::new(space, target, CostKind::Expected)?;
            weighted::search(reader, space, &cost, settings)
        }
    };
    match ended {
        Ok(()) => Ok(Stopped::Done),
        Err(Stopped::Missing { arch }) => Err(TabularError::Missing { arch }),
        Err(Stopped::Failed { reason }) => Err(TabularError::Gradient { reason }),
        Err(stopped @ (Stopped::Done | Stopped::Limit | Stopped::Interrupted)) => Ok(stopped),
    }
}

#[cfg(test)]
mod tests;
