//! Shapes of activations, and the shape that comes out of an operator.

use std::fmt;

use super::op::{Conv2d, Op, Pool};

/// Dimensions of one image's activation, without the batch: `[channels, height, width]` or `[features]`.
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
    #[error("conv2d: groups = {groups} must divide {in_channels} input and {out_channels} output channels")]
    Groups { groups: u64, in_channels: u64, out_channels: u64 },
    #[error("{op}: a window of {window:?} does not fit an input of {given} with padding {padding:?}")]
    Window { op: &'static str, window: [u64; 2], padding: [u64; 2], given: Shape },
    #[error("pool: padding {padding:?} must be less than the kernel {kernel:?}")]
    PoolPadding { padding: [u64; 2], kernel: [u64; 2] },
    #[error("{op} needs equal shapes, got {}", list(.given))]
    Unequal { op: &'static str, given: Vec<Shape> },
    #[error("concat needs maps of one height and width, got {}", list(.given))]
    Concat { given: Vec<Shape> },
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
        Op::Linear(linear) => {
            let given = one(op, inputs)?;
            if given.dims().len() != 1 {
                return Err(ShapeError::NeedsVector { op: op.name(), given: given.clone() });
            }
            expect_channels(op, linear.in_features, given)?;
            Shape::new(&[linear.out_features])
        }
        Op::BatchNorm { channels } => {
            let given = one(op, inputs)?;
            expect_channels(op, *channels, given)?;
            Ok(given.clone())
        }
        Op::Activation(_) | Op::Identity | Op::Softmax => one(op, inputs).cloned(),
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
        Op::Add => {
            let first = several(op, inputs)?;
            if inputs.iter().any(|shape| *shape != first) {
                return Err(unequal(op, inputs));
            }
            Ok(first.clone())
        }
        Op::Multiply => broadcast(op, inputs),
        Op::Concat => concat(op, inputs),
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

fn conv2d(conv: &Conv2d, given: &Shape) -> Result<Shape, ShapeError> {
    let op = "conv2d";
    let [channels, height, width] = given.as_map().ok_or_else(|| ShapeError::NeedsMap { op, given: given.clone() })?;
    if channels != conv.in_channels {
        return Err(ShapeError::Channels { op, wanted: conv.in_channels, given: given.clone() });
    }
    for (what, values) in [("a kernel", conv.kernel), ("a stride", conv.stride), ("a dilation", conv.dilation)] {
        if values.contains(&0) {
            return Err(ShapeError::Zero { op, what });
        }
    }
    let Conv2d { groups, in_channels, out_channels, .. } = *conv;
    if groups == 0 || in_channels % groups != 0 || out_channels % groups != 0 {
        return Err(ShapeError::Groups { groups, in_channels, out_channels });
    }
    let window = conv.window();
    let refuse = || ShapeError::Window { op, window, padding: conv.padding, given: given.clone() };
    let out = |side, axis: usize| slide(side, window[axis], conv.stride[axis], conv.padding[axis]).ok_or_else(refuse);
    Shape::new(&[conv.out_channels, out(height, 0)?, out(width, 1)?])
}

fn pooled(pool: &Pool, given: &Shape) -> Result<Shape, ShapeError> {
    let op = pool.kind.name();
    let [channels, height, width] = given.as_map().ok_or_else(|| ShapeError::NeedsMap { op, given: given.clone() })?;
    for (what, values) in [("a kernel", pool.kernel), ("a stride", pool.stride)] {
        if values.contains(&0) {
            return Err(ShapeError::Zero { op, what });
        }
    }
    if pool.padding[0] >= pool.kernel[0] || pool.padding[1] >= pool.kernel[1] {
        return Err(ShapeError::PoolPadding { padding: pool.padding, kernel: pool.kernel });
    }
    let refuse = || ShapeError::Window { op, window: pool.kernel, padding: pool.padding, given: given.clone() };
    let out =
        |side, axis: usize| slide(side, pool.kernel[axis], pool.stride[axis], pool.padding[axis]).ok_or_else(refuse);
    Shape::new(&[channels, out(height, 0)?, out(width, 1)?])
}

/// Positions of a window: `floor((side + 2 padding - window) / stride) + 1`.
fn slide(side: u64, window: u64, stride: u64, padding: u64) -> Option<u64> {
    let padded = padding.checked_mul(2)?.checked_add(side)?;
    Some(padded.checked_sub(window)? / stride + 1)
}

/// The larger of two maps where the other has the same channels and side 1.
fn broadcast(op: &Op, inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    let mut widest = several(op, inputs)?;
    for shape in inputs {
        if shape.elements() > widest.elements() {
            widest = shape;
        }
    }
    let fits = |shape: &Shape| {
        shape.dims().len() == widest.dims().len()
            && shape.dims().iter().zip(widest.dims()).all(|(&a, &b)| a == b || a == 1)
    };
    if inputs.iter().all(|shape| fits(shape)) { Ok(widest.clone()) } else { Err(unequal(op, inputs)) }
}

fn concat(op: &Op, inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    let first = several(op, inputs)?;
    if inputs.iter().any(|shape| shape.dims()[1..] != first.dims()[1..]) {
        return Err(ShapeError::Concat { given: inputs.iter().map(|&s| s.clone()).collect() });
    }
    let channels = inputs.iter().try_fold(0u64, |sum, shape| sum.checked_add(shape.channels()));
    let mut dims = first.dims().to_vec();
    dims[0] = channels.unwrap_or(u64::MAX);
    Shape::new(&dims)
}
