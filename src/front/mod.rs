//! Dominance, non-dominated sets and sorting, hypervolume, attainment and distance to a front: points and numbers only.
//!
//! A point is `[f64; N]`, one value for each objective, in whatever unit the caller has; [`Objective`] says which way
//! is better. Values that are not finite are never better than anything: such points are on no front.

mod attainment;
mod hypervolume;
mod sort;

pub use attainment::attainment;
pub use hypervolume::{
    hypervolume, hypervolume_2, hypervolume_3, nadir_reference, normalised_hypervolume, range_reference,
};
pub use sort::{crowding, layers};

/// Which way an objective is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// Less is better: error, latency.
    Minimise,
    /// More is better: accuracy, utilization.
    Maximise,
}

impl Objective {
    /// `value` turned so that less is better.
    #[must_use]
    pub fn minimised(self, value: f64) -> f64 {
        match self {
            Self::Minimise => value,
            Self::Maximise => -value,
        }
    }
}

/// Every value of `point` turned so that less is better.
pub(crate) fn minimised<const N: usize>(point: &[f64; N], objectives: &[Objective; N]) -> [f64; N] {
    std::array::from_fn(|i| objectives[i].minimised(point[i]))
}

/// Whether `a` dominates `b`: nowhere worse, and better somewhere.
#[must_use]
pub fn dominates<const N: usize>(a: &[f64; N], b: &[f64; N], objectives: &[Objective; N]) -> bool {
    let (a, b) = (minimised(a, objectives), minimised(b, objectives));
    no_worse(&a, &b) && a != b
}

fn no_worse<const N: usize>(a: &[f64; N], b: &[f64; N]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b)
}

/// The places in `points` of the non-dominated ones, ascending.
///
/// One point for each distinct vector of values: of equal points the first. Points with a value that is not finite
/// are left out. Sorts, then compares each point with the front so far: `n log n + n f` for `f` points on the front, of two
/// objectives with its last alone: `n log n`.
#[must_use]
pub fn non_dominated<const N: usize>(points: &[[f64; N]], objectives: &[Objective; N]) -> Vec<usize> {
    let turned: Vec<[f64; N]> = points.iter().map(|p| minimised(p, objectives)).collect();
    let mut order: Vec<usize> = (0..points.len()).filter(|&i| turned[i].iter().all(|v| v.is_finite())).collect();
    order.sort_by(|&i, &j| lexicographic(&turned[i], &turned[j]));
    let mut front: Vec<usize> = Vec::new();
    for i in order {
        // In this order nothing later dominates `i`, and whatever equals it came first. Of two objectives, the last
        // member has the least second value so far.
        let rivals = if N == 2 { front.len().saturating_sub(1) } else { 0 };
        if !front[rivals..].iter().rev().any(|&member| no_worse(&turned[member], &turned[i])) {
            front.push(i);
        }
    }
    front.sort_unstable();
    front
}

fn lexicographic<const N: usize>(a: &[f64; N], b: &[f64; N]) -> std::cmp::Ordering {
    // `partial_cmp`, not `total_cmp`: 0 and -0 are the same value.
    a.partial_cmp(b).expect("only finite values are sorted")
}

