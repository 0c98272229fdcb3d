//! Arithmetic that `tch` has only in more steps.

use tch::Tensor;

use super::{TorchError, ffi};

/// `sum += alpha * other`, in place and in one pass, differentiable by both. Shapes as for a sum, `sum`'s stays.
///
/// # Errors
/// Where the shapes do not fit, or `sum` is a tensor that learns.
pub fn add_scaled(sum: &mut Tensor, other: &Tensor, alpha: f64) -> Result<(), TorchError> {
    ffi::add_scaled(sum, other, alpha)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn a_scaled_sum_has_the_gradients_of_its_terms() {
        let a = Tensor::from_slice(&[1.0, 2.0]).set_requires_grad(true);
        let b = Tensor::from_slice(&[10.0, 30.0]).set_requires_grad(true);
        let mut sum = &a * 1.0;
        add_scaled(&mut sum, &b, 0.5).unwrap();
        assert_eq!(Vec::<f64>::try_from(sum.detach()).unwrap(), [6.0, 17.0]);
        sum.sum(Kind::Double).backward();
        assert_eq!(Vec::<f64>::try_from(a.grad()).unwrap(), [1.0, 1.0]);
        assert_eq!(Vec::<f64>::try_from(b.grad()).unwrap(), [0.5, 0.5]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_an_error() {
        let mut sum = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        let message =
            add_scaled(&mut sum, &Tensor::ones([4], (Kind::Float, Device::Cpu)), 1.0).unwrap_err().to_string();
        assert!(message.starts_with("libtorch: The size of tensor"), "{message}");
    }
}
