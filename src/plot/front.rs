//! Accuracy against latency, with the front of each accelerator.

use std::collections::HashSet;

use super::axis::{Axis, plain};
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, shortened, text_width};
use super::colour::{FAINT_INK, INK, UNKNOWN, paler, series as colour, viridis};
use super::labels::{Corners, Label, SMALL, arrange};
use super::measures::{Axes, more_is_better, title};
use super::panel::{Mark, Panel, Shape, nothing, utilization_bar};
use super::series::{By, Series, spreads};
use crate::pareto::{Front, Measure, Point};

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

/// Accuracy in % against latency in ms, or the front's own objectives (accuracy or the first one upwards, the next one to the
/// right): all points, and the front of each accelerator, a step line where it is of two objectives.
///
/// The axis to the right is logarithmic where it spans more than a decade. The fill is the utilization, as the bar at the side says,
/// grey where it is not known; shape and outline tell accelerators apart, or methods on one accelerator, or the seeds of
/// its jobs. A cross stands at the mean of a job's runs under several seeds, its arms are the sample standard deviation.
/// Points are named where there is room, those on the front first, and points in one place together. The caption states
/// reference and hypervolume.
#[must_use]
pub fn front_svg(fronts: &[Front]) -> String {
    let axes = Axes::of(fronts);
    let series = Series::of(fronts);
    let legend = flowed(&series.names);
    let lines = fronts.len().max(1) + legend.last().map_or(0, |(_, line, _)| line + 1);
    let height = PANEL[1][1] + 55.0 + LINE * lines as f64;
    drawing([WIDTH, height], |canvas| {
        let heading = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
        canvas.text(&axes.heading(), [PANEL[0][0], 24.0], heading);
        if fronts.iter().any(|front| !spreads(front.points(), axes).is_empty()) {
            let look = Look { size: Size::Small, anchor: Anchor::Right, colour: FAINT_INK };
            canvas.text("crosses: mean and standard deviation over the seeds of a job", [PANEL[1][0], 24.0], look);
        }
        let places = || fronts.iter().flat_map(Front::points).filter_map(|point| axes.place(point));
        let limit = |measure| if more_is_better(measure) { 100.0 } else { f64::INFINITY };
        let panel = Panel {
            corners: PANEL,
            x: Axis::around_log(places().map(|[x, _]| x), 7).ticks_up_to(limit(axes.x)),
            y: Axis::around(places().map(|[_, y]| y), 7).ticks_up_to(limit(axes.y)),
        };
        let panel = &Sheet { panel, axes };
        panel.panel.frame(canvas, Some(title(axes.x)), Some(title(axes.y)));
        if fronts.is_empty() {
            nothing(canvas, [0, 1].map(|i| f64::midpoint(PANEL[0][i], PANEL[1][i])), "no points");
        }
        let colours = utilization_range(fronts);
        crosses(canvas, panel, fronts, &series);
        marks(canvas, panel, fronts, (&series, colours));
        names(canvas, panel, fronts);
        caption(canvas, fronts, &series);
        for (name, line, left) in &legend {
            let y = PANEL[1][1] + 58.0 + LINE * (fronts.len() + line) as f64;
            let number = series.names.iter().position(|other| other == name).unwrap_or(0);
            let mark = Mark { radius: FRONT_RADIUS, fill: UNKNOWN, edge: colour(number), edge_width: 1.6 };
            Shape::series(number).draw(canvas, [left + 13.0, y], mark);
            canvas.text(name, [left + 34.0, y], Look { size: Size::Normal, anchor: Anchor::Left, colour: INK });
        }
        if let Some(range) = colours {
            utilization_bar(canvas, [PANEL[1][0] + 18.0, PANEL[0][1]], PANEL[1][1] - PANEL[0][1], range);
        }
    })
}

/// A frame and what is along its axes.
struct Sheet {
    panel: Panel,
    axes: Axes,
}

