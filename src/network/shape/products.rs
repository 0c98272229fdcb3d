//! Shapes of products other than convolutions, and of what follows them over features.

use super::super::norm::{Norm, NormKind};
use super::super::op::{ConvTranspose2d, Linear};
use super::{Shape, ShapeError};

pub(super) fn linear(linear: &Linear, given: &Shape) -> Result<Shape, ShapeError> {
    let mut sides = given.dims().to_vec();
    let features = sides.last_mut().expect("a shape has a dimension");
    if *features != linear.in_features {
        return Err(ShapeError::Features { op: "linear", wanted: linear.in_features, given: given.clone() });
    }
    *features = linear.out_features;
    Shape::new(&sides)
}

pub(super) fn matmul(inner: u64, inputs: &[&Shape]) -> Result<Shape, ShapeError> {
    let [a, b] = inputs else {
        return Err(ShapeError::Inputs { op: "matmul", wanted: "two inputs", given: inputs.len() });
    };
    let refuse = || ShapeError::MatMul { a: (*a).clone(), b: (*b).clone() };
    let ([outer_a @ .., m, k_a], [outer_b @ .., k_b, n]) = (a.dims(), b.dims()) else { return Err(refuse()) };
    if k_a != k_b || *k_a != inner || outer_a.len() != outer_b.len() {
        return Err(refuse());
    }
    let mut sides = Vec::with_capacity(a.dims().len());
    for (&x, &y) in outer_a.iter().zip(outer_b) {
        if x != y && x != 1 && y != 1 {
            return Err(refuse());
        }
        sides.push(x.max(y));
    }
    sides.extend([*m, *n]);
    Shape::new(&sides)
}

pub(super) fn conv_transpose2d(conv: &ConvTranspose2d, given: &Shape) -> Result<Shape, ShapeError> {
    let op = "conv-transpose2d";
    let [channels, height, width] = given.as_map().ok_or_else(|| ShapeError::NeedsMap { op, given: given.clone() })?;
    if channels != conv.in_channels {
        return Err(ShapeError::Channels { op, wanted: conv.in_channels, given: given.clone() });
    }
    super::at_least_one(op, [("a kernel", conv.kernel), ("a stride", conv.stride), ("a dilation", conv.dilation)])?;
    super::grouped(op, conv.groups, [conv.in_channels, conv.out_channels])?;
    let refuse = || ShapeError::Window { op, window: conv.window(), padding: conv.padding, given: given.clone() };
    let out = |side, axis| conv.out(side, axis).ok_or_else(refuse);
    Shape::new(&[conv.out_channels, out(height, 0)?, out(width, 1)?])
}

pub(super) fn norm(norm: &Norm, given: &Shape) -> Result<Shape, ShapeError> {
    let op = norm.name();
    let fits = match norm.kind {
        NormKind::Layer | NormKind::Rms => {
            (0..given.dims().len()).any(|from| given.dims()[from..].iter().product::<u64>() == norm.features)
        }
        NormKind::Group { groups } => {
            super::grouped(op, groups, [norm.features; 2])?;
            given.channels() == norm.features
        }
    };
    if fits { Ok(given.clone()) } else { Err(ShapeError::Features { op, wanted: norm.features, given: given.clone() }) }
}
