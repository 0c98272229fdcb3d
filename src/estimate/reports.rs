//! The three report files of SCALE-Sim v3 for a topology, as it writes them with infinite bandwidth (`CALC`).
//!
//! Cycles, utilizations and accesses of the array's memories are its own. DRAM columns are, too, as long as each operand
//! stays below half of its memory, where SCALE-Sim fetches all of it before the first cycle; beyond, its windows follow
//! single addresses, and the cells are left empty.

use crate::accel::{Accelerator, CostError, Dataflow, Gemm, ScaleSimReport, Tiling, Timing};
use crate::import::scale_sim::{Conv, Row, RowError, RowKind, SramKib};

/// The most lines of one report: each channel of a depthwise layer is one.
const MAX_LINES: u64 = 200_000;
/// Words that SCALE-Sim fetches a cycle before the first, where it is to find the bandwidth.
const PREFETCH_WORDS: u64 = 10;
/// Sets into which it cuts a read memory, of which half are filled beforehand.
const SETS: u64 = 100;

const COMPUTE: &str = "LayerID, Total Cycles (incl. prefetch), Total Cycles, Stall Cycles, Overall Util %, \
                       Mapping Efficiency %, Compute Util %,\n";
const BANDWIDTH: &str = "LayerID, Avg IFMAP SRAM BW, Avg FILTER SRAM BW, Avg OFMAP SRAM BW, Avg IFMAP DRAM BW, \
                         Avg FILTER DRAM BW, Avg OFMAP DRAM BW,\n";
const ACCESS: &str = "LayerID, SRAM IFMAP Start Cycle, SRAM IFMAP Stop Cycle, SRAM IFMAP Reads, \
                      SRAM Filter Start Cycle, SRAM Filter Stop Cycle, SRAM Filter Reads, \
                      SRAM OFMAP Start Cycle, SRAM OFMAP Stop Cycle, SRAM OFMAP Writes, \
                      DRAM IFMAP Start Cycle, DRAM IFMAP Stop Cycle, DRAM IFMAP Reads, \
                      DRAM Filter Start Cycle, DRAM Filter Stop Cycle, DRAM Filter Reads, \
                      DRAM OFMAP Start Cycle, DRAM OFMAP Stop Cycle, DRAM OFMAP Writes,\n";

/// The texts of the three files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports {
    /// `COMPUTE_REPORT.csv`: cycles, and utilizations in percent.
    pub compute: String,
    /// `BANDWIDTH_REPORT.csv`: words a cycle.
    pub bandwidth: String,
    /// `DETAILED_ACCESS_REPORT.csv`: cycles and words.
    pub access: String,
    /// Lines that have an empty cell.
    pub partial: u64,
    /// Lines of each file, without the header.
    pub lines: u64,
}

/// Why there are no reports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// A row is no product.
    #[error(transparent)]
    Row(#[from] RowError),
    /// Its cycles or accesses cannot be given.
    #[error("layer `{layer}`: {source}")]
    Cost {
        /// The layer.
        layer: String,
        /// Why.
        source: CostError,
    },
    /// SCALE-Sim simulates one array.
    #[error("SCALE-Sim's reports are of one array, got {0}")]
    Arrays(u64),
    /// More lines than a report may have.
    #[error("layer `{0}`: a report has one line for each channel of a depthwise layer, at most {MAX_LINES} in all")]
    Lines(String),
}

/// The reports of `rows`, one image, on `accelerator` with the memories `sram`; without them the DRAM cells are empty.
///
/// # Errors
/// [`ReportError`] with the layer at which it fails.
pub fn reports(rows: &[Row], accelerator: &Accelerator, sram: Option<SramKib>) -> Result<Reports, ReportError> {
    if accelerator.array.count != 1 {
        return Err(ReportError::Arrays(accelerator.array.count));
    }
    let [compute, bandwidth, access] = [COMPUTE, BANDWIDTH, ACCESS].map(str::to_owned);
    let mut all = Reports { compute, bandwidth, access, partial: 0, lines: 0 };
    for row in rows {
        let gemm = row.gemm(1)?;
        if gemm.repeats() > MAX_LINES - all.lines {
            return Err(ReportError::Lines(row.name.clone()));
        }
        let layer = Layer::new(row, &gemm, accelerator, sram)
            .map_err(|source| ReportError::Cost { layer: row.name.clone(), source })?;
        for _ in 0..gemm.repeats() {
            all.push(&layer);
        }
    }
    Ok(all)
}

