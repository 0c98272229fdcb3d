//! The volume that a front dominates.

use super::{Objective, minimised, non_dominated};

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

/// As [`hypervolume_2`] in three objectives: the union of boxes, summed in slices along the third.
#[must_use]
pub fn hypervolume_3(points: &[[f64; 3]], objectives: &[Objective; 3], reference: [f64; 3]) -> f64 {
    let reference = minimised(&reference, objectives);
    let mut turned: Vec<[f64; 3]> = points.iter().map(|p| minimised(p, objectives)).collect();
    turned.retain(|p| inside(p, &reference));
    turned.sort_by(|a, b| a[2].total_cmp(&b[2]));
    let flat: Vec<[f64; 2]> = turned.iter().map(|p| [p[0], p[1]]).collect();
    let ends = turned.iter().skip(1).map(|p| p[2]).chain([reference[2]]);
    let slices = turned.iter().zip(ends).enumerate();
    slices.map(|(i, (point, end))| (end - point[2]) * area(&flat[..=i], [reference[0], reference[1]])).sum()
}

/// The default reference of a front: its worst value in each objective, a tenth of its magnitude further out.
///
/// `worst + 0.1 |worst|` where less is better, which is 1.1 times the nadir for values above 0, and
/// `worst - 0.1 |worst|` where more is. Nothing without a finite point. The extremes of the front then count, too,
/// unless the worst value is 0.
#[must_use]
pub fn nadir_reference<const N: usize>(points: &[[f64; N]], objectives: &[Objective; N]) -> Option<[f64; N]> {
    let front = non_dominated(points, objectives);
    if front.is_empty() {
        return None;
    }
    Some(std::array::from_fn(|i| {
        let objective = objectives[i];
        let worst = front.iter().map(|&m| objective.minimised(points[m][i])).fold(f64::NEG_INFINITY, f64::max);
        objective.minimised(worst + MARGIN * worst.abs())
    }))
}

fn inside<const N: usize>(point: &[f64; N], reference: &[f64; N]) -> bool {
    point.iter().zip(reference).all(|(value, limit)| value.is_finite() && value < limit)
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
        fn a_point_more_never_takes_area_away(
            points in proptest::collection::vec(proptest::array::uniform2(0.0f64..2.0), 1..12),
        ) {
            let whole = hypervolume_2(&points, &LESS, [1.5, 1.5]);
            let less = hypervolume_2(&points[1..], &LESS, [1.5, 1.5]);
            prop_assert!(whole >= less - 1e-12, "{} < {}", whole, less);
        }
    }
}
