//! The roofline of an estimate: MACs a second against MACs for each byte of DRAM traffic.
//!
//! S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance model for multicore
//! architectures", CACM 52(4), 2009.

use super::axis::{Axis, plain};
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, shortened, text_width};
use super::colour::{FAINT_INK, INK, bound_colour};
use super::labels::{Corners, Label, arrange, spread};
use super::largest::{self, Ranked};
use super::panel::{Mark, Panel, Shape, left_margin, nothing};
use crate::accel::{Accelerator, Dram, Timing};
use crate::estimate::{Bound, Estimate, LayerEstimate};

/// A layer of an estimate, or the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RoofPoint {
    /// Name of the layer.
    pub name: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// DRAM traffic, bytes.
    pub bytes: u64,
    /// Clock cycles.
    pub cycles: u64,
    /// Time, seconds.
    pub seconds: f64,
    /// What limits it.
    pub bound: Bound,
}

/// What no layer can pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Roof {
    /// MACs a second of all PEs.
    pub peak: f64,
    /// Bytes a second from and to DRAM, where the accelerator says.
    pub bandwidth: Option<f64>,
    /// What is to be said of the bandwidth.
    pub notes: Vec<String>,
}

impl RoofPoint {
    /// The point of `layer`.
    #[must_use]
    pub fn of(layer: &LayerEstimate) -> Self {
        Self {
            name: layer.name.clone(),
            macs: layer.macs.0,
            bytes: layer.bytes_read.0.saturating_add(layer.bytes_written.0),
            cycles: layer.cycles.0,
            seconds: 1e-3 * layer.latency_ms,
            bound: layer.bound,
        }
    }

    /// The point of a whole estimate; it has no bound of its own.
    #[must_use]
    pub fn whole(estimate: &Estimate) -> Self {
        let total = &estimate.total;
        Self {
            name: "network".to_owned(),
            macs: total.macs.0,
            bytes: total.bytes_read.0.saturating_add(total.bytes_written.0),
            cycles: total.cycles.0,
            seconds: 1e-3 * total.latency_ms,
            bound: Bound::None,
        }
    }

    /// What equal layers have in common.
    fn key(&self) -> [u64; 3] {
        [self.macs, self.bytes, self.cycles]
    }

    /// MACs a second; nothing for what has no MACs or takes no time.
    fn rate(&self) -> Option<f64> {
        (self.macs > 0 && self.seconds > 0.0).then(|| self.macs as f64 / self.seconds)
    }

    /// MACs for each byte; nothing where there is no traffic.
    fn intensity(&self) -> Option<f64> {
        (self.bytes > 0).then(|| self.macs as f64 / self.bytes as f64)
    }
}

impl Roof {
    /// The roof of `accelerator` under `timing`.
    #[must_use]
    pub fn of(accelerator: &Accelerator, timing: Timing) -> Self {
        let peak = accelerator.array.pes() as f64 * 1e6 * accelerator.clock.get();
        let (bandwidth, mut notes) = match accelerator.memory.dram {
            Dram::Shared(bandwidth) => (Some(bandwidth.bytes_per_second() as f64), Vec::new()),
            Dram::Ports { weights, inputs, outputs } => {
                let all: f64 = [weights, inputs, outputs].iter().map(|port| port.bytes_per_second() as f64).sum();
                (Some(all), vec!["the roof of memory is that of its three ports together".to_owned()])
            }
            Dram::Unlimited => {
                let only = if accelerator.memory.weight_bandwidth.is_some() { " but for weights" } else { "" };
                (
                    None,
                    vec![format!("the accelerator names no bandwidth{only}: the roof is the peak of the array alone")],
                )
            }
        };
        match timing {
            Timing::Pipelined => {}
            Timing::Ideal | Timing::ScaleSim | Timing::UboostCsim => {
                if bandwidth.is_some() {
                    let name = timing.name();
                    notes.push(format!(
                        "under timing {name} this traffic takes no time: layers may pass the roof of memory"
                    ));
                }
            }
        }
        Self { peak, bandwidth, notes }
    }
}

