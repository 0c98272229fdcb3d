//! From values to places on an axis, and the round numbers along it.

use super::canvas::{Size, text_width};

/// How far an axis goes beyond its values, as a part of their range.
const MARGIN: f64 = 0.06;

/// A label with more letters than this is written with a power of ten.
const LONGEST_LABEL: f64 = 6.0;

/// More ticks than any axis has; also the end where numbers are too large to count on by one.
const MOST_TICKS: usize = 1000;

/// Values from `low` to `high` along a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
    form: Form,
    /// Room that labels have at least, pixels.
    room: f64,
}

/// How numbers stand beside their ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Each with the digits that it needs.
    Plain,
    /// With so many digits after the point.
    Fixed(usize),
    /// As a power of ten times a number with so many digits after the point.
    Power(usize),
}

impl Form {
    /// The shortest form that tells multiples of `step` from `low` to `high` apart.
    fn of(low: f64, high: f64, step: f64) -> Self {
        let magnitude = low.abs().max(high.abs()).max(f64::MIN_POSITIVE).log10().floor();
        let after = decimals(step);
        let letters = magnitude.max(0.0) + 1.0 + if after > 0 { 1.0 + after as f64 } else { 0.0 };
        if letters <= LONGEST_LABEL { Self::Fixed(after) } else { Self::Power(decimals(step / 10f64.powf(magnitude))) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
}

impl Axis {
    /// An axis with a margin around `values`; about `ticks` round numbers.
    pub(super) fn around(values: impl Iterator<Item = f64>, ticks: usize) -> Self {
        let (low, high) = range(values);
        let lone = if high == 0.0 { 1.0 } else { 0.1 * high.abs() };
        let margin = if high > low { MARGIN * (high - low) } else { lone };
        Self::between(low - margin, high + margin, ticks)
    }

    /// As [`Axis::around`], logarithmic where all values are above 0 and span more than a decade.
    pub(super) fn around_log(values: impl Iterator<Item = f64> + Clone, ticks: usize) -> Self {
        let (low, high) = range(values.clone());
        if low <= 0.0 || high <= 10.0 * low {
            return Self::around(values, ticks);
        }
        let margin = (high / low).powf(MARGIN);
        let (low, high) = (low / margin, high * margin);
        Self { scale: Scale::Log, low, high, ticks: log_ticks(low, high, ticks), form: Form::Plain, room: 0.0 }
    }

    /// A logarithmic axis around `values`, all above 0, of a decade at least.
    pub(super) fn log(values: impl Iterator<Item = f64>, ticks: usize) -> Self {
        let (low, high) = range(values.filter(|value| *value > 0.0));
        let (low, high) = if low > 0.0 { (low, high) } else { (high, high) };
        let widen = (10.0 * low / high).max(1.0).sqrt();
        let (low, high) = (low / widen, high * widen);
        let margin = (high / low).powf(MARGIN);
        let (low, high) = (low / margin, high * margin);
        Self { scale: Scale::Log, low, high, ticks: log_ticks(low, high, ticks), form: Form::Plain, room: 0.0 }
    }

    /// A linear axis from `low` to `high`.
    pub(super) fn between(low: f64, high: f64, ticks: usize) -> Self {
        let step = round_step((high - low) / ticks.max(1) as f64);
        Self {
            scale: Scale::Linear,
            low,
            high,
            ticks: multiples(low, high, step),
            form: Form::of(low, high, step),
            room: 0.0,
        }
    }

    /// A linear axis from `low` to `high` in whole numbers, as epochs are.
    pub(super) fn whole(low: f64, high: f64, ticks: usize) -> Self {
        let step = round_step((high - low) / ticks.max(1) as f64).max(1.0);
        Self { scale: Scale::Linear, low, high, ticks: multiples(low, high, step), form: Form::Fixed(0), room: 0.0 }
    }

    /// A linear axis from 0 to `high` without ticks.
    pub(super) fn blank(high: f64) -> Self {
        Self { scale: Scale::Linear, low: 0.0, high, ticks: Vec::new(), form: Form::Plain, room: 0.0 }
    }

    /// A linear axis from 0 to `high` with ticks at multiples of `step`.
    pub(super) fn stepped(high: f64, step: f64) -> Self {
        Self {
            scale: Scale::Linear,
            low: 0.0,
            high,
            ticks: multiples(0.0, high, step),
            form: Form::Fixed(0),
            room: 0.0,
        }
    }

    /// The same axis without ticks above `limit`, where there can be no values.
    pub(super) fn ticks_up_to(mut self, limit: f64) -> Self {
        self.ticks.retain(|tick| *tick <= limit * (1.0 + 1e-9));
        self
    }

    /// Where `value` is, 0 at the low end and 1 at the high one.
    pub(super) fn fraction(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// Round values, ascending.
    pub(super) fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    /// `value` as it stands beside its tick.
    pub(super) fn label(&self, value: f64) -> String {
        match self.form {
            Form::Plain => plain(value),
            Form::Fixed(decimals) => fixed(value, decimals),
            Form::Power(_) if value == 0.0 => "0".to_owned(),
            Form::Power(decimals) => format!("{value:.decimals$e}"),
        }
    }

    /// Width of the widest label, or of the room that was made for it where that is more; pixels.
    pub(super) fn label_width(&self) -> f64 {
        self.ticks.iter().map(|tick| text_width(&self.label(*tick), Size::Small)).fold(self.room, f64::max)
    }

    /// The same axis with labels of at least this width, pixels, so that the names of several stand in one line.
    pub(super) fn with_label_width(mut self, width: f64) -> Self {
        self.room = width;
        self
    }

    /// The low end.
    pub(super) fn low(&self) -> f64 {
        self.low
    }

    /// The high end.
    pub(super) fn high(&self) -> f64 {
        self.high
    }
}

/// Least and greatest finite value; 0 and 1 where there is none.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let ends = values
        .filter(|v| v.is_finite())
        .fold(None, |ends: Option<(f64, f64)>, v| Some(ends.map_or((v, v), |(low, high)| (low.min(v), high.max(v)))));
    ends.unwrap_or((0.0, 1.0))
}

/// The nearest to `step`, as a ratio, of 1, 2 and 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let step = step.max(f64::MIN_POSITIVE);
    let power = 10f64.powf(step.log10().floor());
    let far = |candidate: &f64| (candidate / step).ln().abs();
    let candidates = [1.0, 2.0, 5.0, 10.0].map(|mantissa| mantissa * power);
    candidates.into_iter().min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(step)
}

fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    let slack = 1e-9 * step;
    let first = ((low - slack) / step).ceil();
    let counts = std::iter::successors(Some(first), |count| Some(count + 1.0));
    // `+ 0.0` turns -0 into 0
    counts.map(|count| count * step + 0.0).take_while(|tick| *tick <= high + slack).take(MOST_TICKS).collect()
}

