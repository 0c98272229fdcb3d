//! What is lost where networks are chosen by their MACs.

use serde::Serialize;

use super::{Front, Point};
use crate::front::{Objective, non_dominated};

/// The front of error and MACs beside that of error and latency, over the same points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByMacs {
    /// Names of those on the front of error and MACs, in the order of the points.
    pub front: Vec<String>,
    /// Those of them that are not on the front of error and latency.
    pub not_on_front: Vec<String>,
    /// Those on the front of error and latency that are not on that of error and MACs.
    pub missed: Vec<String>,
    /// What is lost at equal accuracy; nothing where no latency is above 0.
    pub latency_ratio: Option<LatencyRatio>,
}

/// `latency / least latency of the points with no greater error`, over the front by MACs: at least 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencyRatio {
    /// Of half of the front.
    pub median: f64,
    /// The greatest.
    pub greatest: f64,
    /// The network that loses it.
    pub greatest_of: String,
    /// The network that has its accuracy or more in the least time.
    pub instead: String,
}

impl ByMacs {
    /// The front by MACs of the points of `front`; nothing where that is of other objectives, or a point has no MACs.
    #[must_use]
    pub fn of(front: &Front) -> Option<Self> {
        if !front.objectives().is_default() {
            return None;
        }
        let points = front.points();
        #[expect(clippy::cast_precision_loss, reason = "of MACs that 53 bits do not tell apart the first counts")]
        let vector = |point: &Point| Some([point.error, point.macs?.0 as f64]);
        let vectors: Vec<[f64; 2]> = points.iter().map(vector).collect::<Option<_>>()?;
        let members = non_dominated(&vectors, &[Objective::Minimise; 2]);
        let without = |of: &[usize], other: &[usize]| -> Vec<String> {
            let left = of.iter().filter(|member| other.binary_search(member).is_err());
            left.map(|&member| points[member].name.clone()).collect()
        };
        Some(Self {
            front: without(&members, &[]),
            not_on_front: without(&members, front.members()),
            missed: without(front.members(), &members),
            latency_ratio: latency_ratio(points, &members, front.members()),
        })
    }
}

/// The fastest point with no greater error is on the front of error and latency.
fn latency_ratio(points: &[Point], by_macs: &[usize], front: &[usize]) -> Option<LatencyRatio> {
    let mut front: Vec<&Point> = front.iter().map(|&member| &points[member]).collect();
    front.sort_by(|a, b| a.error.total_cmp(&b.error));
    let ratio = |&member: &usize| {
        let point = &points[member];
        // Along the front less error is more latency: the last one with no greater error is the fastest.
        let within = front.partition_point(|other| other.error <= point.error);
        let least = *front[..within].last()?;
        (least.latency_ms > 0.0).then(|| (point.latency_ms / least.latency_ms, point, least))
    };
    let mut ratios: Vec<(f64, &Point, &Point)> = by_macs.iter().filter_map(ratio).collect();
    ratios.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
    let (greatest, point, least) = *ratios.last()?;
    let middle = [(ratios.len() - 1) / 2, ratios.len() / 2].map(|place| ratios[place].0);
    Some(LatencyRatio {
        median: f64::midpoint(middle[0], middle[1]),
        greatest,
        greatest_of: point.name.clone(),
        instead: least.name.clone(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::Macs;

    fn front(rows: &[(f64, f64, u64)]) -> Front {
        let point = |(place, &(error, latency, macs)): (usize, &(f64, f64, u64))| Point {
            macs: Some(Macs(macs)),
            ..Point::new(&place.to_string(), "tpu-v1", [error, latency])
        };
        Front::new("tpu-v1", rows.iter().enumerate().map(point).collect(), None).unwrap()
    }

    #[test]
    fn a_network_of_few_macs_may_be_slow() {
        // By MACs: 0 (30 %, 10), 1 (20 %, 20), 3 (10 %, 40). By latency: 0 (1 ms), 2 (20 %, 2 ms), 3 (4 ms).
        // 1 takes 3 ms where 2 takes 2 ms at equal error: ratios 1, 1.5, 1.
        let by_macs = ByMacs::of(&front(&[(0.3, 1.0, 10), (0.2, 3.0, 20), (0.2, 2.0, 30), (0.1, 4.0, 40)])).unwrap();
        assert_eq!(by_macs.front, ["0", "1", "3"]);
        assert_eq!((by_macs.not_on_front, by_macs.missed), (vec!["1".to_owned()], vec!["2".to_owned()]));
        let wanted = LatencyRatio { median: 1.0, greatest: 1.5, greatest_of: "1".to_owned(), instead: "2".to_owned() };
        assert_eq!(by_macs.latency_ratio, Some(wanted));
    }

    #[test]
    fn points_without_macs_have_no_such_front() {
        let points = vec![Point::new("a", "tpu-v1", [0.5, 1.0])];
        assert_eq!(ByMacs::of(&Front::new("tpu-v1", points, None).unwrap()), None);
    }

    proptest! {
        #[test]
        fn the_ratios_are_those_of_a_search_through_all_points(
            rows in proptest::collection::vec((1u8..9, 1u8..9, 1u64..9), 1..20),
        ) {
            let rows: Vec<_> =
                rows.iter().map(|&(error, ms, macs)| (f64::from(error) / 10.0, f64::from(ms), macs)).collect();
            let by_macs = ByMacs::of(&front(&rows)).unwrap();
            let mut ratios: Vec<f64> = by_macs.front.iter().map(|name| {
                let (error, latency, _) = rows[name.parse::<usize>().unwrap()];
                let least = rows.iter().filter(|row| row.0 <= error).map(|row| row.1).fold(f64::INFINITY, f64::min);
                latency / least
            }).collect();
            ratios.sort_by(f64::total_cmp);
            let found = by_macs.latency_ratio.unwrap();
            prop_assert_eq!(found.greatest, *ratios.last().unwrap());
            let middle = f64::midpoint(ratios[(ratios.len() - 1) / 2], ratios[ratios.len() / 2]);
            prop_assert_eq!(found.median, middle);
            prop_assert!(ratios[0] >= 1.0);
        }
    }
}
