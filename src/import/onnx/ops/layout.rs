//! What renames or moves values: constants are followed, activations get free operators.

use super::super::call::{Call, Outputs, Value, axis, one, unsigned};
use super::super::constant::{Constant, elements};
use super::super::steps::{Act, Refusal, has_batch, image};
use super::fold;
use crate::network::{Gather, Op};

/// Reshape, Flatten, Squeeze, Unsqueeze: the same values in the same order.
pub(super) fn renamed(call: &mut Call<'_>, operator: &str) -> Outputs {
    let dims = call.dims(0)?;
    let out = match operator {
        "Reshape" => reshaped(call, &dims)?,
        "Flatten" => {
            let at = call.int("axis", 1);
            let rank = i64::try_from(dims.len()).unwrap_or(i64::MAX);
            let at = usize::try_from(if at < 0 { at + rank } else { at }).unwrap_or(usize::MAX).min(dims.len());
            vec![elements(&dims[..at])?, elements(&dims[at..])?]
        }
        "Squeeze" => squeezed(call, &dims)?,
        _ => unsqueezed(call, &dims)?,
    };
    if elements(&out)? != elements(&dims)? {
        return Err(Refusal::Invalid(format!("{dims:?} and {out:?} hold different numbers of values")));
    }
    match call.value(0).clone() {
        Value::Constant(constant) => Ok(vec![Value::constant(constant.reshaped(out))]),
        _ => {
            let act = call.act(0)?;
            one(call.steps.reshape(call.name, &act, out)?)
        }
    }
}

fn reshaped(call: &Call<'_>, dims: &[u64]) -> Result<Vec<u64>, Refusal> {
    let wanted = call.attribute_or_ints("shape", 1)?.unwrap_or_default();
    let keeps = call.int("allowzero", 0) == 0;
    let refuse = || Refusal::Invalid(format!("{dims:?} cannot be reshaped to {wanted:?}"));
    let mut out = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (at, &side) in wanted.iter().enumerate() {
        out.push(match side {
            -1 if open.replace(at).is_none() => 1,
            0 if keeps => *dims.get(at).ok_or_else(refuse)?,
            side => u64::try_from(side).map_err(|_| refuse())?,
        });
    }
    if let Some(at) = open {
        let (all, rest) = (elements(dims)?, elements(&out)?);
        if rest == 0 || all % rest != 0 {
            return Err(refuse());
        }
        out[at] = all / rest;
    }
    Ok(out)
}

fn squeezed(call: &Call<'_>, dims: &[u64]) -> Result<Vec<u64>, Refusal> {
    let axes: Vec<usize> = match call.attribute_or_ints("axes", 1)? {
        Some(axes) => axes.iter().map(|&at| axis(at, dims.len())).collect::<Result<_, _>>()?,
        None => (0..dims.len()).filter(|&at| dims[at] == 1).collect(),
    };
    Ok((0..dims.len()).filter(|at| !axes.contains(at)).map(|at| dims[at]).collect())
}

fn unsqueezed(call: &Call<'_>, dims: &[u64]) -> Result<Vec<u64>, Refusal> {
    let axes = call.attribute_or_ints("axes", 1)?.unwrap_or_default();
    let rank = dims.len() + axes.len();
    let axes: Vec<usize> = axes.iter().map(|&at| axis(at, rank)).collect::<Result<_, _>>()?;
    let mut rest = dims.iter();
    let out: Option<Vec<u64>> =
        (0..rank).map(|at| if axes.contains(&at) { Some(1) } else { rest.next().copied() }).collect();
    out.ok_or_else(|| Refusal::Invalid(format!("the axes {axes:?} stand twice")))
}

/// Operators that give values other places.
pub(super) fn moved(call: &mut Call<'_>, operator: &str) -> Outputs {
    match operator {
        "Transpose" => transpose(call),
        "Slice" => slice(call),
        "Split" => split(call),
        "Gather" => gather(call),
        "Concat" => concat(call),
        "Expand" => expand(call),
        "Tile" => tile(call),
        _ => depth(call, operator == "DepthToSpace"),
    }
}

