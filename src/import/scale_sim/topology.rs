//! Topology files of SCALE-Sim: one layer a line, as a convolution or as a matrix product.
//!
//! The first line is a header. One that starts `Layer, M, N, K` makes it the GEMM form; every other one the
//! convolution form: name, input height and width, filter height and width, channels, filters, stride (or stride of
//! height and of width). A last column `N:M` states sparsity, of which only the dense `N:N` is covered. Lines may end in
//! a comma.

use csv::{ReaderBuilder, Trim};

use crate::accel::{Gemm, GemmKind, WorkloadError};

/// One layer of a topology file, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Name of the layer; nothing keeps two layers from having the same.
    pub name: String,
    /// Line in the file, from 1.
    pub line: u64,
    /// What it computes.
    pub kind: RowKind,
}

/// The two forms of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A convolution.
    Conv(Conv),
    /// `[m, k]` by `[k, n]`.
    Gemm {
        /// Rows of the streamed operand.
        m: u64,
        /// Columns of the weights.
        n: u64,
        /// The length that is summed over.
        k: u64,
    },
}

/// A convolution of one image, its padding already in the input; every number is at least 1 and the filter fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Height of the input, padding included.
    pub ifmap_h: u64,
    /// Width of the input, padding included.
    pub ifmap_w: u64,
    /// Height of the filter.
    pub filter_h: u64,
    /// Width of the filter.
    pub filter_w: u64,
    /// Input channels.
    pub channels: u64,
    /// Filters; those of one channel where it is depthwise.
    pub filters: u64,
    /// Stride along the height.
    pub stride_h: u64,
    /// Stride along the width.
    pub stride_w: u64,
    /// Whether the name contains `DP`: each channel is convolved by itself.
    pub depthwise: bool,
}

impl Conv {
    /// Height of the output, `ceil((H - FH + S) / S)`: SCALE-Sim rounds up where others round down.
    #[must_use]
    pub fn out_h(&self) -> u64 {
        outputs(self.ifmap_h, self.filter_h, self.stride_h)
    }

    /// Width of the output, as [`Conv::out_h`].
    #[must_use]
    pub fn out_w(&self) -> u64 {
        outputs(self.ifmap_w, self.filter_w, self.stride_w)
    }

    fn gemm(&self, batch: u64) -> Option<Result<Gemm, WorkloadError>> {
        let m = self.out_h().checked_mul(self.out_w())?.checked_mul(batch)?;
        let area = self.filter_h.checked_mul(self.filter_w)?;
        if self.depthwise {
            let one = Gemm::new(m, self.filters, area);
            return Some(one.and_then(|one| one.repeated(self.channels, GemmKind::Depthwise)));
        }
        Some(Gemm::new(m, self.filters, area.checked_mul(self.channels)?))
    }
}

/// `ceil((length - filter + stride) / stride)`, for a filter that fits.
fn outputs(length: u64, filter: u64, stride: u64) -> u64 {
    (length - filter).div_ceil(stride) + 1
}

impl Row {
    /// The matrix product of the layer for `batch` images.
    ///
    /// Convolution: `m` = output pixels x batch, `n` = filters, `k` = filter area x channels; depthwise: one repeat a
    /// channel with `k` = filter area. GEMM form: `m` is taken times batch.
    ///
    /// # Errors
    /// [`RowError`] where batch is zero or the numbers pass 2^64.
    pub fn gemm(&self, batch: u64) -> Result<Gemm, RowError> {
        let gemm = match self.kind {
            RowKind::Conv(conv) => conv.gemm(batch),
            RowKind::Gemm { m, n, k } => m.checked_mul(batch).map(|m| Gemm::new(m, n, k)),
        };
        let error = |source| RowError { name: self.name.clone(), source };
        gemm.ok_or_else(|| error(None))?.map_err(|source| error(Some(source)))
    }
}

/// A layer whose matrix product cannot be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("layer `{name}`: {}", source.map_or("a size of its matrix product must be below 2^64".to_owned(), |s| s.to_string()))]
pub struct RowError {
    /// The layer.
    pub name: String,
    source: Option<WorkloadError>,
}

/// Why a text is no topology, with the line at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}:{line}: {fault}")]
pub struct ScaleSimError {
    /// The file, or what stands for it.
    pub origin: String,
    /// Line, from 1.
    pub line: u64,
    /// The rule that is broken.
    pub fault: Fault,
}

