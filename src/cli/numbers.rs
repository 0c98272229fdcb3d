//! Numbers for people to read.

/// From here on counts are shortened.
const LONG: u64 = 1_000_000;

/// A whole number, its digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// As [`grouped`] below a million, else four digits and M, G, T, P or E.
pub(super) fn short(number: u64) -> String {
    if number < LONG {
        return grouped(number);
    }
    let mut value = number as f64 / 1e6;
    let mut units = ["M", "G", "T", "P", "E"].into_iter().peekable();
    while value >= 999.95 && units.len() > 1 {
        value /= 1e3;
        units.next();
    }
    format!("{}{}", digits(value, 4), units.next().unwrap_or_default())
}

/// `value` with `count` significant digits, zeros at the end left out, never in scientific form from 1e-4 to 1e15.
pub(super) fn digits(value: f64, count: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !value.is_finite() || !(-4.0..15.0).contains(&magnitude) {
        let text = format!("{value:.*e}", count.saturating_sub(1));
        return match text.split_once('e') {
            Some((mantissa, exponent)) => format!("{}e{exponent}", without_zeros(mantissa)),
            None => text,
        };
    }
    #[expect(clippy::cast_possible_truncation, reason = "from -4 to 15")]
    let magnitude = magnitude as isize;
    let decimals = usize::try_from(count.cast_signed() - 1 - magnitude).unwrap_or(0);
    without_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// A fraction as a percentage with one decimal; `-` for nothing.
pub(super) fn percent(fraction: Option<f64>) -> String {
    fraction.map_or("-".to_owned(), |fraction| format!("{:.1}%", 100.0 * fraction))
}

/// A measure: whole and grouped from a thousand on, else four digits.
pub(super) fn measure(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "from 1e3 to 1e15, rounded")]
    let whole = || grouped(value.round() as u64);
    if (1e3..1e15).contains(&value) { whole() } else { digits(value, 4) }
}

/// Bytes in KiB of 1024 bytes.
pub(super) fn kib(bytes: u64) -> String {
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}

/// A power of ten as `1.2e9`.
pub(super) fn power_of_ten(log10: f64) -> String {
    let mut exponent = log10.floor();
    let mut mantissa = 10f64.powf(log10 - exponent);
    if mantissa >= 9.95 {
        mantissa /= 10.0;
        exponent += 1.0;
    }
    format!("{mantissa:.1}e{exponent}")
}

/// `1 run` or `2,000 runs`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_thing_is_not_several() {
        assert_eq!([0, 1, 2000].map(|count| counted(count, "run")), ["0 runs", "1 run", "2,000 runs"]);
    }

    #[test]
    fn counts_are_grouped_and_shortened() {
        assert_eq!(["0", "999", "1,000", "999,999"], [0, 999, 1000, 999_999].map(short).each_ref().map(|s| &**s));
        assert_eq!(short(1_000_000), "1M");
        assert_eq!(short(118_013_952), "118M");
        assert_eq!(short(1_849_688_064), "1.85G");
        assert_eq!(short(999_960_000), "1G");
        assert_eq!(short(u64::MAX), "18.45E");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn digits_count_from_the_first_that_is_not_nought() {
        assert_eq!(digits(0.012_345_6, 4), "0.01235");
        assert_eq!(digits(123_456.0, 4), "123456");
        assert_eq!(digits(2.5, 4), "2.5");
        assert_eq!(digits(100.0, 4), "100");
        assert_eq!(digits(1e-7, 4), "1e-7");
        assert_eq!(digits(f64::INFINITY, 4), "inf");
    }

    #[test]
    fn huge_spaces_are_powers_of_ten() {
        assert_eq!(power_of_ten(9.079_181_246), "1.2e9");
        assert_eq!(power_of_ten(11.999), "1.0e12");
    }
}
