//! `pareto --table`: the exact front of a benchmark, every network of which is known.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use rayon::prelude::*;

use super::co_search::{CoSearch, CoSearchError};
use super::{Said, TableFacts, unknown};
use crate::accel::{Accelerator, Array, Engine, Timing};
use crate::estimate::{self, Estimate, EstimateError, Priced, Target};
use crate::jobs::accelerator::NamedAccelerator;
use crate::jobs::estimate::{EstimateJobError, timed};
use crate::jobs::strings::{Strings, StringsError};
use crate::network::Network;
use crate::pareto::{self, AccuracyFrom, ByMacs, Front, Objectives, ParetoError, Point, Table, TableError, TableRow};
use crate::report::{Networks, Shown};

/// Rows whose estimates are held at a time.
const PART: usize = 1024;

/// What is asked.
#[derive(Debug, Clone)]
pub struct TableRequest<'a> {
    /// The CSV file.
    pub table: PathBuf,
    /// Its column of accuracies.
    pub column: String,
    /// What reads architecture strings: a job, a shipped space or a skeleton.
    pub space: String,
    /// The accelerators.
    pub accelerators: &'a [NamedAccelerator],
    /// The timing, where not each accelerator's own.
    pub timing: Option<Timing>,
    /// What the fronts are about.
    pub objectives: Objectives,
    /// The corner of the hypervolume, a value for each objective, where not found from the front.
    pub reference: Option<Vec<f64>>,
    /// Arrays that each accelerator may have in the place of its own.
    pub co_search: Option<CoSearch>,
    /// Whether networks and layers of the points are to be shown.
    pub shown: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct TableOutcome {
    /// One front for each accelerator, in the order given.
    pub fronts: Vec<Front>,
    /// What else is said of each.
    pub said: Vec<Said>,
    /// The networks of the fronts, each once, in the order of the table.
    pub networks: Vec<Network>,
    /// Networks and layers of the points, where asked for: of all where these are at most
    /// [`TableOutcome::MOST_SHOWN`], else of those on a front.
    pub shown: Option<Networks>,
    /// What was left out and what should not be compared, a sentence each.
    pub warnings: Vec<String>,
    /// Rows without an accuracy.
    pub left_out: usize,
}

impl TableOutcome {
    /// Most points on all accelerators whose networks are all shown: pages of more are slow to load.
    pub const MOST_SHOWN: usize = 20_000;
}

