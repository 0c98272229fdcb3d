//! Measured against predicted times, and times over K with the steps of the tiles.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Dash, Look, Size, Stroke, drawing, shortened};
use super::colour::{FAINT_INK, INK, series};
use super::labels::Corners;
use super::panel::{Mark, Panel, Shape, nothing};

const SQUARE: Corners = [[75.0, 45.0], [575.0, 545.0]];
const WIDE: Corners = [[75.0, 45.0], [775.0, 445.0]];
const DOT_RADIUS: f64 = 1.8;
/// Up to so many rows the dots are larger.
const FEW: usize = 150;
const FEW_RADIUS: f64 = 3.0;

/// `[measured, predicted]` in ms as points around the diagonal; `caption` stands below.
///
/// Both axes have the same range, logarithmic where the times span more than a decade.
#[must_use]
pub fn measured_svg(points: &[[f64; 2]], title: &str, caption: &str) -> String {
    drawing([620.0, 630.0], |canvas| {
        heading(canvas, title, SQUARE);
        let axis = Axis::around_log(points.iter().flatten().copied(), 7);
        let panel = Panel { corners: SQUARE, x: axis.clone(), y: axis };
        panel.frame(canvas, Some("measured (ms)"), Some("predicted by the other folds (ms)"));
        if points.is_empty() {
            nothing(canvas, [0, 1].map(|i| f64::midpoint(SQUARE[0][i], SQUARE[1][i])), "no rows");
        }
        let ends = [panel.x.low(), panel.x.high()].map(|end| panel.place(end, end));
        canvas.line(&ends, Stroke { colour: FAINT_INK, width: 1.0, dash: Dash::Dashed });
        let radius = if points.len() <= FEW { FEW_RADIUS } else { DOT_RADIUS };
        for [measured, predicted] in points {
            canvas.dot(panel.place(*measured, *predicted), radius, series(0));
        }
        below(canvas, caption, SQUARE);
    })
}

/// Times of the products of one M and N over K.
#[derive(Debug, Clone, PartialEq)]
pub struct Staircase {
    /// What stands in the legend.
    pub name: String,
    /// `[K, us]` as measured.
    pub measured: Vec<[f64; 2]>,
    /// `[K, us]` as modelled, K ascending.
    pub modelled: Vec<[f64; 2]>,
}

/// Marks of what was measured, a line of what is modelled, for each of `staircases`.
#[must_use]
pub fn staircase_svg(staircases: &[Staircase], title: &str, caption: &str) -> String {
    drawing([820.0, 530.0], |canvas| {
        heading(canvas, title, WIDE);
        let all = || staircases.iter().flat_map(|one| one.measured.iter().chain(&one.modelled));
        let (x, y) = (Axis::around(all().map(|[k, _]| *k), 8), Axis::around(all().map(|[_, us]| *us), 7));
        let panel = Panel { corners: WIDE, x, y };
        panel.frame(canvas, Some("K"), Some("time (us)"));
        if staircases.is_empty() {
            nothing(canvas, [0, 1].map(|i| f64::midpoint(WIDE[0][i], WIDE[1][i])), "no rows");
        }
        for (number, one) in staircases.iter().enumerate() {
            panel.curve(canvas, &one.modelled, Stroke { colour: series(number), width: 1.5, dash: Dash::Solid });
            let mark = Mark { radius: 4.0, fill: series(number), edge: INK, edge_width: 0.6 };
            for [k, us] in &one.measured {
                Shape::series(number).draw(canvas, panel.place(*k, *us), mark);
            }
            legend(canvas, number, &one.name, mark);
        }
        below(canvas, caption, WIDE);
    })
}

fn legend(canvas: &Canvas<'_>, number: usize, name: &str, mark: Mark) {
    let [left, top] = WIDE[0];
    let y = top + 16.0 + 18.0 * number as f64;
    let ends = [[left + 12.0, y], [left + 36.0, y]];
    canvas.line(&ends, Stroke { colour: series(number), width: 1.5, dash: Dash::Solid });
    Shape::series(number).draw(canvas, [left + 24.0, y], mark);
    let look = Look { size: Size::Small, anchor: Anchor::Left, colour: INK };
    canvas.text(&format!("{name}: measured, modelled"), [left + 44.0, y], look);
}

fn heading(canvas: &Canvas<'_>, title: &str, corners: Corners) {
    let look = Look { size: Size::Title, anchor: Anchor::Left, colour: INK };
    canvas.text(&shortened(title, Size::Title, corners[1][0] - corners[0][0]), [corners[0][0], 24.0], look);
}

fn below(canvas: &Canvas<'_>, caption: &str, corners: Corners) {
    let look = Look { size: Size::Small, anchor: Anchor::Left, colour: FAINT_INK };
    let text = shortened(caption, Size::Small, corners[1][0] - corners[0][0] + 30.0);
    canvas.text(&text, [corners[0][0] - 30.0, corners[1][1] + 58.0], look);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_dot_and_equal_rows_give_equal_pictures() {
        let points: Vec<[f64; 2]> = (1..=40).map(|i| [f64::from(i), 1.1 * f64::from(i)]).collect();
        let svg = measured_svg(&points, "a", "40 rows");
        assert_eq!(svg.matches("<circle").count(), 40);
        assert!(svg.contains("40 rows") && svg.contains("measured (ms)"), "{svg}");
        assert_eq!(svg, measured_svg(&points, "a", "40 rows"));
        assert!(measured_svg(&[], "a", "b").contains("no rows"));
    }

    #[test]
    fn a_staircase_has_its_line_its_marks_and_its_name() {
        let one = Staircase {
            name: "M 384, N 256".to_owned(),
            measured: vec![[128.0, 2.0], [256.0, 2.6]],
            modelled: vec![[128.0, 2.1], [129.0, 2.5], [256.0, 2.6]],
        };
        let svg = staircase_svg(&[one], "a", "b");
        assert!(svg.contains("M 384, N 256: measured, modelled"), "{svg}");
        // A mark for each row, and one in the legend.
        assert_eq!(svg.matches("<polygon").count(), 3);
        assert!(staircase_svg(&[], "a", "b").contains("no rows"));
    }
}
