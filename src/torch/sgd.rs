//! Stochastic gradient descent on an ordered list of parameters.

use std::ffi::c_int;

use tch::Tensor;

use super::{TorchError, ffi};

/// The constants of [`Sgd`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdConfig {
    /// Share of the former direction that each step keeps, from 0 below 1.
    pub momentum: f64,
    /// L2 penalty: this share of the parameter is added to its gradient.
    pub weight_decay: f64,
    /// Look ahead by one momentum step.
    pub nesterov: bool,
    /// Longest allowed L2 norm of all gradients together, above 0; nothing for no clipping.
    pub clip: Option<f64>,
}

/// Stochastic gradient descent with momentum, as PyTorch's `SGD` without dampening.
///
/// For parameter `w` with gradient `g`, buffer `v` and learning rate `r`:
///
/// ```text
/// g <- g * min(1, clip / (norm + 1e-6)),    norm over all gradients
/// g <- g + weight_decay * w
/// v <- momentum * v + g,                    from v = 0
/// w <- w - r * v,                           Nesterov: w - r * (g + momentum * v)
/// ```
///
/// A parameter without a gradient stays as it is, and so does its buffer: in a supernet, a candidate that was not drawn.
/// The buffers in order are all there is to save.
#[derive(Debug)]
pub struct Sgd {
    parameters: Vec<Tensor>,
    momentum: Vec<Tensor>,
    config: SgdConfig,
}

impl Sgd {
    /// An optimizer of `parameters`, each of them any shape, with momentum of zeros.
    ///
    /// # Errors
    /// Where memory runs out.
    pub fn new(parameters: Vec<Tensor>, config: SgdConfig) -> Result<Self, TorchError> {
        let momentum = parameters.iter().map(|p| p.detach().f_zeros_like()).collect::<Result<_, _>>()?;
        Ok(Self { parameters, momentum, config })
    }

    /// An optimizer of `parameters` with momentum of its own, in the order and the shapes of the parameters.
    ///
    /// # Errors
    /// Where memory runs out.
    ///
    /// # Panics
    /// Where a parameter has no buffer of its shape.
    pub fn resumed(parameters: Vec<Tensor>, momentum: Vec<Tensor>, config: SgdConfig) -> Result<Self, TorchError> {
        let shapes = |tensors: &[Tensor]| tensors.iter().map(Tensor::size).collect::<Vec<_>>();
        assert_eq!(shapes(&parameters), shapes(&momentum), "a buffer of its shape for every parameter");
        let mut laid_out = Vec::with_capacity(momentum.len());
        for (parameter, buffer) in parameters.iter().zip(momentum) {
            // The optimizer walks both in the order of memory.
            let mut own = parameter.detach().f_empty_like()?;
            own.f_copy_(&buffer)?;
            laid_out.push(own);
        }
        Ok(Self { parameters, momentum: laid_out, config })
    }

    /// Moves every parameter that has a gradient, then drops all gradients. The host does not wait for the device.
    ///
    /// # Errors
    /// Where libtorch fails, such as for a gradient of another type than its parameter.
    pub fn step(&mut self, learning_rate: f64) -> Result<(), TorchError> {
        let step = ffi::SgdStep {
            learning_rate,
            momentum: self.config.momentum,
            weight_decay: self.config.weight_decay,
            max_norm: self.config.clip.unwrap_or(0.0),
            nesterov: c_int::from(self.config.nesterov),
        };
        ffi::sgd_step(&self.parameters, &self.momentum, &step)
    }

    /// Drops all gradients: no memory, and no step for a parameter until it gets a new one.
    ///
    /// # Errors
    /// Never for the tensors of an optimizer.
    pub fn clear_gradients(&mut self) -> Result<(), TorchError> {
        clear_gradients(&self.parameters)
    }

    /// The parameters, in the order given.
    pub fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    /// The momentum buffers, in the order of the parameters and of their shapes: what a checkpoint saves, and copies into.
    pub fn momentum(&self) -> &[Tensor] {
        &self.momentum
    }
}

