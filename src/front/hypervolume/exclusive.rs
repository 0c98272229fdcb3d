//! The volume as a sum of what each point alone adds: the algorithm of the Walking Fish Group.

use super::{area, slices};

/// The volume of `points` up to `reference` in their first `objectives` values, less being better, all inside.
///
/// In falling order of the last value, `p` adds `(r - p_last) (prod_i (r_i - p_i) - volume of max(q, p) over the q after
/// it)`, both in the other values: no `q` after it is worse in the last.
pub(super) fn sum<const N: usize>(mut points: Vec<[f64; N]>, reference: &[f64; N], objectives: usize) -> f64 {
    match objectives {
        0 => 0.0,
        1 => points.iter().map(|p| reference[0] - p[0]).fold(0.0, f64::max),
        2 => {
            let flat: Vec<[f64; 2]> = points.iter().map(|p| [p[0], p[1]]).collect();
            area(&flat, [reference[0], reference[1]])
        }
        3 => slices(points, reference),
        _ => {
            let last = objectives - 1;
            points.sort_by(|a, b| b[last].total_cmp(&a[last]));
            let adds = |(place, p): (usize, &[f64; N])| {
                let alone: f64 = (0..last).map(|i| reference[i] - p[i]).product();
                let behind = limited(&points[place + 1..], p, last);
                (reference[last] - p[last]) * (alone - sum(behind, reference, last))
            };
            points.iter().enumerate().map(adds).sum()
        }
    }
}

/// What `points` share with the box of `p` in the first `objectives` values: `max(q, p)`, those left out that another
/// covers.
fn limited<const N: usize>(points: &[[f64; N]], p: &[f64; N], objectives: usize) -> Vec<[f64; N]> {
    let mut kept: Vec<[f64; N]> = Vec::new();
    let covers = |a: &[f64; N], b: &[f64; N]| a.iter().zip(b).take(objectives).all(|(a, b)| a <= b);
    for q in points {
        let q: [f64; N] = std::array::from_fn(|i| q[i].max(p[i]));
        if !kept.iter().any(|other| covers(other, &q)) {
            kept.retain(|other| !covers(&q, other));
            kept.push(q);
        }
    }
    kept
}
