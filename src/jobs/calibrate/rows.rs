//! The CSV file of measured rows.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use csv::StringRecord;

use crate::accel::Gemm;
use crate::accel::calibration::Work;
use crate::estimate::calibrate::{Observation, Observed};
use crate::estimate::measured_work;
use crate::import::onnx::Options;
use crate::jobs::Model;
use crate::network::Network;
use crate::space::Space;

/// Columns of a measured time: the name, and milliseconds of what stands in it.
const TIMES: [&str; 3] = ["ms", "us", "images/s"];
/// Columns of a product.
const SIDES: [&str; 3] = ["M", "N", "K"];

/// Why the rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: csv::Error,
    },
    /// The header does not say what is measured.
    #[error("{}:1: {reason}; the header has {}", path.display(), listed(.header))]
    Header {
        /// The file.
        path: PathBuf,
        /// The rule that is broken.
        reason: String,
        /// The names of the columns.
        header: Vec<String>,
    },
    /// A row breaks a rule.
    #[error("{}:{line}: {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// The rule, and what was given.
        reason: String,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { format!("`{}`", names.join("`, `")) }
}

/// What the header says is run.
#[derive(Debug, Clone, Copy)]
enum Run {
    Network(usize),
    Product([usize; 3]),
}

/// Places of the columns.
#[derive(Debug, Clone, Copy)]
struct Columns {
    run: Run,
    time: usize,
    unit: &'static str,
    batch: Option<usize>,
}

/// Reads the rows of the CSV file at `path`; `space` reads architecture strings. Paths of networks are relative to the
/// folder of the file.
///
/// # Errors
/// [`RowsError`] with the line of the first row that breaks a rule.
pub fn read_rows(path: &Path, space: Option<&Space>) -> Result<Vec<Observation>, RowsError> {
    let file = File::open(path).map_err(|error| RowsError::Read { path: path.to_owned(), source: error.into() })?;
    parse_rows(file, path, space)
}

/// As [`read_rows`], from `text`; `path` is its name in errors, and where paths of networks start.
///
/// # Errors
/// As [`read_rows`].
pub fn parse_rows(text: impl Read, path: &Path, space: Option<&Space>) -> Result<Vec<Observation>, RowsError> {
    let read = |source| RowsError::Read { path: path.to_owned(), source };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let header: Vec<String> = reader.headers().map_err(read)?.iter().map(str::to_owned).collect();
    let columns = columns(&header).map_err(|reason| RowsError::Header { path: path.to_owned(), reason, header })?;
    let mut observations = Vec::new();
    for record in reader.records() {
        let record = record.map_err(read)?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = observation(path, &columns, &record, space).map_err(|reason| RowsError::Row {
            path: path.to_owned(),
            line,
            reason,
        })?;
        observations.push(row);
    }
    Ok(observations)
}

fn columns(header: &[String]) -> Result<Columns, String> {
    let place = |name: &str| header.iter().position(|other| other == name);
    let sides = SIDES.map(place);
    let run = match (place("network"), sides) {
        (Some(_), [Some(_), ..] | [_, Some(_), _] | [.., Some(_)]) => {
            return Err("rows are either of networks (`network`) or of products (`M`, `N`, `K`), not both".to_owned());
        }
        (Some(network), [None, None, None]) => Run::Network(network),
        (None, [Some(m), Some(n), Some(k)]) => Run::Product([m, n, k]),
        (None, _) => return Err("a column `network`, or the columns `M`, `N` and `K` are needed".to_owned()),
    };
    let times: Vec<(usize, &'static str)> = TIMES.into_iter().filter_map(|name| Some((place(name)?, name))).collect();
    match times[..] {
        [(time, unit)] => Ok(Columns { run, time, unit, batch: place("batch") }),
        _ => Err(format!("one column of measured times is needed, of `{}`", TIMES.join("`, `"))),
    }
}

fn observation(
    path: &Path,
    columns: &Columns,
    record: &StringRecord,
    space: Option<&Space>,
) -> Result<Observation, String> {
    let field = |place: usize| record.get(place).unwrap_or_default();
    let ms = milliseconds(columns.unit, field(columns.time), columns.batch.map(field))?;
    match columns.run {
        Run::Network(place) => {
            let name = field(place);
            let works = network(path, name, space).map_err(|reason| format!("network `{name}`: {reason}"))?;
            Ok(Observation { name: name.to_owned(), observed: Observed::Network(works), ms })
        }
        Run::Product(places) => {
            let mut sides = [0; 3];
            for ((side, name), place) in sides.iter_mut().zip(SIDES).zip(places) {
                let given = field(place);
                *side = given.parse().map_err(|_| format!("{name}: must be a whole number from 1, got `{given}`"))?;
            }
            let [m, n, k] = sides;
            let gemm = Gemm::new(m, n, k).map_err(|error| error.to_string())?;
            Ok(Observation { name: format!("{m}x{n}x{k}"), observed: Observed::Product(gemm), ms })
        }
    }
}

/// Milliseconds of one image: `images/s` is a rate, `ms` and `us` are of `batch` images, of one where there is no such
/// column.
fn milliseconds(unit: &str, given: &str, batch: Option<&str>) -> Result<f64, String> {
    let number: Option<f64> = given.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    let number = number.ok_or_else(|| format!("{unit}: must be a number above 0, got `{given}`"))?;
    let images = match batch {
        None => 1.0,
        Some(batch) => {
            let whole = batch.parse::<u32>().ok().filter(|&batch| batch > 0);
            f64::from(whole.ok_or_else(|| format!("batch: must be a whole number from 1, got `{batch}`"))?)
        }
    };
    let ms = match unit {
        "images/s" => 1e3 / number,
        "us" => number / 1e3 / images,
        _ => number / images,
    };
    if ms.is_normal() { Ok(ms) } else { Err(format!("{unit}: must be a time that a number can hold, got `{given}`")) }
}

fn network(path: &Path, name: &str, space: Option<&Space>) -> Result<Vec<Work>, String> {
    let is_file = Path::new(name).extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "csv");
    match (is_file, space) {
        (false, Some(space)) => {
            let architecture = space.parse_string(name).map_err(|error| error.to_string())?;
            works(&space.derive_benchmark(&architecture).map_err(|error| error.to_string())?)
        }
        (false, None) => {
            Err("it is no file of networks (.yaml, .yml or .csv), and no --space reads strings".to_owned())
        }
        (true, _) => {
            let file = path.parent().unwrap_or(Path::new("")).join(name);
            match Model::load(&file, &Options::default()).map_err(|error| error.to_string())? {
                Model::Network(network) => works(&network),
                Model::Onnx(onnx) => works(&onnx.network),
                Model::Rows { rows, .. } => {
                    rows.iter().map(|row| Ok(Work::Product(row.gemm(1).map_err(|error| error.to_string())?))).collect()
                }
            }
        }
    }
}

fn works(network: &Network) -> Result<Vec<Work>, String> {
    let all = network.nodes().map(|(_, node)| measured_work(&node.op, &node.shape).map_err(|error| error.to_string()));
    all.filter_map(Result::transpose).collect()
}