/// Drops the gradients of `tensors`: they become undefined, not zero.
///
/// # Errors
/// Where a tensor is undefined.
pub fn clear_gradients(tensors: &[Tensor]) -> Result<(), TorchError> {
    ffi::clear_grads(tensors)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::torch::channels_last;

    const PLAIN: SgdConfig = SgdConfig { momentum: 0.9, weight_decay: 0.01, nesterov: false, clip: None };

    fn parameter(values: &[f64]) -> Tensor {
        Tensor::from_slice(values).set_requires_grad(true)
    }

    /// Gives `parameter` the gradient `gradient`: that of the sum of their product.
    fn give(parameter: &Tensor, gradient: &[f64]) {
        (parameter * Tensor::from_slice(gradient)).sum(Kind::Double).backward();
    }

    fn values(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.detach().contiguous().view(-1)).unwrap()
    }

    /// The formulas of [`Sgd`], one number at a time.
    struct Reference {
        weights: Vec<Vec<f64>>,
        momentum: Vec<Vec<f64>>,
        config: SgdConfig,
    }

    impl Reference {
        fn step(&mut self, gradients: &[Vec<f64>], learning_rate: f64) {
            let norm = gradients.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
            let scale = self.config.clip.map_or(1.0, |clip| (clip / (norm + 1e-6)).min(1.0));
            for (i, list) in gradients.iter().enumerate() {
                for (j, raw) in list.iter().enumerate() {
                    let gradient = raw * scale + self.config.weight_decay * self.weights[i][j];
                    let momentum = self.config.momentum * self.momentum[i][j] + gradient;
                    self.momentum[i][j] = momentum;
                    let ahead = gradient + self.config.momentum * momentum;
                    self.weights[i][j] -= learning_rate * if self.config.nesterov { ahead } else { momentum };
                }
            }
        }
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-12, "{found:?} is not {expected:?}");
        }
    }

    fn follows_the_formulas(config: SgdConfig) {
        let start = [vec![1.0, -2.0, 0.5], vec![0.25, 4.0]];
        let mut reference = Reference { weights: start.to_vec(), momentum: vec![vec![0.0; 3], vec![0.0; 2]], config };
        let parameters: Vec<Tensor> = start.iter().map(|list| parameter(list)).collect();
        let mut sgd = Sgd::new(parameters, config).unwrap();
        for step in 0..4 {
            let shift = f64::from(step);
            let gradients = [vec![0.3 + shift, -1.0, 2.0], vec![-shift, 0.7]];
            for (parameter, gradient) in sgd.parameters().iter().zip(&gradients) {
                give(parameter, gradient);
            }
            let rate = 0.1 / (1.0 + shift);
            sgd.step(rate).unwrap();
            reference.step(&gradients, rate);
            for i in 0..2 {
                assert_close(&values(&sgd.parameters()[i]), &reference.weights[i]);
                assert_close(&values(&sgd.momentum()[i]), &reference.momentum[i]);
            }
        }
    }

    #[test]
    fn momentum_and_weight_decay_follow_the_formulas() {
        follows_the_formulas(PLAIN);
    }

    #[test]
    fn nesterov_follows_the_formulas() {
        follows_the_formulas(SgdConfig { nesterov: true, ..PLAIN });
    }

    #[test]
    fn clipping_follows_the_formulas_below_and_above_the_bound() {
        follows_the_formulas(SgdConfig { clip: Some(2.5), ..PLAIN });
        follows_the_formulas(SgdConfig { clip: Some(100.0), nesterov: true, ..PLAIN });
    }

    #[test]
    fn without_momentum_a_step_is_plain_descent() {
        let mut sgd = Sgd::new(
            vec![parameter(&[1.0])],
            SgdConfig { momentum: 0.0, weight_decay: 0.5, nesterov: false, clip: None },
        )
        .unwrap();
        give(&sgd.parameters()[0], &[2.0]);
        sgd.step(0.1).unwrap();
        // 1 - 0.1 * (2 + 0.5 * 1)
        assert_close(&values(&sgd.parameters()[0]), &[0.75]);
    }

    #[test]
    fn a_parameter_without_gradient_keeps_its_value_and_its_momentum() {
        let mut sgd = Sgd::new(vec![parameter(&[1.0]), parameter(&[3.0])], PLAIN).unwrap();
        give(&sgd.parameters()[0], &[1.0]);
        give(&sgd.parameters()[1], &[1.0]);
        sgd.step(0.1).unwrap();
        let (weight, momentum) = (values(&sgd.parameters()[1]), values(&sgd.momentum()[1]));
        give(&sgd.parameters()[0], &[1.0]);
        sgd.step(0.1).unwrap();
        assert_eq!(values(&sgd.parameters()[1]), weight);
        assert_eq!(values(&sgd.momentum()[1]), momentum);
        sgd.step(0.1).unwrap();
    }

    #[test]
    fn gradients_are_undefined_after_a_step_and_after_clearing() {
        let mut sgd = Sgd::new(vec![parameter(&[1.0])], PLAIN).unwrap();
        give(&sgd.parameters()[0], &[1.0]);
        assert!(sgd.parameters()[0].grad().defined());
        sgd.step(0.1).unwrap();
        assert!(!sgd.parameters()[0].grad().defined());
        give(&sgd.parameters()[0], &[1.0]);
        sgd.clear_gradients().unwrap();
        assert!(!sgd.parameters()[0].grad().defined());
    }

    #[test]
    fn a_gradient_of_another_layout_meets_the_right_elements() {
        let start = Tensor::rand([2, 3, 4, 4], (Kind::Double, Device::Cpu));
        let gradient = Tensor::rand([2, 3, 4, 4], (Kind::Double, Device::Cpu));
        let weight = channels_last(&start).unwrap().set_requires_grad(true);
        // in a first pass libtorch lays the gradient out as the parameter; here it is put in place as it is
        (&weight * 0.0).sum(Kind::Double).backward();
        weight.grad().set_data(&gradient);
        let mut sgd = Sgd::new(vec![weight], SgdConfig { weight_decay: 0.0, ..PLAIN }).unwrap();
        sgd.step(0.5).unwrap();
        assert_close(&values(&sgd.parameters()[0]), &values(&(start - gradient * 0.5)));
    }
}
