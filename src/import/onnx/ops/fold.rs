//! Arithmetic on small constants.

use super::super::constant::{Constant, Data, is_small};
use crate::network::Reduction;

/// Distance between neighbours along each axis of a tensor stored with its last axis innermost.
pub(super) fn strides(dims: &[u64]) -> Vec<usize> {
    let mut strides = vec![1usize; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(usize::try_from(dims[axis]).unwrap_or(usize::MAX));
    }
    strides
}

/// For each value of a tensor of `dims`, in order, the sum over the axes of its place times `strides`.
pub(super) fn places(dims: &[u64], strides: &[usize]) -> Vec<usize> {
    let mut places = vec![0];
    for (&side, &stride) in dims.iter().zip(strides) {
        let side = usize::try_from(side).unwrap_or(usize::MAX);
        places = places.iter().flat_map(|&from| (0..side).map(move |at| from + at * stride)).collect();
    }
    places
}

/// Where each value of a broadcast tensor comes from.
pub(super) fn broadcast(from: &[u64], to: &[u64]) -> Vec<usize> {
    let own = strides(from);
    let missing = to.len() - from.len();
    let strides: Vec<usize> = (0..to.len())
        .map(|axis| if axis < missing || from[axis - missing] == 1 { 0 } else { own[axis - missing] })
        .collect();
    places(to, &strides)
}

/// One side for each dimension, counted from the last: the only one, or that which is not 1.
pub(super) fn broadcast_dims(all: &[&[u64]]) -> Result<Vec<u64>, String> {
    let rank = all.iter().map(|dims| dims.len()).max().unwrap_or(0);
    let mut out = vec![1; rank];
    for dims in all {
        for (side, &given) in out[rank - dims.len()..].iter_mut().zip(*dims) {
            match (*side, given) {
                (a, b) if a == b || b == 1 => {}
                (1, b) => *side = b,
                (_, _) => return Err(format!("{} cannot be broadcast to one shape", list(all))),
            }
        }
    }
    Ok(out)
}

fn list(all: &[&[u64]]) -> String {
    all.iter().map(|dims| format!("{dims:?}")).collect::<Vec<_>>().join(" and ")
}

/// The values of `operator` on constants, where they are known and the operator is one of whole-number arithmetic.
pub(super) fn elementwise(operator: &str, operands: &[&Constant], dims: &[u64]) -> Option<Data> {
    if !is_small(dims) {
        return None;
    }
    let whole = operands.iter().all(|operand| operand.as_ints().is_some());
    if whole {
        let columns: Option<Vec<Vec<i64>>> =
            operands.iter().map(|operand| spread(operand.as_ints()?, operand, dims)).collect();
        let columns = columns?;
        let count = columns.first()?.len();
        let row = |at: usize| columns.iter().map(|column| column[at]).collect::<Vec<i64>>();
        return (0..count).map(|at| integer(operator, &row(at))).collect::<Option<Vec<i64>>>().map(Data::Ints);
    }
    let columns: Option<Vec<Vec<f64>>> =
        operands.iter().map(|operand| spread(&operand.as_floats()?, operand, dims)).collect();
    let columns = columns?;
    let count = columns.first()?.len();
    let row = |at: usize| columns.iter().map(|column| column[at]).collect::<Vec<f64>>();
    let values = (0..count).map(|at| floating(operator, &row(at))).collect::<Option<Vec<f64>>>()?;
    #[expect(clippy::cast_possible_truncation, reason = "comparisons give 0 or 1")]
    Some(match operator {
        "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" => {
            Data::Ints(values.iter().map(|&value| value as i64).collect())
        }
        _ => Data::Floats(values),
    })
}

fn spread<T: Copy>(values: &[T], operand: &Constant, dims: &[u64]) -> Option<Vec<T>> {
    broadcast(&operand.dims, dims).into_iter().map(|place| values.get(place).copied()).collect()
}

