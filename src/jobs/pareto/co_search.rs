//! Arrays that an accelerator may have in the place of its own.

use std::str::FromStr;

use crate::accel::{Accelerator, Array, BadArray};

/// Which arrays are tried; the number of arrays, the clock, the memories and all else stay the accelerator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoSearch {
    /// These, rows and columns.
    Shapes(Vec<[u64; 2]>),
    /// All whose sides are powers of two with so many PEs an array.
    Pes(u64),
    /// All whose sides are powers of two with as many PEs as the accelerator's own.
    Same,
}

/// Why there are no such arrays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoSearchError {
    /// No such form.
    #[error("must be ROWSxCOLS,ROWSxCOLS,..., a number of PEs, or same, got `{0}`")]
    Form(String),
    /// A shape twice.
    #[error("{0}x{1} is there twice")]
    Twice(u64, u64),
    /// A side that is not covered.
    #[error("--co-search on `{accelerator}`: {source}")]
    Array {
        /// The accelerator.
        accelerator: String,
        /// The side.
        source: BadArray,
    },
    /// No sides that are powers of two.
    #[error(
        "--co-search on `{accelerator}`: sides that are powers of two have a power of two of PEs, got {pes}; \
         give the shapes as ROWSxCOLS,..."
    )]
    Pes {
        /// The accelerator.
        accelerator: String,
        /// PEs of an array.
        pes: u64,
    },
    /// Times that were measured on one array.
    #[error(
        "--co-search on `{0}`: it is calibrated, to times that were measured with its own array; \
         give its file without the calibration"
    )]
    Calibrated(String),
}

impl FromStr for CoSearch {
    type Err = CoSearchError;

    fn from_str(text: &str) -> Result<Self, CoSearchError> {
        let form = || CoSearchError::Form(text.to_owned());
        let number = |text: &str| text.trim().parse().ok().filter(|number: &u64| *number > 0).ok_or_else(form);
        if text.trim() == "same" {
            return Ok(Self::Same);
        }
        if !text.contains(['x', 'X', ',']) {
            return Ok(Self::Pes(number(text)?));
        }
        let mut shapes = Vec::new();
        for part in text.split(',') {
            let (rows, cols) = part.split_once(['x', 'X']).ok_or_else(form)?;
            let shape = [number(rows)?, number(cols)?];
            if shapes.contains(&shape) {
                return Err(CoSearchError::Twice(shape[0], shape[1]));
            }
            shapes.push(shape);
        }
        Ok(Self::Shapes(shapes))
    }
}

impl CoSearch {
    /// The arrays that `accelerator` may have, at least one.
    ///
    /// # Errors
    /// [`CoSearchError`] where it is calibrated, a side is not covered, or no sides have that many PEs.
    pub fn arrays(&self, accelerator: &Accelerator) -> Result<Vec<Array>, CoSearchError> {
        let name = || accelerator.name.clone();
        if accelerator.calibration.is_some() {
            return Err(CoSearchError::Calibrated(name()));
        }
        let Array { rows, cols, count } = accelerator.array;
        let shapes = match self {
            Self::Shapes(shapes) => shapes.clone(),
            Self::Pes(pes) => powers_of_two(*pes),
            Self::Same => powers_of_two(rows * cols),
        };
        if shapes.is_empty() {
            let pes = if let Self::Pes(pes) = self { *pes } else { rows * cols };
            return Err(CoSearchError::Pes { accelerator: name(), pes });
        }
        let arrays = shapes.into_iter().map(|[rows, cols]| Array { rows, cols, count });
        let checked = arrays.map(|array| array.check().map(|()| array));
        checked.collect::<Result<_, _>>().map_err(|source| CoSearchError::Array { accelerator: name(), source })
    }
}

/// Sides that are powers of two, within [`Array::MAX_SIDE`], whose product is `pes`; few rows first.
fn powers_of_two(pes: u64) -> Vec<[u64; 2]> {
    if !pes.is_power_of_two() {
        return Vec::new();
    }
    let all = (0..=pes.ilog2()).map(|power| [1 << power, pes >> power]);
    all.filter(|sides| sides.iter().all(|side| *side <= Array::MAX_SIDE)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays(text: &str, accelerator: &str) -> Result<Vec<[u64; 2]>, String> {
        let co_search: CoSearch = text.parse().map_err(|error: CoSearchError| error.to_string())?;
        let arrays = co_search.arrays(&Accelerator::named_or_path(accelerator).unwrap());
        Ok(arrays.map_err(|error| error.to_string())?.iter().map(|array| [array.rows, array.cols]).collect())
    }

    #[test]
    fn arrays_are_listed_or_counted() {
        assert_eq!(arrays("128x128, 64x256", "small-32x32").unwrap(), [[128, 128], [64, 256]]);
        assert_eq!(arrays("4", "small-32x32").unwrap(), [[1, 4], [2, 2], [4, 1]]);
        // 32 * 32 = 2^10: 11 shapes from 1x1024 to 1024x1
        let same = arrays("same", "small-32x32").unwrap();
        assert_eq!((same.len(), same[5], same[10]), (11, [32, 32], [1024, 1]));
        // 256 * 256 = 2^16: sides of 2^0 to 2^16
        assert_eq!(arrays("same", "tpu-v1").unwrap().len(), 17);
        // 2^18: neither side above 2^16
        assert_eq!(arrays("262144", "tpu-v1").unwrap()[0], [4, 65_536]);
    }

    #[test]
    fn the_number_of_arrays_stays() {
        let accelerator = Accelerator::named_or_path("tpu-v4").unwrap();
        let arrays = CoSearch::Shapes(vec![[64, 256]]).arrays(&accelerator).unwrap();
        assert_eq!(arrays, [Array { rows: 64, cols: 256, count: 4 }]);
    }

    #[test]
    fn arrays_that_cannot_be_are_refused() {
        for text in ["", "x", "128x", "128x128,", "0x4", "-1x4", "4x4x4", "same,4x4"] {
            let wanted = format!("must be ROWSxCOLS,ROWSxCOLS,..., a number of PEs, or same, got `{text}`");
            assert_eq!(arrays(text, "small-32x32").unwrap_err(), wanted);
        }
        assert_eq!(arrays("4x4,8x2,4x4", "small-32x32").unwrap_err(), "4x4 is there twice");
        let wanted = "--co-search on `small-32x32`: cols: must be from 1 to 65536, got 65537";
        assert_eq!(arrays("1x65537", "small-32x32").unwrap_err(), wanted);
        assert!(arrays("100", "small-32x32").unwrap_err().contains("a power of two of PEs, got 100"));
    }
}