impl Sheet {
    /// Where a point is on the sheet, pixels; nothing where it has no such figures.
    fn place(&self, point: &Point) -> Option<[f64; 2]> {
        self.axes.place(point).map(|[x, y]| self.panel.place(x, y))
    }
}

/// From where to where the colours run: round tenths around the utilizations, at least two of them.
fn utilization_range(fronts: &[Front]) -> Option<[f64; 2]> {
    let known = fronts.iter().flat_map(Front::points).filter_map(|point| point.utilization).filter(|u| u.is_finite());
    let ends = known.fold(None, |ends: Option<[f64; 2]>, u| Some(ends.map_or([u, u], |[a, b]| [a.min(u), b.max(u)])));
    let [low, high] = ends?.map(|end| 10.0 * end);
    let low = low.floor().min(8.0);
    Some([low / 10.0, high.ceil().max(low + 2.0) / 10.0])
}

/// Each name with its line and its left end, as many in a line as have room.
fn flowed(names: &[String]) -> Vec<(&str, usize, f64)> {
    let mut at = (0, PANEL[0][0]);
    let place = |name| {
        let width = 50.0 + text_width(name, Size::Normal);
        if at.1 + width > PANEL[1][0] {
            at = (at.0 + 1, PANEL[0][0]);
        }
        let (line, left) = at;
        at.1 += width;
        (name, line, left)
    };
    names.iter().map(String::as_str).map(place).collect()
}

/// Colour of the line of a front, which belongs to no method and no seed.
fn line_colour(series: &Series, number: usize) -> plotters::style::RGBColor {
    match series.by {
        By::Accelerator => colour(number),
        By::Method | By::Seed => INK,
    }
}

fn is_member(front: &Front) -> Vec<bool> {
    let mut flags = vec![false; front.points().len()];
    front.members().iter().for_each(|&member| flags[member] = true);
    flags
}

/// The step line of a front of two objectives: the best value upwards of the points that are no worse to the right.
fn steps(sheet: &Sheet, front: &Front) -> Vec<[f64; 2]> {
    if front.objectives().measures().len() != 2 {
        return Vec::new();
    }
    let mut places: Vec<[f64; 2]> = front.members().iter().filter_map(|&i| sheet.place(&front.points()[i])).collect();
    let [[left, top], [right, bottom]] = sheet.panel.corners;
    let far = if more_is_better(sheet.axes.x) { left } else { right };
    // From the best place to the right on, towards the far side.
    places.sort_by(|a, b| (a[0] - far).abs().total_cmp(&(b[0] - far).abs()).reverse());
    let mut height = if more_is_better(sheet.axes.y) { bottom } else { top };
    let mut line: Vec<[f64; 2]> = Vec::new();
    for [x, y] in places {
        line.extend([[x, height], [x, y]]);
        height = y;
    }
    line.push([far, height]);
    line
}

