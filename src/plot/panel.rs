//! A frame with two axes, and what is drawn in it.

use plotters::style::RGBColor;

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke};
use super::colour::{FAINT_INK, GRID, INK, viridis};

/// A frame on the sheet with an axis along each side.
pub(super) struct Panel {
    /// Upper left and lower right corner, pixels.
    pub(super) corners: [[f64; 2]; 2],
    pub(super) x: Axis,
    pub(super) y: Axis,
}

/// Shapes of marks, one for each series.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Pentagon,
}

impl Shape {
    /// The shape of series `number`, from 0; they come round after five.
    pub(super) fn series(number: usize) -> Self {
        [Self::Circle, Self::Square, Self::Triangle, Self::Diamond, Self::Pentagon][number % 5]
    }

    /// Corners around `centre`, of about equal area for equal `radius`, pixels.
    fn corners(self, centre: [f64; 2], radius: f64) -> Vec<[f64; 2]> {
        let (count, turn, size) = match self {
            Self::Circle => (24, 0.0, 1.0),
            Self::Square => (4, 0.125, 1.25),
            Self::Triangle => (3, 0.25, 1.4),
            Self::Diamond => (4, 0.0, 1.25),
            Self::Pentagon => (5, 0.25, 1.15),
        };
        let corner = |i: u32| {
            let angle = std::f64::consts::TAU * (f64::from(i) / f64::from(count) + turn);
            [centre[0] + size * radius * angle.cos(), centre[1] - size * radius * angle.sin()]
        };
        (0..count).map(corner).collect()
    }

    /// Draws the shape, filled and with an outline.
    pub(super) fn draw(self, canvas: &Canvas<'_>, centre: [f64; 2], mark: Mark) {
        let mut corners = self.corners(centre, mark.radius);
        canvas.polygon(&corners, mark.fill);
        corners.extend_from_within(..2);
        canvas.line(&corners, Stroke { colour: mark.edge, width: mark.edge_width, dash: Dash::Solid });
    }
}

/// How a mark looks; lengths in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) radius: f64,
    pub(super) fill: RGBColor,
    pub(super) edge: RGBColor,
    pub(super) edge_width: f64,
}

const TICK: f64 = 4.0;

/// Least distance between the middle of a name beside an axis and the frame, pixels.
const NAME: f64 = 50.0;

/// From the frame to the middle of the name beside the axis `y`, pixels: its numbers stand between.
fn name_distance(y: &Axis) -> f64 {
    (TICK + 3.0 + y.label_width() + 12.0).max(NAME)
}

/// Room to the left of a frame for the name and the numbers of the axis `y`, pixels.
pub(super) fn left_margin(y: &Axis) -> f64 {
    name_distance(y) + 25.0
}

impl Panel {
    /// Where the values `x` and `y` lie on the sheet, pixels.
    pub(super) fn place(&self, x: f64, y: f64) -> [f64; 2] {
        let [[left, top], [right, bottom]] = self.corners;
        [left + self.x.fraction(x) * (right - left), bottom - self.y.fraction(y) * (bottom - top)]
    }

    /// Grid and frame, and for each axis with a name (and its unit) that name, ticks and numbers.
    pub(super) fn frame(&self, canvas: &Canvas<'_>, x: Option<&str>, y: Option<&str>) {
        self.grid(canvas);
        self.outline(canvas);
        let [[left, top], [right, bottom]] = self.corners;
        if let Some(name) = x {
            self.x_numbers(canvas);
            let look = Look { size: Size::Normal, anchor: Anchor::Below, colour: INK };
            canvas.text(name, [f64::midpoint(left, right), bottom + 22.0], look);
        }
        if let Some(name) = y {
            self.y_numbers(canvas);
            let look = Look { size: Size::Normal, anchor: Anchor::Upwards, colour: INK };
            canvas.text(name, [left - name_distance(&self.y), f64::midpoint(top, bottom)], look);
        }
    }

    /// The frame alone, for what was drawn over it.
    pub(super) fn outline(&self, canvas: &Canvas<'_>) {
        canvas.outline(self.corners, Stroke { colour: INK, width: 1.0, dash: Dash::Solid });
    }

