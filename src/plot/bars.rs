//! Cycles of each layer as bars, coloured by utilization.

use super::axis::{Axis, grouped};
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, shortened, text_width};
use super::colour::{FAINT_INK, INK, viridis};
use super::panel::{Panel, nothing, utilization_bar};
use crate::units::Cycles;

/// A layer of an estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Name of the layer.
    pub name: String,
    /// What it takes.
    pub cycles: Cycles,
    /// Its utilization, a fraction; nothing where it has no MACs.
    pub utilization: Option<f64>,
}

const WIDTH: f64 = 900.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 62.0;
/// Widest a name may be, pixels.
const NAME: f64 = 230.0;
/// More layers than this stand closer.
const FEW: usize = 25;

/// Cycles of each layer from top to bottom in the order of `bars`, coloured by utilization from 0 to 100 %.
///
/// Each bar states its cycles and their share of the sum. Layers without MACs are grey.
#[must_use]
pub fn estimate_bars_svg(bars: &[Bar], caption: &str) -> String {
    let (row, size) = if bars.len() <= FEW { (24.0, Size::Small) } else { (14.0, Size::Tiny) };
    let bottom = TOP + (row * bars.len() as f64).max(150.0);
    let names: Vec<String> = bars.iter().map(|bar| shortened(&bar.name, size, NAME)).collect();
    let left = 20.0 + names.iter().map(|name| text_width(name, size)).fold(40.0, f64::max);
    drawing([WIDTH, bottom + 50.0], |canvas| {
        let heading = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
        canvas.text("Cycles of each layer", [20.0, 22.0], heading);
        let under = Look { size: Size::Normal, anchor: Anchor::Left, colour: FAINT_INK };
        canvas.text(&shortened(caption, Size::Normal, WIDTH - 40.0), [20.0, 44.0], under);
        if bars.iter().any(|bar| bar.utilization.is_none()) {
            let note = Look { size: Size::Small, anchor: Anchor::Right, colour: FAINT_INK };
            canvas.text("grey: no MACs on the array", [WIDTH - 20.0, 22.0], note);
        }
        let most = bars.iter().map(|bar| bar.cycles.0).max().unwrap_or(0);
        let (unit, name) = unit_of(most);
        // Room beyond the longest bar for its numbers.
        let room = 1.0 - (text_width(&numbers(most, 1.0), size) + 12.0) / (RIGHT - left);
        let high = (most.max(1) as f64 / unit) / room.max(0.5);
        let y = Axis::blank(bars.len().max(1) as f64);
        let panel = Panel { corners: [[left, TOP], [RIGHT, bottom]], x: Axis::whole(0.0, high, 6), y };
        panel.frame(canvas, Some(name), None);
        let rows = Rows { panel, unit, size, total: bars.iter().map(|bar| bar.cycles.0 as f64).sum() };
        for (number, (bar, name)) in bars.iter().zip(&names).enumerate() {
            rows.draw(canvas, number, (bar, name));
        }
        if bars.is_empty() {
            nothing(canvas, [f64::midpoint(left, RIGHT), f64::midpoint(TOP, bottom)], "no layers");
        }
        utilization_bar(canvas, [RIGHT + 18.0, TOP], (bottom - TOP).min(400.0), [0.0, 1.0]);
    })
}

/// Cycles to the unit of the axis, and its name.
fn unit_of(most: u64) -> (f64, &'static str) {
    match most {
        0..100_000 => (1.0, "cycles"),
        100_000..100_000_000 => (1e3, "thousand cycles"),
        100_000_000..100_000_000_000 => (1e6, "million cycles"),
        100_000_000_000.. => (1e9, "billion cycles"),
    }
}

fn numbers(cycles: u64, share: f64) -> String {
    format!("{} ({:.1} %)", grouped(cycles), 100.0 * share)
}

struct Rows {
    panel: Panel,
    unit: f64,
    size: Size,
    total: f64,
}

impl Rows {
    fn draw(&self, canvas: &Canvas<'_>, number: usize, (bar, name): (&Bar, &String)) {
        let [[left, _], [_, bottom]] = self.panel.corners;
        // The axis counts from below, rows from above.
        let rows = self.panel.y.high();
        let [end, top] = self.panel.place(bar.cycles.0 as f64 / self.unit, rows - number as f64);
        let [_, under] = self.panel.place(0.0, rows - number as f64 - 1.0);
        let under = under.min(bottom);
        let gap = 0.14 * (under - top);
        let thickness = (under - top - 2.0 * gap).min(26.0);
        let middle = f64::midpoint(top, under);
        let corners = [[left, middle - thickness / 2.0], [end, middle + thickness / 2.0]];
        canvas.rectangle(corners, viridis(bar.utilization.unwrap_or(f64::NAN)));
        canvas.outline(corners, Stroke { colour: INK, width: 0.5, dash: Dash::Solid });
        canvas.text(name, [left - 7.0, middle], Look { size: self.size, anchor: Anchor::Right, colour: INK });
        let share = if self.total > 0.0 { bar.cycles.0 as f64 / self.total } else { 0.0 };
        let look = Look { size: self.size, anchor: Anchor::Left, colour: INK };
        canvas.text(&numbers(bar.cycles.0, share), [end + 5.0, middle], look);
    }
}
