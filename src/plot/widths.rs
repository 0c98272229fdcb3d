//! How widths move towards the edges of the array's tiles.

use std::collections::{BTreeMap, BTreeSet};

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, shortened, text_width};
use super::colour::{EDGE, FAINT_INK, INK, series};
use super::labels::spread;
use super::panel::{Panel, nothing};
use crate::record::{HistoryRecord, SearchEpoch, SearchStage};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 75.0;
/// Between the frame and the names, pixels.
const LEADER: f64 = 28.0;
const TOP: f64 = 55.0;
const LEAST_HEIGHT: f64 = 430.0;
/// Height of a name at the side, pixels.
const NAME: f64 = 12.0;
/// More tile edges than this are drawn only where they carry a number.
const MOST_EDGES: f64 = 40.0;

/// One width over the search.
struct Track<'a> {
    name: &'a str,
    /// Running epoch and expected width, channels.
    points: Vec<[f64; 2]>,
    most_likely: u64,
}

/// The expected width of each searched layer over the epochs, with the most likely one at its end; nothing where no
/// width was searched.
///
/// Dashed lines are tile edges: multiples of the array's `columns` (of one at least), where another channel costs
/// another tile. Epochs run on from stage to stage, with a line where one ends. The widths named in `unused`, those that
/// the network found has no part of, are left out and counted.
#[must_use]
pub fn widths_svg(records: &[HistoryRecord], columns: u64, unused: &BTreeSet<String>) -> Option<String> {
    let epochs: Vec<&SearchEpoch> = records.iter().filter_map(with_widths).collect();
    if epochs.is_empty() {
        return None;
    }
    let mut tracks = tracks(&epochs);
    let all = tracks.len();
    tracks.retain(|track| !unused.contains(track.name));
    let chart = Chart { stages: stages(&epochs), epochs: epochs.len() as f64, left_out: all - tracks.len(), columns };
    Some(chart.drawn(&tracks))
}

/// What is drawn besides the widths themselves.
struct Chart {
    /// Name of each stage and the running epoch that it starts with.
    stages: Vec<(&'static str, f64)>,
    epochs: f64,
    /// Widths that are not drawn.
    left_out: usize,
    columns: u64,
}

impl Chart {
    fn drawn(&self, tracks: &[Track<'_>]) -> String {
        let widest = tracks.iter().map(|track| text_width(&label(track), Size::Tiny)).fold(0.0, f64::max);
        let right = WIDTH - LEADER - widest - 14.0;
        let bottom = TOP + LEAST_HEIGHT.max(NAME * tracks.len() as f64);
        drawing([WIDTH, bottom + 50.0], |canvas| {
            let title = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
            canvas.text("Expected widths", [LEFT, 24.0], title);
            let note = Look { size: Size::Small, anchor: Anchor::Right, colour: FAINT_INK };
            canvas.text(&self.note(), [WIDTH - 14.0, 24.0], note);
            let (y, edges) = channels(tracks, self.columns.max(1) as f64);
            let x = Axis::whole(1.0, self.epochs.max(2.0), 10);
            let panel = Panel { corners: [[LEFT, TOP], [right, bottom]], x, y };
            panel.frame(canvas, Some("epoch"), Some("width (channels)"));
            for edge in edges {
                let [_, height] = panel.place(1.0, edge);
                let stroke = Stroke { colour: EDGE, width: 0.7, dash: Dash::Dashed };
                canvas.line(&[[LEFT, height], [right, height]], stroke);
            }
            self.mark_stages(canvas, &panel);
            for (number, track) in tracks.iter().enumerate() {
                let stroke = Stroke { colour: series(number), width: 1.8, dash: Dash::Solid };
                panel.curve(canvas, &track.points, stroke);
            }
            names(canvas, &panel, tracks);
            if tracks.is_empty() {
                let centre = [f64::midpoint(LEFT, right), f64::midpoint(TOP, bottom)];
                nothing(canvas, centre, "the network found has none of the widths searched");
            }
        })
    }

    fn note(&self) -> String {
        let edges = format!("dashed: tile edges, multiples of {} columns", self.columns);
        match self.left_out {
            0 => edges,
            1 => format!("{edges}; 1 unused width is left out"),
            count => format!("{edges}; {count} unused widths are left out"),
        }
    }

    /// A line where a stage begins after another, and the name of each above the frame.
    fn mark_stages(&self, canvas: &Canvas<'_>, panel: &Panel) {
        let [[left, top], [right, bottom]] = panel.corners;
        // Between the last epoch of one stage and the first of the next.
        let start = |epoch: f64| if epoch > 1.0 { panel.place(epoch - 0.5, 0.0)[0] } else { left };
        for (number, (name, first)) in self.stages.iter().enumerate() {
            let from = start(*first);
            let to = self.stages.get(number + 1).map_or(right, |(_, next)| start(*next));
            if number > 0 {
                canvas.line(&[[from, top], [from, bottom]], Stroke { colour: INK, width: 1.0, dash: Dash::Solid });
            }
            let look = Look { size: Size::Small, anchor: Anchor::Middle, colour: INK };
            canvas.text(name, [f64::midpoint(from, to), top - 9.0], look);
        }
    }
}

fn stages(epochs: &[&SearchEpoch]) -> Vec<(&'static str, f64)> {
    let mut stages: Vec<(&'static str, f64)> = Vec::new();
    for (number, epoch) in epochs.iter().enumerate() {
        let name = match epoch.stage {
            SearchStage::Operators => "search: operators",
            SearchStage::Widths => "search: widths",
            SearchStage::Supernet => "supernet",
        };
        if stages.last().is_none_or(|(last, _)| *last != name) {
            stages.push((name, number as f64 + 1.0));
        }
    }
    stages
}

fn with_widths(record: &HistoryRecord) -> Option<&SearchEpoch> {
    match record {
        HistoryRecord::Epoch(epoch) => (!epoch.widths.is_empty()).then_some(epoch),
        HistoryRecord::Candidate(_) | HistoryRecord::Train(_) | HistoryRecord::Rollback(_) | HistoryRecord::End(_) => {
            None
        }
    }
}

fn tracks<'a>(epochs: &[&'a SearchEpoch]) -> Vec<Track<'a>> {
    let mut tracks: BTreeMap<&str, Track<'a>> = BTreeMap::new();
    for (number, epoch) in epochs.iter().enumerate() {
        for (name, width) in &epoch.widths {
            let track = tracks.entry(name).or_insert_with(|| Track {
                name,
                points: Vec::new(),
                most_likely: width.most_likely,
            });
            track.points.push([number as f64 + 1.0, width.expected]);
            track.most_likely = width.most_likely;
        }
    }
    tracks.into_values().collect()
}