/// Why a table has no front.
#[derive(Debug, thiserror::Error)]
pub enum TableJobError {
    /// The table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The space cannot be read.
    #[error(transparent)]
    Space(Box<StringsError>),
    /// A timing that an accelerator refuses.
    #[error(transparent)]
    Timing(#[from] Box<EstimateJobError>),
    /// Arrays that an accelerator cannot have.
    #[error(transparent)]
    CoSearch(#[from] CoSearchError),
    /// Two accelerators of one name.
    #[error("two accelerators are named `{0}`; fronts are told apart by the accelerator's name")]
    SameAccelerator(String),
    /// An architecture that the space does not have.
    #[error("{}, line {line}: {source}", table.display())]
    Row {
        /// The table.
        table: PathBuf,
        /// The line.
        line: u64,
        /// Why.
        source: Box<StringsError>,
    },
    /// A network that cannot be estimated.
    #[error("{}, line {line}: `{arch}` on `{accelerator}`: {source}", table.display())]
    Estimate {
        /// The table.
        table: PathBuf,
        /// The line.
        line: u64,
        /// The architecture.
        arch: String,
        /// The accelerator.
        accelerator: String,
        /// Why.
        source: Box<EstimateError>,
    },
    /// No front.
    #[error(transparent)]
    Pareto(Box<ParetoError>),
}

/// An accelerator under a timing.
struct Variant {
    accelerator: Accelerator,
    timing: Timing,
    engine: Engine,
}

impl Variant {
    fn target(&self) -> Target<'_> {
        Target { accelerator: &self.accelerator, timing: self.timing, batch: 1 }
    }
}

/// Every network of a table on every accelerator, and the front of each; with `co_search` the joint front of network and
/// array, whose points are named `ARCH@ROWSxCOLS`.
///
/// Every network is derived once and priced in parallel; its latency is that of [`crate::estimate::network`].
///
/// # Errors
/// [`TableJobError`] with the line of the table, the accelerator or the array.
pub fn pareto_table(request: &TableRequest<'_>) -> Result<TableOutcome, TableJobError> {
    let names = request.accelerators.iter().map(|named| &named.accelerator.name);
    let mut seen = HashSet::new();
    if let Some(name) = names.into_iter().find(|name| !seen.insert(name.as_str())) {
        return Err(TableJobError::SameAccelerator(name.clone()));
    }
    let groups: Vec<Vec<Variant>> =
        request.accelerators.iter().map(|named| variants(&named.accelerator, request)).collect::<Result<_, _>>()?;
    let strings = Strings::load(&request.space).map_err(|error| TableJobError::Space(Box::new(error)))?;
    let table = Table::load(&request.table, &request.column)?;
    let all: Vec<&Variant> = groups.iter().flatten().collect();
    let job = Pricing { request, strings: &strings, variants: &all };
    // Collected before errors are looked at, so that the first in order is the one reported.
    let priced: Vec<Result<Vec<Priced>, TableJobError>> = table.rows.par_iter().map(|row| job.price(row)).collect();
    let priced: Vec<Vec<Priced>> = priced.into_iter().collect::<Result<_, _>>()?;
    let mut outcome = TableOutcome {
        fronts: Vec::new(),
        said: Vec::new(),
        networks: Vec::new(),
        shown: None,
        warnings: table.warnings(),
        left_out: table.empty.len(),
    };
    let mut first = 0;
    for group in &groups {
        let points = points(&table, group, |row, place| priced[row][first + place], request.co_search.is_some());
        let name = &group[0].accelerator.name;
        let front = Front::over(name, points, &request.objectives, request.reference.as_deref());
        let front = front.map_err(|error| TableJobError::Pareto(Box::new(error)))?;
        outcome.said.push(said(&front, &table, group, request));
        outcome.fronts.push(front);
        first += group.len();
    }
    outcome.warnings.extend(unknown(&outcome.fronts));
    outcome.warnings.extend(unequal(&groups));
    outcome.networks = networks(&outcome.fronts, &table, &job)?;
    outcome.shown = request.shown.then(|| shown(&outcome.fronts, &groups, &table, &job)).transpose()?;
    Ok(outcome)
}

fn variants(accelerator: &Accelerator, request: &TableRequest<'_>) -> Result<Vec<Variant>, TableJobError> {
    let one = |accelerator: Accelerator| {
        let (_, timing) = timed(&accelerator, request.timing).map_err(Box::new)?;
        let refused = |source| Box::new(EstimateJobError::Timing { accelerator: accelerator.name.clone(), source });
        let engine = accelerator.engine(timing).map_err(refused)?;
        Ok(Variant { accelerator, timing, engine })
    };
    let Some(co_search) = &request.co_search else { return Ok(vec![one(accelerator.clone())?]) };
    let arrays = co_search.arrays(accelerator)?;
    arrays.into_iter().map(|array| one(Accelerator { array, ..accelerator.clone() })).collect()
}

/// What turns rows into prices.
struct Pricing<'a> {
    request: &'a TableRequest<'a>,
    strings: &'a Strings,
    variants: &'a [&'a Variant],
}

impl Pricing<'_> {
    fn network(&self, row: &TableRow) -> Result<Network, TableJobError> {
        let network = self.strings.network(&row.arch);
        network.map_err(|source| TableJobError::Row {
            table: self.request.table.clone(),
            line: row.line,
            source: Box::new(source),
        })
    }

    fn price(&self, row: &TableRow) -> Result<Vec<Priced>, TableJobError> {
        let network = self.network(row)?;
        let one = |variant: &&Variant| {
            let priced = variant.target().priced(&variant.engine, &network);
            priced.map_err(|source| self.refused(row, variant, source))
        };
        self.variants.iter().map(one).collect()
    }

    /// The network of a row, and its estimates on the `wanted` variants.
    fn estimates(&self, row: &TableRow, wanted: &[&Variant]) -> Result<(Network, Vec<Estimate>), TableJobError> {
        let network = self.network(row)?;
        let one = |variant: &&Variant| {
            let estimate = estimate::network(&network, &variant.target());
            estimate.map_err(|source| self.refused(row, variant, source))
        };
        let estimates = wanted.iter().map(one).collect::<Result<_, _>>()?;
        Ok((network, estimates))
    }

    fn refused(&self, row: &TableRow, variant: &Variant, source: EstimateError) -> TableJobError {
        TableJobError::Estimate {
            table: self.request.table.clone(),
            line: row.line,
            arch: row.arch.clone(),
            accelerator: variant.accelerator.name.clone(),
            source: Box::new(source),
        }
    }
}

