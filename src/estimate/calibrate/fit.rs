//! Non-negative numbers that make sums of counts equal to times, in relative error.
//!
//! For one form at one threshold: minimise `sum_i |T_i - t_i| / t_i` over numbers not below 0, by rounds of weighted
//! least squares (Lawson and Hanson's NNLS, crate `nnls`) with weights `1 / max(|relative error|, FLOOR)`. The threshold
//! is taken from a grid by the error on the rows that are fitted.

use ndarray::{Array1, Array2};

use super::statistics::{count, mean_relative_error};
use crate::accel::calibration::soft_maximum;

/// Rounds of reweighting once the threshold is chosen.
const ROUNDS: usize = 6;
/// Rounds of reweighting at every threshold of the grid.
const GRID_ROUNDS: usize = 2;
/// So many times as many rounds where a ceiling is fitted as well: its slopes move with it.
const CEILING_ROUNDS: usize = 2;
/// Relative error below which a row weighs no more: a few parts in a thousand are noise of any clock.
const FLOOR: f64 = 0.003;
/// Thresholds whose error is above the least by no more than this over the root of the rows cannot be told apart: the
/// spread of a mean of absolute errors.
const ALIKE: f64 = 0.3;
/// What is added to the diagonal of the normal equations of unit columns, so that equal columns have a solution.
const RIDGE: f64 = 1e-10;

/// Counts of every row, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    pub(super) columns: usize,
    pub(super) values: Vec<f64>,
}

impl Matrix {
    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }
}

/// What is fitted: times, and the counts of every row.
#[derive(Debug, Clone)]
pub(super) struct Data {
    /// Measured, ns.
    pub(super) times: Vec<f64>,
    /// Counts that no threshold enters: the first columns.
    pub(super) base: Matrix,
    /// Thresholds with the counts at each: the columns behind.
    pub(super) at: Vec<(Option<f64>, Matrix)>,
}

/// A choice of columns. A pinned one has its number already; where it is among the columns as well, that number is the
/// least that it may have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Form {
    pub(super) name: String,
    pub(super) columns: Vec<usize>,
    pub(super) pinned: Option<(usize, f64)>,
    /// The same with less said of the pinned column, to be taken where that is clearly better.
    pub(super) exception: Option<Box<Form>>,
}

/// Whether measured times may be those of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Every time is the accelerator's.
    Absent,
    /// Times flatten where the accelerator is faster than its host.
    Ceiling,
}

/// What a fit found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fitted {
    /// Place of the threshold in [`Data::at`].
    pub(super) threshold: usize,
    /// A number for each column of the form, in its order.
    pub(super) numbers: Vec<f64>,
    /// Time of the host, ns.
    pub(super) ceiling: Option<f64>,
}

impl Data {
    fn count(&self, threshold: usize, row: usize, column: usize) -> f64 {
        match column.checked_sub(self.base.columns) {
            None => self.base.row(row)[column],
            Some(behind) => self.at[threshold].1.row(row)[behind],
        }
    }

    /// Predicted times of `rows`, ns.
    pub(super) fn predict(&self, form: &Form, fitted: &Fitted, rows: &[usize]) -> Vec<f64> {
        let one = |&row: &usize| {
            let of = |column: usize| self.count(fitted.threshold, row, column);
            let free: f64 = form.columns.iter().zip(&fitted.numbers).map(|(&c, number)| of(c) * number).sum();
            let sum = free + form.pinned.map_or(0.0, |(column, number)| of(column) * number);
            fitted.ceiling.map_or(sum, |ceiling| soft_maximum(sum, ceiling).0)
        };
        rows.iter().map(one).collect()
    }

    /// Mean relative error of `fitted` on `rows`.
    pub(super) fn error(&self, form: &Form, fitted: &Fitted, rows: &[usize]) -> f64 {
        let times: Vec<f64> = rows.iter().map(|&row| self.times[row]).collect();
        mean_relative_error(&times, &self.predict(form, fitted, rows))
    }