/// Whole-number arithmetic; nothing where it passes 64 bits or is not known.
fn integer(operator: &str, values: &[i64]) -> Option<i64> {
    Some(match (operator, values) {
        ("Add" | "Sum", values) => values.iter().try_fold(0i64, |sum, &value| sum.checked_add(value))?,
        ("Max", values) => *values.iter().max()?,
        ("Min", values) => *values.iter().min()?,
        ("Sub", [a, b]) => a.checked_sub(*b)?,
        ("Mul", [a, b]) => a.checked_mul(*b)?,
        ("Div", [a, b]) => a.checked_div(*b)?,
        // As Python's: the sign is the divisor's.
        ("Mod", [a, b]) => a.checked_rem_euclid(*b).map(|rest| if *b < 0 && rest != 0 { rest + b } else { rest })?,
        ("Pow", [a, b]) => a.checked_pow(u32::try_from(*b).ok()?)?,
        ("Equal", [a, b]) => i64::from(a == b),
        ("Less", [a, b]) => i64::from(a < b),
        ("Greater", [a, b]) => i64::from(a > b),
        ("LessOrEqual", [a, b]) => i64::from(a <= b),
        ("GreaterOrEqual", [a, b]) => i64::from(a >= b),
        ("And", [a, b]) => i64::from(*a != 0 && *b != 0),
        ("Or", [a, b]) => i64::from(*a != 0 || *b != 0),
        ("Xor", [a, b]) => i64::from((*a != 0) != (*b != 0)),
        ("Not", [a]) => i64::from(*a == 0),
        ("Neg", [a]) => a.checked_neg()?,
        ("Abs", [a]) => a.checked_abs()?,
        ("Sign", [a]) => a.signum(),
        ("Floor" | "Ceil" | "Round", [a]) => *a,
        ("Where", [condition, a, b]) => {
            if *condition != 0 {
                *a
            } else {
                *b
            }
        }
        _ => return None,
    })
}

fn floating(operator: &str, values: &[f64]) -> Option<f64> {
    let truth = |condition: bool| f64::from(u8::from(condition));
    Some(match (operator, values) {
        ("Add" | "Sum", values) => values.iter().sum(),
        ("Max", values) => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ("Min", values) => values.iter().copied().fold(f64::INFINITY, f64::min),
        ("Sub", [a, b]) => a - b,
        ("Mul", [a, b]) => a * b,
        ("Div", [a, b]) => a / b,
        ("Mod", [a, b]) => a.rem_euclid(*b),
        ("Pow", [a, b]) => a.powf(*b),
        ("Equal", [a, b]) => truth((a - b).abs() == 0.0),
        ("Less", [a, b]) => truth(a < b),
        ("Greater", [a, b]) => truth(a > b),
        ("LessOrEqual", [a, b]) => truth(a <= b),
        ("GreaterOrEqual", [a, b]) => truth(a >= b),
        ("Neg", [a]) => -a,
        ("Abs", [a]) => a.abs(),
        ("Sqrt", [a]) => a.sqrt(),
        ("Reciprocal", [a]) => 1.0 / a,
        ("Exp", [a]) => a.exp(),
        ("Log", [a]) => a.ln(),
        ("Floor", [a]) => a.floor(),
        ("Ceil", [a]) => a.ceil(),
        ("Round", [a]) => a.round_ties_even(),
        ("Where", [condition, a, b]) => {
            if (*condition).abs() > 0.0 {
                *a
            } else {
                *b
            }
        }
        _ => return None,
    })
}

/// The values of a constant reduced over `axes`, where they are known.
pub(super) fn reduce(constant: &Constant, axes: &[usize], function: Reduction) -> Option<Data> {
    let data = constant.data.as_ref()?;
    let kept: Vec<u64> =
        constant.dims.iter().enumerate().map(|(at, &side)| if axes.contains(&at) { 1 } else { side }).collect();
    let own = strides(&kept);
    let to: Vec<usize> = (0..kept.len()).map(|at| if axes.contains(&at) { 0 } else { own[at] }).collect();
    let targets = places(&constant.dims, &to);
    let count = usize::try_from(kept.iter().product::<u64>()).ok()?;
    match data {
        Data::Ints(values) => {
            let mut out: Vec<Option<i64>> = vec![None; count];
            for (&value, &target) in values.iter().zip(&targets) {
                out[target] = Some(match (out[target], function) {
                    (None, _) => value,
                    (Some(old), Reduction::Sum) => old.checked_add(value)?,
                    (Some(old), Reduction::Product) => old.checked_mul(value)?,
                    (Some(old), Reduction::Maximum) => old.max(value),
                    (Some(old), Reduction::Minimum) => old.min(value),
                    (Some(_), Reduction::Mean) => return None,
                });
            }
            out.into_iter().collect::<Option<Vec<i64>>>().map(Data::Ints)
        }
        Data::Floats(_) => None,
    }
}
