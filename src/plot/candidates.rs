//! The architectures that a search over a list has judged.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Look, Size, drawing};
use super::colour::{INK, UNKNOWN, series};
use super::labels::Corners;
use super::panel::{Mark, Panel, Shape};
use crate::record::{HistoryRecord, JudgedCandidate};

const WIDTH: f64 = 900.0;
const PANEL: Corners = [[85.0, 45.0], [870.0, 500.0]];

/// What stands for the quality of a network, with its unit.
#[derive(Clone, Copy)]
enum Measure {
    Loss,
    Score,
}

impl Measure {
    fn of(self, judged: &JudgedCandidate) -> Option<f64> {
        match self {
            Self::Loss => judged.loss,
            Self::Score => judged.score,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Loss => "selection loss (nats)",
            Self::Score => "log synaptic flow",
        }
    }
}

/// Loss, or score, of every candidate against its latency; filled where the objective fell to its lowest until then.
///
/// Nothing where the history has no candidate that was judged.
#[must_use]
pub fn candidates_svg(records: &[HistoryRecord]) -> Option<String> {
    let judged: Vec<&JudgedCandidate> = records.iter().filter_map(candidate).collect();
    let measure = [Measure::Loss, Measure::Score].into_iter().find(|m| judged.iter().any(|j| m.of(j).is_some()))?;
    let places: Vec<[f64; 2]> = judged.iter().map(|j| [j.latency_ms, measure.of(j).unwrap_or(f64::NAN)]).collect();
    let panel = Panel {
        corners: PANEL,
        x: Axis::around_log(places.iter().map(|[x, _]| *x), 7),
        y: Axis::around(places.iter().map(|[_, y]| *y), 7),
    };
    Some(drawing([WIDTH, PANEL[1][1] + 55.0], |canvas| {
        let title = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
        canvas.text(&format!("{} candidates", judged.len()), [PANEL[0][0], 24.0], title);
        panel.frame(canvas, Some("latency (ms)"), Some(measure.name()));
        marks(canvas, &panel, &places, &records_of(&judged));
    }))
}

fn candidate(record: &HistoryRecord) -> Option<&JudgedCandidate> {
    match record {
        HistoryRecord::Candidate(judged) => Some(judged),
        HistoryRecord::Epoch(_) | HistoryRecord::Train(_) | HistoryRecord::Rollback(_) | HistoryRecord::End(_) => None,
    }
}

/// Whether the objective of each candidate is lower than that of all before it.
fn records_of(judged: &[&JudgedCandidate]) -> Vec<bool> {
    let mut lowest = f64::INFINITY;
    let is_record = |judged: &&JudgedCandidate| {
        let value = judged.objective.unwrap_or(f64::INFINITY);
        let record = value < lowest;
        lowest = lowest.min(value);
        record
    };
    judged.iter().map(is_record).collect()
}

/// The others below, those that were the best until then above them.
fn marks(canvas: &Canvas<'_>, panel: &Panel, places: &[[f64; 2]], best: &[bool]) {
    for wanted in [false, true] {
        let of_kind = places.iter().zip(best).filter(|(_, best)| **best == wanted).map(|(place, _)| *place);
        for [x, y] in of_kind.filter(|[x, y]| x.is_finite() && y.is_finite()) {
            let (radius, fill) = if wanted { (5.0, series(0)) } else { (3.0, UNKNOWN) };
            let mark = Mark { radius, fill, edge: INK, edge_width: 0.6 };
            Shape::Circle.draw(canvas, panel.place(x, y), mark);
        }
    }
}
