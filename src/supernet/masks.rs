//! Prefix masks of widths.

use tch::{Device, Kind, Tensor};

use super::SupernetError;
use crate::space::Inner;

/// For each option of a width, which of the channels are open: `[options, channels]`, f32.
///
/// `options` are numbers of channels at the join; `inner` says how many channels that is here.
pub(super) fn prefixes(options: &[u64], inner: Inner, device: Device) -> Result<Tensor, SupernetError> {
    let open: Vec<u64> = options.iter().map(|&width| inner.channels(width)).collect();
    let widest = open.iter().copied().max().unwrap_or(0).cast_signed();
    let open: Vec<i64> = open.into_iter().map(u64::cast_signed).collect();
    let open = Tensor::f_from_slice(&open)?.f_unsqueeze(1)?;
    let channels = Tensor::f_arange(widest, (Kind::Int64, Device::Cpu))?.f_unsqueeze(0)?;
    Ok(channels.f_lt_tensor(&open)?.f_to_kind(Kind::Float)?.f_to_device(device)?)
}

/// `x * mask` over channels: `x` `[batch, channels, height, width]`, `mask` `[channels]`.
pub(super) fn apply(x: &Tensor, mask: &Tensor) -> Tensor {
    x * mask.to_kind(x.kind()).view([1, -1, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrower_option_opens_a_prefix_of_a_wider_one() {
        let masks = prefixes(&[1, 3], Inner::Times(2), Device::Cpu).unwrap();
        let rows: Vec<Vec<f64>> = Vec::try_from(masks.to_kind(Kind::Double)).unwrap();
        assert_eq!(rows, [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [1.0; 6]]);
    }
}