    fn grid(&self, canvas: &Canvas<'_>) {
        let [[left, top], [right, bottom]] = self.corners;
        let stroke = Stroke { colour: GRID, width: 1.0, dash: Dash::Solid };
        for tick in self.x.ticks() {
            let [x, _] = self.place(*tick, self.y.low());
            canvas.line(&[[x, top], [x, bottom]], stroke);
        }
        for tick in self.y.ticks() {
            let [_, y] = self.place(self.x.low(), *tick);
            canvas.line(&[[left, y], [right, y]], stroke);
        }
    }

    /// Ticks and numbers below.
    pub(super) fn x_numbers(&self, canvas: &Canvas<'_>) {
        for tick in self.x.ticks() {
            let [x, y] = self.place(*tick, self.y.low());
            canvas.line(&[[x, y], [x, y + TICK]], Stroke { colour: INK, width: 1.0, dash: Dash::Solid });
            let look = Look { size: Size::Small, anchor: Anchor::Below, colour: INK };
            canvas.text(&self.x.label(*tick), [x, y + TICK + 2.0], look);
        }
    }

    fn y_numbers(&self, canvas: &Canvas<'_>) {
        for tick in self.y.ticks() {
            let [x, y] = self.place(self.x.low(), *tick);
            canvas.line(&[[x - TICK, y], [x, y]], Stroke { colour: INK, width: 1.0, dash: Dash::Solid });
            let look = Look { size: Size::Small, anchor: Anchor::Right, colour: INK };
            canvas.text(&self.y.label(*tick), [x - TICK - 3.0, y], look);
        }
    }

    /// A line through values, broken where one is not finite; a lone value is a dot.
    pub(super) fn curve(&self, canvas: &Canvas<'_>, values: &[[f64; 2]], stroke: Stroke) {
        for run in values.split(|[x, y]| !(x.is_finite() && y.is_finite())) {
            let places: Vec<[f64; 2]> = run.iter().map(|[x, y]| self.place(*x, *y)).collect();
            match places[..] {
                [] => {}
                [only] => {
                    let mark = Mark { radius: 2.5, fill: stroke.colour, edge: stroke.colour, edge_width: 0.5 };
                    Shape::Circle.draw(canvas, only, mark);
                }
                [_, _, ..] => canvas.line(&places, stroke),
            }
        }
    }
}

/// A bar of the colours of utilizations from `low` to `high` (fractions), its left upper corner at `at`.
pub(super) fn utilization_bar(canvas: &Canvas<'_>, at: [f64; 2], height: f64, range: [f64; 2]) {
    colour_bar(canvas, at, height, (range, "utilization (%)"));
}

/// A bar of the colours of fractions from `low` to `high`, with the name of what they are, in percent.
pub(super) fn colour_bar(canvas: &Canvas<'_>, at: [f64; 2], height: f64, ([low, high], name): ([f64; 2], &str)) {
    const WIDTH: f64 = 14.0;
    const STEPS: u32 = 50;
    let [left, top] = at;
    let axis = Axis::between(100.0 * low, 100.0 * high, 5);
    let panel = Panel { corners: [at, [left + WIDTH, top + height]], x: Axis::between(0.0, 1.0, 1), y: axis };
    for step in 0..STEPS {
        let [from, to] = [step, step + 1].map(|s| f64::from(s) / f64::from(STEPS));
        // A little overlap, or edges shine through.
        let corners =
            [[left, top + height * (1.0 - to)], [left + WIDTH, (top + height * (1.0 - from) + 0.5).min(top + height)]];
        canvas.rectangle(corners, viridis(f64::midpoint(from, to)));
    }
    canvas.outline(panel.corners, Stroke { colour: INK, width: 1.0, dash: Dash::Solid });
    for tick in panel.y.ticks() {
        let [_, y] = panel.place(0.0, *tick);
        canvas.line(
            &[[left + WIDTH, y], [left + WIDTH + TICK, y]],
            Stroke { colour: INK, width: 1.0, dash: Dash::Solid },
        );
        let look = Look { size: Size::Small, anchor: Anchor::Left, colour: INK };
        canvas.text(&panel.y.label(*tick), [left + WIDTH + TICK + 3.0, y], look);
    }
    let look = Look { size: Size::Normal, anchor: Anchor::Upwards, colour: INK };
    canvas.text(name, [left + WIDTH + 42.0, top + height / 2.0], look);
}

/// What a sheet says where it has nothing to draw.
pub(super) fn nothing(canvas: &Canvas<'_>, centre: [f64; 2], text: &str) {
    canvas.text(text, centre, Look { size: Size::Normal, anchor: Anchor::Middle, colour: FAINT_INK });
}
