//! One value for many: over axes, or over whole maps.

use super::super::call::{Call, Outputs, Value, axis, one};
use super::super::constant::Constant;
use super::super::steps::{Refusal, has_batch};
use super::fold;
use crate::network::{Op, Reduce, Reduction};

/// What an operator takes of the values, where it reduces axes.
pub(super) fn reduction(operator: &str) -> Option<Reduction> {
    Some(match operator {
        "ReduceMean" => Reduction::Mean,
        "ReduceSum" | "ReduceL1" | "ReduceL2" | "ReduceSumSquare" | "ReduceLogSum" | "ReduceLogSumExp" => {
            Reduction::Sum
        }
        "ReduceProd" => Reduction::Product,
        "ReduceMax" | "ArgMax" => Reduction::Maximum,
        "ReduceMin" | "ArgMin" => Reduction::Minimum,
        _ => return None,
    })
}

/// The operators of that name.
pub(super) fn reduce(call: &mut Call<'_>, function: Reduction) -> Outputs {
    let dims = call.dims(0)?;
    let axes = axes(call, dims.len())?;
    let keeps = call.int("keepdims", 1) != 0;
    let out: Vec<u64> = (0..dims.len())
        .filter(|at| keeps || !axes.contains(at))
        .map(|at| if axes.contains(&at) { 1 } else { dims[at] })
        .collect();
    if let Value::Constant(constant) = call.value(0) {
        let plain =
            matches!(call.node.op_type.as_deref(), Some("ReduceSum" | "ReduceProd" | "ReduceMax" | "ReduceMin"));
        let data = if plain { fold::reduce(constant, &axes, function) } else { None };
        let name = constant.name.clone();
        return Ok(vec![Value::constant(Constant { dims: out, data, learned: constant.learned, name })]);
    }
    let act = call.act(0)?;
    let batch = usize::from(has_batch(&dims));
    let inner: Vec<usize> = axes.iter().filter_map(|&at| at.checked_sub(batch)).collect();
    if axes.is_empty() || inner.iter().all(|&at| dims[at + batch] == 1) {
        return one(call.steps.reshape(&call.part("reshape"), &act, out)?);
    }
    let op = match (function, batch, inner.as_slice(), dims.len()) {
        (Reduction::Mean, 1, [1, 2], 4) => Op::GlobalAveragePool,
        _ => Op::Reduce(Reduce { function, axes: inner.iter().map(|&at| at as u64).collect() }),
    };
    one(call.wire(op, &[act.step], out)?)
}

/// The axes in order: of an attribute or an input, otherwise all of them; of ArgMax one.
fn axes(call: &Call<'_>, rank: usize) -> Result<Vec<usize>, Refusal> {
    if matches!(call.node.op_type.as_deref(), Some("ArgMax" | "ArgMin")) {
        return Ok(vec![call.axis("axis", 0, rank)?]);
    }
    let given = call.attribute_or_ints("axes", 1)?.filter(|axes| !axes.is_empty());
    let mut axes: Vec<usize> = match given {
        Some(axes) => axes.iter().map(|&at| axis(at, rank)).collect::<Result<_, _>>()?,
        None if call.int("noop_with_empty_axes", 0) != 0 => Vec::new(),
        None => (0..rank).collect(),
    };
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// GlobalAveragePool and its kin: all dimensions behind the channels.
pub(super) fn global(call: &mut Call<'_>, operator: &str) -> Outputs {
    let act = call.act(0)?;
    let [1, channels, sides @ ..] = act.dims.as_slice() else {
        return Err(Refusal::Unknown(format!("several images in the batch of one: {:?}", act.dims)));
    };
    let dims = [vec![1, *channels], vec![1; sides.len()]].concat();
    let function = if operator == "GlobalMaxPool" { Reduction::Maximum } else { Reduction::Mean };
    let op = match (function, sides.len()) {
        (Reduction::Mean, 2) => Op::GlobalAveragePool,
        (_, count) => Op::Reduce(Reduce { function, axes: (1..=count as u64).collect() }),
    };
    one(call.wire(op, &[act.step], dims)?)
}