/// All rows on the first variant, then all on the second, and so on.
fn points(table: &Table, group: &[Variant], priced: impl Fn(usize, usize) -> Priced, joint: bool) -> Vec<Point> {
    let mut points = Vec::with_capacity(table.rows.len() * group.len());
    for (place, Variant { accelerator, .. }) in group.iter().enumerate() {
        let array = pareto::array_name(&accelerator.array);
        for (number, row) in table.rows.iter().enumerate() {
            let Priced { latency_ms, overall_utilization, energy_uj, macs, params, weight_bytes } =
                priced(number, place);
            let name = if joint { format!("{}@{array}", row.arch) } else { row.arch.clone() };
            points.push(Point {
                utilization: overall_utilization,
                energy_uj,
                params: Some(params),
                weight_kib: Some(weight_bytes.0 as f64 / 1024.0),
                macs: Some(macs),
                accuracy_from: AccuracyFrom::Table,
                ..Point::new(&name, &accelerator.name, [1.0 - row.accuracy / 100.0, latency_ms])
            });
        }
    }
    points
}

fn said(front: &Front, table: &Table, group: &[Variant], request: &TableRequest<'_>) -> Said {
    let facts =
        TableFacts { column: table.column.clone(), networks: table.rows.len(), note: TableFacts::NOTE.to_owned() };
    let arrays: Vec<Array> = group.iter().map(|variant| variant.accelerator.array).collect();
    let co_search = request.co_search.is_some().then(|| pareto::shares(front, &arrays));
    // MACs are those of the network alone: they choose no array.
    let by_macs = if co_search.is_some() { None } else { ByMacs::of(front) };
    Said { table: Some(facts), by_macs, co_search, pick: None }
}

/// That arrays of one joint front differ in more than their shape.
fn unequal(groups: &[Vec<Variant>]) -> Vec<String> {
    let mut warnings = Vec::new();
    for group in groups {
        let mut pes: Vec<u64> = group.iter().map(|variant| variant.accelerator.array.pes()).collect();
        pes.sort_unstable();
        if let [least, .., most] = pes[..]
            && least != most
        {
            let name = &group[0].accelerator.name;
            warnings.push(format!(
                "the arrays of --co-search on `{name}` have from {least} to {most} PEs: larger ones are faster for that alone"
            ));
        }
    }
    warnings
}

/// The networks of all fronts.
fn networks(fronts: &[Front], table: &Table, job: &Pricing<'_>) -> Result<Vec<Network>, TableJobError> {
    let rows = fronts.iter().flat_map(Front::members).map(|member| member % table.rows.len());
    let rows: BTreeMap<usize, &TableRow> = rows.map(|row| (row, &table.rows[row])).collect();
    rows.values().map(|row| job.network(row)).collect()
}

/// The YAML of a network with its estimate on each variant where that is shown.
type Estimated = (String, Vec<Option<Estimate>>);

/// Networks and layers of the points of `fronts`: of all, or, where these are many, of those on a front.
fn shown(
    fronts: &[Front],
    groups: &[Vec<Variant>],
    table: &Table,
    job: &Pricing<'_>,
) -> Result<Networks, TableJobError> {
    let count = table.rows.len();
    let all = fronts.iter().map(|front| front.points().len()).sum::<usize>() <= TableOutcome::MOST_SHOWN;
    let is_shown = |front: &Front, place: usize| all || front.members().binary_search(&place).is_ok();
    // The variant at a place of a front's group is that of the points from `place * count`.
    let places: Vec<(usize, usize)> = groups
        .iter()
        .enumerate()
        .flat_map(|(front, group)| (0..group.len()).map(move |variant| (front, variant)))
        .collect();
    let of_row = |number: usize| -> Result<Option<Estimated>, TableJobError> {
        let is_wanted = |&(front, variant): &(usize, usize)| is_shown(&fronts[front], variant * count + number);
        let wanted: Vec<&Variant> =
            places.iter().filter(|place| is_wanted(place)).map(|&(front, variant)| &groups[front][variant]).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let (network, estimates) = job.estimates(&table.rows[number], &wanted)?;
        let mut estimates = estimates.into_iter();
        let estimates = places.iter().map(|place| if is_wanted(place) { estimates.next() } else { None }).collect();
        Ok(Some((network.to_yaml(), estimates)))
    };
    let mut found = Networks::default();
    let mut points: Vec<Vec<Option<Shown>>> = fronts.iter().map(|front| vec![None; front.points().len()]).collect();
    // In parts, since estimates are large.
    for first in (0..count).step_by(PART) {
        let part: Vec<_> = (first..count.min(first + PART)).into_par_iter().map(of_row).collect();
        for (number, row) in (first..).zip(part) {
            let Some((network, estimates)) = row? else { continue };
            let network = found.network(&network);
            for (&(front, variant), estimate) in places.iter().zip(&estimates) {
                points[front][variant * count + number] =
                    estimate.as_ref().map(|estimate| found.estimate(network, estimate));
            }
        }
    }
    points.into_iter().for_each(|points| found.front(points));
    Ok(found)
}

#[cfg(test)]
mod tests;