/// Lines below, then the other points, then those on the front.
fn marks(canvas: &Canvas<'_>, panel: &Sheet, fronts: &[Front], (series, colours): (&Series, Option<[f64; 2]>)) {
    for (number, front) in fronts.iter().enumerate() {
        let stroke = Stroke { colour: line_colour(series, number), width: 1.5, dash: Dash::Solid };
        let line = steps(panel, front);
        if !line.is_empty() {
            canvas.line(&line, stroke);
        }
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
                let Some(centre) = panel.place(point) else { continue };
                let own = series.number(number, point);
                let mark = Mark { radius, fill: fill(point, colours), edge: colour(own), edge_width };
                if dots && !on_front && !drawn.insert(centre.map(dot_place)) {
                    continue;
                }
                if dots && !on_front {
                    canvas.dot(centre, DOT_RADIUS, mark.fill);
                } else {
                    Shape::series(own).draw(canvas, centre, mark);
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

/// Mean and standard deviation of the runs of each job, in the frame.
fn crosses(canvas: &Canvas<'_>, panel: &Sheet, fronts: &[Front], series: &Series) {
    let Sheet { panel, axes } = panel;
    let [[left, top], [right, bottom]] = panel.corners;
    for (number, front) in fronts.iter().enumerate() {
        for spread in spreads(front.points(), *axes) {
            let own = match series.by {
                By::Accelerator | By::Method => colour(series.number(number, spread.first)),
                By::Seed => INK,
            };
            let ([x, across], [y, along]) = (spread.x, spread.y);
            let place = |x: f64, y: f64| {
                let [x, y] = panel.place(x.max(f64::MIN_POSITIVE), y);
                [x.clamp(left, right), y.clamp(top, bottom)]
            };
            let stroke = Stroke { colour: paler(own), width: 1.0, dash: Dash::Solid };
            canvas.line(&[place(x - across, y), place(x + across, y)], stroke);
            canvas.line(&[place(x, y - along), place(x, y + along)], stroke);
        }
    }
}

fn fill(point: &Point, colours: Option<[f64; 2]>) -> plotters::style::RGBColor {
    match (point.utilization, colours) {
        (Some(utilization), Some([low, high])) => viridis((utilization - low) / (high - low)),
        (Some(_) | None, _) => UNKNOWN,
    }
}

/// Names, those on a front first; a line to the mark where the name stands off.
fn names(canvas: &Canvas<'_>, panel: &Sheet, fronts: &[Front]) {
    let all: usize = fronts.iter().map(|front| front.points().len()).sum();
    let mut places: Vec<([f64; 2], Vec<&str>)> = Vec::new();
    let mut taken: Vec<Corners> = Vec::new();
    for on_front in [true, false] {
        for front in fronts {
            for (point, _) in front.points().iter().zip(is_member(front)).filter(|(_, member)| *member == on_front) {
                let Some(mark) = panel.place(point) else { continue };
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
    for (label, place) in labels.iter().zip(arrange(&labels, panel.panel.corners, taken)) {
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
fn caption(canvas: &Canvas<'_>, fronts: &[Front], series: &Series) {
    for (number, front) in fronts.iter().enumerate() {
        let y = PANEL[1][1] + 58.0 + LINE * number as f64;
        let [left, _] = PANEL[0];
        let own = line_colour(series, number);
        canvas.line(&[[left, y], [left + 26.0, y]], Stroke { colour: own, width: 1.5, dash: Dash::Solid });
        if series.by == By::Accelerator {
            let mark = Mark { radius: FRONT_RADIUS, fill: UNKNOWN, edge: own, edge_width: 1.6 };
            Shape::series(number).draw(canvas, [left + 13.0, y], mark);
        }
        let accelerator = shortened(front.accelerator(), Size::Normal, 200.0);
        let ink = Look { size: Size::Normal, anchor: Anchor::Left, colour: INK };
        canvas.text(&accelerator, [left + 34.0, y], ink);
        let numbers = Look { size: Size::Small, anchor: Anchor::Left, colour: FAINT_INK };
        canvas.text(&measures(front), [left + 46.0 + text_width(&accelerator, Size::Normal), y], numbers);
    }
}

fn measures(front: &Front) -> String {
    let objectives = front.objectives();
    let value = |(measure, value): (&Measure, f64)| match measure {
        Measure::Error => format!("{} % error", plain(100.0 * value)),
        Measure::Utilization => format!("{} % utilization", plain(100.0 * value)),
        Measure::Macs | Measure::Params => format!("{} {}", plain(value), measure.label()),
        Measure::LatencyMs | Measure::EnergyUj | Measure::WeightKib => format!("{} {}", plain(value), measure.unit()),
    };
    let reference: Vec<String> = objectives.measures().iter().zip(front.corner()).map(value).collect();
    let unit = if objectives.is_default() { " (error × ms)".to_owned() } else { format!(" ({objectives})") };
    format!(
        "{} of {} points on the front, hypervolume {}{unit} up to the reference {}",
        front.members().len(),
        front.points().len(),
        plain(front.hypervolume()),
        reference.join(", ")
    )
}