/// 1, 2, 5 in each decade, or powers of ten alone where those are enough.
fn log_ticks(low: f64, high: f64, ticks: usize) -> Vec<f64> {
    let decades = multiples(low.log10().floor(), high.log10(), 1.0);
    let within = |mantissas: &[f64]| {
        let all =
            decades.iter().flat_map(|decade| mantissas.iter().map(|m| m * 10f64.powf(*decade)).collect::<Vec<_>>());
        all.filter(|tick| (low..=high).contains(tick)).collect::<Vec<f64>>()
    };
    let [powers, threes, fives] = [&[1.0][..], &[1.0, 3.0], &[1.0, 2.0, 5.0]].map(within);
    [fives, threes].into_iter().find(|some| some.len() <= ticks + 2).unwrap_or(powers)
}

/// Digits after the point that tell multiples of `step` apart.
fn decimals(step: f64) -> usize {
    const MOST: usize = 12;
    let whole = |scaled: f64| scaled > 0.5 && (scaled - scaled.round()).abs() < 1e-6;
    let scaled = std::iter::successors(Some(step), |scaled| Some(scaled * 10.0));
    scaled.take(MOST).position(whole).unwrap_or(MOST)
}

fn fixed(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$}")
}

/// `value` with three digits that count, without zeros at its end.
pub(super) fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-5.0..6.0).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let digits = [2.0, 1.0, 0.0, -1.0, -2.0, -3.0, -4.0, -5.0].iter().position(|m| magnitude >= *m).unwrap_or(7);
    let text = fixed(value, digits);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `number` with thin gaps between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = Axis::between(-0.03, 1.04, 5);
        let labels: Vec<String> = axis.ticks().iter().map(|tick| axis.label(*tick)).collect();
        assert_eq!(labels, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        let axis = Axis::between(0.0, 4e-9, 4);
        assert_eq!(axis.label(axis.ticks()[1]), "1e-9");
        let axis = Axis::between(90.0, 110.0, 4).ticks_up_to(100.0);
        assert_eq!(axis.ticks(), [90.0, 95.0, 100.0]);
        let axis = Axis::whole(1.0, 4.0, 8);
        assert_eq!(axis.ticks(), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn long_numbers_are_powers_of_ten_that_still_differ() {
        let labels = |low: f64, high: f64| -> Vec<String> {
            let axis = Axis::between(low, high, 4);
            axis.ticks().iter().map(|tick| axis.label(*tick)).collect()
        };
        assert_eq!(labels(0.0, 8e5), ["0", "200000", "400000", "600000", "800000"]);
        assert_eq!(labels(0.0, 2e9), ["0", "5.0e8", "1.0e9", "1.5e9", "2.0e9"]);
        assert_eq!(labels(1.0001e9, 1.0003e9), ["1.00010e9", "1.00015e9", "1.00020e9", "1.00025e9", "1.00030e9"]);
        assert_eq!(labels(-4e-6, 0.0), ["-4e-6", "-3e-6", "-2e-6", "-1e-6", "0"]);
        assert_eq!(labels(0.0, 0.004), ["0.000", "0.001", "0.002", "0.003", "0.004"]);
    }

    #[test]
    fn an_axis_of_more_than_a_decade_is_logarithmic() {
        let axis = Axis::around_log([0.1, 10.0].into_iter(), 6);
        assert!((axis.fraction(1.0) - 0.5).abs() < 1e-9);
        let labels: Vec<String> = axis.ticks().iter().map(|tick| axis.label(*tick)).collect();
        assert_eq!(labels, ["0.1", "0.2", "0.5", "1", "2", "5", "10"]);
        let axis = Axis::around_log([1.0, 5.0].into_iter(), 6);
        assert!((axis.fraction(3.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_forced_logarithm_spans_a_decade_at_least() {
        let axis = Axis::log([2.0, 2.0].into_iter(), 8);
        assert!((axis.fraction(2.0) - 0.5).abs() < 1e-9 && axis.high() / axis.low() > 10.0);
        let axis = Axis::log(std::iter::empty(), 8);
        assert!(axis.low() > 0.0 && axis.fraction(axis.high()) == 1.0, "{axis:?}");
        let axis = Axis::log([0.0, 1.0, 1000.0].into_iter(), 8);
        assert!(axis.low() > 0.5 && axis.low() < 1.0, "zeros are no values: {axis:?}");
    }

    #[test]
    fn one_value_or_none_still_has_an_axis() {
        for axis in [Axis::around([3.0, 3.0].into_iter(), 5), Axis::around([0.0].into_iter(), 5)] {
            assert!(axis.high() > axis.low() && !axis.ticks().is_empty(), "{axis:?}");
        }
        assert_eq!(Axis::around([f64::NAN].into_iter(), 5), Axis::around([0.0, 1.0].into_iter(), 5));
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.012345, 1.5, 20.0, 123.456, 123456.0, 1.5e9, 3e-7].map(plain);
        assert_eq!(texts, ["0", "0.0123", "1.5", "20", "123", "123456", "1.50e9", "3.00e-7"]);
        assert_eq!(grouped(1_234_567), "1\u{2009}234\u{2009}567");
        assert_eq!(grouped(12), "12");
    }
}
