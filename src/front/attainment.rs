//! What repeated runs reach together: the empirical attainment function.

use super::{Objective, minimised};

/// The corners of the region that at least `level` of `runs` attain, in two objectives; along the first, from its best.
///
/// A run attains a value where one of its points is nowhere worse. With `level` half the number of runs, rounded up, it is
/// the median front; with 1 the best, with all of them the worst of the runs. Empty where fewer runs have points. (Grunert
/// da Fonseca, Fonseca, Hall, Inferential Performance Assessment of Stochastic Optimisers and the Attainment Function,
/// 2001.)
#[must_use]
pub fn attainment(runs: &[Vec<[f64; 2]>], objectives: &[Objective; 2], level: usize) -> Vec<[f64; 2]> {
    // Every point with its run, so that along the first value each run's best second is known.
    let turned = |(run, points): (usize, &Vec<[f64; 2]>)| {
        let finite = points.iter().filter(|p| p.iter().all(|v| v.is_finite()));
        finite.map(|p| (minimised(p, objectives), run)).collect::<Vec<_>>()
    };
    let mut points: Vec<([f64; 2], usize)> = runs.iter().enumerate().flat_map(turned).collect();
    points.sort_by(|(a, _), (b, _)| a[0].total_cmp(&b[0]));
    let mut best = vec![f64::INFINITY; runs.len()];
    let mut corners: Vec<[f64; 2]> = Vec::new();
    for (place, &([x, y], run)) in points.iter().enumerate() {
        best[run] = best[run].min(y);
        let more_there = points.get(place + 1).is_some_and(|(next, _)| next[0] == x);
        if more_there || level == 0 || level > runs.len() {
            continue;
        }
        let mut ordered = best.clone();
        ordered.sort_by(f64::total_cmp);
        let reached = ordered[level - 1];
        if reached < corners.last().map_or(f64::INFINITY, |corner| corner[1]) {
            corners.push([x, reached]);
        }
    }
    corners.iter().map(|corner| minimised(corner, objectives)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Objective::{Maximise, Minimise};
    use super::*;
    use proptest::prelude::*;

    const LESS: [Objective; 2] = [Minimise, Minimise];

    #[test]
    fn the_median_of_three_runs_is_what_two_of_them_attain() {
        let runs = [vec![[1.0, 4.0]], vec![[2.0, 2.0]], vec![[3.0, 1.0], [1.0, 5.0]]];
        // At 1 the runs have 4, none, 5; at 2 they have 4, 2, 5; at 3 they have 4, 2, 1.
        assert_eq!(attainment(&runs, &LESS, 1), [[1.0, 4.0], [2.0, 2.0], [3.0, 1.0]]);
        assert_eq!(attainment(&runs, &LESS, 2), [[1.0, 5.0], [2.0, 4.0], [3.0, 2.0]]);
        assert_eq!(attainment(&runs, &LESS, 3), [[2.0, 5.0], [3.0, 4.0]]);
        assert!(attainment(&runs, &LESS, 4).is_empty() && attainment(&runs, &LESS, 0).is_empty());
    }

    proptest! {
        #[test]
        fn inside_the_corners_is_what_enough_runs_attain(
            runs in proptest::collection::vec(
                proptest::collection::vec(proptest::array::uniform2((0u8..6).prop_map(f64::from)), 0..6), 1..5),
            level in 1usize..5,
            turned in any::<bool>(),
        ) {
            let objectives = [if turned { Maximise } else { Minimise }, Minimise];
            let corners = attainment(&runs, &objectives, level);
            let reaches = |p: &[f64; 2], cell: &[f64; 2]| {
                let (p, cell) = (minimised(p, &objectives), minimised(cell, &objectives));
                p[0] <= cell[0] && p[1] <= cell[1]
            };
            for cell in (0..6u8).flat_map(|x| (0..6u8).map(move |y| [f64::from(x), f64::from(y)])) {
                let count = runs.iter().filter(|run| run.iter().any(|p| reaches(p, &cell))).count();
                prop_assert_eq!(corners.iter().any(|p| reaches(p, &cell)), count >= level, "{:?}", cell);
            }
        }
    }
}
