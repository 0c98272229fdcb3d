//! The network found, drawn as a graph.

mod boxes;
mod dot;
mod layout;

use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, shortened, text_width};
use super::colour::{EDGE, FAINT_INK, GRID, INK, UNKNOWN, viridis};
use super::names::brief;
use super::panel::utilization_bar;
use crate::estimate::Estimate;
use crate::network::Network;
use boxes::{Boxes, Unit};
use layout::{BOX, GAP, Layout};

pub use dot::network_dot;

/// A network of more boxes than this is no picture any more.
const MOST_BOXES: usize = 400;
const LEFT: f64 = 30.0;
const TOP: f64 = 64.0;
/// Room to the right for the bar of colours, pixels.
const BAR: f64 = 100.0;
const LEAST_WIDTH: f64 = 560.0;
/// Room between two strips, where wires lead up again, and between the lines of two of these, pixels.
const GUTTER: f64 = 44.0;
const LANE: f64 = 6.0;
/// How much wider than high a sheet is to be.
const ASPECT: f64 = 1.3;
/// Width of the stripe whose colour is the utilization, pixels.
const STRIPE: f64 = 7.0;
const ARROW: f64 = 5.0;

/// The part of `network` that its output depends on, as boxes in layers from above; nothing of very large networks.
///
/// A box is a layer with the operators that only follow it: its name, what it computes and what comes out. The stripe's
/// colour is the overall utilization, grey where there are no MACs; the bar below is its part of the network's cycles.
/// A deep network is cut into strips, read from the left; `estimate` is of the same network.
#[must_use]
pub fn network_svg(network: &Network, estimate: &Estimate) -> Option<String> {
    let boxes = Boxes::new(network, estimate);
    if boxes.units.len() > MOST_BOXES {
        return None;
    }
    let sheet = Sheet::new(Layout::new(&boxes));
    let [width, height] = sheet.size();
    let width = (LEFT + width + BAR).max(LEAST_WIDTH);
    Some(drawing([width, TOP + height.max(170.0) + 30.0], |canvas| {
        let title = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
        canvas.text(&shortened(network.name(), Size::Title, width - 2.0 * LEFT), [LEFT, 22.0], title);
        let note = Look { size: Size::Small, anchor: Anchor::Left, colour: FAINT_INK };
        canvas.text(&caption(estimate), [LEFT, 42.0], note);
        sheet.wires(canvas, &boxes);
        for (unit, at) in boxes.units.iter().zip(&sheet.layout.boxes) {
            draw(canvas, unit, sheet.corner(at.0, at.1));
        }
        utilization_bar(canvas, [width - BAR + 25.0, TOP], 150.0, [0.0, 1.0]);
    }))
}

fn caption(estimate: &Estimate) -> String {
    format!("on {}; stripe: overall utilization; bar: part of {} cycles", estimate.accelerator, estimate.total.cycles.0)
}

/// The layers in strips beside each other.
struct Sheet {
    layout: Layout,
    /// Layers in a strip.
    deep: usize,
    /// From where to where each strip is of the layout, pixels.
    strips: Vec<[f64; 2]>,
}

impl Sheet {
    fn new(layout: Layout) -> Self {
        let strips = (1..=layout.layers.max(1)).find(|&strips| {
            let deep = layout.layers.div_ceil(strips) as f64;
            let width = strips as f64 * (layout.width + GUTTER);
            // Two layers are never cut.
            width >= ASPECT * deep * (BOX[1] + GAP[1]) || deep <= 6.0
        });
        let deep = layout.layers.div_ceil(strips.unwrap_or(1)).max(1);
        let strips = (0..layout.layers.div_ceil(deep)).map(|strip| layout.span(strip * deep..(strip + 1) * deep));
        Self { strips: strips.collect(), layout, deep }
    }

    fn strip(&self, layer: usize) -> usize {
        layer / self.deep
    }

    /// Of what is drawn, pixels.
    fn size(&self) -> [f64; 2] {
        let lanes = if self.strips.len() > 1 { GUTTER } else { 0.0 };
        let deep = self.deep.min(self.layout.layers) as f64;
        [self.left(self.strips.len()) - LEFT - GUTTER, deep * (BOX[1] + GAP[1]) - GAP[1] + lanes]
    }

    /// Where a strip begins on the sheet.
    fn left(&self, strip: usize) -> f64 {
        LEFT + self.strips[..strip].iter().map(|[from, to]| to - from + GUTTER).sum::<f64>()
    }

    /// The upper end of a layer at `x` of the layout.
    fn top(&self, layer: usize, x: f64) -> [f64; 2] {
        let strip = self.strip(layer);
        let row = (layer % self.deep) as f64;
        [self.left(strip) - self.strips[strip][0] + x, TOP + row * (BOX[1] + GAP[1])]
    }

    fn corner(&self, layer: usize, x: f64) -> [f64; 2] {
        let [x, y] = self.top(layer, x);
        [x - BOX[0] / 2.0, y]
    }