    /// Fits `form` to `rows`, at the middle of the thresholds that cannot be told from the best one.
    pub(super) fn fit(&self, form: &Form, rows: &[usize], host: Host) -> Fitted {
        let errors: Vec<f64> = (0..self.at.len())
            .map(|threshold| {
                let fitted = System::new(self, form, threshold, rows).solve(GRID_ROUNDS, host);
                self.error(form, &fitted, rows)
            })
            .collect();
        System::new(self, form, self.middle(&errors, rows.len()), rows).solve(ROUNDS, host)
    }

    /// The place of no threshold where that is best; else the middle of those alike.
    fn middle(&self, errors: &[f64], rows: usize) -> usize {
        let best = (0..errors.len()).min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap_or(0);
        if self.at[best].0.is_none() {
            return best;
        }
        let most = errors[best] * (1.0 + ALIKE / count(rows).sqrt());
        let alike: Vec<usize> =
            (0..errors.len()).filter(|&place| self.at[place].0.is_some() && errors[place] <= most).collect();
        alike[alike.len() / 2]
    }
}

/// Counts over times of the rows that are fitted, so that every row is to give 1.
struct System {
    threshold: usize,
    columns: usize,
    /// Row by row.
    counts: Vec<f64>,
    /// What the pinned number gives of each row.
    pinned: Vec<f64>,
    times: Vec<f64>,
}

impl System {
    fn new(data: &Data, form: &Form, threshold: usize, rows: &[usize]) -> Self {
        let relative = |row: usize, column: usize| data.count(threshold, row, column) / data.times[row];
        Self {
            threshold,
            columns: form.columns.len(),
            counts: rows.iter().flat_map(|&row| form.columns.iter().map(move |&c| relative(row, c))).collect(),
            pinned: rows.iter().map(|&row| form.pinned.map_or(0.0, |(c, number)| number * relative(row, c))).collect(),
            times: rows.iter().map(|&row| data.times[row]).collect(),
        }
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.counts.chunks_exact(self.columns)
    }

    fn solve(&self, rounds: usize, host: Host) -> Fitted {
        let mut weights = vec![1.0; self.times.len()];
        let mut numbers = self.least_squares(&weights, None);
        let mut ceiling = match host {
            Host::Absent => None,
            Host::Ceiling => Some(self.times.iter().copied().fold(f64::INFINITY, f64::min)),
        };
        let rounds = if ceiling.is_some() { CEILING_ROUNDS * rounds } else { rounds };
        for _ in 0..rounds {
            let sums = self.sums(&numbers);
            for (weight, (relative, _)) in weights.iter_mut().zip(self.capped(&sums, ceiling)) {
                *weight = 1.0 / (relative - 1.0).abs().max(FLOOR);
            }
            match ceiling {
                None => numbers = self.least_squares(&weights, None),
                Some(host) => {
                    let slopes: Vec<[f64; 2]> =
                        self.capped(&sums, ceiling).into_iter().map(|(_, slopes)| slopes).collect();
                    let mut all = self.least_squares(&weights, Some(&slopes));
                    ceiling = all.pop().filter(|found| *found > 0.0).or(Some(host));
                    numbers = all;
                }
            }
        }
        Fitted { threshold: self.threshold, numbers, ceiling }
    }

    fn sums(&self, numbers: &[f64]) -> Vec<f64> {
        let dot = |row: &[f64]| -> f64 { row.iter().zip(numbers).map(|(count, number)| count * number).sum() };
        self.rows().zip(&self.pinned).map(|(row, pinned)| pinned + dot(row)).collect()
    }

    /// Predicted over measured time of each row, with its slopes by sum and ceiling.
    fn capped(&self, sums: &[f64], ceiling: Option<f64>) -> Vec<(f64, [f64; 2])> {
        let one = |(&sum, time): (&f64, &f64)| match ceiling {
            None => (sum, [1.0, 0.0]),
            Some(ceiling) => soft_maximum(sum, ceiling / time),
        };
        sums.iter().zip(&self.times).map(one).collect()
    }

