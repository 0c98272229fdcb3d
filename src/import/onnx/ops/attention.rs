//! Attention as an operator of its own: two products of activations around a softmax.

use super::super::call::{Call, Outputs, Value, one};
use super::super::steps::{Act, Refusal};
use super::products::product;
use crate::network::{Function, Op};

/// Attention of version 23 on, without a cache of earlier keys.
pub(super) fn attention(call: &mut Call<'_>) -> Outputs {
    if (4..6).any(|at| call.has(at)) || call.node.output.len() > 1 {
        return Err(Refusal::Unknown("a cache of keys and values is not covered".to_owned()));
    }
    let flat = call.dims(0)?.len() == 3;
    let q = heads(call, 0, "q_num_heads", flat)?;
    let k = heads(call, 1, "kv_num_heads", flat)?;
    let v = heads(call, 2, "kv_num_heads", flat)?;
    let [batch, count, queries, _] = sides(&q)?;
    let (k, v) = (shared(call, &k, count)?, shared(call, &v, count)?);
    let turned = call.steps.transpose(&call.part("transpose"), &k, &[0, 1, 3, 2])?;
    let scores = product(call.steps, &call.part("scores"), &q, &turned)?;
    let scaled = call.part("scale");
    let scores = call.steps.wire(&scaled, Op::Elementwise(Function::Scale), &[scores.step], scores.dims)?;
    let rank = call.steps.dims(scores.step).len() as u64;
    let softmax = call.part("softmax");
    let weights = call.steps.wire(&softmax, Op::Softmax { axis: rank - 1 }, &[scores.step], scores.dims)?;
    let out = product(call.steps, &call.part("values"), &weights, &v)?;
    if !flat {
        return one(out);
    }
    let features = out.dims[3];
    let out = call.steps.transpose(&call.part("merge"), &out, &[0, 2, 1, 3])?;
    one(call.steps.reshape(&call.part("reshape"), &out, vec![batch, queries, count.saturating_mul(features)])?)
}

fn sides(act: &Act) -> Result<[u64; 4], Refusal> {
    let dims = act.dims.as_slice();
    dims.try_into().map_err(|_| Refusal::Invalid(format!("it needs [batch, heads, length, features], got {dims:?}")))
}

/// An operand as `[batch, heads, length, features]`.
fn heads(call: &mut Call<'_>, at: usize, attribute: &str, flat: bool) -> Result<Act, Refusal> {
    let act = match call.value(at) {
        Value::Act(_) | Value::Constant(_) => call.act(at)?,
        Value::Absent | Value::Unknown => return Err(Refusal::Invalid("it needs queries, keys and values".to_owned())),
    };
    if !flat {
        return sides(&act).map(|_| act);
    }
    let count = u64::try_from(call.int(attribute, 0)).unwrap_or(0);
    match act.dims.as_slice() {
        &[batch, length, width] if count > 0 && width.is_multiple_of(count) => {
            let split = call.steps.reshape(&call.part("reshape"), &act, vec![batch, length, count, width / count])?;
            call.steps.transpose(&call.part("split"), &split, &[0, 2, 1, 3])
        }
        dims => Err(Refusal::Invalid(format!("{attribute} = {count} does not divide {dims:?}"))),
    }
}

/// Keys or values of which each head serves several heads of queries, repeated for each.
fn shared(call: &mut Call<'_>, act: &Act, count: u64) -> Result<Act, Refusal> {
    let [batch, own, length, features] = sides(act)?;
    if own == count {
        return Ok(act.clone());
    }
    if own == 0 || !count.is_multiple_of(own) {
        return Err(Refusal::Invalid(format!("{count} heads of queries do not share {own} of keys")));
    }
    let single = call.steps.reshape(&call.part("reshape"), act, vec![batch, own, 1, length, features])?;
    let name = call.part("share");
    let shape = super::super::steps::image(&[batch, own, count / own, length, features]);
    let dims = vec![batch, count, length, features];
    call.steps.wire(&name, Op::Expand { shape }, &[single.step], dims)
}
