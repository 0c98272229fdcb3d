//! Cycles of each layer, stacked into what they go to.

use super::axis::{Axis, grouped};
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, shortened, text_width};
use super::colour::{FAINT_INK, INK, part_colour};
use super::labels::spread;
use super::largest::{self, Ranked};
use super::names::brief;
use super::panel::{Panel, nothing};
use crate::estimate::{Breakdown, LayerEstimate, Part};

/// A layer of an estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Name of the layer.
    pub name: String,
    /// What its cycles go to.
    pub breakdown: Breakdown,
}

impl Bar {
    /// The bar of `layer`.
    #[must_use]
    pub fn of(layer: &LayerEstimate) -> Self {
        Self { name: layer.name.clone(), breakdown: layer.breakdown }
    }

    fn cycles(&self) -> u64 {
        self.breakdown.total().0
    }
}

const WIDTH: f64 = 980.0;
const MARGIN: f64 = 20.0;
/// Widest a name may be, pixels.
const NAME: f64 = 230.0;
/// More layers than this lie side by side, and only the largest are named.
const MOST_ROWS: usize = 40;
/// More rows than this stand closer.
const FEW: usize = 25;
/// Height of the columns, pixels.
const HEIGHT: f64 = 380.0;
/// Between two numbers above columns, pixels.
const NUMBER_GAP: f64 = 15.0;
const LEGEND_ROW: f64 = 18.0;
const SWATCH: f64 = 11.0;

/// Cycles of each layer in the order of `bars`, each bar stacked into the parts of its breakdown; shares are of `total`,
/// the whole network.
///
/// Up to 40 layers are rows with a name and a number each; more are columns, the largest of which are numbered and named
/// at the side, equal ones together.
#[must_use]
pub fn cycles_svg(bars: &[Bar], total: &Breakdown, caption: &str) -> String {
    let picture = Picture { bars, total: total.total().0 as f64, caption, legend: legend(total) };
    if bars.len() <= MOST_ROWS { picture.rows() } else { picture.columns() }
}

struct Picture<'a> {
    bars: &'a [Bar],
    /// Cycles of the whole network.
    total: f64,
    caption: &'a str,
    legend: Vec<Vec<(Part, String, f64)>>,
}

/// The parts that are there with their share, in lines, each with its place from the left.
fn legend(total: &Breakdown) -> Vec<Vec<(Part, String, f64)>> {
    let all = total.total().0;
    let mut lines = vec![Vec::new()];
    let mut left = MARGIN;
    for part in Part::ALL.into_iter().filter(|&part| total.part(part).0 > 0) {
        let share = 100.0 * total.part(part).0 as f64 / all as f64;
        let text = format!("{}: {} {}", part.name(), meaning(part), percent(share));
        let width = SWATCH + 6.0 + text_width(&text, Size::Small) + 18.0;
        if left + width > WIDTH - MARGIN && left > MARGIN {
            lines.push(Vec::new());
            left = MARGIN;
        }
        lines.last_mut().expect("there is a line from the start").push((part, text, left));
        left += width;
    }
    lines
}

/// What a part is, in few words.
fn meaning(part: Part) -> &'static str {
    match part {
        Part::Useful => "every PE at work",
        Part::Imbalance => "other arrays wait",
        Part::Columns => "empty columns",
        Part::Rows => "empty rows",
        Part::Load => "operand loads",
        Part::FillAndDrain => "array fills, drains",
        Part::Stall => "waits for memory",
        Part::Vector => "vector unit alone",
    }
}

fn percent(share: f64) -> String {
    if share < 0.1 { "(< 0.1 %)".to_owned() } else { format!("({share:.1} %)") }
}

