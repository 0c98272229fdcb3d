//! The gradient of a loss by the mixing weights of the pass behind it.
//!
//! A join is the sum `s = sum_i w_i y_i` over the candidates of its edges, so `d loss / d w_i = <d loss / d s, y_i>`: one
//! backward pass to the joins, then one product for each candidate; a branch of a join that projects, where nothing runs
//! into it, takes the gradient of that join. A candidate that did not run has its `y_i` computed
//! after the backward pass, without a graph and one at a time.

use tch::{Kind, Tensor};

use super::SupernetError;
use super::mixing::Mixing;
use super::net::{Net, Pass};
use crate::cost::Probabilities;
use crate::search::TaskGradient;
use crate::space::Space;
use crate::torch::{Precision, autocast};

/// A loss, and the pass that it stands behind.
pub(super) struct Judged<'a> {
    pub(super) space: &'a Space,
    pub(super) net: &'a Net,
    pub(super) mixing: &'a Mixing<'a>,
    pub(super) pass: &'a Pass,
    /// A scalar.
    pub(super) loss: &'a Tensor,
    pub(super) precision: Precision,
}

/// An inner product `d loss / d w`, a scalar, with the operator choice and the candidate that `w` belongs to.
struct Product {
    operator: usize,
    candidate: usize,
    value: Tensor,
}

impl Judged<'_> {
    /// The loss and its gradient by every candidate of the edges between joins that are alive.
    ///
    /// Choices with one candidate are left out: their weight does not move.
    pub(super) fn by_operators(&self) -> Result<TaskGradient, SupernetError> {
        let products = self.products()?;
        let mut scalars: Vec<Tensor> = products.iter().map(|product| product.value.shallow_clone()).collect();
        scalars.push(self.loss.detach());
        let numbers = Vec::<f32>::try_from(Tensor::f_stack(&scalars, 0)?)?;
        let mut gradient = Probabilities::zeros(self.space);
        for (product, &number) in products.iter().zip(&numbers) {
            gradient.operators[product.operator][product.candidate] += f64::from(number);
        }
        Ok(TaskGradient { loss: f64::from(numbers.last().copied().unwrap_or(f32::NAN)), gradient })
    }

    /// The loss and its gradient by every option of the widths.
    pub(super) fn by_widths(&self) -> Result<TaskGradient, SupernetError> {
        let flat = &self.mixing.flat;
        let gradient = match Tensor::f_run_backward(&[self.loss], &[flat], false, false)?.into_iter().next() {
            Some(gradient) if gradient.defined() => gradient,
            _ => flat.detach().f_zeros_like()?,
        };
        let mut numbers = Vec::<f32>::try_from(Tensor::f_cat(&[gradient, self.loss.detach().f_view(1)?], 0)?)?;
        let loss = f64::from(numbers.pop().unwrap_or(f32::NAN));
        let mut gradient = Probabilities::zeros(self.space);
        for (slot, number) in gradient.widths.iter_mut().flatten().zip(numbers) {
            *slot = f64::from(number);
        }
        Ok(TaskGradient { loss, gradient })
    }

    fn products(&self) -> Result<Vec<Product>, SupernetError> {
        let gradients = self.by_sums()?;
        let mut products = Vec::new();
        for (number, edge) in self.space.edges.iter().enumerate() {
            let operator = edge.operator.0;
            let candidates = self.space.operators[operator].candidates.len();
            let (Some(x), Some(by_sum)) = (&self.pass.values[edge.from.0], &gradients[edge.to.0]) else { continue };
            for candidate in (0..candidates).filter(|_| candidates > 1) {
                let Some(y) = self.output(number, candidate, x)? else { continue };
                products.push(Product { operator, candidate, value: (y * by_sum).f_sum(Kind::Float)? });
            }
        }
        Ok(products)
    }

    /// `d loss / d s` of every join `s` that is alive.
    fn by_sums(&self) -> Result<Vec<Option<Tensor>>, SupernetError> {
        let mut gradients: Vec<Option<Tensor>> = self.pass.sums.iter().map(|_| None).collect();
        let (places, sums): (Vec<usize>, Vec<&Tensor>) =
            self.pass.sums.iter().enumerate().filter_map(|(place, sum)| Some((place, sum.as_ref()?))).unzip();
        if !sums.is_empty() {
            for (place, gradient) in places.into_iter().zip(Tensor::f_run_backward(&[self.loss], &sums, false, false)?)
            {
                gradients[place] = Some(gradient).filter(Tensor::defined);
            }
        }
        self.add_branches(&mut gradients)?;
        Ok(gradients)
    }

    /// The gradient of branches that are cut off: that of the join which they would be added to, where they end there.
    fn add_branches(&self, gradients: &mut [Option<Tensor>]) -> Result<(), SupernetError> {
        for (most, branch) in self.space.projections() {
            if let (None, Some(by_sum)) = (&gradients[branch.join.0], &gradients[most.join.0]) {
                let channels = self.net.room(self.space, branch.join).cast_signed();
                gradients[branch.join.0] = Some(by_sum.f_narrow(1, 0, channels)?);
            }
        }
        Ok(())
    }

    /// What a candidate put out on `x`, or would have; nothing for `zero`, and for what did not run where that has no
    /// gradient.
    fn output(&self, edge: usize, candidate: usize, x: &Tensor) -> Result<Option<Tensor>, SupernetError> {
        let Some(branch) = self.net.branch_of(edge, candidate) else { return Ok(None) };
        if let Some(y) = &self.pass.outputs[edge][candidate] {
            return Ok(Some(y.shallow_clone()));
        }
        if !self.mixing.judges_all() {
            return Ok(None);
        }
        let y = autocast(x.device(), self.precision, || tch::no_grad(|| branch.run(x, self.mixing)))?;
        Ok(Some(y))
    }
}
