//! What nodes compute with shapes, and what leaves its input as it is.

use super::super::call::{Call, Outputs, Value};
use super::super::constant::{Constant, Data, elements, is_small};
use super::super::proto::data_type;
use super::super::steps::Refusal;
use super::fold;

/// Values of the longest range that is followed.
const LONGEST_RANGE: f64 = 1e9;

/// Identity, Dropout, Cast and their kin: the first output is the input.
pub(super) fn unchanged(call: &mut Call<'_>, operator: &str) -> Outputs {
    let value = match (call.value(0).clone(), operator) {
        (Value::Absent, _) => return Err(Refusal::Invalid("it needs an input".to_owned())),
        (Value::Constant(constant), "Cast") => Value::constant(cast(&constant, call.int("to", 0))),
        (value, _) => value,
    };
    let mut outputs = vec![value];
    // The others are masks, scales or zero points, which nothing else than a node of their own kind reads.
    outputs.resize(call.node.output.len().max(1), Value::Unknown);
    Ok(outputs)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast to whole numbers cuts what is behind the point, as ONNX does"
)]
fn cast(constant: &Constant, to: i64) -> Constant {
    let floating = [data_type::FLOAT, data_type::DOUBLE, 10, 16].map(i64::from).contains(&to);
    let data = match &constant.data {
        Some(Data::Ints(values)) if floating => {
            #[expect(clippy::cast_precision_loss, reason = "sizes are small numbers")]
            let floats = values.iter().map(|&value| value as f64).collect();
            Some(Data::Floats(floats))
        }
        Some(Data::Floats(values)) if !floating => Some(Data::Ints(
            values
                .iter()
                .map(|&value| if to == i64::from(data_type::BOOL) { i64::from(value != 0.0) } else { value as i64 })
                .collect(),
        )),
        data => data.clone(),
    };
    Constant { data, ..constant.clone() }
}

/// Shape, Size, ConstantOfShape, Range, NonZero.
pub(super) fn lower(call: &mut Call<'_>, operator: &str) -> Outputs {
    let name = call.node.output.first().cloned().unwrap_or_default();
    let constant = match operator {
        "Shape" => shape(call, &name)?,
        "Size" => {
            let count = elements(&call.dims(0)?)?;
            let count = i64::try_from(count).map_err(|_| Refusal::Invalid("its size passes 63 bits".to_owned()))?;
            Constant::ints(vec![count], &name).reshaped(Vec::new())
        }
        "ConstantOfShape" => filled(call, &name)?,
        "Range" => range(call, &name)?,
        _ => non_zero(call, &name)?,
    };
    Ok(vec![Value::constant(constant)])
}

fn shape(call: &Call<'_>, name: &str) -> Result<Constant, Refusal> {
    let dims = call.dims(0)?;
    let sides: Result<Vec<i64>, _> = dims.iter().map(|&side| i64::try_from(side)).collect();
    let sides = sides.map_err(|_| Refusal::Invalid("a side passes 63 bits".to_owned()))?;
    let rank = i64::try_from(sides.len()).unwrap_or(i64::MAX);
    let place = |attribute: &str, default: i64| {
        let at = call.int(attribute, default);
        usize::try_from(if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank)).unwrap_or(0)
    };
    let (start, end) = (place("start", 0), place("end", rank));
    Ok(Constant::ints(sides.get(start..end).unwrap_or_default().to_vec(), name))
}

fn filled(call: &Call<'_>, name: &str) -> Result<Constant, Refusal> {
    let sides = call.ints(0, "shape")?.unwrap_or_default();
    let dims = super::super::call::unsigned("a shape", &sides)?;
    let count = elements(&dims)?;
    let value = match call.attribute("value").and_then(|attribute| attribute.t.as_ref()) {
        Some(tensor) => Constant::of(tensor, name)?.data,
        None => Some(Data::Floats(vec![0.0])),
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let data = value.filter(|_| is_small(&dims)).and_then(|value| match value {
        Data::Ints(values) => Some(Data::Ints(vec![*values.first()?; count])),
        Data::Floats(values) => Some(Data::Floats(vec![*values.first()?; count])),
    });
    Ok(Constant { dims, data, learned: false, name: name.to_owned() })
}

fn range(call: &Call<'_>, name: &str) -> Result<Constant, Refusal> {
    let floats = |at: usize| call.floats(at, "bound").map(|values| values.and_then(|values| values.first().copied()));
    let (start, limit, delta) = (floats(0)?, floats(1)?, floats(2)?);
    let (Some(start), Some(limit), Some(delta)) = (start, limit, delta) else {
        return Err(Refusal::Invalid("it needs a start, a limit and a step".to_owned()));
    };
    let count = ((limit - start) / delta).ceil().max(0.0);
    if !(0.0..=LONGEST_RANGE).contains(&count) {
        return Err(Refusal::Unknown(format!("a range from {start} to {limit} by {delta} is too long to follow")));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be small")]
    let count = count as u32;
    let dims = vec![u64::from(count)];
    let steps = (0..if is_small(&dims) { count } else { 0 }).map(|step| start + f64::from(step) * delta);
    let whole = call.inputs.iter().all(|value| matches!(value, Value::Constant(c) if c.as_ints().is_some()));
    #[expect(clippy::cast_possible_truncation, reason = "sums of whole numbers")]
    let data =
        if whole { Data::Ints(steps.map(|value| value as i64).collect()) } else { Data::Floats(steps.collect()) };
    let data = Some(data).filter(|_| is_small(&dims));
    Ok(Constant { dims, data, learned: false, name: name.to_owned() })
}

/// Places of values other than 0, `[rank, count]`.
fn non_zero(call: &Call<'_>, name: &str) -> Result<Constant, Refusal> {
    let dims = call.dims(0)?;
    let values = call.floats(0, "values")?.unwrap_or_default();
    let found: Vec<usize> = (0..values.len()).filter(|&at| values[at] != 0.0).collect();
    let strides = fold::strides(&dims);
    let place = |axis: usize, at: usize| (at / strides[axis]) % usize::try_from(dims[axis]).unwrap_or(usize::MAX);
    let places = (0..dims.len()).flat_map(|axis| found.iter().map(move |&at| (axis, at)));
    let places: Vec<i64> = places.map(|(axis, at)| i64::try_from(place(axis, at)).unwrap_or(i64::MAX)).collect();
    Ok(Constant::ints(places, name).reshaped(vec![dims.len() as u64, found.len() as u64]))
}
