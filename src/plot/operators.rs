//! What a search leaned to at each place of choice, epoch by epoch.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, shortened, text_width};
use super::colour::{FAINT_INK, INK, UNKNOWN, viridis};
use super::names::natural;
use super::panel::{Panel, colour_bar};
use crate::record::{HistoryRecord, SearchEpoch};

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 20.0;
/// Right end of the columns, where the bar of colours begins, pixels.
const RIGHT: f64 = 915.0;
const TOP: f64 = 50.0;
const COLUMN_GAP: f64 = 22.0;
/// Most columns of places beside each other.
const MOST_COLUMNS: usize = 3;
/// Height of a candidate, of the name above them and of the gap below, pixels.
const ROW: f64 = 12.0;
const NAME: f64 = 18.0;
const GAP: f64 = 12.0;
/// Room for the name of a candidate at most, and for its last probability, pixels.
const LABEL: f64 = 100.0;
const VALUE: f64 = 34.0;
/// More epochs than this are drawn as every second, third, ... of them, the last among them.
const MOST_EPOCHS: usize = 160;
/// Probabilities that differ by less have one colour.
const LEVELS: f64 = 100.0;

/// One place of choice.
struct Place<'a> {
    name: &'a str,
    /// For each candidate its name and its probability in each epoch, not a number where there is none.
    candidates: Vec<(&'a str, Vec<f64>)>,
}

impl Place<'_> {
    fn height(&self) -> f64 {
        NAME + ROW * self.candidates.len() as f64 + GAP
    }

    /// The candidate with the greatest probability at the end.
    fn likeliest(&self) -> Option<usize> {
        let last = |(_, values): &(&str, Vec<f64>)| values.last().copied().unwrap_or(f64::NAN);
        let ends = self.candidates.iter().map(last).enumerate().filter(|(_, end)| !end.is_nan());
        // Of equal ones the first.
        ends.rev().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(place, _)| place)
    }
}

/// For each place of choice a heat map: its candidates from above, epochs from the left, the colour is the probability.
///
/// The likeliest candidate at the end is written in ink; grey is what was not measured. Nothing where no operators were
/// searched. Of very many epochs every second, third, ... is drawn, the last among them.
#[must_use]
pub fn operators_svg(records: &[HistoryRecord]) -> Option<String> {
    let all: Vec<&SearchEpoch> = records.iter().filter_map(with_operators).collect();
    let step = all.len().div_ceil(MOST_EPOCHS).max(1);
    let epochs: Vec<&SearchEpoch> = all.iter().rev().step_by(step).rev().copied().collect();
    let places = places(&epochs);
    let columns = in_columns(&places);
    let height = columns.iter().map(|column| column.iter().map(|place| place.height()).sum()).fold(0.0, f64::max);
    let chart = Chart { width: (RIGHT - LEFT) / columns.len().max(1) as f64 - COLUMN_GAP, epochs: all.len() };
    (!places.is_empty()).then(|| {
        drawing([WIDTH, (TOP + height + 40.0).max(260.0)], |canvas| {
            let title = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
            canvas.text("Choice of operators", [LEFT, 24.0], title);
            let note = Look { size: Size::Small, anchor: Anchor::Right, colour: FAINT_INK };
            canvas.text("probability of each candidate where an epoch ends", [WIDTH - 14.0, 24.0], note);
            for (number, column) in columns.iter().enumerate() {
                let left = LEFT + number as f64 * (chart.width + COLUMN_GAP);
                chart.column(canvas, column, left);
            }
            colour_bar(
                canvas,
                [RIGHT + 10.0, TOP + NAME],
                height.clamp(150.0, 420.0) - NAME,
                ([0.0, 1.0], "probability (%)"),
            );
        })
    })
}

fn with_operators(record: &HistoryRecord) -> Option<&SearchEpoch> {
    match record {
        HistoryRecord::Epoch(epoch) => (!epoch.operators.is_empty()).then_some(epoch),
        HistoryRecord::Candidate(_) | HistoryRecord::Train(_) | HistoryRecord::Rollback(_) | HistoryRecord::End(_) => {
            None
        }
    }
}

/// Every place that some epoch names, by name, numbers in it by size.
fn places<'a>(epochs: &[&'a SearchEpoch]) -> Vec<Place<'a>> {
    let mut found: BTreeMap<&str, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for (number, epoch) in epochs.iter().enumerate() {
        for (place, candidates) in &epoch.operators {
            let known = found.entry(place).or_default();
            for (candidate, probability) in candidates {
                known.entry(candidate).or_insert_with(|| vec![f64::NAN; epochs.len()])[number] = *probability;
            }
        }
    }
    let place = |(name, candidates): (_, BTreeMap<_, _>)| Place { name, candidates: candidates.into_iter().collect() };
    let mut places: Vec<Place<'_>> = found.into_iter().map(place).collect();
    places.sort_by_key(|place| natural(place.name));
    places
}

/// The places in columns of about one height, in order.
fn in_columns<'a, 'b>(places: &'b [Place<'a>]) -> Vec<Vec<&'b Place<'a>>> {
    let all: f64 = places.iter().map(Place::height).sum();
    let each = all / places.len().clamp(1, MOST_COLUMNS) as f64;
    let mut columns: Vec<Vec<&Place<'_>>> = Vec::new();
    let mut above = 0.0;
    for place in places {
        // By its middle, so that columns end as near as they can to equal parts.
        let full = above + place.height() / 2.0 > each * columns.len() as f64;
        match columns.last_mut() {
            Some(column) if !full || column.is_empty() => column.push(place),
            Some(_) | None => columns.push(vec![place]),
        }
        above += place.height();
    }
    columns
}