/// The rules of a topology file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text is no CSV.
    #[error("{0}")]
    Csv(String),
    /// There is nothing at all.
    #[error("a topology must have a header and at least one layer, got an empty file")]
    Empty,
    /// There is a header and nothing else.
    #[error("a topology must have at least one layer, got a header alone")]
    NoLayers,
    /// The first line is a layer.
    #[error("the first line must be a header, got the layer `{0}`")]
    NoHeader(String),
    /// A line has too few or too many columns.
    #[error("a layer must have {expected} columns, got {given}")]
    Columns {
        /// What the form of the file asks for.
        expected: &'static str,
        /// Columns of the line, without an empty last one.
        given: usize,
    },
    /// The layer has no name.
    #[error("layer name: must not be empty")]
    NoName,
    /// A size or stride is no whole number from 1.
    #[error("{column}: must be a whole number from 1 to 2^64 - 1, got `{given}`")]
    Number {
        /// The column.
        column: &'static str,
        /// What stands there.
        given: String,
    },
    /// The filter is larger than the input.
    #[error("{column}: must be at most the input's {input}, got {given}")]
    Filter {
        /// `filter height` or `filter width`.
        column: &'static str,
        /// Length of the input.
        input: u64,
        /// Length of the filter.
        given: u64,
    },
    /// Sparse layers are not covered.
    #[error("sparsity: must be dense (N:N), got `{0}`")]
    Sparse(String),
    /// The product of the layer is too large.
    #[error("{0}")]
    Row(#[from] RowError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Conv,
    Gemm,
}

/// Reads the topology `text`, one row a layer, in order; `origin` is its name in errors.
///
/// # Errors
/// [`ScaleSimError`] with the line at fault.
pub fn read_topology(text: &str, origin: &str) -> Result<Vec<Row>, ScaleSimError> {
    let at = |line: u64| move |fault| ScaleSimError { origin: origin.to_owned(), line, fault };
    let mut records = records(text).map_err(|(line, fault)| at(line)(fault))?.into_iter();
    let header = records.next().ok_or_else(|| at(1)(Fault::Empty))?;
    let form = form(&header.cells).map_err(at(header.line))?;
    let rows = records.map(|record| row(form, &record).map_err(at(record.line))).collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() { Err(at(header.line)(Fault::NoLayers)) } else { Ok(rows) }
}

/// A line that is not blank, its empty last column left out.
struct Record {
    line: u64,
    cells: Vec<String>,
}

/// Line by line: a layer never spans two, and the reader's own line numbers leave out blank lines.
fn records(text: &str) -> Result<Vec<Record>, (u64, Fault)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = Vec::new();
    for (line, written) in (1..).zip(text.lines()) {
        let cells = cells(written).map_err(|error| (line, Fault::Csv(error.to_string())))?;
        if cells.iter().any(|cell| !cell.is_empty()) {
            records.push(Record { line, cells });
        }
    }
    Ok(records)
}

fn cells(line: &str) -> Result<Vec<String>, csv::Error> {
    let mut cells = if line.contains('"') { quoted(line)? } else { line.split(',').map(trimmed).collect() };
    if cells.last().is_some_and(String::is_empty) {
        cells.pop();
    }
    Ok(cells)
}

fn trimmed(cell: &str) -> String {
    cell.trim().to_owned()
}

/// A line with quotes; a reader is much to set up for each of very many lines.
fn quoted(line: &str) -> Result<Vec<String>, csv::Error> {
    let mut reader = ReaderBuilder::new().has_headers(false).trim(Trim::All).from_reader(line.as_bytes());
    let record = reader.records().next().transpose()?.unwrap_or_default();
    Ok(record.iter().map(str::to_owned).collect())
}

fn form(header: &[String]) -> Result<Form, Fault> {
    if header.get(1).is_some_and(|cell| cell.parse::<f64>().is_ok()) {
        return Err(Fault::NoHeader(header[0].clone()));
    }
    let is_gemm = header.len() >= 4
        && header[0].to_lowercase().starts_with("layer")
        && header[1..4].iter().zip(["m", "n", "k"]).all(|(cell, name)| cell.eq_ignore_ascii_case(name));
    Ok(if is_gemm { Form::Gemm } else { Form::Conv })
}

fn row(form: Form, record: &Record) -> Result<Row, Fault> {
    let cells = dense(&record.cells)?;
    let name = cells.first().filter(|name| !name.is_empty()).ok_or(Fault::NoName)?;
    let kind = match form {
        Form::Conv => RowKind::Conv(conv(name, &cells[1..])?),
        Form::Gemm => gemm(&cells[1..])?,
    };
    let row = Row { name: name.clone(), line: record.line, kind };
    row.gemm(1)?;
    Ok(row)
}

/// The columns before the sparsity, where there is one.
fn dense(cells: &[String]) -> Result<&[String], Fault> {
    let Some((last, before)) = cells.split_last() else { return Ok(cells) };
    match last.split_once(':') {
        None => Ok(cells),
        Some(_) if before.is_empty() => Ok(cells),
        Some((kept, of)) if kept.trim() == of.trim() && kept.trim().parse::<u64>().is_ok_and(|n| n > 0) => Ok(before),
        Some(_) => Err(Fault::Sparse(last.clone())),
    }
}

