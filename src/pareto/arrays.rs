//! Joint fronts of network and array.

use serde::Serialize;

use super::Front;
use crate::accel::Array;

/// One array of a joint front.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArrayShare {
    /// `ROWSxCOLS`.
    pub array: String,
    /// Processing elements of all arrays.
    pub pes: u64,
    /// Points of the joint front that are on it.
    pub on_front: usize,
    /// Least latency, ms.
    pub least_latency_ms: f64,
    /// Area that its points alone dominate, under the reference of the joint front.
    pub hypervolume: f64,
}

/// `ROWSxCOLS`.
#[must_use]
pub fn array_name(array: &Array) -> String {
    format!("{}x{}", array.rows, array.cols)
}

/// What each of `arrays` adds to the joint front `front`, whose points are those of the first array, then those of the
/// second, and so on, equally many.
#[must_use]
pub fn shares(front: &Front, arrays: &[Array]) -> Vec<ArrayShare> {
    let each = front.points().len() / arrays.len().max(1);
    let corner = front.corner();
    let share = |(place, array): (usize, &Array)| {
        let own = place * each..(place + 1) * each;
        let points = &front.points()[own.clone()];
        ArrayShare {
            array: array_name(array),
            pes: array.pes(),
            on_front: front.members().iter().filter(|member| own.contains(member)).count(),
            least_latency_ms: points.iter().map(|point| point.latency_ms).fold(f64::INFINITY, f64::min),
            hypervolume: front.objectives().volume(points, &corner),
        }
    };
    arrays.iter().enumerate().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pareto::{Point, Reference};

    #[test]
    fn each_array_has_its_own_area_under_the_joint_reference() {
        let point = |name, error, ms| Point::new(name, "tpu-v1", [error, ms]);
        let points = vec![
            point("a@2x8", 0.5, 1.0),
            point("b@2x8", 0.25, 3.0),
            point("a@4x4", 0.5, 2.0),
            point("b@4x4", 0.25, 2.0),
        ];
        let front = Front::new("tpu-v1", points, Some(Reference { error: 1.0, latency_ms: 4.0 })).unwrap();
        let arrays = [[2, 8], [4, 4]].map(|[rows, cols]| Array { rows, cols, count: 1 });
        let shares = shares(&front, &arrays);
        // 2x8: 0.5 * 3 + 0.25 * 1; 4x4: 0.75 * 2; joint: 0.5 * 3 + 0.25 * 2
        let found: Vec<_> =
            shares.iter().map(|s| (s.array.as_str(), s.on_front, s.least_latency_ms, s.hypervolume)).collect();
        assert_eq!(found, [("2x8", 1, 1.0, 1.75), ("4x4", 1, 2.0, 1.5)]);
        assert_eq!((front.hypervolume(), shares[0].pes), (2.0, 16));
    }
}
