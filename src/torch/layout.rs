//! Memory layout: channels last (NHWC in memory, NCHW in shape), which CPU and GPU convolutions like best.

use tch::Tensor;

use super::{TorchError, ffi};

/// `tensor` of shape `[batch, channels, height, width]` with its channels innermost in memory; itself where it is so already.
///
/// # Errors
/// Where `tensor` does not have four dimensions, or memory runs out.
pub fn channels_last(tensor: &Tensor) -> Result<Tensor, TorchError> {
    ffi::channels_last(tensor)
}

/// Whether `tensor` has four dimensions and its channels innermost in memory.
#[must_use]
pub fn is_channels_last(tensor: &Tensor) -> bool {
    ffi::is_channels_last(tensor)
}

/// Lays every parameter of shape `[out_channels, in_channels, height, width]` out channels last, in place.
///
/// Every handle to the parameters sees it. Before optimizer buffers are made, since those copy the layout.
///
/// # Errors
/// Where memory runs out.
pub fn make_channels_last(parameters: &[Tensor]) -> Result<(), TorchError> {
    for parameter in parameters.iter().filter(|parameter| parameter.dim() == 4) {
        let moved = channels_last(&parameter.detach())?;
        parameter.shallow_clone().set_data(&moved);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn channels_last_changes_strides_and_no_value() {
        let plain = Tensor::arange(2 * 3 * 4 * 5, (Kind::Float, Device::Cpu)).reshape([2, 3, 4, 5]);
        let moved = channels_last(&plain).unwrap();
        assert!(!is_channels_last(&plain));
        assert!(is_channels_last(&moved));
        assert_eq!(moved.size(), [2, 3, 4, 5]);
        // one step in channel is one element, in width 3, in height 5 x 3, in batch 4 x 5 x 3
        assert_eq!(moved.stride(), [60, 1, 15, 3]);
        assert!(moved.equal(&plain));
        assert_eq!(moved.contiguous().stride(), plain.stride());
    }

    #[test]
    fn a_tensor_without_four_dimensions_is_refused() {
        let flat = Tensor::zeros([6], (Kind::Float, Device::Cpu));
        assert!(!is_channels_last(&flat));
        let message = channels_last(&flat).unwrap_err().to_string();
        assert!(message.contains("rank 4"), "{message}");
    }

    #[test]
    fn parameters_move_in_place_for_every_handle() {
        let weight = Tensor::rand([4, 3, 3, 3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let bias = Tensor::rand([4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let before = weight.detach().copy();
        make_channels_last(&[weight.shallow_clone(), bias]).unwrap();
        assert!(is_channels_last(&weight));
        assert!(weight.requires_grad() && weight.is_leaf());
        assert!(weight.equal(&before));
    }
}
