//! Convolutions and transposed ones, in one and two dimensions.

use super::super::call::{Call, Outputs, one};
use super::super::steps::{Act, Refusal};
use super::window::Window;
use crate::network::{Bias, Conv2d, ConvTranspose2d, Op};

/// Conv with its weight at the input `weight` and its bias at `bias`.
pub(super) fn conv(call: &mut Call<'_>, weight: usize, bias: Option<usize>) -> Outputs {
    let input = call.act(0)?;
    let weights = weights(call, weight, &input)?;
    let groups = groups(call)?;
    let window = Window::of(call, &weights[2..], &input.dims[2..])?;
    let (map, padding) = window.padded_map(call, &input)?;
    let op = Op::Conv2d(Conv2d {
        in_channels: input.dims[1],
        out_channels: weights[0],
        kernel: window.kernel,
        stride: window.stride,
        padding,
        dilation: window.dilation,
        groups,
        bias: bias_at(call, bias),
    });
    if input.dims[1] != weights[1].saturating_mul(groups) {
        let [given, wanted] = [input.dims[1], weights[1]];
        return Err(Refusal::Invalid(format!(
            "{given} input channels in {groups} groups do not match weights for {wanted}"
        )));
    }
    finish(call, op, map, input.dims.len())
}

/// ConvTranspose.
pub(super) fn transposed(call: &mut Call<'_>) -> Outputs {
    let input = call.act(0)?;
    let weights = weights(call, 1, &input)?;
    let groups = groups(call)?;
    let axes = weights.len() - 2;
    let dilation = pair(&call.sides("dilations", axes, 1)?, 1);
    let stride = pair(&call.sides("strides", axes, 1)?, 1);
    let kernel = pair(&weights[2..], 1);
    let mut conv = ConvTranspose2d {
        in_channels: input.dims[1],
        out_channels: weights[1].saturating_mul(groups),
        kernel,
        stride,
        padding: [0; 2],
        output_padding: pair(&call.sides("output_padding", axes, 0)?, 0),
        dilation,
        groups,
        bias: bias_at(call, Some(2)),
    };
    let full = full_sides(&conv, &input.dims[2..])?;
    let wanted = wanted_sides(call, axes, &full, stride, &input.dims[2..])?;
    let map = call.steps.shaped(&call.part("reshape"), input.step, &map_of(&input.dims))?;
    let begin = begins(call, axes, &full, &wanted)?;
    // What is cut from both ends alike is padding; what is left at one end is cut behind.
    conv.padding =
        [0, 1].map(|axis| begin[axis].min(full[axis].saturating_sub(wanted[axis]).saturating_sub(begin[axis])));
    let padding = conv.padding;
    let out = [0, 1].map(|axis| full[axis].saturating_sub(2 * padding[axis]));
    let mut act =
        call.wire(Op::ConvTranspose2d(conv), &[map], vec![1, weights[1].saturating_mul(groups), out[0], out[1]])?;
    for axis in 0..2 {
        let start = begin[axis] - padding[axis];
        let name = call.part("crop");
        act = call.steps.slice(&name, &act, axis + 2, (start, start.saturating_add(wanted[axis]), 1))?;
    }
    let dims = unmapped(&act.dims, input.dims.len());
    one(call.steps.reshape(&call.part("reshape"), &act, dims)?)
}

/// Sides of the output before anything is cut from it.
fn full_sides(conv: &ConvTranspose2d, sides: &[u64]) -> Result<[u64; 2], Refusal> {
    let sides = pair(sides, 1);
    let out = |axis: usize| {
        let spread = conv.stride[axis].checked_mul(sides[axis].checked_sub(1)?)?;
        spread.checked_add(conv.window()[axis])?.checked_add(conv.output_padding[axis])
    };
    match (out(0), out(1)) {
        (Some(height), Some(width)) => Ok([height, width]),
        _ => Err(Refusal::Invalid("the sides of the output pass 64 bits".to_owned())),
    }
}

/// Sides of the output as `output_shape`, `auto_pad` or `pads` say.
fn wanted_sides(
    call: &Call<'_>,
    axes: usize,
    full: &[u64; 2],
    stride: [u64; 2],
    sides: &[u64],
) -> Result<[u64; 2], Refusal> {
    if call.attribute("output_shape").is_some() {
        return Ok(pair(&call.sides("output_shape", axes, 1)?, 1));
    }
    if same_padding(call).is_some() {
        let sides = pair(sides, 1);
        return Ok([0, 1].map(|axis| stride[axis].saturating_mul(sides[axis])));
    }
    let pads = call.sides("pads", 2 * axes, 0)?;
    let (begin, end) = (pair(&pads[..axes], 0), pair(&pads[axes..], 0));
    Ok([0, 1].map(|axis| full[axis].saturating_sub(begin[axis].saturating_add(end[axis]))))
}