const WIDTH: f64 = 980.0;
const TOP: f64 = 78.0;
const HEIGHT: f64 = 440.0;
/// Radius of the largest mark, pixels.
const LARGEST: f64 = 15.0;
/// Radius of the smallest mark, pixels.
const SMALLEST: f64 = 2.5;
/// Width of the strip for layers without traffic, pixels.
const STRIP: f64 = 78.0;
/// Where marks stand in the strip, as a part of its width; their ranks stand at its right.
const STRIP_PLACE: f64 = 0.38;
/// Between two ranks in the strip, pixels.
const STRIP_GAP: f64 = 13.0;
/// From the roof to the middle of the first number in the strip, pixels.
const BELOW_ROOF: f64 = 9.0;
/// Marks nearer than this share a label, pixels.
const NEAR: f64 = 7.0;
/// Orders of magnitude below the peak that are drawn at least.
const DECADES: f64 = 2.0;

/// Each of `points` at its operational intensity (MACs for each byte of DRAM traffic) and what it attains (MACs a
/// second), both logarithmic, below the roof; areas are cycles, the largest are numbered and named at the side. `whole`
/// is the network.
///
/// What has no MACs has no place and is counted; what has no traffic stands in a strip at the right.
#[must_use]
pub fn roofline_svg(points: &[RoofPoint], whole: &RoofPoint, roof: &Roof, caption: &str) -> String {
    let notes = notes(points, whole, roof);
    let bottom = TOP + HEIGHT;
    drawing([WIDTH, bottom + 56.0 + 16.0 * notes.len() as f64], |canvas| {
        head(canvas, roof, caption);
        for (number, note) in notes.iter().enumerate() {
            let look = Look { size: Size::Small, anchor: Anchor::Left, colour: FAINT_INK };
            canvas.text(note, [20.0, bottom + 54.0 + 16.0 * number as f64], look);
        }
        Chart::new(points, whole, roof).draw(canvas);
    })
}

fn head(canvas: &Canvas<'_>, roof: &Roof, caption: &str) {
    let title = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
    canvas.text("Roofline", [20.0, 22.0], title);
    let (unit, name) = unit_of(roof.peak);
    let mut text = format!("peak {} {name}", plain(roof.peak / unit));
    if let Some(bandwidth) = roof.bandwidth {
        let ridge = plain(roof.peak / bandwidth);
        text.push_str(&format!("; memory {} GB/s; they meet at {ridge} MACs/byte", plain(bandwidth / 1e9)));
    }
    let under = |colour| Look { size: Size::Normal, anchor: Anchor::Left, colour };
    canvas.text(&shortened(caption, Size::Normal, WIDTH - 40.0), [20.0, 43.0], under(FAINT_INK));
    canvas.text(&text, [20.0, 61.0], under(INK));
}

fn notes(points: &[RoofPoint], whole: &RoofPoint, roof: &Roof) -> Vec<String> {
    let mut notes = roof.notes.clone();
    let without: Vec<&RoofPoint> = points.iter().filter(|point| point.rate().is_none()).collect();
    if !without.is_empty() {
        let share = 100.0 * without.iter().map(|point| point.cycles as f64).sum::<f64>() / whole.cycles.max(1) as f64;
        let layers = if without.len() == 1 { "1 layer".to_owned() } else { format!("{} layers", without.len()) };
        notes.push(format!("{layers} without MACs, {share:.1} % of the cycles, not drawn"));
    }
    let given = points.iter().map(|point| point.cycles).sum::<u64>();
    if given < whole.cycles {
        let share = 100.0 * given as f64 / whole.cycles as f64;
        notes.push(format!("these layers are {share:.1} % of all cycles"));
    }
    notes
}

/// MACs a second to the unit of the axis, and its name.
fn unit_of(peak: f64) -> (f64, &'static str) {
    if peak >= 1e12 { (1e12, "TMACs/s") } else { (1e9, "GMACs/s") }
}

/// A point with its place on the sheet.
struct Placed<'a> {
    point: &'a RoofPoint,
    at: [f64; 2],
    radius: f64,
}