impl Reports {
    fn push(&mut self, layer: &Layer) {
        let cells = [(&mut self.compute, layer.compute()), (&mut self.bandwidth, layer.bandwidth())];
        let cells = cells.into_iter().chain([(&mut self.access, layer.accesses())]);
        let mut partial = false;
        for (text, cells) in cells {
            partial |= cells.iter().any(String::is_empty);
            text.push_str(&format!("{}, {},\n", self.lines, cells.join(", ")));
        }
        self.partial += u64::from(partial);
        self.lines += 1;
    }
}

/// When a memory is used first and last, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: i128,
    /// Nothing where addresses beyond the input decide.
    stop: Option<i128>,
    words: u64,
}

/// One line of each report: SCALE-Sim takes every channel of a depthwise layer as a layer.
struct Layer {
    cycles: u64,
    /// Overall, mapping and compute utilization in percent.
    utilizations: [Option<f64>; 3],
    /// Inputs, filters, outputs.
    sram: [Span; 3],
    /// As `sram`, where it is known.
    dram: [Option<Span>; 3],
}

impl Layer {
    fn new(row: &Row, gemm: &Gemm, accelerator: &Accelerator, sram: Option<SramKib>) -> Result<Self, CostError> {
        let channel = gemm.of_one();
        let cost = accelerator.array_cost(Timing::ScaleSim, &channel)?;
        let report = accelerator.scale_sim_report(&channel)?;
        let array = &accelerator.array;
        // In its order of operations, so that the last digit is its own: 100 MACs over PEs and cycles.
        let capacity = u128::from(array.pes()) * u128::from(cost.cycles.0);
        let overall = (capacity > 0).then(|| (u128::from(cost.macs.0) * 100) as f64 / capacity as f64);
        let mapping = cost.mapping_utilization(array).map(|share| share * 100.0);
        let compute = report.compute_utilization * 100.0;
        Ok(Self {
            cycles: cost.cycles.0,
            utilizations: [overall, mapping, Some(compute)],
            sram: Timeline::new(row, &channel, accelerator, cost.cycles.0).spans(&report),
            dram: sram.map_or([None; 3], |sram| dram(row, &channel, accelerator, cost.cycles.0, sram)),
        })
    }

    fn compute(&self) -> Vec<String> {
        let [ifmap, filter, ofmap] = self.dram;
        let with_prefetch = || Some(ofmap?.stop? - ifmap?.start.min(filter?.start));
        let mut cells = vec![optional(with_prefetch()), self.cycles.to_string(), "0".to_owned()];
        cells.extend(self.utilizations.map(float));
        cells
    }

    fn bandwidth(&self) -> Vec<String> {
        let cycles = self.cycles as f64;
        let of_sram = |span: &Span| (self.cycles > 0).then(|| span.words as f64 / cycles);
        let of_dram = |span: &Option<Span>| {
            let Span { start, stop, words } = (*span)?;
            Some(words as f64 / (stop? - start + 1) as f64)
        };
        self.sram.iter().map(of_sram).chain(self.dram.iter().map(of_dram)).map(float).collect()
    }

    fn accesses(&self) -> Vec<String> {
        let cells = |span: Option<Span>| {
            let cycle = |cycle: Option<i128>| cycle.map_or_else(String::new, |cycle| format!("{cycle}.0"));
            let stop = span.and_then(|span| span.stop);
            [cycle(span.map(|span| span.start)), cycle(stop), optional(span.map(|span| i128::from(span.words)))]
        };
        self.sram.map(Some).into_iter().chain(self.dram).flat_map(cells).collect()
    }
}

fn optional(number: Option<i128>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

/// With a point, as Python writes it.
fn float(number: Option<f64>) -> String {
    number.map_or_else(String::new, |number| format!("{number:?}"))
}

/// When the tiles of a product touch the array's memories.
struct Timeline<'a> {
    conv: Option<&'a Conv>,
    dataflow: Dataflow,
    /// Rows of the array.
    rows: i128,
    /// First cycle of the last tile.
    last: i128,
    tiling: Tiling,
}

impl<'a> Timeline<'a> {
    fn new(row: &'a Row, channel: &Gemm, accelerator: &Accelerator, cycles: u64) -> Self {
        let tiling = Tiling::new(&accelerator.array, accelerator.dataflow, channel);
        let all = i128::from(cycles) + 1;
        let conv = match &row.kind {
            RowKind::Conv(conv) => Some(conv),
            RowKind::Gemm { .. } => None,
        };
        let rows = i128::from(accelerator.array.rows);
        Self { conv, dataflow: accelerator.dataflow, rows, last: all - all / i128::from(tiling.tiles()), tiling }
    }