/// What is cut from the start of each axis.
fn begins(call: &Call<'_>, axes: usize, full: &[u64; 2], wanted: &[u64; 2]) -> Result<[u64; 2], Refusal> {
    let pads = call.sides("pads", 2 * axes, 0)?;
    let chosen = call.attribute("output_shape").is_none() && same_padding(call).is_none();
    let begin = pair(&pads[..axes], 0);
    let upper = same_padding(call) == Some(Same::Upper);
    let mut found = [0; 2];
    for axis in 0..2 {
        let total = full[axis].checked_sub(wanted[axis]).filter(|_| wanted[axis] > 0);
        let total = total.ok_or_else(|| {
            Refusal::Unknown(format!(
                "its output of {wanted:?} is larger than the {full:?} that its kernel reaches, or empty"
            ))
        })?;
        found[axis] = if chosen {
            begin[axis]
        } else if upper {
            total / 2
        } else {
            total.div_ceil(2)
        };
    }
    Ok(found)
}

/// Which end gets the odd value of padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Same {
    /// The far one.
    Upper,
    /// The near one.
    Lower,
}

/// `auto_pad` where it asks for sides of `ceil(side / stride)`.
pub(super) fn same_padding(call: &Call<'_>) -> Option<Same> {
    match call.text("auto_pad").as_deref() {
        Some("SAME_UPPER") => Some(Same::Upper),
        Some("SAME_LOWER") => Some(Same::Lower),
        _ => None,
    }
}

/// The sides of the weights, as many as the input has.
fn weights(call: &Call<'_>, at: usize, input: &Act) -> Result<Vec<u64>, Refusal> {
    let weights = call.dims(at)?;
    let rank = input.rank();
    if call.constant(at).is_none() {
        return Err(Refusal::Unknown("its weights depend on the values of the input".to_owned()));
    }
    if !(3..=4).contains(&rank) {
        return Err(Refusal::Unknown(format!(
            "only one and two dimensions are covered, got an input of {:?}",
            input.dims
        )));
    }
    if weights.len() != rank {
        return Err(Refusal::Invalid(format!("weights of {weights:?} do not fit an input of {:?}", input.dims)));
    }
    if input.dims[0] != 1 {
        return Err(Refusal::Unknown(format!("several images in the batch of one: {:?}", input.dims)));
    }
    Ok(weights)
}

fn groups(call: &Call<'_>) -> Result<u64, Refusal> {
    let groups = call.int("group", 1);
    u64::try_from(groups)
        .ok()
        .filter(|&groups| groups > 0)
        .ok_or_else(|| Refusal::Invalid(format!("group must be at least 1, got {groups}")))
}

fn bias_at(call: &Call<'_>, at: Option<usize>) -> Bias {
    if at.is_some_and(|at| call.has(at)) { Bias::With } else { Bias::Without }
}

/// Height and width; one dimension is the width of a map of height 1.
pub(super) fn pair(sides: &[u64], height: u64) -> [u64; 2] {
    match sides {
        [width] => [height, *width],
        [height, width, ..] => [*height, *width],
        [] => [height; 2],
    }
}

/// The image as a map: a signal is one of height 1.
pub(super) fn map_of(dims: &[u64]) -> Vec<u64> {
    match dims {
        [_, channels, width] => vec![*channels, 1, *width],
        dims => dims.get(1..).unwrap_or_default().to_vec(),
    }
}

/// The dimensions of a signal or a map out of those of a map.
pub(super) fn unmapped(dims: &[u64], rank: usize) -> Vec<u64> {
    match dims {
        [batch, channels, _, width] if rank == 3 => vec![*batch, *channels, *width],
        dims => dims.to_vec(),
    }
}

/// Adds the operator on a map and gives its output the rank of the input.
pub(super) fn finish(call: &mut Call<'_>, op: Op, map: usize, rank: usize) -> Outputs {
    let shape = call.steps.out_shape(&op, &[map])?;
    let mut dims = vec![1];
    dims.extend(shape.dims());
    one(call.wire(op, &[map], unmapped(&dims, rank))?)
}