struct Chart<'a> {
    panel: Panel,
    /// For what has no traffic.
    strip: Option<Panel>,
    roof: &'a Roof,
    points: Vec<Placed<'a>>,
    whole: Option<Placed<'a>>,
    total: u64,
}

impl<'a> Chart<'a> {
    fn new(points: &'a [RoofPoint], whole: &'a RoofPoint, roof: &'a Roof) -> Self {
        let (unit, _) = unit_of(roof.peak);
        let all = || points.iter().chain([whole]).filter(|point| point.rate().is_some());
        let ridge = roof.bandwidth.map(|bandwidth| roof.peak / bandwidth);
        let bend = ridge.into_iter().flat_map(|ridge| [ridge / 4.0, 2.0 * ridge]);
        let x = Axis::log(all().filter_map(RoofPoint::intensity).chain(bend), 8);
        let least = roof.peak / 10f64.powf(DECADES);
        let y = Axis::log(all().filter_map(RoofPoint::rate).chain([roof.peak, least]).map(|rate| rate / unit), 8);
        let left = left_margin(&y);
        let end = WIDTH - 20.0 - largest::WIDTH - 22.0;
        let has_strip = all().any(|point| point.intensity().is_none());
        let right = if has_strip { end - STRIP - 10.0 } else { end };
        let strip = has_strip.then(|| Panel {
            corners: [[end - STRIP, TOP], [end, TOP + HEIGHT]],
            x: Axis::blank(1.0),
            y: y.clone(),
        });
        let panel = Panel { corners: [[left, TOP], [right, TOP + HEIGHT]], x, y };
        let most = points.iter().filter(|point| point.rate().is_some()).map(|point| point.cycles).max().unwrap_or(0);
        let place = |point: &'a RoofPoint| {
            let rate = point.rate()? / unit;
            let at = match (point.intensity(), &strip) {
                (Some(intensity), _) => panel.place(intensity, rate),
                (None, Some(strip)) => strip.place(STRIP_PLACE, rate),
                (None, None) => return None,
            };
            let radius = LARGEST * (point.cycles as f64 / most.max(1) as f64).sqrt();
            Some(Placed { point, at, radius: radius.clamp(SMALLEST, LARGEST) })
        };
        let placed = points.iter().filter_map(place).collect();
        let whole_placed = place(whole).map(|placed| Placed { radius: 6.5, ..placed });
        Self { strip, roof, points: placed, whole: whole_placed, total: whole.cycles, panel }
    }

    fn draw(&self, canvas: &Canvas<'_>) {
        let (_, name) = unit_of(self.roof.peak);
        let y_name = format!("attained ({name})");
        let intensity = "operational intensity (MACs for each byte of DRAM traffic)";
        self.panel.frame(canvas, Some(intensity), Some(&y_name));
        let mut roofs = vec![self.roof_line()];
        if let Some(strip) = &self.strip {
            strip.frame(canvas, None, None);
            let [[left, _], [right, bottom]] = strip.corners;
            let look = Look { size: Size::Small, anchor: Anchor::Below, colour: INK };
            canvas.text("no DRAM", [f64::midpoint(left, right), bottom + 6.0], look);
            canvas.text("traffic", [f64::midpoint(left, right), bottom + 19.0], look);
            let [_, height] = strip.place(0.0, self.roof.peak / unit_of(self.roof.peak).0);
            roofs.push(vec![[left, height], [right, height]]);
        }
        for line in &roofs {
            canvas.line(line, Stroke { colour: INK, width: 1.8, dash: Dash::Solid });
        }
        if self.points.is_empty() {
            let [[left, top], [right, bottom]] = self.panel.corners;
            nothing(canvas, [f64::midpoint(left, right), f64::midpoint(top, bottom)], "no layer has MACs");
        }
        let named = largest::ranked(self.points.iter().map(|placed| (placed.point.key(), placed.point.cycles)));
        let (in_strip, in_panel): (Vec<Ranked>, Vec<Ranked>) =
            named.iter().partition(|ranked| self.points[ranked.place].point.intensity().is_none());
        if let Some(strip) = &self.strip {
            self.strip_numbers(canvas, strip, &in_strip);
        }
        self.marks(canvas);
        self.numbers(canvas, &in_panel, &roofs);
        self.side(canvas, &named);
    }

    /// From the left frame along the bandwidth to the peak and to the right frame, pixels.
    fn roof_line(&self) -> Vec<[f64; 2]> {
        let (unit, _) = unit_of(self.roof.peak);
        let [low, high] = [self.panel.x.low(), self.panel.x.high()];
        let end = self.panel.place(high, self.roof.peak / unit);
        let Some(bandwidth) = self.roof.bandwidth else {
            return vec![self.panel.place(low, self.roof.peak / unit), end];
        };
        let start = low.max(self.panel.y.low() * unit / bandwidth);
        let ridge = self.roof.peak / bandwidth;
        vec![self.panel.place(start, bandwidth * start / unit), self.panel.place(ridge, self.roof.peak / unit), end]
    }

    /// Large marks below small ones.
    fn marks(&self, canvas: &Canvas<'_>) {
        let mut order: Vec<&Placed<'_>> = self.points.iter().collect();
        order.sort_by(|a, b| b.radius.total_cmp(&a.radius));
        for placed in order {
            let fill = bound_colour(placed.point.bound);
            let mark = Mark { radius: placed.radius, fill, edge: INK, edge_width: 0.6 };
            shape(placed.point.bound).draw(canvas, placed.at, mark);
        }
        if let Some(whole) = &self.whole {
            let mark = Mark { radius: whole.radius, fill: INK, edge: plotters::style::WHITE, edge_width: 1.2 };
            Shape::Diamond.draw(canvas, whole.at, mark);
        }
    }

    /// Ranks at the right of the strip, below its roof, with a line to each mark.
    fn strip_numbers(&self, canvas: &Canvas<'_>, strip: &Panel, named: &[Ranked]) {
        let [_, [right, bottom]] = strip.corners;
        let [_, roof] = strip.place(0.0, self.roof.peak / unit_of(self.roof.peak).0);
        let wanted: Vec<f64> = named.iter().map(|ranked| self.points[ranked.place].at[1]).collect();
        let heights = spread(&wanted, STRIP_GAP, [roof + BELOW_ROOF, bottom - STRIP_GAP / 2.0]);
        for (ranked, height) in named.iter().zip(heights) {
            let at = self.points[ranked.place].at;
            let stroke = Stroke { colour: FAINT_INK, width: 0.6, dash: Dash::Solid };
            canvas.line(&[at, [at[0] + LARGEST + 4.0, height], [right - 20.0, height]], stroke);
            let look = Look { size: Size::Small, anchor: Anchor::Right, colour: INK };
            canvas.text(&ranked.rank.to_string(), [right - 4.0, height], look);
        }
    }

    /// Ranks beside the largest marks of the panel; those in one place stand together.
    fn numbers(&self, canvas: &Canvas<'_>, named: &[Ranked], roofs: &[Vec<[f64; 2]>]) {
        let mut groups: Vec<(Vec<usize>, [f64; 2], f64)> = Vec::new();
        for ranked in named {
            let placed = &self.points[ranked.place];
            let near = |at: [f64; 2]| (at[0] - placed.at[0]).hypot(at[1] - placed.at[1]) < NEAR;
            match groups.iter_mut().find(|(_, at, _)| near(*at)) {
                Some((ranks, _, _)) => ranks.push(ranked.rank),
                None => groups.push((vec![ranked.rank], placed.at, placed.radius)),
            }
        }
        let box_around = |placed: &Placed<'_>| {
            let half = placed.radius * reach(placed.point.bound);
            [placed.at.map(|v| v - half), placed.at.map(|v| v + half)]
        };
        let mut taken: Vec<Corners> = self.points.iter().chain(&self.whole).map(box_around).collect();
        taken.extend(roofs.iter().flat_map(|line| along(line)));
        let mut labels: Vec<Label> = groups
            .iter()
            .map(|(ranks, at, radius)| {
                let text = ranks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Label { text, mark: *at, radius: *radius }
            })
            .collect();
        let whole = self.whole.as_ref().filter(|whole| whole.point.intensity().is_some());
        labels.extend(whole.map(|whole| Label { text: "network".to_owned(), mark: whole.at, radius: whole.radius }));
        for (label, place) in labels.iter().zip(arrange(&labels, self.panel.corners, taken)) {
            // Where everything around is full the label stands on its mark.
            let half = text_width(&label.text, Size::Small) / 2.0;
            let place = place.unwrap_or([label.mark.map(|v| v - half), label.mark.map(|v| v + half)]);
            let middle = [0, 1].map(|i| f64::midpoint(place[0][i], place[1][i]));
            canvas.text(&label.text, middle, Look { size: Size::Small, anchor: Anchor::Middle, colour: INK });
        }
    }

    /// What shapes and areas mean, and the names of the largest.
    fn side(&self, canvas: &Canvas<'_>, named: &[Ranked]) {
        let left = WIDTH - 20.0 - largest::WIDTH;
        let look = |colour| Look { size: Size::Small, anchor: Anchor::Left, colour };
        let mut middle = TOP + 6.0;
        for bound in [Bound::Array, Bound::Memory, Bound::Vector] {
            let count = self.points.iter().filter(|placed| placed.point.bound == bound).count();
            if count == 0 {
                continue;
            }
            let mark = Mark { radius: 5.0, fill: bound_colour(bound), edge: INK, edge_width: 0.6 };
            shape(bound).draw(canvas, [left + 8.0, middle], mark);
            let layers = if count == 1 { "1 layer".to_owned() } else { format!("{count} layers") };
            canvas.text(&format!("bound by {}: {layers}", bound_name(bound)), [left + 22.0, middle], look(INK));
            middle += 17.0;
        }
        if self.whole.is_some() {
            let mark = Mark { radius: 5.0, fill: INK, edge: INK, edge_width: 0.6 };
            Shape::Diamond.draw(canvas, [left + 8.0, middle], mark);
            canvas.text("the whole network", [left + 22.0, middle], look(INK));
            middle += 17.0;
        }
        canvas.text("area of a layer's mark: its cycles", [left, middle], look(FAINT_INK));
        let entries = named.iter().map(|ranked| {
            let point = self.points[ranked.place].point;
            let share = 100.0 * ranked.count as f64 * point.cycles as f64 / self.total.max(1) as f64;
            let attained = 100.0 * point.rate().unwrap_or(0.0) / self.roof.peak;
            (ranked.rank, ranked.name(&point.name), format!("{share:.1} % of cycles, {attained:.1} % of the peak"))
        });
        largest::list(canvas, [left, middle + 22.0], "largest layers", &entries.collect::<Vec<_>>());
    }
}

fn shape(bound: Bound) -> Shape {
    match bound {
        Bound::Array | Bound::None => Shape::Circle,
        Bound::Memory => Shape::Square,
        Bound::Vector => Shape::Triangle,
    }
}

/// How far a shape reaches, in radii.
fn reach(bound: Bound) -> f64 {
    match bound {
        Bound::Array | Bound::None => 0.9,
        Bound::Memory => 1.0,
        Bound::Vector => 1.4,
    }
}

fn bound_name(bound: Bound) -> &'static str {
    match bound {
        Bound::Array => "the array",
        Bound::Memory => "memory",
        Bound::Vector => "the vector unit",
        Bound::None => "nothing",
    }
}

/// Small boxes along a line.
fn along(line: &[[f64; 2]]) -> Vec<Corners> {
    const STEPS: u32 = 100;
    let between = |pair: &[[f64; 2]], step: u32| {
        let part = f64::from(step) / f64::from(STEPS);
        let at = [0, 1].map(|i| pair[0][i] + part * (pair[1][i] - pair[0][i]));
        [at.map(|v| v - 2.0), at.map(|v| v + 2.0)]
    };
    line.windows(2).flat_map(|pair| (0..=STEPS).map(move |step| between(pair, step))).collect()
}
