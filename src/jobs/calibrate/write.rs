//! The calibrated accelerator file: the text that was there, with another `calibration` block.

use std::collections::BTreeMap;

use crate::accel::{Accelerator, CalibrationFile};
use crate::load;

/// Why a calibration does not go into a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the accelerator file is written in a way that takes no further block (write its keys one a line); with the \
     calibration it reads: {reason}"
)]
pub struct WriteError {
    reason: String,
}

/// `text` without its `calibration` block, and with this one behind; what is read from it is `meant`.
pub(super) fn calibrated(text: &str, calibration: &CalibrationFile, meant: &Accelerator) -> Result<String, WriteError> {
    let mut file = without_block(text);
    if !file.is_empty() && !file.ends_with('\n') {
        file.push('\n');
    }
    file.push_str("# by `systole calibrate`: docs/calibration.md says what the numbers are\n");
    file.push_str(&load::to_yaml(&BTreeMap::from([("calibration", calibration)])));
    match Accelerator::parse(&file, "calibrated") {
        Ok(read) if read == *meant => Ok(file),
        Ok(_) => Err(WriteError { reason: "another accelerator".to_owned() }),
        Err(error) => Err(WriteError { reason: error.to_string() }),
    }
}

/// The lines of `text` but those of its top-level key `calibration`, and the comment that was written above it.
fn without_block(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("calibration:") {
            inside = true;
        } else if inside && line.starts_with(|c: char| !c.is_whitespace()) {
            inside = false;
        }
        if !inside && !line.starts_with("# by `systole calibrate`") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}
