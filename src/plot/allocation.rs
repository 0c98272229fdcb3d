//! Windows of widths that are allocated dynamically, over the epochs, and the bytes that they take.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, shortened, text_width};
use super::colour::{EDGE, FAINT_INK, INK, UNKNOWN, series};
use super::panel::{Mark, Panel, Shape};
use crate::record::{AllocationDecision, AllocationEpoch, AllocationKind, HistoryRecord, SearchEpoch};

const WIDTH: f64 = 1000.0;
/// Left ends of the two columns of panels, and the width of each, pixels.
const LEFT: [f64; 2] = [70.0, 570.0];
const PANEL: f64 = 410.0;
const TOP: f64 = 78.0;
/// Height of a panel, and from one to the next, pixels.
const HEIGHT: f64 = 120.0;
const ROW: f64 = 160.0;
/// More tile edges than this are not drawn.
const MOST_EDGES: f64 = 24.0;
const MIB: f64 = 1_048_576.0;

/// An option in the window of a width, from one time to another, epochs.
struct Held {
    channels: u64,
    from: f64,
    to: f64,
}

/// One width over the stage.
struct Track<'a> {
    name: &'a str,
    held: Vec<Held>,
    /// Time and the widest option held from there on.
    tops: Vec<(f64, u64)>,
    /// At the end of each epoch the likeliest option.
    present: Vec<[f64; 2]>,
    /// When tensors grew or shrank, and to what.
    resized: Vec<(f64, u64, AllocationKind)>,
}

/// For each width of a dynamic allocation the options that were held, the widest of them, which is what tensors have room
/// for, and the likeliest, with the edges of the array's tiles (multiples of its `columns`); below them the bytes that are
/// allocated. Nothing where no widths were allocated.
#[must_use]
pub fn allocation_svg(records: &[HistoryRecord], columns: u64) -> Option<String> {
    let epochs: Vec<&AllocationEpoch> = records.iter().filter_map(allocated).collect();
    let first = epochs.first()?;
    let tracks: Vec<Track<'_>> = first.widths.keys().map(|name| Track::new(name, &epochs)).collect();
    let rows = tracks.len().div_ceil(2);
    let bytes_top = TOP + ROW * rows as f64;
    Some(drawing([WIDTH, bytes_top + HEIGHT + 55.0], |canvas| {
        let title = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
        canvas.text("Allocated widths", [LEFT[0], 24.0], title);
        legend(canvas, columns);
        let x = || Axis::whole(0.0, epochs.len().max(1) as f64, 10);
        for (number, track) in tracks.iter().enumerate() {
            let corner = [LEFT[number % 2], TOP + ROW * (number / 2) as f64];
            let corners = [corner, [corner[0] + PANEL, corner[1] + HEIGHT]];
            track.draw(canvas, x(), corners, columns.max(1) as f64);
        }
        draw_bytes(canvas, x(), &epochs, [[LEFT[0], bytes_top], [LEFT[1] + PANEL, bytes_top + HEIGHT]]);
    }))
}

fn allocated(record: &HistoryRecord) -> Option<&AllocationEpoch> {
    match record {
        HistoryRecord::Epoch(SearchEpoch { allocation, .. }) => allocation.as_ref(),
        HistoryRecord::Candidate(_) | HistoryRecord::Train(_) | HistoryRecord::Rollback(_) | HistoryRecord::End(_) => {
            None
        }
    }
}

/// Every decision with its time, epochs.
fn decisions<'a>(epochs: &'a [&AllocationEpoch]) -> impl Iterator<Item = (f64, &'a AllocationDecision)> {
    epochs.iter().enumerate().flat_map(|(number, epoch)| {
        let time = move |step: u32| number as f64 + f64::from(step) / f64::from(epoch.steps.max(1));
        epoch.decisions.iter().map(move |decision| (time(decision.step), decision))
    })
}

