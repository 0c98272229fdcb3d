//! Accuracy against latency, with the front of each accelerator.

use std::collections::HashSet;

use super::axis::{Axis, plain};
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, shortened, text_width};
use super::colour::{FAINT_INK, INK, UNKNOWN, series, viridis};
use super::labels::{Corners, Label, SMALL, arrange};
use super::panel::{Mark, Panel, Shape, nothing, utilization_bar};
use crate::pareto::{Front, Point};

const WIDTH: f64 = 900.0;
const PANEL: Corners = [[75.0, 45.0], [790.0, 500.0]];
/// Height of a line of the caption, pixels.
const LINE: f64 = 18.0;
/// More points than this are marks alone; only the front is named.
const MOST_NAMED: usize = 60;
/// More points than this, as of a table, are dots where they are not on the front.
const MOST_SHAPES: usize = 400;
/// Marks nearer than this, pixels, look like one.
const ONE_PLACE: f64 = 2.0;
/// Most names that are written for one place.
const MOST_TOGETHER: usize = 3;
const DOT_RADIUS: f64 = 1.5;
const DENSE_FRONT_RADIUS: f64 = 4.0;
const FRONT_RADIUS: f64 = 5.5;
const OTHER_RADIUS: f64 = 3.5;

/// Accuracy in % against latency in ms: all points, and the front of each accelerator as a step line.
///
/// Latency is logarithmic where it spans more than a decade. The fill is the utilization, as the bar at the side says,
/// grey where it is not known; shape and outline tell accelerators apart. Points are named where there is room, those on
/// the front first, and points in one place together. The caption states reference and hypervolume.
#[must_use]
pub fn front_svg(fronts: &[Front]) -> String {
    let height = PANEL[1][1] + 55.0 + LINE * fronts.len().max(1) as f64;
    drawing([WIDTH, height], |canvas| {
        let title = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
        canvas.text("Accuracy and latency", [PANEL[0][0], 24.0], title);
        let latencies = fronts.iter().flat_map(Front::points).map(|point| point.latency_ms);
        let accuracies = fronts.iter().flat_map(Front::points).map(accuracy);
        let panel = Panel {
            corners: PANEL,
            x: Axis::around_log(latencies, 7),
            y: Axis::around(accuracies, 7).ticks_up_to(100.0),
        };
        panel.frame(canvas, Some("latency (ms)"), Some("accuracy (%)"));
        if fronts.is_empty() {
            nothing(canvas, [0, 1].map(|i| f64::midpoint(PANEL[0][i], PANEL[1][i])), "no points");
        }
        let colours = utilization_range(fronts);
        marks(canvas, &panel, fronts, colours);
        names(canvas, &panel, fronts);
        caption(canvas, fronts);
        if let Some(range) = colours {
            utilization_bar(canvas, [PANEL[1][0] + 18.0, PANEL[0][1]], PANEL[1][1] - PANEL[0][1], range);
        }
    })
}

/// Percent.
fn accuracy(point: &Point) -> f64 {
    100.0 * (1.0 - point.error)
}

/// From where to where the colours run: round tenths around the utilizations, at least two of them.
fn utilization_range(fronts: &[Front]) -> Option<[f64; 2]> {
    let known = fronts.iter().flat_map(Front::points).filter_map(|point| point.utilization).filter(|u| u.is_finite());
    let ends = known.fold(None, |ends: Option<[f64; 2]>, u| Some(ends.map_or([u, u], |[a, b]| [a.min(u), b.max(u)])));
    let [low, high] = ends?.map(|end| 10.0 * end);
    let low = low.floor().min(8.0);
    Some([low / 10.0, high.ceil().max(low + 2.0) / 10.0])
}

fn is_member(front: &Front) -> Vec<bool> {
    let mut flags = vec![false; front.points().len()];
    front.members().iter().for_each(|&member| flags[member] = true);
    flags
}

/// The step line of a front: the most accurate point that is no slower, at each latency.
fn steps(panel: &Panel, front: &Front) -> Vec<[f64; 2]> {
    let mut members: Vec<&Point> = front.members().iter().map(|&i| &front.points()[i]).collect();
    members.sort_by(|a, b| a.latency_ms.total_cmp(&b.latency_ms));
    let [[_, _], [right, bottom]] = panel.corners;
    let mut line: Vec<[f64; 2]> = Vec::new();
    let mut height = bottom;
    for [x, y] in members.iter().map(|point| panel.place(point.latency_ms, accuracy(point))) {
        line.extend([[x, height], [x, y]]);
        height = y;
    }
    line.push([right, height]);
    line
}

/// Lines below, then the other points, then those on the front.
fn marks(canvas: &Canvas<'_>, panel: &Panel, fronts: &[Front], colours: Option<[f64; 2]>) {
    for (number, front) in fronts.iter().enumerate() {
        canvas.line(&steps(panel, front), Stroke { colour: series(number), width: 1.5, dash: Dash::Solid });
    }
    let dots = fronts.iter().map(|front| front.points().len()).sum::<usize>() > MOST_SHAPES;
    // Dots that would cover each other are drawn once: of a hundred thousand points a picture holds fewer places.
    let mut drawn: HashSet<[i64; 2]> = HashSet::new();
    for on_front in [false, true] {
        for (number, front) in fronts.iter().enumerate() {
            let (radius, edge_width) = match (on_front, dots) {
                (true, true) => (DENSE_FRONT_RADIUS, 1.0),
                (true, false) => (FRONT_RADIUS, 1.6),
                (false, true | false) => (OTHER_RADIUS, 0.8),
            };
            for (point, _) in front.points().iter().zip(is_member(front)).filter(|(_, member)| *member == on_front) {
                let centre = panel.place(point.latency_ms, accuracy(point));
                let mark = Mark { radius, fill: fill(point, colours), edge: series(number), edge_width };
                if dots && !on_front && !drawn.insert(centre.map(dot_place)) {
                    continue;
                }
                if dots && !on_front {
                    canvas.dot(centre, DOT_RADIUS, mark.fill);
                } else {
                    Shape::series(number).draw(canvas, centre, mark);
                }
            }
        }
    }
}