/// How far `points` stay behind the front `target`, in the points' own units (IGD+); nothing without both.
///
/// The mean over `target` of the least `sqrt(sum_i max(a_i - z_i, 0)^2)`, `a` over `points`, `z` the target point, with
/// all values turned so that less is better. 0 where every target point is reached. Objectives of different units want
/// scaling first. (Ishibuchi et al., Modified Distance Calculation in Generational Distance, 2015.)
#[must_use]
pub fn igd_plus<const N: usize>(points: &[[f64; N]], target: &[[f64; N]], objectives: &[Objective; N]) -> Option<f64> {
    if points.is_empty() || target.is_empty() {
        return None;
    }
    let short = |a: &[f64; N], z: &[f64; N]| {
        let (a, z) = (minimised(a, objectives), minimised(z, objectives));
        a.iter().zip(z).map(|(a, z)| (a - z).max(0.0).powi(2)).sum::<f64>().sqrt()
    };
    let nearest = |z| points.iter().map(|a| short(a, z)).fold(f64::INFINITY, f64::min);
    Some(target.iter().map(nearest).sum::<f64>() / target.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Objective::{Maximise, Minimise};
    use proptest::prelude::*;

    const BOTH_LESS: [Objective; 2] = [Minimise, Minimise];

    #[test]
    fn of_equal_points_the_first_is_on_the_front() {
        let points = [[2.0, 1.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0]];
        assert_eq!(non_dominated(&points, &BOTH_LESS), [0, 1]);
    }

    #[test]
    fn zero_and_minus_zero_are_one_value() {
        assert_eq!(non_dominated(&[[0.0, 1.0], [-0.0, 1.0]], &BOTH_LESS), [0]);
    }

    #[test]
    fn more_is_better_where_the_objective_says_so() {
        // accuracy, latency: the second is slower and no better
        let points = [[0.9, 1.0], [0.9, 2.0], [0.8, 0.5]];
        assert_eq!(non_dominated(&points, &[Maximise, Minimise]), [0, 2]);
        assert!(dominates(&points[0], &points[1], &[Maximise, Minimise]));
        assert!(!dominates(&points[0], &points[0], &[Maximise, Minimise]));
    }

    #[test]
    fn values_that_are_not_finite_are_on_no_front() {
        let points = [[f64::NAN, 0.0], [f64::NEG_INFINITY, 0.0], [1.0, 1.0]];
        assert_eq!(non_dominated(&points, &BOTH_LESS), [2]);
    }

    #[test]
    fn a_front_that_reaches_its_target_has_distance_zero() {
        assert_eq!(igd_plus(&[[1.0, 1.0]], &[[1.0, 1.0], [2.0, 1.0]], &BOTH_LESS), Some(0.0));
        // 3 short in one, ahead in the other: sqrt(3^2 + 0)
        assert_eq!(igd_plus(&[[4.0, 0.0]], &[[1.0, 1.0]], &BOTH_LESS), Some(3.0));
        assert_eq!(igd_plus(&[], &[[1.0, 1.0]], &BOTH_LESS), None);
    }

    fn small_points() -> impl Strategy<Value = Vec<[f64; 3]>> {
        proptest::collection::vec(proptest::array::uniform3((0u8..6).prop_map(f64::from)), 0..24)
    }

    proptest! {
        #[test]
        fn a_front_of_two_objectives_is_what_nothing_dominates(
            points in proptest::collection::vec(proptest::array::uniform2((0u8..9).prop_map(f64::from)), 0..24),
        ) {
            let beaten = |i: usize| points.iter().any(|p| dominates(p, &points[i], &BOTH_LESS));
            let naive: Vec<usize> =
                (0..points.len()).filter(|&i| !beaten(i) && !points[..i].contains(&points[i])).collect();
            prop_assert_eq!(non_dominated(&points, &BOTH_LESS), naive);
        }

        #[test]
        fn a_front_is_what_nothing_dominates(points in small_points(), turn in proptest::array::uniform3(any::<bool>())) {
            let objectives = turn.map(|more| if more { Maximise } else { Minimise });
            let naive: Vec<usize> = (0..points.len())
                .filter(|&i| !points.iter().any(|p| dominates(p, &points[i], &objectives)))
                .filter(|&i| !points[..i].contains(&points[i]))
                .collect();
            let front = non_dominated(&points, &objectives);
            prop_assert_eq!(&front, &naive);
            for (i, point) in points.iter().enumerate().filter(|(i, _)| !front.contains(i)) {
                let beaten = front.iter().any(|&m| dominates(&points[m], point, &objectives) || points[m] == *point);
                prop_assert!(beaten, "point {} is neither on the front nor behind it", i);
            }
        }
    }
}
