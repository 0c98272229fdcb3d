//! Matrix products: with weights they are linear layers, of two activations products of their own.

use super::super::call::{Call, Outputs, Value, one};
use super::super::steps::{Act, Refusal, Steps, image};
use crate::network::{Bias, Linear, Op};

/// MatMul with its second operand at the input `at`.
pub(super) fn matmul(call: &mut Call<'_>, at: usize) -> Outputs {
    let weights = call.constant(at).map(|weights| weights.dims.clone());
    let a = call.dims(0)?;
    if let (Some([k, n]), Value::Act(act)) = (weights.as_deref(), call.value(0).clone()) {
        if a.last() != Some(k) {
            return Err(Refusal::Invalid(format!("{a:?} by [{k}, {n}] is no product of matrices")));
        }
        return one(linear(call, &act, [*k, *n], Bias::Without)?);
    }
    let (a, b) = (call.act(0)?, call.act(at)?);
    one(product(call.steps, call.name, &a, &b)?)
}

/// Gemm: `A B + C`, each of the two transposed where attributes say so.
pub(super) fn gemm(call: &mut Call<'_>) -> Outputs {
    let mut a = call.act(0)?;
    let b = call.dims(1)?;
    let ([_, _], [rows, cols]) = (a.dims.as_slice(), b.as_slice()) else {
        return Err(Refusal::Invalid(format!("it needs two matrices, got {:?} and {b:?}", a.dims)));
    };
    if call.int("transA", 0) != 0 {
        a = call.steps.transpose(&call.part("transpose_a"), &a, &[1, 0])?;
    }
    let turned = call.int("transB", 0) != 0;
    let [k, n] = if turned { [*cols, *rows] } else { [*rows, *cols] };
    if a.dims[1] != k {
        return Err(Refusal::Invalid(format!("{:?} by [{k}, {n}] is no product of matrices", a.dims)));
    }
    if call.constant(1).is_some() {
        let values = call.dims(2).map_or(0, |dims| dims.iter().product::<u64>());
        let bias = if call.constant(2).is_some() && values == n { Bias::With } else { Bias::Without };
        let act = linear(call, &a, [k, n], bias)?;
        return if bias == Bias::With || values <= 1 { one(act) } else { add(call, &act) };
    }
    let mut b = call.act(1)?;
    if turned {
        b = call.steps.transpose(&call.part("transpose_b"), &b, &[1, 0])?;
    }
    let act = product(call.steps, call.name, &a, &b)?;
    if call.has(2) { add(call, &act) } else { one(act) }
}

/// The third operand of a Gemm that is no bias.
fn add(call: &mut Call<'_>, act: &Act) -> Outputs {
    let summand = call.act(2)?;
    let rank = image(&act.dims).len();
    let mut dims = vec![1; rank.saturating_sub(summand.dims.len().min(rank))];
    dims.extend(summand.dims.iter().rev().take(rank).rev());
    let summand = call.steps.shaped(&call.part("add"), summand.step, &dims)?;
    one(call.steps.wire(&call.part("add"), Op::Add, &[act.step, summand], act.dims.clone())?)
}

/// A linear layer along the last of `act`'s dimensions.
pub(super) fn linear(call: &mut Call<'_>, act: &Act, [k, n]: [u64; 2], bias: Bias) -> Result<Act, Refusal> {
    let mut dims = act.dims.clone();
    match dims.last_mut() {
        Some(features) => *features = n,
        None => return Err(Refusal::Invalid("a linear layer needs a dimension".to_owned())),
    }
    call.wire(Op::Linear(Linear { in_features: k, out_features: n, bias }), &[act.step], dims)
}

/// `a b`, dimensions before the last two broadcast; a vector is a row on the left and a column on the right.
pub(super) fn product(steps: &mut Steps, name: &str, a: &Act, b: &Act) -> Result<Act, Refusal> {
    let refuse = || Refusal::Invalid(format!("{:?} by {:?} is no product of matrices", a.dims, b.dims));
    let (row, column) = (a.dims.len() == 1, b.dims.len() == 1);
    let left = if row { vec![1, a.dims[0]] } else { a.dims.clone() };
    let right = if column { vec![b.dims[0], 1] } else { b.dims.clone() };
    if left.len() < 2 || right.len() < 2 {
        return Err(refuse());
    }
    let rank = left.len().max(right.len());
    let padded = |dims: Vec<u64>| [vec![1; rank - dims.len()], dims].concat();
    let (left, right) = (padded(left), padded(right));
    let (inner, m, n) = (left[rank - 1], left[rank - 2], right[rank - 1]);
    let mut dims: Vec<u64> = left[..rank - 2].iter().zip(&right).map(|(&x, &y)| x.max(y)).collect();
    // The sides before the last two that are 1 in both are left out, as many as stand in front.
    let front = dims.iter().take_while(|&&side| side == 1).count();
    let part = format!("{name}/reshape");
    let a = steps.shaped(&part, a.step, &left[front..])?;
    let b = steps.shaped(&part, b.step, &right[front..])?;
    dims.extend((!row).then_some(m).into_iter().chain((!column).then_some(n)));
    let op = Op::MatMul { inner };
    steps.out_shape(&op, &[a, b]).map_err(|_| refuse())?;
    steps.wire(name, op, &[a, b], dims)
}