/// Which of the places of dots, each as wide as a dot's radius, this is.
fn dot_place(at: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "pixels of a picture")]
    let place = (at / DOT_RADIUS).floor() as i64;
    place
}

fn fill(point: &Point, colours: Option<[f64; 2]>) -> plotters::style::RGBColor {
    match (point.utilization, colours) {
        (Some(utilization), Some([low, high])) => viridis((utilization - low) / (high - low)),
        (Some(_) | None, _) => UNKNOWN,
    }
}

/// Names, those on a front first; a line to the mark where the name stands off.
fn names(canvas: &Canvas<'_>, panel: &Panel, fronts: &[Front]) {
    let all: usize = fronts.iter().map(|front| front.points().len()).sum();
    let mut places: Vec<([f64; 2], Vec<&str>)> = Vec::new();
    let mut taken: Vec<Corners> = Vec::new();
    for on_front in [true, false] {
        for front in fronts {
            for (point, _) in front.points().iter().zip(is_member(front)).filter(|(_, member)| *member == on_front) {
                let mark = panel.place(point.latency_ms, accuracy(point));
                let radius = if on_front { FRONT_RADIUS } else { OTHER_RADIUS } + 1.0;
                taken.push([mark.map(|at| at - radius), mark.map(|at| at + radius)]);
                if on_front || all <= MOST_NAMED {
                    let same = |at: &[f64; 2]| (at[0] - mark[0]).hypot(at[1] - mark[1]) < ONE_PLACE;
                    match places.iter_mut().find(|(at, _)| same(at)) {
                        Some((_, names)) => names.push(&point.name),
                        None => places.push((mark, vec![&point.name])),
                    }
                }
            }
        }
    }
    let labels: Vec<Label> =
        places.iter().map(|(mark, names)| Label { text: together(names), mark: *mark, radius: SMALL }).collect();
    taken.extend(fronts.iter().flat_map(|front| line_boxes(&steps(panel, front))));
    for (label, place) in labels.iter().zip(arrange(&labels, panel.corners, taken)) {
        if let Some(place) = place {
            name(canvas, label, place);
        }
    }
}

/// The names of the points in one place, the first few of many.
fn together(names: &[&str]) -> String {
    let few = names.iter().take(MOST_TOGETHER).map(|name| shortened(name, Size::Small, 170.0));
    let mut text = few.collect::<Vec<_>>().join(", ");
    if names.len() > MOST_TOGETHER {
        text.push_str(&format!(" and {} more", names.len() - MOST_TOGETHER));
    }
    text
}

/// The places that an upright or level line covers.
fn line_boxes(line: &[[f64; 2]]) -> Vec<Corners> {
    let around = |pair: &[[f64; 2]]| {
        [[0, 1].map(|i| pair[0][i].min(pair[1][i]) - 1.0), [0, 1].map(|i| pair[0][i].max(pair[1][i]) + 1.0)]
    };
    line.windows(2).map(around).collect()
}

fn name(canvas: &Canvas<'_>, label: &Label, [[left, top], [right, bottom]]: Corners) {
    let nearest = [label.mark[0].clamp(left, right), label.mark[1].clamp(top, bottom)];
    if (nearest[0] - label.mark[0]).hypot(nearest[1] - label.mark[1]) > 14.0 {
        canvas.line(&[label.mark, nearest], Stroke { colour: FAINT_INK, width: 0.5, dash: Dash::Solid });
    }
    let look = Look { size: Size::Small, anchor: Anchor::Left, colour: INK };
    canvas.text(&label.text, [left, f64::midpoint(top, bottom)], look);
}

/// A line for each accelerator: its mark, name, reference and hypervolume.
fn caption(canvas: &Canvas<'_>, fronts: &[Front]) {
    for (number, front) in fronts.iter().enumerate() {
        let y = PANEL[1][1] + 58.0 + LINE * number as f64;
        let [left, _] = PANEL[0];
        canvas.line(&[[left, y], [left + 26.0, y]], Stroke { colour: series(number), width: 1.5, dash: Dash::Solid });
        let mark = Mark { radius: FRONT_RADIUS, fill: UNKNOWN, edge: series(number), edge_width: 1.6 };
        Shape::series(number).draw(canvas, [left + 13.0, y], mark);
        let accelerator = shortened(front.accelerator(), Size::Normal, 200.0);
        let ink = Look { size: Size::Normal, anchor: Anchor::Left, colour: INK };
        canvas.text(&accelerator, [left + 34.0, y], ink);
        let numbers = Look { size: Size::Small, anchor: Anchor::Left, colour: FAINT_INK };
        canvas.text(&measures(front), [left + 46.0 + text_width(&accelerator, Size::Normal), y], numbers);
    }
}

fn measures(front: &Front) -> String {
    let reference = front.reference();
    format!(
        "{} of {} points on the front, hypervolume {} (error × ms) up to the reference {} % error, {} ms",
        front.members().len(),
        front.points().len(),
        plain(front.hypervolume()),
        plain(100.0 * reference.error),
        plain(reference.latency_ms)
    )
}
