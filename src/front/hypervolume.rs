//! The volume that a front dominates.

mod exclusive;
mod staircase;

use super::{Objective, minimised, non_dominated};
use staircase::Staircase;

/// How far behind the front's worst values the default reference lies: a tenth of their magnitude.
const MARGIN: f64 = 0.1;

/// The area that `points` dominate up to `reference`, in the product of the two units; exact, `n log n`.
///
/// The union of the rectangles between each point and the reference. Points that do not better the reference in both
/// objectives add nothing; more is better.
#[must_use]
pub fn hypervolume_2(points: &[[f64; 2]], objectives: &[Objective; 2], reference: [f64; 2]) -> f64 {
    let turned: Vec<[f64; 2]> = points.iter().map(|p| minimised(p, objectives)).collect();
    area(&turned, minimised(&reference, objectives))
}

/// As [`hypervolume_2`] in three objectives: the union of boxes, summed in slices along the third; exact, `n log n`
/// comparisons.
#[must_use]
pub fn hypervolume_3(points: &[[f64; 3]], objectives: &[Objective; 3], reference: [f64; 3]) -> f64 {
    let reference = minimised(&reference, objectives);
    let mut turned: Vec<[f64; 3]> = points.iter().map(|p| minimised(p, objectives)).collect();
    turned.retain(|p| inside(p, &reference));
    slices(turned, &reference)
}

/// The volume that `points` dominate up to `reference`, in any number of objectives; exact.
///
/// In one objective the distance to the reference, in two and three the sweeps of [`hypervolume_2`] and [`hypervolume_3`],
/// beyond them the algorithm of the Walking Fish Group (While, Bradstreet, Barone, A Fast Way of Calculating Exact
/// Hypervolumes, 2012), whose time may grow exponentially with the objectives.
#[must_use]
pub fn hypervolume<const N: usize>(points: &[[f64; N]], objectives: &[Objective; N], reference: [f64; N]) -> f64 {
    let reference = minimised(&reference, objectives);
    let front = non_dominated(points, objectives).into_iter().map(|place| minimised(&points[place], objectives));
    exclusive::sum(front.filter(|p| inside(p, &reference)).collect(), &reference, N)
}

/// [`hypervolume`] as a share of the box between `ideal` and `reference`: 0 to 1 where no point is better than the ideal
/// in any objective; nothing where the box has no volume.
#[must_use]
pub fn normalised_hypervolume<const N: usize>(
    points: &[[f64; N]],
    objectives: &[Objective; N],
    (ideal, reference): ([f64; N], [f64; N]),
) -> Option<f64> {
    let (low, high) = (minimised(&ideal, objectives), minimised(&reference, objectives));
    let volume: f64 =
        if inside(&low, &high) { high.iter().zip(low).map(|(high, low)| high - low).product() } else { 0.0 };
    (volume > 0.0 && volume.is_finite()).then(|| hypervolume(points, objectives, reference) / volume)
}

/// The default reference of a front: its worst value in each objective, a tenth of its magnitude further out.
///
/// `worst + 0.1 |worst|` where less is better, which is 1.1 times the nadir for values above 0, and
/// `worst - 0.1 |worst|` where more is. Nothing without a finite point. The extremes of the front then count, too,
/// unless the worst value is 0.
#[must_use]
pub fn nadir_reference<const N: usize>(points: &[[f64; N]], objectives: &[Objective; N]) -> Option<[f64; N]> {
    beyond(points, objectives, |_, worst| worst + MARGIN * worst.abs())
}

/// A reference that moves with the spread of a front, not with where its values lie: the worst value in each objective,
/// and `margin` times the front's range further out.
///
/// Nothing without a finite point. Where the front has no range in an objective, the reference lies on it and bounds no
/// volume.
#[must_use]
pub fn range_reference<const N: usize>(
    points: &[[f64; N]],
    objectives: &[Objective; N],
    margin: f64,
) -> Option<[f64; N]> {
    beyond(points, objectives, |best, worst| worst + margin * (worst - best))
}

/// `place(best, worst)` of the front in each objective, as if less were better there.
fn beyond<const N: usize>(
    points: &[[f64; N]],
    objectives: &[Objective; N],
    place: impl Fn(f64, f64) -> f64,
) -> Option<[f64; N]> {
    let front = non_dominated(points, objectives);
    if front.is_empty() {
        return None;
    }
    Some(std::array::from_fn(|i| {
        let values = || front.iter().map(|&member| objectives[i].minimised(points[member][i]));
        let (best, worst) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        objectives[i].minimised(place(best, worst))
    }))
}

fn inside<const N: usize>(point: &[f64; N], reference: &[f64; N]) -> bool {
    point.iter().zip(reference).all(|(value, limit)| value.is_finite() && value < limit)
}

