//! One point of a front.

use std::fmt;
use std::str::FromStr;

use super::{Front, Measure, Objectives, Point};

/// A percentage divided by 100 and a fraction as it is written differ by less than this.
const ROUNDING: f64 = 1e-12;

/// Which point of a front is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pick {
    /// The one farthest from the line between the ends of the front, objectives scaled to the front's range: of error and
    /// latency the greatest `1 - (error - least) / range - (latency - least) / range`; of equal ones the fastest.
    Knee,
    /// The most accurate one of at most so many ms.
    Latency(f64),
    /// The fastest one of at most this error, a fraction.
    Error(f64),
    /// The fastest one of at least this accuracy, a fraction.
    Accuracy(f64),
}

/// Why a text picks nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be knee, latency-ms<=MS, error<=FRACTION or accuracy>=FRACTION, got `{0}`")]
pub struct BadPick(String);

impl FromStr for Pick {
    type Err = BadPick;

    fn from_str(text: &str) -> Result<Self, BadPick> {
        let parts = text.split_once("<=").map(|parts| (parts, true));
        let parts = parts.or_else(|| text.split_once(">=").map(|parts| (parts, false)));
        let Some(((name, number), at_most)) = parts else {
            return if text.trim() == "knee" { Ok(Self::Knee) } else { Err(BadPick(text.to_owned())) };
        };
        let number = number.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        let fraction = number.filter(|number| *number <= 1.0);
        let pick = match (name.trim(), at_most) {
            ("latency-ms", true) => number.map(Self::Latency),
            ("error", true) => fraction.map(Self::Error),
            ("accuracy", false) => fraction.map(Self::Accuracy),
            _ => None,
        };
        pick.ok_or_else(|| BadPick(text.to_owned()))
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Knee => f.write_str("knee"),
            Self::Latency(limit) => write!(f, "latency-ms<={limit}"),
            Self::Error(limit) => write!(f, "error<={limit}"),
            Self::Accuracy(limit) => write!(f, "accuracy>={limit}"),
        }
    }
}

impl Pick {
    /// The point of `front` that is wanted; nothing where none is so.
    #[must_use]
    pub fn from<'a>(&self, front: &'a Front) -> Option<&'a Point> {
        let mut members: Vec<&Point> = front.members().iter().map(|&member| &front.points()[member]).collect();
        // The fastest first; of equally fast ones the most accurate.
        members.sort_by(|a, b| a.latency_ms.total_cmp(&b.latency_ms).then(a.error.total_cmp(&b.error)));
        let within = |limit: f64| move |point: &&&Point| point.error <= limit + ROUNDING;
        match *self {
            Self::Knee => knee(&members, front.objectives()),
            Self::Latency(limit) => most_accurate(members.into_iter().filter(|point| point.latency_ms <= limit)),
            Self::Error(limit) => members.iter().find(within(limit)).copied(),
            Self::Accuracy(limit) => members.iter().find(within(1.0 - limit)).copied(),
        }
    }
}

/// Of equally accurate ones the first.
fn most_accurate<'a>(points: impl Iterator<Item = &'a Point>) -> Option<&'a Point> {
    points.reduce(|best, point| if point.error < best.error { point } else { best })
}

/// As [`Pick::Knee`]; `members` are those of a front of `objectives`, the fastest first.
fn knee<'a>(members: &[&'a Point], objectives: &Objectives) -> Option<&'a Point> {
    let turned = |measure: &Measure, point: &Point| {
        measure.of(point).map_or(f64::INFINITY, |value| measure.objective().minimised(value))
    };
    let range = |measure: &Measure| {
        let values = || members.iter().map(|point| turned(measure, point));
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        (least, if most > least { most - least } else { 1.0 })
    };
    let ranges: Vec<(&Measure, (f64, f64))> =
        objectives.measures().iter().map(|measure| (measure, range(measure))).collect();
    let loss = |point: &Point| -> f64 {
        ranges.iter().map(|(measure, (least, range))| (turned(measure, point) - least) / range).sum()
    };
    let better = |best: &'a Point, point: &'a Point| if loss(point) < loss(best) { point } else { best };
    members.iter().copied().reduce(better)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(points: &[(&str, f64, f64)]) -> Front {
        let points = points.iter().map(|&(name, error, ms)| Point::new(name, "tpu-v1", [error, ms])).collect();
        Front::new("tpu-v1", points, None).unwrap()
    }

    fn picked(pick: &str, points: &[(&str, f64, f64)]) -> Option<String> {
        pick.parse::<Pick>().unwrap().from(&front(points)).map(|point| point.name.clone())
    }

    const POINTS: [(&str, f64, f64); 4] =
        [("slow", 0.1, 9.0), ("worse", 0.4, 8.0), ("knee", 0.2, 3.0), ("fast", 0.5, 1.0)];

    #[test]
    fn a_limit_takes_the_best_point_within_it() {
        for (pick, name) in [
            ("latency-ms<=8.9", Some("knee")),
            ("latency-ms <= 9", Some("slow")),
            ("latency-ms<=0.5", None),
            ("error<=0.2", Some("knee")),
            ("error<=0.19", Some("slow")),
            ("accuracy>=0.5", Some("fast")),
            ("accuracy>=0.95", None),
        ] {
            assert_eq!(picked(pick, &POINTS).as_deref(), name, "{pick}");
        }
    }

    #[test]
    fn an_accuracy_that_a_percentage_rounds_to_is_reached() {
        // 1 - 93.1133 / 100 and 1 - 0.931133 need not be the same number.
        for percent in [93.1133, 89.1967, 92.3033] {
            let points = [("a", 1.0 - percent / 100.0, 1.0)];
            assert_eq!(
                picked(&format!("accuracy>=0.{}", percent.to_string().replace('.', "")), &points).as_deref(),
                Some("a")
            );
        }
    }

    #[test]
    fn the_knee_is_farthest_from_the_line_between_the_ends() {
        // scaled to [0, 1]: knee is (0.25, 0.25), 1 - 0.5 from the line; middle (0.5, 0.45), 0.05
        let points = [POINTS[0], POINTS[2], POINTS[3], ("middle", 0.15, 6.0)];
        assert_eq!(picked("knee", &points).as_deref(), Some("knee"));
        assert_eq!(picked("knee", &[("a", 0.5, 1.0)]).as_deref(), Some("a"));
        assert_eq!(picked("knee", &[("a", 0.1, 2.0), ("b", 0.5, 1.0)]).as_deref(), Some("b"), "the fastest of equals");
    }

    #[test]
    fn what_picks_nothing_is_refused_with_what_would() {
        for text in
            ["", "latency-ms<0.5", "latency-ms<=x", "latency-ms>=1", "error<=2", "accuracy<=0.5", "macs<=1", "knee<=1"]
        {
            let message = text.parse::<Pick>().unwrap_err().to_string();
            assert!(message.starts_with("must be knee, latency-ms<=MS") && message.ends_with(&format!("got `{text}`")));
        }
        assert_eq!("latency-ms<=0.05".parse::<Pick>().unwrap().to_string(), "latency-ms<=0.05");
    }
}
