//! Non-dominated sorting and crowding, after Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, 2002.

use super::{Objective, dominates};

/// The places of `points` in layers: what nothing dominates, what nothing of the rest dominates, and so on; ascending in
/// each.
///
/// Unlike [`super::non_dominated`], equal points lie in one layer together. Points with a value that is not finite are left
/// out. `n^2` comparisons.
#[must_use]
pub fn layers<const N: usize>(points: &[[f64; N]], objectives: &[Objective; N]) -> Vec<Vec<usize>> {
    let finite: Vec<usize> = (0..points.len()).filter(|&i| points[i].iter().all(|v| v.is_finite())).collect();
    let mut behind: Vec<Vec<usize>> = vec![Vec::new(); points.len()];
    let mut ahead = vec![0usize; points.len()];
    for &i in &finite {
        for &j in &finite {
            if dominates(&points[i], &points[j], objectives) {
                behind[i].push(j);
                ahead[j] += 1;
            }
        }
    }
    let mut layers = Vec::new();
    let mut layer: Vec<usize> = finite.into_iter().filter(|&i| ahead[i] == 0).collect();
    while !layer.is_empty() {
        let mut next = Vec::new();
        for &j in layer.iter().flat_map(|&i| &behind[i]) {
            ahead[j] -= 1;
            if ahead[j] == 0 {
                next.push(j);
            }
        }
        next.sort_unstable();
        layers.push(std::mem::replace(&mut layer, next));
    }
    layers
}

/// How far the neighbours of each of `members` lie apart: the sum over objectives of `(next - previous) / (max - min)`
/// among them, infinite at either end; in the order of `members`.
///
/// An objective in which all are equal adds nothing. Of equal values the first of `members` counts as the lower.
#[must_use]
pub fn crowding<const N: usize>(points: &[[f64; N]], members: &[usize]) -> Vec<f64> {
    let mut sums = vec![0.0; members.len()];
    (0..N).for_each(|objective| add_room(&mut sums, |member| points[members[member]][objective]));
    sums
}

/// Adds what one objective makes of the room of each member.
fn add_room(sums: &mut [f64], value: impl Fn(usize) -> f64) {
    let mut order: Vec<usize> = (0..sums.len()).collect();
    order.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
    let (Some(&low), Some(&high)) = (order.first(), order.last()) else { return };
    let range = value(high) - value(low);
    if range <= 0.0 {
        return;
    }
    for three in order.windows(3) {
        sums[three[1]] += (value(three[2]) - value(three[0])) / range;
    }
    for end in [low, high] {
        sums[end] = f64::INFINITY;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Objective::{Maximise, Minimise};
    use super::super::non_dominated;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_far_apart_make_room() {
        // Along both values of [0, 4], [1, 2], [4, 0]: the middle has (4 - 0) / 4 + (4 - 0) / 4.
        let points = [[0.0, 4.0], [9.0, 9.0], [4.0, 0.0], [1.0, 2.0]];
        assert_eq!(crowding(&points, &[0, 2, 3]), [f64::INFINITY, f64::INFINITY, 2.0]);
        // [1, 2] lies between [0, 4] and [3, 1]: 3 / 4 + 3 / 4; [3, 1] between [1, 2] and [4, 0]: 3 / 4 + 2 / 4.
        let points = [[0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]];
        assert_eq!(crowding(&points, &[0, 1, 2, 3]), [f64::INFINITY, 1.5, 1.25, f64::INFINITY]);
        assert!(crowding::<2>(&points, &[]).is_empty());
    }

    #[test]
    fn an_objective_without_range_makes_no_room() {
        assert_eq!(crowding(&[[0.0, 1.0], [1.0, 1.0], [4.0, 1.0]], &[0, 1, 2]), [f64::INFINITY, 1.0, f64::INFINITY]);
    }

    proptest! {
        #[test]
        fn layers_are_what_is_left_on_the_front(
            points in proptest::collection::vec(proptest::array::uniform3((0u8..5).prop_map(f64::from)), 0..24),
        ) {
            let objectives = [Minimise, Maximise, Minimise];
            let found = layers(&points, &objectives);
            let mut left: Vec<usize> = (0..points.len()).collect();
            for layer in &found {
                let rest: Vec<[f64; 3]> = left.iter().map(|&i| points[i]).collect();
                let front: Vec<[f64; 3]> = non_dominated(&rest, &objectives).into_iter().map(|i| rest[i]).collect();
                let naive: Vec<usize> = left.iter().copied().filter(|&i| front.contains(&points[i])).collect();
                prop_assert_eq!(layer, &naive);
                left.retain(|i| !naive.contains(i));
            }
            prop_assert!(left.is_empty());
        }
    }
}