impl<'a> Track<'a> {
    fn new(name: &'a str, epochs: &[&AllocationEpoch]) -> Self {
        let own = |(_, decision): &(f64, &AllocationDecision)| decision.width.as_deref() == Some(name);
        let end = epochs.len() as f64;
        let mut track = Self { name, held: Vec::new(), tops: Vec::new(), present: Vec::new(), resized: Vec::new() };
        let mut window = decisions(epochs).find(own).map_or_else(|| held_in(epochs[0], name), |(_, d)| before(d));
        let mut since = vec![0.0; window.len()];
        track.tops.push((0.0, window.last().copied().unwrap_or(0)));
        for (time, decision) in decisions(epochs).filter(own) {
            let after = &decision.window;
            let start = |channels: &u64| window.iter().position(|held| held == channels).map_or(time, |at| since[at]);
            let starts: Vec<f64> = after.iter().map(start).collect();
            let gone = window.iter().zip(&since).filter(|(channels, _)| !after.contains(channels));
            track.held.extend(gone.map(|(&channels, &from)| Held { channels, from, to: time }));
            (window, since) = (after.clone(), starts);
            let top = window.last().copied().unwrap_or(0);
            track.tops.push((time, top));
            if matches!(decision.kind, AllocationKind::Grow | AllocationKind::Shrink) {
                track.resized.push((time, top, decision.kind));
            }
        }
        track.held.extend(window.into_iter().zip(since).map(|(channels, from)| Held { channels, from, to: end }));
        let top = track.tops.last().map_or(0, |&(_, top)| top);
        track.tops.push((end, top));
        for (number, epoch) in epochs.iter().enumerate() {
            let options = epoch.widths.get(name).map_or(&[][..], |width| &width.window);
            if let Some(likeliest) = options.iter().max_by(|a, b| a.probability.total_cmp(&b.probability)) {
                track.present.push([number as f64 + 1.0, likeliest.channels as f64]);
            }
        }
        track
    }

    fn draw(&self, canvas: &Canvas<'_>, x: Axis, corners: [[f64; 2]; 2], columns: f64) {
        let widest = self.held.iter().map(|held| held.channels).max().unwrap_or(1) as f64;
        let high = 1.12 * widest.max(columns.min(2.0 * widest));
        let panel = Panel { corners, x, y: Axis::between(0.0, high, 5) };
        panel.frame(canvas, Some(""), Some("channels"));
        let [[left, top], [right, _]] = corners;
        let edges = (high / columns).floor();
        let mut edge = columns;
        while edges <= MOST_EDGES && edge < high {
            let [_, height] = panel.place(0.0, edge);
            canvas.line(&[[left, height], [right, height]], Stroke { colour: EDGE, width: 0.7, dash: Dash::Dashed });
            edge += columns;
        }
        for held in &self.held {
            let ends = [held.from, held.to].map(|time| panel.place(time, held.channels as f64));
            canvas.line(&ends, HELD);
        }
        canvas.line(&stairs(&panel, self.tops.iter().map(|&(time, top)| (time, top as f64))), top_line());
        for &(time, channels, kind) in &self.resized {
            resize_shape(kind).draw(canvas, panel.place(time, channels as f64), mark(1));
        }
        panel.curve(canvas, &self.present, present_line());
        for &[time, channels] in &self.present {
            Shape::Circle.draw(canvas, panel.place(time, channels), mark(0));
        }
        let last = self.present.last().map_or(0.0, |[_, channels]| *channels);
        let name = format!("{}: {last}", shortened(self.name, Size::Small, PANEL - 60.0));
        canvas.text(&name, [left, top - 10.0], Look { size: Size::Small, anchor: Anchor::Left, colour: INK });
    }
}

/// The options of a width where an epoch ended.
fn held_in(epoch: &AllocationEpoch, name: &str) -> Vec<u64> {
    let options = epoch.widths.get(name).map_or(&[][..], |width| &width.window);
    options.iter().map(|option| option.channels).collect()
}

