//! Shapes of operators that pick, move, repeat or gather values.

use super::super::function::Reduce;
use super::super::layout::{Gather, Pad, Resize, Slice};
use super::{Shape, ShapeError, several};
use crate::network::Op;

pub(super) fn reshape(shape: &[u64], given: &Shape) -> Result<Shape, ShapeError> {
    let wanted = Shape::new(shape)?;
    if wanted.elements() == given.elements() {
        Ok(wanted)
    } else {
        Err(ShapeError::Reshape { wanted, given: given.clone() })
    }
}

pub(super) fn transpose(order: &[u64], given: &Shape) -> Result<Shape, ShapeError> {
    let refuse = || ShapeError::Order { order: order.to_vec(), given: given.clone() };
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..given.dims().len() as u64) {
        return Err(refuse());
    }
    let sides: Option<Vec<u64>> = order.iter().map(|&axis| side(given, axis)).collect();
    Shape::new(&sides.ok_or_else(refuse)?)
}

pub(super) fn slice(slice: &Slice, given: &Shape) -> Result<Shape, ShapeError> {
    let side = on_axis("slice", slice.axis, given)?;
    let Slice { axis, start, stop, step } = *slice;
    if step == 0 || start >= stop || stop > side {
        return Err(ShapeError::Slice { start, stop, step, side });
    }
    with_side(given, axis, (stop - start).div_ceil(step))
}

pub(super) fn gather(gather: &Gather, given: &Shape) -> Result<Shape, ShapeError> {
    on_axis("gather", gather.axis, given)?;
    with_side(given, gather.axis, gather.count)
}

pub(super) fn pad(pad: &Pad, given: &Shape) -> Result<Shape, ShapeError> {
    let rank = given.dims().len();
    if pad.before.len() != rank || pad.after.len() != rank {
        return Err(ShapeError::Rank { op: "pad", wanted: pad.before.len(), given: given.clone() });
    }
    let sums = given.dims().iter().zip(&pad.before).zip(&pad.after);
    let sides: Vec<u64> = sums.map(|((&side, &a), &b)| side.saturating_add(a).saturating_add(b)).collect();
    Shape::new(&sides)
}

pub(super) fn expand(shape: &[u64], given: &Shape) -> Result<Shape, ShapeError> {
    let wanted = Shape::new(shape)?;
    let fits = wanted.dims().len() == given.dims().len()
        && given.dims().iter().zip(wanted.dims()).all(|(&from, &to)| from == to || from == 1);
    if fits { Ok(wanted) } else { Err(ShapeError::Expand { wanted, given: given.clone() }) }
}

pub(super) fn resize(resize: &Resize, given: &Shape) -> Result<Shape, ShapeError> {
    if resize.shape.len() != given.dims().len() {
        return Err(ShapeError::Rank { op: "resize", wanted: resize.shape.len(), given: given.clone() });
    }
    Shape::new(&resize.shape)
}

pub(super) fn reduce(reduce: &Reduce, given: &Shape) -> Result<Shape, ShapeError> {
    let mut sides = given.dims().to_vec();
    for &axis in &reduce.axes {
        on_axis("reduce", axis, given)?;
        *at(&mut sides, axis) = 1;
    }
    Shape::new(&sides)
}

/// One side for each dimension: the only one, or that which is not 1.
pub(super) fn broadcast(op: &Op, inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    let mut sides = several(op, inputs)?.dims().to_vec();
    for shape in inputs {
        if shape.dims().len() != sides.len() {
            return Err(super::unequal(op, inputs));
        }
        for (side, &given) in sides.iter_mut().zip(shape.dims()) {
            if *side == 1 {
                *side = given;
            } else if given != 1 && given != *side {
                return Err(super::unequal(op, inputs));
            }
        }
    }
    Shape::new(&sides)
}

pub(super) fn concat(axis: u64, op: &Op, inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    let first = several(op, inputs)?;
    let refuse = || ShapeError::Concat { axis, given: inputs.iter().map(|&s| s.clone()).collect() };
    let mut length = 0u64;
    for shape in inputs {
        let own = side(shape, axis).ok_or_else(refuse)?;
        let fits = shape.dims().len() == first.dims().len()
            && (0u64..).zip(shape.dims().iter().zip(first.dims())).all(|(at, (a, b))| a == b || at == axis);
        if !fits {
            return Err(refuse());
        }
        length = length.saturating_add(own);
    }
    with_side(first, axis, length)
}

/// Length along `axis`, where there is such an axis.
pub(super) fn side(shape: &Shape, axis: u64) -> Option<u64> {
    shape.dims().get(usize::try_from(axis).ok()?).copied()
}

pub(super) fn on_axis(op: &'static str, axis: u64, given: &Shape) -> Result<u64, ShapeError> {
    side(given, axis).ok_or_else(|| ShapeError::Axis { op, axis, given: given.clone() })
}

fn at(sides: &mut [u64], axis: u64) -> &mut u64 {
    &mut sides[usize::try_from(axis).expect("an axis within a slice")]
}

fn with_side(given: &Shape, axis: u64, length: u64) -> Result<Shape, ShapeError> {
    let mut sides = given.dims().to_vec();
    *at(&mut sides, axis) = length;
    Shape::new(&sides)
}
