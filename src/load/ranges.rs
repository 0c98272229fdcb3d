//! Numbers of a text that must lie in a range.

use super::{LoadError, Place, Spanned};

/// What holds numbers of a text against their ranges.
#[derive(Debug, Clone, Copy)]
pub struct Ranges<'a> {
    /// The file, or what stands for it, in errors.
    pub origin: &'a str,
}

impl Ranges<'_> {
    /// The number, which must lie in `least..=most`; not a number lies in no range.
    ///
    /// # Errors
    /// [`LoadError::Parse`] with its place.
    pub fn number(&self, name: &str, value: &Spanned<f64>, least: f64, most: f64) -> Result<f64, LoadError> {
        if (least..=most).contains(&value.value) {
            return Ok(value.value);
        }
        let reason = format!("{name} must lie in {least}..={most}, got {}", value.value);
        Err(Place::of(value).reject(self.origin, reason))
    }

    /// The whole number, which must lie in `least..=most`.
    ///
    /// # Errors
    /// [`LoadError::Parse`] with its place.
    pub fn whole(&self, name: &str, value: &Spanned<u64>, least: u32, most: u32) -> Result<u32, LoadError> {
        match u32::try_from(value.value) {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => {
                let reason = format!("{name} must lie in {least}..={most}, got {}", value.value);
                Err(Place::of(value).reject(self.origin, reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{parse, unplaced};

    #[test]
    fn the_ends_of_a_range_lie_in_it_and_what_is_no_number_does_not() {
        let ranges = Ranges { origin: "a.yaml" };
        for end in [0.5, 2.0] {
            assert_eq!(ranges.number("rate", &unplaced(end), 0.5, 2.0).unwrap(), end);
        }
        for bad in [0.4, 2.1, f64::NAN, f64::INFINITY] {
            let message = ranges.number("rate", &unplaced(bad), 0.5, 2.0).unwrap_err().to_string();
            assert_eq!(message, format!("a.yaml: rate must lie in 0.5..=2, got {bad}"));
        }
        for end in [1, 9] {
            assert_eq!(u64::from(ranges.whole("steps", &unplaced(end), 1, 9).unwrap()), end);
        }
    }

    #[test]
    fn a_number_out_of_range_is_named_with_its_place() {
        let steps: Vec<Spanned<u64>> = parse("[3, 18446744073709551615]", "a.yaml").unwrap();
        let message = Ranges { origin: "a.yaml" }.whole("steps", &steps[1], 1, 9).unwrap_err().to_string();
        assert_eq!(message, "a.yaml:1:5: steps must lie in 1..=9, got 18446744073709551615");
    }
}
