//! Sums and products of numbers, with the derivative of one of them by the others.

/// A number on the tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Var(usize);

/// Numbers in the order in which they were made, each with its derivatives by the two that it was made of.
#[derive(Debug, Default)]
pub(super) struct Tape {
    values: Vec<f64>,
    parents: Vec<[(usize, f64); 2]>,
}

impl Tape {
    /// A number that is made of no other.
    pub(super) fn leaf(&mut self, value: f64) -> Var {
        self.push(value, [(0, 0.0); 2])
    }

    pub(super) fn value(&self, var: Var) -> f64 {
        self.values[var.0]
    }

    pub(super) fn sum(&mut self, a: Var, b: Var) -> Var {
        self.push(self.value(a) + self.value(b), [(a.0, 1.0), (b.0, 1.0)])
    }

    pub(super) fn product(&mut self, a: Var, b: Var) -> Var {
        let (x, y) = (self.value(a), self.value(b));
        self.push(x * y, [(a.0, y), (b.0, x)])
    }

    /// `1 - a`.
    pub(super) fn complement(&mut self, a: Var) -> Var {
        self.push(1.0 - self.value(a), [(a.0, -1.0), (0, 0.0)])
    }

    /// `1 - (1 - a) (1 - b)`: the probability of either, as if they were independent.
    pub(super) fn either(&mut self, a: Var, b: Var) -> Var {
        let (x, y) = (self.value(a), self.value(b));
        self.push(x + y * (1.0 - x), [(a.0, 1.0 - y), (b.0, 1.0 - x)])
    }

    /// `a - b`.
    pub(super) fn difference(&mut self, a: Var, b: Var) -> Var {
        self.push(self.value(a) - self.value(b), [(a.0, 1.0), (b.0, -1.0)])
    }

    /// `a / b`; nought, whatever they are, where `b` is.
    pub(super) fn quotient(&mut self, a: Var, b: Var) -> Var {
        let (x, y) = (self.value(a), self.value(b));
        if y == 0.0 {
            return self.leaf(0.0);
        }
        self.push(x / y, [(a.0, 1.0 / y), (b.0, -x / (y * y))])
    }

    /// Derivatives of `of` by every number of the tape: ask it by [`Slopes::by`].
    pub(super) fn slopes(&self, of: Var) -> Slopes {
        self.slopes_of_all([(of, 1.0)])
    }

    /// Derivatives of `sum factor * number` over `seeds` by every number of the tape.
    pub(super) fn slopes_of_all(&self, seeds: impl IntoIterator<Item = (Var, f64)>) -> Slopes {
        let mut slopes = vec![0.0; self.values.len()];
        seeds.into_iter().for_each(|(var, factor)| slopes[var.0] += factor);
        for place in (0..slopes.len()).rev() {
            let slope = slopes[place];
            if slope != 0.0 {
                self.parents[place].iter().for_each(|&(parent, by)| slopes[parent] += slope * by);
            }
        }
        Slopes(slopes)
    }

    fn push(&mut self, value: f64, parents: [(usize, f64); 2]) -> Var {
        self.values.push(value);
        self.parents.push(parents);
        Var(self.values.len() - 1)
    }
}

/// Derivatives of one number by all before it.
pub(super) struct Slopes(Vec<f64>);

impl Slopes {
    pub(super) fn by(&self, var: Var) -> f64 {
        self.0[var.0]
    }
}