    fn wires(&self, canvas: &Canvas<'_>, boxes: &Boxes) {
        let mut lanes = 0;
        for (wire, passes) in boxes.wires.iter().zip(&self.layout.passes) {
            let ((first, from), (last, to)) = (self.layout.boxes[wire.0], self.layout.boxes[wire.1]);
            let end = to + port(boxes, &self.layout, *wire);
            let stops: Vec<f64> = [&[from], &passes[..], &[end]].concat();
            let mut line = Vec::new();
            for (pair, layer) in stops.windows(2).zip(first..) {
                let [x, y] = self.top(layer, pair[0]);
                line.push([x, y + BOX[1]]);
                if self.strip(layer) != self.strip(layer + 1) {
                    line.extend(self.around(layer, pair, lanes));
                    lanes += 1;
                }
                line.push(self.top(layer + 1, pair[1]));
            }
            canvas.line(&line, Stroke { colour: EDGE, width: 1.2, dash: Dash::Solid });
            arrow(canvas, self.top(last, end));
        }
    }

    /// Down below the strip, up between it and the next, and down again from above.
    fn around(&self, layer: usize, pair: &[f64], lane: usize) -> [[f64; 2]; 4] {
        let shift = LANE * (lane % 5) as f64;
        let [below, above] = [self.top(layer, pair[0]), self.top(layer + 1, pair[1])];
        let low = below[1] + BOX[1] + 8.0 + shift;
        let high = TOP - 7.0 - 0.4 * shift;
        let gutter = self.left(self.strip(layer + 1)) - GUTTER / 2.0 - 12.0 + shift;
        [[below[0], low], [gutter, low], [gutter, high], [above[0], high]]
    }
}

/// How far from the middle of its box a wire ends: wires end beside each other in the order in which they come.
fn port(boxes: &Boxes, layout: &Layout, wire: (usize, usize)) -> f64 {
    let last = |place: usize| layout.passes[place].last().copied().unwrap_or(layout.boxes[boxes.wires[place].0].1);
    let mut ends: Vec<usize> = (0..boxes.wires.len()).filter(|&place| boxes.wires[place].1 == wire.1).collect();
    ends.sort_by(|&a, &b| last(a).total_cmp(&last(b)));
    let place = ends.iter().position(|&place| boxes.wires[place] == wire).unwrap_or(0);
    let apart = (BOX[0] / (ends.len() + 1) as f64).min(22.0);
    apart * (place as f64 - (ends.len() as f64 - 1.0) / 2.0)
}

/// The point of a wire that ends at `at` from above.
fn arrow(canvas: &Canvas<'_>, [x, y]: [f64; 2]) {
    canvas.polygon(&[[x, y], [x - 0.6 * ARROW, y - ARROW], [x + 0.6 * ARROW, y - ARROW]], EDGE);
}

fn draw(canvas: &Canvas<'_>, unit: &Unit, [left, top]: [f64; 2]) {
    let [right, bottom] = [left + BOX[0], top + BOX[1]];
    canvas.rectangle([[left, top], [right, bottom]], plotters::style::WHITE);
    canvas.rectangle([[left, top], [left + STRIPE, bottom]], unit.utilization.map_or(UNKNOWN, viridis));
    let bar = [left + STRIPE, bottom - 5.0];
    let full = right - bar[0];
    canvas.rectangle([bar, [right, bottom]], GRID);
    canvas.rectangle([bar, [bar[0] + full * unit.share.clamp(0.0, 1.0), bottom]], FAINT_INK);
    canvas.outline([[left, top], [right, bottom]], Stroke { colour: EDGE, width: 1.0, dash: Dash::Solid });
    let text = left + STRIPE + 6.0;
    let room = right - text - 5.0;
    let ink = Look { size: Size::Small, anchor: Anchor::Left, colour: INK };
    let faint = Look { size: Size::Tiny, anchor: Anchor::Left, colour: FAINT_INK };
    let percent = unit.utilization.map_or(String::new(), |part| format!("{:.0} %", 100.0 * part));
    let number = text_width(&percent, Size::Tiny);
    canvas.text(&percent, [right - 5.0, top + 9.0], Look { anchor: Anchor::Right, ..faint });
    canvas.text(&shortened(&brief(&unit.name), Size::Tiny, room - number - 6.0), [text, top + 9.0], faint);
    canvas.text(&shortened(&unit.what, Size::Small, room - 62.0), [text, top + 22.0], ink);
    let shape = unit.shape.iter().map(u64::to_string).collect::<Vec<_>>().join("×");
    canvas.text(
        &shortened(&shape, Size::Tiny, 60.0),
        [right - 5.0, top + 22.0],
        Look { anchor: Anchor::Right, ..faint },
    );
    canvas.text(&shortened(&unit.then.join(", "), Size::Tiny, room), [text, top + 35.0], faint);
}
