//! What a run measured, epoch by epoch.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, text_width};
use super::colour::{INK, series};
use super::panel::{Panel, left_margin, nothing};
use crate::record::{HistoryRecord, Stage};

const WIDTH: f64 = 1000.0;
/// Least room for the numbers at the left, pixels.
const LEAST_LEFT: f64 = 75.0;
const RIGHT: f64 = 980.0;
const TOP: f64 = 72.0;
/// Height of a row of panels and the gap below it, pixels.
const ROW: [f64; 2] = [150.0, 16.0];
const COLUMN_GAP: f64 = 14.0;
/// Least part of the width that a stage gets, however few its epochs.
const LEAST_SHARE: f64 = 0.22;

/// What one epoch measured, in the order of [`MEASURES`]; not a number where it did not.
struct Sample {
    epoch: f64,
    values: [f64; MEASURES.len()],
}

/// Row and colour of each measure.
const MEASURES: [(usize, usize); 7] = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (3, 2), (4, 2)];

const VALIDATION_ACCURACY: usize = 3;

/// Greatest value that a row can have.
const LIMITS: [f64; 5] = [f64::INFINITY, 100.0, f64::INFINITY, f64::INFINITY, 100.0];

/// Names of the rows, with units.
const ROWS: [&str; 5] =
    ["loss (nats)", "accuracy (%)", "exp. latency (ms)", "exp. utilization (%)", "choice entropy (%)"];

/// Names of the colours.
const COLOURS: [&str; 3] = ["training images", "validation images", "expected over the choices"];

/// The epochs of one stage.
struct Column {
    stage: Stage,
    of: u32,
    samples: Vec<Sample>,
}

impl Column {
    /// Epochs to leave room for.
    fn length(&self) -> f64 {
        self.samples.iter().map(|sample| sample.epoch).fold(f64::from(self.of), f64::max)
    }

    /// Epochs and values; a line breaks where a value is not finite, unless it was not asked for at every epoch.
    fn curve(&self, measure: usize) -> Vec<[f64; 2]> {
        let at_times = self.stage == Stage::Train && measure == VALIDATION_ACCURACY;
        let values = self.samples.iter().map(|sample| [sample.epoch, sample.values[measure]]);
        values.filter(|[_, value]| value.is_finite() || !at_times).collect()
    }

    fn has(&self, row: usize) -> bool {
        measures_of(row).any(|measure| self.measured(measure))
    }

    fn measured(&self, measure: usize) -> bool {
        self.curve(measure).iter().any(|[_, value]| value.is_finite())
    }
}

fn measures_of(row: usize) -> impl Iterator<Item = usize> {
    (0..MEASURES.len()).filter(move |&measure| MEASURES[measure].0 == row)
}

/// Loss, accuracy, expected latency, expected utilization and entropy of the choices of each epoch, the stages side by
/// side.
///
/// Each stage has as much width as it has epochs, up to a point; rows that nothing measured are left out.
#[must_use]
pub fn history_svg(records: &[HistoryRecord]) -> String {
    let columns = columns(records);
    let rows: Vec<usize> = (0..ROWS.len()).filter(|&row| columns.iter().any(|column| column.has(row))).collect();
    let bottom = TOP + (ROW[0] + ROW[1]) * rows.len().max(1) as f64;
    let axes: Vec<Axis> = rows.iter().map(|&row| axis(&columns, row)).collect();
    let widest = axes.iter().map(Axis::label_width).fold(0.0, f64::max);
    let axes: Vec<Axis> = axes.into_iter().map(|axis| axis.with_label_width(widest)).collect();
    let left = axes.iter().map(left_margin).fold(LEAST_LEFT, f64::max);
    let sheet = Sheet { left, spans: spans(&columns, left), columns, rows, axes };
    drawing([WIDTH, bottom + 40.0], |canvas| {
        sheet.legend(canvas);
        for number in 0..sheet.rows.len() {
            sheet.row(canvas, number);
        }
        if sheet.rows.is_empty() {
            nothing(canvas, [f64::midpoint(left, RIGHT), f64::midpoint(TOP, bottom)], "no epochs");
        }
    })
}

/// What is drawn where.
struct Sheet {
    /// Left side of the first column, pixels.
    left: f64,
    columns: Vec<Column>,
    /// Left and right side of each column, pixels.
    spans: Vec<[f64; 2]>,
    /// The rows with values, from above.
    rows: Vec<usize>,
    /// The axis of values of each row.
    axes: Vec<Axis>,
}

