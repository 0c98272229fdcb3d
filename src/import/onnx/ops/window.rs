//! What slides over maps: windows, pooling, padding, resizing.

use super::super::call::{Call, Outputs, axis, one};
use super::super::steps::{Act, Refusal, has_batch};
use super::convolution::{Same, finish, map_of, pair, same_padding};
use crate::network::{LastWindow, Op, Pad, Pool, PoolKind, Resize, ResizeMode};

/// A window with its stride, its dilation and the values around the map.
pub(super) struct Window {
    pub(super) kernel: [u64; 2],
    pub(super) stride: [u64; 2],
    pub(super) dilation: [u64; 2],
    before: [u64; 2],
    after: [u64; 2],
}

impl Window {
    /// The window of `kernel` over a map or signal with these sides, as the attributes say.
    pub(super) fn of(call: &Call<'_>, kernel: &[u64], sides: &[u64]) -> Result<Self, Refusal> {
        let axes = kernel.len();
        let stride = pair(&call.sides("strides", axes, 1)?, 1);
        let dilation = pair(&call.sides("dilations", axes, 1)?, 1);
        let pads = call.sides("pads", 2 * axes, 0)?;
        let (mut before, mut after) = (pair(&pads[..axes], 0), pair(&pads[axes..], 0));
        let (kernel, sides) = (pair(kernel, 1), pair(sides, 1));
        if let Some(same) = same_padding(call) {
            for axis in 0..2 {
                let window = dilation[axis].saturating_mul(kernel[axis].saturating_sub(1)).saturating_add(1);
                let out = sides[axis].div_ceil(stride[axis].max(1));
                let reach = out.saturating_sub(1).saturating_mul(stride[axis]).saturating_add(window);
                let total = reach.saturating_sub(sides[axis]);
                let small = total / 2;
                (before[axis], after[axis]) = match same {
                    Same::Upper => (small, total - small),
                    Same::Lower => (total - small, small),
                };
            }
        }
        Ok(Self { kernel, stride, dilation, before, after })
    }

    /// The map of `input` and the padding that is the same at both ends; other padding is put around the map first.
    pub(super) fn padded_map(&self, call: &mut Call<'_>, input: &Act) -> Result<(usize, [u64; 2]), Refusal> {
        let map = call.steps.shaped(&call.part("reshape"), input.step, &map_of(&input.dims))?;
        if self.before == self.after {
            return Ok((map, self.before));
        }
        let [(top, bottom), (left, right)] = [0, 1].map(|axis| (self.before[axis], self.after[axis]));
        let op = Op::Pad(Pad { before: vec![0, top, left], after: vec![0, bottom, right] });
        let mut dims = vec![1];
        dims.extend(call.steps.out_shape(&op, &[map])?.dims());
        let name = call.part("pad");
        Ok((call.steps.wire(&name, op, &[map], dims)?.step, [0; 2]))
    }
}

/// MaxPool, AveragePool, LpPool.
pub(super) fn pool(call: &mut Call<'_>, operator: &str) -> Outputs {
    let input = call.act(0)?;
    let rank = input.rank();
    if !(3..=4).contains(&rank) || input.dims[0] != 1 {
        return Err(Refusal::Unknown(format!(
            "only one and two dimensions are covered, got an input of {:?}",
            input.dims
        )));
    }
    let kernel = call.sides("kernel_shape", rank - 2, 0)?;
    let window = Window::of(call, &kernel, &input.dims[2..])?;
    if window.dilation != [1; 2] {
        return Err(Refusal::Unknown(format!("windows with a dilation of {:?} are not covered", window.dilation)));
    }
    let (map, padding) = window.padded_map(call, &input)?;
    let kind = if operator == "MaxPool" { PoolKind::Max } else { PoolKind::Average };
    let last = if call.int("ceil_mode", 0) == 0 { LastWindow::Whole } else { LastWindow::Partial };
    finish(call, Op::Pool(Pool { kind, kernel: window.kernel, stride: window.stride, padding, last }), map, rank)
}