/// The union of boxes in the first three objectives, all inside `reference`, slice by slice along the third.
fn slices<const N: usize>(mut points: Vec<[f64; N]>, reference: &[f64; N]) -> f64 {
    points.sort_by(|a, b| a[2].total_cmp(&b[2]));
    let mut stairs = Staircase::new([reference[0], reference[1]]);
    let mut volume = 0.0;
    for (place, point) in points.iter().enumerate() {
        stairs.insert([point[0], point[1]]);
        let end = points.get(place + 1).map_or(reference[2], |next| next[2]);
        volume += (end - point[2]) * stairs.area();
    }
    volume
}

/// The union of rectangles from each point up to `reference`, less being better.
fn area(points: &[[f64; 2]], reference: [f64; 2]) -> f64 {
    let mut points: Vec<[f64; 2]> = points.iter().copied().filter(|p| inside(p, &reference)).collect();
    points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut height = reference[1];
    let mut sum = 0.0;
    for [x, y] in points {
        if y < height {
            sum += (reference[0] - x) * (height - y);
            height = y;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use Objective::{Maximise, Minimise};
    use proptest::prelude::*;

    const LESS: [Objective; 2] = [Minimise, Minimise];

    #[test]
    fn two_rectangles_that_overlap_are_counted_once() {
        // (4-1)*(4-3) + (4-2)*(3-1) = 3 + 4
        assert_eq!(hypervolume_2(&[[1.0, 3.0], [2.0, 1.0], [3.0, 3.0]], &LESS, [4.0, 4.0]), 7.0);
    }

    #[test]
    fn accuracy_and_error_give_the_same_area() {
        let by_error = hypervolume_2(&[[0.25, 1.0], [0.5, 0.5]], &LESS, [1.0, 2.0]);
        let by_accuracy = hypervolume_2(&[[0.75, 1.0], [0.5, 0.5]], &[Maximise, Minimise], [0.0, 2.0]);
        assert_eq!(by_error, by_accuracy);
    }

    #[test]
    fn the_default_reference_is_a_tenth_behind_the_worst_of_the_front() {
        // the dominated point [9, 9] does not count
        let reference = nadir_reference(&[[1.0, 30.0], [2.0, 10.0], [9.0, 90.0]], &LESS).unwrap();
        assert!((reference[0] - 2.2).abs() < 1e-12 && (reference[1] - 33.0).abs() < 1e-12, "{reference:?}");
        let reference = nadir_reference(&[[0.5, 1.0]], &[Maximise, Minimise]).unwrap();
        assert!((reference[0] - 0.45).abs() < 1e-12, "{reference:?}");
        assert_eq!(nadir_reference::<2>(&[], &LESS), None);
    }

    /// The area measure of U-Boost-NAS: rectangles from the ideal point (0, 0) to each front point, error % times ms.
    ///
    /// Lower is better, yet it grows when a point is added: nothing to steer by, a check on the paper's table only.
    fn rectangles_from_the_ideal_point(points: &[[f64; 2]]) -> f64 {
        let front = non_dominated(points, &LESS);
        // turned around, the corner (0, 0) is the reference and each point spans a rectangle with it
        area(&front.iter().map(|&i| [-points[i][0], -points[i][1]]).collect::<Vec<_>>(), [0.0, 0.0])
    }

    #[test]
    fn the_area_measure_of_the_paper_comes_out_of_its_table() {
        // ImageNet100, lambda 0.1 and 1: accuracy %, ms
        let table = [
            ("blackbox", [[87.5, 4.8], [87.8, 4.05]], 49.41),
            ("roofline", [[86.5, 4.7], [84.0, 3.5]], 72.2),
            ("flops", [[87.2, 6.1], [78.4, 3.45]], 108.44),
            ("u-boost", [[87.8, 2.2], [87.9, 1.05]], 12.705),
        ];
        for (name, rows, expected) in table {
            let area = rectangles_from_the_ideal_point(&rows.map(|[accuracy, ms]| [100.0 - accuracy, ms]));
            assert!((area - expected).abs() < 1e-9, "{name}: {area}");
        }
    }

    #[test]
    fn a_reference_by_range_moves_with_the_spread_of_the_front() {
        // worst 2 and 30, ranges 1 and 20: 2 + 0.05 * 1 and 30 + 0.05 * 20; the dominated point [9, 90] does not count
        let points = [[1.0, 30.0], [2.0, 10.0], [9.0, 90.0]];
        let reference = range_reference(&points, &LESS, 0.05).unwrap();
        assert!((reference[0] - 2.05).abs() < 1e-12 && (reference[1] - 31.0).abs() < 1e-12, "{reference:?}");
        // accuracies 0.5 and 0.9 turned: 0.5 - 0.1 * 0.4
        let reference = range_reference(&[[0.5, 1.0], [0.9, 3.0]], &[Maximise, Minimise], 0.1).unwrap();
        assert!((reference[0] - 0.46).abs() < 1e-12 && (reference[1] - 3.2).abs() < 1e-12, "{reference:?}");
    }

    #[test]
    fn the_normalised_area_is_the_share_of_the_box() {
        // [1, 1] up to [3, 5] covers 2 * 4 of the box of 3 * 5
        let share = normalised_hypervolume(&[[1.0, 1.0]], &LESS, ([0.0, 0.0], [3.0, 5.0])).unwrap();
        assert!((share - 8.0 / 15.0).abs() < 1e-12, "{share}");
        assert_eq!(normalised_hypervolume(&[[1.0, 1.0]], &LESS, ([0.0, 5.0], [3.0, 5.0])), None);
    }

    fn cells<const N: usize>(points: &[[f64; N]], side: u32) -> f64 {
        let total = side.pow(u32::try_from(N).unwrap());
        let corner = |cell: u32| std::array::from_fn(|i| f64::from(cell / side.pow(u32::try_from(i).unwrap()) % side));
        let covered = |cell: &[f64; N]| points.iter().any(|p| p.iter().zip(cell).all(|(p, c)| p <= c));
        (0..total).map(corner).filter(covered).count() as f64
    }

    proptest! {
        #[test]
        fn the_area_is_the_number_of_cells_covered(
            points in proptest::collection::vec(proptest::array::uniform2((0u8..9).prop_map(f64::from)), 0..12),
        ) {
            prop_assert_eq!(hypervolume_2(&points, &LESS, [7.0, 7.0]), cells(&points, 7));
        }

        #[test]
        fn the_volume_is_the_number_of_cells_covered(
            points in proptest::collection::vec(proptest::array::uniform3((0u8..6).prop_map(f64::from)), 0..12),
        ) {
            prop_assert_eq!(hypervolume_3(&points, &[Minimise; 3], [5.0; 3]), cells(&points, 5));
        }

        #[test]
        fn beyond_three_objectives_it_is_the_number_of_cells_covered(
            points in proptest::collection::vec(proptest::array::uniform5((0u8..5).prop_map(f64::from)), 0..14),
        ) {
            prop_assert_eq!(hypervolume(&points, &[Minimise; 5], [4.0; 5]), cells(&points, 4));
            let four: Vec<[f64; 4]> = points.iter().map(|p| [p[0], p[1], p[2], p[3]]).collect();
            prop_assert_eq!(hypervolume(&four, &[Minimise; 4], [4.0; 4]), cells(&four, 4));
        }

        #[test]
        fn every_number_of_objectives_has_one_volume(
            points in proptest::collection::vec(proptest::array::uniform3(0.0f64..2.0), 0..16),
            turn in proptest::array::uniform3(any::<bool>()),
        ) {
            let objectives = turn.map(|more| if more { Maximise } else { Minimise });
            let reference = turn.map(|more| if more { 0.4 } else { 1.6 });
            let volume = hypervolume_3(&points, &objectives, reference);
            prop_assert!((hypervolume(&points, &objectives, reference) - volume).abs() < 1e-12);
            // A fourth objective in which all are alike, one away from the reference, changes nothing.
            let four: Vec<[f64; 4]> = points.iter().map(|p| [0.0, p[0], p[1], p[2]]).collect();
            let four_objectives = [Minimise, objectives[0], objectives[1], objectives[2]];
            let corner = [1.0, reference[0], reference[1], reference[2]];
            prop_assert!((hypervolume(&four, &four_objectives, corner) - volume).abs() < 1e-12);
            let flat: Vec<[f64; 2]> = points.iter().map(|p| [p[0], p[1]]).collect();
            let (two, corner) = ([objectives[0], objectives[1]], [reference[0], reference[1]]);
            prop_assert!((hypervolume(&flat, &two, corner) - hypervolume_2(&flat, &two, corner)).abs() < 1e-12);
            let line: Vec<[f64; 1]> = points.iter().map(|p| [p[0]]).collect();
            let best = line.iter().map(|p| objectives[0].minimised(p[0])).fold(f64::INFINITY, f64::min);
            let length = (objectives[0].minimised(reference[0]) - best).max(0.0);
            prop_assert!((hypervolume(&line, &[objectives[0]], [reference[0]]) - length).abs() < 1e-12);
        }

        #[test]
        fn a_point_more_never_takes_area_away(
            points in proptest::collection::vec(proptest::array::uniform2(0.0f64..2.0), 1..12),
        ) {
            let whole = hypervolume_2(&points, &LESS, [1.5, 1.5]);
            let less = hypervolume_2(&points[1..], &LESS, [1.5, 1.5]);
            prop_assert!(whole >= less - 1e-12, "{} < {}", whole, less);
        }
    }
}
