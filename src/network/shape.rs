//! Shapes of activations, and the shape that comes out of an operator.

mod products;
mod rearrange;

use std::fmt;

use super::op::{Conv2d, LastWindow, Op, Pool};

/// Dimensions of one image's activation, without the batch: `[channels, height, width]`, `[tokens, features]`,
/// `[features]`, or others between operators that do not care.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape(Vec<u64>);

impl Shape {
    /// `dims`, each at least 1, their product within `u64`.
    ///
    /// # Errors
    /// [`ShapeError::Empty`] for a zero dimension or none at all, [`ShapeError::Overflow`] for an absurd product.
    pub fn new(dims: &[u64]) -> Result<Self, ShapeError> {
        if dims.is_empty() || dims.contains(&0) {
            return Err(ShapeError::Empty { dims: dims.to_vec() });
        }
        let elements = dims.iter().try_fold(1u64, |product, &d| product.checked_mul(d));
        elements.ok_or_else(|| ShapeError::Overflow { dims: dims.to_vec() })?;
        Ok(Self(dims.to_vec()))
    }

    /// The dimensions, outermost first.
    #[must_use]
    pub fn dims(&self) -> &[u64] {
        &self.0
    }

    /// Number of values.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.0.iter().product()
    }

    /// Channels of a map, features of a vector: the outermost dimension.
    #[must_use]
    pub fn channels(&self) -> u64 {
        self.0[0]
    }

    /// `[channels, height, width]` where this is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<[u64; 3]> {
        <[u64; 3]>::try_from(self.0.as_slice()).ok()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Why an operator has no output shape on its inputs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ShapeError {
    #[error("a shape needs at least one dimension and each at least 1, got {dims:?}")]
    Empty { dims: Vec<u64> },
    #[error("the shape {dims:?} holds more values than a 64-bit number counts")]
    Overflow { dims: Vec<u64> },
    #[error("{op} takes {wanted}, got {given}")]
    Inputs { op: &'static str, wanted: &'static str, given: usize },
    #[error("{op} needs a map [channels, height, width], got {given}")]
    NeedsMap { op: &'static str, given: Shape },
    #[error("{op} needs a vector [features], got {given}; put a flatten before it")]
    NeedsVector { op: &'static str, given: Shape },
    #[error("{op} is made for {wanted} input channels, got {given}")]
    Channels { op: &'static str, wanted: u64, given: Shape },
    #[error("{op} needs {what} of at least 1")]
    Zero { op: &'static str, what: &'static str },
    #[error("{op}: groups = {groups} must divide {in_channels} input and {out_channels} output channels")]
    Groups { op: &'static str, groups: u64, in_channels: u64, out_channels: u64 },
    #[error("{op}: a window of {window:?} does not fit an input of {given} with padding {padding:?}")]
    Window { op: &'static str, window: [u64; 2], padding: [u64; 2], given: Shape },
    #[error("pool: padding {padding:?} must be less than the kernel {kernel:?}")]
    PoolPadding { padding: [u64; 2], kernel: [u64; 2] },
    #[error("{op} needs equal shapes, got {}", list(.given))]
    Unequal { op: &'static str, given: Vec<Shape> },
    #[error("concat needs inputs that are equal but along axis {axis}, got {}", list(.given))]
    Concat { axis: u64, given: Vec<Shape> },
    #[error("{op} is made for {wanted} features, got {given}")]
    Features { op: &'static str, wanted: u64, given: Shape },
    #[error("matmul needs [.., m, k] and [.., k, n] with equal dimensions before, or 1, got {a} and {b}")]
    MatMul { a: Shape, b: Shape },
    #[error("reshape keeps the number of values, got {given} for {wanted}")]
    Reshape { wanted: Shape, given: Shape },
    #[error("transpose needs each dimension of {given} once, got the order {order:?}")]
    Order { order: Vec<u64>, given: Shape },
    #[error("slice needs 0 <= start < stop <= {side} and a step, got {start}..{stop} in steps of {step}")]
    Slice { start: u64, stop: u64, step: u64, side: u64 },
    #[error("expand repeats along sides of 1, got {given} for {wanted}")]
    Expand { wanted: Shape, given: Shape },
    #[error("{op}: there is no axis {axis} in {given}")]
    Axis { op: &'static str, axis: u64, given: Shape },
    #[error("{op} is made for {wanted} dimensions, got {given}")]
    Rank { op: &'static str, wanted: usize, given: Shape },
}

fn list(shapes: &[Shape]) -> String {
    shapes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// Shape of the output of `op` on `inputs`.
///
/// # Errors
/// The rule of the operator that the inputs break.
pub(super) fn infer(op: &Op, inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    match op {
        Op::Input => Err(ShapeError::Inputs { op: op.name(), wanted: "no place but the first", given: inputs.len() }),
        Op::Conv2d(conv) => conv2d(conv, one(op, inputs)?),
        Op::ConvTranspose2d(conv) => products::conv_transpose2d(conv, one(op, inputs)?),
        Op::Linear(linear) => products::linear(linear, one(op, inputs)?),
        Op::MatMul { inner } => products::matmul(*inner, inputs),
        Op::Embedding(embedding) => {
            let mut dims = one(op, inputs)?.dims().to_vec();
            dims.push(embedding.features);
            Shape::new(&dims)
        }
        Op::BatchNorm { channels } => {
            let given = one(op, inputs)?;
            expect_channels(op, *channels, given)?;
            Ok(given.clone())
        }
        Op::Norm(norm) => products::norm(norm, one(op, inputs)?),
        Op::Activation(_) | Op::Identity | Op::LocalResponseNorm { .. } => one(op, inputs).cloned(),
        Op::Softmax { axis } => {
            let given = one(op, inputs)?;
            rearrange::on_axis(op.name(), *axis, given).map(|_| given.clone())
        }
        Op::Pool(pool) => pooled(pool, one(op, inputs)?),
        Op::GlobalAveragePool => {
            let [channels, ..] = map(op, one(op, inputs)?)?;
            Shape::new(&[channels, 1, 1])
        }
        Op::Flatten => Shape::new(&[one(op, inputs)?.elements()]),
        Op::FitChannels { channels } | Op::Zero { channels } => {
            let [_, height, width] = map(op, one(op, inputs)?)?;
            Shape::new(&[*channels, height, width])
        }
        Op::Reduce(reduce) => rearrange::reduce(reduce, one(op, inputs)?),
        Op::Add | Op::Multiply => rearrange::broadcast(op, inputs),
        Op::Elementwise(_) => match inputs {
            [only] => Ok((*only).clone()),
            _ => rearrange::broadcast(op, inputs),
        },
        Op::Concat { axis } => rearrange::concat(*axis, op, inputs),
        Op::Reshape { shape } => rearrange::reshape(shape, one(op, inputs)?),
        Op::Transpose { order } => rearrange::transpose(order, one(op, inputs)?),
        Op::Slice(slice) => rearrange::slice(slice, one(op, inputs)?),
        Op::Gather(gather) => rearrange::gather(gather, one(op, inputs)?),
        Op::Pad(pad) => rearrange::pad(pad, one(op, inputs)?),
        Op::Expand { shape } => rearrange::expand(shape, one(op, inputs)?),
        Op::Resize(resize) => rearrange::resize(resize, one(op, inputs)?),
        Op::Tensor(tensor) => match inputs {
            [] => Shape::new(&tensor.shape),
            _ => Err(ShapeError::Inputs { op: op.name(), wanted: "no input", given: inputs.len() }),
        },
    }
}

fn one<'a>(op: &Op, inputs: &[&'a Shape]) -> Result<&'a Shape, ShapeError> {
    match inputs {
        [only] => Ok(only),
        _ => Err(ShapeError::Inputs { op: op.name(), wanted: "one input", given: inputs.len() }),
    }
}

fn several<'a>(op: &Op, inputs: &[&'a Shape]) -> Result<&'a Shape, ShapeError> {
    match inputs {
        [first, _, ..] => Ok(first),
        _ => Err(ShapeError::Inputs { op: op.name(), wanted: "two inputs or more", given: inputs.len() }),
    }
}

fn unequal(op: &Op, inputs: &[&Shape]) -> ShapeError {
    ShapeError::Unequal { op: op.name(), given: inputs.iter().map(|&s| s.clone()).collect() }
}

fn map(op: &Op, shape: &Shape) -> Result<[u64; 3], ShapeError> {
    shape.as_map().ok_or_else(|| ShapeError::NeedsMap { op: op.name(), given: shape.clone() })
}

fn expect_channels(op: &Op, wanted: u64, given: &Shape) -> Result<(), ShapeError> {
    if given.channels() == wanted {
        Ok(())
    } else {
        Err(ShapeError::Channels { op: op.name(), wanted, given: given.clone() })
    }
}

/// Pairs whose numbers may not be 0.
fn at_least_one<const N: usize>(op: &'static str, pairs: [(&'static str, [u64; 2]); N]) -> Result<(), ShapeError> {
    match pairs.iter().find(|(_, pair)| pair.contains(&0)) {
        None => Ok(()),
        Some((what, _)) => Err(ShapeError::Zero { op, what }),
    }
}

fn grouped(op: &'static str, groups: u64, channels: [u64; 2]) -> Result<(), ShapeError> {
    if groups > 0 && channels.iter().all(|channels| channels % groups == 0) {
        return Ok(());
    }
    let [in_channels, out_channels] = channels;
    Err(ShapeError::Groups { op, groups, in_channels, out_channels })
}

fn conv2d(conv: &Conv2d, given: &Shape) -> Result<Shape, ShapeError> {
    let op = "conv2d";
    let [channels, height, width] = given.as_map().ok_or_else(|| ShapeError::NeedsMap { op, given: given.clone() })?;
    if channels != conv.in_channels {
        return Err(ShapeError::Channels { op, wanted: conv.in_channels, given: given.clone() });
    }
    at_least_one(op, [("a kernel", conv.kernel), ("a stride", conv.stride), ("a dilation", conv.dilation)])?;
    grouped(op, conv.groups, [conv.in_channels, conv.out_channels])?;
    let window = conv.window();
    let refuse = || ShapeError::Window { op, window, padding: conv.padding, given: given.clone() };
    let out = |side, axis: usize| slide(side, window[axis], conv.stride[axis], conv.padding[axis]).ok_or_else(refuse);
    Shape::new(&[conv.out_channels, out(height, 0)?, out(width, 1)?])
}

fn pooled(pool: &Pool, given: &Shape) -> Result<Shape, ShapeError> {
    let op = pool.kind.name();
    let [channels, height, width] = given.as_map().ok_or_else(|| ShapeError::NeedsMap { op, given: given.clone() })?;
    at_least_one(op, [("a kernel", pool.kernel), ("a stride", pool.stride)])?;
    if pool.padding[0] >= pool.kernel[0] || pool.padding[1] >= pool.kernel[1] {
        return Err(ShapeError::PoolPadding { padding: pool.padding, kernel: pool.kernel });
    }
    let refuse = || ShapeError::Window { op, window: pool.kernel, padding: pool.padding, given: given.clone() };
    let out = |side, axis: usize| {
        let [window, stride, padding] = [pool.kernel[axis], pool.stride[axis], pool.padding[axis]];
        let whole = slide(side, window, stride, padding).ok_or_else(refuse)?;
        Ok(match pool.last {
            LastWindow::Whole => whole,
            LastWindow::Partial => whole + u64::from(starts_another(side, window, stride, padding, whole)),
        })
    };
    Shape::new(&[channels, out(height, 0)?, out(width, 1)?])
}

/// Whether values are left behind `whole` windows, and the next one would start inside the map or the padding before it.
fn starts_another(side: u64, window: u64, stride: u64, padding: u64, whole: u64) -> bool {
    let covered = (whole - 1).saturating_mul(stride).saturating_add(window);
    covered < side.saturating_add(padding.saturating_mul(2))
        && whole.saturating_mul(stride) < side.saturating_add(padding)
}

/// Positions of a window: `floor((side + 2 padding - window) / stride) + 1`.
fn slide(side: u64, window: u64, stride: u64, padding: u64) -> Option<u64> {
    let padded = padding.checked_mul(2)?.checked_add(side)?;
    Some(padded.checked_sub(window)? / stride + 1)
}