    /// Inputs, filters, outputs. A read is served one cycle after it is asked for; the stationary operand is loaded from
    /// its last row on, and rows that are not in use come first; a column is late by its place.
    fn spans(&self, report: &ScaleSimReport) -> [Span; 3] {
        let [first, rest] = [0, self.tiling.rows.pieces() - 1].map(|tile| i128::from(self.tiling.rows.piece(tile)));
        let cols = i128::from(self.tiling.cols.piece(self.tiling.cols.pieces() - 1));
        let (rows, last, streamed) = (self.rows, self.last, i128::from(self.tiling.streamed));
        let load = (rows - first + 1, last + rows);
        let stream = |late: i128, places: i128| (late + 1, last + late + streamed + places - 1);
        let drain = |late: i128| last + late + rows + streamed + cols - 3;
        let (ifmap, filter, ofmap) = match self.dataflow {
            Dataflow::WeightStationary => (stream(rows, rest), load, (2 * rows - 1, drain(rows))),
            Dataflow::InputStationary => (load, stream(rows, rest), (2 * rows - 1, drain(rows))),
            Dataflow::OutputStationary => (stream(0, rest), stream(0, cols), (streamed - 1 + rows - first, drain(0))),
        };
        let span = |(start, stop): (i128, i128), words| Span { start, stop: Some(stop), words };
        let stop = self.beyond_input().map(|missed| ifmap.1 - missed);
        [
            Span { stop, ..span(ifmap, report.ifmap_reads) },
            span(filter, report.filter_reads),
            span(ofmap, report.ofmap_writes),
        ]
    }

    /// Cycles by which the last read of the input comes early, since what lies beyond the input is not read; nothing
    /// where it falls into an earlier tile.
    fn beyond_input(&self) -> Option<i128> {
        let Some(conv) = self.conv else { return Some(0) };
        let of_tile = |extent: &crate::accel::Extent| {
            let start = (extent.pieces() - 1) * extent.size;
            (start, start + extent.piece(extent.pieces() - 1) - 1)
        };
        let (rows, cols, streamed) =
            (of_tile(&self.tiling.rows), of_tile(&self.tiling.cols), (0, self.tiling.streamed - 1));
        match self.dataflow {
            Dataflow::WeightStationary => Window::new(conv).missed(streamed, rows),
            Dataflow::OutputStationary => Window::new(conv).missed(rows, streamed),
            Dataflow::InputStationary => Window::new(conv).missed(cols, (rows.0, rows.0)).map(|_| 0),
        }
    }
}

/// Which values of a window lie within the input: in the last row and column of outputs not all do.
struct Window<'a> {
    conv: &'a Conv,
    channels: u64,
    /// Filter rows and columns that lie within the input at the last row and column of outputs.
    inside: [u64; 2],
}

impl<'a> Window<'a> {
    fn new(conv: &'a Conv) -> Self {
        let inside = |length: u64, filter: u64, outputs: u64, stride: u64| {
            length.saturating_sub((outputs - 1).saturating_mul(stride)).min(filter)
        };
        let rows = inside(conv.ifmap_h, conv.filter_h, conv.out_h(), conv.stride_h);
        let cols = inside(conv.ifmap_w, conv.filter_w, conv.out_w(), conv.stride_w);
        Self { conv, channels: channels(conv), inside: [rows, cols] }
    }

    /// How far the latest (pixel, value) pair within the input lies before the last of both ranges, ends included.
    fn missed(&self, pixels: (u64, u64), values: (u64, u64)) -> Option<i128> {
        let Conv { filter_h, filter_w, .. } = *self.conv;
        let (out_h, out_w) = (self.conv.out_h(), self.conv.out_w());
        let heights = [(out_h, self.inside[0]), (out_h - 1, filter_h)];
        let widths = [(out_w, self.inside[1]), (out_w - 1, filter_w)];
        let pairs = heights.into_iter().flat_map(|height| widths.map(|width| (height, width)));
        let missed = pairs.filter_map(|((height, rows), (width, cols))| {
            let pixel = latest(pixels, [height, width], [out_w, 1])?;
            let value = latest(values, [rows, cols], [filter_w.checked_mul(self.channels)?, self.channels])?;
            Some(i128::from(pixels.1 - pixel) + i128::from(values.1 - value))
        });
        missed.min()
    }
}

/// The last index of `range` whose row is below `rows` and whose column is below `cols`; a row is `row` long, a column
/// `col`.
fn latest(range: (u64, u64), [rows, cols]: [u64; 2], [row, col]: [u64; 2]) -> Option<u64> {
    if rows == 0 || cols == 0 {
        return None;
    }
    let at_row = range.1 / row;
    let at_col = range.1 % row / col;
    let index = match (at_row < rows, at_col < cols) {
        (true, true) => range.1,
        (true, false) => at_row * row + cols * col - 1,
        (false, _) => (rows - 1) * row + cols * col - 1,
    };
    (index >= range.0).then_some(index)
}

