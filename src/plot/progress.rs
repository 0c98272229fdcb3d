//! Hypervolume over the time that runs took.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, shortened, text_width};
use super::colour::{FAINT_INK, INK, series as colour};
use super::panel::Panel;
use super::series::{By, Series};
use crate::pareto::{Front, Point};

const WIDTH: f64 = 900.0;
const PANEL: [[f64; 2]; 2] = [[75.0, 45.0], [880.0, 420.0]];
/// Height of a line of the legend, pixels.
const LINE: f64 = 18.0;

/// The runs of one series, one after another.
struct Curve {
    name: String,
    colour: usize,
    /// Seconds, and the share of the front's hypervolume in %, after each run.
    steps: Vec<[f64; 2]>,
}

/// Share of the hypervolume of all points against the seconds of search and training spent, as if the runs had run one
/// after another in the order of the points: a step line for each accelerator, or for each method where one accelerator has
/// several. The hypervolume of an accelerator's front, under its reference, is 100 %.
///
/// Nothing where no series has two points with a time.
#[must_use]
pub fn hypervolume_svg(fronts: &[Front]) -> Option<String> {
    let curves = curves(fronts);
    if !curves.iter().any(|curve| curve.steps.len() > 1) {
        return None;
    }
    let longest = curves.iter().filter_map(|curve| curve.steps.last()).fold(0.0, |most: f64, step| most.max(step[0]));
    let (unit, seconds) = unit_of(longest);
    let height = PANEL[1][1] + 60.0 + LINE * curves.len() as f64;
    Some(drawing([WIDTH, height], |canvas| {
        let title = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
        canvas.text("Hypervolume over time", [PANEL[0][0], 24.0], title);
        let look = Look { size: Size::Small, anchor: Anchor::Right, colour: FAINT_INK };
        canvas.text("as if the runs of a line had run one after another", [PANEL[1][0], 24.0], look);
        let panel = Panel {
            corners: PANEL,
            x: Axis::between(0.0, 1.03 * longest / seconds, 8),
            y: Axis::between(0.0, 104.0, 6).ticks_up_to(100.0),
        };
        let x = format!("search and training ({unit})");
        panel.frame(canvas, Some(&x), Some("share of the hypervolume (%)"));
        for (number, curve) in curves.iter().enumerate() {
            let stroke = Stroke { colour: colour(curve.colour), width: 1.8, dash: Dash::Solid };
            canvas.line(&line(&panel, curve, seconds), stroke);
            legend(canvas, curve, number, stroke);
        }
    }))
}

fn curves(fronts: &[Front]) -> Vec<Curve> {
    let series = Series::of(fronts);
    let mut curves = Vec::new();
    for (number, front) in fronts.iter().enumerate() {
        // Seeds of one job are runs of one search.
        if series.by == By::Method {
            for (own, name) in series.names.iter().enumerate() {
                let points: Vec<&Point> =
                    front.points().iter().filter(|point| series.number(number, point) == own).collect();
                curves.push(Curve { name: name.clone(), colour: own, steps: steps(front, &points) });
            }
        } else {
            let points: Vec<&Point> = front.points().iter().collect();
            let name = front.accelerator().to_owned();
            curves.push(Curve { name, colour: number, steps: steps(front, &points) });
        }
    }
    curves.retain(|curve| !curve.steps.is_empty());
    curves
}

fn steps(front: &Front, points: &[&Point]) -> Vec<[f64; 2]> {
    let timed: Vec<(&Point, f64)> = points.iter().filter_map(|point| Some((*point, point.seconds?))).collect();
    let mut seconds = 0.0;
    let step = |count: usize| {
        seconds += timed[count - 1].1;
        let until: Vec<Point> = timed[..count].iter().map(|(point, _)| (*point).clone()).collect();
        [seconds, 100.0 * front.share_of(&until)]
    };
    (1..=timed.len()).map(step).collect()
}

/// Right, then up: a run adds to the front when it ends.
fn line(panel: &Panel, curve: &Curve, seconds: f64) -> Vec<[f64; 2]> {
    let mut line = vec![panel.place(0.0, 0.0)];
    let mut height = 0.0;
    for [at, share] in &curve.steps {
        line.extend([panel.place(at / seconds, height), panel.place(at / seconds, *share)]);
        height = *share;
    }
    line
}

fn legend(canvas: &Canvas<'_>, curve: &Curve, number: usize, stroke: Stroke) {
    let y = PANEL[1][1] + 58.0 + LINE * number as f64;
    let [left, _] = PANEL[0];
    canvas.line(&[[left, y], [left + 26.0, y]], stroke);
    let name = shortened(&curve.name, Size::Normal, 300.0);
    canvas.text(&name, [left + 34.0, y], Look { size: Size::Normal, anchor: Anchor::Left, colour: INK });
    let [_, last] = curve.steps.last().copied().unwrap_or_default();
    let runs = if curve.steps.len() == 1 { "run" } else { "runs" };
    let text = format!("{} {runs}, {last:.1} % of the hypervolume of all", curve.steps.len());
    let look = Look { size: Size::Small, anchor: Anchor::Left, colour: FAINT_INK };
    canvas.text(&text, [left + 46.0 + text_width(&name, Size::Normal), y], look);
}

/// How the fan of a search over preferences came to be: its share of the exact hypervolume against the different rows read,
/// beside that of everything read. Both are pairs of rows and a share from 0 to 1.
#[must_use]
pub fn fan_svg(fan: &[[f64; 2]], read: &[[f64; 2]]) -> String {
    let curves = [("fan: the likeliest networks over a sweep of preferences", fan), ("everything read", read)];
    let height = PANEL[1][1] + 60.0 + LINE * curves.len() as f64;
    drawing([WIDTH, height], |canvas| {
        let title = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
        canvas.text("Fan over the search", [PANEL[0][0], 24.0], title);
        let most = curves.iter().flat_map(|(_, points)| points.iter()).map(|[rows, _]| *rows).fold(1.0, f64::max);
        let panel = Panel {
            corners: PANEL,
            x: Axis::between(0.0, 1.03 * most, 8),
            y: Axis::between(0.0, 104.0, 6).ticks_up_to(100.0),
        };
        panel.frame(canvas, Some("different rows read"), Some("share of the exact hypervolume (%)"));
        for (number, (name, points)) in curves.iter().enumerate() {
            let stroke = Stroke { colour: colour(number), width: 1.8, dash: Dash::Solid };
            let line: Vec<[f64; 2]> = points.iter().map(|[rows, share]| panel.place(*rows, 100.0 * share)).collect();
            if line.len() > 1 {
                canvas.line(&line, stroke);
            }
            let y = PANEL[1][1] + 58.0 + LINE * number as f64;
            canvas.line(&[[PANEL[0][0], y], [PANEL[0][0] + 26.0, y]], stroke);
            let last = points.last().map_or(0.0, |[_, share]| 100.0 * share);
            let text = format!("{name}, {last:.2} % at the end");
            canvas.text(&text, [PANEL[0][0] + 34.0, y], Look { size: Size::Normal, anchor: Anchor::Left, colour: INK });
        }
    })
}

/// The largest unit of which there are at least two, and its seconds.
fn unit_of(seconds: f64) -> (&'static str, f64) {
    let units = [("hours", 3600.0), ("minutes", 60.0)];
    units.into_iter().find(|(_, length)| seconds >= 2.0 * length).unwrap_or(("seconds", 1.0))
}
