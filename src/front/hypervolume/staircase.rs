//! Rectangles to one corner, added one by one.

/// The union of rectangles between points and a corner, less being better in both values.
#[derive(Debug)]
pub(super) struct Staircase {
    corner: [f64; 2],
    /// The points that no other dominates: the first value rises, the second falls.
    steps: Vec<[f64; 2]>,
    area: f64,
}

impl Staircase {
    pub(super) fn new(corner: [f64; 2]) -> Self {
        Self { corner, steps: Vec::new(), area: 0.0 }
    }

    pub(super) fn area(&self) -> f64 {
        self.area
    }

    /// Adds the rectangle of `point`, which betters the corner in both values.
    pub(super) fn insert(&mut self, point: [f64; 2]) {
        let [mut x, y] = point;
        let first = self.steps.partition_point(|step| step[0] < x);
        let mut height = if first == 0 { self.corner[1] } else { self.steps[first - 1][1] };
        if height <= y || self.steps.get(first).is_some_and(|step| step[0] == x && step[1] <= y) {
            return;
        }
        let mut end = first;
        while let Some(&[right, below]) = self.steps.get(end).filter(|step| step[1] >= y) {
            self.area += (right - x) * (height - y);
            (x, height) = (right, below);
            end += 1;
        }
        let right = self.steps.get(end).map_or(self.corner[0], |step| step[0]);
        self.area += (right - x) * (height - y);
        self.steps.splice(first..end, [point]);
    }
}
