//! Normalisations.

use super::super::call::{Call, Outputs, one};
use super::super::steps::{Refusal, has_batch};
use crate::network::{Affine, Norm, NormKind, Op};

/// BatchNormalization, with the statistics of the file.
pub(super) fn batch(call: &mut Call<'_>) -> Outputs {
    let input = call.act(0)?;
    let channels = channels(&input.dims)?;
    let scale: u64 = call.dims(1)?.iter().product();
    if scale != channels {
        return Err(Refusal::Invalid(format!("a scale of {scale} values does not fit an input of {:?}", input.dims)));
    }
    one(call.wire(Op::BatchNorm { channels }, &[input.step], input.dims)?)
}

fn channels(dims: &[u64]) -> Result<u64, Refusal> {
    match dims {
        [1, channels, ..] => Ok(*channels),
        dims => Err(Refusal::Unknown(format!("several images in the batch of one: {dims:?}"))),
    }
}

/// LayerNormalization.
pub(super) fn layer(call: &mut Call<'_>) -> Outputs {
    let affine = if call.has(2) { Affine::ScaleAndShift } else { Affine::Scale };
    innermost(call, NormKind::Layer, affine)
}

/// RMSNormalization.
pub(super) fn rms(call: &mut Call<'_>) -> Outputs {
    innermost(call, NormKind::Rms, Affine::Scale)
}

fn innermost(call: &mut Call<'_>, kind: NormKind, affine: Affine) -> Outputs {
    let input = call.act(0)?;
    let from = call.axis("axis", -1, input.rank())?;
    let features = input.dims[from..].iter().product();
    one(call.wire(Op::Norm(Norm { kind, features, affine }), &[input.step], input.dims)?)
}

/// InstanceNormalization: a group for each channel.
pub(super) fn instance(call: &mut Call<'_>) -> Outputs {
    let input = call.act(0)?;
    let channels = channels(&input.dims)?;
    grouped(call, channels)
}

/// GroupNormalization.
pub(super) fn group(call: &mut Call<'_>) -> Outputs {
    let groups = u64::try_from(call.int("num_groups", 0)).unwrap_or(0);
    grouped(call, groups)
}

fn grouped(call: &mut Call<'_>, groups: u64) -> Outputs {
    let input = call.act(0)?;
    let features = channels(&input.dims)?;
    let norm = Norm { kind: NormKind::Group { groups }, features, affine: Affine::ScaleAndShift };
    one(call.wire(Op::Norm(norm), &[input.step], input.dims)?)
}

/// LRN.
pub(super) fn local_response(call: &mut Call<'_>) -> Outputs {
    let input = call.act(0)?;
    let size = u64::try_from(call.int("size", 0)).unwrap_or(0);
    one(call.wire(Op::LocalResponseNorm { size }, &[input.step], input.dims)?)
}

/// Softmax and its kin. Up to version 12 it is over all dimensions from the axis on, whose first stands for them.
pub(super) fn softmax(call: &mut Call<'_>) -> Outputs {
    let input = call.act(0)?;
    if input.rank() == 0 {
        return one(input);
    }
    let axis = call.axis("axis", if call.opset < 13 { 1.min(input.rank() as i64 - 1) } else { -1 }, input.rank())?;
    let axis = axis.saturating_sub(usize::from(has_batch(&input.dims))) as u64;
    one(call.wire(Op::Softmax { axis }, &[input.step], input.dims)?)
}