/// Channels of one of SCALE-Sim's layers.
fn channels(conv: &Conv) -> u64 {
    if conv.depthwise { 1 } else { conv.channels }
}

fn dram(row: &Row, channel: &Gemm, accelerator: &Accelerator, cycles: u64, sram: SramKib) -> [Option<Span>; 3] {
    let (m, n, k) = (channel.m(), channel.n(), channel.k());
    let ifmap = match &row.kind {
        RowKind::Conv(conv) => touched(conv),
        RowKind::Gemm { .. } => m.checked_mul(k),
    };
    let filter = n.checked_mul(k);
    let sums = match accelerator.dataflow {
        Dataflow::WeightStationary | Dataflow::InputStationary => k.div_ceil(accelerator.array.rows),
        Dataflow::OutputStationary => 1,
    };
    let written = m.checked_mul(n).and_then(|values| values.checked_mul(sums));
    [
        ifmap.and_then(|words| fetched(words, sram.ifmap)),
        filter.and_then(|words| fetched(words, sram.filter)),
        written.and_then(|words| drained(words, sram.ofmap, accelerator.array.cols, cycles)),
    ]
}

/// Input values that some window covers.
fn touched(conv: &Conv) -> Option<u64> {
    let side = |length: u64, filter: u64, stride: u64, outputs: u64| {
        let before = outputs - 1;
        if stride < filter {
            return Some(length.min(before.saturating_mul(stride).saturating_add(filter)));
        }
        let last = length.saturating_sub(before.saturating_mul(stride)).min(filter);
        before.checked_mul(filter)?.checked_add(last)
    };
    let height = side(conv.ifmap_h, conv.filter_h, conv.stride_h, conv.out_h())?;
    let width = side(conv.ifmap_w, conv.filter_w, conv.stride_w, conv.out_w())?;
    height.checked_mul(width)?.checked_mul(channels(conv))
}

/// A fetch of `words` into a memory of `kib` that ends before cycle 0, in whole sets.
fn fetched(words: u64, kib: u64) -> Option<Span> {
    let set = kib * 1024 / SETS;
    if words >= set * (SETS / 2) {
        return None;
    }
    let cycles = (words.div_ceil(set) * set).div_ceil(PREFETCH_WORDS);
    Some(Span { start: -i128::from(cycles), stop: Some(-1), words })
}

/// Outputs that all wait in half of a memory of `kib` until the last cycle, then leave a word a column.
fn drained(words: u64, kib: u64, cols: u64, cycles: u64) -> Option<Span> {
    if words > kib * 1024 / 2 {
        return None;
    }
    let start = i128::from(cycles);
    Some(Span { start, stop: Some(start + i128::from(words.div_ceil(cols)) - 1), words })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_lies_beyond_the_input_is_found_as_by_a_loop(
            size in (1..7_u64, 1..7_u64, 1..4_u64, 1..4_u64), stride in (1..5_u64, 1..5_u64), channels in 1..3_u64,
            cut in (1..9_u64, 1..9_u64),
        ) {
            let (height, width, filter_h, filter_w) = size;
            prop_assume!(filter_h <= height && filter_w <= width);
            let conv = Conv {
                ifmap_h: height, ifmap_w: width, filter_h, filter_w, channels, filters: 1, stride_h: stride.0,
                stride_w: stride.1, depthwise: false,
            };
            let within = |pixel: u64, value: u64| {
                let (out_row, out_col) = (pixel / conv.out_w(), pixel % conv.out_w());
                let (row, col) = (value / channels / filter_w, value / channels % filter_w);
                let at = (out_row * stride.0 + row, out_col * stride.1 + col);
                (at.0 < height && at.1 < width).then_some((at.0 * width + at.1) * channels + value % channels)
            };
            let (pixels, values) = (conv.out_h() * conv.out_w(), filter_h * filter_w * channels);
            let pixel_range = ((pixels - 1) / cut.0 * cut.0, pixels - 1);
            let value_range = ((values - 1) / cut.1 * cut.1, values - 1);
            let mut addresses = std::collections::BTreeSet::new();
            let mut missed: Option<i128> = None;
            for pixel in 0..pixels {
                for value in 0..values {
                    let Some(address) = within(pixel, value) else { continue };
                    addresses.insert(address);
                    if pixel >= pixel_range.0 && value >= value_range.0 {
                        let early = i128::from(pixels - 1 - pixel + values - 1 - value);
                        missed = Some(missed.map_or(early, |least| least.min(early)));
                    }
                }
            }
            prop_assert_eq!(Window::new(&conv).missed(pixel_range, value_range), missed);
            prop_assert_eq!(touched(&conv), u64::try_from(addresses.len()).ok());
        }
    }
}