fn transpose(call: &mut Call<'_>) -> Outputs {
    let dims = call.dims(0)?;
    let order: Vec<usize> = match call.attribute("perm") {
        Some(perm) => perm.ints.iter().map(|&at| axis(at, dims.len())).collect::<Result<_, _>>()?,
        None => (0..dims.len()).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..dims.len()) {
        return Err(Refusal::Invalid(format!("perm {order:?} does not name each of {} dimensions once", dims.len())));
    }
    match call.value(0).clone() {
        Value::Constant(constant) => {
            let strides = fold::strides(&dims);
            let out: Vec<u64> = order.iter().map(|&at| dims[at]).collect();
            let moved: Vec<usize> = order.iter().map(|&at| strides[at]).collect();
            Ok(vec![Value::constant(constant.picked(out.clone(), || fold::places(&out, &moved)))])
        }
        _ => {
            let act = call.act(0)?;
            one(call.steps.transpose(call.name, &act, &order)?)
        }
    }
}

/// Entries `start`, `start + step`, .. of one axis, `count` of them.
#[derive(Debug, Clone, Copy)]
struct Picked {
    axis: usize,
    start: u64,
    count: u64,
    step: i64,
}

/// The values of `constant` that are picked.
fn picked(constant: &Constant, Picked { axis, start, count, step }: Picked) -> Constant {
    let strides = fold::strides(&constant.dims);
    let mut dims = constant.dims.clone();
    dims[axis] = count;
    constant.picked(dims.clone(), || {
        let index = |at: usize| {
            let place = i128::from(start) + i128::from(step) * at as i128;
            usize::try_from(place).unwrap_or(usize::MAX)
        };
        let outer = fold::places(&dims[..axis], &strides[..axis]);
        let own: Vec<usize> = (0..usize::try_from(count).unwrap_or(0)).map(|at| index(at) * strides[axis]).collect();
        let inner = fold::places(&dims[axis + 1..], &strides[axis + 1..]);
        let both = outer.iter().flat_map(|&from| own.iter().map(move |&at| from + at));
        both.flat_map(|from| inner.iter().map(move |&at| from + at)).collect()
    })
}

fn pick(call: &mut Call<'_>, name: &str, value: &Value, what: Picked) -> Result<Value, Refusal> {
    match value {
        Value::Constant(constant) => Ok(Value::constant(picked(constant, what))),
        Value::Act(act) if what.step < 0 && what.count > 1 => {
            any(call, name, act, what.axis, what.count).map(Value::Act)
        }
        Value::Act(act) => {
            let step = what.step.unsigned_abs().max(1);
            let stop = what.start.saturating_add((what.count.saturating_sub(1)).saturating_mul(step)).saturating_add(1);
            let stop = if step == 1 { what.start.saturating_add(what.count) } else { stop };
            call.steps.slice(name, act, what.axis, (what.start, stop, step)).map(Value::Act)
        }
        Value::Absent | Value::Unknown => Err(Refusal::Invalid("it needs an input".to_owned())),
    }
}

/// `count` entries along an axis that are not named.
fn any(call: &mut Call<'_>, name: &str, act: &Act, axis: usize, count: u64) -> Result<Act, Refusal> {
    let mut dims = act.dims.clone();
    dims[axis] = count;
    let Some(axis) = axis.checked_sub(usize::from(has_batch(&act.dims))) else {
        return Err(Refusal::Unknown("repeating the batch is not covered".to_owned()));
    };
    call.steps.wire(name, Op::Gather(Gather { axis: axis as u64, count }), &[act.step], dims)
}

fn slice(call: &mut Call<'_>) -> Outputs {
    let dims = call.dims(0)?;
    let starts = call.attribute_or_ints("starts", 1)?.unwrap_or_default();
    let ends = call.attribute_or_ints("ends", 2)?.unwrap_or_default();
    let axes = call.attribute_or_ints("axes", 3)?;
    let axes = axes.unwrap_or_else(|| (0..).take(starts.len()).collect());
    let steps = call.ints(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(Refusal::Invalid("starts, ends, axes and steps must be equally many".to_owned()));
    }
    let mut value = call.value(0).clone();
    for at in 0..starts.len() {
        let axis = axis(axes[at], dims.len())?;
        let what = range(axis, dims[axis], [starts[at], ends[at], steps[at]])?;
        let name = call.name.to_owned();
        value = pick(call, &name, &value, what)?;
    }
    Ok(vec![value])
}