impl Sheet {
    /// Title, what the colours mean, and the names of the stages.
    fn legend(&self, canvas: &Canvas<'_>) {
        canvas.text("History", [self.left, 24.0], Look { size: Size::Title, anchor: Anchor::Left, colour: INK });
        let mut left = self.left + 110.0;
        for (number, name) in COLOURS.iter().enumerate().filter(|(number, _)| self.has_colour(*number)) {
            let stroke = Stroke { colour: series(number), width: 2.5, dash: Dash::Solid };
            canvas.line(&[[left, 24.0], [left + 24.0, 24.0]], stroke);
            canvas.text(name, [left + 30.0, 24.0], Look { size: Size::Normal, anchor: Anchor::Left, colour: INK });
            left += 54.0 + text_width(name, Size::Normal);
        }
        for (column, [left, right]) in self.columns.iter().zip(&self.spans) {
            let look = Look { size: Size::Normal, anchor: Anchor::Middle, colour: INK };
            canvas.text(name(column.stage), [f64::midpoint(*left, *right), TOP - 12.0], look);
        }
    }

    fn has_colour(&self, colour: usize) -> bool {
        let mut measures = (0..MEASURES.len()).filter(|&measure| MEASURES[measure].1 == colour);
        measures.any(|measure| self.columns.iter().any(|column| column.measured(measure)))
    }

    /// One quantity over all stages; the axis of values is common, numbers stand at the left and below alone.
    fn row(&self, canvas: &Canvas<'_>, number: usize) {
        let row = self.rows[number];
        let y = &self.axes[number];
        let top = TOP + (ROW[0] + ROW[1]) * number as f64;
        let mut title = Some(ROWS[row]);
        for (column, [left, right]) in self.columns.iter().zip(&self.spans).filter(|(column, _)| column.has(row)) {
            let corners = [[*left, top], [*right, top + ROW[0]]];
            let panel = Panel { corners, x: epochs(column, right - left), y: y.clone() };
            let last = self.rows[number + 1..].iter().all(|&below| !column.has(below));
            panel.frame(canvas, last.then_some("epoch"), title.take());
            for measure in measures_of(row) {
                let colour = series(MEASURES[measure].1);
                panel.curve(canvas, &column.curve(measure), Stroke { colour, width: 1.8, dash: Dash::Solid });
            }
        }
    }
}

/// The axis of values that the row has in all stages.
fn axis(columns: &[Column], row: usize) -> Axis {
    let values = columns.iter().flat_map(|column| measures_of(row).flat_map(|measure| column.curve(measure)));
    Axis::around(values.map(|[_, value]| value), 5).ticks_up_to(LIMITS[row])
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Operators => "search: operators",
        Stage::Widths => "search: widths",
        Stage::Supernet => "supernet on drawn paths",
        Stage::Candidates => "candidates",
        Stage::Train => "training",
    }
}

fn epochs(column: &Column, width: f64) -> Axis {
    let last = column.length().max(2.0);
    // Less than one, or there would be an epoch 0.
    let margin = (0.02 * (last - 1.0)).min(0.9);
    Axis::whole(1.0 - margin, last + margin, if width > 400.0 { 12 } else { 6 })
}

fn columns(records: &[HistoryRecord]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for (stage, of, sample) in records.iter().filter_map(sample) {
        match columns.iter_mut().find(|column| column.stage == stage) {
            Some(column) => column.samples.push(sample),
            None => columns.push(Column { stage, of, samples: vec![sample] }),
        }
    }
    columns.sort_by_key(|column| column.stage);
    columns
}

fn sample(record: &HistoryRecord) -> Option<(Stage, u32, Sample)> {
    let stage = record.position()?.stage;
    let (of, epoch, values) = match record {
        HistoryRecord::Epoch(epoch) => {
            let losses = [epoch.train_loss, epoch.validation_loss];
            let accuracies = [100.0 * epoch.train_accuracy, 100.0 * epoch.validation_accuracy];
            let costs = [epoch.latency_ms, 100.0 * epoch.utilization];
            (epoch.of, epoch.epoch, [losses, accuracies, costs, [100.0 * epoch.entropy.unwrap_or(f64::NAN), f64::NAN]])
        }
        HistoryRecord::Train(epoch) => {
            let accuracies = [100.0 * epoch.accuracy, 100.0 * epoch.validation_accuracy.unwrap_or(f64::NAN)];
            (epoch.of, epoch.epoch, [[epoch.loss, f64::NAN], accuracies, [f64::NAN; 2], [f64::NAN; 2]])
        }
        HistoryRecord::Candidate(_) | HistoryRecord::Rollback(_) | HistoryRecord::End(_) => return None,
    };
    let [[a, b], [c, d], [e, f], [g, _]] = values;
    Some((stage, of, Sample { epoch: f64::from(epoch), values: [a, b, c, d, e, f, g] }))
}

/// Left and right side of each stage's panels, pixels.
fn spans(columns: &[Column], left: f64) -> Vec<[f64; 2]> {
    let all: f64 = columns.iter().map(Column::length).sum();
    let shares: Vec<f64> = columns.iter().map(|column| (column.length() / all).max(LEAST_SHARE)).collect();
    let width = (RIGHT - left - COLUMN_GAP * columns.len().saturating_sub(1) as f64) / shares.iter().sum::<f64>();
    let mut left = left;
    let mut spans = Vec::with_capacity(columns.len());
    for share in shares {
        spans.push([left, left + width * share]);
        left += width * share + COLUMN_GAP;
    }
    spans
}
