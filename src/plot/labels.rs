//! Where labels go so that they do not cover each other or what they name.

use super::canvas::{Size, text_width};

/// Upper left and lower right corner, pixels.
pub(super) type Corners = [[f64; 2]; 2];

/// Text beside a mark.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Label {
    pub(super) text: String,
    /// Centre of the mark, pixels.
    pub(super) mark: [f64; 2],
    /// Radius of the mark beyond that of a small one, [`SMALL`], moves the label away; pixels.
    pub(super) radius: f64,
}

/// Radius of a mark that labels stand beside without being moved, pixels.
pub(super) const SMALL: f64 = 5.0;

/// Half the height of a label, pixels.
const HALF_HEIGHT: f64 = 6.5;

/// Distances of a label from its mark, pixels, in the order tried.
const DISTANCES: [f64; 4] = [9.0, 15.0, 24.0, 36.0];

/// Directions from a mark, right and down, in the order tried: a front falls away to the upper left and lower right.
const DIRECTIONS: [[f64; 2]; 8] =
    [[-0.7, -0.7], [0.7, 0.7], [0.0, 1.0], [0.0, -1.0], [1.0, 0.0], [-1.0, 0.0], [0.7, -0.7], [-0.7, 0.7]];

/// For each label in turn the corners of a free place inside `bounds`, or nothing where all are taken.
///
/// `taken` are places that no label may cover.
pub(super) fn arrange(labels: &[Label], bounds: Corners, mut taken: Vec<Corners>) -> Vec<Option<Corners>> {
    let mut places = Vec::with_capacity(labels.len());
    for label in labels {
        let width = text_width(&label.text, Size::Small);
        let tries = DISTANCES.iter().flat_map(|distance| DIRECTIONS.map(|direction| (direction, *distance)));
        let away = (label.radius - SMALL).max(0.0);
        let mut boxes =
            tries.map(|(direction, distance)| beside(label.mark, width, direction.map(|d| d * (distance + away))));
        let free = boxes.find(|place| within(place, &bounds) && !taken.iter().any(|other| overlap(place, other)));
        taken.extend(free);
        places.push(free);
    }
    places
}

/// The place of a text `width` wide whose nearest side is `offset` from `mark`.
fn beside(mark: [f64; 2], width: f64, offset: [f64; 2]) -> Corners {
    let left = match offset[0] {
        right if right > 0.0 => mark[0] + right,
        left if left < 0.0 => mark[0] + left - width,
        _ => mark[0] - width / 2.0,
    };
    let middle = mark[1] + offset[1] + HALF_HEIGHT * 0.5 * offset[1].signum() * f64::from(u8::from(offset[1] != 0.0));
    [[left, middle - HALF_HEIGHT], [left + width, middle + HALF_HEIGHT]]
}

fn within([low, high]: &Corners, bounds: &Corners) -> bool {
    (0..2).all(|i| low[i] >= bounds[0][i] + 2.0 && high[i] <= bounds[1][i] - 2.0)
}

fn overlap(a: &Corners, b: &Corners) -> bool {
    (0..2).all(|i| a[0][i] < b[1][i] && b[0][i] < a[1][i])
}

/// `wanted` heights moved apart until each is `gap` from the next, in the same order, none above `top`; pixels.
///
/// They stay as near as they can and end above `bottom` where there is room for all.
pub(super) fn spread(wanted: &[f64], gap: f64, [top, bottom]: [f64; 2]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&i, &j| wanted[i].total_cmp(&wanted[j]));
    let mut heights = wanted.to_vec();
    let mut limit = bottom;
    for &i in order.iter().rev() {
        heights[i] = heights[i].min(limit);
        limit = heights[i] - gap;
    }
    let mut limit = top;
    for &i in &order {
        heights[i] = heights[i].max(limit);
        limit = heights[i] + gap;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_never_cover_each_other() {
        let marks = (0..30).map(|i| [200.0 + f64::from(i % 6) * 20.0, 200.0 + f64::from(i / 6) * 15.0]);
        let labels: Vec<Label> = marks.map(|mark| Label { text: "network".to_owned(), mark, radius: SMALL }).collect();
        let places = arrange(&labels, [[0.0, 0.0], [500.0, 500.0]], Vec::new());
        let placed: Vec<_> = places.iter().flatten().collect();
        assert!(placed.len() > 5);
        for (i, a) in placed.iter().enumerate() {
            assert!(placed[..i].iter().all(|b| !overlap(a, b)), "{a:?}");
        }
    }

    #[test]
    fn crowded_heights_move_apart_in_order() {
        assert_eq!(spread(&[10.0, 10.0, 50.0], 8.0, [0.0, 100.0]), [2.0, 10.0, 50.0]);
        assert_eq!(spread(&[99.0, 98.0], 8.0, [0.0, 100.0]), [99.0, 91.0]);
        assert_eq!(spread(&[1.0, 0.0], 8.0, [0.0, 100.0]), [8.0, 0.0]);
    }
}