/// The entries of an axis of length `side` from `start` up to `end` by `step`, clamped as ONNX says.
fn range(axis: usize, side: u64, [start, end, step]: [i64; 3]) -> Result<Picked, Refusal> {
    let length = i64::try_from(side).map_err(|_| Refusal::Invalid("a side passes 63 bits".to_owned()))?;
    let from_end = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
    let (start, end) = (from_end(start), from_end(end));
    let (start, count) = match step {
        0 => return Err(Refusal::Invalid("a step must not be 0".to_owned())),
        step if step > 0 => {
            let (start, end) = (start.clamp(0, length), end.clamp(0, length));
            (start, (end - start).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
        }
        step => {
            let (start, end) = (start.clamp(0, (length - 1).max(0)), end.clamp(-1, length - 1));
            (start, (start - end).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
        }
    };
    Ok(Picked { axis, start: start.unsigned_abs(), count, step })
}

fn split(call: &mut Call<'_>) -> Outputs {
    let dims = call.dims(0)?;
    let axis = call.axis("axis", 0, dims.len())?;
    let parts = call.node.output.len().max(1);
    let sizes = match call.attribute_or_ints("split", 1)?.filter(|sizes| !sizes.is_empty()) {
        Some(sizes) => unsigned("split", &sizes)?,
        None => {
            let each = dims[axis].div_ceil(parts as u64);
            (0..parts as u64).map(|part| each.min(dims[axis].saturating_sub(part.saturating_mul(each)))).collect()
        }
    };
    if sizes.len() != parts || sizes.iter().fold(0u64, |sum, &size| sum.saturating_add(size)) != dims[axis] {
        return Err(Refusal::Invalid(format!("{} cannot be split into {sizes:?} for {parts} outputs", dims[axis])));
    }
    let value = call.value(0).clone();
    let mut start = 0;
    let mut outputs = Vec::with_capacity(parts);
    for (part, count) in sizes.into_iter().enumerate() {
        let name = call.part(&format!("part{part}"));
        outputs.push(pick(call, &name, &value, Picked { axis, start, count, step: 1 })?);
        start += count;
    }
    Ok(outputs)
}

fn gather(call: &mut Call<'_>) -> Outputs {
    let dims = call.dims(0)?;
    let axis = call.axis("axis", 0, dims.len())?;
    let indices = match call.value(1).clone() {
        Value::Constant(indices) => indices,
        _ => return embedding(call, axis, &dims),
    };
    let out = [&dims[..axis], &indices.dims, &dims[axis + 1..]].concat();
    elements(&out)?;
    let side = i64::try_from(dims[axis]).unwrap_or(i64::MAX);
    let whole = |&index: &i64| if index < 0 { index.saturating_add(side) } else { index };
    let places: Option<Vec<i64>> = indices.as_ints().map(|indices| indices.iter().map(whole).collect());
    if places.as_ref().is_some_and(|places| places.iter().any(|place| !(0..side).contains(place))) {
        return Err(Refusal::Invalid(format!("an index lies outside of {side} entries")));
    }
    let name = call.name.to_owned();
    match (call.value(0).clone(), places) {
        (Value::Constant(constant), Some(places)) => {
            let gathered = gathered(&constant, axis, &places).reshaped(out);
            Ok(vec![Value::constant(gathered)])
        }
        (Value::Constant(constant), None) => {
            Ok(vec![Value::constant(Constant { dims: out, data: None, ..(*constant).clone() })])
        }
        (value, Some(places)) if runs(&places) => {
            let start = places.first().map_or(0, |place| place.unsigned_abs());
            let what = Picked { axis, start, count: places.len() as u64, step: 1 };
            match pick(call, &name, &value, what)? {
                Value::Act(act) => one(call.steps.reshape(&call.part("reshape"), &act, out)?),
                value => Ok(vec![value]),
            }
        }
        (_, _) => {
            let act = call.act(0)?;
            let act = any(call, &name, &act, axis, indices.count())?;
            one(call.steps.reshape(&call.part("reshape"), &act, out)?)
        }
    }
}

/// Whether each is one more than that before it.
fn runs(places: &[i64]) -> bool {
    places.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

fn gathered(constant: &Constant, axis: usize, places: &[i64]) -> Constant {
    let strides = fold::strides(&constant.dims);
    let mut dims = constant.dims.clone();
    dims[axis] = places.len() as u64;
    let own: Vec<usize> = places.iter().map(|&place| usize::try_from(place).unwrap_or(0) * strides[axis]).collect();
    constant.picked(dims.clone(), || {
        let outer = fold::places(&dims[..axis], &strides[..axis]);
        let inner = fold::places(&dims[axis + 1..], &strides[axis + 1..]);
        let both = outer.iter().flat_map(|&from| own.iter().map(move |&at| from + at));
        both.flat_map(|from| inner.iter().map(move |&at| from + at)).collect()
    })
}

/// Gather whose indices are computed: rows of a learned table.
fn embedding(call: &mut Call<'_>, axis: usize, dims: &[u64]) -> Outputs {
    let ([entries, features], 0, Value::Constant(table)) = (dims, axis, call.value(0).clone()) else {
        return Err(Refusal::Unknown("its indices depend on the values of the input".to_owned()));
    };
    if !table.learned {
        return Err(Refusal::Unknown("its indices depend on the values of the input".to_owned()));
    }
    let indices = call.act(1)?;
    let op = Op::Embedding(crate::network::Embedding { entries: *entries, features: *features });
    let out = [indices.dims.as_slice(), &[*features]].concat();
    one(call.wire(op, &[indices.step], out)?)
}

fn concat(call: &mut Call<'_>) -> Outputs {
    let all: Vec<Vec<u64>> = (0..call.inputs.len()).map(|at| call.dims(at)).collect::<Result<_, _>>()?;
    let Some(first) = all.first() else { return Err(Refusal::Invalid("it needs an input".to_owned())) };
    let axis = call.axis("axis", 1, first.len())?;
    let fits =
        |dims: &Vec<u64>| dims.len() == first.len() && (0..dims.len()).all(|at| at == axis || dims[at] == first[at]);
    if !all.iter().all(fits) {
        return Err(Refusal::Invalid(format!("inputs must be equal but along axis {axis}, got {all:?}")));
    }
    let mut out = first.clone();
    out[axis] = all.iter().fold(0u64, |sum, dims| sum.saturating_add(dims[axis]));
    elements(&out)?;
    if super::all_constant(call) {
        return Ok(vec![Value::constant(joined(call, axis, out))]);
    }
    // What holds nothing, such as an empty cache, adds nothing.
    let acts: Vec<Act> =
        (0..call.inputs.len()).filter(|&at| all[at][axis] > 0).map(|at| call.act(at)).collect::<Result<_, _>>()?;
    if let [only] = acts.as_slice() {
        return one(only.clone());
    }
    let batch = has_batch(&out);
    let Some(image_axis) = axis.checked_sub(usize::from(batch)) else {
        return Err(Refusal::Unknown("joining images to one batch is not covered".to_owned()));
    };
    let mut steps = Vec::with_capacity(acts.len());
    for act in &acts {
        // A first side of 1 that is no batch, since the output's first side is longer, stays.
        let sides = if batch { image(&act.dims) } else { act.dims.clone() };
        steps.push(call.steps.shaped(&call.part("reshape"), act.step, &sides)?);
    }
    one(call.wire(Op::Concat { axis: image_axis as u64 }, &steps, out)?)
}

/// Constants one behind the other.
fn joined(call: &Call<'_>, axis: usize, out: Vec<u64>) -> Constant {
    use super::super::constant::Data;
    let constants: Vec<_> = (0..call.inputs.len()).filter_map(|at| call.constant(at)).collect();
    let name = call.node.output.first().cloned().unwrap_or_default();
    let learned = constants.iter().any(|constant| constant.learned);
    let ints: Option<Vec<&[i64]>> = constants.iter().map(|constant| constant.as_ints()).collect();
    // Only what shapes are made of: one dimension.
    let data = ints.filter(|_| axis == 0 && out.len() == 1).map(|all| Data::Ints(all.concat()));
    Constant { dims: out, data, learned, name }
}

fn expand(call: &mut Call<'_>) -> Outputs {
    let dims = call.dims(0)?;
    let wanted = unsigned("a shape", &call.ints(1, "shape")?.unwrap_or_default())?;
    let out = fold::broadcast_dims(&[&dims, &wanted])?;
    elements(&out)?;
    match call.value(0).clone() {
        Value::Constant(constant) => {
            Ok(vec![Value::constant(constant.picked(out.clone(), || fold::broadcast(&dims, &out)))])
        }
        _ => {
            let act = call.act(0)?;
            if out.iter().product::<u64>() == dims.iter().product::<u64>() {
                return one(call.steps.reshape(call.name, &act, out)?);
            }
            let target = image(&out);
            let padded = [vec![1; out.len() - dims.len()], dims].concat();
            let sides = if has_batch(&out) { image(&padded) } else { padded };
            let step = call.steps.shaped(&call.part("reshape"), act.step, &sides)?;
            one(call.wire(Op::Expand { shape: target }, &[step], out)?)
        }
    }
}

fn tile(call: &mut Call<'_>) -> Outputs {
    let dims = call.dims(0)?;
    let repeats = unsigned("repeats", &call.ints(1, "repeats")?.unwrap_or_default())?;
    if repeats.len() != dims.len() {
        return Err(Refusal::Invalid(format!("repeats must have {} numbers, got {repeats:?}", dims.len())));
    }
    let out: Vec<u64> = dims.iter().zip(&repeats).map(|(&side, &times)| side.saturating_mul(times)).collect();
    elements(&out)?;
    if let Value::Constant(constant) = call.value(0) {
        return Ok(vec![Value::constant(Constant { dims: out, data: None, ..(**constant).clone() })]);
    }
    let mut act = call.act(0)?;
    for axis in (0..dims.len()).filter(|&axis| repeats[axis] != 1) {
        let name = call.name.to_owned();
        act = any(call, &name, &act, axis, out[axis])?;
    }
    one(act)
}

/// DepthToSpace and SpaceToDepth: blocks of a map as channels.
fn depth(call: &mut Call<'_>, to_space: bool) -> Outputs {
    let act = call.act(0)?;
    let block = u64::try_from(call.int("blocksize", 0)).unwrap_or(0);
    let &[batch, channels, height, width] = act.dims.as_slice() else {
        return Err(Refusal::Invalid(format!("it needs a map, got {:?}", act.dims)));
    };
    let refuse = || Refusal::Invalid(format!("blocks of {block} do not fit {:?}", act.dims));
    let square = block.checked_mul(block).filter(|&square| square > 0).ok_or_else(refuse)?;
    let (split, order, out) = if to_space {
        if channels % square != 0 {
            return Err(refuse());
        }
        let inner = channels / square;
        let out = vec![batch, inner, height.saturating_mul(block), width.saturating_mul(block)];
        if call.text("mode").as_deref() == Some("CRD") {
            (vec![batch, inner, block, block, height, width], [0, 1, 4, 2, 5, 3], out)
        } else {
            (vec![batch, block, block, inner, height, width], [0, 3, 4, 1, 5, 2], out)
        }
    } else {
        if height % block != 0 || width % block != 0 {
            return Err(refuse());
        }
        let (rows, cols) = (height / block, width / block);
        let out = vec![batch, channels.saturating_mul(square), rows, cols];
        (vec![batch, channels, rows, block, cols, block], [0, 3, 5, 1, 2, 4], out)
    };
    let split = call.steps.reshape(&call.part("reshape"), &act, split)?;
    let turned = call.steps.transpose(call.name, &split, &order)?;
    one(call.steps.reshape(&call.part("reshape"), &turned, out)?)
}