/// What all columns have in common.
struct Chart {
    /// Of a column, pixels.
    width: f64,
    /// In the history.
    epochs: usize,
}

impl Chart {
    fn column(&self, canvas: &Canvas<'_>, places: &[&Place<'_>], left: f64) {
        let names = places.iter().flat_map(|place| &place.candidates);
        let widest = names.map(|(name, _)| text_width(name, Size::Tiny)).fold(0.0, f64::max).min(LABEL);
        let sides = [left + widest + 6.0, left + self.width - VALUE];
        let mut top = TOP;
        for (number, place) in places.iter().enumerate() {
            let look = Look { size: Size::Small, anchor: Anchor::Left, colour: INK };
            canvas.text(&shortened(place.name, Size::Small, self.width), [left, top + NAME / 2.0], look);
            let bottom = top + NAME + ROW * place.candidates.len() as f64;
            heat(canvas, place, [[sides[0], top + NAME], [sides[1], bottom]]);
            // Half an epoch of room on each side, so that numbers stand below the middle of their cells.
            let x = Axis::whole(0.5, self.epochs as f64 + 0.5, 8);
            let panel = Panel { corners: [[sides[0], top + NAME], [sides[1], bottom]], x, y: Axis::blank(1.0) };
            panel.outline(canvas);
            if number + 1 == places.len() {
                panel.x_numbers(canvas);
                let look = Look { size: Size::Normal, anchor: Anchor::Below, colour: INK };
                canvas.text("epoch", [f64::midpoint(sides[0], sides[1]), bottom + 20.0], look);
            }
            top += place.height();
        }
    }
}

/// The cells of one place with the names of its candidates and their last probabilities.
fn heat(canvas: &Canvas<'_>, place: &Place<'_>, [[left, top], [right, _]]: [[f64; 2]; 2]) {
    let likeliest = place.likeliest();
    for (row, (name, values)) in place.candidates.iter().enumerate() {
        let y = top + ROW * row as f64;
        let colour = if likeliest == Some(row) { INK } else { FAINT_INK };
        let label = Look { size: Size::Tiny, anchor: Anchor::Right, colour };
        canvas.text(&shortened(name, Size::Tiny, LABEL), [left - 5.0, y + ROW / 2.0], label);
        let width = (right - left) / values.len().max(1) as f64;
        for [from, to] in runs(values) {
            // A little overlap, or the ground shines through.
            let end = (left + width * to as f64 + 0.5).min(right);
            let corners = [[left + width * from as f64, y], [end, y + ROW]];
            canvas.rectangle(corners, if values[from].is_nan() { UNKNOWN } else { viridis(level(values[from])) });
        }
        if let Some(last) = values.last().filter(|last| last.is_finite()) {
            let look = Look { size: Size::Tiny, anchor: Anchor::Left, colour };
            canvas.text(&format!("{:.0} %", 100.0 * last), [right + 4.0, y + ROW / 2.0], look);
        }
        if likeliest == Some(row) {
            let stroke = Stroke { colour: INK, width: 1.2, dash: Dash::Solid };
            canvas.line(&[[right + 1.5, y + 1.0], [right + 1.5, y + ROW - 1.0]], stroke);
        }
    }
}

fn level(probability: f64) -> f64 {
    (LEVELS * probability).round() / LEVELS
}

/// From where to where neighbours have one colour.
fn runs(values: &[f64]) -> Vec<[usize; 2]> {
    let same = |a: &f64, b: &f64| level(*a) == level(*b) || (a.is_nan() && b.is_nan());
    let mut from = 0;
    let chunks = values.chunk_by(same).map(|chunk| {
        let run = [from, from + chunk.len()];
        from = run[1];
        run
    });
    chunks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_colour_are_one_rectangle() {
        let values = [0.5, 0.501, 0.52, f64::NAN, f64::NAN, 0.52];
        assert_eq!(runs(&values), [[0, 2], [2, 3], [3, 5], [5, 6]]);
        assert!(runs(&[]).is_empty());
    }

    #[test]
    fn the_likeliest_is_that_of_the_last_epoch_and_of_equal_ones_the_first() {
        let place = |ends: &[f64]| Place {
            name: "edge",
            candidates: ends.iter().map(|end| ("conv3", vec![1.0 - end, *end])).collect(),
        };
        assert_eq!(place(&[0.2, 0.5, 0.3]).likeliest(), Some(1));
        assert_eq!(place(&[0.4, f64::NAN, 0.4]).likeliest(), Some(0));
        assert_eq!(place(&[f64::NAN]).likeliest(), None);
    }

    #[test]
    fn columns_keep_the_order_and_are_of_about_one_height() {
        let names: Vec<String> = (0..10).map(|i| format!("edge{i}")).collect();
        let places: Vec<Place<'_>> =
            names.iter().map(|name| Place { name, candidates: vec![("conv3", vec![1.0]); 8] }).collect();
        let columns = in_columns(&places);
        // 10 places of one height in 3 columns: cut where the middle of a place passes 10/3 and 20/3.
        assert_eq!(columns.iter().map(Vec::len).collect::<Vec<_>>(), [3, 4, 3]);
        assert_eq!(columns.concat().iter().map(|place| place.name).collect::<Vec<_>>(), names);
        assert_eq!(in_columns(&places[..1]).len(), 1);
    }
}