fn conv(name: &str, sizes: &[String]) -> Result<Conv, Fault> {
    let (sizes, strides) = match sizes.len() {
        7 | 8 => sizes.split_at(6),
        other => return Err(Fault::Columns { expected: "8 or 9", given: other + 1 }),
    };
    let conv = Conv {
        ifmap_h: number("input height", &sizes[0])?,
        ifmap_w: number("input width", &sizes[1])?,
        filter_h: number("filter height", &sizes[2])?,
        filter_w: number("filter width", &sizes[3])?,
        channels: number("channels", &sizes[4])?,
        filters: number("filters", &sizes[5])?,
        stride_h: number("stride", &strides[0])?,
        stride_w: number("stride of the width", strides.last().unwrap_or(&strides[0]))?,
        depthwise: name.contains("DP"),
    };
    fits("filter height", conv.ifmap_h, conv.filter_h)?;
    fits("filter width", conv.ifmap_w, conv.filter_w)?;
    Ok(conv)
}

fn gemm(sizes: &[String]) -> Result<RowKind, Fault> {
    let [m, n, k] = sizes else {
        return Err(Fault::Columns { expected: "4", given: sizes.len() + 1 });
    };
    Ok(RowKind::Gemm { m: number("M", m)?, n: number("N", n)?, k: number("K", k)? })
}

fn number(column: &'static str, given: &str) -> Result<u64, Fault> {
    let number = given.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Fault::Number { column, given: given.to_owned() })
}