/// The axis of widths from 0, and the tile edges on it.
fn channels(tracks: &[Track<'_>], columns: f64) -> (Axis, Vec<f64>) {
    let widest = tracks.iter().flat_map(|track| &track.points).map(|[_, width]| *width).filter(|w| w.is_finite());
    let high = 1.05 * widest.fold(columns, f64::max);
    let edges = (high / columns).floor();
    let step = columns * (edges / 10.0).ceil().max(1.0);
    let spacing = if edges <= MOST_EDGES { columns } else { step };
    let lines = Axis::stepped(high, spacing).ticks().iter().copied().filter(|edge| *edge > 0.0).collect();
    // An array much wider than any layer has its own edge and round numbers below it.
    let axis = if edges < 3.0 { Axis::between(0.0, high, 8) } else { Axis::stepped(high, step) };
    (axis, lines)
}

/// Name and most likely width at the end of each line.
fn names(canvas: &Canvas<'_>, panel: &Panel, tracks: &[Track<'_>]) {
    let ends: Vec<[f64; 2]> = tracks.iter().map(|track| end(panel, track)).collect();
    let wanted: Vec<f64> = ends.iter().map(|[_, y]| *y).collect();
    let [[_, top], [right, bottom]] = panel.corners;
    let heights = spread(&wanted, NAME, [top + NAME / 2.0, bottom - NAME / 2.0]);
    for (number, ((track, end), height)) in tracks.iter().zip(&ends).zip(heights).enumerate() {
        let stroke = Stroke { colour: series(number), width: 0.7, dash: Dash::Solid };
        canvas.line(&[[right, end[1]], [right + 18.0, height], [right + 24.0, height]], stroke);
        let look = Look { size: Size::Tiny, anchor: Anchor::Left, colour: series(number) };
        canvas.text(&label(track), [right + LEADER, height], look);
    }
}

fn label(track: &Track<'_>) -> String {
    format!("{}: {}", shortened(track.name, Size::Tiny, 150.0), track.most_likely)
}

/// Where a line ends, pixels; the lower right corner where it has no finite value.
fn end(panel: &Panel, track: &Track<'_>) -> [f64; 2] {
    let last = track.points.iter().rev().find(|[_, width]| width.is_finite());
    last.map_or(panel.corners[1], |[epoch, width]| panel.place(*epoch, *width))
}
