//! Values that do not depend on the network's input: weights, of which only the shape is known, and small tensors.

use super::proto::{TensorProto, data_type};

/// Folded tensors up to this many values keep them; larger ones keep their shape alone.
const MAX_VALUES: u64 = 1 << 12;

/// Values of a small tensor; booleans are 0 and 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
}

/// A tensor that does not depend on the network's input.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    pub(super) dims: Vec<u64>,
    /// Nothing where it is large, or where it was computed of such.
    pub(super) data: Option<Data>,
    /// Whether training made it: a tensor of floating-point numbers that the file stores.
    pub(super) learned: bool,
    /// The name of the value in the file.
    pub(super) name: String,
}

impl Constant {
    /// The tensor of the file, which stores it as an initialiser or as the value of a node.
    pub(super) fn of(tensor: &TensorProto, name: &str) -> Result<Self, String> {
        let dims: Result<Vec<u64>, _> = tensor.dims.iter().map(|&side| u64::try_from(side)).collect();
        let dims = dims.map_err(|_| format!("a tensor's sides must be at least 0, got {:?}", tensor.dims))?;
        let count = elements(&dims)?;
        let data = if count <= MAX_VALUES { values(tensor, count) } else { None };
        let floating = is_floating(tensor.data_type.unwrap_or(0));
        Ok(Self { dims, data, learned: floating && count > 1, name: name.to_owned() })
    }

    /// Whole numbers in one dimension.
    pub(super) fn ints(values: Vec<i64>, name: &str) -> Self {
        let dims = vec![values.len() as u64];
        Self { dims, data: Some(Data::Ints(values)), learned: false, name: name.to_owned() }
    }

    /// Number of values.
    pub(super) fn count(&self) -> u64 {
        self.dims.iter().product()
    }

    /// This tensor under another name or shape, its values those at the places `places` gives, where they are known.
    pub(super) fn picked(&self, dims: Vec<u64>, places: impl FnOnce() -> Vec<usize>) -> Self {
        let known = self.data.as_ref().filter(|_| dims.iter().product::<u64>() <= MAX_VALUES);
        let data = known.map(|data| {
            let places = places();
            match data {
                Data::Ints(values) => Data::Ints(places.into_iter().map(|place| values[place]).collect()),
                Data::Floats(values) => Data::Floats(places.into_iter().map(|place| values[place]).collect()),
            }
        });
        Self { dims, data, learned: self.learned, name: self.name.clone() }
    }

    /// The same values under other dimensions.
    pub(super) fn reshaped(&self, dims: Vec<u64>) -> Self {
        Self { dims, ..self.clone() }
    }

    /// Its whole numbers, where they are known.
    pub(super) fn as_ints(&self) -> Option<&[i64]> {
        match &self.data {
            Some(Data::Ints(values)) => Some(values),
            Some(Data::Floats(_)) | None => None,
        }
    }

    /// Its values as floating-point numbers, where they are known.
    pub(super) fn as_floats(&self) -> Option<Vec<f64>> {
        match self.data.as_ref()? {
            #[expect(clippy::cast_precision_loss, reason = "scales and bounds are small numbers")]
            Data::Ints(values) => Some(values.iter().map(|&value| value as f64).collect()),
            Data::Floats(values) => Some(values.clone()),
        }
    }
}

/// Product of the sides.
pub(super) fn elements(dims: &[u64]) -> Result<u64, String> {
    let product = dims.iter().try_fold(1u64, |product, &side| product.checked_mul(side));
    product.ok_or_else(|| format!("a tensor of {dims:?} holds more values than a 64-bit number counts"))
}

/// Whether a folded tensor of these sides keeps its values.
pub(super) fn is_small(dims: &[u64]) -> bool {
    elements(dims).is_ok_and(|count| count <= MAX_VALUES)
}

fn is_floating(data_type: i32) -> bool {
    use data_type::{BOOL, INT16, INT32, INT64, STRING, UINT8, UINT16, UINT32, UINT64};
    !matches!(data_type, 0 | UINT8 | UINT16 | INT16 | INT32 | INT64 | STRING | BOOL | UINT32 | UINT64)
}

/// The values, where the message holds as many as it should and in a type that is computed with.
fn values(tensor: &TensorProto, count: u64) -> Option<Data> {
    let raw = tensor.raw_data.as_deref().unwrap_or_default();
    let narrow = || tensor.int32_data.iter().map(|&value| i64::from(value)).collect::<Vec<_>>();
    let data = match tensor.data_type? {
        data_type::FLOAT if !raw.is_empty() => Data::Floats(raw_values(raw, |b| f64::from(f32::from_le_bytes(b)))),
        data_type::FLOAT => Data::Floats(tensor.float_data.iter().map(|&value| f64::from(value)).collect()),
        data_type::DOUBLE if !raw.is_empty() => Data::Floats(raw_values(raw, f64::from_le_bytes)),
        data_type::DOUBLE => Data::Floats(tensor.double_data.clone()),
        data_type::INT64 if !raw.is_empty() => Data::Ints(raw_values(raw, i64::from_le_bytes)),
        data_type::INT64 => Data::Ints(tensor.int64_data.clone()),
        data_type::INT32 if !raw.is_empty() => Data::Ints(raw_values(raw, |b| i64::from(i32::from_le_bytes(b)))),
        data_type::UINT8 | data_type::BOOL if !raw.is_empty() => {
            Data::Ints(raw.iter().map(|&value| i64::from(value)).collect())
        }
        data_type::INT8 if !raw.is_empty() => Data::Ints(raw_values(raw, |b: [u8; 1]| i64::from(b[0].cast_signed()))),
        data_type::INT32 | data_type::UINT8 | data_type::BOOL | data_type::INT8 => Data::Ints(narrow()),
        _ => return None,
    };
    let given = match &data {
        Data::Ints(values) => values.len(),
        Data::Floats(values) => values.len(),
    };
    (given as u64 == count).then_some(data)
}

fn raw_values<const N: usize, T>(raw: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.chunks_exact(N).map(|chunk| value(chunk.try_into().expect("chunks of N bytes"))).collect()
}