/// The window before a decision.
fn before(decision: &AllocationDecision) -> Vec<u64> {
    let Some(changed) = decision.channels else { return decision.window.clone() };
    let mut window: Vec<u64> = decision.window.iter().copied().filter(|channels| *channels != changed).collect();
    match decision.kind {
        AllocationKind::Add | AllocationKind::Grow | AllocationKind::HeldBack | AllocationKind::Stop => {}
        AllocationKind::Drop | AllocationKind::Shrink => {
            window.push(changed);
            window.sort_unstable();
        }
    }
    window
}

fn draw_bytes(canvas: &Canvas<'_>, x: Axis, epochs: &[&AllocationEpoch], corners: [[f64; 2]; 2]) {
    let ends = epochs.iter().enumerate().map(|(number, epoch)| (number as f64 + 1.0, epoch.allocated_bytes));
    let mut steps: Vec<(f64, f64)> =
        decisions(epochs).map(|(time, decision)| (time, decision.allocated_bytes)).chain(ends).map(in_mib).collect();
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let most = steps.iter().map(|step| step.1).fold(0.0, f64::max);
    let panel = Panel { corners, x, y: Axis::between(0.0, 1.12 * most.max(1e-3), 5) };
    panel.frame(canvas, Some("epoch of the width stage"), Some("MiB"));
    canvas.line(&stairs(&panel, steps.into_iter()), top_line());
    let [[left, top], _] = corners;
    let look = Look { size: Size::Small, anchor: Anchor::Left, colour: INK };
    canvas.text("weights, gradients and moments", [left, top - 10.0], look);
}

fn in_mib((time, bytes): (f64, u64)) -> (f64, f64) {
    (time, bytes as f64 / MIB)
}

/// A line that stays level from each point to the time of the next, pixels.
fn stairs(panel: &Panel, points: impl Iterator<Item = (f64, f64)>) -> Vec<[f64; 2]> {
    let mut line: Vec<[f64; 2]> = Vec::new();
    let mut last = None;
    for (time, value) in points {
        if let Some(before) = last {
            line.push(panel.place(time, before));
        }
        line.push(panel.place(time, value));
        last = Some(value);
    }
    line
}

const HELD: Stroke = Stroke { colour: UNKNOWN, width: 2.2, dash: Dash::Solid };

fn top_line() -> Stroke {
    Stroke { colour: series(1), width: 1.4, dash: Dash::Solid }
}

fn present_line() -> Stroke {
    Stroke { colour: series(0), width: 1.6, dash: Dash::Solid }
}

fn mark(number: usize) -> Mark {
    Mark { radius: 3.2, fill: series(number), edge: INK, edge_width: 0.5 }
}

fn resize_shape(kind: AllocationKind) -> Shape {
    match kind {
        AllocationKind::Grow | AllocationKind::Add => Shape::Triangle,
        AllocationKind::Shrink | AllocationKind::Drop | AllocationKind::HeldBack | AllocationKind::Stop => {
            Shape::Square
        }
    }
}

/// What the lines and marks are, from the left.
fn legend(canvas: &Canvas<'_>, columns: u64) {
    let look = Look { size: Size::Small, anchor: Anchor::Left, colour: FAINT_INK };
    let edges = Stroke { colour: EDGE, width: 0.7, dash: Dash::Dashed };
    let entries = [
        (HELD, "option held".to_owned()),
        (top_line(), "widest, allocated (triangle: grown, square: shrunk)".to_owned()),
        (present_line(), "likeliest at the end of an epoch".to_owned()),
        (edges, format!("tile edges, {columns} columns")),
    ];
    let mut x = LEFT[0];
    for (stroke, name) in entries {
        canvas.line(&[[x, 48.0], [x + 22.0, 48.0]], stroke);
        canvas.text(&name, [x + 28.0, 48.0], look);
        x += 28.0 + text_width(&name, Size::Small) + 22.0;
    }
}