    /// Weighted non-negative least squares. With `slopes` (by the sum and by the ceiling) the ceiling is one more number:
    /// the soft maximum is homogeneous of degree 1, so its linear form at a point has no constant.
    fn least_squares(&self, weights: &[f64], slopes: Option<&[[f64; 2]]>) -> Vec<f64> {
        let width = self.columns + usize::from(slopes.is_some());
        let mut normal = Normal::new(width);
        let mut line = vec![0.0; width];
        for (place, (row, weight)) in self.rows().zip(weights).enumerate() {
            let [by_sum, by_ceiling] = slopes.map_or([1.0, 0.0], |slopes| slopes[place]);
            for (slot, count) in line.iter_mut().zip(row) {
                *slot = by_sum * count;
            }
            if slopes.is_some() {
                line[self.columns] = by_ceiling / self.times[place];
            }
            normal.add(&line, 1.0 - by_sum * self.pinned[place], *weight);
        }
        normal.solve()
    }
}

/// Normal equations `A'A x = A'b`, gathered row by row.
struct Normal {
    width: usize,
    gram: Vec<f64>,
    right: Vec<f64>,
}

impl Normal {
    fn new(width: usize) -> Self {
        Self { width, gram: vec![0.0; width * width], right: vec![0.0; width] }
    }

    fn add(&mut self, line: &[f64], right: f64, weight: f64) {
        for (i, a) in line.iter().enumerate() {
            let scaled = weight * a;
            self.right[i] += scaled * right;
            for (j, b) in line.iter().enumerate().take(i + 1) {
                self.gram[i * self.width + j] += scaled * b;
            }
        }
    }

    /// The non-negative solution: with `A'A = L L'` it minimises `|L' x - L^-1 A'b|`, a system of as many rows as columns.
    /// Columns without a count have the number 0.
    fn solve(&self) -> Vec<f64> {
        let diagonal = |i: usize| self.gram[i * self.width + i];
        let used: Vec<usize> = (0..self.width).filter(|&i| diagonal(i) > 0.0).collect();
        let mut numbers = vec![0.0; self.width];
        if used.is_empty() {
            return numbers;
        }
        let norms: Vec<f64> = used.iter().map(|&i| diagonal(i).sqrt()).collect();
        let n = used.len();
        // The lower triangle of L, and the solution of L z = A'b, row by row (Cholesky).
        let mut lower = vec![0.0; n * n];
        let mut right = Array1::zeros(n);
        for i in 0..n {
            for j in 0..=i {
                let mut sum = self.gram[used[i] * self.width + used[j]] / (norms[i] * norms[j]);
                if i == j {
                    sum += RIDGE;
                }
                sum -= (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum::<f64>();
                lower[i * n + j] = if i == j { sum.max(RIDGE).sqrt() } else { sum / lower[j * n + j] };
            }
            let known: f64 = (0..i).map(|k| lower[i * n + k] * right[k]).sum();
            right[i] = (self.right[used[i]] / norms[i] - known) / lower[i * n + i];
        }
        let upper = Array2::from_shape_fn((n, n), |(i, j)| if j >= i { lower[j * n + i] } else { 0.0 });
        let (solution, _) = nnls::nnls(upper.view(), right.view());
        for ((&place, number), norm) in used.iter().zip(solution).zip(norms) {
            numbers[place] = number / norm;
        }
        numbers
    }
}

/// The numbers of least squared relative error over all columns of `matrix`, none weighted.
#[cfg(test)]
pub(super) fn plain_least_squares(matrix: &Matrix, times: &[f64]) -> Vec<f64> {
    let mut normal = Normal::new(matrix.columns);
    for (row, time) in times.iter().enumerate() {
        let line: Vec<f64> = matrix.row(row).iter().map(|count| count / time).collect();
        normal.add(&line, 1.0, 1.0);
    }
    normal.solve()
}