impl Picture<'_> {
    /// Heading and legend; returns where they end.
    fn head(&self, canvas: &Canvas<'_>) -> f64 {
        let heading = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
        canvas.text("Cycles of each layer, and what they go to", [MARGIN, 22.0], heading);
        let drawn: f64 = self.bars.iter().map(|bar| bar.cycles() as f64).sum();
        if drawn < self.total {
            let note = Look { size: Size::Small, anchor: Anchor::Right, colour: FAINT_INK };
            let text = format!("shown are {:.1} % of all cycles", 100.0 * drawn / self.total);
            canvas.text(&text, [WIDTH - MARGIN, 22.0], note);
        }
        let under = Look { size: Size::Normal, anchor: Anchor::Left, colour: FAINT_INK };
        canvas.text(&shortened(self.caption, Size::Normal, WIDTH - 2.0 * MARGIN), [MARGIN, 44.0], under);
        for (number, line) in self.legend.iter().enumerate() {
            let middle = 66.0 + LEGEND_ROW * number as f64;
            for (part, text, left) in line {
                let corners = [[*left, middle - SWATCH / 2.0], [left + SWATCH, middle + SWATCH / 2.0]];
                canvas.rectangle(corners, part_colour(*part));
                canvas.outline(corners, THIN);
                let look = Look { size: Size::Small, anchor: Anchor::Left, colour: INK };
                canvas.text(text, [left + SWATCH + 6.0, middle], look);
            }
        }
        self.top()
    }

    fn top(&self) -> f64 {
        62.0 + LEGEND_ROW * self.legend.len() as f64 + 8.0
    }

    fn most(&self) -> u64 {
        self.bars.iter().map(Bar::cycles).max().unwrap_or(0)
    }

    fn numbers(&self, cycles: u64) -> String {
        let share = if self.total > 0.0 { 100.0 * cycles as f64 / self.total } else { 0.0 };
        format!("{} ({share:.1} %)", grouped(cycles))
    }

    fn rows(&self) -> String {
        let (row, size) = if self.bars.len() <= FEW { (24.0, Size::Small) } else { (16.0, Size::Tiny) };
        let bottom = self.top() + (row * self.bars.len() as f64).max(60.0);
        let names: Vec<String> = self.bars.iter().map(|bar| shortened(&brief(&bar.name), size, NAME)).collect();
        let left = MARGIN + names.iter().map(|name| text_width(name, size)).fold(40.0, f64::max) + 7.0;
        let right = WIDTH - MARGIN;
        drawing([WIDTH, bottom + 50.0], |canvas| {
            let top = self.head(canvas);
            let (unit, name) = unit_of(self.most());
            // Room beyond the longest bar for its numbers.
            let widest = self.bars.iter().map(|bar| text_width(&self.numbers(bar.cycles()), size));
            let room = 1.0 - (widest.fold(60.0, f64::max) + 12.0) / (right - left);
            let high = (self.most().max(1) as f64 / unit) / room.max(0.5);
            let y = Axis::blank(self.bars.len().max(1) as f64);
            let panel = Panel { corners: [[left, top], [right, bottom]], x: Axis::between(0.0, high, 6), y };
            panel.frame(canvas, Some(name), None);
            for (number, (bar, name)) in self.bars.iter().zip(&names).enumerate() {
                let middle = top + row * (number as f64 + 0.5);
                let half = (0.36 * row).min(13.0);
                let place = |cycles: u64| panel.place(cycles as f64 / unit, 0.0)[0];
                stack(&bar.breakdown, |part, from, to| {
                    canvas.rectangle([[place(from), middle - half], [place(to), middle + half]], part_colour(part));
                });
                let end = place(bar.cycles());
                canvas.outline([[left, middle - half], [end, middle + half]], THIN);
                canvas.text(name, [left - 7.0, middle], Look { size, anchor: Anchor::Right, colour: INK });
                let look = Look { size, anchor: Anchor::Left, colour: INK };
                canvas.text(&self.numbers(bar.cycles()), [end + 5.0, middle], look);
            }
            if self.bars.is_empty() {
                nothing(canvas, [f64::midpoint(left, right), f64::midpoint(top, bottom)], "no layers");
            }
        })
    }

    fn columns(&self) -> String {
        let named = largest::ranked(self.bars.iter().map(|bar| (bar.breakdown, bar.cycles())));
        let top = self.top() + 22.0;
        let bottom = top + HEIGHT;
        let (unit, name) = unit_of(self.most());
        let y = Axis::between(0.0, 1.04 * self.most().max(1) as f64 / unit, 6);
        let left = super::panel::left_margin(&y);
        let right = WIDTH - MARGIN - largest::WIDTH - 22.0;
        let count = self.bars.len() as f64;
        drawing([WIDTH, bottom + 50.0], |canvas| {
            self.head(canvas);
            let panel = Panel { corners: [[left, top], [right, bottom]], x: Axis::whole(0.5, count + 0.5, 8), y };
            panel.frame(canvas, Some("layer, in the network's order"), Some(name));
            let gap = if (right - left) / count > 3.0 { 0.08 } else { 0.0 };
            for (number, bar) in self.bars.iter().enumerate() {
                let sides = [0.5 + gap, 1.5 - gap].map(|side| number as f64 + side);
                stack(&bar.breakdown, |part, from, to| {
                    let from = panel.place(sides[0], from as f64 / unit);
                    let to = panel.place(sides[1], to as f64 / unit);
                    canvas.rectangle([[from[0], to[1]], [to[0], from[1]]], part_colour(part));
                });
            }
            panel.outline(canvas);
            self.number_columns(canvas, (&panel, unit), &named);
            let lines = named.iter().map(|ranked| {
                let bar = &self.bars[ranked.place];
                let share = 100.0 * ranked.count as f64 * bar.cycles() as f64 / self.total;
                let each = if ranked.count > 1 { " each" } else { "" };
                let numbers = format!("{} cycles{each}, {share:.1} % of all", grouped(bar.cycles()));
                (ranked.rank, ranked.name(&bar.name), numbers)
            });
            largest::list(canvas, [right + 22.0, top], "largest layers", &lines.collect::<Vec<_>>());
        })
    }

    /// The rank of each named column above the frame, with a line down to it.
    fn number_columns(&self, canvas: &Canvas<'_>, (panel, unit): (&Panel, f64), named: &[Ranked]) {
        let [[left, top], [right, _]] = panel.corners;
        let ends: Vec<[f64; 2]> = named
            .iter()
            .map(|ranked| panel.place(ranked.place as f64 + 1.0, self.bars[ranked.place].cycles() as f64 / unit))
            .collect();
        let wanted: Vec<f64> = ends.iter().map(|[x, _]| *x).collect();
        for ((ranked, end), x) in named.iter().zip(&ends).zip(spread(&wanted, NUMBER_GAP, [left, right])) {
            let stroke = Stroke { colour: FAINT_INK, width: 0.6, dash: Dash::Solid };
            canvas.line(&[[x, top - 5.0], [end[0], top], [end[0], end[1] - 1.0]], stroke);
            let look = Look { size: Size::Small, anchor: Anchor::Middle, colour: INK };
            canvas.text(&ranked.rank.to_string(), [x, top - 12.0], look);
        }
    }
}

const THIN: Stroke = Stroke { colour: INK, width: 0.5, dash: Dash::Solid };

/// Each part of `breakdown` that is there, with the cycles where it starts and ends.
fn stack(breakdown: &Breakdown, mut draw: impl FnMut(Part, u64, u64)) {
    let mut from = 0;
    for part in Part::ALL {
        let to = from + breakdown.part(part).0;
        if to > from {
            draw(part, from, to);
        }
        from = to;
    }
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