/// Pad, for whole images.
pub(super) fn pad(call: &mut Call<'_>) -> Outputs {
    let input = call.act(0)?;
    let rank = input.rank();
    let pads = call.attribute_or_ints("pads", 1)?.unwrap_or_default();
    let axes: Vec<usize> = match call.ints(3, "axes")? {
        Some(axes) => axes.iter().map(|&at| axis(at, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(Refusal::Invalid(format!("pads must have {} numbers, got {pads:?}", 2 * axes.len())));
    }
    if pads.iter().any(|&pad| pad < 0) {
        return Err(Refusal::Unknown(format!("negative pads are not covered, got {pads:?}")));
    }
    let pads = super::super::call::unsigned("pads", &pads)?;
    let (mut before, mut after, mut dims) = (vec![0; rank], vec![0; rank], input.dims.clone());
    for (place, &axis) in axes.iter().enumerate() {
        (before[axis], after[axis]) = (pads[place], pads[place + axes.len()]);
        dims[axis] = dims[axis].saturating_add(before[axis]).saturating_add(after[axis]);
    }
    if dims == input.dims {
        return one(input);
    }
    let batch = usize::from(has_batch(&input.dims));
    if dims[..batch] != input.dims[..batch] {
        return Err(Refusal::Unknown("padding the batch is not covered".to_owned()));
    }
    let op = Op::Pad(Pad { before: before[batch..].to_vec(), after: after[batch..].to_vec() });
    one(call.wire(op, &[input.step], dims)?)
}

/// Resize and Upsample.
pub(super) fn resize(call: &mut Call<'_>) -> Outputs {
    let input = call.act(0)?;
    let dims = resized(call, &input.dims)?;
    let mode = match call.text("mode").as_deref() {
        None | Some("nearest") => ResizeMode::Nearest,
        Some("linear" | "bilinear") => ResizeMode::Linear,
        Some("cubic") => ResizeMode::Cubic,
        Some(other) => return Err(Refusal::Unknown(format!("mode `{other}` is not known"))),
    };
    let batch = usize::from(has_batch(&input.dims));
    if dims.len() != input.rank() || dims[..batch] != input.dims[..batch] {
        return Err(Refusal::Invalid(format!("{:?} cannot be resized to {dims:?}", input.dims)));
    }
    let op = Op::Resize(Resize { shape: dims[batch..].to_vec(), mode });
    one(call.wire(op, &[input.step], dims)?)
}

/// The dimensions asked for: sizes, or scales of the input's.
fn resized(call: &Call<'_>, dims: &[u64]) -> Result<Vec<u64>, Refusal> {
    let axes: Vec<usize> = match call.attribute("axes") {
        Some(axes) => axes.ints.iter().map(|&at| axis(at, dims.len())).collect::<Result<_, _>>()?,
        None => (0..dims.len()).collect(),
    };
    let mut out = dims.to_vec();
    let fits = |count: usize| {
        let reason = || Refusal::Invalid(format!("sizes or scales must have {} numbers, got {count}", axes.len()));
        if count == axes.len() { Ok(()) } else { Err(reason()) }
    };
    let sizes = call.ints(3, "sizes")?.filter(|sizes| !sizes.is_empty());
    if let Some(sizes) = sizes {
        fits(sizes.len())?;
        for (&axis, side) in axes.iter().zip(super::super::call::unsigned("sizes", &sizes)?) {
            out[axis] = side;
        }
        return Ok(out);
    }
    let attribute =
        call.attribute("scales").map(|scales| scales.floats.iter().map(|&scale| f64::from(scale)).collect());
    // Up to version 10 the scales are the second input, then the third.
    let scales: Option<Vec<f64>> = match attribute {
        Some(scales) => Some(scales),
        None if call.opset <= 10 => call.floats(1, "scales")?,
        None => call.floats(2, "scales")?,
    };
    let scales = scales.ok_or_else(|| Refusal::Invalid("it needs sizes or scales".to_owned()))?;
    fits(scales.len())?;
    for (&axis, scale) in axes.iter().zip(scales) {
        out[axis] = scaled(out[axis], scale)?;
    }
    Ok(out)
}

/// `floor(side * scale)`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are far below 2^53, and the product is checked"
)]
fn scaled(side: u64, scale: f64) -> Result<u64, Refusal> {
    let product = (side as f64 * scale).floor();
    if (1.0..9e15).contains(&product) {
        Ok(product as u64)
    } else {
        Err(Refusal::Invalid(format!("a side of {side} cannot be scaled by {scale}")))
    }
}