fn fits(column: &'static str, input: u64, given: u64) -> Result<(), Fault> {
    if given <= input { Ok(()) } else { Err(Fault::Filter { column, input, given }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONV: &str =
        "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n";
    const GEMM: &str = "Layer, M, N, K,\n";

    fn rows(text: &str) -> Vec<Row> {
        read_topology(text, "net.csv").unwrap()
    }

    fn sizes(row: &Row, batch: u64) -> [u64; 4] {
        let gemm = row.gemm(batch).unwrap();
        [gemm.m(), gemm.n(), gemm.k(), gemm.repeats()]
    }

    fn fault(header: &str, line: &str) -> String {
        read_topology(&format!("{header}ok, 9, 9, 3, 3, 8, 8, 1,\n{line}\n"), "net.csv").unwrap_err().to_string()
    }

    #[test]
    fn a_convolution_becomes_its_product() {
        let rows = rows(&format!("{CONV}conv1, 34, 34, 3, 3, 16, 32, 1,\nconv2,34,18,5,3,16,32,2,1\n"));
        // 34 - 3 + 1 = 32 pixels a side; 3 * 3 * 16 = 144
        assert_eq!(sizes(&rows[0], 1), [1024, 32, 144, 1]);
        assert_eq!(sizes(&rows[0], 4), [4096, 32, 144, 1]);
        // height ceil((34 - 5 + 2) / 2) = ceil(15.5) = 16, width (18 - 3 + 1) / 1 = 16; 5 * 3 * 16 = 240
        assert_eq!(sizes(&rows[1], 1), [256, 32, 240, 1]);
        assert_eq!(
            rows.iter().map(|row| (row.name.as_str(), row.line)).collect::<Vec<_>>(),
            [("conv1", 2), ("conv2", 3)]
        );
    }

    #[test]
    fn a_layer_with_dp_in_its_name_is_depthwise() {
        let rows = rows(&format!("{CONV}DPdw0, 10, 10, 3, 3, 16, 1, 1\nConvDP2, 10, 10, 3, 3, 16, 2, 1\n"));
        assert_eq!(sizes(&rows[0], 2), [128, 1, 9, 16]);
        assert_eq!(rows[0].gemm(1).unwrap().kind(), GemmKind::Depthwise);
        assert_eq!(sizes(&rows[1], 1), [64, 2, 9, 16]);
    }

    #[test]
    fn a_header_of_m_n_k_makes_every_line_a_product() {
        for header in [GEMM, "layer,m,n,k\n", " LAYER NAME , M , N , K , \n", "\u{feff}Layer,M,N,K,Sparsity\r\n"] {
            let rows = rows(&format!("{header}\nDPa, 4, 5, 6,\n , , ,\nb,7,8,9\n"));
            assert_eq!(sizes(&rows[0], 3), [12, 5, 6, 1], "{header}");
            assert_eq!(rows[1].kind, RowKind::Gemm { m: 7, n: 8, k: 9 });
            assert_eq!([rows[0].line, rows[1].line], [3, 5], "{header}");
        }
    }

    #[test]
    fn dense_layers_may_state_their_sparsity() {
        let rows = rows(&format!("{CONV}a, 9, 9, 3, 3, 8, 8, 2, 1:1,\n"));
        assert_eq!(sizes(&rows[0], 1), [16, 8, 72, 1]);
        assert_eq!(fault(CONV, "a, 9, 9, 3, 3, 8, 8, 2, 1:4,"), "net.csv:3: sparsity: must be dense (N:N), got `1:4`");
    }

    #[test]
    fn numbers_that_are_none_name_line_and_column() {
        for (bad, column) in
            [("-9", "input height"), ("0", "input height"), ("9.5", "input height"), ("", "input height")]
        {
            let expected = format!("net.csv:3: {column}: must be a whole number from 1 to 2^64 - 1, got `{bad}`");
            assert_eq!(fault(CONV, &format!("a, {bad}, 9, 3, 3, 8, 8, 1,")), expected);
        }
        assert_eq!(
            fault(CONV, "a, 9, 9, 3, 3, 8, 99999999999999999999, 1,"),
            "net.csv:3: filters: must be a whole number from 1 to 2^64 - 1, got `99999999999999999999`"
        );
        assert_eq!(
            fault(CONV, "a, 9, 9, 3, 3, 8, 8, 1, x"),
            "net.csv:3: stride of the width: must be a whole number from 1 to 2^64 - 1, got `x`"
        );
        let error = read_topology(&format!("{GEMM}a, 4, 0, 6"), "net.csv").unwrap_err();
        assert_eq!(error.to_string(), "net.csv:2: N: must be a whole number from 1 to 2^64 - 1, got `0`");
    }

    #[test]
    fn quotes_hold_commas_and_line_ends_of_old_systems_are_no_numbers() {
        let rows = rows(&format!("{GEMM}\"a, b\", 4,\"5\", 6,\n"));
        assert_eq!((rows[0].name.as_str(), sizes(&rows[0], 1)), ("a, b", [4, 5, 6, 1]));
        let error = read_topology(&format!("{GEMM}a, 4, 5, 6\rb, 7, 8, 9\r"), "net.csv").unwrap_err();
        assert_eq!(error.to_string(), "net.csv:2: a layer must have 4 columns, got 7");
    }

    #[test]
    fn wrong_columns_are_counted() {
        assert_eq!(fault(CONV, "a, 9, 9, 3, 3, 8, 8,"), "net.csv:3: a layer must have 8 or 9 columns, got 7");
        assert_eq!(
            fault(CONV, "a, 9, 9, 3, 3, 8, 8, 1, 1, 1, 1"),
            "net.csv:3: a layer must have 8 or 9 columns, got 11"
        );
        let error = read_topology(&format!("{GEMM}a, 4, 5\n"), "net.csv").unwrap_err();
        assert_eq!(error.to_string(), "net.csv:2: a layer must have 4 columns, got 3");
        assert_eq!(fault(CONV, ", 9, 9, 3, 3, 8, 8, 1,"), "net.csv:3: layer name: must not be empty");
    }

    #[test]
    fn a_filter_larger_than_its_input_is_refused() {
        assert_eq!(
            fault(CONV, "a, 9, 2, 3, 3, 8, 8, 1,"),
            "net.csv:3: filter width: must be at most the input's 2, got 3"
        );
    }

    #[test]
    fn layers_too_large_to_count_are_refused() {
        let side = 1_u64 << 33;
        let message = fault(CONV, &format!("a, {side}, {side}, 1, 1, 1, 1, 1,"));
        assert_eq!(message, "net.csv:3: layer `a`: a size of its matrix product must be below 2^64");
        let message = fault(CONV, &format!("a, 9, 9, 3, 3, {side}, {side}, 1,"));
        assert!(
            message.starts_with("net.csv:3: layer `a`: the MACs of a matrix product must be below 2^64"),
            "{message}"
        );
    }

    #[test]
    fn a_batch_of_nothing_names_the_layer() {
        let error = rows(&format!("{GEMM}a, 4, 5, 6"))[0].gemm(0).unwrap_err();
        assert_eq!(error.to_string(), "layer `a`: m of a matrix product must be at least 1, got 0");
    }

    #[test]
    fn files_without_layers_or_header_are_refused() {
        let message = |text: &str| read_topology(text, "net.csv").unwrap_err().to_string();
        assert_eq!(message(""), "net.csv:1: a topology must have a header and at least one layer, got an empty file");
        assert_eq!(message("\n , ,\n"), message(""));
        assert_eq!(message(GEMM), "net.csv:1: a topology must have at least one layer, got a header alone");
        assert_eq!(message("a, 4, 5, 6\n"), "net.csv:1: the first line must be a header, got the layer `a`");
    }
}
